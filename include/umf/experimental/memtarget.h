/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/memtarget.h
 * A place where memory can live: one NUMA node. Memtargets are parts of memspaces
 * (umf/experimental/memspace.h), which own them: a handle is valid until its memspace is destroyed
 * or the target is removed from it. All functions may be called by several threads at once as long
 * as none changes the memspace.
 */
#ifndef UMF_MEMTARGET_H
#define UMF_MEMTARGET_H 1

#include <stddef.h>

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A memtarget, owned by its memspace. */
typedef struct umf_memtarget_t *umf_memtarget_handle_t;
/** A memtarget that must not be changed. */
typedef const struct umf_memtarget_t *umf_const_memtarget_handle_t;

/** What kind of place a memtarget is. */
typedef enum umf_memtarget_type_t {
    UMF_MEMTARGET_TYPE_UNKNOWN = 0, /**< not known */
    UMF_MEMTARGET_TYPE_NUMA = 1     /**< a NUMA node of this machine */
} umf_memtarget_type_t;

/**
 * Tells the kind of a memtarget.
 * @param hMemtarget [in] memtarget
 * @param type       [out] its kind
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL argument
 */
umf_result_t umfMemtargetGetType(umf_const_memtarget_handle_t hMemtarget,
                                 umf_memtarget_type_t *type);

/**
 * Tells how much memory a memtarget has in all, used and unused.
 * @param hMemtarget [in] memtarget
 * @param capacity   [out] bytes
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL argument, or when this
 *         machine has no such node; UMF_RESULT_ERROR_NOT_SUPPORTED: the nodes of this machine can
 *         not be found out
 */
umf_result_t umfMemtargetGetCapacity(umf_const_memtarget_handle_t hMemtarget, size_t *capacity);

/**
 * Tells the number that the operating system gives a memtarget.
 * @param hMemtarget [in] memtarget
 * @param id         [out] number of the NUMA node
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL argument
 */
umf_result_t umfMemtargetGetId(umf_const_memtarget_handle_t hMemtarget, unsigned int *id);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMTARGET_H */

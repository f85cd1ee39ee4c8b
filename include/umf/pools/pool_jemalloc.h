/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/pools/pool_jemalloc.h
 * Jemalloc pool: jemalloc as a general-purpose allocator over any provider whose allocations can be
 * split. Each pool has arenas of its own; their bookkeeping is not kept in the provider's memory,
 * which is touched by calloc and realloc only. All calls of the pool API are thread-safe. A
 * jemalloc pool can not be stacked on memory of another jemalloc pool: its allocations fail.
 *
 * The library can be built without it: then umfJemallocPoolOps() returns NULL and every function of
 * the parameters UMF_RESULT_ERROR_NOT_SUPPORTED.
 */
#ifndef UMF_JEMALLOC_MEMORY_POOL_H
#define UMF_JEMALLOC_MEMORY_POOL_H 1

#include <umf/memory_pool_ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Parameters of a jemalloc pool; create, set, pass to umfPoolCreate(), destroy (at any time after
 * that). One object is not to be used by several threads at once. */
typedef struct umf_jemalloc_pool_params_t *umf_jemalloc_pool_params_handle_t;

/**
 * Makes a parameter object with the defaults.
 * @param hParams [out] the object; owned by the caller until umfJemallocPoolParamsDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for NULL;
 * UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfJemallocPoolParamsCreate(umf_jemalloc_pool_params_handle_t *hParams);

/**
 * Frees a parameter object. NULL is allowed.
 * @return UMF_RESULT_SUCCESS
 */
umf_result_t umfJemallocPoolParamsDestroy(umf_jemalloc_pool_params_handle_t hParams);

/**
 * Sets the number of arenas. Threads are spread over them; an arena is made when the first thread
 * needs it.
 * @param hParams [in] the object to change
 * @param numArenas 0: the default, four per CPU. umfPoolCreate() accepts up to 4095 and refuses
 * more with UMF_RESULT_ERROR_INVALID_ARGUMENT; when the process can have no more, the pool gets
 * along with fewer.
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle
 */
umf_result_t umfJemallocPoolParamsSetNumArenas(umf_jemalloc_pool_params_handle_t hParams,
                                               size_t numArenas);

/**
 * Sets the name of the pool, as umfPoolGetName() tells it. Default: "jemalloc".
 * @param hParams [in] the object to change
 * @param name copied; 63 characters are kept
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle or name
 */
umf_result_t umfJemallocPoolParamsSetName(umf_jemalloc_pool_params_handle_t hParams,
                                          const char *name);

/**
 * The operations of the jemalloc pool, for umfPoolCreate(). params may be NULL: the defaults.
 * Creating a pool fails with UMF_RESULT_ERROR_NOT_SUPPORTED on a provider that does not split
 * allocations.
 * @return a constant table, valid for the life of the process; NULL where the pool is not built in
 */
const umf_memory_pool_ops_t *umfJemallocPoolOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_JEMALLOC_MEMORY_POOL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file pool_slab.h
 * General-purpose, thread-caching pool over any host-accessible provider. An addition of this
 * implementation to the UMF interface; its functions carry the symbol version UMF_EXT_1.0.
 *
 * The pool takes chunks from the provider and serves all sizes from them; blocks above 16 MiB are
 * provider allocations of their own. Every thread has a heap of its own in each pool that it uses;
 * blocks may be freed by any thread. All calls of the pool API are thread-safe. Besides alloc and
 * free it uses the provider's purge operations where they are supported. The memory is written by
 * the CPU (free blocks are linked through themselves), so it must be host-accessible.
 */
#ifndef UMF_SLAB_MEMORY_POOL_H
#define UMF_SLAB_MEMORY_POOL_H 1

#include <stdbool.h>
#include <stdint.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Milliseconds that freed memory stays ready for reuse before it is purged, unless set otherwise.
 */
#define UMF_SLAB_PURGE_DELAY_MS_DEFAULT 200

/** Parameters of a slab pool; create, set, pass to umfPoolCreate, destroy (at any time after the
 * pool's creation). */
typedef struct umf_slab_pool_params_t *umf_slab_pool_params_handle_t;

/**
 * Makes a parameter object with the defaults.
 * @param hParams [out] the object; owned by the caller until umfSlabPoolParamsDestroy
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for NULL;
 * UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfSlabPoolParamsCreate(umf_slab_pool_params_handle_t *hParams);

/**
 * Frees a parameter object. NULL is allowed.
 * @return UMF_RESULT_SUCCESS
 */
umf_result_t umfSlabPoolParamsDestroy(umf_slab_pool_params_handle_t hParams);

/**
 * Size of the first chunk taken from the provider; later chunks double up to 64 MiB. A provider
 * that has less is asked for less.
 * @param hParams [in] the object to change
 * @param bytes multiple of 64 KiB, at most 64 MiB; 0: the default, 1 MiB
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle or another size
 */
umf_result_t umfSlabPoolParamsSetChunkSize(umf_slab_pool_params_handle_t hParams, size_t bytes);

/**
 * How long freed memory is kept before its pages are purged (between one and two times this value).
 * @param hParams [in] the object to change
 * @param milliseconds 0: at the next opportunity
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle
 */
umf_result_t umfSlabPoolParamsSetPurgeDelay(umf_slab_pool_params_handle_t hParams,
                                            uint32_t milliseconds);

/**
 * With true, nothing is purged or returned to the provider before the pool is destroyed or trimmed,
 * or the provider has no more; of freed blocks above 16 MiB, eight are kept. Default: false.
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle
 */
umf_result_t umfSlabPoolParamsSetKeepAll(umf_slab_pool_params_handle_t hParams, bool keepAll);

/**
 * Name of the pool, as umfPoolGetName tells it. Copied; 63 characters are kept. Default: "slab".
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle or name
 */
umf_result_t umfSlabPoolParamsSetName(umf_slab_pool_params_handle_t hParams, const char *name);

/**
 * The operations of the slab pool, for umfPoolCreate. params may be NULL: the defaults.
 * @return a constant table, valid for the life of the process
 */
const umf_memory_pool_ops_t *umfSlabPoolOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_SLAB_MEMORY_POOL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/pools/pool_scalable.h
 * Scalable pool: the memory pool allocator of oneTBB over any host-accessible provider. The library
 * libtbbmalloc.so.2 is opened when the first such pool is created. The pool writes to the
 * provider's memory. All calls of the pool API are thread-safe.
 */
#ifndef UMF_SCALABLE_MEMORY_POOL_H
#define UMF_SCALABLE_MEMORY_POOL_H 1

#ifdef __cplusplus
extern "C" {
#endif

#include <stdbool.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

/** Parameters of a scalable pool; create, set, pass to umfPoolCreate(), destroy (at any time after
 * that). One object is not to be used by several threads at once. */
typedef struct umf_scalable_pool_params_t *umf_scalable_pool_params_handle_t;

/**
 * Makes a parameter object with the defaults.
 * @param hParams [out] the object; owned by the caller until umfScalablePoolParamsDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for NULL;
 * UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfScalablePoolParamsCreate(umf_scalable_pool_params_handle_t *hParams);

/**
 * Frees a parameter object.
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for NULL
 */
umf_result_t umfScalablePoolParamsDestroy(umf_scalable_pool_params_handle_t hParams);

/**
 * Sets how much the pool asks the provider for at a time; larger blocks are asked for as they are.
 * @param hParams [in] the object to change
 * @param granularity bytes, not 0; default 2 MiB
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle or 0
 */
umf_result_t umfScalablePoolParamsSetGranularity(umf_scalable_pool_params_handle_t hParams,
                                                 size_t granularity);

/**
 * With true, nothing goes back to the provider before the pool is destroyed. Default: false.
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle
 */
umf_result_t umfScalablePoolParamsSetKeepAllMemory(umf_scalable_pool_params_handle_t hParams,
                                                   bool keepAllMemory);

/**
 * Sets the name of the pool, as umfPoolGetName() tells it. Default: "scalable".
 * @param hParams [in] the object to change
 * @param name copied; 63 characters are kept
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL handle or name
 */
umf_result_t umfScalablePoolParamsSetName(umf_scalable_pool_params_handle_t hParams,
                                          const char *name);

/**
 * The operations of the scalable pool, for umfPoolCreate(). params may be NULL: the defaults.
 * Creating a pool fails with UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE as long as libtbbmalloc.so.2
 * can not be opened; the next attempt looks for it again.
 * @return a constant table, valid for the life of the process; never NULL
 */
const umf_memory_pool_ops_t *umfScalablePoolOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_SCALABLE_MEMORY_POOL_H */

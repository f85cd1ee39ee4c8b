/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/pools/pool_disjoint.h
 * Disjoint pool: blocks of fixed sizes ("buckets") cut from slabs, with all bookkeeping outside of
 * the pooled memory. It never reads or writes that memory, so it also serves memory that the CPU
 * can not touch.
 *
 * A request is served from the smallest bucket that holds it; requests above the greatest poolable
 * size go straight to the provider. Empty slabs are kept for reuse up to the capacity and the
 * shared limits. calloc and realloc are not supported: they would need access to the memory.
 *
 * Operations on a pool are thread-safe. Parameter objects are not: one object must not be changed
 * or destroyed by one thread while another one uses it.
 */
#ifndef UMF_DISJOINT_MEMORY_POOL_H
#define UMF_DISJOINT_MEMORY_POOL_H 1

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes of the smallest bucket when neither the parameters nor the provider's cache line size say
 * otherwise. */
#define UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE ((size_t)8)

/** Budget, in bytes, for the empty slabs that all pools which share it may keep. */
typedef struct umf_disjoint_pool_shared_limits_t *umf_disjoint_pool_shared_limits_handle_t;

/** Parameters of a disjoint pool. They may serve for several pools and be destroyed right after
 * use. */
typedef struct umf_disjoint_pool_params_t *umf_disjoint_pool_params_handle_t;

/**
 * Makes a budget for the empty slabs of several pools.
 * @param MaxSize       [in] bytes that all of them together may keep
 * @param hSharedLimits [out] owned by the caller, to be given to
 *     umfDisjointPoolSharedLimitsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL pointer; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t
umfDisjointPoolSharedLimitsCreate(size_t MaxSize,
                                  umf_disjoint_pool_shared_limits_handle_t *hSharedLimits);

/**
 * Gives a budget up. Pools and parameters that use it keep it alive until they are destroyed.
 * @param hSharedLimits [in] budget or NULL
 * @return always UMF_RESULT_SUCCESS
 */
umf_result_t
umfDisjointPoolSharedLimitsDestroy(umf_disjoint_pool_shared_limits_handle_t hSharedLimits);

/**
 * Makes parameters with the defaults.
 * @param hParams [out] parameters, to be given to umfDisjointPoolParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL pointer; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfDisjointPoolParamsCreate(umf_disjoint_pool_params_handle_t *hParams);

/**
 * Frees parameters. Pools that were created with them are not affected.
 * @param hParams [in] parameters or NULL
 * @return always UMF_RESULT_SUCCESS
 */
umf_result_t umfDisjointPoolParamsDestroy(umf_disjoint_pool_params_handle_t hParams);

/**
 * Least bytes that are requested from the provider for one slab.
 * @param hParams     [in] parameters
 * @param slabMinSize [in] bytes; default: 64 KiB
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle.
 */
umf_result_t umfDisjointPoolParamsSetSlabMinSize(umf_disjoint_pool_params_handle_t hParams,
                                                 size_t slabMinSize);

/**
 * Greatest request that is served from slabs; greater ones go straight to the provider.
 * @param hParams         [in] parameters
 * @param maxPoolableSize [in] bytes; default: 2 MiB; values above 2 GiB act as 2 GiB
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle.
 */
umf_result_t umfDisjointPoolParamsSetMaxPoolableSize(umf_disjoint_pool_params_handle_t hParams,
                                                     size_t maxPoolableSize);

/**
 * Empty slabs that each bucket keeps. Buckets of at most half a slab keep one, whatever is set
 * here. When several threads use a bucket at once, it may keep one more for each of them.
 * @param hParams     [in] parameters
 * @param maxCapacity [in] number of slabs; default: 4
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle.
 */
umf_result_t umfDisjointPoolParamsSetCapacity(umf_disjoint_pool_params_handle_t hParams,
                                              size_t maxCapacity);

/**
 * Size of the smallest bucket. All bucket sizes are multiples of it.
 * @param hParams       [in] parameters
 * @param minBucketSize [in] bytes, a power of two; default: the provider's cache line size, or
 *     UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE when that is not known
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle, or no power of two.
 */
umf_result_t umfDisjointPoolParamsSetMinBucketSize(umf_disjoint_pool_params_handle_t hParams,
                                                   size_t minBucketSize);

/**
 * How much the pool observes: 0 nothing, 1 counts slabs, 2 also counts allocations and logs a
 * summary when the pool is destroyed, 3 also logs every allocation. Logging is at debug level.
 * From level 2 on, every call takes the slow path.
 * @param hParams   [in] parameters
 * @param poolTrace [in] level; default: 0
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle.
 */
umf_result_t umfDisjointPoolParamsSetTrace(umf_disjoint_pool_params_handle_t hParams,
                                           int poolTrace);

/**
 * Makes the pool share a budget for empty slabs.
 * @param hParams       [in] parameters
 * @param hSharedLimits [in] budget, or NULL for none (default); stays the caller's
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL parameters.
 */
umf_result_t
umfDisjointPoolParamsSetSharedLimits(umf_disjoint_pool_params_handle_t hParams,
                                     umf_disjoint_pool_shared_limits_handle_t hSharedLimits);

/**
 * Name of the pool, as umfPoolGetName() tells it and settings by name use it.
 * @param hParams [in] parameters
 * @param name    [in] copied; 63 characters are kept; default: "disjoint"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL handle or name.
 */
umf_result_t umfDisjointPoolParamsSetName(umf_disjoint_pool_params_handle_t hParams,
                                          const char *name);

/**
 * Operations of the disjoint pool, for umfPoolCreate(). NULL parameters are the defaults.
 * @return table that lives as long as the library; never NULL
 */
const umf_memory_pool_ops_t *umfDisjointPoolOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_DISJOINT_MEMORY_POOL_H */

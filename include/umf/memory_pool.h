/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/memory_pool.h
 * Memory pools: allocators with a malloc-like interface on top of a memory provider.
 *
 * All calls but umfPoolCreate() and umfPoolDestroy() may be made on one pool from any number of
 * threads at once. A block may be freed by another thread than the one that allocated it.
 */
#ifndef UMF_MEMORY_POOL_H
#define UMF_MEMORY_POOL_H 1

#include <stddef.h>

#include <umf/base.h>
#include <umf/memory_pool_ops.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A memory pool. */
typedef struct umf_memory_pool_t *umf_memory_pool_handle_t;

/** Choices at creation; values are bits to be combined with `|`. */
typedef enum umf_pool_create_flag_t {
    /** The defaults: the provider stays the caller's, allocations are tracked. */
    UMF_POOL_CREATE_FLAG_NONE = 0,
    /** umfPoolDestroy() destroys the provider as well. */
    UMF_POOL_CREATE_FLAG_OWN_PROVIDER = (1 << 0),
    /** umfFree(), umfPoolByPtr() and other look-ups by address do not know this pool's memory. */
    UMF_POOL_CREATE_FLAG_DISABLE_TRACKING = (1 << 1),
    /** Not a flag: makes the enumeration 32 bits wide. */
    UMF_POOL_CREATE_FLAG_FORCE_UINT32 = 0x7fffffff
} umf_pool_create_flag_t;

/** Combination of umf_pool_create_flag_t bits. */
typedef uint32_t umf_pool_create_flags_t;

/**
 * Makes a pool.
 * @param ops      [in] its operations; the table is copied and may go away afterwards
 * @param provider [in] where its memory comes from; must outlive the pool
 * @param params   [in] parameters of that kind of pool, may be NULL where it allows this
 * @param flags    [in] UMF_POOL_CREATE_FLAG_ bits
 * @param hPool    [out] the pool, to be given to umfPoolDestroy(); written on success only
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: ops, provider or hPool is NULL, an unknown flag is set
 *     or a mandatory operation is missing; UMF_RESULT_ERROR_NOT_SUPPORTED: the version of the table
 *     is newer than 1.1; UMF_RESULT_ERROR_UNKNOWN: the library is shut down;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY; else what the pool's own start-up returned. After a
 *     failure the provider is the caller's, also with UMF_POOL_CREATE_FLAG_OWN_PROVIDER.
 */
umf_result_t umfPoolCreate(const umf_memory_pool_ops_t *ops, umf_memory_provider_handle_t provider,
                           const void *params, umf_pool_create_flags_t flags,
                           umf_memory_pool_handle_t *hPool);

/**
 * Destroys a pool. No other thread may use it any more; blocks that are still allocated become
 * invalid.
 * @param hPool [in] pool, released whatever the result is
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hPool is NULL; UMF_RESULT_ERROR_UNKNOWN: the library
 *     is shut down; else the first error that the pool's or the owned provider's end returned.
 */
umf_result_t umfPoolDestroy(umf_memory_pool_handle_t hPool);

/**
 * Allocates.
 * @param hPool [in] pool
 * @param size  [in] bytes
 * @return block for umfPoolFree(), or NULL when that failed or hPool is NULL;
 *     umfPoolGetLastAllocationError() says why.
 */
void *umfPoolMalloc(umf_memory_pool_handle_t hPool, size_t size);

/**
 * Allocates with an alignment.
 * @param hPool     [in] pool
 * @param size      [in] bytes
 * @param alignment [in] bytes, a power of two
 * @return as umfPoolMalloc()
 */
void *umfPoolAlignedMalloc(umf_memory_pool_handle_t hPool, size_t size, size_t alignment);

/**
 * Allocates an array of zeroed bytes.
 * @param hPool [in] pool
 * @param num   [in] elements
 * @param size  [in] bytes of one element
 * @return as umfPoolMalloc()
 */
void *umfPoolCalloc(umf_memory_pool_handle_t hPool, size_t num, size_t size);

/**
 * Resizes a block; the content up to the smaller of both sizes is kept.
 * @param hPool [in] pool
 * @param ptr   [in] block of this pool, or NULL for a new one
 * @param size  [in] bytes
 * @return the block, maybe elsewhere (ptr is invalid then); on NULL with a size above 0 the old one
 *     still stands
 */
void *umfPoolRealloc(umf_memory_pool_handle_t hPool, void *ptr, size_t size);

/**
 * Bytes that may be used behind a pointer.
 * @param hPool [in] pool
 * @param ptr   [in] block of this pool
 * @param size  [out] bytes, at least those asked for; 0 where the pool does not know
 */
umf_result_t umfPoolMallocUsableSize(umf_memory_pool_handle_t hPool, const void *ptr, size_t *size);

/**
 * Frees a block.
 * @param hPool [in] pool that it comes from
 * @param ptr   [in] block; NULL is allowed
 */
umf_result_t umfPoolFree(umf_memory_pool_handle_t hPool, void *ptr);

/**
 * Frees a block of whichever pool it belongs to.
 * @param ptr [in] block of a pool with tracking
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL, or memory of no tracked pool; else what the pool
 *     returned.
 */
umf_result_t umfFree(void *ptr);

/**
 * Why the calling thread's latest allocation from this pool failed.
 * @param hPool [in] pool
 */
umf_result_t umfPoolGetLastAllocationError(umf_memory_pool_handle_t hPool);

/**
 * Pool that an address belongs to. Takes no lock. The memory must not be freed at the same time.
 * @param ptr  [in] any address inside memory that a tracked pool took from its provider
 * @param pool [out] pool; NULL when the address is unknown
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, or no tracked pool owns the
 *     address (memory opened from another process belongs to none).
 */
umf_result_t umfPoolByPtr(const void *ptr, umf_memory_pool_handle_t *pool);

/**
 * Provider that a pool was created with.
 * @param hPool     [in] pool
 * @param hProvider [out] provider; ownership does not change
 */
umf_result_t umfPoolGetMemoryProvider(umf_memory_pool_handle_t hPool,
                                      umf_memory_provider_handle_t *hProvider);

/**
 * Name of a pool.
 * @param pool [in] pool
 * @param name [out] text owned by the pool, valid as long as the pool
 */
umf_result_t umfPoolGetName(umf_memory_pool_handle_t pool, const char **name);

/**
 * Attaches a pointer of the user's to a pool, atomically. The library never looks behind it.
 * @param hPool  [in] pool
 * @param tag    [in] pointer, may be NULL
 * @param oldTag [out] the one before (NULL at first); may be NULL when it is not wanted
 */
umf_result_t umfPoolSetTag(umf_memory_pool_handle_t hPool, void *tag, void **oldTag);

/**
 * Reads the attached pointer, atomically.
 * @param hPool [in] pool
 * @param tag   [out] pointer that umfPoolSetTag() attached last, NULL at first
 */
umf_result_t umfPoolGetTag(umf_memory_pool_handle_t hPool, void **tag);

/**
 * Gives memory that is not in use back to the provider.
 * @param hPool          [in] pool
 * @param minBytesToKeep [in] bytes that may stay cached, a hint
 * @return UMF_RESULT_ERROR_NOT_SUPPORTED: the pool can not do this.
 */
umf_result_t umfPoolTrimMemory(umf_memory_pool_handle_t hPool, size_t minBytesToKeep);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_POOL_H */

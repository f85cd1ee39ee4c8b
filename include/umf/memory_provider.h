/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/memory_provider.h
 * Memory providers: sources of coarse-grained memory (mappings, files, devices) behind one set of
 * calls.
 *
 * All calls but umfMemoryProviderCreate() and umfMemoryProviderDestroy() may be made on one
 * provider from any number of threads at once. Each returns what the provider's own operation
 * returned, after the checks that are named here; a NULL provider always is
 * UMF_RESULT_ERROR_INVALID_ARGUMENT.
 */
#ifndef UMF_MEMORY_PROVIDER_H
#define UMF_MEMORY_PROVIDER_H 1

#include <umf/base.h>
#include <umf/memory_provider_ops.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Who sees the memory. */
typedef enum umf_memory_visibility_t {
    UMF_MEM_MAP_PRIVATE = 1, /**< this process alone; a forked child gets copies */
    UMF_MEM_MAP_SHARED = 2   /**< may be shared with other processes */
} umf_memory_visibility_t;

/** How the memory may be accessed; values are bits to be combined with `|`. */
typedef enum umf_mem_protection_flag_t {
    UMF_PROTECTION_NONE = (1 << 0),  /**< not at all */
    UMF_PROTECTION_READ = (1 << 1),  /**< read */
    UMF_PROTECTION_WRITE = (1 << 2), /**< written */
    UMF_PROTECTION_EXEC = (1 << 3),  /**< executed */
    UMF_PROTECTION_MAX = 9           /**< end marker, not a bit and not a mask */
} umf_mem_protection_flag_t;

/** A memory provider. */
typedef struct umf_memory_provider_t *umf_memory_provider_handle_t;

/**
 * Makes a provider.
 * @param ops       [in] its operations; the table is copied and may go away afterwards
 * @param params    [in] parameters of that kind of provider, may be NULL where it allows this
 * @param hProvider [out] the provider, to be given to umfMemoryProviderDestroy(); written on
 *     success only
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: ops or hProvider is NULL, or a mandatory operation (or
 *     part of a set) is missing; UMF_RESULT_ERROR_NOT_SUPPORTED: the version of the table is
 *     neither 1.0, 1.1 nor 1.2; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY; else what the provider's own
 *     start-up returned.
 */
umf_result_t umfMemoryProviderCreate(const umf_memory_provider_ops_t *ops, const void *params,
                                     umf_memory_provider_handle_t *hProvider);

/**
 * Destroys a provider. No pool may use it any more, and no other thread.
 * @param hProvider [in] provider, released whatever the result is; NULL is allowed
 * @return UMF_RESULT_ERROR_UNKNOWN after the library was shut down, else what the provider's end
 *     returned.
 */
umf_result_t umfMemoryProviderDestroy(umf_memory_provider_handle_t hProvider);

/**
 * Obtains a block.
 * @param hProvider [in] provider
 * @param size      [in] bytes
 * @param alignment [in] bytes; 0 leaves it to the provider
 * @param ptr       [out] the block, to be given to umfMemoryProviderFree(); written on success only
 */
umf_result_t umfMemoryProviderAlloc(umf_memory_provider_handle_t hProvider, size_t size,
                                    size_t alignment, void **ptr);

/**
 * Gives a block back.
 * @param hProvider [in] provider that it comes from
 * @param ptr       [in] block; NULL is passed on to the provider as well
 * @param size      [in] bytes of the block
 */
umf_result_t umfMemoryProviderFree(umf_memory_provider_handle_t hProvider, void *ptr, size_t size);

/**
 * Details of the calling thread's latest UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC.
 * @param hProvider [in] provider that failed
 * @param ppMessage [out] text owned by the provider, valid until the thread's next failure there
 * @param pError    [out] number; its meaning is in the header of the provider
 */
umf_result_t umfMemoryProviderGetLastNativeError(umf_memory_provider_handle_t hProvider,
                                                 const char **ppMessage, int32_t *pError);

/**
 * Page size that suits allocations of a size best.
 * @param hProvider [in] provider
 * @param size      [in] bytes of the allocation in mind
 * @param pageSize  [out] bytes
 */
umf_result_t umfMemoryProviderGetRecommendedPageSize(umf_memory_provider_handle_t hProvider,
                                                     size_t size, size_t *pageSize);

/**
 * Smallest page size.
 * @param hProvider [in] provider
 * @param ptr       [in] an allocation to be asked about, or NULL for the smallest page of all
 * @param pageSize  [out] bytes
 */
umf_result_t umfMemoryProviderGetMinPageSize(umf_memory_provider_handle_t hProvider,
                                             const void *ptr, size_t *pageSize);

/**
 * Bytes of a cache line of this memory. Providers with a table older than layout 1.2 report 64.
 * @param hProvider [in] provider
 * @param size      [out] bytes
 */
umf_result_t umfMemoryProviderGetCacheLineSize(umf_memory_provider_handle_t hProvider,
                                               size_t *size);

/**
 * Tells that the content of a range is not needed any more; the pages may go at any later time.
 * @param hProvider [in] provider
 * @param ptr       [in] first byte, not NULL
 * @param size      [in] bytes
 */
umf_result_t umfMemoryProviderPurgeLazy(umf_memory_provider_handle_t hProvider, void *ptr,
                                        size_t size);

/**
 * Drops the pages of a range now.
 * @param hProvider [in] provider
 * @param ptr       [in] first byte, not NULL
 * @param size      [in] bytes
 */
umf_result_t umfMemoryProviderPurgeForce(umf_memory_provider_handle_t hProvider, void *ptr,
                                         size_t size);

/**
 * Bytes of the data that describes an allocation of this provider to another process.
 * @param hProvider [in] provider
 * @param size      [out] bytes
 */
umf_result_t umfMemoryProviderGetIPCHandleSize(umf_memory_provider_handle_t hProvider,
                                               size_t *size);

/**
 * Describes an allocation for another process.
 * @param hProvider       [in] provider
 * @param ptr             [in] block, not NULL
 * @param size            [in] its bytes, not 0
 * @param providerIpcData [out] caller's buffer of umfMemoryProviderGetIPCHandleSize() bytes
 */
umf_result_t umfMemoryProviderGetIPCHandle(umf_memory_provider_handle_t hProvider, const void *ptr,
                                           size_t size, void *providerIpcData);

/**
 * Releases what umfMemoryProviderGetIPCHandle() took.
 * @param hProvider       [in] provider
 * @param providerIpcData [in] the data, not NULL; the buffer stays the caller's
 */
umf_result_t umfMemoryProviderPutIPCHandle(umf_memory_provider_handle_t hProvider,
                                           void *providerIpcData);

/**
 * Maps an allocation of another process here.
 * @param hProvider       [in] provider of the same kind as over there
 * @param providerIpcData [in] the bytes from over there, not NULL
 * @param ptr             [out] first byte of the mapping, for umfMemoryProviderCloseIPCHandle()
 */
umf_result_t umfMemoryProviderOpenIPCHandle(umf_memory_provider_handle_t hProvider,
                                            void *providerIpcData, void **ptr);

/**
 * Unmaps what umfMemoryProviderOpenIPCHandle() mapped.
 * @param hProvider [in] provider that mapped it
 * @param ptr       [in] first byte of the mapping, not NULL
 * @param size      [in] bytes of the allocation, not 0
 */
umf_result_t umfMemoryProviderCloseIPCHandle(umf_memory_provider_handle_t hProvider, void *ptr,
                                             size_t size);

/**
 * Name of a provider.
 * @param hProvider [in] provider
 * @param name      [out] text owned by the provider, valid as long as the provider
 */
umf_result_t umfMemoryProviderGetName(umf_memory_provider_handle_t hProvider, const char **name);

/**
 * Provider whose operation failed most recently on the calling thread. A later success does not
 * clear it; destroying the provider does so for the destroying thread. Compare it, do not use it
 * after its destruction.
 * @param provider [out] provider, or NULL when none failed on this thread yet
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: provider is NULL.
 */
umf_result_t umfGetLastFailedMemoryProvider(umf_memory_provider_handle_t *provider);

/**
 * Makes two blocks out of one; each can be freed alone afterwards.
 * @param hProvider [in] provider
 * @param ptr       [in] block, not NULL
 * @param totalSize [in] its bytes
 * @param firstSize [in] bytes of the first of the two: more than 0, less than totalSize
 */
umf_result_t umfMemoryProviderAllocationSplit(umf_memory_provider_handle_t hProvider, void *ptr,
                                              size_t totalSize, size_t firstSize);

/**
 * Makes one block out of two neighbours.
 * @param hProvider [in] provider
 * @param lowPtr    [in] first block, not NULL
 * @param highPtr   [in] second block, which begins where the first one ends
 * @param totalSize [in] bytes of both together; highPtr lies inside
 */
umf_result_t umfMemoryProviderAllocationMerge(umf_memory_provider_handle_t hProvider, void *lowPtr,
                                              void *highPtr, size_t totalSize);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_PROVIDER_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/memory_provider_ops.h
 * The table of functions that makes a memory provider: coarse-grained memory for pools to divide.
 *
 * Every function gets as its first argument the private state that `initialize` made (named
 * `provider`). All of them may be called from any number of threads at once, except `initialize`
 * and `finalize`, which run once each, before and after all others. Operations whose name begins
 * with `ext_` may be NULL; some of those come as a set: all of a set or none.
 */
#ifndef UMF_MEMORY_PROVIDER_OPS_H
#define UMF_MEMORY_PROVIDER_OPS_H 1

#include <stdarg.h>

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Newest layout of umf_memory_provider_ops_t. Layouts 1.0 and 1.1 (prefixes of this one) are
 * accepted as well. */
#define UMF_PROVIDER_OPS_VERSION_CURRENT UMF_MAKE_VERSION(1, 2)

/** Operations of a memory provider. The order of the members is part of the binary interface. */
typedef struct umf_memory_provider_ops_t {
    /** Layout that the table was filled in for: UMF_PROVIDER_OPS_VERSION_CURRENT of the compiled
     * header. */
    uint32_t version;

    /**
     * Makes the private state of one provider.
     * @param params   [in] what the user gave to umfMemoryProviderCreate(); copy what is needed
     *     later
     * @param provider [out] private state
     * @return success, or the error that umfMemoryProviderCreate() then returns; nothing may be
     *     left behind.
     */
    umf_result_t (*initialize)(const void *params, void **provider);

    /**
     * Destroys the private state.
     * @param provider [in] private state; not used again whatever the result is
     */
    umf_result_t (*finalize)(void *provider);

    /**
     * Obtains a block.
     * @param provider  [in] private state
     * @param size      [in] bytes
     * @param alignment [in] bytes, a power of two or 0 for the provider's own choice
     * @param ptr       [out] the block; not written on error
     */
    umf_result_t (*alloc)(void *provider, size_t size, size_t alignment, void **ptr);

    /**
     * Gives a block back.
     * @param provider [in] private state
     * @param ptr      [in] block from `alloc`, or a part that was split off; may be NULL
     * @param size     [in] bytes of the block
     */
    umf_result_t (*free)(void *provider, void *ptr, size_t size);

    /**
     * Text and number of the calling thread's latest failure with result
     * UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC.
     * @param provider  [in] private state
     * @param ppMessage [out] text owned by the provider, valid until the thread's next failure
     * @param pError    [out] number with a meaning that the provider defines
     */
    umf_result_t (*get_last_native_error)(void *provider, const char **ppMessage, int32_t *pError);

    /**
     * Page size that suits allocations of a size best.
     * @param provider [in] private state
     * @param size     [in] bytes
     * @param pageSize [out] bytes
     */
    umf_result_t (*get_recommended_page_size)(void *provider, size_t size, size_t *pageSize);

    /**
     * Smallest page size.
     * @param provider [in] private state
     * @param ptr      [in] an allocation of this provider, or NULL for the smallest of all
     * @param pageSize [out] bytes
     */
    umf_result_t (*get_min_page_size)(void *provider, const void *ptr, size_t *pageSize);

    /**
     * Name of the provider.
     * @param provider [in] private state; with NULL the default name is wanted
     * @param name     [out] text owned by the provider, at most 64 characters out of `A-Z a-z 0-9 -
     *     _`
     */
    umf_result_t (*get_name)(void *provider, const char **name);

    /**
     * Tells that the content of a range is not needed any more; the pages may go at any later time.
     * Optional.
     * @param provider [in] private state
     * @param ptr      [in] first byte
     * @param size     [in] bytes
     */
    umf_result_t (*ext_purge_lazy)(void *provider, void *ptr, size_t size);

    /**
     * Drops the pages of a range now; it reads as zero or as the backing object's content
     * afterwards. Optional.
     * @param provider [in] private state
     * @param ptr      [in] first byte
     * @param size     [in] bytes
     */
    umf_result_t (*ext_purge_force)(void *provider, void *ptr, size_t size);

    /**
     * Makes one block out of two neighbours. Optional, set with ext_allocation_split.
     * @param hProvider [in] private state
     * @param lowPtr    [in] first block
     * @param highPtr   [in] second block, begins where the first one ends
     * @param totalSize [in] bytes of both together
     */
    umf_result_t (*ext_allocation_merge)(void *hProvider, void *lowPtr, void *highPtr,
                                         size_t totalSize);

    /**
     * Makes two blocks out of one; each can be freed alone afterwards. Optional, set with
     * ext_allocation_merge.
     * @param hProvider [in] private state
     * @param ptr       [in] block
     * @param totalSize [in] its bytes
     * @param firstSize [in] bytes of the first of the two
     */
    umf_result_t (*ext_allocation_split)(void *hProvider, void *ptr, size_t totalSize,
                                         size_t firstSize);

    /**
     * Bytes of the data that describes an allocation to another process. Optional, set of five ipc
     * functions.
     * @param provider [in] private state
     * @param size     [out] bytes
     */
    umf_result_t (*ext_get_ipc_handle_size)(void *provider, size_t *size);

    /**
     * Describes an allocation for another process.
     * @param provider        [in] private state
     * @param ptr             [in] block
     * @param size            [in] its bytes
     * @param providerIpcData [out] buffer of the size that ext_get_ipc_handle_size reports
     */
    umf_result_t (*ext_get_ipc_handle)(void *provider, const void *ptr, size_t size,
                                       void *providerIpcData);

    /**
     * Releases what ext_get_ipc_handle took.
     * @param provider        [in] private state
     * @param providerIpcData [in] data that ext_get_ipc_handle filled in
     */
    umf_result_t (*ext_put_ipc_handle)(void *provider, void *providerIpcData);

    /**
     * Maps another process's allocation here.
     * @param provider        [in] private state
     * @param providerIpcData [in] bytes that ext_get_ipc_handle filled in over there
     * @param ptr             [out] first byte of the mapping
     */
    umf_result_t (*ext_open_ipc_handle)(void *provider, void *providerIpcData, void **ptr);

    /**
     * Unmaps what ext_open_ipc_handle mapped.
     * @param provider [in] private state
     * @param ptr      [in] first byte of the mapping
     * @param size     [in] bytes of the allocation
     */
    umf_result_t (*ext_close_ipc_handle)(void *provider, void *ptr, size_t size);

    /**
     * Serves a CTL request. Optional.
     * @param provider  [in] private state
     * @param source    [in] where the request comes from: tells how `arg` is to be read
     * @param name      [in] path of the node below this provider
     * @param arg       [in,out] the value
     * @param size      [in] bytes at `arg`
     * @param queryType [in] read, write or execute
     * @param args      [in] values of the wildcards in `name`
     * @return UMF_RESULT_ERROR_INVALID_CTL_PATH for an unknown path. The library itself executes
     *     the node "post_initialize" once at the end of creation.
     */
    umf_result_t (*ext_ctl)(void *provider, umf_ctl_query_source_t source, const char *name,
                            void *arg, size_t size, umf_ctl_query_type_t queryType, va_list args);

    /* Layout 1.0 ends here. */

    /**
     * Value of one property of an allocation. Optional, set with
     * ext_get_allocation_properties_size.
     * @param provider           [in] private state
     * @param ptr                [in] first byte of an allocation of this provider
     * @param memory_property_id [in] which property
     * @param property_value     [out] buffer of the size that the companion function reports
     */
    umf_result_t (*ext_get_allocation_properties)(void *provider, const void *ptr,
                                                  umf_memory_property_id_t memory_property_id,
                                                  void *property_value);

    /**
     * Bytes of the value of a property. Optional, set with ext_get_allocation_properties.
     * @param provider           [in] private state
     * @param memory_property_id [in] which property
     * @param size               [out] bytes
     */
    umf_result_t (*ext_get_allocation_properties_size)(void *provider,
                                                       umf_memory_property_id_t memory_property_id,
                                                       size_t *size);

    /* Layout 1.1 ends here. */

    /**
     * Bytes of a cache line of this memory; mandatory from layout 1.2 on.
     * @param provider [in] private state
     * @param size     [out] bytes
     */
    umf_result_t (*get_cache_line_size)(void *provider, size_t *size);
} umf_memory_provider_ops_t;

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_PROVIDER_OPS_H */

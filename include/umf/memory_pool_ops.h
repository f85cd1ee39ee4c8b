/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/memory_pool_ops.h
 * The table of functions that makes a memory pool: an allocator on top of a memory provider.
 *
 * Every function gets as its first argument the private state that `initialize` made (named
 * `pool`). All of them may be called from any number of threads at once, except `initialize` and
 * `finalize`, which run once each, before and after all others. Operations whose name begins with
 * `ext_` may be NULL, no others.
 */
#ifndef UMF_MEMORY_POOL_OPS_H
#define UMF_MEMORY_POOL_OPS_H 1

#include <stdarg.h>

#include <umf/base.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Newest layout of umf_memory_pool_ops_t. Layout 1.0 (a prefix of it) is accepted as well. */
#define UMF_POOL_OPS_VERSION_CURRENT UMF_MAKE_VERSION(1, 1)

/** Operations of a memory pool. The order of the members is part of the binary interface. */
typedef struct umf_memory_pool_ops_t {
    /** Layout that the table was filled in for: UMF_POOL_OPS_VERSION_CURRENT of the compiled
     * header. */
    uint32_t version;

    /**
     * Makes the private state of one pool.
     * @param provider [in] where memory is to be taken from; it outlives the pool
     * @param params   [in] what the user gave to umfPoolCreate(); copy what is needed later
     * @param pool     [out] private state
     * @return success, or the error that umfPoolCreate() then returns; nothing may be left behind.
     */
    umf_result_t (*initialize)(umf_memory_provider_handle_t provider, const void *params,
                               void **pool);

    /**
     * Destroys the private state and returns the pool's memory to the provider.
     * @param pool [in] private state; not used again whatever the result is
     */
    umf_result_t (*finalize)(void *pool);

    /**
     * Allocates.
     * @param pool [in] private state
     * @param size [in] bytes
     * @return block with the default alignment, or NULL: get_last_allocation_error says why.
     */
    void *(*malloc)(void *pool, size_t size);

    /**
     * Allocates an array of zeroed bytes.
     * @param pool [in] private state
     * @param num  [in] elements
     * @param size [in] bytes of one element
     * @return as malloc
     */
    void *(*calloc)(void *pool, size_t num, size_t size);

    /**
     * Resizes a block; the content up to the smaller of both sizes is kept.
     * @param pool [in] private state
     * @param ptr  [in] block of this pool, or NULL for a new one
     * @param size [in] bytes
     * @return the block, maybe elsewhere; on NULL with a size above 0 the old one still stands
     */
    void *(*realloc)(void *pool, void *ptr, size_t size);

    /**
     * Allocates with an alignment.
     * @param pool      [in] private state
     * @param size      [in] bytes
     * @param alignment [in] bytes
     * @return as malloc
     */
    void *(*aligned_malloc)(void *pool, size_t size, size_t alignment);

    /**
     * Bytes that may be used behind a pointer, at least those asked for.
     * @param pool [in] private state
     * @param ptr  [in] block of this pool, or NULL
     * @param size [out] bytes
     */
    umf_result_t (*malloc_usable_size)(void *pool, const void *ptr, size_t *size);

    /**
     * Frees a block.
     * @param pool [in] private state
     * @param ptr  [in] block of this pool, or NULL
     */
    umf_result_t (*free)(void *pool, void *ptr);

    /**
     * Why the calling thread's latest allocation failed.
     * @param pool [in] private state
     */
    umf_result_t (*get_last_allocation_error)(void *pool);

    /**
     * Name of the pool.
     * @param pool [in] private state; with NULL the default name is wanted
     * @param name [out] text owned by the pool, at most 64 characters out of `A-Z a-z 0-9 - _`
     */
    umf_result_t (*get_name)(void *pool, const char **name);

    /**
     * Serves a CTL request. Optional.
     * @param pool      [in] private state
     * @param source    [in] where the request comes from: tells how `arg` is to be read
     * @param name      [in] path of the node below this pool
     * @param arg       [in,out] the value
     * @param size      [in] bytes at `arg`
     * @param queryType [in] read, write or execute
     * @param args      [in] values of the wildcards in `name`
     * @return UMF_RESULT_ERROR_INVALID_CTL_PATH for an unknown path. The library itself executes
     *     the node "post_initialize" once at the end of creation.
     */
    umf_result_t (*ext_ctl)(void *pool, umf_ctl_query_source_t source, const char *name, void *arg,
                            size_t size, umf_ctl_query_type_t queryType, va_list args);

    /* Layout 1.0 ends here. */

    /**
     * Gives memory that is not in use back to the provider. Optional.
     * @param pool           [in] private state
     * @param minBytesToKeep [in] bytes that may stay cached
     */
    umf_result_t (*ext_trim_memory)(void *pool, size_t minBytesToKeep);
} umf_memory_pool_ops_t;

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_POOL_OPS_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Pool handle; see pool.c. */
#ifndef UMF_CORE_POOL_H
#define UMF_CORE_POOL_H

#include <umf/memory_pool.h>
#include <umf/memory_pool_ops.h>

#include "core/registry.h"
#include "core/utils.h"

#define UMF_POOL_MAGIC UINT32_C(0x4c464d55) /* "UMFL" */

/* What the hot calls need, in one line: the implementation's operations on its state, or the
 * counting ones on the handle (pool_count.h). Zero before `initialize` is done. */
typedef struct pool_calls {
    void *target; /* their first argument */
    void *(*malloc)(void *target, size_t size);
    umf_result_t (*free)(void *target, void *ptr);
    void *(*calloc)(void *target, size_t num, size_t size);
    void *(*realloc)(void *target, void *ptr, size_t size);
    void *(*aligned_malloc)(void *target, size_t size, size_t alignment);
} pool_calls_t;

struct umf_memory_pool_t {
    _Alignas(64) pool_calls_t call; /* first: the handle's address is that of a cache line */
    void *priv;                     /* of the implementation */
    umf_memory_pool_ops_t ops;      /* complete */
    const struct pool_extension_entry *extension; /* or NULL: calls are counted */
    struct pool_counter *counter;                 /* NULL with an extension */
    umf_memory_provider_handle_t provider;        /* the user's */
    umf_memory_provider_handle_t
        tracking; /* wrapper given to the implementation; NULL when tracking is disabled */
    _Atomic(umf_memory_provider_handle_t) ipc_handler; /* of a pool without tracking: wrapper that
                                                          opens IPC handles, made on demand */
    umf_pool_create_flags_t flags;
    uint32_t magic;
    _Atomic(void *) tag;
    registry_entry_t entry; /* list of live pools */
};

#endif /* UMF_CORE_POOL_H */

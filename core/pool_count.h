/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Live blocks of a pool (stats.alloc_count).
 *
 * Pools that know the number themselves say so by an extension, and their calls go straight to
 * them. For all others the handle's calls are the counting ones here: each thread adds to one of
 * several counters, so that threads do not meet on a cache line.
 */
#ifndef UMF_CORE_POOL_COUNT_H
#define UMF_CORE_POOL_COUNT_H

#include <umf/memory_pool_ops.h>

#include "core/utils.h"

struct umf_memory_pool_t;

/* What our own pools offer besides the public table. The table's `initialize` identifies the pool;
 * the implementation registers once, before its first `initialize` returns. */
typedef struct pool_extension_entry {
    umf_result_t (*initialize)(umf_memory_provider_handle_t provider, const void *params,
                               void **pool);
    size_t (*alloc_count)(void *priv); /* live blocks, exact when no call is under way */
    void (*set_handle)(void *priv,
                       struct umf_memory_pool_t *handle); /* NULL: no need; pool_fast.h */
    struct pool_extension_entry *next;
} pool_extension_entry_t;
void pool_extension_register(pool_extension_entry_t *entry);

typedef struct pool_counter pool_counter_t;

/* Sets the handle's calls; after `initialize`. False: out of memory. */
bool pool_count_attach(struct umf_memory_pool_t *pool);
void pool_count_detach(struct umf_memory_pool_t *pool);
size_t pool_alloc_count(struct umf_memory_pool_t *pool);

#endif /* UMF_CORE_POOL_COUNT_H */

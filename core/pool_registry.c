/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* List of live pools, oldest first; see pool_registry.h. */
#include "core/pool_registry.h"

#include "core/pool.h"
#include "core/state.h"

void pool_registry_add(struct umf_memory_pool_t *pool) {
    pool_registry_t *registry = &umf_core_state.pools;
    pool->next_by_name = NULL;
    lock_acquire(&registry->lock);
    if (registry->last != NULL) {
        registry->last->next_by_name = pool;
    } else {
        registry->first = pool;
    }
    registry->last = pool;
    registry->count++;
    lock_release(&registry->lock);
}

void pool_registry_remove(struct umf_memory_pool_t *pool) {
    pool_registry_t *registry = &umf_core_state.pools;
    lock_acquire(&registry->lock);
    struct umf_memory_pool_t *before = NULL;
    struct umf_memory_pool_t *at = registry->first;
    while (at != NULL && at != pool) {
        before = at;
        at = at->next_by_name;
    }
    if (at != NULL) {
        if (before != NULL) {
            before->next_by_name = pool->next_by_name;
        } else {
            registry->first = pool->next_by_name;
        }
        if (registry->last == pool) {
            registry->last = before;
        }
        registry->count--;
        pool->next_by_name = NULL;
    }
    lock_release(&registry->lock);
}

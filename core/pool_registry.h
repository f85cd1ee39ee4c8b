/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* List of live pools in creation order, for lookup by name and for walks over all pools. */
#ifndef UMF_CORE_POOL_REGISTRY_H
#define UMF_CORE_POOL_REGISTRY_H

#include "core/lock.h"

struct umf_memory_pool_t;

typedef struct pool_registry {
    umf_lock_t lock;
    struct umf_memory_pool_t *first, *last;
    size_t count;
} pool_registry_t;

void pool_registry_add(struct umf_memory_pool_t *pool);
void pool_registry_remove(struct umf_memory_pool_t *pool);

#endif /* UMF_CORE_POOL_REGISTRY_H */

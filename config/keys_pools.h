/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the pools other than the slab pool; rows in keys_pools.c. */
#ifndef UMF_CONFIG_KEYS_POOLS_H
#define UMF_CONFIG_KEYS_POOLS_H

#include "config/settings.h"

typedef struct proxy_scalable_settings {
    uint64_t granularity; /* bytes */
    bool keep_all;
} proxy_scalable_settings_t;

typedef struct proxy_jemalloc_settings {
    uint64_t arenas; /* 0: the pool's own choice */
} proxy_jemalloc_settings_t;

typedef struct proxy_disjoint_settings {
    uint64_t slab_min_size, max_poolable_size; /* bytes */
    uint64_t capacity;                         /* slabs */
    uint64_t min_bucket_size;                  /* bytes, a power of two */
    uint64_t limit;                            /* bytes; 0: none */
    uint64_t trace;
} proxy_disjoint_settings_t;

extern const settings_section_t proxy_keys_pools;

#endif /* UMF_CONFIG_KEYS_POOLS_H */

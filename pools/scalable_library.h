/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the scalable pool uses of libtbbmalloc.so.2: memory pools of namespace rml. Defined in
 * pool_scalable.c. */
#ifndef UMF_POOLS_SCALABLE_LIBRARY_H
#define UMF_POOLS_SCALABLE_LIBRARY_H

#include "core/ctl.h"
#include "core/libload.h"

extern const ctl_table_t scalable_ctl_table; /* pool_scalable.c */

typedef struct tbb_pool tbb_pool_t; /* rml::MemoryPool */

/* rml::MemPoolPolicy */
typedef struct tbb_policy {
    void *(*raw_alloc)(intptr_t cookie, size_t *bytes); /* may enlarge *bytes */
    int (*raw_free)(intptr_t cookie, void *ptr, size_t bytes);
    size_t granularity;
    int version;
    unsigned fixed_pool : 1;
    unsigned keep_all_memory : 1;
    unsigned reserved : 30;
} tbb_policy_t;
static_assert(sizeof(void *) != 8 || sizeof(tbb_policy_t) == 32, "layout of rml::MemPoolPolicy");

enum { TBB_POLICY_VERSION = 1 };

typedef struct tbb_functions {
    int (*pool_create)(intptr_t cookie, const tbb_policy_t *policy,
                       tbb_pool_t **pool); /* 0: done */
    bool (*pool_destroy)(tbb_pool_t *pool);
    void *(*pool_malloc)(tbb_pool_t *pool, size_t size);
    void *(*pool_realloc)(tbb_pool_t *pool, void *ptr, size_t size);
    void *(*pool_aligned_malloc)(tbb_pool_t *pool, size_t size, size_t alignment);
    bool (*pool_free)(tbb_pool_t *pool, void *ptr);
    tbb_pool_t *(*pool_identify)(void *ptr);
    size_t (*pool_msize)(tbb_pool_t *pool, void *ptr); /* NULL: this version has none */
} tbb_functions_t;

extern libload_library_t scalable_library;

#endif /* UMF_POOLS_SCALABLE_LIBRARY_H */

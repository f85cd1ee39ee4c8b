/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A pool with the same promise as the disjoint pool (buckets of fixed sizes, nothing written into
 * the memory it hands out) in the straightforward design: one mutex per bucket, held for every
 * malloc and free of its sizes. All else is as cheap as it can be, in its favour: free blocks of a
 * bucket are a stack of addresses, a block's bucket is found without a lock by one look into a
 * table, there is no statistic and no limit, and slabs never go back before the end.
 */
#include "one_lock_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    SLAB_SHIFT = 16,
    SLAB_BYTES = 1 << SLAB_SHIFT,
    BUCKETS = 14,    /* 8 bytes to 64 KiB, powers of two */
    TABLE = 1 << 16, /* slabs at most, a power of two */
};

typedef struct bucket {
    _Alignas(64) pthread_mutex_t lock;
    void **stack; /* free blocks */
    size_t count, room;
} bucket_t;

typedef struct one_lock_pool {
    umf_memory_provider_handle_t provider;
    bucket_t bucket[BUCKETS];
    struct {
        _Atomic(uintptr_t) base; /* 0: free */
        unsigned bucket;
    } slab[TABLE]; /* open addressing */
} one_lock_pool_t;

static size_t slot_of(const one_lock_pool_t *pool, uintptr_t base) {
    size_t slot = (size_t)((base >> SLAB_SHIFT) * UINT64_C(0x9E3779B97F4A7C15) >> 48);
    uintptr_t found;
    while ((found = atomic_load_explicit(&pool->slab[slot].base, memory_order_acquire)) != base &&
           found != 0) {
        slot = (slot + 1) % TABLE;
    }
    return slot;
}

static umf_result_t pool_initialize(umf_memory_provider_handle_t provider, const void *params,
                                    void **out) {
    (void)params;
    one_lock_pool_t *pool = calloc(1, sizeof(*pool));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->provider = provider;
    for (int i = 0; i < BUCKETS; i++) {
        pthread_mutex_init(&pool->bucket[i].lock, NULL);
    }
    *out = pool;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t pool_finalize(void *priv) {
    one_lock_pool_t *pool = priv;
    for (int i = 0; i < TABLE; i++) {
        if (pool->slab[i].base != 0) {
            umfMemoryProviderFree(pool->provider, (void *)pool->slab[i].base, SLAB_BYTES);
        }
    }
    for (int i = 0; i < BUCKETS; i++) {
        free(pool->bucket[i].stack);
    }
    free(pool);
    return UMF_RESULT_SUCCESS;
}

/* A new slab's blocks onto the bucket's stack, whose lock is held. */
static int bucket_fill(one_lock_pool_t *pool, unsigned number) {
    static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
    bucket_t *bucket = &pool->bucket[number];
    size_t bytes = (size_t)8 << number, blocks = SLAB_BYTES / bytes;
    void *base = NULL;
    if (umfMemoryProviderAlloc(pool->provider, SLAB_BYTES, SLAB_BYTES, &base) !=
        UMF_RESULT_SUCCESS) {
        return 0;
    }
    // room for every block that the bucket ever had, so that free never needs more
    void **stack = realloc(bucket->stack, (bucket->room + blocks) * sizeof(void *));
    if (stack == NULL) {
        umfMemoryProviderFree(pool->provider, base, SLAB_BYTES);
        return 0;
    }
    bucket->stack = stack;
    bucket->room += blocks;
    pthread_mutex_lock(&table_lock);
    size_t slot = slot_of(pool, (uintptr_t)base);
    pool->slab[slot].bucket = number;
    atomic_store_explicit(&pool->slab[slot].base, (uintptr_t)base, memory_order_release);
    pthread_mutex_unlock(&table_lock);
    for (size_t i = blocks; i-- > 0;) {
        bucket->stack[bucket->count++] = (char *)base + i * bytes;
    }
    return 1;
}

static void *pool_malloc(void *priv, size_t size) {
    one_lock_pool_t *pool = priv;
    if (size == 0 || size > SLAB_BYTES) {
        return NULL;
    }
    unsigned number = size <= 8 ? 0 : 61 - (unsigned)__builtin_clzl(size - 1);
    bucket_t *bucket = &pool->bucket[number];
    void *block = NULL;
    pthread_mutex_lock(&bucket->lock);
    if (bucket->count != 0 || bucket_fill(pool, number)) {
        block = bucket->stack[--bucket->count];
    }
    pthread_mutex_unlock(&bucket->lock);
    return block;
}

static umf_result_t pool_free(void *priv, void *ptr) {
    one_lock_pool_t *pool = priv;
    if (ptr == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    size_t slot = slot_of(pool, (uintptr_t)ptr & ~(uintptr_t)(SLAB_BYTES - 1));
    if (pool->slab[slot].base == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    bucket_t *bucket = &pool->bucket[pool->slab[slot].bucket];
    pthread_mutex_lock(&bucket->lock);
    bucket->stack[bucket->count++] = ptr;
    pthread_mutex_unlock(&bucket->lock);
    return UMF_RESULT_SUCCESS;
}

static void *pool_calloc(void *priv, size_t count, size_t size) {
    (void)priv, (void)count, (void)size;
    return NULL;
}

static void *pool_realloc(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    return NULL;
}

static void *pool_aligned_malloc(void *priv, size_t size, size_t alignment) {
    return pool_malloc(priv, size > alignment ? size : alignment); // blocks are powers of two
}

static umf_result_t pool_usable_size(void *priv, const void *ptr, size_t *size) {
    (void)priv, (void)ptr;
    *size = 0;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t pool_last_error(void *priv) {
    (void)priv;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t pool_name(void *priv, const char **name) {
    (void)priv;
    *name = "one-lock";
    return UMF_RESULT_SUCCESS;
}

const umf_memory_pool_ops_t *one_lock_pool_ops(void) {
    static const umf_memory_pool_ops_t ops = {
        .version = UMF_POOL_OPS_VERSION_CURRENT,
        .initialize = pool_initialize,
        .finalize = pool_finalize,
        .malloc = pool_malloc,
        .calloc = pool_calloc,
        .realloc = pool_realloc,
        .aligned_malloc = pool_aligned_malloc,
        .malloc_usable_size = pool_usable_size,
        .free = pool_free,
        .get_last_allocation_error = pool_last_error,
        .get_name = pool_name,
    };
    return &ops;
}

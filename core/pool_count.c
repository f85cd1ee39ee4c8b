/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Live blocks of a pool; see pool_count.h. */
#include "core/pool_count.h"

#include "core/base_alloc.h"
#include "core/pool.h"
#include "core/state.h"

enum { COUNTER_SHARDS = 32 }; /* a power of two; 2 KiB a pool */

struct pool_counter {
    struct {
        _Alignas(64) _Atomic(size_t) value; /* wraps: only the sum means something */
    } shard[COUNTER_SHARDS];
};

/* ---- counting -------------------------------------------------------------------------------- */

static UMF_TLS uint32_t counter_shard_plus1; /* of this thread; 0: none yet */

UMF_COLD static uint32_t shard_take(void) {
    uint32_t number = fetch_add_relaxed(&umf_core_state.next_counter_shard, 1) % COUNTER_SHARDS;
    counter_shard_plus1 = number + 1;
    return number + 1;
}

UMF_INLINE void count(struct umf_memory_pool_t *pool, size_t by) {
    uint32_t plus1 = counter_shard_plus1;
    if (unlikely(plus1 == 0)) {
        plus1 = shard_take();
    }
    // relaxed: whoever needs an exact sum has made the other threads' calls happen before
    fetch_add_relaxed(&pool->counter->shard[plus1 - 1].value, by);
}

static void *counted(struct umf_memory_pool_t *pool, void *block) {
    if (likely(block != NULL)) {
        count(pool, 1);
    }
    return block;
}

static void *counted_malloc(void *handle, size_t size) {
    struct umf_memory_pool_t *pool = handle;
    return counted(pool, pool->ops.malloc(pool->priv, size));
}

static void *counted_calloc(void *handle, size_t num, size_t size) {
    struct umf_memory_pool_t *pool = handle;
    return counted(pool, pool->ops.calloc(pool->priv, num, size));
}

static void *counted_aligned_malloc(void *handle, size_t size, size_t alignment) {
    struct umf_memory_pool_t *pool = handle;
    return counted(pool, pool->ops.aligned_malloc(pool->priv, size, alignment));
}

static void *counted_realloc(void *handle, void *ptr, size_t size) {
    struct umf_memory_pool_t *pool = handle;
    void *block = pool->ops.realloc(pool->priv, ptr, size);
    if (ptr == NULL) {
        return counted(pool, block);
    }
    if (size == 0 && block == NULL) {
        count(pool, (size_t)-1);
    }
    return block;
}

static umf_result_t counted_free(void *handle, void *ptr) {
    struct umf_memory_pool_t *pool = handle;
    umf_result_t result = pool->ops.free(pool->priv, ptr);
    if (result == UMF_RESULT_SUCCESS && ptr != NULL) {
        count(pool, (size_t)-1);
    }
    return result;
}

/* ---- extensions ------------------------------------------------------------------------------ */

void pool_extension_register(pool_extension_entry_t *entry) {
    lock_acquire(&umf_core_state.pools.lock);
    pool_extension_entry_t *known = umf_core_state.pool_extensions;
    while (known != NULL && known != entry) {
        known = known->next;
    }
    if (known == NULL) {
        entry->next = umf_core_state.pool_extensions;
        umf_core_state.pool_extensions = entry;
    }
    lock_release(&umf_core_state.pools.lock);
}

static const pool_extension_entry_t *extension_of(const struct umf_memory_pool_t *pool) {
    lock_acquire(&umf_core_state.pools.lock);
    const pool_extension_entry_t *entry = umf_core_state.pool_extensions;
    while (entry != NULL && entry->initialize != pool->ops.initialize) {
        entry = entry->next;
    }
    lock_release(&umf_core_state.pools.lock);
    return entry;
}

/* ---- handles --------------------------------------------------------------------------------- */

bool pool_count_attach(struct umf_memory_pool_t *pool) {
    pool->extension = extension_of(pool);
    if (pool->extension != NULL) {
        if (pool->extension->set_handle != NULL) {
            pool->extension->set_handle(pool->priv, pool);
        }
        pool->call = (pool_calls_t){
            .target = pool->priv,
            .malloc = pool->ops.malloc,
            .free = pool->ops.free,
            .calloc = pool->ops.calloc,
            .realloc = pool->ops.realloc,
            .aligned_malloc = pool->ops.aligned_malloc,
        };
        return true;
    }
    pool->call = (pool_calls_t){
        .target = pool,
        .malloc = counted_malloc,
        .free = counted_free,
        .calloc = counted_calloc,
        .realloc = counted_realloc,
        .aligned_malloc = counted_aligned_malloc,
    };
    pool->counter = base_alloc(sizeof(*pool->counter));
    return pool->counter != NULL;
}

void pool_count_detach(struct umf_memory_pool_t *pool) {
    base_free(pool->counter, sizeof(*pool->counter));
    pool->counter = NULL;
}

size_t pool_alloc_count(struct umf_memory_pool_t *pool) {
    if (pool->extension != NULL) {
        return pool->extension->alloc_count(pool->priv);
    }
    size_t sum = 0;
    for (int i = 0; i < COUNTER_SHARDS; i++) {
        sum += load_relaxed(&pool->counter->shard[i].value);
    }
    return sum;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Slab pools as objects, and the operations on their blocks: everything between the hot inlines
 * (slab_inl.h) and the pieces below (heaps, remote frees, large blocks, chunks). The ops table
 * (pool_slab.c) and the proxy call in here.
 */
#include <sched.h>

#include "pools/slab_inl.h"
#include "core/system_call.h"
#include "pools/slab_watch.h"

enum {
    CHUNK_MIN_BYTES = 1024 * 1024, /* first chunk when nothing else is asked for */
    CHUNK_MAX_BYTES = SLAB_CHUNK_SLICES_MAX * MAP_SLICE_BYTES, /* 64 MiB */
    LARGE_MAX_BYTES = CHUNK_MAX_BYTES / 4, /* larger blocks would leave chunks half empty */
    CACHE_MAX_BYTES = 64 * 1024 * 1024,    /* of freed huge blocks */
    SHRINK_KEEP_BYTES = 128, /* blocks up to here stay where they are when they shrink */
};

/* ---- finding blocks
 * ------------------------------------------------------------------------------------------ */

slab_t *slab_of(const void *ptr) {
    map_desc_t *desc = map_find(ptr);
    if (desc == NULL) {
        return NULL;
    }
    if (likely(desc->kind == MAP_KIND_SLAB) || desc->kind == MAP_KIND_WATCHED) {
        return (slab_t *)desc;
    }
    // A region: of a huge block, or nested in a block (then the region around knows), or of some
    // other pool.
    for (map_region_t *region = desc->region; region != NULL; region = region->parent) {
        if (region->desc_at != NULL) {
            return (slab_t *)region->desc_at(region, (uintptr_t)ptr);
        }
    }
    return NULL;
}

slab_t *slab_of_pool(const slab_pool_t *pool, const void *ptr) {
    map_desc_t *desc = map_find(ptr);
    if (desc == NULL) {
        return NULL;
    }
    if (likely((desc->kind == MAP_KIND_SLAB || desc->kind == MAP_KIND_WATCHED) &&
               ((slab_t *)desc)->pool == pool)) {
        return (slab_t *)desc;
    }
    for (map_region_t *region = desc->region; region != NULL; region = region->parent) {
        slab_t *slab =
            region->desc_at != NULL ? (slab_t *)region->desc_at(region, (uintptr_t)ptr) : NULL;
        if (slab != NULL && slab->pool == pool) {
            return slab;
        }
    }
    return NULL;
}

slab_check_t slab_check_block(const slab_t *slab, const void *ptr) {
    if (slab->cls == SLAB_CLASS_NONE) {
        return (uintptr_t)ptr != slab->base ? SLAB_BLOCK_INTERIOR
               : slab->state == SLAB_CACHED ? SLAB_BLOCK_FREE
                                            : SLAB_BLOCK_OK;
    }
    uint64_t index;
    return !slab_index_of(slab, ptr, &index)   ? SLAB_BLOCK_INTERIOR
           : index < load_relaxed(&slab->made) ? SLAB_BLOCK_OK
                                               : SLAB_BLOCK_UNMADE;
}

/* ---- freeing
 * ---------------------------------------------------------------------------------------------------
 */

slab_check_t slab_free_slow(slab_theap_t *theap, slab_t *slab, void *ptr) {
    slab_check_t check = slab_check_block(slab, ptr);
    if (unlikely(check != SLAB_BLOCK_OK)) {
        return check;
    }
    if (slab->cls == SLAB_CLASS_NONE) {
        slab_large_free(slab);
    } else if (load_relaxed(&slab->head.owner) != (uintptr_t)theap) {
        if (unlikely(slab->head.kind == MAP_KIND_WATCHED)) {
            return slab_watch_free(slab, ptr) ? SLAB_BLOCK_OK : SLAB_BLOCK_FREE;
        }
        slab_remote_free(theap, slab, ptr);
    } else if (slab_put(slab, ptr)) {
        slab_theap_event(theap, slab);
    }
    return SLAB_BLOCK_OK;
}

/* ---- allocating
 * ------------------------------------------------------------------------------------------------
 */

/* The thread's first use of the pool for a while. */
UMF_NOINLINE static void *alloc_without_heap(slab_pool_t *pool, size_t size) {
    slab_theap_t *theap = slab_theap_get_slow(pool);
    return theap != NULL ? slab_alloc_slow(pool, theap, size)
                         : slab_theap_shared_alloc(pool, slab_class_of(size));
}

void *slab_alloc_slow(slab_pool_t *pool, slab_theap_t *theap, size_t size) {
    if (size > SLAB_CLASS_MAX) {
        return size <= PTRDIFF_MAX ? slab_large_alloc(pool, size, MAP_SLICE_BYTES, NULL) : NULL;
    }
    if (theap == NULL && (theap = slab_theap_cached(pool)) == NULL) {
        return alloc_without_heap(pool, size);
    }
    unsigned cls = slab_class_of(size);
    slab_block_t *block = theap->ready[cls];
    if (block != NULL) {
        theap->ready[cls] = block->next;
        return block;
    }
    return slab_theap_refill(theap, cls, size, NULL);
}

void *slab_pool_alloc(slab_pool_t *pool, size_t size) {
    slab_theap_t *theap = slab_theap_get(pool);
    if (likely(theap != NULL)) {
        void *block = slab_take(theap, size);
        if (likely(block != NULL)) {
            return block;
        }
    }
    return slab_alloc_slow(pool, theap, size);
}

void *slab_pool_calloc(slab_pool_t *pool, size_t count, size_t size) {
    size_t bytes;
    if (mul_overflow(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        return NULL;
    }
    bool zero = false;
    void *block = NULL;
    if (bytes > SLAB_CLASS_MAX) {
        block = slab_large_alloc(pool, bytes, MAP_SLICE_BYTES, &zero);
    } else {
        slab_theap_t *theap = slab_theap_get(pool);
        if (theap != NULL) {
            block = slab_take(theap, bytes);
            if (block == NULL) {
                unsigned cls = slab_class_of(bytes);
                block = theap->ready[cls] == NULL ? slab_theap_refill(theap, cls, bytes, &zero)
                                                  : slab_alloc_slow(pool, theap, bytes);
            }
        } else {
            block = slab_alloc_slow(pool, NULL, bytes);
        }
    }
    if (block != NULL && !zero) {
        slab_clear(block, bytes);
    }
    return block;
}

void *slab_pool_aligned_alloc(slab_pool_t *pool, size_t size, size_t alignment) {
    if (alignment <= 16) {
        return slab_pool_alloc(pool, size);
    }
    size_t rounded;
    size = size != 0 ? size : 1; // also a block of no bytes has an address of its own
    if (!align_up_checked(size, alignment, &rounded) || rounded > PTRDIFF_MAX) {
        return NULL;
    }
    if (rounded <= SLAB_CLASS_MAX) {
        // See slab_classes.h: its class is aligned.
        return slab_watch_sized(pool, slab_pool_alloc(pool, rounded), size);
    }
    void *block = slab_large_alloc(pool, alignment > MAP_SLICE_BYTES ? size : rounded,
                                   alignment > MAP_SLICE_BYTES ? alignment : MAP_SLICE_BYTES, NULL);
    return slab_watch_sized(pool, block, size);
}

static void slab_pool_put(slab_pool_t *pool, slab_t *slab, void *ptr) {
    slab_free_slow(slab_theap_get(pool), slab, ptr);
}

void *slab_pool_realloc(slab_pool_t *pool, void *ptr, size_t size) {
    slab_t *slab = slab_of_pool(pool, ptr);
    size_t old_bytes = slab->block_bytes;
    if (size > PTRDIFF_MAX) {
        return NULL;
    }
    if (slab->cls != SLAB_CLASS_NONE) {
        if (size <= old_bytes && (size > old_bytes / 2 || old_bytes <= SHRINK_KEEP_BYTES)) {
            return slab_watch_sized(pool, ptr, size);
        }
    } else {
        bool try_copy;
        void *same = slab_large_realloc(slab, size, &try_copy);
        if (same != NULL || !try_copy) {
            return slab_watch_resized(pool, same, size);
        }
    }
    void *moved = slab_pool_alloc(pool, slab_growth(old_bytes, size));
    if (moved == NULL) {
        moved = slab_pool_alloc(pool, size);
    }
    if (moved == NULL) {
        return size <= old_bytes ? ptr : NULL; // a shrink never fails
    }
    memcpy(moved, ptr, old_bytes < size ? old_bytes : size);
    slab_pool_put(pool, slab, ptr);
    return slab_watch_sized(pool, moved, size);
}

/* ---- pools
 * -------------------------------------------------------------------------------------------------------
 */

static void pool_fork_prepare(void *arg) {
    slab_pool_t *pool = arg;
    slab_theap_fork_prepare(pool);
    slab_watch_fork_prepare(pool);
    lock_acquire(&pool->shared_lock);
    lock_acquire(&pool->lock);
}

static void pool_fork_parent(void *arg) {
    slab_pool_t *pool = arg;
    lock_release(&pool->lock);
    lock_release(&pool->shared_lock);
    slab_watch_fork_parent(pool);
}

static void pool_fork_child(void *arg) {
    slab_pool_t *pool = arg;
    lock_init(&pool->lock);
    lock_init(&pool->shared_lock);
    slab_watch_fork_child(pool);
    store_relaxed(&pool->exiting, 0);
    pool->purging = 0; // that of another thread
    slab_theap_fork_child(pool);
}

/* Requests of each size up to SLAB_FAST_MAX by class: block sizes are multiples of 16, so 16
 * requests at a time share one (every preloaded program pays for this at its start). */
static void pool_fill_classes(slab_pool_t *pool) {
    static_assert(SLAB_FAST_MAX % 16 == 0, "whole steps");
    pool->class_of[0] = (uint8_t)slab_class_of(0);
    for (size_t size = 16; size <= SLAB_FAST_MAX; size += 16) {
        memset(&pool->class_of[size - 15], (int)slab_class_of(size), 16);
    }
    pool->medium_max = SLAB_CLASS_MAX;
}

/* Page size that the provider recommends for huge blocks, if slices are smaller. */
static size_t pool_huge_granule(umf_memory_provider_handle_t provider) {
    size_t page = 0;
    umf_result_t result = umfMemoryProviderGetRecommendedPageSize(provider, LARGE_MAX_BYTES, &page);
    return result == UMF_RESULT_SUCCESS && is_pow2(page) && page > MAP_SLICE_BYTES
               ? page
               : MAP_SLICE_BYTES;
}

umf_result_t slab_pool_create(umf_memory_provider_handle_t provider,
                              const slab_settings_t *settings, slab_pool_t **out) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    slab_pool_t *pool = base_alloc(sizeof(slab_pool_t));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->id = fetch_add_relaxed(&slot->next_id, 1) + 1;
    pool->provider = provider;
    pool->handle = POOL_FAST_NO_POOL;
    pool->extension = provider_extension(provider, &pool->extension_priv);
    pool->zeroed = pool->extension != NULL && pool->extension->zeroed != NULL &&
                   pool->extension->zeroed(pool->extension_priv);
    pool->chunk_min_bytes = settings->chunk_bytes != 0
                                ? align_up(settings->chunk_bytes, MAP_SLICE_BYTES)
                                : CHUNK_MIN_BYTES;
    if (pool->chunk_min_bytes > CHUNK_MAX_BYTES) {
        pool->chunk_min_bytes = CHUNK_MAX_BYTES;
    }
    pool->chunk_max_bytes = CHUNK_MAX_BYTES;
    pool->next_chunk_bytes = pool->chunk_min_bytes;
    pool->large_max = LARGE_MAX_BYTES;
    pool->huge_granule = pool_huge_granule(provider);
    pool->cache_max_bytes = CACHE_MAX_BYTES;
    pool->purge_delay_ms = settings->purge_delay_ms;
    pool->keep_all = settings->keep_all;
    strncpy(pool->name, settings->name, sizeof(pool->name) - 1);
    pool_fill_classes(pool);
    pool->shared = slab_theap_new(pool, true);
    if (pool->shared == NULL) {
        base_free(pool, sizeof(*pool));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    lock_acquire(&slot->lock);
    pool->next_live = slot->live;
    slot->live = pool;
    lock_release(&slot->lock);
    pool->fork_node = (fork_node_t){.rank = LOCK_RANK_POOL,
                                    .prepare = pool_fork_prepare,
                                    .parent = pool_fork_parent,
                                    .child = pool_fork_child,
                                    .arg = pool};
    fork_register(&pool->fork_node);
    *out = pool;
    return UMF_RESULT_SUCCESS;
}

umf_result_t slab_pool_destroy(slab_pool_t *pool) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    lock_acquire(&slot->lock);
    if (slot->live == pool) {
        slot->live = pool->next_live;
    } else {
        slab_pool_t *before = slot->live;
        while (before->next_live != pool) {
            before = before->next_live;
        }
        before->next_live = pool->next_live;
    }
    lock_release(&slot->lock);
    while (load_acquire(&pool->exiting) != 0) {
        sys_sched_yield(); // threads at their end are parking their heaps here
    }
    fork_unregister(&pool->fork_node);
    slab_large_destroy_all(pool);
    slab_watch_unmark_all(pool);
    umf_result_t result = slab_chunk_destroy_all(pool);
    slab_theap_destroy_all(pool);
    base_free(pool, sizeof(*pool));
    return result;
}

void slab_pool_trim(slab_pool_t *pool, size_t keep) {
    slab_theap_t *theap = slab_theap_find(pool);
    if (theap != NULL) {
        slab_theap_flush(theap);
    }
    lock_acquire(&pool->shared_lock);
    slab_theap_flush(pool->shared);
    lock_release(&pool->shared_lock);
    slab_watch_trim(pool);
    slab_theap_sweep_parked(pool, true);
    if (theap != NULL) {
        slab_theap_flush(
            theap); // again: mail that parked heaps had for slabs that are this thread's by now
    }
    slab_chunk_purge(pool, true, keep);
    slab_provider_free_leftovers(pool);
}

/* ---- statistics
 * ----------------------------------------------------------------------------------------------------
 */

UMF_RACY void slab_pool_stats(slab_pool_t *pool, slab_stats_t *stats) {
    *stats = (slab_stats_t){0};
    lock_acquire(&pool->lock);
    stats->reserved_bytes = pool->reserved_bytes;
    stats->reserved_peak = pool->reserved_peak;
    stats->large_blocks = pool->large_blocks;
    stats->large_bytes = pool->large_bytes;
    stats->huge_blocks = pool->huge_blocks;
    stats->huge_bytes = pool->huge_bytes;
    stats->threads = pool->theap_count - 1; // without the shared one
    stats->provider_calls = load_relaxed(&pool->provider_calls);
    stats->purges = pool->purges;
    stats->purged_bytes = pool->purged_bytes;
    for (slab_theap_t *theap = pool->parked; theap != NULL; theap = theap->next_parked) {
        stats->parked++;
    }
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        stats->chunks++;
        stats->free_bytes += (size_t)chunk->free_slices << MAP_SLICE_SHIFT;
        for (uint32_t i = 0; i < chunk->slices;) {
            const slab_t *slab = load_relaxed(&chunk->slab_at[i]);
            i += slab != NULL ? slab->slices : 1;
            if (slab == NULL || slab->cls == SLAB_CLASS_NONE) {
                continue;
            }
            stats->slab_bytes += (size_t)slab->slices << MAP_SLICE_SHIFT;
            // RACY: the counts belong to the slab's thread; a torn pair is off by the frees of a
            // moment.
            uint32_t used = slab->used - (slab->needed_set - slab->needed);
            if (used <= load_relaxed(&slab->made)) {
                stats->blocks += used;
                stats->block_bytes += used * slab->block_bytes;
            }
        }
    }
    lock_release(&pool->lock);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Large blocks: above the size classes.
 *
 *   large   whole slices of a chunk, up to the pool's large_max: no provider call, pages stay for a
 * while after a free huge    a provider allocation each; freed ones are kept for a moment in a
 * small cache
 *
 * Growing by realloc: a large block first takes the free slices behind it. A block that must move
 * and is big enough to make copying expensive becomes huge, with room to grow; from then on the
 * provider moves its pages instead of its bytes, where it can (remap), so that a vector that grows
 * to a size n costs O(n) page-table work and one copy.
 *
 * Both kinds have a slab descriptor without owner: every free of theirs takes the slow side.
 */
#include <errno.h>
#include <string.h>

#include "core/tracking.h"
#include "pools/slab.h"
#include "pools/slab_watch.h"

enum {
    REMAP_MIN_BYTES =
        8 * 1024 *
        1024, /* from here on a growing block gets an allocation of its own: below, a copy into
                 slices whose pages are there costs less than page faults and system calls */
    CACHE_BYTES_MAX_ENTRY = 64 * 1024 * 1024,
    CACHE_WASTE_DIVISOR = 4, /* a cached block may be 1/4 larger than asked for */
};

/* Bytes of a huge block: whole slices, or whole pages where those are larger; `grow` adds an eighth
 * of untouched room. */
static bool huge_bytes(const slab_pool_t *pool, size_t size, bool grow, size_t *bytes) {
    size_t wanted;
    if (add_overflow(size, grow ? size / 8 : 0, &wanted)) {
        return false;
    }
    return align_up_checked(
        wanted, wanted >= pool->huge_granule ? pool->huge_granule : MAP_SLICE_BYTES, bytes);
}

/* Live huge blocks are listed, so that the end of the pool finds them. */
static void huge_link(slab_pool_t *pool, slab_t *slab) {
    lock_acquire(&pool->lock);
    slab->prev = NULL;
    slab->next = pool->huge;
    if (slab->next != NULL) {
        slab->next->prev = slab;
    }
    pool->huge = slab;
    pool->huge_blocks++;
    pool->huge_bytes += slab->block_bytes;
    slab_taken_add(pool, slab->block_bytes);
    lock_release(&pool->lock);
}

static void huge_unlink(slab_pool_t *pool, slab_t *slab) {
    lock_acquire(&pool->lock);
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        pool->huge = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
    pool->huge_blocks--;
    pool->huge_bytes -= slab->block_bytes;
    pool->taken_bytes -= slab->block_bytes;
    lock_release(&pool->lock);
}

/* Counts bytes that came from or went to the provider. */
static void reserved_count(slab_pool_t *pool, ptrdiff_t bytes) {
    lock_acquire(&pool->lock);
    pool->reserved_bytes += (size_t)bytes;
    if (pool->reserved_bytes > pool->reserved_peak) {
        pool->reserved_peak = pool->reserved_bytes;
    }
    lock_release(&pool->lock);
}

/* ---- cache of freed huge blocks
 * ------------------------------------------------------------------------------- */

/* RACY: at worst a block is not reused, or stays until the next tick. */
UMF_RACY static bool cache_empty(const slab_pool_t *pool) {
    return pool->cache_bytes == 0;
}

static slab_t *cache_take(slab_pool_t *pool, size_t bytes, size_t alignment) {
    slab_t *found = NULL;
    if (cache_empty(pool)) {
        return NULL;
    }
    lock_acquire(&pool->lock);
    slab_cached_t *best = NULL;
    for (unsigned i = 0; i < SLAB_CACHE_ENTRIES; i++) {
        slab_cached_t *entry = &pool->cache[i];
        if (entry->slab != NULL && entry->slab->block_bytes >= bytes &&
            entry->slab->block_bytes - bytes <= bytes / CACHE_WASTE_DIVISOR &&
            is_aligned(entry->slab->base, alignment) &&
            (best == NULL || entry->slab->block_bytes < best->slab->block_bytes)) {
            best = entry;
        }
    }
    if (best != NULL) {
        found = best->slab;
        best->slab = NULL;
        pool->cache_bytes -= found->block_bytes;
    }
    lock_release(&pool->lock);
    return found;
}

static bool cache_put(slab_pool_t *pool, slab_t *slab) {
    bool kept = false;
    lock_acquire(&pool->lock);
    if (pool->keep_all || (slab->block_bytes <= CACHE_BYTES_MAX_ENTRY &&
                           pool->cache_bytes + slab->block_bytes <= pool->cache_max_bytes)) {
        for (unsigned i = 0; i < SLAB_CACHE_ENTRIES && !kept; i++) {
            if (pool->cache[i].slab == NULL) {
                pool->cache[i] = (slab_cached_t){slab, slab_now_ms()};
                pool->cache_bytes += slab->block_bytes;
                kept = true;
            }
        }
        if (kept && !pool->purge_pending && !pool->keep_all) {
            pool->purge_pending = true;
            pool->purge_at = slab_now_ms() + pool->purge_delay_ms;
        }
    }
    lock_release(&pool->lock);
    return kept;
}

static umf_result_t huge_delete(slab_pool_t *pool, slab_t *slab) {
    map_region_t *region =
        slab->head.region; // what the provider gave: begins before the block if it could not align
    size_t bytes = load_relaxed(&region->size);
    umf_result_t result =
        slab_provider_free(pool, (void *)region->base, bytes, region, slab->own_region);
    reserved_count(pool, -(ptrdiff_t)bytes);
    slab_desc_free(pool, slab);
    return result;
}

void slab_large_drop_cache(slab_pool_t *pool, bool all) {
    for (unsigned i = 0; i < SLAB_CACHE_ENTRIES && !cache_empty(pool); i++) {
        slab_t *slab = NULL;
        lock_acquire(&pool->lock);
        slab_cached_t *entry = &pool->cache[i];
        if (entry->slab != NULL && (all || slab_now_ms() - entry->since >= pool->purge_delay_ms)) {
            slab = entry->slab;
            entry->slab = NULL;
            pool->cache_bytes -= slab->block_bytes;
        }
        lock_release(&pool->lock);
        if (slab != NULL) {
            huge_delete(pool, slab);
        }
    }
}

static map_desc_t *huge_desc_at(map_region_t *region, uintptr_t addr) {
    (void)addr;
    slab_t *slab = region->pool_data;
    return slab != NULL ? &slab->head : NULL;
}

/* Ties a huge block to its region; the map's first word leads to the descriptor, the others to the
 * region. */
static void huge_attach(slab_t *slab, map_region_t *region) {
    slab->head.region = region;
    region->pool_data = slab;
    region->desc_at = huge_desc_at;
    map_set_slices(slab->base, 1, &slab->head);
}

/* ---- huge
 * -------------------------------------------------------------------------------------------------------
 */

static void huge_describe(slab_pool_t *pool, slab_t *slab, void *ptr, size_t bytes,
                          map_region_t *region, bool own_region) {
    store_relaxed(&slab->head.owner, MAP_OWNER_NONE);
    slab->head.kind = MAP_KIND_SLAB;
    slab->cls = SLAB_CLASS_NONE;
    slab->base = (uintptr_t)ptr;
    slab->block_bytes = bytes;
    slab->pool = pool;
    slab->chunk = NULL;
    slab->own_region = own_region;
    slab->slices = 0;
    huge_attach(slab, region);
}

/* An aligned block of `bytes` in an allocation of its own, which is larger if the provider refuses
 * alignment or ignores it. */
static void *huge_provide(slab_pool_t *pool, size_t bytes, size_t alignment, map_region_t **region,
                          bool *own_region) {
    void *ptr = slab_provider_alloc(pool, bytes, alignment, region, own_region);
    if (likely(ptr != NULL && is_aligned((uintptr_t)ptr, alignment))) {
        return ptr;
    }
    if (ptr != NULL) {
        slab_provider_free(pool, ptr, bytes, *region, *own_region);
    }
    size_t padded;
    if (add_overflow(bytes, alignment, &padded)) {
        return NULL;
    }
    ptr = slab_provider_alloc(pool, padded, 0, region, own_region);
    return ptr != NULL ? (void *)align_up((uintptr_t)ptr, alignment) : NULL;
}

static void *huge_alloc(slab_pool_t *pool, size_t size, size_t alignment, bool grow, bool *zero) {
    size_t bytes;
    if (alignment < MAP_SLICE_BYTES) {
        alignment = MAP_SLICE_BYTES;
    }
    if (!huge_bytes(pool, size, grow, &bytes)) {
        return NULL;
    }
    slab_t *slab = cache_take(pool, bytes, alignment);
    if (slab != NULL) {
        *zero = false;
    } else {
        slab = slab_desc_new(pool);
        if (slab == NULL) {
            return NULL;
        }
        map_region_t *region = NULL;
        bool own_region = false;
        void *ptr = huge_provide(pool, bytes, alignment, &region, &own_region);
        if (ptr == NULL) {
            slab_desc_free(pool, slab);
            return NULL;
        }
        huge_describe(pool, slab, ptr, bytes, region, own_region);
        reserved_count(pool, (ptrdiff_t)load_relaxed(&region->size));
        *zero = pool->zeroed;
    }
    slab->state = SLAB_HUGE;
    slab->watched = false;
    huge_link(pool, slab);
    return (void *)slab->base;
}

/* ---- blocks of slices
 * -----------------------------------------------------------------------------------------------
 */

static void *slices_alloc(slab_pool_t *pool, size_t size, size_t alignment, bool *zero) {
    uint32_t slices = (uint32_t)((size + MAP_SLICE_BYTES - 1) >> MAP_SLICE_SHIFT);
    uint32_t align_slices =
        alignment <= MAP_SLICE_BYTES ? 1 : (uint32_t)(alignment >> MAP_SLICE_SHIFT);
    slab_t *slab = slab_chunk_take(pool, slices, align_slices);
    if (slab == NULL) {
        return NULL;
    }
    slab->cls = SLAB_CLASS_NONE;
    slab->state = SLAB_LARGE;
    slab->watched = false;
    slab->block_bytes = (size_t)slices << MAP_SLICE_SHIFT;
    *zero = slab->fresh;
    slab_chunk_publish(slab);
    lock_acquire(&pool->lock);
    pool->large_blocks++;
    pool->large_bytes += slab->block_bytes;
    lock_release(&pool->lock);
    return (void *)slab->base;
}

/* ---- interface
 * ----------------------------------------------------------------------------------------------------------
 */

static void *large_try(slab_pool_t *pool, size_t size, size_t alignment, bool *zero) {
    if (size <= pool->large_max && alignment <= pool->large_max / 2) {
        void *ptr = slices_alloc(pool, size, alignment, zero);
        if (ptr != NULL) {
            return ptr;
        }
    }
    return huge_alloc(pool, size, alignment, false, zero);
}

void *slab_large_alloc(slab_pool_t *pool, size_t size, size_t alignment, bool *zero) {
    bool ignored;
    zero = zero != NULL ? zero : &ignored;
    void *ptr = large_try(pool, size, alignment, zero);
    // What idle slabs and heaps hold may stand in the way, unless it could not be enough.
    if (unlikely(ptr == NULL) && size <= pool->reserved_bytes) {
        slab_pool_trim(pool, 0);
        ptr = large_try(pool, size, alignment, zero);
    }
    return slab_watch_large(pool, ptr, size);
}

void slab_large_free(slab_t *slab) {
    slab_pool_t *pool = slab->pool;
    if (unlikely(slab->watched)) {
        slab_watch_forget(slab);
    }
    if (slab->state == SLAB_LARGE) {
        lock_acquire(&pool->lock);
        pool->large_blocks--;
        pool->large_bytes -= slab->block_bytes;
        lock_release(&pool->lock);
        slab_chunk_give(slab);
        return;
    }
    huge_unlink(pool, slab);
    slab->state = SLAB_CACHED;
    if ((pool->purge_delay_ms == 0 && !pool->keep_all) || !cache_put(pool, slab)) {
        huge_delete(pool, slab);
    }
}

void slab_large_destroy_all(slab_pool_t *pool) {
    slab_large_drop_cache(pool, true);
    while (pool->huge != NULL) {
        slab_t *slab = pool->huge;
        huge_unlink(pool, slab);
        huge_delete(pool, slab);
    }
}

/* Moves or grows a huge block by the provider's page tables. NULL: it cannot. */
static void *huge_remap(slab_t *slab, size_t size) {
    slab_pool_t *pool = slab->pool;
    size_t bytes;
    if (pool->extension == NULL || pool->extension->remap == NULL ||
        slab->head.region->children > 0 || slab->head.region->base != slab->base ||
        !huge_bytes(pool, size, size > slab->block_bytes, &bytes)) {
        return NULL;
    }
    size_t old_bytes = slab->block_bytes;
    map_region_t *old_region = slab->head.region;
    map_region_info_t info = {
        .size = bytes,
        .pool = old_region->pool,
        .provider = old_region->provider,
        .memory_type = old_region->memory_type,
        .hidden = old_region->hidden,
    };
    // The old addresses may be somebody else's as soon as the provider has moved: out of the map
    // first.
    map_region_info_t old_info = info;
    old_info.base = (void *)slab->base;
    old_info.size = old_bytes;
    old_region->pool_data = NULL;
    old_region->desc_at = NULL;
    map_remove(old_region);
    void *ptr = NULL;
    int saved_errno = errno;
    umf_result_t result = pool->extension->remap(pool->extension_priv, (void *)slab->base,
                                                 old_bytes, bytes, MAP_SLICE_BYTES, &ptr);
    errno = saved_errno;
    info.base = ptr;
    map_region_t *region = NULL;
    if (result != UMF_RESULT_SUCCESS || map_add(&info, &region) != UMF_RESULT_SUCCESS) {
        if (result == UMF_RESULT_SUCCESS) { // no memory for the map: undo the move
            void *back = NULL;
            result = pool->extension->remap(pool->extension_priv, ptr, bytes, old_bytes,
                                            MAP_SLICE_BYTES, &back);
            old_info.base = back;
        }
        if (map_add(&old_info, &region) != UMF_RESULT_SUCCESS) {
            umf_panic("realloc(): no memory for the address map");
        }
        slab->base = (uintptr_t)old_info.base;
        huge_attach(slab, region);
        return NULL;
    }
    slab->base = (uintptr_t)ptr;
    huge_attach(slab, region);
    lock_acquire(&pool->lock);
    slab->block_bytes = bytes;
    pool->huge_bytes += bytes - old_bytes;
    slab_taken_add(pool, bytes - old_bytes);
    lock_release(&pool->lock);
    reserved_count(pool, (ptrdiff_t)(bytes - old_bytes));
    return ptr;
}

void *slab_large_realloc(slab_t *slab, size_t size, bool *try_copy) {
    slab_pool_t *pool = slab->pool;
    *try_copy = false;
    if (size <= SLAB_CLASS_MAX) {
        *try_copy = true; // shrinks into a size class
        return NULL;
    }
    if (slab->state == SLAB_HUGE) {
        size_t bytes = slab->block_bytes;
        if (size <= bytes && size >= bytes / 2) {
            return (void *)slab->base;
        }
        void *ptr = huge_remap(slab, size);
        *try_copy = ptr == NULL;
        return ptr;
    }
    size_t slices = (size - 1) / MAP_SLICE_BYTES + 1;
    if (slices == slab->slices) {
        return (void *)slab->base;
    }
    if (slices <= SLAB_CHUNK_SLICES_MAX && slab_chunk_resize(slab, (uint32_t)slices)) {
        slab->block_bytes = slices << MAP_SLICE_SHIFT;
        return (void *)slab->base;
    }
    if (size >= REMAP_MIN_BYTES && pool->extension != NULL && pool->extension->remap != NULL) {
        bool zero;
        void *ptr = huge_alloc(pool, size, 0, true, &zero);
        if (ptr != NULL) {
            memcpy(ptr, (void *)slab->base, slab->block_bytes);
            slab_large_free(slab);
            return ptr;
        }
    }
    *try_copy = true;
    return NULL;
}

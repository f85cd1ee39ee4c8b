/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Slabs of a disjoint pool: the way from an address to its slab, and the traffic with the provider,
 * which runs without any lock of the pool.
 *
 * From an address to its slab: a table by page number holds slabs that were asked for before. An
 * entry may be outdated; what counts is whether the address lies in the slab's memory, which the
 * caller tests. On a miss the address map tells: the slab's region points to the slab. Another pool
 * may run on memory of this one, so regions around are tried too.
 */
#include "core/base_alloc.h"
#include "core/log.h"
#include "pools/disjoint_inl.h"

/* ---- from an address to its slab ------------------------------------------------------------ */

const disjoint_slab_t disjoint_slab_none; // zero: base 0, no offset may go to a hot slot

bool disjoint_lookup_create(disjoint_pool_t *pool) {
    pool->lookup = base_alloc(sizeof(*pool->lookup) << DISJOINT_LOOKUP_SHIFT);
    for (size_t i = 0; pool->lookup != NULL && i < (size_t)1 << DISJOINT_LOOKUP_SHIFT; i++) {
        store_relaxed(&pool->lookup[i], (disjoint_slab_t *)&disjoint_slab_none);
    }
    return pool->lookup != NULL;
}

void disjoint_lookup_destroy(disjoint_pool_t *pool) {
    base_free(pool->lookup, sizeof(*pool->lookup) << DISJOINT_LOOKUP_SHIFT);
    pool->lookup = NULL;
}

/* These two mark the regions of this module: pool_data is a slab, or the pool itself for a block
 * straight from the provider. The map asks them which descriptor lies over a slice: the region's
 * own. */
static map_desc_t *slab_desc_at(map_region_t *region, uintptr_t addr) {
    (void)region, (void)addr;
    return NULL;
}

static map_desc_t *direct_desc_at(map_region_t *region, uintptr_t addr) {
    return slab_desc_at(region, addr);
}

/* The region that the tracking wrapper has just registered. */
static map_region_t *region_find(const disjoint_pool_t *pool, const void *ptr) {
    for (map_region_t *region = map_find_region(ptr); region != NULL; region = region->parent) {
        if (region->base == (uintptr_t)ptr && region->pool == pool->handle &&
            region->provider == pool->upstream && load_relaxed(&region->id) != 0) {
            return region;
        }
    }
    return NULL;
}

bool disjoint_direct_attach(disjoint_pool_t *pool, const void *ptr) {
    map_region_t *region = region_find(pool, ptr);
    if (region == NULL) {
        return false;
    }
    region->pool_data = pool;
    region->desc_at = direct_desc_at;
    return true;
}

size_t disjoint_direct_size(const disjoint_pool_t *pool, const void *ptr) {
    for (map_region_t *region = map_find_region(ptr); region != NULL; region = region->parent) {
        if (region->base == (uintptr_t)ptr && region->desc_at == direct_desc_at &&
            region->pool_data == pool && load_relaxed(&region->id) != 0) {
            return load_relaxed(&region->size);
        }
    }
    return 0;
}

disjoint_slab_t *disjoint_slab_find_slow(disjoint_pool_t *pool, const void *ptr) {
    for (map_region_t *region = map_find_region(ptr); region != NULL; region = region->parent) {
        if (region->desc_at != slab_desc_at || load_relaxed(&region->id) == 0) {
            continue; // not ours, or left over from a pool that is gone
        }
        disjoint_slab_t *slab = region->pool_data;
        if (slab->pool == pool && disjoint_slab_contains(slab, ptr)) {
            // pairs with load_acquire in disjoint_slab_find and in the fast path
            store_release(disjoint_lookup_entry(pool, ptr), slab);
            return slab;
        }
    }
    return NULL;
}

/* ---- provider ------------------------------------------------------------------------------- */

/* Makes the region of the slab's memory lead to it. */
static bool slab_attach(disjoint_pool_t *pool, disjoint_slab_t *slab, void *memory) {
    map_region_t *region = region_find(pool, memory);
    if (region == NULL) {
        return false;
    }
    region->pool_data = slab;
    region->desc_at = slab_desc_at;
    store_release(&slab->base, (uintptr_t)memory);
    return true;
}

static disjoint_slab_t *desc_new(disjoint_pool_t *pool, disjoint_bucket_t *bucket) {
    lock_acquire(&bucket->lock);
    disjoint_slab_t *slab = bucket->spare;
    if (slab != NULL) {
        bucket->spare = slab->next;
    }
    lock_release(&bucket->lock);
    if (slab == NULL && bucket->desc_bytes != 0) {
        slab = base_alloc(bucket->desc_bytes);
        if (slab == NULL) {
            return NULL;
        }
        slab->pool = pool;
        slab->bytes = bucket->slab_bytes;
        slab->size = bucket->size;
        slab->span_unit = pool->fast_max != 0 ? bucket->size : 0;
        slab->chunks = bucket->chunks;
        slab->magic = bucket->magic;
        slab->bucket = bucket->index;
        slab->full = &slab->taken[bucket->chunks / DISJOINT_WORD_BITS + 1];
    }
    return slab;
}

static void desc_free(disjoint_bucket_t *bucket, disjoint_slab_t *slab) {
    lock_acquire(&bucket->lock);
    slab->next = bucket->spare;
    bucket->spare = slab;
    lock_release(&bucket->lock);
}

static void bucket_note_max(disjoint_bucket_t *bucket) {
    size_t in_use = bucket->slabs - bucket->pooled;
    bucket->max_in_use = in_use > bucket->max_in_use ? in_use : bucket->max_in_use;
    bucket->max_in_pool =
        bucket->pooled > bucket->max_in_pool ? bucket->pooled : bucket->max_in_pool;
}

/* Bucket lock held. */
static void slab_join(disjoint_bucket_t *bucket, disjoint_slab_t *slab) {
    slab->all_prev = NULL;
    slab->all_next = bucket->all;
    if (bucket->all != NULL) {
        bucket->all->all_prev = slab;
    }
    bucket->all = slab;
    bucket->slabs++;
}

void disjoint_slab_leave(disjoint_bucket_t *bucket, disjoint_slab_t *slab) {
    if (slab->all_prev != NULL) {
        slab->all_prev->all_next = slab->all_next;
    } else {
        bucket->all = slab->all_next;
    }
    if (slab->all_next != NULL) {
        slab->all_next->all_prev = slab->all_prev;
    }
    bucket->slabs--;
}

bool disjoint_slab_keep(disjoint_pool_t *pool, disjoint_bucket_t *bucket) {
    if (!disjoint_limits_take(pool->settings.limits, bucket->slab_bytes)) {
        return false;
    }
    bucket->pooled++;
    bucket_note_max(bucket);
    return true;
}

void disjoint_slab_unkeep(disjoint_pool_t *pool, disjoint_bucket_t *bucket) {
    disjoint_limits_give(pool->settings.limits, bucket->slab_bytes);
    bucket->pooled--;
    bucket_note_max(bucket);
}

disjoint_slab_t *disjoint_slab_create(disjoint_pool_t *pool, disjoint_bucket_t *bucket) {
    disjoint_slab_t *slab = desc_new(pool, bucket);
    if (slab == NULL) {
        return NULL;
    }
    void *memory = NULL;
    umf_result_t result = umfMemoryProviderAlloc(pool->provider, bucket->slab_bytes, 0, &memory);
    if (result != UMF_RESULT_SUCCESS || memory == NULL) {
        desc_free(bucket, slab);
        return NULL;
    }
    if (!slab_attach(pool, slab, memory)) {
        log_error("%zu bytes at %p can not be tracked, they go back to the provider",
                  bucket->slab_bytes, memory);
        umfMemoryProviderFree(pool->provider, memory, bucket->slab_bytes);
        desc_free(bucket, slab);
        return NULL;
    }
    slab->low = 0;
    lock_acquire(&bucket->lock);
    slab_join(bucket, slab);
    bucket_note_max(bucket);
    lock_release(&bucket->lock);
    return slab;
}

/* True when the provider has taken it. */
static bool slab_return(disjoint_pool_t *pool, disjoint_slab_t *slab) {
    disjoint_bucket_t *bucket = &pool->bucket[slab->bucket];
    void *memory = (void *)load_relaxed(&slab->base);
    // before the free: another thread may get this address at once
    store_relaxed(&slab->base, 0);
    umf_result_t result = umfMemoryProviderFree(pool->provider, memory, bucket->slab_bytes);
    if (likely(result == UMF_RESULT_SUCCESS)) {
        desc_free(bucket, slab);
        return true;
    }
    log_error("the provider did not take back a slab of %zu bytes at %p (result %d)",
              bucket->slab_bytes, memory, (int)result);
    if (!slab_attach(pool, slab, memory)) {
        desc_free(bucket, slab);
        return false;
    }
    lock_acquire(&bucket->lock);
    slab_join(bucket, slab);
    if (disjoint_slab_keep(pool, bucket)) {
        slab->next = bucket->shared;
        bucket->shared = slab;
    } else {
        disjoint_slab_leave(bucket, slab); // over the budget: it is lost to this pool
        store_relaxed(&slab->base, 0);
        slab->next = bucket->spare;
        bucket->spare = slab;
    }
    lock_release(&bucket->lock);
    return false;
}

size_t disjoint_slab_return(disjoint_pool_t *pool, disjoint_slab_t *slabs) {
    size_t count = 0;
    while (slabs != NULL) {
        disjoint_slab_t *next = slabs->next;
        count += slab_return(pool, slabs) ? 1 : 0;
        slabs = next;
    }
    return count;
}

umf_result_t disjoint_slab_return_all(disjoint_pool_t *pool) {
    umf_result_t first = UMF_RESULT_SUCCESS;
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        disjoint_bucket_t *bucket = &pool->bucket[i];
        while (bucket->all != NULL) {
            disjoint_slab_t *slab = bucket->all;
            void *memory = (void *)load_relaxed(&slab->base);
            bucket->all = slab->all_next;
            umf_result_t result = umfMemoryProviderFree(pool->provider, memory, bucket->slab_bytes);
            if (result != UMF_RESULT_SUCCESS) {
                log_error("the provider did not take back a slab of %zu bytes at %p (result %d)",
                          bucket->slab_bytes, memory, (int)result);
                first = first == UMF_RESULT_SUCCESS ? result : first;
            }
            base_free(slab, bucket->desc_bytes);
        }
        disjoint_limits_give(pool->settings.limits, bucket->pooled * bucket->slab_bytes);
        bucket->slabs = bucket->pooled = 0;
        bucket->shared = NULL;
    }
    return first;
}

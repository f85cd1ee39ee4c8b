/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Chunks: provider allocations cut into 64-KiB slices, kept in bitmaps.
 *
 * A run of slices is found first-fit in the oldest chunk that may have one, so that memory
 * concentrates in few chunks and the youngest can go back. Chunks grow from a first small one (a
 * small process stays small) by doubling; when the provider has less than that, smaller ones are
 * tried, down to the need.
 *
 * Freed slices stay as they are (`touched`) for a while, since they are likely to be reused and
 * their pages are already there. At each purge tick, slices that were already free at the tick
 * before (`aged`) are purged: their pages go back, their addresses stay. A chunk that is all free
 * and untouched goes back to the provider.
 *
 * Provider calls run without the lock: slices to be purged are marked taken meanwhile. They do not
 * change errno as seen by the callers of the pool.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <time.h>

#include "core/tracking.h"
#include "pools/slab.h"

enum {
    PURGE_RUNS = 32,       /* runs collected before the lock is released to purge them */
    PROBE_SLICES = 6,      /* free ones of the first chunk when the second is asked for */
    CHUNKS_KEPT_EMPTY = 1, /* of the pool's chunks stay even when empty */
};

uint32_t slab_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
}

/* ---- bitmaps
 * ------------------------------------------------------------------------------------------ */

/* The bits of [at, end) that lie in the word of `at`. */
static uint64_t bits_part(uint32_t at, uint32_t end) {
    uint32_t first = at % 64;
    uint32_t count = end - at < 64 - first ? end - at : 64 - first;
    return (count == 64 ? ~UINT64_C(0) : (UINT64_C(1) << count) - 1) << first;
}

static void bits_set(uint64_t *bits, uint32_t from, uint32_t count) {
    for (uint32_t at = from, end = from + count; at < end; at = (at / 64 + 1) * 64) {
        bits[at / 64] |= bits_part(at, end);
    }
}

static void bits_clear(uint64_t *bits, uint32_t from, uint32_t count) {
    for (uint32_t at = from, end = from + count; at < end; at = (at / 64 + 1) * 64) {
        bits[at / 64] &= ~bits_part(at, end);
    }
}

static bool bits_any(const uint64_t *bits, uint32_t from, uint32_t count) {
    for (uint32_t at = from, end = from + count; at < end; at = (at / 64 + 1) * 64) {
        if (bits[at / 64] & bits_part(at, end)) {
            return true;
        }
    }
    return false;
}

/* First position >= from, < end, whose bit is `value`; end if there is none. */
static uint32_t bits_next(const uint64_t *bits, uint32_t from, uint32_t end, bool value) {
    while (from < end) {
        uint64_t word = value ? bits[from / 64] : ~bits[from / 64];
        word >>= from % 64;
        if (word != 0) {
            from += (uint32_t)__builtin_ctzll(word);
            return from < end ? from : end;
        }
        from = (from / 64 + 1) * 64;
    }
    return end;
}

/* First run of `count` clear bits that begins where (first_slice + index) is a multiple of align;
 * `slices` if none. *longest is set to the longest clear run seen when there is none. */
static uint32_t bits_find_run(const uint64_t *bits, uint32_t slices, uint32_t count,
                              uintptr_t first_slice, uint32_t align, uint32_t *longest) {
    uint32_t best = 0;
    for (uint32_t at = bits_next(bits, 0, slices, false); at < slices;) {
        uint32_t end = bits_next(bits, at, slices, true);
        uint32_t start = (uint32_t)(align_up(first_slice + at, align) - first_slice);
        if (start < end && end - start >= count) {
            return start;
        }
        best = end - at > best ? end - at : best;
        at = bits_next(bits, end, slices, false);
    }
    *longest = best;
    return slices;
}

/* ---- descriptors
 * ---------------------------------------------------------------------------------------- */

/* Lock held. Descriptors are type-stable: they come from and go to lists of descriptors only. */
static slab_t *desc_pop(slab_pool_t *pool) {
    slab_t *slab = pool->free_slabs;
    if (slab != NULL) {
        pool->free_slabs = slab->next;
        return slab;
    }
    return NULL;
}

/* Without the pool's lock. */
static slab_t *desc_make(void) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    lock_acquire(&slot->lock);
    slab_t *slab = slot->spare;
    if (slab != NULL) {
        slot->spare = slab->next;
    }
    lock_release(&slot->lock);
    if (slab == NULL) {
        slab = base_alloc(sizeof(slab_t));
    }
    return slab;
}

slab_t *slab_desc_new(slab_pool_t *pool) {
    lock_acquire(&pool->lock);
    slab_t *slab = desc_pop(pool);
    lock_release(&pool->lock);
    return slab != NULL ? slab : desc_make();
}

static void desc_push(slab_pool_t *pool, slab_t *slab) {
    slab->next = pool->free_slabs;
    pool->free_slabs = slab;
}

void slab_desc_free(slab_pool_t *pool, slab_t *slab) {
    lock_acquire(&pool->lock);
    desc_push(pool, slab);
    lock_release(&pool->lock);
}

/* ---- provider
 * ------------------------------------------------------------------------------------------- */

void *slab_provider_alloc(slab_pool_t *pool, size_t bytes, size_t alignment, map_region_t **region,
                          bool *own_region) {
    void *ptr = NULL;
    int saved_errno = errno;
    umf_result_t result = umfMemoryProviderAlloc(pool->provider, bytes, alignment, &ptr);
    errno = saved_errno;
    if (result != UMF_RESULT_SUCCESS || ptr == NULL) {
        return NULL;
    }
    bool tracked = tracking_provider_is(pool->provider);
    *region = tracked ? map_find_exact(ptr, tracking_provider_pool(pool->provider),
                                       tracking_provider_upstream(pool->provider))
                      : NULL;
    *own_region = *region == NULL;
    if (*own_region) { // tracking is off (or the provider is raw): free() needs the map all the
                       // same
        map_region_info_t info = {
            .base = ptr, .size = bytes, .provider = pool->provider, .hidden = true};
        if (map_add(&info, region) != UMF_RESULT_SUCCESS) {
            umfMemoryProviderFree(pool->provider, ptr, bytes);
            return NULL;
        }
    }
    fetch_add_relaxed(&pool->provider_calls, 1);
    return ptr;
}

/* Gives memory to the provider. If that fails, it has a plain region in the map again. */
static umf_result_t provider_free_once(slab_pool_t *pool, void *ptr, size_t bytes,
                                       map_region_t *region, bool own_region) {
    // Before the memory goes: another thread may get the address at once.
    region->desc_at = NULL;
    region->pool_data = NULL;
    if (own_region) {
        map_remove(region);
    }
    int saved_errno = errno;
    umf_result_t result = umfMemoryProviderFree(pool->provider, ptr, bytes);
    errno = saved_errno;
    if (unlikely(result != UMF_RESULT_SUCCESS) && own_region) { // the tracking does it by itself
        map_region_info_t info = {
            .base = ptr, .size = bytes, .provider = pool->provider, .hidden = true};
        map_add(&info, NULL);
    }
    return result;
}

/*
 * Memory that the provider did not take back (munmap fails in a process with too many mappings):
 * its pages are given up, so that only addresses are lost, and it is offered again at each trim and
 * at the end of the pool. A slab descriptor keeps it; without memory for one it is forgotten.
 */
static void leftover_add(slab_pool_t *pool, void *ptr, size_t bytes, bool own_region) {
    slab_t *slab = slab_desc_new(pool);
    if (slab == NULL) {
        return;
    }
    int saved_errno = errno;
    umfMemoryProviderPurgeForce(pool->provider, ptr, bytes);
    errno = saved_errno;
    store_relaxed(&slab->head.owner, MAP_OWNER_NONE);
    slab->base = (uintptr_t)ptr;
    slab->block_bytes = bytes;
    slab->own_region = own_region;
    lock_acquire(&pool->lock);
    slab->next = pool->leftovers;
    pool->leftovers = slab;
    lock_release(&pool->lock);
}

umf_result_t slab_provider_free_leftovers(slab_pool_t *pool) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&pool->lock);
    slab_t *list = pool->leftovers;
    pool->leftovers = NULL;
    lock_release(&pool->lock);
    while (list != NULL) {
        slab_t *slab = list;
        list = slab->next;
        umf_memory_pool_handle_t owner =
            slab->own_region ? NULL : tracking_provider_pool(pool->provider);
        umf_memory_provider_handle_t provider =
            slab->own_region ? pool->provider : tracking_provider_upstream(pool->provider);
        map_region_t *region = map_find_exact((void *)slab->base, owner, provider);
        umf_result_t freed =
            region != NULL ? slab_provider_free(pool, (void *)slab->base, slab->block_bytes, region,
                                                slab->own_region)
                           : UMF_RESULT_SUCCESS; // the map had no memory to keep it
        result = result == UMF_RESULT_SUCCESS ? freed : result;
        slab_desc_free(pool, slab);
    }
    return result;
}

umf_result_t slab_provider_free(slab_pool_t *pool, void *ptr, size_t bytes, map_region_t *region,
                                bool own_region) {
    umf_result_t result = provider_free_once(pool, ptr, bytes, region, own_region);
    if (unlikely(result != UMF_RESULT_SUCCESS)) {
        leftover_add(pool, ptr, bytes, own_region);
    }
    return result;
}

/* ---- chunks
 * ------------------------------------------------------------------------------------------- */

static size_t chunk_desc_bytes(uint32_t slices) {
    return sizeof(slab_chunk_t) + slices * sizeof(_Atomic(slab_t *));
}

/* The map asks which descriptor belongs at an address when a nested region goes. */
static map_desc_t *chunk_desc_at(map_region_t *region, uintptr_t addr) {
    slab_chunk_t *chunk = region->pool_data;
    if (chunk == NULL || addr < chunk->base ||
        addr >= chunk->base + ((uintptr_t)chunk->slices << MAP_SLICE_SHIFT)) {
        return NULL;
    }
    slab_t *slab = load_relaxed(&chunk->slab_at[(addr - chunk->base) >> MAP_SLICE_SHIFT]);
    return slab != NULL ? &slab->head : NULL;
}

/* A new chunk with room for `slices` aligned ones; no lock held. */
static slab_chunk_t *chunk_new(slab_pool_t *pool, uint32_t slices, uint32_t align_slices,
                               size_t wanted_bytes) {
    size_t need = (size_t)slices << MAP_SLICE_SHIFT;
    size_t alignment = (size_t)align_slices << MAP_SLICE_SHIFT;
    map_region_t *region = NULL;
    bool own_region = false;
    size_t bytes = 0;
    void *ptr = NULL;
    // First as the provider aligns it; one that refuses to, or does not care, is asked for more,
    // and the aligned part is used.
    for (size_t padding = 0; ptr == NULL && padding <= alignment; padding += alignment) {
        size_t size = wanted_bytes > need ? wanted_bytes : need;
        for (;;) {
            bytes = size + padding;
            ptr = slab_provider_alloc(pool, bytes, padding == 0 ? alignment : 0, &region,
                                      &own_region);
            if (ptr != NULL || size == need) {
                break;
            }
            size = size / 2 > need ? align_down(size / 2, MAP_SLICE_BYTES) : need;
        }
        if (ptr != NULL && align_up((uintptr_t)ptr, alignment) + need > (uintptr_t)ptr + bytes) {
            slab_provider_free(pool, ptr, bytes, region, own_region);
            ptr = NULL;
        }
    }
    if (ptr == NULL) {
        return NULL;
    }
    uintptr_t base = align_up((uintptr_t)ptr, MAP_SLICE_BYTES);
    size_t fitting = ((uintptr_t)ptr + bytes - base) >> MAP_SLICE_SHIFT;
    uint32_t count = fitting < SLAB_CHUNK_SLICES_MAX ? (uint32_t)fitting : SLAB_CHUNK_SLICES_MAX;
    slab_chunk_t *chunk = base_alloc(chunk_desc_bytes(count));
    if (chunk == NULL) {
        slab_provider_free(pool, ptr, bytes, region, own_region);
        return NULL;
    }
    chunk->pool = pool;
    chunk->base = base;
    chunk->slices = chunk->free_slices = chunk->longest = count;
    chunk->provider_base = ptr;
    chunk->provider_bytes = bytes;
    chunk->region = region;
    chunk->own_region = own_region;
    region->pool_data = chunk;
    region->desc_at = chunk_desc_at;
    return chunk;
}

static umf_result_t chunk_delete(slab_pool_t *pool, slab_chunk_t *chunk) {
    umf_result_t result = slab_provider_free(pool, chunk->provider_base, chunk->provider_bytes,
                                             chunk->region, chunk->own_region);
    base_free(chunk, chunk_desc_bytes(chunk->slices));
    return result;
}

/* Lock held. */
static void chunk_add(slab_pool_t *pool, slab_chunk_t *chunk) {
    slab_chunk_t **link = &pool->chunks;
    while (*link != NULL) { // oldest first; there are few
        link = &(*link)->next;
    }
    *link = chunk;
    pool->reserved_bytes += chunk->provider_bytes;
    if (pool->reserved_bytes > pool->reserved_peak) {
        pool->reserved_peak = pool->reserved_bytes;
    }
    if (pool->next_chunk_bytes < pool->chunk_max_bytes) {
        pool->next_chunk_bytes *= 2;
    }
}

/* ---- runs of slices
 * ----------------------------------------------------------------------------------------- */

/* Lock held. Marks the run taken and fills the descriptor. */
static void run_take(slab_chunk_t *chunk, uint32_t at, uint32_t slices, slab_t *slab) {
    bits_set(chunk->taken, at, slices);
    bits_clear(chunk->aged, at, slices);
    bits_clear(chunk->stuck, at, slices);
    chunk->free_slices -= slices;
    slab_taken_add(chunk->pool, (size_t)slices << MAP_SLICE_SHIFT);
    slab->fresh = chunk->pool->zeroed && !bits_any(chunk->touched, at, slices);
    bits_set(chunk->touched, at, slices);
    store_relaxed(&slab->head.owner, MAP_OWNER_NONE);
    slab->head.kind = MAP_KIND_SLAB;
    slab->head.region = chunk->region;
    slab->base = chunk->base + ((uintptr_t)at << MAP_SLICE_SHIFT);
    slab->slices = slices;
    slab->chunk = chunk;
    slab->pool = chunk->pool;
    for (uint32_t i = 0; i < slices; i++) {
        store_relaxed(&chunk->slab_at[at + i], slab);
    }
}

/* Lock held. False: no chunk has such a run. */
static bool run_find(slab_pool_t *pool, uint32_t slices, uint32_t align_slices, slab_t *slab) {
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        if (chunk->longest < slices) {
            continue;
        }
        uint32_t longest = chunk->longest;
        uint32_t at = bits_find_run(chunk->taken, chunk->slices, slices,
                                    chunk->base >> MAP_SLICE_SHIFT, align_slices, &longest);
        if (at < chunk->slices) {
            run_take(chunk, at, slices, slab);
            return true;
        }
        chunk->longest = longest;
    }
    return false;
}

/* One more chunk; no lock held. False: the provider has none. */
static bool chunk_grow(slab_pool_t *pool, uint32_t slices, uint32_t align_slices, size_t wanted) {
    slab_chunk_t *chunk = chunk_new(pool, slices, align_slices, wanted);
    // relaxed: a hint
    store_relaxed(&pool->scarce, chunk == NULL || wanted == 0 || chunk->provider_bytes < wanted);
    if (chunk == NULL) {
        return false;
    }
    lock_acquire(&pool->lock);
    chunk_add(pool, chunk);
    lock_release(&pool->lock);
    return true;
}

slab_t *slab_chunk_take(slab_pool_t *pool, uint32_t slices, uint32_t align_slices) {
    lock_acquire(&pool->lock);
    bool due = pool->purge_pending && (int32_t)(slab_now_ms() - pool->purge_at) >= 0;
    slab_t *slab = desc_pop(pool);
    if (slab == NULL) {
        lock_release(&pool->lock);
        slab = desc_make();
        if (slab == NULL) {
            return NULL;
        }
        lock_acquire(&pool->lock);
    }
    bool found = run_find(pool, slices, align_slices, slab);
    if (!found) {
        size_t wanted = pool->next_chunk_bytes;
        lock_release(&pool->lock);
        if (!chunk_grow(pool, slices, align_slices, wanted)) {
            slab_large_drop_cache(pool, true); // cached blocks may be what stands in the way
            chunk_grow(pool, slices, align_slices, 0);
        }
        lock_acquire(&pool->lock);
        found = run_find(pool, slices, align_slices, slab); // also what others freed meanwhile
    }
    if (!found) {
        desc_push(pool, slab);
        slab = NULL;
    }
    // The first chunk runs out: is there a second one? If not, the rest is used with care.
    bool probe = !pool->probed && pool->chunks != NULL && pool->chunks->slices > 2 * PROBE_SLICES &&
                 pool->chunks->free_slices <= PROBE_SLICES;
    pool->probed |= probe;
    size_t wanted = pool->next_chunk_bytes;
    lock_release(&pool->lock);
    if (unlikely(probe)) {
        chunk_grow(pool, 1, 1, wanted);
    }
    if (unlikely(due)) {
        slab_chunk_purge(pool, false, 0);
    }
    return slab;
}

uint32_t slab_chunk_left(slab_pool_t *pool, uint32_t *all) {
    uint32_t left = 0;
    *all = 0;
    lock_acquire(&pool->lock);
    for (const slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        left += chunk->free_slices;
        *all += chunk->slices;
    }
    lock_release(&pool->lock);
    return left;
}

void slab_chunk_publish(slab_t *slab) {
    map_set_slices(slab->base, slab->slices, &slab->head);
}

/* Lock held. Slices [at, at+count) become free. */
static void run_give(slab_chunk_t *chunk, uint32_t at, uint32_t count) {
    bits_clear(chunk->taken, at, count);
    chunk->free_slices += count;
    chunk->pool->taken_bytes -= (size_t)count << MAP_SLICE_SHIFT;
    chunk->longest = chunk->free_slices; // an upper bound; a search that fails makes it exact
    for (uint32_t i = 0; i < count; i++) {
        store_relaxed(&chunk->slab_at[at + i], NULL);
    }
    slab_pool_t *pool = chunk->pool;
    if (!pool->purge_pending && !pool->keep_all) {
        pool->purge_pending = true;
        pool->purge_at = slab_now_ms() + pool->purge_delay_ms;
    }
}

void slab_chunk_give(slab_t *slab) {
    slab_pool_t *pool = slab->pool;
    slab_chunk_t *chunk = slab->chunk;
    uint32_t at = (uint32_t)((slab->base - chunk->base) >> MAP_SLICE_SHIFT);
    map_clear_slices(slab->base, slab->slices, chunk->region);
    store_relaxed(&slab->head.owner, MAP_OWNER_NONE);
    lock_acquire(&pool->lock);
    run_give(chunk, at, slab->slices);
    desc_push(pool, slab);
    bool due = pool->purge_pending && (int32_t)(slab_now_ms() - pool->purge_at) >= 0;
    lock_release(&pool->lock);
    if (unlikely(due)) {
        slab_chunk_purge(pool, false, 0);
    }
}

bool slab_chunk_resize(slab_t *slab, uint32_t slices) {
    slab_pool_t *pool = slab->pool;
    slab_chunk_t *chunk = slab->chunk;
    uint32_t at = (uint32_t)((slab->base - chunk->base) >> MAP_SLICE_SHIFT);
    uint32_t old = slab->slices;
    if (slices < old) {
        map_clear_slices(slab->base + ((uintptr_t)slices << MAP_SLICE_SHIFT), old - slices,
                         chunk->region);
    }
    lock_acquire(&pool->lock);
    bool done = slices <= old;
    if (slices < old) {
        run_give(chunk, at + slices, old - slices);
    } else if (at + slices <= chunk->slices && !bits_any(chunk->taken, at + old, slices - old)) {
        uint32_t more = slices - old;
        bits_set(chunk->taken, at + old, more);
        bits_set(chunk->touched, at + old, more);
        bits_clear(chunk->aged, at + old, more);
        bits_clear(chunk->stuck, at + old, more);
        chunk->free_slices -= more;
        slab_taken_add(pool, (size_t)more << MAP_SLICE_SHIFT);
        for (uint32_t i = 0; i < more; i++) {
            store_relaxed(&chunk->slab_at[at + old + i], slab);
        }
        done = true;
    }
    if (done) {
        slab->slices = slices;
        pool->large_bytes += ((size_t)slices << MAP_SLICE_SHIFT) - ((size_t)old << MAP_SLICE_SHIFT);
    }
    lock_release(&pool->lock);
    if (done && slices > old) {
        map_set_slices(slab->base + ((uintptr_t)old << MAP_SLICE_SHIFT), slices - old, &slab->head);
    }
    return done;
}

/* ---- giving memory back
 * ----------------------------------------------------------------------------------- */

typedef struct purge_run {
    slab_chunk_t *chunk;
    uint32_t at, count;
} purge_run_t;

/* Lock held. Collects runs of free slices worth purging and marks them taken, so that the lock can
 * be released. */
static unsigned purge_collect(slab_pool_t *pool, bool force, purge_run_t *runs, bool *more) {
    unsigned n = 0;
    *more = false;
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        uint64_t purgeable[SLAB_CHUNK_WORDS];
        for (uint32_t w = 0; w < SLAB_CHUNK_WORDS; w++) {
            purgeable[w] =
                (force ? ~chunk->stuck[w] : chunk->aged[w]) & chunk->touched[w] & ~chunk->taken[w];
        }
        uint32_t at = bits_next(purgeable, 0, chunk->slices, true);
        while (at < chunk->slices) {
            uint32_t end = bits_next(purgeable, at, chunk->slices, false);
            if (n == PURGE_RUNS) {
                *more = true;
                return n;
            }
            runs[n++] = (purge_run_t){chunk, at, end - at};
            bits_set(chunk->taken, at, end - at);
            chunk->free_slices -= end - at;
            at = bits_next(purgeable, end, chunk->slices, true);
        }
    }
    return n;
}

/* No lock held. */
static bool purge_run(slab_pool_t *pool, const purge_run_t *run) {
    void *ptr = (void *)(run->chunk->base + ((uintptr_t)run->at << MAP_SLICE_SHIFT));
    size_t bytes = (size_t)run->count << MAP_SLICE_SHIFT;
    int saved_errno = errno;
    bool clean = umfMemoryProviderPurgeForce(pool->provider, ptr, bytes) == UMF_RESULT_SUCCESS;
    if (!clean) {
        umfMemoryProviderPurgeLazy(pool->provider, ptr,
                                   bytes); // may do nothing: its content counts as unknown
    }
    errno = saved_errno;
    return clean;
}

/* Lock held. An empty chunk that nobody used since the last tick (with force: at any time). */
static bool chunk_idle(const slab_chunk_t *chunk, bool force) {
    if (chunk->free_slices != chunk->slices) { // in use, or just being purged
        return false;
    }
    uint64_t recent = 0;
    for (uint32_t w = 0; w < SLAB_CHUNK_WORDS; w++) {
        recent |= chunk->touched[w] & ~chunk->aged[w] & ~chunk->stuck[w];
    }
    return force || recent == 0;
}

static slab_chunk_t *chunks_reverse(slab_chunk_t *list) {
    slab_chunk_t *reversed = NULL;
    while (list != NULL) {
        slab_chunk_t *next = list->next;
        list->next = reversed;
        reversed = list;
        list = next;
    }
    return reversed;
}

/* Lock held. Unlinks idle chunks, youngest first, but keeps `keep` bytes. Returns their list. */
static slab_chunk_t *chunks_unlink_idle(slab_pool_t *pool, bool force, size_t keep,
                                        unsigned keep_chunks) {
    slab_chunk_t *gone = NULL;
    unsigned count = 0;
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        count++;
    }
    pool->chunks = chunks_reverse(pool->chunks);
    for (slab_chunk_t **link = &pool->chunks; *link != NULL;) {
        slab_chunk_t *chunk = *link;
        if (count > keep_chunks && pool->reserved_bytes - chunk->provider_bytes >= keep &&
            chunk_idle(chunk, force)) {
            *link = chunk->next;
            chunk->next = gone;
            gone = chunk;
            pool->reserved_bytes -= chunk->provider_bytes;
            count--;
        } else {
            link = &chunk->next;
        }
    }
    pool->chunks = chunks_reverse(pool->chunks);
    if (pool->chunks == NULL) {
        pool->next_chunk_bytes = pool->chunk_min_bytes;
    }
    return gone;
}

void slab_chunk_purge(slab_pool_t *pool, bool force, size_t keep) {
    purge_run_t runs[PURGE_RUNS];
    bool more = true;
    slab_large_drop_cache(pool, force);
    lock_acquire(&pool->lock);
    if (!force && (pool->keep_all || !pool->purge_pending || pool->purging > 0 ||
                   (int32_t)(slab_now_ms() - pool->purge_at) < 0)) {
        lock_release(&pool->lock); // another thread was first, or this one is at it: a swept heap
                                   // gives slabs back
        return;
    }
    pool->purging++;
    pool->purge_at = slab_now_ms() + pool->purge_delay_ms; // others stay away meanwhile
    lock_release(&pool->lock);
    slab_theap_sweep_parked(pool, force);
    lock_acquire(&pool->lock);
    // Empty chunks go back as they are: nothing in them needs a purge.
    slab_chunk_t *gone = chunks_unlink_idle(pool, force, keep, force ? 0 : CHUNKS_KEPT_EMPTY);
    while (more) {
        unsigned n = purge_collect(pool, force, runs, &more);
        if (n == 0) {
            break;
        }
        lock_release(&pool->lock);
        uint64_t clean = 0;
        for (unsigned i = 0; i < n; i++) {
            clean |= (uint64_t)purge_run(pool, &runs[i]) << i;
        }
        lock_acquire(&pool->lock);
        for (unsigned i = 0; i < n; i++) {
            slab_chunk_t *chunk = runs[i].chunk;
            bits_clear(chunk->taken, runs[i].at, runs[i].count);
            chunk->free_slices += runs[i].count;
            chunk->longest = chunk->free_slices;
            if (clean >> i & 1) {
                bits_clear(chunk->aged, runs[i].at, runs[i].count);
                bits_clear(chunk->stuck, runs[i].at, runs[i].count);
                bits_clear(chunk->touched, runs[i].at, runs[i].count);
                pool->purged_bytes += (size_t)runs[i].count << MAP_SLICE_SHIFT;
            } else { // it would be tried for ever
                bits_set(chunk->stuck, runs[i].at, runs[i].count);
            }
        }
        pool->purges += n;
        if (clean == 0) {
            break;
        }
    }
    bool pending = pool->cache_bytes != 0; // huge blocks too young to go
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (uint32_t w = 0; w < SLAB_CHUNK_WORDS; w++) {
            chunk->aged[w] = chunk->touched[w] & ~chunk->taken[w] & ~chunk->stuck[w];
            pending |= chunk->aged[w] != 0;
        }
    }
    pool->purge_pending = pending;
    pool->purging--;
    lock_release(&pool->lock);
    while (gone != NULL) {
        slab_chunk_t *next = gone->next;
        chunk_delete(pool, gone);
        gone = next;
    }
}

umf_result_t slab_chunk_destroy_all(slab_pool_t *pool) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    while (pool->chunks != NULL) {
        slab_chunk_t *chunk = pool->chunks;
        pool->chunks = chunk->next;
        for (uint32_t i = 0;
             i < chunk->slices;) { // live slabs: their descriptors go to the common list
            slab_t *slab = load_relaxed(&chunk->slab_at[i]);
            i += slab != NULL ? slab->slices : 1;
            if (slab != NULL) {
                store_relaxed(&slab->head.owner, MAP_OWNER_NONE);
                desc_push(pool, slab);
            }
        }
        chunk_delete(pool, chunk);
    }
    umf_result_t result = slab_provider_free_leftovers(pool);
    while (pool->leftovers != NULL) { // given up
        slab_t *slab = pool->leftovers;
        pool->leftovers = slab->next;
        desc_push(pool, slab);
    }
    lock_acquire(&slot->lock);
    while (pool->free_slabs != NULL) {
        slab_t *slab = pool->free_slabs;
        pool->free_slabs = slab->next;
        slab->next = slot->spare;
        slot->spare = slab;
    }
    lock_release(&slot->lock);
    return result;
}

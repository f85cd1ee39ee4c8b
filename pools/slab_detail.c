/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The walk over a pool; see slab_detail.h. Nothing that is read is trusted: every loop is bounded.
 */
#include "pools/slab_detail.h"

#include <string.h>

#include "core/base_alloc.h"
#include "pools/slab_watch.h"

enum { CHUNKS_MAX = 1 << 20, HEAPS_MAX = 1 << 20, HUGE_MAX = 1 << 22 };

typedef struct walk {
    const slab_reader_t *reader;
    slab_detail_t *detail;
    const void *watched_heap;
} walk_t;

static bool walk_read(walk_t *walk, const void *from, void *to, size_t bytes) {
    bool done = from != NULL && walk->reader->read(walk->reader->context, from, to, bytes);
    walk->detail->complete &= done;
    return done;
}

/* ---- heaps
 * -------------------------------------------------------------------------------------------------------
 */

static slab_heap_detail_t *heap_of(slab_detail_t *detail, const void *address) {
    unsigned i = 0;
    while (i < detail->heap_count && detail->heap[i].address != address) {
        i++;
    }
    return &detail->heap[i < detail->heap_count ? i : SLAB_DETAIL_HEAPS];
}

static void add_requests(walk_t *walk, const slab_theap_t *theap, slab_heap_detail_t *heap) {
    slab_watch_t watch;
    if (theap->watch == NULL || !walk_read(walk, theap->watch, &watch, sizeof(watch))) {
        return;
    }
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        uint64_t handed = load_relaxed(&watch.cls[cls].handed);
        walk->detail->cls[cls].requests += handed;
        heap->requests += handed;
    }
}

static void add_heaps(walk_t *walk, const slab_pool_t *pool) {
    slab_detail_t *detail = walk->detail;
    static const slab_heap_kind_t kinds[] = {SLAB_HEAP_THREAD, SLAB_HEAP_PARKED};
    slab_theap_t *theap = base_map(sizeof(*theap)); // too large for a stack within malloc
    const slab_theap_t *at = pool->theaps;
    for (int i = 0; theap != NULL && at != NULL && i < HEAPS_MAX; i++) {
        if (!walk_read(walk, at, theap, sizeof(*theap))) {
            break;
        }
        bool listed = detail->heap_count < SLAB_DETAIL_HEAPS;
        slab_heap_detail_t *heap = &detail->heap[listed ? detail->heap_count++ : SLAB_DETAIL_HEAPS];
        if (listed) {
            heap->address = at;
            heap->kind = at == walk->watched_heap ? SLAB_HEAP_WATCHED
                         : theap->shared          ? SLAB_HEAP_SHARED
                                                  : kinds[theap->parked];
        }
        detail->sums.threads += !theap->shared;
        detail->sums.parked += theap->parked;
        add_requests(walk, theap, heap);
        at = theap->next_of_pool;
    }
    base_unmap(theap, sizeof(*theap));
}

/* ---- slabs
 * -------------------------------------------------------------------------------------------------------
 */

static void add_slab(slab_detail_t *detail, const slab_t *slab) {
    if (slab->cls >= SLAB_CLASSES) {
        return;
    }
    slab_class_detail_t *cls = &detail->cls[slab->cls];
    slab_heap_detail_t *heap = heap_of(detail, (const void *)load_relaxed(&slab->head.owner));
    size_t slab_bytes = (size_t)slab->slices << MAP_SLICE_SHIFT;
    size_t made = load_relaxed(&slab->made);
    // The counts belong to the slab's thread: a torn pair is off by the frees of a moment.
    size_t used = (uint32_t)(slab->used - (slab->needed_set - slab->needed));
    used = used <= made ? used : made;
    size_t used_bytes = used * slab_class_bytes(slab->cls);
    cls->slabs++;
    cls->slab_bytes += slab_bytes;
    cls->made += made;
    cls->used += used;
    heap->slabs++;
    heap->slab_bytes += slab_bytes;
    heap->blocks += used;
    heap->block_bytes += used_bytes;
    detail->sums.slab_bytes += slab_bytes;
    detail->sums.blocks += used;
    detail->sums.block_bytes += used_bytes;
}

static void add_chunk(walk_t *walk, const slab_chunk_t *at, const slab_chunk_t *chunk) {
    slab_detail_t *detail = walk->detail;
    static const size_t slab_at = offsetof(slab_chunk_t, slab_at);
    uint32_t slices = chunk->slices <= SLAB_CHUNK_SLICES_MAX ? chunk->slices : 0;
    const slab_t *last = NULL, *slab_ptr = NULL;
    slab_t slab;
    detail->sums.chunks++;
    detail->sums.free_bytes += (size_t)chunk->free_slices << MAP_SLICE_SHIFT;
    for (uint32_t w = 0; w < SLAB_CHUNK_WORDS; w++) {
        detail->touched_bytes += (size_t)__builtin_popcountll(chunk->touched[w]) << MAP_SLICE_SHIFT;
    }
    for (uint32_t i = 0; i < slices; i++) {
        const char *entry = (const char *)at + slab_at + i * sizeof(slab_t *);
        if (!walk_read(walk, entry, &slab_ptr, sizeof(slab_ptr))) {
            return;
        }
        if (slab_ptr != NULL && slab_ptr != last &&
            walk_read(walk, slab_ptr, &slab, sizeof(slab))) {
            add_slab(detail, &slab);
        }
        last = slab_ptr;
    }
}

static void add_chunks(walk_t *walk, const slab_pool_t *pool) {
    slab_chunk_t chunk;
    const slab_chunk_t *at = pool->chunks;
    for (int i = 0; at != NULL && i < CHUNKS_MAX; i++) {
        if (!walk_read(walk, at, &chunk, sizeof(chunk))) {
            break;
        }
        add_chunk(walk, at, &chunk);
        at = chunk.next;
    }
}

/* ---- the pool
 * ----------------------------------------------------------------------------------------------------
 */

bool slab_detail_read(const slab_reader_t *reader, const void *address, slab_detail_t *detail) {
    walk_t walk = {.reader = reader, .detail = detail};
    slab_watcher_t watcher;
    slab_pool_t pool;
    memset(detail, 0, sizeof(*detail));
    detail->complete = true;
    detail->heap[SLAB_DETAIL_HEAPS].kind = SLAB_HEAP_OTHERS;
    if (!walk_read(&walk, address, &pool, sizeof(pool))) {
        return false;
    }
    const slab_watcher_t *watched = load_relaxed(&pool.watcher);
    if (watched != NULL && walk_read(&walk, watched, &watcher, sizeof(watcher))) {
        walk.watched_heap = watcher.heap;
        detail->counted = true;
    }
    memcpy(detail->name, pool.name, sizeof(detail->name) - 1);
    detail->taken_bytes = pool.taken_bytes;
    detail->taken_peak = pool.taken_peak;
    detail->sums = (slab_stats_t){
        .reserved_bytes = pool.reserved_bytes,
        .reserved_peak = pool.reserved_peak,
        .large_blocks = pool.large_blocks,
        .large_bytes = pool.large_bytes,
        .huge_blocks = pool.huge_blocks,
        .huge_bytes = pool.huge_bytes,
        .provider_calls = load_relaxed(&pool.provider_calls),
        .purges = pool.purges,
        .purged_bytes = pool.purged_bytes,
    };
    add_heaps(&walk, &pool);
    add_chunks(&walk, &pool);
    return true;
}

UMF_RACY static bool read_here(void *context, const void *from, void *to, size_t bytes) {
    (void)context;
    memcpy(to, from, bytes);
    return true;
}

void slab_detail_collect(slab_pool_t *pool, slab_detail_t *detail) {
    static const slab_reader_t here = {read_here, NULL};
    lock_acquire(&pool->lock);
    slab_detail_read(&here, pool, detail);
    lock_release(&pool->lock);
}

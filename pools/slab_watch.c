/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Watching a slab pool; slab_watch.h says how. */
#include "pools/slab_watch.h"

#include <string.h>
#include <time.h>

#include "core/real.h"
#include "pools/slab_inl.h"

enum {
    NEVER = UINT32_MAX,
    TICKS_FIRST = 32, /* refills of a heap that has just noticed, until it takes part: more than one
                         refill can count as */
};

/* ---- chance
 * -----------------------------------------------------------------------------------------------------
 */

/* splitmix64: any seed will do. */
static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t random_seed(const void *salt) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t seed = (uint64_t)now.tv_nsec << 32 ^ (uint64_t)now.tv_sec ^ (uintptr_t)salt;
    return random_next(&seed);
}

/* Bytes to the next point: exponentially distributed. */
static double draw_bytes(uint64_t *random, uint64_t interval) {
    double uniform = ((double)(random_next(random) >> 11) + 0.5) * 0x1p-53; // in (0, 1)
    return -real_ln(uniform) * (double)interval;
}

/* Blocks before the one with the next point. */
static uint32_t draw_blocks(slab_watch_t *watch, unsigned cls) {
    if (watch->interval <= SLAB_WATCH_EVERY) {
        return watch->interval == SLAB_WATCH_EVERY ? 0 : NEVER;
    }
    double blocks = draw_bytes(&watch->random, watch->interval) / (double)slab_class_bytes(cls);
    return blocks < (double)(NEVER - 1) ? (uint32_t)blocks : NEVER - 1;
}

/* ---- thread heaps
 * -----------------------------------------------------------------------------------------------
 */

/* Follows a change of the interval. */
static void watch_renew(slab_watch_t *watch, slab_watcher_t *watcher) {
    uint32_t generation = load_acquire(&watcher->generation); // the interval is older than it
    if (likely(watch->generation == generation)) {
        return;
    }
    watch->generation = generation;
    watch->interval = load_relaxed(&watcher->interval);
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        watch->cls[cls].left = draw_blocks(watch, cls);
    }
}

static bool watch_begin(slab_theap_t *theap, slab_watcher_t *watcher) {
    slab_watch_t *watch = base_alloc(sizeof(slab_watch_t));
    if (watch == NULL) {
        return false;
    }
    watch->watcher = watcher;
    watch->ticks = SLAB_TICK_REFILLS;
    watch->random = random_seed(watch);
    watch->generation = load_relaxed(&watcher->generation) - 1;
    watch_renew(watch, watcher);
    slab_theap_unready_all(theap);
    theap->watch = watch;
    return true;
}

void slab_watch_look(slab_theap_t *theap) {
    slab_watcher_t *watcher = slab_watch_of(theap->pool);
    if (likely(watcher == NULL) || theap->watch != NULL || theap->shared) {
        return;
    }
    if (watch_begin(theap, watcher)) {
        theap->ticks = TICKS_FIRST;
    }
}

void slab_watch_join(slab_theap_t *theap) {
    slab_watch_look(theap);
    if (unlikely(theap->watch != NULL)) {
        theap->ticks = 1;
    }
}

void slab_watch_end(slab_theap_t *theap) {
    if (theap->watch != NULL) {
        base_free(theap->watch, sizeof(slab_watch_t));
        theap->watch = NULL;
    }
}

/* ---- blocks of size classes
 * ----------------------------------------------------------------------------------- */

bool slab_watch_mark(slab_t *slab) {
    slab->records = base_alloc(slab->capacity * sizeof(void *));
    if (slab->records == NULL) {
        return false;
    }
    slab->head.kind = MAP_KIND_WATCHED;
    return true;
}

void slab_watch_unmark(slab_t *slab) {
    if (unlikely(slab->head.kind == MAP_KIND_WATCHED)) {
        base_free(slab->records, slab->capacity * sizeof(void *));
        slab->records = NULL;
    }
}

void slab_watch_unmark_all(slab_pool_t *pool) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher == NULL) {
        return;
    }
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->slices;) {
            slab_t *slab = load_relaxed(&chunk->slab_at[i]);
            i += slab != NULL ? slab->slices : 1;
            if (slab != NULL) {
                slab_watch_unmark(slab);
            }
        }
    }
    store_relaxed(&pool->watcher, NULL);
    base_free(watcher, sizeof(*watcher));
}

/* A block of the heap of watched blocks, tied to its record. */
static void *watched_take(slab_watcher_t *watcher, unsigned cls, void *record) {
    slab_theap_t *heap = watcher->heap;
    lock_acquire(&watcher->lock);
    void *block = slab_pop(heap, cls);
    if (block == NULL) {
        block = slab_theap_refill(heap, cls, 0, NULL);
    }
    if (block != NULL) {
        slab_t *slab = heap->current[cls]; // ready blocks are the current slab's
        uint64_t index;
        slab_index_of(slab, block, &index);
        slab->records[index] = record;
    }
    lock_release(&watcher->lock);
    return block;
}

/* The block at the sample point; NULL: it is like any other. */
static void *watched_alloc(slab_theap_t *theap, unsigned cls, size_t size) {
    slab_watcher_t *watcher = slab_watch_of(theap->pool);
    const slab_watch_hooks_t *hooks = load_acquire(&watcher->hooks);
    void *record = hooks->sampled(size, slab_class_bytes(cls), theap->watch->interval);
    if (record == NULL) {
        return NULL;
    }
    void *block = watched_take(watcher, cls, record);
    if (block == NULL) {
        hooks->freed(record);
    }
    return block;
}

static void handed_add(slab_watch_t *watch, unsigned cls, uint32_t count) {
    store_relaxed(&watch->cls[cls].handed, load_relaxed(&watch->cls[cls].handed) + count);
}

/* An ordinary refill of at most `left` blocks. */
static void *watch_hand_out(slab_theap_t *theap, unsigned cls, bool *zero) {
    slab_watch_t *watch = theap->watch;
    bool extended;
    theap->ticks = watch->ticks;
    slab_t *slab = slab_theap_supply(theap, cls, &extended);
    watch->ticks = theap->ticks;
    theap->ticks = 1;
    if (slab == NULL) {
        return NULL;
    }
    uint32_t found = load_relaxed(&slab->made) - slab->used;
    uint32_t left = watch->cls[cls].left;
    uint32_t out = found <= left ? found : left > 0 ? left : 1;
    if (left != NEVER) {
        watch->cls[cls].left = left > out ? left - out : 0;
    }
    handed_add(watch, cls, out);
    void *block = slab_theap_hand_out(theap, slab, out < found ? out : 0);
    if (zero != NULL) { // as in slab_theap_refill; what was linked behind it has been written
        *zero = extended && slab->fresh && found == 1;
    }
    return block;
}

/* slab_swap(), where all that it would make ready lies before the next point. */
UMF_INLINE void *watch_swap(slab_theap_t *theap, unsigned cls) {
    slab_watch_t *watch = theap->watch;
    slab_t *slab = theap->current[cls];
    if (unlikely(slab == NULL || cls >= SLAB_MEDIUM_CLASS)) {
        return NULL;
    }
    slab_block_t *block = slab->free;
    uint32_t left = watch->cls[cls].left;
    uint32_t found = load_relaxed(&slab->made) - slab->used + (slab->needed_set - slab->needed);
    if (block == NULL || left <= found || watch->ticks <= 1) {
        return NULL;
    }
    watch->ticks--;
    watch->cls[cls].left = left != NEVER ? left - found : NEVER;
    handed_add(watch, cls, found);
    theap->ready[cls] = block->next;
    slab->free = NULL;
    slab->used = load_relaxed(&slab->made);
    slab->needed = slab->needed_set = SLAB_NEEDED_NEVER;
    return block;
}

UMF_NOINLINE static void *watch_refill(slab_theap_t *theap, unsigned cls, size_t size, bool *zero) {
    slab_watch_t *watch = theap->watch;
    watch_renew(watch, watch->watcher);
    if (unlikely(watch->cls[cls].left == 0)) {
        watch->cls[cls].left = draw_blocks(watch, cls); // first: the hook may allocate
        void *block = watched_alloc(theap, cls, size);
        if (block != NULL) {
            handed_add(watch, cls, 1);
            return block;
        }
    }
    if (theap->ready[cls] != NULL) { // by an allocation of the hook
        return slab_pop(theap, cls);
    }
    return watch_hand_out(theap, cls, zero);
}

/* Few instructions for the frequent case. */
void *slab_watch_refill(slab_theap_t *theap, unsigned cls, size_t size, bool *zero) {
    theap->ticks = 1;
    if (zero != NULL) {
        *zero = false;
    }
    void *block = watch_swap(theap, cls);
    return likely(block != NULL) ? block : watch_refill(theap, cls, size, zero);
}

bool slab_watch_free(slab_t *slab, void *ptr) {
    slab_watcher_t *watcher = slab_watch_of(slab->pool);
    uint64_t index;
    void *record = NULL;
    lock_acquire(&watcher->lock);
    if (slab->records != NULL && slab_index_of(slab, ptr, &index)) {
        record = slab->records[index];
    }
    if (record != NULL) {
        slab->records[index] = NULL;
        if (slab_put(slab, ptr)) {
            slab_theap_event(watcher->heap, slab);
        }
    }
    lock_release(&watcher->lock);
    if (record != NULL) {
        load_acquire(&watcher->hooks)->freed(record);
    }
    return record != NULL;
}

/* ---- large blocks
 * --------------------------------------------------------------------------------------------- */

/* Whether the block covers a sample point; sets the interval that says how likely that was. */
static bool large_is_due(slab_watcher_t *watcher, size_t bytes, uint64_t *interval) {
    lock_acquire(&watcher->lock);
    uint32_t generation = load_acquire(&watcher->generation);
    if (watcher->large_generation != generation) {
        watcher->large_generation = generation;
        watcher->large_interval = load_relaxed(&watcher->interval);
        watcher->large_left = draw_bytes(&watcher->random, watcher->large_interval);
    }
    *interval = watcher->large_interval;
    bool due = *interval == SLAB_WATCH_EVERY;
    if (*interval > SLAB_WATCH_EVERY) {
        due = watcher->large_left < (double)bytes;
        watcher->large_left =
            due ? draw_bytes(&watcher->random, *interval) : watcher->large_left - (double)bytes;
    }
    lock_release(&watcher->lock);
    return due;
}

void *slab_watch_large_slow(slab_pool_t *pool, void *ptr, size_t size) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    slab_t *slab = ptr != NULL ? slab_of_pool(pool, ptr) : NULL;
    uint64_t interval;
    if (slab != NULL && large_is_due(watcher, slab->block_bytes, &interval)) {
        slab->record = load_acquire(&watcher->hooks)->sampled(size, slab->block_bytes, interval);
        slab->watched = slab->record != NULL;
    }
    return ptr;
}

void slab_watch_forget(slab_t *slab) {
    slab->watched = false;
    load_acquire(&slab_watch_of(slab->pool)->hooks)->freed(slab->record);
}

void *slab_watch_resized_slow(slab_pool_t *pool, void *ptr, size_t size) {
    slab_t *slab = ptr != NULL ? slab_of_pool(pool, ptr) : NULL;
    if (slab != NULL && slab->watched) {
        slab_watch_forget(slab);
    }
    return slab_watch_large_slow(pool, ptr, size);
}

void *slab_watch_sized_slow(slab_pool_t *pool, void *ptr, size_t size) {
    slab_t *slab = ptr != NULL ? slab_of_pool(pool, ptr) : NULL;
    void *record = NULL;
    uint64_t index;
    if (slab == NULL) {
        return ptr;
    }
    if (slab->cls == SLAB_CLASS_NONE) {
        record = slab->watched ? slab->record : NULL;
    } else if (slab->head.kind == MAP_KIND_WATCHED && slab_index_of(slab, ptr, &index)) {
        record = slab->records[index]; // the caller's block: nobody else changes it
    }
    if (record != NULL) {
        load_acquire(&slab_watch_of(pool)->hooks)->resized(record, size);
    }
    return ptr;
}

/* ---- the pool
 * -------------------------------------------------------------------------------------------------
 */

static slab_watcher_t *watcher_new(slab_pool_t *pool) {
    slab_watcher_t *watcher = base_alloc(sizeof(slab_watcher_t));
    if (watcher == NULL) {
        return NULL;
    }
    watcher->heap = slab_theap_new(pool, true);
    if (watcher->heap == NULL) {
        base_free(watcher, sizeof(*watcher));
        return NULL;
    }
    watcher->random = random_seed(watcher);
    return watcher;
}

umf_result_t slab_watch_start(slab_pool_t *pool, const slab_watch_hooks_t *hooks,
                              uint64_t interval) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher == NULL) {
        slab_watcher_t *made = watcher_new(pool);
        if (made == NULL) {
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
        // Release: whoever sees it sees its heap. Of two threads at it, one wins; the other's heap
        // stays in the pool's list, unused.
        if (!cas_strong_acq_rel(&pool->watcher, &watcher, made)) {
            base_free(made, sizeof(*made));
        } else {
            watcher = made;
        }
    }
    if (hooks != NULL) {
        store_release(&watcher->hooks, hooks);
    }
    store_relaxed(&watcher->interval, interval);
    fetch_add_acq_rel(&watcher->generation, 1); // releases the interval
    slab_theap_t *own = slab_theap_find(pool);
    if (own != NULL) {
        slab_watch_join(own);
        if (own->watch != NULL) {
            own->watch->ticks = 1; // the next refill looks at the interval
        }
    }
    return UMF_RESULT_SUCCESS;
}

void slab_watch_trim(slab_pool_t *pool) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher != NULL) {
        lock_acquire(&watcher->lock);
        slab_theap_flush(watcher->heap);
        lock_release(&watcher->lock);
    }
}

void slab_watch_fork_prepare(slab_pool_t *pool) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher != NULL) {
        lock_acquire(&watcher->lock);
    }
}

void slab_watch_fork_parent(slab_pool_t *pool) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher != NULL) {
        lock_release(&watcher->lock);
    }
}

void slab_watch_fork_child(slab_pool_t *pool) {
    slab_watcher_t *watcher = slab_watch_of(pool);
    if (watcher != NULL) {
        lock_init(&watcher->lock);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Thread heaps: the slow side of malloc and free for blocks of size classes.
 *
 * Refill, in this order: the current slab's own frees, its remote frees, its unmade blocks (a few
 * KiB at a time, so that memory is touched as it is needed), slabs that came by mail, the fullest
 * of some available slabs, slabs of finished threads, new slices. A refill detaches the slab's
 * whole free list: malloc then works without looking at the slab.
 *
 * A thread's heaps are found through one thread-local pointer to its record: a small cache by pool
 * id, then a table. When the thread ends, a pthread key destructor (which puts itself off for one
 * round, since other destructors may still allocate) parks its heaps in their pools; the next
 * thread of the pool takes a parked heap over as it is, ready lists and all. Threads that need
 * slabs take them from parked heaps, and empty those that have waited for a while. What the thread
 * allocates after that comes from the pool's shared heap.
 *
 * Fork: a child has one thread. Heaps of the others may have been caught anywhere, on pages that
 * were copied at different times; nothing in them is trusted. Their live blocks stay valid, and
 * those the child frees are reused (all other blocks of such slabs count as used for ever). The
 * forking thread's own heap is consistent, except that frees by other threads may have been under
 * way: it brings home what was sent before the fork, and forgets (loses) the few sent during it.
 */
#include "pools/slab.h"
#include "pools/slab_watch.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

enum {
    EXTEND_MIN_BYTES = 4 * 1024,  /* new blocks made at a time: one page … */
    EXTEND_MAX_BYTES = 16 * 1024, /* … growing with the slab to this */
    WAKE_DIVISOR = 8,             /* a full slab is used again when 1/8 of it, at most … */
    WAKE_MAX = 32,                /* … so many blocks, … */
    WAKE_BYTES = 2 * 1024,        /* … and at most so many bytes, are free */
    PARKED_OLD_MS =
        50,        /* heaps that wait longer for a new thread are emptied when somebody comes by */
    HEAT_KEEP = 2, /* a medium class whose slab was empty so often since the last tick keeps it */
    TICK_BYTES =
        4 * 1024, /* blocks of this size and more bring the next tick nearer by more than one */
    PICK_CANDIDATES = 4, /* available slabs looked at for the fullest */
};

const slab_theap_t
    slab_theap_none; // zero: every ready list is empty, every size takes the slow path

UMF_TLS slab_theap_t *slab_process_theap = (slab_theap_t *)&slab_theap_none;

/* ---- accounting
 * ------------------------------------------------------------------------------------------- */

/* Brings `used` up to date. */
static void slab_settle(slab_t *slab) {
    slab->used -= slab->needed_set - slab->needed;
    slab->needed_set = slab->needed;
    if (unlikely(slab->used > load_relaxed(&slab->made))) {
        umf_panic("free(): double free in the %zu-byte blocks at %p", slab->block_bytes,
                  (void *)slab->base);
    }
}

/* The next look is due after `frees` own frees. */
static void slab_set_needed(slab_t *slab, uint32_t frees) {
    slab->needed = slab->needed_set = frees;
}

/* As many blocks have been made. */
static void slab_set_made(slab_t *slab, uint32_t made) {
    store_relaxed(&slab->made, (uint16_t)made);
    pool_fast_set_limit(&slab->fast, slab->block_bytes, made);
}

static uint32_t slab_wake_count(const slab_t *slab) {
    uint32_t by_bytes = (uint32_t)(WAKE_BYTES / slab->block_bytes);
    uint32_t count = slab->capacity / WAKE_DIVISOR;
    count = count > WAKE_MAX ? WAKE_MAX : count;
    count = count > by_bytes ? by_bytes : count;
    return count < 1 ? 1 : count;
}

/* ---- lists
 * --------------------------------------------------------------------------------------------------
 */

static void available_push(slab_theap_t *theap, slab_t *slab) {
    slab_t **head = &theap->available[slab->cls];
    slab->state = SLAB_AVAILABLE;
    slab->prev = NULL;
    slab->next = *head;
    if (*head != NULL) {
        (*head)->prev = slab;
    }
    *head = slab;
}

static void available_remove(slab_theap_t *theap, slab_t *slab) {
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        theap->available[slab->cls] = slab->next;
    }
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
}

/* The fullest of the first few: fuller slabs fill up, emptier ones get the chance to become empty.
 */
static slab_t *available_pick(slab_theap_t *theap, unsigned cls) {
    slab_t *best = theap->available[cls];
    slab_t *slab = best != NULL ? best->next : NULL;
    for (unsigned i = 1; i < PICK_CANDIDATES && slab != NULL; i++, slab = slab->next) {
        if (slab->used - (slab->needed_set - slab->needed) >
            best->used - (best->needed_set - best->needed)) {
            best = slab;
        }
    }
    if (best != NULL) {
        available_remove(theap, best);
    }
    return best;
}

/* ---- life of a slab
 * ------------------------------------------------------------------------------------------- */

static slab_t *slab_new(slab_theap_t *theap, unsigned cls) {
    const slab_class_info_t *info = &slab_class_info[cls];
    uint32_t slices = info->slices;
    slab_t *slab = slab_chunk_take(theap->pool, slices, 1);
    while (slab == NULL && ((size_t)slices << MAP_SLICE_SHIFT) / 2 >=
                               info->block_bytes) { // a provider near its end
        slices = slices / 2 > 0 ? slices / 2 : 1;
        slab = slab_chunk_take(theap->pool, slices, 1);
        if (slices == 1) {
            break;
        }
    }
    if (slab == NULL) {
        return NULL;
    }
    slab->cls = (uint8_t)cls;
    slab->block_bytes = info->block_bytes;
    slab->capacity = slices == info->slices
                         ? info->capacity
                         : (uint16_t)(((size_t)slices << MAP_SLICE_SHIFT) / info->block_bytes);
    slab->factor = pool_fast_factor(slab->block_bytes);
    slab_set_made(slab, 0);
    slab->used = 0;
    slab->free = NULL;
    slab_set_needed(slab, 0);
    store_relaxed(&slab->remote, 0);
    store_relaxed(&slab->head.owner, (uintptr_t)theap);
    if (unlikely(slab_watch_is_own(theap)) && !slab_watch_mark(slab)) {
        slab_chunk_give(slab);
        return NULL;
    }
    slab_chunk_publish(slab);
    return slab;
}

/* Makes some new blocks; only called with an empty free list. True when there was room. */
static bool slab_extend(slab_t *slab) {
    uint32_t room = (uint32_t)slab->capacity - load_relaxed(&slab->made);
    if (room == 0) {
        return false;
    }
    size_t bytes = load_relaxed(&slab->made) * slab->block_bytes / 4;
    bytes = bytes < EXTEND_MIN_BYTES   ? EXTEND_MIN_BYTES
            : bytes > EXTEND_MAX_BYTES ? EXTEND_MAX_BYTES
                                       : bytes;
    uint32_t count = (uint32_t)(bytes / slab->block_bytes);
    count = count < 1 ? 1 : count > room ? room : count;
    char *block = (char *)slab->base + load_relaxed(&slab->made) * slab->block_bytes;
    slab->free = (slab_block_t *)block;
    for (uint32_t i = 1; i < count; i++, block += slab->block_bytes) {
        ((slab_block_t *)block)->next = (slab_block_t *)(block + slab->block_bytes);
    }
    ((slab_block_t *)block)->next = NULL;
    slab_set_made(slab, load_relaxed(&slab->made) + count);
    return true;
}

/* Gives an empty slab that is in no list back; keeps it available while it is in a mailbox. */
static void slab_retire(slab_theap_t *theap, slab_t *slab) {
    if (slab_remote_is_mailed(slab)) {
        slab_set_needed(slab, 0);
        available_push(theap, slab); // looked at again when the mail arrives
        return;
    }
    slab_watch_unmark(slab);
    slab_chunk_give(slab);
}

/* A slab whose accounts have changed finds its place: available, or given back when empty. Not for
 * current slabs. */
static void slab_place(slab_theap_t *theap, slab_t *slab) {
    slab_settle(slab);
    if (slab->state == SLAB_AVAILABLE) {
        available_remove(theap, slab);
    }
    if (slab->used == 0) {
        slab_retire(theap, slab);
    } else if (slab->free != NULL || load_relaxed(&slab->made) < slab->capacity) {
        slab_set_needed(slab, slab->used);
        available_push(theap, slab);
    } else {
        slab->state = SLAB_FULL;
        slab_set_needed(slab, slab_wake_count(slab));
    }
}

static void theap_drop_current(slab_theap_t *theap, unsigned cls);

void slab_theap_event(slab_theap_t *theap, slab_t *slab) {
    if (slab->state != SLAB_CURRENT) {
        slab_place(theap, slab);
        return;
    }
    // A medium slab is empty: its pages are worth giving back, unless the next block of the class
    // is soon to come.
    if (theap->heat[slab->cls] < HEAT_KEEP) {
        theap->heat[slab->cls]++;
        theap_drop_current(theap, slab->cls);
    } else {
        slab_settle(slab);
        slab_set_needed(slab, SLAB_NEEDED_NEVER);
    }
}

/* True for a current slab that counts down to empty, see slab_theap_refill. */
static bool slab_counts_down(const slab_t *slab) {
    return slab->needed_set < SLAB_NEEDED_IDLE / 2;
}

/* ---- mail
 * -------------------------------------------------------------------------------------------------------
 */

/* Takes in all slabs with remote frees. The caller holds the heap. */
static void theap_take_mail(slab_theap_t *theap) {
    slab_t *slab = slab_remote_open_mailbox(theap);
    while (slab != NULL) {
        slab_t *next = slab->mail_next; // before the bit is cleared: then it may be mailed again
        slab_theap_t *owner = (slab_theap_t *)load_acquire(&slab->head.owner);
        if (owner != theap) {
            slab_remote_mail(owner, slab); // changed hands since it was sent
        } else {
            slab_settle(slab);
            slab_remote_collect(slab, true);
            if (slab->state != SLAB_CURRENT) {
                slab_place(theap, slab);
            } else if (slab_counts_down(slab)) {
                slab_set_needed(slab, slab->used);
                if (slab->used == 0) {
                    slab_theap_event(theap, slab);
                }
            }
        }
        slab = next;
    }
}

/* ---- parked heaps
 * ------------------------------------------------------------------------------------------------
 */

/* Puts the ready blocks of a class back into their slab. */
static void theap_unready(slab_theap_t *theap, unsigned cls) {
    slab_block_t *list = theap->ready[cls];
    if (list == NULL) {
        return;
    }
    slab_t *slab = theap->current[cls];
    slab_settle(slab);
    slab_block_t *last = list;
    uint32_t count = 1;
    for (; last->next != NULL; last = last->next) {
        count++;
    }
    last->next = slab->free;
    slab->free = list;
    slab->used -= count;
    theap->ready[cls] = NULL;
    slab_watch_unready(theap, cls, count);
}

void slab_theap_unready_all(slab_theap_t *theap) {
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        theap_unready(theap, cls);
    }
}

/* The current slab of a class becomes an ordinary one (or goes back when empty). */
static void theap_drop_current(slab_theap_t *theap, unsigned cls) {
    slab_t *slab = theap->current[cls];
    if (slab == NULL) {
        return;
    }
    theap_unready(theap, cls);
    theap->current[cls] = NULL;
    slab_settle(slab);
    slab_remote_collect(slab, false);
    slab->state = SLAB_FULL; // in no list; slab_place finds the right one
    slab_place(theap, slab);
}

void slab_theap_flush(slab_theap_t *theap) {
    slab_remote_flush(theap);
    theap_take_mail(theap);
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        theap_drop_current(theap, cls);
    }
}

/* RACY: a heap parked this moment is found next time. */
UMF_RACY static bool parked_none(const slab_pool_t *pool) {
    return pool->parked == NULL;
}

/* Takes a parked heap out of the pool's list: the caller holds it then. */
static slab_theap_t *parked_pop(slab_pool_t *pool) {
    if (parked_none(pool)) {
        return NULL;
    }
    lock_acquire(&pool->lock);
    slab_theap_t *theap = pool->parked;
    if (theap != NULL) {
        pool->parked = theap->next_parked;
        if (pool->parked == NULL) {
            pool->parked_last = NULL;
        }
        theap->parked = false;
    }
    lock_release(&pool->lock);
    return theap;
}

/* Lock held (or the only thread of a forked child). */
static void parked_link_first(slab_pool_t *pool, slab_theap_t *theap) {
    theap->next_parked = pool->parked;
    theap->parked = true;
    if (pool->parked == NULL) {
        pool->parked_last = theap;
    }
    pool->parked = theap;
}

/* The next thread gets the heap parked last: its memory is in the cache. */
static void parked_push(slab_pool_t *pool, slab_theap_t *theap) {
    lock_acquire(&pool->lock);
    parked_link_first(pool, theap);
    lock_release(&pool->lock);
}

/* Appends to the end: sweeps go round. */
static void parked_push_last(slab_pool_t *pool, slab_theap_t *theap) {
    lock_acquire(&pool->lock);
    if (pool->parked == NULL) {
        parked_link_first(pool, theap);
    } else {
        theap->next_parked = NULL;
        theap->parked = true;
        pool->parked_last->next_parked = theap;
        pool->parked_last = theap;
    }
    lock_release(&pool->lock);
}

/* Whether the ready blocks of a parked heap shall go home: not while threads come and go, one of
 * which may soon take it over. */
static bool parked_is_old(const slab_theap_t *theap) {
    return !theap->flushed && slab_now_ms() - theap->parked_since >= PARKED_OLD_MS;
}

/* The caller holds the parked heap. */
static void parked_flush(slab_theap_t *theap) {
    slab_theap_flush(theap);
    theap->flushed = true;
}

/* Moves a slab of the class over from a parked heap, if the next one has any. */
static slab_t *theap_adopt(slab_theap_t *theap, unsigned cls) {
    slab_pool_t *pool = theap->pool;
    slab_theap_t *other = parked_pop(pool);
    if (other == NULL) {
        return NULL;
    }
    if (parked_is_old(other)) {
        parked_flush(other);
    } else {
        theap_take_mail(other);
    }
    slab_t *slab = available_pick(other, cls);
    if (slab == NULL && other->current[cls] != NULL) {
        theap_drop_current(other, cls);
        slab = available_pick(other, cls);
    }
    if (slab != NULL) {
        // From here on frees of its blocks go to this heap; mail under way to the other one is
        // forwarded.
        store_release(&slab->head.owner, (uintptr_t)theap);
    }
    parked_push_last(pool, other);
    return slab;
}

void slab_theap_sweep_parked(slab_pool_t *pool, bool all) {
    lock_acquire(&pool->lock);
    uint32_t count = pool->theap_count;
    uint32_t now = slab_now_ms();
    bool due = all || now - pool->swept_at >= PARKED_OLD_MS;
    pool->swept_at = due ? now : pool->swept_at;
    lock_release(&pool->lock);
    if (!due) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        slab_theap_t *theap = parked_pop(pool);
        if (theap == NULL) {
            break;
        }
        if (all || parked_is_old(theap)) {
            parked_flush(theap);
        } else {
            theap_take_mail(theap);
        }
        parked_push_last(pool, theap);
    }
}

/* ---- refill
 * -------------------------------------------------------------------------------------------------------
 */

/*
 * Now and then: frees for others go out, and current slabs that were not refilled since the last
 * tick are looked at: their ready blocks go home, and those that are empty then go back.
 */
static void theap_tick(slab_theap_t *theap) {
    theap->ticks = SLAB_TICK_REFILLS;
    slab_remote_flush(theap);
    slab_watch_look(theap);
    memset(theap->heat, 0, sizeof(theap->heat));
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        slab_t *slab = theap->current[cls];
        if (slab == NULL) {
            continue;
        }
        slab_settle(slab);
        if (slab->needed_set > SLAB_NEEDED_IDLE) {
            slab_set_needed(slab, SLAB_NEEDED_IDLE);
            continue;
        }
        theap_unready(theap, cls);
        slab_remote_collect(slab, false);
        if (slab->used == 0) {
            theap_drop_current(theap, cls);
        } else if (slab_counts_down(slab)) {
            slab_set_needed(slab, slab->used);
        }
    }
}

/* The next slab to be current. */
static slab_t *theap_next_slab(slab_theap_t *theap, unsigned cls) {
    slab_t *slab = available_pick(theap, cls);
    if (slab == NULL && !slab_watch_is_own(theap)) { // watched blocks need slabs of their own
        slab = theap_adopt(theap, cls);
    }
    if (slab == NULL) {
        slab = slab_new(theap, cls);
    }
    if (slab == NULL) { // out of memory: what idle and finished heaps hold may help
        slab_theap_flush(theap);
        slab_theap_sweep_parked(theap->pool, true);
        slab = available_pick(theap, cls);
        slab = slab != NULL ? slab : slab_new(theap, cls);
    }
    return slab;
}

/* Refills that one of this class counts as: big idle blocks are worth an early look. */
UMF_INLINE uint32_t tick_weight(unsigned cls) {
    return 1 + (uint32_t)(slab_class_bytes(cls) / TICK_BYTES);
}

UMF_INLINE slab_t *theap_supply(slab_theap_t *theap, unsigned cls, bool *extended) {
    if (unlikely(load_relaxed(&theap->mailbox) != NULL)) {
        theap_take_mail(theap);
    }
    slab_t *slab = theap->current[cls];
    *extended = false;
    for (;;) {
        if (slab != NULL) {
            slab_settle(slab);
            if (slab->free != NULL || slab_remote_collect(slab, false)) {
                break;
            }
            if (slab_extend(slab)) {
                *extended = true;
                break;
            }
            slab->state = SLAB_FULL;
            slab_set_needed(slab, slab_wake_count(slab));
        }
        theap->current[cls] = NULL;
        slab = theap_next_slab(theap, cls);
        if (slab == NULL) {
            return NULL;
        }
        slab->state = SLAB_CURRENT;
        theap->current[cls] = slab;
    }
    return slab;
}

/* All free blocks of a current slab but `rest` (after `last`) are out. */
UMF_INLINE void theap_set_out(slab_theap_t *theap, slab_t *slab, uint32_t rest) {
    unsigned cls = slab->cls;
    slab->used = load_relaxed(&slab->made) - rest;
    slab_set_needed(slab, cls < SLAB_MEDIUM_CLASS || theap->heat[cls] >= HEAT_KEEP
                              ? SLAB_NEEDED_NEVER
                              : slab->used);
}

slab_t *slab_theap_supply(slab_theap_t *theap, unsigned cls, bool *extended) {
    uint32_t weight = tick_weight(cls);
    if (theap->ticks <= weight) {
        theap_tick(theap);
    }
    theap->ticks -= weight;
    return theap_supply(theap, cls, extended);
}

void *slab_theap_hand_out(slab_theap_t *theap, slab_t *slab, uint32_t count) {
    slab_block_t *block = slab->free;
    uint32_t rest = 0;
    if (count == 0) {
        slab->free = NULL;
    } else {
        slab_block_t *last = block;
        rest = load_relaxed(&slab->made) - slab->used - count;
        while (--count > 0) {
            last = last->next;
        }
        slab->free = last->next;
        last->next = NULL;
    }
    theap_set_out(theap, slab, rest);
    theap->ready[slab->cls] = block->next;
    return block;
}

UMF_NOINLINE static void *theap_refill(slab_theap_t *theap, unsigned cls, bool *zero) {
    uint32_t weight = tick_weight(cls);
    if (unlikely(theap->ticks <= weight)) {
        theap_tick(theap);
    }
    theap->ticks -= weight;
    if (unlikely(load_relaxed(&theap->pool->scarce))) {
        void *larger = slab_scarce_before(theap, cls);
        if (larger != NULL) {
            return larger; // *zero stays as it is: false
        }
    }
    bool extended;
    slab_t *slab = theap_supply(theap, cls, &extended);
    if (unlikely(slab == NULL)) {
        return slab_scarce_after(theap, cls);
    }
    slab_block_t *block = slab->free;
    slab->free = NULL;
    theap_set_out(theap, slab, 0);
    theap->ready[cls] = block->next;
    if (zero != NULL) {
        // Only a block made alone is known to be untouched: linking wrote into the others.
        *zero = extended && slab->fresh && block->next == NULL;
    }
    return block;
}

void *slab_theap_refill(slab_theap_t *theap, unsigned cls, size_t size, bool *zero) {
    return likely(theap->watch == NULL) ? theap_refill(theap, cls, zero)
                                        : slab_watch_refill(theap, cls, size, zero);
}

void *slab_theap_shared_alloc(slab_pool_t *pool, unsigned cls) {
    void *block = NULL;
    lock_acquire(&pool->shared_lock);
    slab_theap_t *theap = pool->shared;
    if (theap != NULL) {
        slab_block_t *ready = theap->ready[cls];
        if (ready != NULL) {
            theap->ready[cls] = ready->next;
            block = ready;
        } else {
            block = slab_theap_refill(theap, cls, slab_class_bytes(cls), NULL);
        }
    }
    lock_release(&pool->shared_lock);
    return block;
}

/* ---- heaps and threads
 * ------------------------------------------------------------------------------------------------
 */

static const slab_thread_t thread_none;
static const slab_thread_t thread_retired = {.retired = true};
UMF_TLS slab_thread_t *slab_thread = (slab_thread_t *)&thread_none;

/* One key per library: the destructor's code must be there as long as the key. */
static pthread_key_t exit_key;
static _Atomic(int) exit_key_state; // 0 none, 1 being made, 2 ready, 3 there is none

static void thread_exit(void *arg);

/* The call of the key's destructor that parks a thread's heaps. Not the first: destructors of other
 * keys may still allocate after it. And no later than that, since a thread may use a pool for the
 * first time in a late round of destructors. */
enum { EXIT_ROUNDS = 2 };

static bool exit_key_ready(void) {
    int state = load_acquire(&exit_key_state);
    while (state != 2 && state != 3) {
        int none = 0;
        if (state == 0 && cas_strong_acq_rel(&exit_key_state, &none, 1)) {
            store_release(&exit_key_state, pthread_key_create(&exit_key, thread_exit) == 0 ? 2 : 3);
        }
        state = load_acquire(&exit_key_state);
    }
    return state == 2;
}

__attribute__((destructor)) static void exit_key_delete(void) {
    int ready = 2;
    if (cas_strong_acq_rel(&exit_key_state, &ready, 3)) {
        pthread_key_delete(exit_key); // the library may be unmapped now
    }
}

slab_theap_t *slab_theap_new(slab_pool_t *pool, bool shared) {
    slab_theap_t *theap = shared ? NULL : parked_pop(pool);
    if (theap != NULL) {
        theap->flushed = false;
        return theap;
    }
    theap = base_alloc(sizeof(slab_theap_t));
    if (theap == NULL) {
        return NULL;
    }
    theap->pool = pool;
    theap->shared = shared;
    pool_fast_set_handle(&theap->fast, shared ? POOL_FAST_NO_POOL : pool->handle);
    theap->ticks = SLAB_TICK_REFILLS;
    theap->batch_frees = SLAB_BATCH_FREES;
    theap->medium_max = pool->medium_max;
    memcpy(theap->class_of, pool->class_of, sizeof(pool->class_of));
    lock_acquire(&pool->lock);
    theap->next_of_pool = pool->theaps;
    pool->theaps = theap;
    pool->theap_count++;
    lock_release(&pool->lock);
    return theap;
}

/* Called once by a heap's thread and once by its pool, when they have no more use for it: the
 * second call frees it. acq_rel: what the first did to it happened before. */
static void theap_let_go(slab_theap_t *theap) {
    if (exchange_acq_rel(&theap->let_go, true)) {
        base_free(theap, sizeof(*theap));
    }
}

/* The slot's lock is held. */
static slab_pool_t *pool_find_live(uint64_t id) {
    slab_pool_t *pool = umf_core_state.slots[CORE_SLOT_SLAB].live;
    while (pool != NULL && pool->id != id) {
        pool = pool->next_live;
    }
    return pool;
}

/* Forgets heaps of destroyed pools; makes room for one more. */
static bool record_reserve(slab_thread_t *record) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    if (record->count < record->room) {
        return true;
    }
    lock_acquire(&slot->lock);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < record->count; i++) {
        if (pool_find_live(record->entry[i].pool_id) != NULL) {
            record->entry[kept++] = record->entry[i];
        } else {
            pool_fast_forget(&record->entry[i].theap->fast);
            theap_let_go(record->entry[i].theap);
        }
    }
    lock_release(&slot->lock);
    record->count = kept;
    if (kept < record->room) {
        return true;
    }
    uint32_t room = record->room != 0 ? record->room * 2 : 4;
    slab_thread_entry_t *entry = base_alloc(room * sizeof(slab_thread_entry_t));
    if (entry == NULL) {
        return false;
    }
    if (kept != 0) {
        memcpy(entry, record->entry, kept * sizeof(slab_thread_entry_t));
    }
    base_free(record->entry, record->room * sizeof(slab_thread_entry_t));
    record->entry = entry;
    record->room = room;
    return true;
}

/* The thread's record, made on first use; NULL at its end or without memory. */
static slab_thread_t *record_get(void) {
    slab_thread_t *record = slab_thread;
    if (record->retired) {
        return NULL;
    }
    if (record != &thread_none) {
        return record;
    }
    if (!exit_key_ready()) {
        return NULL;
    }
    record = base_alloc(sizeof(slab_thread_t));
    if (record == NULL) {
        return NULL;
    }
    slab_thread = record; // before setspecific: that may allocate (keys above 31)
    if (pthread_setspecific(exit_key, record) != 0) {
        slab_thread = (slab_thread_t *)&thread_none;
        base_free(record, sizeof(*record));
        return NULL;
    }
    return record;
}

slab_theap_t *slab_theap_find(slab_pool_t *pool) {
    for (uint32_t i = 0; i < slab_thread->count; i++) {
        if (slab_thread->entry[i].pool_id == pool->id) {
            return slab_thread->entry[i].theap;
        }
    }
    return NULL;
}

UMF_COLD slab_theap_t *slab_theap_get_slow(slab_pool_t *pool) {
    slab_thread_t *record = record_get();
    if (record == NULL) {
        return NULL;
    }
    slab_theap_t *theap = slab_theap_find(pool);
    if (theap == NULL) {
        if (!record_reserve(record) || (theap = slab_theap_new(pool, false)) == NULL) {
            return NULL;
        }
        slab_watch_join(theap);
        record->entry[record->count++] = (slab_thread_entry_t){pool->id, theap};
    }
    record->cache[pool->id % SLAB_THREAD_CACHE] = (slab_thread_entry_t){pool->id, theap};
    if (pool->process) {
        slab_process_theap = theap;
    }
    return theap;
}

/* Destructor of the thread key. */
static void thread_exit(void *arg) {
    slab_thread_t *record = arg;
    if (++record->exit_rounds < EXIT_ROUNDS && pthread_setspecific(exit_key, record) == 0) {
        return;
    }
    slab_process_theap = (slab_theap_t *)&slab_theap_none;
    pool_fast_select((pool_fast_heap_t *)&pool_fast_heap_none);
    slab_thread = (slab_thread_t *)&thread_retired;
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_SLAB];
    for (uint32_t i = 0; i < record->count; i++) {
        lock_acquire(&slot->lock);
        slab_pool_t *pool = pool_find_live(record->entry[i].pool_id);
        if (pool != NULL) {
            fetch_add_acq_rel(&pool->exiting, 1); // it is not destroyed meanwhile
        }
        lock_release(&slot->lock);
        slab_theap_t *theap = record->entry[i].theap;
        if (pool == NULL) {
            theap_let_go(theap);
        } else {
            slab_remote_flush(theap);
            theap_take_mail(theap);
            theap->parked_since = slab_now_ms();
            parked_push(pool, theap);
            fetch_sub_acq_rel(&pool->exiting, 1);
        }
    }
    base_free(record->entry, record->room * sizeof(slab_thread_entry_t));
    base_free(record, sizeof(*record));
}

void slab_theap_destroy_all(slab_pool_t *pool) {
    while (pool->theaps != NULL) {
        slab_theap_t *theap = pool->theaps;
        pool->theaps = theap->next_of_pool;
        slab_watch_end(theap);
        if (theap->parked || theap->shared) {
            base_free(theap, sizeof(*theap));
        } else { // a thread knows it, and looks at its handle
            // relaxed: calls for this pool happened before its end, others only see that it is not
            // theirs
            pool_fast_set_handle(&theap->fast, POOL_FAST_NO_POOL);
            theap_let_go(theap);
        }
    }
}

/* ---- fork
 * -------------------------------------------------------------------------------------------------------------
 */

void slab_theap_fork_prepare(slab_pool_t *pool) {
    slab_theap_t *own = slab_theap_find(pool);
    if (pool->theap_count > 1) { // with the shared heap: more than one thread has been here
        if (own != NULL) {
            slab_remote_flush(own);
            theap_take_mail(own);
        }
        slab_theap_sweep_parked(pool, false);
    }
}

/* Whatever the heap's thread was doing: the slab's blocks count as used, except those freed from
 * now on. */
static void slab_distrust(slab_t *slab) {
    slab_set_made(slab, slab->capacity);
    slab->used = slab->capacity;
    slab->free = NULL;
    slab->state = SLAB_FULL;
    slab_set_needed(slab, slab_wake_count(slab));
}

void slab_theap_fork_child(slab_pool_t *pool) {
    int being_made = 1; // by a thread that the child does not have
    cas_strong_acq_rel(&exit_key_state, &being_made, 0);
    slab_theap_t *own = slab_theap_find(pool);
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        store_relaxed(&theap->mailbox, NULL);
        if (theap == own || theap->parked || theap->shared) {
            continue; // parked and shared heaps change under locks that the forking thread held
        }
        memset(theap->ready, 0, sizeof(theap->ready));
        memset(theap->current, 0, sizeof(theap->current));
        memset(theap->available, 0, sizeof(theap->available));
        memset(theap->batch, 0, sizeof(theap->batch));
    }
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->slices;) {
            slab_t *slab = load_relaxed(&chunk->slab_at[i]);
            i += slab != NULL ? slab->slices : 1;
            if (slab == NULL || load_relaxed(&slab->head.owner) == MAP_OWNER_NONE) {
                continue; // large, or just being set up
            }
            store_relaxed(&slab->remote, 0);
            slab_theap_t *owner = (slab_theap_t *)load_relaxed(&slab->head.owner);
            if (owner != own && !owner->parked && !owner->shared) {
                slab_distrust(slab);
            }
        }
    }
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        if (theap != own && !theap->parked && !theap->shared) {
            parked_link_first(pool, theap);
        }
    }
}

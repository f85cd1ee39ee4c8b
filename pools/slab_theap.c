/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Thread heaps: the slow side of malloc and free for blocks of size classes.
 *
 * Refill, in this order: the current slab's own frees, its remote frees, its unmade blocks (a few
 * KiB at a time, so that memory is touched as it is needed), slabs that came by mail, the fullest
 * of some available slabs, slabs of finished threads, new slices. A refill detaches the slab's
 * whole free list: malloc then works without looking at the slab.
 */
#include "pools/slab.h"
#include "pools/slab_watch.h"

#include <limits.h>
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
void slab_theap_take_mail(slab_theap_t *theap) {
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
    slab_theap_take_mail(theap);
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        theap_drop_current(theap, cls);
    }
}

/* RACY: a heap parked this moment is found next time. */
UMF_RACY static bool parked_none(const slab_pool_t *pool) {
    return pool->parked == NULL;
}

/* Takes a parked heap out of the pool's list: the caller holds it then. */
slab_theap_t *slab_parked_pop(slab_pool_t *pool) {
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
void slab_parked_link_first(slab_pool_t *pool, slab_theap_t *theap) {
    theap->next_parked = pool->parked;
    theap->parked = true;
    if (pool->parked == NULL) {
        pool->parked_last = theap;
    }
    pool->parked = theap;
}

/* The next thread gets the heap parked last: its memory is in the cache. */
void slab_parked_push(slab_pool_t *pool, slab_theap_t *theap) {
    lock_acquire(&pool->lock);
    slab_parked_link_first(pool, theap);
    lock_release(&pool->lock);
}

/* Appends to the end: sweeps go round. */
static void parked_push_last(slab_pool_t *pool, slab_theap_t *theap) {
    lock_acquire(&pool->lock);
    if (pool->parked == NULL) {
        slab_parked_link_first(pool, theap);
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
    slab_theap_t *other = slab_parked_pop(pool);
    if (other == NULL) {
        return NULL;
    }
    if (parked_is_old(other)) {
        parked_flush(other);
    } else {
        slab_theap_take_mail(other);
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
        slab_theap_t *theap = slab_parked_pop(pool);
        if (theap == NULL) {
            break;
        }
        if (all || parked_is_old(theap)) {
            parked_flush(theap);
        } else {
            slab_theap_take_mail(theap);
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
        slab_theap_take_mail(theap);
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

/* ---- for slab_fork.c ---- */

/* Whatever the heap's thread was doing: the slab's blocks count as used, except those freed from
 * now on. */
void slab_theap_distrust(slab_t *slab) {
    slab_set_made(slab, slab->capacity);
    slab->used = slab->capacity;
    slab->free = NULL;
    slab->state = SLAB_FULL;
    slab_set_needed(slab, slab_wake_count(slab));
}

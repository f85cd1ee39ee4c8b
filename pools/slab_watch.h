/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Watching a slab pool: counts of requests, and a sample of the blocks, for profiles and leak
 * reports. It costs the fast paths nothing, on or off.
 *
 * Which blocks. Allocation is seen as a stream of bytes on which sample points lie at random, on
 * average one every `interval` bytes (a Poisson process); a block that covers a point is watched,
 * which has probability 1 - exp(-bytes / interval). Since such processes may be cut into
 * independent ones, each (thread heap, size class) has its own: `left` blocks of the class until
 * the next point. A refill never makes more than `left` blocks ready. So the block with the point
 * is one for which the ready list is empty: that call takes the slow side, knows the size asked
 * for and whose call it is, and nobody counts in between.
 *
 * Where they are. Watched blocks of size classes live in slabs of a heap of their own (`heap`,
 * under `lock`), which is no thread's: their frees miss the owner test and take the slow side too.
 * There the kind MAP_KIND_WATCHED tells them from blocks of other threads. Each such slab has an
 * array of the blocks' records. Large blocks always take the slow side; theirs has a flag.
 *
 * A watched heap keeps its tick count at 1, at which slab_swap() declines, so that every refill
 * comes to slab_theap_refill(); the true count is in slab_watch_t. A heap of another thread notices
 * that watching began at its next tick.
 */
#ifndef UMF_POOLS_SLAB_WATCH_H
#define UMF_POOLS_SLAB_WATCH_H

#include "pools/slab.h"

/* Called without any lock, and possibly from within each other (an unwinder that allocates). */
typedef struct slab_watch_hooks {
    /* A block of `bytes` usable bytes for a request of `size` is about to be handed out; it was
     * chosen with probability 1 - exp(-bytes / interval), or surely if interval is 1. Returns its
     * record, or NULL: it is not watched. */
    void *(*sampled)(size_t size, size_t bytes, uint64_t interval);
    void (*freed)(void *record);
    /* The block stays where it is, for `size` bytes from now on. */
    void (*resized)(void *record, size_t size);
} slab_watch_hooks_t;

enum {
    SLAB_WATCH_COUNT_ONLY = 0, /* as interval: no block is sampled */
    SLAB_WATCH_EVERY = 1,      /* as interval: every block is */
};

/* Of a pool. */
typedef struct slab_watcher {
    umf_lock_t lock;    /* taken before the pool's other locks; held while the provider works */
    slab_theap_t *heap; /* of watched blocks */
    _Atomic(const slab_watch_hooks_t *) hooks;
    _Atomic(uint64_t) interval;   /* bytes */
    _Atomic(uint32_t) generation; /* of the interval: heaps draw anew when it changes */
    uint32_t large_generation;    /* under lock, as the next three: large blocks of all threads */
    uint64_t large_interval;
    double large_left; /* bytes until the next point */
    uint64_t random;
} slab_watcher_t;

/* Of a thread heap; belongs to its thread. */
typedef struct slab_watch {
    slab_watcher_t *watcher;
    uint32_t ticks; /* the heap's refills until the next tick */
    uint32_t generation;
    uint64_t interval;
    uint64_t random;
    struct slab_watch_class {
        uint32_t left;            /* blocks until the next one that is watched; UINT32_MAX: none */
        _Atomic(uint64_t) handed; /* blocks made ready since watching began; written by the thread,
                                     read by statistics */
    } cls[SLAB_CLASSES];
} slab_watch_t;

/* Begins to watch the pool, or changes the interval. Hooks may be NULL with SLAB_WATCH_COUNT_ONLY;
 * hooks once given stay. The calling thread's heap takes part at once. */
umf_result_t slab_watch_start(slab_pool_t *pool, const slab_watch_hooks_t *hooks,
                              uint64_t interval);

/* ---- for the other files of the pool ---- */

UMF_INLINE slab_watcher_t *slab_watch_of(const slab_pool_t *pool) {
    return load_acquire(&pool->watcher); // pairs with the store in slab_watch_start
}

/* The heap of watched blocks. */
UMF_INLINE bool slab_watch_is_own(const slab_theap_t *theap) {
    const slab_watcher_t *watcher = slab_watch_of(theap->pool);
    return unlikely(watcher != NULL) && watcher->heap == theap;
}

/* slab_theap_refill() of a watched heap. */
void *slab_watch_refill(slab_theap_t *theap, unsigned cls, size_t size, bool *zero);
/* At a tick: takes part soon if the pool is watched by now. */
void slab_watch_look(slab_theap_t *theap);
/* The same for a heap that a thread begins to use: at once. */
void slab_watch_join(slab_theap_t *theap);
/* The heap is being deleted. */
void slab_watch_end(slab_theap_t *theap);
/* `count` ready blocks went back. */
UMF_INLINE void slab_watch_unready(slab_theap_t *theap, unsigned cls, uint32_t count) {
    if (unlikely(theap->watch != NULL)) {
        _Atomic(uint64_t) *handed = &theap->watch->cls[cls].handed;
        store_relaxed(handed, load_relaxed(handed) - count); // only this thread writes it
    }
}

/* A slab of the heap of watched blocks gets its records, and loses them. */
bool slab_watch_mark(slab_t *slab);
void slab_watch_unmark(slab_t *slab);
void slab_watch_unmark_all(slab_pool_t *pool);

/* Frees a block of such a slab; false: it is free already. */
bool slab_watch_free(slab_t *slab, void *ptr);
/* The large block of slab is being freed, and is watched. */
void slab_watch_forget(slab_t *slab);

void *slab_watch_large_slow(slab_pool_t *pool, void *ptr, size_t size);
void *slab_watch_sized_slow(slab_pool_t *pool, void *ptr, size_t size);
void *slab_watch_resized_slow(slab_pool_t *pool, void *ptr, size_t size);

/* A new large block, or NULL; returns it. */
UMF_INLINE void *slab_watch_large(slab_pool_t *pool, void *ptr, size_t size) {
    return likely(slab_watch_of(pool) == NULL) ? ptr : slab_watch_large_slow(pool, ptr, size);
}
/* A block (or NULL) is for a request of `size` bytes, which may not be what it was allocated with;
 * returns it. */
UMF_INLINE void *slab_watch_sized(slab_pool_t *pool, void *ptr, size_t size) {
    return likely(slab_watch_of(pool) == NULL) ? ptr : slab_watch_sized_slow(pool, ptr, size);
}
/* A large block (or NULL) has a new size: counts as freed and allocated; returns it. */
UMF_INLINE void *slab_watch_resized(slab_pool_t *pool, void *ptr, size_t size) {
    return likely(slab_watch_of(pool) == NULL) ? ptr : slab_watch_resized_slow(pool, ptr, size);
}

void slab_watch_trim(slab_pool_t *pool);
void slab_watch_fork_prepare(slab_pool_t *pool);
void slab_watch_fork_parent(slab_pool_t *pool);
void slab_watch_fork_child(slab_pool_t *pool);

#endif /* UMF_POOLS_SLAB_WATCH_H */

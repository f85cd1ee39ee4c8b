/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A 4-byte mutex on a futex. All zero means unlocked, so static objects need no initialisation; it
 * never allocates, and a forked child may reset it with lock_init(). Not recursive.
 *
 * Word: 0 unlocked, 1 locked, 2 locked and somebody may sleep. An unlock that sees 2 wakes one.
 *
 * Order: locks are taken in rising rank; the fork walk (core/fork.h) takes them in the same order.
 * No provider, pool or log function is called with a lock of rank LOCK_RANK_MAP or above held.
 */
#ifndef UMF_CORE_LOCK_H
#define UMF_CORE_LOCK_H

#include "core/utils.h"

enum lock_rank {
    LOCK_RANK_INIT = 10,     /* start-up and tear-down of the library */
    LOCK_RANK_REGISTRY = 20, /* list of pools, CTL defaults */
    LOCK_RANK_POOL = 30,     /* one pool's shared state */
    LOCK_RANK_PROVIDER =
        40,              /* one provider's shared state (may be called by a pool under its lock) */
    LOCK_RANK_IPC = 50,  /* caches of exported and opened IPC handles */
    LOCK_RANK_SLOT = 55, /* lists of a module's objects (core_slot_t) */
    LOCK_RANK_MAP = 60,  /* address map writers */
    LOCK_RANK_BASE = 70, /* base allocator */
    LOCK_RANK_LOG = 80,  /* log output target */
};

typedef struct umf_lock {
    _Atomic(uint32_t) word;
} umf_lock_t;

void lock_acquire_slow(umf_lock_t *lock);
void lock_release_slow(umf_lock_t *lock);

/* Sleeps until lock_wake_word, if *word still is `value`; may also return for no reason. */
void lock_wait_word(_Atomic(uint32_t) *word, uint32_t value);
/* Wakes all that sleep on word. */
void lock_wake_word(_Atomic(uint32_t) *word);

UMF_INLINE void lock_init(umf_lock_t *lock) {
    store_relaxed(&lock->word, 0);
}

UMF_INLINE bool lock_try_acquire(umf_lock_t *lock) {
    uint32_t unlocked = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &unlocked, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

UMF_INLINE void lock_acquire(umf_lock_t *lock) {
    if (unlikely(!lock_try_acquire(lock))) {
        lock_acquire_slow(lock);
    }
}

UMF_INLINE void lock_release(umf_lock_t *lock) {
    if (unlikely(atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2)) {
        lock_release_slow(lock);
    }
}

#endif /* UMF_CORE_LOCK_H */

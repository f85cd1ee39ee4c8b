/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Heaps and threads: records, new heaps, the end of a thread.
 *
 * A thread's heaps are found through one thread-local pointer to its record: a small cache by pool
 * id, then a table. When the thread ends, a pthread key destructor (which puts itself off for one
 * round, since other destructors may still allocate) parks its heaps in their pools; the next
 * thread of the pool takes a parked heap over as it is, ready lists and all. Threads that need
 * slabs take them from parked heaps, and empty those that have waited for a while. What the thread
 * allocates after that comes from the pool's shared heap.
 */
#include <pthread.h>
#include <string.h>

#include "pools/slab.h"
#include "pools/slab_watch.h"

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
    slab_theap_t *theap = shared ? NULL : slab_parked_pop(pool);
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
            slab_theap_take_mail(theap);
            theap->parked_since = slab_now_ms();
            slab_parked_push(pool, theap);
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

void slab_thread_fork_child(void) {
    int being_made = 1; // by a thread that the child does not have
    cas_strong_acq_rel(&exit_key_state, &being_made, 0);
}

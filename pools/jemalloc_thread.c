/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Threads of the jemalloc pools. A thread has a record with jemalloc's thread data and, for each
 * pool that it uses, an entry: one of the pool's arenas and a cache (tcache) of its own for blocks
 * of that pool. So a malloc or free that the cache can serve takes no lock, and no block ever gets
 * into another pool.
 *
 * An entry is found by the pool's slot, a small number; the id says whether it is still that
 * pool's. The entries of a pool are listed: whichever ends first, thread or pool, empties and
 * deletes the cache.
 *
 * There is one jemalloc in each of our libraries, and so there is one of what is below; it is no
 * part of the shared core state. A pool is always served by the library whose operations table it
 * was made with.
 */
#include "pools/jemalloc_pool.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/lock.h"
#include "core/log.h"
#include "core/state.h"
#include "core/system_call.h"

enum { THREAD_SLOTS_MIN = 8 };

/* Of no pool: what unused slots point to. */
static jemalloc_entry_t entry_none;
/* No record yet; and the same within a hook. */
static jemalloc_thread_t thread_none;
static jemalloc_thread_t thread_none_nested;

__attribute__((visibility("hidden"))) UMF_TLS intptr_t umf_jemalloc_tsd_offset;
UMF_TLS jemalloc_thread_t *jemalloc_self = &thread_none;
UMF_TLS umf_result_t jemalloc_self_error;

static struct {
    umf_lock_t lock; /* nothing is called with it held */
    jemalloc_pool_t *live;
    uint64_t next_id;
    _Atomic(bool) started;
    jemalloc_thread_t *spare; /* record for a thread that forks and has none */
    bool spare_used;
    pthread_key_t exit_key;
} module;

static bool thread_is_none(const jemalloc_thread_t *thread) {
    return thread == &thread_none || thread == &thread_none_nested;
}

/* ---- records --------------------------------------------------------------------------------- */

static size_t tsd_bytes(void) {
    return (size_t)((uintptr_t)umf_jemalloc_tsd_image_end - (uintptr_t)umf_jemalloc_tsd_image);
}

static jemalloc_thread_t *thread_new(void) {
    jemalloc_thread_t *thread = base_alloc(sizeof(*thread) + tsd_bytes());
    if (thread != NULL) {
        memcpy(thread->tsd, umf_jemalloc_tsd_image, tsd_bytes());
    }
    return thread;
}

/* Its jemalloc data has been cleaned up. */
static void thread_delete(jemalloc_thread_t *thread) {
    base_free(thread->entry, thread->room * sizeof(*thread->entry));
    base_free(thread, sizeof(*thread) + tsd_bytes());
}

/* Makes jemalloc run on `thread`'s data. */
static void thread_switch(jemalloc_thread_t *thread) {
    jemalloc_self = thread;
    umf_jemalloc_tsd_offset =
        thread_is_none(thread) ? 0 : (intptr_t)thread->tsd - (intptr_t)__builtin_thread_pointer();
}

static bool module_start(void);

bool jemalloc_thread_enter(void) {
    jemalloc_thread_t *self = jemalloc_self;
    if (likely(!thread_is_none(self))) {
        return true;
    }
    if (!module_start()) {
        return false;
    }
    jemalloc_thread_t *thread = thread_new();
    if (thread == NULL) {
        return false;
    }
    thread->nested = self == &thread_none_nested;
    thread_switch(thread); // before setspecific: that may allocate
    if (!thread->nested && pthread_setspecific(module.exit_key, thread) != 0) {
        thread_switch(self);
        thread_delete(thread);
        return false;
    }
    return true;
}

jemalloc_thread_t *jemalloc_hook_begin(void) {
    jemalloc_thread_t *outer = jemalloc_self;
    thread_switch(outer->inner != NULL ? outer->inner : &thread_none_nested);
    return outer;
}

void jemalloc_hook_end(jemalloc_thread_t *outer) {
    if (jemalloc_self != &thread_none_nested) {
        outer->inner =
            jemalloc_self; // made within the hook, or there before; kept for the next one
    }
    thread_switch(outer);
}

/* ---- entries --------------------------------------------------------------------------------- */

static bool thread_reserve(jemalloc_thread_t *thread, uint32_t slot) {
    if (slot < thread->room) {
        return true;
    }
    uint32_t room = thread->room > 0 ? thread->room : THREAD_SLOTS_MIN;
    while (room <= slot) {
        room *= 2;
    }
    jemalloc_entry_t **entry = base_alloc(room * sizeof(*entry));
    if (entry == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < room; i++) {
        entry[i] = i < thread->room ? thread->entry[i] : &entry_none;
    }
    base_free(thread->entry, thread->room * sizeof(*entry));
    thread->entry = entry;
    thread->room = room;
    return true;
}

static int tcache_create(void) {
    unsigned tcache;
    size_t size = sizeof(tcache);
    // There are 4094 in the process; without one a thread goes to the arena for each block.
    return umf_jemalloc_mallctl("tcache.create", &tcache, &size, NULL, 0) == 0 ? (int)tcache : -1;
}

static void tcache_destroy(int tcache) {
    unsigned index = (unsigned)tcache;
    if (tcache >= 0) {
        umf_jemalloc_mallctl("tcache.destroy", NULL, NULL, &index, sizeof(index));
    }
}

/* Chooses arena and cache. Within a hook nothing is made: jemalloc may hold the locks for that. */
static bool entry_fill(jemalloc_entry_t *entry, jemalloc_pool_t *pool, bool nested) {
    uint32_t slot = nested ? 0 : fetch_add_relaxed(&pool->next_arena, 1) % pool->arena_count;
    unsigned arena;
    if (!jemalloc_arena_get(pool, slot, &arena)) {
        return false;
    }
    entry->tcache = nested ? -1 : tcache_create();
    entry->free_flags =
        entry->tcache >= 0 ? jemalloc_flag_tcache((unsigned)entry->tcache) : JEMALLOC_TCACHE_NONE;
    entry->alloc_flags = entry->free_flags | jemalloc_flag_arena(arena);
    entry->last_error = UMF_RESULT_SUCCESS;
    store_relaxed(&entry->live, 0);
    return true;
}

UMF_COLD jemalloc_entry_t *jemalloc_entry_get_slow(jemalloc_pool_t *pool) {
    if (!jemalloc_thread_enter() || !thread_reserve(jemalloc_self, pool->slot)) {
        return NULL;
    }
    jemalloc_thread_t *thread = jemalloc_self;
    jemalloc_entry_t *entry = thread->entry[pool->slot]; // of a pool that is gone, or none
    if (entry == &entry_none) {
        entry = base_alloc(sizeof(*entry));
        if (entry == NULL) {
            return NULL;
        }
        entry->thread = thread;
        thread->entry[pool->slot] = entry;
    }
    if (!entry_fill(entry, pool, thread->nested)) {
        return NULL;
    }
    lock_acquire(&module.lock);
    entry->pool = pool;
    entry->previous = NULL;
    entry->next = pool->entries;
    if (pool->entries != NULL) {
        pool->entries->previous = entry;
    }
    pool->entries = entry;
    lock_release(&module.lock);
    store_relaxed(&entry->pool_id, pool->id); // read by this thread only, as long as the pool lives
    return entry;
}

/* Takes the entry off its pool. The lock is held. */
static void entry_unlink(jemalloc_entry_t *entry) {
    if (entry->previous != NULL) {
        entry->previous->next = entry->next;
    } else {
        entry->pool->entries = entry->next;
    }
    if (entry->next != NULL) {
        entry->next->previous = entry->previous;
    }
    entry->pool->live_retired += load_relaxed(&entry->live);
    entry->pool = NULL;
    store_relaxed(&entry->pool_id, 0);
}

/* ---- pools ----------------------------------------------------------------------------------- */

/* The lock is held. */
static bool slot_in_use(uint32_t slot) {
    for (const jemalloc_pool_t *pool = module.live; pool != NULL; pool = pool->next_live) {
        if (pool->slot == slot) {
            return true;
        }
    }
    return false;
}

void jemalloc_threads_add_pool(jemalloc_pool_t *pool) {
    lock_acquire(&module.lock);
    pool->slot = 0;
    while (slot_in_use(pool->slot)) {
        pool->slot++;
    }
    pool->id = ++module.next_id;
    pool->next_live = module.live;
    module.live = pool;
    lock_release(&module.lock);
}

void jemalloc_threads_remove_pool(jemalloc_pool_t *pool) {
    lock_acquire(&module.lock);
    jemalloc_pool_t **link = &module.live;
    while (*link != pool) {
        link = &(*link)->next_live;
    }
    *link = pool->next_live;
    while (pool->entries != NULL) {
        jemalloc_entry_t *entry = pool->entries;
        int tcache = entry->tcache;
        entry_unlink(entry); // its thread may free it now
        lock_release(&module.lock);
        tcache_destroy(tcache);
        lock_acquire(&module.lock);
    }
    lock_release(&module.lock);
    while (load_acquire(&pool->exiting) != 0) { // pairs with the sub in entry_end
        sys_sched_yield();
    }
}

size_t jemalloc_threads_blocks(jemalloc_pool_t *pool) {
    lock_acquire(&module.lock);
    size_t blocks = pool->live_retired;
    for (const jemalloc_entry_t *entry = pool->entries; entry != NULL; entry = entry->next) {
        blocks += load_relaxed(&entry->live);
    }
    lock_release(&module.lock);
    return blocks;
}

/* ---- end of a thread ------------------------------------------------------------------------- */

static void entry_end(jemalloc_entry_t *entry) {
    lock_acquire(&module.lock);
    jemalloc_pool_t *pool = entry->pool;
    if (pool != NULL) {
        fetch_add_relaxed(&pool->exiting, 1); // the pool's end waits for us
        entry_unlink(entry);
    }
    lock_release(&module.lock);
    if (pool != NULL) {
        tcache_destroy(entry->tcache);
        fetch_sub_acq_rel(&pool->exiting, 1);
    }
    base_free(entry, sizeof(*entry));
}

/* The record is the current one. */
static void thread_end(jemalloc_thread_t *thread) {
    for (uint32_t i = 0; i < thread->room; i++) {
        if (thread->entry[i] != &entry_none) {
            entry_end(thread->entry[i]);
        }
    }
    umf_jemalloc_tsd_cleanup(thread->tsd);
}

/* Destructor of the thread key. A thread that allocates after its last round gets a record that
 * stays. */
static void thread_exit(void *arg) {
    jemalloc_thread_t *thread = arg;
    if (++thread->exit_rounds < PTHREAD_DESTRUCTOR_ITERATIONS &&
        pthread_setspecific(module.exit_key, thread) == 0) {
        return; // destructors of other keys may still use pools
    }
    while (thread != NULL) {
        thread_switch(thread);
        thread_end(thread); // calls hooks: may make an inner record
        jemalloc_thread_t *inner = thread->inner;
        thread_switch(&thread_none);
        thread_delete(thread);
        thread = inner;
    }
}

/* ---- fork ------------------------------------------------------------------------------------ */

/* jemalloc takes all its locks; it needs a thread for that. */
static void fork_before(void *arg) {
    (void)arg;
    module.spare_used = thread_is_none(jemalloc_self);
    if (module.spare_used) {
        thread_switch(module.spare);
    }
    umf_jemalloc_prefork();
    lock_acquire(&module.lock);
}

static void fork_spare_leave(void) {
    if (module.spare_used) {
        thread_switch(&thread_none);
    }
}

static void fork_after_in_parent(void *arg) {
    (void)arg;
    lock_release(&module.lock);
    umf_jemalloc_postfork_parent();
    fork_spare_leave();
}

static bool thread_is_mine(const jemalloc_thread_t *thread) {
    const jemalloc_thread_t *mine = jemalloc_self;
    while (mine != NULL && mine != thread) {
        mine = mine->inner;
    }
    return mine != NULL;
}

/* Caches of threads that the child does not have may have been caught in the middle of a change:
 * they are left alone. */
static void fork_after_in_child(void *arg) {
    (void)arg;
    lock_init(&module.lock);
    for (jemalloc_pool_t *pool = module.live; pool != NULL; pool = pool->next_live) {
        store_relaxed(&pool->exiting, 0);
        for (jemalloc_entry_t *entry = pool->entries, *next; entry != NULL; entry = next) {
            next = entry->next;
            if (!thread_is_mine(entry->thread)) {
                entry_unlink(entry);
            }
        }
    }
    umf_jemalloc_postfork_child();
    fork_spare_leave();
}

static fork_node_t fork_node = {
    .rank = LOCK_RANK_POOL,
    .prepare = fork_before,
    .parent = fork_after_in_parent,
    .child = fork_after_in_child,
};

/* ---- start ----------------------------------------------------------------------------------- */

static bool module_try_start(void) {
    module.spare = thread_new();
    if (module.spare == NULL) {
        return false;
    }
    if (pthread_key_create(&module.exit_key, thread_exit) != 0) {
        log_error("the process has no thread key left (pthread_key_create)");
        thread_delete(module.spare);
        return false;
    }
    fork_register(&fork_node);
    return true;
}

/* Under a lock of lower rank than the fork walk's, which a forked child finds free. */
static bool module_start(void) {
    if (likely(load_acquire(&module.started))) { // pairs with the release below: the key is there
        return true;
    }
    lock_acquire(&umf_core_state.init_lock);
    bool started = load_relaxed(&module.started) || module_try_start();
    store_release(&module.started, started);
    lock_release(&umf_core_state.init_lock);
    return started;
}

__attribute__((destructor)) static void module_end(void) {
    if (load_acquire(&module.started)) {
        pthread_key_delete(module.exit_key); // the code may be gone when threads end later
    }
}

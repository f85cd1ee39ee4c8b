/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Inside of the jemalloc pool: pool_jemalloc.c has the interface, jemalloc_arena.c the arenas and
 * their hooks on the provider, jemalloc_thread.c the threads.
 */
#ifndef UMF_POOLS_JEMALLOC_POOL_H
#define UMF_POOLS_JEMALLOC_POOL_H

#include <umf/memory_provider.h>

#include "core/ctl.h"
#include "pools/jemalloc_private.h"
#include "pools/pool_common.h"

extern const ctl_table_t jemalloc_ctl_table; /* pool_jemalloc.c */

typedef struct jemalloc_pool jemalloc_pool_t;
typedef struct jemalloc_thread jemalloc_thread_t;

/* A thread's use of a pool. Made by the thread on its first call, freed by it at its end. */
typedef struct jemalloc_entry {
    _Atomic(uint64_t) pool_id; /* 0: the pool is gone, the entry can be used for another one */
    int alloc_flags;           /* arena and tcache */
    int free_flags;            /* tcache */
    umf_result_t last_error;
    int tcache;            /* -1: none */
    _Atomic(size_t) live;  /* blocks that this thread took minus those it freed; wraps */
    jemalloc_pool_t *pool; /* under the module's lock; NULL: gone */
    jemalloc_thread_t *thread;
    struct jemalloc_entry *next, *previous; /* of the pool; under the module's lock */
} jemalloc_entry_t;

struct jemalloc_thread {
    jemalloc_entry_t **entry; /* by the pool's slot; never NULL inside */
    uint32_t room;            /* slots */
    int exit_rounds;          /* of destructors that it waited for at its end */
    bool nested; /* serves calls from within a hook: a provider that itself uses a jemalloc pool */
    jemalloc_thread_t *inner; /* the one that serves calls from within hooks of this one, or NULL */
    _Alignas(64) char tsd[];  /* jemalloc's thread data */
};

struct jemalloc_pool {
    jemalloc_hooks_t hooks; /* first: hooks get its address */
    umf_memory_provider_handle_t provider;
    bool zeroed;   /* fresh memory of the provider reads as zero */
    uint32_t slot; /* smallest number that no living pool has */
    uint64_t id;   /* unique in this library, not 0 */
    uint32_t arena_count;
    bool ready;                   /* post_initialize has run: the settings stand */
    _Atomic(uint32_t) next_arena; /* threads take turns */
    _Atomic(uint32_t) exiting;    /* threads that are giving back their caches */
    jemalloc_entry_t *entries;    /* under the module's lock */
    size_t live_retired;          /* `live` of entries that are gone; under the module's lock */
    jemalloc_pool_t *next_live;   /* under the module's lock */
    char name[POOL_NAME_BYTES];
    _Atomic(uint32_t) *arena; /* arena_count of them: index + 1; 0: not made yet */
};

/* ---- jemalloc_thread.c ----------------------------------------------------------------------- */

/* The calling thread's record, or an empty one. */
extern UMF_TLS jemalloc_thread_t *jemalloc_self;
/* Outcome of the last call of a thread that has no entry for the pool. */
extern UMF_TLS umf_result_t jemalloc_self_error;

/* Gives jemalloc a thread to run on; false: out of memory. Needed before calls that use no entry.
 */
bool jemalloc_thread_enter(void);
jemalloc_entry_t *jemalloc_entry_get_slow(jemalloc_pool_t *pool);
/* Enters the pool in the list of living ones, which gives it slot and id. */
void jemalloc_threads_add_pool(jemalloc_pool_t *pool);
/* Takes the pool out and empties all threads' caches of its blocks. No thread may be in a call of
 * the pool. */
void jemalloc_threads_remove_pool(jemalloc_pool_t *pool);

/* Live blocks of the pool. */
size_t jemalloc_threads_blocks(jemalloc_pool_t *pool);

/* Around calls of the provider: they may come back to another jemalloc pool while jemalloc is in
 * the middle of something. */
jemalloc_thread_t *jemalloc_hook_begin(void);
void jemalloc_hook_end(jemalloc_thread_t *outer);

/* The calling thread's entry, or NULL when there is no memory for one. */
UMF_INLINE jemalloc_entry_t *jemalloc_entry_get(jemalloc_pool_t *pool) {
    jemalloc_thread_t *self = jemalloc_self;
    if (likely(pool->slot < self->room)) {
        jemalloc_entry_t *entry = self->entry[pool->slot];
        if (likely(load_relaxed(&entry->pool_id) == pool->id)) {
            return entry;
        }
    }
    return jemalloc_entry_get_slow(pool);
}

/* The same without making one. */
UMF_INLINE jemalloc_entry_t *jemalloc_entry_find(const jemalloc_pool_t *pool) {
    jemalloc_thread_t *self = jemalloc_self;
    if (pool->slot >= self->room || load_relaxed(&self->entry[pool->slot]->pool_id) != pool->id) {
        return NULL;
    }
    return self->entry[pool->slot];
}

/* ---- jemalloc_arena.c ------------------------------------------------------------------------ */

/* Can arenas work on this provider? NOT_SUPPORTED: its allocations can not be split. */
umf_result_t jemalloc_provider_check(umf_memory_provider_handle_t provider);
void jemalloc_hooks_set(jemalloc_pool_t *pool);
/* The arena for a slot, made if it is not there; another one of the pool when that fails. False:
 * none at all. */
bool jemalloc_arena_get(jemalloc_pool_t *pool, uint32_t slot, unsigned *arena);
/* Both return UNKNOWN when jemalloc reports a failure. */
umf_result_t jemalloc_arenas_purge(jemalloc_pool_t *pool);
umf_result_t jemalloc_arenas_destroy(jemalloc_pool_t *pool);

#endif /* UMF_POOLS_JEMALLOC_POOL_H */

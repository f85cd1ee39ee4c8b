/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Functions between the files of the slab pool, grouped by the file that defines them; the model is
 * in slab_types.h. */
#ifndef UMF_POOLS_SLAB_H
#define UMF_POOLS_SLAB_H

#include "core/state.h"
#include "pools/slab_types.h"

/* ---- slab_chunk.c: slices of chunks. All take the pool's lock. ---- */

/* A run of `slices` whose address is a multiple of align_slices (power of two), with a descriptor
 * whose base, slices, chunk, pool, head.region, head.kind and fresh are set; the map does not know
 * it yet. NULL: the provider has no more. */
slab_t *slab_chunk_take(slab_pool_t *pool, uint32_t slices, uint32_t align_slices);
/* Counts memory that slabs and large blocks take or give; the lock is held. */
UMF_INLINE void slab_taken_add(slab_pool_t *pool, size_t bytes) {
    pool->taken_bytes += bytes;
    if (unlikely(pool->taken_bytes > pool->taken_peak)) {
        pool->taken_peak = pool->taken_bytes;
    }
}
/* Publishes the descriptor in the map: from here on frees find it. */
void slab_chunk_publish(slab_t *slab);
/* Free slices of the pool's chunks; *all: how many they have. */
uint32_t slab_chunk_left(slab_pool_t *pool, uint32_t *all);
/* Gives the run back; the descriptor must not be used afterwards. */
void slab_chunk_give(slab_t *slab);
/* Changes the number of slices of a published run in place; growing needs free slices behind it. */
bool slab_chunk_resize(slab_t *slab, uint32_t slices);
/* A descriptor without slices (huge blocks), and back. */
slab_t *slab_desc_new(slab_pool_t *pool);
void slab_desc_free(slab_pool_t *pool, slab_t *slab);
/* Purges what is due (`now` in ms), or with force everything that is free, and returns empty chunks
 * except `keep` bytes. */
void slab_chunk_purge(slab_pool_t *pool, bool force, size_t keep);
/* Returns every chunk (at the end of the pool). */
umf_result_t slab_chunk_destroy_all(slab_pool_t *pool);
/* Coarse monotonic clock in ms; wraps. */
uint32_t slab_now_ms(void);

/* Provider calls with a region in the map, also when tracking is off. */
void *slab_provider_alloc(slab_pool_t *pool, size_t bytes, size_t alignment, map_region_t **region,
                          bool *own_region);
umf_result_t slab_provider_free(slab_pool_t *pool, void *ptr, size_t bytes, map_region_t *region,
                                bool own_region);
/* Offers the provider again what it did not take back. The first error, if there still is one. */
umf_result_t slab_provider_free_leftovers(slab_pool_t *pool);

/* ---- slab_theap.c: thread heaps ---- */

extern const slab_theap_t slab_theap_none;
/* The heap of this thread for the process pool; &slab_theap_none before the first and after the
 * last use. */
extern UMF_TLS slab_theap_t *slab_process_theap;

/* A heap: a parked one if there is, except for the pool's shared heap. */
slab_theap_t *slab_theap_new(slab_pool_t *pool, bool shared);
extern UMF_TLS slab_thread_t *slab_thread;
/* This thread's heap for pool, made on first use. NULL: the thread is at its end, or no memory for
 * one. */
slab_theap_t *slab_theap_get_slow(slab_pool_t *pool);
/* The same, NULL unless the thread used it a short while ago. */
UMF_INLINE slab_theap_t *slab_theap_cached(slab_pool_t *pool) {
    const slab_thread_entry_t *cached = &slab_thread->cache[pool->id % SLAB_THREAD_CACHE];
    return likely(cached->pool_id == pool->id) ? cached->theap : NULL;
}
UMF_INLINE slab_theap_t *slab_theap_get(slab_pool_t *pool) {
    slab_theap_t *theap = slab_theap_cached(pool);
    return likely(theap != NULL) ? theap : slab_theap_get_slow(pool);
}
/* This thread's heap for pool if it has one already, else NULL. */
slab_theap_t *slab_theap_find(slab_pool_t *pool);
/* A block of a class whose ready list is empty, for a request of `size` bytes; leaves the rest of
 * what it found there. *zero (may be NULL): the block reads as zero. NULL: out of memory. */
void *slab_theap_refill(slab_theap_t *theap, unsigned cls, size_t size, bool *zero);
/* Its parts, for slab_watch.c. The first makes sure that the current slab of the class has blocks
 * in its free list, and settles it; NULL: out of memory. The second hands out the first `count` of
 * them (0: all): one is the result, the others become ready. */
slab_t *slab_theap_supply(slab_theap_t *theap, unsigned cls, bool *extended);
void *slab_theap_hand_out(slab_theap_t *theap, slab_t *slab, uint32_t count);
/* Puts the ready blocks of all classes back into their slabs. */
void slab_theap_unready_all(slab_theap_t *theap);
/* slab_scarce.c: a block of a larger class when memory is scarce. Before a class gets a new slab,
 * and after there was no memory for one. NULL: none. */
void *slab_scarce_before(slab_theap_t *theap, unsigned cls);
void *slab_scarce_after(slab_theap_t *theap, unsigned cls);
/* A block through the pool's shared heap, for threads that have none. */
void *slab_theap_shared_alloc(slab_pool_t *pool, unsigned cls);
/* The owner's free count-down of slab reached zero. */
void slab_theap_event(slab_theap_t *theap, slab_t *slab);
/* Brings home what this heap holds: ready lists and open batches; gives empty slabs back. */
void slab_theap_flush(slab_theap_t *theap);
/* Empties the heaps of finished threads: those parked for a while, or all. */
void slab_theap_sweep_parked(slab_pool_t *pool, bool all);
void slab_theap_destroy_all(slab_pool_t *pool);
/* Takes in all slabs with remote frees. The caller holds the heap. */
void slab_theap_take_mail(slab_theap_t *theap);
/* Parked heaps: takes one out (the caller holds it then); puts one back to be the next; the same
 * with the lock held, or as the only thread. */
slab_theap_t *slab_parked_pop(slab_pool_t *pool);
void slab_parked_push(slab_pool_t *pool, slab_theap_t *theap);
void slab_parked_link_first(slab_pool_t *pool, slab_theap_t *theap);
/* Nothing that the heap's thread was doing with the slab is trusted. */
void slab_theap_distrust(slab_t *slab);
/* slab_thread.c: what a forked child does. */
void slab_thread_fork_child(void);
/* slab_fork.c */
void slab_theap_fork_prepare(slab_pool_t *pool);
void slab_theap_fork_child(slab_pool_t *pool);

/* ---- slab_remote.c: frees by threads that do not own the slab ---- */

/* Frees block (its start) of slab from a thread whose heap for that pool is theap (may be NULL or
 * of another pool). */
void slab_remote_free(slab_theap_t *theap, slab_t *slab, slab_block_t *block);
/* Gives all open batches to their owners. */
void slab_remote_flush(slab_theap_t *theap);
/* Takes the remote list of a slab that the caller owns into its free list; true when there was
 * something. */
bool slab_remote_collect(slab_t *slab, bool mail_done);
/* Takes all slabs from the heap's mailbox, linked by mail_next; the caller holds the heap. */
slab_t *slab_remote_open_mailbox(slab_theap_t *theap);
/* Puts a slab into a heap's mailbox. */
void slab_remote_mail(slab_theap_t *theap, slab_t *slab);
/* Number of blocks in a slab's remote list. */
uint32_t slab_remote_waiting(const slab_t *slab);
/* True while the slab is in some mailbox: its descriptor must stay. */
bool slab_remote_is_mailed(const slab_t *slab);

/* ---- slab_large.c: blocks above SLAB_CLASS_MAX ---- */

void *slab_large_alloc(slab_pool_t *pool, size_t size, size_t alignment, bool *zero);
void slab_large_free(slab_t *slab);
/* Same pointer, moved pointer, or NULL (old block untouched: out of memory, or *try_copy set:
 * caller should copy). */
void *slab_large_realloc(slab_t *slab, size_t size, bool *try_copy);
/* Returns cached huge blocks older than the purge delay, or all. */
void slab_large_drop_cache(slab_pool_t *pool, bool all);
/* Returns all huge blocks, live ones too (at the end of the pool). */
void slab_large_destroy_all(slab_pool_t *pool);

/* ---- slab_block.c: operations on pools and blocks, for the ops table and the proxy ---- */

typedef struct slab_settings {
    size_t chunk_bytes; /* first chunk; later ones double up to 64 MiB */
    uint32_t purge_delay_ms;
    bool keep_all;
    const char *name;
} slab_settings_t;

umf_result_t slab_pool_create(umf_memory_provider_handle_t provider,
                              const slab_settings_t *settings, slab_pool_t **out);
umf_result_t slab_pool_destroy(slab_pool_t *pool);

/* NULL: out of memory (nothing is said in errno). */
void *slab_pool_alloc(slab_pool_t *pool, size_t size);
void *slab_pool_calloc(slab_pool_t *pool, size_t count, size_t size);
void *slab_pool_aligned_alloc(slab_pool_t *pool, size_t size, size_t alignment);
/* ptr is the start of a live block of the pool. new size > 0. NULL: out of memory, the block stays.
 */
void *slab_pool_realloc(slab_pool_t *pool, void *ptr, size_t size);
void slab_pool_trim(slab_pool_t *pool, size_t keep);

/* The slab of an address of a slab pool, found behind nested regions too; NULL if it is none. */
slab_t *slab_of(const void *ptr);
/* The slab of an address in that pool, also where another slab pool runs on the pool's block; NULL
 * if it is none. */
slab_t *slab_of_pool(const slab_pool_t *pool, const void *ptr);

typedef enum slab_check {
    SLAB_BLOCK_OK,
    SLAB_BLOCK_INTERIOR, /* not the beginning of a block */
    SLAB_BLOCK_UNMADE,   /* never handed out */
    SLAB_BLOCK_FREE,     /* freed before, as far as can be told cheaply */
} slab_check_t;
/* Is ptr the start of a block of slab that can be live? */
slab_check_t slab_check_block(const slab_t *slab, const void *ptr);
/* Bytes usable behind the start of a block. */
UMF_INLINE size_t slab_usable(const slab_t *slab) {
    return slab->block_bytes;
}
/* Slow side of every free: remote blocks, large blocks, blocks under nested regions; wrong pointers
 * are answered as slab_check_t. theap: this thread's heap for the pool, or NULL. */
slab_check_t slab_free_slow(slab_theap_t *theap, slab_t *slab, void *ptr);
/* Slow side of allocation: any size. theap: this thread's heap for the pool, or NULL (made here if
 * it can be). */
void *slab_alloc_slow(slab_pool_t *pool, slab_theap_t *theap, size_t size);

/* Statistics of a pool, summed up by a walk. */
typedef struct slab_stats {
    size_t reserved_bytes, reserved_peak; /* taken from the provider */
    size_t slab_bytes;                    /* in slabs of size classes */
    size_t free_bytes;                    /* in slices that nobody uses */
    size_t large_blocks, large_bytes, huge_blocks, huge_bytes;
    size_t blocks,
        block_bytes; /* of size classes: not in a free list (thread-cached ones count as used) */
    size_t chunks, threads, parked;
    size_t provider_calls, purges, purged_bytes;
} slab_stats_t;
void slab_pool_stats(slab_pool_t *pool, slab_stats_t *stats);

/* ---- slab_ctl.c ---- */

/* Blocks in the users' hands; exact when no thread is in a call of the pool. */
size_t slab_pool_blocks(slab_pool_t *pool);
extern const struct ctl_table slab_ctl_table;
umf_result_t slab_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                      size_t size, umf_ctl_query_type_t query_type, va_list args);

#endif /* UMF_POOLS_SLAB_H */

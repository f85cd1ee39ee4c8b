/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Shards of a disjoint pool: the slow side of malloc and free, and what becomes of empty slabs.
 *
 * A thread gets a number at its first slow call; threads with the same number use the same shard of
 * every pool. A thread that keeps meeting others at its shard takes another number. Shards are
 * locked, so nothing is bound to a thread: any thread may free into, count, trim, or in need take
 * from any shard, and the end of a thread needs no care. A chunk is freed into the shard that owns
 * its slab.
 */
#define _GNU_SOURCE
#include <sched.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/state.h"
#include "pools/disjoint_inl.h"

enum {
    SHARDS_MIN = 8,     /* fewer make threads meet by chance */
    SHARDS_PER_CPU = 4, /* likewise */
    CONTENDED_UNTIL_MOVE =
        8, /* times that a thread found its shard locked before it goes elsewhere */
};

UMF_TLS uint32_t disjoint_thread;
static UMF_TLS uint32_t contended; /* times that this thread found its shard locked */

/* ---- threads and shards --------------------------------------------------------------------- */

static uint32_t shard_numbers(void) {
    cpu_set_t cpus;
    size_t numbers = SHARDS_MIN;
    if (sched_getaffinity(0, sizeof(cpus), &cpus) == 0) {
        size_t wanted = (size_t)CPU_COUNT(&cpus) * SHARDS_PER_CPU;
        numbers = wanted > numbers ? wanted : numbers;
    }
    return (uint32_t)(numbers < DISJOINT_SHARDS_MAX ? numbers : DISJOINT_SHARDS_MAX);
}

UMF_COLD static void thread_number_deal(void) {
    core_slot_t *slot = &umf_core_state.slots[CORE_SLOT_DISJOINT];
    disjoint_thread = (uint32_t)(fetch_add_relaxed(&slot->next_id, 1) % shard_numbers()) + 1;
}

static disjoint_shard_t *shard_new(uint32_t number) {
    disjoint_shard_t *shard = base_alloc(sizeof(*shard));
    if (shard != NULL) {
        shard->number = number;
    }
    return shard;
}

/* Makes the shard of a number; without memory for it, the first one serves. */
UMF_COLD static disjoint_shard_t *shard_make(disjoint_pool_t *pool, uint32_t number) {
    lock_acquire(&pool->lock);
    disjoint_shard_t *shard = load_relaxed(&pool->shard[number]);
    if (shard->number != number) {
        disjoint_shard_t *created = shard_new(number);
        if (created != NULL) {
            shard = created;
            store_release(&pool->shard[number],
                          shard); // pairs with load_acquire below and in malloc
        }
    }
    lock_release(&pool->lock);
    return shard;
}

/* This thread's shard. */
UMF_INLINE disjoint_shard_t *shard_get(disjoint_pool_t *pool) {
    if (unlikely(disjoint_thread == 0)) {
        thread_number_deal();
    }
    uint32_t number = disjoint_thread;
    disjoint_shard_t *shard = load_acquire(&pool->shard[number]);
    return likely(shard->number == number) ? shard : shard_make(pool, number);
}

/* Somebody else is there. */
UMF_COLD static disjoint_shard_t *shard_lock_contended(disjoint_pool_t *pool,
                                                       disjoint_shard_t *shard) {
    if (++contended % CONTENDED_UNTIL_MOVE == 0) {
        thread_number_deal();
        shard = shard_get(pool);
    }
    lock_acquire(&shard->lock);
    return shard;
}

UMF_INLINE disjoint_shard_t *shard_lock_own(disjoint_pool_t *pool) {
    disjoint_shard_t *shard = shard_get(pool);
    return likely(lock_try_acquire(&shard->lock)) ? shard : shard_lock_contended(pool, shard);
}

/* Shards in the order of their numbers; NULL: there is none of this number. */
static disjoint_shard_t *shard_at(disjoint_pool_t *pool, uint32_t number) {
    disjoint_shard_t *shard = load_acquire(&pool->shard[number]);
    return shard != NULL && shard->number == number ? shard : NULL;
}

/* ---- lists and hot slots; the shard is locked
 * ----------------------------------------------------- */

/*
 * Sets which offsets may go to the hot slot: those of chunks that, put back, would be the next to
 * be taken (the slab is the first of its list, or would become it, and no free chunk lies lower),
 * and whose slab would not become empty by it (or counts as kept anyway).
 */
UMF_INLINE void slab_refresh(const disjoint_pool_t *pool, const disjoint_shard_t *shard,
                             disjoint_slab_t *slab) {
    bool next = !slab->listed || shard->list[slab->bucket] == slab;
    bool stays = load_relaxed(&slab->used) > 1 || (slab->held && pool->lazy);
    store_relaxed(&slab->hot_span, next && stays ? slab->low * slab->span_unit : 0);
}

UMF_NOINLINE static void list_push(const disjoint_pool_t *pool, disjoint_shard_t *shard,
                                   disjoint_slab_t *slab) {
    disjoint_slab_t *old = shard->list[slab->bucket];
    slab->prev = NULL;
    slab->next = old;
    slab->listed = true;
    shard->list[slab->bucket] = slab;
    if (old != NULL) {
        old->prev = slab;
        slab_refresh(pool, shard, old);
    }
}

UMF_NOINLINE static void list_remove(const disjoint_pool_t *pool, disjoint_shard_t *shard,
                                     disjoint_slab_t *slab) {
    if (slab->next != NULL) {
        slab->next->prev = slab->prev;
    }
    if (slab->prev != NULL) {
        slab->prev->next = slab->next;
    } else {
        shard->list[slab->bucket] = slab->next;
        if (slab->next != NULL) {
            slab_refresh(pool, shard, slab->next);
        }
    }
    slab->listed = false;
}

/* The held slab of a bucket, if it is in use, counts as such from now on. */
UMF_NOINLINE static void shard_settle(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                      unsigned index) {
    disjoint_slab_t *slab = shard->held[index];
    if (slab == NULL || load_relaxed(&slab->used) == 0) {
        return;
    }
    disjoint_bucket_t *bucket = &pool->bucket[index];
    lock_acquire(&bucket->lock);
    disjoint_slab_unkeep(pool, bucket);
    lock_release(&bucket->lock);
    slab->held = false;
    shard->held[index] = NULL;
    slab_refresh(pool, shard, slab);
}

/* Where a slab that has become empty goes. */
typedef enum slab_fate { FATE_HELD, FATE_SHARED, FATE_RETURNED } slab_fate_t;

static slab_fate_t slab_decide(disjoint_pool_t *pool, disjoint_shard_t *shard,
                               disjoint_bucket_t *bucket, disjoint_slab_t *slab) {
    bool hold = shard->held[bucket->index] == NULL;
    slab_fate_t fate = FATE_RETURNED;
    lock_acquire(&bucket->lock);
    // A shard may hold one whatever the others keep; with a single shard that never exceeds the
    // limit, since the bucket itself gets at most limit - 1.
    bool room = hold ? bucket->limit > 0 : bucket->pooled < bucket->limit;
    if (room && disjoint_slab_keep(pool, bucket)) {
        fate = hold ? FATE_HELD : FATE_SHARED;
    }
    if (fate == FATE_RETURNED) {
        disjoint_slab_leave(bucket, slab);
    }
    lock_release(&bucket->lock);
    return fate;
}

/* Nobody owns the slab any longer. */
static void slab_disown(const disjoint_pool_t *pool, disjoint_shard_t *shard,
                        disjoint_slab_t *slab) {
    list_remove(pool, shard, slab);
    store_relaxed(&slab->hot_span, 0);
    store_release(&slab->shard, NULL);
}

static void slab_to_shared(disjoint_bucket_t *bucket, disjoint_slab_t *slab) {
    lock_acquire(&bucket->lock);
    slab->next = bucket->shared;
    bucket->shared = slab;
    lock_release(&bucket->lock);
}

/* A slab has become empty. One that goes back is put in front of *out. */
UMF_NOINLINE static void slab_emptied(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                      disjoint_slab_t *slab, disjoint_slab_t **out) {
    disjoint_bucket_t *bucket = &pool->bucket[slab->bucket];
    shard_settle(pool, shard, slab->bucket);
    slab_fate_t fate = slab_decide(pool, shard, bucket, slab);
    if (fate == FATE_HELD) {
        slab->held = true;
        shard->held[slab->bucket] = slab;
        slab_refresh(pool, shard, slab);
        return;
    }
    slab_disown(pool, shard, slab);
    if (fate == FATE_SHARED) {
        slab_to_shared(bucket, slab);
    } else {
        slab->next = *out;
        *out = slab;
    }
}

/* What follows when a chunk was put back. */
static void shard_has_put(disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_slab_t *slab,
                          disjoint_slab_t **out) {
    if (!slab->listed) {
        list_push(pool, shard, slab);
    }
    if (load_relaxed(&slab->used) == 0 && !slab->held) {
        slab_emptied(pool, shard, slab, out);
    } else {
        slab_refresh(pool, shard, slab);
    }
}

/* False: the chunk was free already. */
static bool shard_put(disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_slab_t *slab,
                      size_t chunk, disjoint_slab_t **out) {
    if (!disjoint_slab_put(slab, chunk)) {
        return false;
    }
    shard_has_put(pool, shard, slab, out);
    return true;
}

/* What follows when a chunk of a listed slab was taken. */
static void shard_taken(disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_slab_t *slab) {
    if (load_relaxed(&slab->used) == slab->chunks) {
        list_remove(pool, shard, slab);
    }
    slab_refresh(pool, shard, slab);
    if (!pool->lazy && slab->held) {
        shard_settle(pool, shard, slab->bucket);
    }
}

static void *shard_take(disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_slab_t *slab) {
    void *ptr = disjoint_slab_take(slab);
    shard_taken(pool, shard, slab);
    return ptr;
}

/* Puts the hot chunk of a bucket back into its slab. */
UMF_NOINLINE static void shard_cool_slow(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                         unsigned index, disjoint_slab_t **out) {
    // acquire: what its last holder did to the chunk is done
    void *ptr = exchange_acq_rel(&shard->hot[index], NULL);
    if (ptr == NULL) {
        return;
    }
    // Its slab is owned by this shard: it has been in use since the chunk was taken.
    disjoint_slab_t *slab = disjoint_slab_find(pool, ptr);
    if (unlikely(slab == NULL || load_relaxed(&slab->shard) != shard)) {
        log_error("%p was freed twice at the same time", ptr);
        return;
    }
    size_t chunk = disjoint_chunk_of(slab, (uintptr_t)ptr - load_relaxed(&slab->base));
    shard_put(pool, shard, slab, chunk, out);
}

UMF_INLINE void shard_cool(disjoint_pool_t *pool, disjoint_shard_t *shard, unsigned index,
                           disjoint_slab_t **out) {
    if (load_relaxed(&shard->hot[index]) != NULL) {
        shard_cool_slow(pool, shard, index, out);
    }
}

/* ---- malloc --------------------------------------------------------------------------------- */

static void shard_own(const disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_slab_t *slab) {
    store_relaxed(&slab->hot, &shard->hot[slab->bucket]);
    store_release(&slab->shard, shard); // pairs with load_acquire in shard_lock_owner
    list_push(pool, shard, slab);
}

/* An empty slab that waits in the bucket becomes the shard's. */
static disjoint_slab_t *shard_adopt(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                    disjoint_bucket_t *bucket) {
    lock_acquire(&bucket->lock);
    disjoint_slab_t *slab = bucket->shared;
    if (slab != NULL) {
        bucket->shared = slab->next;
        disjoint_slab_unkeep(pool, bucket);
    }
    lock_release(&bucket->lock);
    if (slab != NULL) {
        shard_own(pool, shard, slab);
    }
    return slab;
}

/* A chunk from any shard. */
static void *take_anywhere(disjoint_pool_t *pool, unsigned index) {
    void *ptr = NULL;
    disjoint_slab_t *out = NULL;
    for (uint32_t number = 1; number <= DISJOINT_SHARDS_MAX && ptr == NULL; number++) {
        disjoint_shard_t *shard = shard_at(pool, number);
        if (shard == NULL) {
            continue;
        }
        lock_acquire(&shard->lock);
        shard_cool(pool, shard, index, &out);
        disjoint_slab_t *slab = shard->list[index];
        slab = slab != NULL ? slab : shard_adopt(pool, shard, &pool->bucket[index]);
        if (slab != NULL) {
            ptr = shard_take(pool, shard, slab);
        }
        lock_release(&shard->lock);
    }
    disjoint_slab_return(pool, out);
    return ptr;
}

UMF_INLINE void count_alloc(const disjoint_pool_t *pool, disjoint_bucket_t *bucket, bool from_pool,
                            const void *ptr) {
    if (unlikely(pool->settings.trace >= 2) && ptr != NULL) {
        fetch_add_relaxed(&bucket->alloc_num, 1);
        fetch_add_relaxed(&bucket->alloc_pool_num, from_pool ? 1 : 0);
    }
}

/* The shard has no slab with a free chunk. */
UMF_NOINLINE static void *alloc_from_new_slab(disjoint_pool_t *pool, disjoint_bucket_t *bucket) {
    disjoint_slab_t *slab = disjoint_slab_create(pool, bucket);
    if (slab == NULL) {
        void *ptr = take_anywhere(pool, bucket->index);
        if (ptr != NULL) {
            count_alloc(pool, bucket, true, ptr);
            return ptr;
        }
        if (disjoint_shard_trim(pool, 0) == 0 ||
            (slab = disjoint_slab_create(pool, bucket)) == NULL) {
            disjoint_last_error = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
            return NULL;
        }
    }
    disjoint_shard_t *shard = shard_lock_own(pool);
    shard_own(pool, shard, slab);
    void *ptr = shard_take(pool, shard, slab);
    lock_release(&shard->lock);
    count_alloc(pool, bucket, false, ptr);
    return ptr;
}

/* The rest of disjoint_shard_alloc when it is more than handing out one chunk of many. */
UMF_NOINLINE static void *alloc_finish(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                       disjoint_slab_t *slab, void *ptr) {
    disjoint_bucket_t *bucket = &pool->bucket[slab->bucket];
    shard_taken(pool, shard, slab);
    lock_release(&shard->lock);
    count_alloc(pool, bucket, true, ptr);
    return ptr;
}

UMF_NOINLINE static void *alloc_without_slab(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                             unsigned index) {
    disjoint_bucket_t *bucket = &pool->bucket[index];
    disjoint_slab_t *slab = shard_adopt(pool, shard, bucket);
    if (slab != NULL) {
        return alloc_finish(pool, shard, slab, disjoint_slab_take(slab));
    }
    lock_release(&shard->lock);
    return alloc_from_new_slab(pool, bucket);
}

/* Releases and returns ptr: as one call, it can be the last one of its caller, which then need not
 * save registers. */
UMF_COLD static void *wake_and_return(umf_lock_t *lock, void *ptr) {
    lock_release_slow(lock);
    return ptr;
}

UMF_INLINE void *release_and_return(umf_lock_t *lock, void *ptr) {
    bool sleepers = atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2;
    return likely(!sleepers) ? ptr : wake_and_return(lock, ptr);
}

/* The shard is locked; it is released. */
UMF_INLINE void *alloc_locked(disjoint_pool_t *pool, disjoint_shard_t *shard, unsigned index) {
    disjoint_slab_t *slab = shard->list[index];
    if (unlikely(slab == NULL)) {
        return alloc_without_slab(pool, shard, index);
    }
    void *ptr = disjoint_slab_take(slab);
    size_t used = load_relaxed(&slab->used);
    if (unlikely(used == slab->chunks || used == 1 || slab->span_unit == 0)) {
        return alloc_finish(pool, shard, slab, ptr);
    }
    store_relaxed(&slab->hot_span, slab->low * slab->span_unit); // as slab_refresh() would
    return release_and_return(&shard->lock, ptr);
}

/* The thread has no shard yet, or somebody else is there. */
UMF_NOINLINE static void *alloc_waiting(disjoint_pool_t *pool, unsigned index) {
    return alloc_locked(pool, shard_lock_own(pool), index);
}

void *disjoint_shard_alloc(disjoint_pool_t *pool, size_t size) {
    unsigned index = disjoint_bucket_of(pool, size - 1);
    uint32_t number = disjoint_thread;
    disjoint_shard_t *shard = load_acquire(&pool->shard[number]);
    if (unlikely(shard->number != number || !lock_try_acquire(&shard->lock))) {
        return alloc_waiting(pool, index);
    }
    return alloc_locked(pool, shard, index);
}

/* ---- free ----------------------------------------------------------------------------------- */

/* The owner of the slab, locked; NULL: nobody, so that none of its chunks can be taken. */
UMF_INLINE disjoint_shard_t *shard_lock_owner(disjoint_slab_t *slab) {
    for (;;) {
        disjoint_shard_t *shard = load_acquire(&slab->shard);
        if (shard == NULL) {
            return NULL;
        }
        lock_acquire(&shard->lock);
        if (likely(load_relaxed(&slab->shard) == shard)) {
            return shard;
        }
        lock_release(&shard->lock); // changes only when the slab is empty: the free is wrong
    }
}

UMF_COLD static umf_result_t free_refused(const disjoint_pool_t *pool, const void *ptr) {
    log_error("umfPoolFree(%p): no allocated block of pool \"%s\"", ptr, pool->settings.name);
    return UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

/* The rest of disjoint_shard_free when it is more than clearing a bit. The owner is locked. */
UMF_NOINLINE static umf_result_t free_finish(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                             disjoint_slab_t *slab, const void *ptr) {
    disjoint_bucket_t *bucket = &pool->bucket[slab->bucket];
    disjoint_slab_t *out = NULL;
    shard_cool(pool, shard, bucket->index, &out); // the older free first
    size_t chunk = disjoint_chunk_of(slab, (uintptr_t)ptr - load_relaxed(&slab->base));
    // not if that has just emptied the slab: then ptr was free
    bool freed = load_relaxed(&slab->shard) == shard && chunk < slab->chunks &&
                 shard_put(pool, shard, slab, chunk, &out);
    lock_release(&shard->lock);
    disjoint_slab_return(pool, out);
    if (unlikely(!freed)) {
        return free_refused(pool, ptr);
    }
    if (unlikely(pool->settings.trace >= 2)) {
        fetch_add_relaxed(&bucket->free_num, 1);
    }
    return UMF_RESULT_SUCCESS;
}

UMF_COLD static umf_result_t wake_and_succeed(umf_lock_t *lock) {
    lock_release_slow(lock);
    return UMF_RESULT_SUCCESS;
}

/* The owner is locked; it is released. */
UMF_INLINE umf_result_t free_locked(disjoint_pool_t *pool, disjoint_shard_t *shard,
                                    disjoint_slab_t *slab, const void *ptr) {
    size_t chunk = disjoint_chunk_of(slab, (uintptr_t)ptr - load_relaxed(&slab->base));
    bool simple = load_relaxed(&slab->used) > 2 && slab->listed && slab->span_unit != 0 &&
                  chunk < slab->chunks && load_relaxed(&shard->hot[slab->bucket]) == NULL;
    if (unlikely(!simple || !disjoint_slab_put(slab, chunk))) {
        return free_finish(pool, shard, slab, ptr);
    }
    if (shard->list[slab->bucket] == slab) { // as slab_refresh() would; other listed ones have 0
        store_relaxed(&slab->hot_span, slab->low * slab->span_unit);
    }
    bool sleepers = atomic_exchange_explicit(&shard->lock.word, 0, memory_order_release) == 2;
    return likely(!sleepers) ? UMF_RESULT_SUCCESS : wake_and_succeed(&shard->lock);
}

UMF_NOINLINE static umf_result_t free_waiting(disjoint_pool_t *pool, disjoint_slab_t *slab,
                                              const void *ptr) {
    disjoint_shard_t *shard = shard_lock_owner(slab);
    return shard != NULL ? free_locked(pool, shard, slab, ptr) : free_refused(pool, ptr);
}

umf_result_t disjoint_shard_free(disjoint_pool_t *pool, disjoint_slab_t *slab, const void *ptr) {
    disjoint_shard_t *shard = load_acquire(&slab->shard);
    if (unlikely(shard == NULL || !lock_try_acquire(&shard->lock))) {
        return free_waiting(pool, slab, ptr);
    }
    if (unlikely(load_relaxed(&slab->shard) != shard)) {
        lock_release(&shard->lock);
        return free_waiting(pool, slab, ptr);
    }
    return free_locked(pool, shard, slab, ptr);
}

/* ---- trim, statistics ----------------------------------------------------------------------- */

/* True when the empty slab is left out for what is to be kept. */
static bool trim_skips(size_t *keep, const disjoint_bucket_t *bucket) {
    if (*keep == 0) {
        return false;
    }
    *keep -= *keep < bucket->slab_bytes ? *keep : bucket->slab_bytes;
    return true;
}

static void trim_shard(disjoint_pool_t *pool, disjoint_shard_t *shard, disjoint_bucket_t *bucket,
                       size_t *keep, disjoint_slab_t **out) {
    lock_acquire(&shard->lock);
    shard_cool(pool, shard, bucket->index, out);
    shard_settle(pool, shard, bucket->index);
    disjoint_slab_t *slab = shard->held[bucket->index];
    if (slab != NULL && !trim_skips(keep, bucket)) {
        shard->held[bucket->index] = NULL;
        slab->held = false;
        slab_disown(pool, shard, slab);
        lock_acquire(&bucket->lock);
        disjoint_slab_unkeep(pool, bucket);
        disjoint_slab_leave(bucket, slab);
        lock_release(&bucket->lock);
        slab->next = *out;
        *out = slab;
    }
    lock_release(&shard->lock);
}

static void trim_shared(disjoint_pool_t *pool, disjoint_bucket_t *bucket, size_t *keep,
                        disjoint_slab_t **out) {
    lock_acquire(&bucket->lock);
    disjoint_slab_t **link = &bucket->shared;
    while (*link != NULL) {
        disjoint_slab_t *slab = *link;
        if (trim_skips(keep, bucket)) {
            link = &slab->next;
            continue;
        }
        *link = slab->next;
        disjoint_slab_unkeep(pool, bucket);
        disjoint_slab_leave(bucket, slab);
        slab->next = *out;
        *out = slab;
    }
    lock_release(&bucket->lock);
}

size_t disjoint_shard_trim(disjoint_pool_t *pool, size_t keep) {
    size_t returned = 0;
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        disjoint_slab_t *out = NULL;
        for (uint32_t number = 1; number <= DISJOINT_SHARDS_MAX; number++) {
            disjoint_shard_t *shard = shard_at(pool, number);
            if (shard != NULL) {
                trim_shard(pool, shard, &pool->bucket[i], &keep, &out);
            }
        }
        trim_shared(pool, &pool->bucket[i], &keep, &out);
        returned += disjoint_slab_return(pool, out);
    }
    return returned;
}

void disjoint_shard_sync(disjoint_pool_t *pool, unsigned index) {
    disjoint_slab_t *out = NULL;
    for (uint32_t number = 1; number <= DISJOINT_SHARDS_MAX; number++) {
        disjoint_shard_t *shard = shard_at(pool, number);
        if (shard != NULL) {
            lock_acquire(&shard->lock);
            shard_cool(pool, shard, index, &out);
            shard_settle(pool, shard, index);
            lock_release(&shard->lock);
        }
    }
    disjoint_slab_return(pool, out);
}

/* ---- life, fork ----------------------------------------------------------------------------- */

static void fork_each(disjoint_pool_t *pool, void (*act)(umf_lock_t *lock)) {
    act(&pool->lock);
    for (uint32_t number = 1; number <= DISJOINT_SHARDS_MAX; number++) {
        disjoint_shard_t *shard = shard_at(pool, number);
        if (shard != NULL) {
            act(&shard->lock);
        }
    }
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        act(&pool->bucket[i].lock);
    }
}

static void fork_lock(umf_lock_t *lock) {
    lock_acquire(lock);
}
static void fork_unlock(umf_lock_t *lock) {
    lock_release(lock);
}
static void fork_reset(umf_lock_t *lock) {
    lock_init(lock);
}

static void fork_prepare_pool(void *pool) {
    fork_each(pool, fork_lock);
}
static void fork_parent_pool(void *pool) {
    fork_each(pool, fork_unlock);
}
static void fork_child_pool(void *pool) {
    fork_each(pool, fork_reset);
}

umf_result_t disjoint_shards_create(disjoint_pool_t *pool) {
    if (disjoint_thread == 0) {
        thread_number_deal();
    }
    disjoint_shard_t *first = shard_new(disjoint_thread);
    if (first == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (uint32_t number = 0; number <= DISJOINT_SHARDS_MAX; number++) {
        store_relaxed(&pool->shard[number], first);
    }
    pool->fork_node = (fork_node_t){
        .rank = LOCK_RANK_POOL,
        .prepare = fork_prepare_pool,
        .parent = fork_parent_pool,
        .child = fork_child_pool,
        .arg = pool,
    };
    fork_register(&pool->fork_node);
    return UMF_RESULT_SUCCESS;
}

void disjoint_shards_destroy(disjoint_pool_t *pool) {
    if (pool->fork_node.arg != NULL) {
        fork_unregister(&pool->fork_node);
    }
    disjoint_shard_t *first = load_relaxed(&pool->shard[0]);
    for (uint32_t number = 1; number <= DISJOINT_SHARDS_MAX; number++) {
        disjoint_shard_t *shard = load_relaxed(&pool->shard[number]);
        if (shard != first) { // which stands for all that were never made
            base_free(shard, sizeof(*shard));
        }
    }
    base_free(first, sizeof(*first));
}

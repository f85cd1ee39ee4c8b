/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Disjoint pool: data, and the functions between its files. How the pieces fit:
 *
 *   pool ──► buckets   one per block size; know all slabs of that size, keep spare empty ones
 *     └────► shards    one per running thread, as far as there are enough; serve from their slabs
 *                 └──► slabs   one provider allocation each, cut into chunks; a bitmap of them
 *
 * Pooled memory is never touched: descriptors live elsewhere, free chunks are not linked through
 * themselves.
 *
 * A chunk is taken (bit set) or free. Of each bucket a shard may have one chunk in its *hot slot*:
 * it is taken as far as its slab is concerned, but in nobody's hands. Hot slots are filled and
 * emptied by single atomic operations, without a lock: that is the fast path of malloc and free.
 * Everything else happens under the lock of the shard.
 *
 * The hot slot must not be visible in the order of addresses, nor in what is kept or returned. A
 * freed chunk may go there only if it would be the next one handed out anyway, and if freeing it
 * does not empty its slab. Both are one test: its offset lies below the slab's `hot_span`, see
 * slab_refresh(). Whoever wants exact figures empties the hot slots first.
 *
 * An empty slab is kept or returned. A shard *holds* one kept slab of each bucket, in its list of
 * usable slabs; others wait in the bucket, for any shard. A held slab is not un-held at once when a
 * chunk of it is taken (unless the pool counts slabs or shares limits), so that a lone block that
 * comes and goes does not change any shared count; this is settled before the next decision about
 * an empty slab.
 *
 * Locks: pool, then shard, then bucket; never two of a kind, and none while the provider works.
 */
#ifndef UMF_POOLS_DISJOINT_H
#define UMF_POOLS_DISJOINT_H

#include <umf/pools/pool_disjoint.h>

#include "core/fork.h"
#include "core/map.h"
#include "pools/pool_common.h"

enum {
    DISJOINT_BUCKETS_MAX = 64,
    DISJOINT_SHARDS_MAX = 32,
    DISJOINT_LOOKUP_SHIFT = 11, /* look-up table of 2048 entries */
    DISJOINT_PAGE_SHIFT = 12,   /* granularity of the look-up table */
    DISJOINT_WORD_BITS = 64,    /* of a word of a bitmap */
};
/* Size of the last bucket. */
#define DISJOINT_SIZE_MAX ((size_t)1 << 31)

/* Slot of the core state: `next_id` deals shard numbers to threads. */
enum { CORE_SLOT_DISJOINT = 1 };

typedef struct disjoint_settings {
    size_t slab_min_size, max_poolable_size, capacity;
    size_t min_bucket_size; /* 0: the provider's cache line size */
    int trace;
    struct umf_disjoint_pool_shared_limits_t *limits; /* or NULL; referenced */
    char name[POOL_NAME_BYTES];
} disjoint_settings_t;

/* Descriptors are reused only within their bucket, so that a racing reader always sees a range that
 * is or was right. */
typedef struct disjoint_slab {
    _Atomic(uintptr_t) base;        /* 0: a spare descriptor */
    _Atomic(uintptr_t) hot_span;    /* offsets below may go to the hot slot; <= bytes of the slab */
    uint64_t magic;                 /* of the bucket; constant */
    _Atomic(_Atomic(void *) *) hot; /* hot slot of the owner; only used after a look at hot_span */
    /* Owner; NULL: waits in the bucket, or spare. Changes only while the slab is empty. */
    _Atomic(struct disjoint_shard *) shard;
    size_t bytes;         /* of the slab; constant */
    size_t size;          /* of a chunk; constant */
    size_t span_unit;     /* size, or 0 when nothing may go to the hot slot; constant */
    size_t chunks;        /* constant */
    uint32_t bucket;      /* index; constant */
    bool listed;          /* in the shard's list: has free chunks */
    bool held;            /* counted as pooled, kept by its shard */
    _Atomic(size_t) used; /* taken chunks; written under the shard's lock */
    size_t low;           /* no chunk below is free */
    /* List of the shard; `next` also serves the shared and spare lists of the bucket. */
    struct disjoint_slab *next, *prev;
    struct disjoint_slab *all_next, *all_prev; /* all slabs of the bucket; under its lock */
    struct disjoint_pool *pool;
    uint64_t *full;   /* one bit for each word of `taken`: all its chunks are taken */
    uint64_t taken[]; /* one bit for each chunk */
} disjoint_slab_t;

typedef struct disjoint_bucket {
    _Alignas(64) umf_lock_t lock;
    uint32_t index;
    /* Constant after creation. */
    size_t size, slab_bytes;
    size_t chunks;  /* of a slab */
    size_t limit;   /* empty slabs kept */
    uint64_t magic; /* see disjoint_chunk_of() */
    size_t desc_bytes;
    /* Under the lock. */
    disjoint_slab_t *all, *shared, *spare;
    size_t slabs, pooled; /* pooled: held by shards or in `shared` */
    size_t max_in_use, max_in_pool;
    _Atomic(size_t) alloc_num, alloc_pool_num, free_num;
} disjoint_bucket_t;

typedef struct disjoint_shard {
    _Atomic(void *) hot[DISJOINT_BUCKETS_MAX];
    umf_lock_t lock;
    uint32_t number; /* of the threads that it serves first */
    /* Slabs with free chunks; the head is used first. */
    disjoint_slab_t *list[DISJOINT_BUCKETS_MAX];
    /* The kept slab, also in the list; its count may lag, see above. */
    disjoint_slab_t *held[DISJOINT_BUCKETS_MAX];
} disjoint_shard_t;

typedef struct disjoint_pool {
    /* By thread number; the first one stands for those not yet made. */
    _Atomic(disjoint_shard_t *) shard[DISJOINT_SHARDS_MAX + 1];
    size_t fast_max;       /* larger requests take the slow path; 0: all of them */
    uint8_t bucket_of[64]; /* see disjoint_bucket_of() in disjoint_inl.h */
    /* Slabs by page, or disjoint_slab_none; a cache of what the map knows. */
    _Atomic(disjoint_slab_t *) *lookup;

    disjoint_settings_t settings; /* constant after post_initialize */
    bool ready;                   /* post_initialize has run */
    bool lazy;                    /* held slabs may be counted late */
    bool own_wrapper;             /* `provider` was made here: the pool runs without tracking */
    umf_memory_provider_handle_t provider; /* tracking wrapper in any case */
    umf_memory_provider_handle_t upstream; /* what it wraps */
    umf_memory_pool_handle_t handle;       /* of the wrapper; NULL: hidden */
    size_t provider_page;                  /* alignment that every slab has; 0: unknown */
    size_t poolable_max;                   /* largest request for a bucket */
    uint32_t bucket_count;
    disjoint_bucket_t *bucket;
    _Atomic(size_t) direct; /* live blocks that are provider allocations of their own */
    umf_lock_t lock;        /* creation of shards */
    fork_node_t fork_node;
} disjoint_pool_t;

/* Outcome of this thread's last failed allocation. */
extern UMF_TLS umf_result_t disjoint_last_error;
/* This thread's shard number; 0: none yet. */
extern UMF_TLS uint32_t disjoint_thread;

/* ---- disjoint_buckets.c ---- */

/* Fills in buckets and tables from the settings. */
umf_result_t disjoint_buckets_create(disjoint_pool_t *pool);
/* Frees the buckets and their descriptors; slabs must be gone. */
void disjoint_buckets_destroy(disjoint_pool_t *pool);

/* ---- disjoint_slab.c ---- */

/* No address lies in it. */
extern const disjoint_slab_t disjoint_slab_none;
/* The look-up table of a pool; false: no memory. */
bool disjoint_lookup_create(disjoint_pool_t *pool);
void disjoint_lookup_destroy(disjoint_pool_t *pool);

/* A new slab, in no list; NULL: no memory. Calls the provider. */
disjoint_slab_t *disjoint_slab_create(disjoint_pool_t *pool, disjoint_bucket_t *bucket);
/* Returns slabs that are in no list, linked by `next`, to the provider. A slab that it does not
 * take back waits in its bucket. Number of slabs taken back. */
size_t disjoint_slab_return(disjoint_pool_t *pool, disjoint_slab_t *slabs);
/* Takes an empty slab out of its bucket's accounts; bucket lock held. */
void disjoint_slab_leave(disjoint_bucket_t *bucket, disjoint_slab_t *slab);
/* Counts an empty slab as kept; false: the shared limits forbid it. Bucket lock held. */
bool disjoint_slab_keep(disjoint_pool_t *pool, disjoint_bucket_t *bucket);
/* Undoes it. Bucket lock held. */
void disjoint_slab_unkeep(disjoint_pool_t *pool, disjoint_bucket_t *bucket);
/* The slab of this pool that ptr lies in, or NULL; asks the map and remembers the answer. See
 * disjoint_slab_find(). */
disjoint_slab_t *disjoint_slab_find_slow(disjoint_pool_t *pool, const void *ptr);
/* Returns all slabs at the end of the pool. First error of the provider. */
umf_result_t disjoint_slab_return_all(disjoint_pool_t *pool);
/* Remembers in the map that a provider allocation is one block of this pool; false: the map does
 * not have it. */
bool disjoint_direct_attach(disjoint_pool_t *pool, const void *ptr);
/* Bytes of such a block that begins at ptr; 0: there is none. */
size_t disjoint_direct_size(const disjoint_pool_t *pool, const void *ptr);

/* ---- disjoint_shard.c ---- */

umf_result_t disjoint_shards_create(disjoint_pool_t *pool);
void disjoint_shards_destroy(disjoint_pool_t *pool);
/* A chunk for 1..2^31 bytes; NULL: out of memory, also noted as the last error. */
void *disjoint_shard_alloc(disjoint_pool_t *pool, size_t size);
/* Frees a chunk through any pointer into it. INVALID_ARGUMENT: it is free already. */
umf_result_t disjoint_shard_free(disjoint_pool_t *pool, disjoint_slab_t *slab, const void *ptr);
/* Returns empty slabs, small buckets first, after leaving out whole ones worth `keep` bytes. Number
 * returned. */
size_t disjoint_shard_trim(disjoint_pool_t *pool, size_t keep);
/* Empties hot slots and settles held slabs, so that the counts of one bucket are exact. */
void disjoint_shard_sync(disjoint_pool_t *pool, unsigned index);

/* ---- disjoint_limits.c ---- */

struct umf_disjoint_pool_shared_limits_t *
disjoint_limits_reference(struct umf_disjoint_pool_shared_limits_t *limits);
void disjoint_limits_release(struct umf_disjoint_pool_shared_limits_t *limits);
/* Books bytes; false: more than there are. NULL limits: always true. */
bool disjoint_limits_take(struct umf_disjoint_pool_shared_limits_t *limits, size_t bytes);
void disjoint_limits_give(struct umf_disjoint_pool_shared_limits_t *limits, size_t bytes);

/* ---- disjoint_ctl.c ---- */

extern const struct ctl_table disjoint_ctl_table;
umf_result_t disjoint_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                          size_t size, umf_ctl_query_type_t query_type, va_list args);
/* Live blocks of the pool. */
size_t disjoint_blocks(disjoint_pool_t *pool);
/* Table of all buckets, at debug level. */
void disjoint_log_summary(disjoint_pool_t *pool);

/* ---- pool_disjoint.c ---- */

/* The second step of creation, by the CTL node post_initialize. */
umf_result_t disjoint_post_initialize(disjoint_pool_t *pool);

#endif /* UMF_POOLS_DISJOINT_H */

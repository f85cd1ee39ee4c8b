/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Slab pool: data only. How the pieces fit:
 *
 *   pool ──► chunks        provider allocations, cut into 64-KiB slices (slab_chunk.c)
 *     │        └─► slabs   runs of slices; one size class each, or one large block (slab_large.c)
 *     └──► thread heaps    one per thread and pool; own slabs, hand out their blocks (slab_theap.c)
 *
 * Descriptors live outside the memory that is handed out. The address map leads from any block to
 * its slab.
 *
 * Where a block of a slab can be: in its heap's ready list (detached from the slab, malloc pops
 * it), in the user's hands, in the slab's `free` list (pushed by the owner thread), in its `remote`
 * list (pushed by others), in an open batch of another thread (slab_remote.c), or not made yet.
 */
#ifndef UMF_POOLS_SLAB_TYPES_H
#define UMF_POOLS_SLAB_TYPES_H

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#include "core/fork.h"
#include "core/map.h"
#include "core/pool_fast.h"
#include "core/provider.h"
#include "pools/pool_common.h"
#include "pools/slab_classes.h"

typedef pool_fast_block_t slab_block_t;

typedef enum slab_state {
    SLAB_CURRENT = 1, /* feeds its heap's ready list of the class */
    SLAB_AVAILABLE,   /* in its heap's list of the class: has free blocks */
    SLAB_FULL,   /* in no list: comes back when `needed` of its blocks were freed, or by mail */
    SLAB_LARGE,  /* one block of whole slices; no owner */
    SLAB_HUGE,   /* one block that is a provider allocation of its own; no owner */
    SLAB_CACHED, /* a huge one that was freed and waits for reuse */
} slab_state_t;

/*
 * Accounting. used = blocks that are not in `free` and not unmade, as of the last settling; since
 * then (needed_set - needed) of them were freed by the owner. Hence, at any time: length(free) ==
 * made - used + (needed_set - needed),   used <= made <= capacity `needed` is the number of own
 * frees until the slow side must look: all blocks home, or a full slab worth reusing. Current slabs
 * are looked at when they are used up, and at ticks: theirs never runs out; a tick marks them idle
 * by another such value. (Except current slabs of medium classes that are not in constant use:
 * those are looked at when they are empty.)
 */
enum {
    SLAB_NEEDED_NEVER = 1 << 30, /* more than the blocks of any slab */
    SLAB_NEEDED_IDLE = 1 << 29,
};

typedef struct slab {
    union {
        pool_fast_run_t fast; /* what umfPoolFree sees of it */
        struct {
            /* head (its owner: thread heap, or MAP_OWNER_NONE for large blocks), needed, factor,
             * limit, used, free */
            POOL_FAST_RUN_MEMBERS
        };
    };
    _Atomic(uint64_t) remote; /* freed by others; see slab_remote.c */
    uint32_t needed_set;      /* owner thread only, as the next four */
    _Atomic(uint16_t) made;   /* blocks; written by the owner thread, read by frees of others */
    uint16_t capacity;        /* blocks */
    uint8_t cls;              /* size class, or SLAB_CLASS_NONE */
    uint8_t state : 7;        /* slab_state_t */
    uint8_t own_region : 1;   /* huge: the pool registered it itself; constant while it lives */
    bool fresh;               /* blocks not yet made read as zero */
    bool watched;             /* a large block with a record (slab_watch.h) */
    uint32_t slices;

    uintptr_t base;           /* first block; slice-aligned */
    size_t block_bytes;       /* of large and huge blocks: usable bytes */
    struct slab *next, *prev; /* available list of the heap; free descriptors: next */
    union {
        struct slab *mail_next; /* in a mailbox: slabs of thread heaps */
        void *record;           /* watched large blocks */
        void **records;         /* watched slabs: by block; NULL where it is free */
    };
    struct slab_pool *pool;
    struct slab_chunk *chunk; /* NULL: huge */
} slab_t;
static_assert(offsetof(slab_t, capacity) + sizeof(uint16_t) <= 64,
              "what frees and refills touch is one cache line");
static_assert(sizeof(slab_t) <= 128, "two cache lines");

/* A batch of blocks of one slab that this thread freed and has not yet given to their owner. */
typedef struct slab_batch {
    slab_t *slab;
    slab_block_t *head, *tail;
    uint32_t count;
} slab_batch_t;

enum {
    SLAB_TICK_REFILLS = 256,     /* refills from one tick of a heap to the next */
    SLAB_BATCHES = 32,           /* open at a time; chosen by the slab's address */
    SLAB_BATCH_BLOCKS = 32,      /* given to the owner at this many blocks … */
    SLAB_BATCH_BYTES = 4 * 1024, /* … or bytes, so that a sleeping thread holds little */
    SLAB_BATCH_FREES = 2048,     /* all are given after this many remote frees */
};

/*
 * Thread heap: what one thread needs of one pool. All members belong to the thread, except where
 * noted. A heap outlives its thread: it is parked in the pool and taken over by the next thread, or
 * emptied by those who need slabs.
 */
typedef struct slab_theap {
    union {
        pool_fast_heap_t fast; /* what umfPoolMalloc sees of it */
        struct {
            /* ready (blocks of current[class]), pool_handle, class_of */
            POOL_FAST_HEAP_MEMBERS
        };
    };
    size_t medium_max;                 /* larger sizes take the slow path; SLAB_CLASS_MAX */
    slab_t *current[SLAB_CLASSES + 1]; /* the last is NULL, as is its ready list */
    slab_t *available[SLAB_CLASSES];
    uint32_t ticks;           /* refills until the next tick; 0: it is due */
    struct slab_watch *watch; /* slab_watch.h; NULL: this heap is not watched */
    struct slab_pool *pool;
    uint8_t heat[SLAB_CLASSES]; /* times that the current slab was empty, since the last tick;
                                   medium classes */
    slab_batch_t batch[SLAB_BATCHES];
    uint32_t batch_frees;            /* remote frees until all batches are given */
    struct slab_theap *next_parked;  /* under the pool's lock */
    struct slab_theap *next_of_pool; /* all heaps of the pool; under the pool's lock */
    bool parked;                     /* under the pool's lock */
    _Atomic(bool) let_go;            /* by its pool or its thread: the other one frees it */
    bool flushed;                    /* parked and holding no ready blocks any more */
    uint32_t parked_since;           /* ms */
    bool shared;                     /* a heap of the pool itself, under a lock of its own */
    _Alignas(64) _Atomic(slab_t *)
        mailbox; /* slabs with remote frees; any thread pushes, the holder takes all */
} slab_theap_t;

enum {
    SLAB_CHUNK_SLICES_MAX = 1024, /* 64 MiB */
    SLAB_CHUNK_WORDS = SLAB_CHUNK_SLICES_MAX / 64,
};

/* One provider allocation cut into slices. All under the pool's lock, except where noted. */
typedef struct slab_chunk {
    struct slab_chunk *next;
    struct slab_pool *pool;
    uintptr_t base; /* slice-aligned */
    uint32_t slices, free_slices;
    uint32_t longest;    /* no run of free slices is longer (may be too high) */
    void *provider_base; /* what the provider gave */
    size_t provider_bytes;
    map_region_t *region;
    bool own_region;                    /* registered by the pool itself: tracking is off */
    uint64_t taken[SLAB_CHUNK_WORDS];   /* slices in use */
    uint64_t touched[SLAB_CHUNK_WORDS]; /* slices written since the provider gave or purged them */
    uint64_t aged[SLAB_CHUNK_WORDS];    /* free and touched at the last purge tick */
    uint64_t stuck[SLAB_CHUNK_WORDS]; /* free and touched, and a purge did not clean them: not tried
                                         again */
    _Atomic(slab_t *) slab_at[];      /* by slice; read without lock by the map */
} slab_chunk_t;

/* What a thread knows about its heaps; see slab_thread.c. */
typedef struct slab_thread_entry {
    uint64_t pool_id; /* 0: free */
    slab_theap_t *theap;
} slab_thread_entry_t;

enum { SLAB_THREAD_CACHE = 16 };

typedef struct slab_thread {
    slab_thread_entry_t cache[SLAB_THREAD_CACHE]; /* by pool id modulo its size */
    slab_thread_entry_t *entry;                   /* all heaps */
    uint32_t count, room;
    uint32_t exit_rounds; /* calls of the thread key's destructor so far */
    bool retired;         /* no more heaps for this thread */
} slab_thread_t;

enum { SLAB_CACHE_ENTRIES = 8 };

/* Huge blocks kept for reuse. */
typedef struct slab_cached {
    slab_t *slab;   /* NULL: empty */
    uint32_t since; /* ms */
} slab_cached_t;

typedef struct slab_pool {
    /* Constant after creation. */
    uint64_t id;                           /* never reused; key of the per-thread cache */
    umf_memory_provider_handle_t provider; /* tracking wrapper or raw provider */
    const provider_extension_t *extension;
    void *extension_priv;
    size_t chunk_min_bytes, chunk_max_bytes;
    size_t large_max;       /* larger blocks are huge */
    size_t huge_granule;    /* sizes of huge blocks from here on are multiples of it: the provider's
                               page size for them */
    size_t cache_max_bytes; /* of huge blocks kept for reuse */
    uint32_t purge_delay_ms;         /* 0: at once */
    bool keep_all;                   /* never purges nor returns memory before the end */
    bool zeroed;                     /* the provider's fresh memory reads as zero */
    umf_memory_pool_handle_t handle; /* POOL_FAST_NO_POOL: driven by its table alone */
    bool process; /* serves malloc of the process: slab_process_theap follows it */
    char name[POOL_NAME_BYTES];
    /* Template of the heaps: lets a process pool send sizes to its dispatcher. */
    uint8_t class_of[SLAB_FAST_MAX + 1];
    size_t medium_max;

    umf_lock_t lock; /* rank LOCK_RANK_POOL; not held while the provider works */
    slab_chunk_t *chunks;
    size_t next_chunk_bytes;
    bool probed;          /* the second chunk was asked for early, see slab_chunk_take */
    _Atomic(bool) scarce; /* the provider had no chunk of the wanted size; read without the lock */
    slab_t *free_slabs;   /* descriptors */
    slab_theap_t *theaps;
    slab_theap_t *parked, *parked_last; /* first to be taken over, last */
    uint32_t swept_at;                  /* ms; when the parked heaps were looked through */
    uint32_t theap_count;
    uint32_t purge_at; /* ms; next purge tick */
    bool purge_pending;
    uint32_t purging; /* purges under way: ticks that fall due meanwhile wait for the next */
    slab_cached_t cache[SLAB_CACHE_ENTRIES];
    size_t cache_bytes;
    slab_t *huge;      /* live ones, linked by next and prev */
    slab_t *leftovers; /* memory that the provider did not take back, see slab_chunk.c */
    size_t large_blocks, large_bytes;     /* live, of whole slices */
    size_t huge_blocks, huge_bytes;       /* live, with a provider allocation of their own */
    size_t reserved_bytes, reserved_peak; /* from the provider */
    size_t taken_bytes, taken_peak;       /* in slabs and live large blocks */
    size_t purges, purged_bytes;
    _Atomic(size_t) provider_calls;

    umf_lock_t shared_lock; /* taken before `lock`; held while the provider works */
    slab_theap_t *shared;   /* heap for threads that have none */
    _Atomic(uint32_t)
        exiting; /* threads that are parking their heaps here: destruction waits for them */
    _Atomic(struct slab_watcher *) watcher; /* slab_watch.h; NULL: never watched */
    fork_node_t fork_node;
    struct slab_pool *next_live; /* list of live pools; under the globals' lock */
} slab_pool_t;

/* Slot of the core state: `live` lists the pools (slab_pool_t.next_live), `spare` the descriptors
 * of destroyed pools, reused only as such; `next_id` numbers pools. */
enum { CORE_SLOT_SLAB = 0 };

#endif /* UMF_POOLS_SLAB_TYPES_H */

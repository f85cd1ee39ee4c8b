/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What is in a slab pool, in detail: by size class and by thread heap. The walk goes through a
 * reader, so that it serves for a pool of this process as well as for one of another process
 * (umf-run --attach), whose memory is read from outside while it runs.
 */
#ifndef UMF_POOLS_SLAB_DETAIL_H
#define UMF_POOLS_SLAB_DETAIL_H

#include "pools/slab.h"

/* Copies bytes of the process that is looked at; false: they are not there. */
typedef struct slab_reader {
    bool (*read)(void *context, const void *from, void *to, size_t bytes);
    void *context;
} slab_reader_t;

typedef struct slab_class_detail {
    size_t slabs, slab_bytes;
    size_t made, used; /* blocks; used: not in a free list (ready ones count as used) */
    uint64_t requests; /* blocks that threads took, in batches, since the pool is watched */
} slab_class_detail_t;

typedef enum slab_heap_kind {
    SLAB_HEAP_THREAD,
    SLAB_HEAP_PARKED,  /* of a finished thread */
    SLAB_HEAP_SHARED,  /* for threads without one */
    SLAB_HEAP_WATCHED, /* of sampled blocks */
    SLAB_HEAP_OTHERS,  /* all that had no room in the list */
} slab_heap_kind_t;

typedef struct slab_heap_detail {
    const void *address;
    slab_heap_kind_t kind;
    size_t slabs, slab_bytes, blocks, block_bytes;
    uint64_t requests;
} slab_heap_detail_t;

enum { SLAB_DETAIL_HEAPS = 48 };

typedef struct slab_detail {
    char name[64];
    bool complete; /* nothing was missed */
    bool counted;  /* requests are known */
    slab_stats_t sums;
    size_t touched_bytes;           /* of the chunks: have been written to */
    size_t taken_bytes, taken_peak; /* in slabs and large blocks */
    slab_class_detail_t cls[SLAB_CLASSES];
    slab_heap_detail_t heap[SLAB_DETAIL_HEAPS + 1];
    unsigned heap_count;
} slab_detail_t;

/* A pool of this process; holds its lock meanwhile. */
void slab_detail_collect(slab_pool_t *pool, slab_detail_t *detail);
/* `pool` is an address that the reader understands. False: there is no pool. While the other
 * process changes what is read, figures may be off by what changed. */
bool slab_detail_read(const slab_reader_t *reader, const void *pool, slab_detail_t *detail);

#endif /* UMF_POOLS_SLAB_DETAIL_H */

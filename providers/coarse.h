/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Coarse block manager: hands out page-sized and larger blocks of memory that somebody else mapped.
 * The FILE, DEVDAX and FIXED providers are built on it. It never reads or writes the memory it
 * manages; see coarse.c for the structure.
 */
#ifndef UMF_PROVIDERS_COARSE_H
#define UMF_PROVIDERS_COARSE_H

#include <umf/base.h>

#include "core/utils.h"

enum {
    /* Free blocks looked at in rising size for one whose start suits a large alignment, before the
     * search jumps to the sizes that suit any alignment. */
    COARSE_ALIGNMENT_PROBES = 32,
};

typedef struct coarse coarse_t;

/* A range of memory to manage. Blocks never span two ranges, even when their addresses touch. */
typedef struct coarse_range {
    void *base;
    size_t size;  /* bytes */
    uint64_t tag; /* the owner's, e.g. the place in its file where the range begins */
} coarse_range_t;

/*
 * Makes at least `size` more bytes (whole pages), whose base is a multiple of `alignment` (power of
 * two, at least a page). The manager's lock is held: must not call back into it.
 */
typedef umf_result_t (*coarse_grow_t)(void *owner, size_t size, size_t alignment,
                                      coarse_range_t *range);

/* Takes back a range; called by coarse_destroy() only. */
typedef void (*coarse_release_t)(void *owner, const coarse_range_t *range);

typedef struct coarse_config {
    size_t page_size;         /* power of two: smallest alignment, and granularity of cutting */
    coarse_grow_t grow;       /* NULL: there is no more than what coarse_add_range() gave */
    coarse_release_t release; /* for every range of grow and coarse_add_range(); may be NULL */
    void *owner;              /* passed to both */
} coarse_config_t;

/* A block in use. */
typedef struct coarse_block_info {
    size_t size;          /* bytes, as asked for */
    coarse_range_t range; /* that it lies in */
} coarse_block_info_t;

typedef struct coarse_stats {
    size_t ranges, used_blocks, free_blocks;
    size_t total_bytes, free_bytes;
} coarse_stats_t;

/* All functions may be called from any thread, except create and destroy. A failed call changes
 * nothing. */

/* OUT_OF_HOST_MEMORY: no memory for metadata. */
umf_result_t coarse_create(const coarse_config_t *config, coarse_t **out);
/* Forgets all blocks and releases all ranges; NULL is allowed. */
void coarse_destroy(coarse_t *coarse);

/* INVALID_ARGUMENT: empty, or beyond the address space. OUT_OF_HOST_MEMORY: no metadata. */
umf_result_t coarse_add_range(coarse_t *coarse, const coarse_range_t *range);

/*
 * A block of `size` bytes. alignment: 0 (a page), or a power of two; below a page it counts as a
 * page. INVALID_ALIGNMENT: anything else. OUT_OF_HOST_MEMORY: no room (or size 0) and no way to
 * grow. INVALID_ARGUMENT, only with a grow function: size 0, or beyond the address space. Else
 * grow's error.
 */
umf_result_t coarse_alloc(coarse_t *coarse, size_t size, size_t alignment, void **ptr);

/*
 * Gives a block back; NULL is allowed. size: as in coarse_alloc, or 0 for "whatever it is". *freed
 * (may be NULL) is the number of bytes asked for. INVALID_ARGUMENT: ptr is no block in use, or has
 * another size.
 */
umf_result_t coarse_free(coarse_t *coarse, void *ptr, size_t size, size_t *freed);

/* Makes two blocks of one: [ptr, ptr+first) and the rest. INVALID_ARGUMENT: no such block, or bad
 * `first`. */
umf_result_t coarse_split(coarse_t *coarse, void *ptr, size_t total, size_t first);
/* Makes one block of two neighbours. INVALID_ARGUMENT: they are no blocks in use, do not touch or
 * do not add up to `total`. */
umf_result_t coarse_merge(coarse_t *coarse, void *low, void *high, size_t total);

/* INVALID_ARGUMENT: no block in use begins at ptr. */
umf_result_t coarse_lookup(coarse_t *coarse, const void *ptr, coarse_block_info_t *info);

/* The range that all of [ptr, ptr+size) lies in. Walks the ranges. INVALID_ARGUMENT: there is
 * none. */
umf_result_t coarse_find_range(coarse_t *coarse, const void *ptr, size_t size,
                               coarse_range_t *range);

/* A walk over everything: each range's beginning, its blocks in use (bytes: as far as the next
 * block), its end. It stops at the first function that returns false. */
typedef struct coarse_visitor {
    bool (*range_begin)(void *context, const coarse_range_t *range);
    bool (*block)(void *context, const coarse_range_t *range, void *ptr, size_t bytes);
    bool (*range_end)(void *context, const coarse_range_t *range);
} coarse_visitor_t;
/* False: a function did. The manager's lock is held: they must not call back into it. */
bool coarse_visit(coarse_t *coarse, const coarse_visitor_t *visitor, void *context);

void coarse_get_stats(coarse_t *coarse, coarse_stats_t *stats);
/* Walks everything; false when an invariant is broken. For tests: slow. */
bool coarse_check(coarse_t *coarse);

#endif /* UMF_PROVIDERS_COARSE_H */

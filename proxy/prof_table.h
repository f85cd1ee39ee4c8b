/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The profile: sampled blocks summed up by call stack ("site"). See prof_table.c.
 */
#ifndef UMF_PROXY_PROF_TABLE_H
#define UMF_PROXY_PROF_TABLE_H

#include "core/lock.h"
#include "core/utils.h"

enum { PROF_COUNT_SHIFT = 16 }; /* counts of blocks are in units of 2^-16 */

/* What a group of samples stands for: each counts as 1 / (its probability) blocks. Unbiased. */
typedef struct prof_sums {
    uint64_t samples;
    uint64_t count; /* blocks, in units of 2^-PROF_COUNT_SHIFT */
    uint64_t bytes; /* that the program asked for */
} prof_sums_t;

/* Blocks, rounded. */
UMF_INLINE uint64_t prof_blocks(const prof_sums_t *sums) {
    return (sums->count + (UINT64_C(1) << (PROF_COUNT_SHIFT - 1))) >> PROF_COUNT_SHIFT;
}

typedef struct prof_site {
    struct prof_site *hash_next; /* under the lock */
    struct prof_site *older;     /* all sites; constant */
    uint64_t hash;
    prof_sums_t live, total; /* under the lock, as all below but the frames */
    prof_sums_t at_peak; /* valid when peak_number is that of the last peak; else `live` is it */
    uint64_t peak_number;
    uint32_t depth;
    uintptr_t frame[]; /* return addresses, innermost first; constant */
} prof_site_t;

/* A site as of one moment. */
typedef struct prof_entry {
    const prof_site_t *site;
    prof_sums_t live, total, peak;
} prof_entry_t;

typedef struct prof_snapshot {
    prof_entry_t *entry; /* most live bytes first */
    size_t count, mapped_bytes;
    prof_sums_t live, total, peak;
} prof_snapshot_t;

/* Adds a block, chosen with probability 1 - exp(-bytes / interval) (interval <= 1: surely). Returns
 * its record, NULL without memory. No lock may be held that a holder of the table's waits for. */
void *prof_table_add(const uintptr_t *frames, unsigned depth, size_t size, size_t bytes,
                     uint64_t interval);
void prof_table_free(void *record);
void prof_table_resize(void *record, size_t size);
void prof_table_sums(prof_sums_t *live, prof_sums_t *total, prof_sums_t *peak);
/* Bytes that the program has asked for so far, as estimated. */
uint64_t prof_table_total_bytes(void);
/* Forgets what was allocated and freed so far; live blocks stay, the peak begins anew. */
void prof_table_reset(void);

bool prof_table_snapshot(prof_snapshot_t *snapshot);
void prof_snapshot_drop(prof_snapshot_t *snapshot);

void prof_table_fork_prepare(void);
void prof_table_fork_parent(void);
void prof_table_fork_child(void);

#endif /* UMF_PROXY_PROF_TABLE_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Statistics of the process's pools; see stats.c. */
#ifndef UMF_PROXY_STATS_H
#define UMF_PROXY_STATS_H

#include <stddef.h>

#include "config/keys_stats.h"
#include "pools/slab_detail.h"

/* Sums over the process pool and the boot pool. Bytes are of address space. */
typedef struct heap_stats {
    size_t reserved_bytes, reserved_peak; /* taken from providers */
    size_t used_bytes;                    /* in blocks, those cached by threads included */
    size_t free_bytes;                    /* in slices nobody uses */
    size_t huge_blocks, huge_bytes;       /* blocks that are provider allocations of their own */
    size_t chunks;
} heap_stats_t;

void stats_collect(heap_stats_t *stats);
/* Prints a table to a file descriptor; does not allocate. */
void stats_print(int fd);
/* Writes a report as the settings say; not within malloc. */
void stats_write(const char *occasion);
/* The process pool (the boot pool, where that is no slab pool) in detail. */
bool stats_pool_detail(slab_detail_t *detail);
/* Arranges for the reports that the settings ask for; called once, not within malloc. */
void stats_start(const proxy_stats_settings_t *settings);

#endif /* UMF_PROXY_STATS_H */

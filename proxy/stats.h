/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Statistics of the process's pools; see stats.c. */
#ifndef UMF_PROXY_STATS_H
#define UMF_PROXY_STATS_H

#include <stddef.h>

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
/* Prints it on standard error when the process exits. */
void stats_print_at_exit(void);

#endif /* UMF_PROXY_STATS_H */

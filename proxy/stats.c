/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Statistics: summed up by a walk over the pools when somebody asks; nothing is counted on the fast
 * path. */
#define _GNU_SOURCE
#include "proxy/stats.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/process_pool.h"

static size_t used_bytes(const slab_stats_t *slab) {
    return slab->block_bytes + slab->large_bytes + slab->huge_bytes;
}

void stats_collect(heap_stats_t *stats) {
    *stats = (heap_stats_t){0};
    slab_pool_t *pools[] = {process_state.slab,
                            process_state.boot != process_state.slab ? process_state.boot : NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(pools); i++) {
        if (pools[i] == NULL) {
            continue;
        }
        slab_stats_t slab;
        slab_pool_stats(pools[i], &slab);
        stats->reserved_bytes += slab.reserved_bytes;
        stats->reserved_peak += slab.reserved_peak;
        stats->used_bytes += used_bytes(&slab);
        stats->free_bytes += slab.free_bytes;
        stats->huge_blocks += slab.huge_blocks;
        stats->huge_bytes += slab.huge_bytes;
        stats->chunks += slab.chunks;
    }
}

__attribute__((format(printf, 2, 3))) static void print_line(int fd, const char *format, ...) {
    char line[200];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (length > 0) {
        size_t bytes = (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1;
        ssize_t written = write(fd, line, bytes);
        (void)written; // nowhere to report it
    }
}

static void print_pool(int fd, slab_pool_t *pool, const char *title) {
    slab_stats_t s;
    enum { KIB = 1024 };
    slab_pool_stats(pool, &s);
    print_line(fd, "umf: %s (pool \"%s\", pid %d)\n", title, pool->name, (int)getpid());
    print_line(fd,
               "umf:   reserved %10zu KiB   peak %10zu KiB   chunks %6zu   provider calls %zu\n",
               s.reserved_bytes / KIB, s.reserved_peak / KIB, s.chunks, s.provider_calls);
    print_line(fd, "umf:   small    %10zu KiB in %10zu blocks (of %zu KiB in slabs)\n",
               s.block_bytes / KIB, s.blocks, s.slab_bytes / KIB);
    print_line(fd, "umf:   large    %10zu KiB in %10zu blocks\n", s.large_bytes / KIB,
               s.large_blocks);
    print_line(fd, "umf:   huge     %10zu KiB in %10zu blocks\n", s.huge_bytes / KIB,
               s.huge_blocks);
    print_line(fd, "umf:   free     %10zu KiB   purged %8zu KiB in %zu purges\n",
               s.free_bytes / KIB, s.purged_bytes / KIB, s.purges);
    print_line(fd, "umf:   thread heaps %zu, of finished threads %zu\n", s.threads, s.parked);
}

void stats_print(int fd) {
    if (process_state.slab != NULL) {
        print_pool(fd, process_state.slab, "process pool");
    }
    if (process_state.boot != NULL && process_state.boot != process_state.slab) {
        print_pool(fd, process_state.boot, "boot pool");
    }
}

/* A descriptor of our own: many programs (all of coreutils) close standard error in an exit handler
 * that runs before ours. */
static int exit_fd = STDERR_FILENO;

static void print_at_exit(void) {
    stats_print(exit_fd);
}

void stats_print_at_exit(void) {
    enum { EXIT_FD_MIN = 900 }; // out of the way of programs that count on low numbers
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, EXIT_FD_MIN);
    exit_fd = fd >= 0 ? fd : STDERR_FILENO;
    atexit(print_at_exit);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What all workload programs share: command line, clock, random numbers, self-describing blocks,
 * threads.
 *
 * A workload is a plain C program that knows no allocator: it calls the standard malloc family
 * only, so the same binary is measured under any preloaded library. It is deterministic (fixed
 * seeds, fixed amount of work) and every block carries its own size, a tag derived from its address
 * and a last byte, checked when it is freed: an allocator that hands out overlapping or clobbered
 * memory ends the program with a message instead of a good time.
 *
 *   PROGRAM [threads] [scale]      threads: 1..256, default the number of processors but at least 2
 *                                  scale:   0.001..100, default 1; multiplies the amount of work
 *
 * The one line of output is "<name> threads=N ops=N check=HEX seconds=S"; all but the seconds are
 * the same in each run.
 */
#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BENCH_MAX_THREADS = 256, BENCH_CACHE_LINE = 64 };

typedef struct {
    const char *name;
    int threads;
    double scale;
    double started; /* seconds on the monotonic clock */
} bench_t;

typedef struct {
    uint64_t state; /* never 0 */
} bench_rng_t;

/* The start of every block that bench_block_new hands out. The last byte of the block holds the
 * tag's low byte. */
typedef struct {
    uint32_t size; /* bytes asked for, header included */
    uint32_t tag;  /* from address and size */
} bench_block_t;

enum { BENCH_BLOCK_MIN = sizeof(bench_block_t) + 1 };

__attribute__((noreturn)) static inline void bench_fail(const char *what) {
    fprintf(stderr, "benchmark: %s\n", what);
    exit(1);
}

static inline double bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline void bench_usage(const char *name, const char *what, const char *given) {
    fprintf(stderr, "%s: bad %s '%s'; usage: %s [threads 1..%d] [scale 0.001..100]\n", name, what,
            given, name, BENCH_MAX_THREADS);
    exit(2);
}

/* Reads the command line and starts the clock. */
static inline bench_t bench_begin(const char *name, int argc, char **argv) {
    bench_t b = {name, 0, 1.0, 0.0};
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    b.threads = cpus < 2 ? 2 : cpus > BENCH_MAX_THREADS ? BENCH_MAX_THREADS : (int)cpus;
    char *end;
    if (argc > 1) {
        long n = strtol(argv[1], &end, 10);
        if (*end != '\0' || n < 1 || n > BENCH_MAX_THREADS) {
            bench_usage(name, "thread count", argv[1]);
        }
        b.threads = (int)n;
    }
    if (argc > 2) {
        b.scale = strtod(argv[2], &end);
        if (*end != '\0' || !(b.scale >= 0.001 && b.scale <= 100.0)) {
            bench_usage(name, "scale", argv[2]);
        }
    }
    if (argc > 3) {
        bench_usage(name, "extra argument", argv[3]);
    }
    b.started = bench_now();
    return b;
}

/* The result line. `check` must not depend on timing or addresses. */
static inline void bench_end(const bench_t *b, uint64_t ops, uint64_t check) {
    printf("%s threads=%d ops=%llu check=%016llx seconds=%.4f\n", b->name, b->threads,
           (unsigned long long)ops, (unsigned long long)check, bench_now() - b->started);
}

/* `n` scaled, at least 1. */
static inline long bench_scaled(const bench_t *b, long n) {
    double scaled = (double)n * b->scale;
    return scaled < 1.0 ? 1 : (long)scaled;
}

static inline bench_rng_t bench_seed(uint64_t seed) {
    bench_rng_t r = {(seed + 1) * UINT64_C(0x9E3779B97F4A7C15)};
    if (r.state == 0) {
        r.state = 1;
    }
    return r;
}

/* xorshift64: three shifts, so that the workload and not its dice is measured. */
static inline uint64_t bench_random(bench_rng_t *r) {
    uint64_t x = r->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    r->state = x;
    return x;
}

/* Evenly distributed in [0, n); n < 2^32. */
static inline uint32_t bench_below(bench_rng_t *r, uint32_t n) {
    return (uint32_t)(((bench_random(r) >> 32) * n) >> 32);
}

/* A size in [low, high] with small ones more frequent: each octave of the range is about equally
 * likely. */
static inline size_t bench_size(bench_rng_t *r, size_t low, size_t high) {
    int octaves = 1;
    while ((low << octaves) < high) {
        octaves++;
    }
    size_t base = low << bench_below(r, (uint32_t)octaves);
    size_t size = base + bench_below(r, (uint32_t)base);
    return size > high ? high : size;
}

static inline void *bench_need(void *p) {
    if (p == NULL) {
        bench_fail("out of memory");
    }
    return p;
}

static inline uint32_t bench_tag(const void *p, size_t size) {
    return (uint32_t)((uintptr_t)p >> 4) * UINT32_C(2654435761) ^ (uint32_t)size;
}

/* A new block of `size` >= BENCH_BLOCK_MIN bytes, marked at both ends. */
static inline bench_block_t *bench_block_new(size_t size) {
    bench_block_t *b = bench_need(malloc(size));
    b->size = (uint32_t)size;
    b->tag = bench_tag(b, size);
    ((unsigned char *)b)[size - 1] = (unsigned char)b->tag;
    return b;
}

static inline void bench_block_check(const bench_block_t *b) {
    if (b->tag != bench_tag(b, b->size) ||
        ((const unsigned char *)b)[b->size - 1] != (unsigned char)b->tag) {
        bench_fail("a live block was overwritten");
    }
}

/* Checks and frees; NULL is ignored. */
static inline void bench_block_free(bench_block_t *b) {
    if (b != NULL) {
        bench_block_check(b);
        free(b);
    }
}

static inline void bench_thread_start(pthread_t *thread, void *(*entry)(void *), void *argument) {
    if (pthread_create(thread, NULL, entry, argument) != 0) {
        bench_fail("cannot start a thread");
    }
}

/* Runs `entry` once per thread on `count` records of `stride` bytes that start at `records`; waits
 * for all. */
static inline void bench_threads_run(int count, void *(*entry)(void *), void *records,
                                     size_t stride) {
    pthread_t thread[BENCH_MAX_THREADS];
    for (int i = 0; i < count; i++) {
        bench_thread_start(&thread[i], entry, (char *)records + (size_t)i * stride);
    }
    for (int i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
    }
}

#endif

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Calls of pools and providers through the public interface, timed, or counted by callgrind (as
 * instr.c: two runs with different COUNTs, the difference is the steady state).
 *
 *   pool_ops POOL PATTERN THREADS COUNT [untracked]
 *
 * COUNT is blocks per thread. Every thread works on the same pool. Prints the nanoseconds of wall
 * time that one block (malloc and free) takes a thread. The memory comes from an OS provider.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_jemalloc.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

#include "one_lock_pool.h"

enum { BATCH = 1000, SLOTS = 1024, BLOCK = 64, SIZE_LOW = 16, SIZES = 1024, MAX_THREADS = 64 };
enum { PROVIDER_BLOCK = 65536, WARM_UP = 5 * SLOTS };

static umf_memory_pool_handle_t pool;
static umf_memory_provider_handle_t provider;
static pthread_barrier_t barrier;

__attribute__((noreturn)) static void stop(const char *what) {
    fprintf(stderr, "pool_ops: %s\n", what);
    exit(1);
}

#define KEEP(i) __asm__ volatile("" : : "r"(i))

/* malloc(64) and free, the same block again and again. */
static void pattern_pair(long count) {
    for (long i = 0; i < count; i++) {
        char *p = umfPoolMalloc(pool, BLOCK);
        *p = 1;
        KEEP(i);
        umfPoolFree(pool, p);
    }
}

/* 1000 blocks of 64 bytes, freed in the order they were made. */
static void pattern_batch(long count) {
    char *slot[BATCH];
    for (; count > 0; count -= BATCH) {
        for (int i = 0; i < BATCH; i++) {
            slot[i] = umfPoolMalloc(pool, BLOCK);
            *slot[i] = 1;
        }
        for (int i = 0; i < BATCH; i++) {
            umfPoolFree(pool, slot[i]);
        }
    }
}

/* 16 to 1039 bytes at random, each replacing the block in one of 1024 slots. */
static void pattern_mixed(long count) {
    char *slot[SLOTS] = {NULL};
    uint64_t x = 88172645463325252u;
    for (; count > 0; count--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        char **p = &slot[x & (SLOTS - 1)];
        umfPoolFree(pool, *p);
        *p = umfPoolMalloc(pool, SIZE_LOW + ((x >> 32) & (SIZES - 1)));
        **p = 1;
    }
    for (int i = 0; i < SLOTS; i++) {
        umfPoolFree(pool, slot[i]);
    }
}

/* 64 KiB straight from the provider, one page of it touched, and back. */
static void pattern_provider(long count) {
    for (; count > 0; count--) {
        void *p = NULL;
        if (umfMemoryProviderAlloc(provider, PROVIDER_BLOCK, 0, &p) != UMF_RESULT_SUCCESS) {
            stop("the provider has no memory");
        }
        *(char *)p = 1;
        umfMemoryProviderFree(provider, p, PROVIDER_BLOCK);
    }
}

static const struct {
    const char *name;
    void (*run)(long count);
} patterns[] = {{"pair", pattern_pair},
                {"batch", pattern_batch},
                {"mixed", pattern_mixed},
                {"provider", pattern_provider}};

static const struct {
    const char *name;
    const umf_memory_pool_ops_t *(*ops)(void);
} pools[] = {{"slab", umfSlabPoolOps},         {"scalable", umfScalablePoolOps},
             {"disjoint", umfDisjointPoolOps}, {"jemalloc", umfJemallocPoolOps},
             {"proxy", umfProxyPoolOps},       {"one-lock", one_lock_pool_ops}};

static void (*run)(long count);
static long count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void *work(void *seconds) {
    run(count < WARM_UP ? count : WARM_UP);
    pthread_barrier_wait(&barrier);
    double start = now();
    run(count);
    *(double *)seconds = now() - start;
    return NULL;
}

static void create(const char *name, bool tracked) {
    umf_os_memory_provider_params_handle_t params;
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS ||
        umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider) !=
            UMF_RESULT_SUCCESS) {
        stop("no provider");
    }
    umfOsMemoryProviderParamsDestroy(params);
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++) {
        if (strcmp(name, pools[i].name) == 0) {
            if (pools[i].ops() == NULL ||
                umfPoolCreate(pools[i].ops(), provider, NULL,
                              tracked ? 0 : UMF_POOL_CREATE_FLAG_DISABLE_TRACKING,
                              &pool) != UMF_RESULT_SUCCESS) {
                stop("this pool is not available here");
            }
            return;
        }
    }
    stop("unknown pool; allowed: slab, scalable, disjoint, jemalloc, proxy, one-lock");
}

int main(int argc, char **argv) {
    char *end[2] = {"?", "?"};
    long threads = argc >= 5 ? strtol(argv[3], &end[0], 10) : 0;
    count = argc >= 5 ? strtol(argv[4], &end[1], 10) : 0;
    bool tracked = argc != 6 || strcmp(argv[5], "untracked") != 0;
    if (argc > 6 || (argc == 6 && tracked) || threads < 1 || threads > MAX_THREADS || count < 1 ||
        *end[0] != '\0' || *end[1] != '\0') {
        fprintf(stderr,
                "usage: pool_ops POOL pair|batch|mixed|provider THREADS(1-%d) COUNT "
                "[untracked]\n",
                MAX_THREADS);
        return 2;
    }
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        run = strcmp(argv[2], patterns[i].name) == 0 ? patterns[i].run : run;
    }
    if (run == NULL) {
        stop("unknown pattern; allowed: pair, batch, mixed, provider");
    }
    create(argv[1], tracked);
    pthread_t thread[MAX_THREADS];
    double seconds[MAX_THREADS], longest = 0;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (long i = 1; i < threads; i++) {
        if (pthread_create(&thread[i], NULL, work, &seconds[i]) != 0) {
            stop("cannot start a thread");
        }
    }
    work(&seconds[0]);
    for (long i = 1; i < threads; i++) {
        pthread_join(thread[i], NULL);
    }
    for (long i = 0; i < threads; i++) {
        longest = seconds[i] > longest ? seconds[i] : longest;
    }
    printf("%.2f\n", longest / (double)count * 1e9);
    return umfPoolDestroy(pool) != UMF_RESULT_SUCCESS;
}

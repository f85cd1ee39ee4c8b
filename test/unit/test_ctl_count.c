/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL: stats.alloc_count of every pool is exact. */
#include <criterion/criterion.h>

#include <pthread.h>

#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_jemalloc.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>

#include "core/pool.h"
#include "pools/slab_watch.h"
#include "test/unit/ctl_for_test.h"

typedef struct counted_case {
    const char *name;
    const umf_memory_pool_ops_t *(*ops)(void);
    bool can_realloc;
} counted_case_t;

static const counted_case_t counted_cases[] = {
    {"slab", umfSlabPoolOps, true},         {"disjoint", umfDisjointPoolOps, false},
    {"proxy", umfProxyPoolOps, false},      {"scalable", umfScalablePoolOps, true},
    {"jemalloc", umfJemallocPoolOps, true},
};

/* NULL: not in this build or on this machine. */
static pool_t counted_pool(const counted_case_t *c, provider_t provider) {
    pool_t pool = NULL;
    const umf_memory_pool_ops_t *ops = c->ops();
    umf_result_t result = ops != NULL ? umfPoolCreate(ops, provider, NULL, 0, &pool)
                                      : UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    cr_assert(result == OK || result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE, "%s", c->name);
    return pool;
}

Test(ctl_count, every_pool_counts_its_live_blocks) {
    for (size_t i = 0; i < ARRAY_LENGTH(counted_cases); i++) {
        const counted_case_t *c = &counted_cases[i];
        provider_t provider = os_provider();
        pool_t pool = counted_pool(c, provider);
        enum { BLOCKS = 300 };
        if (pool == NULL) {
            umfMemoryProviderDestroy(provider);
            continue;
        }
        void *block[BLOCKS];
        cr_expect_eq(alloc_count(pool), 0, "%s", c->name);
        for (int round = 0; round < 3; round++) {
            for (size_t n = 0; n < BLOCKS; n++) {
                size_t size = n % 50 == 0 ? (size_t)1 << (12 + n / 50 * 3) : n * 13 % 900 + 1;
                block[n] =
                    n % 3 == 0 ? umfPoolAlignedMalloc(pool, size, 64) : umfPoolMalloc(pool, size);
                cr_assert_not_null(block[n]);
                cr_assert_eq(alloc_count(pool), n + 1, "%s, block %zu", c->name, n);
            }
            for (size_t n = 0; n < BLOCKS; n++) {
                size_t at = n * 7 % BLOCKS; // 7 and BLOCKS have no common divisor
                cr_assert_eq(umfPoolFree(pool, block[at]), OK);
                cr_assert_eq(alloc_count(pool), BLOCKS - n - 1, "%s, free %zu", c->name, n);
            }
        }
        cr_expect_eq(umfPoolFree(pool, NULL), OK);
        cr_expect_null(umfPoolMalloc(pool, SIZE_MAX));
        cr_expect_eq(alloc_count(pool), 0, "neither counts");
        umfPoolDestroy(pool);
        umfMemoryProviderDestroy(provider);
    }
}

static int watched_record;

static void *on_sampled(size_t size, size_t bytes, uint64_t interval) {
    (void)size, (void)bytes, (void)interval;
    return &watched_record;
}

static void on_freed(void *record) {
    cr_assert_eq(record, &watched_record);
}

/* Blocks that a profiler watches are in slabs of their own. */
Test(ctl_count, watched_blocks_count_as_well) {
    static const slab_watch_hooks_t hooks = {on_sampled, on_freed, NULL};
    static const uint64_t intervals[] = {SLAB_WATCH_COUNT_ONLY, SLAB_WATCH_EVERY, 500, 100000};
    enum { BLOCKS = 500 };
    void *block[BLOCKS];
    provider_t provider = os_provider();
    for (size_t i = 0; i < ARRAY_LENGTH(intervals); i++) {
        pool_t pool = pool_on(provider, umfSlabPoolOps(), NULL);
        void *before = umfPoolMalloc(pool, 64);
        cr_assert_eq(slab_watch_start(pool->priv, &hooks, intervals[i]), OK);
        for (size_t n = 0; n < BLOCKS; n++) {
            block[n] = umfPoolMalloc(pool, n % 100 == 99 ? 200000 : n % 300 + 1);
            cr_assert_eq(alloc_count(pool), n + 2, "interval %zu", (size_t)intervals[i]);
        }
        for (size_t n = 0; n < BLOCKS; n++) {
            umfPoolFree(pool, block[n]);
            cr_assert_eq(alloc_count(pool), BLOCKS - n, "interval %zu", (size_t)intervals[i]);
        }
        umfPoolFree(pool, before);
        umfPoolDestroy(pool);
    }
    umfMemoryProviderDestroy(provider);
}

Test(ctl_count, realloc_and_calloc) {
    for (size_t i = 0; i < ARRAY_LENGTH(counted_cases); i++) {
        provider_t provider = os_provider();
        pool_t pool =
            counted_cases[i].can_realloc ? counted_pool(&counted_cases[i], provider) : NULL;
        if (pool != NULL) {
            void *first = umfPoolRealloc(pool, NULL, 10);
            void *second = umfPoolCalloc(pool, 10, 10);
            cr_expect_eq(alloc_count(pool), 2);
            first = umfPoolRealloc(pool, first, 100000);
            cr_expect_eq(alloc_count(pool), 2);
            cr_expect_null(umfPoolRealloc(pool, first, 0));
            cr_expect_eq(alloc_count(pool), 1);
            umfPoolFree(pool, second);
            cr_expect_eq(alloc_count(pool), 0, "%s", counted_cases[i].name);
            umfPoolDestroy(pool);
        }
        umfMemoryProviderDestroy(provider);
    }
}

enum { COUNT_THREADS = 4, COUNT_EACH = 2000 };

typedef struct count_work {
    pool_t pool;
    void *block[COUNT_EACH];
    bool free_them;
} count_work_t;

static void *count_thread(void *arg) {
    count_work_t *work = arg;
    for (size_t i = 0; i < COUNT_EACH; i++) {
        if (work->free_them) {
            umfPoolFree(work->pool, work->block[i]);
        } else {
            work->block[i] = umfPoolMalloc(work->pool, i % 500 + 1);
        }
    }
    return NULL;
}

Test(ctl_count, blocks_of_many_threads_freed_by_others) {
    static count_work_t work[COUNT_THREADS];
    for (size_t i = 0; i < ARRAY_LENGTH(counted_cases); i++) {
        const counted_case_t *c = &counted_cases[i];
        provider_t provider = os_provider();
        pool_t pool = counted_pool(c, provider);
        pthread_t thread[COUNT_THREADS];
        if (pool == NULL) {
            umfMemoryProviderDestroy(provider);
            continue;
        }
        for (int phase = 0; phase < 2; phase++) {
            for (size_t n = 0; n < COUNT_THREADS; n++) {
                work[n].pool = pool;
                work[n].free_them = phase == 1;
                pthread_create(&thread[n], NULL, count_thread, &work[n]);
            }
            for (size_t n = 0; n < COUNT_THREADS; n++) {
                pthread_join(thread[n], NULL);
            }
            cr_expect_eq(alloc_count(pool), phase == 0 ? COUNT_THREADS * COUNT_EACH : 0, "%s: %zu",
                         c->name, alloc_count(pool));
        }
        umfPoolDestroy(pool);
        umfMemoryProviderDestroy(provider);
    }
}

static void *ask_thread(void *arg) {
    for (int i = 0; i < 300; i++) {
        cr_assert_leq(alloc_count(arg), (COUNT_THREADS + 1) * COUNT_EACH);
    }
    return NULL;
}

Test(ctl_count, asking_while_others_allocate_does_no_harm) {
    static count_work_t work[COUNT_THREADS];
    provider_t provider = os_provider();
    pool_t pool = pool_on(provider, umfSlabPoolOps(), NULL);
    pthread_t thread[COUNT_THREADS], asker;
    pthread_create(&asker, NULL, ask_thread, pool);
    for (int phase = 0; phase < 6; phase++) {
        for (size_t n = 0; n < COUNT_THREADS; n++) {
            work[n].pool = pool;
            work[n].free_them = phase % 2 == 1;
            pthread_create(&thread[n], NULL, count_thread, &work[n]);
        }
        for (size_t n = 0; n < COUNT_THREADS; n++) {
            pthread_join(thread[n], NULL);
        }
    }
    pthread_join(asker, NULL);
    cr_expect_eq(alloc_count(pool), 0);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

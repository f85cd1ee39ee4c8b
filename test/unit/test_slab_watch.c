/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Watched slab pools: which blocks are sampled, that every one of them is heard of again when it is
 * freed or resized, and that the pool works as before.
 */
#include <criterion/criterion.h>

#include <pthread.h>

#include "core/real.h"
#include "pools/slab_watch.h"
#include "test/unit/slab_for_test.h"

/* A record is an entry here. */
typedef struct record {
    size_t size, bytes;
    bool live;
} record_t;

enum { RECORDS = 1 << 18 };
static record_t records[RECORDS];
static _Atomic(size_t) record_count, live_records, bad_calls;
static _Atomic(bool) refuse;
static bool estimating;
static double estimate_bytes, estimate_blocks; /* single-threaded tests only */

static void *on_sampled(size_t size, size_t bytes, uint64_t interval) {
    if (load_relaxed(&refuse)) {
        return NULL;
    }
    size_t i = fetch_add_relaxed(&record_count, 1);
    if (i >= RECORDS) {
        return NULL;
    }
    records[i] = (record_t){size, bytes, true};
    fetch_add_relaxed(&live_records, 1);
    if (!estimating) {
        return &records[i];
    }
    double weight = interval <= 1 ? 1 : 1 / real_one_minus_exp((double)bytes / (double)interval);
    estimate_blocks += weight;
    estimate_bytes += weight * (double)size;
    return &records[i];
}

static void on_freed(void *arg) {
    record_t *record = arg;
    if (!record->live) {
        fetch_add_relaxed(&bad_calls, 1);
    }
    record->live = false;
    fetch_sub_relaxed(&live_records, 1);
}

static void on_resized(void *arg, size_t size) {
    record_t *record = arg;
    if (!record->live || size > record->bytes) {
        fetch_add_relaxed(&bad_calls, 1);
    }
    record->size = size;
}

static const slab_watch_hooks_t hooks = {on_sampled, on_freed, on_resized};

static umf_memory_pool_handle_t watched_pool(uint64_t interval) {
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    cr_assert_eq(slab_watch_start(pool->priv, &hooks, interval), OK);
    return pool;
}

static size_t live_size(void) {
    size_t sum = 0;
    for (size_t i = 0; i < load_relaxed(&record_count); i++) {
        sum += records[i].live ? records[i].size : 0;
    }
    return sum;
}

/* ---- arithmetic ---- */

Test(slab_watch, logarithm_and_exponential_are_accurate) {
    static const struct {
        double x, ln;
    } logs[] = {{1, 0},
                {2, REAL_LN2},
                {10, 2.302585092994046},
                {0x1p-53, -36.7368005696771},
                {0.7, -0.35667494393873245}};
    for (size_t i = 0; i < ARRAY_LENGTH(logs); i++) {
        double error = real_ln(logs[i].x) - logs[i].ln;
        cr_expect(error < 1e-12 && error > -1e-12, "ln(%g)", logs[i].x);
    }
    static const struct {
        double x, y;
    } ones[] = {{0, 0},
                {1e-9, 9.999999995e-10},
                {0.5, 0.3934693402873666},
                {3, 0.950212931632136},
                {100, 1}};
    for (size_t i = 0; i < ARRAY_LENGTH(ones); i++) {
        double error = real_one_minus_exp(ones[i].x) - ones[i].y;
        cr_expect(error <= 1e-12 * (ones[i].y + 1e-12) * 10 &&
                      error >= -1e-12 * (ones[i].y + 1e-12) * 10,
                  "1-exp(-%g)", ones[i].x);
    }
}

/* ---- every block ---- */

Test(slab_watch, every_block_is_known_with_its_size_until_it_is_freed) {
    static const size_t sizes[] = {
        0, 1, 16, 100, 1024, 1025, 5000, 65536, 65537, 300000, 40 * 1024 * 1024};
    umf_memory_pool_handle_t pool = watched_pool(SLAB_WATCH_EVERY);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        void *block = umfPoolMalloc(pool, sizes[i]);
        cr_assert_eq(load_relaxed(&live_records), 1);
        cr_assert_eq(live_size(), sizes[i]);
        block = umfPoolRealloc(pool, block, sizes[i] * 2 + 1);
        cr_assert_eq(live_size(), sizes[i] * 2 + 1, "after realloc from %zu", sizes[i]);
        cr_assert_eq(umfPoolFree(pool, block), OK);
        cr_assert_eq(load_relaxed(&live_records), 0, "size %zu", sizes[i]);
        block = umfPoolCalloc(pool, 3, sizes[i]);
        cr_assert_eq(live_size(), 3 * sizes[i]);
        cr_assert_eq(umfPoolFree(pool, block), OK);
        block = umfPoolAlignedMalloc(pool, sizes[i] + 1, 256);
        cr_assert_eq(live_size(), sizes[i] + 1, "aligned %zu", sizes[i]);
        cr_assert_eq(umfPoolFree(pool, block), OK);
    }
    cr_assert_eq(load_relaxed(&live_records), 0);
    cr_assert_eq(load_relaxed(&bad_calls), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab_watch, a_resize_in_place_changes_the_size) {
    umf_memory_pool_handle_t pool = watched_pool(SLAB_WATCH_EVERY);
    void *block = umfPoolMalloc(pool, 1000);
    cr_assert_eq(umfPoolRealloc(pool, block, 900), block);
    cr_assert_eq(live_size(), 900);
    void *large = umfPoolMalloc(pool, 200000);
    large = umfPoolRealloc(pool, large, 400000);
    cr_assert_eq(live_size(), 900 + 400000);
    cr_assert_eq(umfPoolFree(pool, large), OK);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab_watch, a_second_free_is_refused) {
    umf_memory_pool_handle_t pool = watched_pool(SLAB_WATCH_EVERY);
    void *other = umfPoolMalloc(pool, 48), *block = umfPoolMalloc(pool, 48);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(umfPoolFree(pool, block), INVAL);
    cr_assert_eq(umfPoolFree(pool, (char *)other + 16), INVAL);
    cr_assert_eq(load_relaxed(&live_records), 1);
    cr_assert_eq(umfPoolFree(pool, other), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* ---- samples ---- */

static double near_of(double value, double expected) {
    double ratio = value / expected - 1;
    return ratio < 0 ? -ratio : ratio;
}

Test(slab_watch, estimates_are_unbiased_for_every_size) {
    static const size_t sizes[] = {16, 100, 700, 3000, 20000, 65536, 200000};
    enum { INTERVAL = 4096, TOTAL = 40 * 1024 * 1024 };
    umf_memory_pool_handle_t pool = watched_pool(INTERVAL);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        size_t count = TOTAL / sizes[i];
        estimating = true;
        estimate_bytes = estimate_blocks = 0;
        store_relaxed(&record_count, 0);
        for (size_t k = 0; k < count; k++) {
            cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, sizes[i])), OK);
        }
        // About 10,000 samples: a standard deviation is 1 %, or less.
        cr_expect(near_of(estimate_blocks, (double)count) < 0.06, "size %zu: %g blocks for %zu",
                  sizes[i], estimate_blocks, count);
        cr_expect(near_of(estimate_bytes, (double)(count * sizes[i])) < 0.06, "size %zu: bytes",
                  sizes[i]);
    }
    cr_assert_eq(load_relaxed(&live_records), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab_watch, sampling_can_be_paused_and_goes_on) {
    umf_memory_pool_handle_t pool = watched_pool(SLAB_WATCH_EVERY);
    void *block = umfPoolMalloc(pool, 100);
    cr_assert_eq(slab_watch_start(pool->priv, NULL, SLAB_WATCH_COUNT_ONLY), OK);
    for (int i = 0; i < 10000; i++) {
        cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 100)), OK);
        cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 100000)), OK);
    }
    cr_assert_eq(load_relaxed(&record_count), 1);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(load_relaxed(&live_records), 0, "a block sampled before the pause was forgotten");
    cr_assert_eq(slab_watch_start(pool->priv, NULL, SLAB_WATCH_EVERY), OK);
    for (int i = 0; i < 100000; i++) { // what is ready already is used up first
        cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 100)), OK);
    }
    cr_assert_gt(load_relaxed(&record_count), 100);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab_watch, blocks_without_a_record_are_ordinary) {
    umf_memory_pool_handle_t pool = watched_pool(SLAB_WATCH_EVERY);
    store_relaxed(&refuse, true);
    script_t script = {.pool = pool, .seed = 7, .steps = 5000, .slots = 200};
    script_run(&script);
    cr_assert_eq(load_relaxed(&record_count), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab_watch, requests_are_counted_per_class) {
    umf_memory_pool_handle_t pool = watched_pool(64 * 1024);
    for (int i = 0; i < 100000; i++) {
        cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 48)), OK);
    }
    slab_theap_t *theap = slab_theap_find(pool->priv);
    unsigned cls = slab_class_of(48);
    uint64_t handed = load_relaxed(&theap->watch->cls[cls].handed), ready = 0;
    for (slab_block_t *block = theap->ready[cls]; block != NULL; block = block->next) {
        ready++;
    }
    cr_assert_eq(handed - ready, 100000);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* ---- the pool works as before ---- */

Test(slab_watch, long_scripts_on_a_watched_pool) {
    static const uint64_t intervals[] = {SLAB_WATCH_EVERY, 512, 4096, 64 * 1024};
    for (size_t i = 0; i < ARRAY_LENGTH(intervals); i++) {
        store_relaxed(&record_count, 0);
        umf_memory_pool_handle_t pool = watched_pool(intervals[i]);
        script_t script = {
            .pool = pool, .seed = 100 + i, .steps = UNDER_ASAN ? 5000 : 20000, .slots = 300};
        script_run(&script);
        cr_assert_eq(load_relaxed(&live_records), 0, "interval %lu", (unsigned long)intervals[i]);
        cr_assert_eq(load_relaxed(&bad_calls), 0);
        cr_assert_gt(load_relaxed(&record_count), 0);
        umfPoolTrimMemory(pool, 0);
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
}

static void *script_thread(void *arg) {
    script_run(arg);
    return NULL;
}

enum { SWAP = 64 };
static _Atomic(void *) swapped[SWAP];

/* Frees what other threads allocated. */
static void *swap_thread(void *arg) {
    const script_t *script = arg;
    uint64_t rng = script->seed;
    for (int i = 0; i < script->steps; i++) {
        void *block = umfPoolMalloc(script->pool, random_size(&rng) % 100000);
        block = exchange_acq_rel(&swapped[rng_next(&rng) % SWAP], block);
        if (block != NULL) {
            cr_assert_eq(umfPoolFree(script->pool, block), OK);
        }
    }
    return NULL;
}

Test(slab_watch, threads_on_a_watched_pool) {
    umf_memory_pool_handle_t pool = watched_pool(4096);
    pthread_t thread[6];
    script_t script[6];
    for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
        script[i] =
            (script_t){.pool = pool, .seed = i, .steps = 4000, .slots = 100, .size_max = 200000};
        pthread_create(&thread[i], NULL, i % 2 ? script_thread : swap_thread, &script[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
        pthread_join(thread[i], NULL);
    }
    for (size_t i = 0; i < SWAP; i++) {
        void *block = load_relaxed(&swapped[i]);
        if (block != NULL) {
            cr_assert_eq(umfPoolFree(pool, block), OK);
        }
    }
    cr_assert_eq(load_relaxed(&live_records), 0);
    cr_assert_eq(load_relaxed(&bad_calls), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of the disjoint pool. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "core/pool.h"
#include "test/unit/disjoint_for_test.h"

/* ---- CTL ------------------------------------------------------------------------------------ */

Test(disjoint, counters_follow_what_happens) {
    set_up(&(setup_t){.trace = 3});
    size_t count = get("buckets.count");
    size_t bucket = 0, size = 0;
    for (; bucket < count && size != 128; bucket++) {
        cr_assert_eq(GET("buckets.{}.size", &size, bucket), OK);
    }
    bucket--;
    void *block[10];
    for (int i = 0; i < 10; i++) {
        block[i] = umfPoolMalloc(pool, 128);
    }
    static const struct {
        const char *name;
        size_t live, freed;
    } expected[] = {
        {"alloc_num", 10, 10},       {"alloc_pool_num", 9, 9},     {"free_num", 0, 10},
        {"curr_slabs_in_use", 1, 0}, {"curr_slabs_in_pool", 0, 1}, {"max_slabs_in_use", 1, 1},
        {"max_slabs_in_pool", 0, 1},
    };
    for (int freed = 0; freed <= 1; freed++) {
        for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
            size_t want = freed ? expected[i].freed : expected[i].live;
            size_t value = 99;
            char path[64];
            snprintf(path, sizeof(path), "stats.%s", expected[i].name);
            cr_expect_eq(get(path), want, "%s", path);
            cr_expect_eq(GET("buckets.{}.stats.{}", &value, bucket, expected[i].name), OK);
            cr_expect_eq(value, want, "%s", path);
            snprintf(path, sizeof(path), "buckets.%zu.stats.%s", bucket, expected[i].name);
            cr_expect_eq(get(path), want, "%s", path);
            cr_expect_eq(GET("stats.{}", &value, expected[i].name), OK);
            cr_expect_eq(value, want);
            value = 99;
            cr_expect_eq(GET("buckets.{}.stats.{}", &value, bucket + 1, expected[i].name), OK);
            cr_expect_eq(value, 0);
        }
        cr_expect_eq(get("stats.used_memory"), freed ? 0 : 10 * 128);
        cr_expect_eq(get("stats.reserved_memory"), 64 * KIB);
        for (int i = 0; i < 10 && !freed; i++) {
            umfPoolFree(pool, block[i]);
        }
    }
    tear_down();
}

Test(disjoint, trace_levels) {
    static const char *const counters[] = {
        "alloc_num",          "alloc_pool_num",   "free_num",         "curr_slabs_in_use",
        "curr_slabs_in_pool", "max_slabs_in_use", "max_slabs_in_pool"};
    for (int trace = 0; trace <= 2; trace++) {
        set_up(&(setup_t){.trace = trace});
        umfPoolFree(pool, umfPoolMalloc(pool, 64 * KIB));
        for (size_t i = 0; i < ARRAY_LENGTH(counters); i++) {
            size_t value = 99;
            cr_expect_eq(GET("stats.{}", &value, counters[i]), trace == 0 ? NOTSUP : OK);
            cr_expect_eq(GET("buckets.{}.stats.{}", &value, (size_t)0, counters[i]),
                         trace == 0 ? NOTSUP : OK);
        }
        if (trace > 0) {
            cr_expect_eq(get("stats.alloc_num"), trace == 1 ? 0 : 1);
            cr_expect_eq(get("stats.curr_slabs_in_pool"), 1);
        }
        cr_expect_eq(get("stats.used_memory"), 0);
        cr_expect_eq(get("stats.reserved_memory"), 64 * KIB);
        tear_down();
    }
}

Test(disjoint, wrong_ctl_requests) {
    set_up(&(setup_t){.trace = 1});
    size_t value = 0;
    static const struct {
        const char *name;
        umf_result_t result;
    } cases[] = {
        {"buckets.1000000.stats.alloc_num", INVAL},
        {"buckets.99999999999999999999999.size", INVAL},
        {"buckets.count", OK},
        {"buckets..count", OK},
        {"buckets.1.count", INVAL},
        {"buckets.size", INVAL},
        {"buckets.stats.alloc_num", INVAL},
        {"buckets.0.size", OK},
        {"buckets.0.stats", NOPATH},
        {"buckets.0", NOPATH},
        {"buckets", NOPATH},
        {"", NOPATH},
        {"stats.buckets.count", NOPATH},
        {"stats.1.alloc_num", NOPATH},
        {"stats.buckets.alloc_num", NOPATH},
        {"stats.buckets.1.count", NOPATH},
        {"stats.alloc_nu", NOPATH},
        {"stats.alloc_num.x", NOPATH},
        {"stats.used_memory", OK},
        {"buckets.0.stats.used_memory", NOPATH},
        {"params.capacity", OK},
        {"params.nothing", NOPATH},
        {"post_initialize", INVAL},
        {"stats.a_component_that_is_very_much_longer_than_all_that_ever_existed", NOPATH},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cr_expect_eq(GET(cases[i].name, &value), cases[i].result, "%s", cases[i].name);
    }
    static const char *const sized[] = {
        "stats.used_memory",        "stats.alloc_num", "buckets.count",    "buckets.0.size",
        "buckets.0.stats.free_num", "params.capacity", "params.pool_trace"};
    for (size_t i = 0; i < ARRAY_LENGTH(sized); i++) {
        for (size_t size = 0; size <= 9; size++) {
            char room[16];
            bool right = size == (strcmp(sized[i], "params.pool_trace") == 0 ? 4 : 8);
            cr_expect_eq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_READ, sized[i], room, size),
                         right ? OK : INVAL, "%s, %zu bytes", sized[i], size);
        }
        cr_expect_eq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_READ, sized[i], NULL, 8), INVAL);
        cr_expect_eq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_RUNNABLE, sized[i], &value, 8),
                     INVAL);
    }
    cr_expect_eq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_WRITE, "stats.used_memory", &value, 8),
                 INVAL);
    cr_expect_eq(GET("buckets.{}.{}", &value, (size_t)1000, "size"), INVAL);
    cr_expect_eq(GET("buckets.{}.{}", &value, (size_t)0, "nothing"), NOPATH);
    cr_expect_eq(GET("{}.{}", &value, "stats", "used_memory"), OK);
    cr_expect_eq(GET("{}.{}.size", &value, "buckets", (size_t)1), OK);
    cr_expect_eq(GET("stats.{}", &value, (const char *)NULL), NOPATH);
    tear_down();
}

Test(disjoint, parameters_by_ctl_before_the_pool_is_built) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    const umf_memory_pool_ops_t *ops = umfDisjointPoolOps();
    struct umf_memory_pool_t by_hand = {.ops = *ops};
    cr_assert_eq(ops->initialize(provider, NULL, &by_hand.priv), OK);
    pool = &by_hand;
    size_t value = 128 * KIB;
    int trace = 1;
#define SET(source, name, arg, size) ctl(pool, source, CTL_QUERY_WRITE, name, arg, size)
#define TEXT(name, text) SET(CTL_QUERY_CONFIG_INPUT, name, (char[]){text}, sizeof(text))
    cr_expect_eq(SET(CTL_QUERY_PROGRAMMATIC, "params.slab_min_size", &value, 8), OK);
    cr_expect_eq(TEXT("params.capacity", "2"), OK);
    cr_expect_eq(TEXT("params.max_poolable_size", "0x40000"), OK);
    cr_expect_eq(TEXT("params.min_bucket_size", "020"), OK);
    cr_expect_eq(SET(CTL_QUERY_PROGRAMMATIC, "params.pool_trace", &trace, 4), OK);
    cr_expect_eq(TEXT("params.capacity", "2x"), INVAL);
    cr_expect_eq(TEXT("params.capacity", "-1"), INVAL);
    cr_expect_eq(TEXT("params.capacity", ""), INVAL);
    cr_expect_eq(TEXT("params.capacity", "99999999999999999999"), INVAL);
    cr_expect_eq(TEXT("params.min_bucket_size", "24"), INVAL);
    cr_expect_eq(SET(CTL_QUERY_PROGRAMMATIC, "params.capacity", &value, 4), INVAL);
    cr_expect_eq(TEXT("params.unknown", "1"), NOPATH);
    cr_expect_eq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_RUNNABLE, "post_initialize", NULL, 0),
                 OK);
    cr_expect_eq(get("params.slab_min_size"), 128 * KIB);
    cr_expect_eq(get("params.capacity"), 2);
    cr_expect_eq(get("params.max_poolable_size"), 256 * KIB);
    cr_expect_eq(get("params.min_bucket_size"), 16);
    cr_expect_eq(GET("params.pool_trace", &trace), OK);
    cr_expect_eq(trace, 1);
    cr_expect_eq(SET(CTL_QUERY_PROGRAMMATIC, "params.capacity", &value, 8), NOTSUP);
    cr_expect_eq(TEXT("params.pool_trace", "1"), NOTSUP);
    char *first = ops->malloc(by_hand.priv, 16);
    cr_expect_eq(load_relaxed(&none.last_size), 128 * KIB);
    // a second start would destroy the pool's state
    cr_assert_neq(ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_RUNNABLE, "post_initialize", NULL, 0),
                  OK);
    cr_expect_eq(ops->malloc(by_hand.priv, 16), first + 16);
    cr_expect_eq(ops->free(by_hand.priv, first), OK);
    cr_expect_eq(ops->free(by_hand.priv, first + 16), OK);
    void *direct = ops->malloc(by_hand.priv, 1 * MIB);
    cr_expect_eq(ops->free(by_hand.priv, direct), OK);
    cr_expect_eq(ops->finalize(by_hand.priv), OK);
    cr_expect_eq(allocs(), frees());
}

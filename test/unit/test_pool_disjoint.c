/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Disjoint pool: parameters, buckets, what is handed out, kept and given back; errors; and a test
 * for each way in which such a pool has gone wrong elsewhere. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/state.h"
#include "test/unit/disjoint_for_test.h"

/* ---- parameters ----------------------------------------------------------------------------- */

Test(disjoint, parameters_are_checked) {
    umf_disjoint_pool_params_handle_t params = NULL;
    umf_disjoint_pool_shared_limits_handle_t limits = NULL;
    cr_expect_eq(umfDisjointPoolParamsCreate(NULL), INVAL);
    cr_expect_eq(umfDisjointPoolParamsDestroy(NULL), OK);
    cr_expect_eq(umfDisjointPoolSharedLimitsCreate(1, NULL), INVAL);
    cr_expect_eq(umfDisjointPoolSharedLimitsDestroy(NULL), OK);
    cr_expect_eq(umfDisjointPoolParamsSetSlabMinSize(NULL, 1), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetMaxPoolableSize(NULL, 1), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetCapacity(NULL, 1), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetMinBucketSize(NULL, 8), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetTrace(NULL, 0), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetSharedLimits(NULL, NULL), INVAL);
    cr_expect_eq(umfDisjointPoolParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    cr_expect_eq(umfDisjointPoolParamsSetName(params, NULL), INVAL);
    const size_t bad[] = {0, 3, 6, 24};
    const size_t good[] = {1, 2, 4, 8};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_expect_eq(umfDisjointPoolParamsSetMinBucketSize(params, bad[i]), INVAL);
        cr_expect_eq(umfDisjointPoolParamsSetMinBucketSize(params, good[i]), OK);
    }
    cr_assert_eq(umfDisjointPoolSharedLimitsCreate(4096, &limits), OK);
    cr_expect_eq(umfDisjointPoolParamsSetSharedLimits(params, limits), OK);
    cr_expect_eq(umfDisjointPoolSharedLimitsDestroy(limits), OK); // the parameters keep it
    cr_expect_eq(umfDisjointPoolParamsDestroy(params), OK);
}

Test(disjoint, names) {
    const char *name = NULL;
    cr_assert_eq(umfDisjointPoolOps()->get_name(NULL, &name), OK);
    cr_expect_str_eq(name, "disjoint");
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    umf_disjoint_pool_params_handle_t params = NULL;
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    char long_name[100];
    memset(long_name, 'n', sizeof(long_name));
    long_name[99] = '\0';
    cr_assert_eq(umfDisjointPoolParamsSetName(params, long_name), OK);
    cr_assert_eq(umfDisjointPoolParamsSetName(params, "mine"), OK);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, params, 0, &pool), OK);
    cr_expect_eq(umfPoolGetName(pool, &name), OK);
    cr_expect_str_eq(name, "mine");
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfDisjointPoolParamsSetName(params, long_name), OK);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, params, 0, &pool), OK);
    cr_assert_eq(umfDisjointPoolParamsDestroy(params), OK);
    cr_expect_eq(umfPoolGetName(pool, &name), OK);
    cr_expect_eq(strlen(name), 63);
    tear_down();
}

Test(disjoint, a_provider_without_memory_is_enough_to_create_one) {
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &pool), OK);
    cr_expect_eq(umfPoolMalloc(pool, 100), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_expect_eq(umfPoolMalloc(pool, 100 * MIB), NULL);
    cr_expect_eq(umfPoolDestroy(pool), OK);
    cr_expect_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, smallest_bucket_is_a_cache_line_of_the_provider) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.slab_min_size = 0});
    cr_expect_eq(get("params.min_bucket_size"), TEST_CACHE_LINE);
    cr_expect_eq(get("buckets.0.size"), TEST_CACHE_LINE);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    counted.fail[OP_CACHE_LINE] = SPECIFIC;
    pool = pool_with(provider, &(setup_t){.slab_min_size = 0});
    cr_expect_eq(get("params.min_bucket_size"), UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- buckets -------------------------------------------------------------------------------- */

Test(disjoint, bucket_sizes_are_steps_of_two_and_three_halves) {
    for (size_t min = 1; min <= 2 * GIB; min *= 2) {
        set_up(&(setup_t){.min_bucket_size = min});
        size_t count = get("buckets.count");
        size_t previous = 0;
        for (size_t i = 0; i < count; i++) {
            size_t size = 0;
            cr_assert_eq(GET("buckets.{}.size", &size, i), OK);
            cr_assert_eq(size % min, 0);
            cr_assert_geq(size, previous + min);
            previous = size;
        }
        cr_assert_eq(previous, 2 * GIB);
        tear_down();
    }
    const size_t expected[] = {8, 16, 24, 32, 48, 64, 96, 128};
    set_up(&(setup_t){.min_bucket_size = 8});
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        size_t size = 0;
        cr_assert_eq(GET("buckets.{}.size", &size, i), OK);
        cr_expect_eq(size, expected[i]);
    }
    tear_down();
}

Test(disjoint, every_request_gets_the_smallest_bucket_that_holds_it) {
    for (size_t min = 1; min <= 64; min *= 4) {
        set_up(&(setup_t){.min_bucket_size = min, .max_poolable_size = 2 * GIB});
        size_t count = get("buckets.count");
        size_t sizes[64];
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(GET("buckets.{}.size", &sizes[i], i), OK);
        }
        size_t bucket = 0;
        for (size_t n = 1; n <= 2 * GIB; n += n < 5000 ? 1 : n < 5000000 ? 977 : 99999989) {
            while (sizes[bucket] < n) {
                bucket++;
            }
            void *ptr = umfPoolMalloc(pool, n);
            size_t usable = 0;
            cr_assert_not_null(ptr);
            cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
            cr_assert_eq(usable, sizes[bucket], "%zu: %zu instead of %zu", n, usable,
                         sizes[bucket]);
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
        tear_down();
    }
}

/* ---- slabs ---------------------------------------------------------------------------------- */

Test(disjoint, memory_is_never_touched) {
    set_up(&(setup_t){.trace = 0}); // every access would be a fault
    void *blocks[3000];
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = i % 3 != 0 ? umfPoolMalloc(pool, 1 + i * 7 % 4000)
                               : umfPoolAlignedMalloc(pool, 1 + i, (size_t)1 << i % 18);
        cr_assert_not_null(blocks[i]);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(blocks); i++) {
        size_t usable;
        cr_assert_eq(umfPoolMallocUsableSize(pool, blocks[i], &usable), OK);
        cr_assert_eq(umfPoolFree(pool, blocks[i]), OK);
    }
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(get("stats.reserved_memory"), 0);
    tear_down();
}

Test(disjoint, slabs_are_cut_from_the_base_upwards) {
    set_up(&(setup_t){.min_bucket_size = 64});
    char *first = umfPoolMalloc(pool, 64);
    cr_expect_eq(load_relaxed(&none.last_size), 64 * KIB);
    cr_expect_eq(load_relaxed(&none.last_alignment), 0);
    cr_expect_eq((uintptr_t)first % 4096, 0, "the slab's base");
    char *block[1024] = {first};
    for (size_t i = 1; i < 1024; i++) {
        block[i] = umfPoolMalloc(pool, 64);
        cr_assert_eq(block[i], first + 64 * i);
    }
    cr_expect_eq(allocs(), 1);
    // freed in any order, the lowest comes first
    const size_t freed[] = {700, 3, 900, 64, 63, 1000, 0};
    const size_t sorted[] = {0, 3, 63, 64, 700, 900, 1000};
    for (size_t i = 0; i < ARRAY_LENGTH(freed); i++) {
        cr_assert_eq(umfPoolFree(pool, block[freed[i]]), OK);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(sorted); i++) {
        cr_assert_eq(umfPoolMalloc(pool, 64), block[sorted[i]]);
    }
    cr_assert_eq(umfPoolFree(pool, block[5]), OK);
    cr_assert_eq(umfPoolFree(pool, block[4]), OK);
    cr_assert_eq(umfPoolMalloc(pool, 64), block[4]);
    cr_assert_eq(umfPoolMalloc(pool, 64), block[5]);
    cr_expect_eq(allocs(), 1);
    tear_down();
}

Test(disjoint, sizes_of_provider_requests) {
    set_up(&(setup_t){.min_bucket_size = 8});
    cr_expect_eq(umfPoolMalloc(pool, 0), NULL);
    cr_expect_eq(allocs(), 0);
    void *ptr = umfPoolMalloc(pool, 64 * KIB - 1);
    cr_expect_eq(load_relaxed(&none.last_size), 64 * KIB);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    ptr = umfPoolMalloc(pool, 2 * MIB);
    cr_expect_eq(load_relaxed(&none.last_size), 2 * MIB);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_expect_eq(frees(), 0, "both are kept");
    size_t reserved = get("stats.reserved_memory");
    ptr = umfPoolMalloc(pool, 2 * MIB + 1);
    cr_expect_eq(load_relaxed(&none.last_size), 2 * MIB + 1);
    cr_expect_eq(get("stats.reserved_memory"), reserved, "direct ones are not counted");
    size_t usable = 0;
    cr_expect_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
    cr_expect_eq(usable, 2 * MIB + 1);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_expect_eq(frees(), 1);
    tear_down();
}

Test(disjoint, capacity_limits_what_is_kept) {
    for (size_t capacity = 0; capacity <= 4; capacity++) {
        for (int trace = 0; trace <= 2; trace++) {
            none = (none_provider_t){.page = 0};
            set_up(&(setup_t){.capacity_plus1 = capacity + 1, .trace = trace});
            void *block[5];
            for (int round = 0; round < 3; round++) {
                size_t before = frees();
                for (int i = 0; i < 5; i++) {
                    block[i] = umfPoolMalloc(pool, 64 * KIB);
                }
                cr_assert_eq(allocs() - frees(), 5);
                for (int i = 0; i < 5; i++) {
                    cr_assert_eq(umfPoolFree(pool, block[i]), OK);
                    size_t kept = (size_t)i + 1 < capacity ? (size_t)i + 1 : capacity;
                    cr_assert_eq(frees() - before, (size_t)i + 1 - kept);
                }
                cr_assert_eq(get("stats.reserved_memory"), capacity * 64 * KIB);
            }
            tear_down();
        }
    }
}

Test(disjoint, buckets_with_many_chunks_keep_one_slab) {
    set_up(&(setup_t){.slab_min_size = 1024, .capacity_plus1 = 9});
    void *block[8]; // two chunks of 512 in a slab
    for (int i = 0; i < 8; i++) {
        block[i] = umfPoolMalloc(pool, 512);
    }
    cr_expect_eq(allocs(), 4);
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
    }
    cr_expect_eq(frees(), 3);
    tear_down();
}

/* A trivial model of one bucket: what must be handed out, and how many slabs there must be. */
enum { MODEL_SLABS = 64, MODEL_CHUNKS = 4, MODEL_CHUNK_BYTES = 256 };

typedef struct model {
    char *base[MODEL_SLABS]; /* NULL: free entry */
    bool taken[MODEL_SLABS][MODEL_CHUNKS];
    int order[MODEL_SLABS]; /* slabs with free chunks, first to last */
    int available;
    size_t frees;
} model_t;

static int model_used(const model_t *model, int slab) {
    int used = 0;
    for (int i = 0; i < MODEL_CHUNKS; i++) {
        used += model->taken[slab][i];
    }
    return used;
}

static void model_remove(model_t *model, int slab) {
    int n = 0;
    for (int i = 0; i < model->available; i++) {
        if (model->order[i] != slab) {
            model->order[n++] = model->order[i];
        }
    }
    model->available = n;
}

static void model_prepend(model_t *model, int slab) {
    memmove(&model->order[1], &model->order[0], sizeof(int) * (size_t)model->available++);
    model->order[0] = slab;
}

/* Checks what malloc gave. */
static void model_malloc(model_t *model, char *got) {
    if (model->available == 0) {
        int slab = 0;
        while (model->base[slab] != NULL) {
            slab++;
        }
        model->base[slab] = got;
        model_prepend(model, slab);
    }
    int slab = model->order[0];
    int chunk = 0;
    while (model->taken[slab][chunk]) {
        chunk++;
    }
    cr_assert_eq(got, model->base[slab] + chunk * MODEL_CHUNK_BYTES);
    model->taken[slab][chunk] = true;
    if (model_used(model, slab) == MODEL_CHUNKS) {
        model_remove(model, slab);
    }
}

static void model_free(model_t *model, const char *ptr, int limit) {
    int slab = 0;
    while (model->base[slab] == NULL || ptr < model->base[slab] ||
           ptr >= model->base[slab] + MODEL_CHUNKS * MODEL_CHUNK_BYTES) {
        slab++;
    }
    if (model_used(model, slab) == MODEL_CHUNKS) {
        model_prepend(model, slab);
    }
    int kept = 0;
    for (int i = 0; i < MODEL_SLABS; i++) {
        kept += model->base[i] != NULL && model_used(model, i) == 0;
    }
    model->taken[slab][(ptr - model->base[slab]) / MODEL_CHUNK_BYTES] = false;
    if (model_used(model, slab) == 0 && kept >= limit) {
        model_remove(model, slab);
        model->base[slab] = NULL;
        model->frees++;
    }
}

static void model_run(const setup_t *setup, unsigned seed) {
    static model_t model;
    model = (model_t){.available = 0};
    none = (none_provider_t){.page = 0};
    set_up(setup);
    char *live[60];
    int count = 0;
    int target = 0;
    for (int step = 0; step < 60000; step++) {
        if (step % 50 ==
            0) { // short and long phases of growth, shrinking, and lone blocks that come and go
            target = (int)(rand_r(&seed) % ARRAY_LENGTH(live));
            target = target % 3 == 0 ? target % 4 : target;
        }
        bool grow = count == 0 || (count < (int)ARRAY_LENGTH(live) &&
                                   (count < target || (count == target && rand_r(&seed) % 2 == 0)));
        if (grow) {
            live[count] = umfPoolMalloc(pool, MODEL_CHUNK_BYTES);
            model_malloc(&model, live[count++]);
        } else {
            int victim = (int)(rand_r(&seed) % (unsigned)count);
            char *ptr = live[victim];
            live[victim] = live[--count];
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
            model_free(&model, ptr, 1);
        }
        cr_assert_eq(frees(), model.frees, "step %d", step);
        if (rand_r(&seed) % 64 == 0) {
            cr_assert_eq(get("stats.used_memory"), (size_t)count * MODEL_CHUNK_BYTES);
            cr_assert_eq(get("stats.reserved_memory"), (allocs() - frees()) * 1024);
        }
    }
    while (count > 0) {
        cr_assert_eq(umfPoolFree(pool, live[--count]), OK);
    }
    tear_down();
}

Test(disjoint, one_thread_sees_exactly_the_simple_model) {
    umf_disjoint_pool_shared_limits_handle_t limits;
    cr_assert_eq(umfDisjointPoolSharedLimitsCreate(SIZE_MAX, &limits), OK);
    for (unsigned seed = 1; seed <= 3; seed++) {
        model_run(&(setup_t){.slab_min_size = 1024}, seed);
        model_run(&(setup_t){.slab_min_size = 1024, .trace = 1}, seed);
        model_run(&(setup_t){.slab_min_size = 1024, .trace = 2}, seed);
        model_run(&(setup_t){.slab_min_size = 1024, .limits = limits}, seed);
        model_run(&(setup_t){.slab_min_size = 1024, .flags = UMF_POOL_CREATE_FLAG_DISABLE_TRACKING},
                  seed);
    }
    cr_assert_eq(umfDisjointPoolSharedLimitsDestroy(limits), OK);
}

Test(disjoint, single_chunk_slabs_are_counted_exactly) {
    for (int trace = 0; trace <= 1; trace++) {
        none = (none_provider_t){.page = 0};
        set_up(&(setup_t){.trace = trace});
        void *live[12];
        size_t count = 0, kept = 0, returned = 0;
        unsigned seed = 7;
        for (int step = 0; step < 20000; step++) {
            if (count == 0 || (count < ARRAY_LENGTH(live) && rand_r(&seed) % 2 == 0)) {
                live[count++] = umfPoolMalloc(pool, 64 * KIB);
                kept -= kept > 0 ? 1 : 0;
            } else {
                size_t victim = rand_r(&seed) % count;
                cr_assert_eq(umfPoolFree(pool, live[victim]), OK);
                live[victim] = live[--count];
                returned += kept == 4 ? 1 : 0;
                kept += kept < 4 ? 1 : 0;
            }
            cr_assert_eq(frees(), returned, "step %d", step);
            cr_assert_eq(allocs() - frees(), count + kept, "step %d", step);
        }
        tear_down();
    }
}

/* ---- shared limits -------------------------------------------------------------------------- */

Test(disjoint, pools_share_a_limit) {
    umf_disjoint_pool_shared_limits_handle_t limits;
    cr_assert_eq(umfDisjointPoolSharedLimitsCreate(4 * KIB, &limits), OK);
    setup_t setup = {.slab_min_size = 1024, .capacity_plus1 = 5, .limits = limits};
    set_up(&setup);
    umf_memory_pool_handle_t other = pool_with(provider, &setup);
    cr_assert_eq(umfDisjointPoolSharedLimitsDestroy(limits), OK); // the pools keep it
    for (int round = 0; round < 4; round++) {
        void *a[4], *b[4];
        size_t before = frees();
        for (int i = 0; i < 4; i++) {
            a[i] = umfPoolMalloc(pool, 1024);
            b[i] = umfPoolMalloc(other, 1024);
        }
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(umfPoolFree(pool, a[i]), OK);
            cr_assert_eq(umfPoolFree(other, b[i]), OK);
        }
        cr_assert_eq(frees() - before, 4, "half of the slabs, round %d", round);
        // what trim gives back is booked back: the budget does not shrink
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_assert_eq(umfPoolTrimMemory(other, round % 2 == 0 ? 0 : SIZE_MAX), OK);
        if (round % 2 != 0) {
            cr_assert_eq(umfPoolTrimMemory(other, 0), OK);
        }
        cr_assert_eq(allocs(), frees());
    }
    void *a[4];
    for (int i = 0; i < 4; i++) {
        a[i] = umfPoolMalloc(other, 1024);
    }
    for (int i = 0; i < 4; i++) {
        umfPoolFree(other, a[i]);
    }
    cr_assert_eq(umfPoolDestroy(other), OK);
    size_t before = frees();
    for (int i = 0; i < 4; i++) { // a destroyed pool gives its share back
        a[i] = umfPoolMalloc(pool, 1024);
    }
    for (int i = 0; i < 4; i++) {
        umfPoolFree(pool, a[i]);
    }
    cr_expect_eq(frees(), before);
    tear_down();
}

/* ---- trim ----------------------------------------------------------------------------------- */

Test(disjoint, trim_keeps_whole_slabs) {
    for (int trace = 0; trace <= 1; trace++) {
        none = (none_provider_t){.page = 0};
        set_up(&(setup_t){.slab_min_size = 64, .min_bucket_size = 64, .trace = trace});
        void *block[4];
        for (int i = 0; i < 4; i++) {
            block[i] = umfPoolMalloc(pool, 64);
        }
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_expect_eq(frees(), 0, "slabs in use stay");
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        }
        cr_expect_eq(get("stats.reserved_memory"), 4 * 64);
        cr_assert_eq(umfPoolTrimMemory(pool, 3 * 64), OK);
        cr_expect_eq(get("stats.reserved_memory"), 3 * 64);
        cr_assert_eq(umfPoolTrimMemory(pool, 64), OK);
        cr_expect_eq(get("stats.reserved_memory"), 64);
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_expect_eq(get("stats.reserved_memory"), 0);
        tear_down();
    }
}

Test(disjoint, trim_does_not_end_pooling) {
    set_up(&(setup_t){.min_bucket_size = 64});
    for (int round = 0; round < 5; round++) {
        void *small = umfPoolMalloc(pool, 64);
        void *large = umfPoolMalloc(pool, 64 * KIB);
        umfPoolFree(pool, small);
        umfPoolFree(pool, large);
        cr_assert_eq(get("stats.reserved_memory"), 2 * 64 * KIB, "round %d", round);
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_assert_eq(get("stats.reserved_memory"), 0);
    }
    tear_down();
}

Test(disjoint, memory_is_unknown_before_the_provider_has_it_back) {
    set_up(&(setup_t){.min_bucket_size = 64, .capacity_plus1 = 1});
    umfPoolFree(pool, umfPoolMalloc(pool, 64 * KIB)); // capacity 0
    umfPoolFree(pool, umfPoolMalloc(pool, 64));
    umfPoolTrimMemory(pool, 0);
    umfPoolFree(pool, umfPoolMalloc(pool, 8 * MIB));
    cr_expect_eq(frees(), 3);
    cr_expect_not(none.known_during_free);
    tear_down();
}

Test(disjoint, a_free_that_the_provider_refuses_can_be_repeated) {
    for (umf_pool_create_flags_t flags = 0; flags <= 2; flags += 2) {
        none = (none_provider_t){.page = 0};
        set_up(&(setup_t){.flags = flags});
        void *ptr = umfPoolMalloc(pool, 3 * MIB);
        none.fail_free = true;
        cr_expect_eq(umfPoolFree(pool, ptr), SPECIFIC);
        none.fail_free = false;
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
        cr_expect_eq(umfPoolFree(pool, ptr), INVAL);
        cr_expect_eq(frees(), 2);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    }
}

Test(disjoint, a_slab_that_the_provider_does_not_take_is_kept) {
    set_up(&(setup_t){.capacity_plus1 = 1});
    void *ptr = umfPoolMalloc(pool, 64 * KIB);
    none.fail_free = true;
    cr_expect_eq(umfPoolFree(pool, ptr), OK);
    none.fail_free = false;
    cr_expect_eq(get("stats.reserved_memory"), 64 * KIB);
    cr_expect_eq(umfPoolMalloc(pool, 64 * KIB), ptr, "it is used again");
    cr_expect_eq(umfPoolFree(pool, ptr), OK);
    cr_expect_eq(get("stats.reserved_memory"), 0);
    cr_expect_eq(frees(), 2);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* ---- errors --------------------------------------------------------------------------------- */

Test(disjoint, last_error_is_of_the_last_failure) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    cr_expect_eq(umfPoolCalloc(pool, 1, 1), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    cr_expect_eq(umfPoolRealloc(pool, NULL, 1), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    counted.fail[OP_ALLOC] = SPECIFIC;
    cr_expect_eq(umfPoolMalloc(pool, 64), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM, "slabs: whatever the provider said");
    cr_expect_eq(umfPoolMalloc(pool, 3 * MIB), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), SPECIFIC, "direct ones: the provider's code");
    counted.fail[OP_ALLOC] = OK;
    umfPoolFree(pool, umfPoolMalloc(pool, 64));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), SPECIFIC, "success does not reset it");
    cr_expect_eq(umfPoolFree(pool, NULL), OK);
    size_t size = 1;
    cr_expect_eq(umfPoolMallocUsableSize(pool, NULL, &size), OK);
    cr_expect_eq(size, 0);
    cr_expect_eq(umfPoolMallocUsableSize(pool, &size, NULL), INVAL);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, wrong_frees_are_refused) {
    set_up(&(setup_t){.min_bucket_size = 64});
    char *block[4];
    for (int i = 0; i < 4; i++) {
        block[i] = umfPoolMalloc(pool, 64);
    }
    for (int i = 0; i < 3; i++) { // the first of them waits in the hot slot
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_expect_eq(umfPoolFree(pool, block[i]), INVAL, "double free %d", i);
    }
    int local = 0;
    cr_expect_eq(umfPoolFree(pool, &local), INVAL);
    cr_expect_eq(umfPoolFree(pool, (void *)(uintptr_t)1), INVAL);
    cr_expect_eq(umfPoolFree(pool, (void *)UINTPTR_MAX), INVAL);
    char *direct = umfPoolMalloc(pool, 4 * MIB);
    cr_expect_eq(umfPoolFree(pool, direct + 64), INVAL, "interior pointer");
    umf_memory_pool_handle_t other = pool_with(provider, &(setup_t){.trace = 0});
    cr_expect_eq(umfPoolFree(other, block[3]), INVAL, "block of another pool");
    cr_expect_eq(umfPoolFree(other, direct), INVAL, "block of another pool");
    cr_expect_eq(frees(), 0);
    cr_expect_eq(umfPoolFree(pool, direct), OK);
    cr_expect_eq(umfPoolFree(pool, direct), INVAL);
    cr_expect_eq(umfPoolFree(pool, block[3]), OK);
    cr_expect_eq(umfPoolFree(pool, block[3]), INVAL);
    cr_expect_eq(get("stats.used_memory"), 0);
    cr_assert_eq(umfPoolDestroy(other), OK);
    tear_down();
}

/* A slab that went back stays in the look-up table, with base 0, until another takes its place; the
 * first page of 8 MiB is in the place of NULL. */
Test(disjoint, free_of_null_is_no_block_of_a_returned_slab) {
    enum { TABLE_BYTES = 8 << 20 };
    test_provider_t memory = {0};
    char *arena = test_arena(2 * TABLE_BYTES);
    memory.arena = (char *)align_up((uintptr_t)arena, TABLE_BYTES);
    memory.arena_size = TABLE_BYTES;
    provider = test_provider_create(&memory);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &pool), OK);
    void *block = umfPoolMalloc(pool, 64);
    cr_assert_eq((uintptr_t)block % TABLE_BYTES, 0);
    cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 64)), OK); // the table knows the slab now
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(load_relaxed(&memory.live_bytes), 0, "the slab is back");
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
    cr_assert_eq(umfPoolFree(pool, (void *)64), INVAL);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, failed_slabs_leave_nothing_behind) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.min_bucket_size = 8});
    counted.fail[OP_ALLOC] = OOM;
    cr_assert_null(umfPoolMalloc(pool, 8));
    size_t used = load_relaxed(&umf_core_state.base.used_bytes);
    for (int i = 0; i < 1000; i++) {
        cr_assert_null(umfPoolMalloc(pool, 8));
    }
    cr_expect_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, creation_and_destruction_balance) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    size_t used = 0;
    for (int i = 0; i < 50; i++) {
        pool =
            pool_with(provider, &(setup_t){.min_bucket_size = 64, .flags = i % 2 != 0 ? 2u : 0u});
        for (size_t n = 1; n <= 4 * MIB; n = n * 3 + 1) {
            cr_assert_not_null(umfPoolMalloc(pool, n));
            umfPoolFree(pool, umfPoolMalloc(pool, n));
        }
        void *direct = umfPoolMalloc(pool, 5 * MIB);
        cr_assert_eq(umfPoolFree(pool, direct), OK);
        cr_assert_eq(umfPoolDestroy(pool), OK); // with live blocks
        used = i == 1 ? load_relaxed(&umf_core_state.base.used_bytes) : used;
    }
    // what remains: direct blocks are never freed by the pool, and their regions and pools stay
    // known
    cr_assert_lt(load_relaxed(&umf_core_state.base.used_bytes) - used, 50 * 4096);

    // the operations by hand, with and without the second step
    const umf_memory_pool_ops_t *ops = umfDisjointPoolOps();
    used = load_relaxed(&umf_core_state.base.used_bytes);
    void *priv = NULL;
    cr_assert_eq(ops->initialize(provider, NULL, &priv), OK);
    cr_expect_eq(ops->malloc(priv, 8), NULL);
    cr_expect_eq(ops->free(priv, &priv), INVAL);
    cr_expect_eq(ops->finalize(priv), OK);
    cr_expect_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
}

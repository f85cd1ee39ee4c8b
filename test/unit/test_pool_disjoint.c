/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Disjoint pool: parameters, buckets, what is kept and what goes back, CTL nodes, aligned blocks, threads, fork; and one test for
 * each way in which such a pool has gone wrong elsewhere. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/pool.h"
#include "core/state.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define NOPATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

/* ---- a provider whose memory nobody can touch -------------------------------------------------- */

typedef struct none_provider {
    _Atomic(size_t) allocs, frees;
    _Atomic(size_t) last_size, last_alignment;
    bool fail_free;
    bool known_during_free; /* a freed address still led to a pool when the free arrived */
    size_t page;            /* 0: 4 KiB */
    size_t shift;           /* blocks without alignment begin this far behind a page */
} none_provider_t;

static umf_result_t none_initialize(const void *params, void **priv) {
    *priv = (void *)(uintptr_t)params;
    return OK;
}

static umf_result_t none_finalize(void *priv) {
    (void)priv;
    return OK;
}

static umf_result_t none_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    none_provider_t *none = priv;
    fetch_add_relaxed(&none->allocs, 1);
    store_relaxed(&none->last_size, size);
    store_relaxed(&none->last_alignment, alignment);
    // the whole reserve stays: leaving parts of it mapped disturbs nobody in a test
    size_t shift = alignment <= 1 ? none->shift : 0;
    size_t extra = (alignment > 4096 ? alignment : 0) + shift;
    char *block = mmap(NULL, size + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                       -1, 0);
    if (block == MAP_FAILED) {
        return OOM;
    }
    *ptr = (char *)align_up((uintptr_t)block, alignment > 4096 ? alignment : 1) + shift;
    return OK;
}

static umf_result_t none_free(void *priv, void *ptr, size_t size) {
    none_provider_t *none = priv;
    umf_memory_pool_handle_t pool;
    fetch_add_relaxed(&none->frees, 1);
    if (umfPoolByPtr(ptr, &pool) == OK) {
        none->known_during_free = true;
    }
    if (none->fail_free) {
        return SPECIFIC;
    }
    uintptr_t page = align_down((uintptr_t)ptr, 4096);
    munmap((void *)page, size + ((uintptr_t)ptr - page));
    return OK;
}

static umf_result_t none_native_error(void *priv, const char **message, int32_t *error) {
    (void)priv;
    *message = "";
    *error = 0;
    return OK;
}

static umf_result_t none_recommended_page(void *priv, size_t size, size_t *page) {
    (void)priv, (void)size;
    *page = 4096;
    return OK;
}

static umf_result_t none_min_page(void *priv, const void *ptr, size_t *page) {
    (void)ptr;
    *page = ((none_provider_t *)priv)->page != 0 ? ((none_provider_t *)priv)->page : 4096;
    return OK;
}

static umf_result_t none_name(void *priv, const char **name) {
    (void)priv;
    *name = "none";
    return OK;
}

static umf_result_t none_cache_line(void *priv, size_t *size) {
    (void)priv;
    *size = 64;
    return OK;
}

static const umf_memory_provider_ops_t none_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = none_initialize,
    .finalize = none_finalize,
    .alloc = none_alloc,
    .free = none_free,
    .get_last_native_error = none_native_error,
    .get_recommended_page_size = none_recommended_page,
    .get_min_page_size = none_min_page,
    .get_name = none_name,
    .get_cache_line_size = none_cache_line,
};

/* ---- fixture ----------------------------------------------------------------------------------- */

static none_provider_t none; /* fresh in every test: each runs in a process of its own */
static test_provider_t counted;
static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t pool;

typedef struct setup {
    size_t slab_min_size, max_poolable_size, min_bucket_size; /* 0: default */
    size_t capacity_plus1;                                    /* 0: default */
    int trace;
    umf_disjoint_pool_shared_limits_handle_t limits;
    umf_pool_create_flags_t flags;
} setup_t;

static umf_disjoint_pool_params_handle_t params_for(const setup_t *setup) {
    umf_disjoint_pool_params_handle_t params = NULL;
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    if (setup->slab_min_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetSlabMinSize(params, setup->slab_min_size), OK);
    }
    if (setup->max_poolable_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetMaxPoolableSize(params, setup->max_poolable_size), OK);
    }
    if (setup->min_bucket_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetMinBucketSize(params, setup->min_bucket_size), OK);
    }
    if (setup->capacity_plus1 != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetCapacity(params, setup->capacity_plus1 - 1), OK);
    }
    cr_assert_eq(umfDisjointPoolParamsSetTrace(params, setup->trace), OK);
    cr_assert_eq(umfDisjointPoolParamsSetSharedLimits(params, setup->limits), OK);
    return params;
}

static umf_memory_pool_handle_t pool_with(umf_memory_provider_handle_t from, const setup_t *setup) {
    umf_memory_pool_handle_t created = NULL;
    umf_disjoint_pool_params_handle_t params = params_for(setup);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), from, params, setup->flags, &created), OK);
    cr_assert_eq(umfDisjointPoolParamsDestroy(params), OK);
    return created;
}

/* A pool on memory that faults when touched. */
static void set_up(const setup_t *setup) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    pool = pool_with(provider, setup);
}

static void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&none.allocs), load_relaxed(&none.frees), "all memory went back");
}

static umf_result_t ctl(umf_memory_pool_handle_t on, umf_ctl_query_source_t source,
                        umf_ctl_query_type_t type, const char *name, void *arg, size_t size, ...) {
    va_list args;
    va_start(args, size);
    umf_result_t result = on->ops.ext_ctl(on->priv, source, name, arg, size, type, args);
    va_end(args);
    return result;
}

#define GET(name, arg, ...)                                                                        \
    ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_READ, name, (arg), sizeof(*(arg)), ##__VA_ARGS__)

static size_t get(const char *name) {
    size_t value = 0;
    cr_assert_eq(GET(name, &value), OK, "%s", name);
    return value;
}

static size_t frees(void) { return load_relaxed(&none.frees); }
static size_t allocs(void) { return load_relaxed(&none.allocs); }

/* ---- parameters -------------------------------------------------------------------------------- */

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
    cr_expect_null(umfPoolMalloc(pool, 100));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_expect_null(umfPoolMalloc(pool, 100 * MIB));
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

/* ---- buckets ----------------------------------------------------------------------------------- */

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

/* ---- slabs ------------------------------------------------------------------------------------- */

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
    cr_expect_null(umfPoolMalloc(pool, 0));
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
        if (step % 50 == 0) { // short and long phases of growth, shrinking, and lone blocks that come and go
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

/* ---- shared limits ----------------------------------------------------------------------------- */

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

/* ---- trim -------------------------------------------------------------------------------------- */

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

/* ---- errors ------------------------------------------------------------------------------------ */

Test(disjoint, last_error_is_of_the_last_failure) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    cr_expect_null(umfPoolCalloc(pool, 1, 1));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    cr_expect_null(umfPoolRealloc(pool, NULL, 1));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    counted.fail[OP_ALLOC] = SPECIFIC;
    cr_expect_null(umfPoolMalloc(pool, 64));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM, "slabs: whatever the provider said");
    cr_expect_null(umfPoolMalloc(pool, 3 * MIB));
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
        pool = pool_with(provider, &(setup_t){.min_bucket_size = 64, .flags = i % 2 != 0 ? 2u : 0u});
        for (size_t n = 1; n <= 4 * MIB; n = n * 3 + 1) {
            cr_assert_not_null(umfPoolMalloc(pool, n));
            umfPoolFree(pool, umfPoolMalloc(pool, n));
        }
        void *direct = umfPoolMalloc(pool, 5 * MIB);
        cr_assert_eq(umfPoolFree(pool, direct), OK);
        cr_assert_eq(umfPoolDestroy(pool), OK); // with live blocks
        used = i == 1 ? load_relaxed(&umf_core_state.base.used_bytes) : used;
    }
    // what remains: direct blocks are never freed by the pool, and their regions and pools stay known
    cr_expect_lt(load_relaxed(&umf_core_state.base.used_bytes) - used, 50 * 4096);

    // the operations by hand, with and without the second step
    const umf_memory_pool_ops_t *ops = umfDisjointPoolOps();
    used = load_relaxed(&umf_core_state.base.used_bytes);
    void *priv = NULL;
    cr_assert_eq(ops->initialize(provider, NULL, &priv), OK);
    cr_expect_null(ops->malloc(priv, 8));
    cr_expect_eq(ops->free(priv, &priv), INVAL);
    cr_expect_eq(ops->finalize(priv), OK);
    cr_expect_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
}

/* ---- CTL --------------------------------------------------------------------------------------- */

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
        {"alloc_num", 10, 10},        {"alloc_pool_num", 9, 9},    {"free_num", 0, 10},
        {"curr_slabs_in_use", 1, 0},  {"curr_slabs_in_pool", 0, 1}, {"max_slabs_in_use", 1, 1},
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
    static const char *const sized[] = {"stats.used_memory", "stats.alloc_num", "buckets.count",
                                        "buckets.0.size", "buckets.0.stats.free_num",
                                        "params.capacity", "params.pool_trace"};
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
    cr_expect_eq(
        ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_RUNNABLE, "post_initialize", NULL, 0), OK);
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
    cr_expect_neq(
        ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_RUNNABLE, "post_initialize", NULL, 0), OK);
    cr_expect_eq(ops->malloc(by_hand.priv, 16), first + 16);
    cr_expect_eq(ops->free(by_hand.priv, first), OK);
    cr_expect_eq(ops->free(by_hand.priv, first + 16), OK);
    void *direct = ops->malloc(by_hand.priv, 1 * MIB);
    cr_expect_eq(ops->free(by_hand.priv, direct), OK);
    cr_expect_eq(ops->finalize(by_hand.priv), OK);
    cr_expect_eq(allocs(), frees());
}

/* ---- aligned blocks ---------------------------------------------------------------------------- */

Test(disjoint, over_aligned_blocks_belong_to_their_slab) {
    // 200 KiB on 256 KiB: the pointer lies far behind the first slab_min_size bytes of its slab
    set_up(&(setup_t){.min_bucket_size = 8});
    char *block[8];
    for (int i = 0; i < 8; i++) {
        block[i] = umfPoolAlignedMalloc(pool, 200 * KIB, 256 * KIB);
        cr_assert(is_aligned((uintptr_t)block[i], 256 * KIB));
        size_t usable = 0;
        cr_assert_eq(umfPoolMallocUsableSize(pool, block[i], &usable), OK);
        cr_assert(usable >= 200 * KIB && usable <= 512 * KIB);
        umf_memory_pool_handle_t owner;
        cr_assert_eq(umfPoolByPtr(block[i] + 200 * KIB - 1, &owner), OK);
        cr_assert_eq(umfPoolByPtr(block[i] + usable - 1, &owner), OK);
    }
    size_t before = frees();
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(umfPoolFree(pool, block[i]), INVAL);
    }
    cr_expect_eq(frees() - before, 4, "whole slabs beyond the capacity, nothing else");
    cr_expect_eq(get("stats.used_memory"), 0);
    tear_down();
}

static void aligned_all(void) {
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        void *same = umfPoolAlignedMalloc(pool, alignment, alignment);
        void *one = umfPoolAlignedMalloc(pool, 1, alignment);
        void *odd = umfPoolAlignedMalloc(pool, 3 * alignment / 2 + 1, alignment);
        cr_assert(same != NULL && one != NULL && odd != NULL);
        cr_assert(is_aligned((uintptr_t)same | (uintptr_t)one | (uintptr_t)odd, alignment));
        cr_assert_eq(umfPoolFree(pool, same), OK);
        void *again = umfPoolMalloc(pool, 2 * alignment - 1); // whole chunks come back
        cr_assert_not_null(again);
        cr_assert_eq(umfPoolFree(pool, one), OK);
        cr_assert_eq(umfPoolFree(pool, odd), OK);
        cr_assert_eq(umfPoolFree(pool, again), OK);
    }
}

Test(disjoint, every_alignment) {
    const size_t pages[] = {1, 4096, 64 * KIB};
    for (size_t min = 1; min <= 64; min *= 8) {
        for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
            // bases that are no multiple of the page size that the provider tells
            for (none.shift = 0; none.shift <= 64; none.shift += 64) {
                none.page = pages[i];
                set_up(&(setup_t){.min_bucket_size = min});
                aligned_all();
                cr_assert_eq(get("stats.used_memory"), 0);
                cr_assert_eq(umfPoolDestroy(pool), OK);
                cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
            }
        }
    }
}

Test(disjoint, chunks_of_aligned_blocks_come_back_whole) {
    set_up(&(setup_t){.min_bucket_size = 64, .slab_min_size = 1 * MIB});
    char *keep = umfPoolMalloc(pool, 96 * KIB);
    for (int i = 0; i < 10; i++) { // one after the other through the hot slot
        char *inner = umfPoolAlignedMalloc(pool, 60 * KIB, 32 * KIB);
        cr_assert_eq(umfPoolFree(pool, inner), OK);
        char *whole = umfPoolMalloc(pool, 96 * KIB);
        size_t usable = 0;
        cr_assert_eq(umfPoolMallocUsableSize(pool, whole, &usable), OK);
        cr_assert_eq(usable, 96 * KIB);
        cr_assert_eq(whole, keep + 96 * KIB);
        cr_assert_eq(umfPoolFree(pool, whole), OK);
    }
    tear_down();
}

Test(disjoint, impossible_alignments_and_sizes) {
    set_up(&(setup_t){.min_bucket_size = 64});
    cr_expect_null(umfPoolAlignedMalloc(pool, 0, 64));
    cr_expect_null(umfPoolAlignedMalloc(pool, 64, 48));
    cr_expect_eq(umfPoolGetLastAllocationError(pool), UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 62, SIZE_MAX - 4096, SIZE_MAX / 2};
    const size_t alignments[] = {2, 64, 4096, 1 * MIB, (size_t)1 << 63};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(alignments); k++) {
            cr_expect_null(umfPoolAlignedMalloc(pool, sizes[i], alignments[k]));
        }
        cr_expect_null(umfPoolMalloc(pool, sizes[i]));
    }
    cr_expect_eq(allocs() >= 1, true);
    cr_expect_eq(frees(), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(disjoint, poolable_sizes_end_at_two_gib) {
    set_up(&(setup_t){.max_poolable_size = 16 * GIB});
    void *ptr = umfPoolMalloc(pool, 2 * GIB);
    cr_expect_eq(load_relaxed(&none.last_size), 2 * GIB);
    cr_expect_eq(umfPoolFree(pool, ptr), OK);
    cr_expect_eq(frees(), 0);
    const size_t sizes[] = {2 * GIB + 1, 3 * GIB, 4 * GIB + 1, 5 * GIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        size_t usable = 0;
        ptr = umfPoolMalloc(pool, sizes[i]);
        cr_assert_not_null(ptr);
        cr_expect_eq(load_relaxed(&none.last_size), sizes[i]);
        cr_expect_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
        cr_expect_eq(usable, sizes[i]);
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
        cr_expect_eq(frees(), i + 1);
    }
    tear_down();
}

Test(disjoint, slabs_larger_than_four_gib) {
    set_up(&(setup_t){.slab_min_size = 6 * GIB, .max_poolable_size = 2 * GIB});
    char *block[6];
    for (size_t i = 0; i < 6; i++) {
        block[i] = umfPoolMalloc(pool, 1 * GIB);
        cr_assert_eq(block[i], block[0] + i * GIB);
    }
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(umfPoolFree(pool, block[5 - i]), OK);
    }
    cr_expect_eq(get("stats.reserved_memory"), 6 * GIB);
    tear_down();
}

/* ---- without tracking, nested, exhausted ------------------------------------------------------- */

Test(disjoint, everything_can_be_freed_without_tracking) {
    set_up(&(setup_t){.flags = UMF_POOL_CREATE_FLAG_DISABLE_TRACKING});
    umf_memory_pool_handle_t other =
        pool_with(provider, &(setup_t){.flags = UMF_POOL_CREATE_FLAG_DISABLE_TRACKING});
    const size_t sizes[] = {1, 64, 5000, 64 * KIB, 2 * MIB, 2 * MIB + 1, 32 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        void *ptr = umfPoolMalloc(pool, sizes[i]);
        size_t usable = 0;
        umf_memory_pool_handle_t owner;
        cr_assert_not_null(ptr);
        cr_expect_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
        cr_expect_geq(usable, sizes[i]);
        cr_expect_eq(umfPoolByPtr(ptr, &owner), INVAL);
        cr_expect_eq(umfPoolFree(other, ptr), INVAL, "block of another pool");
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
    }
    cr_expect_eq(frees(), 2, "the direct ones");
    cr_assert_eq(umfPoolDestroy(other), OK);
    tear_down();
}

Test(disjoint, a_pool_on_a_block_of_a_pool) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    const size_t sizes[] = {256 * KIB, 2 * MIB, 4 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        char *outer = umfPoolAlignedMalloc(pool, sizes[i], 4096);
        umf_fixed_memory_provider_params_handle_t params;
        umf_memory_provider_handle_t fixed;
        umf_memory_pool_handle_t inner;
        cr_assert_eq(umfFixedMemoryProviderParamsCreate(outer, sizes[i], &params), OK);
        cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
        umfFixedMemoryProviderParamsDestroy(params);
        cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), fixed, NULL,
                                   UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &inner),
                     OK);
        char *block = umfPoolMalloc(inner, 100);
        umf_memory_pool_handle_t owner;
        cr_assert_not_null(block);
        cr_expect_eq(umfPoolByPtr(block, &owner), OK);
        cr_expect_eq(owner, inner);
        size_t usable = 0;
        cr_expect_eq(umfPoolMallocUsableSize(pool, outer, &usable), OK, "found behind the inner");
        cr_expect_geq(usable, sizes[i]);
        cr_expect_eq(umfPoolFree(inner, block), OK);
        cr_expect_eq(umfPoolDestroy(inner), OK);
        cr_expect_eq(umfPoolFree(pool, outer), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
}

static void *take_one(void *arg) {
    (void)arg;
    return umfPoolMalloc(pool, 64);
}

static void *take_one_elsewhere(void) {
    pthread_t thread;
    void *ptr = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, take_one, NULL), 0);
    cr_assert_eq(pthread_join(thread, &ptr), 0);
    return ptr;
}

Test(disjoint, freed_chunks_serve_an_exhausted_provider) {
    counted.arena_size = 256 * KIB;
    counted.arena = test_arena(counted.arena_size);
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.min_bucket_size = 64});
    static char *block[5000];
    size_t count = 0;
    while ((block[count] = umfPoolMalloc(pool, 64)) != NULL) {
        count++;
    }
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_eq(count, 4096);
    for (size_t i = 0; i < count; i += 100) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(umfPoolMalloc(pool, 64), block[i]);
        // also when another thread needs it: whoever freed it
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(take_one_elsewhere(), block[i]);
    }
    cr_expect_null(take_one_elsewhere());
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- threads ----------------------------------------------------------------------------------- */

enum { THREADS = 4, SLOTS = 512, STEPS = 60000 };
static _Atomic(char *) slot[SLOTS];
static const size_t torture_sizes[] = {8, 64, 64, 64, 100, 500, 4000, 40000, 64 * 1024, 200000};

/* Blocks wander between threads through shared slots; each carries its own address while it is live. */
static void *torture(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < STEPS; i++) {
        size_t size = torture_sizes[rand_r(&seed) % ARRAY_LENGTH(torture_sizes)];
        char *block = rand_r(&seed) % 8 != 0 ? umfPoolMalloc(pool, size)
                                             : umfPoolAlignedMalloc(pool, size, 256);
        cr_assert_not_null(block);
        memcpy(block, &block, sizeof(block));
        block = exchange_acq_rel(&slot[rand_r(&seed) % SLOTS], block);
        if (block != NULL) {
            char *mark;
            memcpy(&mark, block, sizeof(mark));
            cr_assert_eq(mark, block, "somebody else got this block too");
            memset(block, 0, 8);
            cr_assert_eq(umfPoolFree(pool, block), OK);
        }
        if (i % 8192 == 0) {
            umfPoolTrimMemory(pool, i % 16384 == 0 ? 0 : 1 * MIB);
        } else if (i % 4096 == 0) {
            cr_assert_geq(get("stats.reserved_memory"), get("stats.used_memory") / 8);
        }
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), uintptr_t first) {
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, run, (void *)(first + i)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(thread[i], NULL), 0);
    }
}

static void torture_with(const setup_t *setup) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, setup);
    for (uintptr_t round = 0; round < 2; round++) { // the second time by new threads
        run_threads(torture, 1 + round * THREADS);
    }
    for (int i = 0; i < SLOTS; i++) {
        cr_assert_eq(umfPoolFree(pool, exchange_acq_rel(&slot[i], NULL)), OK);
    }
    cr_assert_eq(get("stats.used_memory"), 0);
    cr_assert_eq(get("stats.reserved_memory"), load_relaxed(&counted.live_bytes));
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, threads) { torture_with(&(setup_t){.min_bucket_size = 8}); }
Test(disjoint, threads_with_small_slabs) { torture_with(&(setup_t){.slab_min_size = 2048}); }
Test(disjoint, threads_with_counters) { torture_with(&(setup_t){.trace = 2}); }

Test(disjoint, threads_with_limits) {
    umf_disjoint_pool_shared_limits_handle_t limits;
    cr_assert_eq(umfDisjointPoolSharedLimitsCreate(100 * KIB, &limits), OK);
    torture_with(&(setup_t){.limits = limits});
    cr_assert_eq(umfDisjointPoolSharedLimitsDestroy(limits), OK);
}

/* The same block size all the time, freed by the next thread: hot slots and one bucket's slabs under stress. */
static void *hot(void *arg) {
    size_t me = (size_t)(uintptr_t)arg % THREADS;
    for (int i = 0; i < STEPS; i++) {
        char *block = umfPoolMalloc(pool, 64);
        memcpy(block, &block, sizeof(block));
        char *mark;
        memcpy(&mark, block, sizeof(mark));
        cr_assert_eq(mark, block);
        block = i % 3 == 0 ? exchange_acq_rel(&slot[(me + 1) % THREADS], block) : block;
        umfPoolFree(pool, block);
    }
    return NULL;
}

Test(disjoint, threads_on_one_size) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    run_threads(hot, 0);
    for (int i = 0; i < THREADS; i++) {
        umfPoolFree(pool, exchange_acq_rel(&slot[i], NULL));
    }
    cr_expect_eq(get("stats.used_memory"), 0);
    // one kept slab, and one more for each thread that took part
    cr_expect_leq(get("stats.reserved_memory"), (THREADS + 8) * 64 * KIB);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
}

static _Atomic(bool) stop;

static void *busy(void *arg) {
    (void)arg;
    while (!load_relaxed(&stop)) {
        void *small = umfPoolMalloc(pool, 64);
        void *large = umfPoolMalloc(pool, 70000);
        umfPoolFree(pool, small);
        umfPoolFree(pool, large);
    }
    return NULL;
}

Test(disjoint, a_forked_child_can_use_the_pool) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, busy, NULL), 0);
    }
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            alarm(20); // a lock that was left behind
            for (size_t n = 8; n < 3 * MIB; n *= 2) {
                void *ptr = umfPoolMalloc(pool, n);
                if (ptr == NULL || umfPoolFree(pool, ptr) != OK) {
                    _exit(1);
                }
            }
            _exit(umfPoolTrimMemory(pool, 0) == OK && umfPoolDestroy(pool) == OK ? 0 : 2);
        }
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "child %d: status 0x%x", i, (unsigned)status);
    }
    store_relaxed(&stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
    }
    tear_down();
}

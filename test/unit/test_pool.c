/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Memory pools: creation, versions of the table, dispatch, tags, look-up by address, destruction.
 * */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>

#include "core/pool.h"
#include "core/state.h"
#include "core/tracking.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define BAD_PATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define NO_POOL ((umf_memory_pool_handle_t)(uintptr_t)0xdef0)

/* ---- a pool that counts its calls and fails on demand; memory as in the proxy pool ------------
 * */

typedef enum pool_op {
    POOL_INITIALIZE,
    POOL_FINALIZE,
    POOL_MALLOC,
    POOL_CALLOC,
    POOL_REALLOC,
    POOL_ALIGNED,
    POOL_USABLE,
    POOL_FREE,
    POOL_LAST_ERROR,
    POOL_NAME,
    POOL_CTL,
    POOL_TRIM,
    POOL_OPS
} pool_op_t;

typedef struct test_pool {
    umf_result_t fail[POOL_OPS];
    const char *name;
    size_t calls[POOL_OPS];
    umf_memory_provider_handle_t provider;
    size_t last_size, last_other;
    const void *last_ptr;
    const char *last_ctl_name;
} test_pool_t;

enum { POOL_BLOCK = 512 }; /* every block of the test pool has this size at the provider */

static umf_result_t pool_enter(test_pool_t *pool, pool_op_t op) {
    pool->calls[op]++;
    return pool->fail[op];
}

static umf_result_t pool_initialize(umf_memory_provider_handle_t provider, const void *params,
                                    void **priv) {
    test_pool_t *pool = (test_pool_t *)(uintptr_t)params;
    pool->provider = provider;
    umf_result_t result = pool_enter(pool, POOL_INITIALIZE);
    if (result == OK) {
        *priv = pool;
    }
    return result;
}

static umf_result_t pool_finalize(void *priv) {
    return pool_enter(priv, POOL_FINALIZE);
}

static void *pool_take(test_pool_t *pool, pool_op_t op, size_t size, size_t other) {
    void *ptr = NULL;
    pool->last_size = size;
    pool->last_other = other;
    if (pool_enter(pool, op) != OK) {
        return NULL;
    }
    return umfMemoryProviderAlloc(pool->provider, POOL_BLOCK, 0, &ptr) == OK ? ptr : NULL;
}

static void *pool_malloc(void *priv, size_t size) {
    return pool_take(priv, POOL_MALLOC, size, 0);
}

static void *pool_calloc(void *priv, size_t num, size_t size) {
    return pool_take(priv, POOL_CALLOC, size, num);
}

static void *pool_realloc(void *priv, void *ptr, size_t size) {
    test_pool_t *pool = priv;
    pool->last_ptr = ptr;
    pool->last_size = size;
    return pool_enter(pool, POOL_REALLOC) == OK ? ptr : NULL;
}

static void *pool_aligned(void *priv, size_t size, size_t alignment) {
    return pool_take(priv, POOL_ALIGNED, size, alignment);
}

static umf_result_t pool_usable(void *priv, const void *ptr, size_t *size) {
    test_pool_t *pool = priv;
    pool->last_ptr = ptr;
    *size = POOL_BLOCK;
    return pool_enter(pool, POOL_USABLE);
}

static umf_result_t pool_free(void *priv, void *ptr) {
    test_pool_t *pool = priv;
    pool->last_ptr = ptr;
    umf_result_t result = pool_enter(pool, POOL_FREE);
    return result == OK && ptr != NULL ? umfMemoryProviderFree(pool->provider, ptr, POOL_BLOCK)
                                       : result;
}

static umf_result_t pool_last_error(void *priv) {
    return pool_enter(priv, POOL_LAST_ERROR);
}

static umf_result_t pool_name(void *priv, const char **name) {
    test_pool_t *pool = priv;
    *name = pool != NULL && pool->name != NULL ? pool->name : "test-pool";
    return pool != NULL ? pool_enter(pool, POOL_NAME) : OK;
}

static umf_result_t pool_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                             size_t size, umf_ctl_query_type_t query_type, va_list args) {
    test_pool_t *pool = priv;
    (void)arg, (void)size, (void)args;
    cr_assert_eq(source, CTL_QUERY_PROGRAMMATIC);
    cr_assert_eq(query_type, CTL_QUERY_RUNNABLE);
    pool->last_ctl_name = name;
    return pool_enter(pool, POOL_CTL);
}

static umf_result_t pool_trim(void *priv, size_t min_bytes_to_keep) {
    test_pool_t *pool = priv;
    pool->last_size = min_bytes_to_keep;
    return pool_enter(pool, POOL_TRIM);
}

static const umf_memory_pool_ops_t test_pool_ops = {
    .version = UMF_POOL_OPS_VERSION_CURRENT,
    .initialize = pool_initialize,
    .finalize = pool_finalize,
    .malloc = pool_malloc,
    .calloc = pool_calloc,
    .realloc = pool_realloc,
    .aligned_malloc = pool_aligned,
    .malloc_usable_size = pool_usable,
    .free = pool_free,
    .get_last_allocation_error = pool_last_error,
    .get_name = pool_name,
    .ext_ctl = pool_ctl,
    .ext_trim_memory = pool_trim,
};

static umf_memory_pool_handle_t create(const umf_memory_pool_ops_t *ops,
                                       umf_memory_provider_handle_t provider, test_pool_t *state,
                                       umf_pool_create_flags_t flags) {
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(ops, provider, state, flags, &pool), OK);
    cr_assert_not_null(pool);
    return pool;
}

/* Creation must fail, leave the handle alone, not touch the provider, and leave nothing behind. */
static umf_result_t failing_create(const umf_memory_pool_ops_t *ops, test_pool_t *state,
                                   umf_pool_create_flags_t flags) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = NO_POOL;
    size_t used = load_relaxed(&umf_core_state.base.used_bytes);
    umf_result_t result = umfPoolCreate(ops, provider, state, flags, &pool);
    cr_assert_neq(result, OK);
    cr_assert_eq(pool, NO_POOL);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), used, "a leak");
    cr_assert_eq(load_relaxed(&provider_state.calls[OP_FINALIZE]), 0,
                 "the provider is the caller's");
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    return result;
}

/* ---- creation -------------------------------------------------------------------------------- */

Test(pool, null_arguments_of_creation_are_refused) {
    test_provider_t provider_state = {0};
    test_pool_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(NULL, provider, &state, 0, &pool), INVAL);
    cr_assert_eq(umfPoolCreate(&test_pool_ops, NULL, &state, 0, &pool), INVAL);
    cr_assert_eq(umfPoolCreate(&test_pool_ops, provider, &state, 0, NULL), INVAL);
    cr_assert_null(pool);
    umfMemoryProviderDestroy(provider);
}

Test(pool, unknown_flags_are_refused) {
    test_pool_t state = {0};
    cr_assert_eq(failing_create(&test_pool_ops, &state, 4), INVAL);
    cr_assert_eq(failing_create(&test_pool_ops, &state, UMF_POOL_CREATE_FLAG_FORCE_UINT32), INVAL);
}

#define REFUSED_WITHOUT(member)                                                                    \
    do {                                                                                           \
        umf_memory_pool_ops_t ops = test_pool_ops;                                                 \
        test_pool_t state = {0};                                                                   \
        ops.member = NULL;                                                                         \
        cr_assert_eq(failing_create(&ops, &state, 0), INVAL, "without %s", #member);               \
    } while (0)

Test(pool, each_mandatory_operation_is_needed) {
    REFUSED_WITHOUT(initialize);
    REFUSED_WITHOUT(finalize);
    REFUSED_WITHOUT(malloc);
    REFUSED_WITHOUT(calloc);
    REFUSED_WITHOUT(realloc);
    REFUSED_WITHOUT(aligned_malloc);
    REFUSED_WITHOUT(malloc_usable_size);
    REFUSED_WITHOUT(free);
    REFUSED_WITHOUT(get_last_allocation_error);
    REFUSED_WITHOUT(get_name);
}

Test(pool, errors_during_creation_are_passed_on) {
    static const umf_result_t errors[] = {OOM, SPECIFIC, INVAL, UMF_RESULT_ERROR_UNKNOWN};
    static const umf_pool_create_flags_t flags[] = {0, UMF_POOL_CREATE_FLAG_OWN_PROVIDER,
                                                    UMF_POOL_CREATE_FLAG_DISABLE_TRACKING, 3};
    for (size_t i = 0; i < ARRAY_LENGTH(errors) * ARRAY_LENGTH(flags); i++) {
        umf_result_t error = errors[i % ARRAY_LENGTH(errors)];
        umf_pool_create_flags_t flag = flags[i / ARRAY_LENGTH(errors)];
        test_pool_t state = {.fail[POOL_INITIALIZE] = error};
        cr_assert_eq(failing_create(&test_pool_ops, &state, flag), error);
        cr_assert_eq(state.calls[POOL_FINALIZE], 0);
        test_pool_t nameless = {.fail[POOL_NAME] = error};
        cr_assert_eq(failing_create(&test_pool_ops, &nameless, flag), error);
        cr_assert_eq(nameless.calls[POOL_FINALIZE], 1);
        test_pool_t late = {.fail[POOL_CTL] = error};
        cr_assert_eq(failing_create(&test_pool_ops, &late, flag), error);
        cr_assert_eq(late.calls[POOL_FINALIZE], 1);
    }
}

Test(pool, post_initialize_runs_once_and_may_be_unknown) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    test_pool_t state = {.fail[POOL_CTL] = BAD_PATH};
    umf_memory_pool_handle_t pool = create(&test_pool_ops, provider, &state, 0);
    cr_assert_eq(state.calls[POOL_CTL], 1);
    cr_assert_eq(state.calls[POOL_NAME], 1);
    cr_assert_str_eq(state.last_ctl_name, "post_initialize");
    cr_assert_eq(test_provider_calls_after_creation(&provider_state), 0);
    cr_assert_eq(load_relaxed(&provider_state.calls[OP_CTL]), 1, "the provider starts up once");
    cr_assert_eq(umfPoolDestroy(pool), OK);
    umfMemoryProviderDestroy(provider);
}

Test(pool, the_pool_gets_the_wrapper_or_the_provider_itself) {
    test_provider_t provider_state = {.name = "upstream"};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    for (umf_pool_create_flags_t flags = 0; flags < 4; flags += 2) {
        test_pool_t state = {0};
        umf_memory_pool_handle_t pool = create(&test_pool_ops, provider, &state, flags);
        cr_assert_eq(state.provider == provider, flags != 0);
        cr_assert_eq(tracking_provider_is(state.provider), flags == 0);
        cr_assert_eq(tracking_provider_upstream(state.provider), provider);
        cr_assert_eq(tracking_provider_pool(state.provider), flags == 0 ? pool : NULL);
        umf_memory_provider_handle_t found = NULL;
        cr_assert_eq(umfPoolGetMemoryProvider(pool, &found), OK);
        cr_assert_eq(found, provider);
        const char *name = NULL;
        cr_assert_eq(umfMemoryProviderGetName(state.provider, &name), OK);
        cr_assert_str_eq(name, "upstream");
        umfPoolDestroy(pool);
    }
    umfMemoryProviderDestroy(provider);
}

Test(pool, the_proxy_pool_works_over_a_provider_without_memory) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    umf_memory_pool_handle_t pool = create(umfProxyPoolOps(), provider, NULL, 0);
    cr_assert_null(umfPoolMalloc(pool, 0));
    cr_assert_null(umfPoolMalloc(pool, 100));
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    umfMemoryProviderDestroy(provider);
}

/* ---- versions -------------------------------------------------------------------------------- */

Test(pool, version_1_0_reads_its_prefix_only) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
    umf_memory_pool_ops_t ops = test_pool_ops;
    ops.version = UMF_MAKE_VERSION(1, 0);
    memcpy(pages + page - 96, &ops, 96);
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    test_pool_t state = {0};
    umf_memory_pool_handle_t pool = create((void *)(pages + page - 96), provider, &state, 0);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), NOTSUP);
    cr_assert_eq(state.calls[POOL_TRIM], 0);
    cr_assert_eq(state.calls[POOL_CTL], 1, "pools of every version are asked");
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(pool, newer_versions_are_refused) {
    static const uint32_t versions[] = {UMF_MAKE_VERSION(1, 2), UMF_MAKE_VERSION(2, 0), UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        umf_memory_pool_ops_t ops = test_pool_ops;
        test_pool_t state = {0};
        ops.version = versions[i];
        cr_assert_eq(failing_create(&ops, &state, 0), NOTSUP);
    }
}

Test(pool, missing_optional_operations_have_defaults) {
    umf_memory_pool_ops_t ops = test_pool_ops;
    ops.ext_ctl = NULL;
    ops.ext_trim_memory = NULL;
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    test_pool_t state = {0};
    umf_memory_pool_handle_t pool = create(&ops, provider, &state, 0);
    memset(&ops, 0, sizeof(ops)); // the table was copied
    cr_assert_eq(umfPoolTrimMemory(pool, 0), NOTSUP);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

Test(pool, null_arguments_are_refused) {
    size_t size = 0;
    void *tag = NULL;
    const char *name = NULL;
    umf_memory_provider_handle_t found = NULL;
    char block[8] = {0};
    cr_assert_null(umfPoolMalloc(NULL, 1));
    cr_assert_null(umfPoolAlignedMalloc(NULL, 1, 1));
    cr_assert_null(umfPoolCalloc(NULL, 1, 1));
    cr_assert_null(umfPoolRealloc(NULL, NULL, 1));
    cr_assert_eq(umfPoolFree(NULL, block), INVAL);
    cr_assert_eq(umfPoolMallocUsableSize(NULL, block, &size), INVAL);
    cr_assert_eq(umfPoolGetLastAllocationError(NULL), INVAL);
    cr_assert_eq(umfPoolGetName(NULL, &name), INVAL);
    cr_assert_eq(umfPoolTrimMemory(NULL, 0), INVAL);
    cr_assert_eq(umfPoolSetTag(NULL, NULL, &tag), INVAL);
    cr_assert_eq(umfPoolGetTag(NULL, &tag), INVAL);
    cr_assert_eq(umfPoolGetMemoryProvider(NULL, &found), INVAL);
    cr_assert_eq(umfPoolDestroy(NULL), INVAL);
    cr_assert_eq(umfFree(NULL), INVAL);

    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    test_pool_t state = {0};
    umf_memory_pool_handle_t pool = create(&test_pool_ops, provider, &state, 0);
    cr_assert_eq(umfPoolGetName(pool, NULL), INVAL);
    cr_assert_eq(umfPoolGetTag(pool, NULL), INVAL);
    cr_assert_eq(umfPoolGetMemoryProvider(pool, NULL), INVAL);
    cr_assert_eq(umfPoolByPtr(block, NULL), INVAL);
    cr_assert_eq(umfPoolByPtr(NULL, &pool), INVAL);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(pool, every_call_reaches_its_operation_once) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    test_pool_t state = {.name = "my-pool"};
    umf_memory_pool_handle_t pool = create(&test_pool_ops, provider, &state, 0);

    void *ptr = umfPoolMalloc(pool, 0);
    cr_assert_eq(state.calls[POOL_MALLOC], 1);
    cr_assert_eq(load_relaxed(&provider_state.calls[OP_ALLOC]), 1);
    cr_assert_eq(umfPoolRealloc(pool, ptr, 77), ptr);
    cr_assert_eq(state.calls[POOL_REALLOC], 1);
    cr_assert_eq(state.last_size, 77);
    size_t size = 0;
    cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &size), OK);
    cr_assert_eq(size, POOL_BLOCK);
    cr_assert_eq(state.calls[POOL_USABLE], 1);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_assert_eq(state.last_ptr, ptr);

    ptr = umfPoolCalloc(pool, 3, 7);
    cr_assert_eq(state.last_other, 3);
    cr_assert_eq(state.last_size, 7);
    cr_assert_eq(state.calls[POOL_CALLOC], 1);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    ptr = umfPoolAlignedMalloc(pool, 5, 64);
    cr_assert_eq(state.last_size, 5, "the size comes first");
    cr_assert_eq(state.last_other, 64);
    cr_assert_eq(state.calls[POOL_ALIGNED], 1);
    cr_assert_eq(umfFree(ptr), OK);
    cr_assert_eq(state.calls[POOL_FREE], 3);
    cr_assert_eq(load_relaxed(&provider_state.live_bytes), 0);

    cr_assert_eq(umfPoolTrimMemory(pool, 99), OK);
    cr_assert_eq(state.last_size, 99);
    state.fail[POOL_TRIM] = SPECIFIC;
    cr_assert_eq(umfPoolTrimMemory(pool, 99), SPECIFIC);
    state.fail[POOL_LAST_ERROR] = OOM;
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    const char *name = NULL;
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "my-pool");
    state.fail[POOL_FREE] = SPECIFIC;
    cr_assert_eq(umfPoolFree(pool, NULL), SPECIFIC);
    state.fail[POOL_MALLOC] = OOM;
    cr_assert_null(umfPoolMalloc(pool, 1));
    cr_assert_eq(umfPoolDestroy(pool), OK);
    umfMemoryProviderDestroy(provider);
}

Test(pool, free_of_null_keeps_errno) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = create(umfProxyPoolOps(), provider, NULL, 0);
    errno = 123;
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
    cr_assert_eq(errno, 123);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

/* ---- tags ------------------------------------------------------------------------------------ */

Test(pool, tags_are_kept_and_exchanged) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = create(umfProxyPoolOps(), provider, NULL, 0);
    int first, second;
    void *tag = &first;
    cr_assert_eq(umfPoolGetTag(pool, &tag), OK);
    cr_assert_null(tag, "there is none at first");
    void *old = &first;
    cr_assert_eq(umfPoolSetTag(pool, &first, &old), OK);
    cr_assert_null(old);
    cr_assert_eq(umfPoolSetTag(pool, &second, &old), OK);
    cr_assert_eq(old, &first);
    cr_assert_eq(umfPoolGetTag(pool, &tag), OK);
    cr_assert_eq(tag, &second);
    cr_assert_eq(umfPoolSetTag(pool, NULL, NULL), OK);
    cr_assert_eq(umfPoolGetTag(pool, &tag), OK);
    cr_assert_null(tag);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

enum { TAG_THREADS = 4, TAG_ROUNDS = 2000 };

typedef struct tag_job {
    umf_memory_pool_handle_t pool;
    uintptr_t number;
    uintptr_t sum; /* of the old tags that this thread took away */
} tag_job_t;

static void *tag_thread(void *arg) {
    tag_job_t *job = arg;
    for (uintptr_t i = 1; i <= TAG_ROUNDS; i++) {
        void *old = NULL, *now = NULL;
        cr_expect_eq(umfPoolSetTag(job->pool, (void *)(job->number * TAG_ROUNDS + i), &old), OK);
        cr_expect_eq(umfPoolGetTag(job->pool, &now), OK);
        job->sum += (uintptr_t)old;
    }
    return NULL;
}

Test(pool, tags_of_many_threads_are_neither_lost_nor_doubled) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = create(umfProxyPoolOps(), provider, NULL, 0);
    pthread_t thread[TAG_THREADS];
    tag_job_t job[TAG_THREADS] = {0};
    for (uintptr_t i = 0; i < TAG_THREADS; i++) {
        job[i] = (tag_job_t){.pool = pool, .number = i};
        cr_assert_eq(pthread_create(&thread[i], NULL, tag_thread, &job[i]), 0);
    }
    uintptr_t sum = 0, count = (uintptr_t)TAG_THREADS * TAG_ROUNDS;
    for (int i = 0; i < TAG_THREADS; i++) {
        pthread_join(thread[i], NULL);
        sum += job[i].sum;
    }
    void *last = NULL;
    cr_assert_eq(umfPoolGetTag(pool, &last), OK);
    cr_assert_eq(sum + (uintptr_t)last, count * (count + 1) / 2, "each tag came back once");
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

/* ---- look-up by address ---------------------------------------------------------------------- */

Test(pool, an_address_leads_to_its_pool) {
    enum { POOLS = 16, BYTES = 100 };
    test_provider_t provider_state[POOLS] = {0};
    umf_memory_provider_handle_t provider[POOLS];
    umf_memory_pool_handle_t pool[POOLS];
    char *ptr[POOLS];
    for (int i = 0; i < POOLS; i++) {
        provider[i] = test_provider_create(&provider_state[i]);
        pool[i] = create(umfProxyPoolOps(), provider[i], NULL, 0);
        ptr[i] = umfPoolMalloc(pool[i], BYTES);
        cr_assert_not_null(ptr[i]);
    }
    for (int i = 0; i < POOLS; i++) {
        for (int offset = 0; offset < BYTES; offset++) {
            umf_memory_pool_handle_t found = NULL;
            cr_assert_eq(umfPoolByPtr(ptr[i] + offset, &found), OK);
            cr_assert_eq(found, pool[i]);
        }
        umf_memory_pool_handle_t found = NO_POOL;
        cr_assert_eq(umfPoolByPtr(ptr[i] + BYTES, &found), INVAL, "the first byte behind");
        cr_assert_null(found);
    }
    for (int i = 0; i < POOLS; i++) {
        umf_memory_pool_handle_t found = NO_POOL;
        cr_assert_eq(umfFree(ptr[i]), OK);
        cr_assert_eq(load_relaxed(&provider_state[i].live_bytes), 0);
        cr_assert_eq(umfPoolByPtr(ptr[i], &found), INVAL);
        cr_assert_null(found);
        cr_assert_eq(umfPoolDestroy(pool[i]), OK);
        cr_assert_eq(umfMemoryProviderDestroy(provider[i]), OK);
    }
}

Test(pool, foreign_addresses_belong_to_no_pool) {
    int local = 0;
    void *const foreign[] = {&local, (void *)1, (void *)UINTPTR_MAX, (void *)((uintptr_t)1 << 47),
                             (void *)(uintptr_t)&test_pool_ops};
    for (size_t i = 0; i < ARRAY_LENGTH(foreign); i++) {
        umf_memory_pool_handle_t found = NO_POOL;
        cr_assert_eq(umfPoolByPtr(foreign[i], &found), INVAL);
        cr_assert_null(found);
        cr_assert_eq(umfFree(foreign[i]), INVAL);
    }
}

Test(pool, memory_of_untracked_pools_is_not_found) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool =
        create(umfProxyPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
    void *ptr = umfPoolMalloc(pool, 64);
    umf_memory_pool_handle_t found = NO_POOL;
    cr_assert_eq(umfPoolByPtr(ptr, &found), INVAL);
    cr_assert_null(found);
    cr_assert_eq(umfFree(ptr), INVAL);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

/* ---- destruction ----------------------------------------------------------------------------- */

Test(pool, the_provider_is_destroyed_only_when_owned) {
    for (umf_pool_create_flags_t flags = 0; flags < 4; flags++) {
        test_provider_t provider_state = {0};
        umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
        test_pool_t state = {0};
        umf_memory_pool_handle_t pool = create(&test_pool_ops, provider, &state, flags);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        bool owned = (flags & UMF_POOL_CREATE_FLAG_OWN_PROVIDER) != 0;
        cr_assert_eq(load_relaxed(&provider_state.calls[OP_FINALIZE]), owned ? 1 : 0);
        cr_assert_eq(state.calls[POOL_FINALIZE], 1);
        if (!owned) {
            umfMemoryProviderDestroy(provider);
        }
    }
}

Test(pool, destruction_returns_the_first_error_and_completes) {
    test_provider_t provider_state = {.fail[OP_FINALIZE] = SPECIFIC};
    test_pool_t state = {.fail[POOL_FINALIZE] = OOM};
    size_t used = load_relaxed(&umf_core_state.base.used_bytes);
    umf_memory_pool_handle_t pool = create(&test_pool_ops, test_provider_create(&provider_state),
                                           &state, UMF_POOL_CREATE_FLAG_OWN_PROVIDER);
    cr_assert_eq(umfPoolDestroy(pool), OOM);
    cr_assert_eq(load_relaxed(&provider_state.calls[OP_FINALIZE]), 1);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
    state.fail[POOL_FINALIZE] = OK;
    pool = create(&test_pool_ops, test_provider_create(&provider_state), &state,
                  UMF_POOL_CREATE_FLAG_OWN_PROVIDER);
    cr_assert_eq(umfPoolDestroy(pool), SPECIFIC);
}

Test(pool, left_over_memory_of_a_destroyed_pool_leads_to_no_pool) {
    static char arena[4096];
    test_provider_t provider_state = {.arena = arena, .arena_size = sizeof(arena)};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool = create(umfProxyPoolOps(), provider, NULL, 0);
    void *ptr = umfPoolMalloc(pool, 64);
    cr_assert_eq(umfPoolDestroy(pool), OK, "left-over allocations are no error");
    umf_memory_pool_handle_t next = create(umfProxyPoolOps(), provider, NULL, 0);
    umf_memory_pool_handle_t found = NO_POOL;
    cr_assert_eq(umfPoolByPtr(ptr, &found), INVAL);
    cr_assert_null(found);
    cr_assert_eq(umfFree(ptr), INVAL);
    umfPoolDestroy(next);
    umfMemoryProviderDestroy(provider);
}

static void assert_registry(umf_memory_pool_handle_t *pools, size_t count) {
    registry_t *registry = &umf_core_state.pools;
    cr_assert_eq(registry->count, count);
    registry_entry_t *at = registry->first;
    registry_entry_t *last = NULL;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(at->object, pools[i]);
        last = at;
        at = at->next;
    }
    cr_assert_null(at);
    cr_assert_eq(registry->last, last);
}

Test(pool, live_pools_are_listed_in_the_order_of_creation) {
    test_provider_t provider_state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&provider_state);
    umf_memory_pool_handle_t pool[4];
    for (int i = 0; i < 4; i++) {
        pool[i] = create(umfProxyPoolOps(), provider, NULL, 0);
    }
    assert_registry(pool, 4);
    umfPoolDestroy(pool[1]); // from the middle
    pool[1] = pool[2], pool[2] = pool[3];
    assert_registry(pool, 3);
    umfPoolDestroy(pool[2]); // the last
    assert_registry(pool, 2);
    umfPoolDestroy(pool[0]); // the first
    assert_registry(pool + 1, 1);
    umfPoolDestroy(pool[1]);
    assert_registry(NULL, 0);
    umfMemoryProviderDestroy(provider);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Scalable pool: oneTBB on the memory of a provider. Skipped where libtbbmalloc.so.2 is not
 * installed. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_scalable.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "pools/scalable_library.h"
#include "test/unit/host_pool_checks.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define MISSING UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE

enum { MIB = 1 << 20 };

static test_provider_t state; /* fresh in every test: each runs in a process of its own */
static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t pool;

static void need_library(void) {
    void *library = dlopen("libtbbmalloc.so.2", RTLD_LAZY);
    if (library == NULL) {
        cr_skip_test("libtbbmalloc.so.2 is not installed");
    }
    dlclose(library);
}

/* It sees no order between threads where oneTBB makes it, and takes reuse of a block for a race. */
static void need_instrumented_library(void) {
#ifdef __SANITIZE_THREAD__
    cr_skip_test("oneTBB is not built for ThreadSanitizer");
#endif
}

static umf_memory_provider_handle_t os_provider(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t os = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &os), OK);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    return os;
}

static void set_up(umf_pool_create_flags_t flags) {
    need_library();
    provider = os_provider();
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, flags, &pool), OK);
}

static void set_up_counted(umf_scalable_pool_params_handle_t params) {
    need_library();
    provider = test_provider_create(&state);
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, params, 0, &pool), OK);
}

static void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- parameters and names -------------------------------------------------------------------- */

Test(pool_scalable, parameters_are_checked) {
    umf_scalable_pool_params_handle_t params = NULL;
    cr_assert_eq(umfScalablePoolParamsCreate(NULL), INVAL);
    cr_assert_eq(umfScalablePoolParamsDestroy(NULL), INVAL);
    cr_assert_eq(umfScalablePoolParamsSetGranularity(NULL, MIB), INVAL);
    cr_assert_eq(umfScalablePoolParamsSetKeepAllMemory(NULL, true), INVAL);
    cr_assert_eq(umfScalablePoolParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfScalablePoolParamsCreate(&params), OK);
    cr_assert_eq(umfScalablePoolParamsSetGranularity(params, 0), INVAL);
    cr_assert_eq(umfScalablePoolParamsSetGranularity(params, 1), OK);
    cr_assert_eq(umfScalablePoolParamsSetKeepAllMemory(params, true), OK);
    cr_assert_eq(umfScalablePoolParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfScalablePoolParamsDestroy(params), OK);
}

Test(pool_scalable, names) {
    const char *name = NULL;
    cr_assert_eq(umfScalablePoolOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "scalable");
    cr_assert_eq(umfScalablePoolOps()->get_name(NULL, NULL), INVAL);
    set_up(0);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "scalable");
    tear_down();

    char long_name[100];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    umf_scalable_pool_params_handle_t params = NULL;
    cr_assert_eq(umfScalablePoolParamsCreate(&params), OK);
    cr_assert_eq(umfScalablePoolParamsSetName(params, "mine"), OK);
    set_up_counted(params);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "mine");
    tear_down();
    cr_assert_eq(umfScalablePoolParamsSetName(params, long_name), OK);
    set_up_counted(params);
    cr_assert_eq(umfScalablePoolParamsDestroy(params), OK, "the pool has its own copy");
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_eq(strlen(name), 63);
    tear_down();
}

/* ---- the library ----------------------------------------------------------------------------- */

Test(pool_scalable, a_missing_library_is_reported_and_looked_for_again) {
    const char *name = scalable_library.name;
    umf_memory_pool_handle_t none = NULL;
    provider = os_provider();
    scalable_library.name = "libnosuchlibrary.so.99";
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &none), MISSING);
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &none), MISSING);
    cr_assert_null(none);
    scalable_library.name = "libc.so.6"; // is there, but has no such functions
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &none), MISSING);
    scalable_library.name = name;
    need_library();
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &pool), OK);
    tear_down();
}

Test(pool_scalable, a_library_without_msize_can_not_tell_sizes) {
    set_up(0);
    void *ptr = umfPoolMalloc(pool, 100);
    size_t size = 1;
    tbb_functions_t *functions = scalable_library.functions;
    functions->pool_msize = NULL;
    cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &size), NOTSUP);
    cr_assert_eq(size, 0);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

/* ---- the provider's side --------------------------------------------------------------------- */

Test(pool_scalable, small_blocks_make_requests_of_the_granularity) {
    for (size_t granularity = 2 * MIB; granularity <= 5 * MIB; granularity += MIB) {
        umf_scalable_pool_params_handle_t params = NULL;
        cr_assert_eq(umfScalablePoolParamsCreate(&params), OK);
        cr_assert_eq(umfScalablePoolParamsSetGranularity(params, granularity), OK);
        set_up_counted(params);
        void *block[1000];
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            size_t before = load_relaxed(&state.calls[OP_ALLOC]);
            block[i] = umfPoolMalloc(pool, 1 + i % 8000);
            cr_assert_not_null(block[i]);
            if (load_relaxed(&state.calls[OP_ALLOC]) != before) {
                cr_assert_eq(load_relaxed(&state.last_size), granularity);
                cr_assert_eq(load_relaxed(&state.last_alignment), 0);
            }
        }
        cr_assert_gt(load_relaxed(&state.calls[OP_ALLOC]), 0);
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        }
        cr_assert_eq(umfScalablePoolParamsDestroy(params), OK);
        tear_down();
        cr_assert_eq(load_relaxed(&state.live_bytes), 0, "all of it went back");
    }
}

Test(pool_scalable, keep_all_memory_returns_nothing_before_the_end) {
    umf_scalable_pool_params_handle_t params = NULL;
    cr_assert_eq(umfScalablePoolParamsCreate(&params), OK);
    cr_assert_eq(umfScalablePoolParamsSetKeepAllMemory(params, true), OK);
    set_up_counted(params);
    for (int round = 0; round < 10; round++) {
        void *small = umfPoolMalloc(pool, 1000), *large = umfPoolMalloc(pool, 10 * MIB);
        cr_assert_eq(umfPoolFree(pool, small), OK);
        cr_assert_eq(umfPoolFree(pool, large), OK);
    }
    cr_assert_eq(load_relaxed(&state.calls[OP_FREE]), 0);
    cr_assert_eq(umfScalablePoolParamsDestroy(params), OK);
    tear_down();
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
}

Test(pool_scalable, it_works_on_no_memory_at_all) {
    need_library();
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &pool), OK);
    cr_assert_null(umfPoolMalloc(pool, 8));
    tear_down();
}

Test(pool_scalable, errors_name_the_reason) {
    set_up_counted(NULL);
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
    state.fail[OP_ALLOC] = SPECIFIC;
    cr_assert_null(umfPoolMalloc(pool, 8));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM, "the provider failed");
    cr_assert_null(umfPoolCalloc(pool, 1, 8));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_null(umfPoolRealloc(pool, NULL, 8));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_null(umfPoolAlignedMalloc(pool, 8, 64));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    state.fail[OP_ALLOC] = OK;
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), UNKNOWN, "the provider was not asked");
    void *ptr = umfPoolMalloc(pool, 8);
    cr_assert_not_null(ptr);
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

static void *last_error_thread(void *arg) {
    (void)arg;
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK, "of this thread");
    return NULL;
}

Test(pool_scalable, errors_are_of_a_thread_and_a_pool) {
    set_up(0);
    umf_memory_pool_handle_t other = NULL;
    cr_assert_eq(umfPoolCreate(umfScalablePoolOps(), provider, NULL, 0, &other), OK);
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), UNKNOWN);
    cr_assert_eq(umfPoolGetLastAllocationError(other), OK);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, last_error_thread, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(umfPoolDestroy(other), OK);
    tear_down();
}

/* ---- operations ------------------------------------------------------------------------------ */

static const umf_pool_create_flags_t all_flags[] = {0, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING};

#define CHECK_WITH_AND_WITHOUT_TRACKING(check)                                                     \
    Test(pool_scalable, check) {                                                                   \
        for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {                                     \
            set_up(all_flags[i]);                                                                  \
            check(pool);                                                                           \
            tear_down();                                                                           \
        }                                                                                          \
    }
CHECK_WITH_AND_WITHOUT_TRACKING(check_sizes_and_contents)
CHECK_WITH_AND_WITHOUT_TRACKING(check_zero_and_huge)
CHECK_WITH_AND_WITHOUT_TRACKING(check_success_clears_last_error)
CHECK_WITH_AND_WITHOUT_TRACKING(check_calloc)
CHECK_WITH_AND_WITHOUT_TRACKING(check_realloc)
CHECK_WITH_AND_WITHOUT_TRACKING(check_usable_size)
CHECK_WITH_AND_WITHOUT_TRACKING(check_free_of_null)

Test(pool_scalable, threads) {
    need_instrumented_library();
    for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {
        set_up(all_flags[i]);
        check_alignments(pool);
        check_threads(pool);
        tear_down();
    }
}

Test(pool_scalable, look_up_and_pools_on_pools) {
    set_up(0);
    check_look_up(pool);
    check_nested(pool);
    tear_down();
}

Test(pool_scalable, there_is_no_trim) {
    set_up(0);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), NOTSUP);
    tear_down();
}

Test(pool_scalable, a_pool_with_live_blocks_can_be_destroyed) {
    set_up_counted(NULL);
    for (int i = 0; i < 100; i++) {
        cr_assert_not_null(umfPoolMalloc(pool, 5000));
    }
    tear_down();
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
}

Test(pool_scalable, the_table_can_be_used_directly) {
    need_library();
    provider = os_provider();
    const umf_memory_pool_ops_t *ops = umfScalablePoolOps();
    void *priv = NULL;
    cr_assert_eq(ops->initialize(provider, NULL, &priv), OK);
    void *ptr = ops->malloc(priv, 100);
    cr_assert_not_null(ptr);
    cr_assert_eq(ops->free(priv, ptr), OK);
    cr_assert_eq(ops->finalize(priv), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Memory providers: creation, versions of the table, defaults, argument checks, last failed
 * provider. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <umf.h>

#include "core/provider.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define BAD_PATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define NO_HANDLE ((umf_memory_provider_handle_t)(uintptr_t)0xabc0)

static const umf_result_t user_errors[] = {OOM, SPECIFIC, INVAL, UMF_RESULT_ERROR_UNKNOWN};

/* Creates from a changed table; the handle must stay untouched on failure. */
static umf_result_t try_create(const umf_memory_provider_ops_t *ops, test_provider_t *state) {
    umf_memory_provider_handle_t provider = NO_HANDLE;
    umf_result_t result = umfMemoryProviderCreate(ops, state, &provider);
    if (result == OK) {
        cr_assert_neq(provider, NO_HANDLE);
        cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    } else {
        cr_assert_eq(provider, NO_HANDLE);
    }
    return result;
}

Test(provider, null_arguments_of_creation_are_refused) {
    umf_memory_provider_handle_t provider;
    cr_assert_eq(umfMemoryProviderCreate(NULL, NULL, &provider), INVAL);
    cr_assert_eq(umfMemoryProviderCreate(&test_provider_ops, NULL, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderDestroy(NULL), OK);
}

#define REFUSED_WITHOUT(member)                                                                    \
    do {                                                                                           \
        umf_memory_provider_ops_t ops = test_provider_ops;                                         \
        test_provider_t state = {0};                                                               \
        ops.member = NULL;                                                                         \
        cr_assert_eq(try_create(&ops, &state), INVAL, "without %s", #member);                      \
        cr_assert_eq(load_relaxed(&state.calls[OP_INITIALIZE]), 0);                                \
    } while (0)

Test(provider, each_mandatory_operation_is_needed) {
    REFUSED_WITHOUT(initialize);
    REFUSED_WITHOUT(finalize);
    REFUSED_WITHOUT(alloc);
    REFUSED_WITHOUT(free);
    REFUSED_WITHOUT(get_last_native_error);
    REFUSED_WITHOUT(get_recommended_page_size);
    REFUSED_WITHOUT(get_min_page_size);
    REFUSED_WITHOUT(get_name);
    REFUSED_WITHOUT(get_cache_line_size);
}

Test(provider, sets_of_operations_are_complete_or_absent) {
    REFUSED_WITHOUT(ext_allocation_split);
    REFUSED_WITHOUT(ext_allocation_merge);
    REFUSED_WITHOUT(ext_get_ipc_handle_size);
    REFUSED_WITHOUT(ext_get_ipc_handle);
    REFUSED_WITHOUT(ext_put_ipc_handle);
    REFUSED_WITHOUT(ext_open_ipc_handle);
    REFUSED_WITHOUT(ext_close_ipc_handle);
    REFUSED_WITHOUT(ext_get_allocation_properties);
    REFUSED_WITHOUT(ext_get_allocation_properties_size);
}

Test(provider, start_up_errors_are_passed_on) {
    for (size_t i = 0; i < ARRAY_LENGTH(user_errors); i++) {
        test_provider_t state = {.fail[OP_INITIALIZE] = user_errors[i]};
        cr_assert_eq(try_create(&test_provider_ops, &state), user_errors[i]);
        cr_assert_eq(load_relaxed(&state.calls[OP_FINALIZE]), 0);
    }
}

Test(provider, a_failing_name_ends_the_creation) {
    test_provider_t state = {.fail[OP_NAME] = SPECIFIC};
    cr_assert_eq(try_create(&test_provider_ops, &state), SPECIFIC);
    cr_assert_eq(load_relaxed(&state.calls[OP_FINALIZE]), 1);
}

Test(provider, a_failing_post_initialize_ends_the_creation) {
    for (size_t i = 0; i < ARRAY_LENGTH(user_errors); i++) {
        test_provider_t state = {.fail[OP_CTL] = user_errors[i]};
        cr_assert_eq(try_create(&test_provider_ops, &state), user_errors[i]);
        cr_assert_eq(load_relaxed(&state.calls[OP_FINALIZE]), 1);
    }
    test_provider_t state = {.fail[OP_CTL] = BAD_PATH};
    cr_assert_eq(try_create(&test_provider_ops, &state), OK, "an unknown node is no failure");
}

Test(provider, creation_asks_the_name_once_and_runs_post_initialize_once) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    cr_assert_eq(load_relaxed(&state.calls[OP_INITIALIZE]), 1);
    cr_assert_eq(load_relaxed(&state.calls[OP_NAME]), 1);
    cr_assert_eq(load_relaxed(&state.calls[OP_CTL]), 1);
    cr_assert_str_eq(state.last_ctl_name, "post_initialize");
    cr_assert_eq(state.last_ctl_source, CTL_QUERY_PROGRAMMATIC);
    cr_assert_eq(state.last_ctl_type, CTL_QUERY_RUNNABLE);
    cr_assert_eq(test_provider_calls_after_creation(&state), 0);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&state.calls[OP_FINALIZE]), 1);
    cr_assert_eq(load_relaxed(&state.calls[OP_NAME]), 1);
}

Test(provider, destroy_returns_what_finalize_returned) {
    test_provider_t state = {.fail[OP_FINALIZE] = SPECIFIC};
    cr_assert_eq(umfMemoryProviderDestroy(test_provider_create(&state)), SPECIFIC);
}

Test(provider, an_irregular_name_is_only_worth_a_warning) {
    static const char *const names[] = {
        "", "with space", "äöü",
        "more_than_64_characters_of_text_which_is_too_long_to_be_a_key_of_settings"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        test_provider_t state = {.name = names[i]};
        cr_assert_eq(try_create(&test_provider_ops, &state), OK);
    }
}

Test(provider, the_table_is_copied) {
    umf_memory_provider_ops_t ops = test_provider_ops;
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
    memset(&ops, 0, sizeof(ops));
    size_t page = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &page), OK);
    cr_assert_eq(page, TEST_MIN_PAGE);
    umfMemoryProviderDestroy(provider);
}

/* ---- versions -------------------------------------------------------------------------------- */

/* A table of which only `bytes` can be read: the page behind is not accessible. */
static const umf_memory_provider_ops_t *cut_table(size_t bytes, uint32_t version) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(pages, MAP_FAILED);
    cr_assert_eq(mprotect(pages + page, page, PROT_NONE), 0);
    umf_memory_provider_ops_t ops = test_provider_ops;
    ops.version = version;
    return memcpy(pages + page - bytes, &ops, bytes);
}

static void assert_defaults_beyond(const umf_memory_provider_ops_t *ops, bool has_properties) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(ops, &state, &provider), OK);
    cr_assert_eq(provider->given_version, ops->version);
    size_t line = 0;
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &line), OK);
    cr_assert_eq(line, 64);
    size_t size = 0;
    cr_assert_eq(provider->ops.ext_get_allocation_properties_size(
                     provider->priv, UMF_MEMORY_PROPERTY_POINTER_TYPE, &size),
                 has_properties ? OK : NOTSUP);
    // layout 1.0 comes from a time before post_initialize
    cr_assert_eq(load_relaxed(&state.calls[OP_CTL]), has_properties ? 1 : 0);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(provider, version_1_0_reads_its_prefix_only) {
    assert_defaults_beyond(cut_table(152, UMF_MAKE_VERSION(1, 0)), false);
}

Test(provider, version_1_1_reads_its_prefix_only) {
    assert_defaults_beyond(cut_table(168, UMF_MAKE_VERSION(1, 1)), true);
}

Test(provider, version_1_0_ignores_a_failing_post_initialize) {
    test_provider_t state = {.fail[OP_CTL] = SPECIFIC};
    cr_assert_eq(try_create(cut_table(152, UMF_MAKE_VERSION(1, 0)), &state), OK);
}

Test(provider, unknown_versions_are_refused) {
    static const uint32_t versions[] = {0,
                                        1,
                                        UMF_MAKE_VERSION(1, 3),
                                        UMF_MAKE_VERSION(1, 0xffff),
                                        UMF_MAKE_VERSION(2, 0),
                                        UMF_MAKE_VERSION(2, 2),
                                        UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
        umf_memory_provider_ops_t ops = test_provider_ops;
        test_provider_t state = {0};
        ops.version = versions[i];
        cr_assert_eq(try_create(&ops, &state), NOTSUP, "version 0x%x", versions[i]);
    }
}

/* ---- defaults -------------------------------------------------------------------------------- */

Test(provider, missing_optional_operations_have_defaults) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    char block[64] = {0}, data[64] = {0};
    void *ptr = block;
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, block, 1), NOTSUP);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, block, 1), NOTSUP);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 2, 1), NOTSUP);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, block + 1, 2), NOTSUP);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), NOTSUP);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, block, 1, data), NOTSUP);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, data), NOTSUP);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, &ptr), NOTSUP);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, block, 1), NOTSUP);
    umf_usm_memory_type_t type;
    cr_assert_eq(provider->ops.ext_get_allocation_properties(
                     provider->priv, block, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type),
                 NOTSUP);
    umfMemoryProviderDestroy(provider);
}

/* ---- argument checks ------------------------------------------------------------------------- */

Test(provider, a_null_provider_is_refused_everywhere) {
    char block[64] = {0};
    void *ptr = block;
    size_t size = 0;
    const char *text = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderAlloc(NULL, 1, 1, &ptr), INVAL);
    cr_assert_eq(umfMemoryProviderFree(NULL, block, 1), INVAL);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(NULL, &text, &error), INVAL);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(NULL, 1, &size), INVAL);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(NULL, NULL, &size), INVAL);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(NULL, &size), INVAL);
    cr_assert_eq(umfMemoryProviderGetName(NULL, &text), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeLazy(NULL, block, 1), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeForce(NULL, block, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(NULL, block, 2, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(NULL, block, block + 1, 2), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(NULL, &size), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(NULL, block, 1, block), INVAL);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(NULL, block), INVAL);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(NULL, block, &ptr), INVAL);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(NULL, block, 1), INVAL);
}

static void assert_argument_checks(umf_memory_provider_handle_t provider) {
    char block[64] = {0};
    void *ptr = block;
    const char *text = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 1, 1, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, NULL, &error), INVAL);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &text, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 1, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetName(provider, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, NULL, 1), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, NULL, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, NULL, 2, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 0, 0), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 0, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 2, 0), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 2, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, 2, 3), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, NULL, block, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, NULL, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, block + 1, 0), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, block, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block + 1, block, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, block + 2, 2), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, block, block + 3, 2), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, NULL, 1, block), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, block, 0, block), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, block, 1, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, NULL, &ptr), INVAL);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, block, NULL), INVAL);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, NULL, 1), INVAL);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, block, 0), INVAL);
    umf_memory_provider_handle_t failed = NO_HANDLE;
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    cr_assert_null(failed, "a refused argument is no failure of the provider");
}

Test(provider, bad_arguments_do_not_reach_the_provider) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    assert_argument_checks(provider);
    cr_assert_eq(test_provider_calls_after_creation(&state), 0);
    cr_assert_eq(load_relaxed(&state.calls[OP_NAME]), 1);
    umfMemoryProviderDestroy(provider);
}

Test(provider, bad_arguments_are_refused_where_the_operation_is_missing_too) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    assert_argument_checks(provider);
    umfMemoryProviderDestroy(provider);
}

Test(provider, unusual_but_legal_arguments_reach_the_provider) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 0, 0, &ptr), OK);
    cr_assert_eq(load_relaxed(&state.calls[OP_ALLOC]), 1);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 0), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, NULL, 0), OK);
    cr_assert_eq(load_relaxed(&state.calls[OP_FREE]), 2);
    cr_assert_null(state.last_ptr);
    char block[2] = {0};
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, block, 0), OK, "the size is not checked");
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, block, 0), OK);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &(size_t){0}), OK);
    umfMemoryProviderDestroy(provider);
}

/* ---- dispatch -------------------------------------------------------------------------------- */

/* Calls each operation that can fail; returns the number of calls. */
static void call_operation(umf_memory_provider_handle_t provider, test_op_t op,
                           umf_result_t expected) {
    char block[64] = {0}, data[TEST_IPC_SIZE] = {0};
    void *ptr = block;
    size_t size = 0;
    const char *text = NULL;
    int32_t error = 0;
    umf_result_t result = OK;
    switch (op) {
    case OP_ALLOC:
        result = umfMemoryProviderAlloc(provider, 8, 8, &ptr);
        if (result == OK) {
            umfMemoryProviderFree(provider, ptr, 8);
        }
        break;
    case OP_FREE:
        result = umfMemoryProviderFree(provider, NULL, 0);
        break;
    case OP_NATIVE_ERROR:
        result = umfMemoryProviderGetLastNativeError(provider, &text, &error);
        break;
    case OP_RECOMMENDED_PAGE:
        result = umfMemoryProviderGetRecommendedPageSize(provider, 1, &size);
        break;
    case OP_MIN_PAGE:
        result = umfMemoryProviderGetMinPageSize(provider, block, &size);
        break;
    case OP_NAME:
        result = umfMemoryProviderGetName(provider, &text);
        break;
    case OP_PURGE_LAZY:
        result = umfMemoryProviderPurgeLazy(provider, block, 1);
        break;
    case OP_PURGE_FORCE:
        result = umfMemoryProviderPurgeForce(provider, block, 1);
        break;
    case OP_MERGE:
        result = umfMemoryProviderAllocationMerge(provider, block, block + 1, 2);
        break;
    case OP_SPLIT:
        result = umfMemoryProviderAllocationSplit(provider, block, 2, 1);
        break;
    case OP_IPC_SIZE:
        result = umfMemoryProviderGetIPCHandleSize(provider, &size);
        break;
    case OP_IPC_GET:
        result = umfMemoryProviderGetIPCHandle(provider, block, 1, data);
        break;
    case OP_IPC_PUT:
        result = umfMemoryProviderPutIPCHandle(provider, data);
        break;
    case OP_IPC_OPEN:
        result = umfMemoryProviderOpenIPCHandle(provider, data, &ptr);
        break;
    case OP_IPC_CLOSE:
        result = umfMemoryProviderCloseIPCHandle(provider, block, 1);
        break;
    case OP_CACHE_LINE:
        result = umfMemoryProviderGetCacheLineSize(provider, &size);
        break;
    default:
        return;
    }
    cr_assert_eq(result, expected, "operation %d: result %d", (int)op, (int)result);
}

Test(provider, every_call_reaches_its_operation_once) {
    for (int op = OP_ALLOC; op < OP_COUNT; op++) {
        if (op == OP_CTL || op == OP_PROPERTY || op == OP_PROPERTY_SIZE) {
            continue; // no call of their own
        }
        test_provider_t state = {0};
        umf_memory_provider_handle_t provider = test_provider_create(&state);
        size_t before = load_relaxed(&state.calls[op]);
        call_operation(provider, (test_op_t)op, OK);
        cr_assert_eq(load_relaxed(&state.calls[op]), before + 1);
        umfMemoryProviderDestroy(provider);
    }
}

Test(provider, values_come_back) {
    test_provider_t state = {.name = "my-provider_1"};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    size_t size = 0;
    const char *text = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 123, &size), OK);
    cr_assert_eq(size, TEST_RECOMMENDED_PAGE);
    cr_assert_eq(state.last_size, 123);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &size), OK);
    cr_assert_eq(size, TEST_CACHE_LINE);
    cr_assert_eq(umfMemoryProviderGetName(provider, &text), OK);
    cr_assert_str_eq(text, "my-provider_1");
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &text, &error), OK);
    cr_assert_str_eq(text, "test error");
    cr_assert_eq(error, TEST_NATIVE_ERROR);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 128, &ptr), OK);
    cr_assert_eq(state.last_size, 100);
    cr_assert_eq(state.last_alignment, 128);
    cr_assert_eq((uintptr_t)ptr % 128, 0);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
    cr_assert_eq(state.last_ptr, ptr);
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
    umfMemoryProviderDestroy(provider);
}

/* ---- last failed provider -------------------------------------------------------------------- */

static umf_memory_provider_handle_t last_failed(void) {
    umf_memory_provider_handle_t failed = NO_HANDLE;
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    return failed;
}

Test(provider, every_failing_operation_but_native_error_is_noted) {
    for (int op = OP_ALLOC; op < OP_COUNT; op++) {
        if (op == OP_CTL || op == OP_PROPERTY || op == OP_PROPERTY_SIZE) {
            continue;
        }
        test_provider_t state = {0};
        umf_memory_provider_handle_t provider = test_provider_create(&state);
        state.fail[op] = SPECIFIC;
        call_operation(provider, (test_op_t)op, SPECIFIC);
        cr_assert_eq(last_failed(), op == OP_NATIVE_ERROR ? NULL : provider, "operation %d", op);
        umfMemoryProviderDestroy(provider);
        cr_assert_null(last_failed(), "a destroyed provider is not reported");
    }
}

Test(provider, null_output_of_last_failed_is_refused) {
    cr_assert_eq(umfGetLastFailedMemoryProvider(NULL), INVAL);
}

static void *other_thread(void *arg) {
    umf_memory_provider_handle_t *providers = arg;
    umf_memory_provider_handle_t before = last_failed();
    void *ptr = NULL;
    umfMemoryProviderAlloc(providers[1], 1, 0, &ptr);
    providers[2] = last_failed();
    return before;
}

Test(provider, last_failed_is_per_thread_and_survives_successes) {
    test_provider_t bad = {.fail[OP_ALLOC] = SPECIFIC, .name = "bad"};
    test_provider_t worse = {.fail[OP_ALLOC] = OOM, .name = "worse"};
    test_provider_t good = {.name = "good"};
    umf_memory_provider_handle_t providers[3] = {test_provider_create(&bad),
                                                 test_provider_create(&worse), NULL};
    umf_memory_provider_handle_t good_provider = test_provider_create(&good);
    cr_assert_null(last_failed());
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(providers[0], 1, 0, &ptr), SPECIFIC);
    cr_assert_eq(last_failed(), providers[0]);
    cr_assert_eq(umfMemoryProviderAlloc(good_provider, 1, 0, &ptr), OK);
    umfMemoryProviderFree(good_provider, ptr, 1);
    cr_assert_eq(last_failed(), providers[0], "a success does not clear it");

    pthread_t thread;
    void *before = (void *)1;
    cr_assert_eq(pthread_create(&thread, NULL, other_thread, providers), 0);
    pthread_join(thread, &before);
    cr_assert_null(before, "another thread has its own");
    cr_assert_eq(providers[2], providers[1]);
    cr_assert_eq(last_failed(), providers[0]);
    umfMemoryProviderDestroy(providers[0]);
    umfMemoryProviderDestroy(providers[1]);
    umfMemoryProviderDestroy(good_provider);
}

/* ---- extensions ------------------------------------------------------------------------------ */

static bool always_zeroed(void *priv) {
    (void)priv;
    return true;
}

Test(provider, extensions_are_found_by_the_table) {
    static const provider_extension_t extension = {.zeroed = always_zeroed};
    static provider_extension_entry_t entry = {.extension = &extension};
    entry.initialize = test_provider_ops.initialize;
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    umf_memory_provider_handle_t other = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &other), OK);
    void *priv = NULL;
    cr_assert_null(provider_extension(provider, &priv));
    provider_extension_register(&entry);
    provider_extension_register(&entry); // again: no harm
    cr_assert_eq(provider_extension(provider, &priv), &extension);
    cr_assert_eq(priv, &state);
    cr_assert_null(provider_extension(other, &priv));
    cr_assert_null(provider_extension(NULL, &priv));
    umfMemoryProviderDestroy(provider);
    umfMemoryProviderDestroy(other);
}

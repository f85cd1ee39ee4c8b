/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * LEVEL_ZERO provider: parameters, memory, residency, failures. (Other processes:
 * test_provider_level_zero_ipc.c.) ctest runs it in several environments: the real loader on the
 * stand-in driver (test/standins/level_zero, 4 devices), the same with the loader's validation
 * layer, and loaders of our own, newer and older than the installed one. Without a stand-in it
 * tests a real driver.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>

#include <umf/experimental/ctl.h>
#include <umf/experimental/memory_properties.h>
#include <umf/memory_pool.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

#include "level_zero_for_test.h"
#include "providers/block_table.h"
#include "providers/provider_level_zero.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC

#define DEVICE_LOST 0x70000001
#define OUT_OF_DEVICE_MEMORY 0x70000003
#define UNSUPPORTED_FEATURE 0x78000003

static const umf_usm_memory_type_t types[] = {UMF_MEMORY_TYPE_HOST, UMF_MEMORY_TYPE_DEVICE,
                                              UMF_MEMORY_TYPE_SHARED};
static const char *const alloc_names[] = {"zeMemAllocHost", "zeMemAllocDevice", "zeMemAllocShared"};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static level_zero_test_t ze;

static void start(void) {
    if (!level_zero_test_start(&ze)) {
        cr_skip_test("no Level Zero driver with a device");
    }
}

static void start_standin(void) {
    start();
    if (!ze.is_standin) {
        cr_skip_test("needs the stand-in driver");
    }
}

static void nothing_is_left(ze_context_handle_t context) {
    if (ze.is_standin) {
        cr_assert_eq(ze.standin.live_blocks(), 0);
        cr_assert_eq(ze.standin.live_opened(), 0);
    }
    cr_assert_eq(level_zero_loader.zeContextDestroy(context), LEVEL_ZERO_OK);
}

/* ---- parameters and creation ----------------------------------------------------------------- */

Test(level_zero, every_setter_checks_its_handles) {
    umf_level_zero_memory_provider_params_handle_t params = NULL;
    int memory[2];
    ze_context_handle_t context = (ze_context_handle_t)&memory[0];
    ze_device_handle_t list[] = {(ze_device_handle_t)&memory[0], (ze_device_handle_t)&memory[1],
                                 (ze_device_handle_t)&memory[0]};
    cr_assert_eq(umfLevelZeroMemoryProviderParamsCreate(NULL), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsCreate(&params), OK, "needs no loader");
    cr_assert_eq(umfLevelZeroMemoryProviderParamsDestroy(NULL), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetContext(NULL, context), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetContext(params, NULL), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetContext(params, context), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetDevice(NULL, list[0]), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetDevice(params, NULL), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetMemoryType(NULL, types[0]), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetMemoryType(params, types[0]), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetResidentDevices(NULL, list, 1), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetResidentDevices(params, NULL, 1), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetResidentDevices(params, list, 3), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetResidentDevices(params, list, 2), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetResidentDevices(params, NULL, 0), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetFreePolicy(
                     NULL, UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT),
                 INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetFreePolicy(
                     params, (umf_level_zero_memory_provider_free_policy_t)3),
                 INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetDeviceOrdinal(NULL, 0), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetDeviceOrdinal(params, 7), OK);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsDestroy(params), OK);
}

Test(level_zero, creation_checks_what_goes_together) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    static const struct {
        umf_usm_memory_type_t type;
        bool with_device;
        umf_result_t result;
    } rows[] = {
        {UMF_MEMORY_TYPE_HOST, true, INVAL},
        {UMF_MEMORY_TYPE_DEVICE, false, INVAL},
        {UMF_MEMORY_TYPE_SHARED, false, INVAL},
        {UMF_MEMORY_TYPE_UNKNOWN, false, INVAL},
        {UMF_MEMORY_TYPE_UNKNOWN, true, UMF_RESULT_ERROR_UNKNOWN},
        {(umf_usm_memory_type_t)99, true, UMF_RESULT_ERROR_UNKNOWN},
    };
    umf_memory_provider_handle_t provider = NULL;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        umf_level_zero_memory_provider_params_handle_t params =
            level_zero_test_params(context, ze.device[0], rows[i].type);
        umfLevelZeroMemoryProviderParamsSetDevice(params,
                                                  rows[i].with_device ? ze.device[0] : NULL);
        cr_expect_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider),
                     rows[i].result, "row %zu", i);
        cr_expect_null(provider);
        umfLevelZeroMemoryProviderParamsDestroy(params);
    }
    umf_level_zero_memory_provider_params_handle_t empty = NULL;
    cr_assert_eq(umfLevelZeroMemoryProviderParamsCreate(&empty), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), empty, &provider), INVAL);
    cr_assert_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), NULL, &provider), INVAL);
    umfLevelZeroMemoryProviderParamsDestroy(empty);
    nothing_is_left(context);
}

Test(level_zero, a_missing_loader_is_named_and_looked_for_again) {
    umf_level_zero_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    const char *before = getenv("UMF_ZE_LOADER_LIB_NAME");
    char *loader = before != NULL ? strdup(before) : NULL;
    int memory;
    setenv("UMF_ZE_LOADER_LIB_NAME", "libze_no_such_loader.so", 1);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsCreate(&params), OK);
    umfLevelZeroMemoryProviderParamsSetContext(params, (ze_context_handle_t)&memory);
    umfLevelZeroMemoryProviderParamsSetMemoryType(params, UMF_MEMORY_TYPE_HOST);
    cr_assert_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider),
                 UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE);
    cr_assert_null(provider);
    cr_assert_eq(level_zero_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 0, NULL, &provider),
                 UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE);
    umfLevelZeroMemoryProviderParamsDestroy(params);
    if (loader != NULL) {
        setenv("UMF_ZE_LOADER_LIB_NAME", loader, 1);
    } else {
        unsetenv("UMF_ZE_LOADER_LIB_NAME");
    }
    free(loader);
    start();
}

Test(level_zero, creation_asks_the_driver_for_exactly_one_block) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 0; type < TYPES; type++) {
        for (uint32_t residents = 0; residents <= ze.devices; residents++) {
            umf_level_zero_memory_provider_params_handle_t params =
                level_zero_test_params(context, ze.device[0], types[type]);
            umfLevelZeroMemoryProviderParamsSetResidentDevices(params, ze.device, residents);
            ze.standin.calls_reset();
            umf_memory_provider_handle_t provider = level_zero_test_create(params);
            for (int other = 0; other < TYPES; other++) {
                cr_expect_eq(ze.standin.calls(alloc_names[other]), other == type ? 1u : 0u);
            }
            cr_expect_eq(ze.standin.calls("zeContextMakeMemoryResident"), residents);
            cr_expect_eq(ze.standin.calls("zeMemGetAllocProperties"), 1);
            cr_expect_eq(ze.standin.calls("zeMemFree"), 1);
            cr_expect_eq(ze.standin.calls("zeContextEvictMemory"), 0);
            cr_expect_eq(ze.standin.calls("zeDeviceGetProperties"), type != 0 ? 1u : 0u);
            umfMemoryProviderDestroy(provider);
        }
    }
    nothing_is_left(context);
}

Test(level_zero, creation_that_fails_leaves_nothing) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    static const struct {
        const char *function;
        size_t nth;
        umf_result_t result;
    } rows[] = {
        {"zeDeviceGetProperties", 1, SPECIFIC},       {"zeMemAllocShared", 1, SPECIFIC},
        {"zeContextMakeMemoryResident", 1, SPECIFIC}, {"zeContextMakeMemoryResident", 3, SPECIFIC},
        {"zeMemGetAllocProperties", 1, SPECIFIC},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        umf_level_zero_memory_provider_params_handle_t params =
            level_zero_test_params(context, ze.device[0], UMF_MEMORY_TYPE_SHARED);
        umfLevelZeroMemoryProviderParamsSetResidentDevices(params, ze.device, 3);
        umf_memory_provider_handle_t provider = NULL;
        ze.standin.fail(rows[i].function, DEVICE_LOST, rows[i].nth);
        cr_expect_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider),
                     rows[i].result, "%s", rows[i].function);
        cr_expect_null(provider);
        cr_expect_eq(ze.standin.live_blocks(), 0);
        umfLevelZeroMemoryProviderParamsDestroy(params);
    }
    nothing_is_left(context);
}

Test(level_zero, names) {
    start();
    const char *name = NULL;
    cr_assert_eq(umfLevelZeroMemoryProviderOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "LEVEL_ZERO");
    cr_assert_eq(umfLevelZeroMemoryProviderOps()->get_name(NULL, NULL), INVAL);
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_level_zero_memory_provider_params_handle_t params =
        level_zero_test_params(context, NULL, UMF_MEMORY_TYPE_HOST);
    umfLevelZeroMemoryProviderParamsSetName(params, "usm");
    umf_memory_provider_handle_t provider = level_zero_test_create(params);
    cr_assert_eq(umfMemoryProviderGetName(provider, &name), OK);
    cr_assert_str_eq(name, "usm");
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

/* ---- memory ---------------------------------------------------------------------------------- */

Test(level_zero, every_type_on_every_device) {
    start();
    static const struct {
        size_t size, alignment;
    } blocks[] = {{1, 0}, {100, 64}, {4096, 4096}, {70000, 65536}, {3 << 20, 2 << 20}};
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (uint32_t device = 0; device < ze.devices; device++) {
        for (int type = 0; type < TYPES; type++) {
            umf_memory_provider_handle_t provider =
                level_zero_test_provider(context, ze.device[device], types[type]);
            for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
                char *ptr = NULL;
                cr_assert_eq(umfMemoryProviderAlloc(provider, blocks[i].size, blocks[i].alignment,
                                                    (void **)&ptr),
                             OK);
                cr_assert(blocks[i].alignment == 0 || (uintptr_t)ptr % blocks[i].alignment == 0);
                if (types[type] != UMF_MEMORY_TYPE_DEVICE) {
                    memset(ptr, 0x5a, blocks[i].size);
                }
                level_zero_allocation_properties_t properties = {
                    .type = LEVEL_ZERO_TYPE_ALLOCATION_PROPERTIES};
                ze_device_handle_t owner = NULL;
                cr_assert_eq(
                    level_zero_loader.zeMemGetAllocProperties(context, ptr, &properties, &owner),
                    LEVEL_ZERO_OK);
                cr_assert_eq(properties.kind, types[type]); // the same numbers
                cr_assert(types[type] != UMF_MEMORY_TYPE_DEVICE || owner == ze.device[device]);
                cr_assert_eq(umfMemoryProviderFree(provider, ptr, blocks[i].size), OK);
            }
            cr_assert_eq(umfMemoryProviderFree(provider, NULL, 0), OK);
            cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
        }
    }
    nothing_is_left(context);
}

Test(level_zero, sizes_that_can_not_be_had) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 1; type < TYPES; type++) {
        umf_memory_provider_handle_t provider =
            level_zero_test_provider(context, ze.device[0], types[type]);
        void *ptr = NULL;
        const char *message = "untouched";
        int32_t error = 0;
        cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr), SPECIFIC);
        cr_assert_null(ptr);
        cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error),
                     UMF_RESULT_ERROR_NOT_SUPPORTED);
        cr_assert_str_eq(message, "untouched");
        cr_assert_neq(error, 0);
        cr_assert_eq(strncmp(umfLevelZeroErrorText(error), "ZE_RESULT_ERROR_", 16), 0);
        umfMemoryProviderDestroy(provider);
    }
    cr_assert_str_eq(umfLevelZeroErrorText(12345), "an error without a text here, see ze_result_t");
    int32_t error = 0;
    const char *message = NULL;
    cr_assert_eq(umfLevelZeroMemoryProviderOps()->get_last_native_error(NULL, NULL, &error), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderOps()->get_last_native_error(NULL, &message, NULL),
                 INVAL);
    nothing_is_left(context);
}

Test(level_zero, large_blocks_go_beyond_the_ordinary_limit) {
    start_standin();
    enum { LARGE = 300 << 20 }; // of 256 MiB a block and 1 GiB in all
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 0; type < TYPES; type++) {
        umf_memory_provider_handle_t provider =
            level_zero_test_provider(context, ze.device[1], types[type]);
        void *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, LARGE, 0, &ptr), OK);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, LARGE), OK);
        umfMemoryProviderDestroy(provider);
    }
    nothing_is_left(context);
}

Test(level_zero, a_device_that_is_full) {
    start_standin();
    enum { BLOCK = 128 << 20, MOST = 16 };
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider =
        level_zero_test_provider(context, ze.device[2], UMF_MEMORY_TYPE_DEVICE);
    void *blocks[MOST] = {NULL};
    int taken = 0;
    while (taken < MOST && umfMemoryProviderAlloc(provider, BLOCK, 0, &blocks[taken]) == OK) {
        taken++;
    }
    cr_assert_eq(taken, 8);
    cr_assert_null(blocks[taken]);
    cr_assert_eq(level_zero_last_error(), OUT_OF_DEVICE_MEMORY);
    for (int i = 0; i < taken; i++) {
        cr_assert_eq(umfMemoryProviderFree(provider, blocks[i], BLOCK), OK);
    }
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &blocks[0]), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, blocks[0], BLOCK), OK);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

Test(level_zero, the_ordinal_reaches_the_driver) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (uint32_t ordinal = 0; ordinal < 4; ordinal++) { // devices have two memories
        umf_level_zero_memory_provider_params_handle_t params =
            level_zero_test_params(context, ze.device[0], UMF_MEMORY_TYPE_DEVICE);
        umf_memory_provider_handle_t provider = NULL;
        umfLevelZeroMemoryProviderParamsSetDeviceOrdinal(params, ordinal);
        cr_expect_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider),
                     ordinal < 2 ? OK : INVAL);
        umfLevelZeroMemoryProviderParamsDestroy(params);
        umfMemoryProviderDestroy(provider);
    }
    nothing_is_left(context);
}

Test(level_zero, free_policies) {
    start_standin();
    static const struct {
        umf_level_zero_memory_provider_free_policy_t policy;
        const char *call;
    } rows[] = {
        {UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT, "zeMemFree"},
        {UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_BLOCKING_FREE, "free policy: blocking"},
        {UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFER_FREE, "free policy: defer"},
    };
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int i = 0; i < 3; i++) {
        umf_level_zero_memory_provider_params_handle_t params =
            level_zero_test_params(context, ze.device[0], UMF_MEMORY_TYPE_DEVICE);
        cr_assert_eq(umfLevelZeroMemoryProviderParamsSetFreePolicy(params, rows[i].policy), OK);
        umf_memory_provider_handle_t provider = NULL;
        umf_result_t result =
            umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider);
        umfLevelZeroMemoryProviderParamsDestroy(params);
        if (i > 0 && level_zero_loader.zeMemFreeExt == NULL) { // an old loader
            cr_expect_eq(result, UMF_RESULT_ERROR_NOT_SUPPORTED);
            cr_expect_null(provider);
            continue;
        }
        cr_assert_eq(result, OK);
        void *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr), OK);
        ze.standin.calls_reset();
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
        cr_expect_eq(ze.standin.calls(rows[i].call), 1);
        cr_expect_eq(ze.standin.calls("zeMemFree") + ze.standin.calls("zeMemFreeExt"), 1);
        umfMemoryProviderDestroy(provider);
    }
    nothing_is_left(context);
}

Test(level_zero, page_sizes) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 0; type < TYPES; type++) {
        umf_memory_provider_handle_t provider =
            level_zero_test_provider(context, ze.device[0], types[type]);
        size_t smallest = 0, of_block = 0, recommended = 0;
        void *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr), OK);
        cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &smallest), OK);
        cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, ptr, &of_block), OK);
        cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 1, &recommended), OK);
        cr_assert_gt(smallest, 0);
        cr_assert_geq(of_block, smallest);
        cr_assert_geq(recommended, smallest);
        if (ze.is_standin) {
            cr_assert_eq(smallest, types[type] == UMF_MEMORY_TYPE_DEVICE ? 65536u : 4096u);
        }
        cr_assert_eq(umfMemoryProviderPurgeLazy(provider, ptr, 1), UMF_RESULT_ERROR_NOT_SUPPORTED);
        cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, 1), UMF_RESULT_ERROR_NOT_SUPPORTED);
        cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr, 100, 50),
                     UMF_RESULT_ERROR_NOT_SUPPORTED);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
        umfMemoryProviderDestroy(provider);
    }
    nothing_is_left(context);
}

Test(level_zero, cache_line) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    static const struct {
        const char *reported;
        size_t line;
    } rows[] = {{NULL, 128}, {"64", 64}, {"256", 256}, {"0", 128}, {"100", 128}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].reported != NULL) {
            setenv("UMF_STANDIN_CACHE_LINE", rows[i].reported, 1);
        }
        umf_memory_provider_handle_t provider =
            level_zero_test_provider(context, ze.device[1], UMF_MEMORY_TYPE_DEVICE);
        for (int again = 0; again < 2; again++) {
            size_t line = 0;
            cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &line), OK);
            cr_expect_eq(line, rows[i].line, "row %zu: %zu", i, line);
        }
        umfMemoryProviderDestroy(provider);
    }
    setenv("UMF_STANDIN_CACHE_LINE", "64", 1);
    umf_memory_provider_handle_t provider =
        level_zero_test_provider(context, NULL, UMF_MEMORY_TYPE_HOST);
    size_t line = 0;
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &line), OK);
    cr_assert_eq(line, 128, "host memory has no device to ask");
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

static size_t stat_of(umf_memory_provider_handle_t provider, const char *node) {
    char path[128] = "umf.provider.by_handle.{}.stats.";
    size_t value = 99;
    strcat(path, node);
    cr_assert_eq(umfCtlGet(path, &value, sizeof(value), provider), OK);
    return value;
}

Test(level_zero, statistics_also_of_failures) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_level_zero_memory_provider_params_handle_t params =
        level_zero_test_params(context, ze.device[0], UMF_MEMORY_TYPE_SHARED);
    umfLevelZeroMemoryProviderParamsSetResidentDevices(params, ze.device, 1);
    umf_memory_provider_handle_t provider = level_zero_test_create(params);
    void *ptr = NULL;
    cr_assert_eq(stat_of(provider, "allocated_memory"), 0);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 12345, 0, &ptr), OK);
    cr_assert_eq(stat_of(provider, "allocated_memory"), 12345);
    cr_assert_eq(stat_of(provider, "peak_memory"), 12345);
    if (ze.is_standin) {
        void *none = NULL;
        ze.standin.fail("zeContextMakeMemoryResident", OUT_OF_DEVICE_MEMORY, 1);
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &none), SPECIFIC);
        cr_assert_null(none);
        cr_assert_eq(stat_of(provider, "allocated_memory"), 12345, "no underflow");
        ze.standin.fail("zeMemFree", DEVICE_LOST, 1);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 12345), SPECIFIC);
        cr_assert_eq(stat_of(provider, "allocated_memory"), 12345, "it is still there");
    }
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 12345), OK);
    cr_assert_eq(stat_of(provider, "allocated_memory"), 0);
    cr_assert_eq(stat_of(provider, "peak_memory"), 12345);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

Test(level_zero, the_drivers_errors_in_our_terms) {
    start_standin();
    static const struct {
        int code;
        umf_result_t result;
    } rows[] = {{0x70000002, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY},
                {0x78000004, INVAL},
                {OUT_OF_DEVICE_MEMORY, SPECIFIC},
                {DEVICE_LOST, SPECIFIC},
                {UNSUPPORTED_FEATURE, SPECIFIC},
                {0x7ffffffe, SPECIFIC}};
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 0; type < TYPES; type++) {
        umf_memory_provider_handle_t provider =
            level_zero_test_provider(context, ze.device[0], types[type]);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            void *ptr = NULL;
            const char *message = NULL;
            int32_t error = 0;
            ze.standin.fail(alloc_names[type], rows[i].code, 1);
            cr_expect_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), rows[i].result);
            cr_expect_null(ptr);
            umfMemoryProviderGetLastNativeError(provider, &message, &error);
            cr_expect_eq(error, rows[i].code);
        }
        umfMemoryProviderDestroy(provider);
    }
    nothing_is_left(context);
}

Test(level_zero, a_context_that_is_gone_is_an_error) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider =
        level_zero_test_provider(context, ze.device[0], UMF_MEMORY_TYPE_DEVICE);
    nothing_is_left(context);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), INVAL);
    cr_assert_null(ptr);
    umfMemoryProviderDestroy(provider);
    cr_assert_eq(ze.standin.live_contexts(), 0);
}

/* ---- residency ------------------------------------------------------------------------------- */

enum { BLOCKS = 200 }; // more than the table of live blocks begins with

static umf_memory_provider_handle_t resident_provider(ze_context_handle_t context,
                                                      uint32_t residents) {
    umf_level_zero_memory_provider_params_handle_t params =
        level_zero_test_params(context, ze.device[0], UMF_MEMORY_TYPE_DEVICE);
    umfLevelZeroMemoryProviderParamsSetResidentDevices(params, ze.device, residents);
    return level_zero_test_create(params);
}

Test(level_zero, new_memory_is_resident_on_all_of_the_list) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = resident_provider(context, 3);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr), OK);
    for (uint32_t device = 0; device < ze.devices; device++) {
        cr_expect_eq(ze.standin.resident(device), device < 3 ? 1u : 0u);
    }
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
    for (size_t nth = 1; nth <= 3; nth++) {
        ptr = NULL;
        ze.standin.fail("zeContextMakeMemoryResident", DEVICE_LOST, nth);
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr), SPECIFIC);
        cr_assert_null(ptr);
        cr_assert_eq(ze.standin.live_blocks(), 0);
    }
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    ze.standin.fail("zeContextMakeMemoryResident", OUT_OF_DEVICE_MEMORY, 1);
    cr_assert_null(umfPoolMalloc(pool, 100));
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

Test(level_zero, a_change_of_residency_reaches_every_live_block) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = resident_provider(context, 1);
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    void *ptr[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) { // tracked by a pool, and not
        ptr[i] = NULL;
        if (i % 2 == 0) {
            ptr[i] = umfPoolMalloc(pool, 100);
        } else {
            cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr[i]), OK);
        }
        cr_assert_not_null(ptr[i]);
    }
    ze.standin.calls_reset();
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[1], true), OK);
    cr_assert_eq(ze.standin.calls("zeContextMakeMemoryResident"), BLOCKS);
    cr_assert_eq(ze.standin.resident(1), BLOCKS);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[1], true),
                 INVAL);
    void *later = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &later), OK);
    cr_assert_eq(ze.standin.resident(1), BLOCKS + 1, "follows the new list");
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[0], false), OK);
    cr_assert_eq(ze.standin.calls("zeContextEvictMemory"), BLOCKS + 1);
    cr_assert_eq(ze.standin.resident(0), 0);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[0], false),
                 INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[2], false),
                 INVAL);
    cr_assert_eq(umfMemoryProviderFree(provider, later, 100), OK);
    for (int i = 0; i < BLOCKS; i++) {
        cr_assert_eq(i % 2 == 0 ? umfPoolFree(pool, ptr[i])
                                : umfMemoryProviderFree(provider, ptr[i], 100),
                     OK);
    }
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

Test(level_zero, a_change_that_fails_is_taken_back) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = resident_provider(context, 1);
    enum { FEW = 10 };
    void *ptr[FEW];
    for (int i = 0; i < FEW; i++) {
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr[i]), OK);
    }
    for (size_t nth = 1; nth <= FEW; nth++) {
        ze.standin.fail("zeContextMakeMemoryResident", DEVICE_LOST, nth);
        cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[1], true),
                     SPECIFIC);
        cr_assert_eq(ze.standin.resident(1), 0);
        ze.standin.fail("zeContextEvictMemory", DEVICE_LOST, nth);
        cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[0], false),
                     SPECIFIC);
        cr_assert_eq(ze.standin.resident(0), FEW);
    }
    // the list is as it was
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[0], true),
                 INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[1], false),
                 INVAL);
    for (int i = 0; i < FEW; i++) {
        cr_assert_eq(umfMemoryProviderFree(provider, ptr[i], 100), OK);
    }
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

Test(level_zero, a_change_wants_a_provider_of_this_kind) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = resident_provider(context, 0), other = NULL;
    umf_os_memory_provider_params_handle_t params = NULL;
    umfOsMemoryProviderParamsCreate(&params);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &other), OK);
    umfOsMemoryProviderParamsDestroy(params);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(NULL, ze.device[0], true), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(provider, NULL, true), INVAL);
    cr_assert_eq(umfLevelZeroMemoryProviderResidentDeviceChange(other, ze.device[0], true), INVAL);
    umfMemoryProviderDestroy(other);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

static void *allocate_all_the_time(void *provider) {
    for (int i = 0; i < 200; i++) {
        void *ptr[8];
        for (int j = 0; j < 8; j++) {
            cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr[j]), OK);
        }
        for (int j = 0; j < 8; j++) {
            cr_assert_eq(umfMemoryProviderFree(provider, ptr[j], 100), OK);
        }
    }
    return NULL;
}

Test(level_zero, residency_changes_while_threads_allocate) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = resident_provider(context, 1);
    void *kept = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &kept), OK);
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        pthread_create(&thread[i], NULL, allocate_all_the_time, provider);
    }
    for (int i = 0; i < 101; i++) { // ends with the device in the list
        // A block that a thread gives back at this moment may be gone for the driver: not for us,
        // it left the table before.
        cr_assert_eq(
            umfLevelZeroMemoryProviderResidentDeviceChange(provider, ze.device[1], i % 2 == 0), OK);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(ze.standin.resident(1), 1, "what is left follows the list");
    cr_assert_eq(umfMemoryProviderFree(provider, kept, 100), OK);
    umfMemoryProviderDestroy(provider);
    nothing_is_left(context);
}

/* ---- pools, properties, several devices ------------------------------------------------------ */

typedef const umf_memory_pool_ops_t *(*pool_ops_t)(void);

static void use_pool(umf_memory_pool_handle_t pool, bool host) {
    void *ptr[64];
    for (size_t i = 0; i < 64; i++) {
        size_t size = 1 + i * 997;
        ptr[i] = umfPoolMalloc(pool, size);
        cr_assert_not_null(ptr[i]);
        if (host) {
            memset(ptr[i], (int)i, size);
        }
    }
    for (size_t i = 0; i < 64; i++) {
        cr_assert_eq(umfPoolFree(pool, ptr[i]), OK);
    }
}

Test(level_zero, a_pool_for_each_device_context_and_type) {
    start();
    enum { CONTEXTS = 2 };
    static const pool_ops_t pools[] = {umfDisjointPoolOps, umfProxyPoolOps, umfSlabPoolOps};
    if (ze.is_standin) {
        ze.standin.protect(true); // touching device memory ends the test with SIGSEGV
    }
    ze_context_handle_t context[CONTEXTS];
    umf_memory_pool_handle_t made[LEVEL_ZERO_TEST_DEVICES * CONTEXTS * TYPES * 3];
    size_t count = 0;
    for (int i = 0; i < CONTEXTS; i++) {
        context[i] = level_zero_test_context(&ze);
        for (uint32_t device = 0; device < ze.devices; device++) {
            for (int type = 0; type < TYPES; type++) {
                for (int pool = 0; pool < (types[type] == UMF_MEMORY_TYPE_DEVICE ? 2 : 3); pool++) {
                    cr_assert_eq(
                        umfPoolCreate(
                            pools[pool](),
                            level_zero_test_provider(context[i], ze.device[device], types[type]),
                            NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &made[count]),
                        OK);
                    use_pool(made[count++], types[type] != UMF_MEMORY_TYPE_DEVICE);
                }
            }
        }
    }
    for (size_t i = 0; i < count; i++) { // all of them live together
        void *ptr = umfPoolMalloc(made[i], 1000);
        umf_memory_pool_handle_t owner = NULL;
        cr_assert_eq(umfPoolByPtr(ptr, &owner), OK);
        cr_assert_eq(owner, made[i]);
        cr_assert_eq(umfFree(ptr), OK);
    }
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(umfPoolDestroy(made[i]), OK);
    }
    cr_assert_eq(level_zero_loader.zeContextDestroy(context[1]), LEVEL_ZERO_OK);
    nothing_is_left(context[0]);
}

Test(level_zero, properties_of_an_allocation) {
    start();
    ze_context_handle_t context = level_zero_test_context(&ze);
    for (int type = 0; type < TYPES; type++) {
        ze_device_handle_t device =
            types[type] == UMF_MEMORY_TYPE_HOST ? NULL : ze.device[ze.devices - 1];
        umf_memory_pool_handle_t pool = NULL;
        cr_assert_eq(umfPoolCreate(umfProxyPoolOps(),
                                   level_zero_test_provider(context, device, types[type]), NULL,
                                   UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                     OK);
        char *ptr = umfPoolMalloc(pool, 1024);
        for (int inside = 0; inside < 1024; inside += 512) {
            umf_memory_properties_handle_t properties = NULL;
            umf_usm_memory_type_t kind = UMF_MEMORY_TYPE_UNKNOWN;
            void *own = NULL, *of = &own;
            cr_assert_eq(umfGetMemoryPropertiesHandle(ptr + inside, &properties), OK);
            cr_assert_eq(umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_POINTER_TYPE, &kind,
                                              sizeof(kind)),
                         OK);
            cr_assert_eq(
                umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_CONTEXT, &own, sizeof(own)),
                OK);
            cr_assert_eq(
                umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_DEVICE, &of, sizeof(of)), OK);
            cr_expect(kind == types[type] && own == context && of == device);
        }
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        umfPoolDestroy(pool);
    }
    size_t size = 0;
    cr_assert_eq(umfLevelZeroMemoryProviderOps()->ext_get_allocation_properties_size(
                     NULL, UMF_MEMORY_PROPERTY_BUFFER_ID, &size),
                 INVAL);
    nothing_is_left(context);
}

/* ---- a provider from nothing ----------------------------------------------------------------- */

Test(level_zero, from_nothing) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_neq(level_zero_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 1000, NULL, &provider),
                  OK);
    cr_assert_null(provider);
    start(); // after the provider started the driver by itself
    for (uint32_t device = 0; device < ze.devices; device++) {
        for (int type = 0; type < TYPES; type++) {
            cr_assert_eq(level_zero_provider_from_nothing(types[type], device, NULL, &provider),
                         OK);
            void *ptr = NULL;
            cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, &ptr), OK);
            cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
            umfMemoryProviderDestroy(provider);
        }
    }
    provider = NULL;
    if (ze.is_standin) {
        static const char *const functions[] = {"zeDriverGet", "zeDeviceGet", "zeContextCreate",
                                                "zeDeviceGetProperties", "zeMemAllocShared"};
        size_t contexts = ze.standin.live_contexts();
        for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
            ze.standin.fail(functions[i], DEVICE_LOST, 1);
            cr_assert_eq(
                level_zero_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 0, NULL, &provider),
                SPECIFIC);
            cr_assert_null(provider);
            cr_assert_eq(ze.standin.live_contexts(), contexts);
        }
        cr_assert_eq(ze.standin.live_blocks(), 0);
    }
}

/* ---- the table of live blocks ---------------------------------------------------------------- */

Test(level_zero, block_table_keeps_what_was_added) {
    enum { MANY = 1000 };
    block_table_t table = {0};
    block_entry_t out;
    static char memory[MANY * 64];
    cr_assert_null(block_table_find(&table, memory));
    cr_assert_not(block_table_remove(&table, memory, &out));
    for (size_t i = 0; i < MANY; i++) {
        cr_assert(block_table_add(&table, &(block_entry_t){memory + i * 64, i, 0}));
    }
    for (size_t step = 0; step < MANY; step += 3) { // holes in runs
        cr_assert(block_table_remove(&table, memory + step * 64, &out));
        cr_assert_eq(out.size, step);
    }
    for (size_t i = 0; i < MANY; i++) {
        block_entry_t *found = block_table_find(&table, memory + i * 64);
        cr_assert_eq(found == NULL, i % 3 == 0);
        cr_assert(found == NULL || found->size == i);
    }
    cr_assert_eq(table.count, MANY - (MANY + 2) / 3);
    block_table_end(&table);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CUDA provider. Runs on whatever libcuda.so.1 is found first: ctest puts the stand-in there
 * (test/standins/cuda, 4 devices); without that the same program tests a real driver.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>

#include <umf/experimental/ctl.h>
#include <umf/experimental/memory_properties.h>
#include <umf/memory_pool.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>

#include "cuda_for_test.h"
#include "providers/provider_cuda.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT

enum { CUDA_OUT_OF_MEMORY_CODE = 2, CUDA_UNKNOWN_CODE = 999, CUDA_INVALID_CONTEXT_CODE = 201 };

static const umf_usm_memory_type_t types[] = {UMF_MEMORY_TYPE_HOST, UMF_MEMORY_TYPE_DEVICE,
                                              UMF_MEMORY_TYPE_SHARED};
enum { TYPES = sizeof(types) / sizeof(types[0]) };

static cuda_test_t cuda;

static void start(void) {
    if (!cuda_test_start(&cuda)) {
        cr_skip_test("no CUDA driver with a device");
    }
}

static void start_standin(void) {
    start();
    if (!cuda.is_standin) {
        cr_skip_test("needs the stand-in driver");
    }
}

/* ---- parameters and creation ----------------------------------------------------------------- */

Test(cuda, every_setter_checks_the_handle) {
    start();
    cr_assert_eq(umfCUDAMemoryProviderParamsCreate(NULL), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsDestroy(NULL), OK);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetContext(NULL, NULL), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetDevice(NULL, 0), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetMemoryType(NULL, UMF_MEMORY_TYPE_HOST), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetAllocFlags(NULL, 0), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetName(NULL, "x"), INVAL);
    umf_cuda_memory_provider_params_handle_t params = NULL;
    cr_assert_eq(umfCUDAMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetContext(params, NULL), OK);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetDevice(params, -1), OK);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetMemoryType(params, (umf_usm_memory_type_t)99), OK);
    umfCUDAMemoryProviderParamsDestroy(params);
}

Test(cuda, creation_names_what_is_missing) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    const struct {
        void *context;
        int device;
        umf_usm_memory_type_t type;
    } wrong[] = {
        {context, 0, UMF_MEMORY_TYPE_UNKNOWN},
        {context, 0, (umf_usm_memory_type_t)(UMF_MEMORY_TYPE_SHARED + 1)},
        {NULL, 0, UMF_MEMORY_TYPE_DEVICE},
        {context, -1, UMF_MEMORY_TYPE_DEVICE},
    };
    umf_memory_provider_handle_t provider = NULL;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        umf_cuda_memory_provider_params_handle_t params =
            cuda_test_params(wrong[i].context, wrong[i].device, wrong[i].type);
        cr_expect_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), INVAL,
                     "row %zu", i);
        cr_expect_null(provider);
        umfCUDAMemoryProviderParamsDestroy(params);
    }
    cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), NULL, &provider), INVAL);
    cr_assert_null(provider);
    cuda.context_destroy(context);
}

Test(cuda, a_device_that_does_not_exist_is_the_drivers_error) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    umf_cuda_memory_provider_params_handle_t params =
        cuda_test_params(context, 1000, UMF_MEMORY_TYPE_DEVICE);
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_neq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), OK);
    cr_assert_null(provider);
    umfCUDAMemoryProviderParamsDestroy(params);
    cuda.context_destroy(context);
}

Test(cuda, parameters_begin_with_the_current_context) {
    start();
    void *context = NULL;
    cr_assert_eq(cuda.context_create(&context, 0, cuda.devices - 1), 0);
    umf_cuda_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfCUDAMemoryProviderParamsCreate(&params), OK);
    umfCUDAMemoryProviderParamsSetMemoryType(params, UMF_MEMORY_TYPE_DEVICE);
    cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), OK);
    umfCUDAMemoryProviderParamsDestroy(params);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), OK);
    int device = -1;
    cr_assert_eq(cuda.pointer_attribute(&device, 9, (uintptr_t)ptr), 0);
    cr_assert_eq(device, cuda.devices - 1);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 4096), OK);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, names) {
    start();
    const char *name = NULL;
    cr_assert_eq(umfCUDAMemoryProviderOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "CUDA");
    cr_assert_eq(umfCUDAMemoryProviderOps()->get_name(NULL, NULL), INVAL);
    void *context = cuda_test_context(&cuda, 0);
    umf_cuda_memory_provider_params_handle_t params =
        cuda_test_params(context, 0, UMF_MEMORY_TYPE_HOST);
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfCUDAMemoryProviderParamsSetName(params, "pinned"), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), OK);
    umfCUDAMemoryProviderParamsDestroy(params);
    cr_assert_eq(umfMemoryProviderGetName(provider, &name), OK);
    cr_assert_str_eq(name, "pinned");
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

/* ---- memory ---------------------------------------------------------------------------------- */

static void check_memory(umf_memory_provider_handle_t provider, umf_usm_memory_type_t type,
                         void *context) {
    static const struct {
        size_t size, alignment;
    } blocks[] = {{1, 0}, {100, 64}, {4096, 4096}, {70000, 65536}, {3 << 20, 2 << 20}};
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        char *ptr = NULL;
        umf_result_t result =
            umfMemoryProviderAlloc(provider, blocks[i].size, blocks[i].alignment, (void **)&ptr);
        if (type == UMF_MEMORY_TYPE_HOST && blocks[i].alignment > 4096 &&
            result == UMF_RESULT_ERROR_INVALID_ALIGNMENT) {
            cr_expect_null(ptr); // pinned memory is aligned to pages, what is more is luck
            continue;
        }
        cr_assert_eq(result, OK, "type %d block %zu", type, i);
        cr_assert_not_null(ptr);
        if (blocks[i].alignment != 0) {
            cr_expect_eq((uintptr_t)ptr % blocks[i].alignment, 0);
        }
        if (type != UMF_MEMORY_TYPE_DEVICE) {
            memset(ptr, 0x5a, blocks[i].size);
        }
        cr_assert_eq(cuda.context_set(context), 0);
        unsigned kind = 0;
        cr_assert_eq(cuda.pointer_attribute(&kind, 2, (uintptr_t)ptr), 0);
        cr_expect_eq(kind, type == UMF_MEMORY_TYPE_HOST ? 1u : 2u);
        cr_assert_eq(cuda.context_set(NULL), 0);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, blocks[i].size), OK);
    }
}

Test(cuda, every_type_on_every_device) {
    start();
    for (int device = 0; device < cuda.devices; device++) {
        void *context = cuda_test_context(&cuda, device);
        for (int i = 0; i < TYPES; i++) {
            umf_memory_provider_handle_t provider = cuda_test_provider(context, device, types[i]);
            check_memory(provider, types[i], context);
            cr_assert_eq(umfMemoryProviderFree(provider, NULL, 0), OK);
            cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
        }
        cuda.context_destroy(context);
    }
    if (cuda.is_standin) {
        cr_assert_eq(cuda.standin.live_blocks(), 0);
        cr_assert_eq(cuda.standin.live_contexts(), 0);
    }
}

Test(cuda, sizes_that_can_not_be_had) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_DEVICE);
    void *ptr = NULL;
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr),
                 UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    cr_assert_null(ptr);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_eq(error, CUDA_OUT_OF_MEMORY_CODE);
    cr_assert_str_eq(message, "CUDA_ERROR_OUT_OF_MEMORY - out of memory");
    cr_assert_eq(umfMemoryProviderAlloc(provider, 0, 0, &ptr), INVAL);
    cr_assert_null(ptr);
    size_t page = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &page), OK);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 2 * page, &ptr),
                 UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 3, &ptr),
                 UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    cr_assert_null(ptr);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, wrong_flags_are_the_drivers_error) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    for (int i = 0; i < TYPES; i++) {
        umf_cuda_memory_provider_params_handle_t params = cuda_test_params(context, 0, types[i]);
        umf_memory_provider_handle_t provider = NULL;
        umfCUDAMemoryProviderParamsSetAllocFlags(params, 0xfff);
        cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), OK);
        umfCUDAMemoryProviderParamsDestroy(params);
        void *ptr = NULL;
        umf_result_t result = umfMemoryProviderAlloc(provider, 4096, 0, &ptr);
        if (types[i] == UMF_MEMORY_TYPE_DEVICE) { // has no flags
            cr_expect_eq(result, OK);
            umfMemoryProviderFree(provider, ptr, 4096);
        } else {
            cr_expect_eq(result, INVAL, "type %d", types[i]);
            cr_expect_null(ptr);
        }
        umfMemoryProviderDestroy(provider);
    }
    cuda.context_destroy(context);
}

Test(cuda, page_sizes_and_cache_line) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_SHARED);
    size_t smallest = 0, recommended = 0, line = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &smallest), OK);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 1, &recommended), OK);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &line), OK);
    cr_assert_geq(recommended, smallest);
    cr_assert_gt(smallest, 0);
    cr_assert_eq(line, 128);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, &line, 1), UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, &line, 1), UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, &line, 2, 1),
                 UMF_RESULT_ERROR_NOT_SUPPORTED);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, statistics) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_DEVICE);
    size_t now = 1, peak = 1;
    void *ptr = NULL;
#define READ(node, value)                                                                          \
    cr_assert_eq(                                                                                  \
        umfCtlGet("umf.provider.by_handle.{}.stats." node, &(value), sizeof(value), provider), OK)
    READ("allocated_memory", now);
    READ("peak_memory", peak);
    cr_assert(now == 0 && peak == 0);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 12345, 0, &ptr), OK);
    READ("allocated_memory", now);
    READ("peak_memory", peak);
    cr_assert(now == 12345 && peak == 12345);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 12345), OK);
    READ("allocated_memory", now);
    READ("peak_memory", peak);
    cr_assert(now == 0 && peak == 12345);
    cr_assert_eq(umfCtlExec("umf.provider.by_handle.{}.stats.peak_memory.reset", NULL, 0, provider),
                 OK);
    READ("peak_memory", peak);
    cr_assert_eq(peak, 0);
#undef READ
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

/* ---- contexts -------------------------------------------------------------------------------- */

Test(cuda, the_callers_context_is_put_back) {
    start();
    void *own = cuda_test_context(&cuda, 0);
    void *others = cuda_test_context(&cuda, cuda.devices - 1);
    umf_memory_provider_handle_t provider = cuda_test_provider(own, 0, UMF_MEMORY_TYPE_DEVICE);
    void *const current[] = {NULL, others, own};
    for (int i = 0; i < 3; i++) {
        void *ptr = NULL, *after = &ptr;
        cr_assert_eq(cuda.context_set(current[i]), 0);
        cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), OK);
        cr_assert_eq(cuda.context_get(&after), 0);
        cr_expect_eq(after, current[i]);
        char handle[64];
        cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 4096, handle), OK,
                     "in whatever context the caller is");
        cr_assert_eq(cuda.context_set(own), 0);
        void *context = NULL;
        cr_assert_eq(cuda.pointer_attribute(&context, 1, (uintptr_t)ptr), 0);
        cr_expect_eq(context, own);
        cr_assert_eq(cuda.context_set(current[i]), 0);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 4096), OK);
        cr_assert_eq(cuda.context_get(&after), 0);
        cr_expect_eq(after, current[i]);
        cr_assert_neq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr), OK);
        cr_assert_eq(cuda.context_get(&after), 0);
        cr_expect_eq(after, current[i], "after a failure, too");
    }
    cuda.context_set(NULL);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(own);
    cuda.context_destroy(others);
}

static void *use_provider(void *provider) {
    for (int i = 0; i < 50; i++) {
        void *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, 1000, 0, &ptr), OK);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 1000), OK);
    }
    void *context = &context;
    cr_assert_eq(cuda.context_get(&context), 0);
    cr_assert_null(context);
    return NULL;
}

Test(cuda, threads_without_a_context_can_use_it) {
    start();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_SHARED);
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) {
        pthread_create(&thread[i], NULL, use_provider, provider);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, a_context_that_is_gone_is_an_error_with_a_text) {
    start_standin();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_DEVICE);
    cuda.context_destroy(context);
    void *ptr = NULL;
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr),
                 UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC);
    cr_assert_null(ptr);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_eq(error, CUDA_INVALID_CONTEXT_CODE);
    cr_assert_str_eq(message, "CUDA_ERROR_INVALID_CONTEXT - invalid device context");
    umfMemoryProviderDestroy(provider);
    cr_assert_eq(cuda.standin.live_blocks(), 0);
}

/* ---- failures -------------------------------------------------------------------------------- */

Test(cuda, the_drivers_errors_in_our_terms) {
    start_standin();
    static const struct {
        int code;
        umf_result_t result;
    } rows[] = {
        {1, INVAL},
        {2, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY},
        {4, UMF_RESULT_ERROR_OUT_OF_RESOURCES},
        {400, INVAL},
        {201, UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC},
        {999, UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC},
    };
    static const char *const functions[] = {"cuMemHostAlloc", "cuMemAlloc_v2", "cuMemAllocManaged"};
    void *context = cuda_test_context(&cuda, 0);
    for (int i = 0; i < TYPES; i++) {
        umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, types[i]);
        for (size_t j = 0; j < sizeof(rows) / sizeof(rows[0]); j++) {
            void *ptr = NULL;
            const char *message = NULL;
            int32_t error = 0;
            cuda.standin.fail(functions[i], rows[j].code, 1);
            cr_expect_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), rows[j].result, "%s: %d",
                         functions[i], rows[j].code);
            cr_expect_null(ptr);
            cr_expect_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
            cr_expect_eq(error, rows[j].code);
        }
        cuda.standin.fail(functions[i], 0, 0);
        umfMemoryProviderDestroy(provider);
    }
    cr_assert_eq(cuda.standin.live_blocks(), 0);
    cuda.context_destroy(context);
}

Test(cuda, a_number_without_a_name_is_no_success) {
    start_standin();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_DEVICE);
    void *ptr = NULL;
    const char *message = "untouched";
    int32_t error = 77;
    cuda.standin.fail("cuMemAlloc_v2", 31337, 1);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr),
                 UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC);
    cr_assert_neq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_str_eq(message, "untouched");
    cr_assert_eq(umfCUDAMemoryProviderOps()->get_last_native_error(NULL, NULL, &error), INVAL);
    cr_assert_eq(umfCUDAMemoryProviderOps()->get_last_native_error(NULL, &message, NULL), INVAL);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, creation_that_fails_leaves_nothing) {
    start_standin();
    void *context = cuda_test_context(&cuda, 0);
    for (size_t nth = 1; nth <= 2; nth++) {
        umf_cuda_memory_provider_params_handle_t params =
            cuda_test_params(context, 0, UMF_MEMORY_TYPE_DEVICE);
        umf_memory_provider_handle_t provider = NULL;
        cuda.standin.fail("cuMemGetAllocationGranularity", CUDA_OUT_OF_MEMORY_CODE, nth);
        cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider),
                     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
        cr_assert_null(provider);
        umfCUDAMemoryProviderParamsDestroy(params);
    }
    cuda.context_destroy(context);
}

Test(cuda, a_block_that_is_not_aligned_is_tried_with_whole_pages) {
    start_standin();
    void *context = cuda_test_context(&cuda, 0);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, UMF_MEMORY_TYPE_SHARED);
    cuda.standin.calls_reset();
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 65536, &ptr), OK);
    cr_assert_eq((uintptr_t)ptr % 65536, 0);
    cr_assert_eq(cuda.standin.calls("cuMemAllocManaged"), 2);
    cr_assert_eq(cuda.standin.live_blocks(), 1);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
    cr_assert_eq(cuda.standin.live_blocks(), 0);
    cuda.standin.fail("cuMemAllocManaged", CUDA_UNKNOWN_CODE, 2);
    ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 65536, &ptr),
                 UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC);
    cr_assert_null(ptr);
    cr_assert_eq(cuda.standin.live_blocks(), 0);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, a_device_that_is_full) {
    start_standin();
    void *context = cuda_test_context(&cuda, 1);
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 1, UMF_MEMORY_TYPE_DEVICE);
    enum { BLOCK = 128 << 20, MOST = 16 };
    void *blocks[MOST] = {NULL};
    int taken = 0;
    while (taken < MOST && umfMemoryProviderAlloc(provider, BLOCK, 0, &blocks[taken]) == OK) {
        taken++;
    }
    cr_assert_eq(taken, 8, "1 GiB per device");
    cr_assert_null(blocks[taken]);
    for (int i = 0; i < taken; i++) {
        cr_assert_eq(umfMemoryProviderFree(provider, blocks[i], BLOCK), OK);
    }
    cr_assert_eq(cuda.standin.device_used(1), 0);
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &blocks[0]), OK, "usable again");
    cr_assert_eq(umfMemoryProviderFree(provider, blocks[0], BLOCK), OK);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

Test(cuda, the_library_is_needed_and_looked_for_again) {
    // in a process of its own: the driver is not open here yet
    setenv("LD_LIBRARY_PATH", "/nonexistent", 1); // too late for the loader: shows it is not read
    umf_memory_provider_handle_t provider = NULL;
    umf_cuda_memory_provider_params_handle_t params = NULL;
    umf_result_t result = umfCUDAMemoryProviderParamsCreate(&params);
    cr_assert(result == OK || result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE);
    cr_assert_eq(params == NULL, result != OK);
    const char *message = NULL;
    int32_t error = 1;
    umf_result_t asked = umfCUDAMemoryProviderOps()->get_last_native_error(NULL, &message, &error);
    cr_assert_eq(asked, result, "asked before anything failed");
    cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider), INVAL);
    umfCUDAMemoryProviderParamsDestroy(params);
}

/* ---- pools and properties -------------------------------------------------------------------- */

typedef const umf_memory_pool_ops_t *(*pool_ops_t)(void);

static void check_pool(umf_memory_pool_handle_t pool, bool host) {
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

Test(cuda, pools_never_touch_device_memory) {
    start();
    if (cuda.is_standin) {
        cuda.standin.protect(true); // touching it ends the test with SIGSEGV
    }
    static const pool_ops_t pools[] = {umfDisjointPoolOps, umfProxyPoolOps};
    for (int device = 0; device < cuda.devices; device++) {
        void *context = cuda_test_context(&cuda, device);
        for (size_t i = 0; i < 2; i++) {
            umf_memory_pool_handle_t pool = NULL;
            cr_assert_eq(umfPoolCreate(pools[i](),
                                       cuda_test_provider(context, device, UMF_MEMORY_TYPE_DEVICE),
                                       NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                         OK);
            check_pool(pool, false);
            cr_assert_eq(umfPoolDestroy(pool), OK);
        }
        cuda.context_destroy(context);
    }
    if (cuda.is_standin) {
        cr_assert_eq(cuda.standin.live_blocks(), 0);
    }
}

Test(cuda, every_pool_on_memory_that_the_host_can_use) {
    start();
    static const pool_ops_t pools[] = {umfDisjointPoolOps, umfProxyPoolOps, umfSlabPoolOps};
    void *context = cuda_test_context(&cuda, 0);
    for (int type = 0; type < TYPES; type++) {
        for (size_t i = 0; i < 3 && types[type] != UMF_MEMORY_TYPE_DEVICE; i++) {
            umf_memory_pool_handle_t pool = NULL;
            cr_assert_eq(umfPoolCreate(pools[i](), cuda_test_provider(context, 0, types[type]),
                                       NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                         OK);
            check_pool(pool, true);
            cr_assert_eq(umfPoolDestroy(pool), OK);
        }
    }
    cuda.context_destroy(context);
}

Test(cuda, properties_of_an_allocation) {
    start();
    int device = cuda.devices - 1;
    void *context = cuda_test_context(&cuda, device);
    for (int i = 0; i < TYPES; i++) {
        umf_memory_pool_handle_t pool = NULL;
        cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), cuda_test_provider(context, device, types[i]),
                                   NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                     OK);
        char *ptr = umfPoolMalloc(pool, 1024);
        for (int inside = 0; inside < 1024; inside += 512) {
            umf_memory_properties_handle_t properties = NULL;
            cr_assert_eq(umfGetMemoryPropertiesHandle(ptr + inside, &properties), OK);
            umf_usm_memory_type_t type = UMF_MEMORY_TYPE_UNKNOWN;
            void *own = NULL;
            int number = -1;
            size_t size = 0;
            cr_assert_eq(umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type,
                                              sizeof(type)),
                         OK);
            cr_assert_eq(
                umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_CONTEXT, &own, sizeof(own)),
                OK);
            cr_assert_eq(umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_DEVICE, &number,
                                              sizeof(number)),
                         OK);
            cr_assert_eq(umfGetMemoryPropertySize(properties, UMF_MEMORY_PROPERTY_DEVICE, &size),
                         OK);
            cr_expect(type == types[i] && own == context && number == device && size == 4);
        }
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        umfPoolDestroy(pool);
    }
    const umf_memory_provider_ops_t *ops = umfCUDAMemoryProviderOps();
    umf_memory_provider_handle_t provider = cuda_test_provider(context, 0, types[0]);
    size_t size = 0;
    cr_assert_eq(
        ops->ext_get_allocation_properties_size(NULL, UMF_MEMORY_PROPERTY_MAX_RESERVED, &size),
        INVAL);
    umfMemoryProviderDestroy(provider);
    cuda.context_destroy(context);
}

/* ---- a provider from nothing ----------------------------------------------------------------- */

Test(cuda, from_nothing) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_neq(cuda_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 1000, NULL, &provider), OK);
    cr_assert_null(provider);
    start(); // after the provider started the driver by itself
    for (int device = 0; device < cuda.devices; device++) {
        cr_assert_eq(
            cuda_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, (unsigned)device, NULL, &provider),
            OK);
        char *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, 100, 0, (void **)&ptr), OK);
        ptr[99] = 1;
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, 100), OK);
        umfMemoryProviderDestroy(provider);
    }
    provider = NULL;
    if (cuda.is_standin) {
        size_t contexts = cuda.standin.live_contexts();
        cuda.standin.fail("cuInit", 100, 1);
        cr_assert_eq(cuda_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 0, NULL, &provider),
                     UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC);
        cuda.standin.fail("cuMemGetAllocationGranularity", 999, 1);
        cr_assert_neq(cuda_provider_from_nothing(UMF_MEMORY_TYPE_SHARED, 0, NULL, &provider), OK);
        cr_assert_null(provider);
        cr_assert_eq(cuda.standin.live_contexts(), contexts);
    }
}

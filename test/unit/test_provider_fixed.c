/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* FIXED provider: parameters, the pinned behaviour of blocks, and that nothing outside the buffer
 * is touched. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/base_alloc.h"
#include "core/provider.h"
#include "core/state.h"

#define OK UMF_RESULT_SUCCESS
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define ALIGN UMF_RESULT_ERROR_INVALID_ALIGNMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define BAD_PATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define PAGE base_page_size()

typedef umf_fixed_memory_provider_params_handle_t params_t;
typedef umf_memory_provider_handle_t provider_t;

static uint8_t *pages(size_t count) {
    void *ptr =
        mmap(NULL, count * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(ptr, MAP_FAILED);
    return ptr;
}

static provider_t create(void *buffer, size_t size) {
    params_t params = NULL;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(buffer, size, &params), OK);
    provider_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK); // the provider has its own copy
    return provider;
}

static void *take(provider_t provider, size_t size, size_t alignment) {
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, size, alignment, &ptr), OK);
    return ptr;
}

static void give(provider_t provider, void *ptr, size_t size) {
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, size), OK);
}

static void assert_native(provider_t provider, int32_t code, const char *text) {
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_eq(error, code);
    cr_assert_eq(strncmp(message, text, strlen(text)), 0, "%s", message);
}

/* ---- Parameters ---- */

Test(fixed, params_are_checked) {
    params_t params = NULL;
    char byte;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(NULL, 1, &params), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(&byte, 0, &params), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(&byte, 1, NULL), INVAL);
    cr_assert_null(params);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(&byte, 1, &params), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsSetMemory(NULL, &byte, 1), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsSetMemory(params, NULL, 1), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsSetMemory(params, &byte, 0), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsSetMemory(params, &byte, 1), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(NULL), OK);
    provider_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), NULL, &provider), INVAL);
    cr_assert_null(provider);
}

Test(fixed, a_buffer_beyond_the_address_space_is_refused) {
    params_t params = NULL;
    char byte;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(&byte, SIZE_MAX, &params), OK);
    provider_t provider = NULL;
    size_t before = load_relaxed(&umf_core_state.base.used_bytes);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider), INVAL);
    cr_assert_null(provider);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), before); // nothing leaks
    umfFixedMemoryProviderParamsDestroy(params);
}

Test(fixed, names) {
    const char *name = NULL;
    const umf_memory_provider_ops_t *ops = umfFixedMemoryProviderOps();
    cr_assert_eq(ops->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "FIXED");
    cr_assert_eq(ops->get_name(NULL, NULL), INVAL);
    params_t params = NULL;
    uint8_t *buffer = pages(1);
    char longest[100];
    memset(longest, 'a', sizeof(longest));
    longest[99] = '\0';
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(buffer, PAGE, &params), OK);
    provider_t first = NULL, second = NULL;
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &first), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsSetName(params, longest), OK);
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &second), OK); // params serve more than once
    umfFixedMemoryProviderParamsDestroy(params);
    cr_assert_eq(umfMemoryProviderGetName(first, &name), OK);
    cr_assert_str_eq(name, "FIXED");
    cr_assert_eq(umfMemoryProviderGetName(second, &name), OK);
    cr_assert_eq(strlen(name), 63);
    umfMemoryProviderDestroy(first);
    umfMemoryProviderDestroy(second);
}

Test(fixed, pages_cache_line_and_what_is_not_supported) {
    uint8_t *buffer = pages(4);
    provider_t provider = create(buffer, 4 * PAGE);
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &size), OK);
    cr_assert_eq(size, PAGE);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, buffer, &size), OK);
    cr_assert_eq(size, PAGE);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 0, &size), OK);
    cr_assert_eq(size, PAGE);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &size), OK);
    cr_assert_eq(size, 64);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, buffer, PAGE), NOTSUP);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), NOTSUP);
    void *ptr = take(provider, PAGE, 0);
    char data[8];
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, PAGE, data), NOTSUP);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, data), NOTSUP);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, &ptr), NOTSUP);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, buffer, PAGE), NOTSUP);
    umfMemoryProviderDestroy(provider);
}

/* ---- Blocks ---- */

Test(fixed, the_whole_buffer_and_half_of_it_can_be_had) {
    uint8_t *buffer = pages(16);
    provider_t provider = create(buffer, 16 * PAGE);
    void *ptr = take(provider, 16 * PAGE, 0);
    cr_assert_eq(ptr, buffer);
    memset(ptr, 0xaa, 16 * PAGE);
    give(provider, ptr, 16 * PAGE);
    ptr = take(provider, 8 * PAGE, 0);
    void *other = take(provider, 8 * PAGE, 0), *none = NULL;
    cr_assert_neq(ptr, other);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 0, &none), OOM);
    cr_assert_null(none);
    give(provider, ptr, 8 * PAGE);
    give(provider, other, 8 * PAGE);
    give(provider, take(provider, 16 * PAGE, 0), 16 * PAGE);
    umfMemoryProviderDestroy(provider);
}

Test(fixed, sizes_and_alignments_that_can_not_be) {
    uint8_t *buffer = pages(16);
    provider_t provider = create(buffer, 16 * PAGE);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 16 * PAGE + 1, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 0, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE - 1, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE + 1, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE + PAGE / 2, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 3 * PAGE, &ptr), ALIGN);
    cr_assert_null(ptr);
    static const size_t sizes[] = {1, 64, 4096, 4096 + 64, 3 * 4096};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (size_t alignment = 0; alignment <= 4 * PAGE;
             alignment = alignment ? 2 * alignment : 1) {
            ptr = take(provider, sizes[i], alignment);
            cr_assert(is_aligned((uintptr_t)ptr, alignment < PAGE ? PAGE : alignment));
            memset(ptr, 0xff, sizes[i]);
            cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, sizes[i]), OK);
            give(provider, ptr, sizes[i]);
        }
    }
    umfMemoryProviderDestroy(provider);
}

Test(fixed, pages_are_adjacent_and_can_be_merged_and_split) {
    uint8_t *buffer = pages(8);
    provider_t provider = create(buffer, 8 * PAGE);
    uint8_t *a = take(provider, PAGE, 0), *b = take(provider, PAGE, 0);
    cr_assert_eq(a + PAGE, b);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, a, b, 3 * PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, a, b, 2 * PAGE), OK);
    give(provider, a, 2 * PAGE);
    a = take(provider, 2 * PAGE, 0);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 3 * PAGE, PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 2 * PAGE, PAGE), OK);
    give(provider, a, PAGE);
    give(provider, a + PAGE, PAGE);
    give(provider, take(provider, 8 * PAGE, 0), 8 * PAGE); // all in one piece again
    umfMemoryProviderDestroy(provider);
}

Test(fixed, wrong_frees) {
    uint8_t *buffer = pages(4);
    provider_t provider = create(buffer, 4 * PAGE);
    void *ptr = take(provider, PAGE, 0);
    cr_assert_eq(umfMemoryProviderFree(provider, NULL, 0), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 0), INVAL);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 2 * PAGE), INVAL);
    give(provider, ptr, 0);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, PAGE), INVAL);
    umfMemoryProviderDestroy(provider);
}

/* ---- Native errors and CTL ---- */

Test(fixed, native_error_before_and_after_a_failure) {
    uint8_t *buffer = pages(1);
    provider_t provider = create(buffer, PAGE);
    assert_native(provider, UMF_FIXED_RESULT_SUCCESS, "success");
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, (void *)1, 1), SPECIFIC);
    assert_native(provider, UMF_FIXED_RESULT_ERROR_PURGE_FORCE_FAILED, "force purging failed");
    const umf_memory_provider_ops_t *ops = umfFixedMemoryProviderOps();
    const char *message;
    int32_t error;
    cr_assert_eq(ops->get_last_native_error(NULL, NULL, &error), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, &message, NULL), INVAL);
    umfMemoryProviderDestroy(provider);
}

static umf_result_t ctl(provider_t provider, const char *name, void *arg, size_t size,
                        umf_ctl_query_type_t type, ...) {
    va_list args;
    va_start(args, type);
    umf_result_t result =
        provider->ops.ext_ctl(provider->priv, CTL_QUERY_PROGRAMMATIC, name, arg, size, type, args);
    va_end(args);
    return result;
}

static void assert_stats(provider_t provider, size_t allocated, size_t peak) {
    size_t value = SIZE_MAX;
    cr_assert_eq(ctl(provider, "stats.allocated_memory", &value, sizeof(value), CTL_QUERY_READ),
                 OK);
    cr_assert_eq(value, allocated);
    cr_assert_eq(ctl(provider, "stats.peak_memory", &value, sizeof(value), CTL_QUERY_READ), OK);
    cr_assert_eq(value, peak);
}

Test(fixed, statistics_count_requested_bytes) {
    provider_t provider = create(pages(8), 8 * PAGE);
    assert_stats(provider, 0, 0);
    void *ptr = take(provider, 100, 0);
    assert_stats(provider, 100, 100);
    void *none;
    cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &none), OOM);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 50), INVAL);
    assert_stats(provider, 100, 100);
    give(provider, ptr, 100);
    assert_stats(provider, 0, 100);
    ptr = take(provider, 200, 0);
    give(provider, ptr, 0); // a free without a size counts what the block had
    assert_stats(provider, 0, 200);
    cr_assert_eq(ctl(provider, "stats.peak_memory.reset", NULL, 0, CTL_QUERY_RUNNABLE), OK);
    assert_stats(provider, 0, 0);
    cr_assert_eq(ctl(provider, "no.such.node", NULL, 0, CTL_QUERY_READ), BAD_PATH);
    umfMemoryProviderDestroy(provider);
}

/* Anybody may run this node; with all work done in `initialize` nothing is made or freed twice. */
Test(fixed, post_initialize_run_again_does_no_harm) {
    uint8_t *buffer = pages(2);
    provider_t provider = create(buffer, 2 * PAGE);
    void *ptr = take(provider, PAGE, 0);
    cr_assert_eq(ctl(provider, "post_initialize", NULL, 0, CTL_QUERY_RUNNABLE), OK);
    cr_assert_eq(take(provider, PAGE, 0), buffer + PAGE);
    give(provider, ptr, PAGE);
    umfMemoryProviderDestroy(provider);
}

/* ---- Nothing outside the buffer ---- */

/* The buffer begins and ends inside a page; what shares these pages belongs to somebody else. */
Test(fixed, bytes_around_the_buffer_are_never_touched) {
    uint8_t *memory = pages(6);
    memset(memory, 0x5a, 6 * PAGE);
    uint8_t *buffer = memory + PAGE / 2;
    size_t size = 4 * PAGE; // up to the middle of page 4
    provider_t provider = create(buffer, size);
    uint8_t *ptr = take(provider, 3 * PAGE + PAGE / 2, 0); // pages 1..3 and half of page 4
    cr_assert_eq(ptr, memory + PAGE);
    void *none;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 1, 0, &none), OOM);
    memset(ptr, 0x11, 3 * PAGE + PAGE / 2);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, 3 * PAGE + PAGE / 2), OK);
    for (size_t i = 0; i < 6 * PAGE; i++) {
        uint8_t expected = i < PAGE                  ? 0x5a
                           : i < 4 * PAGE            ? 0    // whole pages inside: dropped
                           : i < 4 * PAGE + PAGE / 2 ? 0x11 // the shared page is left alone
                                                     : 0x5a;
        cr_assert_eq(memory[i], expected, "byte %zu is %#x", i, memory[i]);
    }
    give(provider, ptr, 0);
    umfMemoryProviderDestroy(provider);
}

Test(fixed, a_purge_outside_the_buffer_is_refused) {
    uint8_t *memory = pages(4);
    memset(memory, 0x5a, 4 * PAGE);
    provider_t provider = create(memory + PAGE, 2 * PAGE);
    static const struct { size_t page, count; } wrong[] = {{0, 1}, {0, 2}, {2, 2}, {3, 1}, {0, 4}};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_assert_eq(umfMemoryProviderPurgeForce(provider, memory + wrong[i].page * PAGE,
                                                 wrong[i].count * PAGE),
                     SPECIFIC);
    }
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, memory + PAGE, SIZE_MAX), SPECIFIC);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, memory + PAGE + 1, PAGE), SPECIFIC);
    for (size_t i = 0; i < 4 * PAGE; i++) {
        cr_assert_eq(memory[i], 0x5a);
    }
    umfMemoryProviderDestroy(provider);
}

/* Records lie elsewhere: a buffer that nobody may read or write serves as well, and keeps its
 * content. */
Test(fixed, the_buffer_holds_no_records) {
    uint8_t *buffer = pages(32);
    cr_assert_eq(mprotect(buffer, 32 * PAGE, PROT_NONE), 0);
    provider_t provider = create(buffer, 32 * PAGE);
    void *a = take(provider, 5 * PAGE, 0), *b = take(provider, 100, 4 * PAGE);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 5 * PAGE, 2 * PAGE), OK);
    give(provider, a, 2 * PAGE);
    give(provider, b, 100);
    umfMemoryProviderDestroy(provider); // with a live block
    cr_assert_eq(mprotect(buffer, 32 * PAGE, PROT_READ | PROT_WRITE), 0);
    cr_assert_eq(buffer[0], 0); // still there: destroying frees nothing of the caller's
}

/* ---- Stacked ---- */

Test(fixed, memory_of_a_pool_can_be_the_buffer_of_another) {
    provider_t outer_provider = create(pages(64), 64 * PAGE);
    umf_memory_pool_handle_t outer = NULL, inner = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), outer_provider, NULL, 0, &outer), OK);
    size_t size = 32 * PAGE;
    void *block = umfPoolMalloc(outer, size);
    cr_assert_not_null(block);
    for (size_t part = 1; part <= 2; part++) { // the whole block, then half of it
        provider_t inner_provider = create(block, size / part);
        cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), inner_provider, NULL, 0, &inner), OK);
        void *ptr = umfPoolMalloc(inner, size / part);
        cr_assert_eq(ptr, block);
        umf_memory_pool_handle_t found = NULL;
        cr_assert_eq(umfPoolByPtr(ptr, &found), OK);
        cr_assert_eq(found, inner);
        cr_assert_eq(umfPoolFree(inner, ptr), OK);
        cr_assert_eq(umfPoolDestroy(inner), OK);
        cr_assert_eq(umfMemoryProviderDestroy(inner_provider), OK);
    }
    cr_assert_eq(umfPoolFree(outer, block), OK);
    cr_assert_eq(umfPoolDestroy(outer), OK);
    cr_assert_eq(umfMemoryProviderDestroy(outer_provider), OK);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See providers_for_test.h. */
#define _GNU_SOURCE
#include "test/unit/providers_for_test.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Counts; true when the operation shall fail, with the result in *result. */
static bool enter(test_provider_t *state, test_op_t op, umf_result_t *result) {
    fetch_add_relaxed(&state->calls[op], 1);
    *result = state->fail[op];
    return *result != UMF_RESULT_SUCCESS;
}

static umf_result_t test_initialize(const void *params, void **provider) {
    static test_provider_t nobody; // tables are also tried out without parameters
    test_provider_t *state = params != NULL ? (test_provider_t *)(uintptr_t)params : &nobody;
    umf_result_t result;
    if (!enter(state, OP_INITIALIZE, &result)) {
        *provider = state;
    }
    return result;
}

static umf_result_t test_finalize(void *provider) {
    umf_result_t result;
    enter(provider, OP_FINALIZE, &result);
    return result;
}

static void *arena_cut(test_provider_t *state, size_t size, size_t alignment) {
    size_t start =
        align_up((uintptr_t)state->arena + state->arena_used, alignment) - (uintptr_t)state->arena;
    if (start > state->arena_size || size > state->arena_size - start) {
        return NULL;
    }
    state->arena_used = start + size;
    return state->arena + start;
}

static umf_result_t test_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    test_provider_t *state = provider;
    umf_result_t result;
    store_relaxed(&state->last_size, size);
    store_relaxed(&state->last_alignment, alignment);
    if (enter(state, OP_ALLOC, &result)) {
        return result;
    }
    size_t align = alignment > sizeof(void *) ? alignment : sizeof(void *);
    void *block = NULL;
    if (state->arena != NULL) {
        block = arena_cut(state, size, alignment != 0 ? alignment : 1);
    } else if (size > PTRDIFF_MAX / 2 ||
               alignment > PTRDIFF_MAX / 2 || // AddressSanitizer would stop
               posix_memalign(&block, align, size != 0 ? size : 1) != 0) {
        block = NULL;
    }
    if (block == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    fetch_add_relaxed(&state->live_bytes, size);
    *ptr = block;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t test_free(void *provider, void *ptr, size_t size) {
    test_provider_t *state = provider;
    umf_result_t result;
    store_relaxed(&state->last_ptr, ptr);
    store_relaxed(&state->last_size, size);
    if (enter(state, OP_FREE, &result)) {
        return result;
    }
    if (ptr != NULL) {
        fetch_sub_relaxed(&state->live_bytes, size);
        if (state->arena == NULL) {
            free(ptr);
        }
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t test_native_error(void *provider, const char **message, int32_t *error) {
    umf_result_t result;
    if (!enter(provider, OP_NATIVE_ERROR, &result)) {
        *message = "test error";
        *error = TEST_NATIVE_ERROR;
    }
    return result;
}

static umf_result_t test_recommended_page(void *provider, size_t size, size_t *page_size) {
    umf_result_t result;
    store_relaxed(&((test_provider_t *)provider)->last_size, size);
    if (!enter(provider, OP_RECOMMENDED_PAGE, &result)) {
        *page_size = TEST_RECOMMENDED_PAGE;
    }
    return result;
}

static umf_result_t test_min_page(void *provider, const void *ptr, size_t *page_size) {
    umf_result_t result;
    store_relaxed(&((test_provider_t *)provider)->last_ptr, (void *)(uintptr_t)ptr);
    if (!enter(provider, OP_MIN_PAGE, &result)) {
        *page_size = TEST_MIN_PAGE;
    }
    return result;
}

static umf_result_t test_name(void *provider, const char **name) {
    test_provider_t *state = provider;
    umf_result_t result = UMF_RESULT_SUCCESS;
    if (state == NULL || !enter(state, OP_NAME, &result)) {
        *name = state != NULL && state->name != NULL ? state->name : "test";
    }
    return result;
}

static umf_result_t range_call(test_provider_t *state, test_op_t op, void *ptr, size_t size) {
    umf_result_t result;
    store_relaxed(&state->last_ptr, ptr);
    store_relaxed(&state->last_size, size);
    enter(state, op, &result);
    return result;
}

static umf_result_t test_purge_lazy(void *provider, void *ptr, size_t size) {
    return range_call(provider, OP_PURGE_LAZY, ptr, size);
}

static umf_result_t test_purge_force(void *provider, void *ptr, size_t size) {
    return range_call(provider, OP_PURGE_FORCE, ptr, size);
}

static umf_result_t test_merge(void *provider, void *low, void *high, size_t total_size) {
    (void)high;
    return range_call(provider, OP_MERGE, low, total_size);
}

static umf_result_t test_split(void *provider, void *ptr, size_t total_size, size_t first_size) {
    (void)total_size;
    return range_call(provider, OP_SPLIT, ptr, first_size);
}

static umf_result_t test_ipc_size(void *provider, size_t *size) {
    umf_result_t result;
    if (!enter(provider, OP_IPC_SIZE, &result)) {
        *size = TEST_IPC_SIZE;
    }
    return result;
}

static umf_result_t test_ipc_get(void *provider, const void *ptr, size_t size, void *data) {
    umf_result_t result = range_call(provider, OP_IPC_GET, (void *)(uintptr_t)ptr, size);
    if (result == UMF_RESULT_SUCCESS) {
        memcpy(data, &ptr, sizeof(ptr));
    }
    return result;
}

static umf_result_t test_ipc_put(void *provider, void *data) {
    return range_call(provider, OP_IPC_PUT, data, 0);
}

static umf_result_t test_ipc_open(void *provider, void *data, void **ptr) {
    umf_result_t result;
    if (!enter(provider, OP_IPC_OPEN, &result)) {
        memcpy(ptr, data, sizeof(*ptr));
    }
    return result;
}

static umf_result_t test_ipc_close(void *provider, void *ptr, size_t size) {
    return range_call(provider, OP_IPC_CLOSE, ptr, size);
}

static umf_result_t test_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                             void *arg, size_t size, umf_ctl_query_type_t query_type,
                             va_list args) {
    test_provider_t *state = provider;
    umf_result_t result;
    (void)arg, (void)size, (void)args;
    state->last_ctl_name = name;
    state->last_ctl_source = source;
    state->last_ctl_type = query_type;
    enter(state, OP_CTL, &result);
    return result;
}

static umf_result_t test_property(void *provider, const void *ptr, umf_memory_property_id_t id,
                                  void *value) {
    test_provider_t *state = provider;
    umf_result_t result;
    store_relaxed(&state->last_ptr, (void *)(uintptr_t)ptr);
    if (enter(state, OP_PROPERTY, &result)) {
        return result;
    }
    if (id != UMF_MEMORY_PROPERTY_POINTER_TYPE) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    memcpy(value, &state->memory_type, sizeof(state->memory_type));
    return UMF_RESULT_SUCCESS;
}

static umf_result_t test_property_size(void *provider, umf_memory_property_id_t id, size_t *size) {
    umf_result_t result;
    (void)id;
    if (!enter(provider, OP_PROPERTY_SIZE, &result)) {
        *size = sizeof(umf_usm_memory_type_t);
    }
    return result;
}

static umf_result_t test_cache_line(void *provider, size_t *size) {
    umf_result_t result;
    if (!enter(provider, OP_CACHE_LINE, &result)) {
        *size = TEST_CACHE_LINE;
    }
    return result;
}

const umf_memory_provider_ops_t test_provider_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = test_initialize,
    .finalize = test_finalize,
    .alloc = test_alloc,
    .free = test_free,
    .get_last_native_error = test_native_error,
    .get_recommended_page_size = test_recommended_page,
    .get_min_page_size = test_min_page,
    .get_name = test_name,
    .ext_purge_lazy = test_purge_lazy,
    .ext_purge_force = test_purge_force,
    .ext_allocation_merge = test_merge,
    .ext_allocation_split = test_split,
    .ext_get_ipc_handle_size = test_ipc_size,
    .ext_get_ipc_handle = test_ipc_get,
    .ext_put_ipc_handle = test_ipc_put,
    .ext_open_ipc_handle = test_ipc_open,
    .ext_close_ipc_handle = test_ipc_close,
    .ext_ctl = test_ctl,
    .ext_get_allocation_properties = test_property,
    .ext_get_allocation_properties_size = test_property_size,
    .get_cache_line_size = test_cache_line,
};

size_t test_provider_calls_after_creation(test_provider_t *state) {
    size_t sum = 0;
    for (int op = 0; op < OP_COUNT; op++) {
        if (op != OP_INITIALIZE && op != OP_NAME && op != OP_CTL) {
            sum += load_relaxed(&state->calls[op]);
        }
    }
    return sum;
}

umf_memory_provider_handle_t test_provider_create(test_provider_t *state) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&test_provider_ops, state, &provider), UMF_RESULT_SUCCESS);
    return provider;
}

void *test_arena(size_t bytes) {
    void *arena = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(arena, MAP_FAILED);
    return arena;
}

/* ---- the null provider ----------------------------------------------------------------------- */

static umf_result_t null_initialize(const void *params, void **provider) {
    (void)params;
    *provider = NULL;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_finalize(void *provider) {
    (void)provider;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    (void)provider, (void)size, (void)alignment;
    *ptr = NULL;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_free(void *provider, void *ptr, size_t size) {
    (void)provider, (void)ptr, (void)size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_native_error(void *provider, const char **message, int32_t *error) {
    (void)provider, (void)message, (void)error;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_recommended_page(void *provider, size_t size, size_t *page_size) {
    (void)provider, (void)size;
    *page_size = TEST_MIN_PAGE;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_min_page(void *provider, const void *ptr, size_t *page_size) {
    (void)provider, (void)ptr;
    *page_size = TEST_MIN_PAGE;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_name(void *provider, const char **name) {
    (void)provider;
    *name = "null";
    return UMF_RESULT_SUCCESS;
}

static umf_result_t null_cache_line(void *provider, size_t *size) {
    (void)provider;
    *size = 64;
    return UMF_RESULT_SUCCESS;
}

const umf_memory_provider_ops_t null_provider_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = null_initialize,
    .finalize = null_finalize,
    .alloc = null_alloc,
    .free = null_free,
    .get_last_native_error = null_native_error,
    .get_recommended_page_size = null_recommended_page,
    .get_min_page_size = null_min_page,
    .get_name = null_name,
    .get_cache_line_size = null_cache_line,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the IPC tests share; see ipc_for_test.h. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_os_memory.h>

#include "test/unit/ipc_for_test.h"

#define OK UMF_RESULT_SUCCESS

umf_memory_provider_handle_t ipc_os_provider(const char *name) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(params, name), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static umf_result_t counting_initialize(const void *params, void **provider) {
    ipc_counts_t *counts = (ipc_counts_t *)(uintptr_t)params;
    counts->below = ipc_os_provider(counts->shm_name);
    *provider = counts;
    return OK;
}

static umf_result_t counting_finalize(void *provider) {
    return umfMemoryProviderDestroy(((ipc_counts_t *)provider)->below);
}

static umf_result_t counting_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    ipc_counts_t *counts = provider;
    fetch_add_relaxed(&counts->allocs, 1);
    return umfMemoryProviderAlloc(counts->below, size, alignment, ptr);
}

static umf_result_t counting_free(void *provider, void *ptr, size_t size) {
    ipc_counts_t *counts = provider;
    fetch_add_relaxed(&counts->frees, 1);
    return umfMemoryProviderFree(counts->below, ptr, size);
}

static umf_result_t counting_native_error(void *provider, const char **message, int32_t *error) {
    return umfMemoryProviderGetLastNativeError(((ipc_counts_t *)provider)->below, message, error);
}

static umf_result_t counting_recommended(void *provider, size_t size, size_t *page) {
    return umfMemoryProviderGetRecommendedPageSize(((ipc_counts_t *)provider)->below, size, page);
}

static umf_result_t counting_min(void *provider, const void *ptr, size_t *page) {
    return umfMemoryProviderGetMinPageSize(((ipc_counts_t *)provider)->below, ptr, page);
}

static umf_result_t counting_name(void *provider, const char **name) {
    (void)provider;
    *name = "counting";
    return OK;
}

static umf_result_t counting_merge(void *provider, void *low, void *high, size_t total) {
    return umfMemoryProviderAllocationMerge(((ipc_counts_t *)provider)->below, low, high, total);
}

static umf_result_t counting_split(void *provider, void *ptr, size_t total, size_t first) {
    return umfMemoryProviderAllocationSplit(((ipc_counts_t *)provider)->below, ptr, total, first);
}

static umf_result_t counting_ipc_size(void *provider, size_t *size) {
    ipc_counts_t *counts = provider;
    umf_result_t result = umfMemoryProviderGetIPCHandleSize(counts->below, size);
    size_t instead = load_relaxed(&counts->handle_bytes);
    *size = instead != 0 ? instead : *size;
    return result;
}

static umf_result_t counting_ipc_get(void *provider, const void *ptr, size_t size, void *data) {
    ipc_counts_t *counts = provider;
    umf_result_t fail = load_relaxed(&counts->fail_get);
    if (fail != OK) {
        return fail;
    }
    fetch_add_relaxed(&counts->gets, 1);
    return umfMemoryProviderGetIPCHandle(counts->below, ptr, size, data);
}

static umf_result_t counting_ipc_put(void *provider, void *data) {
    ipc_counts_t *counts = provider;
    fetch_add_relaxed(&counts->puts, 1);
    return umfMemoryProviderPutIPCHandle(counts->below, data);
}

static umf_result_t counting_ipc_open(void *provider, void *data, void **ptr) {
    ipc_counts_t *counts = provider;
    umf_result_t fail = load_relaxed(&counts->fail_open);
    usleep(load_relaxed(&counts->open_usecs));
    if (fail != OK) {
        return fail;
    }
    fetch_add_relaxed(&counts->opens, 1);
    return umfMemoryProviderOpenIPCHandle(counts->below, data, ptr);
}

static umf_result_t counting_ipc_close(void *provider, void *ptr, size_t size) {
    ipc_counts_t *counts = provider;
    fetch_add_relaxed(&counts->closes, 1);
    return umfMemoryProviderCloseIPCHandle(counts->below, ptr, size);
}

static umf_result_t counting_cache_line(void *provider, size_t *size) {
    return umfMemoryProviderGetCacheLineSize(((ipc_counts_t *)provider)->below, size);
}

const umf_memory_provider_ops_t ipc_counting_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = counting_initialize,
    .finalize = counting_finalize,
    .alloc = counting_alloc,
    .free = counting_free,
    .get_last_native_error = counting_native_error,
    .get_recommended_page_size = counting_recommended,
    .get_min_page_size = counting_min,
    .get_name = counting_name,
    .ext_allocation_merge = counting_merge,
    .ext_allocation_split = counting_split,
    .ext_get_ipc_handle_size = counting_ipc_size,
    .ext_get_ipc_handle = counting_ipc_get,
    .ext_put_ipc_handle = counting_ipc_put,
    .ext_open_ipc_handle = counting_ipc_open,
    .ext_close_ipc_handle = counting_ipc_close,
    .get_cache_line_size = counting_cache_line,
};

umf_memory_pool_handle_t ipc_pool_on(umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(
        umfPoolCreate(umfProxyPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
        OK);
    return pool;
}

umf_memory_pool_handle_t ipc_proxy_pool(ipc_counts_t *counts) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&ipc_counting_ops, counts, &provider), OK);
    return ipc_pool_on(provider);
}

umf_memory_pool_handle_t ipc_disjoint_pool(ipc_counts_t *counts, size_t slab_bytes) {
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    umf_disjoint_pool_params_handle_t params = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&ipc_counting_ops, counts, &provider), OK);
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    cr_assert_eq(umfDisjointPoolParamsSetSlabMinSize(params, slab_bytes), OK);
    cr_assert_eq(umfDisjointPoolParamsSetMaxPoolableSize(params, slab_bytes), OK);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, params,
                               UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                 OK);
    umfDisjointPoolParamsDestroy(params);
    return pool;
}

umf_ipc_handler_handle_t ipc_handler(umf_memory_pool_handle_t pool) {
    umf_ipc_handler_handle_t handler = NULL;
    cr_assert_eq(umfPoolGetIPCHandler(pool, &handler), OK);
    cr_assert_not_null(handler);
    return handler;
}

void *ipc_received(const void *ptr, size_t *size) {
    umf_ipc_handle_t handle = NULL;
    size_t bytes = 0;
    cr_assert_eq(umfGetIPCHandle(ptr, &handle, &bytes), OK);
    void *copy = malloc(bytes);
    cr_assert_not_null(copy);
    memcpy(copy, handle, bytes);
    cr_assert_eq(umfPutIPCHandle(handle), OK);
    if (size != NULL) {
        *size = bytes;
    }
    return copy;
}

size_t ipc_open_fds(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 3; // ".", ".." and the directory itself
}

size_t ipc_shared_maps(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t count = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *rights = strchr(line, ' ');
        count += rights != NULL && rights[4] == 's';
    }
    fclose(maps);
    return count;
}

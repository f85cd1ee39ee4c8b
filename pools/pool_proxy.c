/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Proxy pool: each block is one provider allocation. The sizes that the provider wants back at free
 * come from the address map. A pool created without tracking has no entries there, so it wraps the
 * provider by itself with hidden entries.
 */
#include <umf/pools/pool_proxy.h>

#include "core/base_alloc.h"
#include "core/map.h"
#include "core/tracking.h"
#include "pools/pool_common.h"

typedef struct proxy_pool {
    umf_memory_provider_handle_t provider; /* a tracking wrapper in any case */
    umf_memory_provider_handle_t upstream; /* what it wraps */
    umf_memory_pool_handle_t pool;         /* of the wrapper; NULL: hidden */
    bool own_wrapper;                      /* made here */
} proxy_pool_t;

static UMF_TLS umf_result_t proxy_last_error; /* of this thread, in whichever proxy pool */

static umf_result_t proxy_initialize(umf_memory_provider_handle_t provider, const void *params,
                                     void **priv) {
    (void)params;
    proxy_pool_t *proxy = base_alloc(sizeof(*proxy));
    if (proxy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    proxy->provider = provider;
    proxy->upstream = tracking_provider_upstream(provider);
    proxy->pool = tracking_provider_pool(provider);
    proxy->own_wrapper = !tracking_provider_is(provider);
    if (proxy->own_wrapper) {
        umf_result_t result = tracking_provider_create(provider, NULL, &proxy->provider);
        if (result != UMF_RESULT_SUCCESS) {
            base_free(proxy, sizeof(*proxy));
            return result;
        }
    }
    *priv = proxy;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t proxy_finalize(void *priv) {
    proxy_pool_t *proxy = priv;
    if (proxy->own_wrapper) {
        umfMemoryProviderDestroy(proxy->provider); // hidden entries that are left name no pool
    }
    base_free(proxy, sizeof(*proxy));
    return UMF_RESULT_SUCCESS;
}

static void *proxy_aligned_malloc(void *priv, size_t size, size_t alignment) {
    proxy_pool_t *proxy = priv;
    void *ptr = NULL;
    proxy_last_error = umfMemoryProviderAlloc(proxy->provider, size, alignment, &ptr);
    return proxy_last_error == UMF_RESULT_SUCCESS ? ptr : NULL;
}

static void *proxy_malloc(void *priv, size_t size) {
    return proxy_aligned_malloc(priv, size, 0);
}

static void *proxy_calloc(void *priv, size_t num, size_t size) {
    (void)priv, (void)num, (void)size;
    proxy_last_error = UMF_RESULT_ERROR_NOT_SUPPORTED;
    return NULL;
}

static void *proxy_realloc(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    proxy_last_error = UMF_RESULT_ERROR_NOT_SUPPORTED;
    return NULL;
}

static umf_result_t proxy_free(void *priv, void *ptr) {
    proxy_pool_t *proxy = priv;
    size_t size = 0;
    if (ptr != NULL) {
        const map_region_t *region = map_find_exact(ptr, proxy->pool, proxy->upstream);
        if (region == NULL) {
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        size = load_relaxed(&region->size);
    }
    return umfMemoryProviderFree(proxy->provider, ptr, size);
}

static umf_result_t proxy_malloc_usable_size(void *priv, const void *ptr, size_t *size) {
    (void)priv, (void)ptr;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = 0;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t proxy_get_last_allocation_error(void *priv) {
    (void)priv;
    return proxy_last_error;
}

static umf_result_t proxy_get_name(void *priv, const char **name) {
    (void)priv;
    return pool_name_get("proxy", name);
}

static umf_result_t proxy_trim_memory(void *priv, size_t min_bytes_to_keep) {
    (void)priv, (void)min_bytes_to_keep;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static const umf_memory_pool_ops_t proxy_ops = {
    .version = UMF_POOL_OPS_VERSION_CURRENT,
    .initialize = proxy_initialize,
    .finalize = proxy_finalize,
    .malloc = proxy_malloc,
    .calloc = proxy_calloc,
    .realloc = proxy_realloc,
    .aligned_malloc = proxy_aligned_malloc,
    .malloc_usable_size = proxy_malloc_usable_size,
    .free = proxy_free,
    .get_last_allocation_error = proxy_get_last_allocation_error,
    .get_name = proxy_get_name,
    .ext_trim_memory = proxy_trim_memory,
};

UMF_EXPORT const umf_memory_pool_ops_t *umfProxyPoolOps(void) {
    return &proxy_ops;
}

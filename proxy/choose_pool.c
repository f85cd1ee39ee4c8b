/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* From settings to the pool that they ask for, over the provider that they ask for. */
#include "proxy/choose.h"

#include <umf.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>

enum { HUGE_PAGE_CHUNK_BYTES = 4 * 1024 * 1024 /* first chunk with huge pages */ };

umf_result_t made_pool_create(umf_memory_provider_handle_t provider, bool slab, const void *params,
                              made_pool_t *made) {
    umf_result_t result = umfPoolCreate(slab ? umfSlabPoolOps() : umfProxyPoolOps(), provider,
                                        params, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &made->handle);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
        return result;
    }
    made->slab = slab ? made->handle->priv : NULL;
    return UMF_RESULT_SUCCESS;
}

/* True when the boot pool is not what the settings ask for. */
bool choose_is_needed(const proxy_settings_t *settings) {
    return settings->os.disposition != PROXY_DISPOSITION_PRIVATE ||
           settings->os.numa_mode != PROXY_NUMA_DEFAULT ||
           settings->os.page_size != PROXY_PAGE_DEFAULT ||
           settings->choice.pool != PROXY_POOL_SLAB || settings->slab.chunk_size != 0;
}

umf_result_t choose_pool(const proxy_settings_t *settings, made_pool_t *made) {
    umf_memory_provider_handle_t provider = NULL;
    umf_slab_pool_params_handle_t params = NULL;
    umf_result_t result = umfSlabPoolParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfSlabPoolParamsSetPurgeDelay(params, (uint32_t)settings->slab.purge_delay_ms);
    umfSlabPoolParamsSetKeepAll(params, settings->slab.keep_all);
    // Chunks smaller than a huge page would never get one.
    size_t chunk_bytes = settings->slab.chunk_size;
    if (chunk_bytes == 0 && settings->os.page_size != PROXY_PAGE_DEFAULT) {
        chunk_bytes = HUGE_PAGE_CHUNK_BYTES;
    }
    umfSlabPoolParamsSetChunkSize(params, chunk_bytes);
    result = choose_provider(settings, &provider);
    if (result == UMF_RESULT_SUCCESS) {
        bool slab = settings->choice.pool == PROXY_POOL_SLAB;
        result = made_pool_create(provider, slab, slab ? params : NULL, made);
    }
    umfSlabPoolParamsDestroy(params);
    if (result == UMF_RESULT_SUCCESS && made->slab != NULL && made->slab->extension != NULL) {
        // Try it once: settings such as a missing NUMA node only show when memory is taken.
        void *probe = slab_pool_alloc(made->slab, 1);
        if (probe == NULL) {
            umfPoolDestroy(made->handle);
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
        umfPoolFree(made->handle, probe);
    }
    return result;
}

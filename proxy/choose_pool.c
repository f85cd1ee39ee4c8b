/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* From settings to the pool that they ask for, over the provider that they ask for. */
#include "proxy/choose.h"

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>

#include "core/log.h"
#include "proxy/jemalloc_library.h"

enum { HUGE_PAGE_CHUNK_BYTES = 4 * 1024 * 1024 /* first chunk with huge pages */ };

bool choose_is_needed(const proxy_settings_t *settings) {
    const proxy_choice_settings_t *choice = &settings->choice;
    const proxy_os_settings_t *os = &settings->os;
    return choice->pool != PROXY_POOL_SLAB || choice->provider != PROXY_PROVIDER_OS ||
           choice->pool_name[0] != '\0' || choice->provider_name[0] != '\0' ||
           os->disposition != PROXY_DISPOSITION_PRIVATE || os->numa_mode != PROXY_NUMA_DEFAULT ||
           os->memspace != PROXY_MEMSPACE_NONE || os->page_size != PROXY_PAGE_DEFAULT ||
           os->protection != PROXY_PROTECTION_RW || settings->slab.chunk_size != 0;
}

static umf_result_t create(const umf_memory_pool_ops_t *ops, umf_memory_provider_handle_t provider,
                           const void *params, made_pool_t *made) {
    return umfPoolCreate(ops, provider, params, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &made->handle);
}

static umf_result_t make_slab(const proxy_settings_t *settings,
                              umf_memory_provider_handle_t provider, made_pool_t *made) {
    umf_slab_pool_params_handle_t params = NULL;
    umf_result_t result = umfSlabPoolParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    // Chunks smaller than a huge page would never get one.
    size_t chunk_bytes = settings->slab.chunk_size;
    if (chunk_bytes == 0 && settings->os.page_size != PROXY_PAGE_DEFAULT) {
        chunk_bytes = HUGE_PAGE_CHUNK_BYTES;
    }
    umfSlabPoolParamsSetPurgeDelay(params, (uint32_t)settings->slab.purge_delay_ms);
    umfSlabPoolParamsSetKeepAll(params, settings->slab.keep_all);
    umfSlabPoolParamsSetChunkSize(params, chunk_bytes);
    if (settings->choice.pool_name[0] != '\0') {
        umfSlabPoolParamsSetName(params, settings->choice.pool_name);
    }
    result = create(umfSlabPoolOps(), provider, params, made);
    umfSlabPoolParamsDestroy(params);
    made->slab = result == UMF_RESULT_SUCCESS ? made->handle->priv : NULL;
    return result;
}

static umf_result_t make_scalable(const proxy_settings_t *settings,
                                  umf_memory_provider_handle_t provider, made_pool_t *made) {
    umf_scalable_pool_params_handle_t params = NULL;
    umf_result_t result = umfScalablePoolParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfScalablePoolParamsSetGranularity(params, settings->scalable.granularity);
    umfScalablePoolParamsSetKeepAllMemory(params, settings->scalable.keep_all);
    if (settings->choice.pool_name[0] != '\0') {
        umfScalablePoolParamsSetName(params, settings->choice.pool_name);
    }
    result = create(umfScalablePoolOps(), provider, params, made);
    umfScalablePoolParamsDestroy(params);
    return result;
}

static umf_result_t make_jemalloc(const proxy_settings_t *settings,
                                  umf_memory_provider_handle_t provider, made_pool_t *made) {
    umf_jemalloc_pool_params_handle_t params = NULL;
    const jemalloc_library_t *jemalloc = NULL;
    umf_result_t result = jemalloc_library_open(&jemalloc);
    if (result == UMF_RESULT_SUCCESS) {
        result = jemalloc->params_create(&params);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    jemalloc->set_num_arenas(params, settings->jemalloc.arenas);
    if (settings->choice.pool_name[0] != '\0') {
        jemalloc->set_name(params, settings->choice.pool_name);
    }
    result = create(jemalloc->ops(), provider, params, made);
    jemalloc->params_destroy(params);
    return result;
}

static umf_result_t make_disjoint(const proxy_settings_t *settings,
                                  umf_memory_provider_handle_t provider, made_pool_t *made) {
    const proxy_disjoint_settings_t *disjoint = &settings->disjoint;
    umf_disjoint_pool_shared_limits_handle_t limits = NULL;
    umf_disjoint_pool_params_handle_t params = NULL;
    umf_result_t result = umfDisjointPoolParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfDisjointPoolParamsSetSlabMinSize(params, disjoint->slab_min_size);
    umfDisjointPoolParamsSetMaxPoolableSize(params, disjoint->max_poolable_size);
    umfDisjointPoolParamsSetCapacity(params, disjoint->capacity);
    umfDisjointPoolParamsSetMinBucketSize(params, disjoint->min_bucket_size);
    umfDisjointPoolParamsSetTrace(params, (int)disjoint->trace);
    if (settings->choice.pool_name[0] != '\0') {
        umfDisjointPoolParamsSetName(params, settings->choice.pool_name);
    }
    if (disjoint->limit != 0) {
        result = umfDisjointPoolSharedLimitsCreate(disjoint->limit, &limits);
        if (result == UMF_RESULT_SUCCESS) { // kept as long as the pool: for good
            umfDisjointPoolParamsSetSharedLimits(params, limits);
        }
    }
    if (result == UMF_RESULT_SUCCESS) {
        result = create(umfDisjointPoolOps(), provider, params, made);
    }
    umfDisjointPoolParamsDestroy(params);
    return result;
}

static umf_result_t make_proxy(const proxy_settings_t *settings,
                               umf_memory_provider_handle_t provider, made_pool_t *made) {
    (void)settings;
    return create(umfProxyPoolOps(), provider, NULL, made);
}

/* Settings such as a missing NUMA node only show when memory is taken. */
static umf_result_t try_once(const made_pool_t *made) {
    void *block = umfPoolMalloc(made->handle, 1);
    if (block == NULL) {
        log_error("the first block can not be had");
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    return umfPoolFree(made->handle, block);
}

umf_result_t choose_pool(const proxy_settings_t *settings, made_pool_t *made) {
    static umf_result_t (*const makers[])(const proxy_settings_t *, umf_memory_provider_handle_t,
                                          made_pool_t *) = {
        [PROXY_POOL_SLAB] = make_slab,         [PROXY_POOL_SCALABLE] = make_scalable,
        [PROXY_POOL_JEMALLOC] = make_jemalloc, [PROXY_POOL_DISJOINT] = make_disjoint,
        [PROXY_POOL_PROXY] = make_proxy,
    };
    umf_memory_provider_handle_t provider = NULL;
    umf_result_t result = choose_provider(settings, &provider);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = makers[settings->choice.pool](settings, provider, made);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
        return result;
    }
    result = try_once(made);
    if (result != UMF_RESULT_SUCCESS) {
        umfPoolDestroy(made->handle);
        *made = (made_pool_t){0};
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * FIXED provider: the coarse block manager over one buffer of the caller's. Its records lie
 * elsewhere, so the buffer may be any memory, also memory of another pool. There is no IPC: nothing
 * is known about where the buffer comes from.
 */
#include <umf/providers/provider_fixed_memory.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "providers/coarse_provider.h"

static const char fixed_name[] = "FIXED";

static const char *const fixed_texts[] = {"success", "force purging failed"};
static UMF_TLS provider_native_error_t fixed_last_error;

struct umf_fixed_memory_provider_params_t {
    void *ptr;
    size_t size;
    char name[PROVIDER_NAME_BYTES];
};

typedef struct fixed_provider {
    coarse_provider_t common; /* first: see coarse_provider.h */
} fixed_provider_t;

/* ---- Parameters ---- */

UMF_EXPORT umf_result_t umfFixedMemoryProviderParamsCreate(
    void *ptr, size_t size, umf_fixed_memory_provider_params_handle_t *hParams) {
    if (ptr == NULL || size == 0 || hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_fixed_memory_provider_params_t *params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params->ptr = ptr;
    params->size = size;
    provider_name_set(&params->name, fixed_name);
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfFixedMemoryProviderParamsDestroy(umf_fixed_memory_provider_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFixedMemoryProviderParamsSetMemory(
    umf_fixed_memory_provider_params_handle_t hParams, void *ptr, size_t size) {
    if (hParams == NULL || ptr == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->ptr = ptr;
    hParams->size = size;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFixedMemoryProviderParamsSetName(
    umf_fixed_memory_provider_params_handle_t hParams, const char *name) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

/* ---- Operations ---- */

static umf_result_t fixed_finalize(void *provider) {
    fixed_provider_t *fixed = provider;
    coarse_destroy(fixed->common.coarse);
    base_free(fixed, sizeof(*fixed));
    return UMF_RESULT_SUCCESS;
}

static umf_result_t fixed_initialize(const void *params, void **provider) {
    const struct umf_fixed_memory_provider_params_t *given = params;
    if (given == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    fixed_provider_t *fixed = base_alloc(sizeof(*fixed));
    if (fixed == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    fixed->common.page_size = base_page_size();
    provider_name_set(&fixed->common.name, given->name);
    coarse_config_t config = {.page_size = fixed->common.page_size};
    umf_result_t result = coarse_create(&config, &fixed->common.coarse);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    coarse_range_t range = {.base = given->ptr, .size = given->size};
    result = coarse_add_range(fixed->common.coarse, &range);
    if (result != UMF_RESULT_SUCCESS) {
        log_error(
            "buffer at %p with %zu bytes can not be used (end beyond the address space, or no "
            "memory for records)",
            given->ptr, given->size);
        goto fail;
    }
    *provider = fixed;
    return UMF_RESULT_SUCCESS;
fail:
    fixed_finalize(fixed);
    return result;
}

static umf_result_t fixed_get_last_native_error(void *provider, const char **message,
                                                int32_t *error) {
    (void)provider;
    if (message == NULL || error == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    provider_native_error_get(&fixed_last_error, fixed_texts, message);
    *error = UMF_FIXED_RESULTS_START_FROM + fixed_last_error.code;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t fixed_get_name(void *provider, const char **name) {
    return coarse_provider_name(provider, fixed_name, name);
}

static umf_result_t fixed_purge_force(void *provider, void *ptr, size_t size) {
    int error = coarse_provider_purge(provider, ptr, size);
    if (error != 0) {
        fixed_last_error.code =
            UMF_FIXED_RESULT_ERROR_PURGE_FORCE_FAILED - UMF_FIXED_RESULTS_START_FROM;
        fixed_last_error.error = error;
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

static const umf_memory_provider_ops_t fixed_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = fixed_initialize,
    .finalize = fixed_finalize,
    .alloc = coarse_provider_alloc,
    .free = coarse_provider_free,
    .get_last_native_error = fixed_get_last_native_error,
    .get_recommended_page_size = coarse_provider_recommended_page_size,
    .get_min_page_size = coarse_provider_min_page_size,
    .get_name = fixed_get_name,
    .ext_purge_force = fixed_purge_force,
    .ext_allocation_merge = coarse_provider_merge,
    .ext_allocation_split = coarse_provider_split,
    .ext_ctl = coarse_provider_ctl,
    .get_cache_line_size = coarse_provider_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfFixedMemoryProviderOps(void) {
    return &fixed_ops;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CUDA provider: a thin layer over the driver's allocation calls. There is no bookkeeping of
 * blocks: the driver knows its own.
 *
 * The driver works on the calling thread's current context, so each call that depends on one is
 * framed by cuda_enter and cuda_leave: pools call from any thread, also one that uses another
 * context or none.
 *
 * Small blocks come from the driver aligned to 256 or 512 bytes only, blocks of the device's
 * granularity (2 MiB) are aligned to that. So where a block turns out less aligned than asked, it
 * is asked for once more with its size rounded up to the granularity.
 */
#include <umf/providers/provider_cuda.h>

#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "providers/cuda_api.h"
#include "providers/provider_common.h"
#include "providers/provider_cuda.h"

enum { CUDA_CACHE_LINE = 128 }; /* bytes; of the second-level cache of every device so far */

static const char cuda_name[] = "CUDA";

struct umf_cuda_memory_provider_params_t {
    cuda_context_t context;
    cuda_device_t device;
    umf_usm_memory_type_t type;
    unsigned flags;
    char name[PROVIDER_NAME_BYTES];
};

typedef struct cuda_provider {
    cuda_context_t context;
    cuda_device_t device;
    umf_usm_memory_type_t type;
    unsigned flags;
    size_t granularity;             /* bytes; largest alignment, and smallest page */
    size_t recommended_granularity; /* bytes */
    provider_stats_t stats;
    char name[PROVIDER_NAME_BYTES];
} cuda_provider_t;

/* ---- parameters ------------------------------------------------------------------------------ */

UMF_EXPORT umf_result_t
umfCUDAMemoryProviderParamsCreate(umf_cuda_memory_provider_params_handle_t *hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = cuda_library_open();
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    struct umf_cuda_memory_provider_params_t *params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    // Without a current context these fail: then the program has to say which it wants.
    if (cuda_driver.cuCtxGetCurrent(&params->context) != CUDA_OK) {
        params->context = NULL;
    }
    if (cuda_driver.cuCtxGetDevice(&params->device) != CUDA_OK) {
        params->device = -1;
    }
    params->type = UMF_MEMORY_TYPE_UNKNOWN;
    provider_name_set(&params->name, cuda_name);
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfCUDAMemoryProviderParamsDestroy(umf_cuda_memory_provider_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfCUDAMemoryProviderParamsSetContext(
    umf_cuda_memory_provider_params_handle_t hParams, void *hContext) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->context = hContext;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfCUDAMemoryProviderParamsSetDevice(
    umf_cuda_memory_provider_params_handle_t hParams, int hDevice) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->device = hDevice;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfCUDAMemoryProviderParamsSetMemoryType(
    umf_cuda_memory_provider_params_handle_t hParams, umf_usm_memory_type_t memoryType) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->type = memoryType;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfCUDAMemoryProviderParamsSetAllocFlags(
    umf_cuda_memory_provider_params_handle_t hParams, unsigned int flags) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->flags = flags;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfCUDAMemoryProviderParamsSetName(
    umf_cuda_memory_provider_params_handle_t hParams, const char *name) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

/* ---- creation -------------------------------------------------------------------------------- */

static umf_result_t cuda_granularity(const cuda_provider_t *provider, int option, size_t *bytes) {
    const cuda_allocation_t allocation = {
        .type = CUDA_ALLOCATION_PINNED,
        .location = {.kind = CUDA_LOCATION_DEVICE, .id = provider->device},
    };
    umf_result_t result =
        cuda_result(cuda_driver.cuMemGetAllocationGranularity(bytes, &allocation, option));
    if (result == UMF_RESULT_SUCCESS && !is_pow2(*bytes)) {
        log_error("device %d has an allocation granularity of %zu bytes, no power of two",
                  provider->device, *bytes);
        result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    return result;
}

static bool cuda_params_usable(const struct umf_cuda_memory_provider_params_t *params) {
    if (params == NULL) {
        log_error("a CUDA provider needs parameters");
    } else if (params->type != UMF_MEMORY_TYPE_HOST && params->type != UMF_MEMORY_TYPE_DEVICE &&
               params->type != UMF_MEMORY_TYPE_SHARED) {
        log_error("memory type %d: a CUDA provider has host, device and shared memory",
                  (int)params->type);
    } else if (params->context == NULL || params->device < 0) {
        log_error("a CUDA provider needs a context and a device; none was set, and none was "
                  "current when the parameters were made");
    } else {
        return true;
    }
    return false;
}

static umf_result_t cuda_initialize(const void *given, void **priv) {
    const struct umf_cuda_memory_provider_params_t *params = given;
    if (!cuda_params_usable(params)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = cuda_library_open();
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    cuda_provider_t *provider = base_alloc(sizeof(*provider));
    if (provider == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    provider->context = params->context;
    provider->device = params->device;
    provider->type = params->type;
    provider->flags = params->flags;
    if (provider->type == UMF_MEMORY_TYPE_SHARED && provider->flags == 0) {
        provider->flags = CUDA_ATTACH_GLOBAL;
    }
    provider_name_set(&provider->name, params->name);
    result = cuda_granularity(provider, CUDA_GRANULARITY_MINIMUM, &provider->granularity);
    if (result == UMF_RESULT_SUCCESS) {
        result = cuda_granularity(provider, CUDA_GRANULARITY_RECOMMENDED,
                                  &provider->recommended_granularity);
    }
    if (result != UMF_RESULT_SUCCESS) {
        base_free(provider, sizeof(*provider));
        return result;
    }
    *priv = provider;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_finalize(void *priv) {
    base_free(priv, sizeof(cuda_provider_t));
    return UMF_RESULT_SUCCESS;
}

/* ---- contexts -------------------------------------------------------------------------------- */

/* Makes the provider's context current; *previous goes to cuda_leave. */
static umf_result_t cuda_enter(const cuda_provider_t *provider, cuda_context_t *previous) {
    cuda_result_t error = cuda_driver.cuCtxGetCurrent(previous);
    if (error == CUDA_OK && *previous != provider->context) {
        error = cuda_driver.cuCtxSetCurrent(provider->context);
    }
    return cuda_result(error);
}

/* Puts the caller's context back. A failure concerns the caller's context, not our call, whose
 * result stands. */
static void cuda_leave(const cuda_provider_t *provider, cuda_context_t previous) {
    if (previous != provider->context) {
        cuda_result_t error = cuda_driver.cuCtxSetCurrent(previous);
        if (error != CUDA_OK) {
            log_error("the caller's CUDA context can not be made current again (error %d)", error);
        }
    }
}

/* ---- memory ---------------------------------------------------------------------------------- */

static cuda_result_t driver_alloc(const cuda_provider_t *provider, size_t size, void **ptr) {
    cuda_pointer_t block = 0;
    cuda_result_t error = CUDA_OK;
    switch (provider->type) {
    case UMF_MEMORY_TYPE_HOST:
        return cuda_driver.cuMemHostAlloc(ptr, size, provider->flags);
    case UMF_MEMORY_TYPE_SHARED:
        error = cuda_driver.cuMemAllocManaged(&block, size, provider->flags);
        break;
    default:
        error = cuda_driver.cuMemAlloc_v2(&block, size);
    }
    *ptr = (void *)block;
    return error;
}

static cuda_result_t driver_free(const cuda_provider_t *provider, void *ptr) {
    return provider->type == UMF_MEMORY_TYPE_HOST ? cuda_driver.cuMemFreeHost(ptr)
                                                  : cuda_driver.cuMemFree_v2((cuda_pointer_t)ptr);
}

/* In the provider's context. */
static umf_result_t alloc_aligned(const cuda_provider_t *provider, size_t size, size_t alignment,
                                  void **ptr) {
    void *block = NULL;
    size_t rounded;
    umf_result_t result = cuda_result(driver_alloc(provider, size, &block));
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (alignment > 1 && !is_aligned((uintptr_t)block, alignment)) {
        driver_free(provider, block);
        if (!align_up_checked(size, provider->granularity, &rounded)) {
            return UMF_RESULT_ERROR_INVALID_ALIGNMENT;
        }
        result = cuda_result(driver_alloc(provider, rounded, &block));
        if (result != UMF_RESULT_SUCCESS) {
            return result;
        }
        if (!is_aligned((uintptr_t)block, alignment)) {
            driver_free(provider, block);
            return UMF_RESULT_ERROR_INVALID_ALIGNMENT;
        }
    }
    *ptr = block;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    cuda_provider_t *provider = priv;
    if (alignment > provider->granularity) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (alignment != 0 && !is_pow2(alignment)) {
        return UMF_RESULT_ERROR_INVALID_ALIGNMENT;
    }
    cuda_context_t previous = NULL;
    umf_result_t result = cuda_enter(provider, &previous);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = alloc_aligned(provider, size, alignment, ptr);
    cuda_leave(provider, previous);
    if (result == UMF_RESULT_SUCCESS) {
        provider_stats_add(&provider->stats, size);
    }
    return result;
}

static umf_result_t cuda_free(void *priv, void *ptr, size_t size) {
    cuda_provider_t *provider = priv;
    if (ptr == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    cuda_context_t previous = NULL;
    umf_result_t result = cuda_enter(provider, &previous);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = cuda_result(driver_free(provider, ptr));
    cuda_leave(provider, previous);
    if (result == UMF_RESULT_SUCCESS) {
        provider_stats_remove(&provider->stats, size);
    }
    return result;
}

/* ---- questions ------------------------------------------------------------------------------- */

static umf_result_t cuda_get_last_native_error(void *priv, const char **message, int32_t *error) {
    (void)priv;
    if (message == NULL || error == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return cuda_last_error(message, error);
}

static umf_result_t cuda_get_recommended_page_size(void *priv, size_t size, size_t *page_size) {
    (void)size;
    *page_size = ((const cuda_provider_t *)priv)->recommended_granularity;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_get_min_page_size(void *priv, const void *ptr, size_t *page_size) {
    (void)ptr;
    *page_size = ((const cuda_provider_t *)priv)->granularity;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_get_cache_line_size(void *priv, size_t *size) {
    (void)priv;
    *size = CUDA_CACHE_LINE;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_get_name(void *priv, const char **name) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *name = priv != NULL ? ((const cuda_provider_t *)priv)->name : cuda_name;
    return UMF_RESULT_SUCCESS;
}

/* Bytes of a property; 0: there is no such property. */
static size_t property_bytes(umf_memory_property_id_t id) {
    switch (id) {
    case UMF_MEMORY_PROPERTY_POINTER_TYPE:
        return sizeof(umf_usm_memory_type_t);
    case UMF_MEMORY_PROPERTY_CONTEXT:
        return sizeof(cuda_context_t);
    case UMF_MEMORY_PROPERTY_DEVICE:
        return sizeof(cuda_device_t);
    default:
        return 0;
    }
}

static umf_result_t cuda_get_property_size(void *priv, umf_memory_property_id_t id, size_t *size) {
    (void)priv;
    size_t bytes = property_bytes(id);
    if (bytes == 0 || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = bytes;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_get_property(void *priv, const void *ptr, umf_memory_property_id_t id,
                                      void *value) {
    const cuda_provider_t *provider = priv;
    size_t bytes = property_bytes(id);
    if (bytes == 0 || ptr == NULL || value == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const void *own = id == UMF_MEMORY_PROPERTY_POINTER_TYPE ? (const void *)&provider->type
                      : id == UMF_MEMORY_PROPERTY_CONTEXT    ? (const void *)&provider->context
                                                             : (const void *)&provider->device;
    memcpy(value, own, bytes);
    return UMF_RESULT_SUCCESS;
}

const ctl_table_t cuda_provider_ctl_table = {NULL, 0, &provider_stats_table,
                                             offsetof(cuda_provider_t, stats)};

static umf_result_t cuda_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                             size_t size, umf_ctl_query_type_t type, va_list args) {
    return priv != NULL
               ? ctl_serve(&cuda_provider_ctl_table, priv, source, name, arg, size, type, args)
               : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

/* ---- other processes ------------------------------------------------------------------------- */

static umf_result_t cuda_get_ipc_handle_size(void *priv, size_t *size) {
    (void)priv;
    *size = sizeof(cuda_ipc_handle_t);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_get_ipc_handle(void *priv, const void *ptr, size_t size, void *data) {
    const cuda_provider_t *provider = priv;
    (void)size;
    cuda_context_t previous = NULL;
    umf_result_t result = cuda_enter(provider, &previous);
    if (result == UMF_RESULT_SUCCESS) {
        cuda_ipc_handle_t handle;
        result = cuda_result(cuda_driver.cuIpcGetMemHandle(&handle, (cuda_pointer_t)ptr));
        cuda_leave(provider, previous);
        if (result == UMF_RESULT_SUCCESS) {
            memcpy(data, &handle, sizeof(handle));
        }
    }
    return result;
}

/* The driver keeps nothing for a handle. */
static umf_result_t cuda_put_ipc_handle(void *priv, void *data) {
    (void)priv, (void)data;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t cuda_open_ipc_handle(void *priv, void *data, void **ptr) {
    const cuda_provider_t *provider = priv;
    cuda_ipc_handle_t handle;
    memcpy(&handle, data, sizeof(handle));
    cuda_context_t previous = NULL;
    umf_result_t result = cuda_enter(provider, &previous);
    if (result == UMF_RESULT_SUCCESS) {
        cuda_pointer_t opened = 0;
        result = cuda_result(
            cuda_driver.cuIpcOpenMemHandle_v2(&opened, handle, CUDA_IPC_LAZY_PEER_ACCESS));
        cuda_leave(provider, previous);
        if (result == UMF_RESULT_SUCCESS) {
            *ptr = (void *)opened;
        }
    }
    return result;
}

static umf_result_t cuda_close_ipc_handle(void *priv, void *ptr, size_t size) {
    const cuda_provider_t *provider = priv;
    (void)size;
    cuda_context_t previous = NULL;
    umf_result_t result = cuda_enter(provider, &previous);
    if (result == UMF_RESULT_SUCCESS) {
        result = cuda_result(cuda_driver.cuIpcCloseMemHandle((cuda_pointer_t)ptr));
        cuda_leave(provider, previous);
    }
    return result;
}

static const umf_memory_provider_ops_t cuda_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = cuda_initialize,
    .finalize = cuda_finalize,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .get_last_native_error = cuda_get_last_native_error,
    .get_recommended_page_size = cuda_get_recommended_page_size,
    .get_min_page_size = cuda_get_min_page_size,
    .get_name = cuda_get_name,
    .ext_get_ipc_handle_size = cuda_get_ipc_handle_size,
    .ext_get_ipc_handle = cuda_get_ipc_handle,
    .ext_put_ipc_handle = cuda_put_ipc_handle,
    .ext_open_ipc_handle = cuda_open_ipc_handle,
    .ext_close_ipc_handle = cuda_close_ipc_handle,
    .ext_ctl = cuda_ctl,
    .ext_get_allocation_properties = cuda_get_property,
    .ext_get_allocation_properties_size = cuda_get_property_size,
    .get_cache_line_size = cuda_get_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfCUDAMemoryProviderOps(void) {
    return &cuda_ops;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* LEVEL_ZERO provider: creation, questions, and the operations table; the header lists the other
 * parts. */
#include "providers/provider_level_zero.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"

enum {
    LEVEL_ZERO_CACHE_LINE = 128, /* bytes, where the driver does not tell */
    LIST_MAX = 256,              /* drivers, devices of one, extensions, caches that we look at */
};

static const char level_zero_name[] = "LEVEL_ZERO";

/* ---- creation -------------------------------------------------------------------------------- */

static void level_zero_fork_prepare(void *arg) {
    lock_acquire(&((level_zero_provider_t *)arg)->lock);
}

static void level_zero_fork_parent(void *arg) {
    lock_release(&((level_zero_provider_t *)arg)->lock);
}

static void level_zero_fork_child(void *arg) {
    lock_init(&((level_zero_provider_t *)arg)->lock);
}

static bool params_usable(const struct umf_level_zero_memory_provider_params_t *params) {
    if (params == NULL || params->context == NULL) {
        log_error("a LEVEL_ZERO provider needs parameters with a context");
    } else if (params->type == UMF_MEMORY_TYPE_HOST && params->device != NULL) {
        log_error("host memory belongs to no device, but one was set");
    } else if (params->type != UMF_MEMORY_TYPE_HOST && params->device == NULL) {
        log_error("memory type %d needs a device", (int)params->type);
    } else {
        return true;
    }
    return false;
}

static umf_result_t policy_check(umf_level_zero_memory_provider_free_policy_t policy) {
    if (policy != UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT &&
        level_zero_loader.zeMemFreeExt == NULL) {
        log_error("free policy %d needs a Level Zero loader with zeMemFreeExt", (int)policy);
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t read_device(level_zero_provider_t *provider) {
    if (provider->device == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    level_zero_device_properties_t properties = {.type = LEVEL_ZERO_TYPE_DEVICE_PROPERTIES};
    umf_result_t result =
        level_zero_result(level_zero_loader.zeDeviceGetProperties(provider->device, &properties),
                          "zeDeviceGetProperties");
    if (result == UMF_RESULT_SUCCESS) {
        provider->max_allocation = properties.max_allocation;
    }
    return result;
}

static umf_result_t level_zero_finalize(void *priv) {
    level_zero_provider_t *provider = priv;
    fork_unregister(&provider->fork);
    if (provider->blocks.count != 0) {
        log_warning("%zu blocks are left behind at the end of a LEVEL_ZERO provider",
                    provider->blocks.count);
    }
    block_table_end(&provider->blocks);
    level_zero_residents_end(&provider->residents);
    base_free(provider, sizeof(*provider));
    return UMF_RESULT_SUCCESS;
}

static level_zero_provider_t *
provider_new(const struct umf_level_zero_memory_provider_params_t *params) {
    level_zero_provider_t *provider = base_alloc(sizeof(*provider));
    if (provider != NULL) {
        provider->context = params->context;
        provider->device = params->device;
        provider->type = params->type;
        provider->policy = params->policy;
        provider->ordinal = params->ordinal;
        provider_name_set(&provider->name, params->name);
        provider->fork = (fork_node_t){.rank = LOCK_RANK_PROVIDER,
                                       .prepare = level_zero_fork_prepare,
                                       .parent = level_zero_fork_parent,
                                       .child = level_zero_fork_child,
                                       .arg = provider};
        fork_register(&provider->fork);
    }
    return provider;
}

static umf_result_t level_zero_initialize(const void *given, void **priv) {
    const struct umf_level_zero_memory_provider_params_t *params = given;
    if (!params_usable(params)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = level_zero_library_open();
    if (result == UMF_RESULT_SUCCESS) {
        result = policy_check(params->policy);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    level_zero_provider_t *provider = provider_new(params);
    if (provider == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    result =
        level_zero_residents_set(&provider->residents, params->resident, params->resident_count);
    if (result == UMF_RESULT_SUCCESS) {
        result = read_device(provider);
    }
    if (result == UMF_RESULT_SUCCESS) {
        result = level_zero_probe(provider);
    }
    if (result != UMF_RESULT_SUCCESS) {
        level_zero_finalize(provider);
        return result;
    }
    *priv = provider;
    return UMF_RESULT_SUCCESS;
}

/* ---- cache line ------------------------------------------------------------------------------ */

static bool driver_has_device(level_zero_driver_t driver, ze_device_handle_t device) {
    ze_device_handle_t devices[LIST_MAX];
    uint32_t count = LIST_MAX;
    if (level_zero_loader.zeDeviceGet(driver, &count, devices) != LEVEL_ZERO_OK) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (devices[i] == device) {
            return true;
        }
    }
    return false;
}

static bool driver_has_extension(level_zero_driver_t driver) {
    uint32_t count = 0;
    if (level_zero_loader.zeDriverGetExtensionProperties(driver, &count, NULL) != LEVEL_ZERO_OK ||
        count == 0) {
        return false;
    }
    count = count < LIST_MAX ? count : LIST_MAX;
    const size_t bytes = count * sizeof(level_zero_extension_t);
    level_zero_extension_t *extensions = base_alloc(bytes);
    bool found = false;
    if (extensions != NULL && level_zero_loader.zeDriverGetExtensionProperties(
                                  driver, &count, extensions) == LEVEL_ZERO_OK) {
        for (uint32_t i = 0; i < count && !found; i++) {
            found = strncmp(extensions[i].name, LEVEL_ZERO_CACHE_LINE_EXTENSION,
                            sizeof(extensions[i].name)) == 0;
        }
    }
    base_free(extensions, bytes);
    return found;
}

/* What the device's driver reports; 0: it does not. */
static size_t device_cache_line(ze_device_handle_t device) {
    level_zero_driver_t drivers[LIST_MAX];
    uint32_t count = LIST_MAX, caches = 1;
    if (device == NULL || level_zero_loader.zeDriverGet == NULL ||
        level_zero_loader.zeDriverGetExtensionProperties == NULL ||
        level_zero_loader.zeDeviceGet == NULL ||
        level_zero_loader.zeDeviceGetCacheProperties == NULL ||
        level_zero_loader.zeDriverGet(&count, drivers) != LEVEL_ZERO_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!driver_has_device(drivers[i], device)) {
            continue;
        }
        level_zero_cache_line_t line = {.type = LEVEL_ZERO_TYPE_CACHE_LINE};
        level_zero_cache_properties_t cache = {.type = LEVEL_ZERO_TYPE_CACHE_PROPERTIES,
                                               .next = &line};
        bool told =
            driver_has_extension(drivers[i]) &&
            level_zero_loader.zeDeviceGetCacheProperties(device, &caches, &cache) == LEVEL_ZERO_OK;
        return told && is_pow2(line.bytes) ? line.bytes : 0;
    }
    return 0;
}

static umf_result_t level_zero_get_cache_line_size(void *priv, size_t *size) {
    level_zero_provider_t *provider = priv;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t line = provider != NULL ? load_relaxed(&provider->cache_line) : LEVEL_ZERO_CACHE_LINE;
    if (line == 0) { // threads that ask at once find the same
        line = device_cache_line(provider->device);
        line = line != 0 ? line : LEVEL_ZERO_CACHE_LINE;
        store_relaxed(&provider->cache_line, line);
    }
    *size = line;
    return UMF_RESULT_SUCCESS;
}

/* ---- other questions ------------------------------------------------------------------------- */

/* The interface gives the number, no text; see umfLevelZeroErrorText(). */
static umf_result_t level_zero_get_last_native_error(void *priv, const char **message,
                                                     int32_t *error) {
    (void)priv;
    if (message == NULL || error == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *error = level_zero_last_error();
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t level_zero_get_min_page_size(void *priv, const void *ptr, size_t *page_size) {
    const level_zero_provider_t *provider = priv;
    if (ptr != NULL) {
        return level_zero_page_size_of(provider, ptr, page_size);
    }
    *page_size = provider->page_size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t level_zero_get_recommended_page_size(void *priv, size_t size,
                                                         size_t *page_size) {
    (void)size;
    return level_zero_get_min_page_size(priv, NULL, page_size);
}

static umf_result_t level_zero_get_name(void *priv, const char **name) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *name = priv != NULL ? ((const level_zero_provider_t *)priv)->name : level_zero_name;
    return UMF_RESULT_SUCCESS;
}

/* Bytes of a property; 0: there is no such property. */
static size_t property_bytes(umf_memory_property_id_t id) {
    switch (id) {
    case UMF_MEMORY_PROPERTY_POINTER_TYPE:
        return sizeof(umf_usm_memory_type_t);
    case UMF_MEMORY_PROPERTY_CONTEXT:
        return sizeof(ze_context_handle_t);
    case UMF_MEMORY_PROPERTY_DEVICE:
        return sizeof(ze_device_handle_t);
    default:
        return 0;
    }
}

static umf_result_t level_zero_get_property_size(void *priv, umf_memory_property_id_t id,
                                                 size_t *size) {
    (void)priv;
    size_t bytes = property_bytes(id);
    if (bytes == 0 || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = bytes;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t level_zero_get_property(void *priv, const void *ptr,
                                            umf_memory_property_id_t id, void *value) {
    const level_zero_provider_t *provider = priv;
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

/* ---- CTL ------------------------------------------------------------------------------------- */

static umf_result_t serve_export_mode(const ctl_call_t *call, ctl_value_t *value) {
    level_zero_provider_t *provider = call->object;
    // Relaxed: blocks made meanwhile are of the one kind or the other, each says so itself.
    if (call->type == CTL_QUERY_WRITE) {
        store_relaxed(&provider->export_mode, value->integer != 0);
    } else {
        value->integer = load_relaxed(&provider->export_mode);
    }
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t level_zero_ctl_nodes[] = {
    {"params.use_import_export_for_IPC", UMF_CTL_INT, CTL_RW, serve_export_mode, 0,
     "1: device memory made from now on is shared by exported file descriptors, not IPC handles.",
     0, 0},
};

const ctl_table_t level_zero_provider_ctl_table = {
    level_zero_ctl_nodes, ARRAY_LENGTH(level_zero_ctl_nodes), &provider_stats_table,
    offsetof(level_zero_provider_t, stats)};

static umf_result_t level_zero_ctl(void *priv, umf_ctl_query_source_t source, const char *name,
                                   void *arg, size_t size, umf_ctl_query_type_t type,
                                   va_list args) {
    return priv != NULL ? ctl_serve(&level_zero_provider_ctl_table, priv, source, name, arg, size,
                                    type, args)
                        : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

static const umf_memory_provider_ops_t level_zero_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = level_zero_initialize,
    .finalize = level_zero_finalize,
    .alloc = level_zero_alloc,
    .free = level_zero_free,
    .get_last_native_error = level_zero_get_last_native_error,
    .get_recommended_page_size = level_zero_get_recommended_page_size,
    .get_min_page_size = level_zero_get_min_page_size,
    .get_name = level_zero_get_name,
    .ext_get_ipc_handle_size = level_zero_get_ipc_handle_size,
    .ext_get_ipc_handle = level_zero_get_ipc_handle,
    .ext_put_ipc_handle = level_zero_put_ipc_handle,
    .ext_open_ipc_handle = level_zero_open_ipc_handle,
    .ext_close_ipc_handle = level_zero_close_ipc_handle,
    .ext_ctl = level_zero_ctl,
    .ext_get_allocation_properties = level_zero_get_property,
    .ext_get_allocation_properties_size = level_zero_get_property_size,
    .get_cache_line_size = level_zero_get_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfLevelZeroMemoryProviderOps(void) {
    return &level_zero_ops;
}

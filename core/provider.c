/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory providers: creation and dispatch.
 *
 * A handle holds a complete table: operations that the user's table lacks (or that its older layout
 * does not have) are filled in once, at creation, so that a call is argument check, jump, and a
 * note of the failure when there was one.
 */
#include "core/provider.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/init.h"
#include "core/log.h"
#include "core/name.h"
#include "core/state.h"
#include "core/tracking.h"

enum {
    PROVIDER_DEFAULT_CACHE_LINE = 64, /* bytes; for tables older than layout 1.2 */
    PROVIDER_OPS_BYTES_1_0 = offsetof(umf_memory_provider_ops_t, ext_get_allocation_properties),
    PROVIDER_OPS_BYTES_1_1 = offsetof(umf_memory_provider_ops_t, get_cache_line_size),
};
static_assert(sizeof(void *) != 8 ||
                  (PROVIDER_OPS_BYTES_1_0 == 152 && PROVIDER_OPS_BYTES_1_1 == 168 &&
                   sizeof(umf_memory_provider_ops_t) == 176),
              "layout of the public table");

/* A later success does not clear it: the question is who failed last. */
static UMF_TLS umf_memory_provider_handle_t provider_last_failed;

/* ---- defaults of optional operations --------------------------------------------------------- */

static umf_result_t default_purge(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_merge(void *priv, void *low, void *high, size_t total_size) {
    (void)priv, (void)low, (void)high, (void)total_size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_split(void *priv, void *ptr, size_t total_size, size_t first_size) {
    (void)priv, (void)ptr, (void)total_size, (void)first_size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ipc_handle_size(void *priv, size_t *size) {
    (void)priv, (void)size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ipc_get(void *priv, const void *ptr, size_t size, void *data) {
    (void)priv, (void)ptr, (void)size, (void)data;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ipc_put(void *priv, void *data) {
    (void)priv, (void)data;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ipc_open(void *priv, void *data, void **ptr) {
    (void)priv, (void)data, (void)ptr;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ipc_close(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_ctl(void *priv, umf_ctl_query_source_t source, const char *name,
                                void *arg, size_t size, umf_ctl_query_type_t query_type,
                                va_list args) {
    (void)priv, (void)source, (void)name, (void)arg, (void)size, (void)query_type, (void)args;
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

static umf_result_t default_property(void *priv, const void *ptr, umf_memory_property_id_t id,
                                     void *value) {
    (void)priv, (void)ptr, (void)id, (void)value;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_property_size(void *priv, umf_memory_property_id_t id, size_t *size) {
    (void)priv, (void)id, (void)size;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static umf_result_t default_cache_line_size(void *priv, size_t *size) {
    (void)priv;
    *size = PROVIDER_DEFAULT_CACHE_LINE;
    return UMF_RESULT_SUCCESS;
}

/* ---- creation -------------------------------------------------------------------------------- */

/* Copies the part of the user's table that its version has; nothing behind that part is touched. */
static umf_result_t ops_copy(const umf_memory_provider_ops_t *given,
                             umf_memory_provider_ops_t *ops) {
    memset(ops, 0, sizeof(*ops));
    uint32_t version = given->version;
    if (version == (uint32_t)UMF_PROVIDER_OPS_VERSION_CURRENT) {
        *ops = *given;
        return UMF_RESULT_SUCCESS;
    }
    size_t bytes = 0;
    if (version == (uint32_t)UMF_MAKE_VERSION(1, 0)) {
        bytes = PROVIDER_OPS_BYTES_1_0;
    } else if (version == (uint32_t)UMF_MAKE_VERSION(1, 1)) {
        bytes = PROVIDER_OPS_BYTES_1_1;
    } else {
        log_error("provider operations of version %u.%u: known are 1.0, 1.1 and 1.2",
                  UMF_MAJOR_VERSION(version), UMF_MINOR_VERSION(version));
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    log_warning("provider operations of the older version %u.%u: newer ones are defaults",
                UMF_MAJOR_VERSION(version), UMF_MINOR_VERSION(version));
    memcpy(ops, given, bytes);
    ops->get_cache_line_size = default_cache_line_size;
    return UMF_RESULT_SUCCESS;
}

/* Name of the first mandatory operation that is missing, or NULL. */
static const char *ops_missing(const umf_memory_provider_ops_t *ops) {
    if (ops->initialize == NULL) {
        return "initialize";
    }
    if (ops->finalize == NULL) {
        return "finalize";
    }
    if (ops->alloc == NULL) {
        return "alloc";
    }
    if (ops->free == NULL) {
        return "free";
    }
    if (ops->get_last_native_error == NULL) {
        return "get_last_native_error";
    }
    if (ops->get_recommended_page_size == NULL) {
        return "get_recommended_page_size";
    }
    if (ops->get_min_page_size == NULL) {
        return "get_min_page_size";
    }
    if (ops->get_name == NULL) {
        return "get_name";
    }
    return ops->get_cache_line_size == NULL ? "get_cache_line_size" : NULL;
}

static umf_result_t ops_validate(const umf_memory_provider_ops_t *ops) {
    const char *missing = ops_missing(ops);
    if (missing != NULL) {
        log_error("provider operation %s is NULL, it is mandatory", missing);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if ((ops->ext_allocation_split == NULL) != (ops->ext_allocation_merge == NULL)) {
        log_error("provider operations split and merge: give both or neither");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int ipc = (ops->ext_get_ipc_handle_size != NULL) + (ops->ext_get_ipc_handle != NULL) +
              (ops->ext_put_ipc_handle != NULL) + (ops->ext_open_ipc_handle != NULL) +
              (ops->ext_close_ipc_handle != NULL);
    if (ipc != 0 && ipc != 5) {
        log_error("%d of the 5 provider operations for IPC: give all or none", ipc);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if ((ops->ext_get_allocation_properties == NULL) !=
        (ops->ext_get_allocation_properties_size == NULL)) {
        log_error("provider operations for allocation properties: give both or neither");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return UMF_RESULT_SUCCESS;
}

/* Sets are complete here (ops_validate), so one member of a set stands for all. */
static void ops_fill_defaults(umf_memory_provider_ops_t *ops) {
    if (ops->ext_purge_lazy == NULL) {
        ops->ext_purge_lazy = default_purge;
    }
    if (ops->ext_purge_force == NULL) {
        ops->ext_purge_force = default_purge;
    }
    if (ops->ext_allocation_split == NULL) {
        ops->ext_allocation_split = default_split;
        ops->ext_allocation_merge = default_merge;
    }
    if (ops->ext_get_ipc_handle_size == NULL) {
        ops->ext_get_ipc_handle_size = default_ipc_handle_size;
        ops->ext_get_ipc_handle = default_ipc_get;
        ops->ext_put_ipc_handle = default_ipc_put;
        ops->ext_open_ipc_handle = default_ipc_open;
        ops->ext_close_ipc_handle = default_ipc_close;
    }
    if (ops->ext_ctl == NULL) {
        ops->ext_ctl = default_ctl;
    }
    if (ops->ext_get_allocation_properties == NULL) {
        ops->ext_get_allocation_properties = default_property;
        ops->ext_get_allocation_properties_size = default_property_size;
    }
}

/* ext_ctl takes a va_list; this makes an empty one. */
static umf_result_t provider_execute(umf_memory_provider_handle_t provider, const char *node, ...) {
    va_list none;
    va_start(none, node);
    umf_result_t result = provider->ops.ext_ctl(provider->priv, CTL_QUERY_PROGRAMMATIC, node, NULL,
                                                0, CTL_QUERY_RUNNABLE, none);
    va_end(none);
    return result;
}

/* What follows a successful `initialize`. */
static umf_result_t provider_introduce(umf_memory_provider_handle_t provider,
                                       const char **out_name) {
    const char *name = NULL;
    umf_result_t result = provider->ops.get_name(provider->priv, &name);
    *out_name = name;
    if (result != UMF_RESULT_SUCCESS) {
        log_error("the provider's get_name failed");
        return result;
    }
    if (!name_is_regular(name)) {
        log_warning("provider name \"%s\": no settings by name; allowed are 1 to %d characters out "
                    "of A-Z a-z 0-9 - _",
                    name != NULL ? name : "", NAME_MAX_LENGTH);
    } else if (!tracking_provider_is(provider)) {
        ctl_defaults_apply(CTL_PROVIDERS, provider, name);
    }
    if (provider->given_version < (uint32_t)UMF_MAKE_VERSION(1, 1)) {
        return UMF_RESULT_SUCCESS; // layout 1.0 does not know the node
    }
    result = provider_execute(provider, "post_initialize");
    if (result != UMF_RESULT_SUCCESS && result != UMF_RESULT_ERROR_INVALID_CTL_PATH) {
        log_error("post_initialize of provider \"%s\" failed", name != NULL ? name : "");
        return result;
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemoryProviderCreate(const umf_memory_provider_ops_t *ops,
                                                const void *params,
                                                umf_memory_provider_handle_t *hProvider) {
    if (ops == NULL || hProvider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_memory_provider_ops_t complete;
    umf_result_t result = ops_copy(ops, &complete);
    if (result == UMF_RESULT_SUCCESS) {
        result = ops_validate(&complete);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    ops_fill_defaults(&complete);

    struct umf_memory_provider_t *provider = base_alloc(sizeof(*provider));
    if (provider == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    provider->magic = UMF_PROVIDER_MAGIC;
    provider->given_version = ops->version;
    provider->ops = complete;
    result = complete.initialize(params, &provider->priv);
    if (result != UMF_RESULT_SUCCESS) {
        goto free_handle;
    }
    const char *name;
    result = provider_introduce(provider, &name);
    if (result != UMF_RESULT_SUCCESS) {
        complete.finalize(provider->priv);
        goto free_handle;
    }
    if (!tracking_provider_is(provider)) {
        registry_add(&umf_core_state.providers, &provider->entry, provider, name);
    }
    *hProvider = provider;
    return UMF_RESULT_SUCCESS;

free_handle:
    provider->magic = 0;
    base_free(provider, sizeof(*provider));
    return result;
}

UMF_EXPORT umf_result_t umfMemoryProviderDestroy(umf_memory_provider_handle_t hProvider) {
    // this call also makes a static build take in the start-up code, which nothing else here refers
    // to
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    if (hProvider == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    registry_remove(&umf_core_state.providers, &hProvider->entry);
    umf_result_t result = hProvider->ops.finalize(hProvider->priv);
    if (provider_last_failed == hProvider) {
        provider_last_failed = NULL;
    }
    hProvider->magic = 0;
    base_free(hProvider, sizeof(*hProvider));
    return result;
}

/* ---- failures -------------------------------------------------------------------------------- */

UMF_COLD umf_result_t provider_note_failure(umf_memory_provider_handle_t provider,
                                            umf_result_t result) {
    if (result != UMF_RESULT_SUCCESS) {
        while (
            tracking_provider_is(provider)) { // the user knows the provider, not wrappers around it
            provider = tracking_provider_upstream(provider);
        }
        provider_last_failed = provider;
    }
    return result;
}

UMF_INLINE umf_result_t noted(umf_memory_provider_handle_t provider, umf_result_t result) {
    return likely(result == UMF_RESULT_SUCCESS) ? result : provider_note_failure(provider, result);
}

UMF_EXPORT umf_result_t umfGetLastFailedMemoryProvider(umf_memory_provider_handle_t *provider) {
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *provider = provider_last_failed;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemoryProviderGetLastNativeError(umf_memory_provider_handle_t hProvider,
                                                            const char **ppMessage,
                                                            int32_t *pError) {
    if (hProvider == NULL || ppMessage == NULL || pError == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    // not noted: asking about a failure is no new one
    return hProvider->ops.get_last_native_error(hProvider->priv, ppMessage, pError);
}

/* ---- memory ---------------------------------------------------------------------------------- */

UMF_EXPORT umf_result_t umfMemoryProviderAlloc(umf_memory_provider_handle_t hProvider, size_t size,
                                               size_t alignment, void **ptr) {
    if (hProvider == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.alloc(hProvider->priv, size, alignment, ptr));
}

UMF_EXPORT umf_result_t umfMemoryProviderFree(umf_memory_provider_handle_t hProvider, void *ptr,
                                              size_t size) {
    if (hProvider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.free(hProvider->priv, ptr, size));
}

UMF_EXPORT umf_result_t umfMemoryProviderPurgeLazy(umf_memory_provider_handle_t hProvider,
                                                   void *ptr, size_t size) {
    if (hProvider == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.ext_purge_lazy(hProvider->priv, ptr, size));
}

UMF_EXPORT umf_result_t umfMemoryProviderPurgeForce(umf_memory_provider_handle_t hProvider,
                                                    void *ptr, size_t size) {
    if (hProvider == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.ext_purge_force(hProvider->priv, ptr, size));
}

UMF_EXPORT umf_result_t umfMemoryProviderAllocationSplit(umf_memory_provider_handle_t hProvider,
                                                         void *ptr, size_t totalSize,
                                                         size_t firstSize) {
    // totalSize 0 is refused as well: no firstSize is above 0 and below it
    if (hProvider == NULL || ptr == NULL || firstSize == 0 || firstSize >= totalSize) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider,
                 hProvider->ops.ext_allocation_split(hProvider->priv, ptr, totalSize, firstSize));
}

UMF_EXPORT umf_result_t umfMemoryProviderAllocationMerge(umf_memory_provider_handle_t hProvider,
                                                         void *lowPtr, void *highPtr,
                                                         size_t totalSize) {
    if (hProvider == NULL || lowPtr == NULL || highPtr == NULL ||
        (uintptr_t)lowPtr >= (uintptr_t)highPtr ||
        (uintptr_t)highPtr - (uintptr_t)lowPtr >= totalSize) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider,
                 hProvider->ops.ext_allocation_merge(hProvider->priv, lowPtr, highPtr, totalSize));
}

/* ---- attributes ------------------------------------------------------------------------------ */

UMF_EXPORT umf_result_t umfMemoryProviderGetRecommendedPageSize(
    umf_memory_provider_handle_t hProvider, size_t size, size_t *pageSize) {
    if (hProvider == NULL || pageSize == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider,
                 hProvider->ops.get_recommended_page_size(hProvider->priv, size, pageSize));
}

UMF_EXPORT umf_result_t umfMemoryProviderGetMinPageSize(umf_memory_provider_handle_t hProvider,
                                                        const void *ptr, size_t *pageSize) {
    if (hProvider == NULL || pageSize == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.get_min_page_size(hProvider->priv, ptr, pageSize));
}

UMF_EXPORT umf_result_t umfMemoryProviderGetCacheLineSize(umf_memory_provider_handle_t hProvider,
                                                          size_t *size) {
    if (hProvider == NULL || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.get_cache_line_size(hProvider->priv, size));
}

UMF_EXPORT umf_result_t umfMemoryProviderGetName(umf_memory_provider_handle_t hProvider,
                                                 const char **name) {
    if (hProvider == NULL || name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.get_name(hProvider->priv, name));
}

/* ---- sharing between processes --------------------------------------------------------------- */

UMF_EXPORT umf_result_t umfMemoryProviderGetIPCHandleSize(umf_memory_provider_handle_t hProvider,
                                                          size_t *size) {
    if (hProvider == NULL || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.ext_get_ipc_handle_size(hProvider->priv, size));
}

UMF_EXPORT umf_result_t umfMemoryProviderGetIPCHandle(umf_memory_provider_handle_t hProvider,
                                                      const void *ptr, size_t size,
                                                      void *providerIpcData) {
    if (hProvider == NULL || ptr == NULL || size == 0 || providerIpcData == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider,
                 hProvider->ops.ext_get_ipc_handle(hProvider->priv, ptr, size, providerIpcData));
}

UMF_EXPORT umf_result_t umfMemoryProviderPutIPCHandle(umf_memory_provider_handle_t hProvider,
                                                      void *providerIpcData) {
    if (hProvider == NULL || providerIpcData == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.ext_put_ipc_handle(hProvider->priv, providerIpcData));
}

UMF_EXPORT umf_result_t umfMemoryProviderOpenIPCHandle(umf_memory_provider_handle_t hProvider,
                                                       void *providerIpcData, void **ptr) {
    if (hProvider == NULL || providerIpcData == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider,
                 hProvider->ops.ext_open_ipc_handle(hProvider->priv, providerIpcData, ptr));
}

UMF_EXPORT umf_result_t umfMemoryProviderCloseIPCHandle(umf_memory_provider_handle_t hProvider,
                                                        void *ptr, size_t size) {
    if (hProvider == NULL || ptr == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return noted(hProvider, hProvider->ops.ext_close_ipc_handle(hProvider->priv, ptr, size));
}

/* ---- extensions of our own providers --------------------------------------------------------- */

void provider_extension_register(provider_extension_entry_t *entry) {
    lock_acquire(&umf_core_state.init_lock);
    provider_extension_entry_t *known = umf_core_state.provider_extensions;
    while (known != NULL && known != entry) {
        known = known->next;
    }
    if (known == NULL) {
        entry->next = umf_core_state.provider_extensions;
        umf_core_state.provider_extensions = entry;
    }
    lock_release(&umf_core_state.init_lock);
}

const provider_extension_t *provider_extension(umf_memory_provider_handle_t provider, void **priv) {
    if (provider == NULL) {
        return NULL;
    }
    umf_memory_provider_handle_t upstream = tracking_provider_upstream(provider);
    const provider_extension_t *extension = NULL;
    lock_acquire(&umf_core_state.init_lock);
    for (const provider_extension_entry_t *entry = umf_core_state.provider_extensions;
         entry != NULL && extension == NULL; entry = entry->next) {
        if (entry->initialize == upstream->ops.initialize) {
            extension = entry->extension;
        }
    }
    lock_release(&umf_core_state.init_lock);
    if (extension != NULL) {
        *priv = upstream->priv;
    }
    return extension;
}

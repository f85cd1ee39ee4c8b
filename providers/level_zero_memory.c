/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Blocks of a LEVEL_ZERO provider. All of them are in a table: a change of residency has to reach
 * every live block, also those that no pool tracks.
 *
 * A block enters the table under the same lock under which it was made resident, so a change of the
 * list of devices either comes before (the block follows the new list) or finds it in the table.
 */
#include "core/log.h"
#include "providers/provider_level_zero.h"

/* Chains for the descriptors of one allocation; they live as long as the call. */
typedef struct alloc_descriptors {
    level_zero_flags_desc_t relaxed, exported;
    level_zero_device_allocation_t device;
    level_zero_host_allocation_t host;
} alloc_descriptors_t;

static void describe(const level_zero_provider_t *provider, size_t size, bool exportable,
                     alloc_descriptors_t *all) {
    *all = (alloc_descriptors_t){
        .relaxed = {.type = LEVEL_ZERO_TYPE_RELAXED_LIMITS, .flags = LEVEL_ZERO_RELAXED_MAX_SIZE},
        .exported = {.type = LEVEL_ZERO_TYPE_EXPORT, .flags = LEVEL_ZERO_EXTERNAL_DMA_BUF},
        .device = {.type = LEVEL_ZERO_TYPE_DEVICE_ALLOCATION, .ordinal = provider->ordinal},
        .host = {.type = LEVEL_ZERO_TYPE_HOST_ALLOCATION},
    };
    if (provider->type == UMF_MEMORY_TYPE_HOST) {
        all->host.next = &all->relaxed;
        return;
    }
    if (size > provider->max_allocation) {
        all->device.next = &all->relaxed;
    }
    if (exportable) {
        all->exported.next = all->device.next;
        all->device.next = &all->exported;
    }
}

static umf_result_t driver_alloc(const level_zero_provider_t *provider, size_t size,
                                 size_t alignment, bool exportable, void **ptr) {
    alloc_descriptors_t all;
    describe(provider, size, exportable, &all);
    void *block = NULL;
    umf_result_t result = UMF_RESULT_ERROR_UNKNOWN;
    switch (provider->type) {
    case UMF_MEMORY_TYPE_HOST:
        result = level_zero_result(
            level_zero_loader.zeMemAllocHost(provider->context, &all.host, size, alignment, &block),
            "zeMemAllocHost");
        break;
    case UMF_MEMORY_TYPE_DEVICE:
        result = level_zero_result(level_zero_loader.zeMemAllocDevice(provider->context,
                                                                      &all.device, size, alignment,
                                                                      provider->device, &block),
                                   "zeMemAllocDevice");
        break;
    case UMF_MEMORY_TYPE_SHARED:
        result = level_zero_result(
            level_zero_loader.zeMemAllocShared(provider->context, &all.device, &all.host, size,
                                               alignment, provider->device, &block),
            "zeMemAllocShared");
        break;
    default:
        log_error("memory type %d: a LEVEL_ZERO provider has host, device and shared memory",
                  (int)provider->type);
    }
    if (result == UMF_RESULT_SUCCESS) {
        *ptr = block;
    }
    return result;
}

level_zero_result_t level_zero_driver_free(const level_zero_provider_t *provider, void *ptr) {
    if (provider->policy == UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT) {
        return level_zero_loader.zeMemFree(provider->context, ptr);
    }
    const level_zero_flags_desc_t how = {
        .type = LEVEL_ZERO_TYPE_FREE,
        .flags = provider->policy == UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_BLOCKING_FREE
                     ? LEVEL_ZERO_FREE_BLOCKING
                     : LEVEL_ZERO_FREE_DEFER,
    };
    return level_zero_loader.zeMemFreeExt(provider->context, &how, ptr);
}

umf_result_t level_zero_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    level_zero_provider_t *provider = priv;
    const bool exportable =
        provider->type == UMF_MEMORY_TYPE_DEVICE && load_relaxed(&provider->export_mode) != 0;
    block_entry_t entry = {.size = size, .what = exportable ? LEVEL_ZERO_EXPORTABLE : 0};
    umf_result_t result = driver_alloc(provider, size, alignment, exportable, &entry.ptr);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    lock_acquire(&provider->lock);
    result = level_zero_residents_apply(provider, entry.ptr, size);
    if (result == UMF_RESULT_SUCCESS && !block_table_add(&provider->blocks, &entry)) {
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    lock_release(&provider->lock);
    if (result != UMF_RESULT_SUCCESS) {
        // never counted, so not uncounted; the error to report is the first one
        if (level_zero_driver_free(provider, entry.ptr) != LEVEL_ZERO_OK) {
            log_error("a block that could not be made resident is lost: the driver keeps it");
        }
        return result;
    }
    provider_stats_add(&provider->stats, size);
    *ptr = entry.ptr;
    return UMF_RESULT_SUCCESS;
}

umf_result_t level_zero_free(void *priv, void *ptr, size_t size) {
    level_zero_provider_t *provider = priv;
    (void)size; // the table knows better
    if (ptr == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    block_entry_t entry = {0};
    // before the driver has it back: another thread may get this address at once
    lock_acquire(&provider->lock);
    bool known = block_table_remove(&provider->blocks, ptr, &entry);
    lock_release(&provider->lock);
    umf_result_t result =
        level_zero_result(level_zero_driver_free(provider, ptr), "freeing Level Zero memory");
    if (!known) {
        return result;
    }
    if (result == UMF_RESULT_SUCCESS) {
        provider_stats_remove(&provider->stats, entry.size);
        return result;
    }
    lock_acquire(&provider->lock);
    bool kept = block_table_add(&provider->blocks, &entry);
    lock_release(&provider->lock);
    if (!kept) {
        log_error("no memory to remember a block that the driver did not take back");
    }
    return result;
}

umf_result_t level_zero_page_size_of(const level_zero_provider_t *provider, const void *ptr,
                                     size_t *bytes) {
    level_zero_allocation_properties_t properties = {.type = LEVEL_ZERO_TYPE_ALLOCATION_PROPERTIES};
    umf_result_t result = level_zero_result(
        level_zero_loader.zeMemGetAllocProperties(provider->context, ptr, &properties, NULL),
        "zeMemGetAllocProperties");
    if (result == UMF_RESULT_SUCCESS) {
        *bytes = (size_t)properties.page_size;
    }
    return result;
}

umf_result_t level_zero_probe(level_zero_provider_t *provider) {
    void *ptr = NULL;
    umf_result_t result = driver_alloc(provider, 1, 0, false, &ptr);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = level_zero_residents_apply(provider, ptr, 1);
    if (result == UMF_RESULT_SUCCESS) {
        result = level_zero_page_size_of(provider, ptr, &provider->page_size);
    }
    umf_result_t freed =
        level_zero_result(level_zero_driver_free(provider, ptr), "freeing Level Zero memory");
    return result != UMF_RESULT_SUCCESS ? result : freed;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Residency: on which devices a provider's memory is kept, and changes of that while it is in use.
 * A change works through all live blocks under the provider's lock; when the driver refuses one,
 * those done before are put back, and the list stays as it was.
 */
#include <string.h>

#include "core/base_alloc.h"
#include "core/init.h"
#include "core/log.h"
#include "core/provider.h"
#include "core/tracking.h"
#include "providers/provider_level_zero.h"

/* ---- the list -------------------------------------------------------------------------------- */

static bool residents_reserve(level_zero_residents_t *residents, uint32_t count) {
    if (count <= residents->capacity) {
        return true;
    }
    ze_device_handle_t *larger = base_alloc(count * sizeof(*larger));
    if (larger == NULL) {
        return false;
    }
    if (residents->count != 0) {
        memcpy(larger, residents->device, residents->count * sizeof(*larger));
    }
    base_free(residents->device, residents->capacity * sizeof(*residents->device));
    residents->device = larger;
    residents->capacity = count;
    return true;
}

umf_result_t level_zero_residents_set(level_zero_residents_t *residents,
                                      ze_device_handle_t const *devices, uint32_t count) {
    if (!residents_reserve(residents, count)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (count != 0) {
        memcpy(residents->device, devices, count * sizeof(*devices));
    }
    residents->count = count;
    return UMF_RESULT_SUCCESS;
}

void level_zero_residents_end(level_zero_residents_t *residents) {
    base_free(residents->device, residents->capacity * sizeof(*residents->device));
    *residents = (level_zero_residents_t){0};
}

static uint32_t residents_find(const level_zero_residents_t *residents, ze_device_handle_t device) {
    uint32_t at = 0;
    while (at < residents->count && residents->device[at] != device) {
        at++;
    }
    return at;
}

umf_result_t level_zero_residents_apply(const level_zero_provider_t *provider, void *ptr,
                                        size_t size) {
    for (uint32_t i = 0; i < provider->residents.count; i++) {
        umf_result_t result =
            level_zero_result(level_zero_loader.zeContextMakeMemoryResident(
                                  provider->context, provider->residents.device[i], ptr, size),
                              "zeContextMakeMemoryResident");
        if (result != UMF_RESULT_SUCCESS) {
            return result; // the caller frees the block, and with that ends its residency
        }
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- changes --------------------------------------------------------------------------------- */

static level_zero_result_t block_change(const level_zero_provider_t *provider,
                                        ze_device_handle_t device, const block_entry_t *block,
                                        bool adding) {
    return adding ? level_zero_loader.zeContextMakeMemoryResident(provider->context, device,
                                                                  block->ptr, block->size)
                  : level_zero_loader.zeContextEvictMemory(provider->context, device, block->ptr,
                                                           block->size);
}

static bool block_is_ours(const block_entry_t *block) {
    return block->ptr != NULL && (block->what & LEVEL_ZERO_IMPORTED) == 0;
}

/* Undoes what was done to the blocks in slots below `end`. */
static void blocks_restore(const level_zero_provider_t *provider, ze_device_handle_t device,
                           size_t end, bool adding) {
    for (size_t i = 0; i < end; i++) {
        const block_entry_t *block = &provider->blocks.slots[i];
        if (block_is_ours(block) &&
            block_change(provider, device, block, !adding) != LEVEL_ZERO_OK) {
            log_error("residency of %zu bytes at %p can not be put back", block->size, block->ptr);
        }
    }
}

static bool blocks_change(const level_zero_provider_t *provider, ze_device_handle_t device,
                          bool adding) {
    for (size_t i = 0; i < provider->blocks.capacity; i++) {
        const block_entry_t *block = &provider->blocks.slots[i];
        if (!block_is_ours(block)) {
            continue;
        }
        level_zero_result_t error = block_change(provider, device, block, adding);
        if (error != LEVEL_ZERO_OK) {
            level_zero_result(error,
                              adding ? "zeContextMakeMemoryResident" : "zeContextEvictMemory");
            blocks_restore(provider, device, i, adding);
            return false;
        }
    }
    return true;
}

/* Lock held. */
static umf_result_t device_change(level_zero_provider_t *provider, ze_device_handle_t device,
                                  bool adding) {
    level_zero_residents_t *residents = &provider->residents;
    uint32_t at = residents_find(residents, device);
    if (adding == (at < residents->count)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (adding && !residents_reserve(residents, residents->count + 1)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (!blocks_change(provider, device, adding)) {
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    if (adding) {
        residents->device[residents->count++] = device;
    } else {
        residents->count--;
        memmove(residents->device + at, residents->device + at + 1,
                (residents->count - at) * sizeof(*residents->device));
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderResidentDeviceChange(
    umf_memory_provider_handle_t provider, ze_device_handle_t device, bool is_adding) {
    if (provider == NULL || device == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    umf_memory_provider_handle_t own = tracking_provider_upstream(provider);
    if (own->ops.initialize != umfLevelZeroMemoryProviderOps()->initialize) {
        log_error("residency: this is no LEVEL_ZERO provider");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    level_zero_provider_t *state = own->priv;
    lock_acquire(&state->lock);
    umf_result_t result = device_change(state, device, is_adding);
    lock_release(&state->lock);
    if (result == UMF_RESULT_ERROR_INVALID_ARGUMENT) {
        log_error(is_adding ? "residency: the device is in the list already"
                            : "residency: the device is not in the list");
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory properties. A handle is the region of the address map, together with the low bits of its
 * id, in one word:
 *
 *   | id, high 16 of 22 bits | address of the region, bits 47 … 6 | id, low 6 bits |
 *
 * The address bits that are used for the id are zero: regions are 64-byte aligned, in the lower
 * half of the address space. Memory of regions is only ever reused for regions, and ids only grow,
 * so a handle that outlived its allocation is recognised: the id at that place is 0 or another one
 * (one with the same 22 bits comes after four million others).
 */
#include <umf/experimental/memory_properties.h>

#include <string.h>

#include "core/base_alloc.h"
#include "core/init.h"
#include "core/map.h"
#include "core/pool.h"
#include "core/provider.h"

enum {
    HANDLE_LOW_BITS = 6, /* region alignment */
    HANDLE_HIGH_SHIFT = 48,
    HANDLE_ID_BITS = HANDLE_LOW_BITS + 64 - HANDLE_HIGH_SHIFT,
};
static_assert(sizeof(void *) == 8, "the handle's layout");
static_assert(sizeof(map_region_t) >= 64 && BASE_ALIGNMENT == 1 << HANDLE_LOW_BITS,
              "the base allocator aligns regions");

static umf_memory_properties_handle_t handle_make(const map_region_t *region, uint64_t id) {
    uint64_t low = id & ((1u << HANDLE_LOW_BITS) - 1);
    uint64_t high = id >> HANDLE_LOW_BITS << HANDLE_HIGH_SHIFT;
    return (umf_memory_properties_handle_t)((uintptr_t)region | high | low);
}

/* What a handle leads to, as it was at one moment. */
typedef struct props {
    uint64_t id;
    uintptr_t base;
    size_t size;
    umf_memory_pool_handle_t pool;
    umf_memory_provider_handle_t provider;
    umf_usm_memory_type_t memory_type;
} props_t;

/* Reads a region whose memory may be given to another one meanwhile. False: that happened, or it is
 * none any more. */
static bool props_read(const map_region_t *region, props_t *props) {
    map_region_t *r = (map_region_t *)(uintptr_t)region;
    props->id = load_acquire(&r->id);
    props->base = r->base;
    props->size = load_relaxed(&r->size);
    props->pool = r->pool;
    props->provider = r->provider;
    props->memory_type = r->memory_type;
    bool visible =
        !r->hidden && (r->ipc_opened || (r->pool != NULL && r->pool->magic == UMF_POOL_MAGIC));
    atomic_thread_fence(memory_order_acquire);
    return visible && props->id != 0 && load_relaxed(&r->id) == props->id;
}

/* False: the allocation is gone, or the handle NULL. */
static bool handle_read(umf_memory_properties_handle_t handle, props_t *props) {
    const uintptr_t address_bits =
        ((uintptr_t)1 << HANDLE_HIGH_SHIFT) - ((uintptr_t)1 << HANDLE_LOW_BITS);
    const map_region_t *region = (const map_region_t *)((uintptr_t)handle & address_bits);
    return region != NULL && props_read(region, props) && handle_make(region, props->id) == handle;
}

UMF_EXPORT umf_result_t umfGetMemoryPropertiesHandle(const void *ptr,
                                                     umf_memory_properties_handle_t *props_handle) {
    if (ptr == NULL || props_handle == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    const map_region_t *region = map_find_region(ptr);
    props_t props;
    if (region == NULL || !props_read(region, &props)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *props_handle = handle_make(region, props.id);
    return UMF_RESULT_SUCCESS;
}

/* Bytes of a property that we know ourselves; 0 for all others. */
static size_t own_size(umf_memory_property_id_t id) {
    switch (id) {
    case UMF_MEMORY_PROPERTY_PROVIDER_HANDLE:
        return sizeof(umf_memory_provider_handle_t);
    case UMF_MEMORY_PROPERTY_POOL_HANDLE:
        return sizeof(umf_memory_pool_handle_t);
    case UMF_MEMORY_PROPERTY_BASE_ADDRESS:
        return sizeof(uintptr_t);
    case UMF_MEMORY_PROPERTY_BASE_SIZE:
        return sizeof(size_t);
    case UMF_MEMORY_PROPERTY_BUFFER_ID:
        return sizeof(uint64_t);
    case UMF_MEMORY_PROPERTY_POINTER_TYPE:
        return sizeof(umf_usm_memory_type_t);
    default:
        return 0;
    }
}

/* The value of such a property. */
static const void *own_value(const props_t *props, umf_memory_property_id_t id) {
    switch (id) {
    case UMF_MEMORY_PROPERTY_PROVIDER_HANDLE:
        return &props->provider;
    case UMF_MEMORY_PROPERTY_POOL_HANDLE:
        return &props->pool;
    case UMF_MEMORY_PROPERTY_BASE_ADDRESS:
        return &props->base;
    case UMF_MEMORY_PROPERTY_BASE_SIZE:
        return &props->size;
    case UMF_MEMORY_PROPERTY_BUFFER_ID:
        return &props->id;
    default:
        return &props->memory_type;
    }
}

static umf_result_t provider_size(umf_memory_provider_handle_t provider,
                                  umf_memory_property_id_t id, size_t *size) {
    umf_result_t result =
        provider->ops.ext_get_allocation_properties_size(provider->priv, id, size);
    return result == UMF_RESULT_SUCCESS ? result : provider_note_failure(provider, result);
}

UMF_EXPORT umf_result_t umfGetMemoryPropertySize(umf_memory_properties_handle_t props_handle,
                                                 umf_memory_property_id_t memory_property_id,
                                                 size_t *size) {
    if (size == NULL || memory_property_id == UMF_MEMORY_PROPERTY_INVALID) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t own = own_size(memory_property_id);
    if (own != 0) {
        *size = own;
        return UMF_RESULT_SUCCESS;
    }
    props_t props;
    if (!handle_read(props_handle, &props)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_size(props.provider, memory_property_id, size);
}

static bool id_is_providers(umf_memory_property_id_t id) {
    return id == UMF_MEMORY_PROPERTY_CONTEXT || id == UMF_MEMORY_PROPERTY_DEVICE ||
           (int)id > (int)UMF_MEMORY_PROPERTY_MAX_RESERVED;
}

UMF_EXPORT umf_result_t umfGetMemoryProperty(umf_memory_properties_handle_t props_handle,
                                             umf_memory_property_id_t memory_property_id,
                                             void *property_value, size_t max_property_size) {
    props_t props;
    size_t size = own_size(memory_property_id);
    if (property_value == NULL || max_property_size == 0 || max_property_size < size ||
        memory_property_id == UMF_MEMORY_PROPERTY_INVALID || !handle_read(props_handle, &props)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (size != 0) {
        memcpy(property_value, own_value(&props, memory_property_id), size);
        return UMF_RESULT_SUCCESS;
    }
    if (!id_is_providers(memory_property_id)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = provider_size(props.provider, memory_property_id, &size);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (max_property_size < size) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    result = props.provider->ops.ext_get_allocation_properties(
        props.provider->priv, (const void *)props.base, memory_property_id, property_value);
    return result == UMF_RESULT_SUCCESS ? result : provider_note_failure(props.provider, result);
}

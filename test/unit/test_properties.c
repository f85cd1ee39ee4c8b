/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Memory properties: what is known about an address. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <string.h>

#include <umf.h>
#include <umf/experimental/memory_properties.h>
#include <umf/memory_provider_gpu.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/map.h"
#include "core/state.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED

#define NO_PROPS ((umf_memory_properties_handle_t)(uintptr_t)0xdef0)
#define CUSTOM_ID ((umf_memory_property_id_t)(UMF_MEMORY_PROPERTY_MAX_RESERVED + 1))
#define CUSTOM_VALUE UINT64_C(0xfedcba9876543210)

enum { BYTES = 10000 };

static test_provider_t state; /* fresh in every test: each runs in a process of its own */
static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t pool;
static const void *asked_ptr; /* of the latest question for a custom property */

static umf_result_t custom_property(void *priv, const void *ptr, umf_memory_property_id_t id,
                                    void *value) {
    (void)priv;
    asked_ptr = ptr;
    if (id == UMF_MEMORY_PROPERTY_POINTER_TYPE) {
        *(umf_usm_memory_type_t *)value = UMF_MEMORY_TYPE_SHARED;
    } else if (id == UMF_MEMORY_PROPERTY_CONTEXT) {
        *(void **)value = &state;
    } else if (id == CUSTOM_ID) {
        memcpy(value, &(uint64_t){CUSTOM_VALUE}, sizeof(uint64_t));
    } else {
        return INVAL;
    }
    return OK;
}

static umf_result_t custom_property_size(void *priv, umf_memory_property_id_t id, size_t *size) {
    (void)priv;
    if (id != UMF_MEMORY_PROPERTY_CONTEXT && id != CUSTOM_ID) {
        return INVAL;
    }
    *size = 8;
    return OK;
}

static void set_up_with(const umf_memory_provider_ops_t *ops, umf_pool_create_flags_t flags) {
    cr_assert_eq(umfMemoryProviderCreate(ops, &state, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, flags, &pool), OK);
}

static void set_up(void) {
    umf_memory_provider_ops_t ops = test_provider_ops;
    ops.ext_get_allocation_properties = custom_property;
    ops.ext_get_allocation_properties_size = custom_property_size;
    set_up_with(&ops, 0);
}

static void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static umf_memory_properties_handle_t props_of(const void *ptr) {
    umf_memory_properties_handle_t props = NULL;
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), OK);
    return props;
}

static uint64_t number(umf_memory_properties_handle_t props, umf_memory_property_id_t id) {
    size_t size = 0;
    uint64_t value = 0;
    cr_assert_eq(umfGetMemoryPropertySize(props, id, &size), OK);
    cr_assert_leq(size, sizeof(value));
    cr_assert_eq(umfGetMemoryProperty(props, id, &value, size), OK);
    return value;
}

/* ---- values ---------------------------------------------------------------------------------- */

Test(properties, values_of_an_allocation) {
    set_up();
    char *ptr = umfPoolMalloc(pool, BYTES);
    static const size_t offsets[] = {0, 1, BYTES / 2, BYTES - 1};
    for (size_t i = 0; i < ARRAY_LENGTH(offsets); i++) {
        umf_memory_properties_handle_t props = props_of(ptr + offsets[i]);
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_PROVIDER_HANDLE), (uintptr_t)provider,
                     "not the wrapper");
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_POOL_HANDLE), (uintptr_t)pool);
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_ADDRESS), (uintptr_t)ptr);
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_SIZE), BYTES);
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_POINTER_TYPE), UMF_MEMORY_TYPE_SHARED);
        cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_CONTEXT), (uintptr_t)&state);
        cr_assert_eq(asked_ptr, ptr, "providers are asked by the base");
        cr_assert_eq(number(props, CUSTOM_ID), CUSTOM_VALUE);
        cr_assert_eq(asked_ptr, ptr);
    }
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(properties, every_allocation_has_a_number_of_its_own) {
    static char arena[1 << 16];
    state.arena = arena;
    state.arena_size = sizeof(arena);
    set_up();
    uint64_t seen[50];
    for (size_t i = 0; i < ARRAY_LENGTH(seen); i++) {
        state.arena_used = 0; // the same address again
        void *ptr = umfPoolMalloc(pool, 100);
        seen[i] = number(props_of(ptr), UMF_MEMORY_PROPERTY_BUFFER_ID);
        for (size_t k = 0; k < i; k++) {
            cr_assert_neq(seen[i], seen[k]);
        }
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    tear_down();
}

Test(properties, sizes) {
    static const struct {
        umf_memory_property_id_t id;
        size_t size;
    } row[] = {
        {UMF_MEMORY_PROPERTY_PROVIDER_HANDLE, 8}, {UMF_MEMORY_PROPERTY_POOL_HANDLE, 8},
        {UMF_MEMORY_PROPERTY_BASE_ADDRESS, 8},    {UMF_MEMORY_PROPERTY_BASE_SIZE, 8},
        {UMF_MEMORY_PROPERTY_BUFFER_ID, 8},       {UMF_MEMORY_PROPERTY_POINTER_TYPE, 4},
        {UMF_MEMORY_PROPERTY_CONTEXT, 8},         {CUSTOM_ID, 8},
    };
    set_up();
    void *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = props_of(ptr);
    for (size_t i = 0; i < ARRAY_LENGTH(row); i++) {
        size_t size = 0;
        cr_assert_eq(umfGetMemoryPropertySize(props, row[i].id, &size), OK);
        cr_assert_eq(size, row[i].size);
        unsigned char value[64];
        memset(value, 0xaa, sizeof(value));
        cr_assert_eq(umfGetMemoryProperty(props, row[i].id, value, size - 1), INVAL, "too small");
        cr_assert_eq(umfGetMemoryProperty(props, row[i].id, value, sizeof(value)), OK,
                     "larger is fine");
        cr_assert_eq(value[size], 0xaa, "only as much as the property has is written");
    }
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

/* ---- refusals -------------------------------------------------------------------------------- */

Test(properties, wrong_arguments) {
    set_up();
    char *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = NO_PROPS;
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, NULL), INVAL);
    cr_assert_eq(umfGetMemoryPropertiesHandle(NULL, &props), INVAL);
    cr_assert_eq(umfGetMemoryPropertiesHandle(&state, &props), INVAL, "nobody's memory");
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr + BYTES, &props), INVAL);
    cr_assert_eq(umfGetMemoryPropertiesHandle((void *)UINTPTR_MAX, &props), INVAL);
    cr_assert_eq(props, NO_PROPS, "not changed");

    props = props_of(ptr);
    size_t size = 0;
    uint64_t value = 0;
    cr_assert_eq(umfGetMemoryPropertySize(props, UMF_MEMORY_PROPERTY_POINTER_TYPE, NULL), INVAL);
    cr_assert_eq(umfGetMemoryPropertySize(props, UMF_MEMORY_PROPERTY_INVALID, &size), INVAL);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_BASE_SIZE, NULL, 8), INVAL);
    cr_assert_eq(umfGetMemoryProperty(NULL, UMF_MEMORY_PROPERTY_BASE_SIZE, &value, 8), INVAL);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_BASE_SIZE, &value, 0), INVAL);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_BASE_SIZE, &value, 7), INVAL);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_INVALID, &value, 8), INVAL);
    cr_assert_eq(umfGetMemoryProperty(props, (umf_memory_property_id_t)5, &value, 8), INVAL,
                 "not in use");
    cr_assert_eq(value, 0);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

/* Crashed in upstream. */
Test(properties, a_size_without_a_handle) {
    size_t size = 0;
    cr_assert_eq(umfGetMemoryPropertySize(NULL, CUSTOM_ID, &size), INVAL);
    cr_assert_eq(umfGetMemoryPropertySize(NULL, UMF_MEMORY_PROPERTY_CONTEXT, &size), INVAL);
    cr_assert_eq(umfGetMemoryPropertySize(NULL, UMF_MEMORY_PROPERTY_BASE_SIZE, &size), OK);
    cr_assert_eq(size, sizeof(size_t));
}

/* Dangled in upstream. */
Test(properties, a_handle_that_outlived_its_allocation_is_refused) {
    static char arena[1 << 16];
    state.arena = arena;
    state.arena_size = sizeof(arena);
    set_up();
    umf_memory_properties_handle_t old[20];
    for (size_t i = 0; i < ARRAY_LENGTH(old); i++) {
        state.arena_used = 0; // the same address, and the same place in the map
        void *ptr = umfPoolMalloc(pool, 100);
        old[i] = props_of(ptr);
        cr_assert_eq(number(old[i], UMF_MEMORY_PROPERTY_BASE_SIZE), 100);
        for (size_t k = 0; k < i; k++) {
            uint64_t value = 0;
            size_t size = 0;
            cr_assert_eq(umfGetMemoryProperty(old[k], UMF_MEMORY_PROPERTY_BASE_SIZE, &value, 8),
                         INVAL);
            cr_assert_eq(umfGetMemoryProperty(old[k], CUSTOM_ID, &value, 8), INVAL);
            cr_assert_eq(umfGetMemoryPropertySize(old[k], CUSTOM_ID, &size), INVAL);
        }
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        uint64_t value = 0;
        cr_assert_eq(umfGetMemoryProperty(old[i], UMF_MEMORY_PROPERTY_BASE_SIZE, &value, 8), INVAL);
        umf_memory_properties_handle_t none = NO_PROPS;
        cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &none), INVAL);
        cr_assert_eq(none, NO_PROPS);
    }
    tear_down();
}

Test(properties, ids_beyond_the_bits_in_a_handle) {
    set_up();
    static const uint64_t starts[] = {63, 64, (UINT64_C(1) << 22) - 2, (UINT64_C(1) << 40) + 5};
    for (size_t i = 0; i < ARRAY_LENGTH(starts); i++) {
        store_relaxed(&umf_core_state.map.next_id, starts[i]);
        for (int k = 0; k < 5; k++) {
            void *ptr = umfPoolMalloc(pool, 8);
            umf_memory_properties_handle_t props = props_of(ptr);
            cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BUFFER_ID), starts[i] + (uint64_t)k + 1);
            cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_ADDRESS), (uintptr_t)ptr);
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
    }
    tear_down();
}

/* ---- providers ------------------------------------------------------------------------------- */

Test(properties, a_provider_without_properties) {
    umf_memory_provider_ops_t ops = test_provider_ops;
    ops.ext_get_allocation_properties = NULL;
    ops.ext_get_allocation_properties_size = NULL;
    set_up_with(&ops, 0);
    void *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = props_of(ptr);
    uint64_t value = 0;
    size_t size = 0;
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_POINTER_TYPE), UMF_MEMORY_TYPE_UNKNOWN);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_SIZE), BYTES);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_CONTEXT, &value, 8), NOTSUP);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_DEVICE, &value, 8), NOTSUP);
    cr_assert_eq(umfGetMemoryProperty(props, CUSTOM_ID, &value, 8), NOTSUP);
    cr_assert_eq(umfGetMemoryPropertySize(props, CUSTOM_ID, &size), NOTSUP);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(properties, a_failing_provider_is_remembered) {
    set_up();
    void *ptr = umfPoolMalloc(pool, BYTES);
    uint64_t value = 0;
    umf_memory_provider_handle_t failed = NULL;
    cr_assert_eq(umfGetMemoryProperty(props_of(ptr), UMF_MEMORY_PROPERTY_DEVICE, &value, 8), INVAL);
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    cr_assert_eq(failed, provider);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(properties, the_type_is_asked_for_once) {
    state.memory_type = UMF_MEMORY_TYPE_DEVICE;
    set_up_with(&test_provider_ops, 0);
    void *ptr = umfPoolMalloc(pool, BYTES);
    cr_assert_eq(load_relaxed(&state.calls[OP_PROPERTY]), 1);
    cr_assert_eq(number(props_of(ptr), UMF_MEMORY_PROPERTY_POINTER_TYPE), UMF_MEMORY_TYPE_DEVICE);
    cr_assert_eq(load_relaxed(&state.calls[OP_PROPERTY]), 1);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

/* ---- which allocation ------------------------------------------------------------------------ */

Test(properties, the_innermost_allocation_counts) {
    set_up();
    char *block = umfPoolAlignedMalloc(pool, 1 << 16, 4096);
    umf_fixed_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t fixed = NULL;
    umf_memory_pool_handle_t inner = NULL;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(block, 1 << 16, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), fixed, NULL, 0, &inner), OK);
    char *ptr = umfPoolMalloc(inner, 4096);
    umf_memory_properties_handle_t props = props_of(ptr + 100);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_POOL_HANDLE), (uintptr_t)inner);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_PROVIDER_HANDLE), (uintptr_t)fixed);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_SIZE), 4096);
    cr_assert_eq(number(props_of(block + (1 << 16) - 1), UMF_MEMORY_PROPERTY_POOL_HANDLE),
                 (uintptr_t)pool);
    cr_assert_eq(umfPoolFree(inner, ptr), OK);
    cr_assert_eq(number(props_of(ptr + 100), UMF_MEMORY_PROPERTY_POOL_HANDLE), (uintptr_t)pool);
    cr_assert_eq(umfPoolDestroy(inner), OK);
    cr_assert_eq(umfMemoryProviderDestroy(fixed), OK);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    tear_down();
}

Test(properties, memory_without_tracking_is_not_found) {
    set_up_with(&test_provider_ops, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
    void *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = NO_PROPS;
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), INVAL);
    cr_assert_eq(props, NO_PROPS);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(properties, an_opened_mapping_has_no_pool) {
    set_up();
    static char mapping[4096];
    map_region_t *region = NULL;
    map_region_info_t info = {.base = mapping,
                              .size = sizeof(mapping),
                              .provider = provider,
                              .memory_type = UMF_MEMORY_TYPE_HOST,
                              .ipc_opened = true};
    cr_assert_eq(map_add(&info, &region), OK);
    umf_memory_properties_handle_t props = props_of(mapping + 1);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_POOL_HANDLE), 0);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_PROVIDER_HANDLE), (uintptr_t)provider);
    cr_assert_eq(number(props, UMF_MEMORY_PROPERTY_BASE_SIZE), sizeof(mapping));
    map_remove(region);
    tear_down();
}

Test(properties, left_over_memory_of_a_dead_pool_is_nobodys) {
    set_up();
    void *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = props_of(ptr);
    uint64_t value = 0;
    tear_down();
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_POOL_HANDLE, &value, 8), INVAL);
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), INVAL);
}

Test(properties, after_the_end_of_the_library) {
    set_up();
    void *ptr = umfPoolMalloc(pool, BYTES);
    umf_memory_properties_handle_t props = NO_PROPS;
    cr_assert_eq(umfTearDown(), OK);
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), NOTSUP);
    cr_assert_eq(umfInit(), OK);
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), OK);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

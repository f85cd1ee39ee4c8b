/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Level Zero as tests use it: the loader that the provider uses, on a real or stand-in driver. */
#ifndef UMF_TEST_LEVEL_ZERO_FOR_TEST_H
#define UMF_TEST_LEVEL_ZERO_FOR_TEST_H

#include <stdlib.h>

#include <umf/providers/provider_level_zero.h>
#include <umf/providers/provider_level_zero_ext.h>

#include "providers/level_zero_api.h"
#include "standin_for_test.h"

enum { LEVEL_ZERO_TEST_DEVICES = 16 };

typedef struct level_zero_test {
    bool is_standin;
    standin_t standin;
    level_zero_driver_t driver;
    ze_device_handle_t device[LEVEL_ZERO_TEST_DEVICES];
    uint32_t devices;
} level_zero_test_t;

/* The file with the stand-in's counters, or NULL: it is the driver, or the loader as well. */
static inline const char *level_zero_test_standin(void) {
    const char *loader = getenv("UMF_ZE_LOADER_LIB_NAME");
    return loader != NULL ? loader : getenv("ZE_ENABLE_ALT_DRIVERS");
}

/* Starts the drivers; false: there is none, or no device. */
static inline bool level_zero_test_start(level_zero_test_t *ze) {
    memset(ze, 0, sizeof(*ze));
    uint32_t drivers = 1;
    if (level_zero_library_open() != UMF_RESULT_SUCCESS ||
        level_zero_loader.zeInit(0) != LEVEL_ZERO_OK ||
        level_zero_loader.zeDriverGet(&drivers, &ze->driver) != LEVEL_ZERO_OK || drivers == 0) {
        return false;
    }
    ze->devices = LEVEL_ZERO_TEST_DEVICES;
    if (level_zero_loader.zeDeviceGet(ze->driver, &ze->devices, ze->device) != LEVEL_ZERO_OK) {
        return false;
    }
    const char *file = level_zero_test_standin();
    void *library = file != NULL ? dlopen(file, RTLD_NOW | RTLD_NOLOAD) : NULL;
    ze->is_standin = library != NULL && standin_load(library, &ze->standin);
    return ze->devices > 0;
}

static inline ze_context_handle_t level_zero_test_context(level_zero_test_t *ze) {
    const level_zero_context_desc_t desc = {.type = LEVEL_ZERO_TYPE_CONTEXT};
    ze_context_handle_t context = NULL;
    cr_assert_eq(level_zero_loader.zeContextCreate(ze->driver, &desc, &context), LEVEL_ZERO_OK);
    return context;
}

static inline umf_level_zero_memory_provider_params_handle_t
level_zero_test_params(ze_context_handle_t context, ze_device_handle_t device,
                       umf_usm_memory_type_t type) {
    umf_level_zero_memory_provider_params_handle_t params = NULL;
    cr_assert_eq(umfLevelZeroMemoryProviderParamsCreate(&params), UMF_RESULT_SUCCESS);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetContext(params, context), UMF_RESULT_SUCCESS);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetDevice(
                     params, type == UMF_MEMORY_TYPE_HOST ? NULL : device),
                 UMF_RESULT_SUCCESS);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsSetMemoryType(params, type), UMF_RESULT_SUCCESS);
    return params;
}

/* Makes a provider of the parameters and destroys them. */
static inline umf_memory_provider_handle_t
level_zero_test_create(umf_level_zero_memory_provider_params_handle_t params) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider),
                 UMF_RESULT_SUCCESS);
    cr_assert_eq(umfLevelZeroMemoryProviderParamsDestroy(params), UMF_RESULT_SUCCESS);
    return provider;
}

static inline umf_memory_provider_handle_t level_zero_test_provider(ze_context_handle_t context,
                                                                    ze_device_handle_t device,
                                                                    umf_usm_memory_type_t type) {
    return level_zero_test_create(level_zero_test_params(context, device, type));
}

#endif /* UMF_TEST_LEVEL_ZERO_FOR_TEST_H */

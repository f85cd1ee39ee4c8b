/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A LEVEL_ZERO provider for a program that knows nothing of Level Zero: the process malloc. */
#include <umf/providers/provider_level_zero_ext.h>

#include "core/log.h"
#include "providers/provider_level_zero.h"

enum { LIST_MAX = 64 }; /* drivers, and devices of one */

static umf_result_t loader_failed(const char *what, level_zero_result_t error) {
    log_error("Level Zero: %s failed: %s (0x%x)", what, umfLevelZeroErrorText((int32_t)error),
              error);
    return level_zero_result(error, what);
}

/* Finds device number `wanted`, counted through all drivers. */
static umf_result_t device_take(unsigned wanted, level_zero_driver_t *driver,
                                ze_device_handle_t *device) {
    level_zero_driver_t drivers[LIST_MAX];
    ze_device_handle_t devices[LIST_MAX];
    uint32_t driver_count = LIST_MAX, seen = 0;
    level_zero_result_t error = level_zero_loader.zeDriverGet(&driver_count, drivers);
    if (error != LEVEL_ZERO_OK) {
        return loader_failed("listing drivers", error);
    }
    for (uint32_t i = 0; i < driver_count; i++) {
        uint32_t count = LIST_MAX;
        error = level_zero_loader.zeDeviceGet(drivers[i], &count, devices);
        if (error != LEVEL_ZERO_OK) {
            return loader_failed("listing devices", error);
        }
        if (wanted - seen < count) {
            *driver = drivers[i];
            *device = devices[wanted - seen];
            return UMF_RESULT_SUCCESS;
        }
        seen += count;
    }
    log_error("Level Zero: device %u is wanted, but there are %u device(s), counted from 0, of "
              "%u driver(s)",
              wanted, seen, driver_count);
    return UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

static umf_result_t provider_make(umf_usm_memory_type_t type, ze_context_handle_t context,
                                  ze_device_handle_t device, const char *name,
                                  umf_memory_provider_handle_t *provider) {
    umf_level_zero_memory_provider_params_handle_t params = NULL;
    umf_result_t result = umfLevelZeroMemoryProviderParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfLevelZeroMemoryProviderParamsSetContext(params, context);
    umfLevelZeroMemoryProviderParamsSetDevice(params, type == UMF_MEMORY_TYPE_HOST ? NULL : device);
    umfLevelZeroMemoryProviderParamsSetMemoryType(params, type);
    if (name != NULL) {
        umfLevelZeroMemoryProviderParamsSetName(params, name);
    }
    result = umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, provider);
    umfLevelZeroMemoryProviderParamsDestroy(params);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("Level Zero: no memory of this kind: %s",
                  umfLevelZeroErrorText(level_zero_last_error()));
    }
    return result;
}

umf_result_t level_zero_provider_from_nothing(umf_usm_memory_type_t type, unsigned device,
                                              const char *name,
                                              umf_memory_provider_handle_t *provider) {
    umf_result_t result = level_zero_library_open();
    if (result != UMF_RESULT_SUCCESS) {
        return result; // the loader of libraries has said why
    }
    if (level_zero_loader.zeInit == NULL || level_zero_loader.zeDriverGet == NULL ||
        level_zero_loader.zeDeviceGet == NULL || level_zero_loader.zeContextCreate == NULL ||
        level_zero_loader.zeContextDestroy == NULL) {
        log_error("Level Zero: the loader can not start a device");
        return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    }
    level_zero_result_t error = level_zero_loader.zeInit(0); // devices of all kinds
    if (error != LEVEL_ZERO_OK) {
        return loader_failed("starting drivers", error);
    }
    level_zero_driver_t driver = NULL;
    ze_device_handle_t taken = NULL;
    result = device_take(device, &driver, &taken);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const level_zero_context_desc_t desc = {.type = LEVEL_ZERO_TYPE_CONTEXT};
    ze_context_handle_t context = NULL;
    error = level_zero_loader.zeContextCreate(driver, &desc, &context);
    if (error != LEVEL_ZERO_OK) {
        return loader_failed("making a context", error);
    }
    result = provider_make(type, context, taken, name, provider);
    if (result != UMF_RESULT_SUCCESS) {
        level_zero_loader.zeContextDestroy(context);
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Parameter object of the LEVEL_ZERO provider. What makes sense together is decided when a provider
 * is made (provider_level_zero.c). */
#include "core/base_alloc.h"
#include "core/log.h"
#include "providers/provider_level_zero.h"

UMF_EXPORT umf_result_t
umfLevelZeroMemoryProviderParamsCreate(umf_level_zero_memory_provider_params_handle_t *hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_level_zero_memory_provider_params_handle_t params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params->type = UMF_MEMORY_TYPE_UNKNOWN;
    params->policy = UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT;
    provider_name_set(&params->name, "LEVEL_ZERO");
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfLevelZeroMemoryProviderParamsDestroy(umf_level_zero_memory_provider_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetContext(
    umf_level_zero_memory_provider_params_handle_t hParams, ze_context_handle_t hContext) {
    if (hParams == NULL || hContext == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->context = hContext;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetDevice(
    umf_level_zero_memory_provider_params_handle_t hParams, ze_device_handle_t hDevice) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->device = hDevice;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetMemoryType(
    umf_level_zero_memory_provider_params_handle_t hParams, umf_usm_memory_type_t memoryType) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->type = memoryType;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetResidentDevices(
    umf_level_zero_memory_provider_params_handle_t hParams, ze_device_handle_t *hDevices,
    uint32_t deviceCount) {
    if (hParams == NULL || (hDevices == NULL && deviceCount > 0)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < deviceCount; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (hDevices[i] == hDevices[j]) {
                log_error("resident devices %u and %u are the same", j, i);
                return UMF_RESULT_ERROR_INVALID_ARGUMENT;
            }
        }
    }
    hParams->resident = hDevices;
    hParams->resident_count = deviceCount;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetFreePolicy(
    umf_level_zero_memory_provider_params_handle_t hParams,
    umf_level_zero_memory_provider_free_policy_t policy) {
    if (hParams == NULL ||
        (unsigned)policy > UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFER_FREE) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->policy = policy;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetDeviceOrdinal(
    umf_level_zero_memory_provider_params_handle_t hParams, uint32_t deviceOrdinal) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->ordinal = deviceOrdinal;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfLevelZeroMemoryProviderParamsSetName(
    umf_level_zero_memory_provider_params_handle_t hParams, const char *name) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

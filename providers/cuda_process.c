/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A CUDA provider for a program that knows nothing of CUDA: the process malloc. The driver is
 * started here; the device's primary context is the one that the CUDA runtime uses as well, so a
 * program that does know CUDA can pass such memory to its kernels.
 */
#include <umf/providers/provider_cuda.h>

#include "core/log.h"
#include "providers/cuda_api.h"
#include "providers/provider_cuda.h"

static umf_result_t driver_failed(const char *what, cuda_result_t error) {
    umf_result_t result = cuda_result(error);
    const char *text = "";
    int32_t number = 0;
    if (cuda_last_error(&text, &number) != UMF_RESULT_SUCCESS) {
        text = "error without a name";
    }
    log_error("CUDA: %s failed: %s (%d)", what, text, error);
    return result;
}

/* Starts the driver and finds the device and its primary context. */
static umf_result_t device_take(unsigned number, cuda_device_t *device, cuda_context_t *context) {
    int count = 0;
    cuda_result_t error = cuda_driver.cuInit(0);
    if (error != CUDA_OK) {
        return driver_failed("starting the driver", error);
    }
    error = cuda_driver.cuDeviceGetCount(&count);
    if (error != CUDA_OK) {
        return driver_failed("counting devices", error);
    }
    if (count <= 0 || number >= (unsigned)count) {
        log_error("CUDA: device %u is wanted, but the driver has %d device(s), counted from 0",
                  number, count);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    error = cuda_driver.cuDeviceGet(device, (int)number);
    if (error == CUDA_OK) {
        error = cuda_driver.cuDevicePrimaryCtxRetain(context, *device);
    }
    return error == CUDA_OK ? UMF_RESULT_SUCCESS : driver_failed("taking the device", error);
}

static umf_result_t provider_make(umf_usm_memory_type_t type, cuda_device_t device,
                                  cuda_context_t context, const char *name,
                                  umf_memory_provider_handle_t *provider) {
    umf_cuda_memory_provider_params_handle_t params = NULL;
    umf_result_t result = umfCUDAMemoryProviderParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfCUDAMemoryProviderParamsSetContext(params, context);
    umfCUDAMemoryProviderParamsSetDevice(params, device);
    umfCUDAMemoryProviderParamsSetMemoryType(params, type);
    if (name != NULL) {
        umfCUDAMemoryProviderParamsSetName(params, name);
    }
    result = umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, provider);
    umfCUDAMemoryProviderParamsDestroy(params);
    return result;
}

umf_result_t cuda_provider_from_nothing(umf_usm_memory_type_t type, unsigned device,
                                        const char *name, umf_memory_provider_handle_t *provider) {
    umf_result_t result = cuda_library_open();
    if (result != UMF_RESULT_SUCCESS) {
        return result; // the loader has said why
    }
    if (cuda_driver.cuInit == NULL || cuda_driver.cuDeviceGetCount == NULL ||
        cuda_driver.cuDeviceGet == NULL || cuda_driver.cuDevicePrimaryCtxRetain == NULL ||
        cuda_driver.cuDevicePrimaryCtxRelease_v2 == NULL) {
        log_error("CUDA: the driver library can not start a device");
        return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    }
    cuda_device_t number = 0;
    cuda_context_t context = NULL;
    result = device_take(device, &number, &context);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = provider_make(type, number, context, name, provider);
    if (result != UMF_RESULT_SUCCESS) {
        cuda_driver.cuDevicePrimaryCtxRelease_v2(number);
    }
    return result;
}

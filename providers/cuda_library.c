/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The CUDA driver: its functions, and its errors in our terms. */
#include "providers/cuda_api.h"

#include <string.h>

#include "core/libload.h"

enum { CUDA_MESSAGE_BYTES = 160 }; /* name and text; longer ones are cut */

cuda_functions_t cuda_driver;

#define REQUIRED(function)                                                                         \
    { .name = #function, .offset = offsetof(cuda_functions_t, function), .optional = false }
#define OPTIONAL(function)                                                                         \
    { .name = #function, .offset = offsetof(cuda_functions_t, function), .optional = true }

static const libload_symbol_t cuda_symbols[] = {
    REQUIRED(cuMemGetAllocationGranularity),
    REQUIRED(cuMemAlloc_v2),
    REQUIRED(cuMemHostAlloc),
    REQUIRED(cuMemAllocManaged),
    REQUIRED(cuMemFree_v2),
    REQUIRED(cuMemFreeHost),
    REQUIRED(cuGetErrorName),
    REQUIRED(cuGetErrorString),
    REQUIRED(cuCtxGetCurrent),
    REQUIRED(cuCtxGetDevice),
    REQUIRED(cuCtxSetCurrent),
    REQUIRED(cuIpcGetMemHandle),
    REQUIRED(cuIpcOpenMemHandle_v2),
    REQUIRED(cuIpcCloseMemHandle),
    OPTIONAL(cuInit),
    OPTIONAL(cuDeviceGetCount),
    OPTIONAL(cuDeviceGet),
    OPTIONAL(cuDevicePrimaryCtxRetain),
    OPTIONAL(cuDevicePrimaryCtxRelease_v2),
};

/* A cache of this library, not of the core: two of our libraries in one process may both have the
 * driver open. */
static libload_library_t cuda_library = {
    .name = "libcuda.so.1",
    .symbols = cuda_symbols,
    .symbol_count = ARRAY_LENGTH(cuda_symbols),
    .functions = &cuda_driver,
};

static UMF_TLS struct {
    cuda_result_t error;
    char message[CUDA_MESSAGE_BYTES];
} cuda_last;

umf_result_t cuda_library_open(void) {
    return libload_open(&cuda_library);
}

umf_result_t cuda_result(cuda_result_t error) {
    if (error == CUDA_OK) {
        return UMF_RESULT_SUCCESS;
    }
    cuda_last.error = error;
    switch (error) {
    case CUDA_OUT_OF_MEMORY:
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    case CUDA_INVALID_VALUE:
    case CUDA_INVALID_HANDLE:
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    case CUDA_DEINITIALIZED:
        return UMF_RESULT_ERROR_OUT_OF_RESOURCES;
    default:
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
}

static void message_append(const char *text) {
    size_t used = strlen(cuda_last.message);
    size_t length = strnlen(text, sizeof(cuda_last.message) - 1 - used);
    memcpy(cuda_last.message + used, text, length);
    cuda_last.message[used + length] = '\0';
}

umf_result_t cuda_last_error(const char **message, int32_t *error) {
    umf_result_t result = cuda_library_open(); // may be asked before the first use
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const char *name = NULL, *text = NULL;
    cuda_result_t asked = cuda_driver.cuGetErrorName(cuda_last.error, &name);
    if (asked == CUDA_OK) {
        asked = cuda_driver.cuGetErrorString(cuda_last.error, &text);
    }
    if (asked != CUDA_OK || name == NULL || text == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT; // a number that the driver itself does not know
    }
    cuda_last.message[0] = '\0';
    message_append(name);
    message_append(" - ");
    message_append(text);
    *message = cuda_last.message;
    *error = cuda_last.error;
    return UMF_RESULT_SUCCESS;
}

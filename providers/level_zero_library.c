/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The Level Zero loader: its functions, and errors in our terms. */
#include <umf/providers/provider_level_zero_ext.h>

#include "core/libload.h"
#include "core/log.h"
#include "providers/level_zero_api.h"

level_zero_functions_t level_zero_loader;

#define REQUIRED(function)                                                                         \
    { .name = #function, .offset = offsetof(level_zero_functions_t, function), .optional = false }
#define OPTIONAL(function)                                                                         \
    { .name = #function, .offset = offsetof(level_zero_functions_t, function), .optional = true }

static const libload_symbol_t level_zero_symbols[] = {
    REQUIRED(zeMemAllocHost),
    REQUIRED(zeMemAllocDevice),
    REQUIRED(zeMemAllocShared),
    REQUIRED(zeMemFree),
    REQUIRED(zeMemGetIpcHandle),
    REQUIRED(zeMemOpenIpcHandle),
    REQUIRED(zeMemCloseIpcHandle),
    REQUIRED(zeContextMakeMemoryResident),
    REQUIRED(zeContextEvictMemory),
    REQUIRED(zeDeviceGetProperties),
    REQUIRED(zeMemGetAllocProperties),
    OPTIONAL(zeMemPutIpcHandle),
    OPTIONAL(zeMemFreeExt),
    OPTIONAL(zeDriverGet),
    OPTIONAL(zeDriverGetExtensionProperties),
    OPTIONAL(zeDeviceGet),
    OPTIONAL(zeDeviceGetCacheProperties),
    OPTIONAL(zeInit),
    OPTIONAL(zeContextCreate),
    OPTIONAL(zeContextDestroy),
};

/* A cache of this library, not of the core: two of our libraries in one process may both have the
 * loader open. */
static libload_library_t level_zero_library = {
    .name = "libze_loader.so.1",
    .name_environment = "UMF_ZE_LOADER_LIB_NAME",
    .symbols = level_zero_symbols,
    .symbol_count = ARRAY_LENGTH(level_zero_symbols),
    .functions = &level_zero_loader,
};

static UMF_TLS level_zero_result_t level_zero_last;

/* The errors that allocation, residency, IPC and start-up can end with; in rising order. */
static const struct {
    level_zero_result_t error;
    const char *text;
} level_zero_texts[] = {
    {0, "ZE_RESULT_SUCCESS - no error"},
    {1, "ZE_RESULT_NOT_READY - not signaled yet"},
    {0x70000001, "ZE_RESULT_ERROR_DEVICE_LOST - the device hung, was reset or removed"},
    {0x70000002, "ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY - not enough host memory"},
    {0x70000003, "ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY - not enough device memory"},
    {0x70000006, "ZE_RESULT_ERROR_DEVICE_REQUIRES_RESET - the device needs a reset"},
    {0x70000007, "ZE_RESULT_ERROR_DEVICE_IN_LOW_POWER_STATE - the device is asleep"},
    {0x70010000, "ZE_RESULT_ERROR_INSUFFICIENT_PERMISSIONS - permission denied"},
    {0x70010001, "ZE_RESULT_ERROR_NOT_AVAILABLE - in use by others"},
    {0x70020000, "ZE_RESULT_ERROR_DEPENDENCY_UNAVAILABLE - something it needs is missing"},
    {0x78000001, "ZE_RESULT_ERROR_UNINITIALIZED - no driver was started"},
    {0x78000002, "ZE_RESULT_ERROR_UNSUPPORTED_VERSION - a version that is not supported"},
    {0x78000003, "ZE_RESULT_ERROR_UNSUPPORTED_FEATURE - the driver does not have this"},
    {0x78000004, "ZE_RESULT_ERROR_INVALID_ARGUMENT - a wrong argument"},
    {0x78000005, "ZE_RESULT_ERROR_INVALID_NULL_HANDLE - a handle is NULL"},
    {0x78000006, "ZE_RESULT_ERROR_HANDLE_OBJECT_IN_USE - still in use by the device"},
    {0x78000007, "ZE_RESULT_ERROR_INVALID_NULL_POINTER - a pointer is NULL"},
    {0x78000008, "ZE_RESULT_ERROR_INVALID_SIZE - a wrong size, such as 0"},
    {0x78000009, "ZE_RESULT_ERROR_UNSUPPORTED_SIZE - a size that the device does not support"},
    {0x7800000a,
     "ZE_RESULT_ERROR_UNSUPPORTED_ALIGNMENT - an alignment that the device does not support"},
    {0x7800000c, "ZE_RESULT_ERROR_INVALID_ENUMERATION - a wrong enumerator"},
    {0x7800000d, "ZE_RESULT_ERROR_UNSUPPORTED_ENUMERATION - an enumerator without support"},
    {0x7ffffffe, "ZE_RESULT_ERROR_UNKNOWN - unknown or internal error"},
};

UMF_EXPORT const char *umfLevelZeroErrorText(int32_t error) {
    for (size_t i = 0; i < ARRAY_LENGTH(level_zero_texts); i++) {
        if (level_zero_texts[i].error == (level_zero_result_t)error) {
            return level_zero_texts[i].text;
        }
    }
    return "an error without a text here, see ze_result_t";
}

umf_result_t level_zero_library_open(void) {
    return libload_open(&level_zero_library);
}

umf_result_t level_zero_result(level_zero_result_t error, const char *function) {
    if (error == LEVEL_ZERO_OK) {
        return UMF_RESULT_SUCCESS;
    }
    level_zero_last = error;
    log_error("%s failed: %s (0x%x)", function, umfLevelZeroErrorText((int32_t)error), error);
    switch (error) {
    case LEVEL_ZERO_OUT_OF_HOST_MEMORY:
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    case LEVEL_ZERO_INVALID_ARGUMENT:
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    default:
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
}

int32_t level_zero_last_error(void) {
    return (int32_t)level_zero_last;
}

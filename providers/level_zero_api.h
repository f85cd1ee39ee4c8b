/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The part of the Level Zero API that we use, declared here so that the build needs no Level Zero
 * headers, and the loader's functions, found at run time (level_zero_library.c). Names begin with
 * level_zero_ so that nothing clashes where <ze_api.h> is included as well; layouts and values are
 * the API's (test_level_zero_layout compares them where the headers are installed).
 */
#ifndef UMF_PROVIDERS_LEVEL_ZERO_API_H
#define UMF_PROVIDERS_LEVEL_ZERO_API_H

#include <umf/base.h>
#include <umf/providers/provider_level_zero.h>

#include "core/utils.h"

typedef uint32_t level_zero_result_t; /* ze_result_t */
typedef void *level_zero_driver_t;    /* ze_driver_handle_t */

#define LEVEL_ZERO_OK UINT32_C(0)
#define LEVEL_ZERO_OUT_OF_HOST_MEMORY UINT32_C(0x70000002)
#define LEVEL_ZERO_UNSUPPORTED_FEATURE UINT32_C(0x78000003)
#define LEVEL_ZERO_INVALID_ARGUMENT UINT32_C(0x78000004)

/* `type` of each structure (ze_structure_type_t). */
enum {
    LEVEL_ZERO_TYPE_DEVICE_PROPERTIES = 0x3,
    LEVEL_ZERO_TYPE_CACHE_PROPERTIES = 0x9,
    LEVEL_ZERO_TYPE_CONTEXT = 0xd,
    LEVEL_ZERO_TYPE_DEVICE_ALLOCATION = 0x15,
    LEVEL_ZERO_TYPE_HOST_ALLOCATION = 0x16,
    LEVEL_ZERO_TYPE_ALLOCATION_PROPERTIES = 0x17,
    LEVEL_ZERO_TYPE_EXPORT = 0x18,
    LEVEL_ZERO_TYPE_IMPORT_FD = 0x19,
    LEVEL_ZERO_TYPE_EXPORT_FD = 0x1a,
    LEVEL_ZERO_TYPE_FREE = 0x1000a,
    LEVEL_ZERO_TYPE_RELAXED_LIMITS = 0x20001,
    LEVEL_ZERO_TYPE_CACHE_LINE = 0x20028,
};

enum {
    LEVEL_ZERO_INIT_GPU_ONLY = 1,
    LEVEL_ZERO_RELAXED_MAX_SIZE = 1,
    LEVEL_ZERO_EXTERNAL_OPAQUE_FD = 1,
    LEVEL_ZERO_EXTERNAL_DMA_BUF = 2,
    LEVEL_ZERO_FREE_BLOCKING = 1,
    LEVEL_ZERO_FREE_DEFER = 2,
    LEVEL_ZERO_IPC_BYTES = 64,
    LEVEL_ZERO_NAME_BYTES = 256,
};

#define LEVEL_ZERO_CACHE_LINE_EXTENSION "ZE_extension_device_cache_line_size"

typedef struct level_zero_device_properties {
    uint32_t type;
    void *next;
    uint32_t kind, vendor, device, flags, subdevice, core_clock;
    uint64_t max_allocation; /* bytes, without relaxed limits */
    uint32_t contexts, priority, threads, simd_width, units, subslices, slices;
    uint64_t timer_resolution;
    uint32_t timestamp_bits, kernel_timestamp_bits;
    uint8_t uuid[16];
    char name[LEVEL_ZERO_NAME_BYTES];
} level_zero_device_properties_t;

typedef struct level_zero_context_desc {
    uint32_t type;
    const void *next;
    uint32_t flags;
} level_zero_context_desc_t;

typedef struct level_zero_device_allocation {
    uint32_t type;
    const void *next;
    uint32_t flags, ordinal;
} level_zero_device_allocation_t;

typedef struct level_zero_host_allocation {
    uint32_t type;
    const void *next;
    uint32_t flags;
} level_zero_host_allocation_t;

/* ze_relaxed_allocation_limits_exp_desc_t, ze_external_memory_export_desc_t,
 * ze_memory_free_ext_desc_t */
typedef struct level_zero_flags_desc {
    uint32_t type;
    const void *next;
    uint32_t flags;
} level_zero_flags_desc_t;

/* ze_external_memory_import_fd_t, ze_external_memory_export_fd_t */
typedef struct level_zero_fd_desc {
    uint32_t type;
    const void *next;
    uint32_t flags;
    int fd;
} level_zero_fd_desc_t;

typedef struct level_zero_allocation_properties {
    uint32_t type;
    void *next;
    uint32_t kind;
    uint64_t id;
    uint64_t page_size;
} level_zero_allocation_properties_t;

typedef struct level_zero_cache_properties {
    uint32_t type;
    void *next;
    uint32_t flags;
    size_t size;
} level_zero_cache_properties_t;

typedef struct level_zero_cache_line {
    uint32_t type;
    const void *next;
    size_t bytes;
} level_zero_cache_line_t;

typedef struct level_zero_extension {
    char name[LEVEL_ZERO_NAME_BYTES];
    uint32_t version;
} level_zero_extension_t;

/* Passed by value. Its first int is a file descriptor of the process that made it. */
typedef struct level_zero_ipc_handle {
    char data[LEVEL_ZERO_IPC_BYTES];
} level_zero_ipc_handle_t;

/* The loader's functions; the second group may be NULL. */
typedef struct level_zero_functions {
    level_zero_result_t (*zeMemAllocHost)(ze_context_handle_t, const level_zero_host_allocation_t *,
                                          size_t size, size_t alignment, void **ptr);
    level_zero_result_t (*zeMemAllocDevice)(ze_context_handle_t,
                                            const level_zero_device_allocation_t *, size_t size,
                                            size_t alignment, ze_device_handle_t, void **ptr);
    level_zero_result_t (*zeMemAllocShared)(ze_context_handle_t,
                                            const level_zero_device_allocation_t *,
                                            const level_zero_host_allocation_t *, size_t size,
                                            size_t alignment, ze_device_handle_t, void **ptr);
    level_zero_result_t (*zeMemFree)(ze_context_handle_t, void *ptr);
    level_zero_result_t (*zeMemGetIpcHandle)(ze_context_handle_t, const void *ptr,
                                             level_zero_ipc_handle_t *);
    level_zero_result_t (*zeMemOpenIpcHandle)(ze_context_handle_t, ze_device_handle_t,
                                              level_zero_ipc_handle_t, uint32_t flags, void **ptr);
    level_zero_result_t (*zeMemCloseIpcHandle)(ze_context_handle_t, const void *ptr);
    level_zero_result_t (*zeContextMakeMemoryResident)(ze_context_handle_t, ze_device_handle_t,
                                                       void *ptr, size_t size);
    level_zero_result_t (*zeContextEvictMemory)(ze_context_handle_t, ze_device_handle_t, void *ptr,
                                                size_t size);
    level_zero_result_t (*zeDeviceGetProperties)(ze_device_handle_t,
                                                 level_zero_device_properties_t *);
    level_zero_result_t (*zeMemGetAllocProperties)(ze_context_handle_t, const void *ptr,
                                                   level_zero_allocation_properties_t *,
                                                   ze_device_handle_t *);

    level_zero_result_t (*zeMemPutIpcHandle)(ze_context_handle_t, level_zero_ipc_handle_t);
    level_zero_result_t (*zeMemFreeExt)(ze_context_handle_t, const level_zero_flags_desc_t *,
                                        void *ptr);
    level_zero_result_t (*zeDriverGet)(uint32_t *count, level_zero_driver_t *drivers);
    level_zero_result_t (*zeDriverGetExtensionProperties)(level_zero_driver_t, uint32_t *count,
                                                          level_zero_extension_t *extensions);
    level_zero_result_t (*zeDeviceGet)(level_zero_driver_t, uint32_t *count,
                                       ze_device_handle_t *devices);
    level_zero_result_t (*zeDeviceGetCacheProperties)(ze_device_handle_t, uint32_t *count,
                                                      level_zero_cache_properties_t *);
    level_zero_result_t (*zeInit)(uint32_t flags);
    level_zero_result_t (*zeContextCreate)(level_zero_driver_t, const level_zero_context_desc_t *,
                                           ze_context_handle_t *);
    level_zero_result_t (*zeContextDestroy)(ze_context_handle_t);
} level_zero_functions_t;

/* Filled in after level_zero_library_open() has succeeded. */
extern level_zero_functions_t level_zero_loader;

/* Opens the loader unless that is done. DEPENDENCY_UNAVAILABLE: there is none; the log says why. */
umf_result_t level_zero_library_open(void);

/* Notes a failure of `function` as the thread's last native error, logs it, and says what it is for
 * our callers. */
umf_result_t level_zero_result(level_zero_result_t error, const char *function);
int32_t level_zero_last_error(void);

#endif /* UMF_PROVIDERS_LEVEL_ZERO_API_H */

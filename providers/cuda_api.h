/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The part of the CUDA driver API that we use, declared here so that the build needs no CUDA
 * toolkit, and the driver's functions, found at run time (cuda_library.c). Names begin with cuda_
 * so that nothing clashes where <cuda.h> is included as well; layouts and values are the API's.
 */
#ifndef UMF_PROVIDERS_CUDA_API_H
#define UMF_PROVIDERS_CUDA_API_H

#include <umf/base.h>

#include "core/utils.h"

typedef int cuda_result_t;        /* CUresult */
typedef int cuda_device_t;        /* CUdevice */
typedef void *cuda_context_t;     /* CUcontext */
typedef uintptr_t cuda_pointer_t; /* CUdeviceptr */

enum {
    CUDA_OK = 0,
    CUDA_INVALID_VALUE = 1,
    CUDA_OUT_OF_MEMORY = 2,
    CUDA_NOT_INITIALIZED = 3,
    CUDA_DEINITIALIZED = 4,
    CUDA_INVALID_CONTEXT = 201,
    CUDA_INVALID_HANDLE = 400,
    CUDA_UNKNOWN = 999,
};

enum {
    CUDA_ATTACH_GLOBAL = 1,        /* cuMemAllocManaged: any stream of any device */
    CUDA_IPC_LAZY_PEER_ACCESS = 1, /* cuIpcOpenMemHandle_v2 */
    CUDA_ALLOCATION_PINNED = 1,    /* type of memory in cuda_allocation_t */
    CUDA_LOCATION_DEVICE = 1,      /* kind of location in it */
    CUDA_GRANULARITY_MINIMUM = 0,  /* cuMemGetAllocationGranularity */
    CUDA_GRANULARITY_RECOMMENDED = 1,
    CUDA_IPC_HANDLE_BYTES = 64,
};

/* CUmemAllocationProp */
typedef struct cuda_allocation {
    int type;
    int handle_types;
    struct {
        int kind;
        int id;
    } location;
    void *win32_meta_data;
    struct {
        unsigned char compression, gpu_direct_rdma;
        unsigned short usage;
        unsigned char reserved[4];
    } flags;
} cuda_allocation_t;
static_assert(sizeof(void *) != 8 || sizeof(cuda_allocation_t) == 32, "CUmemAllocationProp");

/* CUipcMemHandle; passed by value */
typedef struct cuda_ipc_handle {
    char reserved[CUDA_IPC_HANDLE_BYTES];
} cuda_ipc_handle_t;

/* The driver's functions. Those of the second group are there for whoever starts from nothing
 * (cuda_process.c); a driver that lacks them still serves providers. */
typedef struct cuda_functions {
    cuda_result_t (*cuMemGetAllocationGranularity)(size_t *granularity,
                                                   const cuda_allocation_t *allocation, int option);
    cuda_result_t (*cuMemAlloc_v2)(cuda_pointer_t *ptr, size_t bytes);
    cuda_result_t (*cuMemHostAlloc)(void **ptr, size_t bytes, unsigned flags);
    cuda_result_t (*cuMemAllocManaged)(cuda_pointer_t *ptr, size_t bytes, unsigned flags);
    cuda_result_t (*cuMemFree_v2)(cuda_pointer_t ptr);
    cuda_result_t (*cuMemFreeHost)(void *ptr);
    cuda_result_t (*cuGetErrorName)(cuda_result_t error, const char **text);
    cuda_result_t (*cuGetErrorString)(cuda_result_t error, const char **text);
    cuda_result_t (*cuCtxGetCurrent)(cuda_context_t *context);
    cuda_result_t (*cuCtxGetDevice)(cuda_device_t *device);
    cuda_result_t (*cuCtxSetCurrent)(cuda_context_t context);
    cuda_result_t (*cuIpcGetMemHandle)(cuda_ipc_handle_t *handle, cuda_pointer_t ptr);
    cuda_result_t (*cuIpcOpenMemHandle_v2)(cuda_pointer_t *ptr, cuda_ipc_handle_t handle,
                                           unsigned flags);
    cuda_result_t (*cuIpcCloseMemHandle)(cuda_pointer_t ptr);

    cuda_result_t (*cuInit)(unsigned flags);
    cuda_result_t (*cuDeviceGetCount)(int *count);
    cuda_result_t (*cuDeviceGet)(cuda_device_t *device, int ordinal);
    cuda_result_t (*cuDevicePrimaryCtxRetain)(cuda_context_t *context, cuda_device_t device);
    cuda_result_t (*cuDevicePrimaryCtxRelease_v2)(cuda_device_t device);
} cuda_functions_t;

/* Filled in after cuda_library_open() has succeeded. */
extern cuda_functions_t cuda_driver;

/* Opens the driver unless that is done. DEPENDENCY_UNAVAILABLE: there is none; the log says why. */
umf_result_t cuda_library_open(void);

/* Notes a failure as the thread's last native error and says what it is for our callers. */
umf_result_t cuda_result(cuda_result_t error);
/* The last native error; message: "<name> - <text>". */
umf_result_t cuda_last_error(const char **message, int32_t *error);

#endif /* UMF_PROVIDERS_CUDA_API_H */

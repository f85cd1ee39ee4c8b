/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A libcuda.so.1 on host memory: the driver-API entry points that the CUDA provider, its tests and
 * the examples use, with the driver's rules as far as these can meet them:
 *
 *   - nothing works before cuInit, most of it not without a current context of the thread;
 *   - blocks below 1 MiB are aligned to 512 bytes only, larger ones to 2 MiB;
 *   - a size of 0 and unknown flags are invalid values; memory that is short is OUT_OF_MEMORY;
 *   - only device memory can be opened by other processes, and not by the process that has it.
 *
 * Switches, failures and counters: standin.h.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../standin.h"

#define API STANDIN_API

typedef int CUresult;
typedef int CUdevice;
typedef struct standin_context *CUcontext;
typedef uintptr_t CUdeviceptr;

enum {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    DEINITIALIZED = 4,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    MAP_FAILED_ERROR = 205,
    INVALID_HANDLE = 400,
    UNKNOWN = 999,
};

enum {
    GRANULARITY = 2 * 1024 * 1024,
    SMALL_BYTES = 1024 * 1024,
    SMALL_OFFSET = 512,
    HOST_FLAGS = 7,
    CONTEXTS_MAX = 32,
    ATTRIBUTE_CONTEXT = 1,
    ATTRIBUTE_MEMORY_TYPE = 2,
    ATTRIBUTE_IS_MANAGED = 8,
    ATTRIBUTE_DEVICE_ORDINAL = 9,
};

typedef struct {
    char reserved[64];
} CUipcMemHandle;
_Static_assert(sizeof(standin_ticket_t) <= sizeof(CUipcMemHandle), "fits");

struct standin_context {
    CUdevice device;
    int primary; /* references */
    bool used;
};

static struct standin_context contexts[CONTEXTS_MAX];
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;
static _Thread_local CUcontext current;

static const struct {
    CUresult code;
    const char *name, *text;
} errors[] = {
    {OK, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {DEINITIALIZED, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {NO_DEVICE, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {MAP_FAILED_ERROR, "CUDA_ERROR_MAP_FAILED", "mapping of buffer object failed"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

#define ENTER(name)                                                                                \
    do {                                                                                           \
        int injected_ = standin_enter(name);                                                       \
        if (injected_ != 0) {                                                                      \
            return injected_;                                                                      \
        }                                                                                          \
        if (!initialized) {                                                                        \
            return NOT_INITIALIZED;                                                                \
        }                                                                                          \
    } while (0)

#define ENTER_CONTEXT(name)                                                                        \
    do {                                                                                           \
        ENTER(name);                                                                               \
        if (current == NULL || !current->used) {                                                   \
            return INVALID_CONTEXT;                                                                \
        }                                                                                          \
    } while (0)

/* ---- errors, devices, contexts --------------------------------------------------------------- */

#define ERROR_TEXT(function, member)                                                               \
    API CUresult function(CUresult error, const char **text);                                      \
    API CUresult function(CUresult error, const char **text) {                                     \
        for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {                          \
            if (errors[i].code == error) {                                                         \
                *text = errors[i].member;                                                          \
                return OK;                                                                         \
            }                                                                                      \
        }                                                                                          \
        *text = NULL;                                                                              \
        return INVALID_VALUE;                                                                      \
    }
ERROR_TEXT(cuGetErrorName, name)
ERROR_TEXT(cuGetErrorString, text)

API CUresult cuInit(unsigned flags);
API CUresult cuInit(unsigned flags) {
    int injected = standin_enter("cuInit");
    if (injected != 0) {
        return injected;
    }
    if (flags != 0) {
        return INVALID_VALUE;
    }
    if (standin_device_count() == 0) {
        return NO_DEVICE;
    }
    // as drivers do while they start: memory of their own, and a thread that has some too
    free(malloc(100));
    free(malloc(1 << 20));
    initialized = true;
    return OK;
}

API CUresult cuDeviceGetCount(int *count);
API CUresult cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount");
    *count = (int)standin_device_count();
    return OK;
}

API CUresult cuDeviceGet(CUdevice *device, int ordinal);
API CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER("cuDeviceGet");
    if (ordinal < 0 || ordinal >= (int)standin_device_count()) {
        return INVALID_DEVICE;
    }
    *device = ordinal;
    return OK;
}

static CUcontext context_new(CUdevice device) {
    CUcontext found = NULL;
    for (int i = 0; i < CONTEXTS_MAX && found == NULL; i++) {
        if (!contexts[i].used) {
            found = &contexts[i];
            *found = (struct standin_context){.device = device, .used = true};
            standin_contexts_add(1);
        }
    }
    return found;
}

static void context_end(CUcontext context) {
    standin_context_free(context);
    context->used = false;
    standin_contexts_add(-1);
}

API CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device);
API CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, CUdevice device) {
    ENTER("cuCtxCreate_v2");
    (void)flags;
    if (device < 0 || device >= (int)standin_device_count()) {
        return INVALID_DEVICE;
    }
    pthread_mutex_lock(&contexts_lock);
    *context = current = context_new(device);
    pthread_mutex_unlock(&contexts_lock);
    return *context != NULL ? OK : OUT_OF_MEMORY;
}

API CUresult cuCtxDestroy_v2(CUcontext context);
API CUresult cuCtxDestroy_v2(CUcontext context) {
    ENTER("cuCtxDestroy_v2");
    if (context == NULL || !context->used) {
        return INVALID_CONTEXT;
    }
    pthread_mutex_lock(&contexts_lock);
    context_end(context);
    if (current == context) {
        current = NULL;
    }
    pthread_mutex_unlock(&contexts_lock);
    return OK;
}

static CUcontext primary_of(CUdevice device) {
    for (int i = 0; i < CONTEXTS_MAX; i++) {
        if (contexts[i].used && contexts[i].primary > 0 && contexts[i].device == device) {
            return &contexts[i];
        }
    }
    return NULL;
}

API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device);
API CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER("cuDevicePrimaryCtxRetain");
    if (device < 0 || device >= (int)standin_device_count()) {
        return INVALID_DEVICE;
    }
    pthread_mutex_lock(&contexts_lock);
    CUcontext found = primary_of(device);
    if (found == NULL) {
        found = context_new(device);
    }
    if (found != NULL) {
        found->primary++;
    }
    pthread_mutex_unlock(&contexts_lock);
    *context = found;
    return found != NULL ? OK : OUT_OF_MEMORY;
}

API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device);
API CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    ENTER("cuDevicePrimaryCtxRelease_v2");
    pthread_mutex_lock(&contexts_lock);
    CUcontext found = primary_of(device);
    if (found != NULL && --found->primary == 0) {
        context_end(found);
    }
    pthread_mutex_unlock(&contexts_lock);
    return found != NULL ? OK : INVALID_CONTEXT;
}

API CUresult cuCtxGetCurrent(CUcontext *context);
API CUresult cuCtxGetCurrent(CUcontext *context) {
    ENTER("cuCtxGetCurrent");
    *context = current;
    return OK;
}

API CUresult cuCtxSetCurrent(CUcontext context);
API CUresult cuCtxSetCurrent(CUcontext context) {
    ENTER("cuCtxSetCurrent");
    if (context != NULL &&
        (context < contexts || context >= contexts + CONTEXTS_MAX || !context->used)) {
        return INVALID_CONTEXT;
    }
    current = context;
    return OK;
}

API CUresult cuCtxGetDevice(CUdevice *device);
API CUresult cuCtxGetDevice(CUdevice *device) {
    ENTER_CONTEXT("cuCtxGetDevice");
    *device = current->device;
    return OK;
}

API CUresult cuCtxSynchronize(void);
API CUresult cuCtxSynchronize(void) {
    ENTER_CONTEXT("cuCtxSynchronize");
    return OK;
}

/* ---- memory ---------------------------------------------------------------------------------- */

typedef struct {
    int type, handle_types;
    struct {
        int kind, id;
    } location;
} allocation_t;

API CUresult cuMemGetAllocationGranularity(size_t *bytes, const allocation_t *allocation,
                                           int option);
API CUresult cuMemGetAllocationGranularity(size_t *bytes, const allocation_t *allocation,
                                           int option) {
    ENTER("cuMemGetAllocationGranularity");
    if (bytes == NULL || allocation == NULL || allocation->type != 1 ||
        allocation->location.kind != 1 || (option != 0 && option != 1)) {
        return INVALID_VALUE;
    }
    if (allocation->location.id < 0 || allocation->location.id >= (int)standin_device_count()) {
        return INVALID_DEVICE;
    }
    *bytes = GRANULARITY;
    return OK;
}

static CUresult block_alloc(standin_kind_t kind, size_t bytes, void **ptr) {
    if (bytes == 0 || ptr == NULL) {
        return INVALID_VALUE;
    }
    bool small = bytes < SMALL_BYTES && kind != STANDIN_HOST;
    standin_request_t request = {
        .size = bytes,
        .alignment = small || kind == STANDIN_HOST ? 1 : GRANULARITY,
        .offset = small ? SMALL_OFFSET : 0,
        .kind = kind,
        .device = kind == STANDIN_DEVICE ? current->device : -1,
        .context = current,
    };
    standin_block_t *block = standin_block_new(&request);
    if (block == NULL) {
        return OUT_OF_MEMORY;
    }
    *ptr = block->base;
    return OK;
}

API CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t bytes);
API CUresult cuMemAlloc_v2(CUdeviceptr *ptr, size_t bytes) {
    ENTER_CONTEXT("cuMemAlloc_v2");
    return block_alloc(STANDIN_DEVICE, bytes, (void **)ptr);
}

API CUresult cuMemAllocManaged(CUdeviceptr *ptr, size_t bytes, unsigned flags);
API CUresult cuMemAllocManaged(CUdeviceptr *ptr, size_t bytes, unsigned flags) {
    ENTER_CONTEXT("cuMemAllocManaged");
    if (flags != 1 && flags != 2) {
        return INVALID_VALUE;
    }
    return block_alloc(STANDIN_SHARED, bytes, (void **)ptr);
}

API CUresult cuMemHostAlloc(void **ptr, size_t bytes, unsigned flags);
API CUresult cuMemHostAlloc(void **ptr, size_t bytes, unsigned flags) {
    ENTER_CONTEXT("cuMemHostAlloc");
    if ((flags & ~(unsigned)HOST_FLAGS) != 0) {
        return INVALID_VALUE;
    }
    return block_alloc(STANDIN_HOST, bytes, ptr);
}

API CUresult cuMemFree_v2(CUdeviceptr ptr);
API CUresult cuMemFree_v2(CUdeviceptr ptr) {
    ENTER_CONTEXT("cuMemFree_v2");
    return standin_block_free((void *)ptr, STANDIN_DEVICE) ||
                   standin_block_free((void *)ptr, STANDIN_SHARED)
               ? OK
               : INVALID_VALUE;
}

API CUresult cuMemFreeHost(void *ptr);
API CUresult cuMemFreeHost(void *ptr) {
    ENTER_CONTEXT("cuMemFreeHost");
    return standin_block_free(ptr, STANDIN_HOST) ? OK : INVALID_VALUE;
}

API CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr ptr);
API CUresult cuPointerGetAttribute(void *value, int attribute, CUdeviceptr ptr) {
    ENTER_CONTEXT("cuPointerGetAttribute");
    standin_block_t *block = standin_block_find((void *)ptr);
    if (block == NULL) {
        return INVALID_VALUE;
    }
    CUcontext context = block->context;
    switch (attribute) {
    case ATTRIBUTE_CONTEXT:
        memcpy(value, &context, sizeof(context));
        return OK;
    case ATTRIBUTE_MEMORY_TYPE:
        *(unsigned *)value = block->kind == STANDIN_HOST ? 1 : 2;
        return OK;
    case ATTRIBUTE_IS_MANAGED:
        *(bool *)value = block->kind == STANDIN_SHARED;
        return OK;
    case ATTRIBUTE_DEVICE_ORDINAL:
        *(int *)value = context->device;
        return OK;
    default:
        return INVALID_VALUE;
    }
}

/* Device memory may be closed to the host, so it is reached through its file. */
static CUresult device_copy(CUdeviceptr device, void *host, size_t bytes, bool write) {
    standin_block_t *block = standin_block_find((void *)device);
    if (block == NULL || bytes > block->size - (size_t)((char *)device - block->base)) {
        return INVALID_VALUE;
    }
    char *view = mmap(NULL, block->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, block->fd, 0);
    if (view == MAP_FAILED) {
        return UNKNOWN;
    }
    char *at = view + ((char *)device - block->mapping);
    memcpy(write ? at : host, write ? host : at, bytes);
    munmap(view, block->mapped);
    return OK;
}

API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes);
API CUresult cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
    ENTER_CONTEXT("cuMemcpyHtoD_v2");
    return device_copy(to, (void *)(uintptr_t)from, bytes, true);
}

API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes);
API CUresult cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
    ENTER_CONTEXT("cuMemcpyDtoH_v2");
    return device_copy(from, to, bytes, false);
}

/* ---- other processes ------------------------------------------------------------------------- */

API CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr ptr);
API CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr ptr) {
    ENTER_CONTEXT("cuIpcGetMemHandle");
    standin_block_t *block = standin_block_find((void *)ptr);
    if (block == NULL || block->kind != STANDIN_DEVICE) {
        return INVALID_VALUE;
    }
    memset(handle, 0, sizeof(*handle));
    standin_ticket_make(block, (standin_ticket_t *)(void *)handle);
    return OK;
}

API CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *ptr, CUipcMemHandle handle, unsigned flags);
API CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *ptr, CUipcMemHandle handle, unsigned flags) {
    ENTER_CONTEXT("cuIpcOpenMemHandle_v2");
    standin_ticket_t ticket;
    memcpy(&ticket, &handle, sizeof(ticket));
    if (flags != 1) {
        return INVALID_VALUE;
    }
    if (ticket.pid == (int32_t)getpid()) {
        return INVALID_CONTEXT;
    }
    int fd = standin_fd_of(ticket.pid, ticket.fd);
    standin_block_t *block = fd >= 0 ? standin_block_open(&ticket, fd, current) : NULL;
    if (fd >= 0) {
        close(fd);
    }
    if (block == NULL) {
        return MAP_FAILED_ERROR;
    }
    *ptr = (CUdeviceptr)block->base;
    return OK;
}

API CUresult cuIpcCloseMemHandle(CUdeviceptr ptr);
API CUresult cuIpcCloseMemHandle(CUdeviceptr ptr) {
    ENTER_CONTEXT("cuIpcCloseMemHandle");
    return standin_block_free((void *)ptr, STANDIN_OPENED) ? OK : INVALID_VALUE;
}

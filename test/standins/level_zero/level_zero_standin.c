/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A Level Zero driver on host memory. The real loader loads it (ZE_ENABLE_ALT_DRIVERS=<this file>)
 * and takes its functions by the tables at the end; what is not in them, it reports as unsupported.
 * Rules that are kept:
 *
 *   - a block larger than the device's maximum needs the relaxed-limits descriptor;
 *   - device, shared and host memory have pages of 64, 4 and 4 KiB; alignments are powers of two;
 *   - shared memory can not be opened by other processes, other memory can: the first int of an IPC
 *     handle is a descriptor, which the opening process must have made its own;
 *   - a block's descriptor is exported only when that was asked for at its allocation; imported
 *     memory ends with zeMemFree, opened memory with zeMemCloseIpcHandle;
 *   - memory is resident where it was made so, and can be evicted only from there.
 *
 * Besides the switches of standin.h:
 *   UMF_STANDIN_CACHE_LINE=BYTES   the driver has the cache-line extension
 *   UMF_STANDIN_EXPORT_FRESH=1     each export makes a descriptor that the caller has to close
 */
#define _GNU_SOURCE
#include <level_zero/ze_api.h>
#include <level_zero/ze_ddi.h>
#include <level_zero/zes_ddi.h>
#include <level_zero/zet_ddi.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../standin.h"

#define API STANDIN_API

#define DEVICE_PAGE UINT64_C(65536)
#define HOST_PAGE UINT64_C(4096)
#define CACHE_LINE_TYPE 0x20028 /* newer than the headers */

enum { CONTEXTS_MAX = 64, MEMORIES = 2 };

struct _ze_driver_handle_t {
    int unused;
};

struct _ze_device_handle_t {
    int number;
};

struct _ze_context_handle_t {
    bool used;
};

static struct _ze_driver_handle_t driver;
static struct _ze_device_handle_t devices[STANDIN_DEVICES_MAX];
static struct _ze_context_handle_t contexts[CONTEXTS_MAX];
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;
static bool initialized;

#define ENTER(name)                                                                                \
    do {                                                                                           \
        int injected_ = standin_enter(name);                                                       \
        if (injected_ != 0) {                                                                      \
            return (ze_result_t)injected_;                                                         \
        }                                                                                          \
        if (!initialized) {                                                                        \
            return ZE_RESULT_ERROR_UNINITIALIZED;                                                  \
        }                                                                                          \
    } while (0)

static bool device_valid(ze_device_handle_t device) {
    return device >= devices && device < devices + standin_device_count();
}

static bool context_valid(ze_context_handle_t context) {
    return context >= contexts && context < contexts + CONTEXTS_MAX && context->used;
}

/* Also for lists: how many there are, or the first *count of them. */
static uint32_t list_count(uint32_t *count, uint32_t there, bool wanted) {
    if (*count == 0 || !wanted || *count > there) {
        *count = there;
    }
    return wanted ? *count : 0;
}

/* ---- driver ---------------------------------------------------------------------------------- */

static ze_result_t init(ze_init_flags_t flags) {
    (void)flags;
    int injected = standin_enter("zeInit");
    if (injected != 0) {
        return (ze_result_t)injected;
    }
    // as drivers do while they start: memory of their own
    free(malloc(100));
    free(malloc(1 << 20));
    for (int i = 0; i < STANDIN_DEVICES_MAX; i++) {
        devices[i].number = i;
    }
    initialized = true;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t driver_get(uint32_t *count, ze_driver_handle_t *drivers) {
    ENTER("zeDriverGet");
    if (list_count(count, 1, drivers != NULL) != 0) {
        drivers[0] = &driver;
    }
    return ZE_RESULT_SUCCESS;
}

static ze_result_t driver_get_api_version(ze_driver_handle_t handle, ze_api_version_t *version) {
    ENTER("zeDriverGetApiVersion");
    (void)handle;
    *version = ZE_API_VERSION_CURRENT;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t driver_get_properties(ze_driver_handle_t handle,
                                         ze_driver_properties_t *properties) {
    ENTER("zeDriverGetProperties");
    (void)handle;
    memset(&properties->uuid, 0x11, sizeof(properties->uuid));
    properties->driverVersion = 1;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t driver_get_ipc_properties(ze_driver_handle_t handle,
                                             ze_driver_ipc_properties_t *properties) {
    ENTER("zeDriverGetIpcProperties");
    (void)handle;
    properties->flags = ZE_IPC_PROPERTY_FLAG_MEMORY;
    return ZE_RESULT_SUCCESS;
}

static size_t cache_line(void) {
    const char *text = getenv("UMF_STANDIN_CACHE_LINE");
    return text != NULL ? strtoul(text, NULL, 0) : 0;
}

static ze_result_t driver_get_extensions(ze_driver_handle_t handle, uint32_t *count,
                                         ze_driver_extension_properties_t *extensions) {
    ENTER("zeDriverGetExtensionProperties");
    (void)handle;
    static const char *const names[] = {ZE_MEMORY_FREE_POLICIES_EXT_NAME,
                                        "ZE_extension_device_cache_line_size"};
    uint32_t listed = list_count(count, cache_line() != 0 ? 2 : 1, extensions != NULL);
    for (uint32_t i = 0; i < listed; i++) {
        strcpy(extensions[i].name, names[i]);
        extensions[i].version = ZE_MAKE_VERSION(1, 0);
    }
    return ZE_RESULT_SUCCESS;
}

/* ---- devices --------------------------------------------------------------------------------- */

static ze_result_t device_get(ze_driver_handle_t handle, uint32_t *count, ze_device_handle_t *out) {
    ENTER("zeDeviceGet");
    (void)handle;
    uint32_t listed = list_count(count, standin_device_count(), out != NULL);
    for (uint32_t i = 0; i < listed; i++) {
        out[i] = &devices[i];
    }
    return ZE_RESULT_SUCCESS;
}

static ze_result_t device_get_sub_devices(ze_device_handle_t device, uint32_t *count,
                                          ze_device_handle_t *out) {
    ENTER("zeDeviceGetSubDevices");
    (void)device, (void)out;
    *count = 0;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t device_get_properties(ze_device_handle_t device,
                                         ze_device_properties_t *properties) {
    ENTER("zeDeviceGetProperties");
    if (!device_valid(device)) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    properties->type = ZE_DEVICE_TYPE_GPU;
    properties->vendorId = 0x1d0e;
    properties->deviceId = (uint32_t)device->number;
    properties->maxMemAllocSize = standin_device_memory() / 4;
    memset(&properties->uuid, device->number + 1, sizeof(properties->uuid));
    snprintf(properties->name, sizeof(properties->name), "stand-in %d", device->number);
    return ZE_RESULT_SUCCESS;
}

static ze_result_t device_get_memories(ze_device_handle_t device, uint32_t *count,
                                       ze_device_memory_properties_t *memories) {
    ENTER("zeDeviceGetMemoryProperties");
    (void)device;
    uint32_t listed = list_count(count, MEMORIES, memories != NULL);
    for (uint32_t i = 0; i < listed; i++) {
        memories[i].totalSize = standin_device_memory();
        snprintf(memories[i].name, sizeof(memories[i].name), "memory %u", i);
    }
    return ZE_RESULT_SUCCESS;
}

typedef struct cache_line_desc {
    uint32_t type;
    void *next;
    size_t bytes;
} cache_line_desc_t;

static ze_result_t device_get_caches(ze_device_handle_t device, uint32_t *count,
                                     ze_device_cache_properties_t *caches) {
    ENTER("zeDeviceGetCacheProperties");
    (void)device;
    if (list_count(count, 1, caches != NULL) != 0) {
        caches[0].cacheSize = 1 << 20;
        cache_line_desc_t *line = caches[0].pNext;
        if (line != NULL && line->type == CACHE_LINE_TYPE) {
            line->bytes = cache_line();
        }
    }
    return ZE_RESULT_SUCCESS;
}

static ze_result_t device_get_status(ze_device_handle_t device) {
    ENTER("zeDeviceGetStatus");
    return device_valid(device) ? ZE_RESULT_SUCCESS : ZE_RESULT_ERROR_INVALID_ARGUMENT;
}

/* ---- contexts -------------------------------------------------------------------------------- */

static ze_result_t context_create(ze_driver_handle_t handle, const ze_context_desc_t *desc,
                                  ze_context_handle_t *context) {
    ENTER("zeContextCreate");
    (void)handle, (void)desc;
    ze_result_t result = ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    pthread_mutex_lock(&contexts_lock);
    for (int i = 0; i < CONTEXTS_MAX && result != ZE_RESULT_SUCCESS; i++) {
        if (!contexts[i].used) {
            contexts[i].used = true;
            *context = &contexts[i];
            standin_contexts_add(1);
            result = ZE_RESULT_SUCCESS;
        }
    }
    pthread_mutex_unlock(&contexts_lock);
    return result;
}

static ze_result_t context_create_ex(ze_driver_handle_t handle, const ze_context_desc_t *desc,
                                     uint32_t count, ze_device_handle_t *list,
                                     ze_context_handle_t *context) {
    (void)count, (void)list;
    return context_create(handle, desc, context);
}

static ze_result_t context_destroy(ze_context_handle_t context) {
    ENTER("zeContextDestroy");
    if (!context_valid(context)) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    standin_context_free(context);
    context->used = false;
    standin_contexts_add(-1);
    return ZE_RESULT_SUCCESS;
}

static ze_result_t context_get_status(ze_context_handle_t context) {
    ENTER("zeContextGetStatus");
    return context_valid(context) ? ZE_RESULT_SUCCESS : ZE_RESULT_ERROR_DEVICE_LOST;
}

/* The block of a residency call; NULL: a wrong argument. */
static standin_block_t *resident_block(ze_context_handle_t context, ze_device_handle_t device,
                                       const void *ptr, size_t size) {
    standin_block_t *block = standin_block_find(ptr);
    bool good = context_valid(context) && device_valid(device) && block != NULL && size != 0 &&
                size <= block->size - (size_t)((const char *)ptr - block->base);
    return good ? block : NULL;
}

static ze_result_t context_make_resident(ze_context_handle_t context, ze_device_handle_t device,
                                         void *ptr, size_t size) {
    ENTER("zeContextMakeMemoryResident");
    standin_block_t *block = resident_block(context, device, ptr, size);
    if (block == NULL) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    __atomic_fetch_or(&block->resident, UINT32_C(1) << device->number, __ATOMIC_RELAXED);
    return ZE_RESULT_SUCCESS;
}

static ze_result_t context_evict(ze_context_handle_t context, ze_device_handle_t device, void *ptr,
                                 size_t size) {
    ENTER("zeContextEvictMemory");
    standin_block_t *block = resident_block(context, device, ptr, size);
    const uint32_t bit = device_valid(device) ? UINT32_C(1) << device->number : 0;
    if (block == NULL ||
        (__atomic_fetch_and(&block->resident, ~bit, __ATOMIC_RELAXED) & bit) == 0) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return ZE_RESULT_SUCCESS;
}

/* ---- allocation ------------------------------------------------------------------------------ */

/* The structure of a type in a chain of descriptors, or NULL. */
static const void *chain_find(const void *first, ze_structure_type_t type) {
    const ze_base_desc_t *at = first;
    while (at != NULL && at->stype != type) {
        at = at->pNext;
    }
    return at;
}

static ze_result_t check_size(const void *chain, size_t size, size_t alignment) {
    const ze_relaxed_allocation_limits_exp_desc_t *relaxed =
        chain_find(chain, ZE_STRUCTURE_TYPE_RELAXED_ALLOCATION_LIMITS_EXP_DESC);
    bool large =
        relaxed != NULL && (relaxed->flags & ZE_RELAXED_ALLOCATION_LIMITS_EXP_FLAG_MAX_SIZE) != 0;
    if (size == 0 || (size > standin_device_memory() / 4 && !large)) {
        return ZE_RESULT_ERROR_UNSUPPORTED_SIZE;
    }
    return (alignment & (alignment - 1)) != 0 ? ZE_RESULT_ERROR_UNSUPPORTED_ALIGNMENT
                                              : ZE_RESULT_SUCCESS;
}

static ze_result_t alloc_block(const standin_request_t *request, standin_block_t **block) {
    *block = standin_block_new(request);
    if (*block != NULL) {
        return ZE_RESULT_SUCCESS;
    }
    return request->device >= 0 ? ZE_RESULT_ERROR_OUT_OF_DEVICE_MEMORY
                                : ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY;
}

static ze_result_t mem_alloc_host(ze_context_handle_t context, const ze_host_mem_alloc_desc_t *desc,
                                  size_t size, size_t alignment, void **ptr) {
    ENTER("zeMemAllocHost");
    if (!context_valid(context)) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ze_result_t result = check_size(desc, size, alignment);
    standin_block_t *block = NULL;
    if (result == ZE_RESULT_SUCCESS) {
        result = alloc_block(&(standin_request_t){.size = size,
                                                  .alignment = alignment,
                                                  .kind = STANDIN_HOST,
                                                  .device = -1,
                                                  .context = context},
                             &block);
    }
    if (result == ZE_RESULT_SUCCESS) {
        *ptr = block->base;
    }
    return result;
}

static ze_result_t import_fd(const ze_external_memory_import_fd_t *import,
                             ze_context_handle_t context, size_t size, void **ptr) {
    struct stat status;
    if (fstat(import->fd, &status) != 0 || (uint64_t)status.st_size < size) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    standin_block_t probe = {
        .fd = import->fd, .device = -1, .size = size, .mapped = (size_t)status.st_size};
    standin_ticket_t ticket;
    standin_ticket_make(&probe, &ticket);
    standin_block_t *block = standin_block_open(&ticket, import->fd, context);
    if (block == NULL) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    block->exportable = true; // marks imported memory, see mem_free
    *ptr = block->base;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t mem_alloc_device(ze_context_handle_t context,
                                    const ze_device_mem_alloc_desc_t *desc, size_t size,
                                    size_t alignment, ze_device_handle_t device, void **ptr) {
    ENTER("zeMemAllocDevice");
    if (!context_valid(context) || !device_valid(device) || desc->ordinal >= MEMORIES) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const ze_external_memory_import_fd_t *import =
        chain_find(desc, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMPORT_FD);
    if (import != NULL) {
        return import_fd(import, context, size, ptr);
    }
    const ze_external_memory_export_desc_t *export_desc =
        chain_find(desc, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_EXPORT_DESC);
    if (export_desc != NULL && export_desc->flags != ZE_EXTERNAL_MEMORY_TYPE_FLAG_DMA_BUF) {
        return ZE_RESULT_ERROR_UNSUPPORTED_ENUMERATION;
    }
    ze_result_t result = check_size(desc, size, alignment);
    standin_block_t *block = NULL;
    if (result == ZE_RESULT_SUCCESS) {
        result = alloc_block(
            &(standin_request_t){.size = size,
                                 .alignment = alignment > DEVICE_PAGE ? alignment : DEVICE_PAGE,
                                 .kind = STANDIN_DEVICE,
                                 .device = device->number,
                                 .context = context},
            &block);
    }
    if (result == ZE_RESULT_SUCCESS) {
        block->exportable = export_desc != NULL;
        *ptr = block->base;
    }
    return result;
}

static ze_result_t mem_alloc_shared(ze_context_handle_t context,
                                    const ze_device_mem_alloc_desc_t *device_desc,
                                    const ze_host_mem_alloc_desc_t *host_desc, size_t size,
                                    size_t alignment, ze_device_handle_t device, void **ptr) {
    ENTER("zeMemAllocShared");
    (void)host_desc;
    if (!context_valid(context) || (device != NULL && !device_valid(device)) ||
        device_desc->ordinal >= MEMORIES) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ze_result_t result = check_size(device_desc, size, alignment);
    standin_block_t *block = NULL;
    if (result == ZE_RESULT_SUCCESS) {
        result = alloc_block(&(standin_request_t){.size = size,
                                                  .alignment = alignment,
                                                  .kind = STANDIN_SHARED,
                                                  .device = device != NULL ? device->number : -1,
                                                  .context = context},
                             &block);
    }
    if (result == ZE_RESULT_SUCCESS) {
        *ptr = block->base;
    }
    return result;
}

static ze_result_t free_block(ze_context_handle_t context, void *ptr) {
    standin_block_t *block = context_valid(context) ? standin_block_find(ptr) : NULL;
    bool freed = false;
    if (block != NULL && block->base == ptr) {
        freed = block->kind != STANDIN_OPENED ? standin_block_free(ptr, 0)
                : block->exportable           ? standin_block_free(ptr, STANDIN_OPENED)
                                              : false;
    }
    return freed ? ZE_RESULT_SUCCESS : ZE_RESULT_ERROR_INVALID_ARGUMENT;
}

static ze_result_t mem_free(ze_context_handle_t context, void *ptr) {
    ENTER("zeMemFree");
    return free_block(context, ptr);
}

static ze_result_t mem_free_ext(ze_context_handle_t context, const ze_memory_free_ext_desc_t *desc,
                                void *ptr) {
    ENTER("zeMemFreeExt");
    if (desc->stype != ZE_STRUCTURE_TYPE_MEMORY_FREE_EXT_DESC) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    standin_enter(desc->freePolicy == ZE_DRIVER_MEMORY_FREE_POLICY_EXT_FLAG_BLOCKING_FREE
                      ? "free policy: blocking"
                  : desc->freePolicy == ZE_DRIVER_MEMORY_FREE_POLICY_EXT_FLAG_DEFER_FREE
                      ? "free policy: defer"
                      : "free policy: none");
    return free_block(context, ptr);
}

static ze_result_t export_block(const standin_block_t *block, ze_external_memory_export_fd_t *out) {
    if (!block->exportable || block->kind != STANDIN_DEVICE) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (out->flags != ZE_EXTERNAL_MEMORY_TYPE_FLAG_DMA_BUF) {
        return ZE_RESULT_ERROR_UNSUPPORTED_ENUMERATION;
    }
    const char *fresh = getenv("UMF_STANDIN_EXPORT_FRESH");
    out->fd = fresh != NULL ? fcntl(block->fd, F_DUPFD_CLOEXEC, 3) : block->fd;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t mem_get_properties(ze_context_handle_t context, const void *ptr,
                                      ze_memory_allocation_properties_t *properties,
                                      ze_device_handle_t *device) {
    ENTER("zeMemGetAllocProperties");
    standin_block_t *block = standin_block_find(ptr);
    if (!context_valid(context) || block == NULL) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ze_external_memory_export_fd_t *out =
        (void *)(uintptr_t)chain_find(properties, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_EXPORT_FD);
    if (out != NULL) {
        ze_result_t result = export_block(block, out);
        if (result != ZE_RESULT_SUCCESS) {
            return result;
        }
    }
    properties->type = block->kind == STANDIN_HOST     ? ZE_MEMORY_TYPE_HOST
                       : block->kind == STANDIN_SHARED ? ZE_MEMORY_TYPE_SHARED
                                                       : ZE_MEMORY_TYPE_DEVICE;
    properties->id = block->id;
    properties->pageSize = properties->type == ZE_MEMORY_TYPE_DEVICE ? DEVICE_PAGE : HOST_PAGE;
    if (device != NULL) {
        *device = block->device >= 0 ? &devices[block->device] : NULL;
    }
    return ZE_RESULT_SUCCESS;
}

static ze_result_t mem_get_range(ze_context_handle_t context, const void *ptr, void **base,
                                 size_t *size) {
    ENTER("zeMemGetAddressRange");
    standin_block_t *block = standin_block_find(ptr);
    if (!context_valid(context) || block == NULL) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (base != NULL) {
        *base = block->base;
    }
    if (size != NULL) {
        *size = block->size;
    }
    return ZE_RESULT_SUCCESS;
}

/* ---- other processes ------------------------------------------------------------------------- */

static ze_result_t mem_get_ipc(ze_context_handle_t context, const void *ptr,
                               ze_ipc_mem_handle_t *handle) {
    ENTER("zeMemGetIpcHandle");
    standin_block_t *block = standin_block_find(ptr);
    if (!context_valid(context) || block == NULL || block->kind == STANDIN_SHARED) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    standin_ticket_t ticket;
    standin_ticket_make(block, &ticket);
    memset(handle, 0, sizeof(*handle));
    memcpy(handle, &ticket, sizeof(ticket));
    return ZE_RESULT_SUCCESS;
}

static ze_result_t mem_open_ipc(ze_context_handle_t context, ze_device_handle_t device,
                                ze_ipc_mem_handle_t handle, ze_ipc_memory_flags_t flags,
                                void **ptr) {
    ENTER("zeMemOpenIpcHandle");
    standin_ticket_t ticket;
    memcpy(&ticket, &handle, sizeof(ticket));
    if (!context_valid(context) || flags != 0 || (device != NULL && !device_valid(device))) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    standin_block_t *block = standin_block_open(&ticket, ticket.fd, context);
    if (block == NULL) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *ptr = block->base;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t mem_close_ipc(ze_context_handle_t context, const void *ptr) {
    ENTER("zeMemCloseIpcHandle");
    standin_block_t *block = context_valid(context) ? standin_block_find(ptr) : NULL;
    return block != NULL && !block->exportable && standin_block_free(ptr, STANDIN_OPENED)
               ? ZE_RESULT_SUCCESS
               : ZE_RESULT_ERROR_INVALID_ARGUMENT;
}

/* ---- commands -------------------------------------------------------------------------------- */

/* Only immediate and synchronous lists, only copies: a command is done when its call returns. */
static struct _ze_command_list_handle_t { int unused; } command_list;

static ze_result_t list_create_immediate(ze_context_handle_t context, ze_device_handle_t device,
                                         const ze_command_queue_desc_t *desc,
                                         ze_command_list_handle_t *list) {
    ENTER("zeCommandListCreateImmediate");
    if (!context_valid(context) || !device_valid(device)) {
        return ZE_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (desc->mode != ZE_COMMAND_QUEUE_MODE_SYNCHRONOUS) {
        return ZE_RESULT_ERROR_UNSUPPORTED_FEATURE;
    }
    *list = &command_list;
    return ZE_RESULT_SUCCESS;
}

static ze_result_t list_destroy(ze_command_list_handle_t list) {
    ENTER("zeCommandListDestroy");
    return list == &command_list ? ZE_RESULT_SUCCESS : ZE_RESULT_ERROR_INVALID_ARGUMENT;
}

/* Where the "device" sees ptr: its memory may be closed to the host, so it has a view of its own.
 * *view is what to unmap; NULL: none. */
static char *device_view(const void *ptr, standin_block_t **block, void **view) {
    *block = standin_block_find(ptr);
    *view = NULL;
    if (*block == NULL) {
        return (char *)(uintptr_t)ptr; // the program's own memory
    }
    void *mapped =
        mmap(NULL, (*block)->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, (*block)->fd, 0);
    if (mapped == MAP_FAILED) {
        return NULL;
    }
    *view = mapped;
    return (char *)mapped + ((const char *)ptr - (*block)->mapping);
}

static ze_result_t list_copy(ze_command_list_handle_t list, void *to, const void *from, size_t size,
                             ze_event_handle_t signal, uint32_t waits, ze_event_handle_t *events) {
    ENTER("zeCommandListAppendMemoryCopy");
    (void)list, (void)signal, (void)waits, (void)events;
    standin_block_t *to_block, *from_block;
    void *to_view, *from_view;
    char *target = device_view(to, &to_block, &to_view);
    char *source = device_view(from, &from_block, &from_view);
    if (target != NULL && source != NULL) {
        memcpy(target, source, size);
    }
    if (to_view != NULL) {
        munmap(to_view, to_block->mapped);
    }
    if (from_view != NULL) {
        munmap(from_view, from_block->mapped);
    }
    return target != NULL && source != NULL ? ZE_RESULT_SUCCESS
                                            : ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY;
}

/* ---- tables ---------------------------------------------------------------------------------- */

#define TABLE(function, type, ...)                                                                 \
    API ze_result_t function(ze_api_version_t version, type *table) {                              \
        (void)version;                                                                             \
        if (table == NULL) {                                                                       \
            return ZE_RESULT_ERROR_INVALID_NULL_POINTER;                                           \
        }                                                                                          \
        *table = (type){__VA_ARGS__};                                                              \
        return ZE_RESULT_SUCCESS;                                                                  \
    }

TABLE(zeGetGlobalProcAddrTable, ze_global_dditable_t, .pfnInit = init)
TABLE(zeGetDriverProcAddrTable, ze_driver_dditable_t, .pfnGet = driver_get,
      .pfnGetApiVersion = driver_get_api_version, .pfnGetProperties = driver_get_properties,
      .pfnGetIpcProperties = driver_get_ipc_properties,
      .pfnGetExtensionProperties = driver_get_extensions)
TABLE(zeGetDeviceProcAddrTable, ze_device_dditable_t, .pfnGet = device_get,
      .pfnGetSubDevices = device_get_sub_devices, .pfnGetProperties = device_get_properties,
      .pfnGetMemoryProperties = device_get_memories, .pfnGetCacheProperties = device_get_caches,
      .pfnGetStatus = device_get_status)
TABLE(zeGetContextProcAddrTable, ze_context_dditable_t, .pfnCreate = context_create,
      .pfnDestroy = context_destroy, .pfnGetStatus = context_get_status,
      .pfnMakeMemoryResident = context_make_resident, .pfnEvictMemory = context_evict,
      .pfnCreateEx = context_create_ex)
TABLE(zeGetMemProcAddrTable, ze_mem_dditable_t, .pfnAllocShared = mem_alloc_shared,
      .pfnAllocDevice = mem_alloc_device, .pfnAllocHost = mem_alloc_host, .pfnFree = mem_free,
      .pfnGetAllocProperties = mem_get_properties, .pfnGetAddressRange = mem_get_range,
      .pfnGetIpcHandle = mem_get_ipc, .pfnOpenIpcHandle = mem_open_ipc,
      .pfnCloseIpcHandle = mem_close_ipc, .pfnFreeExt = mem_free_ext)

TABLE(zeGetCommandListProcAddrTable, ze_command_list_dditable_t,
      .pfnCreateImmediate = list_create_immediate, .pfnDestroy = list_destroy,
      .pfnAppendMemoryCopy = list_copy)

/* The loader gives up on a driver that lacks one of the others, down to those for tools and system
 * management. */
TABLE(zeGetDeviceExpProcAddrTable, ze_device_exp_dditable_t, 0)
TABLE(zeGetCommandQueueProcAddrTable, ze_command_queue_dditable_t, 0)
TABLE(zeGetImageProcAddrTable, ze_image_dditable_t, 0)
TABLE(zeGetImageExpProcAddrTable, ze_image_exp_dditable_t, 0)
TABLE(zeGetFenceProcAddrTable, ze_fence_dditable_t, 0)
TABLE(zeGetEventPoolProcAddrTable, ze_event_pool_dditable_t, 0)
TABLE(zeGetEventProcAddrTable, ze_event_dditable_t, 0)
TABLE(zeGetEventExpProcAddrTable, ze_event_exp_dditable_t, 0)
TABLE(zeGetModuleProcAddrTable, ze_module_dditable_t, 0)
TABLE(zeGetModuleBuildLogProcAddrTable, ze_module_build_log_dditable_t, 0)
TABLE(zeGetKernelProcAddrTable, ze_kernel_dditable_t, 0)
TABLE(zeGetKernelExpProcAddrTable, ze_kernel_exp_dditable_t, 0)
TABLE(zeGetSamplerProcAddrTable, ze_sampler_dditable_t, 0)
TABLE(zeGetPhysicalMemProcAddrTable, ze_physical_mem_dditable_t, 0)
TABLE(zeGetVirtualMemProcAddrTable, ze_virtual_mem_dditable_t, 0)
TABLE(zeGetFabricVertexExpProcAddrTable, ze_fabric_vertex_exp_dditable_t, 0)
TABLE(zeGetFabricEdgeExpProcAddrTable, ze_fabric_edge_exp_dditable_t, 0)
TABLE(zetGetDeviceProcAddrTable, zet_device_dditable_t, 0)
TABLE(zetGetContextProcAddrTable, zet_context_dditable_t, 0)
TABLE(zetGetCommandListProcAddrTable, zet_command_list_dditable_t, 0)
TABLE(zetGetModuleProcAddrTable, zet_module_dditable_t, 0)
TABLE(zetGetKernelProcAddrTable, zet_kernel_dditable_t, 0)
TABLE(zetGetMetricGroupProcAddrTable, zet_metric_group_dditable_t, 0)
TABLE(zetGetMetricGroupExpProcAddrTable, zet_metric_group_exp_dditable_t, 0)
TABLE(zetGetMetricProcAddrTable, zet_metric_dditable_t, 0)
TABLE(zetGetMetricStreamerProcAddrTable, zet_metric_streamer_dditable_t, 0)
TABLE(zetGetMetricQueryPoolProcAddrTable, zet_metric_query_pool_dditable_t, 0)
TABLE(zetGetMetricQueryProcAddrTable, zet_metric_query_dditable_t, 0)
TABLE(zetGetTracerExpProcAddrTable, zet_tracer_exp_dditable_t, 0)
TABLE(zetGetDebugProcAddrTable, zet_debug_dditable_t, 0)
TABLE(zesGetDriverProcAddrTable, zes_driver_dditable_t, 0)
TABLE(zesGetDeviceProcAddrTable, zes_device_dditable_t, 0)
TABLE(zesGetSchedulerProcAddrTable, zes_scheduler_dditable_t, 0)
TABLE(zesGetPerformanceFactorProcAddrTable, zes_performance_factor_dditable_t, 0)
TABLE(zesGetPowerProcAddrTable, zes_power_dditable_t, 0)
TABLE(zesGetFrequencyProcAddrTable, zes_frequency_dditable_t, 0)
TABLE(zesGetEngineProcAddrTable, zes_engine_dditable_t, 0)
TABLE(zesGetStandbyProcAddrTable, zes_standby_dditable_t, 0)
TABLE(zesGetFirmwareProcAddrTable, zes_firmware_dditable_t, 0)
TABLE(zesGetMemoryProcAddrTable, zes_memory_dditable_t, 0)
TABLE(zesGetFabricPortProcAddrTable, zes_fabric_port_dditable_t, 0)
TABLE(zesGetTemperatureProcAddrTable, zes_temperature_dditable_t, 0)
TABLE(zesGetPsuProcAddrTable, zes_psu_dditable_t, 0)
TABLE(zesGetFanProcAddrTable, zes_fan_dditable_t, 0)
TABLE(zesGetLedProcAddrTable, zes_led_dditable_t, 0)
TABLE(zesGetRasProcAddrTable, zes_ras_dditable_t, 0)
TABLE(zesGetDiagnosticsProcAddrTable, zes_diagnostics_dditable_t, 0)

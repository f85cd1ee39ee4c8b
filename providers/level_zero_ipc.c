/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * LEVEL_ZERO memory in other processes, in two ways that a handle names:
 *
 *   IPC     the driver's own handles; their first int is a descriptor of the producer, which the
 *           consumer replaces by a duplicate
 *   export  device memory made for it: its descriptor, imported by the consumer as an allocation
 *
 * Who owns an exported descriptor is not laid down: some drivers make one for each query, others
 * keep one for the allocation's life and hand out its number. Two queries tell: different numbers
 * are ours to close, equal ones are not.
 */
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "providers/foreign_fd.h"
#include "providers/provider_level_zero.h"

enum {
    HANDLE_IPC = 0,
    HANDLE_EXPORTED = 1,       /* the driver closes the descriptor */
    HANDLE_EXPORTED_FRESH = 2, /* we do, when the handle is put */
};

/* Data of a handle. */
typedef struct level_zero_ipc_data {
    int32_t pid;
    int32_t kind;
    uint64_t size; /* bytes of the block */
    level_zero_ipc_handle_t handle;
} level_zero_ipc_data_t;
static_assert(sizeof(level_zero_ipc_data_t) == 80, "as long as in other implementations");

static int handle_fd(const level_zero_ipc_handle_t *handle) {
    int fd;
    memcpy(&fd, handle->data, sizeof(fd));
    return fd;
}

static void handle_fd_set(level_zero_ipc_handle_t *handle, int fd) {
    memcpy(handle->data, &fd, sizeof(fd));
}

umf_result_t level_zero_get_ipc_handle_size(void *priv, size_t *size) {
    (void)priv;
    *size = sizeof(level_zero_ipc_data_t);
    return UMF_RESULT_SUCCESS;
}

/* ---- producer -------------------------------------------------------------------------------- */

static umf_result_t export_fd(const level_zero_provider_t *provider, const void *ptr, int *fd) {
    level_zero_fd_desc_t exported = {
        .type = LEVEL_ZERO_TYPE_EXPORT_FD, .flags = LEVEL_ZERO_EXTERNAL_DMA_BUF, .fd = -1};
    level_zero_allocation_properties_t properties = {.type = LEVEL_ZERO_TYPE_ALLOCATION_PROPERTIES,
                                                     .next = &exported};
    umf_result_t result = level_zero_result(
        level_zero_loader.zeMemGetAllocProperties(provider->context, ptr, &properties, NULL),
        "zeMemGetAllocProperties (export)");
    if (result == UMF_RESULT_SUCCESS && exported.fd < 0) {
        log_error("the driver exported no descriptor");
        result = UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    *fd = exported.fd;
    return result;
}

static umf_result_t get_exported(const level_zero_provider_t *provider, const void *ptr,
                                 level_zero_ipc_data_t *data) {
    int first = -1, second = -1;
    umf_result_t result = export_fd(provider, ptr, &first);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    data->kind = HANDLE_EXPORTED;
    if (export_fd(provider, ptr, &second) == UMF_RESULT_SUCCESS && second != first) {
        data->kind = HANDLE_EXPORTED_FRESH;
        close(second);
    }
    handle_fd_set(&data->handle, first);
    return UMF_RESULT_SUCCESS;
}

static bool is_exportable(level_zero_provider_t *provider, const void *ptr) {
    lock_acquire(&provider->lock);
    const block_entry_t *block = block_table_find(&provider->blocks, ptr);
    bool exportable = block != NULL && (block->what & LEVEL_ZERO_EXPORTABLE) != 0;
    lock_release(&provider->lock);
    return exportable;
}

umf_result_t level_zero_get_ipc_handle(void *priv, const void *ptr, size_t size, void *data) {
    level_zero_provider_t *provider = priv;
    level_zero_ipc_data_t filled = {.pid = (int32_t)getpid(), .kind = HANDLE_IPC, .size = size};
    umf_result_t result = is_exportable(provider, ptr)
                              ? get_exported(provider, ptr, &filled)
                              : level_zero_result(level_zero_loader.zeMemGetIpcHandle(
                                                      provider->context, ptr, &filled.handle),
                                                  "zeMemGetIpcHandle");
    if (result == UMF_RESULT_SUCCESS) {
        memcpy(data, &filled, sizeof(filled));
    }
    return result;
}

umf_result_t level_zero_put_ipc_handle(void *priv, void *data) {
    const level_zero_provider_t *provider = priv;
    level_zero_ipc_data_t given;
    memcpy(&given, data, sizeof(given));
    if (given.kind == HANDLE_EXPORTED_FRESH) {
        // a child that inherited the handle has the descriptor too, under the same number
        close(handle_fd(&given.handle));
    }
    if (given.kind != HANDLE_IPC || level_zero_loader.zeMemPutIpcHandle == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    return level_zero_result(level_zero_loader.zeMemPutIpcHandle(provider->context, given.handle),
                             "zeMemPutIpcHandle");
}

/* ---- consumer -------------------------------------------------------------------------------- */

static umf_result_t open_imported(level_zero_provider_t *provider,
                                  const level_zero_ipc_data_t *data, int fd, void **ptr) {
    const level_zero_fd_desc_t import = {
        .type = LEVEL_ZERO_TYPE_IMPORT_FD, .flags = LEVEL_ZERO_EXTERNAL_DMA_BUF, .fd = fd};
    const level_zero_device_allocation_t device = {
        .type = LEVEL_ZERO_TYPE_DEVICE_ALLOCATION, .next = &import, .ordinal = provider->ordinal};
    block_entry_t entry = {.size = (size_t)data->size, .what = LEVEL_ZERO_IMPORTED};
    umf_result_t result =
        level_zero_result(level_zero_loader.zeMemAllocDevice(provider->context, &device, entry.size,
                                                             0, provider->device, &entry.ptr),
                          "zeMemAllocDevice (import)");
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    lock_acquire(&provider->lock);
    bool added = block_table_add(&provider->blocks, &entry);
    lock_release(&provider->lock);
    if (!added) {
        level_zero_driver_free(provider, entry.ptr);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    *ptr = entry.ptr;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t open_plain(const level_zero_provider_t *provider,
                               const level_zero_ipc_data_t *data, void **ptr) {
    void *opened = NULL;
    umf_result_t result =
        level_zero_result(level_zero_loader.zeMemOpenIpcHandle(provider->context, provider->device,
                                                               data->handle, 0, &opened),
                          "zeMemOpenIpcHandle");
    if (result == UMF_RESULT_SUCCESS) {
        *ptr = opened;
    }
    return result;
}

/* The data come from another process and may be anything. */
static bool data_plausible(const level_zero_ipc_data_t *data) {
    if (data->kind < HANDLE_IPC || data->kind > HANDLE_EXPORTED_FRESH || data->size == 0 ||
        data->size > SIZE_MAX / 2 || data->pid <= 0 || handle_fd(&data->handle) < 0) {
        log_error("this is no IPC handle of a LEVEL_ZERO provider");
        return false;
    }
    return true;
}

umf_result_t level_zero_open_ipc_handle(void *priv, void *data, void **ptr) {
    level_zero_provider_t *provider = priv;
    level_zero_ipc_data_t given;
    memcpy(&given, data, sizeof(given));
    if (!data_plausible(&given)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int fd = -1;
    if (given.pid != (int32_t)getpid()) {
        umf_result_t result = foreign_fd_get(given.pid, handle_fd(&given.handle), &fd);
        if (result != UMF_RESULT_SUCCESS) {
            return result;
        }
        handle_fd_set(&given.handle, fd);
    }
    umf_result_t result = given.kind == HANDLE_IPC
                              ? open_plain(provider, &given, ptr)
                              : open_imported(provider, &given, handle_fd(&given.handle), ptr);
    if (fd >= 0) {
        close(fd); // the driver has a reference of its own
    }
    return result;
}

umf_result_t level_zero_close_ipc_handle(void *priv, void *ptr, size_t size) {
    level_zero_provider_t *provider = priv;
    (void)size;
    block_entry_t entry = {0};
    lock_acquire(&provider->lock);
    const block_entry_t *block = block_table_find(&provider->blocks, ptr);
    bool imported = block != NULL && (block->what & LEVEL_ZERO_IMPORTED) != 0;
    if (imported) {
        block_table_remove(&provider->blocks, ptr, &entry);
    }
    lock_release(&provider->lock);
    if (!imported) {
        return level_zero_result(level_zero_loader.zeMemCloseIpcHandle(provider->context, ptr),
                                 "zeMemCloseIpcHandle");
    }
    return level_zero_result(level_zero_loader.zeMemFree(provider->context, ptr),
                             "zeMemFree (import)");
}

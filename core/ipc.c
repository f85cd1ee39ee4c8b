/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The interface of IPC; see ipc.h for the parts behind it. A handler is the tracking wrapper of a
 * pool. Pools without tracking get one when a handler is asked for, so that what they open can be
 * closed like everything else.
 */
#define _GNU_SOURCE
#include "core/ipc.h"

#include <umf/experimental/ipc_ext.h>

#include <errno.h>
#include <stdlib.h>

#include "core/init.h"
#include "core/log.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/state.h"
#include "core/tracking.h"

/* ---- limits ---------------------------------------------------------------------------------- */

void ipc_set_limits(size_t exports, size_t imports) {
    store_relaxed(&umf_core_state.ipc.export_limit, exports);
    store_relaxed(&umf_core_state.ipc.import_limit, imports);
}

/* A whole number out of the environment; 0 when it is not set or wrong. */
static size_t limit_from(const char *variable) {
    const char *text = secure_getenv(variable);
    if (text == NULL || *text == '\0') {
        return 0;
    }
    char *end;
    const int saved_errno = errno;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    bool valid = *text >= '0' && *text <= '9' && *end == '\0' && errno == 0;
    errno = saved_errno;
    if (!valid) {
        log_error("%s=%s: a whole number is allowed (0: no limit); there is no limit now", variable,
                  text);
        return 0;
    }
    return (size_t)number;
}

void ipc_limits_from_environment(void) {
    ipc_set_limits(limit_from("UMF_MAX_EXPORTED_IPC_HANDLES"),
                   limit_from("UMF_MAX_OPENED_IPC_HANDLES"));
}

void ipc_fork_child(void) {
    ipc_export_fork_child();
    ipc_import_fork_child();
}

/* ---- producer -------------------------------------------------------------------------------- */

umf_result_t ipc_data_bytes(umf_memory_provider_handle_t provider, size_t *bytes) {
    size_t size = 0;
    umf_result_t result = umfMemoryProviderGetIPCHandleSize(provider, &size);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (size > IPC_DATA_MAX) {
        log_error("the provider's IPC data have %zu bytes; at most %d fit into a handle", size,
                  (int)IPC_DATA_MAX);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *bytes = size;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfPoolGetIPCHandleSize(umf_memory_pool_handle_t hPool, size_t *size) {
    if (hPool == NULL || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t bytes;
    umf_result_t result = ipc_data_bytes(hPool->provider, &bytes);
    if (result == UMF_RESULT_SUCCESS) {
        *size = IPC_HEADER_BYTES + bytes;
    }
    return result;
}

UMF_EXPORT umf_result_t umfGetIPCHandle(const void *ptr, umf_ipc_handle_t *ipcHandle,
                                        size_t *size) {
    if (ptr == NULL || ipcHandle == NULL || size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    map_region_t *region = map_find_region(ptr);
    if (region != NULL && region->ipc_opened) {
        log_error("%p is in an opened IPC mapping: only the producer can share it", ptr);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    if (region == NULL || region->hidden || region->pool == NULL ||
        region->pool->magic != UMF_POOL_MAGIC) {
        log_error("%p is in no memory of a pool with tracking", ptr);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return ipc_export_get(region, (uintptr_t)ptr - region->base, ipcHandle, size);
}

UMF_EXPORT umf_result_t umfPutIPCHandle(umf_ipc_handle_t ipcHandle) {
    return ipcHandle != NULL ? ipc_export_put(ipcHandle) : UMF_RESULT_SUCCESS;
}

/* ---- consumer -------------------------------------------------------------------------------- */

UMF_EXPORT umf_result_t umfPoolGetIPCHandler(umf_memory_pool_handle_t hPool,
                                             umf_ipc_handler_handle_t *hIPCHandler) {
    if (hPool == NULL || hIPCHandler == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (hPool->tracking != NULL) {
        *hIPCHandler = hPool->tracking;
        return UMF_RESULT_SUCCESS;
    }
    umf_memory_provider_handle_t known = load_acquire(&hPool->ipc_handler);
    if (known == NULL) {
        umf_memory_provider_handle_t made;
        umf_result_t result = tracking_provider_create(hPool->provider, NULL, &made);
        if (result != UMF_RESULT_SUCCESS) {
            return result;
        }
        // release: the wrapper is complete; pairs with the acquires here
        if (cas_strong_acq_rel(&hPool->ipc_handler, &known, made)) {
            known = made;
        } else {
            umfMemoryProviderDestroy(made);
        }
    }
    *hIPCHandler = known;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOpenIPCHandleFromBytes(umf_ipc_handler_handle_t hIPCHandler,
                                                  const void *bytes, size_t size, void **ptr) {
    umf_memory_provider_handle_t handler = hIPCHandler;
    if (hIPCHandler == NULL || bytes == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!tracking_provider_is(handler)) {
        log_error("%p is no IPC handler; umfPoolGetIPCHandler makes one of a pool", hIPCHandler);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ipc_header_t header;
    if (!ipc_record_read(bytes, size, &header)) {
        log_error("the bytes given to umfOpenIPCHandle are no IPC handle of this version");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return ipc_import_open(handler, &header, bytes, ptr);
}

UMF_EXPORT umf_result_t umfOpenIPCHandle(umf_ipc_handler_handle_t hIPCHandler,
                                         umf_ipc_handle_t ipcHandle, void **ptr) {
    return umfOpenIPCHandleFromBytes(hIPCHandler, ipcHandle, SIZE_MAX, ptr);
}

UMF_EXPORT umf_result_t umfCloseIPCHandle(void *ptr) {
    return ptr != NULL ? ipc_import_close(ptr) : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

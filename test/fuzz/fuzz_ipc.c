/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC handles as hostile bytes. Byte 0 of an input chooses the provider and how the rest is used:
 * as a handle of its own, or laid over a true handle (exclusive or), with or without a new check
 * sum, so that what lies behind the sum is reached, too. Memory that an open gives must be
 * readable.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <umf.h>
#include <umf/experimental/ipc_ext.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/ipc.h"
#include "core/ipc_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PROVIDERS = 3, BLOCK_BYTES = 8192, KEPT_MAPPINGS = 64 };

static struct {
    umf_memory_pool_handle_t pool;
    umf_ipc_handler_handle_t handler;
    umf_ipc_handle_t handle;
    size_t size;
} side[PROVIDERS];

static umf_memory_provider_handle_t os_provider(const char *name) {
    umf_os_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider = NULL;
    umfOsMemoryProviderParamsCreate(&params);
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfOsMemoryProviderParamsSetShmName(params, name);
    umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static umf_memory_provider_handle_t file_provider(const char *path) {
    umf_file_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider = NULL;
    umfFileMemoryProviderParamsCreate(path, &params);
    umfFileMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider);
    umfFileMemoryProviderParamsDestroy(params);
    return provider;
}

static void clean_up(void) {
    for (int i = 0; i < PROVIDERS; i++) {
        umfPutIPCHandle(side[i].handle);
        umfPoolDestroy(side[i].pool);
    }
}

static void set_up(void) {
    char name[64], path[64];
    snprintf(name, sizeof(name), "umf_fuzz_%d", (int)getpid());
    snprintf(path, sizeof(path), "/tmp/umf_fuzz_%d", (int)getpid());
    umf_memory_provider_handle_t providers[PROVIDERS] = {os_provider(NULL), os_provider(name),
                                                         file_provider(path)};
    for (int i = 0; i < PROVIDERS; i++) {
        void *block;
        if (umfPoolCreate(umfProxyPoolOps(), providers[i], NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER,
                          &side[i].pool) != UMF_RESULT_SUCCESS ||
            (block = umfPoolMalloc(side[i].pool, BLOCK_BYTES)) == NULL ||
            umfGetIPCHandle(block, &side[i].handle, &side[i].size) != UMF_RESULT_SUCCESS ||
            umfPoolGetIPCHandler(side[i].pool, &side[i].handler) != UMF_RESULT_SUCCESS) {
            abort();
        }
    }
    unlink(path); // the file stays usable; a handle finds nothing under the name
    ipc_set_limits(0, KEPT_MAPPINGS); // forged ids would fill the address space
    atexit(clean_up);
}

static void try_open(int which, const void *bytes, size_t size) {
    void *ptr = NULL;
    if (umfOpenIPCHandleFromBytes(side[which].handler, bytes, size, &ptr) == UMF_RESULT_SUCCESS) {
        (void)*(volatile char *)ptr;
        if (umfCloseIPCHandle(ptr) != UMF_RESULT_SUCCESS ||
            umfCloseIPCHandle(ptr) != UMF_RESULT_ERROR_INVALID_ARGUMENT) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (side[0].pool == NULL) {
        set_up();
    }
    if (size < 1) {
        return 0;
    }
    const int which = data[0] % PROVIDERS;
    const unsigned how = data[0] / PROVIDERS;
    data++, size--;
    if (how % 2 == 0) {
        try_open(which, data, size);
        return 0;
    }
    const size_t bytes = side[which].size;
    uint8_t *forged = aligned_alloc(8, (bytes + 7) / 8 * 8);
    memcpy(forged, side[which].handle, bytes);
    for (size_t i = 0; i < size && i < bytes; i++) {
        forged[i] ^= data[i];
    }
    ipc_header_t header;
    if (how % 4 == 1 && ipc_record_read(forged, bytes, &header)) {
        ipc_record_write((struct umf_ipc_data_t *)(void *)forged, &header);
    }
    try_open(which, forged, bytes);
    free(forged);
    return 0;
}

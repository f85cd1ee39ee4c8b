/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Pools on the kinds of providers that processes share memory with: anonymous, named, file. */
#ifndef UMF_TEST_IPC_KINDS_H
#define UMF_TEST_IPC_KINDS_H

#define _GNU_SOURCE
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "peer.h"

static umf_memory_provider_handle_t kind_file(void) {
    umf_file_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/umf_ipc_%d", (int)getpid());
    umfFileMemoryProviderParamsCreate(path, &params);
    umfFileMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    REQUIRE(umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider) ==
                UMF_RESULT_SUCCESS,
            "%s", path);
    umfFileMemoryProviderParamsDestroy(params);
    return provider;
}

static umf_memory_provider_handle_t kind_os(int named) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    char name[64];
    snprintf(name, sizeof(name), "umf_ipc_%d", (int)getpid());
    umfOsMemoryProviderParamsCreate(&params);
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfOsMemoryProviderParamsSetShmName(params, named ? name : NULL);
    REQUIRE(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider) ==
                UMF_RESULT_SUCCESS,
            "OS provider");
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

/* slab: blocks share provider allocations; else every block is one. */
static umf_memory_pool_handle_t kind_pool(const char *kind, int slab) {
    umf_memory_pool_handle_t pool = NULL;
    umf_memory_provider_handle_t provider =
        strcmp(kind, "file") == 0 ? kind_file() : kind_os(strcmp(kind, "named") == 0);
    REQUIRE(umfPoolCreate(slab ? umfSlabPoolOps() : umfProxyPoolOps(), provider, NULL,
                          UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) == UMF_RESULT_SUCCESS,
            "pool");
    return pool;
}

/* Removes what a file provider leaves behind. */
static void kind_clean_up(void) {
    char path[64];
    snprintf(path, sizeof(path), "/tmp/umf_ipc_%d", (int)getpid());
    unlink(path);
}

#endif /* UMF_TEST_IPC_KINDS_H */

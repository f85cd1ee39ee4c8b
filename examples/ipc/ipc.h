/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What producer and consumer of the IPC example have in common: a pool on shared memory, and a
 * socket with a path. */
#ifndef EXAMPLE_IPC_H
#define EXAMPLE_IPC_H

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <umf.h>
#include <umf/experimental/ipc_ext.h>
#include <umf/ipc.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

static void check(int good, const char *what) {
    if (!good) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

/* A pool on anonymous memory that other processes can map. */
static umf_memory_pool_handle_t shared_pool(void) {
    umf_os_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider;
    umf_memory_pool_handle_t pool;
    check(umfOsMemoryProviderParamsCreate(&params) == UMF_RESULT_SUCCESS, "parameters");
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    check(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider) ==
              UMF_RESULT_SUCCESS,
          "provider");
    umfOsMemoryProviderParamsDestroy(params);
    check(umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER,
                        &pool) == UMF_RESULT_SUCCESS,
          "pool");
    return pool;
}

static struct sockaddr_un socket_address(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    check(strlen(path) < sizeof(address.sun_path), "path");
    strcpy(address.sun_path, path);
    return address;
}

#endif /* EXAMPLE_IPC_H */

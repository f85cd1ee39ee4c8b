/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A user's program: one block from a pool over ordinary memory, freed by its address alone. */
#include <stdio.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

int main(void) {
    umf_os_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider;
    umf_memory_pool_handle_t pool, found = NULL;
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS ||
        umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider) !=
            UMF_RESULT_SUCCESS ||
        umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER,
                      &pool) != UMF_RESULT_SUCCESS) {
        return 1;
    }
    umfOsMemoryProviderParamsDestroy(params);
    char *text = umfPoolMalloc(pool, 100);
    strcpy(text, "consumed");
    if (umfPoolByPtr(text + 99, &found) != UMF_RESULT_SUCCESS || found != pool) {
        return 2;
    }
    puts(text);
    return umfFree(text) == UMF_RESULT_SUCCESS && umfPoolDestroy(pool) == UMF_RESULT_SUCCESS ? 0
                                                                                            : 3;
}

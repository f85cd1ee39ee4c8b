/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The two layers: a provider gives memory by the page, a pool on top of it gives blocks as malloc
 * does. Ends with 77 (a skip) where oneTBB's allocator, on which the scalable pool stands, is not
 * installed.
 */
#include <stdio.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_scalable.h>
#include <umf/providers/provider_os_memory.h>

/* Memory of the operating system, with default parameters. */
static umf_memory_provider_handle_t provider_create(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS) {
        return NULL;
    }
    umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params); // the provider has copied what it needs
    return result == UMF_RESULT_SUCCESS ? provider : NULL;
}

/* Straight from the provider: whole pages, and the size has to be given back as well. */
static int use_provider(umf_memory_provider_handle_t provider) {
    const size_t size = 5000;
    const size_t alignment = 0; // the provider's own: a page
    void *memory = NULL;
    if (umfMemoryProviderAlloc(provider, size, alignment, &memory) != UMF_RESULT_SUCCESS) {
        return 1;
    }
    memset(memory, 0x5a, size);
    const char *name = "";
    umfMemoryProviderGetName(provider, &name);
    printf("provider %s: %zu bytes at %p\n", name, size, memory);
    return umfMemoryProviderFree(provider, memory, size) != UMF_RESULT_SUCCESS;
}

/* From a pool: any size, and the address is enough to find out whose a block is. */
static int use_pool(umf_memory_pool_handle_t pool, umf_memory_provider_handle_t provider) {
    enum { COUNT = 1, BYTES = 128 };
    char *block = umfPoolCalloc(pool, COUNT, BYTES);
    if (block == NULL) {
        return 1;
    }
    for (int i = 0; i < BYTES; ++i) {
        if (block[i] != 0) {
            return 1;
        }
    }
    strcpy(block, "a block of the scalable pool");

    umf_memory_pool_handle_t found_pool = NULL;
    umf_memory_provider_handle_t found_provider = NULL;
    if (umfPoolByPtr(block, &found_pool) != UMF_RESULT_SUCCESS || found_pool != pool ||
        umfPoolGetMemoryProvider(found_pool, &found_provider) != UMF_RESULT_SUCCESS ||
        found_provider != provider) {
        return 1;
    }
    printf("pool: \"%s\" at %p\n", block, (void *)block);
    return umfFree(block) != UMF_RESULT_SUCCESS; // umfPoolFree(pool, block) without the search
}

int main(void) {
    umf_memory_provider_handle_t provider = provider_create();
    if (provider == NULL || use_provider(provider) != 0) {
        fputs("basic: the provider failed\n", stderr);
        return 1;
    }

    umf_memory_pool_handle_t pool = NULL;
    const umf_pool_create_flags_t flags = 0;
    umf_result_t result = umfPoolCreate(umfScalablePoolOps(), provider, NULL, flags, &pool);
    if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        puts("basic: skipped, libtbbmalloc.so.2 is not installed");
        umfMemoryProviderDestroy(provider);
        return 77;
    }
    if (result != UMF_RESULT_SUCCESS || use_pool(pool, provider) != 0) {
        fputs("basic: the pool failed\n", stderr);
        return 1;
    }

    // Top down. UMF_POOL_CREATE_FLAG_OWN_PROVIDER would make the second call part of the first.
    umf_result_t pool_end = umfPoolDestroy(pool);
    umf_result_t provider_end = umfMemoryProviderDestroy(provider);
    return pool_end != UMF_RESULT_SUCCESS || provider_end != UMF_RESULT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* From settings to the provider that they ask for. */
#define _GNU_SOURCE
#include "proxy/choose.h"

#include <sys/mman.h>

#include <umf.h>
#include <umf/providers/provider_devdax_memory.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/log.h"
#include "core/provider.h"
#include "providers/provider_file.h"
#include "proxy/heap_file.h"

unsigned choose_protection(proxy_protection_t protection) {
    unsigned rw = UMF_PROTECTION_READ | UMF_PROTECTION_WRITE;
    return protection == PROXY_PROTECTION_RWX ? rw | UMF_PROTECTION_EXEC : rw;
}

static umf_result_t make_file(const proxy_settings_t *settings,
                              umf_memory_provider_handle_t *provider) {
    heap_file_t file;
    umf_file_memory_provider_params_handle_t params = NULL;
    umf_result_t result = heap_file_claim(settings->file.path, &file);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = umfFileMemoryProviderParamsCreate(file.path, &params);
    if (result != UMF_RESULT_SUCCESS) {
        heap_file_opened(&file);
        return result;
    }
    umfFileMemoryProviderParamsSetVisibility(
        params, settings->file.visibility == PROXY_VISIBILITY_SHARED ? UMF_MEM_MAP_SHARED
                                                                     : UMF_MEM_MAP_PRIVATE);
    umfFileMemoryProviderParamsSetProtection(params, choose_protection(settings->file.protection));
    if (settings->choice.provider_name[0] != '\0') {
        umfFileMemoryProviderParamsSetName(params, settings->choice.provider_name);
    }
    result = umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, provider);
    umfFileMemoryProviderParamsDestroy(params);
    heap_file_opened(&file);
    if (result == UMF_RESULT_SUCCESS) {
        file_provider_forget_name((*provider)->priv);
    }
    return result;
}

static umf_result_t make_devdax(const proxy_settings_t *settings,
                                umf_memory_provider_handle_t *provider) {
    const char *path = settings->devdax.path;
    umf_devdax_memory_provider_params_handle_t params = NULL;
    size_t size = settings->devdax.size != 0 ? settings->devdax.size : heap_device_size(path);
    umf_result_t result = heap_device_claim(path);
    if (result == UMF_RESULT_SUCCESS) {
        result = umfDevDaxMemoryProviderParamsCreate(path, size, &params);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfDevDaxMemoryProviderParamsSetProtection(params,
                                               choose_protection(settings->devdax.protection));
    if (settings->choice.provider_name[0] != '\0') {
        umfDevDaxMemoryProviderParamsSetName(params, settings->choice.provider_name);
    }
    result = umfMemoryProviderCreate(umfDevDaxMemoryProviderOps(), params, provider);
    umfDevDaxMemoryProviderParamsDestroy(params);
    return result;
}

/* Its memory is never given back: the process pool lives as long as the process. */
static umf_result_t make_fixed(const proxy_settings_t *settings,
                               umf_memory_provider_handle_t *provider) {
    umf_fixed_memory_provider_params_handle_t params = NULL;
    size_t size = settings->fixed.size;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        log_error_errno("%zu bytes of address space can not be had", size);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = umfFixedMemoryProviderParamsCreate(memory, size, &params);
    if (result != UMF_RESULT_SUCCESS) {
        munmap(memory, size);
        return result;
    }
    if (settings->choice.provider_name[0] != '\0') {
        umfFixedMemoryProviderParamsSetName(params, settings->choice.provider_name);
    }
    result = umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, provider);
    umfFixedMemoryProviderParamsDestroy(params);
    return result;
}

umf_result_t choose_provider(const proxy_settings_t *settings,
                             umf_memory_provider_handle_t *provider) {
    static umf_result_t (*const makers[])(const proxy_settings_t *,
                                          umf_memory_provider_handle_t *) = {
        [PROXY_PROVIDER_OS] = choose_provider_os,
        [PROXY_PROVIDER_FILE] = make_file,
        [PROXY_PROVIDER_DEVDAX] = make_devdax,
        [PROXY_PROVIDER_FIXED] = make_fixed,
        [PROXY_PROVIDER_LEVEL_ZERO] = choose_provider_gpu,
        [PROXY_PROVIDER_CUDA] = choose_provider_gpu,
    };
    return makers[settings->choice.provider](settings, provider);
}

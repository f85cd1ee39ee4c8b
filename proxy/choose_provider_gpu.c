/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* GPU memory as process malloc: provider=level_zero and provider=cuda. */
#include "proxy/choose.h"

#include "providers/provider_cuda.h"
#include "providers/provider_level_zero.h"
#include "proxy/driver_guard.h"

bool choose_needs_driver(const proxy_settings_t *settings) {
    return settings->choice.provider == PROXY_PROVIDER_LEVEL_ZERO ||
           settings->choice.provider == PROXY_PROVIDER_CUDA;
}

static umf_usm_memory_type_t memory_type(proxy_gpu_memory_t memory) {
    return memory == PROXY_GPU_MEMORY_HOST ? UMF_MEMORY_TYPE_HOST : UMF_MEMORY_TYPE_SHARED;
}

umf_result_t choose_provider_gpu(const proxy_settings_t *settings,
                                 umf_memory_provider_handle_t *provider) {
    const bool cuda = settings->choice.provider == PROXY_PROVIDER_CUDA;
    const proxy_gpu_settings_t *gpu = cuda ? &settings->cuda : &settings->level_zero;
    const char *name =
        settings->choice.provider_name[0] != '\0' ? settings->choice.provider_name : NULL;
    const umf_usm_memory_type_t type = memory_type(gpu->memory);
    const unsigned device = (unsigned)gpu->device;
    umf_result_t result = cuda ? cuda_provider_from_nothing(type, device, name, provider)
                               : level_zero_provider_from_nothing(type, device, name, provider);
    if (result == UMF_RESULT_SUCCESS) {
        driver_guard_install(*provider);
    }
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The CUDA driver as tests use it, real or stand-in. */
#ifndef UMF_TEST_CUDA_FOR_TEST_H
#define UMF_TEST_CUDA_FOR_TEST_H

#include <umf/memory_provider_gpu.h>
#include <umf/providers/provider_cuda.h>

#include "standin_for_test.h"

typedef struct cuda_test {
    void *library;
    bool is_standin;
    standin_t standin;
    int devices;
    int (*init)(unsigned flags);
    int (*device_count)(int *count);
    int (*context_create)(void **context, unsigned flags, int device);
    int (*context_destroy)(void *context);
    int (*context_get)(void **context);
    int (*context_set)(void *context);
    int (*pointer_attribute)(void *value, int attribute, uintptr_t ptr);
    int (*to_device)(uintptr_t to, const void *from, size_t bytes);
    int (*from_device)(void *to, uintptr_t from, size_t bytes);
} cuda_test_t;

/* Starts the driver; false: there is none, or no device. */
static inline bool cuda_test_start(cuda_test_t *cuda) {
    memset(cuda, 0, sizeof(*cuda));
    cuda->library = dlopen("libcuda.so.1", RTLD_NOW);
    if (cuda->library == NULL) {
        return false;
    }
    cuda->is_standin = standin_load(cuda->library, &cuda->standin);
    symbol_load(cuda->library, "cuInit", &cuda->init);
    symbol_load(cuda->library, "cuDeviceGetCount", &cuda->device_count);
    symbol_load(cuda->library, "cuCtxCreate_v2", &cuda->context_create);
    symbol_load(cuda->library, "cuCtxDestroy_v2", &cuda->context_destroy);
    symbol_load(cuda->library, "cuCtxGetCurrent", &cuda->context_get);
    symbol_load(cuda->library, "cuCtxSetCurrent", &cuda->context_set);
    symbol_load(cuda->library, "cuPointerGetAttribute", &cuda->pointer_attribute);
    symbol_load(cuda->library, "cuMemcpyHtoD_v2", &cuda->to_device);
    symbol_load(cuda->library, "cuMemcpyDtoH_v2", &cuda->from_device);
    return cuda->init(0) == 0 && cuda->device_count(&cuda->devices) == 0 && cuda->devices > 0;
}

/* A context on a device; not left current. */
static inline void *cuda_test_context(cuda_test_t *cuda, int device) {
    void *context = NULL;
    cr_assert_eq(cuda->context_create(&context, 0, device), 0);
    cr_assert_eq(cuda->context_set(NULL), 0);
    return context;
}

static inline umf_cuda_memory_provider_params_handle_t
cuda_test_params(void *context, int device, umf_usm_memory_type_t type) {
    umf_cuda_memory_provider_params_handle_t params = NULL;
    cr_assert_eq(umfCUDAMemoryProviderParamsCreate(&params), UMF_RESULT_SUCCESS);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetContext(params, context), UMF_RESULT_SUCCESS);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetDevice(params, device), UMF_RESULT_SUCCESS);
    cr_assert_eq(umfCUDAMemoryProviderParamsSetMemoryType(params, type), UMF_RESULT_SUCCESS);
    return params;
}

static inline umf_memory_provider_handle_t cuda_test_provider(void *context, int device,
                                                              umf_usm_memory_type_t type) {
    umf_memory_provider_handle_t provider = NULL;
    umf_cuda_memory_provider_params_handle_t params = cuda_test_params(context, device, type);
    cr_assert_eq(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider),
                 UMF_RESULT_SUCCESS);
    cr_assert_eq(umfCUDAMemoryProviderParamsDestroy(params), UMF_RESULT_SUCCESS);
    return provider;
}

#endif /* UMF_TEST_CUDA_FOR_TEST_H */

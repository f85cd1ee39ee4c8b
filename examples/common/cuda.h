/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What the CUDA examples share: the few driver calls that they need, found at run time so that they
 * build without a CUDA toolkit (a program that has one includes <cuda.h>), providers and pools.
 */
#ifndef UMF_EXAMPLES_CUDA_H
#define UMF_EXAMPLES_CUDA_H

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/providers/provider_cuda.h>

enum { SKIPPED = 77 }; /* exit status: there is no device here */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition);    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

typedef struct gpu {
    void *context; /* CUcontext */
    int device;    /* CUdevice */
    int (*synchronize)(void);
    int (*to_device)(uintptr_t to, const void *from, size_t bytes);
    int (*from_device)(void *to, uintptr_t from, size_t bytes);
    int (*context_destroy)(void *context);
} gpu_t;

static inline void gpu_function(void *driver, const char *name, void *function) {
    void *found = dlsym(driver, name);
    CHECK(found != NULL);
    memcpy(function, &found, sizeof(found));
}

/* The first device. Ends the program with SKIPPED where there is none. */
static inline gpu_t gpu_open(void) {
    int (*init)(unsigned), (*count)(int *), (*get)(int *, int), (*create)(void **, unsigned, int);
    gpu_t gpu;
    int devices = 0;
    void *driver = dlopen("libcuda.so.1", RTLD_NOW);
    if (driver == NULL) {
        puts("skipped: no CUDA driver");
        exit(SKIPPED);
    }
    gpu_function(driver, "cuInit", &init);
    gpu_function(driver, "cuDeviceGetCount", &count);
    gpu_function(driver, "cuDeviceGet", &get);
    gpu_function(driver, "cuCtxCreate_v2", &create);
    gpu_function(driver, "cuCtxDestroy_v2", &gpu.context_destroy);
    gpu_function(driver, "cuCtxSynchronize", &gpu.synchronize);
    gpu_function(driver, "cuMemcpyHtoD_v2", &gpu.to_device);
    gpu_function(driver, "cuMemcpyDtoH_v2", &gpu.from_device);
    if (init(0) != 0 || count(&devices) != 0 || devices == 0) {
        puts("skipped: no CUDA device");
        exit(SKIPPED);
    }
    CHECK(get(&gpu.device, 0) == 0 && create(&gpu.context, 0, gpu.device) == 0);
    return gpu;
}

/* A disjoint pool, which never touches its memory, over CUDA memory. */
static inline umf_memory_pool_handle_t gpu_pool(const gpu_t *gpu, umf_usm_memory_type_t type) {
    umf_cuda_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_disjoint_pool_params_handle_t pool_params = NULL;
    umf_memory_pool_handle_t pool = NULL;
    CHECK(umfCUDAMemoryProviderParamsCreate(&params) == UMF_RESULT_SUCCESS);
    CHECK(umfCUDAMemoryProviderParamsSetContext(params, gpu->context) == UMF_RESULT_SUCCESS);
    CHECK(umfCUDAMemoryProviderParamsSetDevice(params, gpu->device) == UMF_RESULT_SUCCESS);
    CHECK(umfCUDAMemoryProviderParamsSetMemoryType(params, type) == UMF_RESULT_SUCCESS);
    CHECK(umfMemoryProviderCreate(umfCUDAMemoryProviderOps(), params, &provider) ==
          UMF_RESULT_SUCCESS);
    CHECK(umfCUDAMemoryProviderParamsDestroy(params) == UMF_RESULT_SUCCESS);

    CHECK(umfDisjointPoolParamsCreate(&pool_params) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolCreate(umfDisjointPoolOps(), provider, pool_params,
                        UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) == UMF_RESULT_SUCCESS);
    CHECK(umfDisjointPoolParamsDestroy(pool_params) == UMF_RESULT_SUCCESS);
    return pool;
}

#endif /* UMF_EXAMPLES_CUDA_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the Level Zero examples share: a device, a context, copies by the device, providers, pools.
 */
#ifndef UMF_EXAMPLES_LEVEL_ZERO_H
#define UMF_EXAMPLES_LEVEL_ZERO_H

#include <stdio.h>
#include <stdlib.h>

#include <level_zero/ze_api.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/providers/provider_level_zero.h>

enum { SKIPPED = 77 }; /* exit status: there is no device here */

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: this does not hold: %s\n", __FILE__, __LINE__, #condition);    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

typedef struct gpu {
    ze_driver_handle_t driver;
    ze_device_handle_t device;
    ze_context_handle_t context;
} gpu_t;

/* The first device of the first driver. Ends the program with SKIPPED where there is none. */
static inline gpu_t gpu_open(void) {
    gpu_t gpu;
    uint32_t drivers = 1, devices = 1;
    if (zeInit(0) != ZE_RESULT_SUCCESS || zeDriverGet(&drivers, &gpu.driver) != ZE_RESULT_SUCCESS ||
        drivers == 0 || zeDeviceGet(gpu.driver, &devices, &gpu.device) != ZE_RESULT_SUCCESS ||
        devices == 0) {
        puts("skipped: no Level Zero driver with a device");
        exit(SKIPPED);
    }
    ze_device_properties_t properties = {.stype = ZE_STRUCTURE_TYPE_DEVICE_PROPERTIES};
    CHECK(zeDeviceGetProperties(gpu.device, &properties) == ZE_RESULT_SUCCESS);
    printf("device: %s\n", properties.name);
    const ze_context_desc_t desc = {.stype = ZE_STRUCTURE_TYPE_CONTEXT_DESC};
    CHECK(zeContextCreate(gpu.driver, &desc, &gpu.context) == ZE_RESULT_SUCCESS);
    return gpu;
}

/* Copies by the device, whatever memory it is, and waits for the end. */
static inline void gpu_copy(const gpu_t *gpu, void *to, const void *from, size_t bytes) {
    const ze_command_queue_desc_t queue = {.stype = ZE_STRUCTURE_TYPE_COMMAND_QUEUE_DESC,
                                           .mode = ZE_COMMAND_QUEUE_MODE_SYNCHRONOUS};
    ze_command_list_handle_t list;
    CHECK(zeCommandListCreateImmediate(gpu->context, gpu->device, &queue, &list) ==
          ZE_RESULT_SUCCESS);
    CHECK(zeCommandListAppendMemoryCopy(list, to, from, bytes, NULL, 0, NULL) == ZE_RESULT_SUCCESS);
    CHECK(zeCommandListDestroy(list) == ZE_RESULT_SUCCESS);
}

/* A disjoint pool, which never touches its memory, over Level Zero memory. */
static inline umf_memory_pool_handle_t gpu_pool(const gpu_t *gpu, umf_usm_memory_type_t type) {
    umf_level_zero_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_disjoint_pool_params_handle_t pool_params = NULL;
    umf_memory_pool_handle_t pool = NULL;
    CHECK(umfLevelZeroMemoryProviderParamsCreate(&params) == UMF_RESULT_SUCCESS);
    CHECK(umfLevelZeroMemoryProviderParamsSetContext(params, gpu->context) == UMF_RESULT_SUCCESS);
    CHECK(umfLevelZeroMemoryProviderParamsSetDevice(params, gpu->device) == UMF_RESULT_SUCCESS);
    CHECK(umfLevelZeroMemoryProviderParamsSetMemoryType(params, type) == UMF_RESULT_SUCCESS);
    CHECK(umfMemoryProviderCreate(umfLevelZeroMemoryProviderOps(), params, &provider) ==
          UMF_RESULT_SUCCESS);
    CHECK(umfLevelZeroMemoryProviderParamsDestroy(params) == UMF_RESULT_SUCCESS);

    CHECK(umfDisjointPoolParamsCreate(&pool_params) == UMF_RESULT_SUCCESS);
    CHECK(umfDisjointPoolParamsSetSlabMinSize(pool_params, 4096) == UMF_RESULT_SUCCESS);
    CHECK(umfDisjointPoolParamsSetMaxPoolableSize(pool_params, 1 << 20) == UMF_RESULT_SUCCESS);
    CHECK(umfDisjointPoolParamsSetCapacity(pool_params, 64) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolCreate(umfDisjointPoolOps(), provider, pool_params,
                        UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) == UMF_RESULT_SUCCESS);
    CHECK(umfDisjointPoolParamsDestroy(pool_params) == UMF_RESULT_SUCCESS);
    return pool;
}

#endif /* UMF_EXAMPLES_LEVEL_ZERO_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC in one process, to show the calls: a producer pool hands a block of device memory to a
 * consumer pool by way of bytes, as it would to another process (ipc_level_zero_processes.c). Ends
 * with 77 (a skip) where there is no Level Zero device.
 */
#include <string.h>

#include <umf/ipc.h>

#include "../common/level_zero.h"

enum { NUMBERS = 1024 };

int main(void) {
    gpu_t gpu = gpu_open();
    umf_memory_pool_handle_t producer = gpu_pool(&gpu, UMF_MEMORY_TYPE_DEVICE);
    umf_memory_pool_handle_t consumer = gpu_pool(&gpu, UMF_MEMORY_TYPE_DEVICE);

    int sent[NUMBERS], received[NUMBERS] = {0};
    for (int i = 0; i < NUMBERS; i++) {
        sent[i] = i * 7;
    }
    void *block = umfPoolMalloc(producer, sizeof(sent));
    CHECK(block != NULL);
    gpu_copy(&gpu, block, sent, sizeof(sent));

    // Producer: a handle of the block, as bytes.
    umf_ipc_handle_t handle = NULL;
    size_t handle_size = 0;
    CHECK(umfGetIPCHandle(block, &handle, &handle_size) == UMF_RESULT_SUCCESS);
    void *bytes = malloc(handle_size);
    CHECK(bytes != NULL);
    memcpy(bytes, handle, handle_size);
    printf("a handle has %zu bytes\n", handle_size);

    // Consumer: the bytes opened.
    umf_ipc_handler_handle_t handler = NULL;
    void *opened = NULL;
    CHECK(umfPoolGetIPCHandler(consumer, &handler) == UMF_RESULT_SUCCESS);
    CHECK(umfOpenIPCHandle(handler, (umf_ipc_handle_t)bytes, &opened) == UMF_RESULT_SUCCESS);
    gpu_copy(&gpu, received, opened, sizeof(received));
    CHECK(memcmp(sent, received, sizeof(sent)) == 0);
    printf("%d numbers read at %p are those written at %p\n", NUMBERS, opened, block);

    CHECK(umfPutIPCHandle(handle) == UMF_RESULT_SUCCESS);
    CHECK(umfCloseIPCHandle(opened) == UMF_RESULT_SUCCESS);
    free(bytes);
    CHECK(umfFree(block) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(consumer) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(producer) == UMF_RESULT_SUCCESS);
    CHECK(zeContextDestroy(gpu.context) == ZE_RESULT_SUCCESS);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Managed memory, which host and device share, from the CUDA provider, in blocks of any size by a
 * disjoint pool. Ends with 77 (a skip) where there is no CUDA device.
 */
#include "../common/cuda.h"

int main(void) {
    gpu_t gpu = gpu_open();
    umf_memory_pool_handle_t pool = gpu_pool(&gpu, UMF_MEMORY_TYPE_SHARED);
    umf_memory_pool_handle_t device_pool = gpu_pool(&gpu, UMF_MEMORY_TYPE_DEVICE);

    // The host writes managed memory, the device copies it to its own and back: the same pointer on
    // both sides.
    enum { NUMBERS = 1000, BYTES = NUMBERS * sizeof(int) };
    int *numbers = umfPoolMalloc(pool, BYTES);
    void *of_device = umfPoolMalloc(device_pool, BYTES);
    CHECK(numbers != NULL && of_device != NULL);
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = i * i;
    }
    CHECK(gpu.to_device((uintptr_t)of_device, numbers, BYTES) == 0);
    memset(numbers, 0, BYTES);
    CHECK(gpu.from_device(numbers, (uintptr_t)of_device, BYTES) == 0);
    CHECK(gpu.synchronize() == 0);
    for (int i = 0; i < NUMBERS; i++) {
        CHECK(numbers[i] == i * i);
    }
    printf("%d numbers went from managed memory at %p to device memory at %p and back\n", NUMBERS,
           (void *)numbers, of_device);

    CHECK(umfFree(numbers) == UMF_RESULT_SUCCESS); // the pool is found by address
    CHECK(umfPoolFree(device_pool, of_device) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(device_pool) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS);
    CHECK(gpu.context_destroy(gpu.context) == 0);
    return 0;
}

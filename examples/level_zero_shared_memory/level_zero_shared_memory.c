/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory that host and device share, from the LEVEL_ZERO provider, in blocks of any size by a
 * disjoint pool. Ends with 77 (a skip) where there is no Level Zero device.
 */
#include <string.h>

#include <umf/experimental/memory_properties.h>

#include "../common/level_zero.h"

/* What kind of memory is behind a pointer. */
static umf_usm_memory_type_t type_of(const void *ptr) {
    umf_memory_properties_handle_t properties = NULL;
    umf_usm_memory_type_t type = UMF_MEMORY_TYPE_UNKNOWN;
    CHECK(umfGetMemoryPropertiesHandle(ptr, &properties) == UMF_RESULT_SUCCESS);
    CHECK(umfGetMemoryProperty(properties, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type, sizeof(type)) ==
          UMF_RESULT_SUCCESS);
    return type;
}

int main(void) {
    gpu_t gpu = gpu_open();
    umf_memory_pool_handle_t pool = gpu_pool(&gpu, UMF_MEMORY_TYPE_SHARED);

    // The host writes, the device copies, the host reads: no copy by hand on the way.
    enum { NUMBERS = 1000 };
    int *from = umfPoolMalloc(pool, NUMBERS * sizeof(*from));
    int *to = umfPoolMalloc(pool, NUMBERS * sizeof(*to));
    CHECK(from != NULL && to != NULL);
    CHECK(type_of(from) == UMF_MEMORY_TYPE_SHARED);
    for (int i = 0; i < NUMBERS; i++) {
        from[i] = i * i;
    }
    memset(to, 0, NUMBERS * sizeof(*to));
    gpu_copy(&gpu, to, from, NUMBERS * sizeof(*to));
    for (int i = 0; i < NUMBERS; i++) {
        CHECK(to[i] == i * i);
    }
    printf("the device copied %d numbers from %p to %p\n", NUMBERS, (void *)from, (void *)to);

    CHECK(umfFree(from) == UMF_RESULT_SUCCESS); // the pool is found by address
    CHECK(umfPoolFree(pool, to) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS);
    CHECK(zeContextDestroy(gpu.context) == ZE_RESULT_SUCCESS);
    return 0;
}

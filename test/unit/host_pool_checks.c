/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See host_pool_checks.h. */
#include "test/unit/host_pool_checks.h"

#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>

#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/utils.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT

enum {
    BLOCKS = 100,
    BLOCK_MAX = 1 << 20,
    ALIGNMENT_MAX = 4 << 20,
    THREADS = 5,
    ROUNDS = 2000,
    NESTED_BYTES = 2 << 20,
};

static uint32_t random_next(uint32_t *state) {
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static bool all_bytes(const unsigned char *ptr, unsigned char value, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (ptr[i] != value) {
            return false;
        }
    }
    return true;
}

void check_sizes_and_contents(umf_memory_pool_handle_t pool) {
    unsigned char *block[BLOCKS];
    size_t size[BLOCKS];
    for (size_t bytes = 5; bytes <= 247; bytes++) {
        unsigned char *ptr = umfPoolMalloc(pool, bytes);
        cr_assert_not_null(ptr);
        cr_assert_eq((uintptr_t)ptr % 8, 0);
        memset(ptr, 0xa5, bytes);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    uint32_t random = 1;
    for (size_t i = 0; i < BLOCKS; i++) {
        size[i] = random_next(&random) % BLOCK_MAX + 1;
        block[i] = umfPoolMalloc(pool, size[i]);
        cr_assert_not_null(block[i], "%zu bytes", size[i]);
        memset(block[i], (int)i, size[i]);
    }
    for (size_t i = 0; i < BLOCKS; i++) {
        cr_assert(all_bytes(block[i], (unsigned char)i, size[i]), "no other block lies here");
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
    }
}

void check_zero_and_huge(umf_memory_pool_handle_t pool) {
    void *none = umfPoolMalloc(pool, 0);
    void *other = umfPoolMalloc(pool, 0);
    cr_assert_not_null(none);
    cr_assert_neq(none, other, "blocks of no bytes are blocks");
    cr_assert_eq(umfPoolFree(pool, none), OK);
    cr_assert_eq(umfPoolFree(pool, other), OK);
    none = umfPoolAlignedMalloc(pool, 0, 64);
    cr_assert_eq((uintptr_t)none % 64, 0);
    cr_assert_eq(umfPoolFree(pool, none), OK);
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX / 2));
    cr_assert_null(umfPoolAlignedMalloc(pool, SIZE_MAX, 4096));
    cr_assert_null(umfPoolAlignedMalloc(pool, SIZE_MAX - 4096, 4096));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
}

void check_success_clears_last_error(umf_memory_pool_handle_t pool) {
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
    void *ptr = umfPoolMalloc(pool, 1);
    cr_assert_not_null(ptr);
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_null(umfPoolRealloc(pool, ptr, SIZE_MAX));
    cr_assert_null(umfPoolRealloc(pool, ptr, 0), "0 frees");
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
}

void check_calloc(umf_memory_pool_handle_t pool) {
    static const size_t counts[] = {1, 3, 128, 4096, 70000};
    for (size_t round = 0; round < 2; round++) { // the second gets used memory
        for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
            size_t bytes = counts[i] * 24;
            unsigned char *ptr = umfPoolCalloc(pool, counts[i], 24);
            cr_assert_not_null(ptr);
            cr_assert(all_bytes(ptr, 0, bytes));
            memset(ptr, 0xff, bytes);
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
    }
    void *empty = umfPoolCalloc(pool, 0, 8);
    cr_assert_eq(umfPoolFree(pool, empty), OK);
    // count * size wraps around to 2 bytes
    cr_assert_null(umfPoolCalloc(pool, SIZE_MAX / 2 + 2, 2));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    cr_assert_null(umfPoolCalloc(pool, 2, SIZE_MAX / 2 + 2));
    cr_assert_null(umfPoolCalloc(pool, SIZE_MAX, SIZE_MAX));
}

void check_realloc(umf_memory_pool_handle_t pool) {
    unsigned char *ptr = umfPoolRealloc(pool, NULL, 100);
    cr_assert_not_null(ptr, "without a block it is malloc");
    memset(ptr, 7, 100);
    size_t kept = 100;
    static const size_t sizes[] = {200, 5000, 300000, 3000000, 100, 8};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        ptr = umfPoolRealloc(pool, ptr, sizes[i]);
        cr_assert_not_null(ptr);
        kept = sizes[i] < kept ? sizes[i] : kept;
        cr_assert(all_bytes(ptr, 7, kept));
    }
    cr_assert_null(umfPoolRealloc(pool, ptr, SIZE_MAX));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert(all_bytes(ptr, 7, kept), "the block is still there");
    cr_assert_null(umfPoolRealloc(pool, ptr, 0), "0 frees");
}

static void *alignments_thread(void *arg) {
    umf_memory_pool_handle_t pool = arg;
    for (size_t alignment = 1; alignment <= ALIGNMENT_MAX; alignment *= 2) {
        unsigned char *small = umfPoolAlignedMalloc(pool, 1, alignment);
        unsigned char *same = umfPoolAlignedMalloc(pool, alignment, alignment);
        cr_assert(small != NULL && same != NULL, "alignment %zu", alignment);
        cr_assert_eq((uintptr_t)small % alignment, 0);
        cr_assert_eq((uintptr_t)same % alignment, 0);
        *small = 1;
        same[alignment - 1] = 2;
        cr_assert_eq(umfPoolFree(pool, small), OK);
        cr_assert_eq(umfPoolFree(pool, same), OK);
    }
    return NULL;
}

void check_alignments(umf_memory_pool_handle_t pool) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, alignments_thread, pool), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    static const size_t wrong[] = {3, 24, 4097, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_assert_null(umfPoolAlignedMalloc(pool, 8, wrong[i]));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    }
    void *ptr = umfPoolAlignedMalloc(pool, 8, 0);
    cr_assert_not_null(ptr, "0: whatever malloc gives");
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_assert_null(umfPoolAlignedMalloc(pool, 8, (size_t)1 << 63));
}

void check_usable_size(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {1, 8, 100, 5000, 70000, 2 << 20};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        size_t usable = 0;
        unsigned char *ptr = umfPoolMalloc(pool, sizes[i]);
        cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
        cr_assert_geq(usable, sizes[i]);
        memset(ptr, 1, usable);
        cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, NULL), INVAL);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    size_t usable = 1;
    cr_assert_eq(umfPoolMallocUsableSize(pool, NULL, &usable), OK);
    cr_assert_eq(usable, 0);
}

void check_free_of_null(umf_memory_pool_handle_t pool) {
    errno = 77;
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
    cr_assert_eq(errno, 77);
}

void check_look_up(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {1, 100, 5000, 3 << 20};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        umf_memory_pool_handle_t found = NULL;
        char *ptr = umfPoolMalloc(pool, sizes[i]);
        cr_assert_eq(umfPoolByPtr(ptr, &found), OK);
        cr_assert_eq(found, pool);
        cr_assert_eq(umfPoolByPtr(ptr + sizes[i] - 1, &found), OK);
        cr_assert_eq(found, pool);
        cr_assert_eq(umfFree(ptr), OK);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct exchange {
    umf_memory_pool_handle_t pool;
    _Atomic(void *) box[16]; /* blocks on their way from one thread to another */
    _Atomic(uint32_t) next_seed;
} exchange_t;

static void *exchange_thread(void *arg) {
    exchange_t *exchange = arg;
    uint32_t random = fetch_add_relaxed(&exchange->next_seed, 1) + 1;
    for (int i = 0; i < ROUNDS; i++) {
        size_t size = random_next(&random) % 16 * 8;
        void *ptr = umfPoolMalloc(exchange->pool, size);
        cr_assert(ptr != NULL || size == 0);
        if (ptr != NULL) {
            memset(ptr, 1, size);
        }
        void *other = exchange_acq_rel(&exchange->box[random_next(&random) % 16], ptr);
        cr_assert_eq(umfPoolFree(exchange->pool, other), OK);
    }
    return NULL;
}

void check_threads(umf_memory_pool_handle_t pool) {
    exchange_t exchange = {.pool = pool};
    pthread_t thread[THREADS];
    for (int round = 0; round < 3; round++) { // threads come and go
        for (int i = 0; i < THREADS; i++) {
            cr_assert_eq(pthread_create(&thread[i], NULL, exchange_thread, &exchange), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(exchange.box); i++) {
        cr_assert_eq(umfPoolFree(pool, load_relaxed(&exchange.box[i])), OK);
    }
}

void check_nested(umf_memory_pool_handle_t pool) {
    char *block = umfPoolAlignedMalloc(pool, NESTED_BYTES, 4096);
    cr_assert_not_null(block);
    for (size_t part = 1; part <= 2; part++) {
        size_t size = NESTED_BYTES / part;
        umf_fixed_memory_provider_params_handle_t params = NULL;
        umf_memory_provider_handle_t fixed = NULL;
        umf_memory_pool_handle_t inner = NULL, found = NULL;
        cr_assert_eq(umfFixedMemoryProviderParamsCreate(block, size, &params), OK);
        cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
        cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
        cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), fixed, NULL, 0, &inner), OK);
        char *ptr = umfPoolMalloc(inner, size);
        cr_assert_not_null(ptr);
        cr_assert_eq(umfPoolByPtr(ptr + size - 1, &found), OK);
        cr_assert_eq(found, inner);
        cr_assert_eq(umfFree(ptr), OK);
        cr_assert_eq(umfPoolByPtr(block, &found), OK);
        cr_assert_eq(found, pool);
        cr_assert_eq(umfPoolDestroy(inner), OK);
        cr_assert_eq(umfMemoryProviderDestroy(fixed), OK);
    }
    cr_assert_eq(umfPoolFree(pool, block), OK);
}

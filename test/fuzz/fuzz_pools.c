/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fuzz target: sequences of calls on a pool, against a model.
 *
 * The first byte chooses the pool; then three bytes each are a call: what, which block, how large.
 * The model knows each live block's size and contents: a block that changes, overlaps another (its
 * contents change then), is aligned wrongly, is too small, or belongs to no pool or another, stops
 * the run.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

enum { BLOCKS = 32, POOLS = 5, FIXED_BYTES = 8 << 20, LARGEST = 6 << 20 };

typedef struct block {
    unsigned char *ptr;
    size_t size;
    unsigned char seed;
} block_t;

static block_t block[BLOCKS];
static umf_memory_pool_handle_t pool;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Large blocks are looked at in places, among them both ends. */
static size_t stride(size_t size) {
    return size > 4096 ? size / 61 : 1;
}

static void fill(block_t *b) {
    for (size_t i = 0; i < b->size; i += stride(b->size)) {
        b->ptr[i] = (unsigned char)(b->seed + i);
    }
    if (b->size > 0) {
        b->ptr[b->size - 1] = b->seed;
    }
}

static void check(const block_t *b) {
    for (size_t i = 0; i + 1 < b->size; i += stride(b->size)) {
        REQUIRE(b->ptr[i] == (unsigned char)(b->seed + i));
    }
    REQUIRE(b->size == 0 || b->ptr[b->size - 1] == b->seed);
}

static umf_memory_provider_handle_t make_provider(unsigned which) {
    static _Alignas(4096) unsigned char memory[FIXED_BYTES];
    umf_memory_provider_handle_t provider = NULL;
    if (which == 3) {
        umf_fixed_memory_provider_params_handle_t params = NULL;
        REQUIRE(umfFixedMemoryProviderParamsCreate(memory, sizeof(memory), &params) ==
                UMF_RESULT_SUCCESS);
        REQUIRE(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider) ==
                UMF_RESULT_SUCCESS);
        umfFixedMemoryProviderParamsDestroy(params);
        return provider;
    }
    umf_os_memory_provider_params_handle_t params = NULL;
    REQUIRE(umfOsMemoryProviderParamsCreate(&params) == UMF_RESULT_SUCCESS);
    if (which == 4) {
        umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    }
    REQUIRE(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider) ==
            UMF_RESULT_SUCCESS);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static void make_pool(unsigned which) {
    const umf_memory_pool_ops_t *const ops[POOLS] = {umfSlabPoolOps(), umfDisjointPoolOps(),
                                                     umfProxyPoolOps(), umfSlabPoolOps(),
                                                     umfSlabPoolOps()};
    umf_disjoint_pool_params_handle_t params = NULL;
    if (which == 1) {
        REQUIRE(umfDisjointPoolParamsCreate(&params) == UMF_RESULT_SUCCESS);
    }
    REQUIRE(umfPoolCreate(ops[which], make_provider(which), params,
                          UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) == UMF_RESULT_SUCCESS);
    umfDisjointPoolParamsDestroy(params);
}

/* 16-bit numbers to sizes: each power of two is as likely, and its neighbours are hit. */
static size_t size_of(unsigned number) {
    unsigned shift = number >> 8 & 31;
    size_t size = ((size_t)(number & 0xff) << shift) >> 6;
    return size <= LARGEST ? size : size % LARGEST;
}

static void take(block_t *b, void *ptr, size_t size, size_t alignment, unsigned char seed) {
    umf_memory_pool_handle_t found = NULL;
    size_t usable = 0;
    if (ptr == NULL) {
        return; // small memory is full, or the pool has no such call
    }
    REQUIRE((uintptr_t)ptr % alignment == 0);
    REQUIRE(umfPoolByPtr(ptr, &found) == UMF_RESULT_SUCCESS && found == pool);
    REQUIRE(umfPoolMallocUsableSize(pool, ptr, &usable) != UMF_RESULT_SUCCESS || usable >= size ||
            usable == 0);
    *b = (block_t){ptr, size, seed};
    fill(b);
}

static void drop(block_t *b) {
    if (b->ptr != NULL) {
        check(b);
        REQUIRE(umfFree(b->ptr) == UMF_RESULT_SUCCESS);
        *b = (block_t){0};
    }
}

static void resize(block_t *b, size_t size, unsigned char seed) {
    block_t old = *b;
    unsigned char *ptr = umfPoolRealloc(pool, b->ptr, size);
    if (size == 0) { // freed, or as it was
        if (umfPoolGetLastAllocationError(pool) != UMF_RESULT_ERROR_NOT_SUPPORTED || ptr != NULL) {
            *b = (block_t){0};
        }
        return;
    }
    if (ptr == NULL) {
        check(b);
        return;
    }
    size_t kept = size < old.size ? size : old.size;
    for (size_t i = 0; i + 1 < kept; i += stride(old.size)) {
        REQUIRE(ptr[i] == (unsigned char)(old.seed + i));
    }
    take(b, ptr, size, 1, seed);
}

static void call(unsigned what, block_t *b, size_t size, unsigned char seed) {
    unsigned char *ptr;
    switch (what % 8) {
    case 0:
    case 1:
        drop(b);
        take(b, umfPoolMalloc(pool, size), size, 1, seed);
        break;
    case 2:
        drop(b);
        ptr = umfPoolCalloc(pool, size / 8, 8);
        for (size_t i = 0; ptr != NULL && i < size / 8 * 8; i += stride(size)) {
            REQUIRE(ptr[i] == 0);
        }
        take(b, ptr, size / 8 * 8, 1, seed);
        break;
    case 3:
        drop(b);
        take(b, umfPoolAlignedMalloc(pool, size, (size_t)8 << seed % 14), size,
             (size_t)8 << seed % 14, seed);
        break;
    case 4:
        if (b->ptr != NULL && size > 0) {
            resize(b, size, seed);
        }
        break;
    case 5:
        umfPoolTrimMemory(pool, size);
        break;
    default:
        drop(b);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) {
        return 0;
    }
    make_pool(data[0] % POOLS);
    for (size_t i = 1; i + 3 < size && i < 1200; i += 4) {
        call(data[i], &block[data[i + 1] % BLOCKS],
             size_of((unsigned)data[i + 2] << 8 | data[i + 3]), data[i + 1]);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        drop(&block[i]);
    }
    REQUIRE(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * For tests of the slab pool: a provider on mmap that counts (thread-safe) and misbehaves on demand, pools on it, and
 * patterns in blocks. One test program includes this once.
 */
#ifndef UMF_TEST_SLAB_FOR_TEST_H
#define UMF_TEST_SLAB_FOR_TEST_H

#include <criterion/criterion.h>

#include <string.h>
#include <sys/mman.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

#include "core/pool.h"
#include "core/state.h"
#include "pools/slab.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define KIB ((size_t)1024)
#define MIB ((size_t)1024 * 1024)

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#elif __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN 0
#endif

/* All zero is a well-behaved provider with purge operations that really drop the pages. */
typedef struct mmap_provider {
    size_t limit;            /* live bytes at most; 0: no limit */
    size_t alignment_max;    /* larger alignments are refused; 0: none is */
    size_t skew;             /* pages are this far from an aligned address: alignment is ignored */
    bool no_purge;           /* purges are not supported */
    _Atomic(size_t) fail_at; /* the n-th alloc from now on fails (counts down); 0: none */
    _Atomic(bool) fail_all;
    _Atomic(size_t) allocs, frees, purges, live_bytes, live_blocks;
    _Atomic(size_t) last_size;
} mmap_provider_t;

static umf_result_t mmap_initialize(const void *params, void **provider) {
    *provider = (void *)(uintptr_t)params;
    return OK;
}

static umf_result_t mmap_finalize(void *provider) {
    (void)provider;
    return OK;
}

static umf_result_t mmap_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    mmap_provider_t *state = provider;
    fetch_add_relaxed(&state->allocs, 1);
    store_relaxed(&state->last_size, size);
    size_t fail = load_relaxed(&state->fail_at);
    if (fail != 0) {
        store_relaxed(&state->fail_at, fail - 1);
        if (fail == 1) {
            return OOM;
        }
    }
    if (load_relaxed(&state->fail_all) || (state->limit != 0 && load_relaxed(&state->live_bytes) + size > state->limit)) {
        return OOM;
    }
    if (state->alignment_max != 0 && alignment > state->alignment_max) {
        return UMF_RESULT_ERROR_INVALID_ALIGNMENT;
    }
    size_t page = base_page_size(), length;
    alignment = alignment < 64 * KIB ? 64 * KIB : alignment;
    if (!align_up_checked(size, page, &length) || length > SIZE_MAX / 4) {
        return OOM;
    }
    char *mapping = mmap(NULL, length + 2 * alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                         -1, 0);
    if (mapping == MAP_FAILED) {
        return OOM;
    }
    char *block = (char *)align_up((uintptr_t)mapping, alignment) + state->skew;
    if (block != mapping) {
        munmap(mapping, (size_t)(block - mapping));
    }
    munmap(block + length, (size_t)(mapping + length + 2 * alignment - (block + length)));
    fetch_add_relaxed(&state->live_bytes, size);
    fetch_add_relaxed(&state->live_blocks, 1);
    *ptr = block;
    return OK;
}

static umf_result_t mmap_free(void *provider, void *ptr, size_t size) {
    mmap_provider_t *state = provider;
    fetch_add_relaxed(&state->frees, 1);
    fetch_sub_relaxed(&state->live_bytes, size);
    fetch_sub_relaxed(&state->live_blocks, 1);
    return munmap(ptr, align_up(size, base_page_size())) == 0 ? OK : INVAL;
}

static umf_result_t mmap_native_error(void *provider, const char **message, int32_t *error) {
    (void)provider;
    *message = "";
    *error = 0;
    return OK;
}

static umf_result_t mmap_recommended_page(void *provider, size_t size, size_t *page_size) {
    (void)provider, (void)size;
    *page_size = base_page_size();
    return OK;
}

static umf_result_t mmap_min_page(void *provider, const void *ptr, size_t *page_size) {
    (void)provider, (void)ptr;
    *page_size = base_page_size();
    return OK;
}

static umf_result_t mmap_name(void *provider, const char **name) {
    (void)provider;
    *name = "mmap";
    return OK;
}

static umf_result_t mmap_cache_line(void *provider, size_t *size) {
    (void)provider;
    *size = 64;
    return OK;
}

static umf_result_t mmap_purge(void *provider, void *ptr, size_t size) {
    mmap_provider_t *state = provider;
    if (state->no_purge) {
        return NOTSUP;
    }
    fetch_add_relaxed(&state->purges, 1);
    return madvise(ptr, size, MADV_DONTNEED) == 0 ? OK : INVAL;
}

static const umf_memory_provider_ops_t mmap_provider_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = mmap_initialize,
    .finalize = mmap_finalize,
    .alloc = mmap_alloc,
    .free = mmap_free,
    .get_last_native_error = mmap_native_error,
    .get_recommended_page_size = mmap_recommended_page,
    .get_min_page_size = mmap_min_page,
    .get_name = mmap_name,
    .ext_purge_lazy = mmap_purge,
    .ext_purge_force = mmap_purge,
    .get_cache_line_size = mmap_cache_line,
};

static inline umf_memory_provider_handle_t mmap_provider_create(mmap_provider_t *state) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&mmap_provider_ops, state, &provider), OK);
    return provider;
}

static inline umf_memory_provider_handle_t os_provider_create(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

/* A pool that owns the provider. */
static inline umf_memory_pool_handle_t slab_on(umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool), OK);
    return pool;
}

/* A pool with settings of its own, which owns the provider. */
static inline umf_memory_pool_handle_t slab_with(umf_memory_provider_handle_t provider, size_t chunk_bytes,
                                                 uint32_t delay_ms, bool keep_all) {
    umf_slab_pool_params_handle_t params = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfSlabPoolParamsCreate(&params), OK);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, chunk_bytes), OK);
    cr_assert_eq(umfSlabPoolParamsSetPurgeDelay(params, delay_ms), OK);
    cr_assert_eq(umfSlabPoolParamsSetKeepAll(params, keep_all), OK);
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, params, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool), OK);
    cr_assert_eq(umfSlabPoolParamsDestroy(params), OK);
    return pool;
}

static inline slab_stats_t stats_of(umf_memory_pool_handle_t pool) {
    slab_stats_t stats;
    slab_pool_stats(pool->priv, &stats);
    return stats;
}

static inline uint64_t rng_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    uint64_t x = *state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Sizes as programs have them: mostly small, some large. */
static inline size_t random_size(uint64_t *rng) {
    uint64_t dice = rng_next(rng) % 1000;
    size_t limit = dice < 700 ? 300 : dice < 930 ? 9000 : dice < 985 ? 70 * KIB : dice < 998 ? MIB : 20 * MIB;
    return (size_t)(rng_next(rng) % limit) + (dice % 50 != 0);
}

/* Large blocks are marked at both ends and every 4096 bytes only. */
static inline void pattern_fill(void *ptr, size_t size, uint8_t mark) {
    uint8_t *bytes = ptr;
    for (size_t i = 0; i < size; i += size > 4096 && i >= 64 && i + 4096 < size ? 4096 : 1) {
        bytes[i] = (uint8_t)(mark + i * 7);
    }
}

/* True when the first `size` bytes of a block that was filled with `filled` bytes are intact. */
static inline bool pattern_holds(const void *ptr, size_t filled, size_t size, uint8_t mark) {
    const uint8_t *bytes = ptr;
    for (size_t i = 0; i < filled && i < size; i += filled > 4096 && i >= 64 && i + 4096 < filled ? 4096 : 1) {
        if (bytes[i] != (uint8_t)(mark + i * 7)) {
            return false;
        }
    }
    return true;
}

/* Long random sequences of all operations with checked contents; any number of threads may run one each. */
typedef struct script {
    umf_memory_pool_handle_t pool;
    uint64_t seed;
    int steps, slots; /* slots: at most 512 blocks at a time */
    size_t size_max;  /* larger requests are cut to this; 0: no limit */
    bool may_fail;    /* NULL is an answer */
} script_t;

#define SCRIPT_CHECK(condition) cr_assert(condition, "seed %lu, step %d", (unsigned long)script->seed, step)

static inline void script_run(const script_t *script) {
    struct {
        uint8_t *ptr;
        size_t size;
        uint8_t mark;
    } slot[512] = {{NULL, 0, 0}};
    uint64_t rng = script->seed;
    umf_memory_pool_handle_t pool = script->pool;
    for (int step = 0; step < script->steps + script->slots; step++) {
        int i = step < script->steps ? (int)(rng_next(&rng) % (uint64_t)script->slots) : step - script->steps;
        unsigned dice = (unsigned)(rng_next(&rng) % 100);
        size_t size = random_size(&rng);
        size = script->size_max != 0 && size > script->size_max ? script->size_max : size;
        if (slot[i].ptr != NULL) {
            SCRIPT_CHECK(pattern_holds(slot[i].ptr, slot[i].size, slot[i].size, slot[i].mark));
            if (step >= script->steps || dice < 70 || size == 0) {
                SCRIPT_CHECK(umfPoolFree(pool, slot[i].ptr) == OK);
                slot[i].ptr = NULL;
                continue;
            }
            uint8_t *moved = umfPoolRealloc(pool, slot[i].ptr, size);
            SCRIPT_CHECK(moved != NULL || script->may_fail);
            if (moved != NULL) {
                SCRIPT_CHECK(pattern_holds(moved, slot[i].size, size, slot[i].mark));
                slot[i].ptr = moved;
                slot[i].size = size;
                pattern_fill(moved, size, slot[i].mark);
            }
            continue;
        }
        if (step >= script->steps) {
            continue;
        }
        size_t alignment = 16;
        if (dice < 60) {
            slot[i].ptr = umfPoolMalloc(pool, size);
        } else if (dice < 75) {
            slot[i].ptr = umfPoolCalloc(pool, 1, size);
            for (size_t k = 0; slot[i].ptr != NULL && k < size; k += size > 100000 ? 511 : 1) {
                SCRIPT_CHECK(slot[i].ptr[k] == 0);
            }
        } else if (dice < 85) {
            slot[i].ptr = umfPoolRealloc(pool, NULL, size);
        } else {
            alignment = (size_t)1 << (rng_next(&rng) % 18);
            slot[i].ptr = umfPoolAlignedMalloc(pool, size, alignment);
        }
        SCRIPT_CHECK(slot[i].ptr != NULL || script->may_fail);
        if (slot[i].ptr != NULL) {
            size_t usable = 0;
            SCRIPT_CHECK((uintptr_t)slot[i].ptr % alignment == 0 && (uintptr_t)slot[i].ptr % 16 == 0);
            SCRIPT_CHECK(umfPoolMallocUsableSize(pool, slot[i].ptr, &usable) == OK && usable >= size);
            slot[i].mark = (uint8_t)rng_next(&rng);
            slot[i].size = size;
            pattern_fill(slot[i].ptr, size, slot[i].mark);
        }
    }
}

#endif /* UMF_TEST_SLAB_FOR_TEST_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Disjoint pool: aligned and very large blocks, pools without tracking, pools on pools, exhausted
 * providers, threads, fork. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/providers/provider_fixed_memory.h>

#include "test/unit/disjoint_for_test.h"

/* ---- aligned blocks ------------------------------------------------------------------------- */

Test(disjoint, over_aligned_blocks_belong_to_their_slab) {
    // 200 KiB on 256 KiB: the pointer lies far behind the first slab_min_size bytes of its slab
    set_up(&(setup_t){.min_bucket_size = 8});
    char *block[8];
    for (int i = 0; i < 8; i++) {
        block[i] = umfPoolAlignedMalloc(pool, 200 * KIB, 256 * KIB);
        cr_assert(is_aligned((uintptr_t)block[i], 256 * KIB));
        size_t usable = 0;
        cr_assert_eq(umfPoolMallocUsableSize(pool, block[i], &usable), OK);
        cr_assert(usable >= 200 * KIB && usable <= 512 * KIB);
        umf_memory_pool_handle_t owner;
        cr_assert_eq(umfPoolByPtr(block[i] + 200 * KIB - 1, &owner), OK);
        cr_assert_eq(umfPoolByPtr(block[i] + usable - 1, &owner), OK);
    }
    size_t before = frees();
    for (int i = 0; i < 8; i++) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(umfPoolFree(pool, block[i]), INVAL);
    }
    cr_expect_eq(frees() - before, 4, "whole slabs beyond the capacity, nothing else");
    cr_expect_eq(get("stats.used_memory"), 0);
    tear_down();
}

static void aligned_all(void) {
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        void *same = umfPoolAlignedMalloc(pool, alignment, alignment);
        void *one = umfPoolAlignedMalloc(pool, 1, alignment);
        void *odd = umfPoolAlignedMalloc(pool, 3 * alignment / 2 + 1, alignment);
        cr_assert(same != NULL && one != NULL && odd != NULL);
        cr_assert(is_aligned((uintptr_t)same | (uintptr_t)one | (uintptr_t)odd, alignment));
        cr_assert_eq(umfPoolFree(pool, same), OK);
        void *again = umfPoolMalloc(pool, 2 * alignment - 1); // whole chunks come back
        cr_assert_not_null(again);
        cr_assert_eq(umfPoolFree(pool, one), OK);
        cr_assert_eq(umfPoolFree(pool, odd), OK);
        cr_assert_eq(umfPoolFree(pool, again), OK);
    }
}

Test(disjoint, every_alignment) {
    const size_t pages[] = {1, 4096, 64 * KIB};
    for (size_t min = 1; min <= 64; min *= 8) {
        for (size_t i = 0; i < ARRAY_LENGTH(pages); i++) {
            // bases that are no multiple of the page size that the provider tells
            for (none.shift = 0; none.shift <= 64; none.shift += 64) {
                none.page = pages[i];
                set_up(&(setup_t){.min_bucket_size = min});
                aligned_all();
                cr_assert_eq(get("stats.used_memory"), 0);
                cr_assert_eq(umfPoolDestroy(pool), OK);
                cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
            }
        }
    }
}

Test(disjoint, chunks_of_aligned_blocks_come_back_whole) {
    set_up(&(setup_t){.min_bucket_size = 64, .slab_min_size = 1 * MIB});
    char *keep = umfPoolMalloc(pool, 96 * KIB);
    for (int i = 0; i < 10; i++) { // one after the other through the hot slot
        char *inner = umfPoolAlignedMalloc(pool, 60 * KIB, 32 * KIB);
        cr_assert_eq(umfPoolFree(pool, inner), OK);
        char *whole = umfPoolMalloc(pool, 96 * KIB);
        size_t usable = 0;
        cr_assert_eq(umfPoolMallocUsableSize(pool, whole, &usable), OK);
        cr_assert_eq(usable, 96 * KIB);
        cr_assert_eq(whole, keep + 96 * KIB);
        cr_assert_eq(umfPoolFree(pool, whole), OK);
    }
    tear_down();
}

Test(disjoint, impossible_alignments_and_sizes) {
    set_up(&(setup_t){.min_bucket_size = 64});
    cr_expect_eq(umfPoolAlignedMalloc(pool, 0, 64), NULL);
    cr_expect_eq(umfPoolAlignedMalloc(pool, 64, 48), NULL);
    cr_expect_eq(umfPoolGetLastAllocationError(pool), UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 62, SIZE_MAX - 4096, SIZE_MAX / 2};
    const size_t alignments[] = {2, 64, 4096, 1 * MIB, (size_t)1 << 63};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(alignments); k++) {
            cr_expect_eq(umfPoolAlignedMalloc(pool, sizes[i], alignments[k]), NULL);
        }
        cr_expect_eq(umfPoolMalloc(pool, sizes[i]), NULL);
    }
    cr_expect_eq(allocs() >= 1, true);
    cr_expect_eq(frees(), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(disjoint, poolable_sizes_end_at_two_gib) {
    set_up(&(setup_t){.max_poolable_size = 16 * GIB});
    void *ptr = umfPoolMalloc(pool, 2 * GIB);
    cr_expect_eq(load_relaxed(&none.last_size), 2 * GIB);
    cr_expect_eq(umfPoolFree(pool, ptr), OK);
    cr_expect_eq(frees(), 0);
    const size_t sizes[] = {2 * GIB + 1, 3 * GIB, 4 * GIB + 1, 5 * GIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        size_t usable = 0;
        ptr = umfPoolMalloc(pool, sizes[i]);
        cr_assert_not_null(ptr);
        cr_expect_eq(load_relaxed(&none.last_size), sizes[i]);
        cr_expect_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
        cr_expect_eq(usable, sizes[i]);
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
        cr_expect_eq(frees(), i + 1);
    }
    tear_down();
}

Test(disjoint, slabs_larger_than_four_gib) {
    set_up(&(setup_t){.slab_min_size = 6 * GIB, .max_poolable_size = 2 * GIB});
    char *block[6];
    for (size_t i = 0; i < 6; i++) {
        block[i] = umfPoolMalloc(pool, 1 * GIB);
        cr_assert_eq(block[i], block[0] + i * GIB);
    }
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(umfPoolFree(pool, block[5 - i]), OK);
    }
    cr_expect_eq(get("stats.reserved_memory"), 6 * GIB);
    tear_down();
}

/* ---- without tracking, nested, exhausted ---------------------------------------------------- */

Test(disjoint, everything_can_be_freed_without_tracking) {
    set_up(&(setup_t){.flags = UMF_POOL_CREATE_FLAG_DISABLE_TRACKING});
    umf_memory_pool_handle_t other =
        pool_with(provider, &(setup_t){.flags = UMF_POOL_CREATE_FLAG_DISABLE_TRACKING});
    const size_t sizes[] = {1, 64, 5000, 64 * KIB, 2 * MIB, 2 * MIB + 1, 32 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        void *ptr = umfPoolMalloc(pool, sizes[i]);
        size_t usable = 0;
        umf_memory_pool_handle_t owner;
        cr_assert_not_null(ptr);
        cr_expect_eq(umfPoolMallocUsableSize(pool, ptr, &usable), OK);
        cr_assert_geq(usable, sizes[i]);
        cr_expect_eq(umfPoolByPtr(ptr, &owner), INVAL);
        cr_expect_eq(umfPoolFree(other, ptr), INVAL, "block of another pool");
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
    }
    cr_expect_eq(frees(), 2, "the direct ones");
    cr_assert_eq(umfPoolDestroy(other), OK);
    tear_down();
}

Test(disjoint, a_pool_on_a_block_of_a_pool) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    const size_t sizes[] = {256 * KIB, 2 * MIB, 4 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        char *outer = umfPoolAlignedMalloc(pool, sizes[i], 4096);
        umf_fixed_memory_provider_params_handle_t params;
        umf_memory_provider_handle_t fixed;
        umf_memory_pool_handle_t inner;
        cr_assert_eq(umfFixedMemoryProviderParamsCreate(outer, sizes[i], &params), OK);
        cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
        umfFixedMemoryProviderParamsDestroy(params);
        cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), fixed, NULL,
                                   UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &inner),
                     OK);
        char *block = umfPoolMalloc(inner, 100);
        umf_memory_pool_handle_t owner;
        cr_assert_not_null(block);
        cr_expect_eq(umfPoolByPtr(block, &owner), OK);
        cr_expect_eq(owner, inner);
        size_t usable = 0;
        cr_expect_eq(umfPoolMallocUsableSize(pool, outer, &usable), OK, "found behind the inner");
        cr_assert_geq(usable, sizes[i]);
        cr_expect_eq(umfPoolFree(inner, block), OK);
        cr_expect_eq(umfPoolDestroy(inner), OK);
        cr_expect_eq(umfPoolFree(pool, outer), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
}

static void *take_one(void *arg) {
    (void)arg;
    return umfPoolMalloc(pool, 64);
}

static void *take_one_elsewhere(void) {
    pthread_t thread;
    void *ptr = NULL;
    cr_assert_eq(pthread_create(&thread, NULL, take_one, NULL), 0);
    cr_assert_eq(pthread_join(thread, &ptr), 0);
    return ptr;
}

Test(disjoint, freed_chunks_serve_an_exhausted_provider) {
    counted.arena_size = 256 * KIB;
    counted.arena = test_arena(counted.arena_size);
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.min_bucket_size = 64});
    static char *block[5000];
    size_t count = 0;
    while ((block[count] = umfPoolMalloc(pool, 64)) != NULL) {
        count++;
    }
    cr_expect_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_eq(count, 4096);
    for (size_t i = 0; i < count; i += 100) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(umfPoolMalloc(pool, 64), block[i]);
        // also when another thread needs it: whoever freed it
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        cr_assert_eq(take_one_elsewhere(), block[i]);
    }
    cr_expect_eq(take_one_elsewhere(), NULL);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, SLOTS = 512, STEPS = 60000 };
static _Atomic(char *) slot[SLOTS];
static const size_t torture_sizes[] = {8, 64, 64, 64, 100, 500, 4000, 40000, 64 * 1024, 200000};

static void mark_write(char *block) {
    memcpy(block, &block, sizeof(char *));
}

static char *mark_read(const char *block) {
    char *mark;
    memcpy(&mark, block, sizeof(mark));
    return mark;
}

/* Blocks wander between threads through shared slots; each carries its own address while it is
 * live. */
static void *torture(void *arg) {
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < STEPS; i++) {
        size_t size = torture_sizes[rand_r(&seed) % ARRAY_LENGTH(torture_sizes)];
        char *block = rand_r(&seed) % 8 != 0 ? umfPoolMalloc(pool, size)
                                             : umfPoolAlignedMalloc(pool, size, 256);
        cr_assert_not_null(block);
        mark_write(block);
        block = exchange_acq_rel(&slot[rand_r(&seed) % SLOTS], block);
        if (block != NULL) {
            cr_assert_eq(mark_read(block), block, "somebody else got this block too");
            memset(block, 0, 8);
            cr_assert_eq(umfPoolFree(pool, block), OK);
        }
        if (i % 8192 == 0) {
            umfPoolTrimMemory(pool, i % 16384 == 0 ? 0 : 1 * MIB);
        } else if (i % 4096 == 0) {
            cr_assert_geq(get("stats.reserved_memory"), get("stats.used_memory") / 8);
        }
    }
    return NULL;
}

static void run_threads(void *(*run)(void *), uintptr_t first) {
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, run, (void *)(first + i)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_join(thread[i], NULL), 0);
    }
}

static void torture_with(const setup_t *setup) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, setup);
    for (uintptr_t round = 0; round < 2; round++) { // the second time by new threads
        run_threads(torture, 1 + round * THREADS);
    }
    for (int i = 0; i < SLOTS; i++) {
        cr_assert_eq(umfPoolFree(pool, exchange_acq_rel(&slot[i], NULL)), OK);
    }
    cr_assert_eq(get("stats.used_memory"), 0);
    cr_assert_eq(get("stats.reserved_memory"), load_relaxed(&counted.live_bytes));
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(disjoint, threads) {
    torture_with(&(setup_t){.min_bucket_size = 8});
}
Test(disjoint, threads_with_small_slabs) {
    torture_with(&(setup_t){.slab_min_size = 2048});
}
Test(disjoint, threads_with_counters) {
    torture_with(&(setup_t){.trace = 2});
}

Test(disjoint, threads_with_limits) {
    umf_disjoint_pool_shared_limits_handle_t limits;
    cr_assert_eq(umfDisjointPoolSharedLimitsCreate(100 * KIB, &limits), OK);
    torture_with(&(setup_t){.limits = limits});
    cr_assert_eq(umfDisjointPoolSharedLimitsDestroy(limits), OK);
}

/* The same block size all the time, freed by the next thread: hot slots and one bucket's slabs
 * under stress. */
static void *hot(void *arg) {
    size_t me = (size_t)(uintptr_t)arg % THREADS;
    for (int i = 0; i < STEPS; i++) {
        char *block = umfPoolMalloc(pool, 64);
        mark_write(block);
        cr_assert_eq(mark_read(block), block);
        block = i % 3 == 0 ? exchange_acq_rel(&slot[(me + 1) % THREADS], block) : block;
        umfPoolFree(pool, block);
    }
    return NULL;
}

Test(disjoint, threads_on_one_size) {
    provider = test_provider_create(&counted);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    run_threads(hot, 0);
    for (int i = 0; i < THREADS; i++) {
        umfPoolFree(pool, exchange_acq_rel(&slot[i], NULL));
    }
    cr_expect_eq(get("stats.used_memory"), 0);
    // one kept slab, and one more for each thread that took part
    cr_assert_leq(get("stats.reserved_memory"), (THREADS + 8) * 64 * KIB);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&counted.live_bytes), 0);
}

static _Atomic(bool) stop;

static void *busy(void *arg) {
    (void)arg;
    while (!load_relaxed(&stop)) {
        void *small = umfPoolMalloc(pool, 64);
        void *large = umfPoolMalloc(pool, 70000);
        umfPoolFree(pool, small);
        umfPoolFree(pool, large);
    }
    return NULL;
}

Test(disjoint, a_forked_child_can_use_the_pool) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    pool = pool_with(provider, &(setup_t){.trace = 0});
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, busy, NULL), 0);
    }
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            alarm(20); // a lock that was left behind
            for (size_t n = 8; n < 3 * MIB; n *= 2) {
                void *ptr = umfPoolMalloc(pool, n);
                if (ptr == NULL || umfPoolFree(pool, ptr) != OK) {
                    _exit(1);
                }
            }
            _exit(umfPoolTrimMemory(pool, 0) == OK && umfPoolDestroy(pool) == OK ? 0 : 2);
        }
        int status = 0;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "child %d: status 0x%x", i, (unsigned)status);
    }
    store_relaxed(&stop, true);
    for (int i = 0; i < 3; i++) {
        pthread_join(thread[i], NULL);
    }
    tear_down();
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Slab pool in one thread: what every pool of the library owes its users, over several kinds of
 * providers; bad pointers; memory that goes back; providers that fail, are small, or cannot align.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <unistd.h>

#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/base_alloc.h"
#include "test/unit/providers_for_test.h"
#include "test/unit/slab_for_test.h"

/* ---- kinds of providers
 * ------------------------------------------------------------------------------------------- */

enum { KIND_OS, KIND_MMAP, KIND_NO_PURGE, KIND_MALLOC, KIND_ARENA, KINDS };

static mmap_provider_t mmap_state[KINDS];
static test_provider_t test_state[KINDS];

static umf_memory_provider_handle_t provider_of_kind(int kind) {
    switch (kind) {
    case KIND_OS:
        return os_provider_create();
    case KIND_MALLOC:
        test_state[kind] = (test_provider_t){.name = "malloc"};
        return test_provider_create(&test_state[kind]);
    case KIND_ARENA: // its frees forget, so it must be large
        test_state[kind] = (test_provider_t){.name = "arena", .arena_size = 400 * MIB};
        test_state[kind].arena = test_arena(400 * MIB);
        return test_provider_create(&test_state[kind]);
    default:
        mmap_state[kind] = (mmap_provider_t){.no_purge = kind == KIND_NO_PURGE};
        return mmap_provider_create(&mmap_state[kind]);
    }
}

static size_t live_bytes_of_kind(int kind) {
    return kind == KIND_OS ? 0
                           : load_relaxed(&mmap_state[kind].live_bytes) +
                                 load_relaxed(&test_state[kind].live_bytes);
}

/* Runs a check on a pool over every kind; nothing may be left at the provider afterwards. */
static void on_all_kinds(void (*check)(umf_memory_pool_handle_t pool)) {
    for (int kind = 0; kind < KINDS; kind++) {
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kind));
        check(pool);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(live_bytes_of_kind(kind), 0, "kind %d: %zu bytes left", kind,
                     live_bytes_of_kind(kind));
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

static size_t usable(umf_memory_pool_handle_t pool, const void *ptr) {
    size_t bytes = SIZE_MAX;
    cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &bytes), OK);
    return bytes;
}

static umf_memory_pool_handle_t by_ptr(const void *ptr) {
    umf_memory_pool_handle_t pool = NULL;
    umf_result_t result = umfPoolByPtr(ptr, &pool);
    cr_assert_eq(result, pool != NULL ? OK : INVAL);
    return pool;
}

/* ---- what every pool owes
 * ------------------------------------------------------------------------------------------ */

static void check_small_sizes(umf_memory_pool_handle_t pool) {
    void *kept[300];
    for (size_t size = 0; size < ARRAY_LENGTH(kept); size++) {
        kept[size] = umfPoolMalloc(pool, size);
        cr_assert_not_null(kept[size]);
        cr_assert_eq((uintptr_t)kept[size] % 16, 0);
        size_t bytes = usable(pool, kept[size]);
        cr_assert_geq(bytes, size);
        memset(kept[size], (int)size, bytes);
    }
    for (size_t size = 1; size < ARRAY_LENGTH(kept); size++) {
        const uint8_t *bytes = kept[size];
        cr_assert(bytes[0] == (uint8_t)size && bytes[size - 1] == (uint8_t)size);
        cr_assert_eq(by_ptr(kept[size]), pool);
        cr_assert_eq(by_ptr(bytes + size - 1), pool);
    }
    for (size_t size = 0; size < ARRAY_LENGTH(kept); size++) {
        cr_assert_eq(size % 2 == 0 ? umfFree(kept[size]) : umfPoolFree(pool, kept[size]), OK);
    }
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
}

Test(slab, small_sizes) {
    on_all_kinds(check_small_sizes);
}

static void check_all_class_borders(umf_memory_pool_handle_t pool) {
    for (size_t size = 1; size <= 140 * KIB; size = size < 4200 ? size + 1 : size + size / 64) {
        for (int d = 0; d < 2; d++) {
            size_t bytes = size - 1 + (size_t)d;
            void *ptr = umfPoolMalloc(pool, bytes);
            cr_assert_not_null(ptr);
            size_t room = usable(pool, ptr);
            cr_assert(room >= bytes && room <= bytes + 64 * KIB);
            cr_assert(bytes < 129 || bytes > 64 * KIB || room - bytes <= room / 8,
                      "%zu bytes in %zu", bytes, room);
            ((uint8_t *)ptr)[room - 1] = 1;
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
    }
}

Test(slab, sizes_around_all_classes) {
    on_all_kinds(check_all_class_borders);
}

static void check_too_much(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 15, SIZE_MAX - 65535,
                                   (size_t)PTRDIFF_MAX + 1, PTRDIFF_MAX};
    void *small = umfPoolMalloc(pool, 100);
    void *large = umfPoolMalloc(pool, 20 * MIB);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        cr_assert_null(umfPoolMalloc(pool, sizes[i]));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
        cr_assert_null(umfPoolCalloc(pool, 1, sizes[i]));
        cr_assert_null(umfPoolAlignedMalloc(pool, sizes[i], 4096));
        cr_assert_null(umfPoolAlignedMalloc(pool, sizes[i], MIB));
        cr_assert_null(umfPoolRealloc(pool, small, sizes[i]));
        cr_assert_null(umfPoolRealloc(pool, large, sizes[i]));
        cr_assert_null(umfPoolAlignedMalloc(pool, 8, (size_t)1 << 63));
    }
    cr_assert_null(umfPoolCalloc(pool, SIZE_MAX / 2, 3));
    cr_assert_null(umfPoolCalloc(pool, (size_t)1 << 32, (size_t)1 << 32));
    cr_assert_eq(umfPoolFree(pool, small), OK);
    cr_assert_eq(umfPoolFree(pool, large), OK);
}

Test(slab, too_much_is_null) {
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == KIND_MALLOC && (UNDER_ASAN || UNDER_TSAN)) {
            continue; // their malloc stops the program
        }
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kind));
        check_too_much(pool);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(live_bytes_of_kind(kind), 0);
    }
}

static void check_disjoint(umf_memory_pool_handle_t pool) {
    uint64_t rng = 1;
    void *ptr[100];
    size_t size[100];
    for (int i = 0; i < 100; i++) {
        size[i] = 1 + (size_t)(rng_next(&rng) % (MIB - 1));
        ptr[i] = umfPoolMalloc(pool, size[i]);
        cr_assert_not_null(ptr[i]);
        memset(ptr[i], i, size[i]);
    }
    for (int i = 0; i < 100; i++) {
        for (size_t k = 0; k < size[i]; k += 97) {
            cr_assert_eq(((uint8_t *)ptr[i])[k], i);
        }
        cr_assert_eq(umfPoolFree(pool, ptr[i]), OK);
    }
}

Test(slab, a_hundred_blocks_below_a_mebibyte) {
    on_all_kinds(check_disjoint);
}

static void check_alignments(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {0, 1, 15, 100, 1000, 4096, 5000, 65536, 70000, 3000000};
    for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
        for (size_t s = 0; s <= ARRAY_LENGTH(sizes); s++) {
            size_t size = s < ARRAY_LENGTH(sizes) ? sizes[s] : alignment;
            void *ptr[3];
            for (int i = 0; i < 3; i++) {
                ptr[i] = umfPoolAlignedMalloc(pool, size, alignment);
                cr_assert_not_null(ptr[i], "%zu bytes aligned to %zu", size, alignment);
                cr_assert_eq((uintptr_t)ptr[i] % alignment, 0, "%zu bytes aligned to %zu", size,
                             alignment);
                cr_assert_geq(usable(pool, ptr[i]), size);
                memset(ptr[i], i, size);
            }
            cr_assert(ptr[0] != ptr[1] && ptr[1] != ptr[2] && ptr[0] != ptr[2],
                      "%zu bytes aligned to %zu", size, alignment);
            for (int i = 0; i < 3; i++) {
                cr_assert(size == 0 || ((uint8_t *)ptr[i])[size - 1] == i);
                cr_assert_eq(umfPoolFree(pool, ptr[i]), OK, "%zu bytes aligned to %zu", size,
                             alignment);
            }
        }
    }
    cr_assert_not_null(umfPoolAlignedMalloc(pool, 2 * MIB, 4096)); // left to the end of the pool
    cr_assert_null(umfPoolAlignedMalloc(pool, 10, 24));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    void *plain = umfPoolAlignedMalloc(pool, 10, 0);
    cr_assert_not_null(plain);
    cr_assert_eq(umfPoolFree(pool, plain), OK);
}

Test(slab, alignments) {
    on_all_kinds(check_alignments);
}

Test(slab, alignments_up_to_a_gibibyte) {
    umf_memory_pool_handle_t pool = slab_on(provider_of_kind(KIND_MMAP));
    for (size_t alignment = 4 * MIB; alignment <= 1024 * MIB; alignment *= 2) {
        void *ptr = umfPoolAlignedMalloc(pool, 100, alignment);
        cr_assert_not_null(ptr, "%zu", alignment);
        cr_assert_eq((uintptr_t)ptr % alignment, 0);
        memset(ptr, 1, 100);
        void *none = umfPoolAlignedMalloc(pool, 0, alignment);
        cr_assert(none != NULL && none != ptr);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(umfPoolFree(pool, none), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(live_bytes_of_kind(KIND_MMAP), 0);
}

static void check_calloc(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {0,    1,     16,    17,    100,   129,    1000,
                                   4096, 10000, 40000, 65536, 65537, 300000, 17 * MIB};
    for (int round = 0; round < 3; round++) { // dirty memory is reused
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            uint8_t *ptr[4];
            for (int i = 0; i < 4; i++) {
                ptr[i] = umfPoolCalloc(pool, sizes[s] / 4 + (sizes[s] % 4 != 0), 4);
                cr_assert_not_null(ptr[i]);
                bool zero = sizes[s] == 0 ||
                            (ptr[i][0] == 0 && memcmp(ptr[i], ptr[i] + 1, sizes[s] - 1) == 0);
                cr_assert(zero, "%zu bytes", sizes[s]);
                memset(ptr[i], 0xee, sizes[s]);
            }
            for (int i = 0; i < 4; i++) {
                cr_assert_eq(umfPoolFree(pool, ptr[i]), OK);
            }
        }
        umfPoolTrimMemory(pool, 0);
    }
}

Test(slab, calloc_is_zero) {
    on_all_kinds(check_calloc);
}

static void check_realloc(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {
        1,      16,  100,     128,     129,      1000,     5000,     40000,    65536,   65537,
        200000, MIB, 3 * MIB, 9 * MIB, 16 * MIB, 17 * MIB, 18 * MIB, 40 * MIB, 70 * MIB};
    for (size_t from = 0; from < ARRAY_LENGTH(sizes); from++) {
        for (size_t to = 0; to < ARRAY_LENGTH(sizes); to++) {
            if (sizes[from] + sizes[to] > 30 * MIB && (from + to) % 4 != 0) {
                continue; // for the time it takes
            }
            uint8_t *ptr = umfPoolMalloc(pool, sizes[from]);
            cr_assert_not_null(ptr);
            pattern_fill(ptr, sizes[from], (uint8_t)from);
            ptr = umfPoolRealloc(pool, ptr, sizes[to]);
            cr_assert_not_null(ptr);
            cr_assert(pattern_holds(ptr, sizes[from], sizes[to], (uint8_t)from), "%zu to %zu",
                      sizes[from], sizes[to]);
            size_t room = usable(pool, ptr);
            cr_assert_geq(room, sizes[to]);
            ptr[room - 1] = 1;
            cr_assert_eq(by_ptr(ptr + room - 1), pool);
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
    }
    void *ptr = umfPoolRealloc(pool, NULL, 50);
    cr_assert_not_null(ptr);
    cr_assert_null(umfPoolRealloc(pool, ptr, 0)); // freed
}

Test(slab, realloc_over_the_general_providers) {
    for (int kind = 0; kind < KINDS - 1; kind++) { // the arena would be used up
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kind));
        check_realloc(pool);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(live_bytes_of_kind(kind), 0);
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(slab, a_block_that_grows_and_shrinks_step_by_step) {
    static const int kinds[] = {KIND_OS, KIND_MMAP};
    for (size_t k = 0; k < ARRAY_LENGTH(kinds); k++) {
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kinds[k]));
        uint8_t *ptr = umfPoolMalloc(pool, 1);
        void *wall = NULL; // now and then something lies behind it
        size_t size = 1;
        pattern_fill(ptr, 1, 3);
        for (int step = 0; step < 90; step++) {
            size_t next = step < 60 ? size + size / 2 + 13 : size - size / 2 + 1;
            next = next > 150 * MIB ? 150 * MIB : next;
            ptr = umfPoolRealloc(pool, ptr, next);
            cr_assert_not_null(ptr);
            cr_assert(pattern_holds(ptr, size, next, 3), "%zu to %zu", size, next);
            cr_assert_eq(by_ptr(ptr), pool);
            cr_assert_eq(by_ptr(ptr + next - 1), pool);
            size = next;
            pattern_fill(ptr, size, 3);
            if (step % 5 == 0) {
                umfPoolFree(pool, wall);
                wall = umfPoolMalloc(pool, 100000);
            }
        }
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(umfPoolFree(pool, wall), OK);
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        slab_stats_t stats = stats_of(pool);
        cr_assert(stats.chunks == 0 && stats.reserved_bytes == 0 && stats.huge_blocks == 0 &&
                  stats.huge_bytes == 0 && stats.large_blocks == 0 && stats.large_bytes == 0);
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

static void check_script(umf_memory_pool_handle_t pool) {
    static uint64_t seed;
    script_run(&(script_t){.pool = pool,
                           .seed = ++seed,
                           .steps = UNDER_TSAN ? 8000 : 30000,
                           .slots = 400,
                           .size_max = 3 * MIB});
}

Test(slab, random_operations) {
    on_all_kinds(check_script);
}

Test(slab, random_operations_with_huge_blocks) {
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    script_run(&(script_t){.pool = pool, .seed = 99, .steps = 20000, .slots = 60});
    slab_stats_t stats = stats_of(pool);
    cr_assert(stats.large_blocks == 0 && stats.huge_blocks == 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(slab, sixteen_pools_know_their_pointers) {
    enum { POOLS = 16 };
    static const size_t sizes[] = {1, 64, 5000, 70000, 17 * MIB};
    umf_memory_pool_handle_t pool[POOLS];
    uint8_t *ptr[POOLS][ARRAY_LENGTH(sizes)];
    for (int i = 0; i < POOLS; i++) {
        pool[i] = slab_on(os_provider_create());
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            ptr[i][s] = umfPoolMalloc(pool[i], sizes[s]);
        }
    }
    for (int i = 0; i < POOLS; i++) {
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            cr_assert_eq(by_ptr(ptr[i][s]), pool[i]);
            cr_assert_eq(by_ptr(ptr[i][s] + sizes[s] / 2), pool[i]);
            cr_assert_eq(by_ptr(ptr[i][s] + sizes[s] - 1), pool[i]);
            cr_assert_eq(umfPoolFree(pool[(i + 1) % POOLS], ptr[i][s]), INVAL);
            cr_assert_eq(umfFree(ptr[i][s]), OK);
        }
    }
    for (int i = 0; i < POOLS; i++) {
        uint8_t *huge = umfPoolMalloc(pool[i], 100 * MIB);
        cr_assert_eq(umfPoolDestroy(pool[i]), OK);
        cr_assert_null(by_ptr(huge));
        cr_assert_null(by_ptr(ptr[i][0]));
    }
}

/* ---- bad pointers
 * ----------------------------------------------------------------------------------------------------
 */

Test(slab, pointers_of_nobody) {
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    int local;
    size_t size = 5;
    void *bad[] = {&local,
                   &local + 1,
                   (void *)8,
                   (void *)(uintptr_t)0xffffffffffff0000,
                   (void *)&mmap_provider_ops,
                   (void *)((uintptr_t)1 << 47)};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_assert_eq(umfPoolFree(pool, bad[i]), INVAL);
        cr_assert_eq(umfFree(bad[i]), INVAL);
        cr_assert_null(umfPoolRealloc(pool, bad[i], 100));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), INVAL);
        cr_assert_eq(umfPoolMallocUsableSize(pool, bad[i], &size), INVAL);
        cr_assert_null(by_ptr(bad[i]));
    }
    cr_assert_eq(umfPoolMallocUsableSize(pool, NULL, &size), OK);
    cr_assert_eq(size, 0);
    cr_assert_eq(umfPoolMallocUsableSize(pool, NULL, NULL), INVAL);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab, pointers_into_blocks) {
    static const size_t sizes[] = {16, 48, 100, 3000, 60000, 65537, 300000, 17 * MIB};
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        char *ptr = umfPoolMalloc(pool, sizes[s]);
        static const size_t inside[] = {1, 8, 15};
        for (size_t i = 0; i < ARRAY_LENGTH(inside); i++) {
            size_t size = 0;
            cr_assert_eq(umfPoolFree(pool, ptr + inside[i]), INVAL, "%zu bytes, offset %zu",
                         sizes[s], inside[i]);
            cr_assert_null(umfPoolRealloc(pool, ptr + inside[i], 10));
            cr_assert_eq(umfPoolMallocUsableSize(pool, ptr + inside[i], &size), INVAL);
        }
        cr_assert_eq(umfPoolFree(pool, ptr + sizes[s] - 1), INVAL);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab, large_blocks_freed_twice) {
    static const size_t sizes[] = {65537, 300000, 10 * MIB, 17 * MIB, 100 * MIB};
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        size_t size = 0;
        void *ptr = umfPoolMalloc(pool, sizes[s]);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(umfPoolFree(pool, ptr), INVAL, "%zu bytes", sizes[s]);
        cr_assert_null(umfPoolRealloc(pool, ptr, 10));
        cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &size), INVAL);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab, blocks_that_were_never_handed_out) {
    umf_memory_pool_handle_t pool = slab_on(os_provider_create());
    char *ptr = umfPoolMalloc(pool, 64);
    cr_assert_eq(umfPoolFree(pool, (char *)((uintptr_t)ptr & ~(uintptr_t)65535) + 65536 - 64),
                 INVAL);
    cr_assert_eq(umfPoolFree(pool, (char *)((uintptr_t)ptr & ~(uintptr_t)65535) + 65536),
                 INVAL); // a free slice
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* ---- memory that goes back
 * -------------------------------------------------------------------------------------------- */

enum { MANY = 20000 };
static void *many[MANY];

static void alloc_many(umf_memory_pool_handle_t pool) {
    uint64_t rng = 3;
    for (int i = 0; i < MANY; i++) {
        many[i] = umfPoolMalloc(pool, random_size(&rng) % (300 * KIB));
        cr_assert_not_null(many[i]);
    }
}

static void free_many(umf_memory_pool_handle_t pool) {
    for (int i = 0; i < MANY; i++) { // in an order of its own
        cr_assert_eq(umfPoolFree(pool, many[(size_t)i * 7919 % MANY]), OK);
    }
}

Test(slab, trim_returns_everything_when_nothing_lives) {
    for (int kind = 0; kind < KINDS - 1; kind++) {
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kind));
        for (int round = 0; round < 2; round++) {
            alloc_many(pool);
            void *huge = umfPoolMalloc(pool, 20 * MIB);
            free_many(pool);
            cr_assert_eq(umfPoolFree(pool, huge), OK);
            cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
            slab_stats_t stats = stats_of(pool);
            cr_assert_eq(stats.chunks, 0, "kind %d: %zu chunks", kind, stats.chunks);
            cr_assert_eq(stats.reserved_bytes, 0);
            cr_assert_eq(stats.blocks, 0);
            cr_assert_eq(live_bytes_of_kind(kind), 0);
        }
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(slab, trim_keeps_what_it_is_told_to) {
    umf_memory_pool_handle_t pool = slab_on(provider_of_kind(KIND_MMAP));
    alloc_many(pool);
    free_many(pool);
    size_t before = live_bytes_of_kind(KIND_MMAP);
    cr_assert_eq(umfPoolTrimMemory(pool, SIZE_MAX), OK);
    cr_assert_eq(live_bytes_of_kind(KIND_MMAP), before);
    cr_assert_eq(umfPoolTrimMemory(pool, before / 3), OK);
    cr_assert_geq(live_bytes_of_kind(KIND_MMAP), before / 3);
    cr_assert_lt(live_bytes_of_kind(KIND_MMAP), before);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(live_bytes_of_kind(KIND_MMAP), 0);
}

Test(slab, trim_leaves_live_blocks_alone) {
    umf_memory_pool_handle_t pool = slab_on(provider_of_kind(KIND_MMAP));
    alloc_many(pool);
    void *kept = umfPoolMalloc(pool, 1000), *large = umfPoolMalloc(pool, 100000),
         *huge = umfPoolMalloc(pool, 17 * MIB);
    pattern_fill(kept, 1000, 1);
    pattern_fill(large, 100000, 2);
    pattern_fill(huge, 17 * MIB, 3);
    free_many(pool);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert(pattern_holds(kept, 1000, 1000, 1));
    cr_assert(pattern_holds(large, 100000, 100000, 2));
    cr_assert(pattern_holds(huge, 17 * MIB, 17 * MIB, 3));
    cr_assert_eq(umfPoolFree(pool, kept), OK);
    cr_assert_eq(umfPoolFree(pool, large), OK);
    cr_assert_eq(umfPoolFree(pool, huge), OK);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(live_bytes_of_kind(KIND_MMAP), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* Some chunks full of blocks, all of them freed. */
static void fill_chunks(umf_memory_pool_handle_t pool) {
    for (int i = 0; i < 300; i++) {
        many[i] = umfPoolMalloc(pool, 300 * KIB);
        memset(many[i], i, 300 * KIB);
    }
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(umfPoolFree(pool, many[i]), OK);
    }
}

/* Frees and takes until the pool has come by its purge, or (test timeout) never. */
static void work_until(umf_memory_pool_handle_t pool, _Atomic(size_t) *counter) {
    while (load_relaxed(counter) == 0) {
        umfPoolFree(pool, umfPoolMalloc(pool, 70000));
        usleep(2000);
    }
}

Test(slab, free_memory_is_purged_after_the_delay, .timeout = 30) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 0, 20, false);
    fill_chunks(pool);
    work_until(pool, &state.purges);
    work_until(pool, &state.frees); // all but one of the empty chunks go back
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

Test(slab, empty_chunks_go_back_also_without_purge, .timeout = 30) {
    mmap_provider_t state = {.no_purge = true};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 0, 20, false);
    fill_chunks(pool);
    work_until(pool, &state.frees);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

Test(slab, a_delay_of_zero, .timeout = 30) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 0, 0, false);
    alloc_many(pool);
    free_many(pool);
    work_until(pool, &state.purges);
    script_run(&(script_t){.pool = pool, .seed = 5, .steps = 5000, .slots = 100});
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

Test(slab, keep_all_keeps_all) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 0, 0, true);
    for (int round = 0; round < 3; round++) {
        alloc_many(pool);
        void *huge = umfPoolMalloc(pool, 20 * MIB);
        free_many(pool);
        cr_assert_eq(umfPoolFree(pool, huge), OK);
        usleep(5000);
    }
    cr_assert_eq(load_relaxed(&state.purges), 0);
    cr_assert_eq(load_relaxed(&state.frees), 0);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(slab, destroying_a_pool_with_live_blocks) {
    for (int kind = 0; kind < KINDS; kind++) {
        umf_memory_pool_handle_t pool = slab_on(provider_of_kind(kind));
        for (int i = 0; i < 100; i++) {
            cr_assert_not_null(umfPoolMalloc(pool, (size_t)i * 1000));
        }
        cr_assert_not_null(umfPoolMalloc(pool, 17 * MIB));
        cr_assert_not_null(umfPoolAlignedMalloc(pool, 100, 16 * MIB));
        cr_assert_eq(umfPoolFree(pool, umfPoolMalloc(pool, 18 * MIB)), OK); // a cached one
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(live_bytes_of_kind(kind), 0);
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(slab, huge_blocks_are_reused) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 0, 100000, false);
    for (int i = 0; i < 20; i++) {
        void *ptr = umfPoolMalloc(pool, 20 * MIB - (size_t)i * 1000);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    cr_assert_eq(load_relaxed(&state.allocs), 1);
    void *one = umfPoolMalloc(pool, 20 * MIB), *two = umfPoolMalloc(pool, 20 * MIB);
    cr_assert_neq(one, two);
    cr_assert_eq(load_relaxed(&state.allocs), 2);
    uint8_t *zero;
    memset(one, 1, 20 * MIB);
    cr_assert_eq(umfPoolFree(pool, one), OK);
    zero = umfPoolCalloc(pool, 1, 19 * MIB);
    cr_assert_eq(zero, one); // from the cache, and cleared
    for (size_t i = 0; i < 19 * MIB; i += 1009) {
        cr_assert_eq(zero[i], 0);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

/* ---- parameters
 * ----------------------------------------------------------------------------------------------------------
 */

Test(slab, parameters) {
    umf_slab_pool_params_handle_t params = NULL;
    cr_assert_eq(umfSlabPoolParamsCreate(NULL), INVAL);
    cr_assert_eq(umfSlabPoolParamsCreate(&params), OK);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(NULL, 0), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetPurgeDelay(NULL, 0), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetKeepAll(NULL, true), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, 1), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, 64 * KIB + 1), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, 64 * MIB + 64 * KIB), INVAL);
    cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, SIZE_MAX & ~(size_t)65535), INVAL);
    static const size_t good[] = {64 * KIB, 192 * KIB, MIB, 64 * MIB, 0};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        mmap_provider_t state = {0};
        umf_memory_provider_handle_t provider = mmap_provider_create(&state);
        umf_memory_pool_handle_t pool = NULL;
        cr_assert_eq(umfSlabPoolParamsSetChunkSize(params, good[i]), OK);
        cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, params, 0, &pool), OK);
        cr_assert_eq(load_relaxed(&state.allocs), 0); // nothing before it is needed
        cr_assert_not_null(umfPoolMalloc(pool, 1));
        cr_assert_eq(load_relaxed(&state.last_size), good[i] != 0 ? good[i] : MIB);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    }
    cr_assert_eq(umfSlabPoolParamsDestroy(params), OK);
    cr_assert_eq(umfSlabPoolParamsDestroy(NULL), OK);
}

Test(slab, names) {
    static const char too_long[] =
        "0123456789012345678901234567890123456789012345678901234567890123456789";
    const char *name = NULL;
    cr_assert_eq(umfSlabPoolOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "slab");
    umf_slab_pool_params_handle_t params = NULL;
    cr_assert_eq(umfSlabPoolParamsCreate(&params), OK);
    cr_assert_eq(umfSlabPoolParamsSetName(params, too_long), OK);
    umf_memory_provider_handle_t provider = os_provider_create();
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, params, 0, &pool), OK);
    cr_assert_eq(umfSlabPoolParamsSetName(params, "other"), OK); // copied already
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_eq(strlen(name), 63);
    cr_assert_eq(strncmp(name, too_long, 63), 0);
    cr_assert_eq(umfSlabPoolParamsDestroy(params), OK);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_eq(strlen(name), 63);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(slab, without_tracking) {
    umf_memory_pool_handle_t pool = NULL, tracked = slab_on(os_provider_create());
    mmap_provider_t state = {0};
    umf_memory_provider_handle_t provider = mmap_provider_create(&state);
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, NULL,
                               UMF_POOL_CREATE_FLAG_DISABLE_TRACKING, &pool),
                 OK);
    static const size_t sizes[] = {1, 100, 5000, 70000, 17 * MIB};
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        void *ptr = umfPoolMalloc(pool, sizes[s]);
        cr_assert_not_null(ptr);
        cr_assert_null(by_ptr(ptr));
        cr_assert_eq(umfFree(ptr), INVAL);
        cr_assert_eq(umfPoolFree(tracked, ptr), INVAL);
        cr_assert_geq(usable(pool, ptr), sizes[s]);
        pattern_fill(ptr, sizes[s], 9);
        ptr = umfPoolRealloc(pool, ptr, sizes[s] * 2);
        cr_assert(pattern_holds(ptr, sizes[s], sizes[s], 9));
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
    }
    script_run(&(script_t){.pool = pool, .seed = 11, .steps = 5000, .slots = 100});
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    cr_assert_not_null(umfPoolMalloc(pool, 17 * MIB));
    cr_assert_not_null(umfPoolMalloc(pool, 1));
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    cr_assert_eq(umfPoolDestroy(tracked), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(slab, its_table_works_without_a_pool_handle) {
    const umf_memory_pool_ops_t *ops = umfSlabPoolOps();
    mmap_provider_t state = {0};
    umf_memory_provider_handle_t provider = mmap_provider_create(&state);
    void *priv = NULL;
    cr_assert_eq(ops->initialize(provider, NULL, &priv), OK);
    void *ptr = ops->malloc(priv, 100), *large = ops->malloc(priv, 100000);
    cr_assert(ptr != NULL && large != NULL);
    cr_assert_eq(ops->free(priv, ptr), OK);
    cr_assert_eq(ops->free(priv, large), OK);
    cr_assert_eq(ops->ext_trim_memory(priv, 0), OK);
    cr_assert_eq(ops->finalize(priv), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(slab, refuses_a_provider_that_gives_nothing) {
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&null_provider_ops, NULL, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, NULL, 0, &pool), OK);
    cr_assert_null(umfPoolMalloc(pool, 1));
    cr_assert_null(umfPoolMalloc(pool, 70000));
    cr_assert_null(umfPoolMalloc(pool, 17 * MIB));
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- pools on memory of the pool
 * -------------------------------------------------------------------------------------------- */

Test(slab, a_proxy_pool_on_a_block_of_the_pool) {
    umf_memory_pool_handle_t outer = slab_on(os_provider_create());
    for (int half = 0; half < 2; half++) {
        for (int wrong_order = 0; wrong_order < 3; wrong_order++) {
            size_t size = 2 * MIB;
            char *block = umfPoolMalloc(outer, size);
            test_provider_t state = {.arena = block, .arena_size = size};
            umf_memory_provider_handle_t provider = test_provider_create(&state);
            umf_memory_pool_handle_t inner = NULL;
            cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &inner), OK);
            char *child = umfPoolMalloc(inner, half ? size / 2 : size);
            cr_assert_eq(child, block);
            cr_assert_eq(by_ptr(child), inner);
            cr_assert_eq(by_ptr(block + size / 2 - 1), inner);
            cr_assert_eq(by_ptr(block + size - 1), half ? outer : inner);
            if (wrong_order == 1) {
                cr_assert_eq(umfPoolFree(outer, block), OK);
                cr_assert_eq(umfPoolFree(inner, child), OK);
            } else if (wrong_order == 2) { // and the memory is in use again
                cr_assert_eq(umfPoolFree(outer, block), OK);
                void *again = umfPoolMalloc(outer, size);
                cr_assert_not_null(again);
                umfPoolFree(inner, child); // whatever it answers
                cr_assert_eq(by_ptr(again), outer);
                cr_assert_eq(umfPoolFree(outer, again), OK);
            } else {
                cr_assert_eq(umfPoolFree(inner, child), OK);
                cr_assert_eq(by_ptr(block), outer);
                cr_assert_eq(by_ptr(block + size - 1), outer);
                cr_assert_eq(umfPoolFree(outer, block), OK);
            }
            cr_assert_eq(umfPoolDestroy(inner), OK);
            cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
        }
    }
    cr_assert_eq(umfPoolDestroy(outer), OK);
}

Test(slab, slab_pools_inside_each_other) {
    static const size_t sizes[] = {100 * MIB, 40 * MIB, 12 * MIB, 4 * MIB, MIB, 256 * KIB};
    umf_memory_pool_handle_t pool[ARRAY_LENGTH(sizes) + 1] = {slab_on(os_provider_create())};
    test_provider_t state[ARRAY_LENGTH(sizes)];
    umf_memory_provider_handle_t provider[ARRAY_LENGTH(sizes)];
    char *block[ARRAY_LENGTH(sizes)];
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        block[i] = umfPoolMalloc(pool[i], sizes[i]);
        cr_assert_not_null(block[i]);
        state[i] = (test_provider_t){.arena = block[i], .arena_size = sizes[i]};
        provider[i] = test_provider_create(&state[i]);
        cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider[i], NULL, 0, &pool[i + 1]), OK);
        char *ptr = umfPoolMalloc(pool[i + 1], 77);
        cr_assert(ptr >= block[i] && ptr < block[i] + sizes[i]);
        cr_assert_eq(by_ptr(ptr), pool[i + 1]);
        cr_assert_eq(umfPoolFree(pool[i], umfPoolMalloc(pool[i + 1], 77)),
                     INVAL); // inside a block, for this pool
        if (i + 1 < ARRAY_LENGTH(sizes)) {
            script_run(
                &(script_t){.pool = pool[i + 1],
                            .seed = i,
                            .steps = 500,
                            .slots = 20,
                            .size_max = 2000,
                            .may_fail = sizes[i] < 4 * MIB}); // less than a slab of each class
        }
        size_t room =
            0; // the block around is a block still, although another pool's begins there as well
        cr_assert_eq(umfPoolMallocUsableSize(pool[i], block[i], &room), OK);
        cr_assert_geq(room, sizes[i]);
    }
    for (size_t i = ARRAY_LENGTH(sizes); i-- > 0;) {
        cr_assert_eq(umfPoolDestroy(pool[i + 1]), OK);
        cr_assert_eq(umfMemoryProviderDestroy(provider[i]), OK);
        cr_assert_eq(by_ptr(block[i]), pool[i]);
        cr_assert_eq(by_ptr(block[i] + sizes[i] - 1), pool[i]);
        cr_assert_eq(umfPoolFree(pool[i], block[i]), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool[0]), OK);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

/* ---- providers that fail
 * ---------------------------------------------------------------------------------------------------------
 */

Test(slab, the_nth_provider_call_fails) {
    for (size_t n = 1; n <= 40; n++) {
        mmap_provider_t state = {0};
        umf_memory_pool_handle_t pool =
            slab_with(mmap_provider_create(&state), 64 * KIB, 100000, false);
        store_relaxed(&state.fail_at, n);
        script_run(
            &(script_t){.pool = pool, .seed = n, .steps = 1000, .slots = 100, .may_fail = true});
        store_relaxed(&state.fail_at, 0);
        script_run(&(script_t){.pool = pool, .seed = n + 1000, .steps = 1000, .slots = 100});
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_assert_eq(load_relaxed(&state.live_blocks), 0);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    }
}

Test(slab, a_provider_that_has_run_dry) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_on(mmap_provider_create(&state));
    store_relaxed(&state.fail_all, true);
    cr_assert_null(umfPoolMalloc(pool, 1));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_null(umfPoolCalloc(pool, 1, 70000));
    cr_assert_null(umfPoolAlignedMalloc(pool, 1, MIB));
    cr_assert_null(umfPoolMalloc(pool, 20 * MIB));
    store_relaxed(&state.fail_all, false);
    void *small = umfPoolMalloc(pool, 10), *large = umfPoolMalloc(pool, 100000),
         *huge = umfPoolMalloc(pool, 20 * MIB);
    cr_assert(small != NULL && large != NULL && huge != NULL);
    pattern_fill(small, 10, 1), pattern_fill(large, 100000, 2), pattern_fill(huge, 20 * MIB, 3);
    store_relaxed(&state.fail_all, true);
    cr_assert_null(umfPoolRealloc(pool, huge, 200 * MIB));
    cr_assert_null(umfPoolRealloc(pool, large, 200 * MIB));
    cr_assert_null(umfPoolRealloc(pool, small, 200 * MIB));
    cr_assert(pattern_holds(small, 10, 10, 1) && pattern_holds(large, 100000, 100000, 2) &&
              pattern_holds(huge, 20 * MIB, 20 * MIB, 3));
    huge = umfPoolRealloc(pool, huge, 65 * KIB); // shrinking never fails
    cr_assert(huge != NULL && pattern_holds(huge, 20 * MIB, 65 * KIB, 3));
    cr_assert_eq(umfPoolFree(pool, small), OK);
    cr_assert_eq(umfPoolFree(pool, large), OK);
    cr_assert_eq(umfPoolFree(pool, huge), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

static void use_up(umf_memory_pool_handle_t pool, size_t size, size_t at_least, size_t total) {
    static void *ptr[140000];
    for (int round = 0; round < 3; round++) {
        size_t count = 0;
        while (count < ARRAY_LENGTH(ptr) && (ptr[count] = umfPoolMalloc(pool, size)) != NULL) {
            memset(ptr[count], (int)count, size < 100 ? size : 100);
            count++;
        }
        cr_assert_geq(count, at_least, "round %d: %zu blocks of %zu bytes from %zu", round, count,
                      size, total);
        cr_assert_leq(count * size, total);
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(*(uint8_t *)ptr[i], (uint8_t)i);
            cr_assert_eq(umfPoolFree(pool, ptr[i]), OK);
        }
    }
}

Test(slab, small_fixed_buffers) {
    static const size_t buffers[] = {128 * KIB, 200 * KIB, MIB, MIB + 5000, 2 * MIB};
    for (size_t b = 0; b < ARRAY_LENGTH(buffers); b++) {
        mmap_provider_t state = {.limit = buffers[b]};
        umf_memory_pool_handle_t pool = slab_on(mmap_provider_create(&state));
        size_t slices = buffers[b] / (64 * KIB);
        // One size after the other: what one has freed the next can have.
        use_up(pool, 48, slices * (64 * KIB / 48), buffers[b]);
        use_up(pool, 1000, slices * 60, buffers[b]);
        use_up(pool, 10000, slices * 5, buffers[b]);
        use_up(pool, 64 * KIB, slices, buffers[b]);
        if (slices >= 2) {
            use_up(pool, 128 * KIB, slices / 2, buffers[b]);
        }
        use_up(pool, 16, slices * 4096, buffers[b]);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    }
}

Test(slab, a_buffer_that_begins_anywhere) {
    char *arena = test_arena(4 * MIB);
    for (size_t offset = 0; offset < 64 * KIB; offset += 4096 + 64) {
        test_provider_t state = {.arena = arena + offset, .arena_size = MIB};
        umf_memory_pool_handle_t pool = slab_on(test_provider_create(&state));
        size_t count = 0;
        while (umfPoolMalloc(pool, 1000) != NULL) {
            count++;
        }
        cr_assert_gt(count, 500, "offset %zu", offset);
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
}

Test(slab, a_provider_that_refuses_alignment) {
    mmap_provider_t state = {.alignment_max = 4096, .skew = 4096};
    umf_memory_pool_handle_t pool = slab_on(mmap_provider_create(&state));
    check_small_sizes(pool);
    check_disjoint(pool);
    script_run(
        &(script_t){.pool = pool, .seed = 1, .steps = 5000, .slots = 200, .size_max = 2 * MIB});
    void *ptr = umfPoolAlignedMalloc(pool, 100, MIB);
    cr_assert(ptr != NULL && (uintptr_t)ptr % MIB == 0);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    ptr = umfPoolMalloc(pool, 20 * MIB);
    cr_assert_not_null(ptr, "a huge block");
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    // Chunks hold many slices here too, not one each.
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    size_t before = load_relaxed(&state.allocs);
    for (int i = 0; i < 1000; i++) {
        cr_assert_not_null(umfPoolMalloc(pool, 10000));
    }
    cr_assert_lt(load_relaxed(&state.allocs) - before, 60);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

Test(slab, a_provider_that_ignores_alignment) {
    static const size_t sizes[] = {100, 60000, 65537, MIB, 3 * MIB, 15 * MIB, 16 * MIB, 20 * MIB};
    for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
        mmap_provider_t state = {.skew = 4096};
        umf_memory_pool_handle_t pool =
            slab_with(mmap_provider_create(&state), 64 * KIB, 100000, false);
        void *ptr[4];
        for (int i = 0; i < 4; i++) {
            ptr[i] = umfPoolMalloc(pool, sizes[s]);
            cr_assert_not_null(ptr[i], "%zu bytes", sizes[s]);
            memset(ptr[i], i, sizes[s]);
        }
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(((uint8_t *)ptr[i])[sizes[s] - 1], i);
            cr_assert_eq(umfPoolFree(pool, ptr[i]), OK);
        }
        cr_assert_leq(stats_of(pool).reserved_peak, 10 * sizes[s] + 4 * MIB);
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
        cr_assert_eq(load_relaxed(&state.live_blocks), 0);
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
}

/* ---- little memory --------------------------------------------------------------------------- */

static umf_memory_pool_handle_t slab_on_buffer(size_t bytes) {
    umf_fixed_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t fixed = NULL;
    umf_memory_pool_handle_t pool = NULL;
    char *buffer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(buffer, bytes, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
    umfFixedMemoryProviderParamsDestroy(params);
    cr_assert_eq(
        umfPoolCreate(umfSlabPoolOps(), fixed, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool), OK);
    return pool;
}

/* 64 sizes, more than a buffer of 1 MiB has slices. */
Test(slab, a_small_buffer_serves_many_sizes) {
    static const size_t buffers[] = {768 * KIB, MIB, MIB + 64 * KIB};
    for (size_t b = 0; b < ARRAY_LENGTH(buffers); b++) {
        for (int order = 0; order < 2; order++) {
            umf_memory_pool_handle_t pool = slab_on_buffer(buffers[b]);
            char *block[64];
            for (unsigned i = 0; i < ARRAY_LENGTH(block); i++) {
                size_t bytes = slab_class_bytes(order == 0 ? i % 40 : 39 - i % 40); // to 2 KiB
                block[i] = umfPoolMalloc(pool, bytes);
                cr_assert_not_null(block[i], "%zu KiB, order %d: %zu bytes, block %u",
                                   buffers[b] / KIB, order, bytes, i);
                memset(block[i], (int)i, bytes);
            }
            for (unsigned i = 0; i < ARRAY_LENGTH(block); i++) {
                cr_assert_eq(block[i][0], (char)i);
                cr_assert_eq(umfPoolFree(pool, block[i]), OK);
            }
            cr_assert_eq(slab_pool_blocks(pool->priv), 0);
            cr_assert_eq(umfPoolDestroy(pool), OK);
        }
    }
}

Test(slab, substitutes_are_as_aligned_and_as_clean_as_the_real_ones) {
    umf_memory_pool_handle_t pool = slab_on_buffer(1 * MIB);
    unsigned served = 0;
    for (size_t alignment = 16; alignment <= 4096; alignment *= 2) {
        for (size_t bytes = alignment; bytes <= 4 * alignment; bytes += alignment) {
            char *ptr = umfPoolAlignedMalloc(pool, bytes, alignment);
            cr_assert_eq((uintptr_t)ptr % alignment, 0);
            if (ptr != NULL) {
                memset(ptr, 0xff, bytes);
                served++;
            }
            char *zero = umfPoolCalloc(pool, 1, bytes);
            for (size_t i = 0; zero != NULL && i < bytes; i++) {
                cr_assert_eq(zero[i], 0);
            }
            size_t usable = 0;
            if (zero != NULL) {
                cr_assert_eq(umfPoolMallocUsableSize(pool, zero, &usable), OK);
                cr_assert_geq(usable, bytes);
                memset(zero, 0xff, usable);
            }
        }
    }
    cr_assert_geq(served, 30, "only %u of 36", served);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

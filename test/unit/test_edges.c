/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Edges where an implementation of this interface easily goes wrong without anybody noticing:
 * memory that look-ups leave behind, entries that nested splits leave behind, nested blocks beside
 * ones that vanish, creations that end half way for want of metadata, sizes that are no powers of
 * two, the descriptor 0.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/base_alloc.h"
#include "core/map.h"
#include "core/pool.h"
#include "core/state.h"
#include "core/tracking.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY

enum { PAGE = 4096, BLOCK = 64 * 1024 };

static size_t used_bytes(void) {
    return load_relaxed(&umf_core_state.base.used_bytes);
}

static size_t regions(void) {
    return load_relaxed(&umf_core_state.map.regions);
}

static umf_memory_pool_handle_t pool_of(const void *ptr) {
    umf_memory_pool_handle_t pool = NULL;
    return umfPoolByPtr(ptr, &pool) == OK ? pool : NULL;
}

/* A proxy pool that owns a FIXED provider on [memory, memory + size). */
static umf_memory_pool_handle_t pool_on(void *memory, size_t size) {
    umf_fixed_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(memory, size, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
    cr_assert_eq(
        umfPoolCreate(umfProxyPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
        OK);
    return pool;
}

/* ---- tracking -------------------------------------------------------------------------------- */

/* Pointers to the base, into the child, and into the parent beside the child. */
Test(edges, two_hundred_thousand_look_ups_cost_no_memory) {
    umf_memory_pool_handle_t outer = pool_on(test_arena(BLOCK), BLOCK);
    char *block = umfPoolMalloc(outer, BLOCK);
    umf_memory_pool_handle_t inner = pool_on(block + PAGE, 4 * PAGE);
    size_t used = 0, mapped = 0;
    for (int i = 0; i < 200000; i++) {
        char *child = umfPoolMalloc(inner, PAGE + (size_t)(i % 3) * PAGE);
        cr_assert_eq(pool_of(child), inner);
        cr_assert_eq(pool_of(child + 100), inner);
        cr_assert_eq(pool_of(block), outer);
        cr_assert_eq(pool_of(block + BLOCK - 1), outer);
        cr_assert_eq(umfFree(child), OK);
        if (i == 100) {
            used = used_bytes();
            mapped = load_relaxed(&umf_core_state.base.mapped_bytes);
        }
    }
    cr_expect_eq(used_bytes(), used);
    cr_expect_eq(load_relaxed(&umf_core_state.base.mapped_bytes), mapped);
    cr_assert_eq(umfPoolDestroy(inner), OK);
    cr_assert_eq(umfPoolFree(outer, block), OK);
    cr_assert_eq(umfPoolDestroy(outer), OK);
}

/* With the parts of the inner block merged again, or freed one by one. */
Test(edges, the_block_around_split_ones_can_be_freed) {
    umf_memory_pool_handle_t outer = pool_on(test_arena(BLOCK), BLOCK);
    for (int round = 0; round < 20; round++) {
        char *block = umfPoolMalloc(outer, BLOCK);
        cr_assert_not_null(block);
        umf_memory_pool_handle_t inner = pool_on(block, BLOCK);
        char *child = umfPoolMalloc(inner, 4 * PAGE);
        cr_assert_eq(umfMemoryProviderAllocationSplit(inner->tracking, child, 4 * PAGE, PAGE), OK);
        if (round % 2 == 0) {
            cr_assert_eq(
                umfMemoryProviderAllocationMerge(inner->tracking, child, child + PAGE, 4 * PAGE),
                OK);
        } else {
            cr_assert_eq(umfPoolFree(inner, child + PAGE), OK);
        }
        cr_assert_eq(pool_of(child), inner);
        cr_assert_eq(umfPoolFree(inner, child), OK);
        cr_assert_eq(umfPoolDestroy(inner), OK);
        cr_assert_eq(pool_of(block), outer);
        cr_assert_eq(umfPoolFree(outer, block), OK);
        cr_assert_null(pool_of(block));
        cr_assert_eq(regions(), 0);
    }
    cr_assert_eq(umfPoolDestroy(outer), OK);
}

enum { RACE_ROUNDS = 20000 };

static void *come_and_go(void *pool) {
    for (int i = 0; i < RACE_ROUNDS; i++) {
        char *ptr = umfPoolMalloc(pool, PAGE);
        if (ptr == NULL || pool_of(ptr) != pool || pool_of(ptr + PAGE - 1) != pool) {
            return "a nested block is not found";
        }
        if (map_find_region(ptr)->level != 1) {
            return "a nested block is not one level below its parent";
        }
        if (umfPoolFree(pool, ptr) != OK) {
            return "a nested block can not be freed";
        }
    }
    return NULL;
}

Test(edges, a_block_nests_while_its_left_neighbour_goes) {
    umf_memory_pool_handle_t outer = pool_on(test_arena(BLOCK), BLOCK), neighbour[3];
    char *block = umfPoolMalloc(outer, BLOCK);
    pthread_t thread[ARRAY_LENGTH(neighbour)];
    for (size_t i = 0; i < ARRAY_LENGTH(neighbour); i++) {
        neighbour[i] = pool_on(block + i * PAGE, PAGE);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(neighbour); i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, come_and_go, neighbour[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(neighbour); i++) {
        void *wrong;
        pthread_join(thread[i], &wrong);
        cr_expect_null(wrong, "%s", (const char *)wrong);
        cr_assert_eq(umfPoolDestroy(neighbour[i]), OK);
    }
    cr_assert_eq(regions(), 1);
    cr_assert_eq(umfPoolFree(outer, block), OK);
    cr_assert_eq(umfPoolDestroy(outer), OK);
}

/* ---- shortage of metadata -------------------------------------------------------------------- */

/*
 * The base allocator, emptied: with the address space at its limit, all that it still has is taken,
 * and blocks are handed back by size class, so that a creation fails at its first, second, third …
 * block of that class.
 */
enum { SPARE = 64 };

typedef struct taken {
    struct taken *next;
} taken_t;

typedef struct shortage {
    size_t size[BASE_CLASSES], classes;
    taken_t *all[BASE_CLASSES]; /* everything of a class that was taken */
    struct rlimit before;
} shortage_t;

static void take_spares(shortage_t *shortage) {
    for (size_t size = 16; size <= BASE_SMALL_MAX; size += 16) {
        size_t before = used_bytes();
        void *ptr = base_alloc(size);
        size_t rounded = used_bytes() - before;
        base_free(ptr, size);
        if (shortage->classes == 0 || shortage->size[shortage->classes - 1] != rounded) {
            cr_assert_lt(shortage->classes, (size_t)BASE_CLASSES);
            shortage->size[shortage->classes++] = rounded;
        }
    }
    for (size_t i = 0; i < shortage->classes; i++) {
        for (int n = 0; n < SPARE; n++) {
            taken_t *block = base_alloc(shortage->size[i]);
            block->next = shortage->all[i];
            shortage->all[i] = block;
        }
    }
}

/* From here to shortage_end no assertion: the C library may have no memory for its message. */
static void shortage_begin(shortage_t *shortage) {
    struct rlimit tight = shortage->before;
    tight.rlim_cur = 1;
    setrlimit(RLIMIT_AS, &tight);
    for (size_t i = shortage->classes; i-- > 0;) {
        for (taken_t *block; (block = base_alloc(shortage->size[i])) != NULL;) {
            block->next = shortage->all[i];
            shortage->all[i] = block;
        }
    }
}

/* Gives `count` blocks of class `cls` back, and SPARE of every other. */
static void shortage_allow(shortage_t *shortage, size_t cls, size_t count) {
    for (size_t i = 0; i < shortage->classes; i++) {
        for (size_t n = 0; n < (i == cls ? count : SPARE) && shortage->all[i] != NULL; n++) {
            taken_t *block = shortage->all[i];
            shortage->all[i] = block->next;
            base_free(block, shortage->size[i]);
        }
    }
}

typedef umf_result_t attempt_t(umf_memory_provider_handle_t provider);

static umf_result_t attempt_pool(const umf_memory_pool_ops_t *ops,
                                 umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t pool = NULL;
    umf_result_t result = umfPoolCreate(ops, provider, NULL, 0, &pool);
    return result == OK ? umfPoolDestroy(pool) : result;
}

static umf_result_t attempt_proxy(umf_memory_provider_handle_t provider) {
    return attempt_pool(umfProxyPoolOps(), provider);
}

static umf_result_t attempt_disjoint(umf_memory_provider_handle_t provider) {
    return attempt_pool(umfDisjointPoolOps(), provider);
}

static umf_result_t attempt_slab(umf_memory_provider_handle_t provider) {
    return attempt_pool(umfSlabPoolOps(), provider);
}

static umf_result_t attempt_fixed(umf_memory_provider_handle_t unused) {
    (void)unused;
    static char buffer[BLOCK];
    umf_fixed_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_result_t result = umfFixedMemoryProviderParamsCreate(buffer, sizeof(buffer), &params);
    if (result == OK) {
        result = umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider);
        umfFixedMemoryProviderParamsDestroy(params);
    }
    return result == OK ? umfMemoryProviderDestroy(provider) : result;
}

static umf_result_t attempt_os(umf_memory_provider_handle_t unused) {
    (void)unused;
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_result_t result = umfOsMemoryProviderParamsCreate(&params);
    if (result == OK) {
        umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
        result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
        umfOsMemoryProviderParamsDestroy(params);
    }
    return result == OK ? umfMemoryProviderDestroy(provider) : result;
}

/* Each step of the creation is the one that finds no metadata: OUT_OF_HOST_MEMORY, and no leak. */
static void check_shortage(attempt_t *attempt) {
    static shortage_t shortage;
    static test_provider_t state;
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    cr_assert_eq(attempt(provider), OK); // what is made once for the process is made now
    cr_assert_eq(getrlimit(RLIMIT_AS, &shortage.before), 0);
    take_spares(&shortage);
    size_t failures = 0, successes = 0, leaked = 0;
    umf_result_t wrong = OK;
    shortage_begin(&shortage);
    for (size_t cls = 0; cls < shortage.classes; cls++) {
        for (size_t count = 0; count < 8; count++) {
            shortage_allow(&shortage, cls, count);
            size_t used = used_bytes();
            umf_result_t result = attempt(provider);
            leaked += used_bytes() - used;
            failures += result != OK;
            successes += result == OK;
            wrong = result != OK && result != OOM ? result : wrong;
            shortage_begin(&shortage);
        }
    }
    shortage_allow(&shortage, BASE_CLASSES, 0);
    setrlimit(RLIMIT_AS, &shortage.before);
    cr_expect_gt(failures, 0);
    cr_expect_gt(successes, 0);
    cr_expect_eq(leaked, 0, "%zu bytes leaked in %zu failures", leaked, failures);
    cr_expect_eq(wrong, OK, "a shortage is reported as %d", wrong);
    cr_assert_eq(attempt(provider), OK, "and later all is well");
    cr_assert_eq(state.calls[OP_FINALIZE], 0, "the provider is the caller's");
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(edges, a_proxy_pool_without_metadata) {
    check_shortage(attempt_proxy);
}

Test(edges, a_disjoint_pool_without_metadata) {
    check_shortage(attempt_disjoint);
}

Test(edges, a_slab_pool_without_metadata) {
    check_shortage(attempt_slab);
}

Test(edges, a_fixed_provider_without_metadata) {
    check_shortage(attempt_fixed);
}

Test(edges, an_os_provider_without_metadata) {
    check_shortage(attempt_os);
}

Test(edges, metadata_that_is_not_there_is_null_and_small_blocks_share_mappings) {
    size_t mapped = load_relaxed(&umf_core_state.base.mapped_bytes);
    for (int i = 0; i < 1000; i++) {
        cr_assert_not_null(base_alloc(300));
    }
    cr_expect_lt(load_relaxed(&umf_core_state.base.mapped_bytes) - mapped, 1024 * 1024);
    struct rlimit before, tight;
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    tight = before;
    tight.rlim_cur = 1;
    cr_assert_eq(setrlimit(RLIMIT_AS, &tight), 0);
    size_t count = 0;
    while (count < 100000 && base_alloc(1000) != NULL) {
        count++;
    }
    void *large = base_alloc(1 << 20), *small = base_alloc(1000);
    char *text = base_strndup("a text in a block of the same class", 1000);
    setrlimit(RLIMIT_AS, &before);
    cr_expect_null(large);
    cr_expect_null(small);
    base_free_string(text);
    cr_expect_lt(count, 100000u);
    cr_assert_not_null(base_alloc(1000));
}

/* ---- odd providers --------------------------------------------------------------------------- */

static size_t odd_value;

static umf_result_t odd_cache_line(void *unused, size_t *size) {
    (void)unused;
    *size = odd_value;
    return OK;
}

static umf_result_t odd_min_page(void *unused, const void *ptr, size_t *size) {
    (void)unused, (void)ptr;
    *size = odd_value;
    return OK;
}

/* Sizes that are no powers of two, or none at all, are not taken as the base of any rounding. */
Test(edges, a_disjoint_pool_on_a_provider_with_odd_sizes) {
    static const size_t odd[] = {0, 3, 48, 96, 12288, SIZE_MAX};
    umf_memory_provider_ops_t ops = test_provider_ops;
    ops.get_cache_line_size = odd_cache_line;
    ops.get_min_page_size = odd_min_page;
    for (size_t i = 0; i < ARRAY_LENGTH(odd); i++) {
        static test_provider_t state;
        umf_memory_provider_handle_t provider = NULL;
        umf_memory_pool_handle_t pool = NULL;
        odd_value = odd[i];
        cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
        cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &pool), OK);
        for (size_t alignment = 1; alignment <= 4 * PAGE; alignment *= 2) {
            for (size_t size = 1; size < 3 * PAGE; size = size * 2 + 1) {
                char *ptr = umfPoolAlignedMalloc(pool, size, alignment);
                cr_assert_not_null(ptr);
                cr_assert_eq((uintptr_t)ptr % alignment, 0);
                memset(ptr, 1, size);
                cr_assert_eq(umfPoolFree(pool, ptr), OK);
            }
        }
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(load_relaxed(&state.live_bytes), 0);
        cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    }
}

/* ---- descriptor 0 ---------------------------------------------------------------------------- */

/* A program may close its standard input: then the provider's file is number 0. */
static void use_shared_memory(umf_memory_provider_handle_t provider) {
    char *ptr = NULL, *other = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4 * PAGE, 0, (void **)&ptr), OK);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 0, (void **)&other), OK);
    memset(ptr, 1, 4 * PAGE);
    memset(other, 2, PAGE);
    cr_assert_eq(ptr[PAGE], 1);
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), OK);
    static char handle[65536];
    cr_assert_leq(size, sizeof(handle));
    void *opened = NULL;
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 4 * PAGE, handle), OK);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, handle, &opened), OK);
    ptr[7] = 9;
    cr_assert_eq(((char *)opened)[7], 9, "the same memory");
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, opened, 4 * PAGE), OK);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 4 * PAGE), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, other, PAGE), OK);
}

static umf_memory_provider_handle_t shared_os_provider(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    return provider;
}

static umf_memory_provider_handle_t shared_file_provider(void) {
    char path[] = "/tmp/umf_edges_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    umf_file_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfFileMemoryProviderParamsCreate(path, &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    close(0);
    cr_assert_eq(umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider), OK);
    cr_assert_eq(umfFileMemoryProviderParamsDestroy(params), OK);
    return provider;
}

Test(edges, a_provider_may_have_descriptor_0) {
    close(0);
    umf_memory_provider_handle_t os = shared_os_provider();
    use_shared_memory(os);
    cr_assert_eq(umfMemoryProviderDestroy(os), OK);
    int free_again = dup(1);
    cr_assert_eq(free_again, 0, "the provider closed its descriptor");
    umf_memory_provider_handle_t file = shared_file_provider();
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(file, 4 * PAGE, 0, &ptr), OK);
    memset(ptr, 1, 4 * PAGE);
    cr_assert_eq(umfMemoryProviderFree(file, ptr, 4 * PAGE), OK);
    cr_assert_eq(umfMemoryProviderDestroy(file), OK);
    cr_assert_eq(dup(1), 0, "the provider closed its descriptor");
}

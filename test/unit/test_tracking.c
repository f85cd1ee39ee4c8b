/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Tracking provider: what the address map knows after every success and every failure of a
 * provider. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>

#include "core/map.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/state.h"
#include "core/tracking.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC

enum { ARENA = 1 << 20, BLOCK = 64 * 1024 };

/* A provider on an arena, and a proxy pool on the provider. */
typedef struct rig {
    test_provider_t state;
    umf_memory_provider_handle_t provider;
    umf_memory_pool_handle_t pool;
} rig_t;

static void stack_create_with(rig_t *stack, void *arena, size_t size,
                              umf_pool_create_flags_t flags) {
    memset(stack, 0, sizeof(*stack));
    stack->state.arena = arena;
    stack->state.arena_size = size;
    stack->provider = test_provider_create(&stack->state);
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), stack->provider, NULL, flags, &stack->pool), OK);
}

static void stack_create(rig_t *stack, void *arena, size_t size) {
    stack_create_with(stack, arena, size, 0);
}

static void stack_destroy(rig_t *stack) {
    cr_assert_eq(umfPoolDestroy(stack->pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(stack->provider), OK);
}

static size_t calls(const rig_t *stack, test_op_t op) {
    return load_relaxed(&stack->state.calls[op]);
}

static size_t live_bytes(const rig_t *stack) {
    return load_relaxed(&stack->state.live_bytes);
}

static umf_memory_pool_handle_t pool_of(const void *ptr) {
    umf_memory_pool_handle_t pool = NULL;
    umf_result_t result = umfPoolByPtr(ptr, &pool);
    cr_assert_eq(result, pool != NULL ? OK : INVAL);
    return pool;
}

/* The map says that [ptr, ptr+size) is one entry of the stack's pool. */
static void assert_entry(const rig_t *stack, char *ptr, size_t size) {
    const map_region_t *region = map_find_exact(ptr, stack->pool, stack->provider);
    cr_assert_not_null(region);
    cr_assert_eq(load_relaxed(&region->size), size);
    cr_assert_eq(region->provider, stack->provider);
    cr_assert_eq(pool_of(ptr), stack->pool);
    cr_assert_eq(pool_of(ptr + size - 1), stack->pool);
}

static size_t regions(void) {
    return load_relaxed(&umf_core_state.map.regions);
}

/* ---- alloc and free -------------------------------------------------------------------------- */

Test(tracking, an_entry_lives_as_long_as_its_memory) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    char *ptr = umfPoolMalloc(stack.pool, 1000);
    assert_entry(&stack, ptr, 1000);
    cr_assert_null(pool_of(ptr + 1000));
    cr_assert_eq(umfPoolFree(stack.pool, ptr), OK);
    cr_assert_null(pool_of(ptr));
    cr_assert_eq(regions(), 0);
    stack_destroy(&stack);
}

Test(tracking, each_entry_has_its_own_number) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        void *ptr = umfPoolMalloc(stack.pool, 100);
        uint64_t id = load_relaxed(&map_find_region(ptr)->id);
        cr_assert_neq(id, 0);
        cr_assert_neq(id, last);
        last = id;
        umfPoolFree(stack.pool, ptr);
        stack.state.arena_used = 0; // the next one gets the same address
    }
    stack_destroy(&stack);
}

Test(tracking, the_memory_type_is_asked_once_for_each_entry) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    stack.state.memory_type = UMF_MEMORY_TYPE_SHARED;
    void *ptr = umfPoolMalloc(stack.pool, 100);
    cr_assert_eq(calls(&stack, OP_PROPERTY), 1);
    cr_assert_eq(stack.state.last_ptr, ptr);
    cr_assert_eq(map_find_region(ptr)->memory_type, UMF_MEMORY_TYPE_SHARED);
    umfPoolFree(stack.pool, ptr);
    stack.state.fail[OP_PROPERTY] = SPECIFIC;
    ptr = umfPoolMalloc(stack.pool, 100);
    cr_assert_eq(map_find_region(ptr)->memory_type, UMF_MEMORY_TYPE_UNKNOWN);
    umfPoolFree(stack.pool, ptr);
    umf_memory_provider_handle_t failed = NULL;
    umfGetLastFailedMemoryProvider(&failed);
    cr_assert_null(failed, "not to know is no failure");
    stack_destroy(&stack);
}

Test(tracking, a_failing_alloc_leaves_no_entry) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    stack.state.fail[OP_ALLOC] = SPECIFIC;
    cr_assert_null(umfPoolMalloc(stack.pool, 100));
    cr_assert_eq(umfPoolGetLastAllocationError(stack.pool), SPECIFIC);
    cr_assert_eq(regions(), 0);
    stack_destroy(&stack);
}

Test(tracking, a_failing_free_keeps_the_entry_and_can_be_retried) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    stack.state.memory_type = UMF_MEMORY_TYPE_HOST;
    char *ptr = umfPoolMalloc(stack.pool, 1000);
    stack.state.fail[OP_FREE] = SPECIFIC;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(umfPoolFree(stack.pool, ptr), SPECIFIC);
        assert_entry(&stack, ptr, 1000);
        cr_assert_eq(map_find_region(ptr)->memory_type, UMF_MEMORY_TYPE_HOST);
    }
    cr_assert_eq(umfFree(ptr), SPECIFIC);
    stack.state.fail[OP_FREE] = OK;
    cr_assert_eq(umfFree(ptr), OK);
    cr_assert_null(pool_of(ptr));
    cr_assert_eq(live_bytes(&stack), 0);
    stack_destroy(&stack);
}

Test(tracking, free_of_an_unknown_pointer_is_forwarded) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    umf_memory_provider_handle_t wrapper = stack.pool->tracking;
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(stack.provider, 100, 0, &ptr), OK,
                 "behind the wrapper's back");
    cr_assert_eq(umfMemoryProviderFree(wrapper, ptr, 100), OK);
    cr_assert_eq(stack.state.last_ptr, ptr);
    cr_assert_eq(stack.state.last_size, 100);
    cr_assert_eq(umfMemoryProviderFree(wrapper, NULL, 0), OK);
    cr_assert_null(stack.state.last_ptr);
    stack_destroy(&stack);
}

/* The entry must be gone while the provider frees: another thread may get the address at once. */
static umf_memory_pool_handle_t seen_during_free;
static umf_result_t (*real_free)(void *, void *, size_t);

static umf_result_t looking_free(void *provider, void *ptr, size_t size) {
    seen_during_free = pool_of(ptr);
    return real_free(provider, ptr, size);
}

Test(tracking, the_entry_goes_before_the_memory) {
    umf_memory_provider_ops_t ops = test_provider_ops;
    real_free = ops.free;
    ops.free = looking_free;
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    void *ptr = umfPoolMalloc(pool, 100);
    seen_during_free = pool;
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    cr_assert_null(seen_during_free);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(tracking, memory_that_the_map_refuses_goes_back_to_the_provider) {
    char *arena = test_arena(ARENA);
    rig_t outer, inner;
    stack_create(&outer, arena, ARENA);
    char *block = umfPoolMalloc(outer.pool, BLOCK);
    stack_create(&inner, block, 2 * BLOCK); // claims more than the block has
    cr_assert_not_null(umfPoolMalloc(inner.pool, BLOCK / 2));
    size_t live = live_bytes(&inner);
    size_t before = regions();
    cr_assert_null(umfPoolMalloc(inner.pool, BLOCK), "it would leave the block around it");
    cr_assert_eq(umfPoolGetLastAllocationError(inner.pool), INVAL);
    cr_assert_eq(calls(&inner, OP_FREE), 1);
    cr_assert_eq(live_bytes(&inner), live);
    cr_assert_eq(regions(), before);
    cr_assert_eq(umfPoolFree(inner.pool, block), OK);
    cr_assert_eq(umfPoolFree(outer.pool, block), OK);
    stack_destroy(&inner);
    stack_destroy(&outer);
}

/* ---- nesting --------------------------------------------------------------------------------- */

enum { LEVELS = 8 };

/* Builds a stack of pools, each on the whole of a block of the one below. */
static void nest(rig_t *stack, char **block, int levels, size_t size, size_t shrink) {
    for (int i = 0; i < levels; i++) {
        stack_create(&stack[i], i == 0 ? test_arena(ARENA) : block[i - 1], i == 0 ? ARENA : size);
        size -= i == 0 ? 0 : shrink;
        block[i] = umfPoolMalloc(stack[i].pool, size);
        cr_assert_not_null(block[i], "level %d", i);
    }
}

static void assert_ninth_level_fails(size_t shrink) {
    rig_t stack[LEVELS], beyond;
    char *block[LEVELS];
    nest(stack, block, LEVELS, BLOCK, shrink);
    for (int i = 0; i < LEVELS; i++) {
        cr_assert_eq(block[i], block[0], "an arena begins at its first byte");
        map_region_t *region = map_find_exact(block[i], stack[i].pool, stack[i].provider);
        cr_assert_not_null(region);
        cr_assert_eq(region->level, i);
    }
    cr_assert_eq(pool_of(block[0]), stack[LEVELS - 1].pool, "the innermost one counts");
    stack_create(&beyond, block[LEVELS - 1], 1024);
    cr_assert_null(umfPoolMalloc(beyond.pool, 512));
    cr_assert_eq(umfPoolGetLastAllocationError(beyond.pool), UMF_RESULT_ERROR_OUT_OF_RESOURCES);
    cr_assert_eq(live_bytes(&beyond), 0);
    stack_destroy(&beyond);
    for (int i = LEVELS - 1; i >= 0; i--) {
        cr_assert_eq(pool_of(block[0]), stack[i].pool);
        cr_assert_eq(umfPoolFree(stack[i].pool, block[i]), OK);
        cr_assert_eq(live_bytes(&stack[i]), 0);
        stack_destroy(&stack[i]);
    }
    cr_assert_null(pool_of(block[0]));
    cr_assert_eq(regions(), 0);
}

Test(tracking, eight_levels_of_equal_blocks_nest) {
    assert_ninth_level_fails(0);
}

Test(tracking, eight_levels_of_shrinking_blocks_nest) {
    assert_ninth_level_fails(4096);
}

Test(tracking, lookups_find_the_innermost_entry) {
    rig_t outer, inner;
    stack_create(&outer, test_arena(ARENA), ARENA);
    char *block = umfPoolMalloc(outer.pool, BLOCK);
    stack_create(&inner, block + 1000, 5000);
    char *child = umfPoolMalloc(inner.pool, 300);
    cr_assert_eq(child, block + 1000);
    cr_assert_eq(pool_of(block), outer.pool);
    cr_assert_eq(pool_of(child - 1), outer.pool);
    cr_assert_eq(pool_of(child), inner.pool);
    cr_assert_eq(pool_of(child + 299), inner.pool);
    cr_assert_eq(pool_of(child + 300), outer.pool);
    cr_assert_eq(umfFree(child), OK);
    cr_assert_eq(calls(&inner, OP_FREE), 1);
    cr_assert_eq(pool_of(child), outer.pool);
    stack_destroy(&inner);
    cr_assert_eq(umfFree(block), OK);
    stack_destroy(&outer);
}

static void free_in_wrong_order(size_t child_offset, size_t child_size) {
    rig_t outer, inner;
    stack_create(&outer, test_arena(ARENA), ARENA);
    char *block = umfPoolMalloc(outer.pool, BLOCK);
    stack_create(&inner, block + child_offset, child_size);
    char *child = umfPoolMalloc(inner.pool, child_size);
    cr_assert_eq(umfPoolFree(outer.pool, block), OK);
    cr_assert_eq(outer.state.last_size, BLOCK, "the size is the block's, not the child's");
    cr_assert_eq(umfPoolFree(inner.pool, child), OK);
    stack_destroy(&inner);
    stack_destroy(&outer);
    cr_assert_eq(regions(), 0);
}

Test(tracking, a_parent_may_go_before_its_child) {
    free_in_wrong_order(0, BLOCK);
    free_in_wrong_order(0, BLOCK / 2);
    free_in_wrong_order(BLOCK / 2, BLOCK / 2);
    free_in_wrong_order(777, 1000);
}

/* The entries of a pool without tracking are hidden, and name no pool: neither hides the other. */
Test(tracking, an_untracked_block_is_found_below_a_block_at_its_base) {
    for (int order = 0; order < 2; order++) {
        rig_t outer, inner;
        stack_create_with(&outer, test_arena(ARENA), ARENA, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
        char *block = umfPoolMalloc(outer.pool, BLOCK);
        stack_create_with(&inner, block, BLOCK / 2,
                          order == 0 ? 0 : UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
        char *child = umfPoolMalloc(inner.pool, BLOCK / 2);
        cr_assert_eq(child, block);
        cr_assert_eq(umfPoolFree(outer.pool, block), OK, "before its child, which is wrong");
        cr_assert_eq(outer.state.last_size, BLOCK);
        cr_assert_eq(umfPoolFree(inner.pool, child), OK);
        cr_assert_eq(inner.state.last_size, BLOCK / 2);
        stack_destroy(&inner);
        stack_destroy(&outer);
        cr_assert_eq(regions(), 0);
    }
}

Test(tracking, pools_may_be_destroyed_before_the_pools_around_them) {
    rig_t stack[3];
    char *block[3];
    nest(stack, block, 3, BLOCK, 0);
    cr_assert_eq(umfPoolFree(stack[0].pool, block[0]), OK);
    cr_assert_eq(umfPoolFree(stack[1].pool, block[1]), OK);
    cr_assert_eq(umfPoolFree(stack[2].pool, block[2]), OK);
    for (int i = 0; i < 3; i++) {
        stack_destroy(&stack[i]);
    }
}

/* ---- split and merge ------------------------------------------------------------------------- */

static umf_result_t split(rig_t *stack, void *ptr, size_t total, size_t first) {
    return umfMemoryProviderAllocationSplit(stack->pool->tracking, ptr, total, first);
}

static umf_result_t merge(rig_t *stack, void *low, void *high, size_t total) {
    return umfMemoryProviderAllocationMerge(stack->pool->tracking, low, high, total);
}

Test(tracking, parts_of_a_split_block_are_freed_alone) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    char *ptr = umfPoolMalloc(stack.pool, BLOCK);
    cr_assert_eq(split(&stack, ptr, BLOCK, 4096), OK);
    cr_assert_eq(calls(&stack, OP_SPLIT), 1);
    assert_entry(&stack, ptr, 4096);
    assert_entry(&stack, ptr + 4096, BLOCK - 4096);
    cr_assert_eq(umfPoolFree(stack.pool, ptr), OK);
    cr_assert_eq(stack.state.last_size, 4096);
    cr_assert_null(pool_of(ptr));
    cr_assert_eq(umfPoolFree(stack.pool, ptr + 4096), OK);
    cr_assert_eq(stack.state.last_size, BLOCK - 4096);
    cr_assert_eq(live_bytes(&stack), 0);
    stack_destroy(&stack);
}

Test(tracking, merged_neighbours_are_one_block) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    char *ptr = umfPoolMalloc(stack.pool, BLOCK);
    cr_assert_eq(split(&stack, ptr, BLOCK, 4096), OK);
    cr_assert_eq(split(&stack, ptr + 4096, BLOCK - 4096, 8192), OK);
    cr_assert_eq(merge(&stack, ptr, ptr + 4096, 4096 + 8192), OK);
    assert_entry(&stack, ptr, 4096 + 8192);
    cr_assert_eq(merge(&stack, ptr, ptr + 4096 + 8192, BLOCK), OK);
    assert_entry(&stack, ptr, BLOCK);
    cr_assert_eq(regions(), 1);
    char *next = umfPoolMalloc(stack.pool, BLOCK);
    cr_assert_eq(next, ptr + BLOCK);
    cr_assert_eq(merge(&stack, ptr, next, 2 * BLOCK), OK, "two allocations");
    cr_assert_eq(umfPoolFree(stack.pool, ptr), OK);
    cr_assert_eq(live_bytes(&stack), 0);
    stack_destroy(&stack);
}

Test(tracking, a_failing_provider_leaves_split_and_merge_undone) {
    static const umf_result_t errors[] = {NOTSUP, SPECIFIC, UMF_RESULT_ERROR_UNKNOWN};
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    char *ptr = umfPoolMalloc(stack.pool, BLOCK);
    char *next = umfPoolMalloc(stack.pool, BLOCK);
    for (size_t i = 0; i < ARRAY_LENGTH(errors); i++) {
        stack.state.fail[OP_SPLIT] = errors[i];
        stack.state.fail[OP_MERGE] = errors[i];
        cr_assert_eq(split(&stack, ptr, BLOCK, 4096), errors[i]);
        cr_assert_eq(merge(&stack, ptr, next, 2 * BLOCK), errors[i]);
        assert_entry(&stack, ptr, BLOCK);
        assert_entry(&stack, next, BLOCK);
    }
    cr_assert_eq(umfPoolFree(stack.pool, ptr), OK);
    cr_assert_eq(umfPoolFree(stack.pool, next), OK);
    stack_destroy(&stack);
}

Test(tracking, bad_splits_do_not_reach_the_provider) {
    rig_t stack, inner;
    stack_create(&stack, test_arena(ARENA), ARENA);
    char *ptr = umfPoolMalloc(stack.pool, BLOCK);
    cr_assert_eq(split(&stack, ptr, BLOCK - 1, 4096), INVAL, "not the whole block");
    cr_assert_eq(split(&stack, ptr, BLOCK + 1, 4096), INVAL);
    cr_assert_eq(split(&stack, ptr + 1, BLOCK, 4096), INVAL, "not its beginning");
    cr_assert_eq(split(&stack, ptr + BLOCK, BLOCK, 4096), INVAL, "nobody's");
    stack_create(&inner, ptr, BLOCK);
    void *child = umfPoolMalloc(inner.pool, 100);
    cr_assert_eq(split(&stack, ptr, BLOCK, 4096), INVAL, "a pool lives in it");
    cr_assert_eq(calls(&stack, OP_SPLIT), 0);
    umfPoolFree(inner.pool, child);
    stack_destroy(&inner);
    cr_assert_eq(split(&stack, ptr, BLOCK, 4096), OK);
    umfPoolFree(stack.pool, ptr);
    umfPoolFree(stack.pool, ptr + 4096);
    stack_destroy(&stack);
}

Test(tracking, bad_merges_do_not_reach_the_provider) {
    rig_t stack, inner;
    stack_create(&stack, test_arena(ARENA), ARENA);
    umf_memory_pool_handle_t other = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), stack.provider, NULL, 0, &other), OK);
    char *a = umfPoolMalloc(stack.pool, BLOCK);
    char *b = umfPoolMalloc(stack.pool, BLOCK);
    char *foreign = umfPoolMalloc(other, BLOCK);
    char *d = umfPoolMalloc(stack.pool, BLOCK);
    cr_assert_eq(merge(&stack, a, b, 2 * BLOCK - 1), INVAL, "the sizes do not add up");
    cr_assert_eq(merge(&stack, a, b, 2 * BLOCK + 1), INVAL);
    cr_assert_eq(merge(&stack, b, foreign, 2 * BLOCK), INVAL, "another pool's");
    cr_assert_eq(merge(&stack, b, d, 2 * BLOCK + 1), INVAL, "no neighbours");
    cr_assert_eq(merge(&stack, b, d, 3 * BLOCK), INVAL);
    cr_assert_eq(merge(&stack, d, d + BLOCK, 2 * BLOCK), INVAL, "the second is nobody's");
    stack_create(&inner, b, BLOCK);
    void *child = umfPoolMalloc(inner.pool, 100);
    cr_assert_eq(merge(&stack, a, b, 2 * BLOCK), INVAL, "a pool lives in it");
    cr_assert_eq(calls(&stack, OP_MERGE), 0);
    umfPoolFree(inner.pool, child);
    stack_destroy(&inner);
    cr_assert_eq(merge(&stack, a, b, 2 * BLOCK), OK);
    umfPoolFree(stack.pool, a);
    umfPoolFree(other, foreign);
    umfPoolFree(stack.pool, d);
    umfPoolDestroy(other);
    cr_assert_eq(regions(), 0);
    stack_destroy(&stack);
}

/* ---- forwarding ------------------------------------------------------------------------------ */

Test(tracking, everything_else_is_forwarded) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    stack.state.name = "upstream-name";
    umf_memory_provider_handle_t wrapper = stack.pool->tracking;
    char block[64] = {0}, data[TEST_IPC_SIZE];
    void *ptr = NULL;
    size_t size = 0;
    int32_t error = 0;
    const char *text = NULL;
    cr_assert_eq(umfMemoryProviderGetName(wrapper, &text), OK);
    cr_assert_str_eq(text, "upstream-name");
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(wrapper, 1, &size), OK);
    cr_assert_eq(size, TEST_RECOMMENDED_PAGE);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(wrapper, block, &size), OK);
    cr_assert_eq(size, TEST_MIN_PAGE);
    cr_assert_eq(stack.state.last_ptr, block);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(wrapper, &size), OK);
    cr_assert_eq(size, TEST_CACHE_LINE);
    cr_assert_eq(umfMemoryProviderGetLastNativeError(wrapper, &text, &error), OK);
    cr_assert_eq(error, TEST_NATIVE_ERROR);
    cr_assert_eq(umfMemoryProviderPurgeLazy(wrapper, block, 3), OK);
    cr_assert_eq(calls(&stack, OP_PURGE_LAZY), 1);
    cr_assert_eq(umfMemoryProviderPurgeForce(wrapper, block, 3), OK);
    cr_assert_eq(calls(&stack, OP_PURGE_FORCE), 1);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(wrapper, &size), OK);
    cr_assert_eq(size, TEST_IPC_SIZE);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(wrapper, block, 1, data), OK);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(wrapper, data, &ptr), OK);
    cr_assert_eq(ptr, block);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(wrapper, ptr, 1), OK);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(wrapper, data), OK);
    umf_usm_memory_type_t type = UMF_MEMORY_TYPE_UNKNOWN;
    stack.state.memory_type = UMF_MEMORY_TYPE_DEVICE;
    cr_assert_eq(wrapper->ops.ext_get_allocation_properties(
                     wrapper->priv, block, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type),
                 OK);
    cr_assert_eq(type, UMF_MEMORY_TYPE_DEVICE);
    cr_assert_eq(wrapper->ops.ext_get_allocation_properties_size(
                     wrapper->priv, UMF_MEMORY_PROPERTY_POINTER_TYPE, &size),
                 OK);
    cr_assert_eq(size, sizeof(type));
    stack_destroy(&stack);
}

Test(tracking, errors_pass_through_and_name_the_user_s_provider) {
    rig_t stack;
    stack_create(&stack, test_arena(ARENA), ARENA);
    umf_memory_provider_handle_t wrapper = stack.pool->tracking;
    umf_memory_provider_handle_t failed = NULL;
    char block[8] = {0};
    stack.state.fail[OP_PURGE_LAZY] = SPECIFIC;
    cr_assert_eq(umfMemoryProviderPurgeLazy(wrapper, block, 1), SPECIFIC);
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    cr_assert_eq(failed, stack.provider);
    stack_destroy(&stack);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 400 };

static void *split_and_merge(void *arg) {
    rig_t *stack = arg;
    for (int i = 0; i < ROUNDS; i++) {
        char *ptr = umfPoolMalloc(stack->pool, 4096);
        cr_expect_eq(split(stack, ptr, 4096, 1024), OK);
        cr_expect_eq(pool_of(ptr + 1024), stack->pool);
        if (i % 2 == 0) {
            cr_expect_eq(merge(stack, ptr, ptr + 1024, 4096), OK);
        } else {
            cr_expect_eq(umfFree(ptr + 1024), OK);
        }
        cr_expect_eq(umfFree(ptr), OK);
    }
    return NULL;
}

Test(tracking, threads_do_not_disturb_each_other) {
    static rig_t stack[THREADS];
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        stack_create(&stack[i], test_arena(4096 * ROUNDS), 4096 * ROUNDS);
        cr_assert_eq(pthread_create(&thread[i], NULL, split_and_merge, &stack[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(regions(), 0);
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(live_bytes(&stack[i]), 0);
        stack_destroy(&stack[i]);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Proxy pool: each request is one call of the provider, no more and no less. */
#include <criterion/criterion.h>

#include <pthread.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>

#include "core/state.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC

static test_provider_t state; /* fresh in every test: each runs in a process of its own */
static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t pool;

static void set_up(umf_pool_create_flags_t flags) {
    provider = test_provider_create(&state);
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, flags, &pool), OK);
}

static void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static size_t calls(test_op_t op) {
    return load_relaxed(&state.calls[op]);
}

/* Calls of provider operations since the last time; POINTER_TYPE is asked once for each entry. */
static size_t calls_since(void) {
    static size_t before;
    size_t now = test_provider_calls_after_creation(&state) - calls(OP_PROPERTY);
    size_t since = now - before;
    before = now;
    return since;
}

Test(proxy_pool, the_table_has_a_fixed_name) {
    const char *name = NULL;
    cr_assert_not_null(umfProxyPoolOps());
    cr_assert_eq(umfProxyPoolOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "proxy");
    cr_assert_eq(umfProxyPoolOps()->get_name(NULL, NULL), INVAL);
    set_up(0);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "proxy");
    tear_down();
}

Test(proxy_pool, one_call_is_one_provider_call) {
    set_up(0);
    cr_assert_eq(calls_since(), 0);
    static const size_t sizes[] = {0, 1, 100, 4096, 100000};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        void *ptr = umfPoolMalloc(pool, sizes[i]);
        cr_assert_not_null(ptr);
        cr_assert_eq(calls(OP_ALLOC), i + 1);
        cr_assert_eq(state.last_size, sizes[i]);
        cr_assert_eq(state.last_alignment, 0);
        cr_assert_eq(calls_since(), 1);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(calls(OP_FREE), i + 1);
        cr_assert_eq(state.last_ptr, ptr);
        cr_assert_eq(state.last_size, sizes[i], "the provider gets the size back");
        cr_assert_eq(calls_since(), 1);
    }
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
    tear_down();
}

Test(proxy_pool, aligned_requests_go_through) {
    static char arena[1 << 16];
    state.arena = arena;
    state.arena_size = sizeof(arena);
    set_up(0);
    static const struct {
        size_t size, alignment;
    } requests[] = {{100, 256}, {0, 0}, {1, 1}, {1, 4096}};
    for (size_t i = 0; i < ARRAY_LENGTH(requests); i++) {
        void *ptr = umfPoolAlignedMalloc(pool, requests[i].size, requests[i].alignment);
        cr_assert_eq(state.last_size, requests[i].size);
        cr_assert_eq(state.last_alignment, requests[i].alignment);
        cr_assert_eq(calls_since(), 1);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(calls_since(), 1);
    }
    tear_down();
}

Test(proxy_pool, free_of_null_reaches_the_provider) {
    for (umf_pool_create_flags_t flags = 0; flags < 4; flags += 2) {
        set_up(flags);
        size_t before = calls(OP_FREE);
        state.last_size = 1;
        cr_assert_eq(umfPoolFree(pool, NULL), OK);
        cr_assert_eq(calls(OP_FREE), before + 1);
        cr_assert_null(state.last_ptr);
        cr_assert_eq(state.last_size, 0);
        tear_down();
    }
}

Test(proxy_pool, unsupported_calls_do_not_reach_the_provider) {
    set_up(0);
    size_t size = 5;
    void *ptr = umfPoolMalloc(pool, 10);
    calls_since();
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_null(umfPoolCalloc(pool, 1, 1));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    umfPoolFree(pool, umfPoolMalloc(pool, 1));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK, "a success resets it");
    calls_since();
    cr_assert_null(umfPoolRealloc(pool, ptr, 20));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, NULL), INVAL);
    cr_assert_eq(umfPoolMallocUsableSize(pool, ptr, &size), NOTSUP);
    cr_assert_eq(size, 0);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), NOTSUP);
    cr_assert_eq(calls_since(), 0);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(proxy_pool, provider_errors_are_kept_for_the_thread) {
    set_up(0);
    state.fail[OP_ALLOC] = SPECIFIC;
    cr_assert_null(umfPoolMalloc(pool, 1));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), SPECIFIC);
    state.fail[OP_ALLOC] = OOM;
    cr_assert_null(umfPoolAlignedMalloc(pool, 1, 64));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    umf_memory_provider_handle_t failed = NULL;
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    cr_assert_eq(failed, provider, "the user's provider, not a wrapper");
    const char *name = NULL;
    cr_assert_eq(umfMemoryProviderGetName(failed, &name), OK);
    cr_assert_str_eq(name, "test");
    tear_down();
}

static void *error_of_other_thread(void *result) {
    *(umf_result_t *)result = umfPoolGetLastAllocationError(pool);
    return NULL;
}

Test(proxy_pool, the_last_error_belongs_to_the_thread) {
    set_up(0);
    state.fail[OP_ALLOC] = SPECIFIC;
    cr_assert_null(umfPoolMalloc(pool, 1));
    umf_result_t other = SPECIFIC;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, error_of_other_thread, &other), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(other, OK);
    tear_down();
}

Test(proxy_pool, unknown_and_interior_pointers_are_refused) {
    for (umf_pool_create_flags_t flags = 0; flags < 4; flags += 2) {
        set_up(flags);
        int local;
        char *ptr = umfPoolMalloc(pool, 100);
        calls_since();
        cr_assert_eq(umfPoolFree(pool, &local), INVAL);
        cr_assert_eq(umfPoolFree(pool, ptr + 1), INVAL);
        cr_assert_eq(calls_since(), 0);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(umfPoolFree(pool, ptr), INVAL, "a second time");
        tear_down();
    }
}

Test(proxy_pool, a_block_of_another_pool_is_refused) {
    set_up(0);
    umf_memory_pool_handle_t other = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &other), OK);
    void *ptr = umfPoolMalloc(pool, 100);
    cr_assert_eq(umfPoolFree(other, ptr), INVAL);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    umfPoolDestroy(other);
    tear_down();
}

Test(proxy_pool, works_with_every_combination_of_flags) {
    for (umf_pool_create_flags_t flags = 0; flags < 4; flags++) {
        size_t used = load_relaxed(&umf_core_state.base.used_bytes);
        size_t regions = load_relaxed(&umf_core_state.map.regions);
        set_up(flags);
        void *ptr = umfPoolMalloc(pool, 1000);
        cr_assert_not_null(ptr);
        cr_assert_eq(umfPoolFree(pool, ptr), OK);
        cr_assert_eq(load_relaxed(&state.live_bytes), 0);
        size_t finalized = calls(OP_FINALIZE);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        if ((flags & UMF_POOL_CREATE_FLAG_OWN_PROVIDER) == 0) {
            cr_assert_eq(calls(OP_FINALIZE), finalized);
            cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
        }
        cr_assert_eq(calls(OP_FINALIZE), finalized + 1);
        cr_assert_eq(load_relaxed(&umf_core_state.map.regions), regions);
        if (flags > 0) { // the first round also paid for descriptors that the map keeps
            cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
        }
    }
}

Test(proxy_pool, memory_that_the_map_refuses_is_served_without_tracking) {
    static char arena[4096];
    state.arena = arena;
    state.arena_size = sizeof(arena);
    set_up(UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
    cr_assert_not_null(umfPoolMalloc(pool, 100));
    state.arena_used = 50; // this provider hands out bytes twice: the second block leaves the first
    cr_assert_not_null(umfPoolMalloc(pool, 100));
    tear_down();
}

enum { THREADS = 4, ROUNDS = 300, SLOTS = 16 };

static void *churn(void *arg) {
    (void)arg;
    char *slot[SLOTS] = {0};
    for (size_t i = 0; i < ROUNDS; i++) {
        size_t at = i * 7 % SLOTS;
        if (slot[at] != NULL) {
            cr_expect_eq(umfPoolFree(pool, slot[at]), OK);
        }
        slot[at] = umfPoolMalloc(pool, 1 + i * 97 % 5000);
        cr_expect_not_null(slot[at]);
        umf_memory_pool_handle_t found = NULL;
        cr_expect_eq(umfPoolByPtr(slot[at], &found), OK);
        cr_expect_eq(found, pool);
    }
    for (int i = 0; i < SLOTS; i++) {
        cr_expect_eq(umfFree(slot[i]), OK);
    }
    return NULL;
}

Test(proxy_pool, threads_may_use_it_together) {
    set_up(0);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, churn, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(calls(OP_ALLOC), (size_t)THREADS * ROUNDS);
    cr_assert_eq(calls(OP_FREE), (size_t)THREADS * ROUNDS);
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
    tear_down();
}

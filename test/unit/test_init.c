/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Start-up and tear-down: the reference count, what works in between and afterwards, fork, dlopen.
 * */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>

#include "core/init.h"
#include "core/state.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN

/* The library works: a block goes through a pool. */
static void assert_works(void) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    umf_memory_pool_handle_t pool = NULL, found = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    void *ptr = umfPoolMalloc(pool, 100);
    cr_assert_eq(umfPoolByPtr(ptr, &found), OK);
    cr_assert_eq(found, pool);
    cr_assert_eq(umfFree(ptr), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(init, the_version_is_1_0) {
    cr_assert_eq(umfGetCurrentVersion(), 65536);
    cr_assert_eq(umfGetCurrentVersion(), UMF_VERSION_CURRENT);
}

Test(init, the_library_is_ready_when_the_program_starts) {
    cr_assert(core_is_ready());
    cr_assert_eq(umf_core_state.init_count, 1);
    assert_works();
}

Test(init, references_are_counted_and_surplus_tear_downs_ignored) {
    static const int counts[] = {1, 10};
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
            for (int n = 0; n < counts[i]; n++) {
                cr_assert_eq(umfInit(), OK);
                assert_works();
            }
            for (int n = 0; n < counts[i]; n++) {
                assert_works();
                cr_assert_eq(umfTearDown(), OK);
            }
            cr_assert_eq(umfTearDown(),
                         OK); // the first round gives the constructor's reference back
            cr_assert_not(core_is_ready());
            cr_assert_eq(umfTearDown(), OK);
            cr_assert_eq(umf_core_state.init_count, 0);
        }
    }
    cr_assert_eq(umfInit(), OK);
    assert_works();
}

Test(init, after_the_last_tear_down_calls_say_so) {
    test_provider_t state = {0};
    umf_memory_provider_handle_t provider = test_provider_create(&state);
    umf_memory_pool_handle_t pool = NULL, second = NULL, found = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    void *ptr = umfPoolMalloc(pool, 100);
    cr_assert_eq(umfTearDown(), OK);

    cr_assert_eq(umfPoolDestroy(pool), UNKNOWN);
    cr_assert_eq(umfPoolDestroy(NULL), INVAL);
    cr_assert_eq(umfMemoryProviderDestroy(provider), UNKNOWN);
    cr_assert_eq(umfMemoryProviderDestroy(NULL), UNKNOWN, "checked before the handle");
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &second), UNKNOWN);
    cr_assert_null(second);
    cr_assert_eq(umfPoolByPtr(ptr, &found), UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_null(found);
    cr_assert_eq(umfFree(ptr), UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_eq(load_relaxed(&state.calls[OP_FINALIZE]), 0, "nothing was half destroyed");

    cr_assert_eq(umfInit(), OK);
    cr_assert_eq(umfPoolByPtr(ptr, &found), OK, "the core comes back with what it knew");
    cr_assert_eq(umfFree(ptr), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    assert_works();
}

Test(init, the_core_stays_alive_when_it_serves_as_malloc) {
    umf_core_state.keep_alive = true;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(umfTearDown(), OK);
    }
    cr_assert(core_is_ready());
    assert_works();
}

Test(init, a_state_of_another_build_is_refused) {
    uint32_t layout = umf_core_state.layout;
    umf_core_state.layout = layout + 1;
    cr_assert_eq(umfInit(), UNKNOWN);
    cr_assert_eq(umfTearDown(), OK);
    umf_core_state.layout = layout;
    cr_assert_eq(umf_core_state.init_count, 1, "neither call touched the count");
    assert_works();
}

Test(init, a_forked_child_may_tear_down) {
    pid_t child = fork();
    cr_assert_neq(child, -1);
    if (child == 0) {
        bool right = umfTearDown() == OK && !core_is_ready() && umfInit() == OK && core_is_ready();
        _exit(right ? 0 : 1);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert(core_is_ready(), "the parent's library is its own");
    assert_works();
}

enum { THREADS = 4, ROUNDS = 1000 };

static void *init_and_tear_down(void *arg) {
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        cr_expect_eq(umfInit(), OK);
        cr_expect(core_is_ready());
        cr_expect_eq(umfTearDown(), OK);
    }
    return NULL;
}

Test(init, threads_may_take_references_together) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, init_and_tear_down, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(umf_core_state.init_count, 1);
}

/* Objects of static duration: used before main and after it, from the program's own functions. */
__attribute__((constructor)) static void before_main(void) {
    if (!core_is_ready()) {
        _exit(99);
    }
}

#ifdef UMF_SHARED_LIBRARY
typedef umf_result_t (*count_function_t)(void);

static count_function_t find(void *library, const char *name) {
    count_function_t function = NULL;
    *(void **)&function = dlsym(library, name);
    cr_assert_not_null(function, "%s", name);
    return function;
}

Test(init, the_shared_library_can_be_loaded_again_and_again) {
    for (int round = 0; round < 4; round++) {
        void *library = dlopen(UMF_SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
        cr_assert_not_null(library, "%s", dlerror());
        count_function_t init = find(library, "umfInit");
        count_function_t tear_down = find(library, "umfTearDown");
        cr_assert_neq(init, umfInit, "a core of its own");
        for (int n = 0; n < 10; n++) {
            cr_assert_eq(init(), OK);
        }
        for (int n = 0; n < 11 + round; n++) {
            cr_assert_eq(tear_down(), OK);
        }
        cr_assert_eq(dlclose(library), 0);
        assert_works();
    }
}
#else
Test(init, the_shared_library_can_be_loaded_again_and_again) {
    cr_skip_test("this build has no shared library");
}
#endif

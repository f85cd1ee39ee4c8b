/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Jemalloc pool: private jemalloc arenas on the memory of a provider. In a build without it only
 * the absence is tested.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_jemalloc.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/state.h"
#include "test/unit/host_pool_checks.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY

enum { MIB = 1 << 20, PAGE = 4096 };

static test_provider_t state; /* fresh in every test: each runs in a process of its own */
static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t pool;

static void need_pool(void) {
    if (umfJemallocPoolOps() == NULL) {
        cr_skip_test("this build has no jemalloc pool");
    }
}

static umf_memory_provider_handle_t os_provider(unsigned protection) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t os = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetProtection(params, protection), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &os), OK);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    return os;
}

static void set_up(umf_pool_create_flags_t flags) {
    need_pool();
    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, flags, &pool), OK);
}

/* Blocks are cut from an arena, one behind the other: every part of them is a block by itself. */
static void set_up_counted(size_t bytes, umf_pool_create_flags_t flags) {
    need_pool();
    state = (test_provider_t){.arena = test_arena(bytes), .arena_size = bytes};
    provider = test_provider_create(&state);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, flags, &pool), OK);
}

static void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- parameters and names -------------------------------------------------------------------- */

Test(pool_jemalloc, a_build_without_it_says_so) {
    if (umfJemallocPoolOps() != NULL) {
        cr_skip_test("this build has the jemalloc pool");
    }
    umf_jemalloc_pool_params_handle_t params = NULL;
    cr_assert_eq(umfJemallocPoolParamsCreate(&params), NOTSUP);
    cr_assert_eq(umfJemallocPoolParamsSetNumArenas(params, 1), NOTSUP);
    cr_assert_eq(umfJemallocPoolParamsSetName(params, "x"), NOTSUP);
    cr_assert_eq(umfJemallocPoolParamsDestroy(params), NOTSUP);
}

Test(pool_jemalloc, parameters_are_checked) {
    need_pool();
    umf_jemalloc_pool_params_handle_t params = NULL;
    cr_assert_eq(umfJemallocPoolParamsCreate(NULL), INVAL);
    cr_assert_eq(umfJemallocPoolParamsSetNumArenas(NULL, 1), INVAL);
    cr_assert_eq(umfJemallocPoolParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfJemallocPoolParamsDestroy(NULL), OK);
    cr_assert_eq(umfJemallocPoolParamsCreate(&params), OK);
    cr_assert_eq(umfJemallocPoolParamsSetName(params, NULL), INVAL);

    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    static const struct {
        size_t arenas;
        umf_result_t result;
    } row[] = {{SIZE_MAX, INVAL}, {4096, INVAL}, {4095, OK}, {1, OK}, {0, OK}};
    for (size_t i = 0; i < ARRAY_LENGTH(row); i++) {
        pool = NULL;
        cr_assert_eq(umfJemallocPoolParamsSetNumArenas(params, row[i].arenas), OK);
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, params, 0, &pool),
                     row[i].result);
        cr_assert_eq(pool != NULL, row[i].result == OK);
        if (pool != NULL) {
            void *ptr = umfPoolMalloc(pool, 100);
            cr_assert_not_null(ptr);
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
            cr_assert_eq(umfPoolDestroy(pool), OK);
        }
    }
    cr_assert_eq(umfJemallocPoolParamsDestroy(params), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(pool_jemalloc, names) {
    need_pool();
    const char *name = NULL;
    cr_assert_eq(umfJemallocPoolOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "jemalloc");
    cr_assert_eq(umfJemallocPoolOps()->get_name(NULL, NULL), INVAL);
    set_up(0);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "jemalloc");
    cr_assert_eq(umfPoolDestroy(pool), OK);

    char long_name[100];
    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    umf_jemalloc_pool_params_handle_t params = NULL;
    cr_assert_eq(umfJemallocPoolParamsCreate(&params), OK);
    cr_assert_eq(umfJemallocPoolParamsSetName(params, "mine"), OK);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, params, 0, &pool), OK);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, "mine");
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfJemallocPoolParamsSetName(params, long_name), OK);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, params, 0, &pool), OK);
    cr_assert_eq(umfJemallocPoolParamsDestroy(params), OK);
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_eq(strlen(name), 63);
    tear_down();
}

/* ---- which providers are fit ----------------------------------------------------------------- */

static const umf_pool_create_flags_t all_flags[] = {0, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING};

Test(pool_jemalloc, a_provider_that_can_not_split_is_refused) {
    need_pool();
    for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {
        for (int memory = 0; memory < 2; memory++) { // with and without anything to try it on
            umf_memory_pool_handle_t none = NULL;
            state = (test_provider_t){.fail[OP_SPLIT] = NOTSUP};
            state.fail[OP_ALLOC] = memory ? OK : OOM;
            provider = test_provider_create(&state);
            cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, all_flags[i], &none),
                         NOTSUP);
            cr_assert_null(none);
            cr_assert_eq(load_relaxed(&state.live_bytes), 0);
            cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
        }
    }
}

Test(pool_jemalloc, a_provider_without_a_page_size_is_refused) {
    need_pool();
    state.fail[OP_MIN_PAGE] = UMF_RESULT_ERROR_USER_SPECIFIC;
    provider = test_provider_create(&state);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &pool),
                 UMF_RESULT_ERROR_USER_SPECIFIC);
    cr_assert_null(pool);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* Remembers each block; a call for anything that is none ends the test. */
enum { STRICT_BLOCKS = 4096 };
static struct {
    pthread_mutex_t lock;
    struct {
        char *base;
        size_t size;
    } block[STRICT_BLOCKS];
    size_t count;
    size_t splits;
} strict = {.lock = PTHREAD_MUTEX_INITIALIZER};

static size_t strict_find(const void *ptr, size_t size) {
    size_t i = 0;
    while (i < strict.count && strict.block[i].base != ptr) {
        i++;
    }
    cr_assert_lt(i, strict.count, "%p is no block of the provider", ptr);
    cr_assert_eq(strict.block[i].size, size);
    return i;
}

static void strict_add(void *base, size_t size) {
    cr_assert_lt(strict.count, STRICT_BLOCKS);
    strict.block[strict.count].base = base;
    strict.block[strict.count++].size = size;
}

static umf_result_t strict_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    (void)priv;
    alignment = alignment > PAGE ? alignment : PAGE;
    char *area =
        mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        return OOM;
    }
    char *base = (char *)align_up((uintptr_t)area, alignment);
    if (base > area) {
        munmap(area, (size_t)(base - area));
    }
    munmap(base + size, (size_t)(area + alignment - base));
    pthread_mutex_lock(&strict.lock);
    strict_add(base, size);
    pthread_mutex_unlock(&strict.lock);
    *ptr = base;
    return OK;
}

static umf_result_t strict_free(void *priv, void *ptr, size_t size) {
    (void)priv;
    pthread_mutex_lock(&strict.lock);
    strict.block[strict_find(ptr, size)] = strict.block[strict.count - 1];
    strict.count--;
    pthread_mutex_unlock(&strict.lock);
    munmap(ptr, size);
    return OK;
}

static umf_result_t strict_split(void *priv, void *ptr, size_t total, size_t first) {
    (void)priv;
    pthread_mutex_lock(&strict.lock);
    strict.block[strict_find(ptr, total)].size = first;
    strict_add((char *)ptr + first, total - first);
    strict.splits++;
    pthread_mutex_unlock(&strict.lock);
    return OK;
}

static umf_result_t strict_merge(void *priv, void *low, void *high, size_t total) {
    (void)priv;
    size_t first = (size_t)((char *)high - (char *)low);
    pthread_mutex_lock(&strict.lock);
    size_t i = strict_find(high, total - first);
    strict.block[i] = strict.block[--strict.count];
    strict.block[strict_find(low, first)].size = total;
    pthread_mutex_unlock(&strict.lock);
    return OK;
}

/* Casting a raw provider to a tracking wrapper, and a split of an address that nobody had given
 * out, were upstream's. */
Test(pool_jemalloc, the_provider_sees_only_its_own_blocks) {
    need_pool();
    for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {
        umf_memory_provider_ops_t ops = test_provider_ops;
        ops.alloc = strict_alloc;
        ops.free = strict_free;
        ops.ext_allocation_split = strict_split;
        ops.ext_allocation_merge = strict_merge;
        cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, all_flags[i], &pool), OK);
        cr_assert_gt(strict.splits, 0);
        cr_assert_eq(strict.count, 0, "what it was tried on went back");
        check_sizes_and_contents(pool);
        check_realloc(pool);
        check_threads(pool);
        check_alignments(pool);
        tear_down();
        cr_assert_eq(strict.count, 0, "nothing is left");
    }
}

static umf_result_t null_split(void *priv, void *ptr, size_t total, size_t first) {
    (void)priv, (void)ptr, (void)total, (void)first;
    return OK;
}

static umf_result_t null_merge(void *priv, void *low, void *high, size_t total) {
    (void)priv, (void)low, (void)high, (void)total;
    return OK;
}

Test(pool_jemalloc, it_works_on_no_memory_at_all) {
    need_pool();
    umf_memory_provider_ops_t ops = null_provider_ops;
    ops.ext_allocation_split = null_split;
    ops.ext_allocation_merge = null_merge;
    cr_assert_eq(umfMemoryProviderCreate(&ops, NULL, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &pool), OK);
    cr_assert_null(umfPoolMalloc(pool, 8));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    tear_down();
}

/* ---- the provider's side --------------------------------------------------------------------- */

Test(pool_jemalloc, the_memory_itself_is_never_touched) {
    need_pool();
    provider = os_provider(UMF_PROTECTION_NONE);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &pool), OK);
    void *block[500];
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            block[i] = umfPoolMalloc(pool, 1 + i * i);
            cr_assert_not_null(block[i]);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        }
        cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    }
    tear_down();
}

Test(pool_jemalloc, all_of_it_comes_from_the_provider_and_goes_back) {
    set_up_counted(64 * MIB, 0);
    void *block[2000];
    for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
        block[i] = umfPoolMalloc(pool, 1 + i * 3);
        cr_assert((char *)block[i] >= state.arena &&
                  (char *)block[i] < state.arena + state.arena_size);
    }
    void *large = umfPoolMalloc(pool, 9 * MIB);
    cr_assert((char *)large >= state.arena && (char *)large < state.arena + state.arena_size);
    cr_assert_eq(umfPoolFree(pool, large), OK);
    for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
    }
    size_t before = load_relaxed(&state.live_bytes);
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    cr_assert_lt(load_relaxed(&state.live_bytes) + 9 * MIB, before + 1, "unused memory goes back");
    tear_down();
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
}

Test(pool_jemalloc, a_full_provider_means_null_and_freed_memory_is_found_again) {
    set_up_counted(8 * MIB, 0);
    enum { BYTES = 100000 };
    void *block[100];
    for (int round = 0; round < 5; round++) {
        size_t count = 0;
        state.arena_used = round == 0 ? state.arena_used : state.arena_size; // what it has must do
        while (count < ARRAY_LENGTH(block) && (block[count] = umfPoolMalloc(pool, BYTES)) != NULL) {
            count++;
        }
        cr_assert_gt(count, 10);
        cr_assert_lt(count, ARRAY_LENGTH(block));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
        cr_assert_null(umfPoolCalloc(pool, 1, 9 * MIB));
        cr_assert_null(umfPoolAlignedMalloc(pool, 9 * MIB, PAGE));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
        cr_assert_null(umfPoolRealloc(pool, block[0], 9 * MIB));
        cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
        for (size_t i = 0; i < count; i++) {
            cr_assert_eq(umfPoolFree(pool, block[i]), OK);
        }
    }
    tear_down();
}

Test(pool_jemalloc, calloc_zeroes_what_the_provider_does_not) {
    set_up_counted(64 * MIB, 0);
    memset(state.arena, 0xee, state.arena_size);
    check_calloc(pool);
    tear_down();
}

Test(pool_jemalloc, a_pool_with_live_blocks_can_be_destroyed) {
    set_up_counted(64 * MIB, 0);
    for (size_t i = 0; i < 500; i++) {
        cr_assert_not_null(umfPoolMalloc(pool, i * 100));
    }
    tear_down();
    cr_assert_eq(load_relaxed(&state.live_bytes), 0);
}

static void *last_error_thread(void *arg) {
    (void)arg;
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK, "of this thread");
    return NULL;
}

Test(pool_jemalloc, errors_are_of_a_thread_and_a_pool) {
    set_up(0);
    umf_memory_pool_handle_t other = NULL;
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &other), OK);
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    void *ptr = umfPoolMalloc(other, 1);
    cr_assert_eq(umfPoolFree(other, ptr), OK);
    cr_assert_eq(umfPoolGetLastAllocationError(pool), OOM);
    cr_assert_eq(umfPoolGetLastAllocationError(other), OK);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, last_error_thread, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(umfPoolDestroy(other), OK);
    tear_down();
}

/* ---- operations ------------------------------------------------------------------------------ */

#define CHECK_WITH_AND_WITHOUT_TRACKING(check)                                                     \
    Test(pool_jemalloc, check) {                                                                   \
        for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {                                     \
            set_up(all_flags[i]);                                                                  \
            check(pool);                                                                           \
            tear_down();                                                                           \
        }                                                                                          \
    }
CHECK_WITH_AND_WITHOUT_TRACKING(check_sizes_and_contents)
CHECK_WITH_AND_WITHOUT_TRACKING(check_zero_and_huge)
CHECK_WITH_AND_WITHOUT_TRACKING(check_success_clears_last_error)
CHECK_WITH_AND_WITHOUT_TRACKING(check_calloc)
CHECK_WITH_AND_WITHOUT_TRACKING(check_realloc)
CHECK_WITH_AND_WITHOUT_TRACKING(check_alignments)
CHECK_WITH_AND_WITHOUT_TRACKING(check_usable_size)
CHECK_WITH_AND_WITHOUT_TRACKING(check_free_of_null)
CHECK_WITH_AND_WITHOUT_TRACKING(check_threads)

Test(pool_jemalloc, look_up_and_pools_on_pools) {
    set_up(0);
    check_look_up(pool);
    check_nested(pool);
    check_nested(pool);
    tear_down();
}

/* Upstream counted the parts of a split in the parent for ever. */
Test(pool_jemalloc, a_pool_on_a_block_leaves_no_trace) {
    need_pool();
    umf_memory_pool_handle_t outer = NULL, found = NULL;
    umf_memory_provider_handle_t fixed = NULL;
    umf_fixed_memory_provider_params_handle_t params = NULL;
    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, NULL, 0, &outer), OK);
    char *block = umfPoolAlignedMalloc(outer, 8 * MIB, PAGE);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(block, 8 * MIB, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
    cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
    size_t regions = load_relaxed(&umf_core_state.map.regions);
    for (int round = 0; round < 5; round++) {
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), fixed, NULL, 0, &pool), OK);
        void *ptr[200];
        for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
            ptr[i] = umfPoolMalloc(pool, i * 50);
            cr_assert((char *)ptr[i] >= block && (char *)ptr[i] < block + 8 * MIB);
            cr_assert_eq(umfPoolByPtr(ptr[i], &found), OK);
            cr_assert_eq(found, pool);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
            cr_assert_eq(umfFree(ptr[i]), OK);
        }
        cr_assert_eq(umfPoolDestroy(pool), OK);
        cr_assert_eq(load_relaxed(&umf_core_state.map.regions), regions);
        cr_assert_eq(umfPoolByPtr(block, &found), OK);
        cr_assert_eq(found, outer);
    }
    cr_assert_eq(umfMemoryProviderDestroy(fixed), OK);
    cr_assert_eq(umfPoolFree(outer, block), OK);
    cr_assert_eq(umfPoolDestroy(outer), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- many pools, many threads ---------------------------------------------------------------- */

Test(pool_jemalloc, pools_come_and_go_beyond_the_number_of_arenas) {
    set_up(0);
    void *stays = umfPoolMalloc(pool, 100);
    for (int i = 0; i < 5000; i++) { // a process can have 4095 arenas at a time
        umf_memory_pool_handle_t other = NULL;
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &other), OK);
        char *ptr = umfPoolMalloc(other, 64);
        *ptr = 1;
        cr_assert_eq(umfPoolFree(other, ptr), OK);
        cr_assert_eq(umfPoolDestroy(other), OK);
    }
    cr_assert_eq(umfPoolFree(pool, stays), OK);
    tear_down();
}

enum { MANY_POOLS = 40 };
static umf_memory_pool_handle_t many[MANY_POOLS];

static void *many_thread(void *arg) {
    (void)arg;
    for (size_t i = 0; i < MANY_POOLS; i++) {
        umf_memory_pool_handle_t found = NULL;
        char *ptr = umfPoolMalloc(many[i], 48);
        cr_assert_eq(umfPoolByPtr(ptr, &found), OK);
        cr_assert_eq(found, many[i], "blocks do not get from one pool to another");
        cr_assert_eq(umfPoolFree(many[i], ptr), OK);
    }
    return NULL;
}

Test(pool_jemalloc, a_thread_has_a_cache_for_each_pool) {
    need_pool();
    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < MANY_POOLS; i++) {
            cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &many[i]), OK);
        }
        pthread_t thread[3];
        for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
            cr_assert_eq(pthread_create(&thread[i], NULL, many_thread, NULL), 0);
        }
        many_thread(NULL);
        if (round % 2 == 0) { // threads end before the pools, or after them
            for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
                pthread_join(thread[i], NULL);
            }
        }
        for (size_t i = 0; round % 2 == 1 && i < ARRAY_LENGTH(thread); i++) {
            pthread_join(thread[i], NULL);
        }
        for (size_t i = 0; i < MANY_POOLS; i++) {
            cr_assert_eq(umfPoolDestroy(many[i]), OK);
        }
    }
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static pthread_barrier_t barrier;

static void *outliving_thread(void *arg) {
    (void)arg;
    void *ptr = umfPoolMalloc(pool, 100);
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    pthread_barrier_wait(
        &barrier); // the pool may be destroyed from here on, also while this thread ends
    return NULL;
}

Test(pool_jemalloc, a_pool_may_end_before_or_while_its_threads_do) {
    need_pool();
    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    for (int round = 0; round < 100; round++) {
        pthread_t thread[3];
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &pool), OK);
        pthread_barrier_init(&barrier, NULL, ARRAY_LENGTH(thread) + 1);
        for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
            cr_assert_eq(pthread_create(&thread[i], NULL, outliving_thread, NULL), 0);
        }
        pthread_barrier_wait(&barrier);
        cr_assert_eq(umfPoolDestroy(pool), OK);
        for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
            pthread_join(thread[i], NULL);
        }
        pthread_barrier_destroy(&barrier);
    }
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static pthread_key_t late_key;

static void late_destructor(void *arg) {
    static _Thread_local int rounds;
    cr_assert_eq(umfPoolFree(pool, arg), OK);
    if (++rounds < 4) {
        pthread_setspecific(late_key, umfPoolMalloc(pool, 100));
    }
}

static void *late_thread(void *arg) {
    (void)arg;
    pthread_setspecific(late_key, umfPoolMalloc(pool, 100));
    return NULL;
}

Test(pool_jemalloc, destructors_of_a_thread_can_use_it) {
    set_up(0);
    cr_assert_eq(pthread_key_create(&late_key, late_destructor), 0);
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, late_thread, NULL), 0);
        pthread_join(thread, NULL);
    }
    tear_down();
}

/* A provider that keeps its notes in a jemalloc pool: its calls come in the middle of calls of the
 * other one. */
static size_t notes;

static umf_result_t noting_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    char *note = umfPoolMalloc(many[0], 24);
    cr_assert_not_null(note);
    memset(note, 1, 24);
    notes++;
    umf_result_t result = strict_alloc(priv, size, alignment, ptr);
    cr_assert_eq(umfPoolFree(many[0], note), OK);
    return result;
}

static umf_result_t noting_split(void *priv, void *ptr, size_t total, size_t first) {
    void *note = umfPoolMalloc(many[0], 100000);
    umf_result_t result = strict_split(priv, ptr, total, first);
    cr_assert_eq(umfPoolFree(many[0], note), OK);
    return result;
}

Test(pool_jemalloc, a_provider_may_use_another_jemalloc_pool) {
    need_pool();
    umf_memory_provider_ops_t ops = test_provider_ops;
    umf_memory_provider_handle_t noting = NULL;
    ops.alloc = noting_alloc;
    ops.free = strict_free;
    ops.ext_allocation_split = noting_split;
    ops.ext_allocation_merge = strict_merge;
    provider = os_provider(UMF_PROTECTION_READ | UMF_PROTECTION_WRITE);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &many[0]), OK);
    cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &noting), OK);
    cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), noting, NULL, 0, &pool), OK);
    check_sizes_and_contents(pool);
    check_look_up(pool);
    check_threads(pool);
    cr_assert_gt(notes, 1);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(strict.count, 0);
    cr_assert_eq(umfMemoryProviderDestroy(noting), OK);
    cr_assert_eq(umfPoolDestroy(many[0]), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* The table of pages is one for all of them. */
Test(pool_jemalloc, memory_of_another_jemalloc_pool_is_not_taken) {
    set_up(0);
    for (size_t i = 0; i < ARRAY_LENGTH(all_flags); i++) {
        umf_fixed_memory_provider_params_handle_t params = NULL;
        umf_memory_provider_handle_t fixed = NULL;
        umf_memory_pool_handle_t inner = NULL;
        char *block = umfPoolAlignedMalloc(pool, 4 * MIB, PAGE);
        cr_assert_eq(umfFixedMemoryProviderParamsCreate(block, 4 * MIB, &params), OK);
        cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &fixed), OK);
        cr_assert_eq(umfFixedMemoryProviderParamsDestroy(params), OK);
        cr_assert_eq(umfPoolCreate(umfJemallocPoolOps(), fixed, NULL, all_flags[i], &inner), OK);
        cr_assert_null(umfPoolMalloc(inner, 100));
        cr_assert_eq(umfPoolGetLastAllocationError(inner), OOM);
        cr_assert_eq(umfPoolDestroy(inner), OK);
        cr_assert_eq(umfMemoryProviderDestroy(fixed), OK);
        cr_assert_eq(umfPoolFree(pool, block), OK);
    }
    tear_down();
}

/* ---- fork ------------------------------------------------------------------------------------ */

static _Atomic(bool) stop;

static void *busy_thread(void *arg) {
    (void)arg;
    while (!load_relaxed(&stop)) {
        void *block[20];
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            block[i] = umfPoolMalloc(pool, 1 + i * 1000);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(block); i++) {
            umfPoolFree(pool, block[i]);
        }
    }
    return NULL;
}

static int child_work(void *inherited) {
    for (int i = 0; i < 100; i++) {
        void *ptr = umfPoolMalloc(pool, 100 + (size_t)i * 100);
        if (ptr == NULL || umfPoolFree(pool, ptr) != OK) {
            return 1;
        }
    }
    if (umfPoolFree(pool, inherited) != OK || umfPoolDestroy(pool) != OK) {
        return 2;
    }
    umf_memory_pool_handle_t fresh = NULL;
    if (umfPoolCreate(umfJemallocPoolOps(), provider, NULL, 0, &fresh) != OK ||
        umfPoolFree(fresh, umfPoolMalloc(fresh, 10)) != OK || umfPoolDestroy(fresh) != OK) {
        return 3;
    }
    return 0;
}

static void fork_once(void *inherited) {
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(child_work(inherited));
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
}

static void *forking_thread(void *arg) { // has never used a pool
    fork_once(arg);
    return NULL;
}

Test(pool_jemalloc, a_child_can_go_on) {
    set_up(0);
    pthread_t thread[2], forking;
    void *inherited = umfPoolMalloc(pool, 100);
    for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, busy_thread, NULL), 0);
    }
    for (int i = 0; i < 30; i++) {
        fork_once(inherited);
        cr_assert_eq(pthread_create(&forking, NULL, forking_thread, inherited), 0);
        pthread_join(forking, NULL);
    }
    store_relaxed(&stop, true);
    for (size_t i = 0; i < ARRAY_LENGTH(thread); i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(umfPoolFree(pool, inherited), OK);
    tear_down();
}

/* ---- the process around it ------------------------------------------------------------------- */

Test(pool_jemalloc, it_does_not_listen_to_settings_of_another_jemalloc) {
    need_pool();
    setenv("MALLOC_CONF", "abort_conf:true,no_such_setting:1,junk:true", 1);
    set_up_counted(64 * MIB, 0);
    unsigned char *ptr = umfPoolMalloc(pool, 100);
    cr_assert_not_null(ptr);
    cr_assert_eq(ptr[0], 0, "fresh memory is as the provider gave it");
    cr_assert_eq(umfPoolFree(pool, ptr), OK);
    tear_down();
}

Test(pool_jemalloc, its_malloc_stays_inside) {
    need_pool();
    static const char *const names[] = {"mallocx", "dallocx", "mallctl", "je_malloc",
                                        "umf_jemalloc_mallocx"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        cr_assert_null(dlsym(RTLD_DEFAULT, names[i]), "%s", names[i]);
    }
    set_up(0);
    void *ptr = malloc(100); // of the C library
    umf_memory_pool_handle_t found = NULL;
    cr_assert_eq(umfPoolByPtr(ptr, &found), INVAL);
    free(ptr);
    tear_down();
}

#ifdef UMF_SHARED_LIBRARY
/* 2.6 KiB of thread data would not fit into what is left for late libraries. */
Test(pool_jemalloc, the_shared_library_can_be_opened_late) {
    need_pool();
    void *library = dlopen(UMF_SHARED_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(library, "%s", dlerror());
    static const char *const names[] = {"malloc", "free", "calloc", "mallocx", "mallctl"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        void *function =
            dlsym(library, names[i]); // also looks in what the library needs: the C library
        Dl_info info;
        cr_assert(function == NULL ||
                      (dladdr(function, &info) != 0 && strstr(info.dli_fname, "libumf") == NULL),
                  "%s", names[i]);
    }
}
#endif

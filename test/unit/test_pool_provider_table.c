/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Every pool on every provider of host memory, every operation: one test for each pair, named
 * POOL_on_PROVIDER. Built twice: with UMF_TABLE_UNTRACKED set to 1 (program
 * test_pool_provider_table_untracked) the same pairs without tracking. A new provider is one line
 * of ON_EVERY_PROVIDER, a new pool one line at the end.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_jemalloc.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/pool.h"
#include "core/pool_count.h"
#include "test/unit/host_pool_checks.h"
#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED

enum { MIB = 1 << 20, FIXED_BYTES = 512 * MIB, ALIGNMENT_MAX = 4 * MIB, THREADS = 3, LIVE = 50 };

/* ---- pools ----------------------------------------------------------------------------------- */

typedef struct pool_kind {
    const char *name;
    const umf_memory_pool_ops_t *(*ops)(void);
    bool full;         /* has calloc, realloc and usable size; refuses wrong alignments */
    bool trims;        /* has trim */
    bool returns_all;  /* gives all memory back at its end, also of live blocks */
    bool instrumented; /* its code is built with our sanitizers */
} pool_kind_t;

static const pool_kind_t kind_slab = {.name = "slab",
                                      .ops = umfSlabPoolOps,
                                      .full = true,
                                      .trims = true,
                                      .returns_all = true,
                                      .instrumented = true};
static const pool_kind_t kind_scalable = {
    .name = "scalable", .ops = umfScalablePoolOps, .full = true, .returns_all = true};
static const pool_kind_t kind_jemalloc = {.name = "jemalloc",
                                          .ops = umfJemallocPoolOps,
                                          .full = true,
                                          .trims = true,
                                          .returns_all = true};
static const pool_kind_t kind_disjoint = {
    .name = "disjoint", .ops = umfDisjointPoolOps, .trims = true, .instrumented = true};
static const pool_kind_t kind_proxy = {
    .name = "proxy", .ops = umfProxyPoolOps, .instrumented = true};

/* ---- providers ------------------------------------------------------------------------------- */

static test_provider_t malloc_state;
static char file_path[64];

static umf_memory_provider_handle_t create(const umf_memory_provider_ops_t *ops,
                                           const void *params) {
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), OK);
    return provider;
}

static umf_memory_provider_handle_t os_with(umf_memory_visibility_t visibility) {
    umf_os_memory_provider_params_handle_t params = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    umfOsMemoryProviderParamsSetVisibility(params, visibility);
    umf_memory_provider_handle_t provider = create(umfOsMemoryProviderOps(), params);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static umf_memory_provider_handle_t provider_os(void) {
    return os_with(UMF_MEM_MAP_PRIVATE);
}

static umf_memory_provider_handle_t provider_os_shared(void) {
    return os_with(UMF_MEM_MAP_SHARED);
}

static umf_memory_provider_handle_t file_in(const char *folder,
                                            umf_memory_visibility_t visibility) {
    umf_file_memory_provider_params_handle_t params = NULL;
    if (access(folder, W_OK) != 0) {
        cr_skip_test("the folder of this test's file can not be written to");
    }
    snprintf(file_path, sizeof(file_path), "%s/umf-table-XXXXXX", folder);
    int fd = mkstemp(file_path);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_assert_eq(umfFileMemoryProviderParamsCreate(file_path, &params), OK);
    umfFileMemoryProviderParamsSetVisibility(params, visibility);
    umf_memory_provider_handle_t provider = create(umfFileMemoryProviderOps(), params);
    umfFileMemoryProviderParamsDestroy(params);
    unlink(file_path); // the provider has it open
    return provider;
}

static umf_memory_provider_handle_t provider_file_private(void) {
    return file_in("/tmp", UMF_MEM_MAP_PRIVATE);
}

static umf_memory_provider_handle_t provider_file_on_tmpfs(void) {
    return file_in("/dev/shm", UMF_MEM_MAP_SHARED);
}

static umf_memory_provider_handle_t provider_fixed(void) {
    umf_fixed_memory_provider_params_handle_t params = NULL;
    void *buffer = mmap(NULL, FIXED_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert_neq(buffer, MAP_FAILED);
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(buffer, FIXED_BYTES, &params), OK);
    umf_memory_provider_handle_t provider = create(umfFixedMemoryProviderOps(), params);
    umfFixedMemoryProviderParamsDestroy(params);
    return provider;
}

/* A user's provider with a table of version 1.0: mappings of its own, counted. */
static _Atomic(size_t) custom_live_bytes;

static umf_result_t custom_initialize(const void *params, void **provider) {
    (void)params;
    *provider = &custom_live_bytes;
    return OK;
}

static umf_result_t custom_finalize(void *provider) {
    (void)provider;
    return OK;
}

static umf_result_t custom_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    (void)provider;
    size_t page = 4096, room, rounded;
    alignment = alignment > page ? alignment : page;
    if (size == 0 || !align_up_checked(size, page, &rounded) ||
        add_overflow(rounded, alignment, &room)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    char *area = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    char *place = (char *)align_up((uintptr_t)area, alignment);
    if (place > area) {
        munmap(area, (size_t)(place - area));
    }
    munmap(place + rounded, (size_t)(area + room - (place + rounded)));
    fetch_add_relaxed(&custom_live_bytes, rounded);
    *ptr = place;
    return OK;
}

static umf_result_t custom_free(void *provider, void *ptr, size_t size) {
    (void)provider;
    size_t rounded = align_up(size, 4096);
    if (ptr != NULL) {
        fetch_sub_relaxed(&custom_live_bytes, rounded);
        cr_assert_eq(munmap(ptr, rounded), 0);
    }
    return OK;
}

static umf_result_t custom_error(void *provider, const char **message, int32_t *error) {
    (void)provider;
    *message = "none";
    *error = 0;
    return OK;
}

static umf_result_t custom_page(void *provider, size_t size, size_t *page) {
    (void)provider, (void)size;
    *page = 4096;
    return OK;
}

static umf_result_t custom_min_page(void *provider, const void *ptr, size_t *page) {
    (void)ptr;
    return custom_page(provider, 0, page);
}

static umf_result_t custom_name(void *provider, const char **name) {
    (void)provider;
    *name = "custom";
    return OK;
}

static umf_result_t custom_split(void *provider, void *ptr, size_t total, size_t first) {
    (void)provider, (void)ptr, (void)total, (void)first;
    return OK; // any part can be unmapped alone
}

static umf_result_t custom_merge(void *provider, void *low, void *high, size_t total) {
    (void)provider, (void)low, (void)high, (void)total;
    return OK;
}

static umf_memory_provider_handle_t provider_custom(void) {
    static const umf_memory_provider_ops_t ops = {
        .version = UMF_MAKE_VERSION(1, 0),
        .initialize = custom_initialize,
        .finalize = custom_finalize,
        .alloc = custom_alloc,
        .free = custom_free,
        .get_last_native_error = custom_error,
        .get_recommended_page_size = custom_page,
        .get_min_page_size = custom_min_page,
        .get_name = custom_name,
        .ext_allocation_split = custom_split,
        .ext_allocation_merge = custom_merge,
    };
    return create(&ops, NULL);
}

/* On the C library's malloc: blocks next to each other's headers. It can not be split. */
static umf_memory_provider_handle_t provider_malloc_like(void) {
    return test_provider_create(&malloc_state);
}

/* ---- one pair -------------------------------------------------------------------------------- */

static umf_memory_pool_handle_t pool_on(const pool_kind_t *kind,
                                        umf_memory_provider_handle_t provider,
                                        umf_pool_create_flags_t flags) {
#ifdef UMF_UNDER_TSAN
    if (!kind->instrumented) {
        cr_skip_test("this pool's library is not built for ThreadSanitizer");
    }
#endif
    if (kind->ops() == NULL) {
        cr_skip_test("this pool is not built");
    }
    umf_memory_pool_handle_t pool = NULL;
    umf_result_t result = umfPoolCreate(kind->ops(), provider, NULL, flags, &pool);
    if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        cr_skip_test("the library of this pool is not installed");
    }
    cr_assert_eq(result, OK);
    return pool;
}

static void *alignments_thread(void *arg) {
    umf_memory_pool_handle_t pool = arg;
    for (size_t alignment = 1; alignment <= ALIGNMENT_MAX; alignment *= 2) {
        const size_t sizes[] = {1, alignment, alignment + alignment / 2 + 1};
        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
            char *ptr = umfPoolAlignedMalloc(pool, sizes[i], alignment);
            cr_assert_not_null(ptr, "%zu bytes at %zu", sizes[i], alignment);
            cr_assert_eq((uintptr_t)ptr % alignment, 0);
            ptr[0] = ptr[sizes[i] - 1] = 1;
            cr_assert_eq(umfPoolFree(pool, ptr), OK);
        }
    }
    return NULL;
}

static void check_power_of_two_alignments(umf_memory_pool_handle_t pool) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, alignments_thread, pool), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void check_what_is_not_supported(umf_memory_pool_handle_t pool) {
    char *block = umfPoolMalloc(pool, 100);
    cr_assert_null(umfPoolCalloc(pool, 2, 50));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    cr_assert_null(umfPoolRealloc(pool, block, 200));
    cr_assert_eq(umfPoolGetLastAllocationError(pool), NOTSUP);
    cr_assert_eq(umfPoolFree(pool, block), OK, "it is still there");
}

static void check_last_error(umf_memory_pool_handle_t pool) {
    cr_assert_null(umfPoolMalloc(pool, SIZE_MAX));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
    cr_assert_null(umfPoolAlignedMalloc(pool, SIZE_MAX - 8191, 4096));
    cr_assert_neq(umfPoolGetLastAllocationError(pool), OK);
}

static void check_tag_and_name(umf_memory_pool_handle_t pool, const pool_kind_t *kind,
                               umf_memory_provider_handle_t provider) {
    const char *name = NULL;
    void *tag = &tag;
    umf_memory_provider_handle_t found = NULL;
    cr_assert_eq(umfPoolGetName(pool, &name), OK);
    cr_assert_str_eq(name, kind->name);
    cr_assert_eq(umfPoolGetTag(pool, &tag), OK);
    cr_assert_null(tag);
    cr_assert_eq(umfPoolSetTag(pool, &found, &tag), OK);
    cr_assert_eq(umfPoolGetTag(pool, &tag), OK);
    cr_assert_eq(tag, &found);
    cr_assert_eq(umfPoolGetMemoryProvider(pool, &found), OK);
    cr_assert_eq(found, provider, "the user's, not a wrapper");
}

static void check_trim(umf_memory_pool_handle_t pool, const pool_kind_t *kind) {
    void *block[LIVE];
    for (int i = 0; i < LIVE; i++) {
        block[i] = umfPoolMalloc(pool, (size_t)1 << (i % 17));
        memset(block[i], i, (size_t)1 << (i % 17));
    }
    for (int i = 0; i < LIVE; i += 2) {
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
    }
    cr_assert_eq(umfPoolTrimMemory(pool, 0), kind->trims ? OK : NOTSUP);
    for (int i = 1; i < LIVE; i += 2) {
        cr_assert_eq(*(unsigned char *)block[i], i, "live blocks stay");
        cr_assert_eq(umfPoolFree(pool, block[i]), OK);
    }
    cr_assert_eq(umfPoolTrimMemory(pool, SIZE_MAX), kind->trims ? OK : NOTSUP);
    void *again = umfPoolMalloc(pool, 1000);
    cr_assert_not_null(again);
    cr_assert_eq(umfPoolFree(pool, again), OK);
}

static void check_operations(umf_memory_pool_handle_t pool, const pool_kind_t *kind) {
    check_sizes_and_contents(pool);
    check_power_of_two_alignments(pool);
    check_free_of_null(pool);
    check_last_error(pool);
    if (kind->full) {
        check_zero_and_huge(pool);
        check_calloc(pool);
        check_realloc(pool);
        check_alignments(pool);
        check_usable_size(pool);
    } else {
        check_what_is_not_supported(pool);
    }
    check_trim(pool, kind);
    check_threads(pool);
    cr_assert_eq(pool_alloc_count(pool), 0, "stats.alloc_count");
}

/* Blocks of several sizes are left; what the pool does not give back stays the provider's. */
static void leave_live_blocks(umf_memory_pool_handle_t pool) {
    static const size_t sizes[] = {1, 64, 1000, 5000, 70000, 3 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        char *block = umfPoolMalloc(pool, sizes[i]);
        cr_assert_not_null(block);
        block[sizes[i] - 1] = 1;
    }
    cr_assert_eq(pool_alloc_count(pool), ARRAY_LENGTH(sizes));
}

static void check_pair(const pool_kind_t *kind, umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t pool = pool_on(kind, provider, 0);
    check_tag_and_name(pool, kind, provider);
    check_operations(pool, kind);
    check_look_up(pool);
    check_nested(pool);
    leave_live_blocks(pool);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    if (kind->returns_all) {
        cr_assert_eq(load_relaxed(&malloc_state.live_bytes), 0);
        cr_assert_eq(load_relaxed(&custom_live_bytes), 0);
    }
    pool = pool_on(kind, provider,
                   UMF_POOL_CREATE_FLAG_OWN_PROVIDER); // once more, from its left-overs
    check_sizes_and_contents(pool);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

static void check_pair_untracked(const pool_kind_t *kind, umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t found = NULL,
                             pool = pool_on(kind, provider, UMF_POOL_CREATE_FLAG_DISABLE_TRACKING);
    check_operations(pool, kind);
    char *block = umfPoolMalloc(pool, 100);
    cr_assert_eq(umfPoolByPtr(block, &found), INVAL, "not tracked");
    cr_assert_eq(umfFree(block), INVAL);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    leave_live_blocks(pool);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define PAIR(pool, provider)                                                                       \
    Test(pool_provider_table, pool##_on_##provider) {                                              \
        (UMF_TABLE_UNTRACKED ? check_pair_untracked : check_pair)(&kind_##pool,                    \
                                                                  provider_##provider());          \
    }

#define ON_EVERY_PROVIDER(pool)                                                                    \
    PAIR(pool, os)                                                                                 \
    PAIR(pool, os_shared)                                                                          \
    PAIR(pool, file_private)                                                                       \
    PAIR(pool, file_on_tmpfs)                                                                      \
    PAIR(pool, fixed)                                                                              \
    PAIR(pool, custom)

ON_EVERY_PROVIDER(slab)
ON_EVERY_PROVIDER(scalable)
ON_EVERY_PROVIDER(jemalloc)
ON_EVERY_PROVIDER(disjoint)
ON_EVERY_PROVIDER(proxy)

PAIR(slab, malloc_like)
PAIR(scalable, malloc_like)
PAIR(disjoint, malloc_like)
PAIR(proxy, malloc_like)

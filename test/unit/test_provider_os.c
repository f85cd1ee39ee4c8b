/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* OS provider: parameters, creation rules, mappings, sharing, NUMA plans, fork, and what must not
 * leak. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>
#include <umf/providers/provider_os_memory.h>
#include <umf/providers/provider_os_memory_ext.h>

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/provider.h"
#include "providers/os_numa.h"
#include "providers/os_shared.h"
#include "providers/provider_os.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN
#define BAD_PATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define MIB ((size_t)1 << 20)
#define PAGE base_page_size()

typedef umf_os_memory_provider_params_handle_t params_t;
typedef umf_memory_provider_handle_t provider_t;

static params_t params_new(void) {
    params_t params = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_not_null(params);
    return params;
}

/* Makes a provider from params and deletes these. */
static umf_result_t create_result(params_t params, provider_t *provider) {
    *provider = NULL;
    umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, provider);
    cr_assert_eq(result == OK, *provider != NULL);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    return result;
}

static provider_t create_from(params_t params) {
    provider_t provider;
    cr_assert_eq(create_result(params, &provider), OK);
    return provider;
}

static provider_t create_private(void) {
    return create_from(params_new());
}

static provider_t create_shared(const char *shm_name) {
    params_t params = params_new();
    cr_assert_eq(umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(params, shm_name), OK);
    return create_from(params);
}

static void destroy(provider_t provider) {
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static char *take(provider_t provider, size_t size, size_t alignment) {
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, size, alignment, &ptr), OK, "%zu bytes at %zu",
                 size, alignment);
    cr_assert_not_null(ptr);
    cr_assert_eq((uintptr_t)ptr % (alignment > PAGE ? alignment : PAGE), 0);
    return ptr;
}

static void give(provider_t provider, void *ptr, size_t size) {
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, size), OK);
}

static void check_native(provider_t provider, int32_t code, const char *text) {
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_eq(error, code, "native error %d instead of %d", error, code);
    cr_assert_eq(strncmp(message, text, strlen(text)), 0, "\"%s\" begins with \"%s\"", message,
                 text);
}

static void check_zero(const char *from, size_t size) {
    for (size_t i = 0; i < size; i += 512) {
        cr_assert_eq(from[i], 0, "byte %zu of %zu", i, size);
    }
}

static size_t count_entries(const char *directory) {
    size_t count = 0;
    DIR *dir = opendir(directory);
    while (dir != NULL && readdir(dir) != NULL) {
        count++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return count;
}

/*
 * Waits for a child; its status, or -1. Assertions talk to the test runner over a socket, one at a
 * time: neither forked children nor threads may use them. They report by results.
 */
static int wait_for(pid_t pid) {
    int status = -1;
    return pid > 0 && waitpid(pid, &status, 0) == pid ? status : -1;
}

/* Runs child in a forked process; 0 when that returns true, else its wait status. */
static int run_child(bool (*child)(void *arg), void *arg) {
    fork_install(); // the library's constructor did it already; once is enough for all
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child(arg) ? 0 : 1);
    }
    return wait_for(pid);
}

static void in_child(bool (*child)(void *arg), void *arg) {
    int status = run_child(child, arg);
    cr_assert_eq(status, 0, "child ended with 0x%x", (unsigned)status);
}

/* ---- parameters ------------------------------------------------------------------------------ */

Test(os_params, every_setter_refuses_a_null_handle) {
    cr_assert_eq(umfOsMemoryProviderParamsCreate(NULL), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(NULL), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetProtection(NULL, 0), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetVisibility(NULL, UMF_MEM_MAP_PRIVATE), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(NULL, "x"), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaList(NULL, NULL, 0), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaMode(NULL, UMF_NUMA_MODE_BIND), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartSize(NULL, 0), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartitions(NULL, NULL, 0), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetPageSize(NULL, 0, UMF_OS_PAGE_PREFERRED), INVAL);
}

Test(os_params, lists_and_names) {
    params_t params = params_new();
    unsigned nodes[] = {0};
    umf_numa_split_partition_t partitions[] = {{1, 0}};
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaList(params, NULL, 1), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaList(params, NULL, 0), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaList(params, nodes, 0), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetNumaList(params, nodes, 1), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartitions(params, NULL, 1), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartitions(params, NULL, 0), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartitions(params, partitions, 0), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetPartitions(params, partitions, 1), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(params, NULL), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(params, ""), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetShmName(params, "name"), OK);
    cr_assert_eq(umfOsMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
}

Test(os_params, page_size_is_a_power_of_two_of_at_least_a_page) {
    params_t params = params_new();
    const size_t good[] = {0, PAGE, 2 * MIB, 1024 * MIB};
    const size_t bad[] = {1, PAGE / 2, PAGE + 1, 3 * PAGE, SIZE_MAX, (size_t)1 << 63};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++) {
        cr_assert_eq(umfOsMemoryProviderParamsSetPageSize(params, good[i], UMF_OS_PAGE_STRICT), OK);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_assert_eq(umfOsMemoryProviderParamsSetPageSize(params, bad[i], UMF_OS_PAGE_STRICT),
                     INVAL);
    }
    cr_assert_eq(umfOsMemoryProviderParamsSetPageSize(params, 0, (umf_os_page_policy_t)3), INVAL);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
}

Test(os_params, names_are_cut_at_63_characters) {
    const char *name = NULL;
    provider_t provider = create_private();
    cr_assert_eq(umfMemoryProviderGetName(provider, &name), OK);
    cr_assert_str_eq(name, "OS");
    destroy(provider);

    char longer[80];
    memset(longer, 'n', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    params_t params = params_new();
    cr_assert_eq(umfOsMemoryProviderParamsSetName(params, longer), OK);
    provider = create_from(params);
    cr_assert_eq(umfMemoryProviderGetName(provider, &name), OK);
    cr_assert_eq(strlen(name), 63);
    destroy(provider);

    cr_assert_eq(umfOsMemoryProviderOps()->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "OS");
    cr_assert_eq(umfOsMemoryProviderOps()->get_name(NULL, NULL), INVAL);
}

Test(os_params, one_object_serves_several_providers) {
    params_t params = params_new();
    provider_t first, second;
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &first), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &second), OK);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    char *ptr = take(first, PAGE, 0);
    give(second, ptr, PAGE); // private memory has no owner
    destroy(first);
    destroy(second);
}

/* ---- creation -------------------------------------------------------------------------------- */

Test(os_create, params_are_needed_and_recognised) {
    provider_t provider = NULL;
    params_t params = params_new();
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), NULL, &provider), INVAL);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), &params, &provider), INVAL);
    cr_assert_null(provider);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
}

Test(os_create, protection_and_visibility_are_checked) {
    provider_t provider;
    for (unsigned bits = 0; bits <= 16; bits++) {
        params_t params = params_new();
        umfOsMemoryProviderParamsSetProtection(params, bits);
        cr_assert_eq(create_result(params, &provider), bits < 16 ? OK : INVAL);
        destroy(provider);
    }
    params_t params = params_new();
    umfOsMemoryProviderParamsSetVisibility(params, (umf_memory_visibility_t)0);
    cr_assert_eq(create_result(params, &provider), INVAL);
    params = params_new();
    umfOsMemoryProviderParamsSetVisibility(params, (umf_memory_visibility_t)3);
    cr_assert_eq(create_result(params, &provider), INVAL);
    params = params_new();
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_LOCAL);
    cr_assert_eq(create_result(params, &provider), NOTSUP);
    params = params_new();
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfOsMemoryProviderParamsSetPageSize(params, 2 * MIB, UMF_OS_PAGE_STRICT);
    cr_assert_eq(create_result(params, &provider), NOTSUP);
}

static umf_result_t create_numa(umf_numa_mode_t mode, unsigned count) {
    unsigned nodes[] = {0};
    provider_t provider;
    params_t params = params_new();
    umfOsMemoryProviderParamsSetNumaMode(params, mode);
    umfOsMemoryProviderParamsSetNumaList(params, nodes, count);
    umf_result_t result = create_result(params, &provider);
    destroy(provider);
    return result;
}

Test(os_create, each_numa_mode_has_its_rule_for_the_list) {
    const struct {
        umf_numa_mode_t mode;
        umf_result_t without, with;
    } rules[] = {
        {UMF_NUMA_MODE_DEFAULT, OK, INVAL},    {UMF_NUMA_MODE_BIND, INVAL, OK},
        {UMF_NUMA_MODE_INTERLEAVE, INVAL, OK}, {UMF_NUMA_MODE_PREFERRED, OK, OK},
        {UMF_NUMA_MODE_SPLIT, INVAL, OK},      {UMF_NUMA_MODE_LOCAL, OK, INVAL},
        {(umf_numa_mode_t)6, INVAL, INVAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        cr_assert_eq(create_numa(rules[i].mode, 0), rules[i].without, "mode %zu", i);
        cr_assert_eq(create_numa(rules[i].mode, 1), rules[i].with, "mode %zu", i);
    }
}

Test(os_create, partitions_and_part_size_are_checked) {
    unsigned nodes[] = {0};
    umf_numa_split_partition_t weightless = {0, 0}, elsewhere = {1, 7}, good = {5, 0};
    provider_t provider;
    params_t params = params_new();
    umfOsMemoryProviderParamsSetNumaList(params, nodes, 1);
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_SPLIT);
    const umf_memory_provider_ops_t *ops = umfOsMemoryProviderOps();
    umfOsMemoryProviderParamsSetPartitions(params, &weightless, 1);
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), INVAL);
    umfOsMemoryProviderParamsSetPartitions(params, &elsewhere, 1);
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), INVAL);
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_BIND); // checked in every mode
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), INVAL);
    umfOsMemoryProviderParamsSetPartitions(params, &good, 1);
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_SPLIT);
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), OK);
    destroy(provider);
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_INTERLEAVE);
    umfOsMemoryProviderParamsSetPartSize(params, SIZE_MAX);
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &provider), INVAL);
    umfOsMemoryProviderParamsSetPartSize(params, 1);
    cr_assert_eq(create_result(params, &provider), OK);
    destroy(provider);
}

Test(os_create, a_private_provider_costs_no_system_call) {
    PAGE; // sysconf may ask the system once
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT); // from here on other calls than exit kill
        params_t params;
        provider_t provider;
        bool good =
            umfOsMemoryProviderParamsCreate(&params) == OK &&
            umfOsMemoryProviderOps()->initialize(params, (void **)(uintptr_t)&provider) == OK &&
            umfOsMemoryProviderOps()->finalize(provider) == OK;
        syscall(SYS_exit, good ? 0 : 1);
    }
    cr_assert_eq(wait_for(pid), 0);
}

/* ---- pages, alloc, free, purge --------------------------------------------------------------- */

Test(os_pages, sizes) {
    provider_t provider = create_private();
    size_t bytes = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &bytes), OK);
    cr_assert_eq(bytes, PAGE);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, &bytes, &bytes), OK);
    cr_assert_eq(bytes, PAGE);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 0, &bytes), OK);
    cr_assert_eq(bytes, PAGE);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, SIZE_MAX, &bytes), OK);
    cr_assert_eq(bytes, PAGE);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &bytes), OK);
    long line = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
    cr_assert_eq(bytes, line > 0 ? (size_t)line : 64);
    destroy(provider);
}

static void check_sizes_and_alignments(provider_t provider) {
    const size_t sizes[] = {1, 100, PAGE - 1, PAGE, PAGE + 1, 5 * PAGE + 17, MIB, 3 * MIB + 5};
    const size_t alignments[] = {0,        1,        8,         PAGE / 2,  PAGE,    2 * PAGE,
                                 3 * PAGE, 7 * PAGE, 64 * 1024, 16 * PAGE, 2 * MIB, 64 * MIB};
    char *live[ARRAY_LENGTH(sizes) * ARRAY_LENGTH(alignments)];
    size_t count = 0;
    for (size_t a = 0; a < ARRAY_LENGTH(alignments); a++) {
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            char *ptr = live[count] = take(provider, sizes[s], alignments[a]);
            check_zero(ptr, sizes[s]);
            memset(ptr, (int)count++ + 1, sizes[s]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        size_t size = sizes[i % ARRAY_LENGTH(sizes)];
        cr_assert_eq(live[i][0], (char)(i + 1));
        cr_assert_eq(live[i][size - 1], (char)(i + 1));
        give(provider, live[i], size);
    }
}

Test(os_alloc, sizes_and_alignments_private) {
    provider_t provider = create_private();
    check_sizes_and_alignments(provider);
    destroy(provider);
}

Test(os_alloc, sizes_and_alignments_shared) {
    provider_t provider = create_shared(NULL);
    check_sizes_and_alignments(provider);
    check_sizes_and_alignments(provider); // memory that was used before
    destroy(provider);
}

Test(os_alloc, sizes_and_alignments_with_huge_pages) {
    for (unsigned policy = UMF_OS_PAGE_PREFERRED; policy <= UMF_OS_PAGE_TRANSPARENT; policy++) {
        for (unsigned shared = 0; shared < 2; shared++) {
            params_t params = params_new();
            umfOsMemoryProviderParamsSetVisibility(params, shared ? UMF_MEM_MAP_SHARED
                                                                  : UMF_MEM_MAP_PRIVATE);
            umfOsMemoryProviderParamsSetPageSize(params, 2 * MIB, (umf_os_page_policy_t)policy);
            provider_t provider = create_from(params);
            check_sizes_and_alignments(provider);
            char *ptr = take(provider, 4 * MIB, 0);
            cr_assert(is_aligned((uintptr_t)ptr, 2 * MIB));
            memset(ptr, 1, 4 * MIB);
            give(provider, ptr, 4 * MIB);
            destroy(provider);
        }
    }
}

Test(os_alloc, ordinary_pages_only) {
    params_t params = params_new();
    umfOsMemoryProviderParamsSetPageSize(params, PAGE, UMF_OS_PAGE_STRICT);
    provider_t provider = create_from(params);
    check_sizes_and_alignments(provider);
    destroy(provider);
}

Test(os_alloc, strict_huge_pages_come_from_the_stock_or_fail) {
    params_t params = params_new();
    umfOsMemoryProviderParamsSetPageSize(params, 2 * MIB, UMF_OS_PAGE_STRICT);
    provider_t provider = create_from(params);
    size_t bytes = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &bytes), OK);
    cr_assert_eq(bytes, 2 * MIB);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 1, &bytes), OK);
    cr_assert_eq(bytes, 2 * MIB);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, &bytes, 4 * MIB, MIB), INVAL);
    void *ptr = NULL;
    umf_result_t result = umfMemoryProviderAlloc(provider, 1, 0, &ptr);
    if (result == OK) {
        cr_assert(is_aligned((uintptr_t)ptr, 2 * MIB));
        memset(ptr, 1, 2 * MIB);
        give(provider, ptr, 1);
        destroy(provider);
    } else {
        cr_assert_eq(result, SPECIFIC);
        check_native(provider, UMF_OS_RESULT_ERROR_ALLOC_FAILED, "memory allocation failed");
        destroy(provider);
        cr_skip("no reserved huge pages of 2 MiB on this machine");
    }
}

Test(os_alloc, wrong_alignments_and_sizes_fail) {
    provider_t provider = create_private();
    void *ptr = NULL;
    const size_t wrong[] = {PAGE - 1, PAGE + 1, PAGE + PAGE / 2, 3, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, wrong[i], &ptr), INVAL);
    }
    const size_t sizes[] = {0, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - PAGE, SIZE_MAX / 2};
    const size_t alignments[] = {0, PAGE, 2 * PAGE, (size_t)1 << 62};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (size_t a = 0; a < ARRAY_LENGTH(alignments); a++) {
            cr_assert_eq(umfMemoryProviderAlloc(provider, sizes[i], alignments[a], &ptr), SPECIFIC);
            check_native(provider, UMF_OS_RESULT_ERROR_ALLOC_FAILED, "memory allocation failed: ");
        }
    }
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, (size_t)1 << 62, &ptr), SPECIFIC);
    cr_assert_null(ptr);
    destroy(provider);
}

Test(os_alloc, aligned_blocks_of_all_orders_never_overlap) {
    provider_t provider = create_private();
    enum { SLOTS = 64, STEPS = 4000 };
    struct {
        char *ptr;
        size_t size;
    } slot[SLOTS] = {{NULL, 0}};
    srand(1);
    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand() % SLOTS;
        if (slot[i].ptr != NULL) {
            cr_assert_eq(slot[i].ptr[0], (char)i);
            cr_assert_eq(slot[i].ptr[slot[i].size - 1], (char)i);
            give(provider, slot[i].ptr, slot[i].size);
            slot[i].ptr = NULL;
        } else {
            slot[i].size = (1 + (size_t)rand() % 40) * 16384;
            slot[i].ptr = take(provider, slot[i].size, (size_t)65536 << (rand() % 4));
            check_zero(slot[i].ptr, PAGE);
            slot[i].ptr[0] = slot[i].ptr[slot[i].size - 1] = (char)i;
        }
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        give(provider, slot[i].ptr, slot[i].size);
    }
    destroy(provider);
}

Test(os_free, null_is_fine_and_nonsense_fails) {
    provider_t provider = create_private();
    give(provider, NULL, 0);
    give(provider, NULL, PAGE);
    const size_t sizes[] = {0, 1, PAGE, SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, sizes[i]), SPECIFIC);
        check_native(provider, UMF_OS_RESULT_ERROR_FREE_FAILED, "memory deallocation failed: ");
    }
    destroy(provider);
}

Test(os_free, any_part_of_private_memory_goes_alone) {
    provider_t provider = create_private();
    char *ptr = take(provider, 5 * PAGE, 0);
    memset(ptr, 1, 5 * PAGE);
    give(provider, ptr + PAGE, PAGE);
    give(provider, ptr + 3 * PAGE, PAGE);
    cr_assert_eq(ptr[0] + ptr[2 * PAGE] + ptr[4 * PAGE], 3);
    give(provider, ptr, 5 * PAGE);
    destroy(provider);
}

Test(os_purge, lazy_and_force) {
    provider_t provider = create_private();
    char *ptr = take(provider, 3 * PAGE, 0);
    memset(ptr, 1, 3 * PAGE);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, ptr, 2 * PAGE + 1), OK);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, 2 * PAGE + 1), OK);
    check_zero(ptr, 3 * PAGE);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, (void *)1, 1), SPECIFIC);
    check_native(provider, UMF_OS_RESULT_ERROR_PURGE_LAZY_FAILED, "lazy purging failed");
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, (void *)1, 1), SPECIFIC);
    check_native(provider, UMF_OS_RESULT_ERROR_PURGE_FORCE_FAILED, "force purging failed");
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, NULL, 1), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, NULL, 1), INVAL);
    give(provider, ptr, 3 * PAGE);
    destroy(provider);
}

/* The native error that a new thread sees; 0 on failure. */
static void *native_error_of_new_thread(void *provider) {
    const char *message = NULL;
    int32_t error = 0;
    bool good = umfMemoryProviderGetLastNativeError(provider, &message, &error) == OK &&
                strcmp(message, "success") == 0;
    return good ? (void *)(intptr_t)error : NULL;
}

Test(os_errors, native_error_belongs_to_the_thread) {
    provider_t provider = create_private();
    check_native(provider, UMF_OS_RESULT_SUCCESS, "success");
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 0), SPECIFIC);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, native_error_of_new_thread, provider), 0);
    void *error = NULL;
    pthread_join(thread, &error);
    cr_assert_eq((intptr_t)error, UMF_OS_RESULT_SUCCESS);
    check_native(provider, UMF_OS_RESULT_ERROR_FREE_FAILED, "memory deallocation failed");
    provider_t failed = NULL;
    cr_assert_eq(umfGetLastFailedMemoryProvider(&failed), OK);
    cr_assert_eq(failed, provider);
    destroy(provider);
}

/* ---- split, merge, ctl ----------------------------------------------------------------------- */

static void check_split_and_merge(provider_t provider) {
    char *ptr = take(provider, 4 * PAGE, 0);
    memset(ptr, 1, 4 * PAGE);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr, 4 * PAGE, PAGE), OK);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr + PAGE, 3 * PAGE, PAGE), OK);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, ptr, ptr + PAGE, 2 * PAGE), OK);
    give(provider, ptr, 2 * PAGE);
    cr_assert_eq(ptr[2 * PAGE], 1);
    give(provider, ptr + 2 * PAGE, 2 * PAGE);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr, PAGE, PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, NULL, PAGE, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, ptr, ptr, PAGE), INVAL);
}

Test(os_split, private_memory) {
    provider_t provider = create_private();
    check_split_and_merge(provider);
    destroy(provider);
}

Test(os_split, shared_memory_knows_its_blocks) {
    provider_t provider = create_shared(NULL);
    check_split_and_merge(provider);
    char *ptr = take(provider, 4 * PAGE, 0);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr + PAGE, PAGE, 1), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, ptr + PAGE, 2 * PAGE, PAGE), UNKNOWN);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, ptr, ptr + PAGE, 2 * PAGE), UNKNOWN);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, PAGE), SPECIFIC);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr + PAGE, PAGE), SPECIFIC);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 0), SPECIFIC);
    give(provider, ptr, 4 * PAGE);
    destroy(provider);
}

static umf_result_t ctl(provider_t provider, umf_ctl_query_type_t type, void *arg, size_t size,
                        const char *name, ...) {
    va_list args;
    va_start(args, name);
    umf_result_t result =
        provider->ops.ext_ctl(provider->priv, CTL_QUERY_PROGRAMMATIC, name, arg, size, type, args);
    va_end(args);
    return result;
}

static void check_stats(provider_t provider, size_t allocated, size_t peak) {
    size_t value = 1;
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, sizeof(value), "stats.allocated_memory"),
                 OK);
    cr_assert_eq(value, allocated);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, sizeof(value), "stats.{}", "peak_memory"),
                 OK);
    cr_assert_eq(value, peak);
}

Test(os_ctl, statistics_count_requested_bytes) {
    provider_t provider = create_private();
    check_stats(provider, 0, 0);
    char *ptr = take(provider, 1000, 0);
    check_stats(provider, 1000, 1000);
    give(provider, ptr, 1000);
    check_stats(provider, 0, 1000);
    cr_assert_eq(ctl(provider, CTL_QUERY_RUNNABLE, NULL, 0, "stats..peak_memory.reset"), OK);
    check_stats(provider, 0, 0);
    destroy(provider);
}

Test(os_ctl, wrong_requests) {
    provider_t provider = create_private();
    size_t value = 0;
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 4, "stats.peak_memory"), INVAL);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, NULL, 8, "stats.peak_memory"), INVAL);
    cr_assert_eq(ctl(provider, CTL_QUERY_WRITE, &value, 8, "stats.peak_memory"), INVAL);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, "stats.peak_memory.reset"), INVAL);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, "params.ipc_enabled"), INVAL);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, "stats"), BAD_PATH);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, "."), BAD_PATH);
    cr_assert_eq(ctl(provider, CTL_QUERY_RUNNABLE, NULL, 0, "post_initialize"), BAD_PATH);
    char longer[1000];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, longer), BAD_PATH);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, "{}", longer), BAD_PATH);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &value, 8, NULL), INVAL);
    destroy(provider);
}

Test(os_ctl, ipc_is_enabled_for_shared_memory_only) {
    int enabled = 2;
    provider_t provider = create_private();
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &enabled, sizeof(enabled), "params.ipc_enabled"),
                 OK);
    cr_assert_eq(enabled, 0);
    destroy(provider);
    provider = create_shared(NULL);
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &enabled, sizeof(enabled), "params.ipc_enabled"),
                 OK);
    cr_assert_eq(enabled, 1);
    destroy(provider);
}

/* ---- shared memory --------------------------------------------------------------------------- */

Test(os_shared, names_are_checked) {
    provider_t provider;
    char longer[256];
    memset(longer, 'n', sizeof(longer));
    longer[254] = '\0';
    const struct {
        const char *name;
        umf_result_t result;
    } cases[] = {{"", UNKNOWN}, {"/x", INVAL}, {"a/b", INVAL}, {longer, INVAL}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        params_t params = params_new();
        umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
        umfOsMemoryProviderParamsSetShmName(params, cases[i].name);
        cr_assert_eq(create_result(params, &provider), cases[i].result, "case %zu", i);
    }
    longer[253] = '\0';
    destroy(create_shared(longer));
}

Test(os_shared, neither_descriptor_nor_name_outlives_the_provider) {
    char name[64], path[96];
    snprintf(name, sizeof(name), "umf_test_%d", (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm/%s", name);
    size_t descriptors = count_entries("/proc/self/fd");
    for (unsigned round = 0; round < 3; round++) {
        provider_t provider = create_shared(name);
        cr_assert_eq(access(path, F_OK), 0);
        provider_t anonymous = create_shared(NULL);
        char *ptr = take(provider, PAGE, 0);
        give(provider, ptr, PAGE);
        destroy(provider);
        destroy(anonymous);
        cr_assert_eq(count_entries("/proc/self/fd"), descriptors);
        cr_assert_neq(access(path, F_OK), 0);
    }
    // A name that somebody else took over stays.
    provider_t first = create_shared(name), second = create_shared(name);
    destroy(first);
    cr_assert_eq(access(path, F_OK), 0);
    os_provider_unlink_name(second->priv);
    cr_assert_neq(access(path, F_OK), 0);
    destroy(second);
}

/* The content of a block, read through the descriptor that another process would use. */
static void check_location(os_shared_t *shared, const char *ptr, size_t size) {
    os_shared_location_t where;
    cr_assert(os_shared_locate(shared, ptr, &where));
    cr_assert_geq(where.size, size);
    char *other = mmap(NULL, where.size, PROT_READ, MAP_SHARED, where.fd, where.offset);
    cr_assert_neq(other, MAP_FAILED);
    cr_assert_eq(memcmp(ptr, other, size), 0);
    munmap(other, where.size);
}

static os_shared_t *shared_new(const char *name) {
    os_shared_t *shared = NULL;
    cr_assert_eq(os_shared_create(name, false, &shared), OK);
    return shared;
}

static char *shared_take(os_shared_t *shared, size_t size, size_t alignment) {
    static os_map_hint_t hint;
    os_map_request_t request = {.size = align_up(size, PAGE),
                                .alignment = alignment,
                                .granule = PAGE,
                                .protection = PROT_READ | PROT_WRITE,
                                .fd = -1};
    char *ptr = os_shared_map(shared, &request, PAGE, &hint);
    cr_assert_not_null(ptr);
    return ptr;
}

Test(os_shared, offsets_are_right_for_odd_sizes_and_alignments) {
    os_shared_t *shared = shared_new(NULL);
    char *ptr[40];
    for (unsigned i = 0; i < 40; i++) {
        size_t size = 1000 * (i + 1);
        ptr[i] = shared_take(shared, size, PAGE * (1 + i % 7));
        memset(ptr[i], (int)i + 1, size);
    }
    for (unsigned i = 0; i < 40; i++) {
        check_location(shared, ptr[i], 1000 * (i + 1));
    }
    char *parted = ptr[39];
    cr_assert_eq(os_shared_split(shared, parted, 40000, 2 * PAGE), OK);
    check_location(shared, parted + 2 * PAGE, 40000 - 2 * PAGE);
    os_shared_location_t where;
    cr_assert_not(os_shared_locate(shared, parted + PAGE, &where));
    cr_assert_not(os_shared_locate(shared, NULL, &where));
    cr_assert_eq(os_shared_unmap(shared, parted + 2 * PAGE, 40000 - 2 * PAGE), 0);
    cr_assert_eq(os_shared_unmap(shared, parted, 2 * PAGE), 0);
    for (unsigned i = 0; i < 39; i++) {
        cr_assert_eq(os_shared_unmap(shared, ptr[i], 1000 * (i + 1)), 0);
    }
    os_shared_destroy(shared);
}

Test(os_shared, freed_and_purged_memory_goes_back_and_offsets_are_used_again) {
    os_shared_t *shared = shared_new(NULL);
    char *anchor = shared_take(shared, PAGE, PAGE);
    anchor[0] = 1;
    os_shared_location_t where;
    cr_assert(os_shared_locate(shared, anchor, &where));
    struct stat status;
    off_t highest = 0;
    for (unsigned round = 0; round < 50; round++) {
        char *ptr = shared_take(shared, 4 * MIB, 2 * PAGE);
        check_zero(ptr, 4 * MIB);
        memset(ptr, 1, 4 * MIB);
        os_shared_location_t here;
        cr_assert(os_shared_locate(shared, ptr, &here));
        highest = here.offset > highest ? here.offset : highest;
        if (round % 2 == 0) {
            cr_assert_eq(os_shared_purge(shared, ptr, 4 * MIB), 0);
            check_zero(ptr, 4 * MIB);
        }
        cr_assert_eq(os_shared_unmap(shared, ptr, 4 * MIB), 0);
        cr_assert_eq(fstat(where.fd, &status), 0);
        cr_assert_leq((size_t)status.st_blocks * 512, MIB);
    }
    cr_assert_leq((size_t)highest, 8 * MIB);
    cr_assert_eq(os_shared_purge(shared, (void *)1, 1), -1);
    cr_assert_eq(os_shared_purge(shared, anchor + PAGE * 1024, PAGE), -1);
    os_shared_destroy(shared);
    cr_assert_eq(anchor[0], 1); // mappings stay valid
    munmap(anchor, PAGE);
}

Test(os_shared, memory_without_write_access_is_returned_as_well) {
    params_t params = params_new();
    umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    umfOsMemoryProviderParamsSetProtection(params, UMF_PROTECTION_READ);
    provider_t provider = create_from(params);
    char *ptr = take(provider, MIB, 0);
    check_zero(ptr, MIB);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, MIB), OK);
    give(provider, ptr, MIB);
    destroy(provider);
}

Test(os_shared, a_closed_descriptor_is_noticed) {
    os_shared_t *shared = shared_new(NULL);
    char *ptr = shared_take(shared, PAGE, PAGE);
    ptr[0] = 7;
    os_shared_location_t where;
    cr_assert(os_shared_locate(shared, ptr, &where));
    cr_assert_geq(where.fd, 256, "descriptor %d is in the way of the program", where.fd);
    const int fd = where.fd;
    int file = open("/dev/null", O_RDWR);
    cr_assert_eq(dup2(file, fd), fd); // the number is somebody else's now
    cr_assert_not(os_shared_locate(shared, ptr, &where));
    char *other = shared_take(shared, 3 * PAGE, 4 * PAGE);
    other[0] = 8;
    check_location(shared, other, 3 * PAGE);
    cr_assert_eq(ptr[0], 7);
    cr_assert_eq(os_shared_unmap(shared, ptr, PAGE), 0);
    cr_assert_eq(os_shared_unmap(shared, other, 3 * PAGE), 0);
    os_shared_destroy(shared);
    cr_assert_eq(fcntl(fd, F_GETFD), 0); // and was not closed
}

Test(os_shared, memfd_secret_on_request) {
    cr_assert_eq(setenv("UMF_MEM_FD_FUNC", "memfd_secret", 1), 0);
    int probe = (int)syscall(447, 0u);
    provider_t provider = create_shared(NULL);
    char *ptr = take(provider, PAGE, 0);
    memset(ptr, 1, PAGE);
    give(provider, ptr, PAGE);
    void *priv = NULL;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    cr_assert_eq(extension->zeroed(priv), probe < 0);
    destroy(provider);
    if (probe < 0) {
        cr_skip("memfd_secret: %s", strerror(errno));
    }
}

/* ---- fork ------------------------------------------------------------------------------------ */

typedef struct family {
    provider_t provider;
    char *kept, *second;
    size_t size;
    char name[64];
} family_t;

static const provider_extension_t *family_extension(const family_t *family, void **priv) {
    return provider_extension(family->provider, priv);
}

/* The child gets rid of everything without unsharing; the parent's memory must not notice. */
static bool child_frees_all(void *arg) {
    family_t *family = arg;
    umf_memory_provider_handle_t provider = family->provider;
    void *fresh = NULL;
    bool good = umfMemoryProviderPurgeForce(provider, family->kept, family->size) != OK &&
                umfMemoryProviderFree(provider, family->kept, family->size) == OK &&
                umfMemoryProviderAlloc(provider, family->size, 0, &fresh) == OK;
    if (good) {
        memset(fresh, 9, family->size);
        good = umfMemoryProviderFree(provider, fresh, family->size) == OK;
    }
    return umfMemoryProviderDestroy(provider) == OK && good;
}

Test(os_fork, a_child_does_not_touch_the_parents_pages) {
    char path[96];
    family_t family = {.size = 8 * PAGE};
    snprintf(family.name, sizeof(family.name), "umf_test_%d", (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm/%s", family.name);
    family.provider = create_shared(family.name);
    family.kept = take(family.provider, family.size, 0);
    memset(family.kept, 5, family.size);
    in_child(child_frees_all, &family);
    char *other = take(family.provider, family.size, 0);
    check_zero(other, family.size);
    for (size_t i = 0; i < family.size; i++) {
        cr_assert_eq(family.kept[i], 5);
    }
    cr_assert_eq(access(path, F_OK), 0);
    destroy(family.provider);
}

Test(os_fork, a_child_of_a_bare_clone_is_noticed) {
    family_t family = {.size = 8 * PAGE, .provider = create_shared(NULL)};
    family.kept = take(family.provider, family.size, 0);
    memset(family.kept, 5, family.size);
    long pid = syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, 0ul);
    if (pid == 0) {
        _exit(child_frees_all(&family) ? 0 : 1);
    }
    cr_assert_eq(wait_for((pid_t)pid), 0);
    cr_assert_eq(family.kept[0] + family.kept[family.size - 1], 10);
    destroy(family.provider);
}

static bool child_unshares(void *arg) {
    family_t *family = arg;
    void *priv;
    const provider_extension_t *extension = family_extension(family, &priv);
    size_t before = count_entries("/proc/self/fd");
    bool good = extension->fork_child_unshare(priv, family->kept, family->size) == OK &&
                extension->fork_child_unshare(priv, family->second, MIB) == OK;
    // One new object instead of the old one.
    good = good && count_entries("/proc/self/fd") == before;
    for (size_t i = 0; i < family->size; i += PAGE) {
        good = good && family->kept[i] == (i % (4 * PAGE) == 0 ? 5 : 0);
    }
    good = good && family->second[0] == 6 && family->second[MIB - 1] == 6;
    memset(family->kept, 1, family->size);
    memset(family->second, 1, MIB);
    good = good && umfMemoryProviderPurgeForce(family->provider, family->second, MIB) == OK &&
           family->second[0] == 0;
    // Twice is harmless.
    good = good && extension->fork_child_unshare(priv, family->kept, family->size) == OK &&
           family->kept[0] == 1;
    char path[128];
    snprintf(path, sizeof(path), "/dev/shm/umf_test_%d", (int)getpid());
    good = good && access(path, F_OK) != 0;
    // A grandchild does the same with the child's memory.
    if (good && family->name[0] != '\0') {
        memset(family->kept, 0, family->size);
        for (size_t i = 0; i < family->size; i += 4 * PAGE) {
            family->kept[i] = 5;
        }
        memset(family->second, 6, MIB);
        family->name[0] = '\0';
        good = run_child(child_unshares, family) == 0 && family->kept[0] == 5 &&
               family->second[0] == 6;
    }
    return umfMemoryProviderFree(family->provider, family->kept, family->size) == OK &&
           umfMemoryProviderDestroy(family->provider) == OK && good;
}

static void check_unsharing(const char *name) {
    family_t family = {.size = 64 * PAGE, .name = "once"};
    family.provider = create_shared(name);
    void *priv;
    const provider_extension_t *extension = family_extension(&family, &priv);
    cr_assert_not_null(extension);
    cr_assert(extension->shared_on_fork(priv));
    cr_assert(extension->zeroed(priv));
    family.kept = take(family.provider, family.size, 16 * PAGE);
    for (size_t i = 0; i < family.size; i += 4 * PAGE) {
        family.kept[i] = 5; // with holes between
    }
    family.second = take(family.provider, MIB, 0);
    memset(family.second, 6, MIB);
    cr_assert_eq(mprotect(family.second, PAGE, PROT_NONE), 0); // not readable for write(2)
    in_child(child_unshares, &family);
    cr_assert_eq(mprotect(family.second, PAGE, PROT_READ | PROT_WRITE), 0);
    for (size_t i = 0; i < family.size; i += 4 * PAGE) {
        cr_assert_eq(family.kept[i], 5);
    }
    cr_assert_eq(family.second[0], 6);
    destroy(family.provider);
}

Test(os_fork, unsharing_gives_a_child_its_own_copy) {
    check_unsharing(NULL);
    char name[64];
    snprintf(name, sizeof(name), "umf_test_%d", (int)getpid());
    check_unsharing(name);
    check_unsharing("umf_test_without_id");
}

static bool child_gets_a_name(void *arg) {
    family_t *family = arg;
    os_shared_t *shared = (os_shared_t *)(void *)family->provider;
    os_shared_location_t where;
    char expected[128], path[160];
    snprintf(expected, sizeof(expected), "%s%d", family->name, (int)getpid());
    snprintf(path, sizeof(path), "/dev/shm/%s", expected);
    bool good = os_shared_unshare(shared, NULL, SIZE_MAX, PROT_READ | PROT_WRITE, -1) == OK &&
                access(path, F_OK) != 0 && os_shared_locate(shared, family->kept, &where) &&
                strcmp(where.name, expected) == 0 && access(path, F_OK) == 0;
    os_shared_destroy(shared);
    return good && access(path, F_OK) != 0;
}

Test(os_fork, a_child_gets_its_own_name_when_it_exports_memory) {
    char own[64];
    snprintf(own, sizeof(own), "umf_test_%d", (int)getpid());
    const struct {
        const char *name, *stem;
    } cases[] = {{own, "umf_test_"}, {"umf_test_plain", "umf_test_plain."}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        os_shared_t *shared = shared_new(cases[i].name);
        family_t family = {.provider = (provider_t)(void *)shared,
                           .kept = shared_take(shared, PAGE, PAGE)};
        family.kept[0] = 1;
        snprintf(family.name, sizeof(family.name), "%s", cases[i].stem);
        in_child(child_gets_a_name, &family);
        os_shared_destroy(shared);
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { CHURN_THREADS = 4, CHURN_STEPS = 2000, CHURN_SLOTS = 16 };

typedef struct churn_slot {
    unsigned char *ptr;
    size_t size;
} churn_slot_t;

static bool churn_take(provider_t provider, churn_slot_t *slot, unsigned char mark,
                       unsigned *seed) {
    void *ptr = NULL;
    slot->size = 1 + (unsigned)rand_r(seed) % 100000;
    if (umfMemoryProviderAlloc(provider, slot->size, PAGE << (unsigned)rand_r(seed) % 6, &ptr) !=
        OK) {
        return false;
    }
    slot->ptr = ptr;
    bool zero = slot->ptr[0] == 0 && slot->ptr[slot->size - 1] == 0;
    slot->ptr[0] = slot->ptr[slot->size - 1] = mark;
    return zero;
}

static bool churn_give(provider_t provider, churn_slot_t *slot, unsigned char mark) {
    bool kept = slot->ptr[0] == mark && slot->ptr[slot->size - 1] == mark;
    bool freed = umfMemoryProviderFree(provider, slot->ptr, slot->size) == OK;
    slot->ptr = NULL;
    return kept && freed;
}

/* NULL when all went well. */
static void *churn(void *arg) {
    provider_t provider = arg;
    unsigned seed = (unsigned)(uintptr_t)&provider;
    churn_slot_t slot[CHURN_SLOTS] = {{NULL, 0}};
    bool good = true;
    for (unsigned step = 0; step < CHURN_STEPS && good; step++) {
        unsigned i = (unsigned)rand_r(&seed) % CHURN_SLOTS;
        unsigned char mark = (unsigned char)(i + 1);
        good = slot[i].ptr == NULL ? churn_take(provider, &slot[i], mark, &seed)
                                   : churn_give(provider, &slot[i], mark);
    }
    for (unsigned i = 0; i < CHURN_SLOTS && good; i++) {
        good = slot[i].ptr == NULL || churn_give(provider, &slot[i], (unsigned char)(i + 1));
    }
    return good ? NULL : arg;
}

static bool child_can_allocate(void *arg) {
    void *ptr = NULL;
    umf_memory_provider_handle_t provider = arg;
    if (umfMemoryProviderAlloc(provider, MIB, 2 * PAGE, &ptr) != OK) {
        return false;
    }
    memset(ptr, 1, MIB);
    return umfMemoryProviderFree(provider, ptr, MIB) == OK;
}

static void check_threads(provider_t provider) {
    pthread_t thread[CHURN_THREADS];
    for (unsigned i = 0; i < CHURN_THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, churn, provider), 0);
    }
    for (unsigned i = 0; i < 20; i++) {
        in_child(child_can_allocate, provider);
    }
    for (unsigned i = 0; i < CHURN_THREADS; i++) {
        void *failed = thread;
        pthread_join(thread[i], &failed);
        cr_assert_null(failed);
    }
    size_t live = 1;
    cr_assert_eq(ctl(provider, CTL_QUERY_READ, &live, sizeof(live), "stats.allocated_memory"), OK);
    cr_assert_eq(live, 0);
    destroy(provider);
}

Test(os_threads, private_memory_and_forks) {
    check_threads(create_private());
}

Test(os_threads, shared_memory_and_forks) {
    check_threads(create_shared(NULL));
}

Test(os_fork, private_memory_needs_nothing) {
    provider_t provider = create_private();
    void *priv;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    cr_assert_not_null(extension);
    cr_assert_not(extension->shared_on_fork(priv));
    cr_assert_eq(extension->fork_child_unshare(priv, &priv, 1), OK);
    cr_assert(extension->zeroed(priv));
    destroy(provider);
}

/* ---- remap ----------------------------------------------------------------------------------- */

static void check_remap(provider_t provider, size_t alignment) {
    void *priv;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    size_t size = 5 * PAGE + 100;
    char *ptr = take(provider, size, alignment);
    memset(ptr, 3, size);
    for (unsigned round = 0; round < 6; round++) {
        char *blocker = take(provider, PAGE, alignment); // often right behind or before
        size_t larger = size * 3;
        void *moved = NULL;
        cr_assert_eq(extension->remap(priv, ptr, size, larger, alignment, &moved), OK);
        cr_assert_eq((uintptr_t)moved % (alignment != 0 ? alignment : PAGE), 0);
        ptr = moved;
        for (size_t i = 0; i < size; i += 100) {
            cr_assert_eq(ptr[i], 3);
        }
        check_zero(ptr + align_up(size, PAGE), larger - align_up(size, PAGE));
        memset(ptr, 3, larger);
        size = larger;
        give(provider, blocker, PAGE);
    }
    void *moved = NULL;
    cr_assert_eq(extension->remap(priv, ptr, size, PAGE, alignment, &moved), OK);
    cr_assert_eq(moved, ptr);
    give(provider, ptr, PAGE);
}

Test(os_remap, grows_and_keeps_content_and_alignment) {
    const size_t alignments[] = {0, 64 * 1024, 4 * MIB};
    for (size_t i = 0; i < ARRAY_LENGTH(alignments); i++) {
        provider_t provider = create_private();
        check_remap(provider, alignments[i]);
        destroy(provider);

        params_t params = params_new();
        umfOsMemoryProviderParamsSetPageSize(params, 2 * MIB, UMF_OS_PAGE_TRANSPARENT);
        provider = create_from(params);
        check_remap(provider, alignments[i]);
        destroy(provider);
    }
}

Test(os_remap, refuses_what_it_can_not_do) {
    void *priv, *moved = NULL;
    provider_t provider = create_shared(NULL);
    char *ptr = take(provider, PAGE, 0);
    const provider_extension_t *extension = provider_extension(provider, &priv);
    cr_assert_eq(extension->remap(priv, ptr, PAGE, 2 * PAGE, 0, &moved), NOTSUP);
    destroy(provider);

    provider = create_private();
    extension = provider_extension(provider, &priv);
    ptr = take(provider, 4 * PAGE, 0);
    cr_assert_eq(extension->remap(priv, ptr, 4 * PAGE, 0, 0, &moved), INVAL);
    cr_assert_eq(extension->remap(priv, NULL, 4 * PAGE, PAGE, 0, &moved), INVAL);
    cr_assert_eq(extension->remap(priv, ptr, 4 * PAGE, SIZE_MAX, 0, &moved), INVAL);
    cr_assert_neq(extension->remap(priv, ptr, 4 * PAGE, SIZE_MAX / 4, 0, &moved), OK);
    cr_assert_eq(mprotect(ptr, PAGE, PROT_READ), 0); // two mappings now
    cr_assert_eq(extension->remap(priv, ptr, 4 * PAGE, MIB, 0, &moved), NOTSUP);
    cr_assert_eq(extension->remap(priv, ptr, 4 * PAGE, MIB, 16 * MIB, &moved), NOTSUP);
    cr_assert_null(moved);
    give(provider, ptr, 4 * PAGE);
    destroy(provider);
}

/* ---- NUMA plans ------------------------------------------------------------------------------ */

/* Result table entry: `count` pages with the nodes of the bit mask. */
typedef struct run {
    unsigned nodes, count;
} run_t;

typedef struct collected {
    unsigned page[8192]; /* bit mask of nodes */
    size_t next;
} collected_t;

static int collect(void *context, size_t offset, size_t length, const os_nodeset_t *nodes) {
    collected_t *collected = context;
    cr_assert_eq(offset, collected->next * PAGE);
    cr_assert_neq(length, 0);
    cr_assert_eq(length % PAGE, 0);
    for (size_t i = 0; i < length / PAGE; i++) {
        collected->page[collected->next++] = (unsigned)nodes->word[0];
    }
    return 0;
}

static void check_split_plan(unsigned node_count, unsigned pages, umf_numa_split_partition_t *parts,
                             unsigned part_count, const run_t *runs) {
    static collected_t collected;
    unsigned nodes[16];
    for (unsigned i = 0; i < node_count; i++) {
        nodes[i] = i;
    }
    os_numa_t numa = {.mode = UMF_NUMA_MODE_DEFAULT};
    os_numa_request_t request = {UMF_NUMA_MODE_SPLIT, nodes, node_count, 0, parts, part_count};
    cr_assert_eq(os_numa_check(&request), OK);
    cr_assert_eq(os_numa_init(&numa, &request), OK);
    collected.next = 0;
    cr_assert_eq(os_numa_plan_split(&numa, pages * PAGE, collect, &collected), 0);
    cr_assert_eq(collected.next, pages);
    unsigned page = 0;
    for (const run_t *run = runs; page < pages; run++) {
        for (unsigned i = 0; i < run->count; i++, page++) {
            cr_assert_eq(collected.page[page], run->nodes, "page %u of %u: 0x%x not 0x%x", page,
                         pages, collected.page[page], run->nodes);
        }
    }
    os_numa_fini(&numa);
}

/* Node sets as bits. */
enum { N0 = 1, N1 = 2, N2 = 4, N01 = N0 | N1, N02 = N0 | N2, N12 = N1 | N2, N012 = 7 };

Test(os_numa, split_tables) {
    umf_numa_split_partition_t a[] = {{2, 0}, {4, 1}, {1, 2}, {10, 1}, {1, 2}, {17, 0}};
    const run_t a35[] = {{N0, 2}, {N1, 4}, {N2, 1}, {N1, 10}, {N2, 1}, {N0, 17}};
    const run_t a31[] = {{N0, 1}, {N01, 1}, {N1, 3}, {N12, 2}, {N1, 8}, {N012, 1}, {N0, 15}};
    check_split_plan(3, 35, a, 6, a35);
    check_split_plan(3, 31, a, 6, a31);

    umf_numa_split_partition_t b[] = {{31, 1}, {17, 1}, {14, 2}, {19, 0}, {8, 2}, {5, 1}, {15, 2}};
    const run_t b65[] = {{N1, 28}, {N12, 1}, {N2, 7}, {N02, 1}, {N0, 11}, {N02, 1},
                         {N2, 4},  {N12, 1}, {N1, 2}, {N12, 1}, {N2, 8}};
    const run_t b1[] = {{N012, 1}};
    const run_t b3[] = {{N1, 1}, {N012, 2}};
    check_split_plan(3, 65, b, 7, b65);
    check_split_plan(3, 1, b, 7, b1);
    check_split_plan(3, 3, b, 7, b3);

    umf_numa_split_partition_t c[] = {{1, 0}, {1, 2}}, d[] = {{1, 0}, {UINT32_MAX, 1}};
    const run_t c2[] = {{N0, 1}, {N2, 1}}, d2[] = {{N01, 1}, {N1, 1}};
    check_split_plan(3, 2, c, 2, c2);
    check_split_plan(3, 2, d, 2, d2);

    const run_t three[] = {{N0, 1}, {N01, 1}, {N1, 1}, {N12, 1}, {N2, 1}};
    const run_t two[] = {{N0, 2}, {N01, 1}, {N1, 2}};
    check_split_plan(3, 5, NULL, 0, three);
    check_split_plan(2, 5, NULL, 0, two);
}

Test(os_numa, split_tables_for_any_count_of_nodes) {
    for (unsigned n = 1; n <= 16; n++) {
        umf_numa_split_partition_t equal[16], growing[16];
        run_t all = {(1u << n) - 1, 1}, one_each[16], growing_runs[16];
        for (unsigned j = 0; j < n; j++) {
            equal[j] = (umf_numa_split_partition_t){42, j};
            growing[j] = (umf_numa_split_partition_t){j + 1, j};
            one_each[j] = (run_t){1u << j, 1};
            growing_runs[j] = (run_t){1u << j, j + 1};
        }
        check_split_plan(n, 1, NULL, 0, &all);
        check_split_plan(n, n, equal, n, one_each);
        check_split_plan(n, n * (n + 1) / 2, growing, n, growing_runs);
    }
}

/* Against the definition: page p belongs to partition i when the open intervals overlap. */
Test(os_numa, split_plan_equals_the_definition) {
    srand(7);
    for (unsigned round = 0; round < 3000; round++) {
        umf_numa_split_partition_t parts[12];
        run_t runs[64];
        unsigned count = 1 + (unsigned)rand() % 12, pages = 1 + (unsigned)rand() % 64;
        unsigned long sum = 0;
        for (unsigned i = 0; i < count; i++) {
            parts[i].weight = 1 + (unsigned)rand() % (round % 2 ? 4 : 1000);
            parts[i].target = (unsigned)rand() % 4;
            sum += parts[i].weight;
        }
        for (unsigned p = 0; p < pages; p++) {
            unsigned long start = 0;
            runs[p] = (run_t){0, 1};
            for (unsigned i = 0; i < count; i++) {
                unsigned long end = start + parts[i].weight;
                if (start * pages < (p + 1) * sum && end * pages > p * sum) {
                    runs[p].nodes |= 1u << parts[i].target;
                }
                start = end;
            }
        }
        check_split_plan(4, pages, parts, count, runs);
    }
}

Test(os_numa, interleave_goes_on_where_it_stopped) {
    static collected_t collected;
    unsigned nodes[] = {2, 0, 1};
    os_numa_t numa = {.mode = UMF_NUMA_MODE_DEFAULT};
    // 100 pages less a byte count as 100 pages.
    os_numa_request_t request = {UMF_NUMA_MODE_INTERLEAVE, nodes, 3, 100 * PAGE - 1, NULL, 0};
    cr_assert_eq(os_numa_init(&numa, &request), OK);
    cr_assert_eq(numa.part_size, 100 * PAGE);
    cr_assert(os_numa_positional(&numa));
    const struct {
        size_t placed, pages, first;
    } cases[] = {{0, 250, 0}, {100, 100, 1}, {250, 1, 2}, {299, 700, 2}, {300, 3, 0}, {401, 5, 1}};
    for (size_t c = 0; c < ARRAY_LENGTH(cases); c++) {
        collected.next = 0;
        cr_assert_eq(os_numa_plan_interleave(&numa, cases[c].pages * PAGE, cases[c].placed * PAGE,
                                             collect, &collected),
                     0);
        cr_assert_eq(collected.next, cases[c].pages);
        for (size_t p = 0; p < cases[c].pages; p++) {
            cr_assert_eq(collected.page[p], 1u << nodes[(cases[c].first + p / 100) % 3]);
        }
    }
    os_numa_fini(&numa);
}

Test(os_numa, node_lists_of_the_system) {
    const struct {
        const char *text;
        unsigned long low;
        bool good;
    } cases[] = {
        {"0\n", 1, true},   {"0-3,5", 0x2f, true}, {"1,2", 6, true},          {"", 0, false},
        {"a", 0, false},    {"3-1", 0, false},     {"0,", 1, false},          {"0-", 1, false},
        {"1024", 0, false}, {"0 1", 1, false},     {"99999999999", 0, false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        os_nodeset_t set = {{0}};
        cr_assert_eq(os_nodeset_parse(&set, cases[i].text), cases[i].good, "\"%s\"", cases[i].text);
        if (cases[i].good) {
            cr_assert_eq(set.word[0], cases[i].low);
        }
    }
    os_nodeset_t online = {{0}};
    os_nodeset_discover(&online);
    cr_assert(os_nodeset_has(&online, 0) || online.word[0] != 0);
    cr_assert_not(os_nodeset_has(&online, 5000));
}

/* ---- NUMA policies of the kernel ------------------------------------------------------------- */

enum {
    POL_DEFAULT = 0,
    POL_PREFERRED = 1,
    POL_BIND = 2,
    POL_INTERLEAVE = 3,
    POL_LOCAL = 4,
    POL_MANY = 5
};
enum { POL_F_NODE = 1, POL_F_ADDR = 2 };

/* Policy of the memory at ptr, skipping the test on kernels that do not tell. */
static int policy_at(void *ptr, unsigned long *mask) {
    int policy = -1;
    unsigned long words[1024 / (8 * sizeof(long))] = {0};
    if (syscall(SYS_get_mempolicy, &policy, words, 1025ul, ptr, (unsigned long)POL_F_ADDR) != 0) {
        cr_skip("get_mempolicy: %s", strerror(errno));
    }
    *mask = words[0];
    return policy;
}

/* Node of the page at ptr. */
static int node_at(void *ptr) {
    int node = -1;
    syscall(SYS_get_mempolicy, &node, NULL, 0ul, ptr, (unsigned long)(POL_F_ADDR | POL_F_NODE));
    return node;
}

static provider_t create_on_node(umf_numa_mode_t mode, unsigned *nodes, unsigned count) {
    params_t params = params_new();
    umfOsMemoryProviderParamsSetNumaMode(params, mode);
    umfOsMemoryProviderParamsSetNumaList(params, nodes, count);
    return create_from(params);
}

static unsigned first_node(void) {
    os_nodeset_t online = {{0}};
    os_nodeset_discover(&online);
    unsigned node = 0;
    while (!os_nodeset_has(&online, node)) {
        node++;
    }
    return node;
}

Test(os_policy, of_each_mode_on_one_node) {
    unsigned node = first_node();
    const struct {
        umf_numa_mode_t mode;
        unsigned count;
        unsigned allowed; /* bits 1 << policy */
    } cases[] = {
        {UMF_NUMA_MODE_DEFAULT, 0, 1 << POL_DEFAULT},
        {UMF_NUMA_MODE_BIND, 1, 1 << POL_BIND},
        {UMF_NUMA_MODE_INTERLEAVE, 1, 1 << POL_BIND | 1 << POL_INTERLEAVE},
        {UMF_NUMA_MODE_PREFERRED, 1, 1 << POL_PREFERRED | 1 << POL_MANY},
        {UMF_NUMA_MODE_PREFERRED, 0, 1 << POL_PREFERRED | 1 << POL_MANY | 1 << POL_LOCAL},
        {UMF_NUMA_MODE_SPLIT, 1, 1 << POL_BIND},
        {UMF_NUMA_MODE_LOCAL, 0, 1 << POL_PREFERRED | 1 << POL_MANY | 1 << POL_LOCAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        provider_t provider = create_on_node(cases[i].mode, &node, cases[i].count);
        char *ptr = take(provider, 10 * PAGE + 1, 0);
        memset(ptr, 1, 10 * PAGE + 1);
        unsigned long mask;
        int policy = policy_at(ptr, &mask);
        cr_assert(cases[i].allowed >> policy & 1, "case %zu: policy %d", i, policy);
        if (cases[i].count == 1) {
            cr_assert_eq(mask, 1ul << node);
            cr_assert_eq(node_at(ptr), (int)node);
        }
        void *priv, *moved = NULL;
        const provider_extension_t *extension = provider_extension(provider, &priv);
        cr_assert_eq(extension->remap(priv, ptr, 10 * PAGE + 1, 8 * MIB, 0, &moved), OK);
        cr_assert_eq(policy_at((char *)moved + 8 * MIB - 1, &mask), policy);
        give(provider, moved, 8 * MIB);
        destroy(provider);
    }
}

Test(os_policy, a_node_that_does_not_exist_fails_at_the_first_allocation) {
    const unsigned missing[] = {1023, 1024, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(missing); i++) {
        unsigned nodes[] = {first_node(), missing[i]};
        for (unsigned mode = UMF_NUMA_MODE_BIND; mode <= UMF_NUMA_MODE_SPLIT; mode++) {
            provider_t provider = create_on_node((umf_numa_mode_t)mode, nodes, 2);
            void *ptr = NULL;
            cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 0, &ptr), SPECIFIC);
            check_native(provider, UMF_OS_RESULT_ERROR_BIND_FAILED,
                         "binding memory to NUMA node failed");
            cr_assert_null(ptr);
            destroy(provider);
        }
    }
}

/* Two nodes with memory, or the test is skipped. */
static void need_two_nodes(unsigned nodes[2]) {
    os_nodeset_t online = {{0}};
    os_nodeset_discover(&online);
    unsigned count = 0;
    for (unsigned node = 0; node < OS_NUMA_NODES_MAX && count < 2; node++) {
        if (os_nodeset_has(&online, node)) {
            nodes[count++] = node;
        }
    }
    if (count < 2) {
        cr_skip("this machine has one NUMA node; two are needed");
    }
}

Test(os_policy, interleave_and_split_place_pages_on_two_nodes) {
    unsigned nodes[2];
    need_two_nodes(nodes);
    params_t params = params_new();
    umfOsMemoryProviderParamsSetNumaMode(params, UMF_NUMA_MODE_INTERLEAVE);
    umfOsMemoryProviderParamsSetNumaList(params, nodes, 2);
    umfOsMemoryProviderParamsSetPartSize(params, 2 * PAGE);
    provider_t provider = create_from(params);
    char *ptr = take(provider, 8 * PAGE, 0);
    memset(ptr, 1, 8 * PAGE);
    for (unsigned page = 0; page < 8; page++) {
        cr_assert_eq(node_at(ptr + page * PAGE), (int)nodes[page / 2 % 2]);
    }
    give(provider, ptr, 8 * PAGE);
    destroy(provider);

    provider = create_on_node(UMF_NUMA_MODE_SPLIT, nodes, 2);
    ptr = take(provider, 8 * PAGE, 0);
    memset(ptr, 1, 8 * PAGE);
    for (unsigned page = 0; page < 8; page++) {
        cr_assert_eq(node_at(ptr + page * PAGE), (int)nodes[page / 4]);
    }
    give(provider, ptr, 8 * PAGE);
    destroy(provider);
}

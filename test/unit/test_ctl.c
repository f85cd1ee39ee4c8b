/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL: arguments and paths, addressing of pools and providers, defaults, what a custom ext_ctl is
 * told, logger nodes, enumeration. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/experimental/ctl.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_jemalloc.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_fixed_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/ctl.h"
#include "core/state.h"
#include "test/unit/ctl_for_test.h"
#include "test/unit/providers_for_test.h"

static pool_t disjoint_named(provider_t provider, const char *name) {
    umf_disjoint_pool_params_handle_t params = NULL;
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    cr_assert_eq(umfDisjointPoolParamsSetName(params, name), OK);
    pool_t pool = pool_on(provider, umfDisjointPoolOps(), params);
    umfDisjointPoolParamsDestroy(params);
    return pool;
}

/* ---- entry points ---------------------------------------------------------------------------- */

Test(ctl, wrong_arguments_are_refused) {
    bool yes = true;
    cr_expect_eq(umfCtlGet(NULL, &yes, 1), INVAL);
    cr_expect_eq(umfCtlGet("umf.logger.pid", NULL, 1), INVAL);
    cr_expect_eq(umfCtlGet("umf.logger.pid", &yes, 0), INVAL);
    cr_expect_eq(umfCtlSet(NULL, &yes, 1), INVAL);
    cr_expect_eq(umfCtlSet("umf.logger.pid", NULL, 1), INVAL);
    cr_expect_eq(umfCtlSet("umf.logger.pid", &yes, 0), INVAL);
    cr_expect_eq(umfCtlExec(NULL, &yes, 1), INVAL);
    cr_expect_eq(umfCtlExec("umf.logger.pid", NULL, 1), INVAL);
    cr_expect_eq(umfCtlExec("umf.logger.pid", &yes, 0), INVAL);
    cr_expect_eq(umfCtlExec("umf.logger.pid", NULL, 0), INVAL, "it can not be executed");
}

Test(ctl, paths_that_lead_nowhere) {
    static const char *const paths[] = {
        "",
        ".",
        "...",
        "umf",
        "umf.",
        "um",
        "umf.logger",
        "umf.logger.",
        "umf.logger.nothing",
        "umf.logger.pid.nothing",
        "umf.loggers.pid",
        "logger.pid",
        "UMF.logger.pid",
        "umf.logger.Pid",
        "umf.logger.pi",
        "umf.pool",
        "umf.pool.by_handle",
        "umf.pool.by_handle.0x1234.stats.alloc_count",
        "umf.pool.by_name",
        "umf.pool.by_name.disjoint",
        "umf.pool.by_name.disjoint.",
        "umf.pool.by_name.disjoint.0",
        "umf.pool.nothing",
        "umf.pool.default",
        "umf.pool.default.",
        "umf.pool.default.never.set",
        "umf.provider.by_handle.x.stats.peak_memory",
        "umf.provider.default",
        "umf.nothing.at.all",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        char value[16] = "unchanged";
        cr_expect_eq(umfCtlGet(paths[i], value, sizeof(value)), NOPATH, "%s", paths[i]);
        cr_expect_str_eq(value, "unchanged", "%s", paths[i]);
    }
    cr_expect_eq(umfCtlExec("umf.nothing", NULL, 0), NOPATH);
}

Test(ctl, empty_components_collapse_and_wildcards_stand_for_any_name) {
    bool yes = true;
    cr_expect_eq(umfCtlSet("umf..logger...pid.", &yes, 1), OK);
    yes = false;
    cr_expect_eq(umfCtlGet(".umf.{}.{}", &yes, 1, "logger", "pid"), OK);
    cr_expect(yes);
    cr_expect_eq(umfCtlGet("{}.{}.{}", &yes, 1, "umf", "logger", "timestamp"), OK);
    cr_expect_not(yes);
    cr_expect_eq(umfCtlGet("umf.{}.pid", &yes, 1, "nothing"), NOPATH);
    cr_expect_eq(umfCtlGet("umf.{}.pid", &yes, 1, (const char *)NULL), INVAL);
    cr_expect_eq(umfCtlGet("umf.logger.{}", &yes, 1, (const char *)NULL), NOPATH);
    cr_expect_eq(umfCtlGet("umf.logger.pid", &yes, 1, "unused", 7), OK);
}

/* ---- logger ---------------------------------------------------------------------------------- */

Test(ctl_logger, flags_are_one_byte) {
    static const char *const flags[] = {"umf.logger.timestamp", "umf.logger.pid"};
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        unsigned char room[4] = {7, 7, 7, 7};
        bool yes = true;
        cr_expect_eq(umfCtlGet(flags[i], room, 1), OK);
        cr_expect_eq(room[0], 0, "off at first");
        cr_expect_eq(room[1], 7);
        cr_expect_eq(umfCtlSet(flags[i], &yes, sizeof(yes)), OK);
        cr_expect_eq(umfCtlGet(flags[i], room, sizeof(room)), OK, "a larger buffer will do");
        cr_expect_eq(room[0], 1);
        cr_expect_eq(room[1], 7);
        cr_expect_eq(umfCtlExec(flags[i], NULL, 0), INVAL);
    }
}

Test(ctl_logger, levels_are_read_back_as_they_were_written) {
    static const char *const levels[] = {"umf.logger.level", "umf.logger.flush_level"};
    for (size_t i = 0; i < ARRAY_LENGTH(levels); i++) {
        int value = -1;
        cr_expect_eq(umfCtlGet(levels[i], &value, sizeof(value)), OK);
        cr_expect_eq(value, 3, "default");
        for (int level = 0; level <= 4; level++) {
            cr_expect_eq(umfCtlSet(levels[i], &level, sizeof(level)), OK);
            cr_expect_eq(umfCtlGet(levels[i], &value, sizeof(value)), OK);
            cr_expect_eq(value, level);
        }
        static const int wrong[] = {-1, 5, 100, INT32_MAX, INT32_MIN};
        for (size_t n = 0; n < ARRAY_LENGTH(wrong); n++) {
            int level = wrong[n];
            cr_expect_eq(umfCtlSet(levels[i], &level, sizeof(level)), INVAL, "%d", level);
        }
        for (size_t size = 1; size < sizeof(int); size++) {
            cr_expect_eq(umfCtlSet(levels[i], &value, size), INVAL);
            cr_expect_eq(umfCtlGet(levels[i], &value, size), INVAL);
        }
        cr_expect_eq(umfCtlGet(levels[i], &value, sizeof(value)), OK);
        cr_expect_eq(value, 4);
    }
}

static void expect_output(const char *expected) {
    char name[300] = "";
    cr_assert_eq(umfCtlGet("umf.logger.output", name, sizeof(name)), OK);
    cr_assert_str_eq(name, expected);
}

static umf_result_t set_output(const char *name) {
    return umfCtlSet("umf.logger.output", (void *)(uintptr_t)name, strlen(name) + 1);
}

static size_t file_content(const char *path, char *buffer, size_t room) {
    int fd = open(path, O_RDONLY);
    cr_assert_geq(fd, 0);
    ssize_t length = read(fd, buffer, room - 1);
    close(fd);
    buffer[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

Test(ctl_logger, output_can_be_changed_and_disabled) {
    char first[64], second[64], text[4096];
    int level = 1;
    snprintf(first, sizeof(first), "/tmp/umf_ctl_first_%d.log", (int)getpid());
    snprintf(second, sizeof(second), "/tmp/umf_ctl_second_%d.log", (int)getpid());
    expect_output("disabled");
    cr_assert_eq(umfCtlSet("umf.logger.level", &level, sizeof(level)), OK);
    cr_assert_eq(set_output(first), OK);
    expect_output(first);
    file_content(first, text, sizeof(text));
    cr_expect(strstr(text, "output changed from disabled to "), "%s", text);
    cr_assert_eq(set_output(second), OK);
    file_content(second, text, sizeof(text));
    cr_expect(strstr(text, "output changed from "), "%s", text);
    cr_expect(strstr(text, first), "the old one is named: %s", text);

    cr_assert_eq(set_output("/nowhere/at/all"), INVAL);
    expect_output(second);
    char longer[400];
    memset(longer, 'x', sizeof(longer));
    memcpy(longer, "/tmp/", 5);
    longer[399] = '\0';
    cr_assert_eq(set_output(longer), INVAL, "not cut to some other name");
    longer[256] = '\0';
    cr_assert_eq(set_output(longer), INVAL);
    expect_output(second);

    cr_assert_eq(set_output("disabled"), OK);
    expect_output("disabled");
    size_t before = file_content(second, text, sizeof(text));
    bool yes = true;
    cr_assert_eq(umfCtlSet("umf.logger.pid", &yes, 1), OK);
    cr_expect_eq(file_content(second, text, sizeof(text)), before, "nothing more is written");
    cr_assert_eq(set_output(second), OK);
    cr_assert_eq(umfCtlSet("umf.logger.timestamp", &yes, 1), OK);
    cr_expect_gt(file_content(second, text, sizeof(text)), before);
    cr_expect(strstr(text, "PID:"));
    unlink(first);
    unlink(second);
}

Test(ctl_logger, output_is_text_of_any_length_that_fits) {
    char small[7];
    cr_assert_eq(umfCtlSet("umf.logger.output", (char[]){'s', 't', 'd', 'o', 'u', 't'}, 6), OK,
                 "needs no NUL");
    expect_output("stdout");
    cr_expect_eq(umfCtlGet("umf.logger.output", small, 6), INVAL, "no room for the NUL");
    cr_expect_eq(umfCtlGet("umf.logger.output", small, 7), OK);
    cr_expect_str_eq(small, "stdout");
    cr_assert_eq(set_output("stderr"), OK);
    expect_output("stderr");
}

static _Atomic(bool) chatter_ends;

static void *chatter(void *arg) {
    (void)arg;
    while (!load_relaxed(&chatter_ends)) {
        bool yes = true;
        umfCtlSet("umf.logger.pid", &yes, 1); // writes a line
    }
    return NULL;
}

/* While the output changes, lines go to one log or the other: never into a file that the program
 * opens meanwhile, never cut. */
Test(ctl_logger, output_may_change_while_others_log) {
    char log[2][64], text[2048];
    int level = 1;
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        snprintf(log[i], sizeof(log[i]), "/tmp/umf_ctl_change_%d_%d.log", i, (int)getpid());
    }
    char own[] = "/tmp/umf_ctl_own_XXXXXX";
    cr_assert_eq(umfCtlSet("umf.logger.level", &level, sizeof(level)), OK);
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread[i], NULL, chatter, NULL);
    }
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(set_output(i % 3 == 2 ? "disabled" : log[i % 3]), OK);
        int fd = mkstemp(own); // takes the lowest free number
        off_t bytes = lseek(fd, 0, SEEK_END);
        cr_assert_eq(bytes, 0, "a log line got into a file of the program");
        close(fd);
        unlink(own);
        memcpy(own + sizeof(own) - 7, "XXXXXX", 6);
    }
    store_relaxed(&chatter_ends, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(set_output("disabled"), OK);
    for (int i = 0; i < 2; i++) {
        file_content(log[i], text, sizeof(text));
        cr_expect_eq(strncmp(text, "[", 1), 0, "%s", text);
        unlink(log[i]);
    }
}

/* ---- handles --------------------------------------------------------------------------------- */

Test(ctl_handle, a_null_or_dead_handle_is_refused) {
    size_t value = 0;
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.stats.alloc_count", &value, 8, (void *)NULL),
                 INVAL);
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.stats.peak_memory", &value, 8, (void *)NULL),
                 INVAL);
    provider_t provider = os_provider();
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.stats.alloc_count", &value, 8, provider), INVAL,
                 "a provider is no pool");
    umfMemoryProviderDestroy(provider);
}

Test(ctl_handle, providers_answer_for_themselves) {
    provider_t provider = os_provider();
    size_t value = 99;
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 8192, 0, &ptr), OK);
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.stats.allocated_memory", &value,
                           sizeof(value), provider),
                 OK);
    cr_expect_eq(value, 8192);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 8192), OK);
    cr_expect_eq(
        umfCtlGet("umf.provider.by_handle.{}.stats.{}", &value, 8, provider, "peak_memory"), OK);
    cr_expect_eq(value, 8192);
    cr_expect_eq(umfCtlExec("umf.provider.by_handle.{}.stats.peak_memory.reset", NULL, 0, provider),
                 OK);
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.stats.peak_memory", &value, 8, provider), OK);
    cr_expect_eq(value, 0);
    int enabled = 9;
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.params.ipc_enabled", &enabled, 4, provider),
                 OK);
    cr_expect_eq(enabled, 0);

    // real results, whatever went wrong
    char room[16] = "";
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.stats.nothing", room, 8, provider), NOPATH);
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}", room, 8, provider), NOPATH);
    for (size_t size = 1; size <= 16; size++) {
        cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.stats.peak_memory", room, size, provider),
                     size == 8 ? OK : INVAL, "%zu bytes", size);
    }
    cr_expect_eq(umfCtlSet("umf.provider.by_handle.{}.stats.peak_memory", room, 8, provider),
                 INVAL);
    cr_expect_eq(umfCtlExec("umf.provider.by_handle.{}.stats.peak_memory", NULL, 0, provider),
                 INVAL);
    umfMemoryProviderDestroy(provider);
}

static size_t provider_number(provider_t provider, const char *node) {
    size_t value = 0;
    cr_assert_eq(umfCtlGet("umf.provider.by_handle.{}.{}.{}", &value, 8, provider,
                           strncmp(node, "params.", 7) == 0 ? "params" : "stats",
                           strchr(node, '.') + 1),
                 OK, "%s", node);
    return value;
}

Test(ctl_handle, providers_of_given_memory_tell_how_much_is_left) {
    enum { BYTES = 1 << 20 };
    static _Alignas(4096) char memory[BYTES];
    umf_fixed_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    void *first = NULL, *second = NULL;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(memory, BYTES, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider), OK);
    umfFixedMemoryProviderParamsDestroy(params);
    cr_expect_eq(provider_number(provider, "stats.total_memory"), BYTES);
    cr_expect_eq(provider_number(provider, "stats.free_memory"), BYTES);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 65536, 0, &first), OK);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 65536, 0, &second), OK);
    cr_expect_eq(provider_number(provider, "stats.free_memory"), BYTES - 2 * 65536);
    cr_expect_eq(provider_number(provider, "stats.used_blocks"), 2);
    cr_expect_eq(provider_number(provider, "stats.allocated_memory"), 2 * 65536);
    cr_assert_eq(umfMemoryProviderFree(provider, first, 65536), OK);
    cr_expect_eq(provider_number(provider, "stats.free_blocks"), 2);
    cr_assert_eq(umfMemoryProviderFree(provider, second, 65536), OK);
    cr_expect_eq(provider_number(provider, "stats.free_blocks"), 1);
    cr_expect_eq(provider_number(provider, "params.page_size"), (size_t)sysconf(_SC_PAGESIZE));
    umfMemoryProviderDestroy(provider);
    provider = os_provider();
    cr_expect_eq(provider_number(provider, "params.page_size"), (size_t)sysconf(_SC_PAGESIZE));
    umfMemoryProviderDestroy(provider);
}

Test(ctl_handle, a_file_provider_names_its_file) {
    char path[64], text[128] = "";
    umf_file_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    snprintf(path, sizeof(path), "/tmp/umf_ctl_file_%d", (int)getpid());
    cr_assert_eq(umfFileMemoryProviderParamsCreate(path, &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider), OK);
    umfFileMemoryProviderParamsDestroy(params);
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.params.path", text, sizeof(text), provider),
                 OK);
    cr_expect_str_eq(text, path);
    int shared = 9;
    cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.params.shared", &shared, 4, provider), OK);
    cr_expect_eq(shared, 1);
    cr_expect_eq(umfCtlExec("umf.provider.by_handle.{}.post_initialize", NULL, 0, provider),
                 NOPATH);
    umfMemoryProviderDestroy(provider);
    unlink(path);
}

Test(ctl_handle, pools_answer_for_themselves) {
    provider_t provider = os_provider();
    pool_t pool = pool_on(provider, umfDisjointPoolOps(), NULL);
    char room[16];
    size_t value = 0;
    for (size_t size = 1; size <= 16; size++) {
        cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.stats.alloc_count", room, size, pool),
                     size == 8 ? OK : INVAL, "%zu bytes", size);
    }
    cr_expect_eq(umfCtlSet("umf.pool.by_handle.{}.stats.alloc_count", room, 8, pool), INVAL);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.stats.nothing", room, 8, pool), NOPATH);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.stats", room, 8, pool), NOPATH);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}", room, 8, pool), NOPATH);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.{}.{}", &value, 8, pool, "stats", "alloc_count"),
                 OK);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.buckets.{}.{}", &value, 8, pool, 0, "size"), OK,
                 "the index may be an int");
    cr_expect_gt(value, 0);
    cr_expect_eq(
        umfCtlGet("umf.pool.by_handle.{}.buckets.{}.{}", &value, 8, pool, (size_t)3, "size"), OK);
    cr_expect_eq(
        umfCtlGet("umf.pool.by_handle.{}.buckets.{}.{}", &value, 8, pool, (size_t)1000, "size"),
        INVAL);
    cr_expect_eq(
        umfCtlGet("umf.pool.by_handle.{}.buckets.{}.{}", &value, 8, pool, (size_t)-1, "size"),
        INVAL);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.buckets.{}.{}", &value, 8, pool, -1, "size"),
                 INVAL);
    cr_expect_eq(umfCtlSet("umf.pool.by_handle.{}.params.capacity", &value, 8, pool), NOTSUP);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(ctl_handle, post_initialize_is_not_for_users) {
    provider_t provider = os_provider();
    const umf_memory_pool_ops_t *ops[] = {umfDisjointPoolOps(), umfSlabPoolOps()};
    static const char *const paths[] = {"umf.pool.by_handle.{}.post_initialize",
                                        "umf.pool.by_handle.{}..post_initialize.",
                                        "umf.pool.by_handle.{}.{}"};
    for (size_t i = 0; i < ARRAY_LENGTH(ops); i++) {
        pool_t pool = pool_on(provider, ops[i], NULL);
        void *ptr = umfPoolMalloc(pool, 100);
        for (size_t n = 0; n < ARRAY_LENGTH(paths); n++) {
            umfCtlExec(paths[n], NULL, 0, pool, "post_initialize");
            if (n < 2) {
                cr_expect_eq(umfCtlExec(paths[n], NULL, 0, pool, "post_initialize"), NOPATH);
            }
        }
        cr_expect_eq(alloc_count(pool), 1, "it is as it was");
        cr_expect_eq(umfPoolFree(pool, ptr), OK);
        cr_expect_eq(umfPoolDestroy(pool), OK);
    }
    const void *table = NULL;
    pool_t pool = pool_on(provider, umfSlabPoolOps(), NULL);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.ctl.table", &table, sizeof(table), pool), NOPATH);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

/* ---- names ----------------------------------------------------------------------------------- */

Test(ctl_name, pools_of_one_name_are_numbered_in_order_of_creation) {
    provider_t provider = os_provider();
    pool_t pool[3];
    size_t value = 99;
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.count", &value, 8), INVAL, "no such name");
    for (size_t i = 0; i < 3; i++) {
        pool[i] = disjoint_named(provider, "common");
    }
    void *ptr = umfPoolMalloc(pool[1], 10);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.count", &value, 8), OK);
    cr_expect_eq(value, 3);
    for (size_t i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof(path), "umf.pool.by_name.common.%zu.stats.alloc_count", i);
        cr_expect_eq(umfCtlGet(path, &value, 8, "unused"), OK);
        cr_expect_eq(value, i == 1);
        cr_expect_eq(umfCtlGet("umf.pool.by_name.{}.{}.stats.alloc_count", &value, 8, "common", i),
                     OK);
        cr_expect_eq(value, i == 1);
        cr_expect_eq(
            umfCtlGet("umf.pool.by_name.common.{}.stats.{}", &value, 8, (int)i, "alloc_count"), OK);
        cr_expect_eq(value, i == 1);
    }
    static const struct {
        const char *path;
        umf_result_t result;
    } cases[] = {
        {"umf.pool.by_name.common.stats.alloc_count", INVAL},
        {"umf.pool.by_name.common.3.stats.alloc_count", INVAL},
        {"umf.pool.by_name.common.99999999999999999999999.stats.alloc_count", INVAL},
        {"umf.pool.by_name.common.0.count", INVAL},
        {"umf.pool.by_name.common.0.nothing", NOPATH},
        {"umf.pool.by_name.common.0", NOPATH},
        {"umf.pool.by_name.commo.0.stats.alloc_count", INVAL},
        {"umf.pool.by_name.common.1.stats.alloc_count", OK},
        {"umf.pool.by_name.common.01.stats.alloc_count", OK},
        {"umf.pool.by_name.common.-1.stats.alloc_count", INVAL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cr_expect_eq(umfCtlGet(cases[i].path, &value, 8), cases[i].result, "%s", cases[i].path);
    }
    cr_expect_eq(umfCtlSet("umf.pool.by_name.common.count", &value, 8), INVAL);
    cr_expect_eq(umfCtlExec("umf.pool.by_name.common.count", NULL, 0), INVAL);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.count", &value, 4), INVAL);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.{}.count", &value, 8, (const char *)NULL), INVAL);

    umfPoolFree(pool[1], ptr);
    umfPoolDestroy(pool[0]);
    ptr = umfPoolMalloc(pool[2], 10);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.count", &value, 8), OK);
    cr_expect_eq(value, 2);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.1.stats.alloc_count", &value, 8), OK);
    cr_expect_eq(value, 1, "later ones move down");
    umfPoolDestroy(pool[1]);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.stats.alloc_count", &value, 8), OK,
                 "the only one needs no number");
    cr_expect_eq(value, 1);
    umfPoolFree(pool[2], ptr);
    umfPoolDestroy(pool[2]);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.common.count", &value, 8), INVAL);
    umfMemoryProviderDestroy(provider);
}

Test(ctl_name, a_write_without_a_number_is_for_all) {
    provider_t provider = os_provider();
    pool_t pool[3];
    bool keep = true;
    size_t delay = 321;
    for (size_t i = 0; i < 3; i++) {
        pool[i] = pool_on(provider, umfSlabPoolOps(), NULL);
    }
    cr_expect_eq(umfCtlSet("umf.pool.by_name.slab.params.keep_all", &keep, 1), OK);
    cr_expect_eq(umfCtlSet("umf.pool.by_name.slab.1.params.purge_delay", &delay, 8), OK);
    for (size_t i = 0; i < 3; i++) {
        keep = false;
        cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.params.keep_all", &keep, 1, pool[i]), OK);
        cr_expect(keep);
        delay = 0;
        cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.params.purge_delay", &delay, 8, pool[i]), OK);
        cr_expect_eq(delay == 321, i == 1);
    }
    cr_expect_eq(umfCtlSet("umf.pool.by_name.slab.params.nothing", &keep, 1), NOPATH);
    // the first error is the result, and the others get it all the same
    void *ptr = umfPoolMalloc(pool[0], 1);
    size_t chunk = 4 << 20;
    cr_expect_eq(umfCtlSet("umf.pool.by_name.slab.params.chunk_size", &chunk, 8), NOTSUP);
    for (size_t i = 0; i < 3; i++) {
        chunk = 0;
        cr_expect_eq(umfCtlGet("umf.pool.by_name.slab.{}.params.chunk_size", &chunk, 8, i), OK);
        cr_expect_eq(chunk == 4 << 20, i != 0);
    }
    umfPoolFree(pool[0], ptr);
    for (size_t i = 0; i < 3; i++) {
        umfPoolDestroy(pool[i]);
    }
    umfMemoryProviderDestroy(provider);
}

Test(ctl_name, irregular_names_are_not_found) {
    provider_t provider = os_provider();
    pool_t pool = disjoint_named(provider, "a.b");
    size_t value;
    cr_expect_eq(umfCtlGet("umf.pool.by_name.{}.count", &value, 8, "a.b"), INVAL);
    cr_expect_eq(umfCtlGet("umf.pool.by_name.{}.count", &value, 8, ""), INVAL);
    cr_expect_eq(alloc_count(pool), 0);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(ctl_name, providers_have_names_too) {
    provider_t first = os_provider(), second = os_provider();
    size_t value = 0;
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.count", &value, 8), OK);
    cr_expect_eq(value, 2);
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.stats.peak_memory", &value, 8), INVAL);
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.1.stats.peak_memory", &value, 8), OK);
    void *ptr;
    cr_assert_eq(umfMemoryProviderAlloc(second, 4096, 0, &ptr), OK);
    cr_assert_eq(umfMemoryProviderFree(second, ptr, 4096), OK);
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.1.stats.peak_memory", &value, 8), OK);
    cr_expect_eq(value, 4096);
    cr_expect_eq(umfCtlExec("umf.provider.by_name.OS.stats.peak_memory.reset", NULL, 0), OK,
                 "a command is for all of them");
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.1.stats.peak_memory", &value, 8), OK);
    cr_expect_eq(value, 0);
    pool_t pool = pool_on(first, umfProxyPoolOps(), NULL);
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.count", &value, 8), OK);
    cr_expect_eq(value, 2, "the wrapper between pool and provider is not one of them");
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(first);
    umfMemoryProviderDestroy(second);
    cr_expect_eq(umfCtlGet("umf.provider.by_name.OS.count", &value, 8), INVAL);
}

/* ---- defaults -------------------------------------------------------------------------------- */

static umf_result_t set_default(const char *path, size_t value) {
    return umfCtlSet(path, &value, sizeof(value));
}

static size_t capacity_of(pool_t pool) {
    size_t value = 0;
    cr_assert_eq(umfCtlGet("umf.pool.by_handle.{}.params.capacity", &value, 8, pool), OK);
    return value;
}

Test(ctl_default, bytes_are_stored_and_read_back) {
    char room[32];
    static const char *const keys[] = {"umf.pool.default.alone", "umf.pool.default.some.long.path",
                                       "umf.provider.default.some.long.path"};
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        cr_expect_eq(umfCtlGet(keys[i], room, sizeof(room)), NOPATH);
        cr_expect_eq(umfCtlSet(keys[i], (void *)(uintptr_t) "first value", 11), OK);
        cr_expect_eq(umfCtlSet(keys[i], (void *)(uintptr_t) "second", 6), OK, "replaces it");
        memset(room, 0, sizeof(room));
        room[6] = '!';
        cr_expect_eq(umfCtlGet(keys[i], room, sizeof(room)), OK);
        cr_expect_str_eq(room, "second!", "the rest stays untouched");
        cr_expect_eq(umfCtlGet(keys[i], room, 5), INVAL);
        cr_expect_eq(umfCtlGet(keys[i], room, 6), OK);
        cr_expect_eq(umfCtlExec(keys[i], NULL, 0), OK, "does nothing");
    }
    cr_expect_eq(umfCtlGet("umf.pool.default.some..long.path.", room, sizeof(room)), OK);
    cr_expect_eq(umfCtlGet("umf.pool.default.some", room, sizeof(room)), NOPATH);
    cr_expect_eq(umfCtlSet("umf.pool.default.some.{}", room, 1, "x"), NOTSUP);
    cr_expect_eq(umfCtlSet("umf.pool.default.{}", room, 1, "x"), NOTSUP);
    cr_expect_eq(umfCtlGet("umf.pool.default.{}", room, 1, "x"), NOTSUP);
}

Test(ctl_default, they_override_parameters_of_pools_of_that_name) {
    provider_t provider = os_provider();
    umf_disjoint_pool_params_handle_t params = NULL;
    pool_t before = pool_on(provider, umfDisjointPoolOps(), NULL);
    size_t old = capacity_of(before);
    cr_assert_eq(set_default("umf.pool.default.disjoint.params.capacity", 17), OK);
    cr_assert_eq(set_default("umf.pool.default.other.params.capacity", 18), OK);
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    cr_assert_eq(umfDisjointPoolParamsSetCapacity(params, 5), OK);
    pool_t after = pool_on(provider, umfDisjointPoolOps(), params);
    cr_assert_eq(umfDisjointPoolParamsSetName(params, "other"), OK);
    pool_t renamed = pool_on(provider, umfDisjointPoolOps(), params);
    cr_assert_eq(umfDisjointPoolParamsSetName(params, "disjoin"), OK);
    pool_t third = pool_on(provider, umfDisjointPoolOps(), params);
    cr_expect_eq(capacity_of(before), old, "there before");
    cr_expect_eq(capacity_of(after), 17);
    cr_expect_eq(capacity_of(renamed), 18);
    cr_expect_eq(capacity_of(third), 5);
    umfDisjointPoolParamsDestroy(params);
    umfPoolDestroy(before);
    umfPoolDestroy(after);
    umfPoolDestroy(renamed);
    umfPoolDestroy(third);
    umfMemoryProviderDestroy(provider);
}

/* Every parameter of every bundled pool. */
Test(ctl_default, parameters_of_all_pools) {
    static const struct {
        const umf_memory_pool_ops_t *(*ops)(void);
        const char *name, *param, *text;
        size_t value, bytes;
    } cases[] = {
        {umfSlabPoolOps, "slab", "chunk_size", "0x200000", 0x200000, 8},
        {umfSlabPoolOps, "slab", "purge_delay", "77", 77, 8},
        {umfSlabPoolOps, "slab", "keep_all", "yes", 1, 1},
        {umfDisjointPoolOps, "disjoint", "slab_min_size", "131072", 131072, 8},
        {umfDisjointPoolOps, "disjoint", "max_poolable_size", "4096", 4096, 8},
        {umfDisjointPoolOps, "disjoint", "capacity", "9", 9, 8},
        {umfDisjointPoolOps, "disjoint", "min_bucket_size", "32", 32, 8},
        {umfDisjointPoolOps, "disjoint", "pool_trace", "2", 2, 4},
        {umfScalablePoolOps, "scalable", "granularity", "65536", 65536, 8},
        {umfScalablePoolOps, "scalable", "keep_all_memory", "1", 1, 1},
        {umfJemallocPoolOps, "jemalloc", "num_arenas", "3", 3, 8},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        for (int as_text = 0; as_text <= 1; as_text++) {
            provider_t provider = os_provider();
            char path[128], conf[200];
            size_t value = cases[i].value;
            pool_t pool = NULL;
            snprintf(path, sizeof(path), "umf.pool.default.%s.params.%s", cases[i].name,
                     cases[i].param);
            snprintf(conf, sizeof(conf), "%s=%s", path, cases[i].text);
            if (as_text) {
                ctl_config_text("test", conf);
            } else {
                cr_assert_eq(umfCtlSet(path, &value, cases[i].bytes), OK);
            }
            if (cases[i].ops() != NULL &&
                umfPoolCreate(cases[i].ops(), provider, NULL, 0, &pool) == OK) {
                value = 0;
                snprintf(path, sizeof(path), "umf.pool.by_handle.{}.params.%s", cases[i].param);
                cr_expect_eq(umfCtlGet(path, &value, cases[i].bytes, pool), OK, "%s", path);
                cr_expect_eq(value, cases[i].value, "%s", path);
                void *ptr = umfPoolMalloc(pool, 100);
                cr_expect_not_null(ptr);
                bool any_time = i == 1 || i == 2;
                cr_expect_eq(umfCtlSet(path, &value, cases[i].bytes, pool), any_time ? OK : NOTSUP,
                             "%s", path);
                umfPoolFree(pool, ptr);
                umfPoolDestroy(pool);
            }
            umfMemoryProviderDestroy(provider);
        }
    }
}

Test(ctl_default, wrong_ones_are_no_obstacle) {
    provider_t provider = os_provider();
    int number = 1;
    cr_assert_eq(umfCtlSet("umf.pool.default.disjoint.params.capacity", &number, 4), OK);
    cr_assert_eq(set_default("umf.pool.default.disjoint.params.nothing", 1), OK);
    cr_assert_eq(set_default("umf.pool.default.disjoint.params.min_bucket_size", 24), OK);
    cr_assert_eq(set_default("umf.pool.default.disjoint.params.slab_min_size", 128 * 1024), OK);
    pool_t pool = pool_on(provider, umfDisjointPoolOps(), NULL);
    size_t value = 0;
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.params.slab_min_size", &value, 8, pool), OK);
    cr_expect_eq(value, 128 * 1024);
    cr_expect_eq(umfCtlGet("umf.pool.by_handle.{}.params.min_bucket_size", &value, 8, pool), OK);
    cr_expect_neq(value, 24);
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
}

Test(ctl_default, the_last_tear_down_forgets_them) {
    size_t value = 0;
    cr_assert_eq(set_default("umf.pool.default.x.y", 1), OK);
    cr_assert_eq(umfInit(), OK);
    cr_assert_eq(umfTearDown(), OK);
    cr_expect_eq(umfCtlGet("umf.pool.default.x.y", &value, 8), OK, "not the last");
    cr_assert_eq(umfTearDown(), OK);
    cr_assert_eq(umfInit(), OK);
    cr_expect_eq(umfCtlGet("umf.pool.default.x.y", &value, 8), NOPATH);
}

static void *default_thread(void *arg) {
    for (int round = 0; round < 200; round++) {
        for (int key = 0; key < 10; key++) {
            char path[64];
            size_t value = 0;
            snprintf(path, sizeof(path), "umf.pool.default.thread%d.key%d", (int)(intptr_t)arg,
                     key);
            cr_assert_eq(set_default(path, (size_t)(round * 10 + key)), OK);
            cr_assert_eq(umfCtlGet(path, &value, 8), OK);
            cr_assert_eq(value, (size_t)(round * 10 + key));
        }
    }
    return NULL;
}

Test(ctl_default, threads_do_not_disturb_each_other) {
    pthread_t thread[8];
    for (intptr_t i = 0; i < 8; i++) {
        pthread_create(&thread[i], NULL, default_thread, (void *)i);
    }
    provider_t provider = os_provider();
    for (int i = 0; i < 50; i++) { // creation walks the list meanwhile
        pool_t pool = disjoint_named(provider, "thread1");
        umfPoolDestroy(pool);
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(thread[i], NULL);
    }
    umfMemoryProviderDestroy(provider);
}

/* ---- what a custom ext_ctl is told ----------------------------------------------------------- */

typedef struct told {
    char name[64];
    umf_ctl_query_source_t source;
    umf_ctl_query_type_t type;
    size_t size;
    size_t bytes;
    char wildcard[16];
    int calls, post_initialize;
    bool initialized_before_defaults;
    umf_result_t result;
} told_t;

static told_t told;

static umf_result_t custom_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                               void *arg, size_t size, umf_ctl_query_type_t type, va_list args) {
    (void)provider;
    if (strcmp(name, "post_initialize") == 0) {
        told.post_initialize++;
        cr_assert_eq(source, CTL_QUERY_PROGRAMMATIC);
        cr_assert_eq(type, CTL_QUERY_RUNNABLE);
        cr_assert_null(arg);
        cr_assert_eq(size, 0);
        return NOPATH;
    }
    if (strcmp(name, CTL_TABLE_NODE) == 0) {
        return NOPATH;
    }
    told.initialized_before_defaults = told.post_initialize > 0;
    told.calls++;
    told.source = source;
    told.type = type;
    told.size = size;
    snprintf(told.name, sizeof(told.name), "%s", name);
    if (arg != NULL) {
        memcpy(&told.bytes, arg, size < sizeof(told.bytes) ? size : sizeof(told.bytes));
    }
    if (strstr(name, "{}") != NULL) {
        snprintf(told.wildcard, sizeof(told.wildcard), "%s", va_arg(args, const char *));
    }
    return told.result;
}

static provider_t custom_provider(test_provider_t *state, uint32_t version) {
    umf_memory_provider_ops_t ops = test_provider_ops;
    provider_t provider = NULL;
    ops.ext_ctl = custom_ctl;
    ops.version = version;
    told = (told_t){.result = OK};
    cr_assert_eq(umfMemoryProviderCreate(&ops, state, &provider), OK);
    return provider;
}

Test(ctl_custom, requests_arrive_as_they_were_made) {
    test_provider_t state = {.name = "custom"};
    provider_t provider = custom_provider(&state, UMF_PROVIDER_OPS_VERSION_CURRENT);
    cr_expect_eq(told.post_initialize, 1);
    size_t value = 42;
    cr_expect_eq(umfCtlSet("umf.provider.by_handle.{}.a.{}.b", &value, 8, provider, "middle"), OK);
    cr_expect_str_eq(told.name, "a.{}.b", "wildcards are the provider's affair");
    cr_expect_str_eq(told.wildcard, "middle");
    cr_expect_eq(told.source, CTL_QUERY_PROGRAMMATIC);
    cr_expect_eq(told.type, CTL_QUERY_WRITE);
    cr_expect_eq(told.size, 8);
    cr_expect_eq(told.bytes, 42);
    cr_expect_eq(umfCtlExec("umf.provider.by_name.custom.do", NULL, 0), OK);
    cr_expect_eq(told.type, CTL_QUERY_RUNNABLE);
    cr_expect_eq(told.size, 0);
    static const umf_result_t results[] = {NOTSUP, NOPATH, INVAL, UMF_RESULT_ERROR_USER_SPECIFIC};
    for (size_t i = 0; i < ARRAY_LENGTH(results); i++) {
        told.result = results[i];
        cr_expect_eq(umfCtlGet("umf.provider.by_handle.{}.x", &value, 8, provider), results[i]);
    }
    int calls = told.calls;
    cr_expect_eq(umfCtlExec("umf.provider.by_handle.{}.post_initialize", NULL, 0, provider),
                 NOPATH);
    cr_expect_eq(told.post_initialize, 1);
    cr_expect_eq(told.calls, calls);
    umfMemoryProviderDestroy(provider);
}

Test(ctl_custom, defaults_come_before_post_initialize) {
    test_provider_t state = {.name = "custom"};
    size_t value = 7;
    cr_assert_eq(umfCtlSet("umf.provider.default.custom.deep.path", &value, 8), OK);
    char text[] = "umf.provider.default.custom.deep.path=seven";
    provider_t provider = custom_provider(&state, UMF_PROVIDER_OPS_VERSION_CURRENT);
    cr_expect_eq(told.calls, 1);
    cr_expect_str_eq(told.name, "deep.path");
    cr_expect_eq(told.type, CTL_QUERY_WRITE);
    cr_expect_eq(told.source, CTL_QUERY_PROGRAMMATIC);
    cr_expect_eq(told.bytes, 7);
    cr_expect_not(told.initialized_before_defaults);
    umfMemoryProviderDestroy(provider);

    ctl_config_text("test", text);
    provider = custom_provider(&state, UMF_PROVIDER_OPS_VERSION_CURRENT);
    cr_expect_eq(told.source, CTL_QUERY_CONFIG_INPUT);
    cr_expect_eq(told.size, sizeof("seven"));
    cr_expect_eq(memcmp(&told.bytes, "seven", sizeof("seven")), 0);
    umfMemoryProviderDestroy(provider);

    told.result = UMF_RESULT_ERROR_USER_SPECIFIC;
    provider = custom_provider(&state, UMF_PROVIDER_OPS_VERSION_CURRENT);
    cr_expect_eq(told.post_initialize, 1, "results of defaults are no obstacle");
    umfMemoryProviderDestroy(provider);
}

Test(ctl_custom, old_providers_see_no_post_initialize) {
    test_provider_t state = {0};
    provider_t provider = custom_provider(&state, UMF_MAKE_VERSION(1, 0));
    cr_expect_eq(told.post_initialize, 0);
    umfMemoryProviderDestroy(provider);
    provider = custom_provider(&state, UMF_MAKE_VERSION(1, 1));
    cr_expect_eq(told.post_initialize, 1);
    umfMemoryProviderDestroy(provider);
}

/* An object that takes its time: destruction waits for a call by name. */
static _Atomic(int) slow_entered, slow_left;

static umf_result_t slow_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                             void *arg, size_t size, umf_ctl_query_type_t type, va_list args) {
    (void)provider, (void)source, (void)arg, (void)size, (void)type, (void)args;
    if (strcmp(name, "wait") == 0) {
        provider_t other = os_provider(); // needs the list's lock: it is not held
        umfMemoryProviderDestroy(other);
        store_release(&slow_entered, 1);
        usleep(50 * 1000);
        store_release(&slow_left, 1);
    }
    return strcmp(name, "wait") == 0 ? OK : NOPATH;
}

static void *slow_thread(void *arg) {
    (void)arg;
    cr_assert_eq(umfCtlExec("umf.provider.by_name.slow.wait", NULL, 0), OK);
    return NULL;
}

Test(ctl_name, destruction_waits_for_a_call_by_name) {
    test_provider_t state = {.name = "slow"};
    umf_memory_provider_ops_t ops = test_provider_ops;
    provider_t provider = NULL;
    pthread_t thread;
    ops.ext_ctl = slow_ctl;
    cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
    pthread_create(&thread, NULL, slow_thread, NULL);
    while (load_acquire(&slow_entered) == 0) {
        usleep(100);
    }
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_expect_eq(load_acquire(&slow_left), 1);
    pthread_join(thread, NULL);
}

Test(ctl_name, a_forked_child_does_not_wait_for_threads_that_it_lacks) {
    test_provider_t state = {.name = "slow"};
    umf_memory_provider_ops_t ops = test_provider_ops;
    provider_t provider = NULL;
    pthread_t thread;
    ops.ext_ctl = slow_ctl;
    cr_assert_eq(umfMemoryProviderCreate(&ops, &state, &provider), OK);
    pthread_create(&thread, NULL, slow_thread, NULL);
    while (load_acquire(&slow_entered) == 0) {
        usleep(100);
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit(umfMemoryProviderDestroy(provider) == OK ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_expect_eq(status, 0);
    pthread_join(thread, NULL);
    umfMemoryProviderDestroy(provider);
}

/* ---- modules --------------------------------------------------------------------------------- */

static size_t module_value = 5;

static umf_result_t serve_module(const ctl_call_t *call, ctl_value_t *value) {
    size_t *stored = call->object;
    if (call->type == CTL_QUERY_READ) {
        value->size = *stored + call->index;
    } else {
        *stored = value->size;
    }
    return OK;
}

Test(ctl_module, a_module_is_a_name_and_a_table) {
    static const ctl_node_t nodes[] = {
        {"value", UMF_CTL_SIZE, CTL_RW, serve_module, 0, "A value.", 1, 10},
        {"item.{}.value", UMF_CTL_SIZE, CTL_R, serve_module, 0, "An item.", 0, 0},
    };
    static const ctl_node_t more_nodes[] = {
        {"extra", UMF_CTL_SIZE, CTL_R, serve_module, 0, "More under the same name.", 0, 0},
    };
    static const ctl_table_t table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};
    static const ctl_table_t more_table = {more_nodes, ARRAY_LENGTH(more_nodes), NULL, 0};
    static ctl_module_t module = {.name = "test", .table = &table, .object = &module_value};
    static ctl_module_t more = {.name = "test", .table = &more_table, .object = &module_value};
    size_t value = 0;
    cr_expect_eq(umfCtlGet("umf.test.value", &value, 8), NOPATH);
    ctl_register(&module);
    ctl_register(&more);
    ctl_register(&module);
    cr_expect_eq(umfCtlGet("umf.test.value", &value, 8), OK);
    cr_expect_eq(value, 5);
    cr_expect_eq(umfCtlGet("umf.test.item.{}.value", &value, 8, 3), OK);
    cr_expect_eq(value, 8);
    cr_expect_eq(umfCtlGet("umf.test.extra", &value, 8), OK);
    for (size_t n = 0; n <= 11; n++) {
        cr_expect_eq(umfCtlSet("umf.test.value", &n, 8), n >= 1 && n <= 10 ? OK : INVAL, "%zu", n);
    }
    cr_expect_eq(module_value, 10);
}

/* ---- enumeration ----------------------------------------------------------------------------- */

typedef struct listing {
    char text[16 * 1024];
    size_t used;
    int left; /* visits until it stops; 0: does not */
} listing_t;

static umf_result_t list_visit(const umf_ctl_node_info_t *node, void *data) {
    listing_t *list = data;
    list->used += (size_t)snprintf(list->text + list->used, sizeof(list->text) - list->used,
                                   "%s %d %u\n", node->path, (int)node->type, node->access);
    cr_expect_not_null(node->help);
    return list->left != 0 && --list->left == 0 ? UMF_RESULT_ERROR_USER_SPECIFIC : OK;
}

Test(ctl_list, all_nodes_can_be_listed) {
    static listing_t list;
    provider_t provider = os_provider();
    pool_t first = disjoint_named(provider, "mine"), second = disjoint_named(provider, "mine");
    pool_t slab = pool_on(provider, umfSlabPoolOps(), NULL);
    cr_assert_eq(set_default("umf.pool.default.mine.params.capacity", 1), OK);
    cr_expect_eq(umfCtlForEach(NULL, NULL, NULL), INVAL);
    cr_assert_eq(umfCtlForEach(NULL, list_visit, &list), OK);
    static const char *const expected[] = {
        "umf.logger.level 2 3\n",
        "umf.logger.output 4 3\n",
        "umf.pool.by_name.mine.count 3 1\n",
        "umf.pool.by_name.mine.stats.alloc_count 3 1\n",
        "umf.pool.by_name.mine.params.capacity 3 3\n",
        "umf.pool.by_name.mine.buckets.{}.stats.free_num 3 1\n",
        "umf.pool.by_name.slab.stats.reserved_memory 3 1\n",
        "umf.pool.by_name.slab.trim 0 4\n",
        "umf.provider.by_name.OS.stats.peak_memory.reset 0 4\n",
        "umf.pool.default.mine.params.capacity 5 3\n",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        const char *at = strstr(list.text, expected[i]);
        cr_expect_not_null(at, "%s", expected[i]);
        cr_expect_null(at != NULL ? strstr(at + 1, expected[i]) : NULL, "once: %s", expected[i]);
    }
    cr_expect_null(strstr(list.text, "post_initialize"));
    memset(&list, 0, sizeof(list));
    cr_assert_eq(umfCtlForEach("umf.logger", list_visit, &list), OK);
    cr_expect_eq(strncmp(list.text, "umf.logger.", 11), 0);
    cr_expect_null(strstr(list.text, "umf.pool"));
    memset(&list, 0, sizeof(list));
    list.left = 2;
    cr_assert_eq(umfCtlForEach("umf", list_visit, &list), UMF_RESULT_ERROR_USER_SPECIFIC);
    cr_expect_eq(list.left, 0);
    memset(&list, 0, sizeof(list));
    cr_assert_eq(umfCtlForEach("umf.log", list_visit, &list), OK);
    cr_expect_eq(list.used, 0, "whole components only");
    umfPoolDestroy(first);
    umfPoolDestroy(second);
    umfPoolDestroy(slab);
    umfMemoryProviderDestroy(provider);
}

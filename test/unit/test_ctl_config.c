/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* UMF_CONF and UMF_CONF_FILE: grammar, values, messages, precedence. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <umf.h>
#include <umf/experimental/ctl.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/providers/provider_os_memory.h>

#include "core/ctl.h"

#define OK UMF_RESULT_SUCCESS
#define NOPATH UMF_RESULT_ERROR_INVALID_CTL_PATH

static char file[64];
static char captured[16 * 1024];

/* Starts the library anew with this environment (NULL: unset), and returns what it wrote to
 * standard error. */
static const char *restart(const char *conf, const char *conf_file) {
    while (umfTearDown() == OK && umfCtlGet("umf.pool.default.alive", captured, 1) != NOPATH) {
    }
    conf != NULL ? setenv("UMF_CONF", conf, 1) : unsetenv("UMF_CONF");
    conf_file != NULL ? setenv("UMF_CONF_FILE", conf_file, 1) : unsetenv("UMF_CONF_FILE");
    char path[] = "/tmp/umf_ctl_stderr_XXXXXX";
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);
    cr_assert_geq(fd, 0);
    dup2(fd, STDERR_FILENO);
    umf_result_t result = umfInit();
    dup2(saved, STDERR_FILENO);
    close(saved);
    cr_assert_eq(result, OK);
    ssize_t length = pread(fd, captured, sizeof(captured) - 1, 0);
    captured[length > 0 ? length : 0] = '\0';
    close(fd);
    unlink(path);
    char one = 1;
    umfCtlSet("umf.pool.default.alive", &one, 1);
    return captured;
}

static const char *write_file(const char *text) {
    snprintf(file, sizeof(file), "/tmp/umf_ctl_conf_%d", (int)getpid());
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return file;
}

static int number(const char *path) {
    int value = -1;
    cr_assert_eq(umfCtlGet(path, &value, sizeof(value)), OK);
    return value;
}

static bool flag(const char *path) {
    bool value = false;
    cr_assert_eq(umfCtlGet(path, &value, sizeof(value)), OK);
    return value;
}

static const char *text(const char *path) {
    static char value[300];
    memset(value, 0, sizeof(value));
    return umfCtlGet(path, value, sizeof(value)) == OK ? value : "(none)";
}

static size_t lines(const char *output) {
    size_t count = 0;
    for (; *output != '\0'; output++) {
        count += *output == '\n';
    }
    return count;
}

Test(ctl_config, the_string_sets_the_logger) {
    cr_expect_str_eq(restart("umf.logger.output=stdout;umf.logger.level=0", NULL), "");
    cr_expect_str_eq(text("umf.logger.output"), "stdout");
    cr_expect_eq(number("umf.logger.level"), 0);
    for (int level = 1; level <= 4; level++) {
        char conf[64];
        snprintf(conf, sizeof(conf), ";;umf.logger.level=%d;umf.logger.flush_level=0x%d;", level,
                 4 - level);
        cr_expect_str_eq(restart(conf, ""), "");
        cr_expect_eq(number("umf.logger.level"), level);
        cr_expect_eq(number("umf.logger.flush_level"), 4 - level);
    }
}

Test(ctl_config, words_of_flags) {
    static const struct {
        const char *word;
        bool good, yes;
    } cases[] = {{"y", true, true},   {"Yes", true, true},   {"1", true, true},
                 {"n", true, false},  {"NO", true, false},   {"0", true, false},
                 {"x", false, false}, {"true", false, false}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char conf[64];
        bool before = !cases[i].yes;
        umfCtlSet("umf.logger.pid", &before, 1);
        snprintf(conf, sizeof(conf), "umf.logger.pid=%s", cases[i].word);
        cr_expect_eq(lines(restart(conf, NULL)), cases[i].good ? 0 : 1, "%s", conf);
        cr_expect_eq(flag("umf.logger.pid"), cases[i].good ? cases[i].yes : before, "%s", conf);
    }
}

Test(ctl_config, defaults_are_kept_as_text) {
    cr_expect_str_eq(restart("umf.pool.default.disjoint.params.slab_min_size=65536;"
                             "umf.pool.default.disjoint.params.capacity=4;"
                             "umf.pool.default.disjoint.params.min_bucket_size=8;"
                             "umf.pool.default.disjoint.params.pool_trace=0;"
                             "umf.provider.default.OS.anything=some-text",
                             NULL),
                     "");
    cr_expect_str_eq(text("umf.pool.default.disjoint.params.slab_min_size"), "65536");
    cr_expect_str_eq(text("umf.provider.default.OS.anything"), "some-text");
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &pool), OK);
    static const struct {
        const char *path;
        size_t value;
    } cases[] = {{"umf.pool.by_handle.{}.params.slab_min_size", 65536},
                 {"umf.pool.by_handle.{}.params.capacity", 4},
                 {"umf.pool.by_handle.{}.params.min_bucket_size", 8}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        size_t value = 0;
        cr_expect_eq(umfCtlGet(cases[i].path, &value, sizeof(value), pool), OK);
        cr_expect_eq(value, cases[i].value, "%s", cases[i].path);
    }
    umfPoolDestroy(pool);
    umfMemoryProviderDestroy(provider);
    umfOsMemoryProviderParamsDestroy(params);
}

Test(ctl_config, the_file_overrides_the_string) {
    write_file("# a comment; umf.logger.pid=1;\n"
               "  umf . logger.level = 2 ; # and another\n"
               "\tumf.pool.default.a.b=some\n"
               "thing ;umf.pool.default.a.c=x#y;z\n"
               ";\r\n\n");
    cr_expect_str_eq(restart("umf.logger.level=1;umf.logger.flush_level=1;umf.logger.pid=0", file),
                     "");
    cr_expect_eq(number("umf.logger.level"), 2);
    cr_expect_eq(number("umf.logger.flush_level"), 1, "not in the file");
    cr_expect_not(flag("umf.logger.pid"));
    cr_expect_str_eq(text("umf.pool.default.a.b"), "something");
    cr_expect_str_eq(text("umf.pool.default.a.c"), "x");
    unlink(file);
}

Test(ctl_config, every_wrong_entry_is_told_in_one_line_and_does_no_harm) {
    static const struct {
        const char *entry;
        const char *says[3]; /* parts of the line */
    } cases[] = {
        {"umf.logger.levle=1", {"umf.logger.levle=1", "no such setting"}},
        {"umf.logger.level=9", {"umf.logger.level=9", "from 0 to 4"}},
        {"umf.logger.level=", {"path=value"}},
        {"umf.logger.level=two", {"two", "from 0 to 4"}},
        {"umf.logger.level=1x", {"1x", "from 0 to 4"}},
        {"umf.logger.level=-1", {"-1", "from 0 to 4"}},
        {"umf.logger.level= 1", {"not allowed"}},
        {"umf.logger.level=99999999999999999999", {"not allowed"}},
        {"umf.logger.pid=maybe", {"maybe", "yes and no"}},
        {"umf.logger.output=/nowhere/at/all", {"/nowhere/at/all", "not allowed"}},
        {"umf.logger=1", {"no such setting"}},
        {"logger.level=1", {"no such setting"}},
        {"umf.nothing=1", {"no such setting"}},
        {"umf.pool.by_name.disjoint.params.capacity=1", {"not allowed"}},
        {"umf.pool.by_handle.{}.params.capacity=1", {"{}"}},
        {"umf.pool.default.{}.params.capacity=1", {"{}"}},
        {"umf.{}.level=1", {"{}"}},
        {"umf.pool.default=1", {"no such setting"}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char conf[200];
        bool stops = strstr(cases[i].says[0], "path=value") != NULL;
        snprintf(conf, sizeof(conf), "umf.logger.flush_level=2;%s;umf.pool.default.x.y=good",
                 cases[i].entry);
        const char *output = restart(conf, NULL);
        cr_expect_eq(lines(output), 1, "%s: %s", cases[i].entry, output);
        cr_expect_eq(strncmp(output, "umf: UMF_CONF: ", 15), 0, "%s", output);
        for (size_t n = 0; n < 3 && cases[i].says[n] != NULL; n++) {
            cr_expect_not_null(strstr(output, cases[i].says[n]), "%s: %s", cases[i].says[n],
                               output);
        }
        cr_expect_eq(number("umf.logger.flush_level"), 2);
        cr_expect_str_eq(text("umf.pool.default.x.y"), stops ? "(none)" : "good", "%s",
                         cases[i].entry);
    }
}

Test(ctl_config, a_text_that_can_not_be_taken_apart_ends_the_reading) {
    static const char *const wrong[] = {
        "umf.logger.pid", "a=b=c", "umf.logger.pid=1=", "=1", "=", "=="};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        char conf[200];
        snprintf(conf, sizeof(conf), "umf.pool.default.x.y=before;%s;umf.pool.default.x.z=behind",
                 wrong[i]);
        const char *output = restart(conf, NULL);
        cr_expect_eq(lines(output), 1, "%s", output);
        cr_expect_not_null(strstr(output, "what follows it is ignored"), "%s", output);
        cr_expect_str_eq(text("umf.pool.default.x.y"), "before");
        cr_expect_str_eq(text("umf.pool.default.x.z"), "(none)");
        snprintf(conf, sizeof(conf), "umf.pool.default.x.y=before;%s", wrong[i]);
        output = restart(conf, NULL);
        cr_expect_eq(lines(output), 1, "%s", output);
        cr_expect_null(strstr(output, "what follows it is ignored"), "nothing does: %s", output);
    }
}

Test(ctl_config, files_that_can_not_be_used_are_told) {
    cr_expect_eq(lines(restart(NULL, "/nowhere/at/all")), 1);
    cr_expect_not_null(strstr(captured, "/nowhere/at/all"), "%s", captured);
    cr_expect_eq(lines(restart(NULL, "/tmp")), 1);
    cr_expect_not_null(strstr(captured, "not a regular file"), "%s", captured);
    enum { LIMIT = 1024 * 1024 };
    static char large[LIMIT + 2];
    static const char entry[] = "umf.pool.default.x.y=1;";
    memset(large, ' ', LIMIT);
    memcpy(large, entry, sizeof(entry) - 1);
    cr_expect_str_eq(restart(NULL, write_file(large)), "", "1 MiB is allowed");
    cr_expect_str_eq(text("umf.pool.default.x.y"), "1");
    large[LIMIT] = ' ';
    cr_expect_eq(lines(restart(NULL, write_file(large))), 1);
    cr_expect_not_null(strstr(captured, "larger than 1 MiB"), "%s", captured);
    cr_expect_str_eq(text("umf.pool.default.x.y"), "(none)");
    write_file("umf.logger.pid=1;\numf.logger.level=1\numf.logger.timestamp=1;");
    cr_expect_eq(lines(restart(NULL, file)), 1, "a ; is missing");
    cr_expect_not_null(strstr(captured, "UMF_CONF_FILE"), "%s", captured);
    unlink(file);
}

Test(ctl_config, wrong_defaults_are_told_once_by_the_objects_that_get_them) {
    restart("umf.pool.default.disjoint.params.capacity=many;"
            "umf.pool.default.disjoint.params.capcity=1",
            NULL);
    cr_expect_str_eq(captured, "", "nothing is known about disjoint yet");
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    char path[] = "/tmp/umf_ctl_stderr_XXXXXX";
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    for (int i = 0; i < 3; i++) {
        umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &pool);
        umfPoolDestroy(pool);
    }
    dup2(saved, STDERR_FILENO);
    ssize_t length = pread(fd, captured, sizeof(captured) - 1, 0);
    captured[length > 0 ? length : 0] = '\0';
    cr_expect_eq(lines(captured), 2, "%s", captured);
    cr_expect_not_null(strstr(captured, "capacity=many"), "%s", captured);
    cr_expect_not_null(strstr(captured, "capcity=1 "), "%s", captured);
    unlink(path);
    umfMemoryProviderDestroy(provider);
    umfOsMemoryProviderParamsDestroy(params);
}

Test(ctl_config, any_number_of_entries) {
    static char conf[64 * 1024];
    size_t used = 0;
    for (int i = 0; i < 500; i++) {
        used += (size_t)snprintf(conf + used, sizeof(conf) - used, "umf.pool.default.many.k%d=%d;",
                                 i, i);
    }
    cr_expect_str_eq(restart(conf, NULL), "");
    cr_expect_str_eq(text("umf.pool.default.many.k0"), "0");
    cr_expect_str_eq(text("umf.pool.default.many.k499"), "499");
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * ctl.c - umf.proxy.* in a program under the library: the settings in force, the names and figures
 * of what serves malloc, and UMF_CONF beside them.
 *
 *   ctl DOC             all checks; DOC is docs/ctl.md, rewritten with UMF_UPDATE_DOCS=1
 *   ctl show PATH       is the child: prints a text node
 *   ctl list -          is the child: prints the paths of all nodes below umf.proxy
 *   ctl chunk -         is the child: prints a parameter of the process pool
 */
#include "child.h"

#include <umf/experimental/ctl.h>
#include <umf/experimental/ctl_ext.h>
#include <umf/memory_pool.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *self_path;
static child_result_t result;

typedef umf_result_t (*ctl_fn)(const char *path, void *arg, size_t size, ...);
typedef umf_result_t (*for_each_fn)(const char *prefix, umf_ctl_visit_t visit, void *data);

static ctl_fn ctl_get(void) {
    return (ctl_fn)dlsym(RTLD_DEFAULT, "umfCtlGet");
}

static size_t number(const char *path) {
    size_t value = 0;
    umf_result_t rc = ctl_get()(path, &value, sizeof(value));
    CHECK_MSG(rc == UMF_RESULT_SUCCESS, "%s: %d", path, (int)rc);
    return value;
}

/* ---- the child ---- */

static int show(const char *path) {
    char text[1024];
    umf_result_t rc = ctl_get()(path, text, sizeof(text));
    printf("%s", rc == UMF_RESULT_SUCCESS ? text : "(none)");
    return 0;
}

/* Of the process pool, which is the second slab pool after the boot pool. */
static int show_chunk(void) {
    printf("%zu", number("umf.pool.by_name.slab.1.params.chunk_size"));
    return 0;
}

static umf_result_t print_node(const umf_ctl_node_info_t *node, void *data) {
    (void)data;
    printf("%s\n", node->path);
    return UMF_RESULT_SUCCESS;
}

static int list(void) {
    for_each_fn for_each = (for_each_fn)dlsym(RTLD_DEFAULT, "umfCtlForEach");
    return for_each("umf.proxy", print_node, NULL) != UMF_RESULT_SUCCESS;
}

/* ---- checks ---- */

static void check_settings(void) {
    static const struct {
        const char *setting, *key, *expected;
    } cases[] = {
        {NULL, "slab.purge.delay", "200ms"},
        {NULL, "pool", "slab"},
        {NULL, "stats", "off"},
        {NULL, "nothing", "(none)"},
        {"slab.purge.delay=2s", "slab.purge.delay", "2000ms"},
        {"slab.purge.delay=2s", "slab.keep.all", "no"},
        {"slab.keep.all=on", "slab.keep.all", "yes"},
        {"slab.chunk.size=2048K", "slab.chunk.size", "2M"},
        {"size.threshold=100", "size.threshold", "100"},
        {"page.disposition=SHARED-FD", "page.disposition", "shared-fd"},
        {"os.numa.mode=preferred;os.numa.nodes=0", "os.numa.nodes", "0"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char path[128];
        snprintf(path, sizeof(path), "umf.proxy.settings.%s", cases[i].key);
        char *argv[] = {self_path, (char *)"show", path, NULL};
        child_run(argv, "UMF_PROXY", cases[i].setting, &result);
        CHECK_MSG(child_exited(&result, 0) && strcmp(result.out, cases[i].expected) == 0,
                  "UMF_PROXY=%s: %s is '%s', not '%s'; '%s'", cases[i].setting, path, result.out,
                  cases[i].expected, result.err);
    }
}

static void check_list(void) {
    static const char *const expected[] = {"umf.proxy.settings.pool\n",
                                           "umf.proxy.settings.os.numa.mode\n",
                                           "umf.proxy.stats.used_memory\n", "umf.proxy.pool\n"};
    char *argv[] = {self_path, (char *)"list", (char *)"-", NULL};
    child_run(argv, NULL, NULL, &result);
    CHECK_MSG(child_exited(&result, 0), "status 0x%x: %s", result.status, result.err);
    for (size_t i = 0; i < COUNT(expected); i++) {
        CHECK_MSG(strstr(result.out, expected[i]) != NULL, "%s is not listed", expected[i]);
    }
}

static void check_configuration(void) {
    char *argv[] = {self_path, (char *)"show", (char *)"umf.pool.default.a.b", NULL};
    child_run(argv, "UMF_CONF", "umf.logger.level=9;umf.pool.default.a.b=text", &result);
    CHECK_MSG(strcmp(result.out, "text") == 0, "'%s'", result.out);
    CHECK_MSG(child_count_lines(result.err) == 1 && strstr(result.err, "from 0 to 4") != NULL,
              "'%s'", result.err);
}

/* Defaults reach the pool that UMF_PROXY asks for, and win. */
static void check_defaults_of_process_pool(void) {
    char *argv[] = {self_path, (char *)"chunk", (char *)"-", NULL};
    setenv("UMF_CONF", "umf.pool.default.slab.params.chunk_size=8388608", 1);
    child_run(argv, "UMF_PROXY", "slab.chunk.size=4M", &result);
    unsetenv("UMF_CONF");
    CHECK_MSG(strcmp(result.out, "8388608") == 0, "'%s' '%s'", result.out, result.err);
    child_run(argv, "UMF_PROXY", "slab.chunk.size=4M", &result);
    CHECK_MSG(strcmp(result.out, "4194304") == 0, "'%s' '%s'", result.out, result.err);
}

/* The figures follow what the program does. */
static void check_figures(void) {
    enum { BLOCKS = 1000, BYTES = 4000 };
    static void *block[BLOCKS];
    size_t count = number("umf.proxy.stats.alloc_count");
    size_t used = number("umf.proxy.stats.used_memory");
    for (int i = 0; i < BLOCKS; i++) {
        block[i] = malloc(BYTES);
    }
    CHECK_INT(number("umf.proxy.stats.alloc_count"), count + BLOCKS);
    CHECK(number("umf.proxy.stats.used_memory") >= used + BLOCKS * (size_t)BYTES / 2);
    CHECK(number("umf.proxy.stats.reserved_memory") >= BLOCKS * (size_t)BYTES);
    CHECK(number("umf.proxy.stats.reserved_peak") >= number("umf.proxy.stats.reserved_memory"));
    for (int i = 0; i < BLOCKS; i++) {
        free(block[i]);
    }
    CHECK_INT(number("umf.proxy.stats.alloc_count"), count);

    char name[65] = "";
    CHECK_INT(ctl_get()("umf.proxy.pool", name, sizeof(name)), UMF_RESULT_SUCCESS);
    CHECK_MSG(strcmp(name, "slab") == 0, "'%s'", name);
    CHECK_INT(ctl_get()("umf.proxy.provider", name, sizeof(name)), UMF_RESULT_SUCCESS);
    CHECK_MSG(strcmp(name, "OS") == 0, "'%s'", name);
    CHECK_INT(ctl_get()("umf.proxy.provider", name, 2), UMF_RESULT_ERROR_INVALID_ARGUMENT);
}

/* ---- the reference --------------------------------------------------------------------------- */

/* One row, in the form of test_ctl_docs; settings have a page of their own. */
static umf_result_t print_row(const umf_ctl_node_info_t *node, void *data) {
    static const char *const types[] = {"—", "`bool`", "`int`", "`size_t`", "text", "bytes"};
    static const char prefix[] = "umf.proxy.";
    const char *path = node->path + strlen(prefix);
    if (strncmp(path, "settings.", 9) == 0) {
        return UMF_RESULT_SUCCESS;
    }
    char range[64] = "";
    if ((node->access & UMF_CTL_WRITE) != 0 && node->max != 0) {
        snprintf(range, sizeof(range), ", %llu to %llu", (unsigned long long)node->min,
                 (unsigned long long)node->max);
    }
    fprintf(data, "| `%s` | %s%s | %s%s%s | %s |\n", path, types[node->type], range,
            (node->access & UMF_CTL_READ) != 0 ? "R" : "",
            (node->access & UMF_CTL_WRITE) != 0 ? "W" : "",
            (node->access & UMF_CTL_EXEC) != 0 ? "X" : "", node->help);
    return UMF_RESULT_SUCCESS;
}

static void print_section(FILE *out) {
    for_each_fn for_each = (for_each_fn)dlsym(RTLD_DEFAULT, "umfCtlForEach");
    fprintf(out, "| path | type | access | what it is |\n| --- | --- | --- | --- |\n");
    CHECK_INT(for_each("umf.proxy", print_row, out), UMF_RESULT_SUCCESS);
}

static void check_document(const char *path) {
    static const char begin[] = "<!-- nodes: proxy -->\n", end[] = "<!-- end -->";
    static char text[256 * 1024];
    FILE *file = fopen(path, "r");
    if (!CHECK_MSG(file != NULL, "%s", path)) {
        return;
    }
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    char *from = strstr(text, begin);
    char *to = from != NULL ? strstr(from, end) : NULL;
    if (!CHECK_MSG(to != NULL, "%s has no section of umf.proxy", path)) {
        return;
    }
    from += strlen(begin);
    char *section = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&section, &bytes);
    print_section(out);
    fclose(out);
    if (getenv("UMF_UPDATE_DOCS") != NULL) {
        file = fopen(path, "w");
        fprintf(file, "%.*s%s%s", (int)(from - text), text, section, to);
        fclose(file);
    } else {
        CHECK_MSG((size_t)(to - from) == bytes && memcmp(from, section, bytes) == 0,
                  "%s is out of date: run ctest -R proxy.ctl with UMF_UPDATE_DOCS=1", path);
    }
    free(section);
}

int main(int argc, char **argv) {
    self_path = argv[0];
    if (argc == 3) {
        return strcmp(argv[1], "show") == 0    ? show(argv[2])
               : strcmp(argv[1], "chunk") == 0 ? show_chunk()
                                               : list();
    }
    check_begin();
    check_settings();
    check_list();
    check_configuration();
    check_defaults_of_process_pool();
    check_figures();
    check_document(argv[1]);
    return check_end("ctl");
}

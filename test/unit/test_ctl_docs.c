/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The reference of CTL nodes in docs/ctl.md is what the tables say. Between the lines
 * `<!-- nodes: NAME -->` and `<!-- end -->` stands the table NAME, printed from its rows. With
 * UMF_UPDATE_DOCS=1 the file is rewritten. (umf.proxy.* is compared by test/proxy/ctl.c, which has
 * the proxy in its process.)
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umf/pools/pool_jemalloc.h>

#include "core/ctl_modules.h"
#include "pools/disjoint.h"
#include "pools/jemalloc_pool.h"
#include "pools/scalable_library.h"
#include "pools/slab.h"
#include "providers/coarse_provider.h"
#include "providers/provider_devdax.h"
#include "providers/provider_file.h"
#include "providers/provider_level_zero.h"
#include "providers/provider_os.h"

static ctl_table_t ipc, logger;

static const struct {
    const char *name;
    const ctl_table_t *table;
} tables[] = {
    {"ipc", &ipc},
    {"logger", &logger},
    {"pool", &ctl_pool_table},
    {"slab", &slab_ctl_table},
    {"disjoint", &disjoint_ctl_table},
    {"scalable", &scalable_ctl_table},
#ifdef UMF_HAS_JEMALLOC
    {"jemalloc", &jemalloc_ctl_table},
#endif
    {"provider", &provider_stats_table},
    {"coarse", &coarse_provider_ctl_table},
    {"FILE", &file_provider_ctl_table},
    {"DEVDAX", &devdax_provider_ctl_table},
    {"LEVEL_ZERO", &level_zero_provider_ctl_table},
    {"OS", &os_provider_ctl_table},
};

static const char *type_name(umf_ctl_type_t type) {
    static const char *const names[] = {"—", "`bool`", "`int`", "`size_t`", "text", "bytes"};
    return names[type];
}

static void print_row(FILE *out, const ctl_node_t *node) {
    char range[64] = "";
    if ((node->access & CTL_W) != 0 && node->max != 0) {
        snprintf(range, sizeof(range), ", %llu to %llu", (unsigned long long)node->min,
                 (unsigned long long)node->max);
    }
    fprintf(out, "| `%s` | %s%s | %s%s%s | %s |\n", node->path, type_name(node->type), range,
            (node->access & CTL_R) != 0 ? "R" : "", (node->access & CTL_W) != 0 ? "W" : "",
            (node->access & CTL_X) != 0 ? "X" : "", node->help);
}

/* The rows of the table itself; what it includes has a section of its own. */
static void print_table(FILE *out, const ctl_table_t *table) {
    fprintf(out, "| path | type | access | what it is |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < table->count; i++) {
        if ((table->nodes[i].access & CTL_INTERNAL) == 0) {
            print_row(out, &table->nodes[i]);
        }
    }
}

static const ctl_table_t *table_named(const char *line) {
    char name[64];
    if (sscanf(line, "<!-- nodes: %63s -->", name) != 1) {
        return NULL;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(tables); i++) {
        if (strcmp(tables[i].name, name) == 0) {
            return tables[i].table;
        }
    }
    return NULL; // jemalloc, where the build has none
}

/* Copies `text` with the sections of known tables printed anew. Number of sections. */
static size_t render(const char *text, FILE *out) {
    size_t sections = 0;
    bool skipping = false;
    while (*text != '\0') {
        size_t length = strcspn(text, "\n");
        length += text[length] == '\n';
        if (strncmp(text, "<!-- end -->", 12) == 0) {
            skipping = false;
        }
        if (!skipping) {
            fwrite(text, 1, length, out);
        }
        const ctl_table_t *table = table_named(text);
        if (table != NULL) {
            print_table(out, table);
            skipping = true;
            sections++;
        }
        text += length;
    }
    return sections;
}

Test(ctl_docs, the_reference_agrees_with_the_tables) {
    char *rendered = NULL;
    size_t bytes = 0;
    ipc = *ipc_ctl_module.table;
    logger = *log_ctl_module.table;
    FILE *in = fopen(UMF_CTL_DOC, "r");
    cr_assert_not_null(in, "%s", UMF_CTL_DOC);
    static char text[256 * 1024];
    text[fread(text, 1, sizeof(text) - 1, in)] = '\0';
    fclose(in);
    FILE *out = open_memstream(&rendered, &bytes);
    size_t sections = render(text, out);
    fclose(out);
    if (getenv("UMF_UPDATE_DOCS") != NULL) {
        out = fopen(UMF_CTL_DOC, "w");
        cr_assert_not_null(out);
        fwrite(rendered, 1, bytes, out);
        fclose(out);
    } else {
        cr_expect_eq(sections, ARRAY_LENGTH(tables), "one section per table");
        cr_assert(strcmp(text, rendered) == 0,
                  "docs/ctl.md is out of date: run test_ctl_docs with UMF_UPDATE_DOCS=1");
    }
    free(rendered);
}

/* What the reference and the enumeration need of every row. */
Test(ctl_docs, rows_are_complete) {
    ipc = *ipc_ctl_module.table;
    logger = *log_ctl_module.table;
    for (size_t t = 0; t < ARRAY_LENGTH(tables); t++) {
        const ctl_table_t *table = tables[t].table;
        for (size_t i = 0; i < table->count; i++) {
            const ctl_node_t *node = &table->nodes[i];
            cr_expect_not_null(node->serve, "%s", node->path);
            cr_expect(node->help != NULL && strlen(node->help) > 8, "%s", node->path);
            cr_expect((node->access & (CTL_R | CTL_W | CTL_X)) != 0, "%s", node->path);
            cr_expect_eq(node->type == UMF_CTL_NONE,
                         (node->access & (CTL_R | CTL_W | CTL_X)) == CTL_X, "%s", node->path);
            cr_expect_lt(strlen(node->path), CTL_PATH_MAX, "%s", node->path);
            for (size_t n = 0; n < i; n++) {
                cr_expect_str_neq(node->path, table->nodes[n].path, "twice");
            }
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Enumeration of CTL nodes. What there is, is collected step by step, and the visitor is called
 * without any lock or pin: tables never go away, and of a pool no more than its table and name is
 * used.
 */
#include <stdio.h>
#include <string.h>

#include "core/ctl.h"
#include "core/ctl_modules.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/state.h"

enum { LIST_PATH_MAX = 512 };

typedef struct walk {
    const char *prefix;
    umf_ctl_visit_t visit;
    void *data;
} walk_t;

/* True when path is prefix, or goes on below it. */
static bool is_below(const char *path, const char *prefix) {
    size_t length = strlen(prefix);
    return strncmp(path, prefix, length) == 0 &&
           (length == 0 || path[length] == '\0' || path[length] == '.');
}

static umf_result_t visit_path(const walk_t *walk, umf_ctl_node_info_t *info) {
    return is_below(info->path, walk->prefix) ? walk->visit(info, walk->data) : UMF_RESULT_SUCCESS;
}

/* All rows, as <base>.<path of the row>. */
static umf_result_t visit_table(const walk_t *walk, const char *base, const ctl_table_t *table) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (; table != NULL; table = table->also) {
        for (size_t i = 0; i < table->count && result == UMF_RESULT_SUCCESS; i++) {
            const ctl_node_t *node = &table->nodes[i];
            char path[LIST_PATH_MAX];
            if ((node->access & CTL_INTERNAL) != 0) {
                continue;
            }
            snprintf(path, sizeof(path), "%s.%s", base, node->path);
            umf_ctl_node_info_t info = {.path = path,
                                        .type = node->type,
                                        .access = node->access & (CTL_R | CTL_W | CTL_X),
                                        .help = node->help,
                                        .min = node->min,
                                        .max = node->max};
            result = visit_path(walk, &info);
        }
    }
    return result;
}

/* ---- modules --------------------------------------------------------------------------------- */

static umf_result_t visit_module(const walk_t *walk, const char *name, const ctl_table_t *table) {
    char base[LIST_PATH_MAX];
    snprintf(base, sizeof(base), "umf.%s", name);
    return visit_table(walk, base, table);
}

static umf_result_t visit_modules(const walk_t *walk) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (size_t i = 0; i < ctl_own_module_count && result == UMF_RESULT_SUCCESS; i++) {
        result = visit_module(walk, ctl_own_modules[i]->name, ctl_own_modules[i]->table);
    }
    // acquire: pairs with the release of ctl_register()
    ctl_module_t *module = load_acquire(&umf_core_state.ctl.modules);
    for (; module != NULL && result == UMF_RESULT_SUCCESS; module = load_acquire(&module->next)) {
        result = visit_module(walk, module->name, ctl_module_table(module));
    }
    return result;
}

/* ---- pools and providers --------------------------------------------------------------------- */

/* ext_ctl takes a va_list; this makes an empty one. */
static const ctl_table_t *table_of(ctl_kind_t kind, void *object, ...) {
    const ctl_table_t *table = NULL;
    umf_result_t result;
    va_list none;
    va_start(none, object);
    if (kind == CTL_POOLS) {
        umf_memory_pool_handle_t pool = object;
        result = pool->ops.ext_ctl(pool->priv, CTL_QUERY_PROGRAMMATIC, CTL_TABLE_NODE, &table,
                                   sizeof(table), CTL_QUERY_READ, none);
    } else {
        umf_memory_provider_handle_t provider = object;
        result = provider->ops.ext_ctl(provider->priv, CTL_QUERY_PROGRAMMATIC, CTL_TABLE_NODE,
                                       &table, sizeof(table), CTL_QUERY_READ, none);
    }
    va_end(none);
    return result == UMF_RESULT_SUCCESS ? table : NULL;
}

/* One object as it was when it was met. */
typedef struct found {
    char name[NAME_MAX_LENGTH + 1];
    bool first; /* of its name */
    const ctl_table_t *table;
} found_t;

/* The object behind serial number *serial, which moves on. */
static bool next_object(ctl_kind_t kind, uint64_t *serial, found_t *found) {
    registry_t *registry = kind == CTL_POOLS ? &umf_core_state.pools : &umf_core_state.providers;
    registry_entry_t *entry = registry_pin_after(registry, *serial);
    if (entry == NULL) {
        return false;
    }
    *serial = entry->serial;
    memcpy(found->name, entry->name, sizeof(found->name));
    registry_entry_t *oldest = registry_pin(registry, found->name, strlen(found->name), 0);
    found->first = oldest == entry;
    if (oldest != NULL) {
        registry_unpin(oldest);
    }
    found->table = found->first ? table_of(kind, entry->object) : NULL;
    registry_unpin(entry);
    return true;
}

static umf_result_t visit_object(const walk_t *walk, ctl_kind_t kind, const found_t *found) {
    const char *kind_name = kind == CTL_POOLS ? "pool" : "provider";
    char base[LIST_PATH_MAX], path[LIST_PATH_MAX + sizeof(".count")];
    snprintf(base, sizeof(base), "umf.%s.by_name.%s", kind_name, found->name);
    snprintf(path, sizeof(path), "%s.count", base);
    umf_ctl_node_info_t count = {.path = path,
                                 .type = UMF_CTL_SIZE,
                                 .access = CTL_R,
                                 .help = "Number of live objects of this name."};
    umf_result_t result = visit_path(walk, &count);
    if (result == UMF_RESULT_SUCCESS && kind == CTL_POOLS) {
        result = visit_table(walk, base, &ctl_pool_table);
    }
    return result == UMF_RESULT_SUCCESS ? visit_table(walk, base, found->table) : result;
}

static umf_result_t visit_objects(const walk_t *walk, ctl_kind_t kind) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    uint64_t serial = 0;
    found_t found;
    while (result == UMF_RESULT_SUCCESS && next_object(kind, &serial, &found)) {
        if (found.first) {
            result = visit_object(walk, kind, &found);
        }
    }
    return result;
}

static umf_result_t visit_defaults(const walk_t *walk, ctl_kind_t kind) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    uint64_t serial = 0;
    char key[LIST_PATH_MAX], path[LIST_PATH_MAX + 32];
    while (result == UMF_RESULT_SUCCESS && ctl_default_next(kind, &serial, key, sizeof(key))) {
        snprintf(path, sizeof(path), "umf.%s.default.%s", kind == CTL_POOLS ? "pool" : "provider",
                 key);
        umf_ctl_node_info_t info = {.path = path,
                                    .type = UMF_CTL_BYTES,
                                    .access = CTL_RW,
                                    .help = "Value for objects of this name to be made."};
        result = visit_path(walk, &info);
    }
    return result;
}

UMF_EXPORT umf_result_t umfCtlForEach(const char *prefix, umf_ctl_visit_t visit, void *data) {
    if (visit == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const walk_t walk = {prefix != NULL ? prefix : "", visit, data};
    umf_result_t result = visit_modules(&walk);
    for (int kind = 0; kind < CTL_KINDS && result == UMF_RESULT_SUCCESS; kind++) {
        result = visit_objects(&walk, (ctl_kind_t)kind);
        if (result == UMF_RESULT_SUCCESS) {
            result = visit_defaults(&walk, (ctl_kind_t)kind);
        }
    }
    return result;
}

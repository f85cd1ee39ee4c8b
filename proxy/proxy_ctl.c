/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL nodes of the malloc replacement: umf.proxy.*
 *
 *   settings.KEY   each key of UMF_PROXY as it is in force, in the syntax of its value
 *   pool, provider names of what serves malloc
 *   stats.*        figures of the process's pools
 *
 * Rows of further topics come from the files of those topics, as modules of the same name. The rows
 * of the settings are made from the table of keys, the first time that anything asks.
 */
#include "proxy/proxy_ctl.h"

#include <string.h>
#include <unistd.h>

#include "config/settings_show.h"
#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/pool_count.h"
#include "proxy/process_pool.h"
#include "proxy/stats.h"

/* ---- settings -------------------------------------------------------------------------------- */

#define SETTINGS_PREFIX "settings."

/* Without UMF_PROXY nothing was parsed: the defaults are in force. */
static umf_result_t serve_setting(const ctl_call_t *call, ctl_value_t *value) {
    const settings_key_t *key = settings_key_at(proxy_settings_table(), (unsigned)call->node->what);
    text_buffer_t out = text_buffer(value->text, sizeof(value->text));
    if (process_state.settings_read) {
        settings_show(key, &process_state.settings, &out);
        return UMF_RESULT_SUCCESS;
    }
    proxy_settings_t *defaults = base_alloc(sizeof(*defaults));
    if (defaults == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    proxy_settings_defaults(defaults);
    settings_show(key, defaults, &out);
    base_free(defaults, sizeof(*defaults));
    return UMF_RESULT_SUCCESS;
}

static unsigned settings_count(void) {
    unsigned count = 0;
    while (settings_key_at(proxy_settings_table(), count) != NULL) {
        count++;
    }
    return count;
}

static char *setting_path(const settings_key_t *key) {
    size_t prefix = sizeof(SETTINGS_PREFIX) - 1, length = strlen(key->name);
    char *path = base_alloc(prefix + length + 1); // zeroed: terminated
    if (path != NULL) {
        memcpy(path, SETTINGS_PREFIX, prefix);
        memcpy(path + prefix, key->name, length);
    }
    return path;
}

/* One row per key. Out of memory: the rows are missing, and the next request tries again. */
static const ctl_table_t *settings_make(void) {
    unsigned count = settings_count();
    ctl_node_t *nodes = base_alloc(count * sizeof(*nodes));
    ctl_table_t *made_table = base_alloc(sizeof(*made_table));
    unsigned made = 0;
    for (; nodes != NULL && made_table != NULL && made < count; made++) {
        const settings_key_t *key = settings_key_at(proxy_settings_table(), made);
        nodes[made] = (ctl_node_t){.path = setting_path(key),
                                   .type = UMF_CTL_STRING,
                                   .access = CTL_R,
                                   .serve = serve_setting,
                                   .what = made,
                                   .help = key->help};
        if (nodes[made].path == NULL) {
            break;
        }
    }
    if (made == count) {
        *made_table = (ctl_table_t){nodes, count, NULL, 0};
        return made_table;
    }
    for (unsigned i = 0; i < made; i++) {
        base_free_string((char *)(uintptr_t)nodes[i].path);
    }
    base_free(nodes, count * sizeof(*nodes));
    base_free(made_table, sizeof(*made_table));
    return NULL;
}

/* ---- pool and statistics --------------------------------------------------------------------- */

static umf_result_t serve_name(const ctl_call_t *call, ctl_value_t *value) {
    const char *name = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_result_t result = call->node->what == 0
                              ? umfPoolGetName(process_state.pool, &name)
                              : umfPoolGetMemoryProvider(process_state.pool, &provider);
    if (provider != NULL) {
        result = umfMemoryProviderGetName(provider, &name);
    }
    if (result == UMF_RESULT_SUCCESS) {
        strncpy(value->text, name, sizeof(value->text) - 1);
        value->text[sizeof(value->text) - 1] = '\0';
    }
    return result;
}

static umf_result_t serve_stat(const ctl_call_t *call, ctl_value_t *value) {
    heap_stats_t stats;
    stats_collect(&stats);
    value->size = *(const size_t *)((const char *)&stats + call->node->what);
    return UMF_RESULT_SUCCESS;
}

/* Live blocks of the process pool; those that the boot pool gave out before it are not counted. */
static umf_result_t serve_alloc_count(const ctl_call_t *call, ctl_value_t *value) {
    (void)call;
    value->size = process_state.slab != NULL ? slab_pool_blocks(process_state.slab)
                                             : pool_alloc_count(process_state.pool);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_print(const ctl_call_t *call, ctl_value_t *value) {
    (void)call, (void)value;
    stats_print(STDERR_FILENO);
    return UMF_RESULT_SUCCESS;
}

/* clang-format off */
#define STAT(name, member, help)                                                                   \
    {"stats." name, UMF_CTL_SIZE, CTL_R, serve_stat, offsetof(heap_stats_t, member), help, 0, 0}

static const ctl_node_t nodes[] = {
    {"pool", UMF_CTL_STRING, CTL_R, serve_name, 0, "Name of the pool that serves malloc.", 0, 0},
    {"provider", UMF_CTL_STRING, CTL_R, serve_name, 1, "Name of its provider.", 0, 0},
    {"stats.alloc_count", UMF_CTL_SIZE, CTL_R, serve_alloc_count, 0, "Live blocks of the pool that serves malloc.", 0, 0},
    STAT("used_memory", used_bytes, "Bytes in blocks, those that threads keep ready included; slab pools."),
    STAT("reserved_memory", reserved_bytes, "Bytes taken from providers; slab pools."),
    STAT("reserved_peak", reserved_peak, "Most of them so far; slab pools."),
    STAT("free_memory", free_bytes, "Bytes that nobody uses and that stay for reuse; slab pools."),
    {"stats.print", UMF_CTL_NONE, CTL_X, serve_print, 0, "Prints the table of stats=exit on standard error.", 0, 0},
};
/* clang-format on */

static const ctl_table_t table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

static ctl_module_t settings_module = {.name = "proxy", .make = settings_make};
static ctl_module_t module = {.name = "proxy", .table = &table};

void proxy_ctl_register(void) {
    ctl_register(&module);
    ctl_register(&settings_module);
}

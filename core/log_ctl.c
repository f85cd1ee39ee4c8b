/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of the log: umf.logger.* */
#include <string.h>

#include "core/ctl_modules.h"
#include "core/log.h"
#include "core/state.h"

static const char disabled[] = "disabled";

static umf_result_t serve_timestamp(const ctl_call_t *call, ctl_value_t *value) {
    if (call->type == CTL_QUERY_READ) {
        value->yes = load_relaxed(&umf_core_state.log.timestamp);
        return UMF_RESULT_SUCCESS;
    }
    log_set_timestamp(value->yes);
    log_info("timestamp %s", value->yes ? "yes" : "no");
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_pid(const ctl_call_t *call, ctl_value_t *value) {
    if (call->type == CTL_QUERY_READ) {
        value->yes = load_relaxed(&umf_core_state.log.pid);
        return UMF_RESULT_SUCCESS;
    }
    store_relaxed(&umf_core_state.log.pid, value->yes);
    log_info("pid %s", value->yes ? "yes" : "no");
    return UMF_RESULT_SUCCESS;
}

/* Both levels are stored plus one; 0 stands for the default. */
static umf_result_t serve_level(const ctl_call_t *call, ctl_value_t *value) {
    bool flush = call->node->what != 0;
    _Atomic(int) *level_plus1 =
        flush ? &umf_core_state.log.flush_level_plus1 : &umf_core_state.log.min_level_plus1;
    if (call->type == CTL_QUERY_READ) {
        int plus1 = load_relaxed(level_plus1);
        value->integer = plus1 != 0 ? plus1 - 1 : LOG_ERROR;
        return UMF_RESULT_SUCCESS;
    }
    store_relaxed(level_plus1, value->integer + 1);
    log_info("%s %d", flush ? "flush level" : "level", value->integer);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_output(const ctl_call_t *call, ctl_value_t *value) {
    char name[LOG_OUTPUT_BYTES];
    log_get_output(&name);
    if (call->type == CTL_QUERY_READ) {
        const char *text = name[0] != '\0' ? name : disabled;
        memcpy(value->text, text, strlen(text) + 1);
        return UMF_RESULT_SUCCESS;
    }
    const char *wanted = strcmp(value->text, disabled) == 0 ? "" : value->text;
    if (!log_set_output(wanted)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    log_info("output changed from %s to %s", name[0] != '\0' ? name : disabled, wanted);
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t nodes[] = {
    {"timestamp", UMF_CTL_BOOL, CTL_RW | CTL_LOOSE, serve_timestamp, 0,
     "Lines begin with the local time.", 0, 0},
    {"pid", UMF_CTL_BOOL, CTL_RW | CTL_LOOSE, serve_pid, 0,
     "Lines carry the ids of process and thread.", 0, 0},
    {"level", UMF_CTL_INT, CTL_RW | CTL_LOOSE, serve_level, 0,
     "Least important level that is written: 0 debug, 1 info, 2 warning, 3 error, 4 fatal.",
     LOG_DEBUG, LOG_FATAL},
    {"flush_level", UMF_CTL_INT, CTL_RW | CTL_LOOSE, serve_level, 1,
     "Level from which lines are flushed. Every line is written at once: kept for compatibility.",
     LOG_DEBUG, LOG_FATAL},
    {"output", UMF_CTL_STRING, CTL_RW, serve_output, 0,
     "Where lines go: stdout, stderr, a file's path (appended to), or disabled.", 0, 0},
};

static const ctl_table_t table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

const ctl_module_t log_ctl_module = {.name = "logger", .table = &table};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of IPC: umf.ipc.* */
#include "core/ctl_modules.h"
#include "core/ipc.h"
#include "core/state.h"

/* node->what: offset of the number in the IPC state. */
static umf_result_t serve_number(const ctl_call_t *call, ctl_value_t *value) {
    _Atomic(size_t) *number = (_Atomic(size_t) *)((char *)&umf_core_state.ipc + call->node->what);
    if (call->type == CTL_QUERY_READ) {
        value->size = load_relaxed(number);
    } else {
        store_relaxed(number, value->size);
    }
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t nodes[] = {
    {"opened.limit", UMF_CTL_SIZE, CTL_RW, serve_number, offsetof(ipc_state_t, import_limit),
     "Mappings of other processes' memory that are kept, in use or for reuse; 0: no limit.", 0, 0},
    {"opened.count", UMF_CTL_SIZE, CTL_R, serve_number, offsetof(ipc_state_t, import_count),
     "Such mappings now.", 0, 0},
    {"exported.limit", UMF_CTL_SIZE, CTL_RW, serve_number, offsetof(ipc_state_t, export_limit),
     "Allocations whose descriptions for other processes are kept; 0: no limit.", 0, 0},
    {"exported.count", UMF_CTL_SIZE, CTL_R, serve_number, offsetof(ipc_state_t, export_count),
     "Such allocations now.", 0, 0},
};

static const ctl_table_t table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

const ctl_module_t ipc_ctl_module = {.name = "ipc", .table = &table};

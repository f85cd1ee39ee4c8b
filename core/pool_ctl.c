/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes that every pool has; the object is the handle. */
#include "core/ctl.h"
#include "core/pool.h"
#include "core/pool_count.h"

static umf_result_t serve_alloc_count(const ctl_call_t *call, ctl_value_t *value) {
    value->size = pool_alloc_count(call->object);
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t nodes[] = {
    {"stats.alloc_count", UMF_CTL_SIZE, CTL_R, serve_alloc_count, 0, "Live blocks of the pool.", 0,
     0},
};

const ctl_table_t ctl_pool_table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of the heap profiler (umf.proxy.prof.*) and of statistics reports. */
#include "proxy/prof_ctl.h"

#include "core/ctl.h"
#include "proxy/prof.h"
#include "proxy/prof_table.h"
#include "proxy/stats.h"

enum { WHAT_LIVE, WHAT_PEAK, WHAT_TOTAL };

static umf_result_t serve_sample(const ctl_call_t *call, ctl_value_t *value) {
    if (call->type == CTL_QUERY_WRITE) {
        return prof_set_interval(value->size);
    }
    value->size = prof_interval();
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_sum(const ctl_call_t *call, ctl_value_t *value) {
    prof_sums_t live, total, peak;
    prof_table_sums(&live, &total, &peak);
    value->size = call->node->what == WHAT_LIVE   ? live.bytes
                  : call->node->what == WHAT_PEAK ? peak.bytes
                                                  : total.bytes;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_dump(const ctl_call_t *call, ctl_value_t *value) {
    (void)call;
    return prof_dump(value->text[0] != '\0' ? value->text : NULL);
}

static umf_result_t serve_reset(const ctl_call_t *call, ctl_value_t *value) {
    (void)call, (void)value;
    prof_reset();
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_report(const ctl_call_t *call, ctl_value_t *value) {
    (void)call, (void)value;
    stats_write("asked for");
    return UMF_RESULT_SUCCESS;
}

/* clang-format off */
static const ctl_node_t nodes[] = {
    {"prof.sample", UMF_CTL_SIZE, CTL_RW, serve_sample, 0, "Bytes from one sampled block to the next, on average; 1: every block; 0: off. Changes take effect thread by thread.", 0, (uint64_t)1 << 40},
    {"prof.live_memory", UMF_CTL_SIZE, CTL_R, serve_sum, WHAT_LIVE, "Bytes in use that the program asked for, as the profile estimates.", 0, 0},
    {"prof.live_peak", UMF_CTL_SIZE, CTL_R, serve_sum, WHAT_PEAK, "Most of them so far.", 0, 0},
    {"prof.allocated_memory", UMF_CTL_SIZE, CTL_R, serve_sum, WHAT_TOTAL, "Bytes asked for in all.", 0, 0},
    {"prof.dump", UMF_CTL_STRING, CTL_W, serve_dump, 0, "Writes a profile to the file named, or as prof.file says if the name is empty.", 0, 0},
    {"prof.reset", UMF_CTL_NONE, CTL_X, serve_reset, 0, "Forgets what was freed so far; the peak begins anew.", 0, 0},
    {"stats.report", UMF_CTL_NONE, CTL_X, serve_report, 0, "Writes a report of statistics as stats.file and stats.format say.", 0, 0},
};
/* clang-format on */

static const ctl_table_t table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};
static ctl_module_t module = {.name = "proxy", .table = &table};

void prof_ctl_register(void) {
    ctl_register(&module);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory as the calling thread sees it. The thread's place is the CPU that it runs on at the moment
 * of the call; a CPU that the topology does not have (a description of another machine, a CPU that
 * came later) sees nothing.
 */
#define _GNU_SOURCE
#include <umf/experimental/memspace_ext.h>

#include <sched.h>

#include "core/base_alloc.h"
#include "core/init.h"
#include "core/log.h"
#include "core/memspace.h"
#include "core/system_call.h"

static_assert((int)UMF_MEMSPACE_METRIC_BANDWIDTH == (int)TOPOLOGY_BANDWIDTH &&
                  (int)UMF_MEMSPACE_METRIC_LATENCY == (int)TOPOLOGY_LATENCY,
              "one is cast to the other");

static bool metric_known(umf_memspace_metric_t metric) {
    if ((unsigned)metric >= TOPOLOGY_METRICS) {
        log_error("memspace metric %u is unknown; 0 and 1 are allowed", (unsigned)metric);
        return false;
    }
    return true;
}

static topology_t *topology_if_ready(void) {
    return core_is_ready() ? topology_acquire() : NULL;
}

umf_result_t memspace_local_create(const topology_t *topology, topology_metric_t metric,
                                   unsigned cpu, struct umf_memspace_t **memspace) {
    const size_t bytes = topology->node_count * sizeof(unsigned);
    unsigned *ids = base_alloc(bytes);
    if (ids == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    unsigned count = memspace_select_ranked(topology, metric, cpu, ids);
    if (count != 0) {
        result = memspace_make(ids, count, MEMSPACE_RANKED, memspace);
    } else {
        log_debug("no %s of memory is known for CPU %u",
                  metric == TOPOLOGY_BANDWIDTH ? "bandwidth" : "latency", cpu);
    }
    base_free(ids, bytes);
    return result;
}

UMF_EXPORT umf_result_t umfMemspaceLocalCreate(umf_memspace_metric_t metric,
                                               umf_memspace_handle_t *hMemspace) {
    if (hMemspace == NULL || !metric_known(metric)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    topology_t *topology = topology_if_ready();
    if (topology == NULL) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    umf_result_t result = memspace_local_create(topology, (topology_metric_t)metric,
                                                (unsigned)sys_getcpu(), hMemspace);
    topology_release(topology);
    return result;
}

UMF_EXPORT umf_const_memspace_handle_t umfMemspaceFirstTouchGet(umf_memspace_metric_t metric) {
    if (!metric_known(metric)) {
        return NULL;
    }
    return memspace_predefined(metric == UMF_MEMSPACE_METRIC_BANDWIDTH ? MEMSPACE_LOCAL_BANDWIDTH
                                                                       : MEMSPACE_LOCAL_LATENCY);
}

static umf_result_t metric_of(const topology_t *topology, topology_metric_t metric, unsigned id,
                              unsigned cpu, uint64_t *out) {
    const int target = topology_find(topology, id), initiator = topology_initiator(topology, cpu);
    if (target < 0) {
        log_error("NUMA node %u does not exist on this machine", id);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    uint64_t value = TOPOLOGY_UNKNOWN;
    if (initiator >= 0) {
        value = topology_value(topology, metric, (unsigned)initiator, (unsigned)target);
    }
    if (value == TOPOLOGY_UNKNOWN) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    *out = value;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemtargetGetMetric(umf_const_memtarget_handle_t hMemtarget,
                                              umf_memspace_metric_t metric, uint64_t *value) {
    if (!memtarget_valid(hMemtarget) || value == NULL || !metric_known(metric)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    topology_t *topology = topology_if_ready();
    if (topology == NULL) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    umf_result_t result = metric_of(topology, (topology_metric_t)metric, hMemtarget->id,
                                    (unsigned)sys_getcpu(), value);
    topology_release(topology);
    return result;
}

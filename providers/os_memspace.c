/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * OS providers from memspaces. Which NUMA mode a memspace and a policy come to:
 *
 *   policy        memspace                 mode, nodes
 *   none          host_all                 DEFAULT, none
 *   none          highest_capacity         BIND, the first
 *   none          local_…                  PREFERRED, all: each page on the nearest that has room
 *   none          of umfMemspaceLocal…     PREFERRED, the first
 *   none          others                   BIND, all
 *   INTERLEAVE …  any                      the same mode, all; of highest_capacity the first
 *
 * It is here and not in core/ because core/ knows no provider.
 */
#include "providers/os_memspace.h"

#include <limits.h>

#include "core/base_alloc.h"
#include "core/log.h"

static_assert(sizeof(umf_mempolicy_split_partition_t) == sizeof(umf_numa_split_partition_t) &&
                  offsetof(umf_mempolicy_split_partition_t, target) ==
                      offsetof(umf_numa_split_partition_t, target),
              "partitions are handed over as they are");

static umf_numa_mode_t mode_of_kind(memspace_kind_t kind) {
    switch (kind) {
    case MEMSPACE_HOST_ALL:
        return UMF_NUMA_MODE_DEFAULT;
    case MEMSPACE_LOCAL_BANDWIDTH:
    case MEMSPACE_LOCAL_LATENCY:
    case MEMSPACE_RANKED:
        return UMF_NUMA_MODE_PREFERRED;
    case MEMSPACE_HIGHEST_CAPACITY:
    case MEMSPACE_HIGHEST_BANDWIDTH:
    case MEMSPACE_LOWEST_LATENCY:
    case MEMSPACE_USER:
        break;
    }
    return UMF_NUMA_MODE_BIND;
}

static umf_numa_mode_t mode_of_policy(const struct umf_mempolicy_t *policy) {
    switch (policy->bind) {
    case UMF_MEMPOLICY_INTERLEAVE:
        return UMF_NUMA_MODE_INTERLEAVE;
    case UMF_MEMPOLICY_PREFERRED:
        return UMF_NUMA_MODE_PREFERRED;
    case UMF_MEMPOLICY_SPLIT:
        return UMF_NUMA_MODE_SPLIT;
    case UMF_MEMPOLICY_BIND:
        break;
    }
    return UMF_NUMA_MODE_BIND;
}

/* How many of a memspace's targets are used. */
static size_t used_targets(memspace_kind_t kind, umf_numa_mode_t mode, bool has_policy,
                           size_t count) {
    if (mode == UMF_NUMA_MODE_DEFAULT) {
        return 0;
    }
    bool first_only = kind == MEMSPACE_HIGHEST_CAPACITY || (kind == MEMSPACE_RANKED && !has_policy);
    return first_only && count > 1 ? 1 : count;
}

static umf_result_t set_placement(umf_os_memory_provider_params_handle_t params, unsigned *ids,
                                  size_t count, umf_numa_mode_t mode,
                                  const struct umf_mempolicy_t *policy) {
    umf_result_t result = umfOsMemoryProviderParamsSetNumaList(params, ids, (unsigned)count);
    if (result == UMF_RESULT_SUCCESS && policy != NULL) {
        result = umfOsMemoryProviderParamsSetPartitions(
            params, (umf_numa_split_partition_t *)(void *)policy->partitions,
            policy->partition_count);
    }
    if (result == UMF_RESULT_SUCCESS && policy != NULL) {
        result = umfOsMemoryProviderParamsSetPartSize(params, policy->part_size);
    }
    if (result == UMF_RESULT_SUCCESS) {
        result = umfOsMemoryProviderParamsSetNumaMode(params, mode);
    }
    return result;
}

umf_result_t os_params_set_memspace(umf_os_memory_provider_params_handle_t params,
                                    umf_const_memspace_handle_t memspace,
                                    umf_const_mempolicy_handle_t policy) {
    if (!memspace_valid(memspace) || memspace->count == 0 || memspace->count > UINT_MAX ||
        (policy != NULL && !mempolicy_valid(policy))) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const umf_numa_mode_t mode =
        policy != NULL ? mode_of_policy(policy) : mode_of_kind(memspace->kind);
    const size_t count = used_targets(memspace->kind, mode, policy != NULL, memspace->count);
    const size_t bytes = memspace->count * sizeof(unsigned);
    unsigned *ids = base_alloc(bytes);
    if (ids == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        ids[i] = memspace->targets[i]->id;
    }
    umf_result_t result = set_placement(params, ids, count, mode, policy);
    base_free(ids, bytes);
    return result;
}

umf_result_t os_params_set_memspace_early(umf_os_memory_provider_params_handle_t params,
                                          memspace_kind_t kind) {
    topology_t *topology = NULL;
    umf_result_t result = topology_read_sysfs(TOPOLOGY_SYSFS_FOLDER, &topology);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const size_t bytes = topology->node_count * sizeof(unsigned);
    unsigned *ids = base_alloc(bytes);
    if (ids == NULL) {
        topology_free(topology);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    const unsigned found = memspace_select(topology, kind, ids);
    const umf_numa_mode_t mode = mode_of_kind(kind);
    if (found == 0) {
        result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    } else {
        result = set_placement(params, ids, used_targets(kind, mode, false, found), mode, NULL);
    }
    base_free(ids, bytes);
    topology_free(topology);
    return result;
}

/* False, with a line in the log, when the machine lacks a target. If its nodes can not be found
 * out, the first allocation will tell. */
static bool targets_exist(const struct umf_memspace_t *memspace) {
    topology_t *topology = topology_acquire();
    bool exist = true;
    for (size_t i = 0; topology != NULL && i < memspace->count && exist; i++) {
        exist = topology_find(topology, memspace->targets[i]->id) >= 0;
        if (!exist) {
            log_error("NUMA node %u of the memspace does not exist on this machine",
                      memspace->targets[i]->id);
        }
    }
    if (topology != NULL) {
        topology_release(topology);
    }
    return exist;
}

UMF_EXPORT umf_result_t umfMemoryProviderCreateFromMemspace(
    umf_const_memspace_handle_t hMemspace, umf_const_mempolicy_handle_t hPolicy,
    umf_memory_provider_handle_t *hProvider) {
    if (!memspace_valid(hMemspace) || hProvider == NULL || !targets_exist(hMemspace)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_os_memory_provider_params_handle_t params;
    umf_result_t result = umfOsMemoryProviderParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = os_params_set_memspace(params, hMemspace, hPolicy);
    if (result == UMF_RESULT_SUCCESS) {
        result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, hProvider);
    }
    umfOsMemoryProviderParamsDestroy(params);
    return result;
}

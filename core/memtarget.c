/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Memtargets: numbers of NUMA nodes; what is asked about them is looked up in the topology. */
#include <umf/experimental/memtarget.h>

#include "core/init.h"
#include "core/log.h"
#include "core/memspace.h"

bool memtarget_valid(umf_const_memtarget_handle_t target) {
    return target != NULL && target->magic == MEMTARGET_MAGIC;
}

UMF_EXPORT umf_result_t umfMemtargetGetType(umf_const_memtarget_handle_t hMemtarget,
                                            umf_memtarget_type_t *type) {
    if (!memtarget_valid(hMemtarget) || type == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *type = hMemtarget->type;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemtargetGetId(umf_const_memtarget_handle_t hMemtarget,
                                          unsigned int *id) {
    if (!memtarget_valid(hMemtarget) || id == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *id = hMemtarget->id;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemtargetGetCapacity(umf_const_memtarget_handle_t hMemtarget,
                                                size_t *capacity) {
    if (!memtarget_valid(hMemtarget) || capacity == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    topology_t *topology = core_is_ready() ? topology_acquire() : NULL;
    if (topology == NULL) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    int place = topology_find(topology, hMemtarget->id);
    if (place >= 0) {
        *capacity = topology->nodes[place].capacity;
    } else {
        log_error("NUMA node %u does not exist on this machine", hMemtarget->id);
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    topology_release(topology);
    return result;
}

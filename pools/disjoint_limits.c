/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Shared limits: one budget for the empty slabs of several disjoint pools. Counted references keep
 * it alive as long as a pool or a parameter object uses it, whatever the order in which the user
 * destroys them. */
#include "core/base_alloc.h"
#include "pools/disjoint.h"

struct umf_disjoint_pool_shared_limits_t {
    size_t max;            /* bytes */
    _Atomic(size_t) total; /* bytes of empty slabs kept now, in all pools; <= max */
    _Atomic(size_t) references;
};

UMF_EXPORT umf_result_t umfDisjointPoolSharedLimitsCreate(
    size_t MaxSize, umf_disjoint_pool_shared_limits_handle_t *hSharedLimits) {
    if (hSharedLimits == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_disjoint_pool_shared_limits_t *limits = base_alloc(sizeof(*limits));
    if (limits == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    limits->max = MaxSize;
    store_relaxed(&limits->references, 1);
    *hSharedLimits = limits;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfDisjointPoolSharedLimitsDestroy(umf_disjoint_pool_shared_limits_handle_t hSharedLimits) {
    disjoint_limits_release(hSharedLimits);
    return UMF_RESULT_SUCCESS;
}

struct umf_disjoint_pool_shared_limits_t *
disjoint_limits_reference(struct umf_disjoint_pool_shared_limits_t *limits) {
    if (limits != NULL) {
        fetch_add_relaxed(&limits->references, 1);
    }
    return limits;
}

void disjoint_limits_release(struct umf_disjoint_pool_shared_limits_t *limits) {
    // acq_rel: the last one to leave sees all that the others did before
    if (limits != NULL && fetch_sub_acq_rel(&limits->references, 1) == 1) {
        base_free(limits, sizeof(*limits));
    }
}

bool disjoint_limits_take(struct umf_disjoint_pool_shared_limits_t *limits, size_t bytes) {
    if (limits == NULL) {
        return true;
    }
    size_t total = load_relaxed(&limits->total);
    do {
        if (bytes > limits->max - total) {
            return false;
        }
    } while (!cas_weak_acq_rel(&limits->total, &total, total + bytes));
    return true;
}

void disjoint_limits_give(struct umf_disjoint_pool_shared_limits_t *limits, size_t bytes) {
    if (limits != NULL) {
        fetch_sub_relaxed(&limits->total, bytes);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Mempolicies: what the user wants, kept until a provider is made. */
#include <umf/experimental/mempolicy.h>

#include <limits.h>
#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/memspace.h"

bool mempolicy_valid(umf_const_mempolicy_handle_t policy) {
    return policy != NULL && policy->magic == MEMPOLICY_MAGIC;
}

UMF_EXPORT umf_result_t umfMempolicyCreate(umf_mempolicy_membind_t bind,
                                           umf_mempolicy_handle_t *hPolicy) {
    if (hPolicy == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if ((unsigned)bind > UMF_MEMPOLICY_SPLIT) {
        log_error("memory policy %u is unknown; 0 to %d are allowed", (unsigned)bind,
                  UMF_MEMPOLICY_SPLIT);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_mempolicy_t *policy = base_alloc(sizeof(*policy));
    if (policy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    policy->magic = MEMPOLICY_MAGIC;
    policy->bind = bind;
    *hPolicy = policy;
    return UMF_RESULT_SUCCESS;
}

static void mempolicy_free_partitions(struct umf_mempolicy_t *policy) {
    base_free(policy->partitions, policy->partition_count * sizeof(*policy->partitions));
}

UMF_EXPORT umf_result_t umfMempolicyDestroy(umf_mempolicy_handle_t hPolicy) {
    if (hPolicy == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    if (!mempolicy_valid(hPolicy)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    mempolicy_free_partitions(hPolicy);
    hPolicy->magic = 0;
    base_free(hPolicy, sizeof(*hPolicy));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMempolicySetInterleavePartSize(umf_mempolicy_handle_t hPolicy,
                                                          size_t partSize) {
    if (!mempolicy_valid(hPolicy) || hPolicy->bind != UMF_MEMPOLICY_INTERLEAVE) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hPolicy->part_size = partSize;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMempolicySetCustomSplitPartitions(
    umf_mempolicy_handle_t hPolicy, umf_mempolicy_split_partition_t *partList, size_t partListLen) {
    if (!mempolicy_valid(hPolicy) || hPolicy->bind != UMF_MEMPOLICY_SPLIT ||
        (partList == NULL && partListLen != 0) || partListLen > UINT_MAX) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_mempolicy_split_partition_t *copy = NULL;
    if (partListLen != 0) {
        const size_t bytes = partListLen * sizeof(*copy);
        copy = base_alloc(bytes);
        if (copy == NULL) {
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
        memcpy(copy, partList, bytes);
    }
    mempolicy_free_partitions(hPolicy);
    hPolicy->partitions = copy;
    hPolicy->partition_count = (unsigned)partListLen;
    return UMF_RESULT_SUCCESS;
}

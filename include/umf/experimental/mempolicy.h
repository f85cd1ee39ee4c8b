/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/mempolicy.h
 * How a provider that is made from a memspace (umf/experimental/memspace.h) spreads its memory over
 * the memspace's targets. The provider keeps nothing of the policy, which may be destroyed right
 * after. One policy may be used by one thread at a time.
 */
#ifndef UMF_MEMPOLICY_H
#define UMF_MEMPOLICY_H 1

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A policy; made by umfMempolicyCreate(), owned by the caller. */
typedef struct umf_mempolicy_t *umf_mempolicy_handle_t;
/** A policy that must not be changed. */
typedef const struct umf_mempolicy_t *umf_const_mempolicy_handle_t;

/** How memory is spread. */
typedef enum umf_mempolicy_membind_t {
    /** Pages, or parts of umfMempolicySetInterleavePartSize(), go round the targets. */
    UMF_MEMPOLICY_INTERLEAVE = 0,
    /** Pages come from the targets and from nowhere else: of those that have free memory, the one
     * nearest to the CPU that touches the page first. When all are full, the system ends the
     * program. */
    UMF_MEMPOLICY_BIND = 1,
    /** As BIND as long as the targets have free memory, then from other nodes. */
    UMF_MEMPOLICY_PREFERRED = 2,
    /** Each block is cut into ranges by weight, one per partition. */
    UMF_MEMPOLICY_SPLIT = 3
} umf_mempolicy_membind_t;

/** One share of a block with UMF_MEMPOLICY_SPLIT. */
typedef struct umf_mempolicy_split_partition_t {
    /** Share of the block, relative to the sum of all weights; not 0. */
    unsigned int weight;
    /** Id of the target; one of the memspace that the provider is made from. */
    unsigned int target;
} umf_mempolicy_split_partition_t;

/**
 * Makes a policy: INTERLEAVE by pages, or SPLIT in equal shares, unless it is changed.
 * @param bind    [in] how memory is spread
 * @param hPolicy [out] policy, to be given to umfMempolicyDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hPolicy is NULL or bind none of
 *         the constants; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfMempolicyCreate(umf_mempolicy_membind_t bind, umf_mempolicy_handle_t *hPolicy);

/**
 * Deletes a policy. Providers that were made with it are not affected.
 * @param hPolicy [in] policy; NULL is allowed
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hPolicy is no live policy
 */
umf_result_t umfMempolicyDestroy(umf_mempolicy_handle_t hPolicy);

/**
 * Sets how much memory goes to a target before the next one's turn comes.
 * @param hPolicy  [in] policy with UMF_MEMPOLICY_INTERLEAVE
 * @param partSize [in] bytes, rounded up to pages; 0: single pages, placed by the system. A value
 *                 that overflows when rounded is refused when a provider is made
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hPolicy is NULL or has another
 *         kind of binding
 */
umf_result_t umfMempolicySetInterleavePartSize(umf_mempolicy_handle_t hPolicy, size_t partSize);

/**
 * Sets the shares of a block. A page that belongs to several shares may come from any of their
 * targets.
 * @param hPolicy     [in] policy with UMF_MEMPOLICY_SPLIT
 * @param partList    [in] shares in the order of their place in the block, copied; a target may
 *                    come more than once. Weights and targets are checked when a provider is made
 * @param partListLen [in] count of shares; 0 (partList may be NULL then): equal shares again
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hPolicy is NULL or has another
 *         kind of binding, or partList is NULL while there is a length, or the length is above
 *         UINT_MAX; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error the policy is unchanged.
 */
umf_result_t umfMempolicySetCustomSplitPartitions(umf_mempolicy_handle_t hPolicy,
                                                  umf_mempolicy_split_partition_t *partList,
                                                  size_t partListLen);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMPOLICY_H */

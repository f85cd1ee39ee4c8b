/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/memspace_ext.h
 * Additions to memspaces: the fastest memory as seen from the calling thread, and from whichever
 * CPU touches a page first. They are no part of the UMF interface; their functions carry the symbol
 * version UMF_EXT_1.0. All are thread-safe.
 *
 * The values come from the HMAT table of the firmware. A CPU sees the nodes that are local to it;
 * others have no values.
 */
#ifndef UMF_MEMSPACE_EXT_H
#define UMF_MEMSPACE_EXT_H 1

#include <umf/experimental/memspace.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What makes memory fast. */
typedef enum umf_memspace_metric_t {
    UMF_MEMSPACE_METRIC_BANDWIDTH = 0, /**< MiB per second, more is better */
    UMF_MEMSPACE_METRIC_LATENCY = 1    /**< nanoseconds, less is better */
} umf_memspace_metric_t;

/**
 * The nodes that are local to the CPU on which the calling thread runs now, best first. For threads
 * that stay on a CPU or a group of CPUs with common memory; others may move on at any time.
 *
 * Without a policy, umfMemoryProviderCreateFromMemspace() and umfPoolCreateFromMemspace() take
 * memory from the first target as long as it has some, then from other nodes; whoever uses it.
 * Copies do the same.
 *
 * @param metric    [in] what is compared
 * @param hMemspace [out] memspace of the program, to be given to umfMemspaceDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hMemspace is NULL or metric none
 *         of the constants; UMF_RESULT_ERROR_NOT_SUPPORTED: there are no values for this CPU, the
 *         nodes can not be found out, or the library is torn down;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error *hMemspace is unchanged.
 */
umf_result_t umfMemspaceLocalCreate(umf_memspace_metric_t metric, umf_memspace_handle_t *hMemspace);

/**
 * For every group of CPUs its best local node, as umfMemspaceHighestBandwidthGet() and
 * umfMemspaceLowestLatencyGet(), for memory that many threads share: without a policy, each page of
 * a provider or pool comes, when it is touched first, from the target nearest to the CPU that
 * touches it, and from other nodes when the targets are full.
 *
 * @param metric [in] what is compared
 * @return predefined memspace; NULL: metric is none of the constants, there are no values, the
 * nodes can not be found out, or the library is torn down
 */
umf_const_memspace_handle_t umfMemspaceFirstTouchGet(umf_memspace_metric_t metric);

/**
 * Tells the speed of a target as the CPU sees it on which the calling thread runs now.
 * @param hMemtarget [in] memtarget
 * @param metric     [in] what is asked
 * @param value      [out] MiB per second, or nanoseconds
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: a pointer is NULL, metric none of
 *         the constants, or this machine has no such node; UMF_RESULT_ERROR_NOT_SUPPORTED: there is
 *         no value, the nodes can not be found out, or the library is torn down. On an error *value
 *         is unchanged.
 */
umf_result_t umfMemtargetGetMetric(umf_const_memtarget_handle_t hMemtarget,
                                   umf_memspace_metric_t metric, uint64_t *value);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMSPACE_EXT_H */

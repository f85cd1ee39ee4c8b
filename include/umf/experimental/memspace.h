/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/memspace.h
 * Memspaces: ordered sets of memory targets (NUMA nodes), chosen by number, capacity, bandwidth or
 * latency, and providers and pools whose memory comes from them.
 *
 * A memspace that the program made belongs to it; one thread at a time may change it. The
 * predefined ones belong to the library: they are shared, constant, and valid until the library's
 * final tear-down (umfTearDown()). What the machine looks like is found out at the first use of a
 * function that needs it, with the library hwloc, or from /sys where hwloc is not installed; memory
 * that comes or goes later is noticed at the next use.
 *
 * docs/memspaces.md is a guide; what goes beyond this interface is in
 * umf/experimental/memspace_ext.h.
 */
#ifndef UMF_MEMSPACE_H
#define UMF_MEMSPACE_H 1

#include <umf/base.h>
#include <umf/experimental/mempolicy.h>
#include <umf/experimental/memtarget.h>
#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A memspace. */
typedef struct umf_memspace_t *umf_memspace_handle_t;
/** A memspace that must not be changed. */
typedef const struct umf_memspace_t *umf_const_memspace_handle_t;

/**
 * Makes a slab pool (umf/pools/pool_slab.h, default parameters) on a provider as
 * umfMemoryProviderCreateFromMemspace() makes it. The pool owns the provider. Thread-safe.
 * @param hMemspace [in] memspace, not empty; not referred to afterwards
 * @param hPolicy   [in] policy; may be NULL
 * @param hPool     [out] pool, to be given to umfPoolDestroy()
 * @return as umfMemoryProviderCreateFromMemspace() and umfPoolCreate()
 */
umf_result_t umfPoolCreateFromMemspace(umf_const_memspace_handle_t hMemspace,
                                       umf_const_mempolicy_handle_t hPolicy,
                                       umf_memory_pool_handle_t *hPool);

/**
 * Makes an OS provider (private memory) that is placed on the targets of a memspace, by the policy.
 *
 * Without a policy: memory from umfMemspaceHostAllGet() is not bound, the policy of the process
 * counts; from umfMemspaceHighestCapacityGet() it comes from the first (largest) target only; from
 * every other memspace, copies of these included, it is bound to all targets
 * (UMF_MEMPOLICY_BIND). Memspaces of umf/experimental/memspace_ext.h say what they do.
 *
 * Thread-safe.
 * @param hMemspace [in] memspace, not empty; not referred to afterwards
 * @param hPolicy   [in] policy; may be NULL
 * @param hProvider [out] provider, to be given to umfMemoryProviderDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hMemspace or hProvider is NULL,
 *         the memspace is empty or names a node that this machine does not have, a partition of the
 *         policy has weight 0 or a target that is not in the memspace, or the part size is too
 *         large; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error *hProvider is unchanged.
 */
umf_result_t umfMemoryProviderCreateFromMemspace(umf_const_memspace_handle_t hMemspace,
                                                 umf_const_mempolicy_handle_t hPolicy,
                                                 umf_memory_provider_handle_t *hProvider);

/**
 * Makes a memspace from numbers of NUMA nodes. They are not compared with the nodes of the machine
 * here. A number that comes again is left out, with a line in the log.
 * @param nodeIds   [in] numbers of nodes, in the order wanted; copied
 * @param numIds    [in] count of numbers, not 0
 * @param hMemspace [out] memspace, to be given to umfMemspaceDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: a pointer is NULL or the count 0;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error *hMemspace is unchanged.
 */
umf_result_t umfMemspaceCreateFromNumaArray(unsigned int *nodeIds, size_t numIds,
                                            umf_memspace_handle_t *hMemspace);

/**
 * Deletes a memspace that the program made, and its targets.
 * @param hMemspace [in] memspace
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hMemspace is NULL, predefined, or
 *         no live memspace
 */
umf_result_t umfMemspaceDestroy(umf_memspace_handle_t hMemspace);

/**
 * All NUMA nodes of the machine that this process may use. Thread-safe.
 * @return predefined memspace; NULL: the nodes can not be found out, or the library is torn down
 */
umf_const_memspace_handle_t umfMemspaceHostAllGet(void);

/**
 * All NUMA nodes, those with the largest capacity first. Thread-safe.
 * @return as umfMemspaceHostAllGet()
 */
umf_const_memspace_handle_t umfMemspaceHighestCapacityGet(void);

/**
 * For every group of CPUs the local node with the highest bandwidth, in the order of the groups,
 * each node once. Needs the values that firmware gives in its HMAT table. Thread-safe.
 * @return predefined memspace; NULL: no values, the nodes can not be found out, or the library is
 *         torn down
 */
umf_const_memspace_handle_t umfMemspaceHighestBandwidthGet(void);

/**
 * For every group of CPUs the local node with the lowest latency, otherwise as
 * umfMemspaceHighestBandwidthGet(). Thread-safe.
 */
umf_const_memspace_handle_t umfMemspaceLowestLatencyGet(void);

/**
 * Makes an empty memspace.
 * @param hMemspace [out] memspace, to be given to umfMemspaceDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: hMemspace is NULL;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfMemspaceNew(umf_memspace_handle_t *hMemspace);

/**
 * Counts the targets of a memspace.
 * @param hMemspace [in] memspace; NULL has none
 */
size_t umfMemspaceMemtargetNum(umf_const_memspace_handle_t hMemspace);

/**
 * Gives one target of a memspace.
 * @param hMemspace [in] memspace
 * @param targetNum [in] its place, from 0
 * @return target that belongs to the memspace; NULL: hMemspace is NULL or has no such place
 */
umf_const_memtarget_handle_t umfMemspaceMemtargetGet(umf_const_memspace_handle_t hMemspace,
                                                     unsigned int targetNum);

/**
 * Appends a copy of a target.
 * @param hMemspace  [in] memspace that the program made
 * @param hMemtarget [in] target of any memspace
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, the memspace
 *         is predefined, has this target already, or targets of another type;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error the memspace is unchanged.
 */
umf_result_t umfMemspaceMemtargetAdd(umf_memspace_handle_t hMemspace,
                                     umf_const_memtarget_handle_t hMemtarget);

/**
 * Removes the target that is equal to the given one.
 * @param hMemspace  [in] memspace that the program made
 * @param hMemtarget [in] target of any memspace; a handle from this memspace is dead afterwards
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, the memspace
 *         is predefined or has no such target
 */
umf_result_t umfMemspaceMemtargetRemove(umf_memspace_handle_t hMemspace,
                                        umf_const_memtarget_handle_t hMemtarget);

/**
 * Copies a memspace with all its targets; the copy is never predefined.
 * @param hMemspace    [in] memspace; may be empty
 * @param hNewMemspace [out] copy, to be given to umfMemspaceDestroy()
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY. On an error *hNewMemspace is unchanged.
 */
umf_result_t umfMemspaceClone(umf_const_memspace_handle_t hMemspace,
                              umf_memspace_handle_t *hNewMemspace);

/**
 * Decides about a target for umfMemspaceUserFilter().
 * @return positive: it stays; 0: it goes; negative: the filter fails and nothing changes
 */
typedef int (*umf_memspace_filter_func_t)(umf_const_memspace_handle_t hMemspace,
                                          umf_const_memtarget_handle_t hMemtarget, void *args);

/**
 * Keeps the targets with the given ids. As with all filters the order stays, the memspace may
 * become empty, and after an error it is unchanged.
 * @param hMemspace [in] memspace that the program made
 * @param ids       [in] ids
 * @param size      [in] count of ids, not 0
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT: a pointer is NULL, the count 0, or
 *         the memspace predefined; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
 */
umf_result_t umfMemspaceFilterById(umf_memspace_handle_t hMemspace, unsigned int *ids, size_t size);

/**
 * Keeps the targets of a capacity.
 * @param hMemspace [in] memspace that the program made
 * @param size      [in] bytes that a target must have at least; not negative
 * @return as umfMemspaceFilterById() and umfMemtargetGetCapacity()
 */
umf_result_t umfMemspaceFilterByCapacity(umf_memspace_handle_t hMemspace, int64_t size);

/**
 * Keeps the targets that a function approves. All targets are shown to it, in their order, before
 * the first one is removed; it must not change the memspace.
 * @param hMemspace [in] memspace that the program made
 * @param filter    [in] function
 * @param args      [in] passed on to it
 * @return as umfMemspaceFilterById(); UMF_RESULT_ERROR_USER_SPECIFIC: the function answered with a
 *         negative number
 */
umf_result_t umfMemspaceUserFilter(umf_memspace_handle_t hMemspace,
                                   umf_memspace_filter_func_t filter, void *args);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMSPACE_H */

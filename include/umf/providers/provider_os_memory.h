/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_os_memory.h
 * The OS memory provider: page mappings of the operating system, private or shared with other
 * processes, with control over NUMA placement.
 *
 * A parameter object describes one or more providers: umfMemoryProviderCreate() copies everything
 * out of it. The functions for it are not synchronised: one thread at a time per object. They may
 * be used in static initialisers and finalisers of a program. What goes beyond these parameters is
 * in umf/providers/provider_os_memory_ext.h.
 */
#ifndef UMF_OS_MEMORY_PROVIDER_H
#define UMF_OS_MEMORY_PROVIDER_H 1

#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** First number of ::umf_os_memory_provider_native_error_t. */
#define UMF_OS_RESULTS_START_FROM 1000

/** How memory is placed on NUMA nodes. "The list" is the one of
 * umfOsMemoryProviderParamsSetNumaList(). */
typedef enum umf_numa_mode_t {
    /** No binding: the policy of the process (set_mempolicy) counts. The list must be empty. */
    UMF_NUMA_MODE_DEFAULT = 0,
    /** Pages come from the nodes of the list and from no other. The list must not be empty. */
    UMF_NUMA_MODE_BIND = 1,
    /** Pages, or parts of the part size, go round the nodes of the list, which must not be empty.
     */
    UMF_NUMA_MODE_INTERLEAVE = 2,
    /** Pages come from the nodes of the list as long as these have free memory; with an empty list
     * from the node of the CPU that touches a page first. */
    UMF_NUMA_MODE_PREFERRED = 3,
    /** Each block is cut into ranges by weight, one per partition. The list must not be empty. */
    UMF_NUMA_MODE_SPLIT = 4,
    /** Pages come from the node of the CPU that touches them first. The list must be empty. */
    UMF_NUMA_MODE_LOCAL = 5
} umf_numa_mode_t;

/** One share of a block in ::UMF_NUMA_MODE_SPLIT. */
typedef struct umf_numa_split_partition_t {
    /** Share of the block, relative to the sum of all weights; not 0. */
    unsigned int weight;
    /** Node number; one of the list. */
    unsigned int target;
} umf_numa_split_partition_t;

/** Numbers that umfMemoryProviderGetLastNativeError() gives for an OS provider. The text that comes
 * with them ends with the system's own message where there is one. */
typedef enum umf_os_memory_provider_native_error {
    UMF_OS_RESULT_SUCCESS = UMF_OS_RESULTS_START_FROM, /**< nothing failed on this thread yet */
    UMF_OS_RESULT_ERROR_ALLOC_FAILED,                  /**< the system refused the mapping */
    UMF_OS_RESULT_ERROR_ADDRESS_NOT_ALIGNED,           /**< mapping without the wanted alignment */
    UMF_OS_RESULT_ERROR_BIND_FAILED,                   /**< mbind failed, e.g. an unknown node */
    UMF_OS_RESULT_ERROR_FREE_FAILED,                   /**< the range can not be unmapped */
    UMF_OS_RESULT_ERROR_PURGE_LAZY_FAILED,             /**< lazy purge refused */
    UMF_OS_RESULT_ERROR_PURGE_FORCE_FAILED,            /**< forced purge refused */
    UMF_OS_RESULT_ERROR_TOPO_DISCOVERY_FAILED          /**< the nodes of the machine are unknown */
} umf_os_memory_provider_native_error_t;

/** Parameters of an OS provider. */
typedef struct umf_os_memory_provider_params_t *umf_os_memory_provider_params_handle_t;

/**
 * Makes a parameter object: private, readable and writable memory without binding, named "OS".
 * @param hParams [out] parameter object, to be given to umfOsMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfOsMemoryProviderParamsCreate(umf_os_memory_provider_params_handle_t *hParams);

/**
 * Deletes a parameter object. Providers made from it are not affected.
 * @param hParams [in] parameter object; NULL is allowed
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is no live parameter object.
 */
umf_result_t umfOsMemoryProviderParamsDestroy(umf_os_memory_provider_params_handle_t hParams);

/**
 * Sets how the memory may be accessed.
 * @param hParams    [in] parameter object
 * @param protection [in] bits of ::umf_mem_protection_flag_t; checked when a provider is made
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfOsMemoryProviderParamsSetProtection(umf_os_memory_provider_params_handle_t hParams,
                                                    unsigned int protection);

/**
 * Sets who sees the memory. Shared memory lies in an object of its own: an anonymous one, or the
 * one named by umfOsMemoryProviderParamsSetShmName(). It can not be combined with a NUMA mode.
 * @param hParams    [in] parameter object
 * @param visibility [in] private or shared; checked when a provider is made
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfOsMemoryProviderParamsSetVisibility(umf_os_memory_provider_params_handle_t hParams,
                                                    umf_memory_visibility_t visibility);

/**
 * Sets the name of the POSIX shared-memory object behind shared memory. An object of that name that
 * exists already is unlinked first; the provider unlinks its own one at its end. A process that is
 * forked while the provider lives never uses the parent's object for new memory: its own object has
 * the name with the process id of the parent at the end replaced by the child's, or if there is
 * none, with "." and the child's process id appended; it appears once the child exports memory.
 * @param hParams  [in] parameter object
 * @param shm_name [in] name without '/', at most 253 bytes (checked when a provider is made);
 *                 copied. NULL: an anonymous object
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL;
 *         UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfOsMemoryProviderParamsSetShmName(umf_os_memory_provider_params_handle_t hParams,
                                                 const char *shm_name);

/**
 * Sets the NUMA nodes to use.
 * @param hParams       [in] parameter object
 * @param numa_list     [in] node numbers in the order of use; copied; may be NULL when the length
 *                      is 0. A node that the machine lacks makes allocations fail.
 * @param numa_list_len [in] count of nodes
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, or numa_list is while there is a
 *         length; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfOsMemoryProviderParamsSetNumaList(umf_os_memory_provider_params_handle_t hParams,
                                                  unsigned int *numa_list,
                                                  unsigned int numa_list_len);

/**
 * Sets how the NUMA nodes are used.
 * @param hParams   [in] parameter object
 * @param numa_mode [in] mode; checked together with the list when a provider is made
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfOsMemoryProviderParamsSetNumaMode(umf_os_memory_provider_params_handle_t hParams,
                                                  umf_numa_mode_t numa_mode);

/**
 * Sets how much memory goes to a node before the next one's turn comes in
 * ::UMF_NUMA_MODE_INTERLEAVE.
 * @param hParams   [in] parameter object
 * @param part_size [in] bytes, rounded up to pages; 0 leaves it to the system (single pages)
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfOsMemoryProviderParamsSetPartSize(umf_os_memory_provider_params_handle_t hParams,
                                                  size_t part_size);

/**
 * Sets the shares of ::UMF_NUMA_MODE_SPLIT. A page that belongs to several shares may come from any
 * of their nodes.
 * @param hParams        [in] parameter object
 * @param partitions     [in] shares in the order of their place in the block; copied; may be NULL
 *                       when the length is 0: one of equal weight for each node of the list
 * @param partitions_len [in] count of shares
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, or partitions is while there is a
 *         length; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfOsMemoryProviderParamsSetPartitions(umf_os_memory_provider_params_handle_t hParams,
                                                    umf_numa_split_partition_t *partitions,
                                                    unsigned int partitions_len);

/**
 * Sets the name of providers made from the object.
 * @param hParams [in] parameter object
 * @param name    [in] text; its first 63 bytes are copied
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams or name is NULL.
 */
umf_result_t umfOsMemoryProviderParamsSetName(umf_os_memory_provider_params_handle_t hParams,
                                              const char *name);

/**
 * Operations for umfMemoryProviderCreate(), which needs a parameter object with them.
 * @return table that is valid as long as the library is loaded; never NULL
 */
const umf_memory_provider_ops_t *umfOsMemoryProviderOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_OS_MEMORY_PROVIDER_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Placement of OS providers by memspaces; see os_memspace.c. */
#ifndef UMF_PROVIDERS_OS_MEMSPACE_H
#define UMF_PROVIDERS_OS_MEMSPACE_H

#include <umf/experimental/memspace.h>
#include <umf/providers/provider_os_memory.h>

#include "core/memspace.h"

/* Sets list, mode, part size and partitions of the parameters as
 * umfMemoryProviderCreateFromMemspace() does; other parameters stay. */
umf_result_t os_params_set_memspace(umf_os_memory_provider_params_handle_t params,
                                    umf_const_memspace_handle_t memspace,
                                    umf_const_mempolicy_handle_t policy);

/* The same for a predefined kind without a policy, at the start of a process: the machine is looked
 * up in /sys alone, with system calls; neither hwloc nor malloc nor any shared state is used.
 * NOT_SUPPORTED: this machine does not tell bandwidth and latency, or its nodes. */
umf_result_t os_params_set_memspace_early(umf_os_memory_provider_params_handle_t params,
                                          memspace_kind_t kind);

#endif /* UMF_PROVIDERS_OS_MEMSPACE_H */

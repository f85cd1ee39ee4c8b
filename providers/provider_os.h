/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the proxy needs of the OS provider beyond its operations table. */
#ifndef UMF_PROVIDERS_PROVIDER_OS_H
#define UMF_PROVIDERS_PROVIDER_OS_H

#include <umf/providers/provider_os_memory.h>

#include "core/ctl.h"
#include "core/utils.h"

extern const ctl_table_t os_provider_ctl_table;

/* Shared memory that system calls can use whatever UMF_MEM_FD_FUNC says, as a process's heap must
 * be. */
void os_params_set_plain_memory(umf_os_memory_provider_params_handle_t params);

/*
 * For a process that exits without destroying its provider: removes the name of its shared-memory
 * object, if it has one, from the file system; the memory stays usable. priv: private state of an
 * OS provider (umf_memory_provider_t.priv). Not for a forked child that did not make the object:
 * there it does nothing.
 */
void os_provider_unlink_name(void *priv);

#endif /* UMF_PROVIDERS_PROVIDER_OS_H */

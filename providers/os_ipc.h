/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* IPC of the OS provider's shared memory; see os_ipc.c. */
#ifndef UMF_PROVIDERS_OS_IPC_H
#define UMF_PROVIDERS_OS_IPC_H

#include "providers/os_shared.h"

/* Bytes of the data that describe a block. */
size_t os_ipc_bytes(os_shared_t *shared);
/* Describes the block that begins at ptr. INVALID_ARGUMENT: there is none, or nothing is left that
 * others could open. */
umf_result_t os_ipc_get(os_shared_t *shared, const void *ptr, int protection, void *data);
/* INVALID_ARGUMENT: not data of this process. */
umf_result_t os_ipc_put(const void *data);
/* Says whether foreign data can be such a description, and of how much memory. */
umf_result_t os_ipc_inspect(const void *data, size_t bytes, size_t *mapped);
/* Maps what is described, with the rights in `protection` (PROT_ bits), which the producer must
 * have as well. *error: errno when the result is MEMORY_PROVIDER_SPECIFIC (the mapping failed). */
umf_result_t os_ipc_open(const void *data, int protection, void **ptr, int *error);

#endif /* UMF_PROVIDERS_OS_IPC_H */

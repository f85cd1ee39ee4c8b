/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What the IPC tests share: a provider that counts and can fail, on shared memory of a real OS
 * provider; pools on it; and what a process has open and mapped.
 */
#ifndef UMF_TEST_IPC_FOR_TEST_H
#define UMF_TEST_IPC_FOR_TEST_H

#include <umf.h>
#include <umf/ipc.h>

#include "core/utils.h"

/* All zero is a provider on anonymous shared memory. */
typedef struct ipc_counts {
    _Atomic(size_t) allocs, frees, gets, puts, opens, closes;
    _Atomic(umf_result_t) fail_get, fail_open; /* result of the next calls; SUCCESS: they work */
    _Atomic(useconds_t) open_usecs;            /* an open takes this long */
    _Atomic(size_t) handle_bytes;       /* reported instead of the true size; 0: the true one */
    const char *shm_name;               /* NULL: anonymous */
    umf_memory_provider_handle_t below; /* set at creation */
} ipc_counts_t;

/* Its params are an ipc_counts_t. */
extern const umf_memory_provider_ops_t ipc_counting_ops;

/* A shared OS provider; name NULL: anonymous. */
umf_memory_provider_handle_t ipc_os_provider(const char *name);
/* A proxy pool (every block is a provider allocation) that owns a counting provider. */
umf_memory_pool_handle_t ipc_proxy_pool(ipc_counts_t *counts);
/* A disjoint pool with slabs of slab_bytes that owns a counting provider. */
umf_memory_pool_handle_t ipc_disjoint_pool(ipc_counts_t *counts, size_t slab_bytes);
/* A proxy pool that owns the provider. */
umf_memory_pool_handle_t ipc_pool_on(umf_memory_provider_handle_t provider);

umf_ipc_handler_handle_t ipc_handler(umf_memory_pool_handle_t pool);
/* A copy of a handle's bytes as a consumer has it, in a buffer of exactly that size from malloc. */
void *ipc_received(const void *ptr, size_t *size);

/* Entries of /proc/self/fd (less the one that reads it) and lines of /proc/self/maps that are
 * shared. */
size_t ipc_open_fds(void);
size_t ipc_shared_maps(void);

#endif /* UMF_TEST_IPC_FOR_TEST_H */

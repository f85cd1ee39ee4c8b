/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * LEVEL_ZERO provider, inside:
 *
 *   level_zero_library   the loader and its errors     level_zero_params   what the user wants
 *   level_zero_memory    allocation and free           level_zero_resident residency
 *   level_zero_ipc       other processes               level_zero_process  a provider from nothing
 *   provider_level_zero  creation, questions, operations table
 */
#ifndef UMF_PROVIDERS_PROVIDER_LEVEL_ZERO_H
#define UMF_PROVIDERS_PROVIDER_LEVEL_ZERO_H

#include <umf/providers/provider_level_zero.h>

#include "core/fork.h"
#include "core/lock.h"
#include "providers/block_table.h"
#include "providers/level_zero_api.h"
#include "providers/provider_common.h"

struct umf_level_zero_memory_provider_params_t {
    ze_context_handle_t context;
    ze_device_handle_t device;
    umf_usm_memory_type_t type;
    ze_device_handle_t *resident; /* the caller's array */
    uint32_t resident_count;
    umf_level_zero_memory_provider_free_policy_t policy;
    uint32_t ordinal;
    char name[PROVIDER_NAME_BYTES];
};

/* Devices on which memory is resident, in the user's order. */
typedef struct level_zero_residents {
    ze_device_handle_t *device;
    uint32_t count, capacity;
} level_zero_residents_t;

/* What a live block is, in block_entry_t.what. */
enum {
    LEVEL_ZERO_EXPORTABLE = 1, /* made so that its descriptor can be exported */
    LEVEL_ZERO_IMPORTED = 2,   /* not ours: memory of another process, by its descriptor */
};

typedef struct level_zero_provider {
    ze_context_handle_t context;
    ze_device_handle_t device; /* NULL: host memory */
    umf_usm_memory_type_t type;
    umf_level_zero_memory_provider_free_policy_t policy;
    uint32_t ordinal;
    uint64_t max_allocation;    /* bytes without relaxed limits */
    size_t page_size;           /* smallest, bytes */
    _Atomic(size_t) cache_line; /* bytes; 0: not asked yet */
    _Atomic(int) export_mode;   /* new device blocks are exportable */
    provider_stats_t stats;
    umf_lock_t lock; /* LOCK_RANK_PROVIDER; the two below, and residency calls of the driver */
    level_zero_residents_t residents;
    block_table_t blocks;
    fork_node_t fork;
    char name[PROVIDER_NAME_BYTES];
} level_zero_provider_t;

/* Its CTL nodes; the object is the provider's private state. */
extern const ctl_table_t level_zero_provider_ctl_table;

/* level_zero_memory.c */
umf_result_t level_zero_alloc(void *priv, size_t size, size_t alignment, void **ptr);
umf_result_t level_zero_free(void *priv, void *ptr, size_t size);
/* Asks the driver for a block and gives it back: does the provider work, and what is a page? */
umf_result_t level_zero_probe(level_zero_provider_t *provider);
umf_result_t level_zero_page_size_of(const level_zero_provider_t *provider, const void *ptr,
                                     size_t *bytes);
/* Gives a block back to the driver, whatever it is. */
level_zero_result_t level_zero_driver_free(const level_zero_provider_t *provider, void *ptr);

/* level_zero_resident.c */
umf_result_t level_zero_residents_set(level_zero_residents_t *residents,
                                      ze_device_handle_t const *devices, uint32_t count);
void level_zero_residents_end(level_zero_residents_t *residents);
/* Makes a new block resident on all devices of the list. Lock held, or nobody else there. */
umf_result_t level_zero_residents_apply(const level_zero_provider_t *provider, void *ptr,
                                        size_t size);

/* level_zero_ipc.c */
umf_result_t level_zero_get_ipc_handle_size(void *priv, size_t *size);
umf_result_t level_zero_get_ipc_handle(void *priv, const void *ptr, size_t size, void *data);
umf_result_t level_zero_put_ipc_handle(void *priv, void *data);
umf_result_t level_zero_open_ipc_handle(void *priv, void *data, void **ptr);
umf_result_t level_zero_close_ipc_handle(void *priv, void *ptr, size_t size);

/*
 * A provider from nothing: starts the drivers, takes the device of that number, counted through all
 * drivers, and makes a context, which is kept until the process ends. `name` may be NULL. What is
 * wrong is logged, e.g. how many devices there are.
 */
umf_result_t level_zero_provider_from_nothing(umf_usm_memory_type_t type, unsigned device,
                                              const char *name,
                                              umf_memory_provider_handle_t *provider);

#endif /* UMF_PROVIDERS_PROVIDER_LEVEL_ZERO_H */

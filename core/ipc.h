/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Sharing of memory with other processes, the part that is common to all providers.
 *
 *   ipc.c         the interface, limits
 *   ipc_record    the bytes of a handle
 *   ipc_export    producer: what providers said about allocations, one entry per allocation
 *   ipc_import    consumer: opened mappings
 *   ipc_ctl.c     CTL nodes umf.ipc.*
 *
 * One lock guards both caches; it is held for some list operations, never while a provider works.
 */
#ifndef UMF_CORE_IPC_H
#define UMF_CORE_IPC_H

#include <umf/ipc.h>

#include "core/ipc_record.h"
#include "core/lock.h"
#include "core/map.h"

/* A member of a doubly linked ring. */
typedef struct ipc_link {
    struct ipc_link *next, *before; /* NULL: in no ring */
} ipc_link_t;

enum { IPC_IMPORT_BUCKETS = 256 };

typedef struct ipc_state {
    umf_lock_t lock;                  /* rank LOCK_RANK_IPC; all of the following */
    ipc_link_t exports;               /* every cached one; head of a ring, all zero: empty */
    ipc_link_t exports_idle;          /* those without handles: least recently used first */
    ipc_link_t imports, imports_idle; /* the same for mappings */
    struct ipc_import *import_buckets[IPC_IMPORT_BUCKETS];
    _Atomic(size_t) export_count, import_count; /* written under the lock */
    _Atomic(size_t) export_limit, import_limit; /* 0: none */
    uint64_t next_id;                           /* 0: to be begun */
} ipc_state_t;

/* Limits of the caches in entries, 0: none. They are soft: what is in use is never dropped. A
 * lowered limit works from the next call on. */
void ipc_set_limits(size_t exports, size_t imports);
/* Reads UMF_MAX_OPENED_IPC_HANDLES and UMF_MAX_EXPORTED_IPC_HANDLES; from umfInit. */
void ipc_limits_from_environment(void);

/* In a forked child, with the locks reset. */
void ipc_fork_child(void);

/* Bytes of the provider's data. INVALID_ARGUMENT: more than a handle holds. */
umf_result_t ipc_data_bytes(umf_memory_provider_handle_t provider, size_t *bytes);

/* ---- producer -------------------------------------------------------------------------------- */

/* A handle of the byte at `offset` of a region. */
umf_result_t ipc_export_get(map_region_t *region, size_t offset, umf_ipc_handle_t *handle,
                            size_t *bytes);
umf_result_t ipc_export_put(umf_ipc_handle_t handle);
/* Gives back to the provider what it said about this region: the region goes or changes its size.
 */
void ipc_export_drop(map_region_t *region);
/* The same for all regions of a pool. */
void ipc_export_drop_pool(umf_memory_pool_handle_t pool);
void ipc_export_fork_child(void);

/* ---- consumer -------------------------------------------------------------------------------- */

/* Opens for `handler`, a tracking wrapper. header is from ipc_record_read. */
umf_result_t ipc_import_open(umf_memory_provider_handle_t handler, const ipc_header_t *header,
                             const void *record, void **ptr);
umf_result_t ipc_import_close(void *ptr);
/* Closes all mappings of a handler (private state of the wrapper), which ends. */
void ipc_import_close_all(const void *handler_priv);
void ipc_import_fork_child(void);

/* ---- rings ----------------------------------------------------------------------------------- */

UMF_INLINE bool ipc_ring_empty(const ipc_link_t *ring) {
    return ring->next == NULL || ring->next == ring;
}

UMF_INLINE void ipc_ring_append(ipc_link_t *ring, ipc_link_t *link) {
    if (ring->next == NULL) {
        ring->next = ring->before = ring;
    }
    link->next = ring;
    link->before = ring->before;
    ring->before->next = link;
    ring->before = link;
}

/* No-op for a link that is in no ring. */
UMF_INLINE void ipc_ring_remove(ipc_link_t *link) {
    if (link->next != NULL) {
        link->next->before = link->before;
        link->before->next = link->next;
        link->next = link->before = NULL;
    }
}

#define IPC_OF_LINK(type, member, link) ((type *)((char *)(link)-offsetof(type, member)))

#endif /* UMF_CORE_IPC_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memspaces inside the library: objects, selection rules, names. What makes a provider of them is
 * in providers/os_memspace.h.
 */
#ifndef UMF_CORE_MEMSPACE_H
#define UMF_CORE_MEMSPACE_H

#include <umf/experimental/memspace.h>

#include "core/topology.h"

#define MEMTARGET_MAGIC UINT32_C(0x544d4d55) /* "UMMT" */
#define MEMSPACE_MAGIC UINT32_C(0x534d4d55)  /* "UMMS" */
#define MEMPOLICY_MAGIC UINT32_C(0x504d4d55) /* "UMMP" */

enum { CORE_SLOT_MEMSPACE = 5 }; /* topology_cache.c, memspace_predefined.c */

/* What a memspace holds, by the rule that chose it. In the order of memspace_names. */
typedef enum memspace_kind {
    MEMSPACE_HOST_ALL,
    MEMSPACE_HIGHEST_CAPACITY,
    MEMSPACE_HIGHEST_BANDWIDTH,
    MEMSPACE_LOWEST_LATENCY,
    MEMSPACE_LOCAL_BANDWIDTH, /* (umfMemspaceFirstTouchGet) nodes as HIGHEST_BANDWIDTH; each page
                                 prefers the one that is best for the CPU that touches it */
    MEMSPACE_LOCAL_LATENCY,
    MEMSPACE_KINDS,
    MEMSPACE_USER = MEMSPACE_KINDS, /* the program's own */
    MEMSPACE_RANKED /* the program's own, best target first (umfMemspaceLocalCreate) */
} memspace_kind_t;

struct umf_memtarget_t {
    uint32_t magic;
    umf_memtarget_type_t type;
    unsigned id; /* number of the NUMA node */
};

struct umf_memspace_t {
    uint32_t magic;
    memspace_kind_t kind;
    size_t count, room; /* of targets */
    struct umf_memtarget_t **targets;
    /* Of predefined memspaces, under the cache's lock: snapshot that it was checked against, next
     * one of a list. */
    uint64_t generation;
    struct umf_memspace_t *next;
};

struct umf_mempolicy_t {
    uint32_t magic;
    umf_mempolicy_membind_t bind;
    size_t part_size;                            /* INTERLEAVE: bytes; 0: pages */
    umf_mempolicy_split_partition_t *partitions; /* SPLIT; owned */
    unsigned partition_count;
};

bool memspace_valid(umf_const_memspace_handle_t memspace);
bool memtarget_valid(umf_const_memtarget_handle_t target);
bool mempolicy_valid(umf_const_mempolicy_handle_t policy);

/* A memspace of these nodes, none twice, count > 0; OUT_OF_HOST_MEMORY. */
umf_result_t memspace_make(const unsigned *ids, size_t count, memspace_kind_t kind,
                           struct umf_memspace_t **memspace);
/* Frees a memspace of any kind. */
void memspace_free(struct umf_memspace_t *memspace);

/* ---- selection; ids has room for every node of the topology ---- */

/* Ids of the nodes for a predefined kind, in order. Returns their count; 0: the topology has no
 * values to go by. */
unsigned memspace_select(const topology_t *topology, memspace_kind_t kind, unsigned *ids);
/* Nodes that are local to a CPU and have a value, best first. 0 as above, or there is no such CPU.
 */
unsigned memspace_select_ranked(const topology_t *topology, topology_metric_t metric, unsigned cpu,
                                unsigned *ids);

/* A memspace of the nodes that memspace_select_ranked() gives. NOT_SUPPORTED: none. */
umf_result_t memspace_local_create(const topology_t *topology, topology_metric_t metric,
                                   unsigned cpu, struct umf_memspace_t **memspace);

/* ---- predefined memspaces ---- */

/* NULL as the public getters say. Thread-safe. */
umf_const_memspace_handle_t memspace_predefined(memspace_kind_t kind);
/* At the last tear-down: handles that are out become invalid. */
void memspace_tear_down(void);

/* Names of the predefined kinds for settings, and what they mean in a few words. */
typedef struct memspace_name {
    const char *name;
    const char *meaning;
} memspace_name_t;
extern const memspace_name_t memspace_names[MEMSPACE_KINDS];
/* False: no kind has this name. */
bool memspace_kind_by_name(const char *name, memspace_kind_t *kind);

#endif /* UMF_CORE_MEMSPACE_H */

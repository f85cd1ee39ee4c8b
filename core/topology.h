/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What memory this machine has: a snapshot of its NUMA nodes, their size, the CPUs they are near
 * to, and bandwidth and latency where the firmware tells them (ACPI HMAT).
 *
 * A snapshot is plain data in memory of the base allocator, and never changes. It comes from hwloc
 * (topology_hwloc.c), or from /sys (topology_sysfs.c) where hwloc is not installed and where malloc
 * and dlopen can not be used. Nothing is read before somebody asks.
 */
#ifndef UMF_CORE_TOPOLOGY_H
#define UMF_CORE_TOPOLOGY_H

#include <umf/base.h>

#include "core/utils.h"

enum {
    TOPOLOGY_NODES_MAX = 1024, /* the kernel's limit on x86-64 and arm64 */
    TOPOLOGY_CPUS_MAX = 8192,  /* likewise */
    TOPOLOGY_WORD_BITS = 64,
};

typedef struct topology_cpus {
    uint64_t word[TOPOLOGY_CPUS_MAX / TOPOLOGY_WORD_BITS];
} topology_cpus_t;

typedef enum topology_metric {
    TOPOLOGY_BANDWIDTH, /* MiB/s, more is better */
    TOPOLOGY_LATENCY,   /* ns, less is better */
    TOPOLOGY_METRICS
} topology_metric_t;

#define TOPOLOGY_UNKNOWN UINT64_MAX /* no value of a metric */

typedef struct topology_node {
    unsigned id;          /* number that the system gives it */
    size_t capacity;      /* bytes */
    topology_cpus_t cpus; /* that the node is local to; of a node without CPUs, those of the nodes
                             that it belongs to; may be empty */
} topology_node_t;

typedef struct topology {
    size_t bytes;        /* of this object */
    unsigned references; /* under the lock of the cache (topology.c) */
    uint64_t generation; /* differs between snapshots in the cache */
    bool this_system;    /* false: a description of some other machine (HWLOC_XMLFILE) */
    uint64_t signature;  /* what topology_signature() said before it was read */
    uint64_t *values[TOPOLOGY_METRICS]; /* [initiator * node_count + target], by place in nodes */
    unsigned node_count;
    topology_node_t nodes[];
} topology_t;

/* ---- the cache ---- */

/* The current snapshot, which is made or, after memory was added or removed, made anew where
 * needed; NULL: the nodes can not be found out (the next call tries again). Takes a reference, for
 * topology_release(). Not for fork handlers, nor where malloc can not be used. Thread-safe. */
topology_t *topology_acquire(void);
void topology_release(topology_t *topology);
/* Forgets the snapshot; for tear-down. */
void topology_forget(void);

/* ---- sources; each gives a new snapshot outside of the cache, for topology_free() ---- */

/* With hwloc. DEPENDENCY_UNAVAILABLE: it is not installed, or was not at build time. */
umf_result_t topology_read_hwloc(topology_t **topology);
/* From /sys or from another folder that is laid out like /sys/devices/system/node. Uses system
 * calls and the base allocator only, so that it may run in the first malloc of a process. */
umf_result_t topology_read_sysfs(const char *folder, topology_t **topology);

#define TOPOLOGY_SYSFS_FOLDER "/sys/devices/system/node"

/* Changes when memory or nodes are added or removed. */
uint64_t topology_signature(void);

/* ---- snapshots ---- */

/* All zero, values unknown; NULL: no memory. */
topology_t *topology_new(unsigned node_count);
void topology_free(topology_t *topology);

/* Place of the node, or -1. */
int topology_find(const topology_t *topology, unsigned id);
/* Place of the node whose CPUs are the smallest set that has this one, or -1. */
int topology_initiator(const topology_t *topology, unsigned cpu);

UMF_INLINE uint64_t topology_value(const topology_t *topology, topology_metric_t metric,
                                   unsigned initiator, unsigned target) {
    return topology->values[metric][(size_t)initiator * topology->node_count + target];
}
UMF_INLINE void topology_set_value(topology_t *topology, topology_metric_t metric,
                                   unsigned initiator, unsigned target, uint64_t value) {
    topology->values[metric][(size_t)initiator * topology->node_count + target] = value;
}

/* ---- sets of CPUs ---- */

void topology_cpus_add(topology_cpus_t *set, unsigned cpu); /* too high numbers are left out */
bool topology_cpus_has(const topology_cpus_t *set, unsigned cpu);
void topology_cpus_join(topology_cpus_t *set, const topology_cpus_t *other);
bool topology_cpus_meet(const topology_cpus_t *a, const topology_cpus_t *b);
bool topology_cpus_within(const topology_cpus_t *inner, const topology_cpus_t *outer);
unsigned topology_cpus_count(const topology_cpus_t *set);

#endif /* UMF_CORE_TOPOLOGY_H */

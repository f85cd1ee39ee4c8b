/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Machines that we do not have, for tests of what depends on NUMA nodes and their speed. One table
 * describes them; each can be written as a description for hwloc (HWLOC_XMLFILE) and as a folder
 * that looks like /sys/devices/system/node.
 */
#ifndef UMF_TEST_MACHINES_FOR_TEST_H
#define UMF_TEST_MACHINES_FOR_TEST_H

#include <stdbool.h>
#include <stdint.h>

enum { MACHINE_NODES = 6, MACHINE_CPUS = 4 };

typedef struct machine_node {
    unsigned id;
    unsigned gib;
    unsigned cpus;      /* bit set: CPUs that the node is local to */
    bool far;           /* has no CPUs of its own */
    unsigned bandwidth; /* MiB/s as those CPUs see it; 0: no value */
    unsigned latency;   /* ns; 0: no value */
} machine_node_t;

typedef struct machine {
    const char *name;
    unsigned count;
    machine_node_t node[MACHINE_NODES];
    /* What must be chosen: bits by node id. 0: no values, nothing can be chosen. */
    unsigned highest_bandwidth, lowest_latency;
    unsigned largest; /* id of the node that comes first by capacity */
    /* Ids of the ranked local nodes for each CPU, a decimal digit each; 0: none */
    const char *ranked_bandwidth[MACHINE_CPUS], *ranked_latency[MACHINE_CPUS];
} machine_t;

extern const machine_t machines[];
extern const unsigned machine_count;
const machine_t *machine_by_name(const char *name);

/* Both write into a new folder under /tmp, removed by machine_remove, and return a path that the
 * next call overwrites: of the XML file, of the folder. */
const char *machine_write_xml(const machine_t *machine);
const char *machine_write_sysfs(const machine_t *machine);
void machine_remove(void);

#endif /* UMF_TEST_MACHINES_FOR_TEST_H */

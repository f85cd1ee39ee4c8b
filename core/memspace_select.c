/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Which nodes a memspace holds: pure functions over a snapshot of the machine.
 *
 * Bandwidth and latency depend on who looks. The lookers ("initiators") are the groups of CPUs that
 * the nodes are local to; a group that is made up of smaller ones is left out, since each of its
 * CPUs is in a smaller one that sees more (memory that serves two sockets is local to all their
 * CPUs). An initiator looks at the nodes that share CPUs with it, its local ones; if there are
 * values, but none for its own nodes, the node that it belongs to is taken, so that every CPU has a
 * local node in the memspace. Of equal nodes the first one wins.
 */
#include "core/memspace.h"

#include <string.h>

const memspace_name_t memspace_names[MEMSPACE_KINDS] = {
    [MEMSPACE_HOST_ALL] = {"host_all", "all nodes, not bound"},
    [MEMSPACE_HIGHEST_CAPACITY] = {"highest_capacity", "the largest node"},
    [MEMSPACE_HIGHEST_BANDWIDTH] = {"highest_bandwidth",
                                    "bound to the nodes of highest bandwidth, one per CPU group"},
    [MEMSPACE_LOWEST_LATENCY] = {"lowest_latency",
                                 "bound to the nodes of lowest latency, one per CPU group"},
    [MEMSPACE_LOCAL_BANDWIDTH] = {"local_bandwidth",
                                  "each page on the node of highest bandwidth for the CPU that "
                                  "touches it first, elsewhere when that is full"},
    [MEMSPACE_LOCAL_LATENCY] = {"local_latency",
                                "each page on the node of lowest latency for the CPU that touches "
                                "it first, elsewhere when that is full"},
};

bool memspace_kind_by_name(const char *name, memspace_kind_t *kind) {
    for (int i = 0; name != NULL && i < MEMSPACE_KINDS; i++) {
        if (strcmp(name, memspace_names[i].name) == 0) {
            *kind = (memspace_kind_t)i;
            return true;
        }
    }
    return false;
}

static bool metric_better(topology_metric_t metric, uint64_t a, uint64_t b) {
    if (a == TOPOLOGY_UNKNOWN || b == TOPOLOGY_UNKNOWN) {
        return a != TOPOLOGY_UNKNOWN && b == TOPOLOGY_UNKNOWN;
    }
    return metric == TOPOLOGY_BANDWIDTH ? a > b : a < b;
}

/* What an initiator sees of a node; UNKNOWN also of nodes that are not local to it. */
static uint64_t local_value(const topology_t *topology, topology_metric_t metric,
                            unsigned initiator, unsigned target) {
    return topology_cpus_meet(&topology->nodes[initiator].cpus, &topology->nodes[target].cpus)
               ? topology_value(topology, metric, initiator, target)
               : TOPOLOGY_UNKNOWN;
}

/* The best local node, or -1. */
static int best_node(const topology_t *topology, topology_metric_t metric, unsigned initiator) {
    int best = -1;
    uint64_t best_value = TOPOLOGY_UNKNOWN;
    for (unsigned i = 0; i < topology->node_count; i++) {
        uint64_t value = local_value(topology, metric, initiator, i);
        if (metric_better(metric, value, best_value)) {
            best = (int)i;
            best_value = value;
        }
    }
    return best;
}

/* False for nodes without CPUs, and where smaller sets make up all of the node's CPUs. */
static bool is_initiator(const topology_t *topology, unsigned node) {
    const topology_cpus_t *cpus = &topology->nodes[node].cpus;
    topology_cpus_t parts = {{0}};
    for (unsigned i = 0; i < topology->node_count; i++) {
        const topology_cpus_t *other = &topology->nodes[i].cpus;
        if (topology_cpus_within(other, cpus) && !topology_cpus_within(cpus, other)) {
            topology_cpus_join(&parts, other);
        }
    }
    return !topology_cpus_within(cpus, &parts); // an empty set is within any
}

static unsigned append_once(unsigned *ids, unsigned count, unsigned id) {
    for (unsigned i = 0; i < count; i++) {
        if (ids[i] == id) {
            return count;
        }
    }
    ids[count] = id;
    return count + 1;
}

static unsigned select_best(const topology_t *topology, topology_metric_t metric, unsigned *ids) {
    unsigned count = 0;
    bool any = false;
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (is_initiator(topology, i)) {
            int best = best_node(topology, metric, i);
            any |= best >= 0;
            count = append_once(ids, count, topology->nodes[best >= 0 ? best : (int)i].id);
        }
    }
    return any ? count : 0;
}

/* Insertion sort: stable, and there are few nodes. */
static unsigned select_capacity(const topology_t *topology, unsigned *ids) {
    for (unsigned i = 0; i < topology->node_count; i++) {
        unsigned place = i;
        while (place > 0 && topology->nodes[topology_find(topology, ids[place - 1])].capacity <
                                topology->nodes[i].capacity) {
            ids[place] = ids[place - 1];
            place--;
        }
        ids[place] = topology->nodes[i].id;
    }
    return topology->node_count;
}

static unsigned select_all(const topology_t *topology, unsigned *ids) {
    for (unsigned i = 0; i < topology->node_count; i++) {
        ids[i] = topology->nodes[i].id;
    }
    return topology->node_count;
}

unsigned memspace_select(const topology_t *topology, memspace_kind_t kind, unsigned *ids) {
    switch (kind) {
    case MEMSPACE_HOST_ALL:
        return select_all(topology, ids);
    case MEMSPACE_HIGHEST_CAPACITY:
        return select_capacity(topology, ids);
    case MEMSPACE_HIGHEST_BANDWIDTH:
    case MEMSPACE_LOCAL_BANDWIDTH:
        return select_best(topology, TOPOLOGY_BANDWIDTH, ids);
    case MEMSPACE_LOWEST_LATENCY:
    case MEMSPACE_LOCAL_LATENCY:
        return select_best(topology, TOPOLOGY_LATENCY, ids);
    case MEMSPACE_USER:
    case MEMSPACE_RANKED:
        break;
    }
    return 0;
}

unsigned memspace_select_ranked(const topology_t *topology, topology_metric_t metric, unsigned cpu,
                                unsigned *ids) {
    const int initiator = topology_initiator(topology, cpu);
    unsigned count = 0;
    for (unsigned i = 0; initiator >= 0 && i < topology->node_count; i++) {
        uint64_t value = local_value(topology, metric, (unsigned)initiator, i);
        if (value == TOPOLOGY_UNKNOWN) {
            continue;
        }
        unsigned place = count++;
        while (place > 0 &&
               metric_better(metric, value,
                             topology_value(topology, metric, (unsigned)initiator,
                                            (unsigned)topology_find(topology, ids[place - 1])))) {
            ids[place] = ids[place - 1];
            place--;
        }
        ids[place] = topology->nodes[i].id;
    }
    return count;
}

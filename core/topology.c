/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Snapshots of the machine's memory, and sets of CPUs; see topology.h. */
#include "core/topology.h"

#include <string.h>

#include "core/base_alloc.h"

void topology_cpus_add(topology_cpus_t *set, unsigned cpu) {
    if (cpu < TOPOLOGY_CPUS_MAX) {
        set->word[cpu / TOPOLOGY_WORD_BITS] |= UINT64_C(1) << (cpu % TOPOLOGY_WORD_BITS);
    }
}

bool topology_cpus_has(const topology_cpus_t *set, unsigned cpu) {
    return cpu < TOPOLOGY_CPUS_MAX &&
           (set->word[cpu / TOPOLOGY_WORD_BITS] >> (cpu % TOPOLOGY_WORD_BITS) & 1) != 0;
}

void topology_cpus_join(topology_cpus_t *set, const topology_cpus_t *other) {
    for (size_t i = 0; i < ARRAY_LENGTH(set->word); i++) {
        set->word[i] |= other->word[i];
    }
}

bool topology_cpus_meet(const topology_cpus_t *a, const topology_cpus_t *b) {
    uint64_t common = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(a->word); i++) {
        common |= a->word[i] & b->word[i];
    }
    return common != 0;
}

bool topology_cpus_within(const topology_cpus_t *inner, const topology_cpus_t *outer) {
    uint64_t surplus = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(inner->word); i++) {
        surplus |= inner->word[i] & ~outer->word[i];
    }
    return surplus == 0;
}

unsigned topology_cpus_count(const topology_cpus_t *set) {
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(set->word); i++) {
        count += (unsigned)__builtin_popcountll(set->word[i]);
    }
    return count;
}

topology_t *topology_new(unsigned node_count) {
    const size_t pairs = (size_t)node_count * node_count;
    const size_t bytes = sizeof(topology_t) + node_count * sizeof(topology_node_t) +
                         TOPOLOGY_METRICS * pairs * sizeof(uint64_t);
    if (node_count > TOPOLOGY_NODES_MAX) {
        return NULL;
    }
    topology_t *topology = base_alloc(bytes);
    if (topology == NULL) {
        return NULL;
    }
    topology->bytes = bytes;
    topology->node_count = node_count;
    uint64_t *values = (uint64_t *)(void *)&topology->nodes[node_count];
    for (int metric = 0; metric < TOPOLOGY_METRICS; metric++) {
        topology->values[metric] = values + (size_t)metric * pairs;
    }
    static_assert(TOPOLOGY_UNKNOWN == UINT64_MAX, "set below byte by byte");
    memset(values, 0xff, TOPOLOGY_METRICS * pairs * sizeof(*values));
    return topology;
}

void topology_free(topology_t *topology) {
    if (topology != NULL) {
        base_free(topology, topology->bytes);
    }
}

int topology_find(const topology_t *topology, unsigned id) {
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (topology->nodes[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

int topology_initiator(const topology_t *topology, unsigned cpu) {
    int best = -1;
    unsigned best_count = UINT32_MAX;
    for (unsigned i = 0; i < topology->node_count; i++) {
        if (topology_cpus_has(&topology->nodes[i].cpus, cpu)) {
            unsigned count = topology_cpus_count(&topology->nodes[i].cpus);
            if (count < best_count) {
                best = (int)i;
                best_count = count;
            }
        }
    }
    return best;
}

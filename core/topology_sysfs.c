/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The machine's memory from the kernel's files, /sys/devices/system/node:
 *
 *   online                             list of nodes
 *   nodeN/meminfo, nodeN/cpulist       size, CPUs
 *   nodeN/distance                     to each node of `online`, in that order
 *   nodeN/access1/initiators/nodeM     M holds the CPUs with the best access to N; access0 counts
 *                                      GPUs as well, and is all that older kernels have
 *   …/initiators/read_bandwidth …      MB/s and ns as these CPUs see them, from the HMAT
 *
 * A node without CPUs of its own is local to those of its initiators, else to those of the nearest
 * nodes. Only open, read, access and the base allocator are used.
 */
#define _GNU_SOURCE
#include "core/topology.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/system_call.h"

enum {
    FILE_BYTES = 8192, /* a line of 1024 distances, or a list of 512 separate entries */
    PATH_BYTES = 512,
};

typedef struct sysfs {
    const char *folder;
    char text[FILE_BYTES];
    char path[PATH_BYTES];
    topology_t *topology;
} sysfs_t;

/* Reads FOLDER/nodeN/NAME, or FOLDER/NAME with node -1, into text. */
static bool sysfs_read(sysfs_t *sysfs, int node, const char *name) {
    if (node >= 0) {
        snprintf(sysfs->path, sizeof(sysfs->path), "%s/node%d/%s", sysfs->folder, node, name);
    } else {
        snprintf(sysfs->path, sizeof(sysfs->path), "%s/%s", sysfs->folder, name);
    }
    int fd = open(sysfs->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t length = 0;
    for (ssize_t got = 1; got > 0 && length < sizeof(sysfs->text) - 1; length += (size_t)got) {
        got = read(fd, sysfs->text + length, sizeof(sysfs->text) - 1 - length);
        got = got < 0 ? 0 : got;
    }
    close(fd);
    sysfs->text[length] = '\0';
    return length != 0;
}

/* Reads a decimal number at *at, after blanks, and moves behind it. False: there is none. */
static bool parse_number(const char **at, uint64_t *number) {
    const char *p = *at;
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    const char *first = p;
    uint64_t value = 0;
    while (*p >= '0' && *p <= '9' && value < UINT64_MAX / 16) {
        value = value * 10 + (uint64_t)(*p++ - '0');
    }
    *number = value;
    *at = p;
    return p != first;
}

/* Calls `add` for each number of a list like "0-3,8" that is below `limit`. */
static void parse_list(const char *text, unsigned limit, void (*add)(void *, unsigned),
                       void *context) {
    uint64_t first, last;
    while (parse_number(&text, &first)) {
        last = first;
        if (*text == '-') {
            text++;
            if (!parse_number(&text, &last)) {
                return;
            }
        }
        for (uint64_t i = first; i <= last && i < limit; i++) {
            add(context, (unsigned)i);
        }
        if (*text++ != ',') {
            return;
        }
    }
}

static void add_cpu(void *context, unsigned cpu) {
    topology_cpus_add(context, cpu);
}

typedef struct id_list {
    unsigned count;
    uint16_t id[TOPOLOGY_NODES_MAX];
} id_list_t;

static void add_id(void *context, unsigned id) {
    id_list_t *list = context;
    if (list->count < TOPOLOGY_NODES_MAX) {
        list->id[list->count++] = (uint16_t)id;
    }
}

/* "Node 0 MemTotal:  16384 kB" */
static size_t parse_capacity(const char *text) {
    static const char key[] = "MemTotal:";
    const char *at = strstr(text, key);
    uint64_t kib = 0;
    if (at != NULL) {
        at += sizeof(key) - 1;
        parse_number(&at, &kib);
    }
    return (size_t)kib << 10;
}

/* Nodes, sizes, CPUs. */
static void sysfs_read_nodes(sysfs_t *sysfs, const id_list_t *ids) {
    for (unsigned i = 0; i < ids->count; i++) {
        topology_node_t *node = &sysfs->topology->nodes[i];
        node->id = ids->id[i];
        if (sysfs_read(sysfs, (int)node->id, "meminfo")) {
            node->capacity = parse_capacity(sysfs->text);
        }
        if (sysfs_read(sysfs, (int)node->id, "cpulist")) {
            parse_list(sysfs->text, TOPOLOGY_CPUS_MAX, add_cpu, &node->cpus);
        }
    }
}

/* One file of an access class; TOPOLOGY_UNKNOWN: not there, or 0, which means the same. */
static uint64_t sysfs_read_value(sysfs_t *sysfs, unsigned id, int access_class, const char *name) {
    char file[64];
    uint64_t value = 0;
    snprintf(file, sizeof(file), "access%d/initiators/%s", access_class, name);
    if (sysfs_read(sysfs, (int)id, file)) {
        const char *at = sysfs->text;
        parse_number(&at, &value);
    }
    return value != 0 ? value : TOPOLOGY_UNKNOWN;
}

/* Mean of reading and writing, or what there is of them. */
static uint64_t sysfs_read_metric(sysfs_t *sysfs, unsigned id, int access_class,
                                  topology_metric_t metric) {
    const char *unit = metric == TOPOLOGY_BANDWIDTH ? "bandwidth" : "latency";
    char name[32];
    snprintf(name, sizeof(name), "read_%s", unit);
    uint64_t in = sysfs_read_value(sysfs, id, access_class, name);
    snprintf(name, sizeof(name), "write_%s", unit);
    uint64_t out = sysfs_read_value(sysfs, id, access_class, name);
    if (in == TOPOLOGY_UNKNOWN || out == TOPOLOGY_UNKNOWN) {
        return in == TOPOLOGY_UNKNOWN ? out : in;
    }
    return (in + out) / 2;
}

/* CPUs of the nodes that are linked as initiators of a node in one access class. */
static void sysfs_initiators_of(sysfs_t *sysfs, const topology_cpus_t *own, unsigned id,
                                int access_class, topology_cpus_t *cpus) {
    for (unsigned i = 0; i < sysfs->topology->node_count; i++) {
        snprintf(sysfs->path, sizeof(sysfs->path), "%s/node%u/access%d/initiators/node%u",
                 sysfs->folder, id, access_class, sysfs->topology->nodes[i].id);
        if (sys_access(sysfs->path, F_OK) == 0) {
            topology_cpus_join(cpus, &own[i]);
        }
    }
}

/* CPUs of a node's initiators; returns the access class that counts. */
static int sysfs_initiators(sysfs_t *sysfs, const topology_cpus_t *own, unsigned id,
                            topology_cpus_t *cpus) {
    static const topology_cpus_t none;
    *cpus = none;
    sysfs_initiators_of(sysfs, own, id, 1, cpus);
    if (!topology_cpus_within(cpus, &none)) {
        return 1;
    }
    sysfs_initiators_of(sysfs, own, id, 0, cpus);
    return 0;
}

/* CPUs of the nearest nodes that have some. */
static void sysfs_nearest(sysfs_t *sysfs, const topology_cpus_t *own, unsigned id,
                          topology_cpus_t *cpus) {
    static const topology_cpus_t none;
    if (!sysfs_read(sysfs, (int)id, "distance")) {
        return;
    }
    uint64_t nearest = UINT64_MAX, distance;
    const char *at = sysfs->text;
    for (unsigned i = 0; i < sysfs->topology->node_count && parse_number(&at, &distance); i++) {
        if (topology_cpus_within(&own[i], &none) || distance > nearest) {
            continue;
        }
        if (distance < nearest) {
            *cpus = none;
            nearest = distance;
        }
        topology_cpus_join(cpus, &own[i]);
    }
}

/* The node's values, for every node whose CPUs are among its initiators. */
static void sysfs_spread_values(sysfs_t *sysfs, unsigned target, int access_class,
                                const topology_cpus_t *initiators) {
    static const topology_cpus_t none;
    topology_t *topology = sysfs->topology;
    for (int metric = 0; metric < TOPOLOGY_METRICS; metric++) {
        uint64_t value = sysfs_read_metric(sysfs, topology->nodes[target].id, access_class,
                                           (topology_metric_t)metric);
        for (unsigned i = 0; i < topology->node_count; i++) {
            const topology_cpus_t *cpus = &topology->nodes[i].cpus;
            if (!topology_cpus_within(cpus, &none) && topology_cpus_within(cpus, initiators)) {
                topology_set_value(topology, (topology_metric_t)metric, i, target, value);
            }
        }
    }
}

/* Locality of nodes without CPUs first, since it decides who sees which values. `own` has room for
 * the CPUs that each node has itself, and one more set. */
static void sysfs_read_access(sysfs_t *sysfs, topology_cpus_t *own) {
    static const topology_cpus_t none;
    topology_t *topology = sysfs->topology;
    topology_cpus_t *initiators = own + topology->node_count;
    for (unsigned i = 0; i < topology->node_count; i++) {
        own[i] = topology->nodes[i].cpus;
    }
    for (unsigned i = 0; i < topology->node_count; i++) {
        topology_node_t *node = &topology->nodes[i];
        if (topology_cpus_within(&own[i], &none)) {
            sysfs_initiators(sysfs, own, node->id, &node->cpus);
            if (topology_cpus_within(&node->cpus, &none)) {
                sysfs_nearest(sysfs, own, node->id, &node->cpus);
            }
        }
    }
    for (unsigned i = 0; i < topology->node_count; i++) {
        int access_class = sysfs_initiators(sysfs, own, topology->nodes[i].id, initiators);
        sysfs_spread_values(sysfs, i, access_class, initiators);
    }
}

static umf_result_t sysfs_fill(sysfs_t *sysfs, id_list_t *ids) {
    if (!sysfs_read(sysfs, -1, "online")) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    parse_list(sysfs->text, TOPOLOGY_NODES_MAX, add_id, ids);
    if (ids->count == 0) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    const size_t work_bytes = (ids->count + 1ul) * sizeof(topology_cpus_t);
    topology_cpus_t *work = base_alloc(work_bytes);
    sysfs->topology = topology_new(ids->count);
    if (work == NULL || sysfs->topology == NULL) {
        base_free(work, work_bytes);
        topology_free(sysfs->topology);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    sysfs->topology->this_system = true;
    sysfs_read_nodes(sysfs, ids);
    sysfs_read_access(sysfs, work);
    base_free(work, work_bytes);
    return UMF_RESULT_SUCCESS;
}

typedef struct sysfs_state {
    sysfs_t sysfs;
    id_list_t ids;
} sysfs_state_t;

umf_result_t topology_read_sysfs(const char *folder, topology_t **topology) {
    const int saved_errno = errno;
    sysfs_state_t *state = base_alloc(sizeof(*state));
    if (state == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    state->sysfs.folder = folder;
    umf_result_t result = sysfs_fill(&state->sysfs, &state->ids);
    if (result == UMF_RESULT_SUCCESS) {
        *topology = state->sysfs.topology;
    }
    base_free(state, sizeof(*state));
    errno = saved_errno;
    return result;
}

/* FNV-1a. */
static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

/* Over the list of nodes and the size of each; a balloon or memory that is plugged in changes sizes
 * alone. */
uint64_t topology_signature(void) {
    const int saved_errno = errno;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    sysfs_state_t *state = base_alloc(sizeof(*state));
    if (state == NULL) {
        return hash;
    }
    sysfs_t *sysfs = &state->sysfs;
    sysfs->folder = TOPOLOGY_SYSFS_FOLDER;
    if (sysfs_read(sysfs, -1, "online")) {
        hash = hash_bytes(hash, sysfs->text, strlen(sysfs->text));
        parse_list(sysfs->text, TOPOLOGY_NODES_MAX, add_id, &state->ids);
    }
    for (unsigned i = 0; i < state->ids.count; i++) {
        size_t capacity =
            sysfs_read(sysfs, state->ids.id[i], "meminfo") ? parse_capacity(sysfs->text) : 0;
        hash = hash_bytes(hash, &capacity, sizeof(capacity));
    }
    base_free(state, sizeof(*state));
    errno = saved_errno;
    return hash;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Selection of nodes, on machines of machines_for_test.c: each rule on each machine, once read by
 * hwloc from a description, once read from a folder like /sys.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/memspace.h"
#include "core/state.h"
#include "core/topology.h"
#include "test/unit/machines_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define GIB ((size_t)1 << 30)

typedef enum source { FROM_HWLOC, FROM_SYSFS, SOURCES } source_t;
static const char *const source_names[SOURCES] = {"hwloc", "/sys"};

static topology_t *read_machine(const machine_t *machine, source_t source) {
    topology_t *topology = NULL;
    umf_result_t result;
    if (source == FROM_HWLOC) {
        cr_assert_eq(setenv("HWLOC_XMLFILE", machine_write_xml(machine), 1), 0);
        result = topology_read_hwloc(&topology);
        unsetenv("HWLOC_XMLFILE");
        if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
            cr_skip_test("libhwloc.so.15 is not installed");
        }
    } else {
        result = topology_read_sysfs(machine_write_sysfs(machine), &topology);
    }
    cr_assert_eq(result, OK, "%s by %s: %d", machine->name, source_names[source], (int)result);
    machine_remove();
    return topology;
}

typedef void (*check_t)(const machine_t *machine, const topology_t *topology, const char *where);

static void on_all_machines(check_t check) {
    for (unsigned i = 0; i < machine_count; i++) {
        for (source_t source = FROM_HWLOC; source < SOURCES; source++) {
            char where[64];
            snprintf(where, sizeof(where), "%s by %s", machines[i].name, source_names[source]);
            topology_t *topology = read_machine(&machines[i], source);
            check(&machines[i], topology, where);
            topology_free(topology);
        }
    }
}

static unsigned select_set(const topology_t *topology, memspace_kind_t kind) {
    unsigned ids[MACHINE_NODES], set = 0;
    unsigned count = memspace_select(topology, kind, ids);
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(set >> ids[i] & 1, 0, "node %u comes twice", ids[i]);
        set |= 1u << ids[i];
    }
    return set;
}

static void check_nodes(const machine_t *machine, const topology_t *topology, const char *where) {
    cr_assert_eq(topology->node_count, machine->count, "%s", where);
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *node = &machine->node[i];
        int place = topology_find(topology, node->id);
        cr_assert_geq(place, 0, "%s: node %u", where, node->id);
        cr_assert_eq(topology->nodes[place].capacity, node->gib * GIB, "%s", where);
        for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
            cr_assert_eq(topology_cpus_has(&topology->nodes[place].cpus, cpu),
                         (node->cpus >> cpu & 1) != 0, "%s: node %u cpu %u", where, node->id, cpu);
        }
    }
    cr_assert_eq(topology_find(topology, 99), -1);
}

Test(memspace_select, nodes_sizes_and_cpus_are_read) {
    on_all_machines(check_nodes);
}

static void check_values(const machine_t *machine, const topology_t *topology, const char *where) {
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *node = &machine->node[i];
        for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
            bool sees = (node->cpus >> cpu & 1) != 0;
            unsigned from = (unsigned)topology_initiator(topology, cpu);
            unsigned to = (unsigned)topology_find(topology, node->id);
            cr_assert_eq(topology_value(topology, TOPOLOGY_BANDWIDTH, from, to),
                         sees && node->bandwidth ? node->bandwidth : TOPOLOGY_UNKNOWN,
                         "%s: cpu %u, node %u", where, cpu, node->id);
            cr_assert_eq(topology_value(topology, TOPOLOGY_LATENCY, from, to),
                         sees && node->latency ? node->latency : TOPOLOGY_UNKNOWN,
                         "%s: cpu %u, node %u", where, cpu, node->id);
        }
    }
    cr_assert_eq(topology_initiator(topology, MACHINE_CPUS), -1);
    cr_assert_eq(topology_initiator(topology, UINT32_MAX), -1);
}

Test(memspace_select, bandwidth_and_latency_are_read_as_the_cpus_see_them) {
    on_all_machines(check_values);
}

static void check_host_all(const machine_t *machine, const topology_t *topology,
                           const char *where) {
    unsigned all = 0;
    for (unsigned i = 0; i < machine->count; i++) {
        all |= 1u << machine->node[i].id;
    }
    cr_assert_eq(select_set(topology, MEMSPACE_HOST_ALL), all, "%s", where);
    cr_assert_eq(select_set(topology, MEMSPACE_HIGHEST_CAPACITY), all, "%s", where);
}

Test(memspace_select, host_all_and_highest_capacity_have_all_nodes) {
    on_all_machines(check_host_all);
}

static void check_capacity(const machine_t *machine, const topology_t *topology,
                           const char *where) {
    unsigned ids[MACHINE_NODES];
    unsigned count = memspace_select(topology, MEMSPACE_HIGHEST_CAPACITY, ids);
    cr_assert_eq(ids[0], machine->largest, "%s: %u", where, ids[0]);
    for (unsigned i = 1; i < count; i++) {
        int before = topology_find(topology, ids[i - 1]), here = topology_find(topology, ids[i]);
        size_t more = topology->nodes[before].capacity, less = topology->nodes[here].capacity;
        cr_assert_geq(more, less, "%s", where);
        cr_assert(more > less || before < here, "%s: equal nodes keep their order", where);
    }
}

Test(memspace_select, capacity_falls_and_equal_nodes_keep_their_order) {
    on_all_machines(check_capacity);
}

static void check_best(const machine_t *machine, const topology_t *topology, const char *where) {
    static const memspace_kind_t bandwidth[] = {MEMSPACE_HIGHEST_BANDWIDTH,
                                                MEMSPACE_LOCAL_BANDWIDTH};
    static const memspace_kind_t latency[] = {MEMSPACE_LOWEST_LATENCY, MEMSPACE_LOCAL_LATENCY};
    for (unsigned i = 0; i < 2; i++) {
        unsigned set = select_set(topology, bandwidth[i]);
        cr_assert_eq(set, machine->highest_bandwidth, "%s: 0x%x", where, set);
        set = select_set(topology, latency[i]);
        cr_assert_eq(set, machine->lowest_latency, "%s: 0x%x", where, set);
    }
}

Test(memspace_select, each_cpu_group_gives_its_best_local_node) {
    on_all_machines(check_best);
}

static void check_ranked_list(const topology_t *topology, topology_metric_t metric, unsigned cpu,
                              const char *wanted, const char *where) {
    unsigned ids[MACHINE_NODES];
    char text[MACHINE_NODES + 1] = "";
    unsigned count = memspace_select_ranked(topology, metric, cpu, ids);
    for (unsigned i = 0; i < count; i++) {
        text[i] = (char)('0' + ids[i]);
    }
    // equal nodes come in the order of the topology, which is hwloc's own
    cr_assert_str_eq(text, wanted, "%s: cpu %u", where, cpu);
}

static void check_ranked(const machine_t *machine, const topology_t *topology, const char *where) {
    for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
        check_ranked_list(topology, TOPOLOGY_BANDWIDTH, cpu, machine->ranked_bandwidth[cpu], where);
        check_ranked_list(topology, TOPOLOGY_LATENCY, cpu, machine->ranked_latency[cpu], where);
    }
    check_ranked_list(topology, TOPOLOGY_LATENCY, MACHINE_CPUS, "", where);
}

Test(memspace_select, local_nodes_are_ranked_for_each_cpu) {
    on_all_machines(check_ranked);
}

Test(memspace_select, every_kind_has_a_name_and_is_found_by_it) {
    memspace_kind_t kind;
    for (int i = 0; i < MEMSPACE_KINDS; i++) {
        cr_assert_not_null(memspace_names[i].name);
        cr_assert_not_null(memspace_names[i].meaning);
        cr_assert(memspace_kind_by_name(memspace_names[i].name, &kind));
        cr_assert_eq((int)kind, i);
    }
    cr_assert_not(memspace_kind_by_name("", &kind));
    cr_assert_not(memspace_kind_by_name("host", &kind));
    cr_assert_not(memspace_kind_by_name("host_all ", &kind));
    cr_assert_not(memspace_kind_by_name(NULL, &kind));
}

/* ---- the two sources ---- */

Test(memspace_select, hwloc_and_sys_agree_about_this_machine) {
    topology_t *a = NULL, *b = NULL;
    umf_result_t result = topology_read_hwloc(&a);
    if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        cr_skip_test("libhwloc.so.15 is not installed");
    }
    cr_assert_eq(result, OK);
    cr_assert_eq(topology_read_sysfs(TOPOLOGY_SYSFS_FOLDER, &b), OK);
    cr_assert(a->this_system);
    cr_assert(b->this_system);
    for (unsigned i = 0; i < a->node_count; i++) { // hwloc leaves out what a cgroup forbids
        int place = topology_find(b, a->nodes[i].id);
        cr_assert_geq(place, 0);
        cr_assert_eq(a->nodes[i].capacity, b->nodes[place].capacity);
        cr_assert(topology_cpus_within(&a->nodes[i].cpus, &b->nodes[place].cpus));
    }
    topology_free(a);
    topology_free(b);
}

Test(memspace_select, a_description_is_not_taken_for_this_system) {
    topology_t *topology = read_machine(machine_by_name("hbm"), FROM_HWLOC);
    cr_assert_not(topology->this_system);
    topology_free(topology);
}

Test(memspace_select, a_broken_description_is_an_error_and_leaks_nothing) {
    setenv("HWLOC_XMLFILE", "/dev/null", 1);
    topology_t *topology = NULL;
    const size_t used = load_relaxed(&umf_core_state.base.used_bytes);
    for (int i = 0; i < 3; i++) {
        umf_result_t result = topology_read_hwloc(&topology);
        if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
            cr_skip_test("libhwloc.so.15 is not installed");
        }
        cr_assert_eq(result, UMF_RESULT_ERROR_NOT_SUPPORTED);
        cr_assert_null(topology);
    }
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
}

static void write_text(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

Test(memspace_select, folders_with_nonsense_give_an_error_or_nodes_without_values) {
    static const struct {
        const char *online;
        unsigned nodes; /* 0: error */
    } cases[] = {
        {"", 0},        {"\n", 0},          {"-\n", 0},
        {"x\n", 0},     {"5-\n", 0},        {"5-3\n", 0},
        {"0\n", 1},     {"0-0\n", 1},       {"0,2\n", 2},
        {"3,x\n", 1},   {"0-3\n", 4},       {" 7\n", 1},
        {"1023", 1},    {"1024-2000\n", 0}, {"0-99999999999999999999\n", 1024},
        {"0-1,0-1", 4},
    };
    const size_t used = load_relaxed(&umf_core_state.base.used_bytes);
    char folder[] = "/tmp/umf-sys-XXXXXX", path[64];
    topology_t *topology = NULL;
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(topology_read_sysfs(folder, &topology), UMF_RESULT_ERROR_NOT_SUPPORTED);
    snprintf(path, sizeof(path), "%s/online", folder);
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        write_text(path, cases[i].online);
        errno = 55;
        umf_result_t result = topology_read_sysfs(folder, &topology);
        cr_assert_eq(errno, 55);
        cr_assert_eq(result, cases[i].nodes != 0 ? OK : UMF_RESULT_ERROR_NOT_SUPPORTED, "\"%s\"",
                     cases[i].online);
        if (result == OK) {
            unsigned ids[TOPOLOGY_NODES_MAX];
            cr_assert_eq(topology->node_count, cases[i].nodes, "\"%s\": %u", cases[i].online,
                         topology->node_count);
            cr_assert_eq(memspace_select(topology, MEMSPACE_HIGHEST_BANDWIDTH, ids), 0);
            cr_assert_eq(memspace_select(topology, MEMSPACE_HOST_ALL, ids), cases[i].nodes);
            topology_free(topology);
        }
    }
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), used);
    unlink(path);
    rmdir(folder);
}

Test(memspace_select, far_nodes_without_initiators_belong_to_the_nearest_cpus) {
    char command[512];
    char folder[] = "/tmp/umf-sys-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    snprintf(command, sizeof(command),
             "cd %s && mkdir node0 node1 node2 && echo 0-2 >online && echo 0-1 >node0/cpulist && "
             "echo 2-3 >node1/cpulist && echo >node2/cpulist && echo 28 14 10 >node2/distance",
             folder);
    cr_assert_eq(system(command), 0);
    topology_t *topology = NULL;
    cr_assert_eq(topology_read_sysfs(folder, &topology), OK);
    for (unsigned cpu = 0; cpu < 5; cpu++) {
        cr_assert_eq(topology_cpus_has(&topology->nodes[2].cpus, cpu), cpu == 2 || cpu == 3);
    }
    topology_free(topology);
    snprintf(command, sizeof(command), "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

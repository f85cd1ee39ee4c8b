/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See machines_for_test.h. */
#define _GNU_SOURCE
#include "test/unit/machines_for_test.h"

#include <criterion/criterion.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* clang-format off */
const machine_t machines[] = {
    {"one_node", 1, {{0, 8, 0xf, false, 0, 0}},
     0, 0, 0, {"", "", "", ""}, {"", "", "", ""}},

    {"two_sockets", 2, {{0, 16, 0x3, false, 0, 0}, {1, 32, 0xc, false, 0, 0}},
     0, 0, 1, {"", "", "", ""}, {"", "", "", ""}},

    {"numbers_with_gaps", 3, {{1, 8, 0x1, false, 100, 90}, {4, 8, 0x2, false, 100, 90}, {7, 8, 0xc, false, 100, 90}},
     1 << 1 | 1 << 4 | 1 << 7, 1 << 1 | 1 << 4 | 1 << 7, 1, {"1", "4", "7", "7"}, {"1", "4", "7", "7"}},

    // each socket has fast memory beside the usual one; it is slower to answer
    {"hbm", 4, {{0, 64, 0x3, false, 100, 90}, {1, 64, 0xc, false, 100, 90}, {2, 16, 0x3, true, 400, 110}, {3, 16, 0xc, true, 400, 110}},
     1 << 2 | 1 << 3, 1 << 0 | 1 << 1, 0, {"20", "20", "31", "31"}, {"02", "02", "13", "13"}},

    // large slow memory without CPUs that both sockets are equally far from
    {"cxl", 3, {{0, 64, 0x3, false, 100, 90}, {1, 64, 0xc, false, 110, 80}, {2, 512, 0xf, true, 30, 300}},
     1 << 0 | 1 << 1, 1 << 0 | 1 << 1, 2, {"02", "02", "12", "12"}, {"02", "02", "12", "12"}},

    // two clusters of a socket share fast memory
    {"shared_hbm", 3, {{0, 64, 0x3, false, 50, 80}, {1, 64, 0xc, false, 50, 80}, {2, 16, 0xf, true, 200, 120}},
     1 << 2, 1 << 0 | 1 << 1, 0, {"20", "20", "21", "21"}, {"02", "02", "12", "12"}},

    {"everything", 6, {{0, 64, 0x3, false, 100, 90}, {1, 48, 0xc, false, 100, 90}, {2, 16, 0x3, true, 400, 85}, {3, 16, 0xc, true, 90, 110},
                       {4, 256, 0xf, true, 30, 300}, {5, 512, 0xf, true, 0, 0}},
     1 << 2 | 1 << 1, 1 << 2 | 1 << 1, 5, {"204", "204", "134", "134"}, {"204", "204", "134", "134"}},

    // firmware says nothing of the second socket: it has its own memory
    {"half_told", 2, {{0, 8, 0x3, false, 100, 90}, {1, 8, 0xc, false, 0, 0}},
     1 << 0 | 1 << 1, 1 << 0 | 1 << 1, 0, {"0", "0", "", ""}, {"0", "0", "", ""}},

    {"untold_far_node", 2, {{0, 8, 0xf, false, 100, 90}, {1, 80, 0xf, true, 0, 0}},
     1 << 0, 1 << 0, 1, {"0", "0", "0", "0"}, {"0", "0", "0", "0"}},

    {"only_bandwidth", 2, {{0, 8, 0xf, false, 100, 0}, {1, 8, 0xf, true, 300, 0}},
     1 << 1, 0, 0, {"10", "10", "10", "10"}, {"", "", "", ""}},

    {"ties", 3, {{0, 8, 0xf, false, 100, 90}, {1, 8, 0xf, true, 100, 90}, {2, 8, 0xf, true, 100, 90}},
     1 << 0, 1 << 0, 0, {"012", "012", "012", "012"}, {"012", "012", "012", "012"}},
};
/* clang-format on */

const unsigned machine_count = sizeof(machines) / sizeof(machines[0]);

const machine_t *machine_by_name(const char *name) {
    for (unsigned i = 0; i < machine_count; i++) {
        if (strcmp(machines[i].name, name) == 0) {
            return &machines[i];
        }
    }
    cr_assert(false, "there is no machine %s", name);
    return NULL;
}

static char folder[64];
static char result_path[PATH_MAX];

static void make_folder(void) {
    machine_remove();
    strcpy(folder, "/tmp/umf-machine-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

void machine_remove(void) {
    char command[128];
    if (folder[0] != '\0') {
        snprintf(command, sizeof(command), "rm -rf '%s'", folder);
        cr_assert_eq(system(command), 0);
        folder[0] = '\0';
    }
}

/* ---- hwloc ---- */

static unsigned nodes_near(const machine_t *machine, unsigned cpus) {
    unsigned nodes = 0;
    for (unsigned i = 0; i < machine->count; i++) {
        if ((machine->node[i].cpus & cpus) != 0) {
            nodes |= 1u << machine->node[i].id;
        }
    }
    return nodes;
}

static void xml_sets(FILE *file, unsigned cpus, unsigned nodes) {
    fprintf(file,
            " cpuset=\"0x%x\" complete_cpuset=\"0x%x\" nodeset=\"0x%x\" complete_nodeset=\"0x%x\"",
            cpus, cpus, nodes, nodes);
}

enum { XML_GP_NODE = 100, XML_GP_CPU = 200, XML_GP_GROUP = 300 };

/* The nodes of exactly these CPUs, then the largest smaller groups of CPUs, then single CPUs. */
static void xml_inside(FILE *file, const machine_t *machine, unsigned cpus) {
    unsigned rest = cpus;
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *node = &machine->node[i];
        if (node->cpus == cpus) {
            fprintf(file, "<object type=\"NUMANode\" os_index=\"%u\" gp_index=\"%u\"", node->id,
                    XML_GP_NODE + node->id);
            xml_sets(file, cpus, 1u << node->id);
            fprintf(file, " local_memory=\"%llu\"/>\n", (unsigned long long)node->gib << 30);
        }
    }
    for (unsigned i = 0; i < machine->count; i++) {
        unsigned part = machine->node[i].cpus;
        if (part != cpus && (part & ~rest) == 0) {
            fprintf(file, "<object type=\"Group\" kind=\"10\" subkind=\"0\" gp_index=\"%u\"",
                    XML_GP_GROUP + part);
            xml_sets(file, part, nodes_near(machine, part));
            fprintf(file, ">\n");
            xml_inside(file, machine, part);
            fprintf(file, "</object>\n");
            rest &= ~part;
        }
    }
    for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
        if ((rest >> cpu & 1) != 0) {
            fprintf(file, "<object type=\"PU\" os_index=\"%u\" gp_index=\"%u\"", cpu,
                    XML_GP_CPU + cpu);
            xml_sets(file, 1u << cpu, nodes_near(machine, 1u << cpu));
            fprintf(file, "/>\n");
        }
    }
}

static void xml_values(FILE *file, const machine_t *machine, const char *name, bool bandwidth) {
    fprintf(file, "<memattr name=\"%s\" flags=\"%d\">\n", name, bandwidth ? 5 : 6);
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *node = &machine->node[i];
        unsigned value = bandwidth ? node->bandwidth : node->latency;
        if (value != 0) {
            fprintf(file,
                    "<memattr_value target_obj_gp_index=\"%u\" target_obj_type=\"NUMANode\" "
                    "value=\"%u\" initiator_cpuset=\"0x%x\"/>\n",
                    XML_GP_NODE + node->id, value, node->cpus);
        }
    }
    fprintf(file, "</memattr>\n");
}

const char *machine_write_xml(const machine_t *machine) {
    const unsigned cpus = (1u << MACHINE_CPUS) - 1, nodes = nodes_near(machine, cpus);
    make_folder();
    snprintf(result_path, sizeof(result_path), "%s/machine.xml", folder);
    FILE *file = fopen(result_path, "w");
    cr_assert_not_null(file);
    fprintf(file, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                  "<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n<topology version=\"2.0\">\n"
                  "<object type=\"Machine\" os_index=\"0\" gp_index=\"1\"");
    xml_sets(file, cpus, nodes);
    fprintf(file, " allowed_cpuset=\"0x%x\" allowed_nodeset=\"0x%x\">\n", cpus, nodes);
    xml_inside(file, machine, cpus);
    fprintf(file, "</object>\n");
    xml_values(file, machine, "Bandwidth", true);
    xml_values(file, machine, "Latency", false);
    fprintf(file, "</topology>\n");
    cr_assert_eq(fclose(file), 0);
    return result_path;
}

/* ---- /sys ---- */

/* Writes FOLDER/PATH, making the folders above it. */
__attribute__((format(printf, 2, 3))) static void write_file(const char *text, const char *format,
                                                             ...) {
    char path[PATH_MAX];
    va_list args;
    size_t length = (size_t)snprintf(path, sizeof(path), "%s/", folder);
    va_start(args, format);
    vsnprintf(path + length, sizeof(path) - length, format, args);
    va_end(args);
    for (char *slash = strchr(path + length, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file, "%s", path);
    fputs(text, file);
    cr_assert_eq(fclose(file), 0);
}

/* Numbers of the set bits as "0-1,3\n". */
static const char *list_text(unsigned set) {
    static char text[64];
    size_t length = 0;
    for (unsigned i = 0; i < 32; i++) {
        unsigned last = i;
        if ((set >> i & 1) == 0) {
            continue;
        }
        while (last < 31 && (set >> (last + 1) & 1) != 0) {
            last++;
        }
        length += (size_t)snprintf(text + length, sizeof(text) - length,
                                   last > i ? "%s%u-%u" : "%s%u", length != 0 ? "," : "", i, last);
        i = last;
    }
    snprintf(text + length, sizeof(text) - length, "\n");
    return text;
}

static void sysfs_write_access(const machine_t *machine, const machine_node_t *node) {
    char text[32];
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *from = &machine->node[i];
        if (!from->far && (from->cpus & ~node->cpus) == 0) {
            write_file("", "node%u/access0/initiators/node%u/present", node->id, from->id);
        }
    }
    // read and write differ; their mean is what counts
    if (node->bandwidth != 0) {
        snprintf(text, sizeof(text), "%u\n", node->bandwidth + 10);
        write_file(text, "node%u/access0/initiators/read_bandwidth", node->id);
        snprintf(text, sizeof(text), "%u\n", node->bandwidth - 10);
        write_file(text, "node%u/access0/initiators/write_bandwidth", node->id);
    }
    if (node->latency != 0) {
        snprintf(text, sizeof(text), "%u\n", node->latency);
        write_file(text, "node%u/access0/initiators/read_latency", node->id);
        write_file("0\n", "node%u/access0/initiators/write_latency", node->id);
    }
}

const char *machine_write_sysfs(const machine_t *machine) {
    char text[256];
    make_folder();
    write_file(list_text(nodes_near(machine, (1u << MACHINE_CPUS) - 1)), "online");
    for (unsigned i = 0; i < machine->count; i++) {
        const machine_node_t *node = &machine->node[i];
        snprintf(text, sizeof(text), "Node %u MemTotal:  %12llu kB\nNode %u MemFree:   1000 kB\n",
                 node->id, (unsigned long long)node->gib << 20, node->id);
        write_file(text, "node%u/meminfo", node->id);
        write_file(list_text(node->far ? 0 : node->cpus), "node%u/cpulist", node->id);
        sysfs_write_access(machine, node);
    }
    snprintf(result_path, sizeof(result_path), "%s", folder);
    return result_path;
}

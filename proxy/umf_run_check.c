/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * umf-run --check: what this machine offers to the settings, as a table or as JSON. Everything is
 * asked from the system and from the libraries as the providers would ask; nothing is changed.
 *
 * The report is a list of sections, a section a list of items, an item a list of fields. The JSON
 * has the same names: {"section": [{"field": value}]}.
 */
#define _GNU_SOURCE
#include "proxy/umf_run.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- output ---- */

static bool as_json;
static unsigned sections, items, fields;

static void section(const char *name, const char *title) {
    if (as_json) {
        printf("%s\n  \"%s\": [", sections != 0 ? "\n  ]," : "{", name);
    } else {
        printf("%s%s\n", sections != 0 ? "\n" : "", title);
    }
    sections++;
    items = 0;
}

static void item(void) {
    if (as_json) {
        printf("%s\n    {", items != 0 ? "," : "");
    }
    items++;
    fields = 0;
}

static void item_end(void) {
    fputs(as_json ? "}" : "\n", stdout);
}

static void field_name(const char *name) {
    if (as_json) {
        printf("%s\"%s\": ", fields != 0 ? ", " : "", name);
    } else {
        printf("%s%s%s", fields != 0 ? ", " : "  ", fields != 0 ? name : "",
               fields != 0 ? " " : "");
    }
    fields++;
}

static void field_text(const char *name, const char *value) {
    field_name(name);
    if (!as_json) {
        fputs(value, stdout);
        return;
    }
    putchar('"');
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        if (c == '"' || c == '\\') {
            printf("\\%c", c);
        } else if (c < 0x20) {
            printf("\\u%04x", c);
        } else {
            putchar(c);
        }
    }
    putchar('"');
}

static void field_number(const char *name, unsigned long long value, const char *unit) {
    field_name(name);
    printf("%llu%s%s", value, as_json || unit[0] == '\0' ? "" : " ", as_json ? "" : unit);
}

static void field_bytes(const char *name, unsigned long long bytes) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    unsigned unit = 0;
    if (as_json) {
        field_number(name, bytes, "");
        return;
    }
    while (value >= 1024 && unit + 1 < ARRAY_LENGTH(units)) {
        value /= 1024;
        unit++;
    }
    field_name(name);
    printf("%.*f %s", unit == 0 || value == (double)(long long)value ? 0 : 1, value, units[unit]);
}

static void field_flag(const char *name, bool value) {
    field_name(name);
    fputs(as_json ? (value ? "true" : "false") : (value ? "yes" : "no"), stdout);
}

/* Items of a section that has none. */
static void nothing(const char *text) {
    if (items == 0 && !as_json) {
        printf("  %s\n", text);
    }
}

/* ---- files of the system ---- */

/* The first line of a file; false: there is none. */
__attribute__((format(printf, 3, 4))) static bool read_line(char *text, size_t bytes,
                                                            const char *format, ...) {
    char path[512];
    va_list args;
    va_start(args, format);
    vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    FILE *file = fopen(path, "re");
    bool good = file != NULL && fgets(text, (int)bytes, file) != NULL;
    if (file != NULL) {
        fclose(file);
    }
    if (good) {
        text[strcspn(text, "\n")] = '\0';
    }
    return good;
}

/* Calls `show` with each name in `folder` that begins with `prefix`, numbers in their order. */
static void each_entry(const char *folder, const char *prefix, void (*show)(const char *name)) {
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, versionsort);
    for (int i = 0; i < count; i++) {
        if (strncmp(entries[i]->d_name, prefix, strlen(prefix)) == 0) {
            show(entries[i]->d_name);
        }
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
}

/* ---- NUMA ---- */

#define NODES "/sys/devices/system/node"

static unsigned long long node_memory(const char *node, const char *what) {
    char path[256], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof(path), NODES "/%s/meminfo", node);
    FILE *file = fopen(path, "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *at = strstr(line, what);
        if (at != NULL) {
            kib = strtoull(at + strlen(what), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib * 1024;
}

/* What the firmware (HMAT) says about access from the nearest CPUs. */
static void show_hmat(const char *node) {
    static const struct {
        const char *file, *name, *unit;
    } values[] = {
        {"read_bandwidth", "read_bandwidth_mbps", "MB/s"},
        {"write_bandwidth", "write_bandwidth_mbps", "MB/s"},
        {"read_latency", "read_latency_ns", "ns"},
        {"write_latency", "write_latency_ns", "ns"},
    };
    char text[64];
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++) {
        if (read_line(text, sizeof(text), NODES "/%s/access0/initiators/%s", node,
                      values[i].file)) {
            field_number(values[i].name, strtoull(text, NULL, 10), values[i].unit);
        }
    }
}

static void show_node(const char *name) {
    char text[256];
    if (name[4] < '0' || name[4] > '9') {
        return;
    }
    item();
    field_number("node", strtoull(name + 4, NULL, 10), "");
    field_bytes("size", node_memory(name, "MemTotal:"));
    field_bytes("free", node_memory(name, "MemFree:"));
    if (read_line(text, sizeof(text), NODES "/%s/cpulist", name)) {
        field_text("cpus", text[0] != '\0' ? text : "none");
    }
    if (read_line(text, sizeof(text), NODES "/%s/distance", name)) {
        field_text("distance", text);
    }
    show_hmat(name);
    item_end();
}

/* ---- pages ---- */

#define HUGE_PAGES "/sys/kernel/mm/hugepages"

static void show_huge(const char *name) {
    char all[32] = "0", unused[32] = "0";
    read_line(all, sizeof(all), HUGE_PAGES "/%s/nr_hugepages", name);
    read_line(unused, sizeof(unused), HUGE_PAGES "/%s/free_hugepages", name);
    item();
    field_bytes("size", strtoull(name + strlen("hugepages-"), NULL, 10) * 1024);
    field_number("reserved", strtoull(all, NULL, 10), "");
    field_number("free", strtoull(unused, NULL, 10), "");
    item_end();
}

static void show_transparent(void) {
    char text[128];
    section("transparent_huge_pages", "Transparent huge pages");
    if (read_line(text, sizeof(text), "/sys/kernel/mm/transparent_hugepage/enabled")) {
        char *open = strchr(text, '['), *close = strchr(text, ']');
        if (open != NULL && close != NULL) {
            *close = '\0';
            item();
            field_text("mode", open + 1);
            item_end();
        }
    }
    nothing("none: this kernel has no such pages");
}

/* ---- devices ---- */

#define DAX "/sys/bus/dax/devices"

static void show_dax(const char *name) {
    char path[300], text[64];
    snprintf(path, sizeof(path), "/dev/%s", name);
    item();
    field_text("path", path);
    if (read_line(text, sizeof(text), DAX "/%s/size", name)) {
        field_bytes("size", strtoull(text, NULL, 10));
    }
    if (read_line(text, sizeof(text), DAX "/%s/target_node", name)) {
        field_text("node", text);
    }
    field_flag("accessible", access(path, R_OK | W_OK) == 0);
    item_end();
}

/* A function of a library that is opened for good; NULL: not there. */
static void *function_of(void *library, const char *name) {
    return library != NULL ? dlsym(library, name) : NULL;
}

static void show_cuda(void) {
    enum { NAME_BYTES = 128 };
    section("cuda_devices", "CUDA devices");
    void *library = dlopen("libcuda.so.1", RTLD_LAZY);
    int (*init)(unsigned) = (int (*)(unsigned))function_of(library, "cuInit");
    int (*count_of)(int *) = (int (*)(int *))function_of(library, "cuDeviceGetCount");
    int (*name_of)(char *, int, int) =
        (int (*)(char *, int, int))function_of(library, "cuDeviceGetName");
    int (*total_of)(size_t *, int) =
        (int (*)(size_t *, int))function_of(library, "cuDeviceTotalMem_v2");
    int count = 0;
    bool ready = init != NULL && count_of != NULL && init(0) == 0 && count_of(&count) == 0;
    for (int device = 0; ready && device < count; device++) {
        char name[NAME_BYTES] = "";
        size_t bytes = 0;
        item();
        field_number("device", (unsigned long long)device, "");
        if (name_of != NULL && name_of(name, sizeof(name), device) == 0) {
            field_text("name", name);
        }
        if (total_of != NULL && total_of(&bytes, device) == 0) {
            field_bytes("memory", bytes);
        }
        item_end();
    }
    nothing(library == NULL ? "none: libcuda.so.1 is not installed" : "none");
}

static void show_level_zero(void) {
    enum { DRIVERS = 8 };
    section("level_zero_devices", "Level Zero devices");
    void *library = dlopen("libze_loader.so.1", RTLD_LAZY);
    int (*init)(unsigned) = (int (*)(unsigned))function_of(library, "zeInit");
    int (*drivers_of)(uint32_t *, void **) =
        (int (*)(uint32_t *, void **))function_of(library, "zeDriverGet");
    int (*devices_of)(void *, uint32_t *, void **) =
        (int (*)(void *, uint32_t *, void **))function_of(library, "zeDeviceGet");
    void *drivers[DRIVERS];
    uint32_t count = DRIVERS;
    bool ready = init != NULL && drivers_of != NULL && devices_of != NULL && init(0) == 0 &&
                 drivers_of(&count, drivers) == 0;
    for (uint32_t driver = 0; ready && driver < count && driver < DRIVERS; driver++) {
        uint32_t devices = 0;
        if (devices_of(drivers[driver], &devices, NULL) == 0) {
            item();
            field_number("driver", driver, "");
            field_number("devices", devices, "");
            item_end();
        }
    }
    nothing(library == NULL ? "none: libze_loader.so.1 is not installed" : "none");
}

/* ---- libraries and permissions ---- */

static void show_libraries(void) {
    static const struct {
        const char *file, *use;
    } libraries[] = {
        {"libtbbmalloc.so.2", "pool=scalable"},
        {"libhwloc.so.15", "memory spaces by bandwidth and latency"},
        {"libunwind.so.8", "call stacks of profiles"},
        {"libze_loader.so.1", "Level Zero memory"},
        {"libcuda.so.1", "CUDA memory"},
    };
    section("libraries", "Libraries");
    for (size_t i = 0; i < ARRAY_LENGTH(libraries); i++) {
        item();
        field_text("file", libraries[i].file);
        field_flag("found", dlopen(libraries[i].file, RTLD_LAZY) != NULL);
        field_text("for", libraries[i].use);
        item_end();
    }
}

static void show_permissions(void) {
    char text[64];
    section("permissions", "Sharing memory between processes");
    item();
    bool known = read_line(text, sizeof(text), "/proc/sys/kernel/yama/ptrace_scope");
    int scope = known ? atoi(text) : 0;
    field_text("ptrace_scope", known ? text : "none");
    field_flag("ipc_by_fd", geteuid() == 0 || scope == 0);
    field_flag("shm_writable", access("/dev/shm", W_OK) == 0);
    item_end();
    if (!as_json && scope != 0 && geteuid() != 0) {
        puts("  other processes can take descriptors of this user's programs only with\n"
             "  prctl(PR_SET_PTRACER) or ptrace_scope 0; sharing by name (--shared=shm) works");
    }
}

int run_check(bool json) {
    as_json = json;
    section("numa_nodes", "NUMA nodes");
    each_entry(NODES, "node", show_node);
    nothing("unknown: no " NODES);
    section("huge_pages", "Reserved huge pages");
    each_entry(HUGE_PAGES, "hugepages-", show_huge);
    nothing("none: this kernel has no such pages");
    show_transparent();
    section("dax_devices", "DAX devices");
    each_entry(DAX, "dax", show_dax);
    nothing("none");
    show_level_zero();
    show_cuda();
    show_libraries();
    show_permissions();
    fputs(json ? "\n  ]\n}\n" : "", stdout);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        run_say("the report can not be written");
        return RUN_FAILED;
    }
    return 0;
}

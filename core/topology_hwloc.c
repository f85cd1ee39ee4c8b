/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The machine's memory as hwloc sees it. The library is opened at the first call; what is needed is
 * copied out of its topology, which is deleted at once: nothing of hwloc stays but its code.
 *
 * Discovery is cut down: no PCI or other devices, no Misc objects, and not hwloc's x86 component,
 * which would move the calling thread from CPU to CPU. Packages, groups and caches must stay: a
 * node whose parent is filtered out gets the CPUs of the whole machine. HWLOC_XMLFILE and hwloc's
 * other variables work as always.
 *
 * hwloc.h gives the types only, no symbol is linked. A build without it has just /sys.
 */
#define _GNU_SOURCE
#include "core/topology.h"

#if defined(__has_include)
#if __has_include(<hwloc.h>)
#include <hwloc.h>
#endif
#endif

#if defined(HWLOC_API_VERSION) && HWLOC_API_VERSION >= 0x00020300 /* memory attributes */

#include "core/base_alloc.h"
#include "core/libload.h"
#include "core/log.h"

typedef struct hwloc_functions {
    __typeof__(hwloc_bitmap_next) *bitmap_next;
    __typeof__(hwloc_get_api_version) *get_api_version;
    __typeof__(hwloc_get_nbobjs_by_depth) *get_nbobjs_by_depth;
    __typeof__(hwloc_get_obj_by_depth) *get_obj_by_depth;
    __typeof__(hwloc_memattr_get_value) *memattr_get_value; /* NULL before 2.3 */
    __typeof__(hwloc_topology_destroy) *topology_destroy;
    __typeof__(hwloc_topology_init) *topology_init;
    __typeof__(hwloc_topology_is_thissystem) *topology_is_thissystem;
    __typeof__(hwloc_topology_load) *topology_load;
    __typeof__(hwloc_topology_set_type_filter) *topology_set_type_filter;
    __typeof__(hwloc_topology_set_components) *topology_set_components; /* NULL before 2.1 */
    __typeof__(hwloc_topology_set_flags) *topology_set_flags;
} hwloc_functions_t;

static hwloc_functions_t hwloc;

#define SYMBOL(name, is_optional)                                                                  \
    { "hwloc_" #name, offsetof(hwloc_functions_t, name), is_optional }

static const libload_symbol_t hwloc_symbols[] = {
    SYMBOL(bitmap_next, false),
    SYMBOL(get_api_version, false),
    SYMBOL(get_nbobjs_by_depth, false),
    SYMBOL(get_obj_by_depth, false),
    SYMBOL(memattr_get_value, true),
    SYMBOL(topology_destroy, false),
    SYMBOL(topology_init, false),
    SYMBOL(topology_is_thissystem, false),
    SYMBOL(topology_load, false),
    SYMBOL(topology_set_type_filter, false),
    SYMBOL(topology_set_components, true),
    SYMBOL(topology_set_flags, false),
};

static libload_library_t hwloc_library = {
    .name = "libhwloc.so.15", /* all of hwloc 2.x */
    .symbols = hwloc_symbols,
    .symbol_count = ARRAY_LENGTH(hwloc_symbols),
    .functions = &hwloc,
    .optional = true,
};

/* Says what is not to be looked at. Older versions refuse what they do not know: no harm. */
static void hwloc_limit_discovery(hwloc_topology_t machine) {
    static const hwloc_obj_type_t unwanted[] = {HWLOC_OBJ_BRIDGE, HWLOC_OBJ_PCI_DEVICE,
                                                HWLOC_OBJ_OS_DEVICE, HWLOC_OBJ_MISC};
    for (size_t i = 0; i < ARRAY_LENGTH(unwanted); i++) {
        hwloc.topology_set_type_filter(machine, unwanted[i], HWLOC_TYPE_FILTER_KEEP_NONE);
    }
    if (hwloc.topology_set_components != NULL) {
        hwloc.topology_set_components(machine, HWLOC_TOPOLOGY_COMPONENTS_FLAG_BLACKLIST, "x86");
    }
#if HWLOC_API_VERSION >= 0x00020800
    hwloc.topology_set_flags(machine, HWLOC_TOPOLOGY_FLAG_NO_CPUKINDS);
#endif
}

static void hwloc_copy_cpus(topology_cpus_t *cpus, hwloc_const_bitmap_t set) {
    for (int cpu = hwloc.bitmap_next(set, -1); cpu >= 0 && cpu < TOPOLOGY_CPUS_MAX;
         cpu = hwloc.bitmap_next(set, cpu)) {
        topology_cpus_add(cpus, (unsigned)cpu);
    }
}

static hwloc_obj_t hwloc_node(hwloc_topology_t machine, unsigned place) {
    return hwloc.get_obj_by_depth(machine, HWLOC_TYPE_DEPTH_NUMANODE, place);
}

/* The values that the CPUs of one node see; only nodes with CPUs see any. */
static void hwloc_copy_values(topology_t *topology, hwloc_topology_t machine, unsigned initiator) {
    static const hwloc_memattr_id_t ids[TOPOLOGY_METRICS] = {
        [TOPOLOGY_BANDWIDTH] = HWLOC_MEMATTR_ID_BANDWIDTH,
        [TOPOLOGY_LATENCY] = HWLOC_MEMATTR_ID_LATENCY,
    };
    struct hwloc_location from = {.type = HWLOC_LOCATION_TYPE_CPUSET};
    from.location.cpuset = hwloc_node(machine, initiator)->cpuset;
    for (unsigned target = 0; target < topology->node_count; target++) {
        for (int metric = 0; metric < TOPOLOGY_METRICS; metric++) {
            hwloc_uint64_t value;
            if (hwloc.memattr_get_value(machine, ids[metric], hwloc_node(machine, target), &from, 0,
                                        &value) == 0) {
                topology_set_value(topology, (topology_metric_t)metric, initiator, target, value);
            }
        }
    }
}

static umf_result_t hwloc_copy(hwloc_topology_t machine, topology_t **out) {
    const int count = hwloc.get_nbobjs_by_depth(machine, HWLOC_TYPE_DEPTH_NUMANODE);
    if (count <= 0 || count > TOPOLOGY_NODES_MAX) {
        log_error("hwloc reports %d NUMA nodes; 1 to %d are allowed", count, TOPOLOGY_NODES_MAX);
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    topology_t *topology = topology_new((unsigned)count);
    if (topology == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    topology->this_system = hwloc.topology_is_thissystem(machine) != 0;
    for (unsigned i = 0; i < topology->node_count; i++) {
        hwloc_obj_t node = hwloc_node(machine, i);
        topology->nodes[i].id = node->os_index;
        topology->nodes[i].capacity = (size_t)node->attr->numanode.local_memory;
        hwloc_copy_cpus(&topology->nodes[i].cpus, node->cpuset);
    }
    const topology_cpus_t none = {{0}};
    for (unsigned i = 0; hwloc.memattr_get_value != NULL && i < topology->node_count; i++) {
        if (!topology_cpus_within(&topology->nodes[i].cpus, &none)) {
            hwloc_copy_values(topology, machine, i);
        }
    }
    *out = topology;
    return UMF_RESULT_SUCCESS;
}

umf_result_t topology_read_hwloc(topology_t **topology) {
    umf_result_t result = libload_open(&hwloc_library);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (hwloc.get_api_version() >> 16 != HWLOC_API_VERSION >> 16) {
        log_error("hwloc has API version 0x%x, this library was built for 0x%x",
                  hwloc.get_api_version(), (unsigned)HWLOC_API_VERSION);
        return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    }
    hwloc_topology_t machine;
    if (hwloc.topology_init(&machine) != 0) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    hwloc_limit_discovery(machine);
    if (hwloc.topology_load(machine) != 0) {
        log_error_errno("hwloc can not read the topology of this machine");
        result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    } else {
        result = hwloc_copy(machine, topology);
    }
    hwloc.topology_destroy(machine);
    return result;
}

#else

umf_result_t topology_read_hwloc(topology_t **topology) {
    (void)topology;
    return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
}

#endif

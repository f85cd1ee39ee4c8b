/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* From settings to the provider of the operating system's memory. */
#include "proxy/choose.h"
#include "proxy/heap_file.h"

#include "core/log.h"
#include "providers/os_memspace.h"
#include "providers/provider_os.h"
#include "proxy/shm_sweep.h"

#include <umf.h>
#include <umf/providers/provider_os_memory_ext.h>

enum { SHM_NAME_BYTES = 200 };

static umf_numa_mode_t numa_mode(proxy_numa_mode_t mode) {
    static const umf_numa_mode_t modes[] = {
        [PROXY_NUMA_DEFAULT] = UMF_NUMA_MODE_DEFAULT,
        [PROXY_NUMA_BIND] = UMF_NUMA_MODE_BIND,
        [PROXY_NUMA_INTERLEAVE] = UMF_NUMA_MODE_INTERLEAVE,
        [PROXY_NUMA_PREFERRED] = UMF_NUMA_MODE_PREFERRED,
        [PROXY_NUMA_SPLIT] = UMF_NUMA_MODE_SPLIT,
        [PROXY_NUMA_LOCAL] = UMF_NUMA_MODE_LOCAL,
    };
    return modes[mode];
}

static void set_numa(umf_os_memory_provider_params_handle_t params,
                     const proxy_settings_t *settings) {
    umf_numa_split_partition_t partitions[ARRAY_LENGTH(settings->os.numa_partitions.part)];
    for (unsigned i = 0; i < settings->os.numa_partitions.count; i++) {
        partitions[i].weight = settings->os.numa_partitions.part[i].weight;
        partitions[i].target = settings->os.numa_partitions.part[i].node;
    }
    umfOsMemoryProviderParamsSetNumaMode(params, numa_mode(settings->os.numa_mode));
    umfOsMemoryProviderParamsSetNumaList(
        params, (unsigned *)(uintptr_t)settings->os.numa_nodes.node, settings->os.numa_nodes.count);
    umfOsMemoryProviderParamsSetPartSize(params, settings->os.numa_part_size);
    if (settings->os.numa_partitions.count != 0) {
        umfOsMemoryProviderParamsSetPartitions(params, partitions,
                                               settings->os.numa_partitions.count);
    }
}

static_assert(PROXY_MEMSPACE_HOST_ALL == MEMSPACE_HOST_ALL + 1 &&
                  PROXY_MEMSPACE_LOCAL_LATENCY == MEMSPACE_LOCAL_LATENCY + 1 &&
                  PROXY_MEMSPACE_LOCAL_LATENCY == (int)MEMSPACE_KINDS,
              "one is computed from the other");

/* From /sys: this runs before main, where hwloc is not opened. */
static umf_result_t set_memspace(umf_os_memory_provider_params_handle_t params,
                                 proxy_memspace_t memspace) {
    if (memspace == PROXY_MEMSPACE_NONE) {
        return UMF_RESULT_SUCCESS;
    }
    memspace_kind_t kind = (memspace_kind_t)(memspace - PROXY_MEMSPACE_HOST_ALL);
    umf_result_t result = os_params_set_memspace_early(params, kind);
    if (result == UMF_RESULT_ERROR_NOT_SUPPORTED) {
        log_error("memspace=%s: this machine does not tell %s", memspace_names[kind].name,
                  kind <= MEMSPACE_HIGHEST_CAPACITY
                      ? "its NUMA nodes"
                      : "bandwidth and latency of its memory (no HMAT)");
    }
    return result;
}

static void set_page_size(umf_os_memory_provider_params_handle_t params,
                          const proxy_settings_t *settings) {
    enum { MIB = 1024 * 1024 };
    size_t bytes = settings->os.page_size == PROXY_PAGE_1G ? (size_t)1024 * MIB : (size_t)2 * MIB;
    umf_os_page_policy_t policy = settings->os.page_size == PROXY_PAGE_TRANSPARENT
                                      ? UMF_OS_PAGE_TRANSPARENT
                                  : settings->os.page_strict ? UMF_OS_PAGE_STRICT
                                                             : UMF_OS_PAGE_PREFERRED;
    if (settings->os.page_size != PROXY_PAGE_DEFAULT) {
        umfOsMemoryProviderParamsSetPageSize(params, bytes, policy);
    }
}

umf_result_t choose_provider_os(const proxy_settings_t *settings,
                                umf_memory_provider_handle_t *provider) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_result_t result = umfOsMemoryProviderParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (settings->os.disposition != PROXY_DISPOSITION_PRIVATE) {
        umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
        os_params_set_plain_memory(params);
    }
    if (settings->os.disposition == PROXY_DISPOSITION_SHARED_SHM) {
        char name[SHM_NAME_BYTES] = "";
        const char *given = settings->os.shm_name;
        shm_sweep();
        heap_file_expand(given[0] != '\0' ? given : SHM_NAME_PREFIX "%p", name, sizeof(name));
        umfOsMemoryProviderParamsSetShmName(params, name);
    }
    set_numa(params, settings);
    result = set_memspace(params, settings->os.memspace);
    if (result != UMF_RESULT_SUCCESS) {
        umfOsMemoryProviderParamsDestroy(params);
        return result;
    }
    set_page_size(params, settings);
    umfOsMemoryProviderParamsSetProtection(params, choose_protection(settings->os.protection));
    if (settings->choice.provider_name[0] != '\0') {
        umfOsMemoryProviderParamsSetName(params, settings->choice.provider_name);
    }
    result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, provider);
    umfOsMemoryProviderParamsDestroy(params);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Parameter object of the OS provider. Setters keep values as they come; what makes sense together
 * is decided when a provider is made (provider_os.c). The memory is from the base allocator, so
 * that all of this works before main and after exit.
 */
#include "providers/os_params.h"

#include <string.h>

#include "core/base_alloc.h"
#include "providers/os_shared.h"
#include "providers/provider_os.h"

/* Largest page size of any Linux architecture (powerpc). */
#define OS_PAGE_BYTES_MAX ((size_t)16 << 30)

bool os_params_valid(const struct umf_os_memory_provider_params_t *params) {
    return params != NULL && params->magic == OS_PARAMS_MAGIC;
}

UMF_EXPORT umf_result_t
umfOsMemoryProviderParamsCreate(umf_os_memory_provider_params_handle_t *hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_os_memory_provider_params_handle_t params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params->magic = OS_PARAMS_MAGIC;
    params->protection = UMF_PROTECTION_READ | UMF_PROTECTION_WRITE;
    params->visibility = UMF_MEM_MAP_PRIVATE;
    params->numa_mode = UMF_NUMA_MODE_DEFAULT;
    provider_name_set(&params->name, "OS");
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfOsMemoryProviderParamsDestroy(umf_os_memory_provider_params_handle_t hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    base_free_string(hParams->shm_name);
    base_free(hParams->nodes, hParams->node_count * sizeof(*hParams->nodes));
    base_free(hParams->partitions, hParams->partition_count * sizeof(*hParams->partitions));
    hParams->magic = 0;
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetProtection(
    umf_os_memory_provider_params_handle_t hParams, unsigned int protection) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->protection = protection;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetVisibility(
    umf_os_memory_provider_params_handle_t hParams, umf_memory_visibility_t visibility) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->visibility = visibility;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetShmName(
    umf_os_memory_provider_params_handle_t hParams, const char *shm_name) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    char *copy = NULL;
    if (shm_name != NULL) {
        // One byte more than allowed is enough for the later check to see that it is too long.
        copy = base_strndup(shm_name, OS_SHARED_NAME_MAX + 1);
        if (copy == NULL) {
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
    }
    base_free_string(hParams->shm_name);
    hParams->shm_name = copy;
    return UMF_RESULT_SUCCESS;
}

/* *copy is a copy of `length` items of item_bytes each, NULL for none. */
static umf_result_t params_copy_array(const void *items, unsigned length, size_t item_bytes,
                                      void **copy) {
    *copy = NULL;
    if (length == 0) {
        return UMF_RESULT_SUCCESS;
    }
    if (items == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *copy = base_alloc(length * item_bytes);
    if (*copy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    memcpy(*copy, items, length * item_bytes);
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfOsMemoryProviderParamsSetNumaList(umf_os_memory_provider_params_handle_t hParams,
                                     unsigned int *numa_list, unsigned int numa_list_len) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    void *copy;
    umf_result_t result = params_copy_array(numa_list, numa_list_len, sizeof(*numa_list), &copy);
    if (result == UMF_RESULT_SUCCESS) {
        base_free(hParams->nodes, hParams->node_count * sizeof(*hParams->nodes));
        hParams->nodes = copy;
        hParams->node_count = numa_list_len;
    }
    return result;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetNumaMode(
    umf_os_memory_provider_params_handle_t hParams, umf_numa_mode_t numa_mode) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->numa_mode = numa_mode;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetPartSize(
    umf_os_memory_provider_params_handle_t hParams, size_t part_size) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->part_size = part_size;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetPartitions(
    umf_os_memory_provider_params_handle_t hParams, umf_numa_split_partition_t *partitions,
    unsigned int partitions_len) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    void *copy;
    umf_result_t result = params_copy_array(partitions, partitions_len, sizeof(*partitions), &copy);
    if (result == UMF_RESULT_SUCCESS) {
        base_free(hParams->partitions, hParams->partition_count * sizeof(*hParams->partitions));
        hParams->partitions = copy;
        hParams->partition_count = partitions_len;
    }
    return result;
}

UMF_EXPORT umf_result_t
umfOsMemoryProviderParamsSetName(umf_os_memory_provider_params_handle_t hParams, const char *name) {
    if (!os_params_valid(hParams)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

void os_params_set_plain_memory(umf_os_memory_provider_params_handle_t params) {
    params->plain_memory = true;
}

UMF_EXPORT umf_result_t umfOsMemoryProviderParamsSetPageSize(
    umf_os_memory_provider_params_handle_t hParams, size_t bytes, umf_os_page_policy_t policy) {
    bool policy_known = policy == UMF_OS_PAGE_PREFERRED || policy == UMF_OS_PAGE_TRANSPARENT ||
                        policy == UMF_OS_PAGE_STRICT;
    bool bytes_allowed =
        bytes == 0 || (is_pow2(bytes) && bytes >= base_page_size() && bytes <= OS_PAGE_BYTES_MAX);
    if (!os_params_valid(hParams) || !policy_known || !bytes_allowed) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->page_size = bytes;
    hParams->page_policy = policy;
    return UMF_RESULT_SUCCESS;
}

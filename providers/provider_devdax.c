/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * DEVDAX provider: the coarse block manager over one mapping of a device-DAX character device,
 * which is made whole when the provider is created and can not grow.
 *
 * What the kernel says about the device is in /sys/dev/char/MAJOR:MINOR: `size` is checked against
 * the size asked for, and the mapping is made in units of `align`, since the device refuses
 * anything else. When sysfs says nothing (a container without it), the kernel's answer to the
 * mapping decides alone.
 */
#define _GNU_SOURCE
#include "providers/provider_devdax.h"

#include <umf/providers/provider_devdax_memory.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/provider.h"
#include "providers/coarse_provider.h"
#include "providers/coarse_unshare.h"
#include "providers/file_mmap.h"
#include "providers/path_ipc.h"

enum {
    DEVDAX_PAGE_BYTES = 2 << 20, /* page size that the provider reports */
    DEVDAX_NUMBER_BYTES = 32,    /* a decimal 64-bit number, newline and NUL */
};

static const char devdax_name[] = "DEVDAX";
static const char devdax_prefix[] = "/dev/dax";
static const char devdax_sysfs[] = "/sys/dev/char";

static const char *const devdax_texts[] = {"success", "memory allocation failed",
                                           "allocated address is not aligned",
                                           "memory deallocation failed", "force purging failed"};
static UMF_TLS provider_native_error_t devdax_last_error;

struct umf_devdax_memory_provider_params_t {
    char *path; /* owned */
    size_t size;
    unsigned protection;
    char name[PROVIDER_NAME_BYTES];
};

typedef struct devdax_provider {
    coarse_provider_t common; /* first: see coarse_provider.h */
    char *path;               /* owned */
    int protection;           /* PROT_… */
    dev_t device;
    bool left;     /* a forked child's memory is not the device's any more: no IPC */
    void *base;    /* of the mapping, which begins at offset 0; NULL: none */
    size_t mapped; /* bytes; the size asked for, rounded up to the device's unit */
} devdax_provider_t;

static void devdax_note(umf_devdax_memory_provider_native_error_t code, int error) {
    devdax_last_error.code = (int32_t)(code - UMF_DEVDAX_RESULTS_START_FROM);
    devdax_last_error.error = error;
}

/* ---- Parameters ---- */

UMF_EXPORT umf_result_t umfDevDaxMemoryProviderParamsCreate(
    const char *path, size_t size, umf_devdax_memory_provider_params_handle_t *hParams) {
    if (hParams == NULL || path == NULL || path[0] == '\0') {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_devdax_memory_provider_params_t *params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params->protection = UMF_PROTECTION_READ | UMF_PROTECTION_WRITE;
    provider_name_set(&params->name, devdax_name);
    umf_result_t result = umfDevDaxMemoryProviderParamsSetDeviceDax(params, path, size);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(params, sizeof(*params));
        return result;
    }
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfDevDaxMemoryProviderParamsDestroy(umf_devdax_memory_provider_params_handle_t hParams) {
    if (hParams != NULL) {
        base_free_string(hParams->path);
        base_free(hParams, sizeof(*hParams));
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfDevDaxMemoryProviderParamsSetDeviceDax(
    umf_devdax_memory_provider_params_handle_t hParams, const char *path, size_t size) {
    if (hParams == NULL || path == NULL || path[0] == '\0') {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    char *copy = base_strndup(path, SIZE_MAX);
    if (copy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    base_free_string(hParams->path);
    hParams->path = copy;
    hParams->size = size;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfDevDaxMemoryProviderParamsSetProtection(
    umf_devdax_memory_provider_params_handle_t hParams, unsigned protection) {
    int flags;
    if (hParams == NULL || protection == 0 ||
        provider_protection(protection, &flags) != UMF_RESULT_SUCCESS) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->protection = protection;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfDevDaxMemoryProviderParamsSetName(
    umf_devdax_memory_provider_params_handle_t hParams, const char *name) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

/* ---- sysfs ---- */

/* Reads a decimal number from DIRECTORY/MAJOR:MINOR/ATTRIBUTE; false when there is none. */
static bool sysfs_number(const char *directory, dev_t device, const char *attribute, size_t *out) {
    char path[PATH_MAX], text[DEVDAX_NUMBER_BYTES];
    int length = snprintf(path, sizeof(path), "%s/%u:%u/%s", directory, major(device),
                          minor(device), attribute);
    if (length < 0 || (size_t)length >= sizeof(path)) {
        return false;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0 || text[0] < '0' || text[0] > '9') {
        return false;
    }
    text[got] = '\0';
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || (*end != '\0' && *end != '\n')) {
        return false;
    }
    *out = (size_t)number;
    return true;
}

size_t devdax_unit(const char *directory, dev_t device) {
    size_t unit;
    return sysfs_number(directory, device, "align", &unit) && is_pow2(unit) ? unit
                                                                            : DEVDAX_PAGE_BYTES;
}

umf_result_t devdax_mapping_size(const char *directory, dev_t device, size_t size, size_t *mapped) {
    size_t available, unit = devdax_unit(directory, device);
    bool known = sysfs_number(directory, device, "size", &available);
    if (!align_up_checked(size, unit, mapped) || (known && *mapped > available)) {
        if (known) {
            log_error("the DAX device has %zu bytes in units of %zu, %zu were asked for", available,
                      unit, size);
        }
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- Start and end ---- */

/* Maps the device, which is open as fd. */
static umf_result_t devdax_map(devdax_provider_t *devdax, int fd, size_t size) {
    struct stat info;
    if (fstat(fd, &info) != 0 || !S_ISCHR(info.st_mode)) {
        log_error("%s is no character device", devdax->path);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t mapped;
    umf_result_t result = devdax_mapping_size(devdax_sysfs, info.st_rdev, size, &mapped);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    file_mmap_request_t request = {.fd = fd,
                                   .size = mapped,
                                   .alignment = base_page_size(), // the device aligns by itself
                                   .protection = devdax->protection,
                                   .shared = true};
    bool synced = false;
    void *base = file_mmap(&request, &synced);
    if (base == NULL) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_ALLOC_FAILED, errno);
        log_error_errno("%zu bytes of %s can not be mapped", mapped, devdax->path);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    devdax->device = info.st_rdev;
    devdax->base = base;
    devdax->mapped = mapped;
    if (!synced) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_ALLOC_FAILED, EOPNOTSUPP);
        log_error("%s can not be mapped with MAP_SYNC: it is no DAX device", devdax->path);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    return UMF_RESULT_SUCCESS;
}

/* Checks the parameters, opens the device and maps it; the mapping needs no descriptor
 * afterwards. */
static umf_result_t devdax_set_up(devdax_provider_t *devdax,
                                  const struct umf_devdax_memory_provider_params_t *params) {
    if (params->size == 0) {
        log_error("size 0 was given for %.64s; at least 1 byte is needed", params->path);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (strncmp(params->path, devdax_prefix, sizeof(devdax_prefix) - 1) != 0 ||
        strlen(params->path) >= PATH_MAX) {
        log_error(
            "%.64s is no DAX device: its path must begin with %s and be shorter than %d bytes",
            params->path, devdax_prefix, PATH_MAX);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = provider_protection(params->protection, &devdax->protection);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    devdax->path = base_strndup(params->path, PATH_MAX);
    if (devdax->path == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    int fd = open(devdax->path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        log_error_errno("%s can not be opened", devdax->path);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    result = devdax_map(devdax, fd, params->size);
    close(fd);
    return result;
}

/* Takes a half-made provider as well. */
static umf_result_t devdax_finalize(void *provider) {
    devdax_provider_t *devdax = provider;
    coarse_destroy(devdax->common.coarse);
    if (devdax->base != NULL && munmap(devdax->base, devdax->mapped) != 0) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_FREE_FAILED, errno);
        log_error_errno("%s could not be unmapped", devdax->path);
    }
    base_free_string(devdax->path);
    base_free(devdax, sizeof(*devdax));
    return UMF_RESULT_SUCCESS;
}

static const provider_extension_t devdax_extension;

static umf_result_t devdax_initialize(const void *params, void **provider) {
    static provider_extension_entry_t extension = {devdax_initialize, &devdax_extension, NULL};
    static _Atomic(bool) registered;
    if (!exchange_acq_rel(&registered, true)) {
        provider_extension_register(&extension);
    }
    const struct umf_devdax_memory_provider_params_t *given = params;
    if (given == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    devdax_provider_t *devdax = base_alloc(sizeof(*devdax));
    if (devdax == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    provider_name_set(&devdax->common.name, given->name);
    devdax->common.page_size = DEVDAX_PAGE_BYTES;
    umf_result_t result = devdax_set_up(devdax, given);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    coarse_config_t config = {.page_size = DEVDAX_PAGE_BYTES};
    result = coarse_create(&config, &devdax->common.coarse);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    // Only what was asked for is handed out, even when the device's unit made the mapping larger.
    coarse_range_t range = {.base = devdax->base, .size = given->size};
    result = coarse_add_range(devdax->common.coarse, &range);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    *provider = devdax;
    return UMF_RESULT_SUCCESS;
fail:
    devdax_finalize(devdax);
    return result;
}

/* ---- Operations ---- */

static umf_result_t devdax_get_last_native_error(void *provider, const char **message,
                                                 int32_t *error) {
    (void)provider;
    if (message == NULL || error == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    provider_native_error_get(&devdax_last_error, devdax_texts, message);
    *error = UMF_DEVDAX_RESULTS_START_FROM + devdax_last_error.code;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t devdax_get_name(void *provider, const char **name) {
    return coarse_provider_name(provider, devdax_name, name);
}

static umf_result_t devdax_purge_force(void *provider, void *ptr, size_t size) {
    int error = coarse_provider_purge(provider, ptr, size);
    if (error != 0) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_PURGE_FORCE_FAILED, error);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- CTL ---- */

static umf_result_t serve_path(const ctl_call_t *call, ctl_value_t *value) {
    provider_ctl_text(value, ((const devdax_provider_t *)call->object)->path);
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t ctl_nodes[] = {
    {"params.path", UMF_CTL_STRING, CTL_R, serve_path, 0, "The device.", 0, 0},
};

const ctl_table_t devdax_provider_ctl_table = {ctl_nodes, ARRAY_LENGTH(ctl_nodes),
                                               &coarse_provider_ctl_table, 0};

static umf_result_t devdax_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                               void *arg, size_t size, umf_ctl_query_type_t type, va_list args) {
    return ctl_serve(&devdax_provider_ctl_table, provider, source, name, arg, size, type, args);
}

/* ---- IPC ---- */

void *devdax_map_part(int fd, size_t unit, uint64_t offset, uint64_t size, int protection,
                      bool need_dax) {
    unit = unit < DEVDAX_PAGE_BYTES ? DEVDAX_PAGE_BYTES : unit;
    const uint64_t first = align_down(offset, unit);
    bool synced = false;
    file_mmap_request_t request = {.fd = fd,
                                   .offset = (off_t)first,
                                   .size = align_up(offset + size, unit) - first,
                                   .alignment = unit,
                                   .protection = protection,
                                   .shared = true};
    char *base = file_mmap(&request, &synced);
    if (base != NULL && need_dax && !synced) {
        munmap(base, request.size);
        errno = EOPNOTSUPP;
        base = NULL;
    }
    return base != NULL ? base + (offset - first) : NULL;
}

/* The unit is not known here. Devices refuse to unmap parts of a unit, so the attempt with a
 * smaller one than the true one changes nothing. */
int devdax_unmap_part(void *ptr, size_t size) {
    static const size_t units[] = {DEVDAX_PAGE_BYTES, (size_t)1 << 30};
    int failed = -1;
    for (size_t i = 0; i < ARRAY_LENGTH(units) && failed != 0; i++) {
        const uintptr_t first = align_down((uintptr_t)ptr, units[i]);
        const uintptr_t end = align_up((uintptr_t)ptr + size, units[i]);
        failed = munmap((void *)first, end - first);
        if (failed != 0 && errno != EINVAL) {
            break;
        }
    }
    return failed;
}

static umf_result_t devdax_get_ipc_handle_size(void *provider, size_t *size) {
    (void)provider;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = sizeof(path_ipc_t);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t devdax_get_ipc_handle(void *provider, const void *ptr, size_t size,
                                          void *data) {
    devdax_provider_t *devdax = provider;
    coarse_block_info_t info;
    (void)size; // a whole block is described
    if (ptr == NULL || data == NULL || devdax->left ||
        coarse_lookup(devdax->common.coarse, ptr, &info) != UMF_RESULT_SUCCESS) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const struct stat status = {.st_mode = S_IFCHR, .st_rdev = devdax->device};
    path_ipc_fill(data, PATH_IPC_DEVICE, devdax->path, (uintptr_t)ptr - (uintptr_t)devdax->base,
                  info.size, devdax->protection);
    ((path_ipc_t *)data)->identity = path_ipc_identity(&status);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t devdax_put_ipc_handle(void *provider, void *data) {
    const devdax_provider_t *devdax = provider;
    return data != NULL && path_ipc_valid(data, sizeof(path_ipc_t), PATH_IPC_DEVICE) &&
                   strcmp(((path_ipc_t *)data)->path, devdax->path) == 0
               ? UMF_RESULT_SUCCESS
               : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

/* provider_extension_t.ipc_inspect */
static umf_result_t devdax_ipc_inspect(const void *data, size_t bytes, size_t *mapped) {
    if (!path_ipc_valid(data, bytes, PATH_IPC_DEVICE) ||
        strncmp(data, devdax_prefix, sizeof(devdax_prefix) - 1) != 0) {
        log_error("the IPC data are not those of a DEVDAX provider's block");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *mapped = ((const path_ipc_t *)data)->size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t devdax_open_ipc_handle(void *provider, void *data, void **ptr) {
    const devdax_provider_t *devdax = provider;
    const path_ipc_t *block = data;
    struct stat status;
    size_t mapped;
    if (data == NULL || ptr == NULL ||
        devdax_ipc_inspect(data, sizeof(*block), &mapped) != UMF_RESULT_SUCCESS ||
        !provider_rights_suffice(block->protection, devdax->protection)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int fd = path_ipc_open(block, PROT_WRITE);
    if (fd < 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    void *base = NULL;
    errno = EINVAL;
    if (fstat(fd, &status) == 0) {
        base = devdax_map_part(fd, devdax_unit(devdax_sysfs, status.st_rdev), block->offset,
                               block->size, devdax->protection, true);
    }
    int saved_errno = errno;
    close(fd);
    if (base == NULL) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_ALLOC_FAILED, saved_errno);
        return saved_errno == EOPNOTSUPP ? UMF_RESULT_ERROR_UNKNOWN
                                         : UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    *ptr = base;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t devdax_close_ipc_handle(void *provider, void *ptr, size_t size) {
    (void)provider;
    if (ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (devdax_unmap_part(ptr, size) != 0) {
        devdax_note(UMF_DEVDAX_RESULT_ERROR_FREE_FAILED, errno);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- Forked children: see provider_extension_t ---- */

static bool devdax_shared_on_fork(void *provider) {
    (void)provider;
    return true;
}

/* There is no second device: the child goes on with ordinary memory. */
static umf_result_t devdax_fork_child_unshare(void *provider, void *ptr, size_t size) {
    (void)ptr, (void)size; // all of it
    devdax_provider_t *devdax = provider;
    devdax->left = true;
    return coarse_unshare_private(devdax->common.coarse, devdax->protection);
}

static const provider_extension_t devdax_extension = {
    .fork_child_unshare = devdax_fork_child_unshare,
    .shared_on_fork = devdax_shared_on_fork,
    .ipc_inspect = devdax_ipc_inspect,
};

static const umf_memory_provider_ops_t devdax_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = devdax_initialize,
    .finalize = devdax_finalize,
    .alloc = coarse_provider_alloc,
    .free = coarse_provider_free,
    .get_last_native_error = devdax_get_last_native_error,
    .get_recommended_page_size = coarse_provider_recommended_page_size,
    .get_min_page_size = coarse_provider_min_page_size,
    .get_name = devdax_get_name,
    .ext_purge_force = devdax_purge_force,
    .ext_allocation_merge = coarse_provider_merge,
    .ext_allocation_split = coarse_provider_split,
    .ext_get_ipc_handle_size = devdax_get_ipc_handle_size,
    .ext_get_ipc_handle = devdax_get_ipc_handle,
    .ext_put_ipc_handle = devdax_put_ipc_handle,
    .ext_open_ipc_handle = devdax_open_ipc_handle,
    .ext_close_ipc_handle = devdax_close_ipc_handle,
    .ext_ctl = devdax_ctl,
    .get_cache_line_size = coarse_provider_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfDevDaxMemoryProviderOps(void) {
    return &devdax_ops;
}

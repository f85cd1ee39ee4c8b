/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * FILE provider: the coarse block manager over mappings of one regular file.
 *
 *   file      [ first growth | second growth |   third growth   | ...
 *   memory      range A         range B          range C              each at its own address
 *
 * A block's place in the file is its range's place (the range's tag) plus its distance from the
 * range's base: alignment moves the address of a range only, never the offset.
 *
 * Growth comes in steps that double from 2 to 64 MiB, or what one request needs, whichever is more.
 * Blocks of the file system are reserved before the memory is mapped: a full file system is an
 * error of the allocation, not a SIGBUS at some later store. When there is not enough for a step,
 * the request alone is tried, and what was added for nothing is cut off again.
 *
 * Mappings and the file's size only ever grow while the provider lives; freed blocks go back to the
 * manager.
 */
#define _GNU_SOURCE
#include "providers/provider_file.h"

#include <umf/providers/provider_file_memory.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/provider.h"
#include "core/system_call.h"
#include "providers/coarse_provider.h"
#include "providers/coarse_unshare.h"
#include "providers/file_mmap.h"
#include "providers/path_ipc.h"

enum {
    FILE_FIRST_BYTES = 2 << 20, /* size of the file of a new provider; also the page of FS-DAX */
    FILE_STEP_MAX_BYTES =
        64 << 20, /* growth stops doubling here: more would bind disk for nothing */
    FILE_RESERVE_BYTES =
        4 << 20, /* one call to the file system: short enough to get done between signals */
    FILE_RESERVE_MIN_BYTES = 64 << 10,
};

static const char file_name[] = "FILE";

static const char *const file_texts[] = {"success", "memory allocation failed",
                                         "memory deallocation failed", "force purging failed"};
static UMF_TLS provider_native_error_t file_last_error;

struct umf_file_memory_provider_params_t {
    char *path; /* owned */
    unsigned protection;
    umf_memory_visibility_t visibility;
    char name[PROVIDER_NAME_BYTES];
};

typedef struct file_provider {
    coarse_provider_t common; /* first: see coarse_provider.h */
    char *path;               /* owned; absolute */
    int fd;                   /* -1: none */
    int protection;           /* PROT_… */
    bool shared;
    bool dax;     /* MAP_SYNC is granted */
    off_t mapped; /* bytes of the file that are mapped, from its start; under the manager's lock */
} file_provider_t;

/* Notes the thread's native error. */
static void file_note(umf_file_memory_provider_native_error_t code, int error) {
    file_last_error.code = (int32_t)(code - UMF_FILE_RESULTS_START_FROM);
    file_last_error.error = error;
}

/* ---- Parameters ---- */

UMF_EXPORT umf_result_t umfFileMemoryProviderParamsCreate(
    const char *path, umf_file_memory_provider_params_handle_t *hParams) {
    if (hParams == NULL || path == NULL || path[0] == '\0') {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_file_memory_provider_params_t *params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params->protection = UMF_PROTECTION_READ | UMF_PROTECTION_WRITE;
    params->visibility = UMF_MEM_MAP_PRIVATE;
    provider_name_set(&params->name, file_name);
    umf_result_t result = umfFileMemoryProviderParamsSetPath(params, path);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(params, sizeof(*params));
        return result;
    }
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfFileMemoryProviderParamsDestroy(umf_file_memory_provider_params_handle_t hParams) {
    if (hParams != NULL) {
        base_free_string(hParams->path);
        base_free(hParams, sizeof(*hParams));
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFileMemoryProviderParamsSetPath(
    umf_file_memory_provider_params_handle_t hParams, const char *path) {
    if (hParams == NULL || path == NULL || path[0] == '\0') {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    char *copy = base_strndup(path, SIZE_MAX);
    if (copy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    base_free_string(hParams->path);
    hParams->path = copy;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFileMemoryProviderParamsSetProtection(
    umf_file_memory_provider_params_handle_t hParams, unsigned protection) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->protection = protection;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFileMemoryProviderParamsSetVisibility(
    umf_file_memory_provider_params_handle_t hParams, umf_memory_visibility_t visibility) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->visibility = visibility;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFileMemoryProviderParamsSetName(
    umf_file_memory_provider_params_handle_t hParams, const char *name) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider_name_set(&hParams->name, name);
}

/* ---- Growth ---- */

/* 0, or EFBIG when the process may not have a file of `size` bytes. The kernel would say so with
 * SIGXFSZ, which kills the process. */
static int file_check_limit(off_t size) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (rlim_t)size > limit.rlim_cur) {
        return EFBIG;
    }
    return 0;
}

/* 0, or ENOSPC when the file system surely has no room for `bytes` more: spares filling it up in
 * vain. */
static int file_check_space(int fd, off_t bytes) {
    struct statvfs fs;
    // f_blocks is 0 on a tmpfs without a limit
    if (bytes <= 0 || fstatvfs(fd, &fs) != 0 || fs.f_blocks == 0) {
        return 0;
    }
    uint64_t room = sys_geteuid() == 0 ? fs.f_bfree : fs.f_bavail;
    if (mul_overflow(room, (uint64_t)fs.f_frsize, &room)) {
        return 0;
    }
    return (uint64_t)bytes > room ? ENOSPC : 0;
}

/* Gives the file real blocks in [from, to); returns 0 or an errno value. */
static int file_reserve_blocks(int fd, off_t from, off_t to) {
    off_t piece = FILE_RESERVE_BYTES;
    while (from < to) {
        off_t length = to - from < piece ? to - from : piece;
        int error = posix_fallocate(fd, from, length);
        if (error == 0) {
            from += length;
        } else if (error != EINTR) {
            return error;
        } else if (piece > FILE_RESERVE_MIN_BYTES) {
            piece /= 2; // signals come faster than this much is done
        }
    }
    return 0;
}

/* Makes sure that `bytes` more of the file can be mapped; returns 0 or an errno value, the file
 * then is as before. */
static int file_extend(file_provider_t *file, size_t bytes) {
    struct stat before;
    off_t end;
    if (add_overflow(file->mapped, bytes, &end)) {
        return EFBIG;
    }
    if (fstat(file->fd, &before) != 0) {
        return errno;
    }
    if (before.st_size < file->mapped) {
        log_error("file %s was cut to %lld of its %lld bytes by somebody else", file->path,
                  (long long)before.st_size, (long long)file->mapped);
        return EIO;
    }
    int error = file_check_limit(end);
    if (error == 0) {
        error = file_check_space(file->fd, end - before.st_size);
    }
    if (error != 0) {
        return error;
    }
    error = file_reserve_blocks(file->fd, file->mapped, end);
    if (error != 0 && end > before.st_size && ftruncate(file->fd, before.st_size) != 0) {
        log_error_errno("file %s could not be cut back to %lld bytes", file->path,
                        (long long)before.st_size);
    }
    return error;
}

/* Extends and maps the file by `bytes`. */
static umf_result_t file_grow_by(file_provider_t *file, size_t bytes, size_t alignment,
                                 coarse_range_t *range) {
    int error = file_extend(file, bytes);
    if (error != 0) {
        file_note(UMF_FILE_RESULT_ERROR_ALLOC_FAILED, error);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    file_mmap_request_t request = {.fd = file->fd,
                                   .offset = file->mapped,
                                   .size = bytes,
                                   .alignment = alignment,
                                   .protection = file->protection,
                                   .shared = file->shared};
    void *base = file_mmap(&request, NULL);
    if (base == NULL) {
        // The file keeps its size: the next growth begins at the same place.
        file_note(UMF_FILE_RESULT_ERROR_ALLOC_FAILED, errno);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    *range = (coarse_range_t){.base = base, .size = bytes, .tag = (uint64_t)file->mapped};
    file->mapped += (off_t)bytes;
    return UMF_RESULT_SUCCESS;
}

/* coarse_grow_t */
static umf_result_t file_grow(void *owner, size_t size, size_t alignment, coarse_range_t *range) {
    file_provider_t *file = owner;
    size_t step = (size_t)file->mapped;
    if (step > FILE_STEP_MAX_BYTES) {
        step = FILE_STEP_MAX_BYTES;
    }
    if (step < size) {
        step = size;
    }
    if (!align_up_checked(step, FILE_FIRST_BYTES, &step)) {
        step = size;
    }
    umf_result_t result = file_grow_by(file, step, alignment, range);
    if (result != UMF_RESULT_SUCCESS && step > size) {
        result = file_grow_by(file, size, alignment, range);
    }
    if (result != UMF_RESULT_SUCCESS) {
        errno = file_last_error.error;
        log_error_errno("file %s could not grow by %zu bytes", file->path, size);
    }
    return result;
}

/* coarse_release_t */
static void file_release(void *owner, const coarse_range_t *range) {
    file_provider_t *file = owner;
    if (munmap(range->base, range->size) != 0) {
        file_note(UMF_FILE_RESULT_ERROR_FREE_FAILED, errno);
        log_error_errno("%zu bytes of file %s could not be unmapped", range->size, file->path);
    }
}

/* ---- Start and end ---- */

/* A copy of path that does not depend on the working directory; NULL: no memory. */
static char *file_absolute_path(const char *path) {
    char buffer[PATH_MAX];
    size_t length = strlen(path);
    if (path[0] == '/' || getcwd(buffer, sizeof(buffer)) == NULL || buffer[0] != '/') {
        return base_strndup(path, length);
    }
    size_t directory = strlen(buffer);
    char *absolute = base_alloc(directory + 1 + length + 1);
    if (absolute != NULL) {
        memcpy(absolute, buffer, directory);
        absolute[directory] = '/';
        memcpy(absolute + directory + 1, path, length);
    }
    return absolute;
}

/* Opens the file and gives it its first size. */
static umf_result_t file_open(file_provider_t *file, const char *path) {
    file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        log_error_errno("file %s can not be opened for reading and writing", path);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct stat before;
    if (fstat(file->fd, &before) == 0 && before.st_size > FILE_FIRST_BYTES) {
        log_warning("file %s is cut from %lld to %d bytes", path, (long long)before.st_size,
                    FILE_FIRST_BYTES);
    }
    errno = file_check_limit(FILE_FIRST_BYTES);
    if (errno != 0 || ftruncate(file->fd, FILE_FIRST_BYTES) != 0) {
        log_error_errno("the size of file %s can not be set to %d bytes", path, FILE_FIRST_BYTES);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    return UMF_RESULT_SUCCESS;
}

/* A trial mapping tells whether the file is on FS-DAX. When it fails, so will the first
 * allocation. */
static bool file_is_dax(const file_provider_t *file) {
    bool synced = false;
    if (file->shared) {
        file_mmap_request_t request = {.fd = file->fd,
                                       .size = FILE_FIRST_BYTES,
                                       .alignment = base_page_size(),
                                       .protection = file->protection,
                                       .shared = true};
        void *trial = file_mmap(&request, &synced);
        if (trial != NULL) {
            munmap(trial, FILE_FIRST_BYTES);
        }
    }
    return synced;
}

/* Takes a half-made provider as well. */
static umf_result_t file_finalize(void *provider) {
    file_provider_t *file = provider;
    coarse_destroy(file->common.coarse);
    if (file->fd >= 0) {
        close(file->fd);
    }
    base_free_string(file->path);
    base_free(file, sizeof(*file));
    return UMF_RESULT_SUCCESS;
}

/* Translates and checks what the setters took unseen. */
static umf_result_t file_set_up(file_provider_t *file,
                                const struct umf_file_memory_provider_params_t *params) {
    umf_result_t result = provider_protection(params->protection, &file->protection);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("protection %#x is unknown; allowed are UMF_PROTECTION_… bits",
                  params->protection);
        return result;
    }
    int flag = 0;
    result = provider_visibility(params->visibility, &flag);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("visibility %d is unknown; allowed are private (1) and shared (2)",
                  (int)params->visibility);
        return result;
    }
    file->shared = flag == MAP_SHARED;
    if (strlen(params->path) >= PATH_MAX) {
        log_error("the path of the file has %zu bytes; allowed are %d", strlen(params->path),
                  PATH_MAX - 1);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    file->path = file_absolute_path(params->path);
    return file->path != NULL ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
}

static const provider_extension_t file_extension;

static umf_result_t file_initialize(const void *params, void **provider) {
    static provider_extension_entry_t extension = {file_initialize, &file_extension, NULL};
    static _Atomic(bool) registered;
    if (!exchange_acq_rel(&registered, true)) {
        provider_extension_register(&extension);
    }
    const struct umf_file_memory_provider_params_t *given = params;
    if (given == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    file_provider_t *file = base_alloc(sizeof(*file));
    if (file == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    file->fd = -1;
    provider_name_set(&file->common.name, given->name);
    umf_result_t result = file_set_up(file, given);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    result = file_open(file, given->path);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    file->dax = file_is_dax(file);
    file->common.page_size = file->dax ? FILE_FIRST_BYTES : base_page_size();
    coarse_config_t config = {.page_size = file->common.page_size,
                              .grow = file_grow,
                              .release = file_release,
                              .owner = file};
    result = coarse_create(&config, &file->common.coarse);
    if (result != UMF_RESULT_SUCCESS) {
        goto fail;
    }
    *provider = file;
    return UMF_RESULT_SUCCESS;
fail:
    file_finalize(file);
    return result;
}

/* ---- Operations ---- */

umf_result_t file_locate(void *provider, const void *ptr, file_location_t *location) {
    file_provider_t *file = provider;
    coarse_block_info_t info;
    umf_result_t result = coarse_lookup(file->common.coarse, ptr, &info);
    if (result == UMF_RESULT_SUCCESS) {
        location->path = file->path;
        location->offset = (off_t)(info.range.tag + ((uintptr_t)ptr - (uintptr_t)info.range.base));
        location->size = info.size;
        location->dax = file->dax;
    }
    return result;
}

static umf_result_t file_get_last_native_error(void *provider, const char **message,
                                               int32_t *error) {
    (void)provider;
    if (message == NULL || error == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    provider_native_error_get(&file_last_error, file_texts, message);
    *error = UMF_FILE_RESULTS_START_FROM + file_last_error.code;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_name(void *provider, const char **name) {
    return coarse_provider_name(provider, file_name, name);
}

static umf_result_t file_purge_force(void *provider, void *ptr, size_t size) {
    int error = coarse_provider_purge(provider, ptr, size);
    if (error != 0) {
        file_note(UMF_FILE_RESULT_ERROR_PURGE_FORCE_FAILED, error);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- CTL ---- */

static umf_result_t serve_path(const ctl_call_t *call, ctl_value_t *value) {
    provider_ctl_text(value, ((const file_provider_t *)call->object)->path);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_flag(const ctl_call_t *call, ctl_value_t *value) {
    value->integer = *(const bool *)((const char *)call->object + call->node->what);
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t ctl_nodes[] = {
    {"params.path", UMF_CTL_STRING, CTL_R, serve_path, 0, "The file.", 0, 0},
    {"params.shared", UMF_CTL_INT, CTL_R, serve_flag, offsetof(file_provider_t, shared),
     "1 when what is written reaches the file (shared visibility), else 0.", 0, 0},
    {"params.dax", UMF_CTL_INT, CTL_R, serve_flag, offsetof(file_provider_t, dax),
     "1 when stores reach persistent memory without the page cache (MAP_SYNC), else 0.", 0, 0},
};

const ctl_table_t file_provider_ctl_table = {ctl_nodes, ARRAY_LENGTH(ctl_nodes),
                                             &coarse_provider_ctl_table, 0};

static umf_result_t file_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                             void *arg, size_t size, umf_ctl_query_type_t type, va_list args) {
    return ctl_serve(&file_provider_ctl_table, provider, source, name, arg, size, type, args);
}

/* ---- IPC: of shared mappings only ---- */

static umf_result_t file_get_ipc_handle_size(void *provider, size_t *size) {
    const file_provider_t *file = provider;
    if (size == NULL || !file->shared) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = sizeof(path_ipc_t);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_ipc_handle(void *provider, const void *ptr, size_t size, void *data) {
    file_provider_t *file = provider;
    file_location_t where;
    struct stat status;
    (void)size; // a whole block is described
    if (ptr == NULL || data == NULL || !file->shared ||
        file_locate(provider, ptr, &where) != UMF_RESULT_SUCCESS) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (fstat(file->fd, &status) != 0) {
        log_error_errno("the descriptor of file %s is lost", file->path);
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    path_ipc_fill(data, PATH_IPC_FILE, where.path, (uint64_t)where.offset, where.size,
                  file->protection);
    ((path_ipc_t *)data)->identity = path_ipc_identity(&status);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_put_ipc_handle(void *provider, void *data) {
    const file_provider_t *file = provider;
    return data != NULL && file->shared &&
                   path_ipc_valid(data, sizeof(path_ipc_t), PATH_IPC_FILE) &&
                   strcmp(((path_ipc_t *)data)->path, file->path) == 0
               ? UMF_RESULT_SUCCESS
               : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

/* provider_extension_t.ipc_inspect */
static umf_result_t file_ipc_inspect(const void *data, size_t bytes, size_t *mapped) {
    if (!path_ipc_valid(data, bytes, PATH_IPC_FILE)) {
        log_error("the IPC data are not those of a FILE provider's block");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *mapped = ((const path_ipc_t *)data)->size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_open_ipc_handle(void *provider, void *data, void **ptr) {
    const file_provider_t *file = provider;
    const path_ipc_t *block = data;
    size_t mapped;
    if (data == NULL || ptr == NULL || !file->shared ||
        file_ipc_inspect(data, sizeof(*block), &mapped) != UMF_RESULT_SUCCESS ||
        !provider_rights_suffice(block->protection, file->protection)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int fd = path_ipc_open(block, file->protection);
    if (fd < 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    file_mmap_request_t request = {.fd = fd,
                                   .offset = (off_t)block->offset,
                                   .size = align_up(mapped, base_page_size()),
                                   .alignment = base_page_size(),
                                   .protection = file->protection,
                                   .shared = true};
    void *base = file_mmap(&request, NULL);
    int saved_errno = errno;
    close(fd);
    if (base == NULL) {
        file_note(UMF_FILE_RESULT_ERROR_ALLOC_FAILED, saved_errno);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    *ptr = base;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_close_ipc_handle(void *provider, void *ptr, size_t size) {
    const file_provider_t *file = provider;
    if (ptr == NULL || !file->shared) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (munmap(ptr, size) != 0) {
        file_note(UMF_FILE_RESULT_ERROR_FREE_FAILED, errno);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- Forked children: see provider_extension_t ---- */

static bool file_shared_on_fork(void *provider) {
    return ((const file_provider_t *)provider)->shared;
}

void file_provider_forget_name(void *provider) {
    file_provider_t *file = provider;
    char name[64];
    snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)getpid(), file->fd);
    char *path = base_strndup(name, sizeof(name));
    if (path != NULL) {
        base_free_string(file->path);
        file->path = path;
    }
}

/* The child's file has no name. Its folder is that of the parent's file, which may be a link in
 * /proc. */
static umf_result_t file_fork_child_unshare(void *provider, void *ptr, size_t size) {
    (void)ptr, (void)size; // all of it: one file is not half shared
    file_provider_t *file = provider;
    int fd;
    if (!file->shared) {
        return UMF_RESULT_SUCCESS;
    }
    umf_result_t result =
        coarse_unshare_file(file->common.coarse, file->fd, file->mapped, file->protection, &fd);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    close(file->fd);
    file->fd = fd;
    file_provider_forget_name(file);
    return UMF_RESULT_SUCCESS;
}

static const provider_extension_t file_extension = {
    .fork_child_unshare = file_fork_child_unshare,
    .shared_on_fork = file_shared_on_fork,
    .ipc_inspect = file_ipc_inspect,
};

static const umf_memory_provider_ops_t file_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = file_initialize,
    .finalize = file_finalize,
    .alloc = coarse_provider_alloc,
    .free = coarse_provider_free,
    .get_last_native_error = file_get_last_native_error,
    .get_recommended_page_size = coarse_provider_recommended_page_size,
    .get_min_page_size = coarse_provider_min_page_size,
    .get_name = file_get_name,
    .ext_purge_force = file_purge_force,
    .ext_allocation_merge = coarse_provider_merge,
    .ext_allocation_split = coarse_provider_split,
    .ext_get_ipc_handle_size = file_get_ipc_handle_size,
    .ext_get_ipc_handle = file_get_ipc_handle,
    .ext_put_ipc_handle = file_put_ipc_handle,
    .ext_open_ipc_handle = file_open_ipc_handle,
    .ext_close_ipc_handle = file_close_ipc_handle,
    .ext_ctl = file_ctl,
    .get_cache_line_size = coarse_provider_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfFileMemoryProviderOps(void) {
    return &file_ops;
}

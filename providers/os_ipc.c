/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC of the OS provider's shared memory. A block is described by where it lies in its object, and
 * the object by its name, or by process and descriptor where it has none:
 *
 *   pid 4 | fd 4 | offset 8 | size 8 | protection 4 | magic 4 | name length 2 | 2 | inode 4 | name
 *
 * The name has a leading '/' and a NUL, which its length does not count; "" stands for none.
 *
 * Descriptions come from other processes, so nothing is mapped but shared memory: an object on
 * tmpfs (or a memfd_secret), of the inode that the producer saw, at least as long as the part to be
 * mapped, and not to be shortened later where that can be asked (a memfd of ours is sealed; a named
 * object can not be sealed: there, whoever may write it can make readers fail with SIGBUS). Names
 * lead into /dev/shm only. The opener never unlinks a name, so any number of consumers can open it.
 */
#define _GNU_SOURCE
#include "providers/os_ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/system_call.h"
#include "providers/foreign_fd.h"
#include "providers/provider_common.h"

#define OS_IPC_MAGIC UINT32_C(0x31534f55) /* "UOS1" */
#ifndef SECRETMEM_MAGIC
#define SECRETMEM_MAGIC 0x5345434d
#endif

typedef struct os_ipc_data {
    int32_t pid;
    int32_t fd; /* -1: the producer lost it; there is a name */
    uint64_t offset, size;
    uint32_t protection; /* PROT_ bits of the producer */
    uint32_t magic;
    uint16_t name_length;
    uint16_t unused;
    uint32_t inode; /* its low half */
    char name[];
} os_ipc_data_t;
static_assert(sizeof(os_ipc_data_t) == 40, "the layout above");

size_t os_ipc_bytes(os_shared_t *shared) {
    const size_t name = os_shared_name_bytes(shared);
    return sizeof(os_ipc_data_t) + (name != 0 ? 1 + name : 0) + 1;
}

umf_result_t os_ipc_get(os_shared_t *shared, const void *ptr, int protection, void *buffer) {
    os_shared_location_t where;
    if (!os_shared_locate(shared, ptr, &where)) {
        log_error("%p is not the start of a block of this provider", ptr);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    os_ipc_data_t *data = buffer;
    size_t length = strlen(where.name);
    *data = (os_ipc_data_t){.pid = getpid(),
                            .fd = where.fd,
                            .offset = (uint64_t)where.offset,
                            .size = where.size,
                            .protection = (uint32_t)protection,
                            .magic = OS_IPC_MAGIC,
                            .inode = (uint32_t)where.inode};
    if (length != 0) {
        data->name[0] = '/';
        memcpy(data->name + 1, where.name, length);
        data->name_length = (uint16_t)(1 + length);
    }
    data->name[data->name_length] = '\0';
    return UMF_RESULT_SUCCESS;
}

umf_result_t os_ipc_put(const void *buffer) {
    const os_ipc_data_t *data = buffer;
    return data->magic == OS_IPC_MAGIC && data->pid == getpid() ? UMF_RESULT_SUCCESS
                                                                : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

static bool data_has_valid_name(const os_ipc_data_t *data, size_t bytes) {
    const size_t length = data->name_length;
    if (length > OS_SHARED_NAME_MAX + 1 || sizeof(*data) + length + 1 > bytes ||
        data->name[length] != '\0' || strnlen(data->name, length) != length) {
        return false;
    }
    // "/." and "/.." are directories; '/' inside would leave ours.
    return length == 0
               ? data->fd >= 0
               : data->name[0] == '/' && length > 1 && strchr(data->name + 1, '/') == NULL &&
                     strcmp(data->name, "/.") != 0 && strcmp(data->name, "/..") != 0;
}

umf_result_t os_ipc_inspect(const void *buffer, size_t bytes, size_t *mapped) {
    const os_ipc_data_t *data = buffer;
    const uint64_t page = base_page_size();
    const uint32_t rights = PROT_READ | PROT_WRITE | PROT_EXEC;
    uint64_t end;
    if (bytes < sizeof(*data) + 1 || data->magic != OS_IPC_MAGIC || data->pid <= 0 ||
        data->fd < -1 || (data->protection & ~rights) != 0 || data->size == 0 ||
        data->size % page != 0 || data->offset % page != 0 ||
        add_overflow(data->offset, data->size, &end) || end > INT64_MAX ||
        !data_has_valid_name(data, bytes)) {
        log_error("the IPC data are not those of an OS provider's block");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *mapped = data->size;
    return UMF_RESULT_SUCCESS;
}

/*
 * The largest block that is believed: the object is as long as a file can be, so its length says
 * nothing. What nobody could fill would only cost this process address space and its map's memory.
 */
static uint64_t size_limit(void) {
    enum { OVERCOMMIT = 4 };
    const long pages = sysconf(_SC_PHYS_PAGES);
    return pages > 0 ? (uint64_t)pages * base_page_size() * OVERCOMMIT : UINT64_MAX;
}

/* True when the open object is what the description says, and safe to map. */
static bool object_fits(const os_ipc_data_t *data, int fd) {
    struct stat status;
    struct statfs system;
    if (fstat(fd, &status) != 0 || sys_fstatfs(fd, &system) != 0 || !S_ISREG(status.st_mode) ||
        (uint32_t)status.st_ino != data->inode ||
        (uint64_t)status.st_size < data->offset + data->size || data->size > size_limit()) {
        return false;
    }
    if (system.f_type == SECRETMEM_MAGIC) {
        return true; // its size can not change any more
    }
    const int seals = fcntl(fd, F_GET_SEALS);
    return system.f_type == TMPFS_MAGIC &&
           (data->name_length != 0 || (seals >= 0 && (seals & F_SEAL_SHRINK) != 0));
}

static umf_result_t object_open_checked(const os_ipc_data_t *data, bool by_name, int rights,
                                        int *out) {
    int fd;
    if (by_name) {
        fd = shm_open(data->name, (rights & PROT_WRITE) != 0 ? O_RDWR : O_RDONLY, 0);
        if (fd < 0) {
            log_error_errno("shared memory \"%s\" can not be opened", data->name);
            return UMF_RESULT_ERROR_UNKNOWN;
        }
    } else {
        umf_result_t result = foreign_fd_get(data->pid, data->fd, &fd);
        if (result != UMF_RESULT_SUCCESS) {
            return result;
        }
    }
    if (!object_fits(data, fd)) {
        log_error("what the IPC data describe is not, or no longer, the producer's memory");
        close(fd);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *out = fd;
    return UMF_RESULT_SUCCESS;
}

umf_result_t os_ipc_open(const void *buffer, int protection, void **ptr, int *error) {
    const os_ipc_data_t *data = buffer;
    const int rights = protection;
    if (!provider_rights_suffice((int)data->protection, rights)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int fd = -1;
    umf_result_t result = object_open_checked(data, data->name_length != 0, rights, &fd);
    if (result != UMF_RESULT_SUCCESS && data->name_length != 0 && data->fd >= 0) {
        // The name went when the producer began to exit; the object may still be there.
        umf_result_t second = object_open_checked(data, false, rights, &fd);
        result = second == UMF_RESULT_SUCCESS ? second : result;
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    void *mapped = mmap(NULL, data->size, rights, MAP_SHARED, fd, (off_t)data->offset);
    *error = errno;
    close(fd);
    if (mapped == MAP_FAILED) {
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    *ptr = mapped;
    return UMF_RESULT_SUCCESS;
}

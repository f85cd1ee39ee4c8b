/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC data of memory in files and devices. A path out of another process could lead anywhere: to a
 * device that acts on being opened, to a pipe that blocks. So the path is looked at before it is
 * opened, and again afterwards; inode (or device number) must be those that the producer saw.
 */
#define _GNU_SOURCE
#include "providers/path_ipc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/system_call.h"

uint32_t path_ipc_identity(const struct stat *status) {
    return (uint32_t)(S_ISCHR(status->st_mode) ? status->st_rdev : status->st_ino);
}

void path_ipc_fill(path_ipc_t *data, path_ipc_kind_t kind, const char *path, uint64_t offset,
                   uint64_t size, int protection) {
    memset(data, 0, sizeof(*data));
    memcpy(data->path, path, strlen(path));
    data->offset = offset;
    data->size = size;
    data->kind = (uint16_t)kind;
    data->protection = (uint8_t)protection;
}

bool path_ipc_valid(const void *bytes, size_t count, path_ipc_kind_t kind) {
    const path_ipc_t *data = bytes;
    const int rights = PROT_READ | PROT_WRITE | PROT_EXEC;
    size_t rounded;
    uint64_t end;
    return count >= sizeof(*data) && data->kind == (uint16_t)kind && data->path[0] == '/' &&
           memchr(data->path, '\0', sizeof(data->path)) != NULL &&
           (data->protection & ~rights) == 0 && data->size != 0 &&
           data->offset % base_page_size() == 0 &&
           align_up_checked(data->size, base_page_size(), &rounded) &&
           !add_overflow(data->offset, rounded, &end) && end <= INT64_MAX;
}

bool path_ipc_is(const path_ipc_t *data, const struct stat *status) {
    if (path_ipc_identity(status) != data->identity) {
        return false;
    }
    return data->kind == PATH_IPC_DEVICE
               ? S_ISCHR(status->st_mode)
               : S_ISREG(status->st_mode) && (uint64_t)status->st_size >= data->offset + data->size;
}

int path_ipc_open(const path_ipc_t *data, int rights) {
    struct stat status;
    if (sys_stat(data->path, &status) != 0) {
        log_error_errno("%s of an IPC handle can not be opened", data->path);
        return -1;
    }
    int fd = -1;
    if (path_ipc_is(data, &status)) {
        const int mode = (rights & PROT_WRITE) != 0 ? O_RDWR : O_RDONLY;
        fd = open(data->path, mode | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0) {
            log_error_errno("%s of an IPC handle can not be opened", data->path);
            return -1;
        }
        if (fstat(fd, &status) != 0 || !path_ipc_is(data, &status)) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) {
        log_error("%s of an IPC handle is not, or no longer, what the producer has", data->path);
    }
    return fd;
}

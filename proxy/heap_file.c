/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The settings come by the environment, so every program that a program starts has the same
 * file.path. Each process must have a file of its own all the same. So the name is only there while
 * the file is being opened: it is removed at once, and nothing is left however the process ends. A
 * lock (flock) settles who has it when two come at the same time; the second one appends its number
 * to the name. A file with content may be somebody's data and is refused.
 *
 * A device is locked as long as the process, or a fork of it, lives.
 */
#define _GNU_SOURCE
#include "proxy/heap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/log.h"
#include "core/system_call.h"

enum { CLAIM_FD_MIN = 900 /* out of the way of programs that count on low numbers */ };

bool heap_file_expand(const char *text, char *out, size_t bytes) {
    size_t used = 0;
    for (; *text != '\0'; text++) {
        int length = text[0] == '%' && text[1] == 'p'
                         ? snprintf(out + used, bytes - used, "%d", (int)getpid())
                         : snprintf(out + used, bytes - used, "%c", *text);
        text += text[0] == '%' && text[1] == 'p';
        if (length < 0 || (size_t)length >= bytes - used) {
            return false;
        }
        used += (size_t)length;
    }
    return true;
}

static int out_of_the_way(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, CLAIM_FD_MIN);
    if (high < 0) {
        return fd;
    }
    close(fd);
    return high;
}

/* SUCCESS, or NOT_SUPPORTED when another process uses it, or the error. */
static umf_result_t claim(const char *path, int flags, int *out) {
    int fd = open(path, flags | O_RDWR | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) {
        log_error_errno("%s can not be opened", path);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (sys_flock(fd, LOCK_EX | LOCK_NB) != 0) {
        bool in_use = errno == EWOULDBLOCK;
        log_error_errno("%s can not be locked", path);
        close(fd);
        return in_use ? UMF_RESULT_ERROR_NOT_SUPPORTED : UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *out = fd;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t claim_file(heap_file_t *file) {
    struct stat info = {0};
    umf_result_t result;
    while ((result = claim(file->path, O_CREAT, &file->fd)) == UMF_RESULT_SUCCESS &&
           fstat(file->fd, &info) == 0 && info.st_nlink == 0) {
        close(file->fd); // its owner removed it between our open and our lock
    }
    if (result == UMF_RESULT_SUCCESS && (!S_ISREG(info.st_mode) || info.st_size != 0)) {
        log_error("%s exists and is not an empty file; name a new one, or a directory", file->path);
        close(file->fd);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return result;
}

umf_result_t heap_file_claim(const char *path, heap_file_t *file) {
    struct stat info;
    enum { SUFFIX_BYTES = 24 };
    if (!heap_file_expand(path, file->path, sizeof(file->path) - SUFFIX_BYTES)) {
        log_error("file.path is too long");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t used = strlen(file->path);
    bool directory = sys_stat(file->path, &info) == 0 && S_ISDIR(info.st_mode);
    umf_result_t result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    if (!directory) {
        result = claim_file(file);
    }
    if (result == UMF_RESULT_ERROR_NOT_SUPPORTED) {
        snprintf(file->path + used, SUFFIX_BYTES, directory ? "/umf-heap.%d" : ".%d",
                 (int)getpid());
        result = claim_file(file);
    }
    return result;
}

void heap_file_opened(heap_file_t *file) {
    sys_unlink(file->path);
    close(file->fd);
}

umf_result_t heap_device_claim(const char *path) {
    int fd;
    umf_result_t result = claim(path, 0, &fd);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    out_of_the_way(fd);
    return UMF_RESULT_SUCCESS;
}

size_t heap_device_size(const char *path) {
    char name[64], text[32] = "";
    struct stat info;
    if (sys_stat(path, &info) != 0 || !S_ISCHR(info.st_mode)) {
        return 0;
    }
    snprintf(name, sizeof(name), "/sys/dev/char/%u:%u/size", major(info.st_rdev),
             minor(info.st_rdev));
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return 0;
    }
    ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    return got > 0 ? (size_t)strtoull(text, NULL, 10) : 0;
}

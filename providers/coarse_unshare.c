/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * After a fork parent and child write to the same pages of shared mappings. The child copies what
 * is in use elsewhere and maps that over the shared pages. Pages of zeros are not copied: new
 * memory reads as zero, and most of a file's reserve was never used.
 */
#define _GNU_SOURCE
#include "providers/coarse_unshare.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"
#include "core/system_call.h"

enum { COPY_PIECE_BYTES = 64 * 1024 };

static bool is_zero(const unsigned char *at, size_t bytes) {
    return bytes == 0 || (at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0);
}

typedef struct unshare {
    int protection;
    unsigned char *copy; /* private memory: of the range that is being visited */
    int fd;              /* file: the new one */
} unshare_t;

/* ---- private memory ---- */

static bool private_begin(void *context, const coarse_range_t *range) {
    unshare_t *job = context;
    void *copy = mmap(NULL, range->size, job->protection,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    job->copy = copy != MAP_FAILED ? copy : NULL;
    return job->copy != NULL;
}

static bool private_block(void *context, const coarse_range_t *range, void *ptr, size_t bytes) {
    const unshare_t *job = context;
    const unsigned char *from = ptr;
    unsigned char *to = job->copy + (from - (const unsigned char *)range->base);
    for (size_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < COPY_PIECE_BYTES ? bytes - done : COPY_PIECE_BYTES;
        if (!is_zero(from + done, piece)) {
            memcpy(to + done, from + done, piece);
        }
    }
    return true;
}

static bool private_end(void *context, const coarse_range_t *range) {
    const unshare_t *job = context;
    return mremap(job->copy, range->size, range->size, MREMAP_MAYMOVE | MREMAP_FIXED,
                  range->base) == range->base;
}

umf_result_t coarse_unshare_private(coarse_t *coarse, int protection) {
    static const coarse_visitor_t visitor = {private_begin, private_block, private_end};
    unshare_t job = {.protection = protection, .fd = -1};
    if (!coarse_visit(coarse, &visitor, &job)) {
        log_error_errno("no memory for a forked child's copy of shared memory");
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- file ---- */

static bool file_begin(void *context, const coarse_range_t *range) {
    (void)context, (void)range;
    return true;
}

static bool write_all(int fd, const unsigned char *from, size_t bytes, off_t offset) {
    while (bytes > 0) {
        ssize_t done = pwrite(fd, from, bytes, offset);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        if (done > 0) {
            from += done;
            bytes -= (size_t)done;
            offset += done;
        }
    }
    return true;
}

static bool file_block(void *context, const coarse_range_t *range, void *ptr, size_t bytes) {
    const unshare_t *job = context;
    const unsigned char *from = ptr;
    off_t offset = (off_t)(range->tag + (uintptr_t)ptr - (uintptr_t)range->base);
    for (size_t done = 0, piece; done < bytes; done += piece) {
        piece = bytes - done < COPY_PIECE_BYTES ? bytes - done : COPY_PIECE_BYTES;
        if (!is_zero(from + done, piece) &&
            !write_all(job->fd, from + done, piece, offset + (off_t)done)) {
            return false;
        }
    }
    return true;
}

static bool file_end(void *context, const coarse_range_t *range) {
    const unshare_t *job = context;
    return mmap(range->base, range->size, job->protection, MAP_SHARED | MAP_FIXED, job->fd,
                (off_t)range->tag) != MAP_FAILED;
}

/* A file without a name in the folder that old_fd's file is or was in, or -1. Not every file system
 * has O_TMPFILE. */
static int nameless_file(int old_fd) {
    char link[64], name[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", old_fd);
    ssize_t length = sys_readlink(link, name, sizeof(name) - sizeof(link));
    if (length <= 0) {
        return -1;
    }
    while (length > 0 && name[length - 1] != '/') {
        length--;
    }
    snprintf(name + length, sizeof(link), ".");
    int fd = open(name, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        snprintf(name + length, sizeof(link), ".umf-heap.%d", (int)getpid());
        fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        sys_unlink(name);
    }
    return fd;
}

umf_result_t coarse_unshare_file(coarse_t *coarse, int old_fd, off_t size, int protection,
                                 int *fd) {
    static const coarse_visitor_t visitor = {file_begin, file_block, file_end};
    unshare_t job = {.protection = protection, .fd = nameless_file(old_fd)};
    errno = job.fd < 0 ? errno : posix_fallocate(job.fd, 0, size);
    if (job.fd < 0 || errno != 0 || !coarse_visit(coarse, &visitor, &job)) {
        log_error_errno("no file for a forked child's copy of a shared one");
        if (job.fd >= 0) {
            close(job.fd);
        }
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    *fd = job.fd;
    return UMF_RESULT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * One object of shared memory: a memfd, or a named POSIX shared-memory object. Its file size is the
 * largest there is; only pages that were touched take memory. Offsets are given out first-fit from
 * those that came back, else from the end.
 *
 * The descriptor lives in a process whose program does not know it: programs close or replace
 * descriptors that they did not open (daemons close all, shells use the low ones). So it sits at a
 * high number, and before each use os_object_fd compares device and inode. A lost descriptor costs
 * what needs one: new blocks go to a new object; existing mappings stay valid.
 *
 * Anonymous objects come from memfd_create. With "memfd_secret" in UMF_MEM_FD_FUNC memfd_secret is
 * tried first (unless "memfd_create" is in it as well): such memory can not be read by the kernel
 * either, which makes many system calls on buffers in it fail, and it counts against
 * RLIMIT_MEMLOCK.
 */
#define _GNU_SOURCE
#include "providers/os_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/system_call.h"

#define OBJECT_BYTES_MAX INT64_MAX /* off_t has 64 bits on all our platforms */
static_assert(sizeof(off_t) == sizeof(int64_t), "large files");

enum {
    OBJECT_FD_TOP = 1024,   /* select() and many loops end here: below this is enough */
    OBJECT_FD_SPARE = 64,   /* room for ours below the top */
    OBJECT_FREE_FIRST = 16, /* capacity of the first array of free ranges */
    OBJECT_PATH_BYTES = 32 + OS_SHARED_NAME_MAX,
};

#define OBJECT_DIRECTORY "/dev/shm"

/* Moves fd out of the way of the program; the same fd when there is no better place. */
static int object_fd_move(int fd) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return fd;
    }
    int top = limit.rlim_cur < OBJECT_FD_TOP ? (int)limit.rlim_cur : OBJECT_FD_TOP;
    int moved = top > 2 * OBJECT_FD_SPARE ? fcntl(fd, F_DUPFD_CLOEXEC, top - OBJECT_FD_SPARE) : -1;
    if (moved < 0) {
        return fd;
    }
    close(fd);
    return moved;
}

static int object_open_secret(void) {
#ifdef SYS_memfd_secret
    return (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
#else
    errno = ENOSYS;
    return -1;
#endif
}

static int object_open_anonymous(bool *punched) {
    const char *wanted = secure_getenv("UMF_MEM_FD_FUNC");
    *punched = true;
    if (wanted != NULL && strstr(wanted, "memfd_secret") != NULL &&
        strstr(wanted, "memfd_create") == NULL) {
        int fd = object_open_secret();
        if (fd >= 0) {
            *punched = false;
            return fd;
        }
        log_write_errno(LOG_WARNING, __func__, "memfd_secret failed, using memfd_create");
    }
    return sys_memfd_create("umf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

static int object_open_named(const char *name) {
    char path[OS_SHARED_NAME_MAX + 2] = "/";
    memcpy(path + 1, name, strlen(name) + 1);
    shm_unlink(path);
    return shm_open(path, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
}

static int object_open(os_object_kind_t kind, const char *name, bool *punched) {
    *punched = true;
    switch (kind) {
    case OS_OBJECT_NAMED:
        return object_open_named(name);
    case OS_OBJECT_UNLINKED:
        return open(OBJECT_DIRECTORY, O_TMPFILE | O_RDWR | O_CLOEXEC, S_IRUSR | S_IWUSR);
    case OS_OBJECT_ANONYMOUS:
        return object_open_anonymous(punched);
    case OS_OBJECT_PLAIN:
        return sys_memfd_create("umf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return -1;
}

umf_result_t os_object_create(os_object_kind_t kind, const char *name, os_object_t **out) {
    os_object_t *object = base_alloc(sizeof(*object));
    if (object == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = UMF_RESULT_ERROR_UNKNOWN;
    struct stat status;
    object->owned = true;
    object->fd = object_open(kind, name, &object->punched);
    if (object->fd < 0) {
        log_error_errno("no shared-memory object \"%s\"", name);
        goto fail;
    }
    strncpy(object->name, name, sizeof(object->name) - 1);
    object->linked = kind == OS_OBJECT_NAMED;
    object->fd = object_fd_move(object->fd);
    if (fstat(object->fd, &status) != 0) {
        goto fail;
    }
    object->device = status.st_dev;
    object->inode = status.st_ino;
    if (ftruncate(object->fd, OBJECT_BYTES_MAX) != 0) {
        log_error_errno("setting the size of a shared-memory object failed");
        if (kind == OS_OBJECT_ANONYMOUS || kind == OS_OBJECT_PLAIN) {
            result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        goto fail;
    }
    if ((kind == OS_OBJECT_ANONYMOUS && object->punched) || kind == OS_OBJECT_PLAIN) {
        // Whoever maps it in another process knows that its pages can not be cut off (os_ipc.c).
        fcntl(object->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    }
    *out = object;
    return UMF_RESULT_SUCCESS;
fail:
    os_object_destroy(object);
    return result;
}

void os_object_destroy(os_object_t *object) {
    os_object_unlink(object);
    int fd = os_object_fd(object);
    if (fd >= 0) {
        close(fd);
    }
    base_free(object->free, object->free_capacity * sizeof(*object->free));
    base_free(object, sizeof(*object));
}

static bool object_is(const os_object_t *object, const struct stat *status) {
    return status->st_dev == object->device && status->st_ino == object->inode;
}

int os_object_fd(os_object_t *object) {
    int saved_errno = errno;
    struct stat status;
    if (object->fd >= 0 && (fstat(object->fd, &status) != 0 || !object_is(object, &status))) {
        log_warning("the program closed descriptor %d of a shared-memory object", object->fd);
        object->fd = -1;
    }
    errno = saved_errno;
    return object->fd;
}

bool os_object_link(os_object_t *object) {
    if (object->linked || object->name[0] == '\0') {
        return object->linked;
    }
    int fd = object->owned ? os_object_fd(object) : -1;
    if (fd < 0) {
        return false;
    }
    char source[OBJECT_PATH_BYTES] = "/proc/self/fd/";
    char target[OBJECT_PATH_BYTES] = OBJECT_DIRECTORY "/";
    char digits[16];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    for (unsigned rest = (unsigned)fd; rest != 0 || digits[at] == '\0'; rest /= 10) {
        digits[--at] = (char)('0' + rest % 10);
    }
    strcat(source, digits + at);
    strcat(target, object->name);
    sys_unlink(target); // of an earlier process with our id
    if (sys_linkat(AT_FDCWD, source, AT_FDCWD, target, AT_SYMLINK_FOLLOW) != 0) {
        log_error_errno("giving a shared-memory object its name \"%s\" failed", object->name);
        return false;
    }
    object->linked = true;
    return true;
}

void os_object_unlink(os_object_t *object) {
    if (!object->linked || !object->owned) {
        return;
    }
    int saved_errno = errno;
    char path[OS_SHARED_NAME_MAX + 2] = "/";
    strcat(path, object->name);
    object->linked = false;
    struct stat status;
    int fd = shm_open(path, O_RDONLY, 0);
    if (fd >= 0) {
        if (fstat(fd, &status) == 0 && object_is(object, &status)) {
            shm_unlink(path);
        }
        close(fd);
    }
    errno = saved_errno;
}

static void object_free_remove(os_object_t *object, size_t index) {
    object->free_count--;
    memmove(object->free + index, object->free + index + 1,
            (object->free_count - index) * sizeof(*object->free));
}

/* False: no memory for a longer array. */
static bool object_free_insert(os_object_t *object, size_t index, off_t offset, off_t length) {
    if (object->free_count == object->free_capacity) {
        size_t capacity =
            object->free_capacity != 0 ? 2 * object->free_capacity : OBJECT_FREE_FIRST;
        os_object_range_t *larger = base_alloc(capacity * sizeof(*larger));
        if (larger == NULL) {
            return false;
        }
        if (object->free_count != 0) {
            memcpy(larger, object->free, object->free_count * sizeof(*larger));
        }
        base_free(object->free, object->free_capacity * sizeof(*object->free));
        object->free = larger;
        object->free_capacity = capacity;
    }
    memmove(object->free + index + 1, object->free + index,
            (object->free_count - index) * sizeof(*object->free));
    object->free[index] = (os_object_range_t){offset, length};
    object->free_count++;
    return true;
}

off_t os_object_take(os_object_t *object, size_t length, size_t alignment) {
    for (size_t i = 0; i < object->free_count; i++) {
        os_object_range_t range = object->free[i];
        off_t start = (off_t)align_up((uintptr_t)range.offset, alignment);
        off_t skipped = start - range.offset;
        if (skipped >= range.length || (uint64_t)(range.length - skipped) < length) {
            continue;
        }
        off_t rest = range.length - skipped - (off_t)length;
        if (skipped == 0 && rest == 0) {
            object_free_remove(object, i);
        } else if (skipped == 0) {
            object->free[i] = (os_object_range_t){start + (off_t)length, rest};
        } else {
            object->free[i].length = skipped;
            // Without memory for the array these offsets are lost: they cost nothing, there are
            // 2^63.
            if (rest != 0) {
                object_free_insert(object, i + 1, start + (off_t)length, rest);
            }
        }
        return start;
    }
    off_t start = (off_t)align_up((uintptr_t)object->end, alignment);
    if (start < object->end || length > (uint64_t)(OBJECT_BYTES_MAX - start)) {
        return -1;
    }
    off_t gap = object->end;
    object->end = start + (off_t)length;
    if (gap != start) {
        os_object_give(object, gap, (size_t)(start - gap));
    }
    return start;
}

void os_object_give(os_object_t *object, off_t offset, size_t length) {
    size_t low = 0, high = object->free_count; // the first range behind offset is in [low, high]
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (object->free[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    os_object_range_t *before = low > 0 ? &object->free[low - 1] : NULL;
    os_object_range_t *after = low < object->free_count ? &object->free[low] : NULL;
    bool joins_before = before != NULL && before->offset + before->length == offset;
    bool joins_after = after != NULL && offset + (off_t)length == after->offset;
    if (joins_before && joins_after) {
        before->length += (off_t)length + after->length;
        object_free_remove(object, low);
    } else if (joins_before) {
        before->length += (off_t)length;
    } else if (joins_after) {
        after->offset = offset;
        after->length += (off_t)length;
    } else {
        object_free_insert(object, low, offset, (off_t)length);
    }
}

/* pwrite of all of it; 0 or -1 with errno. */
static int object_write(int fd, const char *from, size_t length, off_t offset) {
    while (length > 0) {
        ssize_t written = pwrite(fd, from, length, offset);
        if (written < 0 && errno == EINTR) {
            continue;
        }
        if (written <= 0) {
            return -1;
        }
        from += written;
        offset += written;
        length -= (size_t)written;
    }
    return 0;
}

/* The same through mappings of both objects: for memory that write can not read, for reasons of
 * protection or because one of the two is memfd_secret. */
static int object_copy_mapped(int from, off_t from_offset, size_t length, int to, off_t to_offset) {
    int result = -1;
    void *source = mmap(NULL, length, PROT_READ, MAP_SHARED, from, from_offset);
    void *target = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, to, to_offset);
    if (source != MAP_FAILED && target != MAP_FAILED) {
        memcpy(target, source, length);
        result = 0;
    }
    int error = errno;
    if (source != MAP_FAILED) {
        munmap(source, length);
    }
    if (target != MAP_FAILED) {
        munmap(target, length);
    }
    errno = error;
    return result;
}

int os_object_copy(os_object_t *from, off_t offset, size_t length, const void *at, os_object_t *to,
                   off_t to_offset) {
    const int from_fd = os_object_fd(from);
    const off_t end = offset + (off_t)length;
    off_t data = offset;
    while (data < end) {
        off_t hole = end;
        if (from_fd >= 0) {
            // Without support for holes (EINVAL) all of it counts as data.
            off_t next = lseek(from_fd, data, SEEK_DATA);
            if (next >= end || (next < 0 && errno == ENXIO)) {
                return 0;
            }
            if (next >= 0) {
                data = next;
                hole = lseek(from_fd, data, SEEK_HOLE);
                hole = hole < 0 || hole > end ? end : hole;
            }
        }
        const char *bytes = (const char *)at + (data - offset);
        const off_t target = to_offset + (data - offset);
        size_t count = (size_t)(hole - data);
        if (object_write(to->fd, bytes, count, target) != 0 &&
            (from_fd < 0 || object_copy_mapped(from_fd, data, count, to->fd, target) != 0)) {
            return -1;
        }
        data = hole;
    }
    return 0;
}

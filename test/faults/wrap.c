/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See wrap.h. Each wrapper asks fault_hits() and then either fails as the system would, or calls
 * the real function. */
#define _GNU_SOURCE
#include "wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_long calls, target;
static atomic_bool onwards_set;
static atomic_uint kinds_set;
static atomic_long delivered[FAULT_KINDS];
static _Atomic(const char *) last = "";

void fault_arm(long n, bool onwards, unsigned kinds) {
    for (int i = 0; i < FAULT_KINDS; i++) {
        delivered[i] = 0;
    }
    last = "";
    calls = 0;
    onwards_set = onwards;
    kinds_set = kinds;
    target = n;
}

long fault_disarm(void) {
    kinds_set = 0;
    return calls;
}

long fault_delivered(fault_kind_t kind) {
    return delivered[kind];
}

const char *fault_last(void) {
    return last;
}

/* Counts a call; true: it has to fail. */
static bool fault_hits(fault_kind_t kind, const char *name) {
    if (!(kinds_set >> kind & 1)) {
        return false;
    }
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (target == 0 || (onwards_set ? number < target : number != target)) {
        return false;
    }
    delivered[kind]++;
    last = name;
    return true;
}

#define FAIL(error, result)                                                                        \
    do {                                                                                           \
        errno = (error);                                                                           \
        return (result);                                                                           \
    } while (0)

/* Declared here because the linker makes the names. */
#define WRAP(type, name, parameters)                                                               \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters

WRAP(void *, mmap, (void *at, size_t size, int protection, int flags, int fd, off_t offset)) {
    if (fault_hits(FAULT_MMAP, "mmap")) {
        FAIL(ENOMEM, MAP_FAILED);
    }
    return __real_mmap(at, size, protection, flags, fd, offset);
}

WRAP(int, munmap, (void *ptr, size_t size)) {
    if (fault_hits(FAULT_MUNMAP, "munmap")) {
        FAIL(ENOMEM, -1);
    }
    return __real_munmap(ptr, size);
}

void *__real_mremap(void *ptr, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *ptr, size_t old_size, size_t size, int flags, ...);
void *__wrap_mremap(void *ptr, size_t old_size, size_t size, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    void *at = flags & MREMAP_FIXED ? va_arg(arguments, void *) : NULL;
    va_end(arguments);
    if (fault_hits(FAULT_MREMAP, "mremap")) {
        FAIL(ENOMEM, MAP_FAILED);
    }
    return __real_mremap(ptr, old_size, size, flags, at);
}

WRAP(int, mprotect, (void *ptr, size_t size, int protection)) {
    if (fault_hits(FAULT_MPROTECT, "mprotect")) {
        FAIL(ENOMEM, -1);
    }
    return __real_mprotect(ptr, size, protection);
}

WRAP(int, madvise, (void *ptr, size_t size, int advice)) {
    if (fault_hits(FAULT_MADVISE, "madvise")) {
        FAIL(EINVAL, -1);
    }
    return __real_madvise(ptr, size, advice);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (mode_t)va_arg(arguments, int);
    va_end(arguments);
    if (fault_hits(FAULT_OPEN, "open")) {
        FAIL(EMFILE, -1);
    }
    return __real_open(path, flags, mode);
}

int __real_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...);
int __wrap_openat(int directory, const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (mode_t)va_arg(arguments, int);
    va_end(arguments);
    if (fault_hits(FAULT_OPEN, "openat")) {
        FAIL(EMFILE, -1);
    }
    return __real_openat(directory, path, flags, mode);
}

WRAP(int, shm_open, (const char *name, int flags, mode_t mode)) {
    if (fault_hits(FAULT_OPEN, "shm_open")) {
        FAIL(EMFILE, -1);
    }
    return __real_shm_open(name, flags, mode);
}

WRAP(int, ftruncate, (int fd, off_t size)) {
    if (fault_hits(FAULT_FTRUNCATE, "ftruncate")) {
        FAIL(ENOSPC, -1);
    }
    return __real_ftruncate(fd, size);
}

WRAP(int, posix_fallocate, (int fd, off_t offset, off_t size)) {
    if (fault_hits(FAULT_FTRUNCATE, "posix_fallocate")) {
        return ENOSPC;
    }
    return __real_posix_fallocate(fd, offset, size);
}

/* Whether a system call that is made by its number has to fail; with which error. */
static bool system_call_hits(long number, int *error) {
    switch (number) {
    case SYS_futex:
    case SYS_gettid:
    case SYS_sched_yield:
    case SYS_getcpu:
    case SYS_getppid:
    case SYS_geteuid:
    case SYS_exit_group: // these never fail
        return false;
    case SYS_memfd_create:
        *error = EMFILE;
        return fault_hits(FAULT_MEMFD, "memfd_create");
    case SYS_fallocate:
        *error = ENOSPC;
        return fault_hits(FAULT_FTRUNCATE, "fallocate");
    default:
        *error = number == SYS_mbind ? ENOMEM : EPERM;
        return fault_hits(FAULT_SYSCALL, "syscall");
    }
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
/* Reads six arguments, however many there are. */
__attribute__((no_sanitize("address"))) long __wrap_syscall(long number, ...) {
    va_list arguments;
    long value[6];
    va_start(arguments, number);
    for (int i = 0; i < 6; i++) {
        value[i] = va_arg(arguments, long);
    }
    va_end(arguments);
    int error = 0;
    if (system_call_hits(number, &error)) {
        FAIL(error, -1);
    }
    return __real_syscall(number, value[0], value[1], value[2], value[3], value[4], value[5]);
}

WRAP(void *, dlopen, (const char *name, int flags)) {
    if (fault_hits(FAULT_DLOPEN, "dlopen")) {
        return NULL;
    }
    return __real_dlopen(name, flags);
}

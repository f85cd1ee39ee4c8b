/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * System calls that the library makes rarely, without a function of the C library.
 *
 * All imports are bound when the library is loaded, so each costs every preloaded program some 400
 * instructions at its start, called or not (`true` takes 128,000 by itself). What is no more than a
 * system call, and on no hot path, is made with the one import `syscall` instead. Results and errno
 * are those of the C library's functions of these names; numbers and structures are those of 64-bit
 * kernels, where the C library passes them on as they are.
 */
#ifndef UMF_CORE_SYSTEM_CALL_H
#define UMF_CORE_SYSTEM_CALL_H

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/utils.h"

static_assert(sizeof(long) == 8, "structures are passed on as they are");

UMF_INLINE int sys_access(const char *path, int mode) {
    return (int)syscall(SYS_faccessat, AT_FDCWD, path, mode);
}

UMF_INLINE int sys_dup3(int from, int to, int flags) {
    return (int)syscall(SYS_dup3, from, to, flags);
}

/* Nothing runs after it: no exit handler, no destructor. */
_Noreturn UMF_INLINE void sys_exit(int status) {
    for (;;) {
        syscall(SYS_exit_group, status);
    }
}

UMF_INLINE int sys_fallocate(int fd, int mode, off_t offset, off_t bytes) {
    return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

UMF_INLINE int sys_flock(int fd, int operation) {
    return (int)syscall(SYS_flock, fd, operation);
}

UMF_INLINE int sys_fstatfs(int fd, struct statfs *system) {
    return (int)syscall(SYS_fstatfs, fd, system);
}

/* The CPU that the thread runs on, or -1. */
UMF_INLINE int sys_getcpu(void) {
    unsigned cpu = 0;
    return syscall(SYS_getcpu, &cpu, NULL, NULL) == 0 ? (int)cpu : -1;
}

UMF_INLINE uid_t sys_geteuid(void) {
    return (uid_t)syscall(SYS_geteuid);
}

UMF_INLINE pid_t sys_getppid(void) {
    return (pid_t)syscall(SYS_getppid);
}

UMF_INLINE ssize_t sys_getrandom(void *buffer, size_t bytes, unsigned flags) {
    return syscall(SYS_getrandom, buffer, bytes, flags);
}

UMF_INLINE int sys_linkat(int from_folder, const char *from, int to_folder, const char *to,
                          int flags) {
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

UMF_INLINE int sys_memfd_create(const char *name, unsigned flags) {
    return (int)syscall(SYS_memfd_create, name, flags);
}

UMF_INLINE int sys_pipe2(int ends[2], int flags) {
    return (int)syscall(SYS_pipe2, ends, flags);
}

UMF_INLINE int sys_prctl(int option, unsigned long first) {
    return (int)syscall(SYS_prctl, option, first, 0ul, 0ul, 0ul);
}

/* Copies from another process, or from this one where an address may be bad (EFAULT). */
UMF_INLINE ssize_t sys_process_vm_readv(pid_t pid, const struct iovec *to,
                                        const struct iovec *from) {
    return syscall(SYS_process_vm_readv, pid, to, 1ul, from, 1ul, 0ul);
}

UMF_INLINE ssize_t sys_readlink(const char *path, char *target, size_t room) {
    return syscall(SYS_readlinkat, AT_FDCWD, path, target, room);
}

UMF_INLINE void sys_sched_yield(void) {
    syscall(SYS_sched_yield);
}

UMF_INLINE int sys_stat(const char *path, struct stat *status) {
    return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}

UMF_INLINE int sys_unlink(const char *path) {
    return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

#endif /* UMF_CORE_SYSTEM_CALL_H */

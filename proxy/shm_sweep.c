/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A process that crashes leaves the name of its shared heap in /dev/shm, and with it the memory.
 * The next process that starts with such a heap removes the names of processes that no longer are,
 * if they are its user's. (A name whose process id was given to another process stays until that
 * one is gone.) System calls only: this may run before the C library is ready.
 */
#define _GNU_SOURCE
#include "proxy/shm_sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/system_call.h"
#include "core/utils.h"

enum { SWEEP_BUFFER_BYTES = 4096, SWEEP_PID_DIGITS = 9 };

/* The process id in a name, or 0. */
static pid_t name_pid(const char *name) {
    const size_t prefix = sizeof(SHM_NAME_PREFIX) - 1;
    if (strncmp(name, SHM_NAME_PREFIX, prefix) != 0) {
        return 0;
    }
    const char *digit = name + prefix;
    pid_t pid = 0;
    for (; *digit >= '0' && *digit <= '9' && digit - name - (ptrdiff_t)prefix < SWEEP_PID_DIGITS;
         digit++) {
        pid = pid * 10 + (*digit - '0');
    }
    return *digit == '\0' ? pid : 0;
}

static void sweep_name(int directory, const char *name) {
    struct stat status;
    const pid_t pid = name_pid(name);
    if (pid > 0 && kill(pid, 0) != 0 && errno == ESRCH &&
        fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
        status.st_uid == sys_geteuid()) {
        unlinkat(directory, name, 0);
    }
}

void shm_sweep(void) {
    _Alignas(struct dirent64) char buffer[SWEEP_BUFFER_BYTES];
    const int saved_errno = errno;
    const int directory = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long bytes;
    while (directory >= 0 &&
           (bytes = syscall(SYS_getdents64, directory, buffer, sizeof(buffer))) > 0) {
        for (long at = 0; at < bytes;) {
            const struct dirent64 *entry = (const struct dirent64 *)(const void *)(buffer + at);
            sweep_name(directory, entry->d_name);
            at += entry->d_reclen;
        }
    }
    if (directory >= 0) {
        close(directory);
    }
    errno = saved_errno;
}

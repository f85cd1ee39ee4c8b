/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Descriptors of other processes, through pidfd_getfd. */
#define _GNU_SOURCE
#include "providers/foreign_fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/log.h"
#include "providers/provider_common.h"

/* The same numbers on every architecture; C libraries before 2.36 do not name them. */
enum { FOREIGN_SYS_PIDFD_OPEN = 434, FOREIGN_SYS_PIDFD_GETFD = 438 };

umf_result_t foreign_fd_get(pid_t pid, int fd, int *out) {
    if (pid <= 0 || fd < 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int copy = -1;
    if (pid == getpid()) {
        copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    } else {
        int process = (int)syscall(FOREIGN_SYS_PIDFD_OPEN, pid, 0u);
        if (process < 0) {
            log_error_errno("process %d can not be opened", (int)pid);
            return provider_errno_result(errno);
        }
        copy = (int)syscall(FOREIGN_SYS_PIDFD_GETFD, process, fd, 0u);
        int saved_errno = errno;
        close(process);
        errno = saved_errno;
    }
    if (copy < 0) {
        log_error_errno("descriptor %d of process %d can not be had", fd, (int)pid);
        return provider_errno_result(errno);
    }
    *out = copy;
    return UMF_RESULT_SUCCESS;
}

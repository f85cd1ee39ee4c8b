/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Descriptors of other processes; see foreign_fd.c. */
#ifndef UMF_PROVIDERS_FOREIGN_FD_H
#define UMF_PROVIDERS_FOREIGN_FD_H

#include <sys/types.h>

#include <umf/base.h>

/*
 * A duplicate (close-on-exec) of descriptor `fd` of process `pid`, which may be this one. Needs the
 * permission to trace that process: the same user, and where the Yama module restricts it, the
 * other's prctl(PR_SET_PTRACER). INVALID_ARGUMENT: no such process or descriptor, or no permission;
 * OUT_OF_HOST_MEMORY: no descriptors left; NOT_SUPPORTED: the kernel is older than 5.6.
 */
umf_result_t foreign_fd_get(pid_t pid, int fd, int *out);

#endif /* UMF_PROVIDERS_FOREIGN_FD_H */

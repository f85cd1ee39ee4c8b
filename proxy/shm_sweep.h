/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Left-over names of process heaps in /dev/shm; see shm_sweep.c. */
#ifndef UMF_PROXY_SHM_SWEEP_H
#define UMF_PROXY_SHM_SWEEP_H

/* What precedes the process id in the name of a process's shared heap. */
#define SHM_NAME_PREFIX "umf_proxy_lib_shm_pid_"

/* Removes the names of this user's processes that are gone. */
void shm_sweep(void);

#endif /* UMF_PROXY_SHM_SWEEP_H */

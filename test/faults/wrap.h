/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Calls of the library into the system that can be made to fail. The test links libumf.a with
 * -Wl,--wrap for each name below, so that every call from the library's objects comes here first;
 * calls inside the C library (stacks of threads, stdio) do not. Also counted: what stays mapped and
 * open, as the library sees it.
 */
#ifndef UMF_TEST_FAULTS_WRAP_H
#define UMF_TEST_FAULTS_WRAP_H

#include <stdbool.h>
#include <stddef.h>

/* Kinds of calls; a run fails calls of some of them. */
typedef enum fault_kind {
    FAULT_MMAP,
    FAULT_MUNMAP,
    FAULT_MREMAP,
    FAULT_MPROTECT,
    FAULT_MADVISE,
    FAULT_OPEN, /* open, openat, shm_open */
    FAULT_MEMFD,
    FAULT_FTRUNCATE, /* ftruncate, fallocate, posix_fallocate */
    FAULT_SYSCALL,   /* others made by number: mbind, pidfd_open, linkat …; not what can't fail */
    FAULT_DLOPEN,
    FAULT_KINDS
} fault_kind_t;

/* Arms: the n-th call from now (1: the next) fails; all later ones too with `onwards`. `kinds`:
 * bits 1 << kind that count. 0: only counts. */
void fault_arm(long n, bool onwards, unsigned kinds);
/* Stops failing. Returns how many calls counted since fault_arm. */
long fault_disarm(void);
/* Failures that were delivered since fault_arm; of one kind. */
long fault_delivered(fault_kind_t kind);
const char *fault_last(void); /* name of the latest call that was made to fail, or "" */

#endif /* UMF_TEST_FAULTS_WRAP_H */

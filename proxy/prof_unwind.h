/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Call stacks of the running thread, taken in the middle of malloc; see prof_unwind.c. */
#ifndef UMF_PROXY_PROF_UNWIND_H
#define UMF_PROXY_PROF_UNWIND_H

#include "core/utils.h"

enum {
    PROF_DEPTH_MAX = 128, /* frames of a stack at most */
};

/* Ways to unwind. The order is that of the words of prof.unwind. */
typedef enum prof_unwinder {
    PROF_UNWIND_AUTO,      /* the first of the next three that there is */
    PROF_UNWIND_LIBUNWIND, /* remembers how each return address is unwound: fast */
    PROF_UNWIND_LIBGCC,    /* the unwinder of C++ exceptions: everywhere, slower */
    PROF_UNWIND_FP,        /* frame pointers, for programs built with them */
    PROF_UNWIND_NONE,
} prof_unwinder_t;

/* Opens what the choice needs. Returns what will be used; PROF_UNWIND_NONE: there is nothing. Not
 * within malloc. */
prof_unwinder_t prof_unwind_start(prof_unwinder_t choice);
/* Return addresses, innermost first, without those in this library; at most max. Takes no lock that
 * a program can hold, and does not allocate. */
unsigned prof_unwind(uintptr_t *frames, unsigned max);
/* Is the address in this library's code? */
bool prof_unwind_is_ours(uintptr_t address);

/* No thread is unwinding between the first and the second or third. */
void prof_unwind_fork_prepare(void);
void prof_unwind_fork_done(void);

#endif /* UMF_PROXY_PROF_UNWIND_H */

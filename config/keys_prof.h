/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the heap profiler and the leak report; rows in keys_prof.c. */
#ifndef UMF_CONFIG_KEYS_PROF_H
#define UMF_CONFIG_KEYS_PROF_H

#include "config/settings.h"

/* In the order of the words in the rows. */
typedef enum proxy_prof_format {
    PROXY_PROF_PPROF,
    PROXY_PROF_PROTO,
    PROXY_PROF_COLLAPSED,
} proxy_prof_format_t;

typedef enum proxy_prof_unwind {
    PROXY_UNWIND_AUTO,
    PROXY_UNWIND_LIBUNWIND,
    PROXY_UNWIND_LIBGCC,
    PROXY_UNWIND_FP,
    PROXY_UNWIND_NONE,
} proxy_prof_unwind_t;

typedef enum proxy_leak { PROXY_LEAK_OFF, PROXY_LEAK_SAMPLED, PROXY_LEAK_EXACT } proxy_leak_t;

enum { PROXY_FILE_BYTES = 256, PROXY_SUPPRESS_BYTES = 512 };

typedef struct proxy_prof_settings {
    uint64_t sample; /* bytes from one sample to the next on average; 0: off; 1: all blocks */
    char file[PROXY_FILE_BYTES]; /* with %p and %n; "": by format */
    proxy_prof_format_t format;
    proxy_prof_unwind_t unwind;
    uint64_t depth;
    bool at_exit;
    bool peak;       /* a second file with what was in use at the peak */
    uint64_t every;  /* bytes allocated from one profile to the next; 0: none */
    uint64_t signal; /* its number; 0: none */
    proxy_leak_t leak;
    char leak_file[PROXY_FILE_BYTES];         /* with %p; "": standard error */
    char leak_suppress[PROXY_SUPPRESS_BYTES]; /* patterns, separated by commas */
    uint64_t leak_exitcode;                   /* 0: the program's own */
    uint64_t leak_top;                        /* stacks shown */
} proxy_prof_settings_t;

extern const settings_section_t proxy_keys_prof;

#endif /* UMF_CONFIG_KEYS_PROF_H */

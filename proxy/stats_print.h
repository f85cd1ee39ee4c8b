/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A report of statistics, and its two forms: tables for people, one line of JSON. It is about any
 * process: the library fills it for its own, umf-run --attach for another.
 */
#ifndef UMF_PROXY_STATS_PRINT_H
#define UMF_PROXY_STATS_PRINT_H

#include "pools/slab_detail.h"
#include "proxy/prof_out.h"

enum { STATS_POOLS = 8 };

typedef struct stats_pool {
    const char *title; /* "process pool" … */
    char provider[64]; /* "": not known */
    slab_detail_t detail;
} stats_pool_t;

typedef struct stats_report {
    int pid;
    char program[32];
    const char *occasion; /* "exit", "signal" … */
    unsigned number;
    size_t resident_bytes, resident_peak;
    uint64_t minor_faults, major_faults;
    uint64_t prof_interval; /* 0: no profile; else the next two are its estimates */
    uint64_t prof_live, prof_peak;
    unsigned pool_count;
    stats_pool_t pool[STATS_POOLS];
} stats_report_t;

/* Reads what the system knows of the process; false: there is no such process. */
bool stats_read_process(stats_report_t *report, int pid);
void stats_print_text(prof_out_t *out, const stats_report_t *report);
void stats_print_json(prof_out_t *out, const stats_report_t *report);

#endif /* UMF_PROXY_STATS_PRINT_H */

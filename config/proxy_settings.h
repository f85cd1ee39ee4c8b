/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The settings of the malloc replacement, as the variable UMF_PROXY gives them: one struct, filled
 * by one table (proxy_settings.c) of sections, one per topic. A topic has a pair of files: keys_*.h
 * has its fields, keys_*.c its rows. `UMF_PROXY=help` lists the rows, docs/settings.md is printed
 * from them.
 *
 * Nothing here allocates or keeps state: it may run in the first malloc of a process.
 */
#ifndef UMF_CONFIG_PROXY_SETTINGS_H
#define UMF_CONFIG_PROXY_SETTINGS_H

#include "config/keys_choice.h"
#include "config/keys_gpu.h"
#include "config/keys_os.h"
#include "config/keys_pools.h"
#include "config/keys_providers.h"
#include "config/keys_report.h"
#include "config/keys_slab.h"
#include "config/keys_prof.h"
#include "config/keys_stats.h"

typedef struct proxy_settings {
    proxy_choice_settings_t choice;
    proxy_file_settings_t file;
    proxy_devdax_settings_t devdax;
    proxy_fixed_settings_t fixed;
    proxy_gpu_settings_t level_zero;
    proxy_gpu_settings_t cuda;
    proxy_os_settings_t os;
    proxy_slab_settings_t slab;
    proxy_scalable_settings_t scalable;
    proxy_jemalloc_settings_t jemalloc;
    proxy_disjoint_settings_t disjoint;
    proxy_stats_settings_t stats;
    proxy_prof_settings_t prof;
    proxy_report_settings_t report;
} proxy_settings_t;

/* All rows: for readings of several texts, and for showing what is in force. */
const settings_table_t *proxy_settings_table(void);

void proxy_settings_defaults(proxy_settings_t *settings);

/*
 * Applies `text` (the value of UMF_PROXY; NULL is empty) on top of `*settings`, which holds
 * defaults or an earlier result. Each wrong entry, and each that does not fit the others, gives
 * one line on standard error and leaves its default in force. Returns the number of lines.
 */
int proxy_settings_parse(proxy_settings_t *settings, const char *text);
/* The same with the lines going to `sink`. */
int proxy_settings_parse_to(proxy_settings_t *settings, const char *text,
                            const settings_sink_t *sink);

/* Whether proxy_settings_parse() > 0 must end the process. */
UMF_INLINE bool proxy_settings_abort_on_wrong_setting(const proxy_settings_t *settings) {
    return settings->report.on_error == PROXY_ON_ERROR_ABORT;
}

/* Whether a bad free must end the process. */
UMF_INLINE bool proxy_settings_abort_on_bad_free(const proxy_settings_t *settings) {
    return settings->report.on_error != PROXY_ON_ERROR_WARN;
}

/* Prints all keys, at most 100 columns wide. */
void proxy_settings_help(int fd);
/* Prints the reference page docs/settings.md. */
void proxy_settings_markdown(int fd);

#endif /* UMF_CONFIG_PROXY_SETTINGS_H */

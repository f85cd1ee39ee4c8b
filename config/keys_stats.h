/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of statistics; rows in keys_stats.c. */
#ifndef UMF_CONFIG_KEYS_STATS_H
#define UMF_CONFIG_KEYS_STATS_H

#include "config/settings.h"

/* In the order of the words in the row. */
typedef enum proxy_stats_format { PROXY_STATS_TEXT, PROXY_STATS_JSON } proxy_stats_format_t;

enum { PROXY_STATS_WHEN_BYTES = 64, PROXY_STATS_FILE_BYTES = 256 };

typedef struct proxy_stats_settings {
    char when[PROXY_STATS_WHEN_BYTES]; /* as written; the next three are what it means */
    bool at_exit, on_signal;
    uint64_t every_ms;                 /* 0: not */
    char file[PROXY_STATS_FILE_BYTES]; /* with %p and %n; "": standard error */
    proxy_stats_format_t format;
    uint64_t signal; /* its number */
    bool attach;     /* any process of the user may read this one's statistics */
} proxy_stats_settings_t;

extern const settings_section_t proxy_keys_stats;

#endif /* UMF_CONFIG_KEYS_STATS_H */

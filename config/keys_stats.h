/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of statistics; rows in keys_stats.c. */
#ifndef UMF_CONFIG_KEYS_STATS_H
#define UMF_CONFIG_KEYS_STATS_H

#include "config/settings.h"

/* In the order of the words in the row. */
typedef enum proxy_stats { PROXY_STATS_OFF, PROXY_STATS_EXIT } proxy_stats_t;

typedef struct proxy_stats_settings {
    proxy_stats_t when;
} proxy_stats_settings_t;

extern const settings_section_t proxy_keys_stats;

#endif /* UMF_CONFIG_KEYS_STATS_H */

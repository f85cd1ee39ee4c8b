/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys of statistics. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("stats", stats.when, "off|exit", "off", "When to print statistics on standard error."),
};
/* clang-format on */

const settings_section_t proxy_keys_stats = {
    .title = "Statistics",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
};

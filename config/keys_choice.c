/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys that choose what serves malloc. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

#define GIB (UINT64_C(1) << 30)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("pool", choice.pool, "slab|proxy", "slab", "Pool that serves malloc; proxy asks the provider for every block, which is slow and meant for tests."),
    KEY_SIZE("size.threshold", choice.size_threshold, 0, 1024 * GIB, "0", "Requests of fewer bytes than this go to the system's malloc; 0 sends all to the pool."),
};
/* clang-format on */

const settings_section_t proxy_keys_choice = {
    .title = "What serves malloc",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
};

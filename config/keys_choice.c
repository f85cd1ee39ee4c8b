/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys that choose what serves malloc. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

#define GIB (UINT64_C(1) << 30)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("pool", choice.pool, "slab|scalable|jemalloc|disjoint|proxy", "slab", "Pool that serves malloc; scalable needs libtbbmalloc.so.2, jemalloc needs libumf.so.1; proxy asks the provider for every block, which is slow and meant for tests."),
    KEY_ENUM("provider", choice.provider, "os|file|devdax|fixed|level_zero|cuda", "os", "Where the pool's memory comes from: the operating system, a file, a DAX device, one fixed piece taken at start, or a GPU's driver."),
    KEY_STRING("pool.name", choice.pool_name, "", "Name of the pool, for umf.pool.by_name; by default that of its kind."),
    KEY_STRING("provider.name", choice.provider_name, "", "Name of the provider, for umf.provider.by_name; by default that of its kind."),
    KEY_SIZE("size.threshold", choice.size_threshold, 0, 1024 * GIB, "0", "Requests of fewer bytes than this go to the system's malloc; 0 sends all to the pool."),
    KEY_ENUM("on.exhausted", choice.on_exhausted, "fallback|null|abort", "fallback", "When the memory asked for runs out, or cannot be had at the start: fallback says so once and uses ordinary pages, null lets malloc fail (at the start: stops the program), abort stops the program."),
    KEY_STRING("only", choice.only, "", "Programs that the settings are for, as in python3,my*; all others run with defaults. A name is that of the file, or of the script; * stands for any text."),
    KEY_STRING("except", choice.except, "", "Programs that the settings are not for, as in bash,env,*.sh."),
};
/* clang-format on */

const settings_section_t proxy_keys_choice = {
    .title = "What serves malloc",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
};

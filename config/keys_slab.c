/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys slab.*. */
#include "config/proxy_settings.h"

#include <umf/pools/pool_slab.h>

#define SETTINGS_STRUCT proxy_settings_t

enum { HOUR_MS = 3600000 };

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(text) #text

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_SIZE("slab.chunk.size", slab.chunk_size, 0, 64 * MIB, "0", "Memory that the slab pool takes first, a multiple of 64k (later more at a time); 0 leaves it to the pool."),
    KEY_MSEC("slab.purge.delay", slab.purge_delay_ms, 0, HOUR_MS, TEXT_OF(UMF_SLAB_PURGE_DELAY_MS_DEFAULT) "ms", "How long memory stays unused before it goes back to the system."),
    KEY_BOOL("slab.keep.all", slab.keep_all, "no", "Never give memory back before the process ends."),
};
/* clang-format on */

static void check_chunk(settings_run_t *run, proxy_slab_settings_t *slab) {
    if (slab->chunk_size % (64 * KIB) != 0) {
        settings_complain(run,
                          "slab.chunk.size: %llu bytes is not a multiple of 64k; "
                          "use one, as in 4M, or 0 for the pool's own choice",
                          (unsigned long long)slab->chunk_size);
        slab->chunk_size = 0;
    }
}

static void check(settings_run_t *run, void *out) {
    proxy_settings_t *s = out;
    settings_need(run, "slab.", s->choice.pool == PROXY_POOL_SLAB, settings_was_wrong(run, "pool"),
                  "pool=slab");
    check_chunk(run, &s->slab);
}

const settings_section_t proxy_keys_slab = {
    .title = "Slab pool",
    .about = "The pool that serves malloc unless `pool` names another.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

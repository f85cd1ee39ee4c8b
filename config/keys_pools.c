/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys scalable.*, jemalloc.* and disjoint.*. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { JEMALLOC_ARENAS = 4095, DISJOINT_TRACE = 3 };

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_SIZE("scalable.granularity", scalable.granularity, 4 * KIB, GIB, "2M", "Least number of bytes that oneTBB asks the provider for at a time."),
    KEY_BOOL("scalable.keep.all", scalable.keep_all, "no", "Never give memory back to the provider."),
    KEY_UNSIGNED("jemalloc.arenas", jemalloc.arenas, 0, JEMALLOC_ARENAS, "0", "Number of arenas; 0 is four for each CPU."),
    KEY_SIZE("disjoint.slab.min.size", disjoint.slab_min_size, 4 * KIB, GIB, "64k", "Least size of a slab, which holds blocks of one size."),
    KEY_SIZE("disjoint.max.poolable.size", disjoint.max_poolable_size, 0, 2 * GIB, "2M", "Larger blocks come straight from the provider."),
    KEY_UNSIGNED("disjoint.capacity", disjoint.capacity, 0, 1000000, "4", "Empty slabs of each block size that are kept; of slabs that hold several blocks, one."),
    KEY_SIZE("disjoint.min.bucket.size", disjoint.min_bucket_size, 8, 64 * KIB, "16", "Smallest size of a block, a power of two."),
    KEY_SIZE("disjoint.limit", disjoint.limit, 0, 1024 * GIB, "0", "Bytes of empty slabs that are kept in all; 0 is no limit."),
    KEY_UNSIGNED("disjoint.trace", disjoint.trace, 0, DISJOINT_TRACE, "0", "What the pool tells in the log: 1 counts, 2 and 3 each call."),
};
/* clang-format on */

static void check_bucket(settings_run_t *run, proxy_disjoint_settings_t *disjoint) {
    if (!is_pow2(disjoint->min_bucket_size)) {
        settings_complain(run,
                          "disjoint.min.bucket.size: %llu is not a power of two; use one, as in 16",
                          (unsigned long long)disjoint->min_bucket_size);
        settings_reset(run, "disjoint.min.bucket.size");
    }
}

static void check(settings_run_t *run, void *out) {
    proxy_settings_t *s = out;
    bool quiet = settings_was_wrong(run, "pool");
    settings_need(run, "scalable.", s->choice.pool == PROXY_POOL_SCALABLE, quiet, "pool=scalable");
    settings_need(run, "jemalloc.", s->choice.pool == PROXY_POOL_JEMALLOC, quiet, "pool=jemalloc");
    settings_need(run, "disjoint.", s->choice.pool == PROXY_POOL_DISJOINT, quiet, "pool=disjoint");
    check_bucket(run, &s->disjoint);
}

const settings_section_t proxy_keys_pools = {
    .title = "Other pools",
    .about = "A key counts only with the `pool` that its name begins with.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

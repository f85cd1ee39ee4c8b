/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * on.exhausted: what happens when the chosen memory has run out. Ordinary pages come from the boot
 * pool; that is said once. When the boot pool is the process pool, or has nothing either, the
 * request was impossible and malloc fails as it does without settings.
 */
#include "proxy/exhausted.h"

#include <stdlib.h>

#include "core/log.h"
#include "proxy/process_pool.h"

static _Atomic(bool) exhausted_said;

static bool first_time(void) {
    bool said = false;
    return !load_relaxed(&exhausted_said) && cas_strong_acq_rel(&exhausted_said, &said, true);
}

static void *boot_alloc(size_t size, size_t alignment) {
    return alignment != 0 ? slab_pool_aligned_alloc(process_state.boot, size, alignment)
                          : slab_pool_alloc(process_state.boot, size);
}

UMF_COLD void *exhausted_alloc(size_t size, size_t alignment) {
    proxy_on_exhausted_t policy = process_state.on_exhausted;
    if (process_state.slab == process_state.boot ||
        (policy == PROXY_ON_EXHAUSTED_NULL && !driver_guard_refused)) {
        return NULL;
    }
    if (driver_guard_refused) { // nothing has run out
        driver_guard_refused = false;
        return boot_alloc(size, alignment);
    }
    if (policy == PROXY_ON_EXHAUSTED_ABORT) {
        umf_message("the memory that UMF_PROXY asks for has run out (%zu bytes were wanted); "
                    "stopping because of on.exhausted=abort",
                    size);
        abort();
    }
    void *block = boot_alloc(size, alignment);
    if (block != NULL && first_time()) {
        umf_message("the memory that UMF_PROXY asks for has run out (%zu bytes were wanted); "
                    "ordinary pages are used from now on where it has none",
                    size);
    }
    return block;
}

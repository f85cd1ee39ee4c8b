/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * on.exhausted: what happens when the chosen memory has run out. Ordinary pages come from the boot
 * pool; that is said once. When the boot pool is the process pool, or has nothing either, the
 * request was impossible and malloc fails as it does without settings.
 *
 * A pool without memory looks everywhere before it gives up, and its provider may call a driver. So
 * for some milliseconds after a failure, requests of at least that size are not tried again.
 */
#include "proxy/exhausted.h"

#include <stdlib.h>

#include "core/log.h"
#include "proxy/process_pool.h"

enum { RETRY_MS = 10 };

static _Atomic(bool) exhausted_said;
_Atomic(size_t) exhausted_from = SIZE_MAX;
static _Atomic(uint32_t)
    exhausted_at; /* ms; of the failure. Relaxed, as the size: both are hints */

static bool first_time(void) {
    bool said = false;
    return !load_relaxed(&exhausted_said) && cas_strong_acq_rel(&exhausted_said, &said, true);
}

static void *boot_alloc(size_t size, size_t alignment) {
    return alignment != 0 ? slab_pool_aligned_alloc(process_state.boot, size, alignment)
                          : slab_pool_alloc(process_state.boot, size);
}

bool exhausted_still(void) {
    if (slab_now_ms() - load_relaxed(&exhausted_at) < RETRY_MS) {
        return true;
    }
    store_relaxed(&exhausted_from, SIZE_MAX);
    return false;
}

void *exhausted_instead(size_t size) {
    return boot_alloc(size, 0);
}

static void exhausted_note(size_t size) {
    store_relaxed(&exhausted_at, slab_now_ms());
    if (size < load_relaxed(&exhausted_from)) {
        store_relaxed(&exhausted_from, size);
    }
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
    exhausted_note(size);
    void *block = boot_alloc(size, alignment);
    if (block != NULL && first_time()) {
        umf_message("the memory that UMF_PROXY asks for has run out (%zu bytes were wanted); "
                    "ordinary pages are used from now on where it has none",
                    size);
    }
    return block;
}

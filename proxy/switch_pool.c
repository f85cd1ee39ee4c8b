/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The change from the boot pool to what the settings ask for. Blocks of the boot pool stay valid:
 * every free finds its pool by address.
 */
#include "proxy/switch_pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "proxy/choose.h"
#include "proxy/fork_shared.h"
#include "proxy/process_pool.h"
#include "proxy/system_malloc.h"

/* Sends requests below the threshold to the slow side, where they are told apart. */
static void route_small(slab_pool_t *pool, size_t threshold) {
    size_t below = threshold < SLAB_FAST_MAX + 1 ? threshold : SLAB_FAST_MAX + 1;
    size_t medium = threshold > SLAB_FAST_MAX + 1 ? 0 : SLAB_CLASS_MAX;
    memset(pool->class_of, SLAB_CLASS_NONE, below);
    pool->medium_max = medium;
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        memcpy(theap->class_of, pool->class_of, sizeof(pool->class_of));
        theap->medium_max = medium;
    }
}

/* Only this thread exists yet: its heap of the boot pool no longer answers malloc. */
static void switch_over(const made_pool_t *made) {
    process_state.boot->process = false;
    slab_process_theap = (slab_theap_t *)&slab_theap_none;
    process_state.slab = made->slab;
    process_state.pool = made->handle;
    if (made->slab != NULL) {
        made->slab->process = true;
        slab_theap_t *theap = slab_theap_get(made->slab);
        slab_process_theap = theap != NULL ? theap : (slab_theap_t *)&slab_theap_none;
    }
}

static void switch_pool(const proxy_settings_t *settings) {
    made_pool_t made = {0};
    umf_result_t result = choose_pool(settings, &made);
    if (result != UMF_RESULT_SUCCESS) {
        umf_message("UMF_PROXY: the memory asked for is not to be had (error %d); ordinary "
                    "pages are used",
                    (int)result);
        if (proxy_settings_abort_on_wrong_setting(settings)) {
            abort();
        }
        return;
    }
    switch_over(&made);
    if (settings->os.disposition != PROXY_DISPOSITION_PRIVATE) {
        fork_shared_install();
    }
}

void switch_pool_apply(const proxy_settings_t *settings) {
    if (choose_is_needed(settings)) {
        switch_pool(settings);
    }
    if (process_state.slab != NULL) {
        process_state.slab->purge_delay_ms = (uint32_t)settings->slab.purge_delay_ms;
        process_state.slab->keep_all = settings->slab.keep_all;
    }
    if (settings->choice.size_threshold != 0 && system_malloc_load()) {
        if (process_state.slab != NULL) {
            route_small(process_state.slab, settings->choice.size_threshold);
        }
        process_state.threshold = settings->choice.size_threshold;
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The change from the boot pool to what the settings ask for. Blocks of the boot pool stay valid:
 * every free finds its pool by address.
 */
#include "proxy/switch_pool.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/provider.h"
#include "proxy/choose.h"
#include "proxy/fork_shared.h"
#include "proxy/handle_pool.h"
#include "proxy/process_pool.h"
#include "proxy/system_malloc.h"

enum { REASON_BYTES = 400 };

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

/* The reason, without what may follow a line end. */
static const char *reason_text(char *reason, umf_result_t result) {
    reason[strcspn(reason, "\n")] = '\0';
    return reason[0] != '\0'                               ? reason
           : result == UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY ? "out of memory"
                                                           : "its memory can not be had";
}

/* Nothing of what was asked for is there: on.exhausted tells what to do. */
static void cannot_switch(const proxy_settings_t *settings, const char *reason) {
    static const char *const policies[] = {"fallback", "null", "abort"};
    char pool[PROXY_NAME_BYTES], provider[PROXY_NAME_BYTES];
    const settings_table_t *table = proxy_settings_table();
    settings_enum_word(settings_find(table, "pool"), settings->choice.pool, pool, sizeof(pool));
    settings_enum_word(settings_find(table, "provider"), settings->choice.provider, provider,
                       sizeof(provider));
    bool fall_back = settings->choice.on_exhausted == PROXY_ON_EXHAUSTED_FALLBACK;
    umf_message("UMF_PROXY: pool=%s with provider=%s: %s; %s%s", pool, provider, reason,
                fall_back ? "ordinary pages are used" : "stopping because of on.exhausted=",
                fall_back ? "" : policies[settings->choice.on_exhausted]);
    if (!fall_back || proxy_settings_abort_on_wrong_setting(settings)) {
        abort();
    }
}

/* Whether parent and child would write to the same pages after a fork. */
static bool is_shared_on_fork(umf_memory_provider_handle_t provider) {
    void *priv = NULL;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    return extension != NULL && extension->shared_on_fork != NULL &&
           extension->shared_on_fork(priv);
}

static void switch_pool(const proxy_settings_t *settings) {
    made_pool_t made = {0};
    char reason[REASON_BYTES];
    log_capture(reason, sizeof(reason));
    umf_result_t result = choose_pool(settings, &made);
    log_capture(NULL, 0);
    if (result != UMF_RESULT_SUCCESS) {
        cannot_switch(settings, reason_text(reason, result));
        return;
    }
    if (made.slab == NULL) {
        handle_pool_install();
    }
    switch_over(&made);
    if (is_shared_on_fork(made.handle->provider)) {
        fork_shared_install();
    }
}

void switch_pool_apply(const proxy_settings_t *settings) {
    if (choose_needs_driver(settings) && !process_state.constructed) {
        return; // the constructor comes back
    }
    process_state.on_exhausted = settings->choice.on_exhausted;
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

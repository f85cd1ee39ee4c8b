/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Start-up of the process pool, in two steps.
 *
 * 1. Boot: the first call of any malloc function, often made by the dynamic loader, finds no pool
 * and makes a slab pool over ordinary pages. Nothing on that way allocates by malloc, reads the
 * environment or depends on constructors.
 * 2. Settings: as soon as there is an environment, UMF_PROXY is read. When it asks for another
 * provider or pool, that one is made (configure.c, choose_*.c) and becomes the process pool
 * (switch_pool.c). In the common case (no UMF_PROXY) the boot pool stays and this step does
 * nothing.
 *
 * A GPU's driver is not opened in the middle of the dynamic loader's work, but by our constructor;
 * up to then the boot pool serves.
 *
 * Nothing is torn down at exit: code that runs late may still use its memory.
 */
#define _GNU_SOURCE
#include "proxy/process_pool.h"

#include <sched.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_slab.h>

#include "core/log.h"
#include "core/state.h"
#include "core/system_call.h"
#include "providers/provider_os.h"
#include "proxy/choose.h"
#include "proxy/configure.h"
#include "proxy/prof.h"
#include "proxy/prof_ctl.h"
#include "proxy/proxy_ctl.h"
#include "proxy/stats.h"
#include "proxy/switch_pool.h"

process_state_t process_state;

/* ---- step 1 ---- */

static bool boot(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    umf_core_state.keep_alive = true;
    store_release(&umf_core_state.ready,
                  true); // umfInit follows in the constructor; it may allocate
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS) {
        return false;
    }
    umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params);
    if (result != UMF_RESULT_SUCCESS ||
        umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) !=
            UMF_RESULT_SUCCESS) {
        return false;
    }
    process_state.boot = process_state.slab = pool->priv;
    process_state.boot->process = true;
    process_state.pool = pool;
    return true;
}

/* ---- step 2 and both ---- */

bool process_pool_ready(void) {
    if (unlikely(load_acquire(&process_state.boot_state) != 2)) {
        int none = 0;
        if (cas_strong_acq_rel(&process_state.boot_state, &none, 1)) {
            bool made = boot();
            store_release(&process_state.boot_state, made ? 2 : 0);
            if (!made) {
                return false;
            }
            // Before the constructors of all other libraries: prepare handlers run last registered
            // first, so ours comes after theirs, which may allocate.
            fork_install();
        } else {
            while (load_acquire(&process_state.boot_state) == 1) {
                sys_sched_yield(); // another thread makes it
            }
            if (load_acquire(&process_state.boot_state) != 2) {
                return false;
            }
        }
    }
    if (unlikely(load_acquire(&process_state.configured) == 0) && environ != NULL) {
        configure_process();
    }
    return true;
}

/* The name in /dev/shm goes with the process; its memory stays usable to the end. A crash leaves
 * it to the next process with this pid, which replaces it. */
__attribute__((destructor(101))) static void process_pool_unlink(void) {
    if (process_state.settings.os.disposition == PROXY_DISPOSITION_SHARED_SHM &&
        process_state.pool != NULL) {
        umf_memory_provider_handle_t provider = process_state.pool->provider;
        if (provider->ops.initialize == umfOsMemoryProviderOps()->initialize &&
            process_state.slab != process_state.boot) {
            os_provider_unlink_name(provider->priv);
        }
    }
}

/* Before the constructors of programs, after those of libc. */
__attribute__((constructor(102))) static void process_pool_load(void) {
    bool waits = load_acquire(&process_state.configured) == 2;
    process_state.constructed = true;
    if (!process_pool_ready()) {
        umf_message("no memory for the process pool");
    }
    if (waits && choose_needs_driver(&process_state.settings)) {
        switch_pool_apply(&process_state.settings);
    }
    proxy_ctl_register();
    prof_ctl_register();
    stats_start(&process_state.settings.stats);
    prof_start(&process_state.settings.prof); // loads libraries: not before now
}

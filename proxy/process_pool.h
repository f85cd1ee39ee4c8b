/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The pool that serves this process's malloc; see process_pool.c. */
#ifndef UMF_PROXY_PROCESS_POOL_H
#define UMF_PROXY_PROCESS_POOL_H

#include "config/proxy_settings.h"
#include "core/pool.h"
#include "pools/slab.h"
#include "proxy/driver_guard.h"

typedef struct process_state {
    _Atomic(int) boot_state; /* 0: nothing, 1: the boot pool is being made, 2: it serves */
    _Atomic(int) configured; /* 0: UMF_PROXY not read yet, 1: being applied, 2: done */
    slab_pool_t *boot; /* slab pool over ordinary pages: serves until the settings are known, and
                          what other pools and providers allocate while they work */
    slab_pool_t
        *slab; /* the process pool if it is a slab pool (by default the boot pool), else NULL */
    umf_memory_pool_handle_t pool; /* its handle */
    size_t threshold;              /* smaller requests go to the system's malloc */
    proxy_on_exhausted_t on_exhausted;
    proxy_settings_t settings;
    bool constructed;   /* the library's constructor has begun: others can be opened */
    bool settings_read; /* UMF_PROXY was set; else `settings` is zero and the defaults hold */
} process_state_t;

extern process_state_t process_state;

/* Makes sure that there is a pool (and, as soon as there is an environment, the one that UMF_PROXY
 * asks for). False: out of memory. */
bool process_pool_ready(void);

/* The process pool for this thread's slow calls: NULL when requests go to process_state.pool
 * through its handle. */
UMF_INLINE slab_pool_t *process_slab(void) {
    return unlikely(driver_guard_depth != 0) ? process_state.boot : process_state.slab;
}

#endif /* UMF_PROXY_PROCESS_POOL_H */

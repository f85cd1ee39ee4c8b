/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Start-up, tear-down, version.
 *
 * The reference count is part of the shared state: when libumf and the proxy library are both in a
 * process, each holds one reference from its constructor to its destructor. Nothing is freed at the
 * last tear-down: objects that the program still holds stay readable, calls that would change them
 * report an error, and umfInit() brings the same core back.
 */
#include "core/init.h"

#include <umf.h>

#include "core/ctl.h"
#include "core/fork.h"
#include "core/ipc.h"
#include "core/log.h"
#include "core/memspace.h"
#include "core/state.h"

bool core_is_ready(void) {
    return load_acquire(&umf_core_state.ready);
}

UMF_EXPORT umf_result_t umfInit(void) {
    if (!core_state_compatible()) {
        log_fatal("another build of this library is loaded already, its state can not be shared");
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    lock_acquire(&umf_core_state.init_lock);
    if (umf_core_state.init_count == UINT32_MAX) {
        lock_release(&umf_core_state.init_lock);
        return UMF_RESULT_ERROR_OUT_OF_RESOURCES;
    }
    umf_core_state.init_count++;
    bool first = !load_relaxed(&umf_core_state.ready);
    store_release(&umf_core_state.ready, true);
    lock_release(&umf_core_state.init_lock);
    if (first) {
        // not under the lock: opening a log file may call malloc, which the proxy answers with this
        // core
        log_init_from_environment();
        ipc_limits_from_environment();
        ctl_config_load();
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfTearDown(void) {
    if (!core_state_compatible()) {
        return UMF_RESULT_SUCCESS; // there was no reference to take
    }
    lock_acquire(&umf_core_state.init_lock);
    bool last = umf_core_state.init_count > 0 && --umf_core_state.init_count == 0 &&
                !umf_core_state.keep_alive;
    if (last) {
        store_release(&umf_core_state.ready, false);
        memspace_tear_down();
    }
    lock_release(&umf_core_state.init_lock);
    if (last) {
        ctl_defaults_drop();
        store_relaxed(&umf_core_state.ctl.configured, false); // the next umfInit reads UMF_CONF
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT int umfGetCurrentVersion(void) {
    return UMF_VERSION_CURRENT;
}

/* 101 is the first priority open to programs: in a static build, static objects of the program are
 * constructed after and destroyed before the library. */
__attribute__((constructor(101))) static void core_load(void) {
    if (umfInit() == UMF_RESULT_SUCCESS) {
        fork_install();
        // Again: a first umfInit from within the dynamic loader came before there was an
        // environment, and a second library on the same core has caches of its own to fill.
        log_init_from_environment();
        ctl_config_load();
    }
}

__attribute__((destructor(101))) static void core_unload(void) {
    (void)umfTearDown();
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The one state of the core. libumf and libumf_proxy hold the same code; in a process that has
 * both, the dynamic linker binds both to the first library's `umf_core_state` (it is exported and
 * interposable), so there is a single core however the second one was loaded, also by
 * dlopen(RTLD_LOCAL) + dlsym.
 *
 * Rule: every mutable global of core/, providers/, pools/ and config/ is a member here. Exceptions
 * are thread-local variables and caches that each library may have for itself (run-time library
 * tables).
 */
#ifndef UMF_CORE_STATE_H
#define UMF_CORE_STATE_H

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/fork.h"
#include "core/ipc.h"
#include "core/log.h"
#include "core/map.h"
#include "core/registry.h"

#define UMF_CORE_MAGIC UINT64_C(0x315f45524f434d55) /* "UMCORE_1" */

/* Globals of one pool or provider module that keeps some; which slot is whose: CORE_SLOT_* in the
 * module's header. */
typedef struct core_slot {
    umf_lock_t lock;
    void *live;  /* the module's list of living objects */
    void *spare; /* the module's list of objects for reuse */
    _Atomic(uint64_t) next_id;
} core_slot_t;

enum { CORE_SLOTS = 8 };

typedef struct umf_core_state {
    uint64_t magic;  /* UMF_CORE_MAGIC */
    uint32_t size;   /* of this struct: differs between incompatible builds */
    uint32_t layout; /* bumped by hand when a shared structure changes without a change of size */
    umf_lock_t init_lock;
    uint32_t init_count; /* references by umfInit; under init_lock */
    _Atomic(bool) ready; /* between the first init and the last tear-down */
    bool keep_alive;     /* the proxy is loaded: tear-down keeps tracking working */
    fork_state_t fork;
    base_state_t base;
    map_state_t map;
    registry_t pools, providers;                  /* live ones */
    struct pool_extension_entry *pool_extensions; /* under the pools' lock */
    _Atomic(uint32_t) next_counter_shard;         /* pool_count.c */
    ctl_state_t ctl;
    struct provider_extension_entry *provider_extensions; /* under init_lock */
    log_state_t log;
    ipc_state_t ipc;
    core_slot_t slots[CORE_SLOTS];
} umf_core_state_t;

extern UMF_EXPORT umf_core_state_t umf_core_state;

/* True when the state that this library is bound to was made by a compatible build. */
bool core_state_compatible(void);

#endif /* UMF_CORE_STATE_H */

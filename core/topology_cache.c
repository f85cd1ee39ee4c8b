/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The current snapshot of the machine's memory (slot CORE_SLOT_MEMSPACE of the core's state: `live`
 * is the snapshot, `next_id` counts generations). Whoever uses it holds a reference, so that a
 * newer one can take its place at any time.
 *
 * A snapshot is made without the lock: hwloc calls malloc, which may be this library, and reads
 * files. When two threads come at once both make one, and the second replaces the first.
 *
 * Whether memory was added or removed since is told by a number made of a few short files, which is
 * much cheaper than a new snapshot. A failure is not remembered.
 */
#include "core/topology.h"

#include "core/log.h"
#include "core/memspace.h"
#include "core/state.h"

static core_slot_t *cache_slot(void) {
    return &umf_core_state.slots[CORE_SLOT_MEMSPACE];
}

/* A new snapshot, or NULL. */
static topology_t *topology_load(void) {
    topology_t *topology = NULL;
    const uint64_t signature = topology_signature(); // before: a change in between is seen later
    umf_result_t result = topology_read_hwloc(&topology);
    if (result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        log_debug("no hwloc: NUMA nodes are read from " TOPOLOGY_SYSFS_FOLDER);
        result = topology_read_sysfs(TOPOLOGY_SYSFS_FOLDER, &topology);
    }
    if (result != UMF_RESULT_SUCCESS) {
        log_error("the NUMA nodes of this machine can not be found out (error %d)", (int)result);
        return NULL;
    }
    topology->signature = signature;
    return topology;
}

/* Takes a reference on the snapshot in the cache, if there is one. */
static topology_t *cache_get(void) {
    core_slot_t *slot = cache_slot();
    lock_acquire(&slot->lock);
    topology_t *topology = slot->live;
    if (topology != NULL) {
        topology->references++;
    }
    lock_release(&slot->lock);
    return topology;
}

/* Puts a snapshot, or nothing, into the cache, and drops the reference on the one before. A new one
 * gets two references: the cache's and the caller's. */
static void cache_put(topology_t *topology) {
    core_slot_t *slot = cache_slot();
    lock_acquire(&slot->lock);
    topology_t *before = slot->live;
    if (topology != NULL) {
        topology->references = 2;
        topology->generation = fetch_add_relaxed(&slot->next_id, 1) + 1;
    }
    slot->live = topology;
    lock_release(&slot->lock);
    if (before != NULL) {
        topology_release(before);
    }
}

topology_t *topology_acquire(void) {
    topology_t *topology = cache_get();
    if (topology != NULL &&
        (!topology->this_system || topology->signature == topology_signature())) {
        return topology;
    }
    if (topology != NULL) {
        log_info("the memory of this machine has changed");
        topology_release(topology);
    }
    topology = topology_load();
    if (topology != NULL) {
        cache_put(topology);
    }
    return topology;
}

void topology_release(topology_t *topology) {
    core_slot_t *slot = cache_slot();
    lock_acquire(&slot->lock);
    bool last = --topology->references == 0;
    lock_release(&slot->lock);
    if (last) {
        topology_free(topology);
    }
}

void topology_forget(void) {
    cache_put(NULL);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Producer side of IPC: one entry per allocation that somebody asked a handle for. It hangs on the
 * allocation's region in the address map, so finding it costs nothing beyond finding the region.
 *
 * An entry holds the handle for offset 0; further handles are copies of it. The provider's `put`
 * comes when the allocation is freed, split or merged, when its pool ends, or when the cache is
 * over its limit and no handle of this entry is out. Until then handles may come and go.
 *
 * Each handle has a prefix that leads to its entry, which outlives its allocation until the last
 * handle is put.
 *
 * Two threads that ask for the first handle of one allocation at once both call the provider; one
 * of the answers goes back.
 *
 * Fork: what the provider of the parent said is the parent's business. The child forgets all
 * entries without `put` and asks anew, so that its handles name the child.
 */
#define _GNU_SOURCE
#include "core/ipc.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/state.h"
#include "core/system_call.h"

#define PREFIX_MAGIC UINT64_C(0x584650435049464d) /* in front of every handle that is out */

typedef struct ipc_export {
    ipc_link_t all, idle;
    map_region_t *region; /* NULL: its allocation is gone, only handles are left */
    umf_memory_provider_handle_t provider;
    size_t handles;                /* that are out */
    size_t bytes;                  /* of a handle */
    struct umf_ipc_data_t *record; /* owned; for offset 0 */
} ipc_export_t;

typedef struct ipc_prefix {
    ipc_export_t *entry;
    size_t block; /* bytes of prefix and handle */
    uint64_t magic;
    uint64_t unused; /* keeps the handle aligned to 16 */
} ipc_prefix_t;
static_assert(sizeof(ipc_prefix_t) % 16 == 0, "alignment of handles");

static ipc_state_t *ipc_state(void) {
    return &umf_core_state.ipc;
}

/* A number that no other handle of this system has; lock held. */
static uint64_t next_id(void) {
    ipc_state_t *state = ipc_state();
    if (state->next_id == 0) {
        struct timespec now = {0};
        uint64_t start = 0;
        // In the first moments after the machine's start there may be no random numbers yet.
        if (sys_getrandom(&start, sizeof(start), GRND_NONBLOCK) != sizeof(start)) {
            clock_gettime(CLOCK_REALTIME, &now);
            start = (uint64_t)now.tv_nsec << 34 ^ (uint64_t)now.tv_sec << 22 ^ (uint64_t)getpid();
        }
        state->next_id = start | 1;
    }
    return state->next_id++;
}

static void entry_free(ipc_export_t *entry) {
    base_free(entry->record, entry->bytes);
    base_free(entry, sizeof(*entry));
}

/* Takes an entry out of the cache; lock held. The caller then calls entry_put_provider. */
static void entry_detach(ipc_export_t *entry) {
    ipc_state_t *state = ipc_state();
    store_relaxed(&entry->region->ipc_data, NULL);
    entry->region = NULL;
    ipc_ring_remove(&entry->all);
    ipc_ring_remove(&entry->idle);
    fetch_sub_relaxed(&state->export_count, 1);
    entry->handles++; // keeps it alive for the caller
}

/* Drops one reference; lock held. Returns the entry if it is to be freed now. */
static ipc_export_t *entry_unref(ipc_export_t *entry) {
    entry->handles--;
    if (entry->handles > 0) {
        return NULL;
    }
    if (entry->region == NULL) {
        return entry;
    }
    ipc_ring_append(&ipc_state()->exports_idle, &entry->idle);
    return NULL;
}

/* The second half of entry_detach, without the lock. */
static void entry_put_provider(ipc_export_t *entry) {
    umf_result_t result = umfMemoryProviderPutIPCHandle(entry->provider, entry->record->data);
    if (result != UMF_RESULT_SUCCESS) {
        log_warning("the provider did not take back the IPC handle of an allocation (error %d)",
                    (int)result);
    }
    lock_acquire(&ipc_state()->lock);
    ipc_export_t *unused = entry_unref(entry);
    lock_release(&ipc_state()->lock);
    if (unused != NULL) {
        entry_free(unused);
    }
}

/* Detaches the least recently used entry when there are more than the limit; lock held. */
static ipc_export_t *entry_over_limit(void) {
    ipc_state_t *state = ipc_state();
    size_t limit = load_relaxed(&state->export_limit);
    if (limit == 0 || load_relaxed(&state->export_count) <= limit ||
        ipc_ring_empty(&state->exports_idle)) {
        return NULL;
    }
    ipc_export_t *entry = IPC_OF_LINK(ipc_export_t, idle, state->exports_idle.next);
    entry_detach(entry);
    return entry;
}

/* Asks the provider; the entry is not in the cache yet. */
static umf_result_t entry_new(map_region_t *region, ipc_export_t **out) {
    size_t data_bytes;
    umf_result_t result = ipc_data_bytes(region->provider, &data_bytes);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    ipc_export_t *entry = base_alloc(sizeof(*entry));
    if (entry == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    entry->bytes = IPC_HEADER_BYTES + data_bytes;
    entry->provider = region->provider;
    entry->record = base_alloc(entry->bytes);
    if (entry->record == NULL) {
        base_free(entry, sizeof(*entry));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    ipc_header_t header = {.base = region->base,
                           .size = load_relaxed(&region->size),
                           .pid = (int32_t)getpid(),
                           .data_bytes = (uint32_t)data_bytes};
    result = umfMemoryProviderGetIPCHandle(entry->provider, (void *)header.base, header.size,
                                           entry->record->data);
    if (result != UMF_RESULT_SUCCESS) {
        entry_free(entry);
        return result;
    }
    lock_acquire(&ipc_state()->lock);
    header.id = next_id();
    lock_release(&ipc_state()->lock);
    ipc_record_write(entry->record, &header);
    *out = entry;
    return UMF_RESULT_SUCCESS;
}

/* The entry of a region with a reference for a new handle. */
static umf_result_t entry_for(map_region_t *region, ipc_export_t **out) {
    ipc_state_t *state = ipc_state();
    lock_acquire(&state->lock);
    ipc_export_t *entry = load_relaxed(&region->ipc_data);
    if (entry != NULL) {
        entry->handles++;
        ipc_ring_remove(&entry->idle);
        lock_release(&state->lock);
        *out = entry;
        return UMF_RESULT_SUCCESS;
    }
    lock_release(&state->lock);

    ipc_export_t *made, *unwanted = NULL;
    umf_result_t result = entry_new(region, &made);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    lock_acquire(&state->lock);
    entry = load_relaxed(&region->ipc_data);
    if (entry == NULL) {
        entry = made;
        entry->region = region;
        store_relaxed(&region->ipc_data, entry);
        ipc_ring_append(&state->exports, &entry->all);
        fetch_add_relaxed(&state->export_count, 1);
        unwanted = entry_over_limit();
    } else { // another thread was faster
        ipc_ring_remove(&entry->idle);
        unwanted = made;
        unwanted->handles = 1;
    }
    entry->handles++;
    lock_release(&state->lock);
    if (unwanted != NULL) {
        entry_put_provider(unwanted);
    }
    *out = entry;
    return UMF_RESULT_SUCCESS;
}

umf_result_t ipc_export_get(map_region_t *region, size_t offset, umf_ipc_handle_t *handle,
                            size_t *bytes) {
    ipc_export_t *entry;
    umf_result_t result = entry_for(region, &entry);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const size_t block = sizeof(ipc_prefix_t) + entry->bytes;
    ipc_prefix_t *prefix = base_alloc(block);
    if (prefix == NULL) {
        lock_acquire(&ipc_state()->lock);
        ipc_export_t *unused = entry_unref(entry);
        lock_release(&ipc_state()->lock);
        if (unused != NULL) {
            entry_free(unused);
        }
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    *prefix = (ipc_prefix_t){.entry = entry, .block = block, .magic = PREFIX_MAGIC};
    umf_ipc_handle_t copy = (umf_ipc_handle_t)(prefix + 1);
    memcpy(copy, entry->record, entry->bytes); // does not change while there are handles
    ipc_record_set_offset(copy, offset);
    *bytes = entry->bytes;
    *handle = copy;
    return UMF_RESULT_SUCCESS;
}

umf_result_t ipc_export_put(umf_ipc_handle_t handle) {
    ipc_state_t *state = ipc_state();
    ipc_prefix_t *prefix = (ipc_prefix_t *)(void *)handle - 1;
    lock_acquire(&state->lock);
    if (prefix->magic != PREFIX_MAGIC) {
        lock_release(&state->lock);
        log_error("%p was put before, or is no handle from umfGetIPCHandle", (void *)handle);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    prefix->magic = 0;
    ipc_export_t *unused = entry_unref(prefix->entry);
    ipc_export_t *unwanted = entry_over_limit();
    lock_release(&state->lock);
    base_free(prefix, prefix->block);
    if (unused != NULL) {
        entry_free(unused);
    }
    if (unwanted != NULL) {
        entry_put_provider(unwanted);
    }
    return UMF_RESULT_SUCCESS;
}

void ipc_export_drop(map_region_t *region) {
    if (likely(load_relaxed(&region->ipc_data) == NULL)) { // written by calls for this very region
        return;
    }
    ipc_state_t *state = ipc_state();
    lock_acquire(&state->lock);
    ipc_export_t *entry = load_relaxed(&region->ipc_data);
    if (entry != NULL) {
        entry_detach(entry);
    }
    lock_release(&state->lock);
    if (entry != NULL) {
        entry_put_provider(entry);
    }
}

/* Detaches one entry of a pool; NULL: there is none. */
static ipc_export_t *entry_of_pool(umf_memory_pool_handle_t pool) {
    ipc_state_t *state = ipc_state();
    ipc_export_t *found = NULL;
    lock_acquire(&state->lock);
    for (ipc_link_t *link = state->exports.next; link != NULL && link != &state->exports;
         link = link->next) {
        ipc_export_t *entry = IPC_OF_LINK(ipc_export_t, all, link);
        if (entry->region->pool == pool) {
            entry_detach(entry);
            found = entry;
            break;
        }
    }
    lock_release(&state->lock);
    return found;
}

void ipc_export_drop_pool(umf_memory_pool_handle_t pool) {
    for (ipc_export_t *entry; (entry = entry_of_pool(pool)) != NULL;) {
        entry_put_provider(entry);
    }
}

void ipc_export_fork_child(void) {
    ipc_state_t *state = ipc_state();
    while (!ipc_ring_empty(&state->exports)) {
        ipc_export_t *entry = IPC_OF_LINK(ipc_export_t, all, state->exports.next);
        entry_detach(entry);
        ipc_export_t *unused = entry_unref(entry); // others wait for the put of their handles
        if (unused != NULL) {
            entry_free(unused);
        }
    }
    state->next_id = 0;
}

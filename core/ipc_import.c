/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Consumer side of IPC: one entry per mapping that a handler opened. Handles with the same id and
 * the same provider data share it; an entry that nobody uses stays for the next opener until the
 * cache is over its limit (least recently used first), a newer handle for the same address of the
 * same process arrives, or the handler ends.
 *
 *   OPENING ──► READY ──► taken out of the cache and closed by its own provider, when unused
 *      └──────► FAILED     (freed by the last one that waited for it)
 *
 * Whoever comes while an entry is OPENING waits for it: a handle is opened once. The provider works
 * without any lock held.
 *
 * The mapping is a region of the address map, so closing finds it by any address inside and
 * umfGetMemoryPropertiesHandle knows it. Some providers answer an open with memory that is in the
 * map already (a GPU's, in the producing process): such an entry has no region, and its addresses
 * are looked for in the list of all entries.
 */
#include "core/ipc.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/provider.h"
#include "core/state.h"
#include "core/tracking.h"

enum import_state { IMPORT_OPENING, IMPORT_READY, IMPORT_FAILED };

typedef struct ipc_import {
    struct ipc_import *next_in_bucket; /* or in a list of entries to be closed */
    ipc_link_t all, idle;
    const void *handler;                   /* private state of the wrapper: part of the key */
    umf_memory_provider_handle_t provider; /* the wrapped one, which opens and closes */
    _Atomic(uint32_t) state;               /* waited for; written under the lock */
    umf_result_t result;                   /* of a failed open */
    size_t users;                          /* opened more often than closed, and waiters */
    bool outdated;                         /* the producer has other memory there by now */
    map_region_t *region;                  /* READY: NULL if the address map has others there */
    void *mapped;                          /* READY */
    ipc_header_t header;                   /* its offset means nothing */
    uint8_t data[];                        /* the provider's, as received */
} ipc_import_t;

static ipc_state_t *ipc_state(void) {
    return &umf_core_state.ipc;
}

/* Same for all handles of one address in one process. */
static ipc_import_t **import_bucket(const void *handler, const ipc_header_t *header) {
    uint64_t hash = (header->base >> 12) ^ (uint64_t)(uint32_t)header->pid << 36 ^
                    (uint64_t)(uintptr_t)handler << 8;
    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return &ipc_state()->import_buckets[hash >> 56];
}
static_assert(IPC_IMPORT_BUCKETS == 1 << (64 - 56), "the shift above");

static bool import_same_place(const ipc_import_t *entry, const void *handler,
                              const ipc_header_t *header) {
    return entry->handler == handler && entry->header.base == header->base &&
           entry->header.pid == header->pid;
}

/* All but the offset agree: what was checked then holds now. */
static bool import_matches(const ipc_import_t *entry, const ipc_header_t *header,
                           const uint8_t *data) {
    return entry->header.id == header->id && entry->header.base_check == header->base_check &&
           entry->header.size == header->size && entry->header.data_bytes == header->data_bytes &&
           memcmp(entry->data, data, header->data_bytes) == 0;
}

static void import_free(ipc_import_t *entry) {
    base_free(entry, sizeof(*entry) + entry->header.data_bytes);
}

/* Takes an entry out of the cache; lock held. */
static void import_detach(ipc_import_t *entry) {
    ipc_import_t **link = import_bucket(entry->handler, &entry->header);
    while (*link != entry) {
        link = &(*link)->next_in_bucket;
    }
    *link = entry->next_in_bucket;
    ipc_ring_remove(&entry->all);
    ipc_ring_remove(&entry->idle);
    fetch_sub_relaxed(&ipc_state()->import_count, 1);
    if (entry->region != NULL) {
        store_relaxed(&entry->region->ipc_data, NULL); // closing it again finds nothing
    }
}

/* Moves an entry from the cache to a list of entries to be closed; lock held. */
static void import_condemn(ipc_import_t *entry, ipc_import_t **list) {
    import_detach(entry);
    entry->next_in_bucket = *list;
    *list = entry;
}

/* Closes and frees a list of entries, without the lock. */
static void import_close_list(ipc_import_t *list) {
    while (list != NULL) {
        ipc_import_t *entry = list;
        list = entry->next_in_bucket;
        if (entry->region != NULL) {
            map_remove(entry->region); // before the close: the address may be anybody's after it
        }
        umf_result_t result =
            umfMemoryProviderCloseIPCHandle(entry->provider, entry->mapped, entry->header.size);
        if (result != UMF_RESULT_SUCCESS) {
            log_warning("the provider did not close the IPC mapping at %p (error %d)",
                        entry->mapped, (int)result);
        }
        import_free(entry);
    }
}

/* Condemns what is over the limit, with room for `more`; lock held. */
static void import_evict(size_t more, ipc_import_t **list) {
    ipc_state_t *state = ipc_state();
    const size_t limit = load_relaxed(&state->import_limit);
    while (limit != 0 && load_relaxed(&state->import_count) + more > limit &&
           !ipc_ring_empty(&state->imports_idle)) {
        import_condemn(IPC_OF_LINK(ipc_import_t, idle, state->imports_idle.next), list);
    }
}

/* Condemns mappings of memory that the producer has replaced; those in use go later. Lock held. */
static void import_outdate(const void *handler, const ipc_header_t *header, ipc_import_t **list) {
    ipc_import_t *next = NULL;
    for (ipc_import_t *entry = *import_bucket(handler, header); entry != NULL; entry = next) {
        next = entry->next_in_bucket;
        if (!import_same_place(entry, handler, header) || entry->header.id == header->id) {
            continue;
        }
        if (entry->users == 0) {
            import_condemn(entry, list);
        } else {
            entry->outdated = true;
        }
    }
}

static umf_result_t import_new(umf_memory_provider_handle_t handler, const ipc_header_t *header,
                               const uint8_t *record, ipc_import_t **out) {
    if (!ipc_record_intact(record, header)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ipc_import_t *entry = base_alloc(sizeof(*entry) + header->data_bytes);
    if (entry == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    entry->handler = handler->priv;
    entry->provider = tracking_provider_upstream(handler);
    entry->header = *header;
    entry->users = 1;
    memcpy(entry->data, record + IPC_HEADER_BYTES, header->data_bytes);
    *out = entry;
    return UMF_RESULT_SUCCESS;
}

/* Puts a new entry into the cache; lock held. */
static void import_insert(ipc_import_t *entry) {
    ipc_state_t *state = ipc_state();
    ipc_import_t **bucket = import_bucket(entry->handler, &entry->header);
    entry->next_in_bucket = *bucket;
    *bucket = entry;
    ipc_ring_append(&state->imports, &entry->all);
    fetch_add_relaxed(&state->import_count, 1);
}

/* What our own providers say about the bytes before anything is opened. */
static umf_result_t import_inspect(const ipc_import_t *entry) {
    void *priv;
    const provider_extension_t *extension = provider_extension(entry->provider, &priv);
    if (extension == NULL || extension->ipc_inspect == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    size_t mapped = 0;
    umf_result_t result = extension->ipc_inspect(entry->data, entry->header.data_bytes, &mapped);
    // More than there is would lead beyond the mapping, less would leave a part of it behind.
    if (result == UMF_RESULT_SUCCESS &&
        align_up(entry->header.size, base_page_size()) != align_up(mapped, base_page_size())) {
        log_error("an IPC handle of %zu bytes of memory describes a mapping of %zu",
                  entry->header.size, mapped);
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return result;
}

/* Lets the provider open. It gets a copy, and at least as many bytes as it has in handles of its
 * own, so that it can not read beyond the end whatever the handle is. */
static umf_result_t import_map(ipc_import_t *entry) {
    size_t own_bytes;
    umf_result_t result = ipc_data_bytes(entry->provider, &own_bytes);
    if (result == UMF_RESULT_SUCCESS) {
        result = import_inspect(entry);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const size_t data_bytes = entry->header.data_bytes;
    const size_t bytes = own_bytes > data_bytes ? own_bytes : data_bytes;
    uint8_t *copy = base_alloc(bytes);
    if (copy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    memcpy(copy, entry->data, data_bytes);
    result = umfMemoryProviderOpenIPCHandle(entry->provider, copy, &entry->mapped);
    base_free(copy, bytes);
    return result;
}

/* Enters the mapping into the address map. */
static umf_result_t import_track(ipc_import_t *entry) {
    if (map_find_region(entry->mapped) != NULL) {
        return UMF_RESULT_SUCCESS; // see the head of this file
    }
    const map_region_info_t info = {
        .base = entry->mapped,
        .size = entry->header.size,
        .provider = entry->provider,
        .ipc_opened = true,
    };
    umf_result_t result = map_add(&info, &entry->region);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderCloseIPCHandle(entry->provider, entry->mapped, entry->header.size);
    }
    return result;
}

/* Ends the OPENING of an entry that this thread put in. */
static umf_result_t import_finish(ipc_import_t *entry) {
    ipc_state_t *state = ipc_state();
    umf_result_t result = import_map(entry);
    if (result == UMF_RESULT_SUCCESS) {
        result = import_track(entry);
    }
    lock_acquire(&state->lock);
    bool unused = false;
    if (result == UMF_RESULT_SUCCESS) {
        if (entry->region != NULL) {
            store_relaxed(&entry->region->ipc_data, entry);
        }
        store_relaxed(&entry->state, IMPORT_READY);
    } else {
        import_detach(entry);
        entry->result = result;
        unused = --entry->users == 0;
        store_relaxed(&entry->state, IMPORT_FAILED);
    }
    if (!unused) {
        lock_wake_word(&entry->state);
    }
    lock_release(&state->lock);
    if (unused) {
        import_free(entry);
    }
    return result;
}

/* Waits until somebody else's OPENING ends; users counts us. Lock held, also afterwards. */
static umf_result_t import_await(ipc_import_t *entry) {
    ipc_state_t *state = ipc_state();
    while (load_relaxed(&entry->state) == IMPORT_OPENING) {
        lock_release(&state->lock);
        lock_wait_word(&entry->state, IMPORT_OPENING);
        lock_acquire(&state->lock);
    }
    if (load_relaxed(&entry->state) == IMPORT_READY) {
        return UMF_RESULT_SUCCESS;
    }
    umf_result_t result = entry->result;
    if (--entry->users == 0) {
        import_free(entry); // the base allocator's lock ranks above
    }
    return result;
}

umf_result_t ipc_import_open(umf_memory_provider_handle_t handler, const ipc_header_t *header,
                             const void *record, void **ptr) {
    ipc_state_t *state = ipc_state();
    const uint8_t *data = (const uint8_t *)record + IPC_HEADER_BYTES;
    ipc_import_t *condemned = NULL;
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&state->lock);
    ipc_import_t *entry = *import_bucket(handler->priv, header);
    while (entry != NULL && !(import_same_place(entry, handler->priv, header) &&
                              import_matches(entry, header, data))) {
        entry = entry->next_in_bucket;
    }
    if (entry != NULL) {
        entry->users++;
        ipc_ring_remove(&entry->idle);
        result = import_await(entry);
        lock_release(&state->lock);
    } else {
        result = import_new(handler, header, record, &entry);
        if (result != UMF_RESULT_SUCCESS) {
            lock_release(&state->lock);
            log_error("the bytes given to umfOpenIPCHandle are no intact IPC handle (error %d)",
                      (int)result);
            return result;
        }
        import_outdate(handler->priv, header, &condemned);
        import_evict(1, &condemned);
        import_insert(entry);
        lock_release(&state->lock);
        import_close_list(condemned);
        result = import_finish(entry);
    }
    if (result == UMF_RESULT_SUCCESS) {
        *ptr = (char *)entry->mapped + header->offset;
    }
    return result;
}

static bool import_has(const ipc_import_t *entry, const void *ptr) {
    return load_relaxed(&entry->state) == IMPORT_READY &&
           (uintptr_t)ptr - (uintptr_t)entry->mapped < entry->header.size;
}

/* The entry of an address; lock held. */
static ipc_import_t *import_find(const void *ptr) {
    map_region_t *region = map_find_region(ptr);
    while (region != NULL && !region->ipc_opened) { // a pool may lie inside
        region = region->parent;
    }
    ipc_import_t *found = region != NULL ? load_relaxed(&region->ipc_data) : NULL;
    const ipc_link_t *ring = &ipc_state()->imports;
    for (const ipc_link_t *link = ring->next; found == NULL && link != NULL && link != ring;
         link = link->next) {
        ipc_import_t *entry = IPC_OF_LINK(ipc_import_t, all, link);
        if (entry->region == NULL && entry->users > 0 && import_has(entry, ptr)) {
            found = entry;
        }
    }
    return found != NULL && found->users > 0 && import_has(found, ptr) ? found : NULL;
}

umf_result_t ipc_import_close(void *ptr) {
    ipc_state_t *state = ipc_state();
    ipc_import_t *condemned = NULL;
    lock_acquire(&state->lock);
    ipc_import_t *entry = import_find(ptr);
    if (entry == NULL) {
        lock_release(&state->lock);
        log_error("%p is in no opened IPC mapping, or was closed as often as opened", ptr);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    entry->users--;
    if (entry->users == 0) {
        if (entry->outdated) {
            import_condemn(entry, &condemned);
        } else {
            ipc_ring_append(&state->imports_idle, &entry->idle);
        }
        import_evict(0, &condemned);
    }
    lock_release(&state->lock);
    import_close_list(condemned);
    return UMF_RESULT_SUCCESS;
}

void ipc_import_close_all(const void *handler_priv) {
    ipc_state_t *state = ipc_state();
    ipc_import_t *condemned = NULL;
    size_t in_use = 0;
    lock_acquire(&state->lock);
    ipc_link_t *link = state->imports.next;
    while (link != NULL && link != &state->imports) {
        ipc_import_t *entry = IPC_OF_LINK(ipc_import_t, all, link);
        link = link->next;
        if (entry->handler == handler_priv && load_relaxed(&entry->state) == IMPORT_READY) {
            in_use += entry->users != 0;
            import_condemn(entry, &condemned);
        }
    }
    lock_release(&state->lock);
    if (in_use != 0) {
        log_warning("%zu opened IPC mappings are unmapped with their pool, although not closed",
                    in_use);
    }
    import_close_list(condemned);
}

void ipc_import_fork_child(void) {
    // Threads that were opening are not here; those who waited for them neither.
    ipc_link_t *link = ipc_state()->imports.next;
    while (link != NULL && link != &ipc_state()->imports) {
        ipc_import_t *entry = IPC_OF_LINK(ipc_import_t, all, link);
        link = link->next;
        if (load_relaxed(&entry->state) == IMPORT_OPENING) {
            import_detach(entry);
            import_free(entry);
        }
    }
}

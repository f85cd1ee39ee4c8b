/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Lists of live objects; see registry.h. Walks go by serial numbers: an object that was met may be
 * out of the list by the time of the next step. */
#include "core/registry.h"
#include "core/system_call.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

void registry_add(registry_t *registry, registry_entry_t *entry, void *object, const char *name) {
    size_t length = name_is_regular(name) ? strlen(name) : 0;
    memcpy(entry->name, length > 0 ? name : "", length + 1);
    entry->next = NULL;
    entry->object = object;
    lock_acquire(&registry->lock);
    entry->serial = ++registry->last_serial;
    if (registry->last != NULL) {
        registry->last->next = entry;
    } else {
        registry->first = entry;
    }
    registry->last = entry;
    registry->count++;
    lock_release(&registry->lock);
}

static void unlink_entry(registry_t *registry, registry_entry_t *entry) {
    registry_entry_t *before = NULL;
    registry_entry_t *at = registry->first;
    while (at != NULL && at != entry) {
        before = at;
        at = at->next;
    }
    if (at == NULL) {
        return;
    }
    if (before != NULL) {
        before->next = entry->next;
    } else {
        registry->first = entry->next;
    }
    if (registry->last == entry) {
        registry->last = before;
    }
    registry->count--;
}

void registry_remove(registry_t *registry, registry_entry_t *entry) {
    if (entry->object == NULL) { // written before and after its time in the list only
        return;
    }
    lock_acquire(&registry->lock);
    unlink_entry(registry, entry);
    entry->object = NULL;
    lock_release(&registry->lock);
    int saved_errno = errno;
    // acquire: pairs with the release of registry_unpin; what the call did is over. Nobody can take
    // a new pin: those are taken under the lock, of entries in the list.
    while (load_acquire(&entry->pins) != 0) {
        sys_sched_yield();
    }
    errno = saved_errno;
}

static bool has_name(const registry_entry_t *entry, const char *name, size_t length) {
    return length > 0 && strlen(entry->name) == length && memcmp(entry->name, name, length) == 0;
}

size_t registry_count(registry_t *registry, const char *name, size_t length) {
    size_t count = 0;
    lock_acquire(&registry->lock);
    for (const registry_entry_t *at = registry->first; at != NULL; at = at->next) {
        count += has_name(at, name, length);
    }
    lock_release(&registry->lock);
    return count;
}

registry_entry_t *registry_pin(registry_t *registry, const char *name, size_t length,
                               size_t index) {
    lock_acquire(&registry->lock);
    registry_entry_t *at = registry->first;
    for (; at != NULL; at = at->next) {
        if (has_name(at, name, length) && index-- == 0) {
            fetch_add_relaxed(&at->pins, 1); // the lock orders it before a removal
            break;
        }
    }
    lock_release(&registry->lock);
    return at;
}

void registry_unpin(registry_entry_t *entry) {
    uint32_t pins = load_relaxed(&entry->pins);
    // 0: in a forked child, where registry_fork_child() has dropped all pins. release: pairs with
    // the acquire of registry_remove.
    while (pins != 0 && !cas_weak_release(&entry->pins, &pins, pins - 1)) {
    }
}

registry_entry_t *registry_pin_after(registry_t *registry, uint64_t serial) {
    lock_acquire(&registry->lock);
    registry_entry_t *at = registry->first;
    while (at != NULL && at->serial <= serial) {
        at = at->next;
    }
    if (at != NULL) {
        fetch_add_relaxed(&at->pins, 1);
    }
    lock_release(&registry->lock);
    return at;
}

registry_entry_t *registry_next(registry_t *registry, registry_entry_t *after) {
    registry_entry_t *next = registry_pin_after(registry, after != NULL ? after->serial : 0);
    if (after != NULL) {
        registry_unpin(after);
    }
    return next;
}

void registry_fork_child(registry_t *registry) {
    for (registry_entry_t *at = registry->first; at != NULL; at = at->next) {
        store_relaxed(&at->pins, 0);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Lists of live objects in creation order, for look-up by name and for walks. One for pools, one
 * for providers.
 *
 * The list's lock is never held while an object works. Whoever calls an object that it found here
 * holds a pin: the object's destruction waits for it.
 */
#ifndef UMF_CORE_REGISTRY_H
#define UMF_CORE_REGISTRY_H

#include "core/lock.h"
#include "core/name.h"

/* Member of each such object. */
typedef struct registry_entry {
    struct registry_entry *next;    /* under the list's lock, as the next */
    void *object;                   /* NULL: not in the list */
    uint64_t serial;                /* rises along the list */
    _Atomic(uint32_t) pins;         /* calls under way */
    char name[NAME_MAX_LENGTH + 1]; /* "": not regular, not found by name */
} registry_entry_t;

typedef struct registry {
    umf_lock_t lock;
    registry_entry_t *first, *last;
    size_t count;
    uint64_t last_serial;
} registry_t;

/* Puts object at the end of the list. `name` is copied when it is regular. */
void registry_add(registry_t *registry, registry_entry_t *entry, void *object, const char *name);
/* Takes it out, and waits until nobody has it pinned. No-op if it is not in the list. */
void registry_remove(registry_t *registry, registry_entry_t *entry);

/* Number of objects of that name. */
size_t registry_count(registry_t *registry, const char *name, size_t length);
/* The index-th object of that name with a pin, or NULL. */
registry_entry_t *registry_pin(registry_t *registry, const char *name, size_t length, size_t index);
void registry_unpin(registry_entry_t *entry);
/* The first object with a serial number above `serial`, with a pin; NULL at the end. */
registry_entry_t *registry_pin_after(registry_t *registry, uint64_t serial);
/* The next object after `after` (NULL: the first), with a pin, which is taken from `after`. NULL at
 * the end. Objects that are added meanwhile are met. */
registry_entry_t *registry_next(registry_t *registry, registry_entry_t *after);
/* In a forked child: threads that held pins are gone. The list's lock is held or reset. */
void registry_fork_child(registry_t *registry);

#endif /* UMF_CORE_REGISTRY_H */

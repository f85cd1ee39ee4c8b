/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Predefined memspaces: made at first use, one object per kind, kept until the last tear-down.
 * Slot CORE_SLOT_MEMSPACE of the core's state: `spare` is the table below, its lock covers it.
 *
 * Each getter compares with the current snapshot of the machine. If the nodes of a kind changed, a
 * new object takes the old one's place, which stays until tear-down, since the program may hold it.
 * What was torn down is freed when the next life of the library asks for a memspace: until then
 * code that runs late can still look at it. Nothing is remembered of failures.
 */
#include "core/memspace.h"

#include "core/base_alloc.h"
#include "core/init.h"
#include "core/log.h"
#include "core/state.h"

typedef struct predefined {
    struct umf_memspace_t *current[MEMSPACE_KINDS]; /* NULL: not asked for yet */
    struct umf_memspace_t *replaced;                /* valid until tear-down */
    struct umf_memspace_t *dead;                    /* torn down */
} predefined_t;

static core_slot_t *predefined_slot(void) {
    return &umf_core_state.slots[CORE_SLOT_MEMSPACE];
}

static void push(struct umf_memspace_t **list, struct umf_memspace_t *memspace) {
    memspace->next = *list;
    *list = memspace;
}

static void free_list(struct umf_memspace_t *list) {
    while (list != NULL) {
        struct umf_memspace_t *next = list->next;
        memspace_free(list);
        list = next;
    }
}

static bool same_targets(const struct umf_memspace_t *a, const struct umf_memspace_t *b) {
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = a->targets[i]->id == b->targets[i]->id;
    }
    return same;
}

/* A new memspace of the kind from a snapshot; NULL: no values, no memory. */
static struct umf_memspace_t *predefined_make(const topology_t *topology, memspace_kind_t kind) {
    struct umf_memspace_t *memspace = NULL;
    const size_t bytes = topology->node_count * sizeof(unsigned);
    unsigned *ids = base_alloc(bytes);
    if (ids == NULL) {
        return NULL;
    }
    unsigned count = memspace_select(topology, kind, ids);
    if (count == 0) {
        log_debug("memspace %s: this machine does not tell bandwidth and latency (no HMAT)",
                  memspace_names[kind].name);
    } else if (memspace_make(ids, count, kind, &memspace) == UMF_RESULT_SUCCESS) {
        memspace->generation = topology->generation;
    }
    base_free(ids, bytes);
    return memspace;
}

/* The current memspace if it was compared with this generation already. */
static struct umf_memspace_t *predefined_find(memspace_kind_t kind, uint64_t generation) {
    core_slot_t *slot = predefined_slot();
    lock_acquire(&slot->lock);
    const predefined_t *table = slot->spare;
    struct umf_memspace_t *found = table != NULL ? table->current[kind] : NULL;
    if (found != NULL && found->generation != generation) {
        found = NULL;
    }
    lock_release(&slot->lock);
    return found;
}

/* Makes `fresh` the current one unless the current one is equal; returns the current one. */
static struct umf_memspace_t *predefined_publish(memspace_kind_t kind,
                                                 struct umf_memspace_t *fresh) {
    core_slot_t *slot = predefined_slot();
    struct umf_memspace_t *unused = NULL, *dead = NULL, *current = fresh;
    lock_acquire(&slot->lock);
    predefined_t *table = slot->spare;
    if (table == NULL) {
        table = slot->spare = base_alloc(sizeof(*table));
    }
    if (table == NULL) {
        current = NULL;
        unused = fresh;
    } else {
        struct umf_memspace_t *before = table->current[kind];
        dead = table->dead;
        table->dead = NULL;
        if (before != NULL && same_targets(before, fresh)) {
            before->generation = fresh->generation;
            current = before;
            unused = fresh;
        } else {
            if (before != NULL) {
                push(&table->replaced, before);
            }
            table->current[kind] = fresh;
        }
    }
    lock_release(&slot->lock);
    if (unused != NULL) {
        memspace_free(unused);
    }
    free_list(dead);
    return current;
}

umf_const_memspace_handle_t memspace_predefined(memspace_kind_t kind) {
    if (!core_is_ready()) {
        log_error("memspace %s: the library is torn down", memspace_names[kind].name);
        return NULL;
    }
    topology_t *topology = topology_acquire();
    if (topology == NULL) {
        return NULL;
    }
    struct umf_memspace_t *memspace = predefined_find(kind, topology->generation);
    if (memspace == NULL) {
        memspace = predefined_make(topology, kind);
        if (memspace != NULL) {
            memspace = predefined_publish(kind, memspace);
        }
    }
    topology_release(topology);
    return memspace;
}

void memspace_tear_down(void) {
    core_slot_t *slot = predefined_slot();
    lock_acquire(&slot->lock);
    predefined_t *table = slot->spare;
    if (table != NULL) {
        for (int kind = 0; kind < MEMSPACE_KINDS; kind++) {
            if (table->current[kind] != NULL) {
                push(&table->dead, table->current[kind]);
                table->current[kind] = NULL;
            }
        }
        while (table->replaced != NULL) {
            struct umf_memspace_t *memspace = table->replaced;
            table->replaced = memspace->next;
            push(&table->dead, memspace);
        }
    }
    lock_release(&slot->lock);
    topology_forget();
}

UMF_EXPORT umf_const_memspace_handle_t umfMemspaceHostAllGet(void) {
    return memspace_predefined(MEMSPACE_HOST_ALL);
}

UMF_EXPORT umf_const_memspace_handle_t umfMemspaceHighestCapacityGet(void) {
    return memspace_predefined(MEMSPACE_HIGHEST_CAPACITY);
}

UMF_EXPORT umf_const_memspace_handle_t umfMemspaceHighestBandwidthGet(void) {
    return memspace_predefined(MEMSPACE_HIGHEST_BANDWIDTH);
}

UMF_EXPORT umf_const_memspace_handle_t umfMemspaceLowestLatencyGet(void) {
    return memspace_predefined(MEMSPACE_LOWEST_LATENCY);
}

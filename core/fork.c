/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fork walk (see fork.h). Handlers are installed from the library constructor, before those of most
 * other code: glibc runs prepare handlers last-registered-first, so theirs may still allocate when
 * ours begin.
 */
#include "core/fork.h"

#include <pthread.h>

#include "core/state.h"

void fork_register(fork_node_t *node) {
    fork_state_t *fork_state = &umf_core_state.fork;
    lock_acquire(&fork_state->lock);
    fork_node_t **link = &fork_state->nodes;
    while (*link != NULL &&
           (*link)->rank < node->rank) { // newer before older: a pool may use older ones
        link = &(*link)->next;
    }
    node->next = *link;
    *link = node;
    lock_release(&fork_state->lock);
}

void fork_unregister(fork_node_t *node) {
    fork_state_t *fork_state = &umf_core_state.fork;
    lock_acquire(&fork_state->lock);
    for (fork_node_t **link = &fork_state->nodes; *link != NULL; link = &(*link)->next) {
        if (*link == node) {
            *link = node->next;
            break;
        }
    }
    lock_release(&fork_state->lock);
}

void fork_prepare(void) {
    lock_acquire(&umf_core_state.init_lock);
    lock_acquire(&umf_core_state.pools.lock);
    lock_acquire(&umf_core_state.providers.lock);
    lock_acquire(&umf_core_state.ctl.lock);
    lock_acquire(&umf_core_state.fork.lock);
    for (fork_node_t *node = umf_core_state.fork.nodes; node != NULL; node = node->next) {
        if (node->prepare != NULL) {
            node->prepare(node->arg);
        }
    }
    lock_acquire(&umf_core_state.ipc.lock);
    for (unsigned i = 0; i < CORE_SLOTS; i++) {
        lock_acquire(&umf_core_state.slots[i].lock);
    }
    lock_acquire(&umf_core_state.map.lock);
    lock_acquire(&umf_core_state.base.lock);
    lock_acquire(&umf_core_state.log.lock);
}

/* Recursion gives falling rank without a second link; there are as many frames as pools and
 * providers. */
static void fork_walk_back(fork_node_t *node, bool in_child) {
    if (node == NULL) {
        return;
    }
    fork_walk_back(node->next, in_child);
    void (*run)(void *) = in_child ? node->child : node->parent;
    if (run != NULL) {
        run(node->arg);
    }
}

void fork_parent(void) {
    lock_release(&umf_core_state.log.lock);
    lock_release(&umf_core_state.base.lock);
    lock_release(&umf_core_state.map.lock);
    for (unsigned i = 0; i < CORE_SLOTS; i++) {
        lock_release(&umf_core_state.slots[i].lock);
    }
    lock_release(&umf_core_state.ipc.lock);
    fork_walk_back(umf_core_state.fork.nodes, false);
    lock_release(&umf_core_state.fork.lock);
    lock_release(&umf_core_state.ctl.lock);
    lock_release(&umf_core_state.providers.lock);
    lock_release(&umf_core_state.pools.lock);
    lock_release(&umf_core_state.init_lock);
}

void fork_child(void) {
    // The child's only thread is the one that took the locks; resetting also forgets waiters it
    // does not have.
    lock_init(&umf_core_state.log.lock);
    lock_init(&umf_core_state.base.lock);
    lock_init(&umf_core_state.map.lock);
    registry_fork_child(&umf_core_state.pools);
    registry_fork_child(&umf_core_state.providers);
    lock_init(&umf_core_state.pools.lock);
    lock_init(&umf_core_state.providers.lock);
    lock_init(&umf_core_state.ctl.lock);
    lock_init(&umf_core_state.init_lock); // the nodes below may look providers up
    for (unsigned i = 0; i < CORE_SLOTS; i++) {
        lock_init(&umf_core_state.slots[i].lock);
    }
    lock_init(&umf_core_state.ipc.lock);
    ipc_fork_child();
    fork_walk_back(umf_core_state.fork.nodes, true);
    lock_init(&umf_core_state.fork.lock);
}

void fork_install(void) {
    if (!umf_core_state.fork.installed) {
        umf_core_state.fork.installed = true;
        pthread_atfork(fork_prepare, fork_parent, fork_child);
    }
}

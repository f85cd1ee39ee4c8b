/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fork walk: whoever owns a lock (or state a forked child must mend) registers a node here. Before
 * a fork all nodes' `prepare` run in rising rank, afterwards `parent` or `child` in falling rank,
 * so that a child never inherits a lock held by a thread that it does not have.
 */
#ifndef UMF_CORE_FORK_H
#define UMF_CORE_FORK_H

#include "core/lock.h"

typedef struct fork_node {
    struct fork_node *next; /* rising rank; under the list's lock */
    int rank;               /* enum lock_rank */
    void (*prepare)(void *arg);
    void (*parent)(void *arg);
    void (*child)(void *arg);
    void *arg;
} fork_node_t;

typedef struct fork_state {
    umf_lock_t lock; /* taken first of all but init_lock, held across the fork */
    fork_node_t *nodes;
    bool installed; /* pthread_atfork was called for this core */
} fork_state_t;

/* Nodes live inside the registered object. Registering takes no other lock. */
void fork_register(fork_node_t *node);
void fork_unregister(fork_node_t *node);
/* Installs the process-wide handlers, once for the core; called from the library constructor. */
void fork_install(void);

/* The three phases, also callable by tests. */
void fork_prepare(void);
void fork_parent(void);
void fork_child(void);

#endif /* UMF_CORE_FORK_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fork. A child has one thread. Heaps of the others may have been caught anywhere, on pages that
 * were copied at different times; nothing in them is trusted. Their live blocks stay valid, and
 * those the child frees are reused (all other blocks of such slabs count as used for ever). The
 * forking thread's own heap is consistent, except that frees by other threads may have been under
 * way: it brings home what was sent before the fork, and forgets (loses) the few sent during it.
 */
#include <string.h>

#include "pools/slab.h"

void slab_theap_fork_prepare(slab_pool_t *pool) {
    slab_theap_t *own = slab_theap_find(pool);
    if (pool->theap_count > 1) { // with the shared heap: more than one thread has been here
        if (own != NULL) {
            slab_remote_flush(own);
            slab_theap_take_mail(own);
        }
        slab_theap_sweep_parked(pool, false);
    }
}

void slab_theap_fork_child(slab_pool_t *pool) {
    slab_thread_fork_child();
    slab_theap_t *own = slab_theap_find(pool);
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        store_relaxed(&theap->mailbox, NULL);
        if (theap == own || theap->parked || theap->shared) {
            continue; // parked and shared heaps change under locks that the forking thread held
        }
        memset(theap->ready, 0, sizeof(theap->ready));
        memset(theap->current, 0, sizeof(theap->current));
        memset(theap->available, 0, sizeof(theap->available));
        memset(theap->batch, 0, sizeof(theap->batch));
    }
    for (slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        for (uint32_t i = 0; i < chunk->slices;) {
            slab_t *slab = load_relaxed(&chunk->slab_at[i]);
            i += slab != NULL ? slab->slices : 1;
            if (slab == NULL || load_relaxed(&slab->head.owner) == MAP_OWNER_NONE) {
                continue; // large, or just being set up
            }
            store_relaxed(&slab->remote, 0);
            slab_theap_t *owner = (slab_theap_t *)load_relaxed(&slab->head.owner);
            if (owner != own && !owner->parked && !owner->shared) {
                slab_theap_distrust(slab);
            }
        }
    }
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        if (theap != own && !theap->parked && !theap->shared) {
            slab_parked_link_first(pool, theap);
        }
    }
}

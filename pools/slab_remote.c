/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Remote frees: blocks that come home from threads that do not own their slab.
 *
 *   freeing thread:  block ──► open batch (per slab) ──one CAS per batch──► slab.remote
 *                    the first one since the last mail ──► the slab goes to its owner's mailbox
 *   owner:           refill ──► opens its mailbox ──► each slab's remote list goes to its free list
 *
 * slab.remote is one word:  | block address / 16 : 44 | count : 19 | mailed : 1 |
 * The list is linked through the blocks. `mailed` is set while the slab is in a mailbox (or about
 * to be put there by the thread that set it), so it is in at most one; only the heap that took it
 * out of a mailbox clears the bit. Meanwhile the slab may have passed to another heap: then whoever
 * finds it forwards it to its owner. A mailed slab's descriptor is not given back, however empty
 * the slab is.
 */
#include "pools/slab.h"

enum { REMOTE_COUNT_SHIFT = 1, REMOTE_COUNT_BITS = 19, REMOTE_BLOCK_SHIFT = 20 };
#define REMOTE_MAILED UINT64_C(1)

UMF_INLINE slab_block_t *remote_block(uint64_t word) {
    return (slab_block_t *)(uintptr_t)((word >> REMOTE_BLOCK_SHIFT) << 4);
}

UMF_INLINE uint32_t remote_count(uint64_t word) {
    return (uint32_t)(word >> REMOTE_COUNT_SHIFT) & ((1u << REMOTE_COUNT_BITS) - 1);
}

UMF_INLINE uint64_t remote_word(const slab_block_t *block, uint32_t count) {
    return (uint64_t)((uintptr_t)block >> 4) << REMOTE_BLOCK_SHIFT | (uint64_t)count
                                                                         << REMOTE_COUNT_SHIFT;
}

void slab_remote_mail(slab_theap_t *theap, slab_t *slab) {
    slab_t *first = load_relaxed(&theap->mailbox);
    do {
        slab->mail_next = first;
    } while (!cas_weak_release(&theap->mailbox, &first,
                               slab)); // pairs with the exchange in open_mailbox
}

bool slab_remote_is_mailed(const slab_t *slab) {
    return (load_acquire(&slab->remote) & REMOTE_MAILED) != 0;
}

uint32_t slab_remote_waiting(const slab_t *slab) {
    return remote_count(load_relaxed(&slab->remote));
}

/* Hands a chain of blocks of one slab to its owner. */
static void remote_push(slab_t *slab, slab_block_t *head, slab_block_t *tail, uint32_t count) {
    uint64_t old = load_relaxed(&slab->remote);
    do {
        tail->next = remote_block(old);
    } while (!cas_weak_acq_rel(&slab->remote, &old,
                               remote_word(head, remote_count(old) + count) | REMOTE_MAILED));
    if (!(old & REMOTE_MAILED)) {
        // A live slab of a size class always has a heap; heaps live as long as their pool. If the
        // slab changes hands now, the old heap's holder forwards the mail.
        slab_remote_mail((slab_theap_t *)load_acquire(&slab->head.owner), slab);
    }
}

static void batch_close(slab_batch_t *batch) {
    if (batch->slab != NULL) {
        slab_t *slab = batch->slab;
        batch->slab = NULL;
        remote_push(slab, batch->head, batch->tail, batch->count);
    }
}

void slab_remote_flush(slab_theap_t *theap) {
    theap->batch_frees = SLAB_BATCH_FREES;
    for (unsigned i = 0; i < SLAB_BATCHES; i++) {
        batch_close(&theap->batch[i]);
    }
}

void slab_remote_free(slab_theap_t *theap, slab_t *slab, slab_block_t *block) {
    if (theap == NULL || theap->pool != slab->pool) {
        remote_push(slab, block, block, 1);
        return;
    }
    // Descriptors are 128 bytes apart.
    slab_batch_t *batch = &theap->batch[((uintptr_t)slab >> 7) % SLAB_BATCHES];
    if (batch->slab != slab) {
        batch_close(batch);
        *batch = (slab_batch_t){slab, block, block, 1};
        block->next = NULL;
    } else {
        block->next = batch->head;
        batch->head = block;
        batch->count++;
    }
    if (batch->count >= SLAB_BATCH_BLOCKS || batch->count * slab->block_bytes >= SLAB_BATCH_BYTES) {
        batch_close(batch);
    }
    if (unlikely(--theap->batch_frees == 0)) {
        slab_remote_flush(theap);
    }
}

bool slab_remote_collect(slab_t *slab, bool mail_done) {
    uint64_t old = load_relaxed(&slab->remote);
    if (remote_block(old) == NULL && !mail_done) {
        return false;
    }
    while (!cas_weak_acq_rel(&slab->remote, &old, mail_done ? 0 : old & REMOTE_MAILED)) {
    }
    slab_block_t *list = remote_block(old);
    uint32_t count = remote_count(old);
    if (list == NULL) {
        return false;
    }
    if (slab->free != NULL) { // the remote list goes first
        slab_block_t *last = list;
        for (uint32_t i = 1; i < count; i++) {
            last = last->next;
        }
        last->next = slab->free;
    }
    slab->free = list;
    slab->used -= count;
    return true;
}

slab_t *slab_remote_open_mailbox(slab_theap_t *theap) {
    return load_relaxed(&theap->mailbox) == NULL ? NULL : exchange_acq_rel(&theap->mailbox, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The hot inlines of the slab pool: taking a block from a thread heap, putting one back. Included
 * by the pool's own operations and by the proxy's malloc and free. Nothing here locks, calls or
 * writes to memory shared between threads.
 */
#ifndef UMF_POOLS_SLAB_INL_H
#define UMF_POOLS_SLAB_INL_H

#include <string.h>

#include "pools/slab.h"

/* Pops a ready block of a class, or NULL. */
UMF_INLINE void *slab_pop(slab_theap_t *theap, unsigned cls) {
    slab_block_t *block = theap->ready[cls];
    if (likely(block != NULL)) {
        theap->ready[cls] = block->next;
    }
    return block;
}

/* A ready block for a request of at most SLAB_FAST_MAX bytes, or NULL: then the slow side decides.
 */
UMF_INLINE void *slab_take_small(slab_theap_t *theap, size_t size) {
    return slab_pop(theap, theap->class_of[size]);
}

/* The same for any size. */
UMF_INLINE void *slab_take(slab_theap_t *theap, size_t size) {
    if (likely(size <= SLAB_FAST_MAX)) {
        return slab_take_small(theap, size);
    }
    return likely(size <= theap->medium_max) ? slab_pop(theap, slab_class_of(size)) : NULL;
}

/*
 * The most frequent slow case: the ready list is used up, but blocks of the current slab were freed
 * meanwhile. Detaches them, or returns NULL: then slab_theap_refill goes through all the rest. For
 * classes below SLAB_MEDIUM_CLASS. Mail and idle slabs wait for that, at most SLAB_TICK_REFILLS
 * calls.
 */
UMF_INLINE void *slab_swap(slab_theap_t *theap, unsigned cls) {
    slab_t *slab = theap->current[cls];
    if (unlikely(slab == NULL)) {
        return NULL;
    }
    slab_block_t *block = slab->free;
    if (block == NULL || unlikely(--theap->ticks == 0)) {
        return NULL;
    }
    theap->ready[cls] = block->next;
    slab->free = NULL;
    slab->used = load_relaxed(&slab->made); // all blocks are out
    slab->needed = slab->needed_set = SLAB_NEEDED_NEVER;
    return block;
}

/* Puts a block back whose slab belongs to the calling thread's heap. True: the slow side must look
 * (slab_theap_event). */
UMF_INLINE bool slab_put(slab_t *slab, void *ptr) {
    slab_block_t *block = ptr;
    block->next = slab->free;
    slab->free = block;
    return --slab->needed == 0;
}

/*
 * Bytes to ask for when a block of `old` usable bytes must move to grow to `size`. Blocks that grow
 * once mostly grow again: from 1 KiB on they get room for a quarter more, which halves the copies
 * of one that grows in small steps.
 */
UMF_INLINE size_t slab_growth(size_t old, size_t size) {
    enum { GROWTH_MIN_BYTES = 1024 };
    size_t more = old + old / 4;
    return unlikely(old >= GROWTH_MIN_BYTES && size > old && size < more) ? more : size;
}

/* Number of the block that begins at ptr; false when none does. Not for large blocks. */
UMF_INLINE bool slab_index_of(const slab_t *slab, const void *ptr, uint64_t *index) {
    const slab_class_info_t *info = &slab_class_info[slab->cls];
    uintptr_t offset = (uintptr_t)ptr - slab->base;
    *index = (uint64_t)(((unsigned __int128)offset * info->reciprocal) >> 64);
    return *index * info->block_bytes == offset;
}

/* Clears `bytes` of a block, and what is left of its last 16: blocks are multiples of 16 bytes.
 * Short blocks are done with overlapping stores from both ends. */
UMF_INLINE void slab_clear(void *ptr, size_t bytes) {
    typedef uint64_t vector_t __attribute__((vector_size(16), may_alias));
    const vector_t zero = {0, 0};
    if (unlikely(bytes > 128)) {
        memset(ptr, 0, bytes);
        return;
    }
    vector_t *first = ptr;
    vector_t *end = (vector_t *)((char *)ptr + ((bytes + (bytes == 0) + 15) & ~(size_t)15));
    first[0] = zero;
    end[-1] = zero;
    if (bytes > 32) {
        first[1] = zero;
        end[-2] = zero;
        if (bytes > 64) {
            first[2] = zero;
            first[3] = zero;
            end[-3] = zero;
            end[-4] = zero;
        }
    }
}

#endif /* UMF_POOLS_SLAB_INL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The hot inlines of the slab pool: taking a block from a thread heap, putting one back. Included by the pool's
 * own operations and by the proxy's malloc and free. Nothing here locks, calls or writes to memory shared between threads.
 */
#ifndef UMF_POOLS_SLAB_INL_H
#define UMF_POOLS_SLAB_INL_H

#include <string.h>

#include "pools/slab.h"

/* A ready block for a request of `size` bytes, or NULL: then the slow side decides. */
UMF_INLINE void *slab_take(slab_theap_t *theap, size_t size) {
    unsigned cls;
    if (likely(size <= SLAB_FAST_MAX)) {
        cls = theap->class_of[size];
    } else if (likely(size <= theap->medium_max)) {
        cls = slab_class_of(size);
    } else {
        return NULL;
    }
    slab_block_t *block = theap->ready[cls];
    if (unlikely(block == NULL)) {
        return NULL;
    }
    theap->ready[cls] = block->next;
    return block;
}

/* Puts a block back whose slab belongs to the calling thread's heap. True: the slow side must look (slab_theap_event). */
UMF_INLINE bool slab_put(slab_t *slab, void *ptr) {
    slab_block_t *block = ptr;
    block->next = slab->free;
    slab->free = block;
    // After the push: a fork that falls between the two leaves a count that is too high, which only delays reuse.
    return --slab->needed == 0;
}

/* Clears `bytes` of a block: a loop of 16-byte stores for small blocks (blocks are multiples of 16), else memset. */
UMF_INLINE void slab_clear(void *ptr, size_t bytes) {
    typedef uint64_t vector_t __attribute__((vector_size(16), may_alias));
    if (likely(bytes <= 256)) {
        char *at = ptr, *end = at + bytes;
        do {
            *(vector_t *)at = (vector_t){0, 0};
            at += 16;
        } while (at < end);
    } else {
        memset(ptr, 0, bytes);
    }
}

#endif /* UMF_POOLS_SLAB_INL_H */

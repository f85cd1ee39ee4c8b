/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Small blocks when the provider has little memory, or none left: a slab of its own for every size
 * class would use up a buffer of 1 MiB for the first 16 sizes.
 *
 * Once the provider has refused a chunk of the wanted size, a class without free blocks takes them
 * from the slabs of larger classes, up to some multiple of its own; and the last free slices
 * become, for a class that has had no slab yet, slabs of a class that many sizes can use. When
 * there is nothing else, any larger block will do. A block knows its slab, so that frees and usable
 * sizes are right whatever was asked for.
 */
#include "pools/slab.h"

enum {
    SCARCE_SLICES = 4,         /* the rule for the last slices begins at this many free ones */
    SCARCE_MULTIPLE = 8,       /* larger blocks are not used before that, for fear of waste */
    SCARCE_FEW_BYTES = 256,    /* with 3 or 4 slices left */
    SCARCE_FEWER_BYTES = 1024, /* with 2 */
    SCARCE_LAST_BYTES = 4096,  /* with 1 */
};

/* Blocks of class c are aligned as those of cls are (slab_classes.h). */
static bool is_as_aligned(unsigned c, unsigned cls) {
    size_t bytes = slab_class_bytes(cls);
    return slab_class_bytes(c) % (bytes & -bytes) == 0;
}

/* The heap can serve the class without a new slab. */
static bool has_blocks(const slab_theap_t *theap, unsigned cls) {
    const slab_t *slab = theap->current[cls];
    return theap->ready[cls] != NULL || theap->available[cls] != NULL ||
           (slab != NULL && (slab->free != NULL || load_relaxed(&slab->made) < slab->capacity));
}

/* A block of a larger class, of at most `bytes`, that needs no new slab. */
static void *take_larger(slab_theap_t *theap, unsigned cls, size_t bytes) {
    for (unsigned c = cls + 1; c < SLAB_CLASSES && slab_class_bytes(c) <= bytes; c++) {
        if (!is_as_aligned(c, cls) || !has_blocks(theap, c)) {
            continue;
        }
        slab_block_t *block = theap->ready[c];
        if (block == NULL) {
            return slab_theap_refill(theap, c, slab_class_bytes(c), NULL);
        }
        theap->ready[c] = block->next;
        return block;
    }
    return NULL;
}

void *slab_scarce_before(slab_theap_t *theap, unsigned cls) {
    if (has_blocks(theap, cls)) {
        return NULL;
    }
    void *block = take_larger(theap, cls, slab_class_bytes(cls) * SCARCE_MULTIPLE);
    if (block != NULL) {
        return block;
    }
    if (theap->current[cls] != NULL) { // it has filled a slab: another one is no waste
        return NULL;
    }
    uint32_t all, left = slab_chunk_left(theap->pool, &all);
    if (left <= SCARCE_SLICES) {
        slab_theap_flush(theap); // slabs that are empty go back
        left = slab_chunk_left(theap->pool, &all);
    }
    size_t bytes = left > SCARCE_SLICES || left >= all / 2 ? 0
                   : left > 2                              ? SCARCE_FEW_BYTES
                   : left > 1                              ? SCARCE_FEWER_BYTES
                                                           : SCARCE_LAST_BYTES;
    unsigned wide = slab_class_of(bytes);
    if (left == 0 || wide <= cls || !is_as_aligned(wide, cls)) {
        return NULL;
    }
    block = take_larger(theap, cls, bytes);
    return block != NULL ? block : slab_theap_refill(theap, wide, bytes, NULL);
}

void *slab_scarce_after(slab_theap_t *theap, unsigned cls) {
    return take_larger(theap, cls, SLAB_CLASS_MAX);
}

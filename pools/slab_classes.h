/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Size classes of the slab pool. 80 classes: steps of 16 bytes up to 256, then eight per doubling
 * up to 64 KiB, so that a block wastes at most 1/9 of itself (from 129 bytes on). All sizes are
 * computed from the class number by constant expressions; the table is read-only data.
 *
 * Alignment for free: a slab begins on a 64-KiB boundary and its blocks follow each other without
 * headers. A request rounded up to a multiple of a power of two `a` meets a class whose block size
 * is a multiple of `a`, so every block of it is aligned to `a` (up to 64 KiB).
 */
#ifndef UMF_POOLS_SLAB_CLASSES_H
#define UMF_POOLS_SLAB_CLASSES_H

#include "core/map.h"
#include "core/pool_fast.h"
#include "core/utils.h"

enum {
    SLAB_FINE_CLASSES = 16, /* 16, 32 … 256 */
    SLAB_CLASSES = 80,
    SLAB_CLASS_NONE =
        SLAB_CLASSES, /* its ready list is always empty: every call takes the slow path */
    SLAB_FAST_MAX = POOL_FAST_MAX, /* sizes up to here find their class in a byte table */
    SLAB_CLASS_MAX = 64 * 1024,    /* larger blocks are runs of slices (slab_large.c) */
    SLAB_MEDIUM_CLASS =
        47, /* from this class on (4 KiB) empty slabs go back at once, unless in constant use */
    SLAB_BLOCKS_MIN = 8, /* a slab has room for at least so many blocks */
};

static_assert(SLAB_CLASSES + 1 == POOL_FAST_LISTS, "a list for each, and one that is always empty");

typedef struct slab_class_info {
    uint32_t block_bytes;
    uint16_t slices;     /* of a slab: 64 KiB each */
    uint16_t capacity;   /* blocks in a slab */
    uint64_t reciprocal; /* ceil(2^64 / block_bytes): offset / block_bytes = high half of offset *
                            reciprocal */
} slab_class_info_t;

extern const slab_class_info_t slab_class_info[SLAB_CLASSES];

/* Class of a request of 0..SLAB_CLASS_MAX bytes. */
UMF_INLINE unsigned slab_class_of(size_t size) {
    if (size <= 256) {
        return (unsigned)((size - (size != 0)) >> 4);
    }
    size_t last = size - 1;
    unsigned shift = log2_floor(last);
    return SLAB_FINE_CLASSES + 8 * (shift - 8) + (unsigned)((last >> (shift - 3)) & 7);
}

UMF_INLINE size_t slab_class_bytes(unsigned cls) {
    return slab_class_info[cls].block_bytes;
}

#endif /* UMF_POOLS_SLAB_CLASSES_H */

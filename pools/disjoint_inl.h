/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The hot inlines of the disjoint pool: arithmetic, looking a slab up, taking a chunk and putting
 * it back. */
#ifndef UMF_POOLS_DISJOINT_INL_H
#define UMF_POOLS_DISJOINT_INL_H

#include "pools/disjoint.h"

/* ---- arithmetic ---- */

/* Index of the bucket for a request of last + 1 = 1..2^31 bytes: bucket sizes are 2^k or 3 * 2^k,
 * so the position of the highest bit of `last` and the bit below it decide. */
UMF_INLINE unsigned disjoint_bucket_of(const disjoint_pool_t *pool, size_t last) {
    uint32_t top = (uint32_t)last | 3;
    uint32_t high = 31u ^ (uint32_t)__builtin_clz(top); // xor: compilers make one instruction of it
    return pool->bucket_of[2 * high + (2 * top >> high)]; // the two highest bits are 2 or 3
}

/* True when offset is a multiple of the chunk size that magic was made for. With magic =
 * floor((2^64 - 1) / size) + 1 this is exact for offsets and sizes below 2^32 (Lemire, Kaser, Kurz:
 * Faster remainder by direct computation). 0: never. */
UMF_INLINE bool disjoint_is_multiple(uintptr_t offset, uint64_t magic) {
    return offset * magic < magic;
}

/* Number of the chunk that an offset lies in. */
UMF_INLINE size_t disjoint_chunk_of(const disjoint_slab_t *slab, uintptr_t offset) {
    return likely(slab->magic != 0) ? (size_t)(((unsigned __int128)offset * slab->magic) >> 64)
                                    : offset / slab->size;
}

UMF_INLINE _Atomic(disjoint_slab_t *) *disjoint_lookup_entry(const disjoint_pool_t *pool,
                                                             const void *ptr) {
    return &pool->lookup[((uintptr_t)ptr >> DISJOINT_PAGE_SHIFT) &
                         (((size_t)1 << DISJOINT_LOOKUP_SHIFT) - 1)];
}

/* ---- from an address to its slab ---- */

UMF_INLINE bool disjoint_slab_contains(const disjoint_slab_t *slab, const void *ptr) {
    return (uintptr_t)ptr - load_relaxed(&slab->base) < slab->bytes; // 0 bytes: disjoint_slab_none
}

/* The slab of this pool that ptr (not NULL) lies in, or NULL. */
UMF_INLINE disjoint_slab_t *disjoint_slab_find(disjoint_pool_t *pool, const void *ptr) {
    disjoint_slab_t *slab = load_acquire(disjoint_lookup_entry(pool, ptr));
    return likely(disjoint_slab_contains(slab, ptr)) ? slab : disjoint_slab_find_slow(pool, ptr);
}

/* ---- chunks; the owner of the slab is locked ---- */

UMF_INLINE size_t disjoint_slab_lowest(const disjoint_slab_t *slab) {
    size_t word = slab->low / DISJOINT_WORD_BITS;
    uint64_t free = ~slab->taken[word];
    if (unlikely(free == 0)) {
        size_t i = word / DISJOINT_WORD_BITS; // all words below are full, and so are their bits
        while (~slab->full[i] == 0) {
            i++;
        }
        word = i * DISJOINT_WORD_BITS + (size_t)__builtin_ctzll(~slab->full[i]);
        free = ~slab->taken[word];
    }
    return word * DISJOINT_WORD_BITS + (size_t)__builtin_ctzll(free);
}

/* Takes the lowest free chunk; there is one. */
UMF_INLINE void *disjoint_slab_take(disjoint_slab_t *slab) {
    size_t chunk = disjoint_slab_lowest(slab);
    ASSERT(chunk < slab->chunks);
    size_t word = chunk / DISJOINT_WORD_BITS;
    slab->taken[word] |= UINT64_C(1) << (chunk % DISJOINT_WORD_BITS);
    if (unlikely(~slab->taken[word] == 0)) {
        slab->full[word / DISJOINT_WORD_BITS] |= UINT64_C(1) << (word % DISJOINT_WORD_BITS);
    }
    slab->low = chunk + 1;
    store_relaxed(&slab->used, load_relaxed(&slab->used) + 1);
    return (char *)load_relaxed(&slab->base) + chunk * slab->size;
}

/* False: it was free already. */
UMF_INLINE bool disjoint_slab_put(disjoint_slab_t *slab, size_t chunk) {
    size_t word = chunk / DISJOINT_WORD_BITS;
    uint64_t bit = UINT64_C(1) << (chunk % DISJOINT_WORD_BITS);
    if (unlikely((slab->taken[word] & bit) == 0)) {
        return false;
    }
    slab->taken[word] &= ~bit;
    slab->full[word / DISJOINT_WORD_BITS] &= ~(UINT64_C(1) << (word % DISJOINT_WORD_BITS));
    slab->low = chunk < slab->low ? chunk : slab->low;
    store_relaxed(&slab->used, load_relaxed(&slab->used) - 1);
    return true;
}

#endif /* UMF_POOLS_DISJOINT_INL_H */

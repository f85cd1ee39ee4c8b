/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Calls of pools without an indirect call.
 *
 * umfPoolMalloc and umfPoolFree would cost two jumps through pointers and a search for the calling
 * thread's state. A pool that keeps its small blocks in lists of the thread can have them served
 * right in the core instead. It embeds the two structures below, and does the rest of the work
 * itself, in its ordinary operations:
 *
 *   pool_fast_heap_t   what one thread needs of one pool: ready blocks by class, the class of each
 *                      small size, and the handle of the pool;
 *   pool_fast_run_t    a run of equal blocks in slices of 64 KiB, owned by one heap; the address
 * map leads from a block to it.
 *
 * Each thread remembers the heap that it used last (pool_fast_heap, set by the pool's operations).
 * One comparison of its handle tells whether a call is served here; it also covers a NULL handle,
 * and a pool of any other kind. Whatever is not the plain case (empty list, another size, another
 * pool, another owner, wrong pointer, a run that has to be looked at) goes to the pool's operation,
 * which finds everything as if this code did not exist.
 *
 * What a pool must keep to:
 *   - heap and run are at the beginning of its own structures, and a run's owner word is the
 *     address of the heap;
 *   - a heap is used by its thread only. Before another thread takes it over, and before its memory
 *     goes, its thread's pool_fast_heap must have been set to something else. A pool that is
 *     destroyed can not do that for other threads: it sets `pool` in their heaps to
 *     POOL_FAST_NO_POOL, and leaves the memory to those threads.
 */
#ifndef UMF_CORE_POOL_FAST_H
#define UMF_CORE_POOL_FAST_H

#include <string.h>

#include <umf/memory_pool.h>

#include "core/map.h"
#include "core/utils.h"

enum {
    POOL_FAST_LISTS = 81,           /* ready lists of a heap */
    POOL_FAST_MAX = 1024,           /* bytes; larger requests go to the pool's operation */
    POOL_FAST_BLOCK_MAX = 8 * 1024, /* frees of larger blocks do, too: see limit */
    POOL_FAST_ROOT_SHIFT = MAP_SLICE_SHIFT + MAP_LEAF_SHIFT,
};

/* No handle, and not NULL. */
#define POOL_FAST_NO_POOL ((umf_memory_pool_handle_t)1)

typedef struct pool_fast_block {
    struct pool_fast_block *next;
} pool_fast_block_t;

/* Members as macros: the pool's own structure has them by the same names, in a union with the
 * structure that this code uses. */
#define POOL_FAST_HEAP_MEMBERS                                                                     \
    pool_fast_block_t *ready[POOL_FAST_LISTS]; /* what malloc pops */                              \
    umf_memory_pool_handle_t pool_handle;      /* or POOL_FAST_NO_POOL */                          \
    uint8_t class_of[POOL_FAST_MAX + 1 + 7];   /* list by request size */

typedef struct pool_fast_heap {
    POOL_FAST_HEAP_MEMBERS
} pool_fast_heap_t;

/*
 * `factor` and `limit` find out in one multiplication whether a pointer is the beginning of a block
 * that was made: with factor = 2^32 / d + 1 for blocks of d bytes, offset * factor mod 2^32 is
 * i * step for the beginning of block i, where step = factor * d mod 2^32 <= d, and more than
 * 2^32 / d - d otherwise. So limit = made * step. That holds for offsets of one slice and blocks up
 * to POOL_FAST_BLOCK_MAX; limit is 0 for larger ones.
 */
#define POOL_FAST_RUN_MEMBERS                                                                      \
    map_desc_t head;         /* owner: the heap; all that follows is for the owner's thread */     \
    uint32_t needed;         /* frees until the pool must look */                                  \
    uint32_t factor, limit;  /* see above */                                                       \
    uint32_t used;           /* the pool's own, fills a gap */                                     \
    pool_fast_block_t *free; /* freed by the owner, last in first out */

typedef struct pool_fast_run {
    POOL_FAST_RUN_MEMBERS
} pool_fast_run_t;

/* The heap that this thread used last, of whatever pool. */
extern UMF_TLS pool_fast_heap_t *pool_fast_heap;
extern const pool_fast_heap_t pool_fast_heap_none;

/* To be called by the pool's operations, so that the thread's next calls are served here. */
UMF_INLINE void pool_fast_select(pool_fast_heap_t *heap) {
    pool_fast_heap = heap;
}

/* The heap will not be used by this thread any more. */
UMF_INLINE void pool_fast_forget(const pool_fast_heap_t *heap) {
    if (pool_fast_heap == heap) {
        pool_fast_heap = (pool_fast_heap_t *)&pool_fast_heap_none;
    }
}

UMF_INLINE uint32_t pool_fast_factor(size_t block_bytes) {
    return (uint32_t)((UINT64_C(1) << 32) / block_bytes + 1);
}

/* To be called when a run has `made` blocks. */
UMF_INLINE void pool_fast_set_limit(pool_fast_run_t *run, size_t block_bytes, uint32_t made) {
    uint32_t step = run->factor * (uint32_t)block_bytes;
    run->limit = block_bytes <= POOL_FAST_BLOCK_MAX ? made * step : 0;
}

/* True when ptr is the beginning of a block that was made. */
UMF_INLINE bool pool_fast_is_block(const pool_fast_run_t *run, const void *ptr) {
    uint32_t offset = (uint16_t)(uintptr_t)ptr;
    return offset * run->factor < run->limit;
}

/*
 * The handle of a heap. RACY: a pool that is destroyed writes NO_POOL into heaps of other threads,
 * which are not calling that pool and find "not this one" either way. A plain load, since an atomic
 * one does not become the operand of the comparison.
 */
UMF_INLINE umf_memory_pool_handle_t pool_fast_handle(const pool_fast_heap_t *heap) {
#ifdef UMF_UNDER_TSAN
    return __atomic_load_n(&heap->pool_handle, __ATOMIC_RELAXED);
#else
    return heap->pool_handle;
#endif
}
UMF_INLINE void pool_fast_set_handle(pool_fast_heap_t *heap, umf_memory_pool_handle_t pool) {
    __atomic_store_n(&heap->pool_handle, pool, __ATOMIC_RELAXED);
}

/* The owner of a run. RACY: other threads' heaps change, "mine" and "not mine" do not, except by
 * this thread. A plain load for the same reason. */
UMF_INLINE uintptr_t pool_fast_owner(const pool_fast_run_t *run) {
#ifdef UMF_UNDER_TSAN
    return load_relaxed(&run->head.owner);
#else
    uintptr_t owner;
    memcpy(&owner, (const void *)&run->head.owner, sizeof(owner));
    return owner;
#endif
}

/* A block, or NULL: the pool's operation must be asked. */
UMF_INLINE void *pool_fast_malloc(umf_memory_pool_handle_t pool, size_t size) {
    pool_fast_heap_t *heap = pool_fast_heap;
    if (unlikely(pool_fast_handle(heap) != pool || size > POOL_FAST_MAX)) {
        return NULL;
    }
#if defined(__x86_64__)
    __asm__("" : "+d"(heap)); // not in the result's register: saves a move on the way out
#endif
    pool_fast_block_t **list = &heap->ready[heap->class_of[size]];
    pool_fast_block_t *block = *list;
    if (likely(block != NULL)) {
        *list = block->next;
    }
    return block;
}

/* False: nothing was done, the pool's operation must be asked. */
UMF_INLINE bool pool_fast_free(umf_memory_pool_handle_t pool, void *ptr) {
    pool_fast_heap_t *heap = pool_fast_heap;
    if (unlikely(pool_fast_handle(heap) != pool ||
                 (uintptr_t)ptr >> POOL_FAST_ROOT_SHIFT >= MAP_ROOT_WORDS)) {
        return false;
    }
    pool_fast_run_t *run = (pool_fast_run_t *)map_word(ptr); // or a descriptor with another owner
    if (unlikely(pool_fast_owner(run) != (uintptr_t)heap || !pool_fast_is_block(run, ptr))) {
        return false;
    }
    pool_fast_block_t *block = ptr;
    block->next = run->free;
    run->free = block;
    if (unlikely(--run->needed == 0)) { // undone: the pool does it, and looks at the run
        run->needed = 1;
        run->free = block->next;
        return false;
    }
    return true;
}

#endif /* UMF_CORE_POOL_FAST_H */

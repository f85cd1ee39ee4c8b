/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * malloc, free, calloc, realloc and their slow sides.
 *
 * Hot path: the thread's heap of the process pool is one thread-local load away; malloc pops its
 * ready list, free finds the block's slab through the address map and pushes. Before the first
 * call, at a thread's end, for sizes that settings route elsewhere, and for every pool that is not
 * a slab pool, the thread-local pointer or its class table lead to empty lists, so that all those
 * cases meet in the slow functions and cost the hot path nothing.
 *
 * Ownership: every free, realloc and usable size asks the address map. An address that it does not
 * know belongs to the system's malloc when that is in use (size.threshold), and is a mistake of the
 * program otherwise.
 *
 * errno: set to ENOMEM on failure; the slab pool does not touch it, and free keeps it whatever pool
 * is asked.
 */
#define _GNU_SOURCE
#include "proxy/malloc.h"

#include <errno.h>
#include <stdlib.h>

#include "pools/slab_inl.h"
#include "proxy/badfree.h"
#include "proxy/exhausted.h"
#include "proxy/handle_pool.h"
#include "proxy/process_pool.h"
#include "proxy/system_malloc.h"

#include <umf/memory_pool.h>

UMF_COLD static void *out_of_memory(void) {
    errno = ENOMEM;
    return NULL;
}

/* What the process pool gave, or what on.exhausted gives in its place. */
UMF_INLINE void *or_exhausted(void *ptr, size_t size, size_t alignment) {
    if (unlikely(ptr == NULL)) {
        ptr = exhausted_alloc(size, alignment);
    }
    return likely(ptr != NULL) ? ptr : out_of_memory();
}

/* The pool of an address that is in no slab pool; NULL if nobody's. */
static umf_memory_pool_handle_t pool_of(const void *ptr) {
    const map_region_t *region = map_find_region(ptr);
    return region != NULL && !region->ipc_opened && region->pool != NULL &&
                   region->pool->magic == UMF_POOL_MAGIC
               ? region->pool
               : NULL;
}

/* ---- malloc
 * --------------------------------------------------------------------------------------------------
 */

UMF_INLINE bool is_below_threshold(size_t size) {
    return unlikely(size < process_state.threshold);
}

/* Everything that needs more than the thread's own slabs. */
UMF_NOINLINE static void *malloc_slower(size_t size) {
    if (unlikely(!process_pool_ready())) {
        return out_of_memory();
    }
    if (is_below_threshold(size)) {
        return system_malloc.malloc(size);
    }
    if (unlikely(size > PTRDIFF_MAX)) {
        return out_of_memory();
    }
    if (exhausted_now(size)) {
        return or_exhausted(exhausted_instead(size), size, 0);
    }
    return or_exhausted(process_slab() != NULL ? slab_alloc_slow(process_slab(), NULL, size)
                                               : handle_pool_alloc(size, 0),
                        size, 0);
}

UMF_NOINLINE static void *malloc_refill(slab_theap_t *theap, unsigned cls, size_t size) {
    void *block = theap->pool != NULL && cls != SLAB_CLASS_NONE && !exhausted_now(size)
                      ? slab_theap_refill(theap, cls, size, NULL)
                      : NULL;
    return likely(block != NULL) ? block : malloc_slower(size);
}

UMF_NOINLINE static void *malloc_slow(size_t size) {
    slab_theap_t *theap = slab_process_theap;
    unsigned cls = theap->class_of[size];
    void *block = slab_swap(theap, cls);
    return likely(block != NULL) ? block : malloc_refill(theap, cls, size);
}

UMF_NOINLINE static void *malloc_medium(size_t size) {
    slab_theap_t *theap = slab_process_theap;
    if (likely(size <= theap->medium_max)) {
        unsigned cls = slab_class_of(size);
        void *block = slab_pop(theap, cls);
        if (likely(block != NULL) ||
            (cls < SLAB_MEDIUM_CLASS && (block = slab_swap(theap, cls)) != NULL)) {
            return block;
        }
    }
    return malloc_slower(size);
}

void *proxy_malloc(size_t size) {
    if (unlikely(size > SLAB_FAST_MAX)) {
        return malloc_medium(size);
    }
    slab_theap_t *theap = slab_process_theap;
#if defined(__x86_64__)
    __asm__("" : "+d"(theap)); // not in the result's register: saves a move on the way out
#endif
    void *block = slab_take_small(theap, size);
    return likely(block != NULL) ? block : malloc_slow(size);
}

UMF_EXPORT void *malloc(size_t size) __attribute__((alias("proxy_malloc")));

/* ---- free
 * ----------------------------------------------------------------------------------------------------
 */

/* Whatever is not a block of this thread or of another thread's slabs. */
UMF_NOINLINE static void free_slower(void *ptr) {
    if (ptr == NULL) {
        return;
    }
    int saved_errno = errno;
    slab_t *slab = slab_of(ptr);
    if (likely(slab != NULL)) {
        if (unlikely(driver_guard_depth != 0) && slab->pool == process_state.slab &&
            slab_check_block(slab, ptr) == SLAB_BLOCK_OK) {
            driver_guard_defer_free(ptr);
            return;
        }
        // A thread that only frees has a use for a heap too: it sends blocks home in batches.
        slab_theap_t *theap =
            slab->pool->process ? slab_theap_get(slab->pool) : slab_theap_find(slab->pool);
        slab_check_t check = slab_free_slow(theap, slab, ptr);
        if (unlikely(check != SLAB_BLOCK_OK)) {
            badfree_report("free", ptr, check);
        }
    } else {
        umf_memory_pool_handle_t pool = pool_of(ptr);
        if (pool != NULL) {
            if (!handle_pool_free(pool, ptr)) {
                badfree_report("free", ptr, badfree_classify(ptr));
            }
        } else if (load_acquire(&system_malloc_ready)) {
            system_malloc.free(ptr);
        } else {
            badfree_report("free", ptr, badfree_classify(ptr));
        }
    }
    errno = saved_errno;
}

UMF_NOINLINE static void free_event(slab_t *slab) {
    slab_theap_event(slab_process_theap, slab);
}

/* Blocks of other threads' heaps of the process pool, first of all. */
UMF_NOINLINE static void free_slow(void *ptr, slab_t *slab) {
    slab_theap_t *theap = slab_process_theap;
    uint64_t index;
    if (likely(slab->head.kind == MAP_KIND_SLAB && slab->cls != SLAB_CLASS_NONE &&
               slab->pool == theap->pool && slab_index_of(slab, ptr, &index) &&
               index < load_relaxed(&slab->made))) {
        slab_remote_free(theap, slab, ptr);
    } else {
        free_slower(ptr);
    }
}

void proxy_free(void *ptr) {
    slab_t *slab = (slab_t *)map_word(ptr); // or another descriptor: its owner is no heap
    if (likely(load_relaxed(&slab->head.owner) == (uintptr_t)slab_process_theap)) {
        if (unlikely(slab_put(slab, ptr))) {
            free_event(slab);
        }
        return;
    }
    free_slow(ptr, slab);
}

/* ---- calloc
 * --------------------------------------------------------------------------------------------------
 */

UMF_NOINLINE static void *calloc_slow(size_t count, size_t size) {
    size_t bytes;
    if (unlikely(!process_pool_ready()) || mul_overflow(count, size, &bytes) ||
        bytes > PTRDIFF_MAX) {
        return out_of_memory();
    }
    if (is_below_threshold(bytes)) {
        return system_malloc.calloc(count, size);
    }
    void *block = process_slab() != NULL ? slab_pool_calloc(process_slab(), count, size)
                                         : handle_pool_calloc(bytes);
    if (unlikely(block == NULL)) {
        block = or_exhausted(NULL, bytes, 0);
        return block != NULL ? memset(block, 0, bytes) : NULL;
    }
    return block;
}

void *proxy_calloc(size_t count, size_t size) {
    size_t bytes;
    if (likely(!mul_overflow(count, size, &bytes) && bytes <= SLAB_FAST_MAX)) {
        void *block = slab_take_small(slab_process_theap, bytes);
        if (likely(block != NULL)) {
            slab_clear(block, bytes);
            return block;
        }
    }
    return calloc_slow(count, size);
}

/* ---- realloc
 * -------------------------------------------------------------------------------------------------
 */

/* The block has no place to grow in its pool. */
UMF_COLD static void *realloc_exhausted(void *ptr, size_t old_bytes, size_t size) {
    // The boot pool may serve because the block's pool does no more: after a fork, see
    // driver_guard.c.
    void *block = process_state.slab == process_state.boot
                      ? slab_pool_alloc(process_state.boot, size)
                      : or_exhausted(NULL, size, 0);
    if (unlikely(block == NULL)) {
        return out_of_memory();
    }
    memcpy(block, ptr, old_bytes < size ? old_bytes : size);
    proxy_free(ptr);
    return block;
}

/* Inside a GPU driver, whose memory the block is: it moves to the boot pool. */
UMF_COLD static void *realloc_in_driver(void *ptr, size_t old_bytes, size_t size) {
    void *block = slab_pool_alloc(process_state.boot, size);
    if (block == NULL) {
        return out_of_memory();
    }
    memcpy(block, ptr, old_bytes < size ? old_bytes : size);
    proxy_free(ptr);
    return block;
}

UMF_NOINLINE static void *realloc_slow(void *ptr, size_t size) {
    slab_t *slab = slab_of(ptr);
    if (likely(slab != NULL)) {
        slab_check_t check = slab_check_block(slab, ptr);
        if (unlikely(check != SLAB_BLOCK_OK)) {
            badfree_report("realloc", ptr, check);
            return out_of_memory();
        }
        if (unlikely(driver_guard_depth != 0) && slab->pool == process_state.slab) {
            return realloc_in_driver(ptr, slab_usable(slab), size);
        }
        void *block = slab_pool_realloc(slab->pool, ptr, size);
        return likely(block != NULL) ? block : realloc_exhausted(ptr, slab_usable(slab), size);
    }
    umf_memory_pool_handle_t pool = pool_of(ptr);
    if (pool != NULL && size <= PTRDIFF_MAX) {
        void *block = handle_pool_realloc(pool, ptr, size);
        return likely(block != NULL) ? block
                                     : realloc_exhausted(ptr, handle_pool_usable(pool, ptr), size);
    }
    if (pool != NULL) {
        return out_of_memory();
    }
    if (load_acquire(&system_malloc_ready)) {
        return system_malloc.realloc(ptr, size);
    }
    badfree_report("realloc", ptr, badfree_classify(ptr));
    return out_of_memory();
}

void *proxy_realloc(void *ptr, size_t size) {
    if (ptr == NULL) {
        return proxy_malloc(size);
    }
    if (unlikely(size == 0)) {
        proxy_free(ptr);
        return NULL;
    }
    slab_theap_t *theap = slab_process_theap;
    slab_t *slab = (slab_t *)map_word(ptr);
    if (likely(load_relaxed(&slab->head.owner) == (uintptr_t)theap)) {
        size_t old_bytes = slab->block_bytes;
        if (size <= old_bytes && size > old_bytes / 2) {
            return ptr;
        }
        void *block = slab_take(theap, slab_growth(old_bytes, size));
        if (likely(block != NULL)) {
            memcpy(block, ptr, old_bytes < size ? old_bytes : size);
            if (unlikely(slab_put(slab, ptr))) {
                free_event(slab);
            }
            return block;
        }
    }
    return realloc_slow(ptr, size);
}

/* ---- the exported names
 * ---------------------------------------------------------------------------------------- */

UMF_EXPORT void free(void *ptr) __attribute__((alias("proxy_free")));
UMF_EXPORT void *calloc(size_t count, size_t size) __attribute__((alias("proxy_calloc")));
UMF_EXPORT void *realloc(void *ptr, size_t size) __attribute__((alias("proxy_realloc")));

/* ---- for the other members of the family
 * ------------------------------------------------------------------------ */

void *proxy_aligned(size_t alignment, size_t size) {
    if (unlikely(!process_pool_ready()) || unlikely(size > PTRDIFF_MAX)) {
        return out_of_memory();
    }
    if (is_below_threshold(size)) {
        return system_malloc.memalign(alignment, size);
    }
    return or_exhausted(process_slab() != NULL
                            ? slab_pool_aligned_alloc(process_slab(), size, alignment)
                            : handle_pool_alloc(size, alignment),
                        size, alignment);
}

/* Whatever is not a block of this thread's slabs. */
UMF_NOINLINE static size_t usable_size_slow(const void *ptr) {
    if (ptr == NULL) {
        return 0;
    }
    if (unlikely((uintptr_t)ptr == PROXY_PROBE_POINTER)) {
        return PROXY_PROBE_ANSWER;
    }
    slab_t *slab = slab_of(ptr);
    if (slab != NULL) {
        slab_check_t check = slab_check_block(slab, ptr);
        if (unlikely(check != SLAB_BLOCK_OK)) {
            badfree_report("malloc_usable_size", ptr, check);
            return 0;
        }
        return slab_usable(slab);
    }
    umf_memory_pool_handle_t pool = pool_of(ptr);
    if (pool != NULL) {
        return handle_pool_usable(pool, ptr);
    }
    if (load_acquire(&system_malloc_ready)) {
        return system_malloc.malloc_usable_size((void *)(uintptr_t)ptr);
    }
    badfree_report("malloc_usable_size", ptr, badfree_classify(ptr));
    return 0;
}

/* Some programs (redis) ask at every malloc and free. */
size_t proxy_usable_size(const void *ptr) {
    if (likely((uintptr_t)ptr >> MAP_ADDRESS_BITS == 0)) {
        const slab_t *slab = (const slab_t *)map_word(ptr);
        if (likely(load_relaxed(&slab->head.owner) == (uintptr_t)slab_process_theap)) {
            return slab_usable(slab);
        }
    }
    return usable_size_slow(ptr);
}

bool proxy_trim(size_t keep) {
    if (!process_pool_ready()) {
        return false;
    }
    int saved_errno = errno;
    slab_pool_t *pool = process_slab();
    size_t before = 0, after = 0;
    if (pool != NULL) {
        slab_stats_t stats;
        slab_pool_stats(pool, &stats);
        before = stats.purged_bytes + stats.reserved_peak - stats.reserved_bytes;
        slab_pool_trim(pool, keep);
        slab_pool_stats(pool, &stats);
        after = stats.purged_bytes + stats.reserved_peak - stats.reserved_bytes;
    } else {
        handle_pool_trim(keep);
    }
    errno = saved_errno;
    return after > before;
}

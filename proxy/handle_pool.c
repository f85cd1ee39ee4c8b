/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The process pool when it is not a slab pool: oneTBB, jemalloc, disjoint, proxy. Three things that
 * these do not do by themselves:
 *
 * - Recursion. Such a pool, its library or its provider's driver may call malloc while it works. A
 *   thread that is inside gets its memory from the boot pool; the block finds its way back by its
 *   address.
 * - Fork. The locks of a foreign library must not be held by another thread when the process is
 *   copied. A gate counts the threads inside; before a fork it is closed and they are waited for.
 *   The counters are spread, so that threads seldom meet on a cache line.
 * - Semantics. Sizes are rounded up to MALLOC_ALIGNMENT, which makes blocks aligned to it; calloc,
 *   realloc and usable sizes are made from what a pool has.
 */
#include "proxy/handle_pool.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#include <umf/memory_pool.h>

#include "core/map.h"
#include "core/system_call.h"
#include "pools/slab.h"
#include "proxy/process_pool.h"

enum {
    MALLOC_ALIGNMENT = 16, /* what programs count on, see alignof(max_align_t) */
    GATE_COUNTERS = 32,    /* power of two */
    GATE_LINE_BYTES = 64,
    THREAD_SPREAD_SHIFT = 12, /* thread-local blocks of two threads are pages apart */
};

typedef struct gate_counter {
    _Alignas(GATE_LINE_BYTES) _Atomic(uint32_t) inside;
} gate_counter_t;

static gate_counter_t gate[GATE_COUNTERS];
static _Atomic(bool) gate_closed;
static UMF_TLS unsigned handle_depth; /* > 0: this thread is inside, or holds the gate closed */

/* ---- the gate ---- */

static _Atomic(uint32_t) *gate_counter(void) {
    uint64_t place = (uint64_t)(uintptr_t)&handle_depth >> THREAD_SPREAD_SHIFT;
    return &gate[place * UINT64_C(0x9e3779b97f4a7c15) >> 59 & (GATE_COUNTERS - 1)].inside;
}

/* False: this thread is inside already. */
static bool enter(void) {
    if (handle_depth != 0) {
        return false;
    }
    _Atomic(uint32_t) *counter = gate_counter();
    for (;;) {
        // seq_cst, as the forker's store and loads in gate_prepare: one of the two sees the other
        atomic_fetch_add(counter, 1);
        if (likely(!atomic_load(&gate_closed))) {
            break;
        }
        atomic_fetch_sub(counter, 1);
        while (load_acquire(&gate_closed)) {
            sys_sched_yield();
        }
    }
    handle_depth = 1;
    return true;
}

static void leave(void) {
    handle_depth = 0;
    // release: what was done inside is seen by a forker that sees the counter
    atomic_fetch_sub_explicit(gate_counter(), 1, memory_order_release);
}

static uint32_t gate_inside(void) {
    uint32_t inside = 0;
    for (unsigned i = 0; i < GATE_COUNTERS; i++) {
        inside += atomic_load(&gate[i].inside);
    }
    return inside;
}

/* A signal handler may fork while its own thread is inside. */
static void gate_prepare(void) {
    atomic_store(&gate_closed, true);
    while (gate_inside() != (handle_depth != 0)) {
        sys_sched_yield();
    }
    handle_depth++;
}

/* In the child as well: nobody else was inside, so the counters are right for its one thread. */
static void gate_open(void) {
    handle_depth--;
    store_release(&gate_closed, false);
}

/* Handlers of our own, not a node of the core's walk: the walk takes locks before its first node,
 * which a thread inside may be waiting for. Prepare handlers run last registered first, so the gate
 * is closed before the walk begins, and open after it has ended. */
void handle_pool_install(void) {
    pthread_atfork(gate_prepare, gate_open, gate_open);
}

/* ---- blocks ---- */

/* What the pool allocates while it works. */
static void *boot_alloc(size_t size, size_t alignment) {
    return alignment != 0 ? slab_pool_aligned_alloc(process_state.boot, size, alignment)
                          : slab_pool_alloc(process_state.boot, size);
}

static size_t rounded(size_t size) {
    return size != 0 ? (size + MALLOC_ALIGNMENT - 1) & ~(size_t)(MALLOC_ALIGNMENT - 1)
                     : MALLOC_ALIGNMENT;
}

void *handle_pool_alloc(size_t size, size_t alignment) {
    if (!enter()) {
        return boot_alloc(size, alignment);
    }
    void *ptr = alignment > MALLOC_ALIGNMENT
                    ? umfPoolAlignedMalloc(process_state.pool, rounded(size), alignment)
                    : umfPoolMalloc(process_state.pool, rounded(size));
    leave();
    return ptr;
}

static bool is_not_supported(umf_memory_pool_handle_t pool) {
    return umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_NOT_SUPPORTED;
}

void *handle_pool_calloc(size_t bytes) {
    if (!enter()) {
        void *block = boot_alloc(bytes, 0);
        return block != NULL ? memset(block, 0, bytes) : NULL;
    }
    void *ptr = umfPoolCalloc(process_state.pool, 1, rounded(bytes));
    if (ptr == NULL && is_not_supported(process_state.pool)) {
        ptr = umfPoolMalloc(process_state.pool, rounded(bytes));
        ptr = ptr != NULL ? memset(ptr, 0, bytes) : NULL;
    }
    leave();
    return ptr;
}

/* Bytes of a block of any pool. */
static size_t block_bytes(umf_memory_pool_handle_t pool, const void *ptr) {
    size_t bytes = 0;
    if (umfPoolMallocUsableSize(pool, ptr, &bytes) == UMF_RESULT_SUCCESS) {
        return bytes;
    }
    // A pool that does not tell hands out whole provider allocations.
    const map_region_t *region = map_find_region(ptr);
    return region != NULL && region->base == (uintptr_t)ptr ? load_relaxed(&region->size) : 0;
}

static void *move(umf_memory_pool_handle_t pool, void *ptr, size_t size) {
    size_t old_bytes = block_bytes(pool, ptr);
    if (size <= old_bytes && size > old_bytes / 2) {
        return ptr;
    }
    void *moved = umfPoolMalloc(pool, rounded(size));
    if (moved != NULL) {
        memcpy(moved, ptr, old_bytes < size ? old_bytes : size);
        umfPoolFree(pool, ptr);
    }
    return moved;
}

void *handle_pool_realloc(umf_memory_pool_handle_t pool, void *ptr, size_t size) {
    bool entered = enter();
    void *moved = umfPoolRealloc(pool, ptr, rounded(size));
    if (moved == NULL && is_not_supported(pool)) {
        moved = move(pool, ptr, size);
    }
    if (entered) {
        leave();
    }
    return moved;
}

bool handle_pool_free(umf_memory_pool_handle_t pool, void *ptr) {
    bool entered = enter();
    bool done = umfPoolFree(pool, ptr) == UMF_RESULT_SUCCESS;
    if (entered) {
        leave();
    }
    return done;
}

size_t handle_pool_usable(umf_memory_pool_handle_t pool, const void *ptr) {
    bool entered = enter();
    size_t bytes = block_bytes(pool, ptr);
    if (entered) {
        leave();
    }
    return bytes;
}

void handle_pool_trim(size_t keep) {
    if (enter()) {
        umfPoolTrimMemory(process_state.pool, keep);
        leave();
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The process pool on a GPU driver's memory. The driver itself calls malloc and free, often while
 * it holds its locks; such a call must not end up in the driver again. So the provider's operations
 * are replaced, in its handle, by ones that work with this thread on the boot pool meanwhile:
 *
 *   malloc   the thread's process heap is exchanged for its heap of the boot pool: the fast path
 *            notices nothing; slow calls ask process_slab(), which looks at driver_guard_depth
 *   free     blocks of the boot pool as always; those of the process pool are kept on a list and
 *            freed when the thread is out (a pool may be in the middle of something)
 *   realloc  a block of the process pool moves to the boot pool
 *
 * Threads that the driver starts while it is being initialised got their heap from the boot pool,
 * and keep it.
 *
 * A program may call the driver by itself, and malloc be called in there. When such a call needs
 * new memory of the driver (driver_stack.c tells), the driver is not entered a second time: one
 * block is always kept in reserve for this; without it the boot pool serves. What is freed in there
 * is given back to the driver by the next call that may enter it.
 *
 * Fork. Drivers do not work in a child, and their memory is shared with it, or missing there. The
 * child gets private copies at the same addresses of what it can read, never calls the driver
 * again, and goes on with the boot pool.
 */
#define _GNU_SOURCE
#include "proxy/driver_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/log.h"
#include "core/provider.h"
#include "core/system_call.h"
#include "pools/slab.h"
#include "providers/block_table.h"
#include "proxy/driver_stack.h"
#include "proxy/process_pool.h"

enum {
    RESERVE_BYTES = 4 << 20,
    ASK_AGAIN = 1024,  /* calls after which a driver that had nothing is asked again */
    BLOCK_PENDING = 1, /* in block_entry_t.what: freed by the pool, not yet by the driver */
};

UMF_TLS unsigned driver_guard_depth;
UMF_TLS bool driver_guard_refused;
static UMF_TLS void *deferred; /* blocks to free, linked through their first word */

static struct {
    umf_memory_provider_ops_t driver; /* the provider's own operations */
    umf_lock_t lock;                  /* LOCK_RANK_PROVIDER */
    block_table_t blocks;             /* live, or pending; under lock */
    block_entry_t reserve;            /* under lock; ptr NULL: used up */
    _Atomic(size_t) refused_bytes;    /* the driver has no block of this size; 0: not known */
    _Atomic(uint32_t) refused_calls;  /* since then */
    _Atomic(size_t) pending;          /* such blocks */
    _Atomic(bool) cut_off;            /* in a forked child: no driver any more */
    fork_node_t fork;
    provider_extension_entry_t extension;
} guard;

/* ---- in and out ---- */

static slab_theap_t *guard_enter(void) {
    slab_theap_t *process_heap = slab_process_theap;
    slab_theap_t *boot_heap = slab_theap_get(process_state.boot);
    driver_guard_depth++;
    slab_process_theap = boot_heap != NULL ? boot_heap : (slab_theap_t *)&slab_theap_none;
    return process_heap;
}

static void free_deferred(void) {
    while (deferred != NULL) {
        void *ptr = deferred;
        memcpy(&deferred, ptr, sizeof(deferred));
        slab_t *slab = slab_of(ptr);
        // as if by another thread: this one's heap may be at work further up the stack
        if (slab != NULL) {
            slab_free_slow(NULL, slab, ptr);
        }
    }
}

static void guard_leave(slab_theap_t *process_heap) {
    int saved_errno = errno;
    slab_process_theap = process_heap;
    driver_stack_scrub();
    if (--driver_guard_depth == 0) {
        free_deferred();
    }
    errno = saved_errno;
}

void driver_guard_defer_free(void *ptr) {
    memcpy(ptr, &deferred, sizeof(deferred)); // blocks have 16 bytes at least
    deferred = ptr;
}

/* ---- operations ---- */

static bool cut_off(void) {
    return load_relaxed(&guard.cut_off); // set while the child has one thread
}

static bool table_add(const block_entry_t *entry) {
    lock_acquire(&guard.lock);
    bool added = block_table_add(&guard.blocks, entry);
    lock_release(&guard.lock);
    return added;
}

/* The driver is among the callers: the reserve, if it is good for this. */
static umf_result_t reserve_take(size_t size, size_t alignment, void **ptr) {
    block_entry_t entry = {0};
    lock_acquire(&guard.lock);
    if (size <= guard.reserve.size &&
        (alignment == 0 || is_aligned((uintptr_t)guard.reserve.ptr, alignment)) &&
        block_table_add(&guard.blocks, &guard.reserve)) {
        entry = guard.reserve;
        guard.reserve = (block_entry_t){0};
    }
    lock_release(&guard.lock);
    driver_guard_refused = entry.ptr == NULL; // a pool may have asked for more before
    if (driver_guard_refused) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    *ptr = entry.ptr;
    return UMF_RESULT_SUCCESS;
}

/* Inside the driver. Without memory for it there is no reserve. */
static void reserve_fill(void *priv) {
    block_entry_t entry = {.size = RESERVE_BYTES};
    lock_acquire(&guard.lock);
    bool there = guard.reserve.ptr != NULL;
    lock_release(&guard.lock);
    if (there ||
        guard.driver.alloc(priv, entry.size, MAP_SLICE_BYTES, &entry.ptr) != UMF_RESULT_SUCCESS) {
        return;
    }
    lock_acquire(&guard.lock);
    there = guard.reserve.ptr != NULL; // another thread was faster
    guard.reserve = there ? guard.reserve : entry;
    lock_release(&guard.lock);
    if (there) {
        guard.driver.free(priv, entry.ptr, entry.size);
    }
}

static bool pending_take(block_entry_t *entry) {
    bool found = false;
    lock_acquire(&guard.lock);
    for (size_t i = 0; i < guard.blocks.capacity && !found; i++) {
        block_entry_t slot = guard.blocks.slots[i];
        found = slot.ptr != NULL && (slot.what & BLOCK_PENDING) != 0 &&
                block_table_remove(&guard.blocks, slot.ptr, entry);
    }
    lock_release(&guard.lock);
    return found;
}

/* Inside the driver. */
static void pending_free(void *priv) {
    block_entry_t entry;
    while (load_relaxed(&guard.pending) != 0 && pending_take(&entry)) {
        fetch_sub_relaxed(&guard.pending, 1);
        guard.driver.free(priv, entry.ptr, entry.size);
    }
}

/* A full device is not asked for each block: that is slow. */
static bool is_known_to_fail(size_t size) {
    size_t refused = load_relaxed(&guard.refused_bytes);
    return refused != 0 && size >= refused &&
           fetch_add_relaxed(&guard.refused_calls, 1) % ASK_AGAIN != ASK_AGAIN - 1;
}

static umf_result_t guard_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    if (cut_off()) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (is_known_to_fail(size)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (driver_guard_depth == 0 && driver_stack_has_driver()) {
        return reserve_take(size, alignment, ptr);
    }
    block_entry_t entry = {.size = size};
    slab_theap_t *heap = guard_enter();
    pending_free(priv);
    umf_result_t result = guard.driver.alloc(priv, size, alignment, &entry.ptr);
    if (result == UMF_RESULT_SUCCESS && !table_add(&entry)) {
        guard.driver.free(priv, entry.ptr, size);
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (result == UMF_RESULT_SUCCESS) {
        reserve_fill(priv);
        *ptr = entry.ptr;
    }
    // RACY: of two threads the later decides; a wrong value costs a call, or up to ASK_AGAIN
    if (result == UMF_RESULT_SUCCESS) {
        store_relaxed(&guard.refused_bytes, 0);
    } else if (result == UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY ||
               result == UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC) { // not for its alignment
        store_relaxed(&guard.refused_bytes, size);
    }
    guard_leave(heap);
    return result;
}

/* In a forked child: blocks are private copies. Odd ends share pages with neighbours, these stay.
 */
static umf_result_t copy_free(void *ptr, size_t size) {
    const size_t page = base_page_size();
    if (is_aligned((uintptr_t)ptr, page) && is_aligned(size, page)) {
        munmap(ptr, size);
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t guard_free(void *priv, void *ptr, size_t size) {
    block_entry_t entry = {0};
    lock_acquire(&guard.lock);
    bool known = block_table_remove(&guard.blocks, ptr, &entry);
    lock_release(&guard.lock);
    if (cut_off()) {
        return known ? copy_free(ptr, entry.size) : UMF_RESULT_SUCCESS;
    }
    if (known && driver_guard_depth == 0 && driver_stack_has_driver()) {
        entry.what = BLOCK_PENDING;
        if (table_add(&entry)) {
            fetch_add_relaxed(&guard.pending, 1);
        } // else the driver keeps it
        return UMF_RESULT_SUCCESS;
    }
    slab_theap_t *heap = guard_enter();
    umf_result_t result = guard.driver.free(priv, ptr, known ? entry.size : size);
    guard_leave(heap);
    store_relaxed(&guard.refused_bytes, 0);
    if (result != UMF_RESULT_SUCCESS && known && !table_add(&entry)) {
        log_error("no memory to remember a block that the driver did not take back");
    }
    return result;
}

/* The operations that only pass on to the driver. */
#define GUARDED(operation, parameters, ...)                                                        \
    static umf_result_t guard_##operation parameters {                                             \
        if (cut_off()) {                                                                           \
            return UMF_RESULT_ERROR_NOT_SUPPORTED;                                                 \
        }                                                                                          \
        slab_theap_t *heap = guard_enter();                                                        \
        umf_result_t result = guard.driver.operation(__VA_ARGS__);                                 \
        guard_leave(heap);                                                                         \
        return result;                                                                             \
    }

GUARDED(get_min_page_size, (void *priv, const void *ptr, size_t *bytes), priv, ptr, bytes)
GUARDED(get_cache_line_size, (void *priv, size_t *bytes), priv, bytes)
GUARDED(get_last_native_error, (void *priv, const char **text, int32_t *error), priv, text, error)
GUARDED(ext_get_ipc_handle, (void *priv, const void *ptr, size_t size, void *data), priv, ptr, size,
        data)
GUARDED(ext_put_ipc_handle, (void *priv, void *data), priv, data)
GUARDED(ext_open_ipc_handle, (void *priv, void *data, void **ptr), priv, data, ptr)
GUARDED(ext_close_ipc_handle, (void *priv, void *ptr, size_t size), priv, ptr, size)

/* ---- fork ---- */

/* Copies from our own memory, or where a driver keeps its mappings out of children, from the
 * parent's. False: neither can be read. Never faults. */
static bool copy_readable(void *to, void *from, size_t bytes) {
    const struct iovec local = {to, bytes}, remote = {from, bytes};
    return sys_process_vm_readv(getpid(), &local, &remote) == (ssize_t)bytes ||
           sys_process_vm_readv(sys_getppid(), &local, &remote) == (ssize_t)bytes;
}

/* Replaces the pages of a block by private ones with the same content. */
static umf_result_t block_unshare(const block_entry_t *block) {
    const size_t page = base_page_size();
    char *start = (char *)align_down((uintptr_t)block->ptr, page);
    size_t bytes = align_up((uintptr_t)block->ptr + block->size, page) - (uintptr_t)start;
    void *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (copy == MAP_FAILED) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (!copy_readable(copy, start, bytes)) {
        // Not there at all: nothing that this child could spoil. It may live without, up to exec.
        munmap(copy, bytes);
        return UMF_RESULT_SUCCESS;
    }
    return mremap(copy, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, start) != MAP_FAILED
               ? UMF_RESULT_SUCCESS
               : UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
}

static void boot_pool_serves(void) {
    if (process_state.slab != NULL) {
        process_state.slab->process = false;
    }
    process_state.boot->process = true;
    process_state.slab = process_state.boot;
    process_state.pool = process_state.boot->handle;
    slab_process_theap = (slab_theap_t *)&slab_theap_none;
    driver_guard_depth = 0;
    deferred = NULL;
}

/* Called in the child while the parent waits (fork_shared.c). */
static umf_result_t guard_unshare(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size; // all of it
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (size_t i = 0; i < guard.blocks.capacity && result == UMF_RESULT_SUCCESS; i++) {
        if (guard.blocks.slots[i].ptr != NULL) {
            result = block_unshare(&guard.blocks.slots[i]);
        }
    }
    store_relaxed(&guard.cut_off, true);
    boot_pool_serves();
    return result;
}

static bool guard_shared_on_fork(void *priv) {
    (void)priv;
    return true;
}

static const provider_extension_t guard_extension = {
    .fork_child_unshare = guard_unshare,
    .shared_on_fork = guard_shared_on_fork,
};

static void guard_fork_prepare(void *arg) {
    (void)arg;
    lock_acquire(&guard.lock);
}

static void guard_fork_parent(void *arg) {
    (void)arg;
    lock_release(&guard.lock);
}

static void guard_fork_child(void *arg) {
    (void)arg;
    lock_init(&guard.lock);
}

/* ---- installation ---- */

void driver_guard_install(umf_memory_provider_handle_t provider) {
    driver_stack_learn();
    umf_memory_provider_ops_t *ops = &provider->ops;
    guard.driver = *ops;
    ops->alloc = guard_alloc;
    ops->free = guard_free;
    ops->get_min_page_size = guard_get_min_page_size;
    ops->get_cache_line_size = guard_get_cache_line_size;
    ops->get_last_native_error = guard_get_last_native_error;
    ops->ext_get_ipc_handle = guard_ext_get_ipc_handle;
    ops->ext_put_ipc_handle = guard_ext_put_ipc_handle;
    ops->ext_open_ipc_handle = guard_ext_open_ipc_handle;
    ops->ext_close_ipc_handle = guard_ext_close_ipc_handle;
    guard.fork = (fork_node_t){.rank = LOCK_RANK_PROVIDER,
                               .prepare = guard_fork_prepare,
                               .parent = guard_fork_parent,
                               .child = guard_fork_child};
    fork_register(&guard.fork);
    guard.extension =
        (provider_extension_entry_t){.initialize = ops->initialize, .extension = &guard_extension};
    provider_extension_register(&guard.extension);
}

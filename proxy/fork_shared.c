/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * With page.disposition=shared-* the heap is MAP_SHARED: after a fork parent and child would write
 * to the same pages, and each would destroy the other's data. So the child copies the heap into a
 * shared object of its own, mapped at the same addresses, before it does anything else, while the
 * forking thread of the parent waits. The cost is a copy of the heap's resident pages per fork;
 * vfork, posix_spawn and the like do not come here.
 *
 * Its place in the fork walk is between providers and pools. In the child the provider's lock is
 * free by then, and no pool has looked at its memory yet. In the parent the pools' locks are still
 * held while it waits: what pools keep in their free memory (lists of free blocks, heaps of
 * finished threads, chunks) stays as the child's descriptors, which were copied at the fork, say.
 * What other threads do to their own slabs does not matter, the child does not trust those
 * (slab_theap.c). So the child's allocator is sound however many threads the parent has. The
 * content of blocks that they write at that very moment is not: nothing stops plain writes.
 *
 * The parent learns from a pipe that the child is done (a byte) or died (end of file).
 */
#define _GNU_SOURCE
#include "proxy/fork_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/fork.h"
#include "core/log.h"
#include "core/system_call.h"
#include "proxy/process_pool.h"

enum { FORK_SHARED_RANK = (LOCK_RANK_POOL + LOCK_RANK_PROVIDER) / 2 }; /* takes no lock */

static fork_node_t fork_shared_node;
static int fork_pipe[2] = {-1,
                           -1}; // between prepare and parent or child; the fork walk's lock is held

static void fork_shared_prepare(void *arg) {
    (void)arg;
    int saved_errno = errno;
    if (sys_pipe2(fork_pipe, O_CLOEXEC) != 0) {
        fork_pipe[0] = fork_pipe[1] =
            -1; // no descriptors left: the copy then races with this thread, not with its forker
        log_error_errno("fork: no pipe; the parent does not wait for the child's copy of the heap");
    }
    errno = saved_errno;
}

static void fork_shared_parent(void *arg) {
    (void)arg;
    int saved_errno = errno;
    if (fork_pipe[0] >= 0) {
        char done;
        close(fork_pipe[1]);
        while (read(fork_pipe[0], &done, 1) < 0 && errno == EINTR) {
        }
        close(fork_pipe[0]);
    }
    errno = saved_errno;
}

static void unshare(const provider_extension_t *extension, void *priv, void *ptr, size_t bytes) {
    umf_result_t result = extension->fork_child_unshare(priv, ptr, bytes);
    if (result != UMF_RESULT_SUCCESS) {
        // Going on would destroy the parent's heap.
        umf_panic("fork: no memory for the child's copy of the shared heap (error %d)",
                  (int)result);
    }
}

static void fork_shared_child(void *arg) {
    (void)arg;
    int saved_errno = errno;
    umf_memory_provider_handle_t provider = process_state.pool->provider;
    void *priv = NULL;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    if (extension != NULL && extension->fork_child_unshare != NULL) {
        unshare(extension, priv, NULL, SIZE_MAX);
    }
    if (fork_pipe[0] >= 0) {
        ssize_t written = write(fork_pipe[1], "", 1);
        (void)written; // the parent sees the end of the pipe anyway
        close(fork_pipe[0]);
        close(fork_pipe[1]);
    }
    errno = saved_errno;
}

void fork_shared_install(void) {
    fork_shared_node = (fork_node_t){.rank = FORK_SHARED_RANK,
                                     .prepare = fork_shared_prepare,
                                     .parent = fork_shared_parent,
                                     .child = fork_shared_child};
    fork_register(&fork_shared_node);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Reports of wrong pointers. What can be told without work on the fast path: addresses that are in
 * no block, the inside of large blocks, blocks freed twice whose memory is back in a chunk, and
 * small blocks when another thread frees them. A small block freed twice by its own thread shows
 * when its slab's count goes wrong (slab_theap.c).
 */
#define _GNU_SOURCE
#include "proxy/badfree.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "proxy/process_pool.h"

slab_check_t badfree_classify(const void *ptr) {
    const map_region_t *region = map_find_region(ptr);
    // Inside a region of ours but in no block: it was one once, or never.
    return region != NULL ? SLAB_BLOCK_FREE : SLAB_BLOCK_UNMADE;
}

static bool is_on_stack(const void *ptr) {
    // The frame of this function is on the same stack, further down; a stack has at most some MiB
    // by default.
    enum { STACK_SPAN = 8 * 1024 * 1024 };
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return (uintptr_t)ptr >= here && (uintptr_t)ptr - here < STACK_SPAN;
}

static const char *describe(const void *ptr, slab_check_t check) {
    switch (check) {
    case SLAB_BLOCK_INTERIOR:
        return "pointer into the middle of a block";
    case SLAB_BLOCK_FREE:
        return "double free, or never allocated";
    case SLAB_BLOCK_UNMADE:
    case SLAB_BLOCK_OK:
        break;
    }
    return is_on_stack(ptr)               ? "invalid pointer: on the stack"
           : map_find_region(ptr) != NULL ? "invalid pointer: no block begins there"
                                          : "invalid pointer: not from this allocator";
}

void badfree_report(const char *function, const void *ptr, slab_check_t check) {
    umf_message("%s(%p): %s", function, ptr, describe(ptr, check));
    if (proxy_settings_abort_on_bad_free(&process_state.settings)) {
        abort();
    }
}

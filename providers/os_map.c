/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Mappings at aligned addresses. mmap only promises page alignment; mapping too much and cutting
 * off both ends costs three or four calls. Usually one is enough, because we may say where we would
 * like the mapping, and the kernel agrees when the place is free:
 *
 *   1. end it where the latest one began, or where the latest freed one ended (the hint). The first
 *      time: some way below our own code, as the kernel maps from the top downwards;
 *   2. the kernel put it elsewhere and not aligned: move it down to the next aligned address, which
 *      overlaps the place we just got;
 *   3. reserve size + alignment without access, map over the aligned part, cut the rest.
 *
 * Neither step replaces a foreign mapping: only step 3 uses MAP_FIXED, inside its own reservation.
 * A reservation without access is not charged to the overcommit limit.
 */
#define _GNU_SOURCE
#include "providers/os_map.h"

#include <errno.h>
#include <sys/mman.h>

/* Room for libraries that are mapped between our code and the first hint. */
#define MAP_FIRST_HINT_DISTANCE ((uintptr_t)512 << 20)
/* No hint below: programs at fixed low addresses keep their heap there. */
#define MAP_HINT_LOWEST ((uintptr_t)4 << 30)

static uintptr_t map_align_down(uintptr_t address, size_t alignment) {
    return address - address % alignment;
}

/* mmap with a wish for the address; NULL with errno. */
static void *map_near(uintptr_t address, const os_map_request_t *request) {
    void *ptr = mmap((void *)address, request->size, request->protection, request->flags,
                     request->fd, request->offset);
    return ptr != MAP_FAILED ? ptr : NULL;
}

/* Address for step 1, 0 for none. */
static uintptr_t map_wish(const os_map_request_t *request, os_map_hint_t *hint) {
    uintptr_t end = load_relaxed(hint);
    if (end == 0) {
        end = (uintptr_t)&map_wish;
        end = end > MAP_FIRST_HINT_DISTANCE ? end - MAP_FIRST_HINT_DISTANCE : 0;
    }
    if (end < MAP_HINT_LOWEST || end - MAP_HINT_LOWEST < request->size) {
        return 0;
    }
    return map_align_down(end - request->size, request->alignment);
}

/* Step 3. */
static void *map_inside_reservation(const os_map_request_t *request) {
    size_t total;
    if (add_overflow(request->size, request->alignment, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    char *start = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return NULL;
    }
    uintptr_t above = (uintptr_t)start % request->alignment;
    char *ptr = start + (above != 0 ? request->alignment - above : 0);
    if (mmap(ptr, request->size, request->protection, request->flags | MAP_FIXED, request->fd,
             request->offset) == MAP_FAILED) {
        int error = errno;
        munmap(start, total);
        errno = error;
        return NULL;
    }
    size_t head = (size_t)(ptr - start);
    size_t tail = total - head - request->size;
    if (head != 0) {
        munmap(start, head);
    }
    if (tail != 0) {
        munmap(ptr + request->size, tail);
    }
    return ptr;
}

void *os_map(const os_map_request_t *request, os_map_hint_t *hint) {
    const size_t alignment = request->alignment;
    if (alignment <= request->granule) {
        return map_near(0, request);
    }
    void *ptr = map_near(map_wish(request, hint), request);
    if (ptr == NULL) {
        return NULL;
    }
    if ((uintptr_t)ptr % alignment != 0) {
        munmap(ptr, request->size);
        ptr = map_near(map_align_down((uintptr_t)ptr, alignment), request);
    }
    if (ptr != NULL && (uintptr_t)ptr % alignment != 0) {
        munmap(ptr, request->size);
        ptr = NULL;
    }
    if (ptr == NULL) {
        ptr = map_inside_reservation(request);
    }
    if (ptr != NULL) {
        store_relaxed(hint, (uintptr_t)ptr);
    }
    return ptr;
}

void os_map_gone(os_map_hint_t *hint, void *ptr, size_t size) {
    // Zero stays: no aligned mapping was made so far, the first one has its own rule.
    if (load_relaxed(hint) != 0) {
        store_relaxed(hint, (uintptr_t)ptr + size);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Base allocator. Blocks are cut from mappings of BASE_MAPPING_BYTES and kept in one LIFO list per
 * size class when freed; memory of the small classes never returns to the system (metadata is small
 * and its demand recurs). Frees carry the size, so blocks have no headers. The first blocks come
 * from a static buffer: a small process makes no system call for metadata.
 *
 *   class   0..2    16, 32, 48
 *           3..10   64, 128 … 512
 *           11..22  two per doubling up to 32 KiB
 *   larger          a mapping each
 */
#define _GNU_SOURCE
#include "core/base_alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/state.h"

enum {
    BASE_FIRST_BYTES = 64 * 1024, /* static buffer: address space only until touched */
    BASE_MAPPING_BYTES = 512 * 1024,
    BASE_FINE_MAX = 48,    /* classes of 16 bytes up to here */
    BASE_MIDDLE_MAX = 512, /* classes of 64 bytes up to here */
    BASE_FIRST_MIDDLE = 3,
    BASE_FIRST_COARSE = 11,
};
static_assert(BASE_FIRST_COARSE + 2 * 6 <= BASE_CLASSES, "512 bytes to 32 KiB is six doublings");

static _Alignas(64) uint8_t base_first[BASE_FIRST_BYTES];

/* Size class of a request of 1..BASE_SMALL_MAX bytes; *rounded is the block size. */
static unsigned base_class(size_t bytes, size_t *rounded) {
    if (bytes <= BASE_FINE_MAX) {
        *rounded = align_up(bytes, 16);
        return (unsigned)(*rounded / 16) - 1;
    }
    if (bytes <= BASE_MIDDLE_MAX) {
        *rounded = align_up(bytes, 64);
        return BASE_FIRST_MIDDLE + (unsigned)(*rounded / 64) - 1;
    }
    unsigned shift = log2_floor(bytes - 1); // 2^shift < bytes <= 2^(shift+1)
    size_t middle = (size_t)3 << (shift - 1);
    bool upper = bytes > middle;
    *rounded = upper ? (size_t)2 << shift : middle;
    return BASE_FIRST_COARSE + 2 * (shift - 9) + (upper ? 1 : 0);
}

size_t base_page_size(void) {
    static _Atomic(size_t) cached; // each library may ask for itself
    size_t bytes = load_relaxed(&cached);
    if (unlikely(bytes == 0)) {
        bytes = (size_t)sysconf(_SC_PAGESIZE);
        store_relaxed(&cached, bytes);
    }
    return bytes;
}

void *base_map(size_t bytes) {
    int saved_errno = errno;
    void *ptr = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    errno = saved_errno;
    if (ptr == MAP_FAILED) {
        return NULL;
    }
    fetch_add_relaxed(&umf_core_state.base.mapped_bytes, bytes);
    return ptr;
}

void base_unmap(void *ptr, size_t bytes) {
    int saved_errno = errno;
    munmap(ptr, bytes);
    errno = saved_errno;
    fetch_sub_relaxed(&umf_core_state.base.mapped_bytes, bytes);
}

/* Cuts `bytes` from the newest mapping; lock held. */
static void *base_bump(base_state_t *base, size_t bytes) {
    uint8_t *ptr =
        (uint8_t *)align_up((uintptr_t)base->bump, bytes >= BASE_ALIGNMENT ? BASE_ALIGNMENT : 16);
    if (base->bump == NULL || ptr > base->bump_end || (size_t)(base->bump_end - ptr) < bytes) {
        size_t mapping = BASE_MAPPING_BYTES;
        if (base->bump == NULL) {
            mapping = BASE_FIRST_BYTES;
            ptr = base_first;
        } else {
            ptr = base_map(mapping); // the rest of the old mapping is given up: below 32 KiB of 512
        }
        if (ptr == NULL) {
            return NULL;
        }
        base->bump_end = ptr + mapping;
    }
    base->bump = ptr + bytes;
    return ptr;
}

void *base_alloc(size_t bytes) {
    base_state_t *base = &umf_core_state.base;
    if (bytes == 0) {
        bytes = 1;
    }
    if (bytes > BASE_SMALL_MAX) {
        size_t rounded;
        if (!align_up_checked(bytes, base_page_size(), &rounded)) {
            return NULL;
        }
        void *ptr = base_map(rounded);
        if (ptr != NULL) {
            fetch_add_relaxed(&base->used_bytes, rounded);
        }
        return ptr;
    }
    size_t rounded;
    unsigned cls = base_class(bytes, &rounded);
    lock_acquire(&base->lock);
    void *ptr = base->free_list[cls];
    bool used_before = ptr != NULL;
    if (used_before) {
        memcpy(&base->free_list[cls], ptr, sizeof(void *));
    } else {
        ptr = base_bump(base, rounded);
    }
    lock_release(&base->lock);
    if (ptr == NULL) {
        return NULL;
    }
    if (used_before) {
        memset(ptr, 0, rounded);
    }
    fetch_add_relaxed(&base->used_bytes, rounded);
    return ptr;
}

void base_free(void *ptr, size_t bytes) {
    base_state_t *base = &umf_core_state.base;
    if (ptr == NULL) {
        return;
    }
    if (bytes == 0) {
        bytes = 1;
    }
    size_t rounded;
    if (bytes > BASE_SMALL_MAX) {
        rounded = align_up(bytes, base_page_size());
        base_unmap(ptr, rounded);
    } else {
        unsigned cls = base_class(bytes, &rounded);
        lock_acquire(&base->lock);
        memcpy(ptr, &base->free_list[cls], sizeof(void *));
        base->free_list[cls] = ptr;
        lock_release(&base->lock);
    }
    fetch_sub_relaxed(&base->used_bytes, rounded);
}

char *base_strndup(const char *text, size_t max_length) {
    size_t length = strnlen(text, max_length);
    char *copy = base_alloc(length + 1); // zeroed: terminated
    if (copy != NULL) {
        memcpy(copy, text, length);
    }
    return copy;
}

void base_free_string(char *text) {
    if (text != NULL) {
        base_free(text, strlen(text) + 1);
    }
}

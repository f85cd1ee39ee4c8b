/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Mapping of files and DAX devices; see file_mmap.h. */
#define _GNU_SOURCE
#include "providers/file_mmap.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base_alloc.h"

#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 0x03
#endif
#ifndef MAP_SYNC
#define MAP_SYNC 0x80000
#endif

/* Maps anywhere. MAP_FAILED on failure. */
static void *map_anywhere(const file_mmap_request_t *request, bool *synced) {
    *synced = false;
    if (request->shared) {
        void *ptr = mmap(NULL, request->size, request->protection, MAP_SHARED_VALIDATE | MAP_SYNC,
                         request->fd, request->offset);
        if (ptr != MAP_FAILED) {
            *synced = true;
            return ptr;
        }
        // These three say that the file or the kernel knows no MAP_SYNC; others would fail again.
        if (errno != EINVAL && errno != ENOTSUP && errno != EOPNOTSUPP) {
            return MAP_FAILED;
        }
    }
    return mmap(NULL, request->size, request->protection,
                request->shared ? MAP_SHARED : MAP_PRIVATE, request->fd, request->offset);
}

/*
 * Moves a fresh mapping to an aligned address: reserves address space that surely holds one, and
 * moves the mapping over that part. So no byte of the file is spent on alignment. (Mapping with
 * MAP_FIXED at once would be shorter, but a refused MAP_SYNC may leave a hole in the reservation,
 * which another thread can take.)
 */
static void *move_aligned(void *ptr, size_t size, size_t alignment) {
    size_t page = base_page_size(), span, reserved;
    if (!align_up_checked(size, page, &span) || add_overflow(span, alignment, &reserved)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    uint8_t *space =
        mmap(NULL, reserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (space == MAP_FAILED) {
        return MAP_FAILED;
    }
    uint8_t *place = (uint8_t *)align_up((uintptr_t)space, alignment);
    void *moved = mremap(ptr, span, span, MREMAP_MAYMOVE | MREMAP_FIXED, place);
    int saved_errno = errno;
    // The part at `place` is the mapping now; after a failure it may be somebody else's, so it is
    // left alone.
    if (place > space) {
        munmap(space, (size_t)(place - space));
    }
    munmap(place + span, reserved - span - (size_t)(place - space));
    errno = saved_errno;
    return moved;
}

void *file_mmap(const file_mmap_request_t *request, bool *synced) {
    bool granted;
    void *ptr = map_anywhere(request, synced != NULL ? synced : &granted);
    if (ptr == MAP_FAILED) {
        return NULL;
    }
    if (is_aligned((uintptr_t)ptr, request->alignment)) {
        return ptr;
    }
    void *moved = move_aligned(ptr, request->size, request->alignment);
    if (moved == MAP_FAILED) {
        int saved_errno = errno;
        munmap(ptr, request->size);
        errno = saved_errno;
        return NULL;
    }
    return moved;
}

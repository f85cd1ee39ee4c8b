/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The rest of the malloc family: C11, C23, POSIX, GNU. Whatever hands out or takes back memory is
 * here, so that no pointer ever meets the wrong allocator; the __libc_ names too, since some
 * programs call them beside malloc.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base_alloc.h"
#include "proxy/malloc.h"
#include "proxy/stats.h"

/* glibc's headers declare not all of them. */
void cfree(void *ptr);
void free_sized(void *ptr, size_t size);
void free_aligned_sized(void *ptr, size_t alignment, size_t size);
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void __libc_free(void *ptr);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);
int __posix_memalign(void **ptr, size_t alignment, size_t size);

static void *fail(int error) {
    errno = error;
    return NULL;
}

/* ---- aligned allocation ---- */

UMF_EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return is_pow2(alignment) ? proxy_aligned(alignment, size) : fail(EINVAL);
}

/* As glibc: an alignment that is no power of two is rounded up to one. */
UMF_EXPORT void *memalign(size_t alignment, size_t size) {
    if (alignment > PTRDIFF_MAX / 2 + 1) {
        return fail(EINVAL);
    }
    if (alignment <= 1) {
        alignment = 1;
    } else if (!is_pow2(alignment)) {
        alignment = (size_t)2 << log2_floor(alignment);
    }
    return proxy_aligned(alignment, size);
}

UMF_EXPORT int posix_memalign(void **ptr, size_t alignment, size_t size) {
    if (!is_pow2(alignment) || alignment % sizeof(void *) != 0) {
        return EINVAL;
    }
    int saved_errno = errno;
    void *block = proxy_aligned(alignment, size);
    errno = saved_errno; // the result says it
    if (block == NULL) {
        return ENOMEM;
    }
    *ptr = block;
    return 0;
}

UMF_EXPORT void *valloc(size_t size) {
    return proxy_aligned(base_page_size(), size);
}

UMF_EXPORT void *pvalloc(size_t size) {
    size_t rounded;
    if (!align_up_checked(size, base_page_size(), &rounded)) {
        return fail(ENOMEM);
    }
    return proxy_aligned(base_page_size(), rounded);
}

/* ---- variants of the basic calls ---- */

UMF_EXPORT void *reallocarray(void *ptr, size_t count, size_t size) {
    size_t bytes;
    return mul_overflow(count, size, &bytes) ? fail(ENOMEM) : proxy_realloc(ptr, bytes);
}

UMF_EXPORT void cfree(void *ptr) {
    proxy_free(ptr);
}

UMF_EXPORT void free_sized(void *ptr, size_t size) {
    (void)size;
    proxy_free(ptr);
}

UMF_EXPORT void free_aligned_sized(void *ptr, size_t alignment, size_t size) {
    (void)alignment, (void)size;
    proxy_free(ptr);
}

/* ---- questions and controls ---- */

UMF_EXPORT size_t malloc_usable_size(void *ptr) {
    return proxy_usable_size(ptr);
}

UMF_EXPORT int malloc_trim(size_t pad) {
    return proxy_trim(pad) ? 1 : 0;
}

/* Its parameters tune another allocator; accepting them keeps programs that check the result
 * working. */
UMF_EXPORT int mallopt(int param, int value) {
    (void)param, (void)value;
    return 1;
}

UMF_EXPORT struct mallinfo2 mallinfo2(void) {
    heap_stats_t stats;
    stats_collect(&stats);
    return (struct mallinfo2){
        .arena = stats.reserved_bytes - stats.huge_bytes,
        .ordblks = stats.chunks,
        .hblks = stats.huge_blocks,
        .hblkhd = stats.huge_bytes,
        .uordblks = stats.used_bytes,
        .fordblks = stats.reserved_bytes - stats.used_bytes,
        .keepcost = stats.free_bytes,
    };
}

static int clip_int(size_t value) {
    return value > INT32_MAX ? INT32_MAX : (int)value;
}

UMF_EXPORT struct mallinfo mallinfo(void) {
    struct mallinfo2 wide = mallinfo2();
    return (struct mallinfo){
        .arena = clip_int(wide.arena),
        .ordblks = clip_int(wide.ordblks),
        .hblks = clip_int(wide.hblks),
        .hblkhd = clip_int(wide.hblkhd),
        .uordblks = clip_int(wide.uordblks),
        .fordblks = clip_int(wide.fordblks),
        .keepcost = clip_int(wide.keepcost),
    };
}

/* As glibc does: free blocks by size; and besides, those in use. */
static void malloc_info_sizes(FILE *stream) {
    slab_detail_t *detail = base_map(sizeof(*detail));
    if (detail == NULL || !stats_pool_detail(detail)) {
        return;
    }
    fprintf(stream, "<heap nr=\"0\">\n<sizes>\n");
    size_t before = 0;
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        const slab_class_detail_t *d = &detail->cls[cls];
        size_t bytes = slab_class_bytes(cls), free_blocks = d->made - d->used;
        if (d->slabs != 0) {
            fprintf(stream,
                    "<size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\" used=\"%zu\"/>\n",
                    before + 1, bytes, free_blocks * bytes, free_blocks, d->used);
        }
        before = bytes;
    }
    fprintf(stream, "</sizes>\n</heap>\n");
    base_unmap(detail, sizeof(*detail));
}

UMF_EXPORT int malloc_info(int options, FILE *stream) {
    if (options != 0) {
        return EINVAL;
    }
    heap_stats_t stats;
    stats_collect(&stats);
    fprintf(stream, "<malloc version=\"umf-1\">\n");
    malloc_info_sizes(stream);
    fprintf(stream,
            "<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
            "<system type=\"current\" size=\"%zu\"/>\n"
            "<system type=\"max\" size=\"%zu\"/>\n"
            "<used size=\"%zu\"/>\n"
            "<free size=\"%zu\"/>\n"
            "</malloc>\n",
            stats.huge_blocks, stats.huge_bytes, stats.reserved_bytes, stats.reserved_peak,
            stats.used_bytes, stats.free_bytes);
    return 0;
}

UMF_EXPORT void malloc_stats(void) {
    stats_print(2);
}

/* ---- names that glibc exports beside the public ones ---- */

UMF_EXPORT void *__libc_malloc(size_t size) {
    return proxy_malloc(size);
}
UMF_EXPORT void *__libc_calloc(size_t count, size_t size) {
    return proxy_calloc(count, size);
}
UMF_EXPORT void *__libc_realloc(void *ptr, size_t size) {
    return proxy_realloc(ptr, size);
}
UMF_EXPORT void __libc_free(void *ptr) {
    proxy_free(ptr);
}
UMF_EXPORT void *__libc_memalign(size_t alignment, size_t size) {
    return memalign(alignment, size);
}
UMF_EXPORT void *__libc_valloc(size_t size) {
    return valloc(size);
}
UMF_EXPORT void *__libc_pvalloc(size_t size) {
    return pvalloc(size);
}
UMF_EXPORT int __posix_memalign(void **ptr, size_t alignment, size_t size) {
    return posix_memalign(ptr, alignment, size);
}

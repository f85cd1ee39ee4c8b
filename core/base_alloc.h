/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Base allocator: all metadata of the library comes from here, never from malloc. It works before
 * main, inside dlopen, in a forked child, and while the library itself serves as the process
 * malloc.
 */
#ifndef UMF_CORE_BASE_ALLOC_H
#define UMF_CORE_BASE_ALLOC_H

#include "core/lock.h"
#include "core/utils.h"

enum {
    BASE_CLASSES = 24,          /* size classes up to BASE_SMALL_MAX, see base_alloc.c */
    BASE_SMALL_MAX = 32 * 1024, /* larger requests are mappings of their own */
    BASE_ALIGNMENT = 64,        /* of every block of 64 bytes and more; 16 below */
};

typedef struct base_state {
    umf_lock_t lock;
    void *free_list[BASE_CLASSES]; /* LIFO, linked through the blocks; under lock */
    uint8_t *bump, *bump_end;      /* rest of the newest mapping; under lock */
    _Atomic(size_t) mapped_bytes;  /* address space taken from the system, for statistics */
    _Atomic(size_t) used_bytes;    /* handed out */
} base_state_t;

/* `bytes` zeroed bytes, 16-byte aligned (64 from 64 bytes up), or NULL. Thread-safe. Free with the
 * same size. */
void *base_alloc(size_t bytes);
/* Gives a block back; NULL is allowed. `bytes` is what was asked for. errno is preserved. */
void base_free(void *ptr, size_t bytes);
/* Copy of a NUL-terminated string, at most max_length characters of it; free with base_free_string.
 */
char *base_strndup(const char *text, size_t max_length);
void base_free_string(char *text);

/* Zeroed page-granular memory directly from the system, or NULL; bytes > 0. errno is preserved. */
void *base_map(size_t bytes);
void base_unmap(void *ptr, size_t bytes);

/* Page size of the system in bytes; constant, cached. */
size_t base_page_size(void);

#endif /* UMF_CORE_BASE_ALLOC_H */

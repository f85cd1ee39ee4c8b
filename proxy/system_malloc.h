/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The malloc family behind ours (the C library's), for size.threshold; see system_malloc.c. */
#ifndef UMF_PROXY_SYSTEM_MALLOC_H
#define UMF_PROXY_SYSTEM_MALLOC_H

#include "core/utils.h"

typedef struct system_malloc {
    void *(*malloc)(size_t size);
    void *(*calloc)(size_t count, size_t size);
    void *(*realloc)(void *ptr, size_t size);
    void *(*memalign)(size_t alignment, size_t size);
    void (*free)(void *ptr);
    size_t (*malloc_usable_size)(void *ptr);
} system_malloc_t;

extern system_malloc_t system_malloc;
/* Set once all of them are known. */
extern _Atomic(bool) system_malloc_ready;

/* Finds them; false, with a line on stderr, when one is missing. */
bool system_malloc_load(void);

#endif /* UMF_PROXY_SYSTEM_MALLOC_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the files of the malloc family share. Functions named proxy_* do not touch errno unless it
 * says so. */
#ifndef UMF_PROXY_MALLOC_H
#define UMF_PROXY_MALLOC_H

#include "core/utils.h"

/* Wrong-free probe of the original interface: malloc_usable_size((void *)1) tells that this library
 * is active. */
#define PROXY_PROBE_POINTER ((uintptr_t)1)
#define PROXY_PROBE_ANSWER ((size_t)0xDEADBEEF)

/* Aligned allocation for all its callers; alignment is a power of two. NULL with errno ENOMEM. */
void *proxy_aligned(size_t alignment, size_t size);
/* Usable bytes, or 0 for NULL; a pointer that is no block is reported. */
size_t proxy_usable_size(const void *ptr);
/* Gives memory that is not needed back; true when there was something to give. */
bool proxy_trim(size_t keep);

/* The exported functions under hidden names: calls within the library cannot be interposed. */
void *proxy_malloc(size_t size);
void *proxy_calloc(size_t count, size_t size);
void *proxy_realloc(void *ptr, size_t size);
void proxy_free(void *ptr);

#endif /* UMF_PROXY_MALLOC_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Mappings at aligned addresses with few system calls; see os_map.c. */
#ifndef UMF_PROVIDERS_OS_MAP_H
#define UMF_PROVIDERS_OS_MAP_H

#include <sys/types.h>

#include "core/utils.h"

/* Sizes and alignments are multiples of the granule, that is the page size of the mapping. */
typedef struct os_map_request {
    size_t size;      /* > 0 */
    size_t alignment; /* granule or more; need not be a power of two */
    size_t granule;
    int protection; /* PROT_ bits */
    int flags;      /* MAP_ bits but no address flag */
    int fd;         /* -1: anonymous */
    off_t offset;
} os_map_request_t;

/* Where the next aligned mapping is tried to end; 0: nowhere yet. Any value is safe. */
typedef _Atomic(uintptr_t) os_map_hint_t;

/* A new mapping, or NULL with errno. */
void *os_map(const os_map_request_t *request, os_map_hint_t *hint);

/* Tells that a mapping from os_map is gone: its place is tried next. */
void os_map_gone(os_map_hint_t *hint, void *ptr, size_t size);

#endif /* UMF_PROVIDERS_OS_MAP_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Mapping of files and DAX devices: tries MAP_SYNC first, so that what is written to persistent
 * memory needs no msync, and says whether the kernel granted it.
 */
#ifndef UMF_PROVIDERS_FILE_MMAP_H
#define UMF_PROVIDERS_FILE_MMAP_H

#include <sys/types.h>

#include "core/utils.h"

typedef struct file_mmap_request {
    int fd;
    off_t offset;     /* in the file; a multiple of the system page */
    size_t size;      /* bytes; a multiple of the system page unless fd is a device */
    size_t alignment; /* of the address; power of two */
    int protection;   /* PROT_… */
    bool shared;      /* MAP_SHARED, with MAP_SYNC where possible; else MAP_PRIVATE */
} file_mmap_request_t;

/* The mapping, or NULL with errno set. *synced (may be NULL): MAP_SYNC was granted, the file is
 * real DAX. */
void *file_mmap(const file_mmap_request_t *request, bool *synced);

#endif /* UMF_PROVIDERS_FILE_MMAP_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Files and devices that hold a process's heap: names, and who has them; see heap_file.c. */
#ifndef UMF_PROXY_HEAP_FILE_H
#define UMF_PROXY_HEAP_FILE_H

#include <umf/base.h>

#include "core/utils.h"

enum { HEAP_FILE_PATH_BYTES = 1100 /* of a path of the settings and a process number */ };

/* Copies `text` with each %p replaced by the process number; false: no room. */
bool heap_file_expand(const char *text, char *out, size_t bytes);

typedef struct heap_file {
    char path[HEAP_FILE_PATH_BYTES];
    int fd; /* holds the lock */
} heap_file_t;

/* A new file for file.path, locked. Errors are logged. */
umf_result_t heap_file_claim(const char *path, heap_file_t *file);
/* Somebody else has opened the file: its name and the lock go. */
void heap_file_opened(heap_file_t *file);

/* Locks a device for this process and its forks. Errors are logged. */
umf_result_t heap_device_claim(const char *path);
/* Bytes of a DAX device; 0: unknown. */
size_t heap_device_size(const char *path);

#endif /* UMF_PROXY_HEAP_FILE_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* FILE provider, inside the library: where in its file a block lies. */
#ifndef UMF_PROVIDERS_PROVIDER_FILE_H
#define UMF_PROVIDERS_PROVIDER_FILE_H

#include <umf/base.h>

#include <sys/types.h>

#include "core/utils.h"

typedef struct file_location {
    const char
        *path;    /* absolute, so that another process may use it; lives as long as the provider */
    off_t offset; /* of the block's first byte in the file */
    size_t size;  /* bytes of the block, as asked for */
    bool dax;     /* the file is on FS-DAX: map whole 2 MiB pages */
} file_location_t;

/* provider: private state of a FILE provider. INVALID_ARGUMENT: no block in use begins at ptr. */
umf_result_t file_locate(void *provider, const void *ptr, file_location_t *location);

/* Nodes of its own, and those of the block manager and the statistics. */
extern const struct ctl_table file_provider_ctl_table;
/* The file's name is gone: others find the file through this process's descriptor. */
void file_provider_forget_name(void *provider);

#endif /* UMF_PROVIDERS_PROVIDER_FILE_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC data of memory that lies in something with a path: a file or a DAX device. Comes from other
 * processes; path_ipc_valid and path_ipc_is come before use.
 */
#ifndef UMF_PROVIDERS_PATH_IPC_H
#define UMF_PROVIDERS_PATH_IPC_H

#include <sys/stat.h>
#include <sys/types.h>

#include <umf/base.h>

#include "core/utils.h"

enum { PATH_IPC_PATH_BYTES = 4096 };

typedef enum path_ipc_kind {
    PATH_IPC_FILE = 0x5546,  /* "FU" */
    PATH_IPC_DEVICE = 0x5544 /* "DU" */
} path_ipc_kind_t;

typedef struct path_ipc {
    char path[PATH_IPC_PATH_BYTES]; /* absolute, with its NUL */
    uint64_t offset;                /* of the block, a multiple of the system page */
    uint64_t size;                  /* its bytes */
    uint16_t kind;
    uint8_t protection; /* PROT_ bits of the producer */
    uint8_t unused;
    uint32_t identity; /* low half of the inode, or of the device's number */
} path_ipc_t;
static_assert(sizeof(path_ipc_t) == 4120, "no padding");

/* What a description's `identity` must be for the file or device with this status. */
uint32_t path_ipc_identity(const struct stat *status);

/* Fills in all but identity; path is shorter than PATH_IPC_PATH_BYTES. */
void path_ipc_fill(path_ipc_t *data, path_ipc_kind_t kind, const char *path, uint64_t offset,
                   uint64_t size, int protection);
/* True when `bytes` bytes from elsewhere are such a description. */
bool path_ipc_valid(const void *bytes, size_t count, path_ipc_kind_t kind);
/* True when the status is that of what the description means: a regular file long enough, or a
 * character device. */
bool path_ipc_is(const path_ipc_t *data, const struct stat *status);
/* Opens it, for the rights (PROT_ bits) needed. -1: it is not there, or not what is described;
 * nothing else is opened, not even for a moment. */
int path_ipc_open(const path_ipc_t *data, int rights);

#endif /* UMF_PROVIDERS_PATH_IPC_H */

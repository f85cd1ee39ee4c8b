/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Shared memory of the OS provider: the objects behind it and what is mapped where; see
 * os_shared.c. */
#ifndef UMF_PROVIDERS_OS_SHARED_H
#define UMF_PROVIDERS_OS_SHARED_H

#include <sys/types.h>

#include <umf/memory_provider.h>

#include "core/fork.h"
#include "core/lock.h"
#include "providers/os_map.h"

enum {
    OS_SHARED_NAME_MAX = 253, /* bytes of a shared-memory name without the leading '/' */
};

typedef struct os_shared os_shared_t;

/* Makes the bookkeeping and the first object. shm_name NULL: anonymous; plain: never by
 * memfd_secret, whatever the environment says.
 * INVALID_ARGUMENT: name with '/' or too long, or an anonymous object can not be sized; UNKNOWN: no
 * object. */
umf_result_t os_shared_create(const char *shm_name, bool plain, os_shared_t **out);
/* Closes and unlinks this process's objects; mappings that are left stay valid. */
void os_shared_destroy(os_shared_t *shared);

/* Maps fresh memory, which reads as zero if os_shared_zeroed. request: size, alignment, protection;
 * the offset in the object becomes a multiple of offset_alignment (power of two, page or more).
 * NULL with errno. */
void *os_shared_map(os_shared_t *shared, const os_map_request_t *request, size_t offset_alignment,
                    os_map_hint_t *hint);
/* Unmaps a whole block (as mapped, or as split and merged); its pages go back to the system. 0 or
 * -1 with errno. */
int os_shared_unmap(os_shared_t *shared, void *ptr, size_t size);
/* Takes the pages of a range out of the object: it reads as zero again. 0 or -1 with errno; not
 * possible with pages that are a forked parent's. */
int os_shared_purge(os_shared_t *shared, void *ptr, size_t size);
/* False for memory that keeps its content when it is freed or purged (memfd_secret). */
bool os_shared_zeroed(os_shared_t *shared);

/* UNKNOWN: no such block begins there; INVALID_ARGUMENT: not on a page border, or not together in
 * the object. */
umf_result_t os_shared_split(os_shared_t *shared, void *ptr, size_t total, size_t first);
umf_result_t os_shared_merge(os_shared_t *shared, void *low, void *high, size_t total);

/* Moves the blocks that touch [ptr, ptr + size) and lie in a forked parent's object into one of
 * this process: same address, same content. NULL and SIZE_MAX mean all blocks. protection: PROT_
 * bits of the mappings; advice: for madvise, -1 for none. Blocks that could not be moved stay as
 * they are. */
umf_result_t os_shared_unshare(os_shared_t *shared, void *ptr, size_t size, int protection,
                               int advice);

/* Takes the name out of the file system: no more openers by name. For a process that exits without
 * finalising. No effect in a forked child, for anonymous objects, and for a name that somebody else
 * has taken over. */
void os_shared_unlink(os_shared_t *shared);

/* Where a block is, for another process. */
typedef struct os_shared_location {
    int fd; /* the provider keeps it; -1: the program closed it, only the name is left */
    off_t offset;
    size_t size;                       /* of the whole block, whole pages */
    ino_t inode;                       /* of the object */
    char name[OS_SHARED_NAME_MAX + 1]; /* without '/'; "": anonymous */
} os_shared_location_t;

/* Longest name that os_shared_locate fills in, without NUL; 0: anonymous. */
size_t os_shared_name_bytes(os_shared_t *shared);
/* The block that begins at ptr. An object of a forked child that waits for its name gets it now.
 * False: none. */
bool os_shared_locate(os_shared_t *shared, const void *ptr, os_shared_location_t *out);

#endif /* UMF_PROVIDERS_OS_SHARED_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* One file-like object in memory that shared mappings refer to; see os_object.c. */
#ifndef UMF_PROVIDERS_OS_OBJECT_H
#define UMF_PROVIDERS_OS_OBJECT_H

#include <sys/types.h>

#include <umf/base.h>

#include "core/utils.h"
#include "providers/os_shared.h"

/* Part of the object's offsets. */
typedef struct os_object_range {
    off_t offset;
    off_t length;
} os_object_range_t;

typedef struct os_object {
    struct os_object *next; /* of the provider's objects */
    int fd;                 /* -1: the program closed it; see os_object_fd */
    dev_t device; /* identity of the object, to notice that fd is somebody else's by now */
    ino_t inode;
    bool owned;    /* made by this process: its pages may be dropped, its offsets given out */
    bool punched;  /* freed pages can be dropped (not with memfd_secret) */
    bool linked;   /* the name is in the file system */
    size_t blocks; /* live blocks in it */
    char name[OS_SHARED_NAME_MAX + 1]; /* name it has, or gets when needed; "": anonymous */
    off_t end;                         /* first offset never given out */
    os_object_range_t *free;           /* given back: sorted by offset, never adjacent */
    size_t free_count, free_capacity;
} os_object_t;

typedef enum os_object_kind {
    OS_OBJECT_NAMED,     /* POSIX shared memory; takes the name at once */
    OS_OBJECT_UNLINKED,  /* the same, but the name comes later (os_object_link) */
    OS_OBJECT_ANONYMOUS, /* memfd */
    OS_OBJECT_PLAIN,     /* memfd_create, whatever UMF_MEM_FD_FUNC says */
} os_object_kind_t;

/* A new owned object; name "" for an anonymous one. INVALID_ARGUMENT: can not be sized; UNKNOWN: no
 * object; OUT_OF_HOST_MEMORY. */
umf_result_t os_object_create(os_object_kind_t kind, const char *name, os_object_t **out);
/* Closes it, and unlinks the name if it is ours. */
void os_object_destroy(os_object_t *object);

/* The descriptor if it still refers to the object, else -1 (then it is forgotten). errno is
 * preserved. */
int os_object_fd(os_object_t *object);
/* Gives an unlinked object its name; false when that is impossible. */
bool os_object_link(os_object_t *object);
/* Removes the name if it still refers to the object. */
void os_object_unlink(os_object_t *object);

/* Takes `length` bytes (whole pages) of offsets, aligned. -1: none left. */
off_t os_object_take(os_object_t *object, size_t length, size_t alignment);
/* Gives them back for reuse. */
void os_object_give(os_object_t *object, off_t offset, size_t length);

/* Copies what is not hole of [offset, offset + length) of `from`, which is mapped at `at`, to
 * to_offset of `to`. 0 or -1 with errno. */
int os_object_copy(os_object_t *from, off_t offset, size_t length, const void *at, os_object_t *to,
                   off_t to_offset);

#endif /* UMF_PROVIDERS_OS_OBJECT_H */

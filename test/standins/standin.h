/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What the driver stand-ins share: blocks of host memory that play device memory, injected
 * failures, and counters that tests read. Each stand-in is a shared object of its own with a copy
 * of this.
 *
 * Blocks are memfd mappings, so that another process can open one by process id and descriptor. The
 * bookkeeping uses malloc, under a lock that is not recursive, as a real driver may do: where the
 * library under test serves malloc from the stand-in's own memory, a recursion shows as a deadlock.
 *
 * Environment, read at the first call:
 *   UMF_STANDIN_DEVICES=N     devices (1)
 *   UMF_STANDIN_MEMORY=BYTES  memory of each device (1 GiB)
 *   UMF_STANDIN_PROTECT=1     device memory can not be read or written by the host
 *   UMF_STANDIN_FAIL=NAME=CODE[@N][,…]   every call of NAME, or only the Nth, returns CODE
 *   UMF_STANDIN_REPORT=FILE   at exit a line in FILE (1: on standard error) says what is alive
 *
 * Tests reach the functions with default visibility by dlsym.
 */
#ifndef UMF_TEST_STANDIN_H
#define UMF_TEST_STANDIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STANDIN_API __attribute__((visibility("default")))

enum { STANDIN_DEVICES_MAX = 16 };

typedef enum standin_kind {
    STANDIN_HOST = 1,
    STANDIN_DEVICE = 2,
    STANDIN_SHARED = 3,
    STANDIN_OPENED = 4 /* memory of another process, or a second mapping */
} standin_kind_t;

typedef struct standin_block {
    struct standin_block *next;
    char *base;    /* what the user has */
    size_t size;   /* what the user asked for, bytes */
    char *mapping; /* page-aligned, holds base */
    size_t mapped; /* bytes */
    int fd;
    standin_kind_t kind;
    int device;    /* that it counts against; -1: none */
    void *context; /* that it was made in */
    uint64_t id;
    uint32_t resident; /* devices, as bits */
    bool exportable;
} standin_block_t;

typedef struct standin_request {
    size_t size, alignment;
    size_t offset; /* of the block in its mapping: blocks of real drivers need not begin on pages */
    standin_kind_t kind;
    int device;
    void *context;
} standin_request_t;

/* Describes a block to another process. */
typedef struct standin_ticket {
    int32_t fd; /* first: Level Zero's contract */
    int32_t pid;
    uint32_t magic;
    uint32_t device;
    uint64_t offset, size, mapped, id;
} standin_ticket_t;

/* Counts a call of the driver's function `name`; returns the injected error, or 0. */
int standin_enter(const char *name);

unsigned standin_device_count(void);
uint64_t standin_device_memory(void);

/* NULL: no memory (of the device, or of the host). */
standin_block_t *standin_block_new(const standin_request_t *request);
/* The block that holds ptr, or NULL. It stays valid while its owner does not free it. */
standin_block_t *standin_block_find(const void *ptr);
/* Frees the block that begins at ptr; false: there is none of that kind (0: any but OPENED). */
bool standin_block_free(const void *ptr, standin_kind_t kind);
/* Frees what was made in a context. */
void standin_context_free(void *context);

void standin_ticket_make(const standin_block_t *block, standin_ticket_t *ticket);
/* Maps the memory behind fd. NULL: it is not one of ours. */
standin_block_t *standin_block_open(const standin_ticket_t *ticket, int fd, void *context);
/* A descriptor of another process's open file; -1. */
int standin_fd_of(int pid, int fd);

/* ---- for tests, by dlsym --------------------------------------------------------------------- */

STANDIN_API size_t standin_calls(const char *name);
/* Forgets all counts of calls. */
STANDIN_API void standin_calls_reset(void);
/* Calls of `name` return code from now on (nth 0), or the nth from now only; code 0 ends it. */
STANDIN_API void standin_fail(const char *name, int code, size_t nth);
STANDIN_API size_t standin_live_blocks(void);
STANDIN_API size_t standin_live_opened(void);
STANDIN_API size_t standin_live_contexts(void);
/* Blocks resident on a device. */
STANDIN_API size_t standin_resident(unsigned device);
STANDIN_API size_t standin_device_used(unsigned device);
STANDIN_API void standin_protect(bool on);

/* Makes memory of the driver's own anew and returns it. Every allocation of a block resizes it, as
 * a real driver's tables grow: by realloc, under the lock, from whatever malloc serves at that
 * time. */
STANDIN_API void *standin_scratch(void);

/* Kept by the stand-in itself. */
void standin_contexts_add(int by);

#endif /* UMF_TEST_STANDIN_H */

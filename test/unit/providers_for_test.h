/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Providers for tests.
 *
 * test_provider_ops: counts every call, remembers the latest arguments, and fails on demand. Its
 * state is the `params` of its creation, so a test holds both ends. Memory comes from the C
 * library, or from an arena that the test hands in (deterministic neighbours, memory of another
 * pool …). null_provider_ops: says yes to everything and has no memory: alloc succeeds with a NULL
 * pointer.
 */
#ifndef UMF_TEST_PROVIDERS_FOR_TEST_H
#define UMF_TEST_PROVIDERS_FOR_TEST_H

#include <stdbool.h>
#include <stddef.h>

#include <umf/memory_provider.h>
#include <umf/memory_provider_gpu.h>

#include "core/utils.h"

typedef enum test_op {
    OP_INITIALIZE,
    OP_FINALIZE,
    OP_ALLOC,
    OP_FREE,
    OP_NATIVE_ERROR,
    OP_RECOMMENDED_PAGE,
    OP_MIN_PAGE,
    OP_NAME,
    OP_PURGE_LAZY,
    OP_PURGE_FORCE,
    OP_MERGE,
    OP_SPLIT,
    OP_IPC_SIZE,
    OP_IPC_GET,
    OP_IPC_PUT,
    OP_IPC_OPEN,
    OP_IPC_CLOSE,
    OP_CTL,
    OP_PROPERTY,
    OP_PROPERTY_SIZE,
    OP_CACHE_LINE,
    OP_COUNT
} test_op_t;

enum {
    TEST_RECOMMENDED_PAGE = 65536,
    TEST_MIN_PAGE = 4096,
    TEST_CACHE_LINE = 256,
    TEST_IPC_SIZE = 24,
    TEST_NATIVE_ERROR = 77,
};

/* All zero is a working provider on the C library's memory. */
typedef struct test_provider {
    umf_result_t fail[OP_COUNT]; /* result of the operation; SUCCESS: it works */
    const char *name;            /* NULL: "test" */
    char *arena; /* where blocks are cut from, one behind the other; NULL: C library */
    size_t arena_size, arena_used;
    umf_usm_memory_type_t memory_type;

    _Atomic(size_t) calls[OP_COUNT];
    _Atomic(size_t) live_bytes; /* allocated minus freed */
    /* Latest arguments; for tests with one thread, atomic so that others may run. */
    _Atomic(void *) last_ptr;
    _Atomic(size_t) last_size, last_alignment;
    const char *last_ctl_name; /* written at creation only */
    umf_ctl_query_source_t last_ctl_source;
    umf_ctl_query_type_t last_ctl_type;
} test_provider_t;

extern const umf_memory_provider_ops_t test_provider_ops;
extern const umf_memory_provider_ops_t null_provider_ops;

/* Sum of all calls but those that creation makes. */
size_t test_provider_calls_after_creation(test_provider_t *state);
/* Creates; stops the test when that fails. */
umf_memory_provider_handle_t test_provider_create(test_provider_t *state);

/* `bytes` of page-aligned memory that stays until the process ends. */
void *test_arena(size_t bytes);

#endif /* UMF_TEST_PROVIDERS_FOR_TEST_H */

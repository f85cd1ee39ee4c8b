/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the tests of the disjoint pool share: a provider of memory that nobody can touch, a pool on
 * it, and CTL requests to it. */
#ifndef UMF_TEST_DISJOINT_FOR_TEST_H
#define UMF_TEST_DISJOINT_FOR_TEST_H

#include <stdarg.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>

#include "test/unit/providers_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define NOPATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define KIB ((size_t)1024)
#define MIB (KIB * KIB)
#define GIB (KIB * MIB)

/* State of the provider whose memory faults when it is touched. */
typedef struct none_provider {
    _Atomic(size_t) allocs, frees;
    _Atomic(size_t) last_size, last_alignment;
    bool fail_free;
    bool known_during_free; /* a freed address still led to a pool when the free arrived */
    size_t page;            /* 0: 4 KiB */
    size_t shift;           /* blocks without alignment begin this far behind a page */
} none_provider_t;

extern const umf_memory_provider_ops_t none_ops;

/* Fresh in every test: each runs in a process of its own. */
extern none_provider_t none;
extern test_provider_t counted; /* for tests that need real memory */
extern umf_memory_provider_handle_t provider;
extern umf_memory_pool_handle_t pool;

typedef struct setup {
    size_t slab_min_size, max_poolable_size, min_bucket_size; /* 0: default */
    size_t capacity_plus1;                                    /* 0: default */
    int trace;
    umf_disjoint_pool_shared_limits_handle_t limits;
    umf_pool_create_flags_t flags;
} setup_t;

umf_memory_pool_handle_t pool_with(umf_memory_provider_handle_t from, const setup_t *setup);
/* A pool on memory that faults when touched. */
void set_up(const setup_t *setup);
/* Destroys it, and checks that all memory went back. */
void tear_down(void);
size_t frees(void);
size_t allocs(void);

umf_result_t ctl(umf_memory_pool_handle_t on, umf_ctl_query_source_t source,
                 umf_ctl_query_type_t type, const char *name, void *arg, size_t size, ...);
/* Reads a node of `pool`; further arguments are for wildcards. */
#define GET(name, arg, ...)                                                                        \
    ctl(pool, CTL_QUERY_PROGRAMMATIC, CTL_QUERY_READ, name, (arg), sizeof(*(arg)), ##__VA_ARGS__)
/* A node that must be readable. */
size_t get(const char *name);

#endif /* UMF_TEST_DISJOINT_FOR_TEST_H */

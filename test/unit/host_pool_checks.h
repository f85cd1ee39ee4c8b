/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What every pool with malloc, calloc, realloc and aligned malloc does, on any provider of host
 * memory. */
#ifndef UMF_TEST_HOST_POOL_CHECKS_H
#define UMF_TEST_HOST_POOL_CHECKS_H

#include <umf/memory_pool.h>

void check_sizes_and_contents(umf_memory_pool_handle_t pool);
void check_zero_and_huge(umf_memory_pool_handle_t pool);
/* For pools whose last error is that of the last call, not of the last failure. */
void check_success_clears_last_error(umf_memory_pool_handle_t pool);
void check_calloc(umf_memory_pool_handle_t pool);
void check_realloc(umf_memory_pool_handle_t pool);
void check_alignments(umf_memory_pool_handle_t pool);
void check_usable_size(umf_memory_pool_handle_t pool);
void check_free_of_null(umf_memory_pool_handle_t pool);
/* Needs tracking. */
void check_look_up(umf_memory_pool_handle_t pool);
/* Threads allocate and free their own blocks, and hand blocks to each other. */
void check_threads(umf_memory_pool_handle_t pool);
/* A FIXED provider on a block of the pool, and a proxy pool on half of it and on all of it. */
void check_nested(umf_memory_pool_handle_t pool);

#endif /* UMF_TEST_HOST_POOL_CHECKS_H */

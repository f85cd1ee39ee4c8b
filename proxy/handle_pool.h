/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Pools that malloc reaches through their handle, every pool but slab; see handle_pool.c. Sizes are
 * at most PTRDIFF_MAX. */
#ifndef UMF_PROXY_HANDLE_POOL_H
#define UMF_PROXY_HANDLE_POOL_H

#include "core/pool.h"
#include "core/utils.h"

/* From now on the process pool is reached by the functions below. Called once. */
void handle_pool_install(void);

/* A block of the process pool, or of the boot pool when the process pool itself asks for it.
 * alignment: a power of two, or 0 for that of malloc. NULL: out of memory; errno is not touched. */
void *handle_pool_alloc(size_t size, size_t alignment);
void *handle_pool_calloc(size_t bytes);
/* The block of `pool`, moved or not; NULL: it stays as it is. */
void *handle_pool_realloc(umf_memory_pool_handle_t pool, void *ptr, size_t size);
/* False: it is no block. */
bool handle_pool_free(umf_memory_pool_handle_t pool, void *ptr);
size_t handle_pool_usable(umf_memory_pool_handle_t pool, const void *ptr);
void handle_pool_trim(size_t keep);

#endif /* UMF_PROXY_HANDLE_POOL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A memory pool of one's own: an arena. Blocks are cut from chunks one behind the other; free does
 * nothing, and destroying the pool gives all of them back at once. Chunks come from the provider
 * that the user chooses. Argument: none.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <umf.h>
#include <umf/memory_pool_ops.h>
#include <umf/providers/provider_os_memory.h>

/* ---- the pool -------------------------------------------------------------------------------- */

enum { ALIGNMENT = 16, CHUNK_BYTES = 1024 * 1024 };

/* At the start of each chunk. */
typedef struct chunk {
    struct chunk *older;
    size_t bytes;
} chunk_t;

typedef struct arena {
    umf_memory_provider_handle_t provider;
    pthread_mutex_t lock; /* the operations may be called from several threads at once */
    chunk_t *chunk;       /* the newest; blocks are cut from it */
    char *next, *end;     /* its free part */
} arena_t;

static _Thread_local umf_result_t last_result; /* for get_last_allocation_error */

/* In front of each block: its bytes. */
static size_t *size_of(const void *block) {
    return (size_t *)((uintptr_t)block - ALIGNMENT);
}

/* `params` is what the user gave to umfPoolCreate: nothing here. */
static umf_result_t arena_initialize(umf_memory_provider_handle_t provider, const void *params,
                                     void **pool) {
    (void)params;
    arena_t *arena = calloc(1, sizeof(*arena));
    if (arena == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    arena->provider = provider;
    pthread_mutex_init(&arena->lock, NULL);
    *pool = arena;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t arena_finalize(void *pool) {
    arena_t *arena = pool;
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (chunk_t *chunk = arena->chunk; chunk != NULL;) {
        chunk_t *older = chunk->older;
        umf_result_t freed = umfMemoryProviderFree(arena->provider, chunk, chunk->bytes);
        result = result == UMF_RESULT_SUCCESS ? freed : result;
        chunk = older;
    }
    pthread_mutex_destroy(&arena->lock);
    free(arena);
    return result;
}

/* A new chunk with room for so many bytes. Under the lock. */
static umf_result_t add_chunk(arena_t *arena, size_t needed) {
    size_t bytes = needed + sizeof(chunk_t);
    bytes = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES * CHUNK_BYTES;
    void *memory = NULL;
    umf_result_t result = umfMemoryProviderAlloc(arena->provider, bytes, 0, &memory);
    if (result == UMF_RESULT_SUCCESS) {
        chunk_t *chunk = memory;
        *chunk = (chunk_t){.older = arena->chunk, .bytes = bytes};
        arena->chunk = chunk;
        arena->next = (char *)(chunk + 1);
        arena->end = (char *)chunk + bytes;
    }
    return result;
}

/* Where the next block would begin: aligned, with room for its size in front. */
static char *next_block(const arena_t *arena, size_t alignment) {
    uintptr_t start = (uintptr_t)arena->next + ALIGNMENT;
    return (char *)((start + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

static void *arena_aligned_malloc(void *pool, size_t size, size_t alignment) {
    arena_t *arena = pool;
    if ((alignment & (alignment - 1)) != 0 || size > PTRDIFF_MAX / 4 ||
        alignment > PTRDIFF_MAX / 4) {
        last_result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        return NULL;
    }
    alignment = alignment > ALIGNMENT ? alignment : ALIGNMENT;
    pthread_mutex_lock(&arena->lock);
    umf_result_t result = UMF_RESULT_SUCCESS;
    char *block = arena->chunk != NULL ? next_block(arena, alignment) : NULL;
    if (block == NULL || block > arena->end || size > (size_t)(arena->end - block)) {
        result = add_chunk(arena, size + alignment + ALIGNMENT);
        block = result == UMF_RESULT_SUCCESS ? next_block(arena, alignment) : NULL;
    }
    if (block != NULL) {
        arena->next = block + size;
        *size_of(block) = size;
    }
    pthread_mutex_unlock(&arena->lock);
    last_result = result;
    return block;
}

static void *arena_malloc(void *pool, size_t size) {
    return arena_aligned_malloc(pool, size, 0);
}

static void *arena_calloc(void *pool, size_t num, size_t size) {
    if (size != 0 && num > SIZE_MAX / size) {
        last_result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    void *block = arena_malloc(pool, num * size);
    return block != NULL ? memset(block, 0, num * size) : NULL;
}

static void *arena_realloc(void *pool, void *ptr, size_t size) {
    if (ptr != NULL && size <= *size_of(ptr)) {
        last_result = UMF_RESULT_SUCCESS;
        return size != 0 ? ptr : NULL;
    }
    void *block = arena_malloc(pool, size);
    return block != NULL && ptr != NULL ? memcpy(block, ptr, *size_of(ptr)) : block;
}

static umf_result_t arena_usable_size(void *pool, const void *ptr, size_t *size) {
    (void)pool;
    *size = ptr != NULL ? *size_of(ptr) : 0;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t arena_free(void *pool, void *ptr) {
    (void)pool;
    (void)ptr; // stays until the pool goes
    return UMF_RESULT_SUCCESS;
}

static umf_result_t arena_get_last_allocation_error(void *pool) {
    (void)pool;
    return last_result;
}

static umf_result_t arena_get_name(void *pool, const char **name) {
    (void)pool; // NULL when the default name is wanted
    *name = "my-arena";
    return UMF_RESULT_SUCCESS;
}

/* All that is mandatory. */
static const umf_memory_pool_ops_t arena_ops = {
    .version = UMF_POOL_OPS_VERSION_CURRENT,
    .initialize = arena_initialize,
    .finalize = arena_finalize,
    .malloc = arena_malloc,
    .calloc = arena_calloc,
    .realloc = arena_realloc,
    .aligned_malloc = arena_aligned_malloc,
    .malloc_usable_size = arena_usable_size,
    .free = arena_free,
    .get_last_allocation_error = arena_get_last_allocation_error,
    .get_name = arena_get_name,
};

/* ---- its use --------------------------------------------------------------------------------- */

static umf_memory_pool_handle_t make_pool(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS) {
        return NULL;
    }
    umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params);
    if (result == UMF_RESULT_SUCCESS &&
        umfPoolCreate(&arena_ops, provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) !=
            UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
    }
    return pool;
}

int main(void) {
    umf_memory_pool_handle_t pool = make_pool();
    if (pool == NULL) {
        fprintf(stderr, "custom_pool: the pool can not be made\n");
        return 1;
    }
    enum { BLOCKS = 100000 };
    bool right = true;
    for (int i = 0; i < BLOCKS && right; i++) {
        umf_memory_pool_handle_t owner = NULL;
        int *block = umfPoolMalloc(pool, sizeof(*block));
        right = block != NULL && umfPoolByPtr(block, &owner) == UMF_RESULT_SUCCESS && owner == pool;
    }
    void *aligned = umfPoolAlignedMalloc(pool, 3 * CHUNK_BYTES, 4096);
    right = right && aligned != NULL && (uintptr_t)aligned % 4096 == 0;
    char *text = umfPoolCalloc(pool, 4, 4);
    text = text != NULL && text[15] == 0 ? strcpy(text, "grows") : NULL;
    text = text != NULL ? umfPoolRealloc(pool, text, 100) : NULL;
    right = right && text != NULL && strcmp(text, "grows") == 0;
    right = right && umfFree(text) == UMF_RESULT_SUCCESS; // found by address, as in every pool
    right = umfPoolDestroy(pool) == UMF_RESULT_SUCCESS && right; // and all memory with it
    printf("%d blocks in an arena: %s\n", BLOCKS, right ? "right" : "WRONG");
    return right ? 0 : 1;
}

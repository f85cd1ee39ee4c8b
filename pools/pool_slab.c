/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The slab pool's ops table and parameters; the work is done by slab_block.c and below. */
#include <umf/pools/pool_slab.h>

#include "core/log.h"
#include "core/pool_count.h"
#include "pools/pool_common.h"
#include "pools/slab_inl.h"

static const char SLAB_DEFAULT_NAME[] = "slab";

struct umf_slab_pool_params_t {
    size_t chunk_bytes;
    uint32_t purge_delay_ms;
    bool keep_all;
    char name[POOL_NAME_BYTES];
};

/* Why the latest failed allocation of this thread failed; a success does not reset it. */
static UMF_TLS umf_result_t slab_last_error;

static void params_fill(struct umf_slab_pool_params_t *params) {
    *params = (struct umf_slab_pool_params_t){.purge_delay_ms = UMF_SLAB_PURGE_DELAY_MS_DEFAULT};
    memcpy(params->name, SLAB_DEFAULT_NAME, sizeof(SLAB_DEFAULT_NAME));
}

UMF_EXPORT umf_result_t umfSlabPoolParamsCreate(umf_slab_pool_params_handle_t *hParams) {
    struct umf_slab_pool_params_t defaults;
    params_fill(&defaults);
    return pool_params_create(hParams, &defaults, sizeof(defaults));
}

UMF_EXPORT umf_result_t umfSlabPoolParamsDestroy(umf_slab_pool_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfSlabPoolParamsSetChunkSize(umf_slab_pool_params_handle_t hParams,
                                                      size_t bytes) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (bytes % MAP_SLICE_BYTES != 0 || bytes > (size_t)SLAB_CHUNK_SLICES_MAX * MAP_SLICE_BYTES) {
        log_error(
            "chunk size %zu: must be a multiple of 64 KiB, at most 64 MiB, or 0 for the default",
            bytes);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->chunk_bytes = bytes;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfSlabPoolParamsSetPurgeDelay(umf_slab_pool_params_handle_t hParams,
                                                       uint32_t milliseconds) {
    POOL_PARAMS_SET(hParams, purge_delay_ms, milliseconds);
}

UMF_EXPORT umf_result_t umfSlabPoolParamsSetKeepAll(umf_slab_pool_params_handle_t hParams,
                                                    bool keepAll) {
    POOL_PARAMS_SET(hParams, keep_all, keepAll);
}

UMF_EXPORT umf_result_t umfSlabPoolParamsSetName(umf_slab_pool_params_handle_t hParams,
                                                 const char *name) {
    return pool_name_set(hParams != NULL ? hParams->name : NULL, name);
}

/* ---- operations
 * ------------------------------------------------------------------------------------------------
 */

static size_t op_alloc_count(void *pool) {
    return slab_pool_blocks(pool);
}

static void op_set_handle(void *pool, umf_memory_pool_handle_t handle) {
    ((slab_pool_t *)pool)->handle = handle; // before the first heap is made
}

static umf_result_t op_initialize(umf_memory_provider_handle_t provider, const void *params,
                                  void **pool) {
    struct umf_slab_pool_params_t defaults;
    if (params == NULL) {
        params_fill(&defaults);
    }
    const struct umf_slab_pool_params_t *given = params != NULL ? params : &defaults;
    slab_settings_t settings = {.chunk_bytes = given->chunk_bytes,
                                .purge_delay_ms = given->purge_delay_ms,
                                .keep_all = given->keep_all,
                                .name = given->name};
    static pool_extension_entry_t extension = {op_initialize, op_alloc_count, op_set_handle, NULL};
    pool_extension_register(&extension);
    slab_pool_t *created;
    umf_result_t result = slab_pool_create(provider, &settings, &created);
    if (result == UMF_RESULT_SUCCESS) {
        *pool = created;
    }
    return result;
}

static umf_result_t op_finalize(void *pool) {
    return slab_pool_destroy(pool);
}

UMF_COLD static void *op_failed(void) {
    slab_last_error = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    return NULL;
}

UMF_INLINE void *op_result(void *ptr) {
    return likely(ptr != NULL) ? ptr : op_failed();
}

UMF_NOINLINE static void *op_malloc_slow(void *pool, size_t size) {
    return op_result(slab_alloc_slow(pool, NULL, size));
}

UMF_INLINE void *slab_pop_or_swap(slab_theap_t *theap, unsigned cls) {
    void *block = slab_pop(theap, cls);
    return likely(block != NULL) || cls >= SLAB_MEDIUM_CLASS ? block : slab_swap(theap, cls);
}

/* From umfPoolMalloc mostly when the ready list is empty. */
static void *op_malloc(void *pool, size_t size) {
    slab_theap_t *theap = slab_theap_cached(pool);
    if (likely(theap != NULL)) {
        pool_fast_select(&theap->fast);
        void *block = likely(size <= SLAB_FAST_MAX) ? slab_pop_or_swap(theap, theap->class_of[size])
                      : size <= theap->medium_max   ? slab_pop_or_swap(theap, slab_class_of(size))
                                                    : NULL;
        if (likely(block != NULL)) {
            return block;
        }
    }
    return op_malloc_slow(pool, size);
}

static void *op_calloc(void *pool, size_t count, size_t size) {
    return op_result(slab_pool_calloc(pool, count, size));
}

static void *op_aligned_malloc(void *pool, size_t size, size_t alignment) {
    if (alignment != 0 && !is_pow2(alignment)) {
        log_error("alignment %zu: must be a power of two", alignment);
        slab_last_error = UMF_RESULT_ERROR_INVALID_ALIGNMENT;
        return NULL;
    }
    return op_result(slab_pool_aligned_alloc(pool, size, alignment));
}

/* Says what is wrong with a pointer that is no live block of the pool. */
UMF_COLD static umf_result_t op_refuse(const void *ptr, slab_check_t check, const char *what) {
    log_error("%s(%p): %s", what, ptr,
              check == SLAB_BLOCK_INTERIOR ? "pointer into the middle of a block"
              : check == SLAB_BLOCK_FREE   ? "the block is free already"
                                           : "no block of this pool");
    return UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

UMF_NOINLINE static umf_result_t op_free_slow(slab_pool_t *pool, void *ptr) {
    if (ptr == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    slab_t *slab = slab_of_pool(pool, ptr);
    if (slab == NULL) {
        return op_refuse(ptr, SLAB_BLOCK_UNMADE, "umfPoolFree");
    }
    slab_check_t check = slab_free_slow(slab_theap_get(pool), slab, ptr);
    return check == SLAB_BLOCK_OK ? UMF_RESULT_SUCCESS : op_refuse(ptr, check, "umfPoolFree");
}

UMF_NOINLINE static umf_result_t op_free_event(slab_theap_t *theap, slab_t *slab) {
    slab_theap_event(theap, slab);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_free(void *pool, void *ptr) {
    if (unlikely((uintptr_t)ptr >> MAP_ADDRESS_BITS != 0)) {
        return op_free_slow(pool, ptr);
    }
    slab_t *slab = (slab_t *)map_word(ptr);
    slab_theap_t *theap = slab_theap_cached(pool);
    uint64_t index;
    if (unlikely(theap == NULL || load_relaxed(&slab->head.owner) != (uintptr_t)theap ||
                 !slab_index_of(slab, ptr, &index) || index >= load_relaxed(&slab->made))) {
        return op_free_slow(pool, ptr);
    }
    pool_fast_select(&theap->fast);
    return likely(!slab_put(slab, ptr)) ? UMF_RESULT_SUCCESS : op_free_event(theap, slab);
}

static void *op_realloc(void *pool, void *ptr, size_t size) {
    if (ptr == NULL) {
        return op_malloc(pool, size);
    }
    if (size == 0) {
        op_free(pool, ptr);
        return NULL;
    }
    slab_t *slab = slab_of_pool(pool, ptr);
    slab_check_t check = slab != NULL ? slab_check_block(slab, ptr) : SLAB_BLOCK_UNMADE;
    if (unlikely(check != SLAB_BLOCK_OK)) {
        slab_last_error = op_refuse(ptr, check, "umfPoolRealloc");
        return NULL;
    }
    return op_result(slab_pool_realloc(pool, ptr, size));
}

static umf_result_t op_malloc_usable_size(void *pool, const void *ptr, size_t *size) {
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (ptr == NULL) {
        *size = 0;
        return UMF_RESULT_SUCCESS;
    }
    slab_t *slab = slab_of_pool(pool, ptr);
    slab_check_t check = slab != NULL ? slab_check_block(slab, ptr) : SLAB_BLOCK_UNMADE;
    if (check != SLAB_BLOCK_OK) {
        return op_refuse(ptr, check, "umfPoolMallocUsableSize");
    }
    *size = slab_usable(slab);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_get_last_allocation_error(void *pool) {
    (void)pool;
    return slab_last_error;
}

static umf_result_t op_get_name(void *pool, const char **name) {
    return pool_name_get(pool != NULL ? ((slab_pool_t *)pool)->name : SLAB_DEFAULT_NAME, name);
}

static umf_result_t op_trim_memory(void *pool, size_t keep) {
    slab_pool_trim(pool, keep);
    return UMF_RESULT_SUCCESS;
}

static const umf_memory_pool_ops_t slab_ops = {
    .version = UMF_POOL_OPS_VERSION_CURRENT,
    .initialize = op_initialize,
    .finalize = op_finalize,
    .malloc = op_malloc,
    .calloc = op_calloc,
    .realloc = op_realloc,
    .aligned_malloc = op_aligned_malloc,
    .malloc_usable_size = op_malloc_usable_size,
    .free = op_free,
    .get_last_allocation_error = op_get_last_allocation_error,
    .get_name = op_get_name,
    .ext_ctl = slab_ctl,
    .ext_trim_memory = op_trim_memory,
};

UMF_EXPORT const umf_memory_pool_ops_t *umfSlabPoolOps(void) {
    return &slab_ops;
}

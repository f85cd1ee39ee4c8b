/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Disjoint pool: parameters and operations. The model is explained in disjoint.h.
 *
 * Creation has two steps: `initialize` copies the settings, then the CTL node post_initialize
 * builds the pool from them, so that defaults which are written in between take effect.
 */
#include <umf/pools/pool_disjoint.h>

#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/pool_count.h"
#include "core/tracking.h"
#include "pools/disjoint_inl.h"
#include "pools/pool_common.h"

static const char DEFAULT_NAME[] = "disjoint";

enum {
    DEFAULT_SLAB_MIN_SIZE = 64 * 1024,
    DEFAULT_MAX_POOLABLE_SIZE = 2 * 1024 * 1024,
    DEFAULT_CAPACITY = 4,
};

struct umf_disjoint_pool_params_t {
    disjoint_settings_t settings;
};

UMF_TLS umf_result_t disjoint_last_error;

/* ---- parameters ----------------------------------------------------------------------------- */

static void settings_fill(disjoint_settings_t *settings) {
    *settings = (disjoint_settings_t){
        .slab_min_size = DEFAULT_SLAB_MIN_SIZE,
        .max_poolable_size = DEFAULT_MAX_POOLABLE_SIZE,
        .capacity = DEFAULT_CAPACITY,
    };
    memcpy(settings->name, DEFAULT_NAME, sizeof(DEFAULT_NAME));
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsCreate(umf_disjoint_pool_params_handle_t *hParams) {
    struct umf_disjoint_pool_params_t defaults;
    settings_fill(&defaults.settings);
    return pool_params_create(hParams, &defaults, sizeof(defaults));
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsDestroy(umf_disjoint_pool_params_handle_t hParams) {
    if (hParams != NULL) {
        disjoint_limits_release(hParams->settings.limits);
        base_free(hParams, sizeof(*hParams));
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfDisjointPoolParamsSetSlabMinSize(umf_disjoint_pool_params_handle_t hParams, size_t slabMinSize) {
    POOL_PARAMS_SET(hParams, settings.slab_min_size, slabMinSize);
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsSetMaxPoolableSize(
    umf_disjoint_pool_params_handle_t hParams, size_t maxPoolableSize) {
    POOL_PARAMS_SET(hParams, settings.max_poolable_size, maxPoolableSize);
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsSetCapacity(umf_disjoint_pool_params_handle_t hParams,
                                                         size_t maxCapacity) {
    POOL_PARAMS_SET(hParams, settings.capacity, maxCapacity);
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsSetMinBucketSize(
    umf_disjoint_pool_params_handle_t hParams, size_t minBucketSize) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!is_pow2(minBucketSize)) {
        log_error("smallest bucket of %zu bytes: must be a power of two", minBucketSize);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->settings.min_bucket_size = minBucketSize;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsSetTrace(umf_disjoint_pool_params_handle_t hParams,
                                                      int poolTrace) {
    POOL_PARAMS_SET(hParams, settings.trace, poolTrace);
}

UMF_EXPORT umf_result_t
umfDisjointPoolParamsSetSharedLimits(umf_disjoint_pool_params_handle_t hParams,
                                     umf_disjoint_pool_shared_limits_handle_t hSharedLimits) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_disjoint_pool_shared_limits_t *old = hParams->settings.limits;
    hParams->settings.limits = disjoint_limits_reference(hSharedLimits);
    disjoint_limits_release(old);
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfDisjointPoolParamsSetName(umf_disjoint_pool_params_handle_t hParams,
                                                     const char *name) {
    return pool_name_set(hParams != NULL ? hParams->settings.name : NULL, name);
}

/* ---- creation ------------------------------------------------------------------------------- */

static size_t provider_cache_line(umf_memory_provider_handle_t provider) {
    size_t size = 0;
    umf_result_t result = umfMemoryProviderGetCacheLineSize(provider, &size);
    return result == UMF_RESULT_SUCCESS && is_pow2(size)
               ? size
               : UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE;
}

static size_t provider_page_size(umf_memory_provider_handle_t provider) {
    size_t size = 0;
    umf_result_t result = umfMemoryProviderGetMinPageSize(provider, NULL, &size);
    return result == UMF_RESULT_SUCCESS && is_pow2(size) ? size : 0;
}

static umf_result_t op_finalize(void *priv) {
    disjoint_pool_t *pool = priv;
    if (pool->settings.trace > 1) {
        disjoint_log_summary(pool);
    }
    umf_result_t result = disjoint_slab_return_all(pool);
    if (pool->ready) {
        disjoint_shards_destroy(pool);
    }
    disjoint_buckets_destroy(pool);
    if (pool->own_wrapper) {
        umfMemoryProviderDestroy(pool->provider); // hidden entries that are left name no pool
    }
    disjoint_limits_release(pool->settings.limits);
    disjoint_lookup_destroy(pool);
    base_free(pool, sizeof(*pool));
    return result;
}

static size_t op_alloc_count(void *priv) {
    return disjoint_blocks(priv);
}

static umf_result_t op_initialize(umf_memory_provider_handle_t provider, const void *params,
                                  void **priv) {
    if (provider == NULL || priv == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    static pool_extension_entry_t extension = {op_initialize, op_alloc_count, NULL, NULL};
    pool_extension_register(&extension);
    disjoint_pool_t *pool = base_alloc(sizeof(*pool));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    settings_fill(&pool->settings);
    if (params != NULL) {
        pool->settings = ((const struct umf_disjoint_pool_params_t *)params)->settings;
        disjoint_limits_reference(pool->settings.limits);
    }
    pool->provider = provider;
    pool->upstream = tracking_provider_upstream(provider);
    pool->handle = tracking_provider_pool(provider);
    if (!disjoint_lookup_create(pool)) {
        goto fail;
    }
    if (!tracking_provider_is(provider)) { // sizes and slabs are found through the map all the same
        result = tracking_provider_create(provider, NULL, &pool->provider);
        if (result != UMF_RESULT_SUCCESS) {
            goto fail;
        }
        pool->own_wrapper = true;
    }
    if (pool->settings.min_bucket_size == 0) {
        pool->settings.min_bucket_size = provider_cache_line(provider);
    }
    pool->provider_page = provider_page_size(provider);
    *priv = pool;
    return UMF_RESULT_SUCCESS;
fail:
    op_finalize(pool);
    return result;
}

umf_result_t disjoint_post_initialize(disjoint_pool_t *pool) {
    if (pool->ready) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED; // runs once, at creation
    }
    umf_result_t result = disjoint_buckets_create(pool);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = disjoint_shards_create(pool);
    if (result != UMF_RESULT_SUCCESS) {
        disjoint_buckets_destroy(pool);
        return result;
    }
    size_t max = pool->settings.max_poolable_size;
    pool->poolable_max = max < DISJOINT_SIZE_MAX ? max : DISJOINT_SIZE_MAX;
    pool->lazy = pool->settings.trace < 1 && pool->settings.limits == NULL;
    pool->fast_max = pool->settings.trace < 2 ? pool->poolable_max : 0;
    pool->ready = true;
    return UMF_RESULT_SUCCESS;
}

/* ---- allocation ----------------------------------------------------------------------------- */

UMF_COLD static void *fail(umf_result_t result) {
    disjoint_last_error = result;
    return NULL;
}

static void *alloc_direct(disjoint_pool_t *pool, size_t size, size_t alignment) {
    void *ptr = NULL;
    umf_result_t result = umfMemoryProviderAlloc(pool->provider, size, alignment, &ptr);
    if (result != UMF_RESULT_SUCCESS) {
        return fail(result);
    }
    if (ptr == NULL) {
        return fail(UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    if (unlikely(!disjoint_direct_attach(pool, ptr))) {
        umfMemoryProviderFree(pool->provider, ptr, size); // it could not be freed later
        return fail(UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    fetch_add_relaxed(&pool->direct, 1);
    return ptr;
}

static void trace_call(const disjoint_pool_t *pool, const char *what, size_t size,
                       const void *ptr) {
    if (unlikely(pool->settings.trace > 2)) {
        log_debug("pool \"%s\": %s of %zu bytes at %p", pool->settings.name, what, size, ptr);
    }
}

/* A request that no slab serves, or any request of a pool that traces its calls. */
UMF_NOINLINE static void *malloc_special(disjoint_pool_t *pool, size_t size) {
    if (unlikely(!pool->ready)) {
        return fail(UMF_RESULT_ERROR_INVALID_ARGUMENT);
    }
    if (size == 0) {
        return NULL;
    }
    void *ptr =
        size > pool->poolable_max ? alloc_direct(pool, size, 0) : disjoint_shard_alloc(pool, size);
    trace_call(pool, "malloc", size, ptr);
    return ptr;
}

static void *op_malloc(void *priv, size_t size) {
    disjoint_pool_t *pool = priv;
    size_t last = size - 1; // of 0: the largest
    if (unlikely(last >= pool->fast_max)) {
        return malloc_special(pool, size);
    }
    // acquire: pairs with the release that published the shard
    disjoint_shard_t *shard = load_acquire(&pool->shard[disjoint_thread]);
    // acq_rel: pairs with the exchange in op_free; the chunk's last use is over
    void *ptr = exchange_acq_rel(&shard->hot[disjoint_bucket_of(pool, last)], NULL);
    return likely(ptr != NULL) ? ptr : disjoint_shard_alloc(pool, size);
}

static umf_result_t free_direct(disjoint_pool_t *pool, void *ptr) {
    size_t size = disjoint_direct_size(pool, ptr);
    if (size == 0) {
        log_error("umfPoolFree(%p): no allocated block of pool \"%s\"", ptr, pool->settings.name);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = umfMemoryProviderFree(pool->provider, ptr, size);
    if (unlikely(result != UMF_RESULT_SUCCESS)) {
        disjoint_direct_attach(pool, ptr); // the caller may try again
    } else {
        fetch_sub_relaxed(&pool->direct, 1);
    }
    return result;
}

/* A pointer that lies in no slab, or any pointer of a pool that traces its calls. */
UMF_NOINLINE static umf_result_t free_special(disjoint_pool_t *pool, void *ptr) {
    disjoint_slab_t *slab = disjoint_slab_find(pool, ptr);
    umf_result_t result =
        slab != NULL ? disjoint_shard_free(pool, slab, ptr) : free_direct(pool, ptr);
    trace_call(pool, "free", 0, ptr);
    return result;
}

/* The hot slot is not for this one, or occupied. */
UMF_NOINLINE static umf_result_t free_slow(disjoint_pool_t *pool, void *ptr) {
    if (unlikely(ptr == NULL)) { // base 0 of a spare descriptor would match it
        return UMF_RESULT_SUCCESS;
    }
    disjoint_slab_t *slab = load_acquire(disjoint_lookup_entry(pool, ptr));
    return likely(disjoint_slab_contains(slab, ptr) && pool->fast_max != 0)
               ? disjoint_shard_free(pool, slab, ptr)
               : free_special(pool, ptr);
}

static umf_result_t op_free(void *priv, void *ptr) {
    disjoint_pool_t *pool = priv;
    // acquire: pairs with the release that put the slab into the table
    disjoint_slab_t *slab = load_acquire(disjoint_lookup_entry(pool, ptr));
    uintptr_t offset = (uintptr_t)ptr - load_relaxed(&slab->base);
    // No chunk of another slab passes: the span is never longer than the slab, and base and span
    // both are, or were, those of this descriptor. Pointers into the middle of a chunk (aligned
    // allocations) do not pass either.
    if (likely(offset < load_relaxed(&slab->hot_span) &&
               disjoint_is_multiple(offset, slab->magic))) {
        _Atomic(void *) *hot = load_relaxed(&slab->hot);
        void *none = NULL;
        if (likely(cas_strong_acq_rel(hot, &none, ptr))) {
            return UMF_RESULT_SUCCESS;
        }
    }
    return free_slow(pool, ptr);
}

/* A chunk that is large enough to hold an aligned block wherever it begins. */
static void *aligned_inside(disjoint_pool_t *pool, size_t size, size_t alignment) {
    size_t room;
    if (add_overflow(size, alignment - 1, &room)) {
        return fail(UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    if (room > pool->poolable_max) {
        return alloc_direct(pool, size, alignment);
    }
    void *chunk = op_malloc(pool, room);
    return chunk != NULL ? (void *)align_up((uintptr_t)chunk, alignment) : NULL;
}

static void *op_aligned_malloc(void *priv, size_t size, size_t alignment) {
    disjoint_pool_t *pool = priv;
    if (alignment <= 1) {
        return op_malloc(pool, size);
    }
    if (!is_pow2(alignment)) {
        log_error("alignment %zu: must be a power of two", alignment);
        return fail(UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    }
    if (size == 0) {
        return NULL;
    }
    size_t rounded;
    if (alignment > pool->provider_page) {
        return aligned_inside(pool, size, alignment);
    }
    if (!align_up_checked(size, alignment, &rounded)) {
        return fail(UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    if (rounded > pool->poolable_max) {
        return alloc_direct(pool, size, alignment);
    }
    void *ptr = op_malloc(pool, rounded);
    if (unlikely(!is_aligned((uintptr_t)ptr, alignment))) { // a provider below its own page size
        free_special(pool, ptr);
        return aligned_inside(pool, size, alignment);
    }
    return ptr;
}

static void *op_calloc(void *priv, size_t num, size_t size) {
    (void)priv, (void)num, (void)size;
    return fail(UMF_RESULT_ERROR_NOT_SUPPORTED); // it would have to write to the memory
}

static void *op_realloc(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    return fail(UMF_RESULT_ERROR_NOT_SUPPORTED); // it would have to copy
}

/* ---- queries -------------------------------------------------------------------------------- */

static umf_result_t op_malloc_usable_size(void *priv, const void *ptr, size_t *size) {
    disjoint_pool_t *pool = priv;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (ptr == NULL) {
        *size = 0;
        return UMF_RESULT_SUCCESS;
    }
    const disjoint_slab_t *slab = disjoint_slab_find(pool, ptr);
    if (slab != NULL) {
        uintptr_t offset = (uintptr_t)ptr - load_relaxed(&slab->base);
        size_t chunk = disjoint_chunk_of(slab, offset);
        if (chunk >= slab->chunks) {
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        *size = (chunk + 1) * slab->size - offset;
        return UMF_RESULT_SUCCESS;
    }
    size_t direct = disjoint_direct_size(pool, ptr);
    if (direct == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = direct;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_get_last_allocation_error(void *priv) {
    (void)priv;
    return disjoint_last_error;
}

static umf_result_t op_get_name(void *priv, const char **name) {
    return pool_name_get(priv != NULL ? ((disjoint_pool_t *)priv)->settings.name : DEFAULT_NAME,
                         name);
}

static umf_result_t op_trim_memory(void *priv, size_t min_bytes_to_keep) {
    disjoint_shard_trim(priv, min_bytes_to_keep);
    return UMF_RESULT_SUCCESS;
}

static const umf_memory_pool_ops_t disjoint_ops = {
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
    .ext_ctl = disjoint_ctl,
    .ext_trim_memory = op_trim_memory,
};

UMF_EXPORT const umf_memory_pool_ops_t *umfDisjointPoolOps(void) {
    return &disjoint_ops;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory pools: creation and dispatch. As with providers, the handle's table is complete, so that
 * the hot calls are one test and one jump. Look-ups by address go to the address map.
 */
#include "core/pool.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/init.h"
#include "core/log.h"
#include "core/map.h"
#include "core/name.h"
#include "core/pool_count.h"
#include "core/pool_fast.h"
#include "core/provider.h"
#include "core/state.h"
#include "core/tracking.h"

enum {
    POOL_OPS_BYTES_1_0 = offsetof(umf_memory_pool_ops_t, ext_trim_memory),
    POOL_FLAGS_KNOWN = UMF_POOL_CREATE_FLAG_OWN_PROVIDER | UMF_POOL_CREATE_FLAG_DISABLE_TRACKING,
};
static_assert(sizeof(void *) != 8 ||
                  (POOL_OPS_BYTES_1_0 == 96 && sizeof(umf_memory_pool_ops_t) == 104),
              "layout of the public table");
static_assert(sizeof(pool_calls_t) <= 64, "the hot calls share a line");

/* ---- creation -------------------------------------------------------------------------------- */

static umf_result_t default_ctl(void *priv, umf_ctl_query_source_t source, const char *name,
                                void *arg, size_t size, umf_ctl_query_type_t query_type,
                                va_list args) {
    (void)priv, (void)source, (void)name, (void)arg, (void)size, (void)query_type, (void)args;
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

static umf_result_t default_trim_memory(void *priv, size_t min_bytes_to_keep) {
    (void)priv, (void)min_bytes_to_keep;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

/* Copies the part of the user's table that its version has; nothing behind that part is touched. */
static umf_result_t ops_copy(const umf_memory_pool_ops_t *given, umf_memory_pool_ops_t *ops) {
    memset(ops, 0, sizeof(*ops));
    if (given->version > (uint32_t)UMF_POOL_OPS_VERSION_CURRENT) {
        log_error("pool operations of version %u.%u: the newest known is 1.1",
                  UMF_MAJOR_VERSION(given->version), UMF_MINOR_VERSION(given->version));
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (given->version < (uint32_t)UMF_POOL_OPS_VERSION_CURRENT) {
        log_warning("pool operations of the older version %u.%u: newer ones are defaults",
                    UMF_MAJOR_VERSION(given->version), UMF_MINOR_VERSION(given->version));
        memcpy(ops, given, POOL_OPS_BYTES_1_0);
    } else {
        *ops = *given;
    }
    return UMF_RESULT_SUCCESS;
}

/* Name of the first mandatory operation that is missing, or NULL. */
static const char *ops_missing(const umf_memory_pool_ops_t *ops) {
    if (ops->initialize == NULL) {
        return "initialize";
    }
    if (ops->finalize == NULL) {
        return "finalize";
    }
    if (ops->malloc == NULL) {
        return "malloc";
    }
    if (ops->calloc == NULL) {
        return "calloc";
    }
    if (ops->realloc == NULL) {
        return "realloc";
    }
    if (ops->aligned_malloc == NULL) {
        return "aligned_malloc";
    }
    if (ops->malloc_usable_size == NULL) {
        return "malloc_usable_size";
    }
    if (ops->free == NULL) {
        return "free";
    }
    if (ops->get_last_allocation_error == NULL) {
        return "get_last_allocation_error";
    }
    return ops->get_name == NULL ? "get_name" : NULL;
}

static umf_result_t ops_complete(const umf_memory_pool_ops_t *given, umf_memory_pool_ops_t *ops) {
    umf_result_t result = ops_copy(given, ops);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const char *missing = ops_missing(ops);
    if (missing != NULL) {
        log_error("pool operation %s is NULL, it is mandatory", missing);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (ops->ext_ctl == NULL) {
        ops->ext_ctl = default_ctl;
    }
    if (ops->ext_trim_memory == NULL) {
        ops->ext_trim_memory = default_trim_memory;
    }
    return UMF_RESULT_SUCCESS;
}

/* ext_ctl takes a va_list; this makes an empty one. */
static umf_result_t pool_execute(umf_memory_pool_handle_t pool, const char *node, ...) {
    va_list none;
    va_start(none, node);
    umf_result_t result = pool->ops.ext_ctl(pool->priv, CTL_QUERY_PROGRAMMATIC, node, NULL, 0,
                                            CTL_QUERY_RUNNABLE, none);
    va_end(none);
    return result;
}

/* What follows a successful `initialize`. */
static umf_result_t pool_introduce(umf_memory_pool_handle_t pool, const char **out_name) {
    const char *name = NULL;
    umf_result_t result = pool->ops.get_name(pool->priv, &name);
    *out_name = name;
    if (result != UMF_RESULT_SUCCESS) {
        log_error("the pool's get_name failed");
        return result;
    }
    if (!name_is_regular(name)) {
        log_warning("pool name \"%s\": no settings by name; allowed are 1 to %d characters out of "
                    "A-Z a-z 0-9 - _",
                    name != NULL ? name : "", NAME_MAX_LENGTH);
    } else {
        ctl_defaults_apply(CTL_POOLS, pool, name);
    }
    result = pool_execute(pool, "post_initialize");
    if (result != UMF_RESULT_SUCCESS && result != UMF_RESULT_ERROR_INVALID_CTL_PATH) {
        log_error("post_initialize of pool \"%s\" failed", name != NULL ? name : "");
        return result;
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfPoolCreate(const umf_memory_pool_ops_t *ops,
                                      umf_memory_provider_handle_t provider, const void *params,
                                      umf_pool_create_flags_t flags,
                                      umf_memory_pool_handle_t *hPool) {
    if (ops == NULL || provider == NULL || hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if ((flags & ~(uint32_t)POOL_FLAGS_KNOWN) != 0) {
        log_error("pool creation flags 0x%x: known are 1 (own provider) and 2 (no tracking)",
                  flags);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_memory_pool_ops_t complete;
    umf_result_t result = ops_complete(ops, &complete);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }

    struct umf_memory_pool_t *pool = base_alloc(sizeof(*pool));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->magic = UMF_POOL_MAGIC;
    pool->ops = complete;
    pool->provider = provider;
    pool->flags = flags;
    if ((flags & UMF_POOL_CREATE_FLAG_DISABLE_TRACKING) == 0) {
        result = tracking_provider_create(provider, pool, &pool->tracking);
        if (result != UMF_RESULT_SUCCESS) {
            goto free_handle;
        }
    }
    result = complete.initialize(pool->tracking != NULL ? pool->tracking : provider, params,
                                 &pool->priv);
    if (result != UMF_RESULT_SUCCESS) {
        goto destroy_tracking;
    }
    const char *name;
    result =
        pool_count_attach(pool) ? pool_introduce(pool, &name) : UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    if (result != UMF_RESULT_SUCCESS) {
        pool_count_detach(pool);
        complete.finalize(pool->priv);
        goto destroy_tracking;
    }
    registry_add(&umf_core_state.pools, &pool->entry, pool, name);
    *hPool = pool;
    return UMF_RESULT_SUCCESS;

destroy_tracking:
    if (pool->tracking != NULL) {
        umfMemoryProviderDestroy(pool->tracking);
    }
free_handle:
    pool->magic = 0;
    base_free(pool, sizeof(*pool));
    return result;
}

static void keep_first_error(umf_result_t *first, umf_result_t result) {
    if (*first == UMF_RESULT_SUCCESS) {
        *first = result;
    }
}

UMF_EXPORT umf_result_t umfPoolDestroy(umf_memory_pool_handle_t hPool) {
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    registry_remove(&umf_core_state.pools, &hPool->entry);
    umf_result_t first = hPool->ops.finalize(hPool->priv);
    bool left_overs = false;
    if (hPool->tracking != NULL) {
        umf_result_t result = umfMemoryProviderDestroy(hPool->tracking);
        left_overs = result == UMF_RESULT_ERROR_USER_SPECIFIC;
        keep_first_error(&first, left_overs ? UMF_RESULT_SUCCESS : result);
    }
    umf_memory_provider_handle_t ipc_handler = load_acquire(&hPool->ipc_handler);
    if (ipc_handler != NULL) {
        umfMemoryProviderDestroy(ipc_handler);
    }
    if ((hPool->flags & UMF_POOL_CREATE_FLAG_OWN_PROVIDER) != 0) {
        keep_first_error(&first, umfMemoryProviderDestroy(hPool->provider));
    }
    pool_count_detach(hPool);
    hPool->magic = 0;
    if (!left_overs) { // else map entries point here: they must go on meeting this dead pool
        base_free(hPool, sizeof(*hPool));
    }
    return first;
}

/* ---- allocation ------------------------------------------------------------------------------ */

const pool_fast_heap_t pool_fast_heap_none = {.pool_handle = POOL_FAST_NO_POOL};
UMF_TLS pool_fast_heap_t *pool_fast_heap = (pool_fast_heap_t *)&pool_fast_heap_none;

UMF_NOINLINE static void *pool_malloc(umf_memory_pool_handle_t hPool, size_t size) {
    if (unlikely(hPool == NULL)) {
        return NULL;
    }
    return hPool->call.malloc(hPool->call.target, size);
}

UMF_EXPORT void *umfPoolMalloc(umf_memory_pool_handle_t hPool, size_t size) {
    void *block = pool_fast_malloc(hPool, size);
    return likely(block != NULL) ? block : pool_malloc(hPool, size);
}

UMF_EXPORT void *umfPoolAlignedMalloc(umf_memory_pool_handle_t hPool, size_t size,
                                      size_t alignment) {
    if (unlikely(hPool == NULL)) {
        return NULL;
    }
    return hPool->call.aligned_malloc(hPool->call.target, size, alignment);
}

UMF_EXPORT void *umfPoolCalloc(umf_memory_pool_handle_t hPool, size_t num, size_t size) {
    if (unlikely(hPool == NULL)) {
        return NULL;
    }
    return hPool->call.calloc(hPool->call.target, num, size);
}

UMF_EXPORT void *umfPoolRealloc(umf_memory_pool_handle_t hPool, void *ptr, size_t size) {
    if (unlikely(hPool == NULL)) {
        return NULL;
    }
    return hPool->call.realloc(hPool->call.target, ptr, size);
}

UMF_NOINLINE static umf_result_t pool_free(umf_memory_pool_handle_t hPool, void *ptr) {
    if (unlikely(hPool == NULL)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return hPool->call.free(hPool->call.target, ptr);
}

UMF_EXPORT umf_result_t umfPoolFree(umf_memory_pool_handle_t hPool, void *ptr) {
    return likely(pool_fast_free(hPool, ptr)) ? UMF_RESULT_SUCCESS : pool_free(hPool, ptr);
}

UMF_EXPORT umf_result_t umfPoolMallocUsableSize(umf_memory_pool_handle_t hPool, const void *ptr,
                                                size_t *size) {
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return hPool->ops.malloc_usable_size(hPool->priv, ptr, size);
}

UMF_EXPORT umf_result_t umfPoolGetLastAllocationError(umf_memory_pool_handle_t hPool) {
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return hPool->ops.get_last_allocation_error(hPool->priv);
}

UMF_EXPORT umf_result_t umfPoolTrimMemory(umf_memory_pool_handle_t hPool, size_t minBytesToKeep) {
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return hPool->ops.ext_trim_memory(hPool->priv, minBytesToKeep);
}

/* ---- look-up by address ---------------------------------------------------------------------- */

UMF_EXPORT umf_result_t umfPoolByPtr(const void *ptr, umf_memory_pool_handle_t *pool) {
    if (pool == NULL || ptr == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *pool = NULL;
    if (!core_is_ready()) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    const map_region_t *region = map_find_region(ptr);
    if (region == NULL || region->hidden || region->ipc_opened || region->pool == NULL ||
        region->pool->magic != UMF_POOL_MAGIC) { // 0: destroyed with this memory left in it
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *pool = region->pool;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfFree(void *ptr) {
    umf_memory_pool_handle_t pool = NULL;
    umf_result_t result = umfPoolByPtr(ptr, &pool);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    return umfPoolFree(pool, ptr);
}

/* ---- attributes ------------------------------------------------------------------------------ */

UMF_EXPORT umf_result_t umfPoolGetMemoryProvider(umf_memory_pool_handle_t hPool,
                                                 umf_memory_provider_handle_t *hProvider) {
    if (hPool == NULL || hProvider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *hProvider = hPool->provider;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfPoolGetName(umf_memory_pool_handle_t pool, const char **name) {
    if (pool == NULL || name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return pool->ops.get_name(pool->priv, name);
}

UMF_EXPORT umf_result_t umfPoolSetTag(umf_memory_pool_handle_t hPool, void *tag, void **oldTag) {
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    // release: what the tag points to is ready; acquire: so is what the old one points to
    void *before = exchange_acq_rel(&hPool->tag, tag);
    if (oldTag != NULL) {
        *oldTag = before;
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfPoolGetTag(umf_memory_pool_handle_t hPool, void **tag) {
    if (hPool == NULL || tag == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *tag = load_acquire(&hPool->tag);
    return UMF_RESULT_SUCCESS;
}

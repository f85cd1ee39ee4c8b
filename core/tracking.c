/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Tracking provider: stands between a pool and the user's provider and keeps the address map right.
 * Everything that does not change what memory the pool has is forwarded.
 *
 * Order matters, since another thread may get an address the moment the provider has it back:
 *   alloc  provider, then map; the memory goes back when the map refuses it
 *   free   map, then provider; the entry is put back when the provider fails: the caller can
 *          retry, and what is still there at the end of the pool is offered once more
 *   split, merge   provider, then map; undone at the provider when the map has no memory
 *
 * A wrapper without a pool serves a pool that was created without tracking and still needs to find
 * the size of its own blocks: its regions are hidden from look-ups by users, and memory that the
 * map can not hold is handed out all the same.
 */
#include "core/tracking.h"

#include "core/base_alloc.h"
#include "core/ipc.h"
#include "core/log.h"
#include "core/map.h"
#include "core/provider.h"

/* In the handle's `magic`. Not the address of a function: with libumf and the proxy library in one
 * process there are two copies of this code, each must know the other's wrappers. */
#define TRACKING_MAGIC UINT32_C(0x54464d55) /* "UMFT" */

/* An allocation that the provider did not take back. */
typedef struct tracking_leftover {
    struct tracking_leftover *next;
    uint64_t id; /* of its region since then: nobody freed it meanwhile */
    void *ptr;
} tracking_leftover_t;

typedef struct tracking_provider {
    umf_memory_provider_handle_t upstream;    /* the user's; not owned */
    umf_memory_pool_handle_t pool;            /* NULL: hidden */
    _Atomic(size_t) live;                     /* regions registered by this wrapper */
    _Atomic(tracking_leftover_t *) leftovers; /* pushed by any thread, taken at the end */
} tracking_provider_t;

/* ---- memory ---------------------------------------------------------------------------------- */

static umf_usm_memory_type_t tracking_memory_type(const tracking_provider_t *tracking,
                                                  const void *ptr) {
    umf_memory_provider_handle_t upstream = tracking->upstream;
    umf_usm_memory_type_t type = UMF_MEMORY_TYPE_UNKNOWN;
    // straight to the operation: a provider that does not know this has not "failed"
    umf_result_t result = upstream->ops.ext_get_allocation_properties(
        upstream->priv, ptr, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type);
    return result == UMF_RESULT_SUCCESS ? type : UMF_MEMORY_TYPE_UNKNOWN;
}

static umf_result_t tracking_add(tracking_provider_t *tracking, void *ptr, size_t size) {
    map_region_info_t info = {
        .base = ptr,
        .size = size,
        .pool = tracking->pool,
        .provider = tracking->upstream,
        .memory_type = tracking_memory_type(tracking, ptr),
        .hidden = tracking->pool == NULL,
    };
    umf_result_t result = map_add(&info, NULL);
    if (result == UMF_RESULT_SUCCESS) {
        fetch_add_relaxed(&tracking->live, 1);
    }
    return result;
}

static umf_result_t tracking_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    tracking_provider_t *tracking = priv;
    void *block = NULL;
    umf_result_t result = umfMemoryProviderAlloc(tracking->upstream, size, alignment, &block);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (block != NULL) { // a provider may answer with no memory at all
        result = tracking_add(tracking, block, size);
        if (result != UMF_RESULT_SUCCESS && tracking->pool != NULL) {
            log_error(
                "%zu bytes at %p can not be tracked (result %d), they go back to the provider",
                size, block, (int)result);
            umfMemoryProviderFree(tracking->upstream, block, size);
            return result;
        }
    }
    *ptr = block;
    return UMF_RESULT_SUCCESS;
}

static map_region_t *tracking_find(const tracking_provider_t *tracking, const void *ptr) {
    return map_find_exact(ptr, tracking->pool, tracking->upstream);
}

/* Remembers what the provider did not take back: not every pool asks again. */
static void tracking_keep(tracking_provider_t *tracking, void *ptr, const map_region_t *region) {
    tracking_leftover_t *leftover = base_alloc(sizeof(*leftover));
    if (leftover != NULL) {
        leftover->id = load_relaxed(&region->id);
        leftover->ptr = ptr;
        leftover->next = load_relaxed(&tracking->leftovers);
        // release: the end of the pool comes after all its calls, but the order costs nothing here
        while (!cas_weak_release(&tracking->leftovers, &leftover->next, leftover)) {
        }
    }
}

/* Offers the provider once more what it did not take back and nobody freed since. */
static void tracking_retry(tracking_provider_t *tracking) {
    tracking_leftover_t *leftover = load_relaxed(&tracking->leftovers);
    while (leftover != NULL) {
        tracking_leftover_t *next = leftover->next;
        map_region_t *region = tracking_find(tracking, leftover->ptr);
        if (region != NULL && load_relaxed(&region->id) == leftover->id) {
            size_t size = load_relaxed(&region->size);
            map_remove(region);
            fetch_sub_relaxed(&tracking->live, 1);
            umfMemoryProviderFree(tracking->upstream, leftover->ptr, size);
        }
        base_free(leftover, sizeof(*leftover));
        leftover = next;
    }
}

static umf_result_t tracking_free(void *priv, void *ptr, size_t size) {
    tracking_provider_t *tracking = priv;
    map_region_t *region = ptr != NULL ? tracking_find(tracking, ptr) : NULL;
    if (region == NULL) {
        if (ptr != NULL) {
            log_warning("%p is not known here, it is passed on to the provider", ptr);
        }
        return umfMemoryProviderFree(tracking->upstream, ptr, size);
    }
    map_region_info_t info = {
        .base = ptr,
        .size = load_relaxed(&region->size),
        .pool = tracking->pool,
        .provider = tracking->upstream,
        .memory_type = region->memory_type,
        .hidden = region->hidden,
    };
    if (info.size != size) {
        log_warning("%zu bytes at %p are freed as %zu bytes", info.size, ptr, size);
    }
    ipc_export_drop(region);
    map_remove(region); // before the free: another thread may get this address at once
    umf_result_t result = umfMemoryProviderFree(tracking->upstream, ptr, size);
    if (likely(result == UMF_RESULT_SUCCESS)) {
        fetch_sub_relaxed(&tracking->live, 1);
    } else if (map_add(&info, &region) != UMF_RESULT_SUCCESS) {
        fetch_sub_relaxed(&tracking->live, 1);
        log_fatal("the provider did not take back %p, and the map has no memory to keep it", ptr);
    } else {
        tracking_keep(tracking, ptr, region);
    }
    return result;
}

static umf_result_t tracking_split(void *priv, void *ptr, size_t total_size, size_t first_size) {
    tracking_provider_t *tracking = priv;
    map_region_t *region = tracking_find(tracking, ptr);
    // RACY: children is under the map lock, map_split checks it again; this spares a call of the
    // provider
    if (region == NULL || region->children != 0 || load_relaxed(&region->size) != total_size) {
        log_error("split of %zu bytes at %p: this is no whole allocation without pools inside",
                  total_size, ptr);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ipc_export_drop(region);
    umf_result_t result =
        umfMemoryProviderAllocationSplit(tracking->upstream, ptr, total_size, first_size);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = map_split(region, first_size, NULL);
    if (result == UMF_RESULT_SUCCESS) {
        fetch_add_relaxed(&tracking->live, 1);
    } else {
        umfMemoryProviderAllocationMerge(tracking->upstream, ptr, (char *)ptr + first_size,
                                         total_size);
    }
    return result;
}

static bool tracking_may_merge(const map_region_t *low, const map_region_t *high,
                               size_t total_size) {
    if (low == NULL || high == NULL || low->children != 0 || high->children != 0 ||
        low->level != high->level) {
        return false;
    }
    size_t low_size = load_relaxed(&low->size);
    return low->base + low_size == high->base &&
           load_relaxed(&high->size) ==
               total_size - low_size; // low_size < total_size: high is inside
}

static umf_result_t tracking_merge(void *priv, void *low_ptr, void *high_ptr, size_t total_size) {
    tracking_provider_t *tracking = priv;
    map_region_t *low = tracking_find(tracking, low_ptr);
    map_region_t *high = tracking_find(tracking, high_ptr);
    if (!tracking_may_merge(low, high, total_size)) {
        log_fatal(
            "merge of %p and %p to %zu bytes: these are no two neighbours of one pool and that "
            "size without pools inside",
            low_ptr, high_ptr, total_size);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t first_size = load_relaxed(&low->size);
    ipc_export_drop(low);
    ipc_export_drop(high);
    umf_result_t result =
        umfMemoryProviderAllocationMerge(tracking->upstream, low_ptr, high_ptr, total_size);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result = map_merge(low, high);
    if (result == UMF_RESULT_SUCCESS) {
        fetch_sub_relaxed(&tracking->live, 1);
    } else {
        umfMemoryProviderAllocationSplit(tracking->upstream, low_ptr, total_size, first_size);
    }
    return result;
}

/* ---- forwarded ------------------------------------------------------------------------------- */

static umf_memory_provider_handle_t upstream_of(void *priv) {
    return ((tracking_provider_t *)priv)->upstream;
}

static umf_result_t tracking_get_last_native_error(void *priv, const char **message,
                                                   int32_t *error) {
    return umfMemoryProviderGetLastNativeError(upstream_of(priv), message, error);
}

static umf_result_t tracking_get_recommended_page_size(void *priv, size_t size, size_t *page_size) {
    return umfMemoryProviderGetRecommendedPageSize(upstream_of(priv), size, page_size);
}

static umf_result_t tracking_get_min_page_size(void *priv, const void *ptr, size_t *page_size) {
    return umfMemoryProviderGetMinPageSize(upstream_of(priv), ptr, page_size);
}

static umf_result_t tracking_get_cache_line_size(void *priv, size_t *size) {
    return umfMemoryProviderGetCacheLineSize(upstream_of(priv), size);
}

static umf_result_t tracking_get_name(void *priv, const char **name) {
    if (priv == NULL) { // asked for the default name of the table: there is none but this
        *name = "tracking";
        return UMF_RESULT_SUCCESS;
    }
    return umfMemoryProviderGetName(upstream_of(priv), name);
}

static umf_result_t tracking_purge_lazy(void *priv, void *ptr, size_t size) {
    return umfMemoryProviderPurgeLazy(upstream_of(priv), ptr, size);
}

static umf_result_t tracking_purge_force(void *priv, void *ptr, size_t size) {
    return umfMemoryProviderPurgeForce(upstream_of(priv), ptr, size);
}

static umf_result_t tracking_get_ipc_handle_size(void *priv, size_t *size) {
    return umfMemoryProviderGetIPCHandleSize(upstream_of(priv), size);
}

static umf_result_t tracking_get_ipc_handle(void *priv, const void *ptr, size_t size, void *data) {
    size_t bytes;
    umf_result_t result = ipc_data_bytes(upstream_of(priv), &bytes);
    if (result != UMF_RESULT_SUCCESS) { // no caller can have a buffer for that
        return result;
    }
    return umfMemoryProviderGetIPCHandle(upstream_of(priv), ptr, size, data);
}

static umf_result_t tracking_put_ipc_handle(void *priv, void *data) {
    return umfMemoryProviderPutIPCHandle(upstream_of(priv), data);
}

static umf_result_t tracking_open_ipc_handle(void *priv, void *data, void **ptr) {
    return umfMemoryProviderOpenIPCHandle(upstream_of(priv), data, ptr);
}

static umf_result_t tracking_close_ipc_handle(void *priv, void *ptr, size_t size) {
    return umfMemoryProviderCloseIPCHandle(upstream_of(priv), ptr, size);
}

static umf_result_t tracking_ctl(void *priv, umf_ctl_query_source_t source, const char *name,
                                 void *arg, size_t size, umf_ctl_query_type_t query_type,
                                 va_list args) {
    umf_memory_provider_handle_t upstream = upstream_of(priv);
    return upstream->ops.ext_ctl(upstream->priv, source, name, arg, size, query_type, args);
}

static umf_result_t tracking_property(void *priv, const void *ptr, umf_memory_property_id_t id,
                                      void *value) {
    umf_memory_provider_handle_t upstream = upstream_of(priv);
    return upstream->ops.ext_get_allocation_properties(upstream->priv, ptr, id, value);
}

static umf_result_t tracking_property_size(void *priv, umf_memory_property_id_t id, size_t *size) {
    umf_memory_provider_handle_t upstream = upstream_of(priv);
    return upstream->ops.ext_get_allocation_properties_size(upstream->priv, id, size);
}

/* ---- creation -------------------------------------------------------------------------------- */

/* `params` is a tracking_provider_t that says what to wrap. */
static umf_result_t tracking_initialize(const void *params, void **priv) {
    const tracking_provider_t *wanted = params;
    tracking_provider_t *tracking = base_alloc(sizeof(*tracking));
    if (tracking == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    tracking->upstream = wanted->upstream;
    tracking->pool = wanted->pool;
    *priv = tracking;
    return UMF_RESULT_SUCCESS;
}

/* USER_SPECIFIC: regions are left in the map, whose pool must stay recognisable (see
 * umfPoolDestroy). */
static umf_result_t tracking_finalize(void *priv) {
    tracking_provider_t *tracking = priv;
    tracking_retry(tracking);
    size_t live = load_relaxed(&tracking->live);
    ipc_import_close_all(tracking);
    if (live != 0) {
        ipc_export_drop_pool(tracking->pool);
        log_warning("%zu provider allocations of a pool are left behind at its end", live);
    }
    base_free(tracking, sizeof(*tracking));
    return live != 0 ? UMF_RESULT_ERROR_USER_SPECIFIC : UMF_RESULT_SUCCESS;
}

static const umf_memory_provider_ops_t tracking_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = tracking_initialize,
    .finalize = tracking_finalize,
    .alloc = tracking_alloc,
    .free = tracking_free,
    .get_last_native_error = tracking_get_last_native_error,
    .get_recommended_page_size = tracking_get_recommended_page_size,
    .get_min_page_size = tracking_get_min_page_size,
    .get_name = tracking_get_name,
    .ext_purge_lazy = tracking_purge_lazy,
    .ext_purge_force = tracking_purge_force,
    .ext_allocation_merge = tracking_merge,
    .ext_allocation_split = tracking_split,
    .ext_get_ipc_handle_size = tracking_get_ipc_handle_size,
    .ext_get_ipc_handle = tracking_get_ipc_handle,
    .ext_put_ipc_handle = tracking_put_ipc_handle,
    .ext_open_ipc_handle = tracking_open_ipc_handle,
    .ext_close_ipc_handle = tracking_close_ipc_handle,
    .ext_ctl = tracking_ctl,
    .ext_get_allocation_properties = tracking_property,
    .ext_get_allocation_properties_size = tracking_property_size,
    .get_cache_line_size = tracking_get_cache_line_size,
};

umf_result_t tracking_provider_create(umf_memory_provider_handle_t upstream,
                                      umf_memory_pool_handle_t pool,
                                      umf_memory_provider_handle_t *wrapper) {
    // Not by umfMemoryProviderCreate: that would make the user's provider see a second start-up.
    struct umf_memory_provider_t *handle = base_alloc(sizeof(*handle));
    if (handle == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    const tracking_provider_t wanted = {.upstream = upstream, .pool = pool};
    handle->magic = TRACKING_MAGIC;
    handle->given_version = tracking_ops.version;
    handle->ops = tracking_ops;
    umf_result_t result = handle->ops.initialize(&wanted, &handle->priv);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(handle, sizeof(*handle));
        return result;
    }
    *wrapper = handle;
    return UMF_RESULT_SUCCESS;
}

bool tracking_provider_is(umf_memory_provider_handle_t provider) {
    return provider != NULL && provider->magic == TRACKING_MAGIC;
}

umf_memory_provider_handle_t tracking_provider_upstream(umf_memory_provider_handle_t provider) {
    return tracking_provider_is(provider) ? upstream_of(provider->priv) : provider;
}

umf_memory_pool_handle_t tracking_provider_pool(umf_memory_provider_handle_t provider) {
    return tracking_provider_is(provider) ? ((tracking_provider_t *)provider->priv)->pool : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Scalable pool: a memory pool of oneTBB whose raw memory comes from the provider. The library is
 * opened by the first pool and stays: it may still hold what threads need at their end.
 *
 * oneTBB says only that something failed. What the provider answered while it ran is noted per
 * thread, to tell why.
 */
#include <umf/pools/pool_scalable.h>

#include <string.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/log.h"
#include "pools/pool_common.h"
#include "pools/scalable_library.h"

static const char SCALABLE_DEFAULT_NAME[] = "scalable";
enum {
    SCALABLE_GRANULARITY = 2 * 1024 * 1024, /* a huge page of x86-64 */
};

struct umf_scalable_pool_params_t {
    size_t granularity;
    bool keep_all_memory;
    char name[POOL_NAME_BYTES];
};

typedef struct scalable_pool {
    tbb_pool_t *tbb;
    umf_memory_provider_handle_t provider;
    size_t granularity;
    bool keep_all_memory;
    bool ready; /* post_initialize has run: the settings stand */
    char name[POOL_NAME_BYTES];
} scalable_pool_t;

/* Of this thread: outcome of its last allocation, and the pool that it was for. */
static UMF_TLS umf_result_t scalable_last_error;
static UMF_TLS const scalable_pool_t *scalable_last_pool;

/* ---- the library ----------------------------------------------------------------------------- */

static tbb_functions_t tbb;

#define TBB_SYMBOL(mangled, field, may_miss)                                                       \
    { .name = (mangled), .offset = offsetof(tbb_functions_t, field), .optional = (may_miss) }

static const libload_symbol_t tbb_symbols[] = {
    TBB_SYMBOL("_ZN3rml14pool_create_v1ElPKNS_13MemPoolPolicyEPPNS_10MemoryPoolE", pool_create,
               false),
    TBB_SYMBOL("_ZN3rml12pool_destroyEPNS_10MemoryPoolE", pool_destroy, false),
    TBB_SYMBOL("_ZN3rml11pool_mallocEPNS_10MemoryPoolEm", pool_malloc, false),
    TBB_SYMBOL("_ZN3rml12pool_reallocEPNS_10MemoryPoolEPvm", pool_realloc, false),
    TBB_SYMBOL("_ZN3rml19pool_aligned_mallocEPNS_10MemoryPoolEmm", pool_aligned_malloc, false),
    TBB_SYMBOL("_ZN3rml9pool_freeEPNS_10MemoryPoolEPv", pool_free, false),
    TBB_SYMBOL("_ZN3rml13pool_identifyEPv", pool_identify, false),
    TBB_SYMBOL("_ZN3rml10pool_msizeEPNS_10MemoryPoolEPv", pool_msize, true),
};

libload_library_t scalable_library = {
    .name = "libtbbmalloc.so.2",
    .symbols = tbb_symbols,
    .symbol_count = ARRAY_LENGTH(tbb_symbols),
    .functions = &tbb,
};

/* ---- parameters ------------------------------------------------------------------------------ */

static void params_fill(struct umf_scalable_pool_params_t *params) {
    *params = (struct umf_scalable_pool_params_t){.granularity = SCALABLE_GRANULARITY};
    memcpy(params->name, SCALABLE_DEFAULT_NAME, sizeof(SCALABLE_DEFAULT_NAME));
}

UMF_EXPORT umf_result_t umfScalablePoolParamsCreate(umf_scalable_pool_params_handle_t *hParams) {
    struct umf_scalable_pool_params_t defaults;
    params_fill(&defaults);
    return pool_params_create(hParams, &defaults, sizeof(defaults));
}

UMF_EXPORT umf_result_t umfScalablePoolParamsDestroy(umf_scalable_pool_params_handle_t hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t
umfScalablePoolParamsSetGranularity(umf_scalable_pool_params_handle_t hParams, size_t granularity) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (granularity == 0) {
        log_error("granularity 0: must be at least 1 byte");
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->granularity = granularity;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfScalablePoolParamsSetKeepAllMemory(
    umf_scalable_pool_params_handle_t hParams, bool keepAllMemory) {
    POOL_PARAMS_SET(hParams, keep_all_memory, keepAllMemory);
}

UMF_EXPORT umf_result_t umfScalablePoolParamsSetName(umf_scalable_pool_params_handle_t hParams,
                                                     const char *name) {
    return pool_name_set(hParams != NULL ? hParams->name : NULL, name);
}

/* ---- raw memory ------------------------------------------------------------------------------ */

static void *raw_alloc(intptr_t cookie, size_t *bytes) {
    const scalable_pool_t *pool = (const scalable_pool_t *)cookie;
    void *ptr = NULL;
    if (umfMemoryProviderAlloc(pool->provider, *bytes, 0, &ptr) != UMF_RESULT_SUCCESS) {
        scalable_last_error = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        return NULL;
    }
    return ptr;
}

static int raw_free(intptr_t cookie, void *ptr, size_t bytes) {
    const scalable_pool_t *pool = (const scalable_pool_t *)cookie;
    umf_result_t result = umfMemoryProviderFree(pool->provider, ptr, bytes);
    if (result != UMF_RESULT_SUCCESS) {
        scalable_last_error = result;
        log_error("the provider did not take back %zu bytes at %p", bytes, ptr);
        return -1;
    }
    return 0;
}

/* ---- operations ------------------------------------------------------------------------------ */

static umf_result_t tbb_create(scalable_pool_t *pool, tbb_pool_t **created) {
    const tbb_policy_t policy = {
        .raw_alloc = raw_alloc,
        .raw_free = raw_free,
        .granularity = pool->granularity,
        .version = TBB_POLICY_VERSION,
        .keep_all_memory = pool->keep_all_memory,
    };
    int failed = tbb.pool_create((intptr_t)pool, &policy, created);
    if (failed != 0) {
        log_error("oneTBB could not make a pool: error %d", failed);
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_initialize(umf_memory_provider_handle_t provider, const void *params,
                                  void **priv) {
    struct umf_scalable_pool_params_t defaults;
    params_fill(&defaults);
    const struct umf_scalable_pool_params_t *given = params != NULL ? params : &defaults;
    umf_result_t result = libload_open(&scalable_library);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    scalable_pool_t *pool = base_alloc(sizeof(*pool));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->provider = provider;
    memcpy(pool->name, given->name, sizeof(pool->name));
    pool->granularity = given->granularity;
    pool->keep_all_memory = given->keep_all_memory;
    result = tbb_create(pool, &pool->tbb);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(pool, sizeof(*pool));
        return result;
    }
    *priv = pool;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_finalize(void *priv) {
    scalable_pool_t *pool = priv;
    bool done = tbb.pool_destroy(pool->tbb);
    if (scalable_last_pool == pool) {
        scalable_last_pool = NULL; // a new pool may get this address
    }
    base_free(pool, sizeof(*pool));
    return done ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_UNKNOWN;
}

/* Before each call that may reach the provider. */
UMF_INLINE void call_begin(const scalable_pool_t *pool) {
    scalable_last_pool = pool;
    scalable_last_error = UMF_RESULT_SUCCESS;
}

UMF_COLD static void *op_failed(umf_result_t otherwise) {
    if (scalable_last_error == UMF_RESULT_SUCCESS) {
        scalable_last_error = otherwise; // the provider had no part in it
    }
    return NULL;
}

/* A provider failure on the way to a success has no meaning for the caller. */
UMF_INLINE void *op_result(void *ptr) {
    if (unlikely(ptr == NULL)) {
        return op_failed(UMF_RESULT_ERROR_UNKNOWN);
    }
    scalable_last_error = UMF_RESULT_SUCCESS;
    return ptr;
}

static void *op_malloc(void *priv, size_t size) {
    scalable_pool_t *pool = priv;
    call_begin(pool);
    return op_result(tbb.pool_malloc(pool->tbb, size));
}

static void *op_calloc(void *priv, size_t count, size_t size) {
    scalable_pool_t *pool = priv;
    call_begin(pool);
    size_t bytes;
    if (mul_overflow(count, size, &bytes)) {
        return op_failed(UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    void *ptr = op_result(tbb.pool_malloc(pool->tbb, bytes));
    return ptr != NULL ? memset(ptr, 0, bytes) : NULL;
}

static void *op_realloc(void *priv, void *ptr, size_t size) {
    scalable_pool_t *pool = priv;
    call_begin(pool);
    void *moved = tbb.pool_realloc(pool->tbb, ptr, size);
    if (ptr != NULL && size == 0) {
        return moved; // freed: NULL is no failure
    }
    return op_result(moved);
}

static void *op_aligned_malloc(void *priv, size_t size, size_t alignment) {
    scalable_pool_t *pool = priv;
    if (alignment == 0) {
        return op_malloc(pool, size);
    }
    call_begin(pool);
    if (!is_pow2(alignment)) {
        log_error("alignment %zu: must be a power of two", alignment);
        return op_failed(UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    }
    return op_result(
        tbb.pool_aligned_malloc(pool->tbb, size + (size == 0), alignment)); // 0 is refused there
}

static umf_result_t op_free(void *priv, void *ptr) {
    scalable_pool_t *pool = priv;
    if (unlikely(ptr == NULL)) {
        return UMF_RESULT_SUCCESS;
    }
    call_begin(pool);
    if (unlikely(!tbb.pool_free(pool->tbb, ptr))) {
        op_failed(UMF_RESULT_ERROR_UNKNOWN);
        return scalable_last_error;
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_malloc_usable_size(void *priv, const void *ptr, size_t *size) {
    const scalable_pool_t *pool = priv;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = 0;
    if (tbb.pool_msize == NULL) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (ptr != NULL) {
        *size = tbb.pool_msize(pool->tbb, (void *)(uintptr_t)ptr);
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_get_last_allocation_error(void *priv) {
    return scalable_last_pool == priv ? scalable_last_error : UMF_RESULT_SUCCESS;
}

static umf_result_t op_get_name(void *priv, const char **name) {
    return pool_name_get(priv != NULL ? ((scalable_pool_t *)priv)->name : SCALABLE_DEFAULT_NAME,
                         name);
}

/* ---- CTL ------------------------------------------------------------------------------------- */

/* A setting changed before the first use: the pool is made again, since oneTBB's can not be told.
 */
static umf_result_t settings_change(scalable_pool_t *pool, const scalable_pool_t *before) {
    tbb_pool_t *fresh = NULL;
    umf_result_t result = tbb_create(pool, &fresh);
    if (result != UMF_RESULT_SUCCESS) {
        pool->granularity = before->granularity;
        pool->keep_all_memory = before->keep_all_memory;
        return result;
    }
    tbb.pool_destroy(pool->tbb);
    pool->tbb = fresh;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_granularity(const ctl_call_t *call, ctl_value_t *value) {
    scalable_pool_t *pool = call->object;
    const scalable_pool_t before = *pool;
    if (call->type == CTL_QUERY_READ) {
        value->size = pool->granularity;
        return UMF_RESULT_SUCCESS;
    }
    pool->granularity = pool->ready ? before.granularity : value->size;
    return pool->ready ? UMF_RESULT_ERROR_NOT_SUPPORTED : settings_change(pool, &before);
}

static umf_result_t serve_keep_all(const ctl_call_t *call, ctl_value_t *value) {
    scalable_pool_t *pool = call->object;
    const scalable_pool_t before = *pool;
    if (call->type == CTL_QUERY_READ) {
        value->yes = pool->keep_all_memory;
        return UMF_RESULT_SUCCESS;
    }
    pool->keep_all_memory = pool->ready ? before.keep_all_memory : value->yes;
    return pool->ready ? UMF_RESULT_ERROR_NOT_SUPPORTED : settings_change(pool, &before);
}

static umf_result_t serve_post_initialize(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    ((scalable_pool_t *)call->object)->ready = true;
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t ctl_nodes[] = {
    {"params.granularity", UMF_CTL_SIZE, CTL_RW, serve_granularity, 0,
     "Bytes asked of the provider at a time. Settable as a default only.", 1, 0},
    {"params.keep_all_memory", UMF_CTL_BOOL, CTL_RW, serve_keep_all, 0,
     "Nothing goes back to the provider before the end. Settable as a default only.", 0, 0},
    CTL_POST_INITIALIZE(serve_post_initialize),
};

const ctl_table_t scalable_ctl_table = {ctl_nodes, ARRAY_LENGTH(ctl_nodes), NULL, 0};

static umf_result_t op_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                           size_t size, umf_ctl_query_type_t query_type, va_list args) {
    return ctl_serve(&scalable_ctl_table, priv, source, name, arg, size, query_type, args);
}

static umf_result_t op_trim_memory(void *priv, size_t min_bytes_to_keep) {
    (void)priv, (void)min_bytes_to_keep;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

static const umf_memory_pool_ops_t scalable_ops = {
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
    .ext_ctl = op_ctl,
    .ext_trim_memory = op_trim_memory,
};

UMF_EXPORT const umf_memory_pool_ops_t *umfScalablePoolOps(void) {
    return &scalable_ops;
}

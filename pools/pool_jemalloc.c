/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Jemalloc pool: the ops table and its parameters. Every pool has arenas of its own on its
 * provider, and every thread a cache of its own in each pool; see jemalloc_pool.h. Builds without
 * jemalloc have jemalloc_absent.c instead.
 */
#include <umf/pools/pool_jemalloc.h>

#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "pools/jemalloc_pool.h"

static const char JEMALLOC_DEFAULT_NAME[] = "jemalloc";
enum { JEMALLOC_ARENAS_PER_CPU = 4 };

struct umf_jemalloc_pool_params_t {
    size_t arenas; /* 0: by the number of CPUs */
    char name[sizeof(((jemalloc_pool_t *)0)->name)];
};

/* ---- parameters ------------------------------------------------------------------------------ */

static void params_fill(struct umf_jemalloc_pool_params_t *params) {
    *params = (struct umf_jemalloc_pool_params_t){0};
    memcpy(params->name, JEMALLOC_DEFAULT_NAME, sizeof(JEMALLOC_DEFAULT_NAME));
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsCreate(umf_jemalloc_pool_params_handle_t *hParams) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_jemalloc_pool_params_handle_t params = base_alloc(sizeof(*params));
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    params_fill(params);
    *hParams = params;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsDestroy(umf_jemalloc_pool_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetNumArenas(umf_jemalloc_pool_params_handle_t hParams,
                                                          size_t numArenas) {
    if (hParams == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    hParams->arenas = numArenas;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetName(umf_jemalloc_pool_params_handle_t hParams,
                                                     const char *name) {
    if (hParams == NULL || name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    strncpy(hParams->name, name, sizeof(hParams->name) - 1);
    hParams->name[sizeof(hParams->name) - 1] = '\0';
    return UMF_RESULT_SUCCESS;
}

/* ---- creation -------------------------------------------------------------------------------- */

static uint32_t default_arenas(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t arenas = cpus > 0 ? (size_t)cpus * JEMALLOC_ARENAS_PER_CPU : JEMALLOC_ARENAS_PER_CPU;
    return arenas < JEMALLOC_ARENAS_MAX ? (uint32_t)arenas : JEMALLOC_ARENAS_MAX;
}

static size_t pool_bytes(uint32_t arenas) {
    return sizeof(jemalloc_pool_t) + arenas * sizeof(((jemalloc_pool_t *)0)->arena[0]);
}

static umf_result_t op_initialize(umf_memory_provider_handle_t provider, const void *params,
                                  void **priv) {
    struct umf_jemalloc_pool_params_t defaults;
    params_fill(&defaults);
    const struct umf_jemalloc_pool_params_t *given = params != NULL ? params : &defaults;
    if (given->arenas > JEMALLOC_ARENAS_MAX) {
        log_error("%zu arenas: at most %d are possible (0: the default)", given->arenas,
                  JEMALLOC_ARENAS_MAX);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = jemalloc_provider_check(provider);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    uint32_t arenas = given->arenas > 0 ? (uint32_t)given->arenas : default_arenas();
    jemalloc_pool_t *pool = base_alloc(pool_bytes(arenas));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->provider = provider;
    pool->arena_count = arenas;
    memcpy(pool->name, given->name, sizeof(pool->name));
    jemalloc_hooks_set(pool);
    unsigned first;
    if (!jemalloc_thread_enter() || !jemalloc_arena_get(pool, 0, &first)) {
        log_error("jemalloc could not make an arena");
        base_free(pool, pool_bytes(arenas));
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
    }
    jemalloc_threads_add_pool(pool);
    *priv = pool;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_finalize(void *priv) {
    jemalloc_pool_t *pool = priv;
    if (!jemalloc_thread_enter()) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    jemalloc_threads_remove_pool(pool);
    umf_result_t result = jemalloc_arenas_destroy(pool);
    if (result == UMF_RESULT_SUCCESS) { // else an arena still has the hooks
        base_free(pool, pool_bytes(pool->arena_count));
    }
    return result;
}

/* ---- allocation ------------------------------------------------------------------------------ */

UMF_COLD static void *op_failed(jemalloc_entry_t *entry, umf_result_t result) {
    *(entry != NULL ? &entry->last_error : &jemalloc_self_error) = result;
    return NULL;
}

UMF_INLINE void *op_allocate(jemalloc_pool_t *pool, size_t size, int flags) {
    jemalloc_entry_t *entry = jemalloc_entry_get(pool);
    if (unlikely(entry == NULL)) {
        return op_failed(NULL, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    void *ptr = umf_jemalloc_mallocx(size + (size == 0),
                                     entry->alloc_flags | flags); // 0 is undefined there
    if (unlikely(ptr == NULL)) {
        return op_failed(entry, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    entry->last_error = UMF_RESULT_SUCCESS;
    return ptr;
}

static void *op_malloc(void *priv, size_t size) {
    return op_allocate(priv, size, 0);
}

static void *op_calloc(void *priv, size_t count, size_t size) {
    size_t bytes;
    if (mul_overflow(count, size, &bytes)) {
        return op_failed(jemalloc_entry_get(priv), UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    return op_allocate(priv, bytes, JEMALLOC_ZERO);
}

static void *op_aligned_malloc(void *priv, size_t size, size_t alignment) {
    if (alignment == 0) {
        return op_allocate(priv, size, 0);
    }
    if (!is_pow2(alignment)) {
        log_error("alignment %zu: must be a power of two", alignment);
        return op_failed(jemalloc_entry_get(priv), UMF_RESULT_ERROR_INVALID_ALIGNMENT);
    }
    return op_allocate(priv, size, jemalloc_flag_alignment(alignment));
}

static umf_result_t op_free(void *priv, void *ptr) {
    if (unlikely(ptr == NULL)) {
        return UMF_RESULT_SUCCESS;
    }
    jemalloc_entry_t *entry = jemalloc_entry_get(priv);
    if (unlikely(entry == NULL)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY; // without a record jemalloc can not run; the
                                                    // caller may retry
    }
    umf_jemalloc_dallocx(ptr, entry->free_flags);
    return UMF_RESULT_SUCCESS;
}

static void *op_realloc(void *priv, void *ptr, size_t size) {
    if (ptr == NULL) {
        return op_allocate(priv, size, 0);
    }
    jemalloc_entry_t *entry = jemalloc_entry_get(priv);
    if (unlikely(entry == NULL)) {
        return op_failed(NULL, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
    }
    entry->last_error = UMF_RESULT_SUCCESS;
    if (size == 0) {
        umf_jemalloc_dallocx(ptr, entry->free_flags);
        return NULL;
    }
    void *moved = umf_jemalloc_rallocx(ptr, size, entry->alloc_flags);
    return likely(moved != NULL) ? moved : op_failed(entry, UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY);
}

static umf_result_t op_malloc_usable_size(void *priv, const void *ptr, size_t *size) {
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (ptr == NULL) {
        *size = 0;
        return UMF_RESULT_SUCCESS;
    }
    if (jemalloc_entry_get(priv) == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    *size = umf_jemalloc_sallocx(ptr, 0);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t op_get_last_allocation_error(void *priv) {
    const jemalloc_entry_t *entry = jemalloc_entry_find(priv);
    return entry != NULL ? entry->last_error : jemalloc_self_error;
}

/* ---- the rest -------------------------------------------------------------------------------- */

static umf_result_t op_get_name(void *priv, const char **name) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *name = priv != NULL ? ((jemalloc_pool_t *)priv)->name : JEMALLOC_DEFAULT_NAME;
    return UMF_RESULT_SUCCESS;
}

/* The one node is the framework's "all settings are known now"; there are no settings to wait for.
 */
static umf_result_t op_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                           size_t size, umf_ctl_query_type_t query_type, va_list args) {
    (void)priv, (void)source, (void)arg, (void)size, (void)args;
    if (name != NULL && query_type == CTL_QUERY_RUNNABLE && strcmp(name, "post_initialize") == 0) {
        return UMF_RESULT_SUCCESS;
    }
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

/* Empties this thread's cache, and returns what no block uses. Caches of other threads can not be
 * touched from here. */
static umf_result_t op_trim_memory(void *priv, size_t min_bytes_to_keep) {
    if (min_bytes_to_keep != 0) {
        log_warning("a jemalloc pool keeps nothing when it is trimmed, also not the %zu bytes",
                    min_bytes_to_keep);
    }
    if (!jemalloc_thread_enter()) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    const jemalloc_entry_t *entry = jemalloc_entry_find(priv);
    if (entry != NULL && entry->tcache >= 0) {
        unsigned tcache = (unsigned)entry->tcache;
        umf_jemalloc_mallctl("tcache.flush", NULL, NULL, &tcache, sizeof(tcache));
    }
    return jemalloc_arenas_purge(priv);
}

static const umf_memory_pool_ops_t jemalloc_ops = {
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

UMF_EXPORT const umf_memory_pool_ops_t *umfJemallocPoolOps(void) {
    return &jemalloc_ops;
}

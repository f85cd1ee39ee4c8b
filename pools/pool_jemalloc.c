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
#include "core/pool_count.h"
#include "pools/jemalloc_pool.h"
#include "pools/pool_common.h"

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
    struct umf_jemalloc_pool_params_t defaults;
    params_fill(&defaults);
    return pool_params_create(hParams, &defaults, sizeof(defaults));
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsDestroy(umf_jemalloc_pool_params_handle_t hParams) {
    base_free(hParams, sizeof(*hParams));
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetNumArenas(umf_jemalloc_pool_params_handle_t hParams,
                                                          size_t numArenas) {
    POOL_PARAMS_SET(hParams, arenas, numArenas);
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetName(umf_jemalloc_pool_params_handle_t hParams,
                                                     const char *name) {
    return pool_name_set(hParams != NULL ? hParams->name : NULL, name);
}

/* ---- creation -------------------------------------------------------------------------------- */

static uint32_t default_arenas(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    size_t arenas = cpus > 0 ? (size_t)cpus * JEMALLOC_ARENAS_PER_CPU : JEMALLOC_ARENAS_PER_CPU;
    return arenas < JEMALLOC_ARENAS_MAX ? (uint32_t)arenas : JEMALLOC_ARENAS_MAX;
}

static size_t arena_bytes(uint32_t arenas) {
    return arenas * sizeof(((jemalloc_pool_t *)0)->arena[0]);
}

static size_t op_alloc_count(void *priv) {
    return jemalloc_threads_blocks(priv);
}

static void pool_free(jemalloc_pool_t *pool) {
    base_free(pool->arena, arena_bytes(pool->arena_count));
    base_free(pool, sizeof(*pool));
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
    static pool_extension_entry_t extension = {op_initialize, op_alloc_count, NULL, NULL};
    pool_extension_register(&extension);
    jemalloc_pool_t *pool = base_alloc(sizeof(*pool));
    if (pool == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->arena = base_alloc(arena_bytes(arenas));
    if (pool->arena == NULL) {
        base_free(pool, sizeof(*pool));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->provider = provider;
    pool->arena_count = arenas;
    memcpy(pool->name, given->name, sizeof(pool->name));
    jemalloc_hooks_set(pool);
    unsigned first;
    if (!jemalloc_thread_enter() || !jemalloc_arena_get(pool, 0, &first)) {
        log_error("jemalloc could not make an arena");
        pool_free(pool);
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
        pool_free(pool);
    }
    return result;
}

/* ---- allocation ------------------------------------------------------------------------------ */

UMF_COLD static void *op_failed(jemalloc_entry_t *entry, umf_result_t result) {
    *(entry != NULL ? &entry->last_error : &jemalloc_self_error) = result;
    return NULL;
}

/* One more block, or one less, by the entry's thread: nobody else writes. */
UMF_INLINE void op_count(jemalloc_entry_t *entry, size_t by) {
    store_relaxed(&entry->live, load_relaxed(&entry->live) + by);
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
    op_count(entry, 1);
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
    op_count(entry, (size_t)-1);
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
        op_count(entry, (size_t)-1);
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
    return pool_name_get(priv != NULL ? ((jemalloc_pool_t *)priv)->name : JEMALLOC_DEFAULT_NAME,
                         name);
}

/* ---- CTL ------------------------------------------------------------------------------------- */

/* Before the first use: only the first arena is made then. */
static umf_result_t arenas_change(jemalloc_pool_t *pool, size_t wanted) {
    uint32_t count = wanted > 0 ? (uint32_t)wanted : default_arenas();
    _Atomic(uint32_t) *arena = base_alloc(arena_bytes(count));
    if (arena == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    store_relaxed(&arena[0], load_relaxed(&pool->arena[0]));
    base_free(pool->arena, arena_bytes(pool->arena_count));
    pool->arena = arena;
    pool->arena_count = count;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_num_arenas(const ctl_call_t *call, ctl_value_t *value) {
    jemalloc_pool_t *pool = call->object;
    if (call->type == CTL_QUERY_READ) {
        value->size = pool->arena_count;
        return UMF_RESULT_SUCCESS;
    }
    return pool->ready ? UMF_RESULT_ERROR_NOT_SUPPORTED : arenas_change(pool, value->size);
}

static umf_result_t op_trim_memory(void *priv, size_t min_bytes_to_keep);

static umf_result_t serve_trim(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    return op_trim_memory(call->object, 0);
}

static umf_result_t serve_post_initialize(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    ((jemalloc_pool_t *)call->object)->ready = true;
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t ctl_nodes[] = {
    {"params.num_arenas", UMF_CTL_SIZE, CTL_RW, serve_num_arenas, 0,
     "Arenas of the pool; 0 sets four per CPU. Settable as a default only.", 0,
     JEMALLOC_ARENAS_MAX},
    {"trim", UMF_CTL_NONE, CTL_X, serve_trim, 0,
     "Returns the memory that no block and no other thread's cache uses.", 0, 0},
    CTL_POST_INITIALIZE(serve_post_initialize),
};

const ctl_table_t jemalloc_ctl_table = {ctl_nodes, ARRAY_LENGTH(ctl_nodes), NULL, 0};

static umf_result_t op_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                           size_t size, umf_ctl_query_type_t query_type, va_list args) {
    return ctl_serve(&jemalloc_ctl_table, priv, source, name, arg, size, query_type, args);
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

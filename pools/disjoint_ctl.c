/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CTL nodes of a disjoint pool: params.*, stats.*, buckets.*, and the internal post_initialize. */
#include "core/ctl.h"
#include "core/log.h"
#include "pools/disjoint.h"

/* ---- counters ------------------------------------------------------------------------------- */

typedef enum ctl_counter {
    COUNTER_ALLOC,
    COUNTER_ALLOC_POOL,
    COUNTER_FREE,
    COUNTER_IN_USE,
    COUNTER_IN_POOL,
    COUNTER_MAX_IN_USE,
    COUNTER_MAX_IN_POOL,
    COUNTER_USED,     /* bytes */
    COUNTER_RESERVED, /* bytes */
    COUNTER_SIZE,     /* bytes of a block */
} ctl_counter_t;

/* Bucket lock held. */
static size_t used_chunks(const disjoint_bucket_t *bucket) {
    size_t used = 0;
    for (const disjoint_slab_t *slab = bucket->all; slab != NULL; slab = slab->all_next) {
        used += load_relaxed(&slab->used);
    }
    return used;
}

static size_t bucket_read(disjoint_pool_t *pool, unsigned index, ctl_counter_t counter) {
    disjoint_bucket_t *bucket = &pool->bucket[index];
    disjoint_shard_sync(pool, index);
    size_t value = 0;
    lock_acquire(&bucket->lock);
    switch (counter) {
    case COUNTER_ALLOC:
        value = load_relaxed(&bucket->alloc_num);
        break;
    case COUNTER_ALLOC_POOL:
        value = load_relaxed(&bucket->alloc_pool_num);
        break;
    case COUNTER_FREE:
        value = load_relaxed(&bucket->free_num);
        break;
    case COUNTER_IN_USE:
        value = bucket->slabs - bucket->pooled;
        break;
    case COUNTER_IN_POOL:
        value = bucket->pooled;
        break;
    case COUNTER_MAX_IN_USE:
        value = bucket->max_in_use;
        break;
    case COUNTER_MAX_IN_POOL:
        value = bucket->max_in_pool;
        break;
    case COUNTER_USED:
        value = used_chunks(bucket) * bucket->size;
        break;
    case COUNTER_RESERVED:
        value = bucket->slabs * bucket->slab_bytes;
        break;
    case COUNTER_SIZE:
        value = bucket->size;
        break;
    }
    lock_release(&bucket->lock);
    return value;
}

static size_t pool_read(disjoint_pool_t *pool, ctl_counter_t counter) {
    size_t sum = 0;
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        sum += bucket_read(pool, i, counter);
    }
    return sum;
}

static size_t bucket_blocks(disjoint_pool_t *pool, unsigned index) {
    disjoint_bucket_t *bucket = &pool->bucket[index];
    disjoint_shard_sync(pool, index);
    lock_acquire(&bucket->lock);
    size_t blocks = used_chunks(bucket);
    lock_release(&bucket->lock);
    return blocks;
}

size_t disjoint_blocks(disjoint_pool_t *pool) {
    size_t blocks = load_relaxed(&pool->direct);
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        blocks += bucket_blocks(pool, i);
    }
    return blocks;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

/* Parameters can be set until post_initialize has built the pool from them. */
static umf_result_t serve_param(const ctl_call_t *call, ctl_value_t *value) {
    disjoint_pool_t *pool = call->object;
    size_t *param = (size_t *)((char *)&pool->settings + call->node->what);
    if (call->type == CTL_QUERY_READ) {
        value->size = *param;
        return UMF_RESULT_SUCCESS;
    }
    if (pool->ready) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (param == &pool->settings.min_bucket_size && !is_pow2(value->size)) {
        log_error("%s=%zu: must be a power of two", call->node->path, value->size);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *param = value->size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_trace(const ctl_call_t *call, ctl_value_t *value) {
    disjoint_pool_t *pool = call->object;
    if (call->type == CTL_QUERY_READ) {
        value->integer = pool->settings.trace;
        return UMF_RESULT_SUCCESS;
    }
    if (pool->ready) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    pool->settings.trace = value->integer > 0 ? value->integer : 0;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_bytes(const ctl_call_t *call, ctl_value_t *value) {
    value->size = pool_read(call->object, (ctl_counter_t)call->node->what);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_counter(const ctl_call_t *call, ctl_value_t *value) {
    disjoint_pool_t *pool = call->object;
    return pool->settings.trace < 1 ? UMF_RESULT_ERROR_NOT_SUPPORTED : serve_bytes(call, value);
}

static umf_result_t serve_bucket(const ctl_call_t *call, ctl_value_t *value) {
    disjoint_pool_t *pool = call->object;
    ctl_counter_t counter = (ctl_counter_t)call->node->what;
    if (call->index >= pool->bucket_count) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (counter != COUNTER_SIZE && pool->settings.trace < 1) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    value->size = bucket_read(pool, (unsigned)call->index, counter);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_bucket_count(const ctl_call_t *call, ctl_value_t *value) {
    value->size = ((const disjoint_pool_t *)call->object)->bucket_count;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_trim(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    disjoint_shard_trim(call->object, 0);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_post_initialize(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    return disjoint_post_initialize(call->object);
}

/* clang-format off */
#define PARAM(name, help)                                                                          \
    {"params." #name, UMF_CTL_SIZE, CTL_RW, serve_param, offsetof(disjoint_settings_t, name),      \
     help " Settable as a default only.", 0, 0}
#define COUNTERS(name, counter, help)                                                              \
    {"stats." name, UMF_CTL_SIZE, CTL_R, serve_counter, counter, help, 0, 0},                      \
    {"buckets.{}.stats." name, UMF_CTL_SIZE, CTL_R, serve_bucket, counter, help " In one bucket.", 0, 0}

static const ctl_node_t nodes[] = {
    PARAM(slab_min_size, "Bytes of the smallest slab."),
    PARAM(max_poolable_size, "Larger requests go to the provider."),
    PARAM(capacity, "Empty slabs kept per bucket."),
    PARAM(min_bucket_size, "Bytes of the smallest blocks, a power of two."),
    {"params.pool_trace", UMF_CTL_INT, CTL_RW, serve_trace, 0, "0 nothing, 1 counts slabs, 2 also calls, 3 also logs calls. Settable as a default only.", 0, 0},
    {"stats.used_memory", UMF_CTL_SIZE, CTL_R, serve_bytes, COUNTER_USED, "Bytes of live blocks that lie in slabs.", 0, 0},
    {"stats.reserved_memory", UMF_CTL_SIZE, CTL_R, serve_bytes, COUNTER_RESERVED, "Bytes of all slabs.", 0, 0},
    COUNTERS("alloc_num", COUNTER_ALLOC, "Allocations (pool_trace 2)."),
    COUNTERS("alloc_pool_num", COUNTER_ALLOC_POOL, "Allocations served by slabs there were (pool_trace 2)."),
    COUNTERS("free_num", COUNTER_FREE, "Frees (pool_trace 2)."),
    COUNTERS("curr_slabs_in_use", COUNTER_IN_USE, "Slabs with live blocks (pool_trace 1)."),
    COUNTERS("curr_slabs_in_pool", COUNTER_IN_POOL, "Empty slabs kept (pool_trace 1)."),
    COUNTERS("max_slabs_in_use", COUNTER_MAX_IN_USE, "Most slabs with live blocks so far (pool_trace 1)."),
    COUNTERS("max_slabs_in_pool", COUNTER_MAX_IN_POOL, "Most empty slabs kept so far (pool_trace 1)."),
    {"buckets.count", UMF_CTL_SIZE, CTL_R, serve_bucket_count, 0, "Number of buckets.", 0, 0},
    {"buckets.{}.size", UMF_CTL_SIZE, CTL_R, serve_bucket, COUNTER_SIZE, "Bytes of a block of the bucket.", 0, 0},
    {"trim", UMF_CTL_NONE, CTL_X, serve_trim, 0, "Returns all empty slabs.", 0, 0},
    CTL_POST_INITIALIZE(serve_post_initialize),
};
/* clang-format on */

const ctl_table_t disjoint_ctl_table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

umf_result_t disjoint_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                          size_t size, umf_ctl_query_type_t query_type, va_list args) {
    return ctl_serve(&disjoint_ctl_table, priv, source, name, arg, size, query_type, args);
}

void disjoint_log_summary(disjoint_pool_t *pool) {
    log_debug("pool \"%s\": size, allocations, from the pool, frees, most slabs in use, kept",
              pool->settings.name);
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        const disjoint_bucket_t *bucket = &pool->bucket[i];
        if (load_relaxed(&bucket->alloc_num) != 0) {
            log_debug("pool \"%s\": %zu, %zu, %zu, %zu, %zu, %zu", pool->settings.name,
                      bucket->size, load_relaxed(&bucket->alloc_num),
                      load_relaxed(&bucket->alloc_pool_num), load_relaxed(&bucket->free_num),
                      bucket->max_in_use, bucket->max_in_pool);
        }
    }
}

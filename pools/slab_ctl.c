/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL nodes of a slab pool, and the number of its live blocks.
 *
 * Nothing is counted when blocks come and go: the number is what the slabs say is out, without the
 * blocks that wait in ready lists, in open batches, and in remote lists.
 */
#include "core/ctl.h"
#include "core/log.h"
#include "core/pool_count.h"
#include "pools/slab.h"

/* ---- live blocks ----------------------------------------------------------------------------- */

/*
 * Length of a ready list. RACY: the heap's thread may be using it; then the number is any, but the
 * walk stays within the slab, whose memory can not go away: that needs the pool's lock, which the
 * caller holds.
 */
UMF_RACY static size_t ready_length(const slab_theap_t *theap, unsigned cls) {
    const slab_t *slab = theap->current[cls];
    const slab_block_t *block = theap->ready[cls];
    size_t length = 0;
    if (slab == NULL) {
        return 0;
    }
    uintptr_t base = slab->base;
    size_t bytes = slab->capacity * slab->block_bytes;
    while (block != NULL && length < slab->capacity && (uintptr_t)block - base < bytes &&
           is_aligned((uintptr_t)block, sizeof(void *))) {
        length++;
        block = block->next;
    }
    return length;
}

/* Blocks that a heap holds: ready ones, and those of others that it has yet to send home. */
UMF_RACY static size_t theap_held(const slab_theap_t *theap) {
    size_t held = 0;
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        held += ready_length(theap, cls);
    }
    for (unsigned i = 0; i < SLAB_BATCHES; i++) {
        held += theap->batch[i].slab != NULL ? theap->batch[i].count : 0;
    }
    return held;
}

/* Blocks of a chunk's slabs that have left their free list and not come home. Lock held. */
UMF_RACY static size_t chunk_out(const slab_chunk_t *chunk) {
    size_t out = 0;
    for (uint32_t i = 0; i < chunk->slices;) {
        const slab_t *slab = load_relaxed(&chunk->slab_at[i]);
        i += slab != NULL ? slab->slices : 1;
        if (slab != NULL && slab->cls != SLAB_CLASS_NONE) {
            // RACY: the counts belong to the slab's thread
            uint32_t used = slab->used - (slab->needed_set - slab->needed);
            out += used <= load_relaxed(&slab->made) ? used - slab_remote_waiting(slab) : 0;
        }
    }
    return out;
}

UMF_RACY size_t slab_pool_blocks(slab_pool_t *pool) {
    lock_acquire(&pool->lock);
    size_t blocks = pool->large_blocks + pool->huge_blocks;
    for (const slab_chunk_t *chunk = pool->chunks; chunk != NULL; chunk = chunk->next) {
        blocks += chunk_out(chunk);
    }
    for (const slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        blocks -= theap_held(theap);
    }
    lock_release(&pool->lock);
    return (ptrdiff_t)blocks < 0 ? 0 : blocks; // below 0: a race
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static umf_result_t serve_stat(const ctl_call_t *call, ctl_value_t *value) {
    slab_stats_t stats;
    slab_pool_stats(call->object, &stats);
    value->size = *(const size_t *)((const char *)&stats + call->node->what);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_used(const ctl_call_t *call, ctl_value_t *value) {
    slab_stats_t stats;
    slab_pool_stats(call->object, &stats);
    value->size = stats.block_bytes + stats.large_bytes + stats.huge_bytes;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_chunk_size(const ctl_call_t *call, ctl_value_t *value) {
    slab_pool_t *pool = call->object;
    umf_result_t result = UMF_RESULT_SUCCESS;
    if (call->type == CTL_QUERY_READ) {
        value->size = pool->chunk_min_bytes;
        return UMF_RESULT_SUCCESS;
    }
    if (value->size % MAP_SLICE_BYTES != 0) {
        log_error("%s=%zu: must be a multiple of 64 KiB", call->node->path, value->size);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    lock_acquire(&pool->lock);
    if (pool->chunks == NULL && pool->reserved_peak == 0) {
        pool->chunk_min_bytes = pool->next_chunk_bytes = value->size;
    } else {
        result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    lock_release(&pool->lock);
    return result;
}

/* The next two may change at any time; the pool looks at them under its lock. */
static umf_result_t serve_purge_delay(const ctl_call_t *call, ctl_value_t *value) {
    slab_pool_t *pool = call->object;
    lock_acquire(&pool->lock);
    if (call->type == CTL_QUERY_READ) {
        value->size = pool->purge_delay_ms;
    } else {
        pool->purge_delay_ms = (uint32_t)value->size;
    }
    lock_release(&pool->lock);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_keep_all(const ctl_call_t *call, ctl_value_t *value) {
    slab_pool_t *pool = call->object;
    lock_acquire(&pool->lock);
    if (call->type == CTL_QUERY_READ) {
        value->yes = pool->keep_all;
    } else {
        pool->keep_all = value->yes;
    }
    lock_release(&pool->lock);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_trim(const ctl_call_t *call, ctl_value_t *value) {
    (void)value;
    slab_pool_trim(call->object, 0);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_post_initialize(const ctl_call_t *call, ctl_value_t *value) {
    (void)call, (void)value; // settings that come before are taken up as they come
    return UMF_RESULT_SUCCESS;
}

/* clang-format off */
#define STAT(name, member, help)                                                                   \
    {"stats." name, UMF_CTL_SIZE, CTL_R, serve_stat, offsetof(slab_stats_t, member), help, 0, 0}

static const ctl_node_t nodes[] = {
    {"params.chunk_size", UMF_CTL_SIZE, CTL_RW, serve_chunk_size, 0, "Bytes first taken from the provider, a multiple of 64 KiB. Settable until the first allocation.", MAP_SLICE_BYTES, (uint64_t)SLAB_CHUNK_SLICES_MAX * MAP_SLICE_BYTES},
    {"params.purge_delay", UMF_CTL_SIZE, CTL_RW, serve_purge_delay, 0, "Milliseconds that freed memory stays ready before it is purged.", 0, UINT32_MAX / 4},
    {"params.keep_all", UMF_CTL_BOOL, CTL_RW, serve_keep_all, 0, "Nothing is purged or returned before the end or a trim.", 0, 0},
    {"stats.used_memory", UMF_CTL_SIZE, CTL_R, serve_used, 0, "Bytes in blocks, those that threads keep ready included.", 0, 0},
    STAT("reserved_memory", reserved_bytes, "Bytes taken from the provider."),
    STAT("reserved_peak", reserved_peak, "Most of them so far."),
    STAT("free_memory", free_bytes, "Bytes of chunks that no slab and no block uses."),
    STAT("slab_memory", slab_bytes, "Bytes of slabs, which hold blocks up to 64 KiB."),
    STAT("small_blocks", blocks, "Blocks in slabs that are in use or kept ready by threads."),
    STAT("small_memory", block_bytes, "Bytes of these."),
    STAT("large_blocks", large_blocks, "Blocks of whole 64-KiB slices."),
    STAT("large_memory", large_bytes, "Bytes of these."),
    STAT("huge_blocks", huge_blocks, "Blocks that are provider allocations of their own."),
    STAT("huge_memory", huge_bytes, "Bytes of these."),
    STAT("chunks", chunks, "Provider allocations that slabs are cut from."),
    STAT("threads", threads, "Thread heaps, those of finished threads included."),
    STAT("parked_threads", parked, "Thread heaps of finished threads."),
    STAT("provider_calls", provider_calls, "Allocations and frees asked of the provider."),
    STAT("purges", purges, "Purges so far."),
    STAT("purged_memory", purged_bytes, "Bytes purged so far."),
    {"trim", UMF_CTL_NONE, CTL_X, serve_trim, 0, "Returns all memory that no block uses.", 0, 0},
    CTL_POST_INITIALIZE(serve_post_initialize),
};
/* clang-format on */

const ctl_table_t slab_ctl_table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

umf_result_t slab_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                      size_t size, umf_ctl_query_type_t query_type, va_list args) {
    return ctl_serve(&slab_ctl_table, priv, source, name, arg, size, query_type, args);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Buckets of a disjoint pool: which block sizes there are, and how slabs of each look. */
#include "core/base_alloc.h"
#include "core/log.h"
#include "pools/disjoint.h"

static_assert(_Alignof(disjoint_bucket_t) <= BASE_ALIGNMENT, "buckets are aligned");

typedef struct bucket_sizes {
    size_t size[DISJOINT_BUCKETS_MAX];
    uint32_t count;
} bucket_sizes_t;

/* Appends size, rounded up to a multiple of min, unless it is there already or too large. */
static void sizes_add(bucket_sizes_t *sizes, size_t size, size_t min) {
    size = align_up(size, min);
    if (size <= DISJOINT_SIZE_MAX && (sizes->count == 0 || sizes->size[sizes->count - 1] < size)) {
        sizes->size[sizes->count++] = size;
    }
}

/* 2^k and 3 * 2^k from the smallest up to 2^31. */
static void sizes_fill(bucket_sizes_t *sizes, size_t min) {
    size_t first = min < UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE
                       ? UMF_DISJOINT_POOL_MIN_BUCKET_DEFAULT_SIZE
                       : min;
    for (size_t size = first; size < DISJOINT_SIZE_MAX; size *= 2) {
        sizes_add(sizes, size, min);
        sizes_add(sizes, size + size / 2, min);
    }
    sizes_add(sizes, DISJOINT_SIZE_MAX, 1);
}

/* Index of the smallest bucket for `size` bytes. */
static uint8_t sizes_find(const bucket_sizes_t *sizes, size_t size) {
    uint32_t i = 0;
    while (i + 1 < sizes->count && sizes->size[i] < size) {
        i++;
    }
    return (uint8_t)i;
}

/* Bytes of a descriptor with room for the bitmaps; 0: too many chunks. */
static size_t desc_bytes(size_t chunks) {
    size_t words = chunks / DISJOINT_WORD_BITS + 1;
    size_t words_of_words = words / DISJOINT_WORD_BITS + 1;
    size_t bytes;
    if (mul_overflow(words + words_of_words, sizeof(uint64_t), &bytes) ||
        add_overflow(bytes, sizeof(disjoint_slab_t), &bytes)) {
        return 0;
    }
    return bytes;
}

static void bucket_fill(disjoint_bucket_t *bucket, size_t size,
                        const disjoint_settings_t *settings) {
    bool chunked = size <= settings->slab_min_size / 2;
    bucket->size = size;
    bucket->slab_bytes = size > settings->slab_min_size ? size : settings->slab_min_size;
    bucket->chunks = chunked ? settings->slab_min_size / size : 1;
    bucket->limit = chunked ? 1 : settings->capacity;
    // not exact for larger slabs: they do without, see disjoint_chunk_of()
    bucket->magic = bucket->slab_bytes <= UINT32_MAX ? UINT64_MAX / size + 1 : 0;
    bucket->desc_bytes = desc_bytes(bucket->chunks);
}

umf_result_t disjoint_buckets_create(disjoint_pool_t *pool) {
    const disjoint_settings_t *settings = &pool->settings;
    bucket_sizes_t sizes = {.count = 0};
    size_t min = settings->min_bucket_size < DISJOINT_SIZE_MAX ? settings->min_bucket_size
                                                               : DISJOINT_SIZE_MAX;
    sizes_fill(&sizes, min);

    pool->bucket = base_alloc(sizes.count * sizeof(disjoint_bucket_t));
    if (pool->bucket == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    pool->bucket_count = sizes.count;
    for (uint32_t i = 0; i < sizes.count; i++) {
        bucket_fill(&pool->bucket[i], sizes.size[i], settings);
        pool->bucket[i].index = i;
    }
    for (uint32_t high = 1; high < 31; high++) {
        pool->bucket_of[2 * high + 2] = sizes_find(&sizes, (size_t)3 << (high - 1));
        pool->bucket_of[2 * high + 3] = sizes_find(&sizes, (size_t)4 << (high - 1));
    }
    return UMF_RESULT_SUCCESS;
}

void disjoint_buckets_destroy(disjoint_pool_t *pool) {
    for (uint32_t i = 0; i < pool->bucket_count; i++) {
        disjoint_bucket_t *bucket = &pool->bucket[i];
        while (bucket->spare != NULL) {
            disjoint_slab_t *slab = bucket->spare;
            bucket->spare = slab->next;
            base_free(slab, bucket->desc_bytes);
        }
    }
    base_free(pool->bucket, pool->bucket_count * sizeof(disjoint_bucket_t));
    pool->bucket = NULL;
    pool->bucket_count = 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL nodes of a disjoint pool: params.*, stats.*, buckets.*, and the internal post_initialize.
 *
 * A path is first reduced to its canonical form: wildcards are replaced by their arguments, empty
 * components dropped, and the number behind "buckets" taken out. One table then says what there is,
 * of which type, and who serves it. Arguments must have exactly the size of the node's type.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "pools/disjoint.h"

enum { CTL_PATH_MAX = 64 }; /* longer than any path that exists */

/* ---- paths ---------------------------------------------------------------------------------- */

typedef struct ctl_path {
    char text[CTL_PATH_MAX]; /* canonical */
    size_t length;
    bool indexed;
    size_t index;
} ctl_path_t;

static bool path_append(ctl_path_t *path, const char *part, size_t length) {
    size_t dot = path->length != 0 ? 1 : 0;
    if (length >= CTL_PATH_MAX - dot - path->length) {
        return false;
    }
    if (dot != 0) {
        path->text[path->length++] = '.';
    }
    memcpy(path->text + path->length, part, length);
    path->length += length;
    path->text[path->length] = '\0';
    return true;
}

static bool parse_index(const char *part, size_t length, size_t *index) {
    size_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (part[i] < '0' || part[i] > '9') {
            return false;
        }
        if (mul_overflow(value, 10, &value) || add_overflow(value, part[i] - '0', &value)) {
            value = SIZE_MAX; // beyond every bucket; keeps overflowing to this
        }
    }
    *index = value;
    return length > 0;
}

/* False: no such path. `args` supplies what `{}` stands for: a size_t behind "buckets", a const
 * char * elsewhere. */
static bool path_parse(const char *name, va_list args, ctl_path_t *path) {
    *path = (ctl_path_t){.length = 0};
    for (const char *part = name; *part != '\0';) {
        size_t length = strcspn(part, ".");
        const char *next = part + length + (part[length] == '.' ? 1 : 0);
        bool wildcard = length == 2 && part[0] == '{' && part[1] == '}';
        bool at_index = !path->indexed && strcmp(path->text, "buckets") == 0;
        if (wildcard && at_index) {
            path->index = va_arg(args, size_t);
            path->indexed = true;
        } else if (at_index && parse_index(part, length, &path->index)) {
            path->indexed = true;
        } else if (length != 0) {
            if (wildcard) {
                part = va_arg(args, const char *);
                length = part != NULL ? strlen(part) : 0;
            }
            if (length == 0 || !path_append(path, part, length)) {
                return false;
            }
        }
        part = next;
    }
    return true;
}

/* ---- values --------------------------------------------------------------------------------- */

/* Whole text as an unsigned number: decimal, 0x hexadecimal, 0 octal. */
static bool parse_size(const char *text, size_t *value) {
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') { // strtoull would take signs and blanks
        return false;
    }
    int saved_errno = errno;
    errno = 0;
    unsigned long long parsed = strtoull(text, &end, 0);
    bool fits = errno == 0;
    errno = saved_errno;
    *value = (size_t)parsed;
    return fits && *end == '\0';
}

/* What a request wants to write, as a number. */
static umf_result_t value_to_write(umf_ctl_query_source_t source, const void *arg, size_t size,
                                   size_t node_size, size_t *value) {
    if (source == CTL_QUERY_CONFIG_INPUT) {
        const char *text = arg;
        return size != 0 && memchr(text, '\0', size) != NULL && parse_size(text, value)
                   ? UMF_RESULT_SUCCESS
                   : UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (size != node_size) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *value = 0;
    if (node_size == sizeof(int)) {
        int number;
        memcpy(&number, arg, sizeof(number));
        *value = number > 0 ? (size_t)number : 0; // below zero: no trace
    } else {
        memcpy(value, arg, sizeof(*value));
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- nodes ---------------------------------------------------------------------------------- */

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

typedef enum ctl_kind { KIND_PARAM, KIND_TRACE, KIND_POOL, KIND_BUCKET, KIND_COUNT } ctl_kind_t;

typedef struct ctl_node {
    const char *path;
    ctl_kind_t kind;
    bool traced; /* counters: only with trace 1 and above */
    size_t what; /* parameters: offset in the settings; else ctl_counter_t */
} ctl_node_t;

#define PARAM(name)                                                                                \
    { "params." #name, KIND_PARAM, false, offsetof(disjoint_settings_t, name) }
#define COUNTERS(name, counter)                                                                    \
    {"stats." name, KIND_POOL, true, counter}, {                                                   \
        "buckets.stats." name, KIND_BUCKET, true, counter                                          \
    }

static const ctl_node_t nodes[] = {
    PARAM(slab_min_size),
    PARAM(max_poolable_size),
    PARAM(capacity),
    PARAM(min_bucket_size),
    {"params.pool_trace", KIND_TRACE, false, 0},
    {"stats.used_memory", KIND_POOL, false, COUNTER_USED},
    {"stats.reserved_memory", KIND_POOL, false, COUNTER_RESERVED},
    COUNTERS("alloc_num", COUNTER_ALLOC),
    COUNTERS("alloc_pool_num", COUNTER_ALLOC_POOL),
    COUNTERS("free_num", COUNTER_FREE),
    COUNTERS("curr_slabs_in_use", COUNTER_IN_USE),
    COUNTERS("curr_slabs_in_pool", COUNTER_IN_POOL),
    COUNTERS("max_slabs_in_use", COUNTER_MAX_IN_USE),
    COUNTERS("max_slabs_in_pool", COUNTER_MAX_IN_POOL),
    {"buckets.count", KIND_COUNT, false, 0},
    {"buckets.size", KIND_BUCKET, false, COUNTER_SIZE},
};

static const ctl_node_t *node_find(const char *path) {
    for (size_t i = 0; i < ARRAY_LENGTH(nodes); i++) {
        if (strcmp(nodes[i].path, path) == 0) {
            return &nodes[i];
        }
    }
    return NULL;
}

static umf_result_t node_write(disjoint_pool_t *pool, const ctl_node_t *node,
                               umf_ctl_query_source_t source, const void *arg, size_t size) {
    if (node->kind != KIND_PARAM && node->kind != KIND_TRACE) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t value;
    umf_result_t result = value_to_write(
        source, arg, size, node->kind == KIND_TRACE ? sizeof(int) : sizeof(size_t), &value);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("%s: the value is not a whole number of the right size", node->path);
        return result;
    }
    if (pool->ready) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (node->kind == KIND_TRACE) {
        pool->settings.trace = value < INT32_MAX ? (int)value : INT32_MAX;
        return UMF_RESULT_SUCCESS;
    }
    if (node->what == offsetof(disjoint_settings_t, min_bucket_size) && !is_pow2(value)) {
        log_error("%s=%zu: must be a power of two", node->path, value);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    memcpy((char *)&pool->settings + node->what, &value, sizeof(value));
    return UMF_RESULT_SUCCESS;
}

static umf_result_t node_read(disjoint_pool_t *pool, const ctl_node_t *node, const ctl_path_t *path,
                              void *arg, size_t size) {
    if (size != (node->kind == KIND_TRACE ? sizeof(int) : sizeof(size_t))) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (node->traced && pool->settings.trace < 1) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    size_t value = 0;
    switch (node->kind) {
    case KIND_TRACE:
        memcpy(arg, &pool->settings.trace, sizeof(int));
        return UMF_RESULT_SUCCESS;
    case KIND_PARAM:
        memcpy(&value, (const char *)&pool->settings + node->what, sizeof(value));
        break;
    case KIND_POOL:
        value = pool_read(pool, (ctl_counter_t)node->what);
        break;
    case KIND_BUCKET:
        value = bucket_read(pool, (unsigned)path->index, (ctl_counter_t)node->what);
        break;
    case KIND_COUNT:
        value = pool->bucket_count;
        break;
    }
    memcpy(arg, &value, sizeof(value));
    return UMF_RESULT_SUCCESS;
}

umf_result_t disjoint_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                          size_t size, umf_ctl_query_type_t query_type, va_list args) {
    disjoint_pool_t *pool = priv;
    ctl_path_t path;
    va_list wildcards;
    va_copy(wildcards, args);
    bool known = name != NULL && path_parse(name, wildcards, &path);
    va_end(wildcards);
    if (!known) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    if (strcmp(path.text, "post_initialize") == 0) {
        return query_type == CTL_QUERY_RUNNABLE ? disjoint_post_initialize(pool)
                                                : UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const ctl_node_t *node = node_find(path.text);
    if (node == NULL) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    if (arg == NULL || query_type == CTL_QUERY_RUNNABLE ||
        path.indexed != (node->kind == KIND_BUCKET) ||
        (path.indexed && path.index >= pool->bucket_count)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return query_type == CTL_QUERY_WRITE ? node_write(pool, node, source, arg, size)
                                         : node_read(pool, node, &path, arg, size);
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

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Operations common to the providers over the coarse block manager; see the header. */
#define _GNU_SOURCE
#include "providers/coarse_provider.h"

#include <errno.h>
#include <sys/mman.h>

#include "core/base_alloc.h"

enum { CACHE_LINE_BYTES = 64 }; /* the same on every machine: pools take it for a bucket size */

umf_result_t coarse_provider_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    coarse_provider_t *self = provider;
    umf_result_t result = coarse_alloc(self->coarse, size, alignment, ptr);
    if (result == UMF_RESULT_SUCCESS) {
        provider_stats_add(&self->stats, size);
    }
    return result;
}

umf_result_t coarse_provider_free(void *provider, void *ptr, size_t size) {
    coarse_provider_t *self = provider;
    size_t freed = 0;
    umf_result_t result = coarse_free(self->coarse, ptr, size, &freed);
    provider_stats_remove(&self->stats, freed);
    return result;
}

umf_result_t coarse_provider_split(void *provider, void *ptr, size_t total, size_t first) {
    return coarse_split(((coarse_provider_t *)provider)->coarse, ptr, total, first);
}

umf_result_t coarse_provider_merge(void *provider, void *low, void *high, size_t total) {
    return coarse_merge(((coarse_provider_t *)provider)->coarse, low, high, total);
}

umf_result_t coarse_provider_recommended_page_size(void *provider, size_t size, size_t *page_size) {
    (void)size;
    *page_size = ((coarse_provider_t *)provider)->page_size;
    return UMF_RESULT_SUCCESS;
}

umf_result_t coarse_provider_min_page_size(void *provider, const void *ptr, size_t *page_size) {
    (void)ptr;
    *page_size = ((coarse_provider_t *)provider)->page_size;
    return UMF_RESULT_SUCCESS;
}

umf_result_t coarse_provider_cache_line_size(void *provider, size_t *size) {
    (void)provider;
    *size = CACHE_LINE_BYTES;
    return UMF_RESULT_SUCCESS;
}

/* All is done in `initialize`, so that whoever runs it again does no harm. */
static umf_result_t serve_post_initialize(const ctl_call_t *call, ctl_value_t *value) {
    (void)call, (void)value;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_coarse(const ctl_call_t *call, ctl_value_t *value) {
    coarse_stats_t stats;
    coarse_get_stats(((coarse_provider_t *)call->object)->coarse, &stats);
    value->size = *(const size_t *)((const char *)&stats + call->node->what);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_page_size(const ctl_call_t *call, ctl_value_t *value) {
    value->size = ((const coarse_provider_t *)call->object)->page_size;
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t nodes[] = {
    {"params.page_size", UMF_CTL_SIZE, CTL_R, serve_page_size, 0,
     "Bytes that allocations are multiples of.", 0, 0},
    {"stats.total_memory", UMF_CTL_SIZE, CTL_R, serve_coarse, offsetof(coarse_stats_t, total_bytes),
     "Bytes of all its memory.", 0, 0},
    {"stats.free_memory", UMF_CTL_SIZE, CTL_R, serve_coarse, offsetof(coarse_stats_t, free_bytes),
     "Bytes of it that are free.", 0, 0},
    {"stats.used_blocks", UMF_CTL_SIZE, CTL_R, serve_coarse, offsetof(coarse_stats_t, used_blocks),
     "Live allocations.", 0, 0},
    {"stats.free_blocks", UMF_CTL_SIZE, CTL_R, serve_coarse, offsetof(coarse_stats_t, free_blocks),
     "Pieces that the free memory is in.", 0, 0},
    CTL_POST_INITIALIZE(serve_post_initialize),
};

const ctl_table_t coarse_provider_ctl_table = {nodes, ARRAY_LENGTH(nodes), &provider_stats_table,
                                               offsetof(coarse_provider_t, stats)};

umf_result_t coarse_provider_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                                 void *arg, size_t size, umf_ctl_query_type_t type, va_list args) {
    return ctl_serve(&coarse_provider_ctl_table, provider, source, name, arg, size, type, args);
}

umf_result_t coarse_provider_name(const coarse_provider_t *provider, const char *default_name,
                                  const char **name) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *name = provider != NULL ? provider->name : default_name;
    return UMF_RESULT_SUCCESS;
}

int coarse_provider_purge(coarse_provider_t *provider, void *ptr, size_t size) {
    size_t page = base_page_size();
    uintptr_t start = (uintptr_t)ptr;
    coarse_range_t range;
    if (!is_aligned(start, page) ||
        coarse_find_range(provider->coarse, ptr, size, &range) != UMF_RESULT_SUCCESS) {
        return EINVAL;
    }
    uintptr_t end = align_up(start + size, page);
    uintptr_t last = align_down((uintptr_t)range.base + range.size, page);
    if (end > last) {
        end = last;
    }
    if (end <= start) {
        return 0; // less than a page that is all ours
    }
    return madvise(ptr, end - start, MADV_DONTNEED) == 0 ? 0 : errno;
}

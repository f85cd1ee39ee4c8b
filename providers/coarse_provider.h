/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What the providers over the coarse block manager (FILE, DEVDAX, FIXED) have in common: most
 * operations of their ops tables.
 */
#ifndef UMF_PROVIDERS_COARSE_PROVIDER_H
#define UMF_PROVIDERS_COARSE_PROVIDER_H

#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>

#include "providers/coarse.h"
#include "providers/provider_common.h"

/* First member of each such provider's private state, so that the operations below can be put in
 * its table. */
typedef struct coarse_provider {
    coarse_t *coarse;
    size_t page_size; /* constant */
    provider_stats_t stats;
    char name[PROVIDER_NAME_BYTES]; /* constant */
} coarse_provider_t;

umf_result_t coarse_provider_alloc(void *provider, size_t size, size_t alignment, void **ptr);
umf_result_t coarse_provider_free(void *provider, void *ptr, size_t size);
umf_result_t coarse_provider_split(void *provider, void *ptr, size_t total, size_t first);
umf_result_t coarse_provider_merge(void *provider, void *low, void *high, size_t total);
umf_result_t coarse_provider_recommended_page_size(void *provider, size_t size, size_t *page_size);
umf_result_t coarse_provider_min_page_size(void *provider, const void *ptr, size_t *page_size);
umf_result_t coarse_provider_cache_line_size(void *provider, size_t *size);
extern const ctl_table_t coarse_provider_ctl_table;
umf_result_t coarse_provider_ctl(void *provider, umf_ctl_query_source_t source, const char *name,
                                 void *arg, size_t size, umf_ctl_query_type_t type, va_list args);

/* get_name: that of the instance, or default_name when provider is NULL. */
umf_result_t coarse_provider_name(const coarse_provider_t *provider, const char *default_name,
                                  const char **name);

/*
 * Drops the pages of [ptr, ptr+size). ptr must lie on a page, size need not; what shares the last
 * page goes as well, but never a page that reaches beyond the provider's memory. Returns 0 or an
 * errno value.
 */
int coarse_provider_purge(coarse_provider_t *provider, void *ptr, size_t size);

#endif /* UMF_PROVIDERS_COARSE_PROVIDER_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Tracking provider: the wrapper between a pool and its provider that keeps the address map; see
 * tracking.c. */
#ifndef UMF_CORE_TRACKING_H
#define UMF_CORE_TRACKING_H

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#include "core/utils.h"

/* Wraps upstream for pool. The wrapper never owns upstream. */
umf_result_t tracking_provider_create(umf_memory_provider_handle_t upstream,
                                      umf_memory_pool_handle_t pool,
                                      umf_memory_provider_handle_t *wrapper);
/* True when provider is such a wrapper. */
bool tracking_provider_is(umf_memory_provider_handle_t provider);
/* What a wrapper wraps (provider itself when it is none). */
umf_memory_provider_handle_t tracking_provider_upstream(umf_memory_provider_handle_t provider);
/* The pool of a wrapper, else NULL. */
umf_memory_pool_handle_t tracking_provider_pool(umf_memory_provider_handle_t provider);

#endif /* UMF_CORE_TRACKING_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What UMF_PROXY asks for, made: settings to provider (choose_provider.c) to pool
 * (choose_pool.c). */
#ifndef UMF_PROXY_CHOOSE_H
#define UMF_PROXY_CHOOSE_H

#include "config/proxy_settings.h"
#include "core/pool.h"
#include "pools/slab.h"

/* A pool as handle and, if it is one, as slab pool. */
typedef struct made_pool {
    umf_memory_pool_handle_t handle;
    slab_pool_t *slab;
} made_pool_t;

/* True when a slab pool over ordinary pages is not what the settings ask for. */
bool choose_is_needed(const proxy_settings_t *settings);

/* Errors are logged, here and below. */
umf_result_t choose_provider(const proxy_settings_t *settings,
                             umf_memory_provider_handle_t *provider);
umf_result_t choose_provider_os(const proxy_settings_t *settings,
                                umf_memory_provider_handle_t *provider);
umf_result_t choose_provider_gpu(const proxy_settings_t *settings,
                                 umf_memory_provider_handle_t *provider);
/* True when a driver has to be opened, which the first malloc of a process is too early for. */
bool choose_needs_driver(const proxy_settings_t *settings);
unsigned choose_protection(proxy_protection_t protection);

/* Makes the provider and the pool, and tries them once. */
umf_result_t choose_pool(const proxy_settings_t *settings, made_pool_t *made);

#endif /* UMF_PROXY_CHOOSE_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/pools/pool_proxy.h
 * Proxy pool: passes every request straight to its provider, one provider allocation for each
 * block.
 */
#ifndef UMF_PROXY_MEMORY_POOL_H
#define UMF_PROXY_MEMORY_POOL_H 1

#include <umf/base.h>
#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Operations of the proxy pool, for umfPoolCreate(). There are no parameters (pass NULL); the name
 * is "proxy". calloc, realloc, usable size and trim are not supported; freeing needs tracking.
 * @return table that lives as long as the library; never NULL
 */
const umf_memory_pool_ops_t *umfProxyPoolOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROXY_MEMORY_POOL_H */

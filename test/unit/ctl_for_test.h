/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the CTL tests share: short names, objects to ask, the number of a pool's live blocks. */
#ifndef UMF_TEST_CTL_FOR_TEST_H
#define UMF_TEST_CTL_FOR_TEST_H

#include <criterion/criterion.h>

#include <umf.h>
#include <umf/experimental/ctl.h>
#include <umf/providers/provider_os_memory.h>

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOPATH UMF_RESULT_ERROR_INVALID_CTL_PATH
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED

typedef umf_memory_pool_handle_t pool_t;
typedef umf_memory_provider_handle_t provider_t;

static inline provider_t os_provider(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static inline pool_t pool_on(provider_t provider, const umf_memory_pool_ops_t *ops,
                             const void *params) {
    pool_t pool = NULL;
    cr_assert_eq(umfPoolCreate(ops, provider, params, 0, &pool), OK);
    return pool;
}

static inline size_t alloc_count(pool_t pool) {
    size_t count = 999;
    cr_assert_eq(umfCtlGet("umf.pool.by_handle.{}.stats.alloc_count", &count, sizeof(count), pool),
                 OK);
    return count;
}

#endif /* UMF_TEST_CTL_FOR_TEST_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Pools from memspaces: a slab pool that owns the provider made for it. */
#include <umf/experimental/memspace.h>
#include <umf/pools/pool_slab.h>

#include "core/utils.h"

UMF_EXPORT umf_result_t umfPoolCreateFromMemspace(umf_const_memspace_handle_t hMemspace,
                                                  umf_const_mempolicy_handle_t hPolicy,
                                                  umf_memory_pool_handle_t *hPool) {
    umf_memory_provider_handle_t provider = NULL;
    if (hPool == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = umfMemoryProviderCreateFromMemspace(hMemspace, hPolicy, &provider);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    result =
        umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, hPool);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
    }
    return result;
}

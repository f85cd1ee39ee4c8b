/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The jemalloc pool's interface in a build without jemalloc: there is no pool. */
#include <umf/pools/pool_jemalloc.h>

#include "core/utils.h"

UMF_EXPORT umf_result_t umfJemallocPoolParamsCreate(umf_jemalloc_pool_params_handle_t *hParams) {
    (void)hParams;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsDestroy(umf_jemalloc_pool_params_handle_t hParams) {
    (void)hParams;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetNumArenas(umf_jemalloc_pool_params_handle_t hParams,
                                                          size_t numArenas) {
    (void)hParams, (void)numArenas;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

UMF_EXPORT umf_result_t umfJemallocPoolParamsSetName(umf_jemalloc_pool_params_handle_t hParams,
                                                     const char *name) {
    (void)hParams, (void)name;
    return UMF_RESULT_ERROR_NOT_SUPPORTED;
}

UMF_EXPORT const umf_memory_pool_ops_t *umfJemallocPoolOps(void) {
    return NULL;
}

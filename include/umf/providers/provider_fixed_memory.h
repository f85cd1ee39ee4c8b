/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_fixed_memory.h FIXED provider: hands out parts of one buffer that
 *     the caller owns. It never grows, never touches a byte outside of the buffer, and keeps its
 *     own records elsewhere.
 */
#ifndef UMF_PROVIDER_FIXED_MEMORY_H
#define UMF_PROVIDER_FIXED_MEMORY_H 1

#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** First native error code of this provider. */
#define UMF_FIXED_RESULTS_START_FROM 4000

/** Native errors, as umfMemoryProviderGetLastNativeError() reports them. */
typedef enum umf_fixed_memory_provider_native_error {
    UMF_FIXED_RESULT_SUCCESS = UMF_FIXED_RESULTS_START_FROM, /**< nothing has failed */
    UMF_FIXED_RESULT_ERROR_PURGE_FORCE_FAILED                /**< pages could not be dropped */
} umf_fixed_memory_provider_native_error_t;

/** Parameters of a FIXED provider. They may serve for several providers and be destroyed right
 * after use; one object must not be changed by two threads at once. */
typedef struct umf_fixed_memory_provider_params_t *umf_fixed_memory_provider_params_handle_t;

/**
 * Makes parameters for a buffer.
 * @param ptr     [in] first byte; need not be page-aligned, but blocks begin on pages only
 * @param size    [in] bytes, not 0
 * @param hParams [out] parameters, to be given to umfFixedMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or size 0;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfFixedMemoryProviderParamsCreate(void *ptr, size_t size,
                                                umf_fixed_memory_provider_params_handle_t *hParams);

/**
 * Chooses another buffer. The buffer stays the caller's, who keeps it until the provider is
 * destroyed.
 * @param hParams [in] parameters
 * @param ptr     [in] first byte
 * @param size    [in] bytes, not 0
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or size 0.
 */
umf_result_t
umfFixedMemoryProviderParamsSetMemory(umf_fixed_memory_provider_params_handle_t hParams, void *ptr,
                                      size_t size);

/**
 * Destroys parameters.
 * @param hParams [in] parameters; NULL is allowed
 */
umf_result_t umfFixedMemoryProviderParamsDestroy(umf_fixed_memory_provider_params_handle_t hParams);

/**
 * The provider's operations, for umfMemoryProviderCreate() together with parameters (not NULL).
 *
 * A forced purge drops the pages of the named range, as far as they lie wholly inside the buffer:
 * what they held is lost. A buffer of private memory, such as the caller's heap, reads as zero
 * there afterwards.
 */
const umf_memory_provider_ops_t *umfFixedMemoryProviderOps(void);

/**
 * Names the provider.
 * @param hParams [in] parameters
 * @param name    [in] text, copied; 63 characters are kept. Default: "FIXED"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer.
 */
umf_result_t umfFixedMemoryProviderParamsSetName(umf_fixed_memory_provider_params_handle_t hParams,
                                                 const char *name);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_FIXED_MEMORY_H */

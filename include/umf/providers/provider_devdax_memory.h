/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_devdax_memory.h
 * DEVDAX provider: hands out the memory of a device-DAX character device (`/dev/daxX.Y`).
 */
#ifndef UMF_PROVIDER_DEVDAX_MEMORY_H
#define UMF_PROVIDER_DEVDAX_MEMORY_H 1

#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** First native error code of this provider. */
#define UMF_DEVDAX_RESULTS_START_FROM 2000

/** Native errors, as umfMemoryProviderGetLastNativeError() reports them. */
typedef enum umf_devdax_memory_provider_native_error {
    UMF_DEVDAX_RESULT_SUCCESS = UMF_DEVDAX_RESULTS_START_FROM, /**< nothing has failed */
    UMF_DEVDAX_RESULT_ERROR_ALLOC_FAILED,                      /**< memory could not be mapped */
    UMF_DEVDAX_RESULT_ERROR_ADDRESS_NOT_ALIGNED, /**< memory is not aligned as asked */
    UMF_DEVDAX_RESULT_ERROR_FREE_FAILED,         /**< memory could not be unmapped */
    UMF_DEVDAX_RESULT_ERROR_PURGE_FORCE_FAILED   /**< pages could not be dropped */
} umf_devdax_memory_provider_native_error_t;

/** Parameters of a DEVDAX provider. They may serve for several providers and be destroyed right
 * after use; one object must not be changed by two threads at once. */
typedef struct umf_devdax_memory_provider_params_t *umf_devdax_memory_provider_params_handle_t;

/**
 * Makes parameters: protection read and write.
 * @param path    [in] device, copied; must begin with `/dev/dax` for the provider to accept it
 * @param size    [in] bytes of the device to use, from its start; must not be 0 for the provider to
 *     accept it
 * @param hParams [out] parameters, to be given to umfDevDaxMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or an empty path;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t
umfDevDaxMemoryProviderParamsCreate(const char *path, size_t size,
                                    umf_devdax_memory_provider_params_handle_t *hParams);

/**
 * Destroys parameters.
 * @param hParams [in] parameters; NULL is allowed
 */
umf_result_t
umfDevDaxMemoryProviderParamsDestroy(umf_devdax_memory_provider_params_handle_t hParams);

/**
 * Chooses another device.
 * @param hParams [in] parameters
 * @param path    [in] device, copied
 * @param size    [in] bytes of it to use
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or an empty path;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY (the old device stays).
 */
umf_result_t
umfDevDaxMemoryProviderParamsSetDeviceDax(umf_devdax_memory_provider_params_handle_t hParams,
                                          const char *path, size_t size);

/**
 * Sets how the memory may be accessed.
 * @param hParams    [in] parameters
 * @param protection [in] UMF_PROTECTION_… bits, at least one. Default: read and write
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, no bit is set, or an unknown one.
 */
umf_result_t
umfDevDaxMemoryProviderParamsSetProtection(umf_devdax_memory_provider_params_handle_t hParams,
                                           unsigned protection);

/**
 * Names the provider.
 * @param hParams [in] parameters
 * @param name    [in] text, copied; 63 characters are kept. Default: "DEVDAX"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer.
 */
umf_result_t
umfDevDaxMemoryProviderParamsSetName(umf_devdax_memory_provider_params_handle_t hParams,
                                     const char *name);

/** The provider's operations, for umfMemoryProviderCreate() together with parameters (not NULL). */
const umf_memory_provider_ops_t *umfDevDaxMemoryProviderOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_DEVDAX_MEMORY_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_file_memory.h FILE provider: hands out memory that is mapped from a
 *     regular file, which grows as needed. The file may lie on a disk, on tmpfs, or on persistent
 *     memory (FS-DAX).
 */
#ifndef UMF_PROVIDER_FILE_MEMORY_H
#define UMF_PROVIDER_FILE_MEMORY_H 1

#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** First native error code of this provider. */
#define UMF_FILE_RESULTS_START_FROM 3000

/** Native errors, as umfMemoryProviderGetLastNativeError() reports them. */
typedef enum umf_file_memory_provider_native_error {
    UMF_FILE_RESULT_SUCCESS = UMF_FILE_RESULTS_START_FROM, /**< nothing has failed */
    UMF_FILE_RESULT_ERROR_ALLOC_FAILED,      /**< the file could not grow or be mapped */
    UMF_FILE_RESULT_ERROR_FREE_FAILED,       /**< memory could not be unmapped */
    UMF_FILE_RESULT_ERROR_PURGE_FORCE_FAILED /**< pages could not be dropped */
} umf_file_memory_provider_native_error_t;

/** Parameters of a FILE provider. They may serve for several providers and be destroyed right after
 * use; one object must not be changed by two threads at once. */
typedef struct umf_file_memory_provider_params_t *umf_file_memory_provider_params_handle_t;

/**
 * Makes parameters: protection read and write, private visibility.
 * @param path    [in] file, copied; not empty, shorter than PATH_MAX for the provider to accept it
 * @param hParams [out] parameters, to be given to umfFileMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or an empty path;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfFileMemoryProviderParamsCreate(const char *path,
                                               umf_file_memory_provider_params_handle_t *hParams);

/**
 * Destroys parameters.
 * @param hParams [in] parameters; NULL is allowed
 */
umf_result_t umfFileMemoryProviderParamsDestroy(umf_file_memory_provider_params_handle_t hParams);

/**
 * Chooses another file. It is made if it does not exist. **An existing file is cut (or extended) to
 * 2 MiB** when a provider is created on it; it is never removed.
 * @param hParams [in] parameters
 * @param path    [in] file, copied
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer, or an empty path;
 *     UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY (the old path stays).
 */
umf_result_t umfFileMemoryProviderParamsSetPath(umf_file_memory_provider_params_handle_t hParams,
                                                const char *path);

/**
 * Sets how the memory may be accessed. The value is checked when a provider is created.
 * @param hParams    [in] parameters
 * @param protection [in] UMF_PROTECTION_… bits. Default: read and write
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t
umfFileMemoryProviderParamsSetProtection(umf_file_memory_provider_params_handle_t hParams,
                                         unsigned protection);

/**
 * Sets who sees the memory. The value is checked when a provider is created.
 * @param hParams    [in] parameters
 * @param visibility [in] private (the default): what is written never reaches the file; shared: it
 *     does
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t
umfFileMemoryProviderParamsSetVisibility(umf_file_memory_provider_params_handle_t hParams,
                                         umf_memory_visibility_t visibility);

/**
 * The provider's operations, for umfMemoryProviderCreate() together with parameters (not NULL).
 *
 * A file that can not grow makes an allocation fail with UMF_RESULT_ERROR_UNKNOWN; the native error
 * says why, and all memory handed out before stays good.
 */
const umf_memory_provider_ops_t *umfFileMemoryProviderOps(void);

/**
 * Names the provider.
 * @param hParams [in] parameters
 * @param name    [in] text, copied; 63 characters are kept. Default: "FILE"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer.
 */
umf_result_t umfFileMemoryProviderParamsSetName(umf_file_memory_provider_params_handle_t hParams,
                                                const char *name);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_FILE_MEMORY_H */

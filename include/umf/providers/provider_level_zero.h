/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_level_zero.h LEVEL_ZERO provider: host, device and shared memory
 *     (USM) of Level Zero drivers. The loader (`libze_loader.so.1`, or what the environment
 *     variable `UMF_ZE_LOADER_LIB_NAME` names) is opened when first needed; neither building nor
 *     linking needs it.
 */
#ifndef UMF_PROVIDER_LEVEL_ZERO_H
#define UMF_PROVIDER_LEVEL_ZERO_H 1

#include <stdbool.h>

#include <umf/memory_provider_gpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A device, as in the Level Zero headers. */
typedef struct _ze_device_handle_t *ze_device_handle_t;
/** A context, as in the Level Zero headers. */
typedef struct _ze_context_handle_t *ze_context_handle_t;

/** Parameters of a LEVEL_ZERO provider. They may serve for several providers and be destroyed right
 * after use; one object must not be changed by two threads at once. */
typedef struct umf_level_zero_memory_provider_params_t
    *umf_level_zero_memory_provider_params_handle_t;

/** When memory that was given back is really released. All but the default need a driver with
 * zeMemFreeExt. */
typedef enum umf_level_zero_memory_provider_free_policy_t {
    UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFAULT = 0,       /**< at once */
    UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_BLOCKING_FREE = 1, /**< after waiting for commands
                                                                     that use it */
    UMF_LEVEL_ZERO_MEMORY_PROVIDER_FREE_POLICY_DEFER_FREE = 2     /**< later, without waiting */
} umf_level_zero_memory_provider_free_policy_t;

/**
 * Makes parameters. Context, device and memory type are yet to be set.
 * @param hParams [out] parameters, to be given to umfLevelZeroMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t
umfLevelZeroMemoryProviderParamsCreate(umf_level_zero_memory_provider_params_handle_t *hParams);

/**
 * Destroys parameters.
 * @param hParams [in] parameters; NULL is allowed
 */
umf_result_t
umfLevelZeroMemoryProviderParamsDestroy(umf_level_zero_memory_provider_params_handle_t hParams);

/**
 * Chooses the context. It stays the caller's, who keeps it until the provider is destroyed.
 * @param hParams  [in] parameters
 * @param hContext [in] context
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL handle.
 */
umf_result_t
umfLevelZeroMemoryProviderParamsSetContext(umf_level_zero_memory_provider_params_handle_t hParams,
                                           ze_context_handle_t hContext);

/**
 * Chooses the device.
 * @param hParams [in] parameters
 * @param hDevice [in] device; NULL for host memory, and only for that
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t
umfLevelZeroMemoryProviderParamsSetDevice(umf_level_zero_memory_provider_params_handle_t hParams,
                                          ze_device_handle_t hDevice);

/**
 * Chooses the kind of memory.
 * @param hParams    [in] parameters
 * @param memoryType [in] UMF_MEMORY_TYPE_HOST, _DEVICE or _SHARED; others fail when the provider is
 *     made
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfLevelZeroMemoryProviderParamsSetMemoryType(
    umf_level_zero_memory_provider_params_handle_t hParams, umf_usm_memory_type_t memoryType);

/**
 * Lists the devices on which every allocation is made resident.
 * @param hParams     [in] parameters
 * @param hDevices    [in] devices; the array is read when a provider is made and must live until
 *     then. May be NULL with deviceCount 0
 * @param deviceCount [in] their number; 0: none
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, the array is missing, or a device is
 *     in it twice.
 */
umf_result_t umfLevelZeroMemoryProviderParamsSetResidentDevices(
    umf_level_zero_memory_provider_params_handle_t hParams, ze_device_handle_t *hDevices,
    uint32_t deviceCount);

/**
 * Chooses when freed memory is released.
 * @param hParams [in] parameters
 * @param policy  [in] one of the three
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, or no such policy.
 */
umf_result_t umfLevelZeroMemoryProviderParamsSetFreePolicy(
    umf_level_zero_memory_provider_params_handle_t hParams,
    umf_level_zero_memory_provider_free_policy_t policy);

/**
 * Chooses which of the device's memories is used.
 * @param hParams       [in] parameters
 * @param deviceOrdinal [in] index as in zeDeviceGetMemoryProperties; 0 unless set
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfLevelZeroMemoryProviderParamsSetDeviceOrdinal(
    umf_level_zero_memory_provider_params_handle_t hParams, uint32_t deviceOrdinal);

/**
 * Names the provider.
 * @param hParams [in] parameters
 * @param name    [in] text, copied; 63 characters are kept. Default: "LEVEL_ZERO"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer.
 */
umf_result_t
umfLevelZeroMemoryProviderParamsSetName(umf_level_zero_memory_provider_params_handle_t hParams,
                                        const char *name);

/**
 * Adds a device to, or takes it from, those on which the provider's memory is resident: all live
 * allocations now, new ones from now on. Either all of it happens or nothing. Thread-safe.
 * @param provider  [in] a LEVEL_ZERO provider
 * @param device    [in] device
 * @param is_adding [in] true: make resident there; false: evict
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL handle, another kind of provider, the device is
 *     in the list already (or not in it); UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC: the driver
 *     refused; UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY; UMF_RESULT_ERROR_NOT_SUPPORTED: the library was
 *     torn down.
 */
umf_result_t umfLevelZeroMemoryProviderResidentDeviceChange(umf_memory_provider_handle_t provider,
                                                            ze_device_handle_t device,
                                                            bool is_adding);

/**
 * The provider's operations, for umfMemoryProviderCreate() together with parameters.
 *
 * Creation fails with UMF_RESULT_ERROR_INVALID_ARGUMENT without parameters or context, for host
 * memory with a device, and for other memory without; with
 * UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE without a loader; with UMF_RESULT_ERROR_NOT_SUPPORTED
 * for a free policy that the loader has no function for. It asks the driver for one small
 * allocation and gives it back.
 *
 * Failures of the driver become UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY,
 * UMF_RESULT_ERROR_INVALID_ARGUMENT, else UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC.
 * umfMemoryProviderGetLastNativeError() stores the driver's number and returns
 * UMF_RESULT_ERROR_NOT_SUPPORTED without a text; umfLevelZeroErrorText()
 * (provider_level_zero_ext.h) has the text, and the log says it with each failure. The CTL node
 * `params.use_import_export_for_IPC` (int, 0) makes device memory that is allocated from then on
 * shared by exported file descriptors instead of the driver's IPC handles.
 */
const umf_memory_provider_ops_t *umfLevelZeroMemoryProviderOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_LEVEL_ZERO_H */

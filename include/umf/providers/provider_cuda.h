/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_cuda.h CUDA provider: device, pinned host and managed memory of an
 *     NVIDIA driver. The driver (`libcuda.so.1`) is opened when first needed; neither building nor
 *     linking needs it. Context and device are the driver API's (`CUcontext`, `CUdevice`); this
 *     header does without its types.
 */
#ifndef UMF_PROVIDER_CUDA_H
#define UMF_PROVIDER_CUDA_H 1

#include <umf/memory_provider_gpu.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Parameters of a CUDA provider. They may serve for several providers and be destroyed right after
 * use; one object must not be changed by two threads at once. */
typedef struct umf_cuda_memory_provider_params_t *umf_cuda_memory_provider_params_handle_t;

/**
 * Makes parameters. Context and device are those that are current for the calling thread, if any;
 * the memory type is yet to be set.
 * @param hParams [out] parameters, to be given to umfCUDAMemoryProviderParamsDestroy()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: NULL; UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE: there
 *     is no usable `libcuda.so.1` (a later call looks again); UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY.
 */
umf_result_t umfCUDAMemoryProviderParamsCreate(umf_cuda_memory_provider_params_handle_t *hParams);

/**
 * Destroys parameters.
 * @param hParams [in] parameters; NULL is allowed
 */
umf_result_t umfCUDAMemoryProviderParamsDestroy(umf_cuda_memory_provider_params_handle_t hParams);

/**
 * Chooses the context. It stays the caller's, who keeps it until the provider is destroyed. Any
 * thread may use the provider: its own current context is put back after each call.
 * @param hParams  [in] parameters
 * @param hContext [in] a CUcontext
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfCUDAMemoryProviderParamsSetContext(umf_cuda_memory_provider_params_handle_t hParams,
                                                   void *hContext);

/**
 * Chooses the device.
 * @param hParams [in] parameters
 * @param hDevice [in] a CUdevice, the one that the context belongs to
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t umfCUDAMemoryProviderParamsSetDevice(umf_cuda_memory_provider_params_handle_t hParams,
                                                  int hDevice);

/**
 * Chooses the kind of memory: UMF_MEMORY_TYPE_DEVICE, UMF_MEMORY_TYPE_HOST (pinned) or
 * UMF_MEMORY_TYPE_SHARED (managed).
 * @param hParams    [in] parameters
 * @param memoryType [in] one of the three; others fail when the provider is made
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t
umfCUDAMemoryProviderParamsSetMemoryType(umf_cuda_memory_provider_params_handle_t hParams,
                                         umf_usm_memory_type_t memoryType);

/**
 * Sets the flags given to the driver: those of cuMemHostAlloc for host memory, those of
 * cuMemAllocManaged for shared memory (0 means CU_MEM_ATTACH_GLOBAL). Device memory has none.
 * @param hParams [in] parameters
 * @param flags   [in] bits; the driver checks them at each allocation
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL.
 */
umf_result_t
umfCUDAMemoryProviderParamsSetAllocFlags(umf_cuda_memory_provider_params_handle_t hParams,
                                         unsigned int flags);

/**
 * Names the provider.
 * @param hParams [in] parameters
 * @param name    [in] text, copied; 63 characters are kept. Default: "CUDA"
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: a NULL pointer.
 */
umf_result_t umfCUDAMemoryProviderParamsSetName(umf_cuda_memory_provider_params_handle_t hParams,
                                                const char *name);

/**
 * The provider's operations, for umfMemoryProviderCreate() together with parameters.
 *
 * Creation fails with UMF_RESULT_ERROR_INVALID_ARGUMENT without parameters, memory type, context or
 * device; with UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE without a driver. Failures of the driver
 * become UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY (CUDA_ERROR_OUT_OF_MEMORY),
 * UMF_RESULT_ERROR_INVALID_ARGUMENT (invalid value or handle), UMF_RESULT_ERROR_OUT_OF_RESOURCES
 * (the driver has shut down), else UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
 * umfMemoryProviderGetLastNativeError() gives the driver's number, name and text of all of them.
 * Alignments above the device's allocation granularity are not supported. Memory that other
 * processes can open is device memory only. A forked child can not use the provider: the driver
 * does not work there.
 */
const umf_memory_provider_ops_t *umfCUDAMemoryProviderOps(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_PROVIDER_CUDA_H */

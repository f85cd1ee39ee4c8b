/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/memory_provider_gpu.h
 * What the providers of GPU memory have in common.
 */
#ifndef UMF_MEMORY_PROVIDER_GPU_H
#define UMF_MEMORY_PROVIDER_GPU_H 1

#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Kinds of unified shared memory (USM). */
typedef enum umf_usm_memory_type_t {
    UMF_MEMORY_TYPE_UNKNOWN = 0, /**< not known, or no USM memory */
    UMF_MEMORY_TYPE_HOST = 1,    /**< on the host, devices can reach it */
    UMF_MEMORY_TYPE_DEVICE = 2,  /**< on a device, the host can not reach it */
    UMF_MEMORY_TYPE_SHARED = 3   /**< moves between host and device */
} umf_usm_memory_type_t;

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_PROVIDER_GPU_H */

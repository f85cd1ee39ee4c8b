/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the GPU providers; rows in keys_gpu.c. */
#ifndef UMF_CONFIG_KEYS_GPU_H
#define UMF_CONFIG_KEYS_GPU_H

#include "config/settings.h"

/* In the order of the words in the rows. */
typedef enum proxy_gpu_memory { PROXY_GPU_MEMORY_SHARED, PROXY_GPU_MEMORY_HOST } proxy_gpu_memory_t;

typedef struct proxy_gpu_settings {
    proxy_gpu_memory_t memory;
    uint64_t device; /* number, from 0 */
} proxy_gpu_settings_t;

extern const settings_section_t proxy_keys_gpu;

#endif /* UMF_CONFIG_KEYS_GPU_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* CUDA provider: what is not in its public header. */
#ifndef UMF_PROVIDERS_PROVIDER_CUDA_H
#define UMF_PROVIDERS_PROVIDER_CUDA_H

#include <umf/memory_provider_gpu.h>

#include "providers/provider_common.h"

/* Its CTL nodes; the object is the provider's private state. */
extern const ctl_table_t cuda_provider_ctl_table;

/*
 * A provider from nothing: starts the driver and takes the device of that number with its primary
 * context, which is kept until the process ends. `name` may be NULL. What is wrong is logged, e.g.
 * how many devices there are.
 */
umf_result_t cuda_provider_from_nothing(umf_usm_memory_type_t type, unsigned device,
                                        const char *name, umf_memory_provider_handle_t *provider);

#endif /* UMF_PROVIDERS_PROVIDER_CUDA_H */

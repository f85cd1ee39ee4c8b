/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Pool handle; see pool.c. */
#ifndef UMF_CORE_POOL_H
#define UMF_CORE_POOL_H

#include <umf/memory_pool.h>
#include <umf/memory_pool_ops.h>

#include "core/utils.h"

#define UMF_POOL_MAGIC UINT32_C(0x4c464d55) /* "UMFL" */

struct umf_memory_pool_t {
    void *priv; /* of the implementation; first with ops.malloc/free near it: one line for the hot
                   calls */
    umf_memory_pool_ops_t ops;             /* complete */
    umf_memory_provider_handle_t provider; /* the user's */
    umf_memory_provider_handle_t
        tracking; /* wrapper given to the implementation; NULL when tracking is disabled */
    umf_pool_create_flags_t flags;
    uint32_t magic;
    _Atomic(void *) tag;
    struct umf_memory_pool_t
        *next_by_name; /* live pools in creation order; under the registry lock */
};

#endif /* UMF_CORE_POOL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Parameter object of the OS provider; see os_params.c. */
#ifndef UMF_PROVIDERS_OS_PARAMS_H
#define UMF_PROVIDERS_OS_PARAMS_H

#include <umf/providers/provider_os_memory.h>
#include <umf/providers/provider_os_memory_ext.h>

#include "core/utils.h"
#include "providers/provider_common.h"

/* Value of a live object's first word. Some callers hand over the address of the handle instead of
 * the handle; the word tells. */
#define OS_PARAMS_MAGIC UINT64_C(0x314d415241505346) /* "FSPARAM1" */

/* Values are as the user gave them, unchecked. */
struct umf_os_memory_provider_params_t {
    uint64_t magic;
    unsigned protection; /* UMF_PROTECTION_ bits */
    umf_memory_visibility_t visibility;
    char *shm_name;    /* owned; NULL: anonymous */
    bool plain_memory; /* see os_params_set_plain_memory */
    unsigned *nodes;   /* owned */
    unsigned node_count;
    umf_numa_mode_t numa_mode;
    size_t part_size;
    umf_numa_split_partition_t *partitions; /* owned */
    unsigned partition_count;
    size_t page_size; /* 0: the system's choice; else a checked value */
    umf_os_page_policy_t page_policy;
    char name[PROVIDER_NAME_BYTES];
};

/* True when params points to a live parameter object. */
bool os_params_valid(const struct umf_os_memory_provider_params_t *params);

#endif /* UMF_PROVIDERS_OS_PARAMS_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the memory that the operating system gives: pages, NUMA, sharing; rows in keys_os.c. */
#ifndef UMF_CONFIG_KEYS_OS_H
#define UMF_CONFIG_KEYS_OS_H

#include "config/keys_providers.h"

/* The order of each enum is that of the words in its row. */
typedef enum proxy_disposition {
    PROXY_DISPOSITION_PRIVATE,
    PROXY_DISPOSITION_SHARED_SHM, /* a named object in /dev/shm */
    PROXY_DISPOSITION_SHARED_FD,  /* an anonymous file */
} proxy_disposition_t;

typedef enum proxy_numa_mode {
    PROXY_NUMA_DEFAULT,
    PROXY_NUMA_BIND,
    PROXY_NUMA_INTERLEAVE,
    PROXY_NUMA_PREFERRED,
    PROXY_NUMA_SPLIT,
    PROXY_NUMA_LOCAL,
} proxy_numa_mode_t;

typedef enum proxy_page_size {
    PROXY_PAGE_DEFAULT,
    PROXY_PAGE_TRANSPARENT,
    PROXY_PAGE_2M,
    PROXY_PAGE_1G,
} proxy_page_size_t;

/* After NONE in the order of memspace_kind_t. */
typedef enum proxy_memspace {
    PROXY_MEMSPACE_NONE,
    PROXY_MEMSPACE_HOST_ALL,
    PROXY_MEMSPACE_HIGHEST_CAPACITY,
    PROXY_MEMSPACE_HIGHEST_BANDWIDTH,
    PROXY_MEMSPACE_LOWEST_LATENCY,
    PROXY_MEMSPACE_LOCAL_BANDWIDTH,
    PROXY_MEMSPACE_LOCAL_LATENCY,
} proxy_memspace_t;

enum { PROXY_SHM_NAME_BYTES = 128 };

typedef struct proxy_os_settings {
    proxy_disposition_t disposition;
    char shm_name[PROXY_SHM_NAME_BYTES]; /* only with PROXY_DISPOSITION_SHARED_SHM; "": by pid */
    proxy_protection_t protection;
    proxy_page_size_t page_size;
    bool page_strict;          /* fail instead of falling back to ordinary pages */
    proxy_memspace_t memspace; /* not NONE only with PROXY_NUMA_DEFAULT and private memory */
    proxy_numa_mode_t numa_mode;
    settings_nodes_t numa_nodes; /* fits numa_mode: empty where the mode takes no nodes */
    uint64_t numa_part_size;     /* bytes; not 0 only with PROXY_NUMA_INTERLEAVE */
    settings_weights_t
        numa_partitions; /* only with PROXY_NUMA_SPLIT; names nodes of numa_nodes only */
} proxy_os_settings_t;

extern const settings_section_t proxy_keys_os;

#endif /* UMF_CONFIG_KEYS_OS_H */

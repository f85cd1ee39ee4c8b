/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the slab pool; rows in keys_slab.c. */
#ifndef UMF_CONFIG_KEYS_SLAB_H
#define UMF_CONFIG_KEYS_SLAB_H

#include "config/settings.h"

typedef struct proxy_slab_settings {
    uint64_t chunk_size;     /* bytes, a multiple of 64 KiB; 0: the pool's own choice */
    uint64_t purge_delay_ms; /* 0: at once */
    bool keep_all;           /* never give memory back */
} proxy_slab_settings_t;

extern const settings_section_t proxy_keys_slab;

#endif /* UMF_CONFIG_KEYS_SLAB_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys that choose what serves malloc; rows in keys_choice.c. */
#ifndef UMF_CONFIG_KEYS_CHOICE_H
#define UMF_CONFIG_KEYS_CHOICE_H

#include "config/settings.h"

/* In the order of the words in the row. */
typedef enum proxy_pool { PROXY_POOL_SLAB, PROXY_POOL_PROXY } proxy_pool_t;

typedef struct proxy_choice_settings {
    proxy_pool_t pool;
    uint64_t size_threshold; /* bytes; smaller requests go to the system's malloc; 0: none */
} proxy_choice_settings_t;

extern const settings_section_t proxy_keys_choice;

#endif /* UMF_CONFIG_KEYS_CHOICE_H */

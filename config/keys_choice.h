/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys that choose what serves malloc; rows in keys_choice.c. */
#ifndef UMF_CONFIG_KEYS_CHOICE_H
#define UMF_CONFIG_KEYS_CHOICE_H

#include "config/settings.h"

/* In the order of the words in the row. */
typedef enum proxy_pool {
    PROXY_POOL_SLAB,
    PROXY_POOL_SCALABLE,
    PROXY_POOL_JEMALLOC,
    PROXY_POOL_DISJOINT,
    PROXY_POOL_PROXY,
} proxy_pool_t;

typedef enum proxy_provider {
    PROXY_PROVIDER_OS,
    PROXY_PROVIDER_FILE,
    PROXY_PROVIDER_DEVDAX,
    PROXY_PROVIDER_FIXED,
    PROXY_PROVIDER_LEVEL_ZERO,
    PROXY_PROVIDER_CUDA,
} proxy_provider_t;

/* The memory that the settings ask for has run out, or can not be had at all. */
typedef enum proxy_on_exhausted {
    PROXY_ON_EXHAUSTED_FALLBACK, /* ordinary pages, said once */
    PROXY_ON_EXHAUSTED_NULL,     /* malloc fails */
    PROXY_ON_EXHAUSTED_ABORT,
} proxy_on_exhausted_t;

enum { PROXY_NAME_BYTES = 64, PROXY_PROGRAMS_BYTES = 512 };

typedef struct proxy_choice_settings {
    proxy_pool_t pool;
    proxy_provider_t provider;
    char pool_name[PROXY_NAME_BYTES]; /* "": the pool's own */
    char provider_name[PROXY_NAME_BYTES];
    proxy_on_exhausted_t on_exhausted;
    char only[PROXY_PROGRAMS_BYTES];   /* names of programs that the settings are for; "": all */
    char except[PROXY_PROGRAMS_BYTES]; /* names of programs that they are not for */
    uint64_t size_threshold; /* bytes; smaller requests go to the system's malloc; 0: none */
} proxy_choice_settings_t;

extern const settings_section_t proxy_keys_choice;

#endif /* UMF_CONFIG_KEYS_CHOICE_H */

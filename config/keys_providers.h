/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keys of the providers other than the operating system's; rows in keys_providers.c. */
#ifndef UMF_CONFIG_KEYS_PROVIDERS_H
#define UMF_CONFIG_KEYS_PROVIDERS_H

#include "config/settings.h"

enum { PROXY_PATH_BYTES = 1024 };

/* In the order of the words in the rows. */
typedef enum proxy_protection { PROXY_PROTECTION_RW, PROXY_PROTECTION_RWX } proxy_protection_t;
typedef enum proxy_visibility {
    PROXY_VISIBILITY_SHARED,
    PROXY_VISIBILITY_PRIVATE
} proxy_visibility_t;

typedef struct proxy_file_settings {
    char path[PROXY_PATH_BYTES]; /* not "" with provider=file */
    proxy_visibility_t visibility;
    proxy_protection_t protection;
} proxy_file_settings_t;

typedef struct proxy_devdax_settings {
    char path[PROXY_PATH_BYTES]; /* not "" with provider=devdax */
    uint64_t size;               /* bytes; 0: the whole device */
    proxy_protection_t protection;
} proxy_devdax_settings_t;

typedef struct proxy_fixed_settings {
    uint64_t size; /* bytes; not 0 with provider=fixed */
} proxy_fixed_settings_t;

extern const settings_section_t proxy_keys_providers;

#endif /* UMF_CONFIG_KEYS_PROVIDERS_H */

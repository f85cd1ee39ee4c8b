/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the parameter objects and names of all pools have in common. */
#ifndef UMF_POOLS_POOL_COMMON_H
#define UMF_POOLS_POOL_COMMON_H

#include <umf/base.h>

#include "core/utils.h"

enum { POOL_NAME_BYTES = 64 }; /* of a pool's name, with the end */

/* A parameter object of `bytes` bytes that begins as a copy of `defaults`; *out (a handle of any
 * type) is written on success. */
umf_result_t pool_params_create(void *out, const void *defaults, size_t bytes);

/* Body of a setter of one member. */
#define POOL_PARAMS_SET(handle, member, value)                                                     \
    do {                                                                                           \
        if ((handle) == NULL) {                                                                    \
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;                                              \
        }                                                                                          \
        (handle)->member = (value);                                                                \
        return UMF_RESULT_SUCCESS;                                                                 \
    } while (0)

/* Copies at most POOL_NAME_BYTES - 1 characters. INVALID_ARGUMENT: one of both is NULL. */
umf_result_t pool_name_set(char *into, const char *name);

/* Answer of an operation get_name. INVALID_ARGUMENT: out is NULL. */
umf_result_t pool_name_get(const char *name, const char **out);

#endif /* UMF_POOLS_POOL_COMMON_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See pool_common.h. */
#include "pools/pool_common.h"

#include <string.h>

#include "core/base_alloc.h"

umf_result_t pool_params_create(void *out, const void *defaults, size_t bytes) {
    if (out == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    void *params = base_alloc(bytes);
    if (params == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    memcpy(params, defaults, bytes);
    memcpy(out, &params, sizeof(params));
    return UMF_RESULT_SUCCESS;
}

umf_result_t pool_name_set(char *into, const char *name) {
    if (into == NULL || name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t length = strnlen(name, POOL_NAME_BYTES - 1);
    memset(into, 0, POOL_NAME_BYTES);
    memcpy(into, name, length);
    return UMF_RESULT_SUCCESS;
}

umf_result_t pool_name_get(const char *name, const char **out) {
    if (out == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *out = name;
    return UMF_RESULT_SUCCESS;
}

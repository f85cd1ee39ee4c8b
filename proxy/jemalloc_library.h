/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The jemalloc pool, which is in libumf.so.1 but not in this library; see jemalloc_library.c. */
#ifndef UMF_PROXY_JEMALLOC_LIBRARY_H
#define UMF_PROXY_JEMALLOC_LIBRARY_H

#include <umf/pools/pool_jemalloc.h>

typedef struct jemalloc_library {
    umf_result_t (*params_create)(umf_jemalloc_pool_params_handle_t *params);
    umf_result_t (*params_destroy)(umf_jemalloc_pool_params_handle_t params);
    umf_result_t (*set_num_arenas)(umf_jemalloc_pool_params_handle_t params, size_t arenas);
    umf_result_t (*set_name)(umf_jemalloc_pool_params_handle_t params, const char *name);
    const umf_memory_pool_ops_t *(*ops)(void); /* its answer is not NULL */
} jemalloc_library_t;

/* DEPENDENCY_UNAVAILABLE: there is no libumf, or it was built without jemalloc; the log says so. */
umf_result_t jemalloc_library_open(const jemalloc_library_t **library);

#endif /* UMF_PROXY_JEMALLOC_LIBRARY_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See disjoint_for_test.h. */
#define _GNU_SOURCE
#include "test/unit/disjoint_for_test.h"

#include <criterion/criterion.h>
#include <sys/mman.h>

#include "core/pool.h"

/* ---- a provider whose memory nobody can touch ----------------------------------------------- */

static umf_result_t none_initialize(const void *params, void **priv) {
    *priv = (void *)(uintptr_t)params;
    return OK;
}

static umf_result_t none_finalize(void *priv) {
    (void)priv;
    return OK;
}

static umf_result_t none_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    none_provider_t *state = priv;
    fetch_add_relaxed(&state->allocs, 1);
    store_relaxed(&state->last_size, size);
    store_relaxed(&state->last_alignment, alignment);
    // the whole reserve stays: leaving parts of it mapped disturbs nobody in a test
    size_t shift = alignment <= 1 ? state->shift : 0;
    size_t extra = (alignment > 4096 ? alignment : 0) + shift;
    char *block =
        mmap(NULL, size + extra, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED) {
        return OOM;
    }
    *ptr = (char *)align_up((uintptr_t)block, alignment > 4096 ? alignment : 1) + shift;
    return OK;
}

static umf_result_t none_free(void *priv, void *ptr, size_t size) {
    none_provider_t *state = priv;
    umf_memory_pool_handle_t owner;
    fetch_add_relaxed(&state->frees, 1);
    if (umfPoolByPtr(ptr, &owner) == OK) {
        state->known_during_free = true;
    }
    if (state->fail_free) {
        return SPECIFIC;
    }
    uintptr_t page = align_down((uintptr_t)ptr, 4096);
    munmap((void *)page, size + ((uintptr_t)ptr - page));
    return OK;
}

static umf_result_t none_native_error(void *priv, const char **message, int32_t *error) {
    (void)priv;
    *message = "";
    *error = 0;
    return OK;
}

static umf_result_t none_recommended_page(void *priv, size_t size, size_t *page) {
    (void)priv, (void)size;
    *page = 4096;
    return OK;
}

static umf_result_t none_min_page(void *priv, const void *ptr, size_t *page) {
    (void)ptr;
    *page = ((none_provider_t *)priv)->page != 0 ? ((none_provider_t *)priv)->page : 4096;
    return OK;
}

static umf_result_t none_name(void *priv, const char **name) {
    (void)priv;
    *name = "none";
    return OK;
}

static umf_result_t none_cache_line(void *priv, size_t *size) {
    (void)priv;
    *size = 64;
    return OK;
}

const umf_memory_provider_ops_t none_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = none_initialize,
    .finalize = none_finalize,
    .alloc = none_alloc,
    .free = none_free,
    .get_last_native_error = none_native_error,
    .get_recommended_page_size = none_recommended_page,
    .get_min_page_size = none_min_page,
    .get_name = none_name,
    .get_cache_line_size = none_cache_line,
};

/* ---- fixture -------------------------------------------------------------------------------- */

none_provider_t none;
test_provider_t counted;
umf_memory_provider_handle_t provider;
umf_memory_pool_handle_t pool;

static umf_disjoint_pool_params_handle_t params_for(const setup_t *setup) {
    umf_disjoint_pool_params_handle_t params = NULL;
    cr_assert_eq(umfDisjointPoolParamsCreate(&params), OK);
    if (setup->slab_min_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetSlabMinSize(params, setup->slab_min_size), OK);
    }
    if (setup->max_poolable_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetMaxPoolableSize(params, setup->max_poolable_size), OK);
    }
    if (setup->min_bucket_size != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetMinBucketSize(params, setup->min_bucket_size), OK);
    }
    if (setup->capacity_plus1 != 0) {
        cr_assert_eq(umfDisjointPoolParamsSetCapacity(params, setup->capacity_plus1 - 1), OK);
    }
    cr_assert_eq(umfDisjointPoolParamsSetTrace(params, setup->trace), OK);
    cr_assert_eq(umfDisjointPoolParamsSetSharedLimits(params, setup->limits), OK);
    return params;
}

umf_memory_pool_handle_t pool_with(umf_memory_provider_handle_t from, const setup_t *setup) {
    umf_memory_pool_handle_t created = NULL;
    umf_disjoint_pool_params_handle_t params = params_for(setup);
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), from, params, setup->flags, &created), OK);
    cr_assert_eq(umfDisjointPoolParamsDestroy(params), OK);
    return created;
}

void set_up(const setup_t *setup) {
    cr_assert_eq(umfMemoryProviderCreate(&none_ops, &none, &provider), OK);
    pool = pool_with(provider, setup);
}

void tear_down(void) {
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    cr_assert_eq(load_relaxed(&none.allocs), load_relaxed(&none.frees), "all memory went back");
}

umf_result_t ctl(umf_memory_pool_handle_t on, umf_ctl_query_source_t source,
                 umf_ctl_query_type_t type, const char *name, void *arg, size_t size, ...) {
    va_list args;
    va_start(args, size);
    umf_result_t result = on->ops.ext_ctl(on->priv, source, name, arg, size, type, args);
    va_end(args);
    return result;
}

size_t get(const char *name) {
    size_t value = 0;
    cr_assert_eq(GET(name, &value), OK, "%s", name);
    return value;
}

size_t frees(void) {
    return load_relaxed(&none.frees);
}
size_t allocs(void) {
    return load_relaxed(&none.allocs);
}

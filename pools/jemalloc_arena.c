/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Arenas of a jemalloc pool. An arena is made when the first thread comes that shall use it.
 * jemalloc keeps what it must know about blocks in memory of its own, so the provider's memory is
 * touched by nobody but the user (and by calloc). Blocks of memory that the arenas take from the
 * provider are cut and joined by the provider's split and merge.
 */
#include "pools/jemalloc_pool.h"

#include <stdio.h>
#include <string.h>

#include <umf/pools/pool_jemalloc.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/map.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/tracking.h"

/* ---- hooks: true means failure --------------------------------------------------------------- */

static umf_memory_provider_handle_t hooks_provider(jemalloc_hooks_t *hooks) {
    return ((jemalloc_pool_t *)hooks)->provider;
}

/*
 * All pools share jemalloc's table of pages. On a block of another jemalloc pool the entries of
 * both would overwrite each other, so such memory is not taken.
 */
static bool memory_is_jemallocs(const jemalloc_pool_t *pool, const void *ptr) {
    const map_region_t *region = map_find_region(ptr);
    for (; region != NULL; region = region->parent) {
        umf_memory_pool_handle_t owner = region->pool;
        if (owner != NULL && owner->magic == UMF_POOL_MAGIC && owner->priv != pool &&
            owner->ops.malloc == umfJemallocPoolOps()->malloc) {
            return true;
        }
    }
    return false;
}

static void *hook_alloc(jemalloc_hooks_t *hooks, void *at, size_t size, size_t alignment,
                        bool *zero, bool *commit, unsigned arena) {
    (void)arena;
    if (at != NULL) {
        return NULL; // a provider chooses the place by itself
    }
    const jemalloc_pool_t *pool = (jemalloc_pool_t *)hooks;
    void *ptr = NULL;
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result = umfMemoryProviderAlloc(pool->provider, size, alignment, &ptr);
    bool refused = result == UMF_RESULT_SUCCESS && ptr != NULL && memory_is_jemallocs(pool, ptr);
    if (refused) {
        log_error("a jemalloc pool can not use %p: it is memory of another jemalloc pool", ptr);
        umfMemoryProviderFree(pool->provider, ptr, size);
    }
    jemalloc_hook_end(outer);
    if (result != UMF_RESULT_SUCCESS || ptr == NULL || refused) {
        return NULL;
    }
    if (pool->zeroed) {
        *zero = true;
    } else if (*zero) {
        memset(ptr, 0, size);
    }
    *commit = true;
    return ptr;
}

static bool hook_dalloc(jemalloc_hooks_t *hooks, void *ptr, size_t size, bool committed,
                        unsigned arena) {
    (void)committed, (void)arena;
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result = umfMemoryProviderFree(hooks_provider(hooks), ptr, size);
    jemalloc_hook_end(outer);
    return result != UMF_RESULT_SUCCESS;
}

static void hook_destroy(jemalloc_hooks_t *hooks, void *ptr, size_t size, bool committed,
                         unsigned arena) {
    if (hook_dalloc(hooks, ptr, size, committed, arena)) {
        log_error("the provider did not take back %zu bytes at %p", size, ptr);
    }
}

static bool hook_commit(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                        size_t length, unsigned arena) {
    (void)hooks, (void)ptr, (void)size, (void)offset, (void)length, (void)arena;
    return false; // it is always there
}

static bool hook_decommit(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                          size_t length, unsigned arena) {
    (void)hooks, (void)ptr, (void)size, (void)offset, (void)length, (void)arena;
    return true;
}

static bool hook_purge_lazy(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                            size_t length, unsigned arena) {
    (void)size, (void)arena;
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result =
        umfMemoryProviderPurgeLazy(hooks_provider(hooks), (char *)ptr + offset, length);
    jemalloc_hook_end(outer);
    return result != UMF_RESULT_SUCCESS;
}

/* jemalloc takes it that purged pages read as zero. */
static bool hook_purge_forced(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                              size_t length, unsigned arena) {
    (void)size, (void)arena;
    if (!((jemalloc_pool_t *)hooks)->zeroed) {
        return true;
    }
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result =
        umfMemoryProviderPurgeForce(hooks_provider(hooks), (char *)ptr + offset, length);
    jemalloc_hook_end(outer);
    return result != UMF_RESULT_SUCCESS;
}

static bool hook_split(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t first, size_t second,
                       bool committed, unsigned arena) {
    (void)second, (void)committed, (void)arena;
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result = umfMemoryProviderAllocationSplit(hooks_provider(hooks), ptr, size, first);
    jemalloc_hook_end(outer);
    return result != UMF_RESULT_SUCCESS;
}

static bool hook_merge(jemalloc_hooks_t *hooks, void *low, size_t low_size, void *high,
                       size_t high_size, bool committed, unsigned arena) {
    (void)committed, (void)arena;
    jemalloc_thread_t *outer = jemalloc_hook_begin();
    umf_result_t result =
        umfMemoryProviderAllocationMerge(hooks_provider(hooks), low, high, low_size + high_size);
    jemalloc_hook_end(outer);
    return result != UMF_RESULT_SUCCESS;
}

void jemalloc_hooks_set(jemalloc_pool_t *pool) {
    pool->hooks = (jemalloc_hooks_t){
        .alloc = hook_alloc,
        .dalloc = hook_dalloc,
        .destroy = hook_destroy,
        .commit = hook_commit,
        .decommit = hook_decommit,
        .purge_lazy = hook_purge_lazy,
        .purge_forced = hook_purge_forced,
        .split = hook_split,
        .merge = hook_merge,
    };
    void *priv = NULL;
    const provider_extension_t *extension = provider_extension(pool->provider, &priv);
    pool->zeroed = extension != NULL && extension->zeroed != NULL && extension->zeroed(priv);
}

/* ---- is the provider fit? -------------------------------------------------------------------- */

/* Cuts a real allocation as an arena would, and gives the parts back. */
static umf_result_t provider_try_split(umf_memory_provider_handle_t provider, void *ptr,
                                       size_t size) {
    void *rest = (char *)ptr + JEMALLOC_PAGE;
    umf_result_t result = umfMemoryProviderAllocationSplit(provider, ptr, size, JEMALLOC_PAGE);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderFree(provider, ptr, size);
        return result == UMF_RESULT_ERROR_NOT_SUPPORTED ? result : UMF_RESULT_SUCCESS;
    }
    if (umfMemoryProviderFree(provider, rest, size - JEMALLOC_PAGE) != UMF_RESULT_SUCCESS) {
        umfMemoryProviderAllocationMerge(provider, ptr, rest, size);
        umfMemoryProviderFree(provider, ptr, size);
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    umfMemoryProviderFree(provider, ptr, JEMALLOC_PAGE);
    return UMF_RESULT_SUCCESS;
}

/* For a provider that has no memory now: what does it say about some of ours? */
static umf_result_t provider_ask_split(umf_memory_provider_handle_t provider) {
    umf_memory_provider_handle_t upstream = tracking_provider_upstream(provider);
    size_t size = (size_t)2 * JEMALLOC_PAGE;
    void *ptr = base_map(size);
    if (ptr == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    // not by the public call: an error says nothing here, and is nobody's failure
    umf_result_t result =
        upstream->ops.ext_allocation_split(upstream->priv, ptr, size, JEMALLOC_PAGE);
    base_unmap(ptr, size);
    return result == UMF_RESULT_ERROR_NOT_SUPPORTED ? result : UMF_RESULT_SUCCESS;
}

umf_result_t jemalloc_provider_check(umf_memory_provider_handle_t provider) {
    size_t page = 0;
    umf_result_t result = umfMemoryProviderGetMinPageSize(provider, NULL, &page);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("the provider does not tell its page size");
        return result;
    }
    page = page > JEMALLOC_PAGE ? page : JEMALLOC_PAGE;
    void *ptr = NULL;
    result = umfMemoryProviderAlloc(provider, 2 * page, 0, &ptr);
    if (result != UMF_RESULT_SUCCESS || ptr == NULL) {
        return provider_ask_split(provider);
    }
    result = provider_try_split(provider, ptr, 2 * page);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("a jemalloc pool needs a provider whose allocations can be split and freed in "
                  "parts of %d bytes",
                  JEMALLOC_PAGE);
    }
    return result;
}

/* ---- arenas ---------------------------------------------------------------------------------- */

/* A call of the form "arena.<index>.<what>". */
static int arena_call(unsigned arena, const char *what, void *value, size_t size) {
    char name[64];
    snprintf(name, sizeof(name), "arena.%u.%s", arena, what);
    return umf_jemalloc_mallctl(name, NULL, NULL, value, size);
}

/* Made with jemalloc's own hooks, which go on to serve what it notes about the arena; ours are for
 * the rest. */
static bool arena_create(jemalloc_pool_t *pool, unsigned *arena) {
    size_t size = sizeof(*arena);
    if (umf_jemalloc_mallctl("arenas.create", arena, &size, NULL, 0) != 0) {
        return false;
    }
    jemalloc_hooks_t *hooks = &pool->hooks;
    if (arena_call(*arena, "extent_hooks", &hooks, sizeof(hooks)) != 0) {
        arena_call(*arena, "destroy", NULL, 0);
        return false;
    }
    return true;
}

static bool arena_find_any(const jemalloc_pool_t *pool, unsigned *arena) {
    for (uint32_t i = 0; i < pool->arena_count; i++) {
        uint32_t made = load_acquire(&pool->arena[i]);
        if (made != 0) {
            *arena = made - 1;
            return true;
        }
    }
    return false;
}

bool jemalloc_arena_get(jemalloc_pool_t *pool, uint32_t slot, unsigned *arena) {
    uint32_t made = load_acquire(&pool->arena[slot]);
    if (made == 0) {
        unsigned fresh;
        if (!arena_create(pool, &fresh)) {
            return arena_find_any(pool, arena); // the process has no more: share
        }
        if (cas_strong_acq_rel(&pool->arena[slot], &made, fresh + 1)) {
            made = fresh + 1;
        } else { // another thread was faster; `made` is its arena
            arena_call(fresh, "destroy", NULL, 0);
        }
    }
    *arena = made - 1;
    return true;
}

static umf_result_t arenas_call(jemalloc_pool_t *pool, const char *what) {
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (uint32_t i = 0; i < pool->arena_count; i++) {
        uint32_t made = load_acquire(&pool->arena[i]);
        if (made != 0 && arena_call(made - 1, what, NULL, 0) != 0) {
            log_error("%s of jemalloc arena %u failed", what, made - 1);
            result = UMF_RESULT_ERROR_UNKNOWN;
        }
    }
    return result;
}

umf_result_t jemalloc_arenas_purge(jemalloc_pool_t *pool) {
    return arenas_call(pool, "purge");
}

umf_result_t jemalloc_arenas_destroy(jemalloc_pool_t *pool) {
    return arenas_call(pool, "destroy");
}

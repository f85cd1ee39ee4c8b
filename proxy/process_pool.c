/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Start-up of the process pool, in two steps.
 *
 * 1. Boot: the first call of any malloc function, often made by the dynamic loader, finds no pool
 * and makes a slab pool over ordinary pages. Nothing on that way allocates by malloc, reads the
 * environment or depends on constructors.
 * 2. Settings: as soon as there is an environment, UMF_PROXY is read. When it asks for another
 * provider or pool, that one is made and becomes the process pool; what the boot pool handed out
 * stays valid, since every free finds its pool by address. In the common case (no UMF_PROXY) the
 * boot pool stays and this step does nothing.
 *
 * Nothing is torn down at exit: code that runs late may still use its memory.
 */
#define _GNU_SOURCE
#include "proxy/process_pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory_ext.h>

#include "core/state.h"
#include "providers/provider_os.h"
#include "proxy/fork_shared.h"
#include "proxy/stats.h"
#include "proxy/system_malloc.h"

process_state_t process_state;

enum {
    SHM_NAME_BYTES = 64,
    HUGE_PAGE_CHUNK_BYTES = 4 * 1024 * 1024, // first chunk with huge pages
};

/* ---- step 1
 * ------------------------------------------------------------------------------------------------
 */

/* A pool as handle and, if it is one, as slab pool. */
typedef struct made_pool {
    umf_memory_pool_handle_t handle;
    slab_pool_t *slab;
} made_pool_t;

/* Takes over `provider`, also when it fails. */
static umf_result_t make_pool(umf_memory_provider_handle_t provider, bool slab, const void *params,
                              made_pool_t *made) {
    umf_result_t result = umfPoolCreate(slab ? umfSlabPoolOps() : umfProxyPoolOps(), provider,
                                        params, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &made->handle);
    if (result != UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
        return result;
    }
    made->slab = slab ? made->handle->priv : NULL;
    return UMF_RESULT_SUCCESS;
}

static bool boot(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    made_pool_t made = {0};
    umf_core_state.keep_alive = true;
    store_release(&umf_core_state.ready,
                  true); // umfInit follows in the constructor; it may allocate
    if (umfOsMemoryProviderParamsCreate(&params) != UMF_RESULT_SUCCESS) {
        return false;
    }
    umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params);
    if (result != UMF_RESULT_SUCCESS ||
        make_pool(provider, true, NULL, &made) != UMF_RESULT_SUCCESS) {
        return false;
    }
    made.slab->process = true;
    process_state.boot = process_state.slab = made.slab;
    process_state.pool = made.handle;
    return true;
}

/* ---- step 2
 * ------------------------------------------------------------------------------------------------
 */

static umf_numa_mode_t numa_mode(proxy_numa_mode_t mode) {
    static const umf_numa_mode_t modes[] = {
        [PROXY_NUMA_DEFAULT] = UMF_NUMA_MODE_DEFAULT,
        [PROXY_NUMA_BIND] = UMF_NUMA_MODE_BIND,
        [PROXY_NUMA_INTERLEAVE] = UMF_NUMA_MODE_INTERLEAVE,
        [PROXY_NUMA_PREFERRED] = UMF_NUMA_MODE_PREFERRED,
        [PROXY_NUMA_SPLIT] = UMF_NUMA_MODE_SPLIT,
        [PROXY_NUMA_LOCAL] = UMF_NUMA_MODE_LOCAL,
    };
    return modes[mode];
}

static void set_numa(umf_os_memory_provider_params_handle_t params,
                     const proxy_settings_t *settings) {
    umf_numa_split_partition_t partitions[ARRAY_LENGTH(settings->numa_partitions.part)];
    for (unsigned i = 0; i < settings->numa_partitions.count; i++) {
        partitions[i].weight = settings->numa_partitions.part[i].weight;
        partitions[i].target = settings->numa_partitions.part[i].node;
    }
    umfOsMemoryProviderParamsSetNumaMode(params, numa_mode(settings->numa_mode));
    umfOsMemoryProviderParamsSetNumaList(params, (unsigned *)(uintptr_t)settings->numa_nodes.node,
                                         settings->numa_nodes.count);
    umfOsMemoryProviderParamsSetPartSize(params, settings->numa_part_size);
    if (settings->numa_partitions.count != 0) {
        umfOsMemoryProviderParamsSetPartitions(params, partitions, settings->numa_partitions.count);
    }
}

static void set_page_size(umf_os_memory_provider_params_handle_t params,
                          const proxy_settings_t *settings) {
    enum { MIB = 1024 * 1024 };
    size_t bytes = settings->page_size == PROXY_PAGE_1G ? (size_t)1024 * MIB : (size_t)2 * MIB;
    umf_os_page_policy_t policy = settings->page_size == PROXY_PAGE_TRANSPARENT
                                      ? UMF_OS_PAGE_TRANSPARENT
                                  : settings->page_strict ? UMF_OS_PAGE_STRICT
                                                          : UMF_OS_PAGE_PREFERRED;
    if (settings->page_size != PROXY_PAGE_DEFAULT) {
        umfOsMemoryProviderParamsSetPageSize(params, bytes, policy);
    }
}

static umf_result_t make_provider(const proxy_settings_t *settings,
                                  umf_memory_provider_handle_t *provider) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_result_t result = umfOsMemoryProviderParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (settings->disposition != PROXY_DISPOSITION_PRIVATE) {
        umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED);
    }
    if (settings->disposition == PROXY_DISPOSITION_SHARED_SHM) {
        char name[SHM_NAME_BYTES];
        snprintf(name, sizeof(name), "umf_proxy_lib_shm_pid_%d", (int)getpid());
        umfOsMemoryProviderParamsSetShmName(params, name);
    }
    set_numa(params, settings);
    set_page_size(params, settings);
    result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, provider);
    umfOsMemoryProviderParamsDestroy(params);
    return result;
}

/* True when the boot pool is not what the settings ask for. */
static bool needs_other_pool(const proxy_settings_t *settings) {
    return settings->disposition != PROXY_DISPOSITION_PRIVATE ||
           settings->numa_mode != PROXY_NUMA_DEFAULT || settings->page_size != PROXY_PAGE_DEFAULT ||
           settings->pool != PROXY_POOL_SLAB || settings->slab_chunk_size != 0;
}

static umf_result_t make_process_pool(const proxy_settings_t *settings, made_pool_t *made) {
    umf_memory_provider_handle_t provider = NULL;
    umf_slab_pool_params_handle_t params = NULL;
    umf_result_t result = umfSlabPoolParamsCreate(&params);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    umfSlabPoolParamsSetPurgeDelay(params, (uint32_t)settings->slab_purge_delay_ms);
    umfSlabPoolParamsSetKeepAll(params, settings->slab_keep_all);
    // Chunks smaller than a huge page would never get one.
    size_t chunk_bytes = settings->slab_chunk_size;
    if (chunk_bytes == 0 && settings->page_size != PROXY_PAGE_DEFAULT) {
        chunk_bytes = HUGE_PAGE_CHUNK_BYTES;
    }
    umfSlabPoolParamsSetChunkSize(params, chunk_bytes);
    result = make_provider(settings, &provider);
    if (result == UMF_RESULT_SUCCESS) {
        bool slab = settings->pool == PROXY_POOL_SLAB;
        result = make_pool(provider, slab, slab ? params : NULL, made);
    }
    umfSlabPoolParamsDestroy(params);
    if (result == UMF_RESULT_SUCCESS && made->slab != NULL && made->slab->extension != NULL) {
        // Try it once: settings such as a missing NUMA node only show when memory is taken.
        void *probe = slab_pool_alloc(made->slab, 1);
        if (probe == NULL) {
            umfPoolDestroy(made->handle);
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
        umfPoolFree(made->handle, probe);
    }
    return result;
}

/* Sends requests below the threshold to the slow side, where they are told apart. */
static void route_small(slab_pool_t *pool, size_t threshold) {
    size_t below = threshold < SLAB_FAST_MAX + 1 ? threshold : SLAB_FAST_MAX + 1;
    size_t medium = threshold > SLAB_FAST_MAX + 1 ? 0 : SLAB_CLASS_MAX;
    memset(pool->class_of, SLAB_CLASS_NONE, below);
    pool->medium_max = medium;
    for (slab_theap_t *theap = pool->theaps; theap != NULL; theap = theap->next_of_pool) {
        memcpy(theap->class_of, pool->class_of, sizeof(pool->class_of));
        theap->medium_max = medium;
    }
}

static void apply_settings(const proxy_settings_t *settings) {
    if (needs_other_pool(settings)) {
        made_pool_t made = {0};
        umf_result_t result = make_process_pool(settings, &made);
        if (result != UMF_RESULT_SUCCESS) {
            umf_message("UMF_PROXY: the memory asked for is not to be had (error %d); ordinary "
                        "pages are used",
                        (int)result);
            if (proxy_settings_abort_on_wrong_setting(settings)) {
                abort();
            }
        } else {
            // Only this thread exists yet: its heap of the boot pool no longer answers malloc.
            process_state.boot->process = false;
            slab_process_theap = (slab_theap_t *)&slab_theap_none;
            process_state.slab = made.slab;
            process_state.pool = made.handle;
            if (made.slab != NULL) {
                made.slab->process = true;
                slab_process_theap = slab_theap_get(made.slab) != NULL
                                         ? slab_theap_get(made.slab)
                                         : (slab_theap_t *)&slab_theap_none;
            }
            if (settings->disposition != PROXY_DISPOSITION_PRIVATE) {
                fork_shared_install();
            }
        }
    }
    if (process_state.slab != NULL) {
        process_state.slab->purge_delay_ms = (uint32_t)settings->slab_purge_delay_ms;
        process_state.slab->keep_all = settings->slab_keep_all;
    }
    if (settings->size_threshold != 0 && system_malloc_load()) {
        if (process_state.slab != NULL) {
            route_small(process_state.slab, settings->size_threshold);
        }
        process_state.threshold = settings->size_threshold;
    }
}

static void configure(void) {
    int none = 0;
    if (!cas_strong_acq_rel(&process_state.configured, &none, 1)) {
        return; // done, or this very thread allocates while it does it: the boot pool serves
    }
    int saved_errno = errno;
    const char *text = secure_getenv("UMF_PROXY");
    if (text != NULL && *text != '\0') {
        proxy_settings_t *settings = &process_state.settings;
        proxy_settings_defaults(settings);
        if (proxy_settings_parse(settings, text) > 0 &&
            proxy_settings_abort_on_wrong_setting(settings)) {
            umf_message("UMF_PROXY: on.error=abort: stopping because of the lines above");
            abort();
        }
        if (settings->help) {
            proxy_settings_help(STDERR_FILENO);
        }
        if (settings->log[0] != '\0') {
            log_configure(settings->log);
        }
        apply_settings(settings);
        if (settings->stats == PROXY_STATS_EXIT) {
            stats_print_at_exit();
        }
    }
    errno = saved_errno;
    store_release(&process_state.configured, 2);
}

/* ---- both
 * ----------------------------------------------------------------------------------------------------
 */

bool process_pool_ready(void) {
    if (unlikely(load_acquire(&process_state.boot_state) != 2)) {
        int none = 0;
        if (cas_strong_acq_rel(&process_state.boot_state, &none, 1)) {
            bool made = boot();
            store_release(&process_state.boot_state, made ? 2 : 0);
            if (!made) {
                return false;
            }
            // Before the constructors of all other libraries: prepare handlers run last registered
            // first, so ours comes after theirs, which may allocate.
            fork_install();
        } else {
            while (load_acquire(&process_state.boot_state) == 1) {
                sched_yield(); // another thread makes it
            }
            if (load_acquire(&process_state.boot_state) != 2) {
                return false;
            }
        }
    }
    if (unlikely(load_acquire(&process_state.configured) == 0) && environ != NULL) {
        configure();
    }
    return true;
}

/* The name in /dev/shm goes with the process; its memory stays usable to the end. A crash leaves it
 * to the next process with this pid, which replaces it. */
__attribute__((destructor(101))) static void process_pool_unlink(void) {
    if (process_state.settings.disposition == PROXY_DISPOSITION_SHARED_SHM &&
        process_state.pool != NULL) {
        umf_memory_provider_handle_t provider = process_state.pool->provider;
        if (provider->ops.initialize == umfOsMemoryProviderOps()->initialize &&
            process_state.slab != process_state.boot) {
            os_provider_unlink_name(provider->priv);
        }
    }
}

/* Before the constructors of programs, after those of libc. */
__attribute__((constructor(102))) static void process_pool_load(void) {
    if (!process_pool_ready()) {
        umf_message("no memory for the process pool");
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * OS provider: memory straight from mmap. This file is the operations table; the parts are
 *
 *   os_params   what the user wants            os_numa     placement on nodes
 *   os_map      aligned mappings               os_shared   blocks in shared objects (os_object)
 *   os_ipc      such blocks in other processes
 *
 * Private memory has no bookkeeping at all: any page-aligned part of it may be freed, purged, split
 * off. Making a private provider without NUMA mode makes no system call.
 *
 * Address space and overcommit. Private memory is mapped without MAP_NORESERVE, as the C library
 * does it, so that the system's overcommit mode decides what an allocation far beyond the memory
 * gets: in mode 0 a refusal (the caller sees an error, not a killed process later), in mode 1
 * always memory, in mode 2 a refusal when all writable private mappings together pass the commit
 * limit. In mode 2 and under RLIMIT_AS address space counts although it was never touched; callers
 * that reserve far ahead must take a refusal as "try less". Shared objects are never charged in
 * advance: there, memory that is short shows when a page is touched.
 *
 * Huge pages (os_memory_ext.h): whether a block is in reserved huge pages is not recorded. Except
 * with the strict policy only blocks of whole huge pages are tried there, and they are aligned
 * alike when that fails, so both kinds are freed by the same call.
 */
#define _GNU_SOURCE
#include "providers/provider_os.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/provider.h"
#include "providers/os_ipc.h"
#include "providers/os_map.h"
#include "providers/os_numa.h"
#include "providers/os_params.h"
#include "providers/os_shared.h"
#include "providers/provider_common.h"

#define OS_DEFAULT_NAME "OS"

#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26 /* log2 of the page size goes there in the flags */
#endif

enum os_page_mode {
    OS_PAGES_DEFAULT = 0, /* nothing asked for */
    OS_PAGES_ORDINARY,    /* no huge ones */
    OS_PAGES_TRANSPARENT,
    OS_PAGES_PREFERRED,
    OS_PAGES_STRICT,
};

typedef struct os_provider {
    int protection;      /* PROT_ bits */
    os_shared_t *shared; /* NULL: private memory */
    enum os_page_mode page_mode;
    size_t page_size;               /* of huge pages; system page size in the first two modes */
    size_t transparent_size;        /* alignment that lets the system use huge pages */
    _Atomic(bool) no_reserved_size; /* the system has no reserved pages of this size at all */
    os_map_hint_t hint;
    provider_stats_t stats;
    os_numa_t numa;
    char name[PROVIDER_NAME_BYTES];
} os_provider_t;

static const char *const os_error_texts[] = {
    "success",
    "memory allocation failed",
    "allocated address is not aligned",
    "binding memory to NUMA node failed",
    "memory deallocation failed",
    "lazy purging failed",
    "force purging failed",
    "HWLOC topology discovery failed",
};

static UMF_TLS provider_native_error_t os_last_error;

/* Notes a failure with the errno given; returns the result for it. */
static umf_result_t os_fail(umf_os_memory_provider_native_error_t code, int error) {
    os_last_error.code = (int32_t)code - UMF_OS_RESULTS_START_FROM;
    os_last_error.error = error;
    errno = error;
    log_error_errno("%s", os_error_texts[os_last_error.code]);
    return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
}

/* Bytes behind one page table: the size of the usual transparent huge page. */
static size_t os_transparent_default(void) {
    return base_page_size() * (base_page_size() / sizeof(uint64_t));
}

static void os_init_pages(os_provider_t *provider,
                          const struct umf_os_memory_provider_params_t *params) {
    const size_t page = base_page_size();
    provider->page_size = page;
    provider->page_mode = OS_PAGES_DEFAULT;
    if (params->page_size == page) {
        provider->page_mode = OS_PAGES_ORDINARY;
    } else if (params->page_size != 0) {
        const size_t usual = os_transparent_default();
        provider->page_size = params->page_size;
        provider->transparent_size = params->page_size < usual ? params->page_size : usual;
        switch (params->page_policy) {
        case UMF_OS_PAGE_PREFERRED:
            provider->page_mode =
                provider->shared == NULL ? OS_PAGES_PREFERRED : OS_PAGES_TRANSPARENT;
            break;
        case UMF_OS_PAGE_TRANSPARENT:
            provider->page_mode = OS_PAGES_TRANSPARENT;
            break;
        case UMF_OS_PAGE_STRICT:
            provider->page_mode = OS_PAGES_STRICT;
            break;
        }
    }
}

static const provider_extension_t os_extension;
static umf_result_t os_initialize(const void *params, void **provider);

/* Each library that has this code registers its own table, whose entry belongs to it. */
static void os_register_extension(void) {
    static _Atomic(bool) done;
    static provider_extension_entry_t entry = {os_initialize, &os_extension, NULL};
    bool expected = false;
    if (!load_relaxed(&done) &&
        atomic_compare_exchange_strong_explicit(&done, &expected, true, memory_order_relaxed,
                                                memory_order_relaxed)) {
        provider_extension_register(&entry);
    }
}

static umf_result_t os_initialize(const void *params_void, void **out) {
    const struct umf_os_memory_provider_params_t *params = params_void;
    if (!os_params_valid(params) || out == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const bool wants_shared = params->visibility == UMF_MEM_MAP_SHARED;
    if (wants_shared && params->numa_mode != UMF_NUMA_MODE_DEFAULT) {
        log_error("shared memory can not be combined with a NUMA mode");
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    const os_numa_request_t numa = {params->numa_mode, params->nodes,      params->node_count,
                                    params->part_size, params->partitions, params->partition_count};
    int protection, visibility;
    umf_result_t result = provider_protection(params->protection, &protection);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("protection 0x%x has unknown bits; 0x0 to 0xf are allowed", params->protection);
        return result;
    }
    result = provider_visibility(params->visibility, &visibility);
    if (result != UMF_RESULT_SUCCESS) {
        log_error("visibility %d is unknown; 1 and 2 are allowed", (int)params->visibility);
        return result;
    }
    result = os_numa_check(&numa);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (wants_shared && params->page_size > base_page_size() &&
        params->page_policy == UMF_OS_PAGE_STRICT) {
        log_error("shared memory can not be limited to reserved huge pages");
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }

    os_provider_t *provider = base_alloc(sizeof(*provider));
    if (provider == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    provider->protection = protection;
    memcpy(provider->name, params->name, sizeof(provider->name));
    result = os_numa_init(&provider->numa, &numa);
    if (result == UMF_RESULT_SUCCESS && wants_shared) {
        result = os_shared_create(params->shm_name, params->plain_memory, &provider->shared);
    }
    if (result != UMF_RESULT_SUCCESS) {
        os_numa_fini(&provider->numa);
        base_free(provider, sizeof(*provider));
        return result;
    }
    os_init_pages(provider, params);
    os_register_extension();
    *out = provider;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_finalize(void *priv) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (provider->shared != NULL) {
        os_shared_destroy(provider->shared);
    }
    os_numa_fini(&provider->numa);
    base_free(provider, sizeof(*provider));
    return UMF_RESULT_SUCCESS;
}

/* Bytes that are mapped for a request: whole pages, with the strict policy whole huge pages. */
static bool os_round(const os_provider_t *provider, size_t size, size_t *rounded) {
    size_t granule =
        provider->page_mode == OS_PAGES_STRICT ? provider->page_size : base_page_size();
    return align_up_checked(size, granule, rounded);
}

/* The larger one if it is a multiple of the other, else what the caller asked for. */
static size_t os_common_alignment(size_t asked, size_t wished) {
    return wished > asked && wished % asked == 0 ? wished : asked;
}

/* What madvise should be told about new mappings; -1 for nothing. */
static int os_page_advice(const os_provider_t *provider) {
    switch (provider->page_mode) {
    case OS_PAGES_DEFAULT:
    case OS_PAGES_STRICT:
        return -1;
    case OS_PAGES_ORDINARY:
        return MADV_NOHUGEPAGE;
    case OS_PAGES_TRANSPARENT:
    case OS_PAGES_PREFERRED:
        return MADV_HUGEPAGE;
    }
    return -1;
}

/* Maps private memory in reserved huge pages; NULL with errno. */
static void *os_map_reserved(os_provider_t *provider, os_map_request_t request) {
    if (load_relaxed(&provider->no_reserved_size)) {
        errno = ENOMEM;
        return NULL;
    }
    size_t huge = provider->page_size;
    request.alignment = os_common_alignment(request.alignment, huge);
    if (request.alignment % huge != 0) {
        errno = EINVAL;
        return NULL;
    }
    request.granule = huge;
    request.flags |= MAP_HUGETLB | (int)(log2_floor(huge) << MAP_HUGE_SHIFT);
    void *ptr = os_map(&request, &provider->hint);
    if (ptr == NULL && errno != ENOMEM && provider->page_mode != OS_PAGES_STRICT) {
        store_relaxed(&provider->no_reserved_size, true); // ENOMEM: there may be some again later
    }
    return ptr;
}

/* Maps ordinary pages, aligned and advised so that the system can use huge ones if wanted. */
static void *os_map_ordinary(os_provider_t *provider, os_map_request_t request) {
    const bool transparent = provider->page_mode >= OS_PAGES_TRANSPARENT;
    const size_t asked = request.alignment;
    size_t offset_alignment = base_page_size();
    if (transparent && request.size >= provider->transparent_size) {
        offset_alignment = provider->transparent_size;
        request.alignment = os_common_alignment(asked, provider->transparent_size);
    }
    if (provider->page_mode == OS_PAGES_PREFERRED && request.size % provider->page_size == 0) {
        request.alignment = os_common_alignment(asked, provider->page_size);
    }
    void *ptr = NULL;
    if (provider->shared != NULL) {
        ptr = os_shared_map(provider->shared, &request, offset_alignment, &provider->hint);
    } else {
        ptr = os_map(&request, &provider->hint);
    }
    const int advice = os_page_advice(provider);
    if (ptr != NULL && advice >= 0) {
        madvise(ptr, request.size, advice); // systems without transparent huge pages refuse it
    }
    return ptr;
}

/* A new mapping by all rules but NUMA's. NULL with errno. */
static void *os_map_pages(os_provider_t *provider, size_t size, size_t alignment) {
    const os_map_request_t request = {
        .size = size,
        .alignment = alignment,
        .granule = base_page_size(),
        .protection = provider->protection,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS,
        .fd = -1,
    };
    if (provider->page_mode == OS_PAGES_STRICT) {
        return os_map_reserved(provider, request);
    }
    if (provider->page_mode == OS_PAGES_PREFERRED && size % provider->page_size == 0) {
        void *ptr = os_map_reserved(provider, request);
        if (ptr != NULL) {
            return ptr;
        }
    }
    return os_map_ordinary(provider, request);
}

/* Unmaps; 0 or -1 with errno. */
static int os_unmap_pages(os_provider_t *provider, void *ptr, size_t size) {
    if (provider->shared != NULL) {
        return os_shared_unmap(provider->shared, ptr, size);
    }
    return munmap(ptr, size);
}

static umf_result_t os_alloc(void *priv, size_t size, size_t alignment, void **out) {
    os_provider_t *provider = priv;
    if (provider == NULL || out == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const size_t page = base_page_size();
    if (alignment != 0 && alignment % page != 0 && page % alignment != 0) {
        log_error("alignment %zu is neither a multiple nor a divisor of the page size %zu",
                  alignment, page);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t bytes;
    if (size == 0 || !os_round(provider, size, &bytes)) {
        return os_fail(UMF_OS_RESULT_ERROR_ALLOC_FAILED, size == 0 ? EINVAL : ENOMEM);
    }
    void *ptr = os_map_pages(provider, bytes, alignment > page ? alignment : page);
    if (ptr == NULL) {
        return os_fail(UMF_OS_RESULT_ERROR_ALLOC_FAILED, errno);
    }
    if (os_numa_bind(&provider->numa, ptr, bytes) != 0) {
        int error = errno;
        os_unmap_pages(provider, ptr, bytes);
        return os_fail(UMF_OS_RESULT_ERROR_BIND_FAILED, error);
    }
    provider_stats_add(&provider->stats, size);
    *out = ptr;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_free(void *priv, void *ptr, size_t size) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (ptr == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    size_t bytes;
    if (!os_round(provider, size, &bytes)) {
        return os_fail(UMF_OS_RESULT_ERROR_FREE_FAILED, EINVAL);
    }
    if (os_unmap_pages(provider, ptr, bytes) != 0) {
        return os_fail(UMF_OS_RESULT_ERROR_FREE_FAILED, errno);
    }
    os_map_gone(&provider->hint, ptr, bytes);
    provider_stats_remove(&provider->stats, size);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_get_last_native_error(void *priv, const char **message, int32_t *error) {
    (void)priv;
    if (message != NULL && error != NULL) {
        provider_native_error_get(&os_last_error, os_error_texts, message);
        *error = UMF_OS_RESULTS_START_FROM + os_last_error.code;
    }
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_get_recommended_page_size(void *priv, size_t size, size_t *page_size) {
    const os_provider_t *provider = priv;
    if (page_size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    bool huge =
        provider != NULL && (provider->page_mode == OS_PAGES_STRICT || size >= provider->page_size);
    *page_size = huge ? provider->page_size : base_page_size();
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_get_min_page_size(void *priv, const void *ptr, size_t *page_size) {
    const os_provider_t *provider = priv;
    (void)ptr;
    if (page_size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    bool strict = provider != NULL && provider->page_mode == OS_PAGES_STRICT;
    *page_size = strict ? provider->page_size : base_page_size();
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_get_name(void *priv, const char **name) {
    const os_provider_t *provider = priv;
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *name = provider != NULL ? provider->name : OS_DEFAULT_NAME;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_purge_force(void *priv, void *ptr, size_t size) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int failed = provider->shared != NULL ? os_shared_purge(provider->shared, ptr, size)
                                          : madvise(ptr, size, MADV_DONTNEED);
    return failed != 0 ? os_fail(UMF_OS_RESULT_ERROR_PURGE_FORCE_FAILED, errno)
                       : UMF_RESULT_SUCCESS;
}

static umf_result_t os_purge_lazy(void *priv, void *ptr, size_t size) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int failed;
    if (provider->shared != NULL) {
        failed = os_shared_purge(provider->shared, ptr, size);
    } else {
        failed = madvise(ptr, size, MADV_FREE);
        if (failed != 0 && errno == EINVAL) { // an old kernel, or huge pages
            failed = madvise(ptr, size, MADV_DONTNEED);
        }
    }
    return failed != 0 ? os_fail(UMF_OS_RESULT_ERROR_PURGE_LAZY_FAILED, errno) : UMF_RESULT_SUCCESS;
}

static umf_result_t os_allocation_split(void *priv, void *ptr, size_t total, size_t first) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (provider->page_mode >= OS_PAGES_PREFERRED && first % provider->page_size != 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT; // may be inside a reserved huge page
    }
    return provider->shared != NULL ? os_shared_split(provider->shared, ptr, total, first)
                                    : UMF_RESULT_SUCCESS;
}

static umf_result_t os_allocation_merge(void *priv, void *low, void *high, size_t total) {
    os_provider_t *provider = priv;
    if (provider == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return provider->shared != NULL ? os_shared_merge(provider->shared, low, high, total)
                                    : UMF_RESULT_SUCCESS;
}

static umf_result_t serve_ipc_enabled(const ctl_call_t *call, ctl_value_t *value) {
    value->integer = ((const os_provider_t *)call->object)->shared != NULL;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_page_size(const ctl_call_t *call, ctl_value_t *value) {
    value->size = ((const os_provider_t *)call->object)->page_size;
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t os_ctl_nodes[] = {
    {"params.page_size", UMF_CTL_SIZE, CTL_R, serve_page_size, 0,
     "Bytes of the pages asked for, as far as there are any.", 0, 0},
    {"params.ipc_enabled", UMF_CTL_INT, CTL_R, serve_ipc_enabled, 0,
     "1 when other processes can open its memory (shared visibility), else 0.", 0, 0},
};

const ctl_table_t os_provider_ctl_table = {os_ctl_nodes, ARRAY_LENGTH(os_ctl_nodes),
                                           &provider_stats_table, offsetof(os_provider_t, stats)};

static umf_result_t os_ctl(void *priv, umf_ctl_query_source_t source, const char *name, void *arg,
                           size_t size, umf_ctl_query_type_t type, va_list args) {
    return priv != NULL
               ? ctl_serve(&os_provider_ctl_table, priv, source, name, arg, size, type, args)
               : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

static umf_result_t os_get_cache_line_size(void *priv, size_t *size) {
    (void)priv;
    if (size == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = provider_cpu_cache_line();
    return UMF_RESULT_SUCCESS;
}

/* Moves to an aligned place. The result is ptr's new address, or NULL with errno. */
static void *os_remap_aligned(os_provider_t *provider, void *ptr, size_t old_bytes,
                              size_t new_bytes, size_t alignment) {
    const os_map_request_t place = {
        .size = new_bytes,
        .alignment = alignment,
        .granule = base_page_size(),
        .protection = PROT_NONE,
        .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
        .fd = -1,
    };
    void *target = os_map(&place, &provider->hint);
    if (target == NULL) {
        return NULL;
    }
    // On failure the target stays: the kernel may have unmapped it already, and then it may be
    // somebody else's. What can be foreseen failed in the attempt in place before, so this is rare,
    // and it is address space only.
    void *moved = mremap(ptr, old_bytes, new_bytes, MREMAP_MAYMOVE | MREMAP_FIXED, target);
    return moved != MAP_FAILED ? moved : NULL;
}

/* Resizes in place if possible, else moves; NULL with errno. */
static void *os_remap_pages(os_provider_t *provider, void *ptr, size_t old_bytes, size_t new_bytes,
                            size_t alignment) {
    const bool stays = (uintptr_t)ptr % alignment == 0;
    const bool any_place = alignment <= base_page_size();
    void *moved = MAP_FAILED;
    if (stays) {
        moved = mremap(ptr, old_bytes, new_bytes, any_place ? MREMAP_MAYMOVE : 0);
        if (moved == MAP_FAILED && (any_place || errno != ENOMEM)) {
            return NULL;
        }
    } else if (new_bytes <= old_bytes) {
        errno = EINVAL; // nothing is gained by moving something that shrinks
        return NULL;
    }
    return moved != MAP_FAILED ? moved
                               : os_remap_aligned(provider, ptr, old_bytes, new_bytes, alignment);
}

static umf_result_t os_remap(void *priv, void *ptr, size_t old_size, size_t new_size,
                             size_t alignment, void **new_ptr) {
    os_provider_t *provider = priv;
    if (provider->shared != NULL || provider->page_mode >= OS_PAGES_PREFERRED ||
        os_numa_positional(&provider->numa)) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    const size_t page = base_page_size();
    size_t old_bytes, new_bytes;
    if (ptr == NULL || old_size == 0 || new_size == 0 || (alignment != 0 && !is_pow2(alignment)) ||
        !os_round(provider, old_size, &old_bytes) || !os_round(provider, new_size, &new_bytes)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    alignment = alignment > page ? alignment : page;
    void *moved = ptr;
    if (new_bytes != old_bytes || (uintptr_t)ptr % alignment != 0) {
        moved = os_remap_pages(provider, ptr, old_bytes, new_bytes, alignment);
    }
    if (moved == NULL) {
        // EFAULT, EINVAL: the program changed protection or advice of a part; copying still works.
        return errno == ENOMEM ? os_fail(UMF_OS_RESULT_ERROR_ALLOC_FAILED, ENOMEM)
                               : UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    // The kernel lets new pages inherit policy and advice of the mapping; a block that was below
    // the size for huge pages had none. A refusal would only lose the placement of a page that the
    // old policy covers anyway.
    if (new_bytes > old_bytes) {
        if (provider->page_mode == OS_PAGES_TRANSPARENT) {
            madvise(moved, new_bytes, MADV_HUGEPAGE);
        }
        os_numa_bind(&provider->numa, (char *)moved + old_bytes, new_bytes - old_bytes);
    }
    provider_stats_remove(&provider->stats, old_size);
    provider_stats_add(&provider->stats, new_size);
    *new_ptr = moved;
    return UMF_RESULT_SUCCESS;
}

static bool os_zeroed(void *priv) {
    os_provider_t *provider = priv;
    return provider->shared == NULL || os_shared_zeroed(provider->shared);
}

static umf_result_t os_fork_child_unshare(void *priv, void *ptr, size_t size) {
    os_provider_t *provider = priv;
    if (provider->shared == NULL) {
        return UMF_RESULT_SUCCESS;
    }
    return os_shared_unshare(provider->shared, ptr, size, provider->protection,
                             os_page_advice(provider));
}

static bool os_shared_on_fork(void *priv) {
    return ((const os_provider_t *)priv)->shared != NULL;
}

/* ---- IPC: of shared memory only ---- */

static umf_result_t os_get_ipc_handle_size(void *priv, size_t *size) {
    os_provider_t *provider = priv;
    if (provider == NULL || size == NULL || provider->shared == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *size = os_ipc_bytes(provider->shared);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t os_get_ipc_handle(void *priv, const void *ptr, size_t size, void *data) {
    os_provider_t *provider = priv;
    (void)size; // a whole block is described
    if (provider == NULL || ptr == NULL || data == NULL || provider->shared == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return os_ipc_get(provider->shared, ptr, provider->protection, data);
}

static umf_result_t os_put_ipc_handle(void *priv, void *data) {
    os_provider_t *provider = priv;
    if (provider == NULL || data == NULL || provider->shared == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return os_ipc_put(data);
}

static umf_result_t os_open_ipc_handle(void *priv, void *data, void **ptr) {
    os_provider_t *provider = priv;
    size_t mapped;
    if (provider == NULL || data == NULL || ptr == NULL || provider->shared == NULL ||
        os_ipc_inspect(data, SIZE_MAX, &mapped) != UMF_RESULT_SUCCESS) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    int error = 0;
    umf_result_t result = os_ipc_open(data, provider->protection, ptr, &error);
    return result == UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
               ? os_fail(UMF_OS_RESULT_ERROR_ALLOC_FAILED, error)
               : result;
}

static umf_result_t os_close_ipc_handle(void *priv, void *ptr, size_t size) {
    os_provider_t *provider = priv;
    if (provider == NULL || ptr == NULL || provider->shared == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (size > 0 && munmap(ptr, size) != 0) {
        return os_fail(UMF_OS_RESULT_ERROR_FREE_FAILED, errno);
    }
    return UMF_RESULT_SUCCESS;
}

static const provider_extension_t os_extension = {
    .remap = os_remap,
    .zeroed = os_zeroed,
    .fork_child_unshare = os_fork_child_unshare,
    .shared_on_fork = os_shared_on_fork,
    .ipc_inspect = os_ipc_inspect,
};

static const umf_memory_provider_ops_t os_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = os_initialize,
    .finalize = os_finalize,
    .alloc = os_alloc,
    .free = os_free,
    .get_last_native_error = os_get_last_native_error,
    .get_recommended_page_size = os_get_recommended_page_size,
    .get_min_page_size = os_get_min_page_size,
    .get_name = os_get_name,
    .ext_purge_lazy = os_purge_lazy,
    .ext_purge_force = os_purge_force,
    .ext_allocation_merge = os_allocation_merge,
    .ext_allocation_split = os_allocation_split,
    .ext_get_ipc_handle_size = os_get_ipc_handle_size,
    .ext_get_ipc_handle = os_get_ipc_handle,
    .ext_put_ipc_handle = os_put_ipc_handle,
    .ext_open_ipc_handle = os_open_ipc_handle,
    .ext_close_ipc_handle = os_close_ipc_handle,
    .ext_ctl = os_ctl,
    .get_cache_line_size = os_get_cache_line_size,
};

UMF_EXPORT const umf_memory_provider_ops_t *umfOsMemoryProviderOps(void) {
    return &os_ops;
}

void os_provider_unlink_name(void *priv) {
    os_provider_t *provider = priv;
    if (provider->shared != NULL) {
        os_shared_unlink(provider->shared);
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/providers/provider_os_memory_ext.h
 * Additions to the parameters of the OS memory provider: page sizes.
 */
#ifndef UMF_OS_MEMORY_PROVIDER_EXT_H
#define UMF_OS_MEMORY_PROVIDER_EXT_H 1

#include <umf/providers/provider_os_memory.h>

#ifdef __cplusplus
extern "C" {
#endif

/** How a page size is to be had. */
typedef enum umf_os_page_policy_t {
    /** Reserved huge pages (hugetlb) for blocks of a multiple of the page size as long as there are
     * any, else as ::UMF_OS_PAGE_TRANSPARENT. */
    UMF_OS_PAGE_PREFERRED = 0,
    /** Transparent huge pages: blocks of the page size and more are aligned to it, and the system
     * is advised to use huge pages; it uses ordinary ones where it has none. */
    UMF_OS_PAGE_TRANSPARENT = 1,
    /** Reserved huge pages or nothing: block sizes are rounded up to the page size, an allocation
     * fails when too few pages of this size are free. Not for shared memory. */
    UMF_OS_PAGE_STRICT = 2
} umf_os_page_policy_t;

/**
 * Sets the page size. Without this call, and with 0 bytes, the system decides.
 *
 * Reserved huge pages are a fixed stock of the system (/sys/kernel/mm/hugepages). Memory in them is
 * managed in whole huge pages: a block can be split, purged and freed in parts only at multiples of
 * the page size. A forked child that writes to such memory needs pages of its own from the stock
 * and is killed (SIGBUS) when there is none, as is a program that is bound to a NUMA node whose
 * stock is used up. Shared memory only ever uses transparent huge pages.
 *
 * umfMemoryProviderGetRecommendedPageSize() reports the size for blocks it can serve;
 * umfMemoryProviderGetMinPageSize() reports it in ::UMF_OS_PAGE_STRICT.
 *
 * @param hParams [in] parameter object
 * @param bytes   [in] 0, or a power of two from the system's page size to 16 GiB, e.g. 2 MiB or
 *                1 GiB. The system's own page size asks for ordinary pages and keeps transparent
 *                huge pages away, whatever the policy
 * @param policy  [in] see ::umf_os_page_policy_t
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: hParams is NULL, or another value is not allowed.
 */
umf_result_t umfOsMemoryProviderParamsSetPageSize(umf_os_memory_provider_params_handle_t hParams,
                                                  size_t bytes, umf_os_page_policy_t policy);

#ifdef __cplusplus
}
#endif

#endif /* UMF_OS_MEMORY_PROVIDER_EXT_H */

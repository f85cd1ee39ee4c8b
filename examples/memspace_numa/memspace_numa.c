/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory by NUMA node: what nodes there are, a memspace of those that are large enough, and a block
 * that is spread over them page by page. Ends with 77 (a skip) where the kernel does not say on
 * which node a page lies.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <umf/experimental/memspace.h>

enum { PAGES = 8, LEAST_MIB = 64 };

/* Prints the nodes of a memspace. */
static void show(const char *what, umf_const_memspace_handle_t space) {
    printf("%s:", what);
    for (unsigned i = 0; i < umfMemspaceMemtargetNum(space); i++) {
        umf_const_memtarget_handle_t node = umfMemspaceMemtargetGet(space, i);
        unsigned id = 0;
        size_t bytes = 0;
        if (umfMemtargetGetId(node, &id) == UMF_RESULT_SUCCESS &&
            umfMemtargetGetCapacity(node, &bytes) == UMF_RESULT_SUCCESS) {
            printf(" node %u (%zu MiB)", id, bytes >> 20);
        }
    }
    puts("");
}

/* The nodes of at least LEAST_MIB, largest first. A copy, since the predefined ones are constant.
 */
static umf_memspace_handle_t large_nodes(void) {
    umf_memspace_handle_t space = NULL;
    umf_const_memspace_handle_t by_size = umfMemspaceHighestCapacityGet();
    if (by_size == NULL || umfMemspaceClone(by_size, &space) != UMF_RESULT_SUCCESS) {
        return NULL;
    }
    if (umfMemspaceFilterByCapacity(space, (int64_t)LEAST_MIB << 20) != UMF_RESULT_SUCCESS) {
        umfMemspaceDestroy(space);
        return NULL;
    }
    return space;
}

/* A provider that goes round the nodes, one page each. */
static umf_memory_provider_handle_t interleaved(umf_const_memspace_handle_t space) {
    umf_mempolicy_handle_t policy = NULL;
    umf_memory_provider_handle_t provider = NULL;
    if (umfMempolicyCreate(UMF_MEMPOLICY_INTERLEAVE, &policy) == UMF_RESULT_SUCCESS) {
        umfMemoryProviderCreateFromMemspace(space, policy, &provider);
        umfMempolicyDestroy(policy);
    }
    return provider;
}

/* Touches each page and asks the kernel where it is; 77 where it does not say. */
static int show_pages(char *block, size_t page) {
    void *pages[PAGES];
    int nodes[PAGES];
    for (int i = 0; i < PAGES; i++) {
        pages[i] = block + (size_t)i * page;
        memset(pages[i], 1, page);
    }
    if (syscall(SYS_move_pages, 0, (unsigned long)PAGES, pages, NULL, nodes, 0) != 0) {
        puts("skipped: the kernel does not say where pages lie (move_pages)");
        return 77;
    }
    printf("%d pages lie on nodes:", PAGES);
    for (int i = 0; i < PAGES; i++) {
        printf(" %d", nodes[i]);
        if (nodes[i] < 0) {
            return 1;
        }
    }
    puts("");
    return 0;
}

int main(void) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    show("this machine", umfMemspaceHostAllGet());
    umf_memspace_handle_t space = large_nodes();
    if (space == NULL || umfMemspaceMemtargetNum(space) == 0) {
        printf("skipped: no NUMA node of %d MiB\n", LEAST_MIB);
        umfMemspaceDestroy(space);
        return 77;
    }
    show("large nodes", space);
    umf_memory_provider_handle_t provider = interleaved(space);
    umfMemspaceDestroy(space); // the provider has copied what it needs
    void *block = NULL;
    if (umfMemoryProviderAlloc(provider, PAGES * page, 0, &block) != UMF_RESULT_SUCCESS) {
        fputs("memspace_numa: no memory from the provider\n", stderr);
        return 1;
    }
    int status = show_pages(block, page);
    if (umfMemoryProviderFree(provider, block, PAGES * page) != UMF_RESULT_SUCCESS ||
        umfMemoryProviderDestroy(provider) != UMF_RESULT_SUCCESS) {
        return 1;
    }
    return status;
}

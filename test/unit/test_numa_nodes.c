/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Where pages really lie on a machine with several NUMA nodes: move_pages is asked for every page.
 * Skipped with fewer than two nodes that have memory; scripts/test-vm boots a machine with four,
 * the last without CPUs.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>
#include <umf/providers/provider_os_memory_ext.h>

#include "core/base_alloc.h"
#include "core/provider.h"
#include "providers/os_numa.h"

#define OK UMF_RESULT_SUCCESS
#define PAGE base_page_size()

enum { NODES_MAX = 16, PAGES_MAX = 4096, ALL_PAGES = 96 };

typedef umf_memory_provider_handle_t provider_t;

/* How a provider places memory; all zero: as the process does. */
typedef struct placement {
    umf_numa_mode_t mode;
    unsigned *nodes;
    unsigned count;
    size_t part_size;
    umf_numa_split_partition_t *parts;
    unsigned part_count;
    bool huge;
} placement_t;

static unsigned nodes_found[NODES_MAX];

/* The nodes that have memory; skips the test when there are not two. */
static unsigned need_nodes(unsigned **nodes) {
    os_nodeset_t with_memory = {{0}};
    char text[256] = "";
    unsigned count = 0;
    FILE *file = fopen("/sys/devices/system/node/has_memory", "r");
    if (file != NULL) {
        bool good = fgets(text, sizeof(text), file) != NULL && os_nodeset_parse(&with_memory, text);
        fclose(file);
        for (unsigned node = 0; good && node < OS_NUMA_NODES_MAX && count < NODES_MAX; node++) {
            if (os_nodeset_has(&with_memory, node)) {
                nodes_found[count++] = node;
            }
        }
    }
    if (count < 2) {
        cr_skip_test("one NUMA node with memory here; two are needed (scripts/test-vm has four)");
    }
    *nodes = nodes_found;
    return count;
}

static provider_t create(const placement_t *placement) {
    umf_os_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    umfOsMemoryProviderParamsSetNumaMode(params, placement->mode);
    umfOsMemoryProviderParamsSetNumaList(params, placement->nodes, placement->count);
    umfOsMemoryProviderParamsSetPartSize(params, placement->part_size);
    umfOsMemoryProviderParamsSetPartitions(params, placement->parts, placement->part_count);
    if (placement->huge) {
        umfOsMemoryProviderParamsSetPageSize(params, (size_t)2 << 20, UMF_OS_PAGE_STRICT);
    }
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

/* A block whose pages are all there. */
static char *take(provider_t provider, size_t size) {
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, size, 0, &ptr), OK);
    memset(ptr, 1, size);
    return ptr;
}

/* Asks for the nodes of `count` pages from ptr on. */
static void nodes_of(char *ptr, size_t count, int *node) {
    static void *pages[PAGES_MAX];
    cr_assert_leq(count, (size_t)PAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        pages[i] = ptr + i * PAGE;
    }
    cr_assert_eq(syscall(SYS_move_pages, 0, count, pages, NULL, node, 0), 0, "move_pages: %s",
                 strerror(errno));
}

static void check_all_on(char *ptr, size_t pages, unsigned node) {
    static int at[PAGES_MAX];
    nodes_of(ptr, pages, at);
    for (size_t i = 0; i < pages; i++) {
        cr_assert_eq(at[i], (int)node, "page %zu of %zu is on %d, not on %u", i, pages, at[i],
                     node);
    }
}

Test(numa_nodes, bind_puts_every_page_on_the_node) {
    unsigned *nodes, count = need_nodes(&nodes);
    for (unsigned i = 0; i < count; i++) { // the last one may have no CPU
        provider_t provider =
            create(&(placement_t){.mode = UMF_NUMA_MODE_BIND, .nodes = &nodes[i], .count = 1});
        char *ptr = take(provider, ALL_PAGES * PAGE);
        check_all_on(ptr, ALL_PAGES, nodes[i]);
        umfMemoryProviderFree(provider, ptr, ALL_PAGES * PAGE);
        umfMemoryProviderDestroy(provider);
    }
}

Test(numa_nodes, bind_to_a_set_stays_inside_it) {
    unsigned *nodes, count = need_nodes(&nodes);
    int at[ALL_PAGES];
    // All but the first: not the node where a process usually starts.
    provider_t provider =
        create(&(placement_t){.mode = UMF_NUMA_MODE_BIND, .nodes = nodes + 1, .count = count - 1});
    char *ptr = take(provider, ALL_PAGES * PAGE);
    nodes_of(ptr, ALL_PAGES, at);
    for (unsigned i = 0; i < ALL_PAGES; i++) {
        cr_assert_neq(at[i], (int)nodes[0], "page %u", i);
    }
    umfMemoryProviderFree(provider, ptr, ALL_PAGES * PAGE);
    umfMemoryProviderDestroy(provider);
}

Test(numa_nodes, interleave_by_pages_gives_every_node_the_same) {
    unsigned *nodes, count = need_nodes(&nodes);
    int at[ALL_PAGES];
    unsigned pages_on[OS_NUMA_NODES_MAX] = {0}, pages = ALL_PAGES / count * count;
    provider_t provider =
        create(&(placement_t){.mode = UMF_NUMA_MODE_INTERLEAVE, .nodes = nodes, .count = count});
    char *ptr = take(provider, pages * PAGE);
    nodes_of(ptr, pages, at);
    for (unsigned i = 0; i < pages; i++) {
        cr_assert_geq(at[i], 0);
        pages_on[at[i]]++;
    }
    for (unsigned i = 0; i < count; i++) {
        cr_assert_eq(pages_on[nodes[i]], pages / count, "node %u has %u pages", nodes[i],
                     pages_on[nodes[i]]);
    }
    umfMemoryProviderFree(provider, ptr, pages * PAGE);
    umfMemoryProviderDestroy(provider);
}

/* The order of the list counts, and the next block goes on where the latest one ended. */
Test(numa_nodes, interleave_with_a_part_size_follows_the_list) {
    unsigned *nodes, count = need_nodes(&nodes);
    unsigned order[NODES_MAX];
    int at[ALL_PAGES];
    for (unsigned i = 0; i < count; i++) {
        order[i] = nodes[count - 1 - i];
    }
    const size_t part_pages[] = {1, 3, 7};
    for (size_t k = 0; k < ARRAY_LENGTH(part_pages); k++) {
        size_t part = part_pages[k], block_pages = 2 * part * count + part;
        provider_t provider = create(&(placement_t){.mode = UMF_NUMA_MODE_INTERLEAVE,
                                                    .nodes = order,
                                                    .count = count,
                                                    .part_size = part * PAGE - 1});
        for (size_t block = 0, placed = 0; block < 3; block++, placed += block_pages) {
            char *ptr = take(provider, block_pages * PAGE);
            nodes_of(ptr, block_pages, at);
            for (size_t i = 0; i < block_pages; i++) {
                cr_assert_eq(at[i], (int)order[(placed + i) / part % count],
                             "part of %zu pages, block %zu, page %zu", part, block, i);
            }
            umfMemoryProviderFree(provider, ptr, block_pages * PAGE);
        }
        umfMemoryProviderDestroy(provider);
    }
}

Test(numa_nodes, split_gives_each_partition_its_share) {
    unsigned *nodes, count = need_nodes(&nodes);
    // 1 : 2 : 5, the first node again at the end
    umf_numa_split_partition_t parts[] = {
        {.weight = 1, .target = nodes[count - 1]},
        {.weight = 2, .target = nodes[0]},
        {.weight = 5, .target = nodes[count - 1]},
    };
    provider_t provider = create(&(placement_t){.mode = UMF_NUMA_MODE_SPLIT,
                                                .nodes = nodes,
                                                .count = count,
                                                .parts = parts,
                                                .part_count = ARRAY_LENGTH(parts)});
    char *ptr = take(provider, 80 * PAGE);
    check_all_on(ptr, 10, nodes[count - 1]);
    check_all_on(ptr + 10 * PAGE, 20, nodes[0]);
    check_all_on(ptr + 30 * PAGE, 50, nodes[count - 1]);
    umfMemoryProviderFree(provider, ptr, 80 * PAGE);
    umfMemoryProviderDestroy(provider);

    provider = create(
        &(placement_t){.mode = UMF_NUMA_MODE_SPLIT, .nodes = nodes, .count = count}); // equal
    ptr = take(provider, 8 * count * PAGE);
    for (unsigned i = 0; i < count; i++) {
        check_all_on(ptr + 8 * i * PAGE, 8, nodes[i]);
    }
    umfMemoryProviderFree(provider, ptr, 8 * count * PAGE);
    umfMemoryProviderDestroy(provider);
}

Test(numa_nodes, preferred_takes_the_node_while_it_has_memory) {
    unsigned *nodes, count = need_nodes(&nodes);
    for (unsigned i = 0; i < count; i++) {
        provider_t provider =
            create(&(placement_t){.mode = UMF_NUMA_MODE_PREFERRED, .nodes = &nodes[i], .count = 1});
        char *ptr = take(provider, ALL_PAGES * PAGE);
        check_all_on(ptr, ALL_PAGES, nodes[i]);
        umfMemoryProviderFree(provider, ptr, ALL_PAGES * PAGE);
        umfMemoryProviderDestroy(provider);
    }
}

/* The node of the CPU that this thread runs on. */
static unsigned current_node(void) {
    unsigned cpu = 0, node = 0;
    cr_assert_eq(syscall(SYS_getcpu, &cpu, &node, NULL), 0);
    return node;
}

Test(numa_nodes, local_follows_the_thread) {
    unsigned *nodes;
    need_nodes(&nodes);
    provider_t provider = create(&(placement_t){.mode = UMF_NUMA_MODE_LOCAL});
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof(one), &one) != 0) {
            continue;
        }
        char *ptr = take(provider, ALL_PAGES * PAGE);
        check_all_on(ptr, ALL_PAGES, current_node());
        umfMemoryProviderFree(provider, ptr, ALL_PAGES * PAGE);
    }
    umfMemoryProviderDestroy(provider);
}

Test(numa_nodes, blocks_that_grow_stay_on_their_node) {
    unsigned *nodes, count = need_nodes(&nodes);
    provider_t provider =
        create(&(placement_t){.mode = UMF_NUMA_MODE_BIND, .nodes = &nodes[count - 1], .count = 1});
    void *priv, *moved = NULL;
    const provider_extension_t *extension = provider_extension(provider, &priv);
    char *ptr = take(provider, 10 * PAGE);
    cr_assert_eq(extension->remap(priv, ptr, 10 * PAGE, 500 * PAGE, 0, &moved), OK);
    memset(moved, 1, 500 * PAGE);
    check_all_on(moved, 500, nodes[count - 1]);
    umfMemoryProviderFree(provider, moved, 500 * PAGE);
    umfMemoryProviderDestroy(provider);
}

Test(numa_nodes, purged_pages_come_back_on_their_node) {
    unsigned *nodes, count = need_nodes(&nodes);
    provider_t provider =
        create(&(placement_t){.mode = UMF_NUMA_MODE_BIND, .nodes = &nodes[count - 1], .count = 1});
    char *ptr = take(provider, 64 * PAGE);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, 64 * PAGE), OK);
    cr_assert_eq(ptr[0], 0);
    memset(ptr, 1, 64 * PAGE);
    check_all_on(ptr, 64, nodes[count - 1]);
    umfMemoryProviderFree(provider, ptr, 64 * PAGE);
    umfMemoryProviderDestroy(provider);
}

/* Small, medium and huge blocks of the pools. */
Test(numa_nodes, pools_keep_to_the_node_of_their_provider) {
    unsigned *nodes, count = need_nodes(&nodes);
    const umf_memory_pool_ops_t *ops[] = {umfSlabPoolOps(), umfProxyPoolOps()};
    const size_t sizes[] = {16, 1000, 5000, 100000, 1 << 20, 12 << 20};
    for (size_t k = 0; k < ARRAY_LENGTH(ops); k++) {
        provider_t provider = create(
            &(placement_t){.mode = UMF_NUMA_MODE_BIND, .nodes = &nodes[count - 1], .count = 1});
        umf_memory_pool_handle_t pool = NULL;
        cr_assert_eq(
            umfPoolCreate(ops[k], provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool), OK);
        for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
            char *ptr = umfPoolMalloc(pool, sizes[i]);
            cr_assert_not_null(ptr);
            memset(ptr, 1, sizes[i]);
            char *page = ptr - (uintptr_t)ptr % PAGE;
            check_all_on(page, (sizes[i] + (size_t)(ptr - page) + PAGE - 1) / PAGE,
                         nodes[count - 1]);
            cr_assert_eq(umfFree(ptr), OK);
        }
        cr_assert_eq(umfPoolDestroy(pool), OK);
    }
}

Test(numa_nodes, huge_pages_are_bound_as_well) {
    unsigned *nodes, count = need_nodes(&nodes);
    provider_t provider = create(&(placement_t){
        .mode = UMF_NUMA_MODE_BIND, .nodes = &nodes[count - 1], .count = 1, .huge = true});
    char path[128];
    long pages = 0;
    snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/hugepages/hugepages-2048kB/%s",
             nodes[count - 1], "free_hugepages");
    FILE *file = fopen(path, "r");
    if (file == NULL || fscanf(file, "%ld", &pages) != 1 || pages < 4) {
        cr_skip_test("no reserved huge pages of 2 MiB on node %u", nodes[count - 1]);
    }
    fclose(file);
    char *ptr = take(provider, (size_t)8 << 20);
    check_all_on(ptr, ((size_t)8 << 20) / PAGE, nodes[count - 1]);
    umfMemoryProviderFree(provider, ptr, (size_t)8 << 20);
    umfMemoryProviderDestroy(provider);
}

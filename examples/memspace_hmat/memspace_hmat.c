/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memory by its speed, as the firmware tells it (ACPI HMAT): which nodes have the highest bandwidth
 * and the lowest latency, a pool on the best memory of the calling thread, and one whose pages
 * follow whichever thread touches them. Ends with 77 (a skip) on machines that do not tell.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <umf.h>
#include <umf/experimental/memspace.h>
#include <umf/experimental/memspace_ext.h>

/* Prints the nodes of a memspace with their speed as this thread sees it. */
static void show(const char *what, umf_const_memspace_handle_t space) {
    printf("%s:\n", what);
    for (unsigned i = 0; i < umfMemspaceMemtargetNum(space); i++) {
        umf_const_memtarget_handle_t node = umfMemspaceMemtargetGet(space, i);
        unsigned id = 0;
        uint64_t value = 0;
        umfMemtargetGetId(node, &id);
        printf("  node %u", id);
        if (umfMemtargetGetMetric(node, UMF_MEMSPACE_METRIC_BANDWIDTH, &value) ==
            UMF_RESULT_SUCCESS) {
            printf(", %" PRIu64 " MiB/s", value);
        }
        if (umfMemtargetGetMetric(node, UMF_MEMSPACE_METRIC_LATENCY, &value) ==
            UMF_RESULT_SUCCESS) {
            printf(", %" PRIu64 " ns", value);
        }
        puts("");
    }
}

/* A block from a pool on the memspace; the pool owns the provider under it. */
static int use_pool(umf_const_memspace_handle_t space) {
    umf_memory_pool_handle_t pool = NULL;
    if (umfPoolCreateFromMemspace(space, NULL, &pool) != UMF_RESULT_SUCCESS) {
        return 1;
    }
    char *block = umfPoolMalloc(pool, 4096);
    if (block == NULL) {
        return 1;
    }
    memset(block, 1, 4096);
    umfFree(block);
    return umfPoolDestroy(pool) != UMF_RESULT_SUCCESS;
}

int main(void) {
    umf_const_memspace_handle_t bandwidth = umfMemspaceHighestBandwidthGet();
    umf_const_memspace_handle_t latency = umfMemspaceLowestLatencyGet();
    umf_memspace_handle_t local = NULL;
    if (bandwidth == NULL || latency == NULL ||
        umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_BANDWIDTH, &local) != UMF_RESULT_SUCCESS) {
        puts("skipped: this machine does not tell bandwidth and latency of its memory (no HMAT)");
        return 77;
    }
    show("highest bandwidth, for each group of CPUs", bandwidth);
    show("lowest latency, for each group of CPUs", latency);
    show("local to this thread, highest bandwidth first", local);
    int failed = use_pool(local) != 0 ||
                 use_pool(umfMemspaceFirstTouchGet(UMF_MEMSPACE_METRIC_BANDWIDTH)) != 0;
    umfMemspaceDestroy(local);
    if (failed) {
        fputs("memspace_hmat: a pool could not be used\n", stderr);
    }
    return failed;
}

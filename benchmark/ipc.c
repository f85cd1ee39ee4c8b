/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * ipc.c - what sharing a block costs, in ns per call, beside the bare system calls. Prints a
 * Markdown table; each figure is the best of some rounds over BLOCKS blocks of 64 KiB.
 *
 * Opening is in the producing process: the same work but for pidfd_getfd, whose price is a row of
 * its own.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <umf.h>
#include <umf/ipc.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_os_memory.h>

enum { BLOCKS = 500, ROUNDS = 20, BYTES = 65536, PIDFD_OPEN = 434, PIDFD_GETFD = 438 };
enum { GET_FIRST, GET, PUT, OPEN_FIRST, OPEN, CLOSE, RAW_MAP, RAW_GETFD, ROWS };

static const char *const row_names[ROWS] = {
    "umfGetIPCHandle, first of an allocation",
    "umfGetIPCHandle, cached",
    "umfPutIPCHandle",
    "umfOpenIPCHandle, first",
    "umfOpenIPCHandle, cached",
    "umfCloseIPCHandle",
    "bare mmap and munmap of the object",
    "bare pidfd_open, pidfd_getfd, close",
};
static double best[ROWS];

static double now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

#define MEASURE(row, statement)                                                                    \
    do {                                                                                           \
        double begin = now_ns();                                                                   \
        for (int i = 0; i < BLOCKS; i++) {                                                         \
            statement;                                                                             \
        }                                                                                          \
        double each = (now_ns() - begin) / BLOCKS;                                                 \
        best[row] = best[row] == 0 || each < best[row] ? each : best[row];                         \
    } while (0)

static void must(umf_result_t result) {
    if (result != UMF_RESULT_SUCCESS) {
        fprintf(stderr, "ipc: error %d\n", (int)result);
        exit(1);
    }
}

static umf_memory_pool_handle_t make_pool(void) {
    umf_os_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider;
    umf_memory_pool_handle_t pool;
    must(umfOsMemoryProviderParamsCreate(&params));
    must(umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED));
    must(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider));
    must(umfOsMemoryProviderParamsDestroy(params));
    must(
        umfPoolCreate(umfProxyPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool));
    return pool;
}

static void measure_library(void) {
    static umf_ipc_handle_t first[BLOCKS], again[BLOCKS];
    static void *blocks[BLOCKS], *opened[BLOCKS];
    umf_memory_pool_handle_t from = make_pool(), to = make_pool();
    umf_ipc_handler_handle_t handler;
    size_t size;
    must(umfPoolGetIPCHandler(to, &handler));
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = umfPoolMalloc(from, BYTES);
    }
    MEASURE(GET_FIRST, must(umfGetIPCHandle(blocks[i], &first[i], &size)));
    MEASURE(GET, must(umfGetIPCHandle(blocks[i], &again[i], &size)));
    MEASURE(OPEN_FIRST, must(umfOpenIPCHandle(handler, first[i], &opened[i])));
    MEASURE(OPEN, must(umfOpenIPCHandle(handler, again[i], &opened[i])));
    MEASURE(CLOSE, must(umfCloseIPCHandle(opened[i])));
    MEASURE(PUT, must(umfPutIPCHandle(again[i])));
    for (int i = 0; i < BLOCKS; i++) {
        must(umfCloseIPCHandle(opened[i]));
        must(umfPutIPCHandle(first[i]));
        must(umfPoolFree(from, blocks[i]));
    }
    must(umfPoolDestroy(to));
    must(umfPoolDestroy(from));
}

static void measure_bare(int fd) {
    const int self = getpid();
    MEASURE(RAW_MAP, {
        void *ptr = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)i * BYTES);
        munmap(ptr, BYTES);
    });
    MEASURE(RAW_GETFD, {
        int process = (int)syscall(PIDFD_OPEN, self, 0);
        int copy = (int)syscall(PIDFD_GETFD, process, fd, 0);
        close(copy);
        close(process);
    });
}

int main(void) {
    int fd = memfd_create("bare", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)BLOCKS * BYTES) != 0) {
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        measure_library();
        measure_bare(fd);
    }
    puts("| call | ns |\n| --- | ---: |");
    for (int row = 0; row < ROWS; row++) {
        printf("| %s | %.0f |\n", row_names[row], best[row]);
    }
    return 0;
}

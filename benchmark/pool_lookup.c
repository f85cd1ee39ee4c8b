/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * umfPoolByPtr among many live ranges.
 *
 *   pool_lookup RANGES BYTES THREADS COUNT [USED]
 *
 * A proxy pool over a provider of address space (nothing of it is ever touched) holds RANGES
 * allocations of BYTES bytes each, every one a range of its own. Each thread looks COUNT addresses
 * up, at a random place of a random range; with USED, of as many ranges among all the others, so
 * that the cost of the structure shows without that of data which no cache holds. Prints the
 * nanoseconds of one look-up, the dice deducted.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include <umf.h>
#include <umf/memory_provider_ops.h>
#include <umf/pools/pool_proxy.h>

enum { MAX_THREADS = 64, MAX_RANGES = 10000000, ALIGNMENT = 65536 };

__attribute__((noreturn)) static void stop(const char *what) {
    fprintf(stderr, "pool_lookup: %s\n", what);
    exit(1);
}

/* ---- a provider that hands out one reservation, front to back -------------------------------- */

typedef struct space {
    char *next, *end;
} space_t;

static umf_result_t space_initialize(const void *params, void **out) {
    *out = (void *)(uintptr_t)params;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_finalize(void *priv) {
    (void)priv;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_alloc(void *priv, size_t size, size_t alignment, void **ptr) {
    space_t *space = priv;
    (void)alignment;
    if ((size_t)(space->end - space->next) < size) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    *ptr = space->next;
    space->next += size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_free(void *priv, void *ptr, size_t size) {
    (void)priv, (void)ptr, (void)size;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_error(void *priv, const char **message, int32_t *error) {
    (void)priv;
    *message = "";
    *error = 0;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_page(void *priv, size_t size, size_t *page) {
    (void)priv, (void)size;
    *page = 4096;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_min_page(void *priv, const void *ptr, size_t *page) {
    (void)ptr;
    return space_page(priv, 0, page);
}

static umf_result_t space_line(void *priv, size_t *line) {
    (void)priv;
    *line = 64;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t space_name(void *priv, const char **name) {
    (void)priv;
    *name = "space";
    return UMF_RESULT_SUCCESS;
}

static const umf_memory_provider_ops_t space_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = space_initialize,
    .finalize = space_finalize,
    .alloc = space_alloc,
    .free = space_free,
    .get_last_native_error = space_error,
    .get_recommended_page_size = space_page,
    .get_min_page_size = space_min_page,
    .get_name = space_name,
    .get_cache_line_size = space_line,
};

/* ---- look-ups -------------------------------------------------------------------------------- */

static umf_memory_pool_handle_t pool;
static pthread_barrier_t barrier;
static char *first;
static uint64_t bytes_in_all;
static uint64_t used, used_bytes, used_distance; // 0: all
static long count;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static inline uint64_t step(uint64_t x) {
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

static inline char *place(uint64_t x) {
    if (used != 0) {
        uint64_t range = (x >> 32) * used >> 32;
        return first + range * used_distance + ((x & UINT32_MAX) * used_bytes >> 32);
    }
    return first + (uint64_t)(((unsigned __int128)x * bytes_in_all) >> 64);
}

static void *work(void *seconds) {
    uint64_t x = (uintptr_t)seconds | 1;
    double dice = 0, total = 0;
    pthread_barrier_wait(&barrier);
    for (int round = 0; round < 2; round++) { // the first one warms up
        double start = now();
        for (long i = 0; i < count; i++) {
            x = step(x);
            __asm__ volatile("" : : "r"(place(x)));
        }
        double middle = now();
        for (long i = 0; i < count; i++) {
            umf_memory_pool_handle_t found;
            x = step(x);
            if (umfPoolByPtr(place(x), &found) != UMF_RESULT_SUCCESS || found != pool) {
                stop("an address was not found");
            }
        }
        dice = middle - start;
        total = now() - middle;
    }
    *(double *)seconds = total - dice;
    return NULL;
}

static long argument(const char *text, long max) {
    char *end;
    long value = strtol(text, &end, 10);
    if (value < 1 || value > max || *end != '\0') {
        fprintf(stderr, "pool_lookup: '%s': allowed are numbers from 1 to %ld\n", text, max);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv) {
    if (argc != 5 && argc != 6) {
        fprintf(stderr, "usage: pool_lookup RANGES BYTES THREADS COUNT [USED]\n");
        return 2;
    }
    long ranges = argument(argv[1], MAX_RANGES);
    size_t bytes = (size_t)argument(argv[2], 1 << 20);
    long threads = argument(argv[3], MAX_THREADS);
    count = argument(argv[4], INT32_MAX);
    bytes_in_all = (uint64_t)ranges * bytes;
    if (argc == 6) {
        used = (uint64_t)argument(argv[5], ranges);
        used_bytes = bytes;
        used_distance = (uint64_t)ranges / used * bytes;
    }
    first = mmap(NULL, bytes_in_all + ALIGNMENT, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (first == MAP_FAILED) {
        stop("no address space");
    }
    first += -(uintptr_t)first % ALIGNMENT; // as providers of large pieces give them
    space_t space = {first, first + bytes_in_all};
    umf_memory_provider_handle_t provider;
    if (umfMemoryProviderCreate(&space_ops, &space, &provider) != UMF_RESULT_SUCCESS ||
        umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool) != UMF_RESULT_SUCCESS) {
        stop("no pool");
    }
    for (long i = 0; i < ranges; i++) {
        if (umfPoolMalloc(pool, bytes) == NULL) {
            stop("out of memory");
        }
    }
    pthread_t thread[MAX_THREADS];
    double seconds[MAX_THREADS], longest = 0;
    pthread_barrier_init(&barrier, NULL, (unsigned)threads);
    for (long i = 1; i < threads; i++) {
        if (pthread_create(&thread[i], NULL, work, &seconds[i]) != 0) {
            stop("cannot start a thread");
        }
    }
    work(&seconds[0]);
    for (long i = 1; i < threads; i++) {
        pthread_join(thread[i], NULL);
    }
    for (long i = 0; i < threads; i++) {
        longest = seconds[i] > longest ? seconds[i] : longest;
    }
    printf("%.2f\n", longest / (double)count * 1e9);
    return 0;
}

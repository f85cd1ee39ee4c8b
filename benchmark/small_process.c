/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Small process: a single-threaded tool with a small heap. Its resident memory counts as much as
 * its time.
 *
 *   small_process [heap-KiB] [scale]      heap-KiB: 16..65536, default 2048
 *
 * A mix of sizes up to the given live volume is kept and churned, with an occasional buffer that is
 * dropped at once. With a small scale this is the life of a command in a shell script: start, a
 * little heap, exit; the harness then runs it hundreds of times in a row.
 */
#include "bench_common.h"

enum {
    HEAP_KIB = 2048,
    SIZE_LOW = 16,
    SIZE_HIGH = 2048,
    CHURN = 20000000,
    BUFFER_EVERY = 1024,
    BUFFER_HIGH = 32 << 10
};

typedef struct {
    bench_block_t **block;
    size_t blocks;
    size_t bytes;
} heap_t;

static void heap_fill(heap_t *heap, size_t limit, bench_rng_t *rng) {
    heap->block = bench_need(malloc(limit / SIZE_LOW * sizeof heap->block[0] / 4));
    while (heap->bytes < limit && heap->blocks < limit / SIZE_LOW / 4) {
        size_t size = bench_size(rng, SIZE_LOW, SIZE_HIGH);
        heap->block[heap->blocks++] = bench_block_new(size);
        heap->bytes += size;
    }
}

static void heap_churn(heap_t *heap, long steps, bench_rng_t *rng) {
    for (long i = 0; i < steps; i++) {
        bench_block_t **slot = &heap->block[bench_below(rng, (uint32_t)heap->blocks)];
        size_t size = bench_size(rng, SIZE_LOW, SIZE_HIGH);
        if (i % BUFFER_EVERY == 0) {
            bench_block_free(bench_block_new(bench_size(rng, SIZE_HIGH, BUFFER_HIGH)));
        }
        heap->bytes += size - (*slot)->size;
        bench_block_free(*slot);
        *slot = bench_block_new(size);
    }
}

int main(int argc, char **argv) {
    static char one_thread[] = "1";
    long kib = HEAP_KIB;
    char *end = NULL;
    if (argc > 1) {
        kib = strtol(argv[1], &end, 10);
        if (*end != '\0' || kib < 16 || kib > 65536) {
            fprintf(stderr, "small_process: bad heap size '%s'; allowed: 16..65536 KiB\n", argv[1]);
            return 2;
        }
        argv[1] = one_thread; /* the common part reads a thread count there */
    }
    bench_t bench = bench_begin("small_process", argc, argv);
    bench.threads = 1;
    bench_rng_t rng = bench_seed(3);
    heap_t heap = {NULL, 0, 0};
    long steps = bench_scaled(&bench, CHURN);
    heap_fill(&heap, (size_t)kib << 10, &rng);
    heap_churn(&heap, steps, &rng);
    uint64_t check = heap.bytes;
    while (heap.blocks > 0) {
        heap.bytes -= heap.block[--heap.blocks]->size;
        bench_block_free(heap.block[heap.blocks]);
    }
    if (heap.bytes != 0) {
        bench_fail("sizes do not add up");
    }
    free(heap.block);
    bench_end(&bench, (uint64_t)steps, check);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Active false sharing: threads that allocate at the same time and write to what they got.
 *
 * Each thread allocates a handful of small blocks, writes to each many times and frees them. An
 * allocator that cuts one cache line into blocks for different threads makes each write wait for
 * the other processor.
 */
#include "bench_common.h"

enum { REPEATS = 1500000, BLOCKS = 4, WRITES = 160, SIZE = 8 };
_Static_assert(WRITES % SIZE == 0, "each byte is written equally often");

typedef struct {
    _Alignas(BENCH_CACHE_LINE) long repeats;
} worker_t;

static void *worker_run(void *argument) {
    const worker_t *worker = argument;
    for (long i = 0; i < worker->repeats; i++) {
        volatile unsigned char *block[BLOCKS];
        for (int b = 0; b < BLOCKS; b++) {
            block[b] = bench_need(malloc(SIZE));
            block[b][0] = 0;
        }
        for (int w = 0; w < WRITES; w++) {
            for (int b = 0; b < BLOCKS; b++) {
                block[b][w % SIZE]++;
            }
        }
        for (int b = 0; b < BLOCKS; b++) {
            if (block[b][0] != WRITES / SIZE) {
                bench_fail("a live block was overwritten");
            }
            free((void *)block[b]);
        }
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("cache_thrash", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].repeats = bench_scaled(&bench, REPEATS);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t ops = (uint64_t)bench.threads * (uint64_t)workers[0].repeats * BLOCKS;
    bench_end(&bench, ops, ops);
    return 0;
}

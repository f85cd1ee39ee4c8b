/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Passive false sharing: small blocks that lie side by side are given to different threads.
 *
 * The main thread allocates one small block per thread in a row, so they share cache lines. Each
 * thread frees the one it was given and then allocates, writes and frees blocks of the same size.
 * An allocator that hands the foreign block straight back to the thread that freed it lets the
 * threads write into each other's cache lines for ever.
 */
#include "bench_common.h"

enum { ROUNDS = 100, REPEATS = 50000, WRITES = 160, SIZE = 8 };
_Static_assert(WRITES % SIZE == 0, "each byte is written equally often");

typedef struct {
    _Alignas(BENCH_CACHE_LINE) volatile unsigned char *given;
    long repeats;
} worker_t;

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    if (worker->given[0] != SIZE) {
        bench_fail("a block that was handed over was overwritten");
    }
    free((void *)worker->given);
    for (long i = 0; i < worker->repeats; i++) {
        volatile unsigned char *block = bench_need(malloc(SIZE));
        block[0] = 0;
        for (int w = 0; w < WRITES; w++) {
            block[w % SIZE]++;
        }
        if (block[0] != WRITES / SIZE) {
            bench_fail("a live block was overwritten");
        }
        free((void *)block);
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("cache_scratch", argc, argv);
    long repeats = bench_scaled(&bench, REPEATS);
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < bench.threads; i++) {
            workers[i].given = bench_need(malloc(SIZE));
            workers[i].given[0] = SIZE;
            workers[i].repeats = repeats;
        }
        bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    }
    uint64_t ops = (uint64_t)ROUNDS * (uint64_t)bench.threads * (uint64_t)repeats;
    bench_end(&bench, ops, ops);
    return 0;
}

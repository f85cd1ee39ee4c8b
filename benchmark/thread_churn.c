/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Thread churn: thousands of short threads, each of which allocates a little, frees most of it and
 * ends.
 *
 * One block in eight outlives its thread: it is put into a shared table, and what lay there is
 * freed. So threads' heaps are set up and torn down all the time, and memory of threads that are
 * gone must be found again.
 */
#include "bench_common.h"
#include <stdatomic.h>

enum {
    SHORT_THREADS = 9000,
    BLOCKS = 160,
    OUTLIVE_EVERY = 8,
    SHARED_SLOTS = 4096,
    SIZE_LOW = 16,
    SIZE_HIGH = 2048
};

static _Atomic(bench_block_t *) shared[SHARED_SLOTS];

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long short_threads;
    bench_rng_t rng;
    uint64_t bytes;
} worker_t;

static void *short_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t *rng = &worker->rng;
    bench_block_t *block[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        size_t size = bench_size(rng, SIZE_LOW, SIZE_HIGH);
        worker->bytes += size;
        block[i] = bench_block_new(size);
    }
    for (int i = 0; i < BLOCKS; i++) {
        if (i % OUTLIVE_EVERY == 0) {
            /* acq_rel: the block's bytes must be visible to the thread that takes it out */
            uint32_t slot = bench_below(rng, SHARED_SLOTS);
            block[i] = atomic_exchange_explicit(&shared[slot], block[i], memory_order_acq_rel);
        }
        bench_block_free(block[i]);
    }
    return NULL;
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    for (long i = 0; i < worker->short_threads; i++) {
        pthread_t thread;
        bench_thread_start(&thread, short_run, worker);
        pthread_join(thread, NULL);
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("thread_churn", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].rng = bench_seed((uint64_t)i);
        workers[i].short_threads = bench_scaled(&bench, SHORT_THREADS);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t bytes = 0;
    for (int i = 0; i < bench.threads; i++) {
        bytes += workers[i].bytes;
    }
    for (int i = 0; i < SHARED_SLOTS; i++) {
        bench_block_free(atomic_load_explicit(&shared[i], memory_order_relaxed));
    }
    bench_end(&bench, (uint64_t)bench.threads * (uint64_t)workers[0].short_threads * BLOCKS, bytes);
    return 0;
}

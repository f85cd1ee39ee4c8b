/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Random lifetimes: many threads, some blocks short-lived, some long-lived, some handed to whoever
 * comes by.
 *
 * In each round all threads start anew. A thread allocates; most blocks it frees soon, some it
 * keeps till its end, and some it exchanges against whatever lies in a random slot of a table that
 * all threads of all rounds share. Four times as many threads as asked for run at once, so that
 * they are preempted in the middle of things.
 */
#include "bench_common.h"
#include <stdatomic.h>

enum {
    ROUNDS = 64,
    THREADS_PER_CPU = 4,
    SHARED_SLOTS = 2048,
    RECENT_SLOTS = 128,
    STEPS = 60000,
    KEEP_EVERY = 32,
    EXCHANGE_EVERY = 8,
    SIZE_LOW = 16,
    SIZE_HIGH = 512,
    LARGE_EVERY = 512,
    LARGE_LOW = 4096,
    LARGE_HIGH = 131072
};

static _Atomic(bench_block_t *) shared[SHARED_SLOTS];

typedef struct {
    _Alignas(BENCH_CACHE_LINE) bench_rng_t rng;
    long steps;
} worker_t;

static bench_block_t *worker_block(bench_rng_t *rng) {
    if (bench_below(rng, LARGE_EVERY) == 0) {
        return bench_block_new(bench_size(rng, LARGE_LOW, LARGE_HIGH));
    }
    return bench_block_new(bench_size(rng, SIZE_LOW, SIZE_HIGH));
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t *rng = &worker->rng;
    bench_block_t *recent[RECENT_SLOTS] = {NULL};
    size_t kept_count = 0, kept_room = (size_t)worker->steps / KEEP_EVERY * 2 + 64;
    bench_block_t **kept = bench_need(malloc(kept_room * sizeof *kept));
    for (long i = 0; i < worker->steps; i++) {
        bench_block_t *block = worker_block(rng);
        uint32_t dice = (uint32_t)bench_random(rng);
        if (dice % KEEP_EVERY == 0 && kept_count < kept_room) {
            kept[kept_count++] = block;
        } else if (dice % EXCHANGE_EVERY == 1) {
            /* acq_rel: the block's bytes must be visible to the thread that takes it out */
            uint32_t slot = bench_below(rng, SHARED_SLOTS);
            bench_block_free(atomic_exchange_explicit(&shared[slot], block, memory_order_acq_rel));
        } else {
            bench_block_t **slot = &recent[(dice >> 8) % RECENT_SLOTS];
            bench_block_free(*slot);
            *slot = block;
        }
    }
    for (int i = 0; i < RECENT_SLOTS; i++) {
        bench_block_free(recent[i]);
    }
    while (kept_count > 0) {
        bench_block_free(kept[--kept_count]);
    }
    free(kept);
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("random_lifetimes", argc, argv);
    int threads = bench.threads * THREADS_PER_CPU;
    if (threads > BENCH_MAX_THREADS) {
        threads = BENCH_MAX_THREADS;
    }
    long steps = bench_scaled(&bench, STEPS);
    uint64_t check = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < threads; i++) {
            workers[i].rng = bench_seed((uint64_t)(round * BENCH_MAX_THREADS + i));
            workers[i].steps = steps;
        }
        bench_threads_run(threads, worker_run, workers, sizeof workers[0]);
        for (int i = 0; i < threads; i++) {
            check += workers[i].rng.state;
        }
    }
    for (int i = 0; i < SHARED_SLOTS; i++) {
        bench_block_free(atomic_load_explicit(&shared[i], memory_order_relaxed));
    }
    bench_end(&bench, (uint64_t)ROUNDS * (uint64_t)threads * (uint64_t)steps, check);
    return 0;
}

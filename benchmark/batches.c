/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Batches: thousands of small blocks at once, freed in various orders.
 *
 * Each thread allocates batches of blocks, mostly tiny ones, and frees them last first, first
 * first, or every other one now and the rest with the next batch. From time to time two batches are
 * swapped through a shared slot, so that some are freed by the other threads.
 */
#include "bench_common.h"
#include <stdatomic.h>

enum {
    BATCH = 5000,
    BATCHES = 1500,
    SHARED_SLOTS = 4,
    SWAP_EVERY = 4,
    SIZE_LOW = 16,
    SIZE_HIGH = 1000
};

typedef enum { ORDER_LAST_FIRST, ORDER_FIRST_FIRST, ORDER_EVERY_OTHER, ORDERS } order_t;

typedef struct {
    bench_block_t *block[BATCH];
} batch_t;

static _Atomic(batch_t *) shared[SHARED_SLOTS];

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long batches;
    uint64_t bytes;
} worker_t;

static void batch_free_rest(batch_t *batch) {
    for (int i = 0; i < BATCH; i++) {
        bench_block_free(batch->block[i]);
        batch->block[i] = NULL;
    }
}

/* Afterwards the batch is empty, or (ORDER_EVERY_OTHER) half of it is left. */
static void batch_free(batch_t *batch, order_t order) {
    if (order == ORDER_LAST_FIRST) {
        for (int i = BATCH; i-- > 0;) {
            bench_block_free(batch->block[i]);
            batch->block[i] = NULL;
        }
    } else if (order == ORDER_FIRST_FIRST) {
        batch_free_rest(batch);
    } else {
        for (int i = 0; i < BATCH; i += 2) {
            bench_block_free(batch->block[i]);
            batch->block[i] = NULL;
        }
    }
}

static void batch_fill(worker_t *worker, batch_t *batch, bench_rng_t *rng) {
    /* Runs of one size, as a program that builds a structure asks for them. */
    for (int i = 0; i < BATCH;) {
        size_t size = bench_size(rng, SIZE_LOW, SIZE_HIGH);
        for (int run = 1 + (int)bench_below(rng, 64); run > 0 && i < BATCH; run--) {
            batch->block[i++] = bench_block_new(size);
            worker->bytes += size;
        }
    }
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    batch_t *now = bench_need(calloc(1, sizeof *now)),
            *before = bench_need(calloc(1, sizeof *before));
    for (long n = 0; n < worker->batches; n++) {
        batch_fill(worker, now, &rng);
        batch_free_rest(before);
        if (n % SWAP_EVERY == 0) {
            /* acq_rel: the pointers and the blocks' bytes go to the thread that takes the batch out
             */
            uint32_t slot = bench_below(&rng, SHARED_SLOTS);
            batch_t *other = atomic_exchange_explicit(&shared[slot], now, memory_order_acq_rel);
            now = other != NULL ? other : bench_need(calloc(1, sizeof *now));
        }
        batch_free(now, (order_t)(n % ORDERS));
        batch_t *swap = now;
        now = before;
        before = swap;
    }
    batch_free_rest(now);
    batch_free_rest(before);
    free(now);
    free(before);
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("batches", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].batches = bench_scaled(&bench, BATCHES);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t bytes = 0;
    for (int i = 0; i < bench.threads; i++) {
        bytes += workers[i].bytes;
    }
    for (int i = 0; i < SHARED_SLOTS; i++) {
        batch_t *batch = atomic_load_explicit(&shared[i], memory_order_relaxed);
        if (batch != NULL) {
            batch_free_rest(batch);
            free(batch);
        }
    }
    bench_end(&bench, (uint64_t)bench.threads * (uint64_t)workers[0].batches * BATCH, bytes);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Phases: the program's mix of sizes changes, and some blocks of every phase stay.
 *
 * In each phase a thread allocates up to a fixed live volume with the phase's sizes and replaces
 * blocks at random for a while; at its end it frees nine blocks of ten. The survivors pin memory of
 * a size that is no longer wanted: how much of the rest can be reused for the next phase's sizes
 * shows in the peak resident memory.
 */
#include "bench_common.h"

enum { LIVE_BYTES = 20 << 20, ROOM = 1 << 20, SURVIVE_ONE_IN = 10, CHURN_VOLUMES = 2, ROUNDS = 1 };

static const struct {
    size_t low, high;
} phases[] = {{16, 64},   {1024, 4096}, {48, 256}, {8192, 65536},
              {300, 900}, {16, 32768},  {96, 128}, {4096, 20000}};

enum { PHASES = sizeof phases / sizeof phases[0] };

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    size_t live_limit; /* bytes */
    bench_rng_t rng;
    bench_block_t **block;
    size_t blocks, bytes; /* alive */
    uint64_t ops, check;
} worker_t;

static void worker_add(worker_t *w, int phase) {
    size_t size = bench_size(&w->rng, phases[phase].low, phases[phase].high);
    w->block[w->blocks++] = bench_block_new(size);
    w->bytes += size;
    w->ops++;
}

static void worker_drop(worker_t *w, size_t at) {
    bench_block_t *b = w->block[at];
    w->bytes -= b->size;
    w->check += b->size;
    bench_block_free(b);
    w->block[at] = w->block[--w->blocks];
}

static void worker_phase(worker_t *w, int phase) {
    uint64_t churned = 0; /* bytes */
    while (w->bytes < w->live_limit && w->blocks < ROOM) {
        worker_add(w, phase);
    }
    while (churned < w->live_limit * CHURN_VOLUMES) {
        size_t before = w->bytes;
        worker_drop(w, bench_below(&w->rng, (uint32_t)w->blocks));
        churned += before - w->bytes;
        while (w->bytes < w->live_limit && w->blocks < ROOM) {
            worker_add(w, phase);
        }
    }
    for (size_t i = w->blocks; i-- > 0;) {
        if (bench_below(&w->rng, SURVIVE_ONE_IN) != 0) {
            worker_drop(w, i);
        }
    }
}

static void *worker_run(void *argument) {
    worker_t *w = argument;
    w->block = bench_need(malloc(ROOM * sizeof w->block[0]));
    for (int round = 0; round < ROUNDS; round++) {
        for (int phase = 0; phase < PHASES; phase++) {
            worker_phase(w, phase);
        }
    }
    while (w->blocks > 0) {
        worker_drop(w, w->blocks - 1);
    }
    free(w->block);
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("phases", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].rng = bench_seed((uint64_t)i);
        workers[i].live_limit = (size_t)bench_scaled(&bench, LIVE_BYTES);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t ops = 0, check = 0;
    for (int i = 0; i < bench.threads; i++) {
        ops += workers[i].ops;
        check += workers[i].check;
    }
    bench_end(&bench, ops, check);
    return 0;
}

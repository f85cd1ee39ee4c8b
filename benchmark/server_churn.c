/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Server churn: what a long-running server with a changing set of worker threads does to its heap.
 *
 * Each chain owns a set of live blocks. A worker thread replaces blocks at random for a while, then
 * starts its successor, hands the whole set over and ends. So most blocks are freed by another
 * thread than the one that allocated them, and that one often no longer exists.
 */
#include "bench_common.h"
#include <semaphore.h>

enum { SLOTS = 1024, SIZE_LOW = 16, SIZE_HIGH = 1024, GENERATIONS = 120, REPLACEMENTS = 240000 };

typedef struct {
    bench_block_t *slot[SLOTS];
    bench_rng_t rng;
    long replacements; /* per generation */
    int generations;   /* left */
    sem_t done;
} chain_t;

static void *chain_serve(void *argument) {
    chain_t *chain = argument;
    for (long i = 0; i < chain->replacements; i++) {
        bench_block_t **slot = &chain->slot[bench_random(&chain->rng) % SLOTS];
        bench_block_free(*slot);
        *slot = bench_block_new(bench_size(&chain->rng, SIZE_LOW, SIZE_HIGH));
    }
    if (--chain->generations == 0) {
        sem_post(&chain->done);
        return NULL;
    }
    pthread_t successor;
    bench_thread_start(&successor, chain_serve, chain);
    pthread_detach(successor);
    return NULL;
}

static chain_t chains[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("server_churn", argc, argv);
    long replacements = bench_scaled(&bench, REPLACEMENTS);
    for (int i = 0; i < bench.threads; i++) {
        chain_t *chain = &chains[i];
        chain->rng = bench_seed((uint64_t)i);
        chain->replacements = replacements;
        chain->generations = GENERATIONS;
        sem_init(&chain->done, 0, 0);
        pthread_t first;
        bench_thread_start(&first, chain_serve, chain);
        pthread_detach(first);
    }
    uint64_t check = 0;
    for (int i = 0; i < bench.threads; i++) {
        while (sem_wait(&chains[i].done) != 0) {
        }
        for (int s = 0; s < SLOTS; s++) {
            check += chains[i].slot[s] == NULL ? 0 : chains[i].slot[s]->size;
            bench_block_free(chains[i].slot[s]);
        }
    }
    bench_end(&bench, (uint64_t)bench.threads * GENERATIONS * (uint64_t)replacements, check);
    return 0;
}

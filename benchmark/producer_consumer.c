/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Producer and consumer: every block is allocated in one thread and freed in another.
 *
 * Half of the threads (at least one) fill batches of blocks and put them into a bounded queue, the
 * other half take batches out, check and free them. The allocator must carry memory back to the
 * producers all the time; one that keeps it with the freeing thread grows without bound, one that
 * locks for each block is slow.
 */
#include "bench_common.h"

enum { BATCH_BLOCKS = 200, QUEUE_BATCHES = 64, SIZE_LOW = 16, SIZE_HIGH = 512, BATCHES = 36000 };

typedef struct {
    uint64_t bytes; /* of the blocks, for the check sum */
    bench_block_t *block[BATCH_BLOCKS];
} batch_t;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t filled, emptied;
    batch_t *ring[QUEUE_BATCHES];
    unsigned put, taken; /* running counts; put - taken batches are queued */
    int producers;       /* still at work */
} queue = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .filled = PTHREAD_COND_INITIALIZER,
           .emptied = PTHREAD_COND_INITIALIZER};

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    bool produces;
    long batches; /* producer: to make */
    uint64_t bytes;
} worker_t;

static void queue_put(batch_t *batch) {
    pthread_mutex_lock(&queue.lock);
    while (queue.put - queue.taken == QUEUE_BATCHES) {
        pthread_cond_wait(&queue.emptied, &queue.lock);
    }
    queue.ring[queue.put++ % QUEUE_BATCHES] = batch;
    pthread_cond_signal(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

/* The next batch, or NULL when there is none and no producer is left. */
static batch_t *queue_take(void) {
    batch_t *batch = NULL;
    pthread_mutex_lock(&queue.lock);
    while (queue.put == queue.taken && queue.producers > 0) {
        pthread_cond_wait(&queue.filled, &queue.lock);
    }
    if (queue.put != queue.taken) {
        batch = queue.ring[queue.taken++ % QUEUE_BATCHES];
        pthread_cond_signal(&queue.emptied);
    }
    pthread_mutex_unlock(&queue.lock);
    return batch;
}

static void produce(worker_t *worker) {
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    for (long n = 0; n < worker->batches; n++) {
        batch_t *batch = bench_need(malloc(sizeof *batch));
        batch->bytes = 0;
        for (int i = 0; i < BATCH_BLOCKS; i++) {
            size_t size = bench_size(&rng, SIZE_LOW, SIZE_HIGH);
            batch->block[i] = bench_block_new(size);
            batch->bytes += size;
        }
        queue_put(batch);
    }
    pthread_mutex_lock(&queue.lock);
    queue.producers--;
    pthread_cond_broadcast(&queue.filled);
    pthread_mutex_unlock(&queue.lock);
}

static void consume(worker_t *worker) {
    batch_t *batch;
    while ((batch = queue_take()) != NULL) {
        for (int i = 0; i < BATCH_BLOCKS; i++) {
            worker->bytes += batch->block[i]->size;
            bench_block_free(batch->block[i]);
        }
        worker->bytes -= batch->bytes; /* stays 0 unless a size was damaged */
        free(batch);
    }
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    if (worker->produces) {
        produce(worker);
    } else {
        consume(worker);
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("producer_consumer", argc, argv);
    int threads = bench.threads < 2 ? 2 : bench.threads;
    int producers = threads / 2;
    long batches = bench_scaled(&bench, BATCHES);
    queue.producers = producers;
    for (int i = 0; i < threads; i++) {
        workers[i].index = i;
        workers[i].produces = i < producers;
        workers[i].batches = batches;
    }
    bench_threads_run(threads, worker_run, workers, sizeof workers[0]);
    uint64_t damage = 0;
    for (int i = 0; i < threads; i++) {
        damage += workers[i].bytes;
    }
    if (damage != 0 || queue.put != (unsigned)(batches * producers)) {
        bench_fail("batches were lost or damaged");
    }
    bench_end(&bench, (uint64_t)producers * (uint64_t)batches * BATCH_BLOCKS, queue.put);
    return 0;
}

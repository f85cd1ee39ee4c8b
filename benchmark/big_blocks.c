/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Big blocks: 64 KiB to 8 MiB, a window of them alive, every page touched.
 *
 * Image, matrix and I/O buffers look like this. What counts is whether freed memory is reused while
 * its pages are still there; an allocator that maps and unmaps each block pays a page fault for
 * every 4 KiB.
 */
#include "bench_common.h"

enum { WINDOW = 8, SIZE_LOW = 64 << 10, SIZE_HIGH = 8 << 20, PAGE = 4096, REPLACEMENTS = 5000 };

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long replacements;
    uint64_t bytes;
} worker_t;

typedef struct {
    unsigned char *data;
    size_t size;
    unsigned char mark;
} buffer_t;

static void buffer_new(buffer_t *b, size_t size, unsigned char mark) {
    *b = (buffer_t){bench_need(malloc(size)), size, mark};
    for (size_t at = 0; at < size; at += PAGE) {
        b->data[at] = mark;
    }
}

static void buffer_drop(buffer_t *b) {
    for (size_t at = 0; at < b->size; at += PAGE) {
        if (b->data[at] != b->mark) {
            bench_fail("a big block was overwritten");
        }
    }
    free(b->data);
    *b = (buffer_t){NULL, 0, 0};
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    buffer_t window[WINDOW] = {{NULL, 0, 0}};
    for (long i = 0; i < worker->replacements; i++) {
        buffer_t *b = &window[bench_random(&rng) % WINDOW];
        buffer_drop(b);
        buffer_new(b, bench_size(&rng, SIZE_LOW, SIZE_HIGH),
                   (unsigned char)(i * 2 + worker->index + 1));
        worker->bytes += b->size;
    }
    for (int i = 0; i < WINDOW; i++) {
        buffer_drop(&window[i]);
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("big_blocks", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].replacements = bench_scaled(&bench, REPLACEMENTS);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t bytes = 0;
    for (int i = 0; i < bench.threads; i++) {
        bytes += workers[i].bytes;
    }
    bench_end(&bench, (uint64_t)bench.threads * (uint64_t)workers[0].replacements, bytes);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Growth: many arrays that grow side by side by realloc.
 *
 * Half of the arrays double their room, the other half grow by a small fixed step (as line buffers
 * do). They take turns, so that none is alone at the end of the heap. Targets reach from 1 KiB to 4
 * MiB (steps: 128 KiB). Each array is filled as it grows and checked before it is dropped, when a
 * new one takes its place.
 */
#include "bench_common.h"

enum {
    ARRAYS = 64,
    TARGET_LOW = 1024,
    TARGET_HIGH = 4 << 20,
    STEP_TARGET_HIGH = 128 << 10,
    STEP_LOW = 64,
    STEP_HIGH = 1024,
    ROOM_FIRST = 32,
    TURNS = 1000000
};

typedef struct {
    uint32_t *item;
    size_t room;   /* bytes allocated */
    size_t filled; /* bytes, multiple of the item size, <= room */
    size_t target; /* bytes at which the array has done its work */
    size_t step;   /* bytes to grow by; 0: double */
} array_t;

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long turns;
    uint64_t check;
} worker_t;

static void array_start(array_t *a, bench_rng_t *rng) {
    bool doubles = (bench_random(rng) & 1024) != 0;
    a->step = doubles ? 0 : (bench_size(rng, STEP_LOW, STEP_HIGH) & ~(size_t)3);
    a->target = bench_size(rng, TARGET_LOW, doubles ? TARGET_HIGH : STEP_TARGET_HIGH);
    a->room = ROOM_FIRST;
    a->filled = 0;
    a->item = bench_need(malloc(a->room));
}

/* Writes every 16th item: the point is growth, not memory bandwidth. */
static void array_fill(array_t *a) {
    for (; a->filled + 64 <= a->room; a->filled += 64) {
        a->item[a->filled / sizeof *a->item] = (uint32_t)a->filled;
    }
}

static void array_drop(array_t *a) {
    for (size_t at = 0; at < a->filled; at += 64) {
        if (a->item[at / sizeof *a->item] != (uint32_t)at) {
            bench_fail("an array lost what was in it");
        }
    }
    free(a->item);
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    array_t array[ARRAYS];
    for (int i = 0; i < ARRAYS; i++) {
        array_start(&array[i], &rng);
    }
    for (long turn = 0; turn < worker->turns; turn++) {
        array_t *a = &array[bench_random(&rng) % ARRAYS];
        array_fill(a);
        if (a->room >= a->target) {
            worker->check += a->filled;
            array_drop(a);
            array_start(a, &rng);
        } else {
            a->room += a->step == 0 ? a->room : a->step;
            a->item = bench_need(realloc(a->item, a->room));
        }
    }
    for (int i = 0; i < ARRAYS; i++) {
        array_drop(&array[i]);
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("growth", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].turns = bench_scaled(&bench, TURNS);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t check = 0;
    for (int i = 0; i < bench.threads; i++) {
        check += workers[i].check;
    }
    bench_end(&bench, (uint64_t)bench.threads * (uint64_t)workers[0].turns, check);
    return 0;
}

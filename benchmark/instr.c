/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Allocation patterns for counting instructions under callgrind.
 *
 *   instr MODE COUNT
 *
 * The program is run with two values of COUNT; the difference of the totals, divided by the
 * difference of the counts, is the number of instructions per iteration, free of start-up and of
 * the first filling of caches. The loops are as short as the compiler makes them (about ten
 * instructions with the calls and their PLT entries), so that the figure is nearly the allocator's
 * own. Each mode runs a fixed number of rounds beforehand, part of both totals.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BATCH = 1000,
    BATCH_SIZE = 48,
    PAIR_SIZE = 64,
    SLOTS = 1024,
    SIZE_LOW = 16,
    SIZES = 1024,
    WARM_UP = 20 * SLOTS
};

/* Makes the compiler count upwards, with a comparison, in every loop alike. */
#define KEEP(i) __asm__ volatile("" : : "r"(i))

static char *slot[SLOTS];

/* malloc(64) and free, the same block again and again. */
static void mode_pair(long count) {
    for (long i = 0; i < count; i++) {
        char *p = malloc(PAIR_SIZE);
        *p = 1;
        KEEP(i);
        free(p);
    }
}

/* 1000 blocks of 48 bytes, freed last first. COUNT is in blocks. */
static void mode_lifo(long count) {
    for (; count > 0; count -= BATCH) {
        for (char **p = slot; p != slot + BATCH; p++) {
            *p = malloc(BATCH_SIZE);
        }
        for (char **p = slot + BATCH; p != slot;) {
            free(*--p);
        }
    }
}

/* 1000 blocks of 48 bytes, freed first first. COUNT is in blocks. */
static void mode_fifo(long count) {
    for (; count > 0; count -= BATCH) {
        for (char **p = slot; p != slot + BATCH; p++) {
            *p = malloc(BATCH_SIZE);
        }
        for (char **p = slot; p != slot + BATCH; p++) {
            free(*p);
        }
    }
}

static inline uint64_t xorshift(uint64_t x) {
    x ^= x << 13;
    x ^= x >> 7;
    return x ^ x << 17;
}

/* Sizes 16 to 1039 at random, each replacing the block in one of 1024 slots chosen at random: slot and size are
 * different bits of one draw. */
static void mode_random(long count) {
    static uint64_t seed = 88172645463325252u;
    uint64_t x = seed;
    for (long i = 0; i < count; i++) {
        x = xorshift(x);
        char **p = &slot[x & (SLOTS - 1)];
        free(*p);
        *p = malloc(SIZE_LOW + ((x >> 32) & (SIZES - 1)));
    }
    seed = x;
}

/* calloc(4, 25) and free. */
static void mode_calloc(long count) {
    for (long i = 0; i < count; i++) {
        char *p = calloc(4, 25);
        *p = 1;
        KEEP(i);
        free(p);
    }
}

/* A block that grows once within its class (30 to 40 bytes or next to it) and once out of it, then
 * is freed. */
static void mode_realloc(long count) {
    for (long i = 0; i < count; i++) {
        char *p = realloc(realloc(malloc(30), 40), 300);
        *p = 1;
        KEEP(i);
        free(p);
    }
}

static const struct {
    const char *name;
    void (*run)(long count);
} modes[] = {{"pair", mode_pair},     {"lifo", mode_lifo},     {"fifo", mode_fifo},
             {"random", mode_random}, {"calloc", mode_calloc}, {"realloc", mode_realloc}};

int main(int argc, char **argv) {
    char *end = NULL;
    long count = argc == 3 ? strtol(argv[2], &end, 10) : 0;
    if (count < 1 || *end != '\0') {
        fprintf(stderr, "usage: instr pair|lifo|fifo|random|calloc|realloc COUNT (at least 1)\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(argv[1], modes[i].name) == 0) {
            modes[i].run(WARM_UP);
            modes[i].run(count);
            return 0;
        }
    }
    fprintf(stderr,
            "instr: unknown mode '%s'; allowed: pair, lifo, fifo, random, calloc, realloc\n",
            argv[1]);
    return 2;
}

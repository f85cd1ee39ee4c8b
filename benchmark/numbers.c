/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Numbers: arithmetic with long integers where each intermediate result is a heap block of its own.
 *
 * One thread computes convergents h/k of continued fractions with random terms: h' = a*h + h0,
 * likewise k. Numbers are immutable and counted; every product and sum is a new block of 8 to some
 * hundred bytes that lives for a few steps, apart from a window of old ones. The identity h*k0 -
 * h0*k = +-1 verifies the result (modulo 2^64 in each step, which takes little time).
 */
#include "bench_common.h"

enum { STEPS = 5200000, WORDS_MAX = 48, WINDOW = 4096, TERM_MAX = 1 << 20 };

typedef struct {
    uint32_t users;
    uint32_t words; /* used in word[], no leading zero */
    uint32_t word[];
} number_t;

static number_t *number_new(uint32_t words) {
    number_t *n = bench_need(malloc(sizeof *n + words * sizeof(uint32_t)));
    n->users = 1;
    n->words = words;
    return n;
}

static number_t *number_of(uint32_t value) {
    number_t *n = number_new(1);
    n->word[0] = value;
    return n;
}

static number_t *number_use(number_t *n) {
    n->users++;
    return n;
}

static void number_drop(number_t *n) {
    if (n != NULL && --n->users == 0) {
        free(n);
    }
}

static void number_trim(number_t *n) {
    while (n->words > 1 && n->word[n->words - 1] == 0) {
        n->words--;
    }
}

static number_t *number_times(const number_t *a, uint32_t factor) {
    number_t *r = number_new(a->words + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->words; i++) {
        carry += (uint64_t)a->word[i] * factor;
        r->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    r->word[a->words] = (uint32_t)carry;
    number_trim(r);
    return r;
}

static number_t *number_plus(const number_t *a, const number_t *b) {
    if (a->words < b->words) {
        return number_plus(b, a);
    }
    number_t *r = number_new(a->words + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < a->words; i++) {
        carry += (uint64_t)a->word[i] + (i < b->words ? b->word[i] : 0);
        r->word[i] = (uint32_t)carry;
        carry >>= 32;
    }
    r->word[a->words] = (uint32_t)carry;
    number_trim(r);
    return r;
}

/* The number modulo 2^64. */
static uint64_t number_low(const number_t *a) {
    return a->word[0] | (a->words > 1 ? (uint64_t)a->word[1] << 32 : 0);
}

typedef struct {
    number_t *now, *before;
} sequence_t;

/* One step of the recurrence; the product is a block that lives only here. */
static void sequence_step(sequence_t *s, uint32_t term) {
    number_t *product = number_times(s->now, term);
    number_t *next = number_plus(product, s->before);
    number_drop(product);
    number_drop(s->before);
    s->before = s->now;
    s->now = next;
}

static void sequence_restart(sequence_t *s, uint32_t now, uint32_t before) {
    number_drop(s->now);
    number_drop(s->before);
    s->now = number_of(now);
    s->before = number_of(before);
}

int main(int argc, char **argv) {
    bench_t bench = bench_begin("numbers", argc, argv);
    bench.threads = 1;
    long steps = bench_scaled(&bench, STEPS);
    bench_rng_t rng = bench_seed(7);
    static number_t *window[WINDOW];
    sequence_t h = {NULL, NULL}, k = {NULL, NULL};
    uint64_t sign = 1, check = 0;
    sequence_restart(&h, 1, 0);
    sequence_restart(&k, 0, 1);
    for (long i = 0; i < steps; i++) {
        uint32_t term = 1 + bench_below(&rng, TERM_MAX);
        sequence_step(&h, term);
        sequence_step(&k, term);
        sign = 0 - sign;
        uint64_t one =
            number_low(h.now) * number_low(k.before) - number_low(h.before) * number_low(k.now);
        if (one != sign) {
            bench_fail("a number was overwritten");
        }
        if (h.now->words > WORDS_MAX) {
            check = check * 31 + number_low(h.now);
            sequence_restart(&h, 1, 0);
            sequence_restart(&k, 0, 1);
            sign = 1;
        }
        number_t **slot = &window[bench_random(&rng) % WINDOW];
        number_drop(*slot);
        *slot = number_use(h.now);
    }
    for (int i = 0; i < WINDOW; i++) {
        number_drop(window[i]);
    }
    number_drop(h.now);
    number_drop(h.before);
    number_drop(k.now);
    number_drop(k.before);
    bench_end(&bench, (uint64_t)steps, check);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface_realloc.c - realloc keeps the content over every change of size, and no two live blocks
 * ever share a byte.
 */
#include "pattern.h"
#include "surface.h"

/* Around every border an allocator may have: grid, classes, slabs, pages, chunks, huge. */
static const size_t sizes[] = {
    1,       15,       16,      17,       64,      65,        127,      129,
    500,     1024,     1025,    4000,     4096,    4097,      8192,     10000,
    16384,   32768,    32769,   65520,    65536,   65537,     100000,   131072,
    131073,  262144,   300000,  524288,   524289,  1u << 20,  1100000,  2u << 20,
    2500000, 4u << 20, 4194305, 8u << 20, 9000000, 16u << 20, 20000000, 33u << 20,
};
enum { SIZES = sizeof(sizes) / sizeof(sizes[0]) };

typedef void *(*make_fn)(size_t);
static void *make_malloc(size_t n) {
    return malloc(n);
}
static void *make_calloc(size_t n) {
    return calloc(n, 1);
}
static void *make_aligned_64(size_t n) {
    return aligned_alloc(64, n);
}
static void *make_aligned_page(size_t n) {
    return memalign(4096, n);
}
static void *make_aligned_large(size_t n) {
    return memalign(1u << 20, n);
}

/* From huge to huge takes most of the time; two makers are enough for that. */
static const size_t SMALL_LIMIT = (size_t)1 << 20;

static const struct {
    const char *name;
    make_fn make;
    int small_only;
} makers[] = {
    {"malloc", make_malloc, 0},
    {"calloc", make_calloc, 1},
    {"aligned_alloc 64", make_aligned_64, 1},
    {"memalign 4096", make_aligned_page, 1},
    {"memalign 1M", make_aligned_large, 0},
};

static void check_transition(unsigned maker, size_t from, size_t to) {
    size_t kept = from < to ? from : to;
    uint64_t tag = from * 31 + to;
    void *p = makers[maker].make(from);
    if (!CHECK_MSG(p != NULL, "%s(%zu)", makers[maker].name, from)) {
        return;
    }
    pattern_fill(p, from, tag);
    void *q = realloc(p, to);
    if (!CHECK_MSG(q != NULL, "%s: realloc(%zu -> %zu)", makers[maker].name, from, to)) {
        free(p);
        return;
    }
    size_t wrong = pattern_mismatch(q, kept, from, tag);
    CHECK_MSG(wrong == kept, "%s: realloc(%zu -> %zu) lost byte %zu", makers[maker].name, from, to,
              wrong);
    CHECK_MSG((uintptr_t)q % 16 == 0 && malloc_usable_size(q) >= to,
              "%s: realloc(%zu -> %zu) is %p with %zu bytes", makers[maker].name, from, to, q,
              malloc_usable_size(q));
    pattern_fill(q, to, tag + 1); /* the new end is ours */
    CHECK_INT(pattern_mismatch(q, to, to, tag + 1), to);
    free(q);
}

static void check_transitions(void) {
    for (unsigned maker = 0; maker < sizeof(makers) / sizeof(makers[0]); maker++) {
        for (int i = 0; i < SIZES; i++) {
            for (int k = 0; k < SIZES; k++) {
                if (makers[maker].small_only && sizes[i] > SMALL_LIMIT && sizes[k] > SMALL_LIMIT) {
                    continue;
                }
                check_transition(maker, sizes[i], sizes[k]);
            }
        }
    }
}

/* One block that grows in small steps, as strings and vectors do, with a neighbour that must not be
 * hit. */
static void check_growth(size_t step, size_t limit) {
    unsigned char *p = NULL, *neighbour = NULL;
    size_t size = 0, neighbour_size = 0;
    while (size < limit) {
        unsigned char *q = (unsigned char *)realloc(p, size + step);
        if (!CHECK_MSG(q != NULL, "growth to %zu", size + step)) {
            break;
        }
        CHECK_MSG(size == 0 || (q[0] == pattern_byte(step, 0) &&
                                q[size - 1] == pattern_byte(step, size - 1)),
                  "growth by %zu lost content at %zu", step, size);
        for (size_t i = size; i < size + step; i++) {
            q[i] = pattern_byte(step, i);
        }
        p = q;
        size += step;
        if (rng_below(&(rng_t){size}, 50) == 0) {
            CHECK_INT(pattern_mismatch(neighbour, neighbour_size, neighbour_size, 5),
                      neighbour_size);
            free(neighbour);
            neighbour_size = size;
            neighbour = (unsigned char *)malloc(neighbour_size);
            pattern_fill(neighbour, neighbour_size, 5);
        }
    }
    for (size_t i = 0; i < size; i++) {
        if (!CHECK_MSG(p[i] == pattern_byte(step, i), "growth by %zu lost byte %zu", step, i)) {
            break;
        }
    }
    while (size > step) { /* and down again */
        size -= size / 7 + 1;
        p = (unsigned char *)realloc(p, size);
        CHECK_MSG(p != NULL && p[size - 1] == pattern_byte(step, size - 1), "shrinking to %zu",
                  size);
    }
    free(neighbour);
    free(p);
}

/* ---- random life of many blocks ---- */

enum {
    SLOTS = 1500,
    ROUNDS = 400000,
    OVERLAP_EVERY = 20000, /* rounds between full comparisons of all ranges */
};

typedef struct slot {
    unsigned char *block;
    size_t size;   /* as requested */
    size_t usable; /* the range that no other block may touch */
    uint64_t tag;
} slot_t;

static slot_t slots[SLOTS];

static int slot_order(const void *a, const void *b) {
    const slot_t *x = (const slot_t *)a, *y = (const slot_t *)b;
    return x->block < y->block ? -1 : x->block > y->block;
}

static void check_no_overlap(void) {
    qsort(slots, SLOTS, sizeof(slots[0]), slot_order);
    for (int i = 1; i < SLOTS; i++) {
        slot_t *low = &slots[i - 1], *high = &slots[i];
        CHECK_MSG(low->block == NULL || low->block + low->usable <= high->block,
                  "%p + %zu reaches into %p", (void *)low->block, low->usable, (void *)high->block);
    }
}

static void slot_check(const slot_t *slot) {
    size_t wrong = pattern_mismatch(slot->block, slot->size, slot->size, slot->tag);
    CHECK_MSG(wrong == slot->size, "block %p of %zu bytes changed at %zu", (void *)slot->block,
              slot->size, wrong);
}

static void slot_fill(slot_t *slot, void *block, size_t size, uint64_t tag) {
    *slot = (slot_t){(unsigned char *)block, size, malloc_usable_size(block), tag};
    pattern_fill(block, size, tag);
}

static void slot_replace(slot_t *slot, rng_t *rng, uint64_t tag) {
    size_t size = rng_size(rng);
    size_t kept = size < slot->size ? size : slot->size;
    switch (rng_below(rng, 8)) {
    case 0:
        free(slot->block);
        *slot = (slot_t){NULL, 0, 0, 0};
        return;
    case 1:
    case 2: {
        void *p = realloc(slot->block, size);
        if (p != NULL && slot->block != NULL) {
            CHECK_MSG(pattern_mismatch(p, kept, slot->size, slot->tag) == kept,
                      "realloc(%zu -> %zu) lost content", slot->size, size);
        }
        slot_fill(slot, p, size, tag);
        return;
    }
    case 3:
        free(slot->block);
        slot_fill(slot, memalign((size_t)16 << rng_below(rng, 14), size), size, tag);
        return;
    case 4:
        free(slot->block);
        slot_fill(slot, calloc(1, size), size, tag);
        return;
    default:
        free(slot->block);
        slot_fill(slot, malloc(size), size, tag);
    }
}

static void check_random_life(void) {
    rng_t rng = {rng_seed("surface_realloc")};
    for (uint64_t round = 0; round < ROUNDS; round++) {
        slot_t *slot = &slots[rng_below(&rng, SLOTS)];
        slot_check(slot);
        slot_replace(slot, &rng, round);
        if (round % OVERLAP_EVERY == 0) {
            check_no_overlap();
        }
    }
    for (int i = 0; i < SLOTS; i++) {
        slot_check(&slots[i]);
        free(slots[i].block);
    }
}

int main(void) {
    check_begin();
    check_transitions();
    check_growth(1, 200000);
    check_growth(24, 300000);
    check_growth(4096, 16u << 20);
    check_growth(100001, 64u << 20);
    check_random_life();
    return check_end("surface_realloc");
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Coarse block manager: every rule on made-up addresses (it never touches the memory, so none is
 * needed), a randomised comparison with a linear reference, growth, shortage of metadata, threads
 * and fork.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <sys/mman.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fork.h"
#include "core/state.h"
#include "providers/coarse.h"
#include "providers/coarse_unshare.h"

#define PAGE ((size_t)4096)
#define BASE ((uintptr_t)0x100000000)

#define OK UMF_RESULT_SUCCESS
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define ALIGN UMF_RESULT_ERROR_INVALID_ALIGNMENT

static coarse_t *make(uintptr_t base, size_t size) {
    coarse_t *coarse = NULL;
    coarse_config_t config = {.page_size = PAGE};
    cr_assert_eq(coarse_create(&config, &coarse), OK);
    if (size != 0) {
        coarse_range_t range = {.base = (void *)base, .size = size, .tag = 7};
        cr_assert_eq(coarse_add_range(coarse, &range), OK);
    }
    return coarse;
}

static uintptr_t take(coarse_t *coarse, size_t size, size_t alignment) {
    void *ptr = NULL;
    umf_result_t result = coarse_alloc(coarse, size, alignment, &ptr);
    cr_assert_eq(result, OK, "alloc of %zu, alignment %zu: result %d", size, alignment,
                 (int)result);
    cr_assert(coarse_check(coarse));
    return (uintptr_t)ptr;
}

static void give(coarse_t *coarse, uintptr_t ptr, size_t size) {
    size_t freed = 0;
    cr_assert_eq(coarse_free(coarse, (void *)ptr, size, &freed), OK);
    cr_assert(size == 0 || freed == size);
    cr_assert(coarse_check(coarse));
}

/* Everything is free again: one block per range. */
static void assert_whole(coarse_t *coarse) {
    coarse_stats_t stats;
    coarse_get_stats(coarse, &stats);
    cr_assert_eq(stats.used_blocks, 0);
    cr_assert_eq(stats.free_blocks, stats.ranges);
    cr_assert_eq(stats.free_bytes, stats.total_bytes);
    cr_assert(coarse_check(coarse));
}

Test(coarse, the_whole_range_is_one_block) {
    coarse_t *coarse = make(BASE, 8 * PAGE);
    uintptr_t all = take(coarse, 8 * PAGE, 0);
    cr_assert_eq(all, BASE);
    void *ptr = NULL;
    cr_assert_eq(coarse_alloc(coarse, 1, 0, &ptr), OOM);
    cr_assert_null(ptr);
    give(coarse, all, 8 * PAGE);
    assert_whole(coarse);
    coarse_destroy(coarse);
    coarse_destroy(NULL);
}

Test(coarse, alignment_rules) {
    coarse_t *coarse = make(BASE + PAGE, 64 * PAGE);
    static const size_t wrong[] = {3, PAGE - 1, PAGE + 1, PAGE + PAGE / 2, 3 * PAGE, SIZE_MAX};
    void *ptr = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_assert_eq(coarse_alloc(coarse, PAGE, wrong[i], &ptr), ALIGN, "%zu", wrong[i]);
    }
    cr_assert_null(ptr);
    assert_whole(coarse);
    static const size_t right[] = {0, 1, 8, PAGE / 2, PAGE, 2 * PAGE, 4 * PAGE, 16 * PAGE};
    for (size_t i = 0; i < ARRAY_LENGTH(right); i++) {
        uintptr_t at = take(coarse, PAGE, right[i]);
        cr_assert(is_aligned(at, right[i] < PAGE ? PAGE : right[i]));
        give(coarse, at, PAGE);
        assert_whole(coarse);
    }
    coarse_destroy(coarse);
}

Test(coarse, what_can_never_fit_is_out_of_memory) {
    coarse_t *coarse = make(BASE, 4 * PAGE);
    static const size_t sizes[] = {0, 4 * PAGE + 1, SIZE_MAX / 2, SIZE_MAX - PAGE, SIZE_MAX};
    void *ptr = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        cr_assert_eq(coarse_alloc(coarse, sizes[i], 0, &ptr), OOM, "%zu", sizes[i]);
    }
    cr_assert_eq(coarse_alloc(coarse, PAGE, (size_t)1 << 63, &ptr), OOM);
    cr_assert_null(ptr);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

Test(coarse, pages_come_out_adjacent_and_best_fit_is_taken) {
    coarse_t *coarse = make(BASE, 32 * PAGE);
    uintptr_t at[8];
    for (size_t i = 0; i < 8; i++) {
        at[i] = take(coarse, PAGE, 0);
        cr_assert_eq(at[i], BASE + i * PAGE);
    }
    uintptr_t hole2 = take(coarse, 2 * PAGE, 0), wall = take(coarse, PAGE, 0);
    give(coarse, at[1], PAGE);     // a hole of one page
    give(coarse, hole2, 2 * PAGE); // a hole of two
    cr_assert_eq(take(coarse, 2 * PAGE, 0), hole2);
    cr_assert_eq(take(coarse, PAGE, 0), at[1]);
    cr_assert_eq(take(coarse, PAGE, 0), wall + PAGE);
    coarse_destroy(coarse);
}

Test(coarse, neighbours_join_in_any_order_of_free) {
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < 6; o++) {
        coarse_t *coarse = make(BASE, 3 * PAGE);
        uintptr_t at[3];
        for (size_t i = 0; i < 3; i++) {
            at[i] = take(coarse, PAGE, 0);
        }
        for (size_t i = 0; i < 3; i++) {
            give(coarse, at[orders[o][i]], PAGE);
        }
        assert_whole(coarse);
        coarse_destroy(coarse);
    }
}

Test(coarse, wrong_frees_are_refused_and_change_nothing) {
    coarse_t *coarse = make(BASE, 8 * PAGE);
    uintptr_t at = take(coarse, 2 * PAGE, 0);
    size_t freed = 1;
    cr_assert_eq(coarse_free(coarse, NULL, 0, &freed), OK);
    cr_assert_eq(freed, 0);
    cr_assert_eq(coarse_free(coarse, (void *)1, 0, NULL), INVAL);
    cr_assert_eq(coarse_free(coarse, (void *)1, PAGE, NULL), INVAL);
    cr_assert_eq(coarse_free(coarse, (void *)(at + PAGE), 0, NULL), INVAL);     // inside
    cr_assert_eq(coarse_free(coarse, (void *)(at + 2 * PAGE), 0, NULL), INVAL); // a free block
    cr_assert_eq(coarse_free(coarse, (void *)at, PAGE, NULL), INVAL);           // wrong size
    cr_assert_eq(coarse_free(coarse, (void *)at, 2 * PAGE + 1, NULL), INVAL);
    cr_assert(coarse_check(coarse));
    cr_assert_eq(coarse_free(coarse, (void *)at, 0, &freed), OK); // 0: whatever it is
    cr_assert_eq(freed, 2 * PAGE);
    cr_assert_eq(coarse_free(coarse, (void *)at, 0, NULL), INVAL); // twice
    cr_assert_eq(coarse_free(coarse, (void *)at, 2 * PAGE, NULL), INVAL);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

Test(coarse, split_parts_live_on_their_own) {
    coarse_t *coarse = make(BASE, 8 * PAGE);
    uintptr_t at = take(coarse, 4 * PAGE, 0);
    void *ptr = (void *)at;
    cr_assert_eq(coarse_split(coarse, (void *)(at + 8), 4 * PAGE, PAGE), INVAL);
    cr_assert_eq(coarse_split(coarse, ptr, 3 * PAGE, PAGE), INVAL);
    cr_assert_eq(coarse_split(coarse, ptr, 4 * PAGE, 0), INVAL);
    cr_assert_eq(coarse_split(coarse, ptr, 4 * PAGE, 4 * PAGE), INVAL);
    cr_assert_eq(coarse_split(coarse, (void *)(at + 4 * PAGE), 4 * PAGE, PAGE), INVAL); // free
    cr_assert_eq(coarse_split(coarse, ptr, 4 * PAGE, PAGE + 100), OK); // not on a page
    cr_assert(coarse_check(coarse));
    cr_assert_eq(coarse_free(coarse, ptr, 4 * PAGE, NULL), INVAL);
    give(coarse, at, PAGE + 100);
    cr_assert_eq(take(coarse, PAGE, 0), at); // of the odd hole a page can be used
    give(coarse, at, PAGE);
    give(coarse, at + PAGE + 100, 3 * PAGE - 100);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

Test(coarse, merge_undoes_split_and_joins_neighbours) {
    coarse_t *coarse = make(BASE, 8 * PAGE);
    uintptr_t a = take(coarse, PAGE, 0), b = take(coarse, PAGE, 0), c = take(coarse, PAGE, 0);
    void *pa = (void *)a, *pb = (void *)b, *pc = (void *)c;
    cr_assert_eq(coarse_merge(coarse, pa, pc, 2 * PAGE), INVAL);                 // not neighbours
    cr_assert_eq(coarse_merge(coarse, pb, pa, 2 * PAGE), INVAL);                 // wrong order
    cr_assert_eq(coarse_merge(coarse, pa, pb, 3 * PAGE), INVAL);                 // wrong sum
    cr_assert_eq(coarse_merge(coarse, pc, (void *)(c + PAGE), 2 * PAGE), INVAL); // free
    cr_assert_eq(coarse_merge(coarse, pa, pb, 2 * PAGE), OK);
    cr_assert_eq(coarse_merge(coarse, pa, pc, 3 * PAGE), OK);
    cr_assert(coarse_check(coarse));
    cr_assert_eq(coarse_free(coarse, pb, PAGE, NULL), INVAL); // no block of its own any more
    give(coarse, a, 3 * PAGE);
    assert_whole(coarse);

    a = take(coarse, 3 * PAGE, 0);
    cr_assert_eq(coarse_split(coarse, (void *)a, 3 * PAGE, 10), OK);
    cr_assert_eq(coarse_merge(coarse, (void *)a, (void *)(a + 10), 3 * PAGE), OK);
    give(coarse, a, 3 * PAGE);

    // Neighbours whose bytes do not touch, because the first one was rounded up, are no whole.
    a = take(coarse, 100, 0);
    b = take(coarse, PAGE, 0);
    cr_assert_eq(b, a + PAGE);
    cr_assert_eq(coarse_merge(coarse, (void *)a, (void *)b, PAGE + 100), INVAL);
    coarse_destroy(coarse);
}

Test(coarse, a_range_may_begin_and_end_inside_a_page) {
    coarse_t *coarse = make(BASE + 100, 2 * PAGE);
    uintptr_t at = take(coarse, PAGE + 100, 0); // up to the last byte
    cr_assert_eq(at, BASE + PAGE);
    void *ptr;
    cr_assert_eq(coarse_alloc(coarse, 1, 0, &ptr), OOM); // the head holds no page start
    give(coarse, at, PAGE + 100);
    cr_assert_eq(coarse_alloc(coarse, PAGE + 101, 0, &ptr), OOM);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

Test(coarse, bad_ranges_are_refused) {
    coarse_t *coarse = make(0, 0);
    static const coarse_range_t bad[] = {
        {.base = NULL, .size = PAGE},
        {.base = (void *)BASE, .size = 0},
        {.base = (void *)BASE, .size = SIZE_MAX},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_assert_eq(coarse_add_range(coarse, &bad[i]), INVAL);
    }
    void *ptr;
    cr_assert_eq(coarse_alloc(coarse, 1, 0, &ptr), OOM);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

/* Touching ranges stay two: a block over both would have no single place in a file. */
Test(coarse, blocks_never_span_two_ranges) {
    coarse_t *coarse = make(BASE, 2 * PAGE);
    coarse_range_t second = {.base = (void *)(BASE + 2 * PAGE), .size = 2 * PAGE, .tag = 9};
    cr_assert_eq(coarse_add_range(coarse, &second), OK);
    void *ptr;
    cr_assert_eq(coarse_alloc(coarse, 3 * PAGE, 0, &ptr), OOM);
    uintptr_t low = take(coarse, 2 * PAGE, 0), high = take(coarse, 2 * PAGE, 0);
    cr_assert_eq(low, BASE);
    cr_assert_eq(coarse_merge(coarse, (void *)low, (void *)high, 4 * PAGE), INVAL);
    coarse_block_info_t info;
    cr_assert_eq(coarse_lookup(coarse, (void *)high, &info), OK);
    cr_assert(info.size == 2 * PAGE && info.range.tag == 9 && info.range.base == second.base);
    cr_assert_eq(coarse_lookup(coarse, (void *)(high + 1), &info), INVAL);
    give(coarse, low, 0);
    cr_assert_eq(coarse_lookup(coarse, (void *)low, &info), INVAL);
    give(coarse, high, 0);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

/* A design that looks only at the first size that is large enough, and then demands size +
 * alignment, fails here. */
Test(coarse, an_aligned_block_is_found_among_larger_sizes) {
    coarse_t *coarse = make(BASE, 16 * PAGE);
    // Free: [1,3) of two pages whose start does not suit, and [4,6), again of two pages, which
    // suits.
    for (size_t i = 0; i < 16; i++) {
        take(coarse, PAGE, 0);
    }
    for (size_t i = 1; i < 6; i++) {
        if (i != 3) {
            give(coarse, BASE + i * PAGE, PAGE);
        }
    }
    cr_assert_eq(take(coarse, 2 * PAGE, 4 * PAGE), BASE + 4 * PAGE);
    // Free now: [1,3) and, larger but still below size + alignment, [7,10), whose page 8 suits.
    for (size_t i = 7; i < 10; i++) {
        give(coarse, BASE + i * PAGE, PAGE);
    }
    cr_assert_eq(take(coarse, 2 * PAGE, 8 * PAGE), BASE + 8 * PAGE);
    coarse_destroy(coarse);
}

/* More unsuitable blocks than the search probes, and behind them a page that suits, a block that
 * suits any alignment, or both: then the search does not walk all the way to the page. */
Test(coarse, an_aligned_block_is_found_behind_many_that_do_not_fit) {
    enum { PAGE_ONLY = 1, BIG_ONLY = 2, BOTH = 3 };
    enum { HOLES = 3 * COARSE_ALIGNMENT_PROBES, PAGES = 4 * HOLES + 64 };
    for (int kind = PAGE_ONLY; kind <= BOTH; kind++) {
        coarse_t *coarse = make(BASE, PAGES * PAGE);
        for (size_t i = 0; i < PAGES; i++) {
            void *ptr;
            cr_assert_eq(coarse_alloc(coarse, PAGE, 0, &ptr), OK);
        }
        for (size_t i = 0; i < HOLES; i++) { // one page each, at 4i + 1
            give(coarse, BASE + (4 * i + 1) * PAGE, PAGE);
        }
        size_t single = 4 * HOLES + 8, big = 4 * HOLES + 32;
        if (kind != BIG_ONLY) {
            give(coarse, BASE + single * PAGE, PAGE);
        }
        for (size_t i = big - 3; kind != PAGE_ONLY && i < big + 5; i++) {
            give(coarse, BASE + i * PAGE, PAGE);
        }
        size_t expected = kind == PAGE_ONLY ? single : big;
        cr_assert_eq(take(coarse, PAGE, 4 * PAGE), BASE + expected * PAGE);
        coarse_destroy(coarse);
    }
}

/* Allocating takes no metadata in the steady state: descriptors are reused. */
Test(coarse, the_steady_state_allocates_no_metadata) {
    coarse_t *coarse = make(BASE, 1024 * PAGE);
    uintptr_t at[300];
    size_t before = 0;
    for (int round = 0; round < 5; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(at); i++) {
            void *ptr;
            cr_assert_eq(coarse_alloc(coarse, PAGE + 1, i % 3 ? 0 : 4 * PAGE, &ptr), OK);
            at[i] = (uintptr_t)ptr;
        }
        for (size_t i = 0; i < ARRAY_LENGTH(at); i++) {
            cr_assert_eq(coarse_free(coarse, (void *)at[i], 0, NULL), OK);
        }
        size_t used = load_relaxed(&umf_core_state.base.used_bytes);
        cr_assert(round == 0 || used == before, "round %d: %zu, before %zu", round, used, before);
        before = used;
        assert_whole(coarse);
    }
    coarse_destroy(coarse);
}

Test(coarse, destroy_gives_all_metadata_back) {
    size_t before = load_relaxed(&umf_core_state.base.used_bytes);
    coarse_t *coarse = make(BASE, 8192 * PAGE);
    void *ptr;
    for (size_t i = 0; i < 8192; i++) {
        cr_assert_eq(coarse_alloc(coarse, PAGE, 0, &ptr), OK);
    }
    coarse_destroy(coarse); // with blocks in use
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), before);
}

/* ---- Growth ---- */

typedef struct source {
    uintptr_t next;
    size_t calls, last_size, last_alignment;
    size_t extra; /* more than asked for */
    umf_result_t failure;
} source_t;

static umf_result_t source_grow(void *owner, size_t size, size_t alignment, coarse_range_t *range) {
    source_t *source = owner;
    source->calls++;
    source->last_size = size;
    source->last_alignment = alignment;
    if (source->failure != OK) {
        return source->failure;
    }
    uintptr_t base = align_up(source->next, alignment);
    *range =
        (coarse_range_t){.base = (void *)base, .size = size + source->extra, .tag = source->calls};
    source->next = base + range->size + PAGE;
    return OK;
}

static coarse_t *make_growing(source_t *source) {
    coarse_t *coarse = NULL;
    coarse_config_t config = {.page_size = PAGE, .grow = source_grow, .owner = source};
    cr_assert_eq(coarse_create(&config, &coarse), OK);
    return coarse;
}

Test(coarse, grows_only_when_nothing_fits) {
    source_t source = {.next = BASE, .extra = 3 * PAGE};
    coarse_t *coarse = make_growing(&source);
    uintptr_t a = take(coarse, 100, 0);
    cr_assert(source.calls == 1 && source.last_size == PAGE && source.last_alignment == PAGE);
    uintptr_t b = take(coarse, 3 * PAGE, 0);
    cr_assert(source.calls == 1 && b == a + PAGE);
    uintptr_t c = take(coarse, PAGE, 16 * PAGE);
    cr_assert(source.calls == 2 && source.last_alignment == 16 * PAGE && is_aligned(c, 16 * PAGE));
    give(coarse, a, 0);
    give(coarse, b, 0);
    give(coarse, c, 0);
    assert_whole(coarse);
    take(coarse, 4 * PAGE, 0);
    cr_assert_eq(source.calls, 2);
    coarse_destroy(coarse);
}

Test(coarse, growth_that_fails_changes_nothing) {
    source_t source = {.next = BASE};
    coarse_t *coarse = make_growing(&source);
    void *ptr = NULL;
    cr_assert_eq(coarse_alloc(coarse, SIZE_MAX, 0, &ptr), INVAL); // can not be rounded up
    cr_assert_eq(coarse_alloc(coarse, 0, 0, &ptr), INVAL);
    cr_assert_eq(source.calls, 0);
    uintptr_t a = take(coarse, 2 * PAGE, 0);
    static const umf_result_t failures[] = {UMF_RESULT_ERROR_UNKNOWN, OOM,
                                            UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC};
    size_t metadata = load_relaxed(&umf_core_state.base.used_bytes);
    for (size_t i = 0; i < ARRAY_LENGTH(failures); i++) {
        source.failure = failures[i];
        cr_assert_eq(coarse_alloc(coarse, PAGE, 0, &ptr), failures[i]);
        cr_assert(coarse_check(coarse));
    }
    cr_assert_null(ptr);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), metadata);
    source.failure = OK;
    give(coarse, take(coarse, PAGE, 0), PAGE);
    give(coarse, a, 2 * PAGE);
    assert_whole(coarse);
    coarse_destroy(coarse);
}

/* ---- Randomised comparison with a reference that is a plain array ---- */

typedef struct ref_block {
    uintptr_t start;
    size_t span, size; /* size 0: free */
    int range;
} ref_block_t;

enum { REF_MAX = 4096 };
typedef struct reference {
    ref_block_t blocks[REF_MAX]; /* in order of range and address */
    size_t count;
} reference_t;

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void ref_insert(reference_t *ref, size_t at, ref_block_t block) {
    cr_assert_lt(ref->count, REF_MAX);
    memmove(&ref->blocks[at + 1], &ref->blocks[at], (ref->count - at) * sizeof(block));
    ref->blocks[at] = block;
    ref->count++;
}

static void ref_remove(reference_t *ref, size_t at) {
    ref->count--;
    memmove(&ref->blocks[at], &ref->blocks[at + 1], (ref->count - at) * sizeof(ref->blocks[0]));
}

static bool ref_fits(const ref_block_t *block, size_t size, size_t alignment) {
    uintptr_t start = align_up(block->start, alignment);
    return block->size == 0 && start + size <= block->start + block->span;
}

/* Index of the best fit, or -1; *tried counts the smaller blocks whose size would do but not their
 * start. */
static long ref_best(const reference_t *ref, size_t size, size_t alignment, size_t *tried) {
    long best = -1;
    for (size_t i = 0; i < ref->count; i++) {
        const ref_block_t *block = &ref->blocks[i];
        if (ref_fits(block, size, alignment) &&
            (best < 0 || block->span < ref->blocks[best].span ||
             (block->span == ref->blocks[best].span && block->start < ref->blocks[best].start))) {
            best = (long)i;
        }
    }
    *tried = 0;
    for (size_t i = 0; best >= 0 && i < ref->count; i++) {
        const ref_block_t *block = &ref->blocks[i];
        *tried += block->size == 0 && block->span >= size &&
                  block->span <= ref->blocks[best].span && !ref_fits(block, size, alignment);
    }
    return best;
}

static long ref_index(const reference_t *ref, uintptr_t ptr) {
    for (size_t i = 0; i < ref->count; i++) {
        if (ref->blocks[i].start <= ptr && ptr - ref->blocks[i].start < ref->blocks[i].span) {
            return (long)i;
        }
    }
    return -1;
}

static void ref_use(reference_t *ref, size_t i, uintptr_t where, size_t size) {
    ref_block_t *block = &ref->blocks[i];
    if (where > block->start) {
        ref_block_t upper = {where, block->start + block->span - where, 0, block->range};
        block->span = where - block->start;
        ref_insert(ref, ++i, upper);
        block = &ref->blocks[i];
    }
    size_t span = align_up(size, PAGE);
    if (span < block->span) {
        ref_block_t tail = {where + span, block->span - span, 0, block->range};
        block->span = span;
        ref_insert(ref, i + 1, tail);
        block = &ref->blocks[i];
    }
    block->size = size;
}

static void ref_free(reference_t *ref, size_t i) {
    ref->blocks[i].size = 0;
    if (i + 1 < ref->count && ref->blocks[i + 1].size == 0 &&
        ref->blocks[i + 1].range == ref->blocks[i].range) {
        ref->blocks[i].span += ref->blocks[i + 1].span;
        ref_remove(ref, i + 1);
    }
    if (i > 0 && ref->blocks[i - 1].size == 0 && ref->blocks[i - 1].range == ref->blocks[i].range) {
        ref->blocks[i - 1].span += ref->blocks[i].span;
        ref_remove(ref, i);
    }
}

static void step_alloc(coarse_t *coarse, reference_t *ref, uint64_t *seed) {
    size_t size = 1 + random_next(seed) % (random_next(seed) % 8 ? 6 * PAGE : 40 * PAGE);
    if (random_next(seed) % 2) {
        size = align_up(size, PAGE);
    }
    static const size_t alignments[] = {0, 0, 0, 64, PAGE, 2 * PAGE, 4 * PAGE, 32 * PAGE};
    size_t alignment = alignments[random_next(seed) % ARRAY_LENGTH(alignments)];
    size_t effective = alignment < PAGE ? PAGE : alignment;
    size_t tried;
    long best = ref_best(ref, size, effective, &tried);
    void *ptr = NULL;
    umf_result_t result = coarse_alloc(coarse, size, alignment, &ptr);
    cr_assert_eq(result, best < 0 ? OOM : OK);
    if (best < 0) {
        return;
    }
    long chosen = ref_index(ref, (uintptr_t)ptr);
    cr_assert(chosen >= 0 && ref_fits(&ref->blocks[chosen], size, effective));
    if (tried < COARSE_ALIGNMENT_PROBES) {
        cr_assert_eq(chosen, best);
    }
    cr_assert_eq((uintptr_t)ptr, align_up(ref->blocks[chosen].start, effective));
    ref_use(ref, (size_t)chosen, (uintptr_t)ptr, size);
}

static void step_free(coarse_t *coarse, reference_t *ref, uint64_t *seed) {
    size_t i = random_next(seed) % ref->count;
    ref_block_t block = ref->blocks[i];
    size_t size = random_next(seed) % 4 ? block.size : 0;
    umf_result_t expected = block.size != 0 ? OK : INVAL;
    if (random_next(seed) % 16 == 0) { // wrong on purpose
        block.start += 1 + random_next(seed) % block.span;
        expected = INVAL;
        for (size_t k = 0; k < ref->count; k++) {
            if (ref->blocks[k].start == block.start) {
                return; // another block happens to begin there
            }
        }
    }
    size_t freed = 0;
    cr_assert_eq(coarse_free(coarse, (void *)block.start, size, &freed), expected);
    if (expected == OK) {
        cr_assert_eq(freed, block.size);
        ref_free(ref, i);
    }
}

static void step_split(coarse_t *coarse, reference_t *ref, uint64_t *seed) {
    size_t i = random_next(seed) % ref->count;
    ref_block_t block = ref->blocks[i];
    size_t first = block.size > 1 ? 1 + random_next(seed) % (block.size - 1) : 1;
    if (random_next(seed) % 4) {
        first = align_up(first, PAGE);
    }
    umf_result_t expected = block.size != 0 && first < block.size ? OK : INVAL;
    cr_assert_eq(coarse_split(coarse, (void *)block.start, block.size, first), expected);
    if (expected == OK) {
        ref->blocks[i].span = ref->blocks[i].size = first;
        ref_insert(ref, i + 1,
                   (ref_block_t){block.start + first, block.span - first, block.size - first,
                                 block.range});
    }
}

static void step_merge(coarse_t *coarse, reference_t *ref, uint64_t *seed) {
    size_t i = random_next(seed) % ref->count;
    if (i + 1 == ref->count) {
        return;
    }
    ref_block_t low = ref->blocks[i], high = ref->blocks[i + 1];
    size_t total = low.size + high.size + (random_next(seed) % 8 == 0);
    umf_result_t expected = low.size != 0 && high.size != 0 && low.range == high.range &&
                                    low.start + low.size == high.start &&
                                    total == low.size + high.size
                                ? OK
                                : INVAL;
    cr_assert_eq(coarse_merge(coarse, (void *)low.start, (void *)high.start, total), expected);
    if (expected == OK) {
        ref->blocks[i].span += high.span;
        ref->blocks[i].size = total;
        ref_remove(ref, i + 1);
    }
}

static void compare(coarse_t *coarse, const reference_t *ref) {
    coarse_stats_t stats;
    coarse_get_stats(coarse, &stats);
    size_t used = 0, free_bytes = 0;
    for (size_t i = 0; i < ref->count; i++) {
        const ref_block_t *block = &ref->blocks[i];
        used += block->size != 0;
        free_bytes += block->size != 0 ? 0 : block->span;
        coarse_block_info_t info;
        cr_assert_eq(coarse_lookup(coarse, (void *)block->start, &info),
                     block->size != 0 ? OK : INVAL);
        cr_assert(block->size == 0 ||
                  (info.size == block->size && (int)info.range.tag == block->range));
    }
    cr_assert_eq(stats.used_blocks, used);
    cr_assert_eq(stats.free_blocks, ref->count - used);
    cr_assert_eq(stats.free_bytes, free_bytes);
    cr_assert(coarse_check(coarse));
}

Test(coarse, agrees_with_a_linear_reference) {
    static reference_t ref;
    for (uint64_t run = 1; run <= 24; run++) {
        uint64_t seed = run * UINT64_C(0x9e3779b97f4a7c15);
        coarse_t *coarse = make(0, 0);
        ref.count = 0;
        for (int r = 0; r < 3; r++) { // touching ranges, odd ends on every other run
            size_t odd = run % 2 ? 0 : 123;
            coarse_range_t range = {.base = (void *)(BASE + (size_t)r * 600 * PAGE + odd),
                                    .size = 600 * PAGE - (r == 2 ? 2 * odd : 0),
                                    .tag = (uint64_t)r};
            cr_assert_eq(coarse_add_range(coarse, &range), OK);
            ref_insert(&ref, ref.count, (ref_block_t){(uintptr_t)range.base, range.size, 0, r});
        }
        for (int step = 0; step < 6000; step++) {
            // Phases: mostly filling, then mostly emptying.
            bool filling = (step / 1000) % 2 == 0;
            unsigned dice = (unsigned)(random_next(&seed) % 10);
            if (dice < (filling ? 6 : 2)) {
                step_alloc(coarse, &ref, &seed);
            } else if (dice < 8) {
                step_free(coarse, &ref, &seed);
            } else if (dice == 8) {
                step_split(coarse, &ref, &seed);
            } else {
                step_merge(coarse, &ref, &seed);
            }
            if (step % 50 == 0) {
                compare(coarse, &ref);
            }
        }
        compare(coarse, &ref);
        for (size_t i = 0; i < ref.count; i++) {
            if (ref.blocks[i].size != 0) {
                cr_assert_eq(coarse_free(coarse, (void *)ref.blocks[i].start, 0, NULL), OK);
            }
        }
        assert_whole(coarse);
        coarse_destroy(coarse);
    }
}

/* ---- Shortage, threads, fork ---- */

/* Without address space for metadata an operation is refused as a whole, and all goes on when there
 * is some again. */
Test(coarse, out_of_metadata_changes_nothing) {
    enum { PAGES = 200000 };
    coarse_t *coarse = make(BASE, PAGES * PAGE);
    struct rlimit old, tight = {.rlim_cur = 1};
    cr_assert_eq(getrlimit(RLIMIT_AS, &old), 0);
    tight.rlim_max = old.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_AS, &tight), 0);
    size_t count = 0;
    umf_result_t result = OK;
    void *ptr = NULL;
    while (result == OK && count < PAGES) {
        result = coarse_alloc(coarse, PAGE, 0, &ptr);
        count += result == OK;
    }
    umf_result_t split = coarse_split(coarse, (void *)BASE, PAGE, PAGE / 2);
    cr_assert_eq(setrlimit(RLIMIT_AS, &old), 0);
    cr_assert_eq(result, OOM, "no shortage after %zu blocks", count);
    cr_assert(split == OK || split == OOM); // there may be a last spare
    cr_assert(coarse_check(coarse));
    coarse_stats_t stats;
    coarse_get_stats(coarse, &stats);
    cr_assert_eq(stats.used_blocks, count + (split == OK));
    take(coarse, PAGE, 0);
    coarse_destroy(coarse);
}

/* Returns NULL, or a text that says what went wrong: assertions belong to the main thread. */
static void *hammer(void *arg) {
    coarse_t *coarse = arg;
    uint64_t seed = (uint64_t)(uintptr_t)&seed | 1;
    uintptr_t held[16] = {0};
    for (int i = 0; i < 20000; i++) {
        size_t k = random_next(&seed) % ARRAY_LENGTH(held);
        void *ptr = (void *)held[k];
        if (ptr != NULL) {
            if (coarse_free(coarse, ptr, 3 * PAGE, NULL) != OK) {
                return "a block could not be freed";
            }
            ptr = NULL;
        } else if (coarse_alloc(coarse, 3 * PAGE, random_next(&seed) % 2 ? 0 : 8 * PAGE, &ptr) !=
                   OK) {
            return "there was no block";
        }
        held[k] = (uintptr_t)ptr;
    }
    for (size_t k = 0; k < ARRAY_LENGTH(held); k++) {
        if (coarse_free(coarse, (void *)held[k], 0, NULL) != OK) {
            return "a block could not be freed at the end";
        }
    }
    return NULL;
}

Test(coarse, threads_share_one_manager) {
    coarse_t *coarse = make(BASE, 2048 * PAGE);
    pthread_t threads[4];
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, hammer, coarse), 0);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(threads); i++) {
        void *wrong = NULL;
        pthread_join(threads[i], &wrong);
        cr_assert_null(wrong, "%s", (char *)wrong);
    }
    assert_whole(coarse);
    coarse_destroy(coarse);
}

static _Atomic(bool) stop_toggling;

static void *toggle(void *arg) {
    while (!load_relaxed(&stop_toggling)) {
        void *ptr;
        if (coarse_alloc(arg, PAGE, 0, &ptr) == OK) {
            coarse_free(arg, ptr, PAGE, NULL);
        }
    }
    return NULL;
}

Test(coarse, a_forked_child_can_go_on, .timeout = 60) {
    fork_install();
    coarse_t *coarse = make(BASE, 64 * PAGE);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, toggle, coarse), 0);
    for (int i = 0; i < 50; i++) {
        pid_t pid = fork();
        cr_assert_geq(pid, 0);
        if (pid == 0) {
            void *ptr;
            bool good = coarse_alloc(coarse, PAGE, 0, &ptr) == OK &&
                        coarse_free(coarse, ptr, PAGE, NULL) == OK && coarse_check(coarse);
            _exit(good ? 0 : 1);
        }
        int status = -1;
        cr_assert_eq(waitpid(pid, &status, 0), pid);
        cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    store_relaxed(&stop_toggling, true);
    pthread_join(thread, NULL);
    coarse_destroy(coarse);
}

/* ---- memory shared with a forked child ---- */

/* The child gets the blocks' contents at the same addresses, and writes reach the other no more. */
static int child_of_shared(coarse_t *coarse, unsigned char *block, size_t bytes) {
    if (coarse_unshare_private(coarse, PROT_READ | PROT_WRITE) != UMF_RESULT_SUCCESS) {
        return 1;
    }
    for (size_t i = 0; i < bytes; i++) {
        if (block[i] != (unsigned char)(i / 4096 + 1)) {
            return 2;
        }
    }
    memset(block, 0xee, bytes);
    void *more = NULL;
    if (coarse_alloc(coarse, 4096, 0, &more) != UMF_RESULT_SUCCESS) {
        return 3;
    }
    memset(more, 0xdd, 4096);
    return 0;
}

Test(coarse, a_forked_child_gets_private_copies_of_shared_ranges) {
    enum { RANGE = 1 << 20, BLOCK = 3 << 16 };
    coarse_config_t config = {.page_size = 4096};
    coarse_t *coarse = NULL;
    cr_assert_eq(coarse_create(&config, &coarse), UMF_RESULT_SUCCESS);
    unsigned char *ranges[2], *blocks[2];
    for (int i = 0; i < 2; i++) {
        ranges[i] = mmap(NULL, RANGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        cr_assert_neq((void *)ranges[i], MAP_FAILED);
        coarse_range_t range = {.base = ranges[i], .size = RANGE};
        cr_assert_eq(coarse_add_range(coarse, &range), UMF_RESULT_SUCCESS);
    }
    for (int i = 0; i < 2; i++) {
        void *block = NULL;
        cr_assert_eq(coarse_alloc(coarse, BLOCK, 0, &block), UMF_RESULT_SUCCESS);
        blocks[i] = block;
        for (size_t k = 0; k < BLOCK; k++) {
            blocks[i][k] = (unsigned char)(k / 4096 + 1);
        }
    }
    pid_t pid = fork();
    if (pid == 0) {
        _exit(child_of_shared(coarse, blocks[0], BLOCK));
    }
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status 0x%x", status);
    for (size_t k = 0; k < BLOCK; k++) {
        cr_assert_eq(blocks[0][k], (unsigned char)(k / 4096 + 1), "byte %zu changed", k);
        cr_assert_eq(blocks[1][k], (unsigned char)(k / 4096 + 1), "byte %zu changed", k);
    }
    coarse_destroy(coarse);
    munmap(ranges[0], RANGE);
    munmap(ranges[1], RANGE);
}

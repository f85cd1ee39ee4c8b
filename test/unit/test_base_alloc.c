/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Base allocator: zeroed, aligned, disjoint blocks of every size, also when threads share it. */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "core/base_alloc.h"
#include "core/state.h"

static bool all_bytes(const uint8_t *block, size_t bytes, uint8_t value) {
    return bytes == 0 || (block[0] == value && memcmp(block, block + 1, bytes - 1) == 0);
}

static size_t used_bytes(void) { return load_relaxed(&umf_core_state.base.used_bytes); }

/* Every size below 5000, then in steps that meet all remainders. */
static size_t next_size(size_t size) { return size < 5000 ? size + 1 : size + 61; }

Test(base_alloc, blocks_are_zeroed_and_aligned_also_when_they_are_reused) {
    for (int round = 0; round < 2; round++) {
        for (size_t size = 1; size <= 100000; size = next_size(size)) {
            uint8_t *block = base_alloc(size);
            cr_assert_not_null(block);
            cr_assert_eq((uintptr_t)block % (size >= 64 ? BASE_ALIGNMENT : 16), 0, "%zu bytes at %p", size,
                         (void *)block);
            cr_assert(all_bytes(block, size, 0), "%zu bytes at %p are not zero", size, (void *)block);
            memset(block, 0xa5, size);
            base_free(block, size);
        }
    }
}

Test(base_alloc, live_blocks_do_not_overlap) {
    enum { BLOCKS = 6000 };
    static uint8_t *block[BLOCKS];
    static size_t size[BLOCKS];
    size_t before = used_bytes(), at = 0;
    for (size_t bytes = 1; bytes <= 100000 && at < BLOCKS; bytes = next_size(bytes), at++) {
        block[at] = base_alloc(bytes);
        size[at] = bytes;
        cr_assert_not_null(block[at]);
        memset(block[at], (int)(at % 251) + 1, bytes);
    }
    cr_assert_gt(used_bytes(), before);
    for (size_t i = 0; i < at; i++) {
        cr_assert(all_bytes(block[i], size[i], (uint8_t)(i % 251 + 1)), "block of %zu bytes", size[i]);
    }
    for (size_t i = 0; i < at; i++) {
        base_free(block[i], size[i]);
    }
    cr_assert_eq(used_bytes(), before);
}

Test(base_alloc, freed_blocks_are_used_again) {
    for (size_t size = 1; size <= BASE_SMALL_MAX; size = next_size(size)) {
        void *block = base_alloc(size);
        base_free(block, size);
        cr_assert_eq(base_alloc(size), block, "%zu bytes", size);
        base_free(block, size);
    }
}

Test(base_alloc, edges) {
    base_free(NULL, 0);
    base_free(NULL, 100);
    uint8_t *none = base_alloc(0);
    cr_assert_not_null(none);
    base_free(none, 0);
    errno = 77;
    cr_assert_null(base_alloc(SIZE_MAX));
    cr_assert_null(base_alloc(SIZE_MAX - 4096));
    cr_assert_null(base_alloc((size_t)1 << 60));
    cr_assert_eq(errno, 77);
    cr_assert_gt(base_page_size(), 0);
    cr_assert_eq(base_page_size() & (base_page_size() - 1), 0);
    uint8_t *big = base_alloc((size_t)64 << 20);
    cr_assert_not_null(big);
    big[((size_t)64 << 20) - 1] = 1;
    base_free(big, (size_t)64 << 20);
}

Test(base_alloc, strings) {
    char *copy = base_strndup("abcdef", 3);
    cr_assert_str_eq(copy, "abc");
    base_free_string(copy);
    copy = base_strndup("abc", SIZE_MAX - 1);
    cr_assert_str_eq(copy, "abc");
    base_free_string(copy);
    copy = base_strndup("", 10);
    cr_assert_str_empty(copy);
    base_free_string(copy);
    base_free_string(NULL);
}

enum { THREADS = 4, HELD = 200, STEPS = 20000 };

static void *worker(void *arg) {
    static const size_t sizes[] = {1, 16, 17, 48, 49, 64, 65, 500, 512, 513, 4000, 24577, 32768, 32769};
    uint8_t *block[HELD] = {NULL};
    size_t size[HELD] = {0};
    uint32_t rng = (uint32_t)(uintptr_t)arg;
    uint8_t mark = (uint8_t)(uintptr_t)arg;
    for (int step = 0; step < STEPS + HELD; step++) {
        rng = rng * 1664525 + 1013904223;
        int i = step < STEPS ? (int)(rng >> 16) % HELD : step - STEPS;
        if (block[i] != NULL) {
            cr_assert(all_bytes(block[i], size[i], mark));
            base_free(block[i], size[i]);
            block[i] = NULL;
        } else if (step < STEPS) {
            size[i] = sizes[(rng >> 8) % ARRAY_LENGTH(sizes)];
            block[i] = base_alloc(size[i]);
            cr_assert_not_null(block[i]);
            cr_assert(all_bytes(block[i], size[i], 0));
            memset(block[i], mark, size[i]);
        }
    }
    return NULL;
}

Test(base_alloc, threads) {
    pthread_t thread[THREADS];
    size_t before = used_bytes();
    for (uintptr_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, worker, (void *)(i + 1)), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(used_bytes(), before);
}

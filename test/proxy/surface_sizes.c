/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface_sizes.c - alignment, usable size, internal waste, and zeroed memory, for all sizes.
 */
#include "pattern.h"
#include "surface.h"

enum {
    ALIGNMENT = 16,            /* alignof(max_align_t) on x86-64; what every block must have */
    ALL_SIZES = 5000,          /* each size up to here */
    WASTE_FROM = 128,          /* below, the 16-byte grid alone costs more than an eighth */
    WASTE_TO = 64 << 10,       /* above, pages are the grid */
    WASTE_DIVISOR = 8,         /* at most an eighth of the request is lost */
    DEADBEEF = (int)0xDEADBEEF /* answer of the presence probe */
};

static const size_t LARGEST_SAMPLE = (size_t)64 << 20;

static void check_block(void *p, size_t size, const char *what) {
    if (!CHECK_MSG(p != NULL, "%s of %zu bytes, errno %d", what, size, errno)) {
        return;
    }
    size_t usable = malloc_usable_size(p);
    CHECK_MSG((uintptr_t)p % ALIGNMENT == 0, "%s(%zu) is %p", what, size, p);
    CHECK_MSG(usable >= size, "%s(%zu) has %zu usable bytes", what, size, usable);
    pattern_fill(p, usable, size); /* all of it may be written */
    CHECK_MSG(pattern_mismatch(p, usable, usable, size) == usable, "%s(%zu)", what, size);
}

/* A few blocks of one size are held at once: the second of a slab is the one that shows a bad grid.
 * */
static void check_size(size_t size) {
    void *p[6];
    p[0] = malloc(size);
    p[1] = calloc(1, size);
    p[2] = realloc(NULL, size);
    p[3] = malloc(size);
    p[4] = realloc(malloc(size / 2), size);
    p[5] = reallocarray(NULL, size, 1);
    static const char *const names[] = {"malloc",          "calloc",         "realloc",
                                        "malloc (second)", "malloc+realloc", "reallocarray"};
    if (p[1] != NULL) {
        size_t zeros = pattern_first_nonzero(p[1], size);
        CHECK_MSG(zeros == size, "calloc(1, %zu) is not zero at %zu", size, zeros);
    }
    for (int i = 0; i < 6; i++) {
        check_block(p[i], size, names[i]);
    }
    for (int i = 0; i < 6; i++) {
        size_t usable = p[i] == NULL ? 0 : malloc_usable_size(p[i]);
        CHECK_MSG(pattern_mismatch(p[i], usable, usable, size) == usable,
                  "%s(%zu) was overwritten by another block", names[i], size);
        free(p[i]);
    }
}

static void check_all_sizes(void) {
    for (size_t size = 1; size <= ALL_SIZES; size++) {
        check_size(size);
    }
    for (size_t size = ALL_SIZES; size <= LARGEST_SAMPLE; size += size / 5) {
        check_size(size);
    }
    for (size_t power = 4096; power <= LARGEST_SAMPLE; power *= 2) {
        check_size(power - 1);
        check_size(power);
        check_size(power + 1);
        check_size(power - 4096 + 16);
    }
}

static void check_zero_size(void) {
    enum { BLOCKS = 1000 };
    static void *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        p[i] = i % 3 == 0 ? malloc(check_hide_size(0)) : i % 3 == 1 ? calloc(0, 8) : calloc(8, 0);
        CHECK_MSG(p[i] != NULL && (uintptr_t)p[i] % ALIGNMENT == 0, "block %d is %p", i, p[i]);
        for (int k = 0; k < i; k++) {
            CHECK_MSG(p[k] != p[i], "blocks %d and %d of zero bytes are the same", k, i);
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(p[i]);
    }
    for (size_t a = 0; a < ALIGNED_CASES; a++) {
        void *block = aligned_cases[a].allocate(64, check_hide_size(0));
        CHECK_MSG(block != NULL && (uintptr_t)block % 64 == 0, "%s", aligned_cases[a].name);
        free(block);
    }
    CHECK_INT(malloc_usable_size(NULL), 0);
}

static void check_waste(void) {
    size_t worst = 0, worst_usable = 0;
    for (size_t size = WASTE_FROM; size <= WASTE_TO; size++) {
        void *p = malloc(size);
        size_t usable = p == NULL ? 0 : malloc_usable_size(p);
        if (usable * WASTE_DIVISOR > size * (WASTE_DIVISOR + 1) &&
            (worst == 0 || usable - size > worst_usable - worst)) {
            worst = size;
            worst_usable = usable;
        }
        free(p);
    }
    CHECK_MSG(worst == 0, "malloc(%zu) takes %zu bytes, more than 1/%d over", worst, worst_usable,
              WASTE_DIVISOR);
}

/* ---- alignments ---- */

static void check_aligned(const aligned_case_t *call, size_t alignment, size_t size) {
    void *p[3];
    for (int i = 0; i < 3; i++) {
        p[i] = call->allocate(alignment, size);
        CHECK_MSG(p[i] != NULL && (uintptr_t)p[i] % alignment == 0 &&
                      (uintptr_t)p[i] % ALIGNMENT == 0 && malloc_usable_size(p[i]) >= size,
                  "%s(%zu, %zu) is %p, errno %d", call->name, alignment, size, p[i], errno);
        if (p[i] != NULL) {
            pattern_fill(p[i], size, alignment + (size_t)i);
        }
    }
    for (int i = 0; i < 3; i++) {
        CHECK_MSG(p[i] == NULL || pattern_mismatch(p[i], size, size, alignment + (size_t)i) == size,
                  "%s(%zu, %zu)", call->name, alignment, size);
        free(p[i]);
    }
}

static void check_all_alignments(void) {
    for (size_t a = 0; a < ALIGNED_CASES; a++) {
        for (size_t alignment = 8; alignment <= (size_t)1 << 30; alignment *= 2) {
            static const size_t fixed[] = {1, 16, 100, 1000, 4096, 5000, 66000, 300000};
            for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
                check_aligned(&aligned_cases[a], alignment, fixed[i]);
            }
            if (alignment <= 4u << 20) {
                check_aligned(&aligned_cases[a], alignment, alignment - 1);
                check_aligned(&aligned_cases[a], alignment, alignment);
                check_aligned(&aligned_cases[a], alignment, alignment + 1);
                check_aligned(&aligned_cases[a], alignment, 3 * alignment + 8);
            }
        }
    }
}

static void check_page_functions(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    for (size_t size = 0; size < 10 * page; size += 37) {
        void *p = valloc(size);
        void *q = pvalloc(size);
        size_t whole = (size + page - 1) / page * page;
        CHECK_MSG(p != NULL && (uintptr_t)p % page == 0 && malloc_usable_size(p) >= size,
                  "valloc(%zu) is %p", size, p);
        CHECK_MSG(q != NULL && (uintptr_t)q % page == 0 && malloc_usable_size(q) >= whole,
                  "pvalloc(%zu) is %p", size, q);
        free(p);
        free(q);
    }
}

/* ---- calloc on memory that was used before ---- */

static void check_calloc_dirty(size_t size) {
    enum { BLOCKS = 8 };
    unsigned char *p[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
        p[i] = (unsigned char *)malloc(size);
        if (p[i] != NULL) {
            memset(p[i], 0xA5, malloc_usable_size(p[i]));
        }
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(p[i]);
    }
    for (int i = 0; i < BLOCKS; i++) {
        size_t count = i % 2 == 0 ? 1 : size;
        p[i] = (unsigned char *)calloc(count, size / count);
        size_t zeros = p[i] == NULL ? 0 : pattern_first_nonzero(p[i], size);
        CHECK_MSG(p[i] != NULL && zeros == size, "calloc of %zu bytes is dirty at %zu", size,
                  zeros);
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(p[i]);
    }
}

static void check_calloc(void) {
    for (size_t size = 1; size <= 3000; size++) {
        check_calloc_dirty(size);
    }
    for (size_t size = 3000; size <= 8u << 20; size += size / 3) {
        check_calloc_dirty(size);
    }
}

int main(void) {
    check_begin();
    check_all_sizes();
    check_zero_size();
    check_waste();
    check_all_alignments();
    check_page_functions();
    check_calloc();
    if (strcmp(check_allocator(), "libumf_proxy") == 0) {
        /* how programs find out that the library is active */
        CHECK_INT((int)malloc_usable_size(check_hide((void *)1)), DEADBEEF);
    }
    return check_end("surface_sizes");
}

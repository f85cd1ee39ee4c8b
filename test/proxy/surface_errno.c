/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface_errno.c - what each function answers to arguments it cannot serve, and what it leaves
 * alone: errno, the output argument, the old block.
 */
#include "pattern.h"
#include "surface.h"

#include <sys/resource.h>

/* Runs the expression with errno cleared and expects NULL and the given errno. */
#define CHECK_FAILS(expression, error)                                                             \
    do {                                                                                           \
        errno = 0;                                                                                 \
        void *result_ = (expression);                                                              \
        int errno_ = errno;                                                                        \
        CHECK_MSG(result_ == NULL && errno_ == (error), "gave %p, errno %d, expected NULL and %d", \
                  result_, errno_, (error));                                                       \
        free(result_);                                                                             \
    } while (0)

/* Sizes that no process can have: over PTRDIFF_MAX, and the very last ones, where adding a header
 * or rounding up wraps. */
static const size_t impossible[] = {
    (size_t)PTRDIFF_MAX,
    (size_t)PTRDIFF_MAX + 1,
    (size_t)PTRDIFF_MAX + 4097,
    SIZE_MAX / 4 * 3,
    SIZE_MAX - (1u << 30),
    SIZE_MAX - (1u << 21),
    SIZE_MAX - 65536,
    SIZE_MAX - 4096,
    SIZE_MAX - 4095,
    SIZE_MAX - 64,
    SIZE_MAX - 16,
    SIZE_MAX - 15,
    SIZE_MAX - 1,
    SIZE_MAX,
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_impossible_sizes(void) {
    for (size_t i = 0; i < COUNT(impossible); i++) {
        size_t n = check_hide_size(impossible[i]);
        CHECK_FAILS(malloc(n), ENOMEM);
        CHECK_FAILS(calloc(1, n), ENOMEM);
        CHECK_FAILS(calloc(n, 1), ENOMEM);
        CHECK_FAILS(realloc(NULL, n), ENOMEM);
        CHECK_FAILS(reallocarray(NULL, 1, n), ENOMEM);
        CHECK_FAILS(valloc(n), ENOMEM);
        CHECK_FAILS(pvalloc(n), ENOMEM);
        CHECK_FAILS(__libc_malloc(n), ENOMEM);
        CHECK_FAILS(__libc_calloc(1, n), ENOMEM);
        CHECK_FAILS(__libc_realloc(NULL, n), ENOMEM);
        CHECK_FAILS(__libc_valloc(n), ENOMEM);
        CHECK_FAILS(__libc_pvalloc(n), ENOMEM);
        for (size_t a = 0; a < ALIGNED_CASES; a++) {
            for (size_t alignment = 8; alignment <= 1u << 30; alignment *= 2) {
                errno = 0;
                void *p = aligned_cases[a].allocate(alignment, n);
                CHECK_MSG(p == NULL && errno == ENOMEM, "%s(%zu, %zu) is %p, errno %d",
                          aligned_cases[a].name, alignment, n, p, errno);
            }
        }
    }
}

static void check_products(void) {
    static const struct {
        size_t count, size;
    } wrapping[] = {
        {SIZE_MAX / 2 + 1, 2},
        {2, SIZE_MAX / 2 + 1},
        {(SIZE_MAX >> 32) + 1, (SIZE_MAX >> 32) + 1},
        {((size_t)1 << 63) + 1, 2},
        {SIZE_MAX, SIZE_MAX},
        {SIZE_MAX, 2},
        {SIZE_MAX / 16 + 1, 16},
        {(size_t)1 << 32, (size_t)1 << 31}, /* does not wrap: 2^63 */
    };
    for (size_t i = 0; i < COUNT(wrapping); i++) {
        size_t count = check_hide_size(wrapping[i].count);
        size_t size = check_hide_size(wrapping[i].size);
        CHECK_FAILS(calloc(count, size), ENOMEM);
        CHECK_FAILS(__libc_calloc(count, size), ENOMEM);
        CHECK_FAILS(reallocarray(NULL, count, size), ENOMEM);
    }
}

/* A realloc that fails must leave the block as it was. */
static void check_failed_realloc(void) {
    static const size_t sizes[] = {1, 24, 1000, 20000, 200000, 3000000};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t n = sizes[i];
        void *p = malloc(n);
        pattern_fill(p, n, i);
        for (size_t k = 0; k < COUNT(impossible); k++) {
            size_t bad = check_hide_size(impossible[k]);
            errno = 0;
            CHECK_MSG(realloc(p, bad) == NULL && errno == ENOMEM, "realloc(%zu -> %zu) errno %d", n,
                      bad, errno);
            errno = 0;
            CHECK_MSG(__libc_realloc(p, bad) == NULL && errno == ENOMEM, "size %zu", bad);
        }
        errno = 0;
        CHECK_MSG(reallocarray(check_hide(p), check_hide_size(SIZE_MAX / 2), 3) == NULL &&
                      errno == ENOMEM,
                  "reallocarray of %zu: errno %d", n, errno);
        CHECK_INT(pattern_mismatch(p, n, n, i), n);
        free(p);
    }
}

static void check_bad_alignments(void) {
    static const size_t bad[] = {0, 1, 2, 3, 4, 7, 9, 12, 24, 40, 48, 100, 4095, 4097, SIZE_MAX};
    for (size_t i = 0; i < COUNT(bad); i++) {
        void *mark = &mark;
        void *p = mark;
        errno = 12345;
        int rc = posix_memalign(&p, check_hide_size(bad[i]), 100);
        CHECK_MSG(rc == EINVAL && p == mark && errno == 12345,
                  "posix_memalign(%zu): returns %d, *p %s, errno %d", bad[i], rc,
                  p == mark ? "untouched" : "changed", errno);
        if ((bad[i] & (bad[i] - 1)) != 0 || bad[i] == 0) {
            CHECK_FAILS(aligned_alloc(check_hide_size(bad[i]), 100), EINVAL);
        }
    }
    /* The largest power of two is a correct alignment that no memory can have; either answer is
     * right. */
    void *mark = &mark;
    void *p = mark;
    int rc = posix_memalign(&p, check_hide_size((size_t)1 << 63), 100);
    CHECK_MSG((rc == ENOMEM || rc == EINVAL) && p == mark, "returns %d", rc);
    rc = posix_memalign(&p, 64, check_hide_size(SIZE_MAX - 100));
    CHECK_MSG(rc == ENOMEM && p == mark, "returns %d", rc);
}

/* memalign is more tolerant: glibc rounds a bad alignment up, its manual says EINVAL. Both are
 * right, a badly aligned block is not. */
static void check_tolerant_memalign(void) {
    for (size_t alignment = 0; alignment < 300; alignment++) {
        errno = 0;
        void *p = memalign(alignment, 100);
        size_t wanted = alignment < 16 ? 16 : alignment;
        while (wanted & (wanted - 1)) {
            wanted += wanted & (0 - wanted); /* up to the next power of two */
        }
        CHECK_MSG(p != NULL ? (uintptr_t)p % wanted == 0
                            : (errno == EINVAL && (alignment & (alignment - 1)) != 0),
                  "memalign(%zu, 100) is %p, errno %d", alignment, p, errno);
        free(p);
    }
}

/* POSIX: free does not change errno, whatever it does with the memory. */
static void check_free_keeps_errno(void) {
    static const size_t sizes[] = {0, 1, 100, 5000, 70000, 600000, 5u << 20, 100u << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int k = 0; k < 40; k++) {
            void *p = malloc(sizes[i]);
            void *q = aligned_alloc(8192, sizes[i]);
            if (p != NULL && sizes[i] != 0) {
                *(volatile char *)p = 1;
            }
            errno = 4711 + k;
            free(p);
            CHECK_INT(errno, 4711 + k);
            free(q);
            CHECK_INT(errno, 4711 + k);
            free(NULL);
            CHECK_INT(errno, 4711 + k);
        }
    }
}

static void check_realloc_zero(void) {
    static const size_t sizes[] = {0, 1, 100, 5000, 70000, 5u << 20};
    for (size_t i = 0; i < COUNT(sizes); i++) {
        for (int k = 0; k < 100; k++) {
            void *p = malloc(sizes[i]);
            errno = 99;
            CHECK_MSG(realloc(p, check_hide_size(0)) == NULL, "size %zu", sizes[i]);
            CHECK_INT(errno, 99); /* a program that sees NULL asks errno whether memory ran out */
            CHECK(reallocarray(malloc(sizes[i]), check_hide_size(0), 8) == NULL);
            CHECK(reallocarray(malloc(sizes[i]), 8, check_hide_size(0)) == NULL);
        }
    }
    void *p = realloc(NULL, check_hide_size(0));
    void *q = reallocarray(NULL, check_hide_size(0), check_hide_size(0));
    CHECK(p != NULL && q != NULL && p != q);
    free(p);
    free(q);
}

/* Really freed by realloc(p, 0): 100000 leaked megabytes would show in the address space. */
static void check_realloc_zero_frees(void) {
    for (int i = 0; i < 100000; i++) {
        char *p = (char *)malloc(1u << 20);
        if (!CHECK_MSG(p != NULL, "after %d rounds", i)) {
            return;
        }
        p[0] = 1;
        (void)check_hide(realloc(p, check_hide_size(0)));
    }
    CHECK_MSG(statm_bytes(0) < (size_t)64 << 30, "%zu bytes of address space", statm_bytes(0));
}

/* ---- running out of address space ---- */

static void *chain_until_null(size_t size, size_t limit, size_t *count) {
    void **head = NULL;
    errno = 0;
    for (*count = 0; *count < limit; ++*count) {
        void **p = (void **)malloc(size);
        if (p == NULL) {
            break;
        }
        *p = head;
        head = p;
    }
    return head;
}

static void chain_free(void *head) {
    while (head != NULL) {
        void *next = *(void **)head;
        free(head);
        head = next;
    }
}

/* Address space above what is in use; room for a 40 MiB block at any alignment. */
static const size_t HEADROOM = (size_t)256 << 20;

/* With a limit on the address space each size runs into NULL and ENOMEM, and works again after the
 * frees. */
static void check_exhaustion(void) {
    static const size_t sizes[] = {48, 1000, 5000, 70000, 1u << 20, 40u << 20};
    struct rlimit old, tight;
    getrlimit(RLIMIT_AS, &old);
    for (size_t i = 0; i < COUNT(sizes); i++) {
        size_t count;
        tight = old;
        tight.rlim_cur = statm_bytes(0) + HEADROOM;
        if (setrlimit(RLIMIT_AS, &tight) != 0) {
            dprintf(1, "no check of exhaustion: setrlimit(RLIMIT_AS): errno %d\n", errno);
            return;
        }
        for (int round = 0; round < 3; round++) {
            void *chain = chain_until_null(sizes[i], ((size_t)4 << 30) / sizes[i], &count);
            int error = errno;
            CHECK_MSG(error == ENOMEM, "%zu blocks of %zu, errno %d", count, sizes[i], error);
            CHECK_FAILS(calloc(1, check_hide_size(3u << 30)), ENOMEM);
            CHECK_FAILS(aligned_alloc(1u << 20, check_hide_size(3u << 30)), ENOMEM);
            chain_free(chain);
            void *p = malloc(sizes[i]);
            CHECK_MSG(p != NULL, "no %zu bytes after all was freed", sizes[i]);
            free(p);
        }
        setrlimit(RLIMIT_AS, &old);
    }
}

int main(void) {
    check_begin();
    check_impossible_sizes();
    check_products();
    check_failed_realloc();
    check_bad_alignments();
    check_tolerant_memalign();
    check_free_keeps_errno();
    check_realloc_zero();
    check_realloc_zero_frees();
    check_exhaustion();
    return check_end("surface_errno");
}

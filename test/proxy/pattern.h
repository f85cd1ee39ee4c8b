/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * pattern.h - random numbers, block contents and memory measures for the tests of this folder.
 *
 * A block is filled with a byte stream that depends on a tag, so that a block which overlaps
 * another, is handed out twice, is moved without its content or is not copied at fork shows itself
 * when it is verified. Blocks over PATTERN_DENSE bytes are written at both ends and once per
 * PATTERN_STRIDE in between: enough to touch every page, cheap enough to do millions of times.
 */
#ifndef UMF_TEST_PROXY_PATTERN_H
#define UMF_TEST_PROXY_PATTERN_H

#include "check.h"

#include <fcntl.h>
#include <time.h>

enum {
    PATTERN_DENSE = 2048, /* bytes at the start and end that are always written and read */
    PATTERN_STRIDE =
        1021, /* bytes between the others; prime, so that it meets every offset of a page */
};

typedef struct rng {
    uint64_t state;
} rng_t;

/* splitmix64: any seed will do, also consecutive ones. */
static inline uint64_t rng_next(rng_t *rng) {
    uint64_t z = (rng->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static inline size_t rng_below(rng_t *rng, size_t limit) {
    return (size_t)(rng_next(rng) % limit);
}

/* The seed of a run: TEST_SEED from the environment or the clock; printed, so that a failure can be
 * repeated. */
static inline uint64_t rng_seed(const char *name) {
    const char *text = getenv("TEST_SEED");
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0)
                                 : (uint64_t)now.tv_sec * 1000003u + (uint64_t)now.tv_nsec;
    dprintf(1, "%s: TEST_SEED=%llu\n", name, (unsigned long long)seed);
    return seed;
}

/* Mostly small, sometimes huge, as programs do. Up to 8 MiB. */
static inline size_t rng_size(rng_t *rng) {
    static const size_t limits[] = {512, 8u << 10, 128u << 10, 1u << 20, 8u << 20};
    size_t dice = rng_below(rng, 1000);
    unsigned i = dice < 700 ? 0 : dice < 930 ? 1 : dice < 990 ? 2 : dice < 999 ? 3 : 4;
    return 1 + rng_below(rng, limits[i]);
}

static inline unsigned char pattern_byte(uint64_t tag, size_t offset) {
    return (unsigned char)((tag * UINT64_C(0x9E3779B97F4A7C15) >> 32) + offset * 131u +
                           (offset >> 8) * 17u + 1);
}

/* Next offset after `offset` that the pattern covers. */
static inline size_t pattern_step(size_t offset, size_t size) {
    if (offset + 1 < PATTERN_DENSE || size < 2 * PATTERN_DENSE ||
        offset + 1 >= size - PATTERN_DENSE) {
        return offset + 1;
    }
    size_t next = offset + PATTERN_STRIDE;
    return next < size - PATTERN_DENSE ? next : size - PATTERN_DENSE;
}

static inline void pattern_fill(void *block, size_t size, uint64_t tag) {
    unsigned char *bytes = (unsigned char *)block;
    for (size_t i = 0; i < size; i = pattern_step(i, size)) {
        bytes[i] = pattern_byte(tag, i);
    }
}

/* Offset of the first wrong byte among the first `count` of a block that was filled with `size`
 * bytes; count when all are right. */
static inline size_t pattern_mismatch(const void *block, size_t count, size_t size, uint64_t tag) {
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < count; i = pattern_step(i, size)) {
        if (bytes[i] != pattern_byte(tag, i)) {
            return i;
        }
    }
    return count;
}

static inline size_t pattern_first_nonzero(const void *block, size_t size) {
    const unsigned char *bytes = (const unsigned char *)block;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0) {
            return i;
        }
    }
    return size;
}

/* Field `index` of /proc/self/statm in bytes: 0 is the address space, 1 the resident memory. No
 * stdio: the reader must not disturb what it measures. */
static inline size_t statm_bytes(int index) {
    char text[256] = {0};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0) {
        CHECK_SKIP("/proc/self/statm is not readable");
    }
    close(fd);
    char *cursor = text;
    size_t pages = 0;
    for (int i = 0; i <= index; i++) {
        pages = strtoul(cursor, &cursor, 10);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

static inline size_t statm_resident(void) {
    return statm_bytes(1);
}

#endif /* UMF_TEST_PROXY_PATTERN_H */

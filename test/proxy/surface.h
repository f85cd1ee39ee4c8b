/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface.h - the whole malloc surface by name, for the surface_* tests.
 *
 * glibc's headers declare most of it. Declared here: glibc's internal names, which programs and
 * libraries use to get behind an interposer, and which must therefore lead to the same heap.
 * Functions that glibc 2.36 has no linkable symbol for (cfree, C23's free_sized and
 * free_aligned_sized) are looked up when the test runs.
 */
#ifndef UMF_TEST_PROXY_SURFACE_H
#define UMF_TEST_PROXY_SURFACE_H

#include "check.h"

#include <malloc.h>

void *__libc_malloc(size_t size);
void __libc_free(void *ptr);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void *__libc_valloc(size_t size);
void *__libc_pvalloc(size_t size);

typedef void (*free_fn)(void *);
typedef void (*free_sized_fn)(void *, size_t);
typedef void (*free_aligned_sized_fn)(void *, size_t, size_t);

/* NULL when the process has no such symbol. */
static inline free_fn surface_cfree(void) {
    return (free_fn)dlsym(RTLD_DEFAULT, "cfree");
}
static inline free_sized_fn surface_free_sized(void) {
    return (free_sized_fn)dlsym(RTLD_DEFAULT, "free_sized");
}
static inline free_aligned_sized_fn surface_free_aligned_sized(void) {
    return (free_aligned_sized_fn)dlsym(RTLD_DEFAULT, "free_aligned_sized");
}

/* posix_memalign in the form of the others. */
static inline void *surface_posix_memalign(size_t alignment, size_t size) {
    void *p = NULL;
    int rc = posix_memalign(&p, alignment, size);
    if (rc != 0) {
        errno = rc;
        return NULL;
    }
    return p;
}

typedef void *(*aligned_fn)(size_t alignment, size_t size);

/* All functions with an alignment argument, with the arguments in one order. */
typedef struct aligned_case {
    const char *name;
    aligned_fn allocate;
} aligned_case_t;

static const aligned_case_t aligned_cases[] = {
    {"aligned_alloc", aligned_alloc},
    {"memalign", memalign},
    {"posix_memalign", surface_posix_memalign},
    {"__libc_memalign", __libc_memalign},
};
enum { ALIGNED_CASES = sizeof(aligned_cases) / sizeof(aligned_cases[0]) };

#endif /* UMF_TEST_PROXY_SURFACE_H */

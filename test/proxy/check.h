/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * check.h - the whole test framework of this folder.
 *
 * The programs here test the process's own malloc, so they use nothing that hides an allocator of
 * its own or allocates while it reports: a failed check writes one line (file, line, what, values)
 * with dprintf and is counted; check_end() turns the count into the exit status. Works from any
 * thread and in forked children, in C and C++.
 *
 * TEST_ALLOCATOR=<text> in the environment names the library whose malloc must be in use (default
 * "libumf_proxy"), so that the same programs can be tried on another allocator: TEST_ALLOCATOR=libc
 * ./surface_errno
 */
#ifndef UMF_TEST_PROXY_CHECK_H
#define UMF_TEST_PROXY_CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Exit status that ctest reports as "skipped". */
#define CHECK_SKIPPED 77

/* One defect can fail thousands of checks; the first lines tell enough. */
#define CHECK_MAX_LINES 20

static int check_failures; /* all threads, atomic adds */

/* Counts and reports one failure; in one write, so that lines of several threads stay whole.
 * Returns 0. */
__attribute__((format(printf, 4, 5))) static inline int
check_fail(const char *file, int line, const char *what, const char *format, ...) {
    char text[512];
    va_list arguments;
    if (__atomic_add_fetch(&check_failures, 1, __ATOMIC_RELAXED) > CHECK_MAX_LINES) {
        return 0;
    }
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    dprintf(2, "%s:%d: failed: %s: %s\n", file, line, what, text);
    return 0;
}

#define CHECK_MSG(cond, ...) ((cond) ? 1 : check_fail(__FILE__, __LINE__, #cond, __VA_ARGS__))

#define CHECK(cond) CHECK_MSG(cond, "errno %d", errno)

#define CHECK_INT(actual, expected)                                                                \
    check_int((long long)(actual), (long long)(expected), #actual, __FILE__, __LINE__)

static inline int check_int(long long actual, long long expected, const char *what,
                            const char *file, int line) {
    return actual == expected
               ? 1
               : check_fail(file, line, what, "is %lld (0x%llx), expected %lld (0x%llx)", actual,
                            (unsigned long long)actual, expected, (unsigned long long)expected);
}

/* Keeps the compiler from knowing where a pointer came from, so that it neither removes a
 * malloc/free pair nor warns about a misuse that is the purpose of a test. */
static inline void *check_hide(void *p) {
    __asm__ volatile("" : "+r"(p) : : "memory");
    return p;
}

/* The same for sizes: compilers warn about, or fold, calls with impossible constant sizes. */
static inline size_t check_hide_size(size_t n) {
    __asm__ volatile("" : "+r"(n));
    return n;
}

/* Path of the object that defines the given dynamic symbol, "" when there is none. */
static inline const char *check_object_of(const char *symbol) {
    Dl_info info;
    void *address = dlsym(RTLD_DEFAULT, symbol);
    if (address == NULL || dladdr(address, &info) == 0 || info.dli_fname == NULL) {
        return "";
    }
    return info.dli_fname;
}

static inline const char *check_allocator(void) {
    const char *name = getenv("TEST_ALLOCATOR");
    return name != NULL ? name : "libumf_proxy";
}

/* A test that silently runs on another allocator proves nothing: that is an error, not a skip. */
static inline void check_begin(void) {
    const char *object = check_object_of("malloc");
    if (strstr(object, check_allocator()) == NULL) {
        dprintf(2, "this test must run with LD_PRELOAD=libumf_proxy.so; malloc comes from '%s'\n",
                object);
        exit(2);
    }
}

static inline int check_end(const char *name) {
    int failures = __atomic_load_n(&check_failures, __ATOMIC_RELAXED);
    if (failures != 0) {
        dprintf(2, "%s: %d checks failed\n", name, failures);
        return 1;
    }
    dprintf(1, "%s: ok\n", name);
    return 0;
}

/* Never returns; the reason is what a reader of the test log needs. */
#define CHECK_SKIP(...)                                                                            \
    do {                                                                                           \
        dprintf(1, "skipped: ");                                                                   \
        dprintf(1, __VA_ARGS__);                                                                   \
        dprintf(1, "\n");                                                                          \
        exit(CHECK_SKIPPED);                                                                       \
    } while (0)

#endif /* UMF_TEST_PROXY_CHECK_H */

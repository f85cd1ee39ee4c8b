/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * own_malloc.c - a program that brings its own malloc keeps it when the library is preloaded.
 *
 * Its definitions come first in the search order, so its own calls, libc's and those of other
 * libraries all reach them. The preloaded library must not mind: it may neither need malloc itself
 * nor be handed this program's blocks.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ARENA_BYTES = 64 << 20, GRID = 16 };

static _Alignas(4096) unsigned char arena[ARENA_BYTES];
static _Atomic size_t arena_used;
static _Atomic long served, returned, foreign;

static int is_mine(const void *p) {
    return (uintptr_t)p >= (uintptr_t)arena && (uintptr_t)p < (uintptr_t)arena + ARENA_BYTES;
}

/* Never reuses memory: enough for a test, and every block is zero. The size is kept in front. */
static void *take(size_t alignment, size_t size) {
    size_t room = (size + 2 * GRID + alignment + GRID - 1) / GRID * GRID;
    if (size > ARENA_BYTES || alignment > ARENA_BYTES ||
        atomic_load(&arena_used) + room > ARENA_BYTES) {
        errno = ENOMEM;
        return NULL;
    }
    uintptr_t at = (uintptr_t)arena + atomic_fetch_add(&arena_used, room) + GRID;
    at = (at + alignment - 1) / alignment * alignment;
    ((size_t *)at)[-1] = size;
    served++;
    return (void *)at;
}

void *malloc(size_t size) {
    return take(GRID, size);
}

void free(void *p) {
    if (p != NULL) {
        atomic_fetch_add(is_mine(p) ? &returned : &foreign, 1);
    }
}

void *calloc(size_t count, size_t size) {
    return take(GRID, count * size);
}

void *realloc(void *p, size_t size) {
    void *q = take(GRID, size);
    if (p != NULL && q != NULL) {
        size_t old = ((size_t *)p)[-1];
        memcpy(q, p, old < size ? old : size);
    }
    free(p);
    return q;
}

void *aligned_alloc(size_t alignment, size_t size) {
    return take(alignment < GRID ? GRID : alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    *out = aligned_alloc(alignment, size);
    return *out == NULL ? ENOMEM : 0;
}

static int expect(int good, const char *what) {
    if (!good) {
        dprintf(2, "own_malloc: failed: %s (served %ld, returned %ld, foreign %ld)\n", what,
                (long)served, (long)returned, (long)foreign);
    }
    return good ? 0 : 1;
}

static void *thread_main(void *arg) {
    for (size_t i = 0; i < 1000; i++) {
        char *text = strdup("in a thread");
        free(text);
    }
    return arg;
}

int main(void) {
    int failed = 0;
    long before = served;
    char *text = strdup("abc");
    failed += expect(is_mine(text) && served == before + 1, "strdup uses the program's malloc");
    free(text);

    FILE *stream = open_memstream(&text, &(size_t){0});
    fprintf(stream, "%05d", 17);
    fclose(stream);
    failed += expect(is_mine(text) && strcmp(text, "00017") == 0, "open_memstream does");
    free(text);

    text = realpath("/proc", NULL);
    failed += expect(is_mine(text) && strcmp(text, "/proc") == 0, "realpath does");
    free(text);

    pthread_t thread;
    before = served;
    failed += expect(pthread_create(&thread, NULL, thread_main, NULL) == 0, "a thread starts");
    pthread_join(thread, NULL);
    failed += expect(served >= before + 1000, "threads do");

    void *library = dlopen("libm.so.6", RTLD_NOW);
    failed += expect(library != NULL && dlclose(library) == 0, "dlopen works");
    failed += expect(foreign == 0, "no block of another malloc reaches free");
    printf("own_malloc: %s\n", failed == 0 ? "ok" : "failed");
    return failed != 0;
}

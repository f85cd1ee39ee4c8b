/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A program at its limits, under the library: address space (RLIMIT_AS), count of mappings
 * (vm.max_map_count), data of the process (RLIMIT_DATA).
 * Out of memory is NULL with ENOMEM; every block keeps its contents and can be freed; afterwards
 * there is memory again.   faults_limits as|data|maps
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../proxy/check.h"

enum { BLOCKS_MAX = 1 << 20, MAPPINGS_MAX = 1 << 20 };

static unsigned char *block[BLOCKS_MAX];
static size_t block_size[BLOCKS_MAX];

/* Allocates until there is nothing left; the count of blocks. */
static size_t exhaust(const size_t *sizes, size_t kinds, size_t limit) {
    size_t count = 0, total = 0;
    while (count < BLOCKS_MAX && total < limit) {
        size_t size = sizes[count % kinds];
        errno = 0;
        unsigned char *ptr = malloc(size);
        if (ptr == NULL) {
            CHECK_INT(errno, ENOMEM);
            break;
        }
        ptr[0] = ptr[size - 1] = (unsigned char)count;
        block[count] = ptr;
        block_size[count++] = size;
        total += size;
    }
    return count;
}

static void check_and_free(size_t count, size_t step) {
    for (size_t first = 0; first < step; first++) {
        for (size_t i = first; i < count; i += step) {
            CHECK(block[i][0] == (unsigned char)i &&
                  block[i][block_size[i] - 1] == (unsigned char)i);
            free(block[i]);
        }
    }
}

static void grow_all(size_t count) {
    for (size_t i = 0; i < count; i += 7) {
        errno = 0;
        unsigned char *ptr = realloc(block[i], block_size[i] * 4);
        if (ptr != NULL) {
            CHECK(ptr[0] == (unsigned char)i && ptr[block_size[i] - 1] == (unsigned char)i);
            block_size[i] *= 4;
            ptr[block_size[i] - 1] = (unsigned char)i;
            block[i] = ptr;
        } else {
            CHECK_INT(errno, ENOMEM);
        }
    }
}

static void *other_thread(void *arg) {
    static const size_t sizes[] = {100, 5000};
    (void)arg;
    for (int i = 0; i < 1000; i++) { // no memory for a heap of this thread is no crash
        void *ptr = malloc(sizes[i % 2]);
        free(ptr);
    }
    return NULL;
}

static void rounds(size_t limit) {
    static const size_t mixes[][3] = {{16, 16, 16},
                                      {1000, 100, 40},
                                      {5000, 40000, 300},
                                      {100000, 1 << 20, 64},
                                      {9 << 20, 3 << 20, 1000}};
    for (int round = 0; round < 2; round++) {
        for (size_t k = 0; k < sizeof(mixes) / sizeof(mixes[0]); k++) {
            size_t count = exhaust(mixes[k], 3, limit);
            CHECK(count > 0);
            grow_all(count);
            pthread_t thread;
            if (pthread_create(&thread, NULL, other_thread, NULL) == 0) {
                pthread_join(thread, NULL);
            }
            CHECK(calloc(1, (size_t)1 << 40) == NULL);
            check_and_free(count, 3);
        }
    }
    void *ptr = malloc((size_t)8 << 20); // all of it is there again
    CHECK(ptr != NULL);
    free(ptr);
}

static void limit_resource(int which) {
    const struct rlimit limit = {(rlim_t)80 << 20, (rlim_t)80 << 20};
    CHECK_INT(setrlimit((__rlimit_resource_t)which, &limit), 0);
    rounds((size_t)-1);
}

/* Takes all mappings that the process may have, leaving `spare`. */
static size_t take_mappings(char **mapping, size_t spare) {
    size_t count = 0;
    long page = sysconf(_SC_PAGESIZE);
    while (count < MAPPINGS_MAX) { // neighbours with other rights do not join
        void *ptr = mmap(NULL, (size_t)page, count % 2 ? PROT_READ : PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (ptr == MAP_FAILED) {
            break;
        }
        mapping[count++] = ptr;
    }
    for (size_t i = 0; i < spare && count > 0; i++) {
        munmap(mapping[--count], (size_t)page);
    }
    return count;
}

static void limit_maps(void) {
    static char *mapping[MAPPINGS_MAX];
    static const size_t sizes[] = {200, 70000, 3 << 20};
    size_t before = exhaust(sizes, 3, (size_t)100 << 20); // chunks to be split when they go
    for (size_t spare = 0; spare < 4; spare++) {
        size_t count = take_mappings(mapping, spare);
        CHECK(count > 1000);
        grow_all(before);
        void *ptr = malloc((size_t)20 << 20);
        free(ptr);
        free(malloc(100));
        free(realloc(malloc(3 << 20), 30 << 20));
        for (size_t i = 0; i < count; i++) {
            munmap(mapping[i], (size_t)sysconf(_SC_PAGESIZE));
        }
    }
    size_t count = take_mappings(mapping, 0);
    check_and_free(before, 2); // while no mapping may be split
    void *full = malloc(64);
    free(full);
    for (size_t i = 0; i < count; i++) {
        munmap(mapping[i], (size_t)sysconf(_SC_PAGESIZE));
    }
    rounds((size_t)50 << 20);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    check_begin();
    if (strcmp(what, "as") == 0) {
        limit_resource(RLIMIT_AS);
    } else if (strcmp(what, "data") == 0) {
        limit_resource(RLIMIT_DATA);
    } else if (strcmp(what, "maps") == 0) {
        limit_maps();
    } else {
        fprintf(stderr, "usage: faults_limits as|data|maps\n");
        return 2;
    }
    return check_end(what);
}

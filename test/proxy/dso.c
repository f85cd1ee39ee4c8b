/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * dso.c - a small library that allocates whenever a library can: in its constructor and destructor,
 * in fork handlers, and in its functions.
 *
 * Some tests link it, so that its constructor runs before that of a preloaded library; some load
 * and unload it again and again.
 */
#include "dso.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 64 };

static void *blocks[BLOCKS];
static void *fork_block;
static int fork_handlers = -1;

static size_t block_size(int i) {
    return (size_t)i * (size_t)i * 37 + 1;
}

/* A handler that is registered before the allocator's own runs while the allocator is prepared for
 * the fork. */
static void before_fork(void) {
    free(fork_block);
    fork_block = malloc(3000);
}

static void after_fork(void) {
    free(fork_block);
    fork_block = malloc(100000);
    if (fork_block != NULL) {
        memset(fork_block, 1, 100000);
    }
}

__attribute__((constructor)) static void dso_start(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(block_size(i));
        if (blocks[i] == NULL) {
            abort();
        }
        memset(blocks[i], i, block_size(i));
    }
    fork_handlers = pthread_atfork(before_fork, after_fork, after_fork);
}

__attribute__((destructor)) static void dso_end(void) {
    for (int i = 0; i < BLOCKS; i++) {
        unsigned char *bytes = (unsigned char *)blocks[i];
        for (size_t k = 0; k < block_size(i); k++) {
            if (bytes[k] != (unsigned char)i) {
                abort();
            }
        }
        free(blocks[i]);
    }
    free(malloc(5000));
    free(fork_block);
    fork_block = NULL;
}

char *dso_text(size_t bytes) {
    char *text = (char *)malloc(bytes + 1);
    if (text != NULL) {
        memset(text, 'd', bytes);
        text[bytes] = '\0';
    }
    return text;
}

void dso_free(void *block) {
    free(block);
}

int dso_has_fork_handlers(void) {
    return fork_handlers == 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * hello.c - the smallest program worth running: allocates a little, says so, and tells whose malloc
 * it has (by the presence probe of malloc_usable_size when called with an argument). Built in
 * several ways: static, with a sanitizer, linked.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int good = 1;
    char *blocks[100];
    for (size_t i = 0; i < 100; i++) {
        blocks[i] = malloc(i * i + 1);
        good = good && blocks[i] != NULL;
        if (blocks[i] != NULL) {
            memset(blocks[i], 'h', i * i + 1);
        }
    }
    for (size_t i = 0; i < 100; i++) {
        good = good && blocks[i][i * i] == 'h';
        free(blocks[i]);
    }
    if (argc > 1 && strcmp(argv[1], "whose") == 0) {
        printf("%s\n", malloc_usable_size((void *)1) == 0xDEADBEEF ? "umf" : "other");
    }
    printf("hello %s\n", good ? "ok" : "failed");
    return !good;
}

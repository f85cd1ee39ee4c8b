# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# valgrind --tool=none: programs under the library on a simulated processor.

programs=(/usr/bin/valgrind.bin)
tools=(valgrind gawk gcc)
limit=90

workload() {
    valgrind -q --tool=none gawk 'BEGIN {
        for (i = 0; i < 20000; i++) a[i % 997] = a[i % 997] "x"
        print length(a), length(a[5])
    }'
    valgrind -q --tool=none sh -c 'for i in 1 2 3; do (exit $i); echo $?; done'
    cat >work.c <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *work(void *arg) {
    char *blocks[100] = {0};
    for (int i = 0; i < 5000; i++) {
        free(blocks[i % 100]);
        blocks[i % 100] = memset(malloc(i % 3000 + 1), i, i % 3000 + 1);
    }
    for (int i = 0; i < 100; i++) free(blocks[i]);
    return arg;
}
int main(void) {
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    puts("four threads");
    return 0;
}
C
    gcc -O1 -pthread work.c -o work
    valgrind -q --tool=none ./work
    words 2000 | valgrind -q --tool=none sort -k3 | sha256sum
}

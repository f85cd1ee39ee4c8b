/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A library for test profile: a place that allocates, in code that is loaded late. */
#include <stdlib.h>

void dso_site(int count, void (*keep)(void *));

__attribute__((noinline)) void dso_site(int count, void (*keep)(void *)) {
    for (int i = 0; i < count; i++) {
        keep(malloc(700));
    }
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the parts of settings_effect.c share. */
#ifndef UMF_TEST_PROXY_SETTINGS_EFFECT_H
#define UMF_TEST_PROXY_SETTINGS_EFFECT_H

#include "check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { KIB = 1 << 10, MIB = 1 << 20, PATH_BYTES = 256, FAILED_LOOK = 9 };

/* The child's part: prints "value N" for the figure of that name; its exit status. */
int settings_look(const char *what);

/* Number of tests in other files of the folder that are for the key. */
int settings_shown_elsewhere(const char *key, const char *directory);

#endif /* UMF_TEST_PROXY_SETTINGS_EFFECT_H */

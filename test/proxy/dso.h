/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* dso.h - what dso.c offers to the tests. */
#ifndef UMF_TEST_PROXY_DSO_H
#define UMF_TEST_PROXY_DSO_H

#include <stddef.h>

/* A block with `bytes` letters d and a zero; the caller frees it, also after the library is gone.
 * */
char *dso_text(size_t bytes);
/* Frees in the library what the program allocated. */
void dso_free(void *block);
int dso_has_fork_handlers(void);

typedef char *(*dso_text_fn)(size_t);
typedef void (*dso_free_fn)(void *);

#endif /* UMF_TEST_PROXY_DSO_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* When the memory that the settings ask for runs out; see exhausted.c. */
#ifndef UMF_PROXY_EXHAUSTED_H
#define UMF_PROXY_EXHAUSTED_H

#include "core/utils.h"

/* A block in place of one that the process pool had no memory for, as on.exhausted says: from
 * ordinary pages, or NULL. alignment: a power of two, or 0 for that of malloc. */
void *exhausted_alloc(size_t size, size_t alignment);

#endif /* UMF_PROXY_EXHAUSTED_H */

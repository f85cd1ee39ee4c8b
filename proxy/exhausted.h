/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* When the memory that the settings ask for runs out; see exhausted.c. */
#ifndef UMF_PROXY_EXHAUSTED_H
#define UMF_PROXY_EXHAUSTED_H

#include "core/utils.h"

/* A block in place of one that the process pool had no memory for, as on.exhausted says: from
 * ordinary pages, or NULL. alignment: a power of two, or 0 for that of malloc. */
void *exhausted_alloc(size_t size, size_t alignment);

/* Requests from this size on failed a moment ago; SIZE_MAX: none did. */
extern _Atomic(size_t) exhausted_from;
bool exhausted_still(void);

/* True: it is too early to ask the process pool again, exhausted_instead() serves. */
UMF_INLINE bool exhausted_now(size_t size) {
    return unlikely(size >= load_relaxed(&exhausted_from)) && exhausted_still();
}
void *exhausted_instead(size_t size);

#endif /* UMF_PROXY_EXHAUSTED_H */

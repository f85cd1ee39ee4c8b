/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Wrong pointers given to free, realloc or malloc_usable_size; see badfree.c. */
#ifndef UMF_PROXY_BADFREE_H
#define UMF_PROXY_BADFREE_H

#include "pools/slab.h"

/* What an address that is no live block is, as far as the address map tells. */
slab_check_t badfree_classify(const void *ptr);
/* Says in one line what the pointer is, then aborts, unless on.error=warn. */
void badfree_report(const char *function, const void *ptr, slab_check_t check);

#endif /* UMF_PROXY_BADFREE_H */

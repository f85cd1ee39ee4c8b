/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Fork of a process whose heap is shared memory; see fork_shared.c. */
#ifndef UMF_PROXY_FORK_SHARED_H
#define UMF_PROXY_FORK_SHARED_H

/* From now on a forked child gets a heap of its own. */
void fork_shared_install(void);

#endif /* UMF_PROXY_FORK_SHARED_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Shared memory of a coarse block manager after a fork; see coarse_unshare.c. */
#ifndef UMF_PROVIDERS_COARSE_UNSHARE_H
#define UMF_PROVIDERS_COARSE_UNSHARE_H

#include <sys/types.h>

#include "providers/coarse.h"

/*
 * Both for a forked child that shares its ranges with its parent, which must not run meanwhile.
 * Blocks keep their addresses and contents. A failure leaves a part of the memory shared.
 */

/* Puts the ranges on anonymous private memory. */
umf_result_t coarse_unshare_private(coarse_t *coarse, int protection);

/* Puts the ranges on a new nameless file of `size` bytes in the folder of `old_fd`'s; a range's tag
 * is its place in the file. *fd is the file's. */
umf_result_t coarse_unshare_file(coarse_t *coarse, int old_fd, off_t size, int protection, int *fd);

#endif /* UMF_PROVIDERS_COARSE_UNSHARE_H */

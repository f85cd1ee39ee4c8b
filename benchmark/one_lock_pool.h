/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The design that the disjoint pool is compared with; see one_lock_pool.c. */
#ifndef BENCH_ONE_LOCK_POOL_H
#define BENCH_ONE_LOCK_POOL_H

#include <umf/memory_pool_ops.h>

const umf_memory_pool_ops_t *one_lock_pool_ops(void);

#endif

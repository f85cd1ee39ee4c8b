/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Keeps a GPU driver's own malloc calls away from the memory that the driver provides; see
 * driver_guard.c. */
#ifndef UMF_PROXY_DRIVER_GUARD_H
#define UMF_PROXY_DRIVER_GUARD_H

#include <umf/memory_provider.h>

#include "core/utils.h"

/* > 0: this thread is inside the driver on behalf of the process pool. */
extern UMF_TLS unsigned driver_guard_depth;

/* This thread's latest request was refused because the driver is among its callers: it is served in
 * another way, without a word. */
extern UMF_TLS bool driver_guard_refused;

/* Puts the guard around a provider that is to serve the process pool; once in a process. */
void driver_guard_install(umf_memory_provider_handle_t provider);

/* Inside the driver: keeps a block of the process pool until the thread is out again. */
void driver_guard_defer_free(void *ptr);

#endif /* UMF_PROXY_DRIVER_GUARD_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Start-up and tear-down; see init.c. */
#ifndef UMF_CORE_INIT_H
#define UMF_CORE_INIT_H

#include "core/utils.h"

/* True between the first umfInit and the last umfTearDown (and always when the proxy keeps the core
 * alive). */
bool core_is_ready(void);

#endif /* UMF_CORE_INIT_H */

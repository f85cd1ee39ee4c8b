/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* From the boot pool to the process pool of the settings; see switch_pool.c. */
#ifndef UMF_PROXY_SWITCH_POOL_H
#define UMF_PROXY_SWITCH_POOL_H

#include "config/proxy_settings.h"

/* Makes what the settings ask for the process pool. When it cannot be had that is said in one line
 * and the boot pool stays. Called once, while the process has one thread. */
void switch_pool_apply(const proxy_settings_t *settings);

#endif /* UMF_PROXY_SWITCH_POOL_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The modules that the library itself has. They need no registration, so they answer at any time
 * and cost start-up nothing. */
#include "core/ctl_modules.h"

const ctl_module_t *const ctl_own_modules[] = {
    &ipc_ctl_module,
    &log_ctl_module,
};

const size_t ctl_own_module_count = ARRAY_LENGTH(ctl_own_modules);

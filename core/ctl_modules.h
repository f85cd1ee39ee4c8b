/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The modules that the library itself has; one line per module here and in ctl_modules.c. */
#ifndef UMF_CORE_CTL_MODULES_H
#define UMF_CORE_CTL_MODULES_H

#include "core/ctl.h"

extern const ctl_module_t *const ctl_own_modules[];
extern const size_t ctl_own_module_count;

extern const ctl_module_t ipc_ctl_module; /* umf.ipc, ipc_ctl.c */
extern const ctl_module_t log_ctl_module; /* umf.logger, log_ctl.c */

#endif /* UMF_CORE_CTL_MODULES_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Is a GPU driver among this thread's callers? See driver_stack.c. */
#ifndef UMF_PROXY_DRIVER_STACK_H
#define UMF_PROXY_DRIVER_STACK_H

#include "core/utils.h"

/* Notes where the code of the drivers that are loaded lies; once. */
void driver_stack_learn(void);
/* True when a return address into a driver is on the stack, or looks as if. Never faults. */
bool driver_stack_has_driver(void);
/* Wipes what a call of the driver left below this frame, so that it is not taken for a caller. */
void driver_stack_scrub(void);

#endif /* UMF_PROXY_DRIVER_STACK_H */

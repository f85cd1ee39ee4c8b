/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A thread for reports on a signal or at intervals. It exists only when a setting asks for one:
 * a signal handler cannot take the locks that a report needs, and an idle program calls nothing
 * that could watch the clock.
 */
#ifndef UMF_PROXY_HELPER_H
#define UMF_PROXY_HELPER_H

#include "core/utils.h"

/* Calls `report` on the helper thread after each arrival of the signal; several that come close
 * together may lead to one call. The program's own handler of it, if it sets one later, wins. Not
 * within malloc. */
void helper_on_signal(int signal, void (*report)(void));
/* Calls `report` every `ms` milliseconds. */
void helper_every(uint64_t ms, void (*report)(void));

#endif /* UMF_PROXY_HELPER_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The leak report; see prof_leak.c. */
#ifndef UMF_PROXY_PROF_LEAK_H
#define UMF_PROXY_PROF_LEAK_H

#include "config/keys_prof.h"
#include "proxy/prof_out.h"
#include "proxy/prof_table.h"

/* Writes what is live in the snapshot, largest first. Returns the number of stacks that are not
 * suppressed. */
size_t prof_leak_write(prof_out_t *out, const prof_snapshot_t *snapshot,
                       const proxy_prof_settings_t *settings, uint64_t interval);

#endif /* UMF_PROXY_PROF_LEAK_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The heap profiler: what starts it and writes its profiles; see prof.c. */
#ifndef UMF_PROXY_PROF_H
#define UMF_PROXY_PROF_H

#include <umf/base.h>

#include "config/keys_prof.h"

enum { PROF_INTERVAL_DEFAULT = 512 * 1024 };

/* Starts what the settings ask for; called once, not within malloc. */
void prof_start(const proxy_prof_settings_t *settings);

/* Samples every `interval` bytes on average from now on (1: every block; 0: no more). Opens what it
 * needs the first time; not within malloc. NOT_SUPPORTED: the process's pool is no slab pool. */
umf_result_t prof_set_interval(uint64_t interval);
/* Bytes; 0: off. */
uint64_t prof_interval(void);

/* Writes a profile to `path` (NULL: as prof.file says). UNKNOWN: the file could not be written,
 * which one line says. Any thread; one at a time. */
umf_result_t prof_dump(const char *path);
/* Forgets all but live blocks. */
void prof_reset(void);

#endif /* UMF_PROXY_PROF_H */

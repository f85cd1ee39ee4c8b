/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Names of the running program, for only= and except=; see program_name.c. */
#ifndef UMF_PROXY_PROGRAM_NAME_H
#define UMF_PROXY_PROGRAM_NAME_H

#include "core/utils.h"

/* Whether a name of the program is one of the patterns in `list`, which commas separate. */
bool program_name_in(const char *list);

/* Whether `name` (of `bytes`) is `pattern`, in which * stands for any text. */
bool program_name_matches(const char *pattern, size_t pattern_bytes, const char *name,
                          size_t bytes);

#endif /* UMF_PROXY_PROGRAM_NAME_H */

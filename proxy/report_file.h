/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Files that reports go to: names with process id and number, or standard error. */
#ifndef UMF_PROXY_REPORT_FILE_H
#define UMF_PROXY_REPORT_FILE_H

#include "core/utils.h"

enum { REPORT_PATH_BYTES = 512 };

/* Keeps standard error for the end of the process: many programs (all of coreutils) close it in an
 * exit handler that runs before ours. */
void report_file_keep_stderr(void);

/* Writes the name into `name` (REPORT_PATH_BYTES): the pattern with %p as process id, %n as
 * `number`, %% as %. In a forked child a pattern without %p gets the process id at its end, so that
 * it does not overwrite its parent's, unless it is in /dev. "" stays "". */
void report_file_name(char *name, const char *pattern, unsigned number);
/* Opens it for writing from its beginning; "" is standard error. -1: it cannot be, which one line
 * says. */
int report_file_open(const char *name);
/* The same, writing at its end. */
int report_file_append(const char *name);
void report_file_close(int fd);

#endif /* UMF_PROXY_REPORT_FILE_H */

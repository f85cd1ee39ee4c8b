/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the files of the launcher umf-run share. It is a program of its own: it may use malloc and
 * stdio. */
#ifndef UMF_PROXY_UMF_RUN_H
#define UMF_PROXY_UMF_RUN_H

#include <stddef.h>

#include "core/utils.h"

/* Exit statuses, as of env, nohup and timeout; anything else is PROGRAM's. */
enum { RUN_FAILED = 125, RUN_CANNOT_START = 126, RUN_NOT_FOUND = 127 };

enum { RUN_SETTINGS_BYTES = 16 * 1024, RUN_PATH_BYTES = 4096 };

/* What the command line asks for. */
typedef struct run_request {
    char settings[RUN_SETTINGS_BYTES]; /* UMF_PROXY */
    char file[RUN_PATH_BYTES];         /* UMF_PROXY_FILE; "": as it was */
    const char *attach, *every;        /* NULL: not given */
    const char *library;               /* NULL: the one that belongs to this program */
    bool print, check, json, help, keys, version;
    char **program; /* and its arguments; [0] is NULL when there is none */
} run_request_t;

/* "umf-run: message" on stderr. */
void run_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Reads the command line. False: it is wrong, which was said. */
bool run_parse(int argc, char **argv, run_request_t *request);
void run_usage(void);

/* Looks for a preset by name; false: there is none, which was said. */
bool run_preset(const char *name, char *path, size_t bytes);

/* --check: what this machine offers, on stdout. Returns the exit status. */
int run_check(bool json);

/* --attach: statistics of another process, on stdout. Returns the exit status. */
int run_attach(const run_request_t *request);

#endif /* UMF_PROXY_UMF_RUN_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Output of reports: a buffer before a file descriptor, plain or as a gzip file. Uses system calls
 * only, so it may be used within malloc and in signal handlers.
 */
#ifndef UMF_PROXY_PROF_OUT_H
#define UMF_PROXY_PROF_OUT_H

#include "core/utils.h"

enum { PROF_OUT_BYTES = 32 * 1024 }; /* less than a stored block of gzip can hold */

typedef struct prof_out {
    int fd;
    bool gzip;
    bool failed; /* a write failed: errno was `error` */
    int error;
    uint32_t crc; /* of what was put in, as the next */
    uint32_t length;
    size_t used;
    char buffer[PROF_OUT_BYTES];
} prof_out_t;

void prof_out_begin(prof_out_t *out, int fd, bool gzip);
void prof_out_bytes(prof_out_t *out, const void *bytes, size_t count);
void prof_out_text(prof_out_t *out, const char *text);
void prof_out_format(prof_out_t *out, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Writes what is left; false if anything could not be written. Does not close the file. */
bool prof_out_end(prof_out_t *out);

#endif /* UMF_PROXY_PROF_OUT_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Profiles as files; see prof_write.c and prof_proto.c. */
#ifndef UMF_PROXY_PROF_WRITE_H
#define UMF_PROXY_PROF_WRITE_H

#include "proxy/prof_modules.h"
#include "proxy/prof_out.h"
#include "proxy/prof_table.h"

/* The order is that of the words of prof.format. */
typedef enum prof_format {
    PROF_FORMAT_PPROF,     /* text that google-pprof, jeprof and go tool pprof read */
    PROF_FORMAT_PROTO,     /* gzip'd profile.proto */
    PROF_FORMAT_COLLAPSED, /* "outer;inner bytes", as flame graph scripts read */
} prof_format_t;

/* peak: what was live at the moment of peak use, in place of what is now. profile.proto has both
 * always. */
void prof_write_text(prof_out_t *out, const prof_snapshot_t *snapshot,
                     const prof_modules_t *modules, bool peak);
void prof_write_collapsed(prof_out_t *out, const prof_snapshot_t *snapshot,
                          const prof_modules_t *modules, bool peak);
bool prof_write_proto(prof_out_t *out, const prof_snapshot_t *snapshot,
                      const prof_modules_t *modules, uint64_t interval);

#endif /* UMF_PROXY_PROF_WRITE_H */

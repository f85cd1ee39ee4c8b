/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Run-time libraries: oneTBB, Level Zero, CUDA, hwloc, jemalloc, libunwind are opened with dlopen
 * the first time something needs them. One table per library says which symbols are wanted.
 */
#ifndef UMF_CORE_LIBLOAD_H
#define UMF_CORE_LIBLOAD_H

#include <umf/base.h>

#include "core/lock.h"
#include "core/utils.h"

typedef struct libload_symbol {
    const char *name;
    size_t offset; /* of the function pointer in the caller's struct */
    bool optional;
} libload_symbol_t;

typedef struct libload_library {
    const char *name;             /* shared object, e.g. "libtbbmalloc.so.2" */
    const char *name_environment; /* variable that may name another file (secure_getenv), or NULL */
    const libload_symbol_t *symbols;
    size_t symbol_count;
    void *functions; /* struct that receives the pointers */
    int flags;       /* of dlopen, besides RTLD_LAZY; 0 or RTLD_NOLOAD … */
    bool optional;   /* its user can do without: that it is missing is no more than a debug line */
    umf_lock_t lock;
    void *handle;        /* under lock */
    _Atomic(bool) ready; /* functions may be used */
} libload_library_t;

/* Opens the library unless that is done already. DEPENDENCY_UNAVAILABLE: it or a required symbol is
 * missing; the log says which; a later call tries again. Thread-safe. */
umf_result_t libload_open(libload_library_t *library);
/* Closes it (at final tear-down). */
void libload_close(libload_library_t *library);

#endif /* UMF_CORE_LIBLOAD_H */

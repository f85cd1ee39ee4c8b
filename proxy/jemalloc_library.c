/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * jemalloc would cost every program's start thousands of relocations, so the pool is in libumf.so.1
 * only. When the settings ask for it, libumf is loaded: the one beside this library, else the one
 * of the system. It finds the live core of this process and shares it (core/state.h).
 */
#define _GNU_SOURCE
#include "proxy/jemalloc_library.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/libload.h"
#include "core/log.h"
#include "core/system_call.h"

static const char umf_name[] = "libumf.so.1";
static jemalloc_library_t functions;

#define SYMBOL(symbol, field)                                                                      \
    { .name = (symbol), .offset = offsetof(jemalloc_library_t, field) }

static const libload_symbol_t symbols[] = {
    SYMBOL("umfJemallocPoolParamsCreate", params_create),
    SYMBOL("umfJemallocPoolParamsDestroy", params_destroy),
    SYMBOL("umfJemallocPoolParamsSetNumArenas", set_num_arenas),
    SYMBOL("umfJemallocPoolParamsSetName", set_name),
    SYMBOL("umfJemallocPoolOps", ops),
};

static libload_library_t umf = {
    .name = umf_name,
    .symbols = symbols,
    .symbol_count = ARRAY_LENGTH(symbols),
    .functions = &functions,
};

/* libumf in this library's folder; false: there is none. */
static bool neighbour(char *path, size_t bytes) {
    Dl_info self;
    if (dladdr(&functions, &self) == 0 || self.dli_fname == NULL) {
        return false;
    }
    const char *slash = strrchr(self.dli_fname, '/');
    int folder = slash != NULL ? (int)(slash + 1 - self.dli_fname) : 0;
    int length = snprintf(path, bytes, "%.*s%s", folder, self.dli_fname, umf_name);
    return folder > 0 && length > 0 && (size_t)length < bytes && sys_access(path, R_OK) == 0;
}

umf_result_t jemalloc_library_open(const jemalloc_library_t **library) {
    static char path[PATH_MAX];
    umf.name = neighbour(path, sizeof(path)) ? path : umf_name;
    umf_result_t result = libload_open(&umf);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (functions.ops() == NULL) {
        log_error("%s was built without the jemalloc pool", umf.name);
        return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    }
    *library = &functions;
    return UMF_RESULT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Code addresses in human terms: module + offset, and the function's name where the module's file
 * tells it. Reads /proc/self/maps and the files themselves; asks nothing of the dynamic loader, so
 * no lock of its is needed.
 */
#ifndef UMF_PROXY_PROF_MODULES_H
#define UMF_PROXY_PROF_MODULES_H

#include "core/utils.h"

typedef struct prof_module {
    uintptr_t start, end, offset; /* an executable mapping; offset in the file */
    const char *path;             /* or a name in brackets */
    uintptr_t bias;               /* address - this = address in the file's symbol table */
    const char *file;             /* the file mapped to read symbols, or NULL */
    size_t file_bytes;
    bool tried;
} prof_module_t;

typedef struct prof_modules {
    char *text; /* of /proc/self/maps */
    size_t text_bytes, text_mapped;
    char *names; /* copy of text, cut into strings */
    prof_module_t *module;
    size_t count, module_mapped;
} prof_modules_t;

/* False: /proc cannot be read, or no memory; modules are none then. */
bool prof_modules_read(prof_modules_t *modules);
void prof_modules_drop(prof_modules_t *modules);
/* The module of a code address, or NULL. */
prof_module_t *prof_modules_find(const prof_modules_t *modules, uintptr_t address);

typedef struct prof_symbol {
    const prof_module_t *module; /* NULL: unknown */
    const char *module_name;     /* last part of the path, or "[unknown]" */
    const char *function;        /* as the linker knows it, or NULL */
    uintptr_t module_offset;     /* as addr2line wants it */
    uintptr_t function_offset;
} prof_symbol_t;

/* Names stay valid until the modules are dropped. */
prof_symbol_t prof_modules_symbol(const prof_modules_t *modules, uintptr_t address);

#endif /* UMF_PROXY_PROF_MODULES_H */

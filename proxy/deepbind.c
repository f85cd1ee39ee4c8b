/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * dlopen without RTLD_DEEPBIND. A module loaded with that flag (PHP loads its extensions so) looks
 * its symbols up in its own dependencies first, finds malloc and free in the C library, and then
 * frees our blocks there. No replacement of malloc can work with it, so the flag is dropped: the
 * module binds as every other library does.
 *
 * dlopen looks at its return address to find its caller's search path. The real one is therefore
 * reached by a jump, not by a call: it sees the program's address, not ours.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <string.h>

#include "core/log.h"
#include "core/utils.h"

typedef void *(*dlopen_t)(const char *file, int mode);

static _Atomic(dlopen_t) real_dlopen;

static void *no_dlopen(const char *file, int mode) {
    (void)file, (void)mode;
    return NULL;
}

UMF_COLD static dlopen_t find_real_dlopen(void) {
    void *symbol = dlsym(RTLD_NEXT, "dlopen");
    dlopen_t real = no_dlopen;
    if (symbol != NULL) {
        memcpy(&real, &symbol, sizeof(real));
    }
    store_release(&real_dlopen, real);
    return real;
}

#if defined(__clang__)
#define JUMP_TO __attribute__((musttail)) return
#else
__attribute__((optimize("O2"))) // the jump, in every build type
#define JUMP_TO return
#endif
UMF_EXPORT void *dlopen(const char *file, int mode) {
    dlopen_t real = load_acquire(&real_dlopen);
    if (unlikely(real == NULL)) {
        real = find_real_dlopen();
    }
    JUMP_TO real(file, mode & ~RTLD_DEEPBIND);
}

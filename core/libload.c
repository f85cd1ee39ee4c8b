/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Run-time libraries. dlopen runs constructors of code that we do not know, so it is called without
 * a lock; the lock covers only the look-up of symbols and the hand-over. Of two threads that come
 * at once the second finds the work done and gives its reference back.
 */
#define _GNU_SOURCE
#include "core/libload.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

static const char *library_file(const libload_library_t *library) {
    const char *other =
        library->name_environment != NULL ? secure_getenv(library->name_environment) : NULL;
    return other != NULL && other[0] != '\0' ? other : library->name;
}

/* Fills the caller's struct; false when a required symbol is missing. */
static bool library_resolve(libload_library_t *library, void *handle, const char *file) {
    for (size_t i = 0; i < library->symbol_count; i++) {
        const libload_symbol_t *symbol = &library->symbols[i];
        void *function = dlsym(handle, symbol->name);
        if (function == NULL && !symbol->optional) {
            log_fatal("library %s has no symbol %s", file, symbol->name);
            return false;
        }
        memcpy((char *)library->functions + symbol->offset, &function, sizeof(function));
    }
    return true;
}

umf_result_t libload_open(libload_library_t *library) {
    if (load_acquire(&library->ready)) { // pairs with the release below: functions are filled in
        return UMF_RESULT_SUCCESS;
    }
    const char *file = library_file(library);
    void *handle = dlopen(file, RTLD_LAZY | library->flags);
    if (handle == NULL) {
        const char *reason = dlerror();
        LOG_AT(library->optional ? LOG_DEBUG : LOG_FATAL, "library %s can not be used: %s", file,
               reason != NULL ? reason : "it is not loaded in this process");
        return UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    bool keep = false;
    lock_acquire(&library->lock);
    if (!load_relaxed(&library->ready)) {
        keep = library_resolve(library, handle, file);
        if (keep) {
            library->handle = handle;
            store_release(&library->ready, true);
        } else {
            result = UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE;
        }
    }
    lock_release(&library->lock);
    if (!keep) {
        dlclose(handle);
    }
    return result;
}

void libload_close(libload_library_t *library) {
    lock_acquire(&library->lock);
    void *handle = library->handle;
    library->handle = NULL;
    store_release(&library->ready, false);
    lock_release(&library->lock);
    if (handle != NULL) {
        dlclose(handle);
    }
}

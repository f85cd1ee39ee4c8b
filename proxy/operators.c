/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The C++ operators new and delete, under their mangled names, so that no C++ runtime decides where
 * its memory comes from. When memory is out, the throwing forms call the program's new-handler as
 * long as there is one, then throw std::bad_alloc. Both belong to the C++ runtime of the process,
 * which this library does not link: they are looked up when they are needed.
 *
 * A program may replace some operators and expect the rest to go through its own: array, sized and
 * nothrow forms are defined by the C++ standard in terms of the plain ones. So here they call those
 * by their exported names. (The nothrow forms would need a try block for that: they serve directly
 * while the plain form is ours, and leave everything else to the runtime's.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "proxy/malloc.h"

typedef void (*new_handler_t)(void);

/* A symbol of the program's C++ runtime, or NULL. */
static void *runtime_symbol(const char *name) {
    return dlsym(RTLD_DEFAULT, name);
}

/* Calls the new-handler; false when there is none. It may throw: this file has unwind tables
 * (-fexceptions). */
static bool call_new_handler(void) {
    void *symbol = runtime_symbol("_ZSt15get_new_handlerv"); // std::get_new_handler()
    if (symbol == NULL) {
        return false;
    }
    new_handler_t (*get_new_handler)(void);
    memcpy(&get_new_handler, &symbol, sizeof(symbol));
    new_handler_t handler = get_new_handler();
    if (handler == NULL) {
        return false;
    }
    handler();
    return true;
}

/* Throws std::bad_alloc by the runtime's own helper (libstdc++, then libc++). */
_Noreturn static void throw_bad_alloc(size_t size) {
    static const char *const names[] = {"_ZSt17__throw_bad_allocv",
                                        "_ZNSt3__117__throw_bad_allocEv"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        void *symbol = runtime_symbol(names[i]);
        if (symbol != NULL) {
            void (*throw_it)(void);
            memcpy(&throw_it, &symbol, sizeof(symbol));
            throw_it();
        }
    }
    umf_message(
        "operator new: out of memory for %zu bytes, and no C++ runtime to throw std::bad_alloc",
        size);
    abort();
}

UMF_COLD static void *new_slow(size_t size) {
    while (call_new_handler()) {
        void *ptr = proxy_malloc(size);
        if (ptr != NULL) {
            return ptr;
        }
    }
    throw_bad_alloc(size);
}

UMF_COLD static void *new_aligned_slow(size_t size, size_t alignment) {
    while (call_new_handler()) {
        void *ptr = proxy_aligned(alignment, size);
        if (ptr != NULL) {
            return ptr;
        }
    }
    throw_bad_alloc(size);
}

/* ---- the plain forms: size_t mangles as m on LP64, align_val_t is an enum class over size_t,
 * nothrow_t goes by reference ---- */

void *operator_new(size_t size);
void *operator_new(size_t size) {
    void *ptr = proxy_malloc(size);
    return likely(ptr != NULL) ? ptr : new_slow(size);
}

void *operator_new_aligned(size_t size, size_t alignment);
void *operator_new_aligned(size_t size, size_t alignment) {
    void *ptr = proxy_aligned(alignment, size);
    return likely(ptr != NULL) ? ptr : new_aligned_slow(size, alignment);
}

UMF_EXPORT void *_Znwm(size_t size) __attribute__((alias("operator_new")));
UMF_EXPORT void *_ZnwmSt11align_val_t(size_t size, size_t alignment)
    __attribute__((alias("operator_new_aligned")));

void operator_delete_aligned(void *ptr, size_t alignment);
void operator_delete_aligned(void *ptr, size_t alignment) {
    (void)alignment;
    proxy_free(ptr);
}

UMF_EXPORT void _ZdlPv(void *ptr);
UMF_EXPORT void _ZdlPv(void *ptr) {
    proxy_free(ptr);
}
UMF_EXPORT void _ZdlPvSt11align_val_t(void *ptr, size_t alignment)
    __attribute__((alias("operator_delete_aligned")));

/* ---- nothrow: the runtime's own form (which catches) when the plain one is not ours or memory is
 * out ---- */

typedef void *(*nothrow_t)(size_t size, const void *tag);
typedef void *(*nothrow_aligned_t)(size_t size, size_t alignment, const void *tag);

UMF_COLD static void *new_nothrow_elsewhere(const char *name, size_t size, const void *tag) {
    void *symbol = dlsym(RTLD_NEXT, name);
    nothrow_t next;
    memcpy(&next, &symbol, sizeof(symbol));
    return symbol != NULL ? next(size, tag) : NULL;
}

UMF_COLD static void *new_nothrow_aligned_elsewhere(const char *name, size_t size, size_t alignment,
                                                    const void *tag) {
    void *symbol = dlsym(RTLD_NEXT, name);
    nothrow_aligned_t next;
    memcpy(&next, &symbol, sizeof(symbol));
    return symbol != NULL ? next(size, alignment, tag) : NULL;
}

UMF_INLINE void *new_nothrow(const char *name, size_t size, const void *tag) {
    void *ptr = likely(_Znwm == operator_new) ? proxy_malloc(size) : NULL;
    return likely(ptr != NULL) ? ptr : new_nothrow_elsewhere(name, size, tag);
}

UMF_INLINE void *new_nothrow_aligned(const char *name, size_t size, size_t alignment,
                                     const void *tag) {
    void *ptr = likely(_ZnwmSt11align_val_t == operator_new_aligned)
                    ? proxy_aligned(alignment, size)
                    : NULL;
    return likely(ptr != NULL) ? ptr : new_nothrow_aligned_elsewhere(name, size, alignment, tag);
}

/* ---- all the others ---- */

#define EXPORT(type, name, args, call)                                                             \
    UMF_EXPORT type name args;                                                                     \
    UMF_EXPORT type name args {                                                                    \
        call;                                                                                      \
    }

EXPORT(void *, _Znam, (size_t size), return _Znwm(size))
EXPORT(void *, _ZnamSt11align_val_t, (size_t size, size_t alignment),
       return _ZnwmSt11align_val_t(size, alignment))
EXPORT(void *, _ZnwmRKSt9nothrow_t, (size_t size, const void *tag),
       return new_nothrow("_ZnwmRKSt9nothrow_t", size, tag))
EXPORT(void *, _ZnamRKSt9nothrow_t, (size_t size, const void *tag),
       return new_nothrow("_ZnamRKSt9nothrow_t", size, tag))
EXPORT(void *, _ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
       return new_nothrow_aligned("_ZnwmSt11align_val_tRKSt9nothrow_t", size, alignment, tag))
EXPORT(void *, _ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
       return new_nothrow_aligned("_ZnamSt11align_val_tRKSt9nothrow_t", size, alignment, tag))

EXPORT(void, _ZdaPv, (void *ptr), _ZdlPv(ptr))
EXPORT(void, _ZdlPvm, (void *ptr, size_t size), ((void)size, _ZdlPv(ptr)))
EXPORT(void, _ZdaPvm, (void *ptr, size_t size), ((void)size, _ZdaPv(ptr)))
EXPORT(void, _ZdlPvRKSt9nothrow_t, (void *ptr, const void *tag), ((void)tag, _ZdlPv(ptr)))
EXPORT(void, _ZdaPvRKSt9nothrow_t, (void *ptr, const void *tag), ((void)tag, _ZdaPv(ptr)))
EXPORT(void, _ZdaPvSt11align_val_t, (void *ptr, size_t alignment),
       _ZdlPvSt11align_val_t(ptr, alignment))
EXPORT(void, _ZdlPvmSt11align_val_t, (void *ptr, size_t size, size_t alignment),
       ((void)size, _ZdlPvSt11align_val_t(ptr, alignment)))
EXPORT(void, _ZdaPvmSt11align_val_t, (void *ptr, size_t size, size_t alignment),
       ((void)size, _ZdaPvSt11align_val_t(ptr, alignment)))
EXPORT(void, _ZdlPvSt11align_val_tRKSt9nothrow_t, (void *ptr, size_t alignment, const void *tag),
       ((void)tag, _ZdlPvSt11align_val_t(ptr, alignment)))
EXPORT(void, _ZdaPvSt11align_val_tRKSt9nothrow_t, (void *ptr, size_t alignment, const void *tag),
       ((void)tag, _ZdaPvSt11align_val_t(ptr, alignment)))

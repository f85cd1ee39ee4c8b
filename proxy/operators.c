/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The C++ operators new and delete, under their mangled names, so that no C++ runtime decides where its memory comes from. When
 * memory is out, the throwing forms call the program's new-handler as long as there is one, then throw std::bad_alloc. Both
 * belong to the C++ runtime of the process, which this library does not link: they are looked up when they are needed.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "proxy/malloc.h"

typedef void (*new_handler_t)(void);

/* A symbol of the program's C++ runtime, or NULL. */
static void *runtime_symbol(const char *name) { return dlsym(RTLD_DEFAULT, name); }

/* Calls the new-handler; false when there is none. It may throw: this library has unwind tables (-fexceptions). */
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
    static const char *const names[] = {"_ZSt17__throw_bad_allocv", "_ZNSt3__117__throw_bad_allocEv"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        void *symbol = runtime_symbol(names[i]);
        if (symbol != NULL) {
            void (*throw_it)(void);
            memcpy(&throw_it, &symbol, sizeof(symbol));
            throw_it();
        }
    }
    umf_message("operator new: out of memory for %zu bytes, and no C++ runtime to throw std::bad_alloc", size);
    abort();
}

static void *allocate(size_t size, size_t alignment) {
    return alignment == 0 ? proxy_malloc(size) : proxy_aligned(alignment, size);
}

UMF_COLD static void *new_slow(size_t size, size_t alignment) {
    while (call_new_handler()) {
        void *ptr = allocate(size, alignment);
        if (ptr != NULL) {
            return ptr;
        }
    }
    throw_bad_alloc(size);
}

UMF_INLINE void *new_throwing(size_t size) {
    void *ptr = proxy_malloc(size);
    return likely(ptr != NULL) ? ptr : new_slow(size, 0);
}

UMF_INLINE void *new_aligned(size_t size, size_t alignment) {
    void *ptr = proxy_aligned(alignment, size);
    return likely(ptr != NULL) ? ptr : new_slow(size, alignment);
}

/* The nothrow forms may not let the handler's exception out; a handler that throws ends in std::terminate by the noexcept of their
 * declaration. So they ask the handler only through the same loop, and give up without one. */
UMF_COLD static void *new_nothrow_slow(size_t size, size_t alignment) {
    while (call_new_handler()) {
        void *ptr = allocate(size, alignment);
        if (ptr != NULL) {
            return ptr;
        }
    }
    return NULL;
}

UMF_INLINE void *new_nothrow(size_t size, size_t alignment) {
    void *ptr = allocate(size, alignment);
    return likely(ptr != NULL) ? ptr : new_nothrow_slow(size, alignment);
}

/* size_t mangles as m on LP64; align_val_t is an enum class over size_t; nothrow_t goes by reference. */
#define EXPORT_NEW(name, args, call)                                                               \
    UMF_EXPORT void *name args;                                                                    \
    UMF_EXPORT void *name args { return call; }

EXPORT_NEW(_Znwm, (size_t size), new_throwing(size))
EXPORT_NEW(_Znam, (size_t size), new_throwing(size))
EXPORT_NEW(_ZnwmRKSt9nothrow_t, (size_t size, const void *tag), ((void)tag, new_nothrow(size, 0)))
EXPORT_NEW(_ZnamRKSt9nothrow_t, (size_t size, const void *tag), ((void)tag, new_nothrow(size, 0)))
EXPORT_NEW(_ZnwmSt11align_val_t, (size_t size, size_t alignment), new_aligned(size, alignment))
EXPORT_NEW(_ZnamSt11align_val_t, (size_t size, size_t alignment), new_aligned(size, alignment))
EXPORT_NEW(_ZnwmSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
           ((void)tag, new_nothrow(size, alignment)))
EXPORT_NEW(_ZnamSt11align_val_tRKSt9nothrow_t, (size_t size, size_t alignment, const void *tag),
           ((void)tag, new_nothrow(size, alignment)))

#define EXPORT_DELETE(name, args, unused)                                                          \
    UMF_EXPORT void name args;                                                                     \
    UMF_EXPORT void name args {                                                                    \
        unused;                                                                                    \
        proxy_free(ptr);                                                                           \
    }

EXPORT_DELETE(_ZdlPv, (void *ptr), (void)0)
EXPORT_DELETE(_ZdaPv, (void *ptr), (void)0)
EXPORT_DELETE(_ZdlPvm, (void *ptr, size_t size), (void)size)
EXPORT_DELETE(_ZdaPvm, (void *ptr, size_t size), (void)size)
EXPORT_DELETE(_ZdlPvRKSt9nothrow_t, (void *ptr, const void *tag), (void)tag)
EXPORT_DELETE(_ZdaPvRKSt9nothrow_t, (void *ptr, const void *tag), (void)tag)
EXPORT_DELETE(_ZdlPvSt11align_val_t, (void *ptr, size_t alignment), (void)alignment)
EXPORT_DELETE(_ZdaPvSt11align_val_t, (void *ptr, size_t alignment), (void)alignment)
EXPORT_DELETE(_ZdlPvmSt11align_val_t, (void *ptr, size_t size, size_t alignment), ((void)size, (void)alignment))
EXPORT_DELETE(_ZdaPvmSt11align_val_t, (void *ptr, size_t size, size_t alignment), ((void)size, (void)alignment))
EXPORT_DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, (void *ptr, size_t alignment, const void *tag),
              ((void)alignment, (void)tag))
EXPORT_DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, (void *ptr, size_t alignment, const void *tag),
              ((void)alignment, (void)tag))

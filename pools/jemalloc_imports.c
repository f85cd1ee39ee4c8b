/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What the private jemalloc gets when it would reach into the process: settings that are meant for
 * another jemalloc, the break, threads, handlers. Its profiler is never on, and the functions it
 * needs are not there.
 */
#include "pools/jemalloc_private.h"

#include <errno.h>

/*
 * One automatic arena: it serves jemalloc's own needs only, the pools' arenas are made one by one.
 * No huge arena, sbrk, threads, or arenas per CPU: all of them would take memory past the pools.
 * Automatic thread caches stay on, though nothing uses them: a thread without one goes a slower way
 * through every call.
 */
const char *umf_jemalloc_conf =
    "narenas:1,oversize_threshold:0,dss:disabled,background_thread:false,"
    "percpu_arena:disabled,abort_conf:false,stats_print:false,prof:false";

/* ---- settings -------------------------------------------------------------------------------- */

char *umf_jemalloc_import_secure_getenv(const char *name) {
    (void)name;
    return NULL;
}

/* /etc/malloc.conf */
intptr_t umf_jemalloc_import_readlink(const char *path, char *buffer, size_t size) {
    (void)path, (void)buffer, (void)size;
    errno = ENOENT;
    return -1;
}

/* ---- memory past the provider ---------------------------------------------------------------- */

void *umf_jemalloc_import_sbrk(intptr_t bytes) {
    (void)bytes;
    errno = ENOMEM;
    return (void *)-1;
}

/* ---- handlers: jemalloc_thread.c does this at the right time --------------------------------- */

int umf_jemalloc_import_atexit(void (*function)(void)) {
    (void)function;
    return 0;
}

int umf_jemalloc_import_pthread_atfork(void (*prepare)(void), void (*parent)(void),
                                       void (*child)(void)) {
    (void)prepare, (void)parent, (void)child;
    return 0;
}

int umf_jemalloc_import_pthread_key_create(unsigned *key, void (*destructor)(void *)) {
    (void)destructor;
    *key = 0;
    return 0;
}

int umf_jemalloc_import_pthread_setspecific(unsigned key, const void *value) {
    (void)key, (void)value;
    return 0;
}

/* ---- background threads ---------------------------------------------------------------------- */

int umf_jemalloc_import_pthread_create(void *thread, const void *attr, void *(*start)(void *),
                                       void *arg) {
    (void)thread, (void)attr, (void)start, (void)arg;
    return EAGAIN;
}

/* It looks for the next pthread_create, and takes its own (the one above) when there is none. */
void *umf_jemalloc_import_dlsym(void *handle, const char *name) {
    (void)handle, (void)name;
    return NULL;
}

/* ---- profiler: not called -------------------------------------------------------------------- */

int umf_jemalloc_import__Unwind_Backtrace(void *trace, void *arg) {
    (void)trace, (void)arg;
    return 5; // end of stack
}

uintptr_t umf_jemalloc_import__Unwind_GetIP(void *context) {
    (void)context;
    return 0;
}

double umf_jemalloc_import_exp(double x) {
    return x;
}

double umf_jemalloc_import_log(double x) {
    return x;
}

double umf_jemalloc_import_round(double x) {
    return x;
}

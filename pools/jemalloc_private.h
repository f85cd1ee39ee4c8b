/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The private jemalloc (cmake/UmfJemalloc.cmake): what the pool calls of it, and what it calls of
 * us.
 *
 * Why a private copy in the library, and not the system's libjemalloc.so.2 by dlopen: that library
 * wants 2.6 KiB of static TLS, which glibc does not have left for libraries that come late, so
 * dlopen refuses it in an ordinary process; and a second malloc family, even one that nobody binds
 * to, listens to MALLOC_CONF, registers fork handlers and thread destructors. The copy has only
 * local symbols besides the ones below, one thread-local word, and no ties to the process.
 */
#ifndef UMF_POOLS_JEMALLOC_PRIVATE_H
#define UMF_POOLS_JEMALLOC_PRIVATE_H

#include "core/utils.h"

/* ---- what it offers (jemalloc's public interface, prefixed) ---------------------------------- */

void *umf_jemalloc_mallocx(size_t size, int flags);
void *umf_jemalloc_rallocx(void *ptr, size_t size, int flags);
void umf_jemalloc_dallocx(void *ptr, int flags);
size_t umf_jemalloc_sallocx(const void *ptr, int flags);
int umf_jemalloc_mallctl(const char *name, void *old, size_t *old_size, void *new, size_t new_size);

/* Flags of the calls above. */
enum {
    JEMALLOC_ZERO = 0x40,
    JEMALLOC_PAGE = 4096,       /* granularity of extents */
    JEMALLOC_ARENAS_MAX = 4095, /* in the process */
    JEMALLOC_TCACHE_NONE = 1 << 8,
};
/* alignment: a power of two */
UMF_INLINE int jemalloc_flag_alignment(size_t alignment) {
    return (int)log2_floor(alignment);
}
UMF_INLINE int jemalloc_flag_tcache(unsigned tcache) {
    return (int)((tcache + 2) << 8);
}
UMF_INLINE int jemalloc_flag_arena(unsigned arena) {
    return (int)((arena + 1) << 20);
}

/* Where an arena gets its memory. True means failure. */
typedef struct jemalloc_hooks jemalloc_hooks_t;
struct jemalloc_hooks {
    void *(*alloc)(jemalloc_hooks_t *hooks, void *at, size_t size, size_t alignment, bool *zero,
                   bool *commit, unsigned arena);
    bool (*dalloc)(jemalloc_hooks_t *hooks, void *ptr, size_t size, bool committed, unsigned arena);
    void (*destroy)(jemalloc_hooks_t *hooks, void *ptr, size_t size, bool committed,
                    unsigned arena);
    bool (*commit)(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset, size_t length,
                   unsigned arena);
    bool (*decommit)(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset, size_t length,
                     unsigned arena);
    bool (*purge_lazy)(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                       size_t length, unsigned arena);
    bool (*purge_forced)(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t offset,
                         size_t length, unsigned arena);
    bool (*split)(jemalloc_hooks_t *hooks, void *ptr, size_t size, size_t first, size_t second,
                  bool committed, unsigned arena);
    bool (*merge)(jemalloc_hooks_t *hooks, void *low, size_t low_size, void *high, size_t high_size,
                  bool committed, unsigned arena);
};

/* ---- its threads and forks, which are driven by us ------------------------------------------- */

/* Initial content of a thread's data, [image, end). */
extern const char umf_jemalloc_tsd_image[];
extern const char umf_jemalloc_tsd_image_end[];
/* Gives back what a thread's data holds; the thread word must lead to it. */
void umf_jemalloc_tsd_cleanup(void *tsd);
void umf_jemalloc_prefork(void);
void umf_jemalloc_postfork_parent(void);
void umf_jemalloc_postfork_child(void);

/* ---- what it asks for ------------------------------------------------------------------------ */

/* Distance from the thread pointer to the calling thread's data; set before any call of the above.
 */
extern __attribute__((visibility("hidden"))) UMF_TLS intptr_t umf_jemalloc_tsd_offset;
/* Its settings; read once, by the first call. */
extern const char *umf_jemalloc_conf;

/* Answers to calls by which it would reach into the process; see jemalloc_imports.c. */
int umf_jemalloc_import__Unwind_Backtrace(void *trace, void *arg);
uintptr_t umf_jemalloc_import__Unwind_GetIP(void *context);
int umf_jemalloc_import_atexit(void (*function)(void));
void *umf_jemalloc_import_dlsym(void *handle, const char *name);
double umf_jemalloc_import_exp(double x);
double umf_jemalloc_import_log(double x);
double umf_jemalloc_import_round(double x);
int umf_jemalloc_import_pthread_atfork(void (*prepare)(void), void (*parent)(void),
                                       void (*child)(void));
int umf_jemalloc_import_pthread_create(void *thread, const void *attr, void *(*start)(void *),
                                       void *arg);
int umf_jemalloc_import_pthread_key_create(unsigned *key, void (*destructor)(void *));
int umf_jemalloc_import_pthread_setspecific(unsigned key, const void *value);
intptr_t umf_jemalloc_import_readlink(const char *path, char *buffer, size_t size);
void *umf_jemalloc_import_sbrk(intptr_t bytes);
char *umf_jemalloc_import_secure_getenv(const char *name);

#endif /* UMF_POOLS_JEMALLOC_PRIVATE_H */

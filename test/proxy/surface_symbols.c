/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface_symbols.c - every name of the malloc family leads to the one library, and every way to
 * get a block pairs with every way to give it back.
 *
 * A single name that still led to libc would hand libc's blocks to our free, or ours to libc's.
 */
#include "pattern.h"
#include "surface.h"

#include <dirent.h>
#include <wchar.h>

static const char *const malloc_names[] = {
    "malloc",          "calloc",         "realloc",        "free",
    "aligned_alloc",   "posix_memalign", "memalign",       "valloc",
    "pvalloc",         "reallocarray",   "cfree",          "malloc_usable_size",
    "malloc_trim",     "mallinfo",       "mallinfo2",      "mallopt",
    "malloc_info",     "malloc_stats",   "free_sized",     "free_aligned_sized",
    "__libc_malloc",   "__libc_calloc",  "__libc_realloc", "__libc_free",
    "__libc_memalign", "__libc_valloc",  "__libc_pvalloc",
};

static const char *const operator_names[] = {
    "_Znwm",
    "_Znam",
    "_ZnwmRKSt9nothrow_t",
    "_ZnamRKSt9nothrow_t",
    "_ZnwmSt11align_val_t",
    "_ZnamSt11align_val_t",
    "_ZnwmSt11align_val_tRKSt9nothrow_t",
    "_ZnamSt11align_val_tRKSt9nothrow_t",
    "_ZdlPv",
    "_ZdaPv",
    "_ZdlPvm",
    "_ZdaPvm",
    "_ZdlPvRKSt9nothrow_t",
    "_ZdaPvRKSt9nothrow_t",
    "_ZdlPvSt11align_val_t",
    "_ZdaPvSt11align_val_t",
    "_ZdlPvmSt11align_val_t",
    "_ZdaPvmSt11align_val_t",
    "_ZdlPvSt11align_val_tRKSt9nothrow_t",
    "_ZdaPvSt11align_val_tRKSt9nothrow_t",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void check_names(const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *object = check_object_of(names[i]);
        CHECK_MSG(strstr(object, check_allocator()) != NULL, "%s comes from '%s'", names[i],
                  object);
    }
}

/* ---- every source with every sink ---- */

static void *get_malloc(size_t n) {
    return malloc(n);
}
static void *get_calloc(size_t n) {
    return calloc(1, n);
}
static void *get_realloc(size_t n) {
    return realloc(NULL, n);
}
static void *get_regrown(size_t n) {
    return realloc(malloc(n / 2 + 1), n);
}
static void *get_reallocarray(size_t n) {
    return reallocarray(NULL, n, 1);
}
static void *get_aligned_alloc(size_t n) {
    return aligned_alloc(64, n);
}
static void *get_posix_memalign(size_t n) {
    return surface_posix_memalign(256, n);
}
static void *get_memalign(size_t n) {
    return memalign(4096, n);
}
static void *get_valloc(size_t n) {
    return valloc(n);
}
static void *get_pvalloc(size_t n) {
    return pvalloc(n);
}
static void *get_libc_malloc(size_t n) {
    return __libc_malloc(n);
}
static void *get_libc_calloc(size_t n) {
    return __libc_calloc(n, 1);
}
static void *get_libc_realloc(size_t n) {
    return __libc_realloc(NULL, n);
}
static void *get_libc_memalign(size_t n) {
    return __libc_memalign(128, n);
}
static void *get_libc_valloc(size_t n) {
    return __libc_valloc(n);
}
static void *get_libc_pvalloc(size_t n) {
    return __libc_pvalloc(n);
}

static void put_free(void *p, size_t n) {
    (void)n;
    free(p);
}
static void put_libc_free(void *p, size_t n) {
    (void)n;
    __libc_free(p);
}
static void put_cfree(void *p, size_t n) {
    (void)n;
    free_fn f = surface_cfree();
    if (CHECK_MSG(f != NULL, "no cfree")) {
        f(p);
    }
}
static void put_free_sized(void *p, size_t n) {
    free_sized_fn f = surface_free_sized();
    if (CHECK_MSG(f != NULL, "no free_sized")) {
        f(p, n);
    }
}
static void put_realloc_zero(void *p, size_t n) {
    (void)n;
    CHECK(realloc(p, 0) == NULL);
}
static void put_libc_realloc_zero(void *p, size_t n) {
    (void)n;
    CHECK(__libc_realloc(p, 0) == NULL);
}
static void put_moved(void *p, size_t n) {
    free(realloc(p, 3 * n));
}
static void put_libc_moved(void *p, size_t n) {
    free(__libc_realloc(p, 3 * n));
}
static void put_array_moved(void *p, size_t n) {
    __libc_free(reallocarray(p, n, 2));
}

typedef struct source {
    const char *name;
    void *(*get)(size_t);
    int aligned; /* C23 forbids free_sized on blocks of the aligned functions */
} source_t;

typedef struct sink {
    const char *name;
    void (*put)(void *, size_t);
} sink_t;

static const source_t sources[] = {
    {"malloc", get_malloc, 0},
    {"calloc", get_calloc, 0},
    {"realloc", get_realloc, 0},
    {"malloc+realloc", get_regrown, 0},
    {"reallocarray", get_reallocarray, 0},
    {"aligned_alloc", get_aligned_alloc, 1},
    {"posix_memalign", get_posix_memalign, 1},
    {"memalign", get_memalign, 1},
    {"valloc", get_valloc, 1},
    {"pvalloc", get_pvalloc, 1},
    {"__libc_malloc", get_libc_malloc, 0},
    {"__libc_calloc", get_libc_calloc, 0},
    {"__libc_realloc", get_libc_realloc, 0},
    {"__libc_memalign", get_libc_memalign, 1},
    {"__libc_valloc", get_libc_valloc, 1},
    {"__libc_pvalloc", get_libc_pvalloc, 1},
};

static const sink_t sinks[] = {
    {"free", put_free},
    {"__libc_free", put_libc_free},
    {"cfree", put_cfree},
    {"free_sized", put_free_sized},
    {"realloc 0", put_realloc_zero},
    {"__libc_realloc 0", put_libc_realloc_zero},
    {"realloc+free", put_moved},
    {"__libc_realloc+free", put_libc_moved},
    {"reallocarray+__libc_free", put_array_moved},
};

static void check_pairs(void) {
    static const size_t sizes[] = {1, 40, 1000, 5000, 40000, 300000, 5000000};
    for (size_t s = 0; s < COUNT(sources); s++) {
        for (size_t k = 0; k < COUNT(sinks); k++) {
            if (sources[s].aligned && sinks[k].put == put_free_sized) {
                continue;
            }
            for (size_t i = 0; i < COUNT(sizes); i++) {
                unsigned char *p = (unsigned char *)check_hide(sources[s].get(sizes[i]));
                if (!CHECK_MSG(p != NULL && malloc_usable_size(p) >= sizes[i], "%s(%zu) is %p",
                               sources[s].name, sizes[i], (void *)p)) {
                    continue;
                }
                p[0] = p[sizes[i] - 1] = 1;
                sinks[k].put(p, sizes[i]);
            }
        }
    }
}

static void check_free_aligned_sized(void) {
    free_aligned_sized_fn f = surface_free_aligned_sized();
    if (!CHECK_MSG(f != NULL, "no free_aligned_sized")) {
        return;
    }
    for (size_t a = 16; a <= 1u << 20; a *= 2) {
        f(aligned_alloc(a, 3 * a), a, 3 * a);
    }
    f(NULL, 16, 16);
}

/* ---- blocks that libc allocates and the program frees ---- */

static void check_text(char *text, const char *expected, const char *what) {
    if (CHECK_MSG(text != NULL, "%s", what)) {
        CHECK_MSG(strcmp(text, expected) == 0, "%s gave '%s'", what, text);
        CHECK_MSG(malloc_usable_size(text) > strlen(expected), "%s", what);
    }
    free(text);
}

static void check_libc_text(void) {
    char *text = NULL;
    size_t bytes = 0;
    check_text(strdup("abcdef"), "abcdef", "strdup");
    check_text(strndup("abcdef", 3), "abc", "strndup");
    CHECK_INT(asprintf(&text, "%05d-%s", 42, "x"), 7);
    check_text(text, "00042-x", "asprintf");

    FILE *memory = open_memstream(&text, &bytes);
    for (int i = 0; i < 20000; i++) {
        fputc('a' + i % 26, memory);
    }
    fclose(memory);
    CHECK_INT(bytes, 20000);
    CHECK(text != NULL && text[19999] == 'a' + 19999 % 26 && malloc_usable_size(text) > bytes);
    free(text);

    wchar_t *wide = wcsdup(L"wide");
    CHECK(wide != NULL && wcscmp(wide, L"wide") == 0);
    free(wide);
}

static void check_libc_files(void) {
    char *line = NULL;
    size_t room = 0;
    FILE *file = tmpfile();
    if (!CHECK_MSG(file != NULL, "tmpfile: errno %d", errno)) {
        return;
    }
    for (int i = 0; i < 3000; i++) {
        fputc('y', file);
    }
    fputs("\nsecond\n", file);
    rewind(file);
    CHECK_INT(getline(&line, &room, file), 3001);
    CHECK(line != NULL && malloc_usable_size(line) >= room);
    line = (char *)realloc(line, 8); /* the program may own and shrink it */
    room = 8;
    CHECK_INT(getline(&line, &room, file), 7);
    free(line);
    fclose(file);

    char *directory = getcwd(NULL, 0);
    CHECK(directory != NULL);
    free(directory);
    char *real = realpath("/proc/self/../self/", NULL);
    CHECK(real != NULL);
    free(real);

    struct dirent **entries = NULL;
    int count = scandir("/", &entries, NULL, alphasort);
    CHECK(count > 2);
    for (int i = 0; i < count; i++) {
        free(entries[i]);
    }
    free(entries);
}

int main(void) {
    check_begin();
    check_names(malloc_names, COUNT(malloc_names));
    check_names(operator_names, COUNT(operator_names));
    check_pairs();
    check_free_aligned_sized();
    check_libc_text();
    check_libc_files();
    return check_end("surface_symbols");
}

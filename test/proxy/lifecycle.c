/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * lifecycle.c - malloc and free in all phases of a process: earliest constructors, main, exit
 * handlers, last destructors, and libraries that come and go.
 *
 *   lifecycle [path of the library to load]
 *
 * Blocks are carried from each phase into later ones. A failure after main cannot change main's
 * status, so those phases end the process with _exit(1). Compiled a second time with LINKED: the
 * program then links the library instead of being run under LD_PRELOAD, and asks it about its
 * blocks.
 */
#include "dso.h"
#include "pattern.h"

#include <malloc.h>

#ifdef LINKED
#include <umf/memory_pool.h>
static const char test_name[] = "lifecycle_linked";
#else
static const char test_name[] = "lifecycle";
#endif

enum { BLOCKS = 100, LOADS = 100 };

typedef struct phase {
    unsigned char *blocks[BLOCKS];
    uint64_t tag;
} phase_t;

static phase_t first, in_main, at_exit;

static size_t size_of(size_t i) {
    return i * i * 29 + 1;
}

static void phase_fill(phase_t *phase, uint64_t tag) {
    phase->tag = tag;
    for (size_t i = 0; i < BLOCKS; i++) {
        phase->blocks[i] = (unsigned char *)(i % 4 == 0   ? memalign(256, size_of(i))
                                             : i % 4 == 1 ? calloc(1, size_of(i))
                                                          : malloc(size_of(i)));
        if (CHECK_MSG(phase->blocks[i] != NULL, "phase %d", (int)tag)) {
            pattern_fill(phase->blocks[i], size_of(i), tag);
        }
    }
}

static void phase_check_and_free(phase_t *phase) {
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t wrong = pattern_mismatch(phase->blocks[i], size_of(i), size_of(i), phase->tag);
        CHECK_MSG(wrong == size_of(i), "phase %d, block %zu differs at %zu", (int)phase->tag, i,
                  wrong);
        free(i % 2 == 0 ? phase->blocks[i] : realloc(phase->blocks[i], 2 * size_of(i)));
        phase->blocks[i] = NULL;
    }
}

static void fail_after_main(void) {
    if (check_failures != 0) {
        dprintf(2, "%s: failed after main\n", test_name);
        _exit(1);
    }
}

__attribute__((constructor(101))) static void earliest(void) {
    phase_fill(&first, 1);
}

/* Runs after all exit handlers; the blocks of main and of the handlers are still there. */
__attribute__((destructor(101))) static void latest(void) {
    phase_check_and_free(&in_main);
    phase_check_and_free(&at_exit);
    phase_t last;
    phase_fill(&last, 4);
    phase_check_and_free(&last);
    fail_after_main();
}

static void exit_handler(void) {
    phase_check_and_free(&first);
    phase_fill(&at_exit, 3);
    fail_after_main();
}

/* A library allocates while it is loaded and unloaded; what it returned lives on, what it was given
 * it frees. */
static void check_load(const char *path, int leave_loaded) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!CHECK_MSG(library != NULL, "%s", dlerror())) {
        return;
    }
    dso_text_fn text_fn = (dso_text_fn)dlsym(library, "dso_text");
    dso_free_fn free_fn = (dso_free_fn)dlsym(library, "dso_free");
    char *text = text_fn(10000);
    free_fn(strdup("freed by the library"));
    if (!leave_loaded) {
        CHECK_INT(dlclose(library), 0);
    }
    CHECK(text != NULL && strlen(text) == 10000);
    free(text);
}

/* A second copy of libc in a namespace of its own has its own malloc; the two must not disturb each
 * other. */
static void check_namespace(const char *path) {
    void *library = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
    if (library == NULL) {
        dprintf(1, "no check of dlmopen: %s\n", dlerror());
        return;
    }
    dso_text_fn text_fn = (dso_text_fn)dlsym(library, "dso_text");
    dso_free_fn free_fn = (dso_free_fn)dlsym(library, "dso_free");
    for (size_t i = 0; i < 1000; i++) {
        char *text = text_fn(i * 100);
        CHECK(text != NULL);
        free_fn(text); /* by the namespace that made it */
        free(malloc(i * 100));
    }
    CHECK_INT(dlclose(library), 0);
}

#ifdef LINKED
/* The program's own calls of the umf interface meet the pool that serves its malloc. */
static void check_linked(void) {
    umf_memory_pool_handle_t pool = NULL;
    void *p = malloc(100);
    CHECK_INT(umfPoolByPtr(p, &pool), UMF_RESULT_SUCCESS);
    CHECK(pool != NULL);
    free(p);
    CHECK_INT(malloc_usable_size(check_hide((void *)1)), 0xDEADBEEF);
}
#endif

int main(int argc, char **argv) {
    check_begin();
    CHECK_MSG(first.blocks[0] != NULL, "the constructor did not run");
#ifdef LINKED
    check_linked();
#endif
    CHECK_INT(atexit(exit_handler), 0);
    phase_fill(&in_main, 2);
    if (argc > 1) {
        for (int i = 0; i < LOADS; i++) {
            check_load(argv[1], 0);
        }
        check_load(argv[1], 1); /* its destructor runs at exit */
        check_namespace(argv[1]);
    }
    return check_end(test_name);
}

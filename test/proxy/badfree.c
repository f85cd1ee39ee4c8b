/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * badfree.c - a bad free says in one line what is wrong with which pointer and aborts; with
 * on.error=warn the program goes on.
 *
 * The program runs itself once per mistake. Only mistakes that can be seen without work on the fast
 * path are asked for. A small block that is freed twice, or a pointer into a small block, is pushed
 * on a free list like any other: nothing is promised for those.
 */
#include "child.h"

#include <malloc.h>
#include <sys/mman.h>

enum { LARGE = 8 << 20, MIDDLE = 1 << 20 };

static int static_variable[64];

static char *foreign_mapping(void) {
    void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : (char *)p;
}

static void announce(void *p) {
    dprintf(1, "%p\n", p);
}

static void bad_free(void *p) {
    announce(p);
    free(check_hide(p));
}

static void bad_realloc(void *p) {
    announce(p);
    (void)check_hide(realloc(check_hide(p), 100));
}

static void twice(void *p) {
    announce(p);
    free(check_hide(p));
    free(check_hide(p));
}

static void case_double_large(void) {
    twice(malloc(LARGE));
}
static void case_double_middle(void) {
    twice(malloc(MIDDLE));
}
static void case_double_aligned(void) {
    twice(memalign(1 << 20, LARGE));
}
static void case_interior_large(void) {
    bad_free((char *)malloc(LARGE) + 5000);
}
static void case_interior_page(void) {
    bad_free((char *)malloc(LARGE) + 65536);
}
static void case_interior_end(void) {
    bad_free((char *)malloc(LARGE) + LARGE - 16);
}
static void case_interior_aligned(void) {
    bad_free((char *)memalign(4096, LARGE) + 4096);
}
static void case_stack(void) {
    long variable[8];
    bad_free(variable);
}
static void case_static(void) {
    bad_free(static_variable);
}
static void case_code(void) {
    bad_free((void *)(uintptr_t)case_code);
}
static void case_mapping(void) {
    bad_free(foreign_mapping());
}
static void case_one(void) {
    bad_free((void *)1);
}
static void case_page_zero(void) {
    bad_free((void *)0x1000);
}
static void case_top_of_user(void) {
    bad_free((void *)0x7ffffffff000);
}
static void case_not_canonical(void) {
    bad_free((void *)0x8000000000000010);
}
static void case_kernel(void) {
    bad_free((void *)0xffffffffffff0000);
}
static void case_realloc_stack(void) {
    long variable[8];
    bad_realloc(variable);
}
static void case_realloc_mapping(void) {
    bad_realloc(foreign_mapping());
}
static void case_realloc_interior(void) {
    bad_realloc((char *)malloc(LARGE) + 4096);
}

static const struct bad_case {
    const char *name;
    void (*run)(void);
    int may_fault; /* no user address: telling would cost every free a comparison */
} cases[] = {
    {"double_large", case_double_large, 0},
    {"double_middle", case_double_middle, 0},
    {"double_aligned", case_double_aligned, 0},
    {"interior_large", case_interior_large, 0},
    {"interior_page", case_interior_page, 0},
    {"interior_end", case_interior_end, 0},
    {"interior_aligned", case_interior_aligned, 0},
    {"stack", case_stack, 0},
    {"static", case_static, 0},
    {"code", case_code, 0},
    {"mapping", case_mapping, 0},
    {"one", case_one, 0},
    {"page_zero", case_page_zero, 0},
    {"top_of_user", case_top_of_user, 0},
    {"not_canonical", case_not_canonical, 1},
    {"kernel", case_kernel, 1},
    {"realloc_stack", case_realloc_stack, 0},
    {"realloc_mapping", case_realloc_mapping, 0},
    {"realloc_interior", case_realloc_interior, 0},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

/* The heap must be usable after a bad free that was only reported. */
static int run_case(const char *name) {
    for (int i = 0; i < CASES; i++) {
        if (strcmp(cases[i].name, name) == 0) {
            cases[i].run();
            for (size_t size = 1; size < 20u << 20; size = 2 * size + 7) {
                char *p = (char *)malloc(size);
                memset(p, 1, size);
                free(realloc(p, size + size / 2));
            }
            dprintf(1, "goes on\n");
            return 0;
        }
    }
    dprintf(2, "no such case: %s\n", name);
    return 2;
}

/* One line that starts with "umf: " and has the pointer, as the child announced it, in it. */
static void check_message(const child_result_t *result, const char *name) {
    char pointer[32] = "";
    CHECK_MSG(sscanf(result->out, "%31s", pointer) == 1, "%s said '%s'", name, result->out);
    CHECK_MSG(child_count_lines(result->err) == 1 && strncmp(result->err, "umf: ", 5) == 0,
              "%s: stderr is '%s'", name, result->err);
    CHECK_MSG(strstr(result->err, pointer) != NULL, "%s: no %s in '%s'", name, pointer,
              result->err);
}

int main(int argc, char **argv) {
    static child_result_t result;
    if (argc > 1) {
        return run_case(argv[1]);
    }
    check_begin();
    for (int i = 0; i < CASES; i++) {
        char *child[] = {argv[0], (char *)cases[i].name, NULL};
        child_run(child, "UMF_PROXY", NULL, &result);
        if (cases[i].may_fault && child_killed(&result, SIGSEGV)) {
            continue;
        }
        CHECK_MSG(child_killed(&result, SIGABRT), "%s: status 0x%x, not SIGABRT; '%s'",
                  cases[i].name, result.status, result.err);
        check_message(&result, cases[i].name);

        child_run(child, "UMF_PROXY", "on.error=warn", &result);
        CHECK_MSG(child_exited(&result, 0) && strstr(result.out, "goes on") != NULL,
                  "%s with on.error=warn: status 0x%x; '%s'", cases[i].name, result.status,
                  result.err);
        check_message(&result, cases[i].name);
    }
    return check_end("badfree");
}

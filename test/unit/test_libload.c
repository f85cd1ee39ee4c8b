/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Run-time libraries: the C library's own ones serve as examples. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/libload.h"

#define OK UMF_RESULT_SUCCESS
#define MISSING UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE

typedef struct functions {
    double (*floor)(double);
    double (*ceil)(double);
    void (*no_such_function)(void);
} functions_t;

#define SYMBOL(function, is_optional)                                                              \
    { .name = #function, .offset = offsetof(functions_t, function), .optional = (is_optional) }

static const libload_symbol_t good_symbols[] = {SYMBOL(floor, false), SYMBOL(ceil, false),
                                                SYMBOL(no_such_function, true)};
static const libload_symbol_t bad_symbols[] = {SYMBOL(floor, false),
                                               SYMBOL(no_such_function, false)};
static functions_t functions;

static libload_library_t library(const char *name) {
    return (libload_library_t){.name = name,
                               .symbols = good_symbols,
                               .symbol_count = ARRAY_LENGTH(good_symbols),
                               .functions = &functions};
}

Test(libload, functions_are_found) {
    libload_library_t math = library("libm.so.6");
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(libload_open(&math), OK);
        cr_assert(load_relaxed(&math.ready));
        cr_assert_eq(functions.floor(2.5), 2.0);
        cr_assert_eq(functions.ceil(2.5), 3.0);
        cr_assert_null(functions.no_such_function);
    }
    libload_close(&math);
    cr_assert_not(load_relaxed(&math.ready));
    cr_assert_null(math.handle);
    libload_close(&math); // again: no harm
    cr_assert_eq(libload_open(&math), OK, "it can be opened again");
    libload_close(&math);
}

Test(libload, a_missing_library_is_reported_and_tried_again) {
    libload_library_t none = library("libnosuchlibrary.so.99");
    cr_assert_eq(libload_open(&none), MISSING);
    cr_assert_eq(libload_open(&none), MISSING);
    none.name = "libm.so.6";
    cr_assert_eq(libload_open(&none), OK);
    libload_close(&none);
}

Test(libload, a_missing_required_symbol_is_reported) {
    libload_library_t math = library("libm.so.6");
    math.symbols = bad_symbols;
    math.symbol_count = ARRAY_LENGTH(bad_symbols);
    cr_assert_eq(libload_open(&math), MISSING);
    cr_assert_not(load_relaxed(&math.ready));
    cr_assert_null(math.handle);
}

Test(libload, the_environment_may_name_another_file) {
    libload_library_t math = library("libnosuchlibrary.so.99");
    math.name_environment = "UMF_TEST_LIBRARY";
    setenv("UMF_TEST_LIBRARY", "", 1);
    cr_assert_eq(libload_open(&math), MISSING, "an empty value counts as unset");
    setenv("UMF_TEST_LIBRARY", "libm.so.6", 1);
    cr_assert_eq(libload_open(&math), OK);
    libload_close(&math);
}

Test(libload, a_library_that_is_not_in_the_process_can_be_left_alone) {
    libload_library_t none = library("libnosuchlibrary.so.99");
    none.flags = RTLD_NOLOAD;
    cr_assert_eq(libload_open(&none), MISSING);
    libload_library_t c = library("libc.so.6");
    c.symbol_count = 0;
    c.flags = RTLD_NOLOAD;
    cr_assert_eq(libload_open(&c), OK, "the C library is always there");
    libload_close(&c);
}

static libload_library_t shared;

static void *open_shared(void *arg) {
    (void)arg;
    cr_expect_eq(libload_open(&shared), OK);
    cr_expect_eq(functions.floor(1.5), 1.0);
    return NULL;
}

Test(libload, threads_may_come_together) {
    enum { THREADS = 8 };
    pthread_t thread[THREADS];
    shared = library("libm.so.6");
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, open_shared, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    libload_close(&shared);
}

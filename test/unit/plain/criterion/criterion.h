/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Stand-in for Criterion, for builds with ThreadSanitizer: Criterion places an arena at a fixed
 * address that this sanitizer keeps for itself, and does not start. Offers the part that our tests
 * use, under the same names: each test runs in a forked child, one after the other; the program's
 * result is the number of failed tests. One program consists of one file that includes this,
 * besides helpers that only use assertions.
 */
#ifndef UMF_TEST_PLAIN_CRITERION_H
#define UMF_TEST_PLAIN_CRITERION_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PLAIN_SKIPPED = 77 };

typedef struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    int signal;
    int exit_code;
    double timeout; /* seconds */
} plain_options_t;

typedef struct plain_test {
    const char *suite, *name;
    void (*run)(void);
    plain_options_t options;
    struct plain_test *next;
} plain_test_t;

/* One list in a program, whichever files include this. */
__attribute__((weak)) plain_test_t *plain_tests;
__attribute__((weak)) bool plain_failed; /* an expectation of this test did not hold */

#define Test(suite_name, test_name, ...)                                                           \
    static void suite_name##_##test_name##_run(void);                                              \
    static plain_test_t suite_name##_##test_name##_record = {                                      \
        .suite = #suite_name,                                                                      \
        .name = #test_name,                                                                        \
        .run = suite_name##_##test_name##_run,                                                     \
        .options = {__VA_ARGS__},                                                                  \
    };                                                                                             \
    __attribute__((constructor)) static void suite_name##_##test_name##_add(void) {                \
        plain_test_t **link = &plain_tests;                                                        \
        while (*link != NULL) {                                                                    \
            link = &(*link)->next;                                                                 \
        }                                                                                          \
        *link = &suite_name##_##test_name##_record;                                                \
    }                                                                                              \
    static void suite_name##_##test_name##_run(void)

#define PLAIN_CHECK(fatal, condition, text, ...)                                                   \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s. ", __FILE__, __LINE__, text);                    \
            fprintf(stderr, "" __VA_ARGS__);                                                       \
            fprintf(stderr, "\n");                                                                 \
            plain_failed = true;                                                                   \
            if (fatal) {                                                                           \
                _exit(1);                                                                          \
            }                                                                                      \
        }                                                                                          \
    } while (0)

#define cr_assert(c, ...) PLAIN_CHECK(true, c, #c, __VA_ARGS__)
#define cr_assert_not(c, ...) PLAIN_CHECK(true, !(c), "not " #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...) PLAIN_CHECK(true, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_CHECK(true, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...) PLAIN_CHECK(true, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_CHECK(true, (a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...) PLAIN_CHECK(true, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_CHECK(true, (a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_null(a, ...) PLAIN_CHECK(true, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) PLAIN_CHECK(true, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)                                                                \
    PLAIN_CHECK(true, strcmp(a, b) == 0, #a " is the text " #b, __VA_ARGS__)
#define cr_assert_str_empty(a, ...) PLAIN_CHECK(true, *(a) == '\0', #a " is empty", __VA_ARGS__)

#define cr_expect(c, ...) PLAIN_CHECK(false, c, #c, __VA_ARGS__)
#define cr_expect_not(c, ...) PLAIN_CHECK(false, !(c), "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...) PLAIN_CHECK(false, (a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...) PLAIN_CHECK(false, (a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...) PLAIN_CHECK(false, (a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...) PLAIN_CHECK(false, (a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_null(a, ...) PLAIN_CHECK(false, (a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...) PLAIN_CHECK(false, (a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)                                                                \
    PLAIN_CHECK(false, strcmp(a, b) == 0, #a " is the text " #b, __VA_ARGS__)
#define cr_expect_str_neq(a, b, ...)                                                               \
    PLAIN_CHECK(false, strcmp(a, b) != 0, #a " != " #b, __VA_ARGS__)
#define cr_expect_str_empty(a, ...) PLAIN_CHECK(false, *(a) == '\0', #a " is empty", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, bytes, ...)                                                         \
    PLAIN_CHECK(false, memcmp(a, b, bytes) == 0, #a " holds the same as " #b, __VA_ARGS__)

#define cr_skip(...)                                                                               \
    do {                                                                                           \
        fprintf(stderr, "skipped: " __VA_ARGS__);                                                  \
        fprintf(stderr, "\n");                                                                     \
        _exit(PLAIN_SKIPPED);                                                                      \
    } while (0)
#define cr_skip_test cr_skip

static inline bool plain_run(const plain_test_t *test) {
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(test->options.timeout > 0 ? (unsigned)test->options.timeout + 1 : 0);
        if (test->options.init != NULL) {
            test->options.init();
        }
        test->run();
        if (test->options.fini != NULL) {
            test->options.fini();
        }
        exit(plain_failed ? 1 : 0); // exit: the sanitizer reports from there
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return false;
    }
    bool right = test->options.signal != 0
                     ? WIFSIGNALED(status) && WTERMSIG(status) == test->options.signal
                     : WIFEXITED(status) && (WEXITSTATUS(status) == test->options.exit_code ||
                                             WEXITSTATUS(status) == PLAIN_SKIPPED);
    if (!right) {
        fprintf(stderr, "FAILED %s::%s (status 0x%x)\n", test->suite, test->name, status);
    }
    return right;
}

__attribute__((weak)) int main(int argc, char **argv);
__attribute__((weak)) int main(int argc, char **argv) {
    int failed = 0, count = 0;
    (void)argc, (void)argv;
    for (const plain_test_t *test = plain_tests; test != NULL; test = test->next) {
        count++;
        failed += plain_run(test) ? 0 : 1;
    }
    printf("%d tests, %d failed\n", count, failed);
    return failed;
}

#endif /* UMF_TEST_PLAIN_CRITERION_H */

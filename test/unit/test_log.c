/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Logging. UMF_LOG is read when the library starts, so each case runs this program again with
 * another environment: a constructor finds the name of an action in UMF_TEST_LOG_ACTION, does it
 * and leaves.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <umf.h>

#include "core/log.h"
#include "core/state.h"

/* ---- the child's side ------------------------------------------------------------------------ */

enum { LONG_TEXT = 9000, STORM_THREADS = 4, STORM_LINES = 50 };

static void act_levels(void) {
    log_debug("number %d", 1);
    log_info("number %d", 2);
    log_warning("number %d", 3);
    log_error("number %d", 4);
    log_fatal("number %d", 5);
}

static void act_errno(void) {
    errno = ENOENT;
    log_error_errno("file %s", "name");
    if (errno != ENOENT) {
        _exit(3);
    }
    errno = EBUSY;
    log_error("plain");
    if (errno != EBUSY) {
        _exit(4);
    }
    errno = 123456;
    log_error_errno("strange");
}

static void act_long(void) {
    static char text[LONG_TEXT + 1];
    memset(text, 'x', LONG_TEXT);
    log_error("%s", text);
    text[8191 - strlen("act_long: ")] = '\0'; // exactly what fits
    log_error("%s", text);
}

static void *storm(void *arg) {
    for (int i = 0; i < STORM_LINES; i++) {
        log_error("thread %ld says %d, in a line of some length", (long)(intptr_t)arg, i);
    }
    return NULL;
}

static void act_storm(void) {
    pthread_t thread[STORM_THREADS];
    for (intptr_t i = 0; i < STORM_THREADS; i++) {
        pthread_create(&thread[i], NULL, storm, (void *)i);
    }
    for (int i = 0; i < STORM_THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void act_messages(void) {
    errno = EBUSY;
    umf_message("told %d times", 2);
    _exit(errno == EBUSY ? 0 : 3);
}

static void act_panic(void) {
    umf_panic("broken at %p", (void *)0x10);
}

static void act_reconfigure(void) {
    const char *path = getenv("UMF_TEST_LOG_PATH");
    char text[512];
    log_error("one");
    snprintf(text, sizeof(text), "output:file,%s.a", path);
    log_configure(text);
    log_error("two");
    snprintf(text, sizeof(text), "output:file,%s.b", path);
    log_configure(text);
    log_error("three");
    log_configure("level:debug"); // refused: what was in force stays in force
    log_error("four");
    log_configure("output:stderr");
    log_error("five");
}

static void act_survive_tear_down(void) {
    umfTearDown();
    setenv("UMF_LOG", "output:stdout", 1);
    umfInit();
    log_error("still there");
}

static void act_enabled(void) {
    for (int level = LOG_DEBUG; level <= LOG_FATAL; level++) {
        dprintf(STDOUT_FILENO, "%d", log_enabled((log_level_t)level));
    }
}

static void act_nothing(void) {}

static const struct {
    const char *name;
    void (*act)(void);
} actions[] = {{"levels", act_levels},
               {"errno", act_errno},
               {"long", act_long},
               {"storm", act_storm},
               {"message", act_messages},
               {"panic", act_panic},
               {"reconfigure", act_reconfigure},
               {"survive", act_survive_tear_down},
               {"enabled", act_enabled},
               {"nothing", act_nothing}};

/* After the library's own constructor (101), before main. */
__attribute__((constructor(65000))) static void log_child(void) {
    const char *wanted = getenv("UMF_TEST_LOG_ACTION");
    for (size_t i = 0; wanted != NULL && i < ARRAY_LENGTH(actions); i++) {
        if (strcmp(actions[i].name, wanted) == 0) {
            actions[i].act();
            _exit(0);
        }
    }
}

/* ---- the test's side ------------------------------------------------------------------------- */

enum { CAPTURE = 1 << 16 };

typedef struct run {
    char out[CAPTURE], err[CAPTURE];
    pid_t pid;
    int status;
} run_t;

static run_t run; /* of the test's process: each test has its own */

static void slurp(FILE *file, char *text) {
    rewind(file);
    size_t length = fread(text, 1, CAPTURE - 1, file);
    text[length] = '\0';
    fclose(file);
}

/* Runs this program again with one setting of UMF_LOG (NULL: unset). */
static void run_child(const char *umf_log, const char *action) {
    FILE *out = tmpfile(), *err = tmpfile();
    cr_assert(out != NULL && err != NULL);
    run.pid = fork();
    cr_assert_neq(run.pid, -1);
    if (run.pid == 0) {
        dup2(fileno(out), STDOUT_FILENO);
        dup2(fileno(err), STDERR_FILENO);
        setenv("UMF_TEST_LOG_ACTION", action, 1);
        if (umf_log != NULL) {
            setenv("UMF_LOG", umf_log, 1);
        } else {
            unsetenv("UMF_LOG");
        }
        execl("/proc/self/exe", "test_log", (char *)NULL);
        _exit(127);
    }
    cr_assert_eq(waitpid(run.pid, &run.status, 0), run.pid);
    slurp(out, run.out);
    slurp(err, run.err);
}

static void assert_exit(int code) {
    cr_assert(WIFEXITED(run.status) && WEXITSTATUS(run.status) == code, "status 0x%x\n%s\n%s",
              run.status, run.out, run.err);
}

static size_t count_lines(const char *text) {
    size_t lines = 0;
    for (; *text != '\0'; text++) {
        lines += *text == '\n';
    }
    return lines;
}

static void assert_one_error_line(const char *quoted) {
    assert_exit(0);
    cr_assert_str_empty(run.out);
    cr_assert_eq(count_lines(run.err), 1, "%s", run.err);
    cr_assert_eq(strncmp(run.err, "[ERROR UMF] ", 12), 0, "%s", run.err);
    cr_assert_not_null(strstr(run.err, quoted), "%s", run.err);
}

#define FATAL_LINE "[FATAL UMF] act_levels: number 5\n"
#define ERROR_LINE "[ERROR UMF] act_levels: number 4\n"
#define WARNING_LINE "[WARN  UMF] act_levels: number 3\n"
#define INFO_LINE "[INFO  UMF] act_levels: number 2\n"
#define DEBUG_LINE "[DEBUG UMF] act_levels: number 1\n"

Test(log, without_settings_only_fatal_lines_appear) {
    run_child(NULL, "levels");
    assert_exit(0);
    cr_assert_str_empty(run.out);
    cr_assert_str_eq(run.err, FATAL_LINE);
}

Test(log, errors_are_the_default_level) {
    run_child("output:stdout", "levels");
    assert_exit(0);
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE);
    cr_assert_str_empty(run.err);
    run_child("output:stderr", "levels");
    cr_assert_str_empty(run.out);
    cr_assert_str_eq(run.err, ERROR_LINE FATAL_LINE);
}

/* Cuts the line that announces the settings. */
static const char *behind_announcement(const char *text) {
    cr_assert_eq(strncmp(text, "[INFO  UMF] log_configure: ", 27), 0, "%s", text);
    return strchr(text, '\n') + 1;
}

Test(log, each_level_shows_itself_and_what_is_worse) {
    run_child("output:stdout;level:debug", "levels");
    cr_assert_str_eq(behind_announcement(run.out),
                     DEBUG_LINE INFO_LINE WARNING_LINE ERROR_LINE FATAL_LINE);
    run_child("level:info;output:stdout", "levels");
    cr_assert_str_eq(behind_announcement(run.out), INFO_LINE WARNING_LINE ERROR_LINE FATAL_LINE);
    run_child("flush:debug;level:warning;output:stdout", "levels");
    cr_assert_str_eq(run.out, WARNING_LINE ERROR_LINE FATAL_LINE);
    run_child("output:stdout;level:error;", "levels");
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE);
    run_child("output:stdout;level:fatal", "levels");
    cr_assert_str_eq(run.out, FATAL_LINE);
}

Test(log, disabled_levels_are_known_before_formatting) {
    run_child(NULL, "enabled");
    cr_assert_str_eq(run.out, "00001");
    run_child("output:stderr;level:warning", "enabled");
    cr_assert_str_eq(run.out, "00111");
    run_child("bad", "enabled");
    cr_assert_str_eq(run.out, "00001");
}

Test(log, the_announcement_names_version_and_settings) {
    run_child("output:stderr;level:info;timestamp:no;pid:no", "nothing");
    cr_assert_eq(count_lines(run.err), 1);
    cr_assert_not_null(strstr(run.err, "1.0"));
    cr_assert_not_null(strstr(run.err, "output stderr, level info, flush error"));
}

Test(log, a_missing_output_is_reported_and_logging_stays_off) {
    run_child("level:debug", "nothing");
    assert_one_error_line("\"level:debug\"");
    run_child("", "nothing");
    assert_one_error_line("\"\"");
    run_child("level:debug", "levels");
    cr_assert_eq(count_lines(run.err), 2, "the report, and the fatal line: %s", run.err);
}

Test(log, options_begin_and_end_at_semicolons) {
    run_child("xoutput:stdout", "nothing");
    cr_assert_not_null(strstr(run.err, "names no output"));
    run_child("level:debug output:stdout", "nothing");
    cr_assert_not_null(strstr(run.err, "names no output"));
    run_child("output:stdoutx", "nothing");
    assert_one_error_line("output:stdoutx");
    run_child(";;output:stdout;;", "levels");
    assert_exit(0);
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE);
    cr_assert_str_empty(run.err);
}

Test(log, unknown_options_and_values_are_ignored_with_one_line_each) {
    run_child("output:stdout;level:loud", "levels");
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE, "the default level");
    cr_assert_eq(count_lines(run.err), 1);
    cr_assert_not_null(strstr(run.err, "level:loud"));
    cr_assert_not_null(strstr(run.err, "debug, info, warning, error, fatal"));
    run_child("output:stdout;pid:maybe", "levels");
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE);
    cr_assert_not_null(strstr(run.err, "pid:maybe"));
    run_child("colour:red;output:stdout;word", "levels");
    cr_assert_str_eq(run.out, ERROR_LINE FATAL_LINE);
    cr_assert_eq(count_lines(run.err), 2);
    cr_assert_not_null(strstr(run.err, "colour:red"));
    cr_assert_not_null(strstr(run.err, "\"word\""));
}

static const char *temporary_path(void) {
    static char path[] = "/tmp/umf_test_log_XXXXXX";
    int fd = mkstemp(path);
    cr_assert_neq(fd, -1);
    close(fd);
    return path;
}

static const char *file_content(const char *path) {
    static char text[CAPTURE];
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    slurp(file, text);
    unlink(path);
    return text;
}

Test(log, files_are_appended_to) {
    const char *path = temporary_path();
    char setting[256];
    snprintf(setting, sizeof(setting), "output:file,%s;level:error", path);
    run_child(setting, "levels");
    run_child(setting, "levels");
    assert_exit(0);
    cr_assert_str_empty(run.out);
    cr_assert_str_empty(run.err);
    cr_assert_str_eq(file_content(path), ERROR_LINE FATAL_LINE ERROR_LINE FATAL_LINE);
}

Test(log, an_unusable_file_is_reported) {
    run_child("output:file,/no/such/folder/file", "nothing");
    assert_one_error_line("/no/such/folder/file");
    run_child("output:file,", "nothing");
    assert_one_error_line("output:file,");
    char setting[1024] = "output:file,/tmp/";
    memset(setting + strlen(setting), 'y', 300);
    run_child(setting, "nothing");
    assert_one_error_line("yyyy");
}

Test(log, errno_is_named_and_kept) {
    run_child("output:stdout", "errno");
    assert_exit(0);
    cr_assert_str_eq(run.out, "[ERROR UMF] act_errno: file name: No such file or directory\n"
                              "[ERROR UMF] act_errno: plain\n"
                              "[ERROR UMF] act_errno: strange: unknown error\n");
}

Test(log, long_lines_are_cut_with_a_mark) {
    run_child("output:stdout", "long");
    assert_exit(0);
    const size_t head = strlen("[ERROR UMF] ");
    const char *first_end = strchr(run.out, '\n');
    static const char mark[] = "[truncated...]";
    cr_assert_eq((size_t)(first_end - run.out), head + 8191 + strlen(mark));
    cr_assert_eq(memcmp(first_end - strlen(mark), mark, strlen(mark)), 0);
    const char *second = first_end + 1;
    cr_assert_eq((size_t)(strchr(second, '\n') - second), head + 8191);
    cr_assert_null(strstr(second, mark));
}

Test(log, process_and_thread_are_named) {
    run_child("output:stdout;pid:yes", "levels");
    char expected[256];
    snprintf(expected, sizeof(expected),
             "[PID:%-6d TID:%-6d ERROR UMF] act_levels: number 4\n"
             "[PID:%-6d TID:%-6d FATAL UMF] act_levels: number 5\n",
             (int)run.pid, (int)run.pid, (int)run.pid, (int)run.pid);
    cr_assert_str_eq(run.out, expected);
}

/* The stamp at the beginning of the output as seconds, read with the C library's own rules. */
static time_t stamp_seconds(void) {
    struct tm date = {.tm_isdst = -1};
    const char *end = strptime(run.out, "[%Y-%m-%dT%H:%M:%S ", &date);
    cr_assert_not_null(end, "%s", run.out);
    cr_assert_eq(strncmp(end, "ERROR UMF] act_levels: ", 23), 0, "%s", run.out);
    return mktime(&date);
}

Test(log, timestamps_are_local_time) {
    static const char *const zones[] = {"UTC0", "XXX-05:30", "YYY+11"};
    for (size_t i = 0; i < ARRAY_LENGTH(zones); i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        time_t before = time(NULL);
        run_child("output:stdout;timestamp:yes", "levels");
        time_t after = time(NULL);
        time_t stamp = stamp_seconds();
        cr_assert(before <= stamp && stamp <= after, "%s: %s", zones[i], run.out);
    }
}

Test(log, lines_of_threads_do_not_mix) {
    run_child("output:stdout;timestamp:yes;pid:yes", "storm");
    assert_exit(0);
    size_t lines = 0;
    for (char *line = strtok(run.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        cr_assert_eq(line[0], '[');
        cr_assert_not_null(strstr(line, "ERROR UMF] storm: thread "));
        cr_assert_str_eq(strrchr(line, ','), ", in a line of some length");
        lines++;
    }
    cr_assert_eq(lines, (size_t)STORM_THREADS * STORM_LINES);
}

Test(log, messages_ignore_the_settings) {
    run_child(NULL, "message");
    assert_exit(0);
    cr_assert_str_eq(run.err, "umf: told 2 times\n");
    run_child("output:stdout;level:fatal", "message");
    cr_assert_str_eq(run.err, "umf: told 2 times\n");
    cr_assert_str_empty(run.out);
}

Test(log, a_panic_says_why_and_aborts) {
    run_child(NULL, "panic");
    cr_assert(WIFSIGNALED(run.status) && WTERMSIG(run.status) == SIGABRT);
    cr_assert_str_eq(run.err, "umf: broken at 0x10\n");
}

Test(log, the_output_can_change) {
    const char *path = temporary_path();
    char name[256];
    setenv("UMF_TEST_LOG_PATH", path, 1);
    run_child("output:stdout", "reconfigure");
    assert_exit(0);
    cr_assert_str_eq(run.out, "[ERROR UMF] act_reconfigure: one\n");
    snprintf(name, sizeof(name), "%s.a", path);
    cr_assert_str_eq(file_content(name), "[ERROR UMF] act_reconfigure: two\n");
    snprintf(name, sizeof(name), "%s.b", path);
    cr_assert_str_eq(file_content(name),
                     "[ERROR UMF] act_reconfigure: three\n[ERROR UMF] act_reconfigure: four\n");
    cr_assert_eq(count_lines(run.err), 2, "the refusal, then: %s", run.err);
    cr_assert_str_eq(strchr(run.err, '\n') + 1, "[ERROR UMF] act_reconfigure: five\n");
    unlink(path);
}

Test(log, settings_outlive_a_tear_down) {
    run_child("output:stderr", "survive");
    assert_exit(0);
    cr_assert_str_empty(run.out);
    cr_assert_str_eq(run.err, "[ERROR UMF] act_survive_tear_down: still there\n");
}

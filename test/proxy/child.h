/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * child.h - runs a program and keeps what it said, for tests of messages and of expected deaths.
 *
 * The child gets the environment of the test plus one variable, no core file, and a watchdog
 * (alarm): a child that hangs ends with SIGALRM, which the checks report like any other unexpected
 * end.
 */
#ifndef UMF_TEST_PROXY_CHILD_H
#define UMF_TEST_PROXY_CHILD_H

#include "check.h"

#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum {
    CHILD_TEXT = 16 * 1024,   /* bytes kept of each stream; the rest is read and dropped */
    CHILD_WATCHDOG_SECS = 60, /* far over what any child here needs, also on a loaded machine */
};

typedef struct child_result {
    int status; /* as from waitpid */
    pid_t pid;
    char out[CHILD_TEXT]; /* zero-terminated */
    char err[CHILD_TEXT]; /* zero-terminated */
} child_result_t;

/* Reads what is there into text; returns 0 at the end of the stream. */
static inline int child_drain(int fd, char *text, size_t *used) {
    char buffer[4096];
    ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) {
        return 1;
    }
    if (got <= 0) {
        return 0;
    }
    size_t keep = (size_t)got < CHILD_TEXT - 1 - *used ? (size_t)got : CHILD_TEXT - 1 - *used;
    memcpy(text + *used, buffer, keep);
    *used += keep;
    return 1;
}

static inline void child_collect(int out, int err, child_result_t *result) {
    struct pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
    size_t used[2] = {0, 0};
    int open_streams = 2;
    while (open_streams > 0 && (poll(fds, 2, -1) >= 0 || errno == EINTR)) {
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd >= 0 && fds[i].revents != 0 &&
                !child_drain(fds[i].fd, i == 0 ? result->out : result->err, &used[i])) {
                fds[i].fd = -1; /* poll ignores it from now on */
                open_streams--;
            }
        }
    }
}

/* Runs argv[0] with the variable name=value added (none when name is NULL; removed when value is
 * NULL). */
static inline void child_run(char *const argv[], const char *name, const char *value,
                             child_result_t *result) {
    int out[2], err[2];
    memset(result, 0, sizeof(*result));
    if (pipe(out) != 0 || pipe(err) != 0) {
        perror("pipe");
        exit(2);
    }
    result->pid = fork();
    if (result->pid == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        dup2(out[1], 1);
        dup2(err[1], 2);
        close(out[0]), close(out[1]), close(err[0]), close(err[1]);
        if (name != NULL) {
            value != NULL ? setenv(name, value, 1) : unsetenv(name);
        }
        alarm(CHILD_WATCHDOG_SECS);
        execv(argv[0], argv);
        dprintf(2, "cannot run %s: %s\n", argv[0], strerror(errno));
        _exit(126);
    }
    close(out[1]), close(err[1]);
    child_collect(out[0], err[0], result);
    close(out[0]), close(err[0]);
    while (waitpid(result->pid, &result->status, 0) < 0 && errno == EINTR) {
    }
}

static inline int child_exited(const child_result_t *result, int code) {
    return WIFEXITED(result->status) && WEXITSTATUS(result->status) == code;
}

static inline int child_killed(const child_result_t *result, int signal) {
    return WIFSIGNALED(result->status) && WTERMSIG(result->status) == signal;
}

/* Waits for a forked child without exec; 1 when it exited with 0. A hang is named as such. */
static inline int child_wait_ok(pid_t pid, const char *what) {
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return CHECK_MSG(0, "%s: waitpid: errno %d", what, errno);
        }
    }
    if (WIFSIGNALED(status)) {
        return CHECK_MSG(0, "%s: child %d %s (signal %d)", what, (int)pid,
                         WTERMSIG(status) == SIGALRM ? "hangs" : "died", WTERMSIG(status));
    }
    return CHECK_MSG(WEXITSTATUS(status) == 0, "%s: child %d exited with %d", what, (int)pid,
                     WEXITSTATUS(status));
}

static inline int child_count_lines(const char *text) {
    int lines = 0;
    for (const char *c = text; *c != '\0'; c++) {
        lines += *c == '\n' || c[1] == '\0';
    }
    return lines;
}

#endif /* UMF_TEST_PROXY_CHILD_H */

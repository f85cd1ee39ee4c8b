/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Runs a command and reports what it used; the measuring hand of scripts/bench.
 *
 *   meter FD REPEAT PRELOAD PROGRAM [ARGUMENT...]
 *
 * The program runs REPEAT times in a row, with LD_PRELOAD=PRELOAD ("-" for none); the meter itself
 * runs without. To the file descriptor FD goes one line: "wall_ns user_us system_us peak_kib
 * minor_faults status", added up over the repetitions (peak_kib: the largest; status: of the first
 * run that failed, as from a shell, or 0).
 *
 * A small program must start the measured one: Linux counts the resident memory of the process
 * image that called exec into the peak of the new one, so a child started by Python would never
 * appear smaller than Python. The peak covers the program and all descendants it waited for.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

typedef struct {
    long long wall_ns, user_us, system_us;
    long peak_kib, minor_faults;
    int status;
} usage_t;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static long long micros(struct timeval t) {
    return t.tv_sec * 1000000LL + t.tv_usec;
}

static int exit_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The environment with LD_PRELOAD replaced by `preload`, or without it when that is NULL. */
static char **environment_with(const char *preload) {
    size_t count = 0, kept = 0;
    while (environ[count] != NULL) {
        count++;
    }
    char **env = calloc(count + 2, sizeof *env);
    if (env == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (strncmp(environ[i], "LD_PRELOAD=", 11) != 0) {
            env[kept++] = environ[i];
        }
    }
    if (preload != NULL) {
        size_t bytes = strlen(preload) + sizeof "LD_PRELOAD=";
        env[kept] = malloc(bytes);
        if (env[kept] == NULL) {
            return NULL;
        }
        snprintf(env[kept], bytes, "LD_PRELOAD=%s", preload);
    }
    return env;
}

/* One run; adds to `total`. Returns 0, or an errno value when the program could not be started. */
static int run_once(char **argv, char **env, usage_t *total) {
    pid_t child;
    int status;
    struct rusage used;
    long long start = now_ns();
    int error = posix_spawnp(&child, argv[0], NULL, NULL, argv, env);
    if (error != 0) {
        return error;
    }
    while (wait4(child, &status, 0, &used) < 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    total->wall_ns += now_ns() - start;
    total->user_us += micros(used.ru_utime);
    total->system_us += micros(used.ru_stime);
    total->minor_faults += used.ru_minflt;
    if (used.ru_maxrss > total->peak_kib) {
        total->peak_kib = used.ru_maxrss;
    }
    if (total->status == 0) {
        total->status = exit_code(status);
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: meter FD REPEAT PRELOAD|- PROGRAM [ARGUMENT...]\n");
        return 2;
    }
    int fd = atoi(argv[1]), repeat = atoi(argv[2]);
    char **env = environment_with(strcmp(argv[3], "-") == 0 ? NULL : argv[3]);
    if (fd < 1 || repeat < 1 || env == NULL) {
        fprintf(stderr,
                "meter: bad descriptor '%s' or repetition count '%s'; both must be at least 1\n",
                argv[1], argv[2]);
        return 2;
    }
    usage_t total = {0};
    for (int i = 0; i < repeat; i++) {
        int error = run_once(argv + 4, env, &total);
        if (error != 0) {
            fprintf(stderr, "meter: cannot run '%s': %s\n", argv[4], strerror(error));
            return 2;
        }
    }
    dprintf(fd, "%lld %lld %lld %ld %ld %d\n", total.wall_ns, total.user_us, total.system_us,
            total.peak_kib, total.minor_faults, total.status);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fault injection into real programs under the library: the kernel asks this process before each
 * memory call of the program (seccomp user notification), and the n-th is refused. Nothing in the
 * program is changed, and calls that bypass the C library are seen as well.
 *
 *   faults_programs LIBRARY RUNS [UMF_PROXY]
 *
 * Each program of the table runs once undisturbed and then up to RUNS times with one call refused,
 * and as often with that call and all later ones refused. A run is good when output and exit status
 * are those of the undisturbed run, or when the program ends by itself with an error message; it
 * must not end by a signal (but a program that aborts for want of memory and says so), nor hang.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUN_SECONDS = 10, OUTPUT_BYTES = 1 << 16, SKIPPED = 77 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ARGUMENTS_MAX 8

static const struct {
    const char *name;
    const char *argument[ARGUMENTS_MAX];
} programs[] = {
    {"true", {"true"}},
    // No sh: dash asks again for ever when it gets no memory at its start.
    {"bash",
     {"bash", "--norc", "-c", "for i in 1 2 3 4 5 6 7 8; do a=\"$a$a$i\"; done; echo ${#a}"}},
    {"sort", {"sort", "--parallel=2", "-r", "/etc/services"}},
    {"python3", {"python3", "-S", "-E", "-c", "print(sum(len(str(i)*i) for i in range(1500)))"}},
    {"perl", {"perl", "-e", "$h{$_}=\"x\" x $_ for 1..2000; print scalar(keys %h), \"\\n\""}},
    {"sqlite3",
     {"sqlite3", ":memory:",
      "with recursive n(i) as (select 1 union all select i+1 from n where i<5000) "
      "select count(*),sum(i),length(group_concat(i)) from n order by 1"}},
    {"awk", {"awk", "BEGIN { for (i = 0; i < 20000; i++) a[i] = i \"\"; print length(a) }"}},
    {"xz", {"xz", "-T2", "-3", "-c", "--block-size=4KiB", "/etc/services"}},
};

/* ---- the filter ---- */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define IS(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1)
#define ASK BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)

/* mmap only of anonymous memory: a program without its files is no test of ours. */
static int filter_install(void) {
    struct sock_filter code[] = {
        LOAD(nr),      IS(SYS_munmap),
        ASK,           IS(SYS_mremap),
        ASK,           IS(SYS_madvise),
        ASK,           IS(SYS_mbind),
        ASK,           IS(SYS_memfd_create),
        ASK,           IS(SYS_ftruncate),
        ASK,           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mmap, 0, 3),
        LOAD(args[3]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_ANONYMOUS, 0, 1),
        ASK,           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(code), code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        return -1;
    }
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

/* ---- one run ---- */

typedef struct run {
    long calls;
    int status; /* of wait */
    bool hung;
    char out[OUTPUT_BYTES], err[OUTPUT_BYTES]; /* what fits */
} run_t;

static void start(const char *const *arguments, const char *library, int out, int err, int tell,
                  int wait) {
    dup2(out, 1);
    dup2(err, 2);
    setenv("LD_PRELOAD", library, 1);
    setpgid(0, 0);
    int listener = filter_install();
    int go = 0;
    if (write(tell, &listener, sizeof(listener)) != sizeof(listener) || listener < 0) {
        _exit(126);
    }
    // Not before the listener is taken over: this write end is closed by then.
    while (read(wait, &go, 1) < 0 && errno == EINTR) {
    }
    execvp(arguments[0], (char **)(uintptr_t)arguments);
    _exit(127);
}

/* True when the call comes from the dynamic loader, which does not survive any refusal: those of
 * its calls say nothing about us. */
static bool is_loader(pid_t pid, unsigned long long address) {
    char path[64], line[512];
    unsigned long long begin, end;
    bool found = false;
    snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(path, "r");
    while (maps != NULL && !found && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%llx-%llx", &begin, &end) == 2 && address >= begin && address < end) {
            found = strstr(line, "/ld-linux") != NULL;
            break;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

/* Answers until all processes of the run have ended. */
static void answer(run_t *run, int listener, long n, bool onwards, pid_t pid) {
    struct seccomp_notif ask;
    struct seccomp_notif_resp reply;
    time_t end = time(NULL) + RUN_SECONDS;
    for (;;) {
        struct pollfd ready = {listener, POLLIN, 0};
        int got = poll(&ready, 1, 200);
        if (time(NULL) > end) {
            run->hung = true;
            kill(-pid, SIGKILL);
            return;
        }
        if (got > 0 && !(ready.revents & POLLIN)) {
            return; // nobody is left
        }
        memset(&ask, 0, sizeof(ask));
        if (got <= 0 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &ask) != 0) {
            continue;
        }
        bool loader = is_loader((pid_t)ask.pid, ask.data.instruction_pointer);
        run->calls += loader ? 0 : 1;
        bool refuse = n != 0 && !loader && (onwards ? run->calls >= n : run->calls == n);
        memset(&reply, 0, sizeof(reply));
        reply.id = ask.id;
        reply.error = refuse ? (ask.data.nr == SYS_ftruncate ? -ENOSPC : -ENOMEM) : 0;
        reply.flags = refuse ? 0 : SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
    }
}

static void read_back(int fd, char *text) {
    ssize_t got = pread(fd, text, OUTPUT_BYTES - 1, 0);
    text[got > 0 ? got : 0] = '\0';
    close(fd);
}

/* False: this kernel cannot do it. */
static bool run_program(const char *const *arguments, const char *library, long n, bool onwards,
                        run_t *run) {
    int tell[2], wait[2], listener = -1;
    int out = memfd_create("out", 0), err = memfd_create("err", 0);
    if (out < 0 || err < 0 || pipe2(tell, O_CLOEXEC) != 0 || pipe2(wait, O_CLOEXEC) != 0) {
        return false;
    }
    memset(run, 0, offsetof(run_t, out));
    pid_t pid = fork();
    if (pid == 0) {
        close(wait[1]);
        start(arguments, library, out, err, tell[1], wait[0]);
    }
    close(tell[1]);
    close(wait[0]);
    bool told = read(tell[0], &listener, sizeof(listener)) == sizeof(listener) && listener >= 0;
    close(tell[0]);
    int process = (int)syscall(SYS_pidfd_open, pid, 0);
    int taken = told ? (int)syscall(SYS_pidfd_getfd, process, listener, 0) : -1;
    close(process);
    close(wait[1]); // the program starts
    if (taken >= 0) {
        answer(run, taken, n, onwards, pid);
        close(taken);
    } else {
        kill(pid, SIGKILL);
    }
    waitpid(pid, &run->status, 0);
    read_back(out, run->out);
    read_back(err, run->err);
    return taken >= 0;
}

/* ---- judgement ---- */

static long tried, same, refused, bad;

static bool says_memory(const char *text) {
    return strcasestr(text, "memory") != NULL || strcasestr(text, "bad_alloc") != NULL ||
           strcasestr(text, "allocate") != NULL;
}

static void judge(const char *name, const run_t *plain, const run_t *run, long n, bool onwards) {
    tried++;
    if (!run->hung && run->status == plain->status && strcmp(run->out, plain->out) == 0) {
        same++;
        return;
    }
    bool ended = WIFEXITED(run->status) && (run->err[0] != '\0' || WEXITSTATUS(run->status) != 0);
    bool aborted = WIFSIGNALED(run->status) && WTERMSIG(run->status) == SIGABRT;
    if (!run->hung && (ended || (aborted && says_memory(run->err)))) {
        refused++;
        return;
    }
    bad++;
    printf("FAILED %s, call %ld%s: %s, status 0x%x: %.200s\n", name, n,
           onwards ? " and all later ones" : "", run->hung ? "hangs" : "ends", run->status,
           run->err);
}

int main(int argc, char **argv) {
    static run_t plain, run;
    if (argc < 3) {
        fprintf(stderr, "usage: faults_programs LIBRARY RUNS [UMF_PROXY]\n");
        return 2;
    }
    long runs = strtol(argv[2], NULL, 10);
    if (argc > 3) {
        setenv("UMF_PROXY", argv[3], 1);
    }
    for (size_t i = 0; i < COUNT(programs); i++) {
        const char *const *arguments = programs[i].argument;
        if (!run_program(arguments, argv[1], 0, false, &plain)) {
            printf("skipped: this kernel has no seccomp user notification: %s\n", strerror(errno));
            return SKIPPED;
        }
        if (plain.status != 0) {
            printf("%s: not here (status 0x%x)\n", programs[i].name, plain.status);
            continue;
        }
        long step = plain.calls > runs ? plain.calls / runs : 1;
        long before = tried;
        for (long n = 1; n <= plain.calls; n += step) {
            for (int onwards = 0; onwards < 2; onwards++) {
                if (run_program(arguments, argv[1], n, onwards, &run)) {
                    judge(programs[i].name, &plain, &run, n, onwards);
                }
            }
        }
        printf("%s: %ld memory calls, %ld runs\n", programs[i].name, plain.calls, tried - before);
        fflush(stdout);
    }
    printf("%ld faults tried: %ld times the same result, %ld times an error message, %ld failed\n",
           tried, same, refused, bad);
    return bad == 0 && tried > 0 ? 0 : 1;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Programs for the heap profiler, run by profile.sh:
 *
 *   profile sites [DSO]   known places keep known amounts, in several threads and in a dlopen'ed
 *                         library; prints "expect FUNCTION BYTES" for each
 *   profile fork          the child allocates on and exits by itself
 *   profile late          allocates in an exit handler
 *   profile peak          most memory is in use in the middle
 *   profile tangle DSO    what an unwinder inside malloc could deadlock with: threads that allocate
 *                         under a lock that another one wants in a dl_iterate_phdr callback;
 *                         dlopen, fork, signals that interrupt malloc; unwinding that allocates
 *   profile ctl FILE      switches sampling on, off and on by CTL, and writes FILE
 *   profile signal N      waits for the profile that signal N makes
 */
#include "check.h"

#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unwind.h>

#define SITE __attribute__((noinline, noclone, optimize("no-optimize-sibling-calls")))

enum { KEEP = 400000 };
static void *keep[KEEP];
static _Atomic(int) kept;

static void keep_block(void *block) {
    keep[__atomic_fetch_add(&kept, 1, __ATOMIC_RELAXED)] = check_hide(block);
}

SITE static void site_small(int count) {
    for (int i = 0; i < count; i++) {
        keep_block(malloc(100));
    }
}

SITE static void site_medium(int count) {
    for (int i = 0; i < count; i++) {
        keep_block(calloc(1, 6000));
    }
}

SITE static void site_large(int count) {
    for (int i = 0; i < count; i++) {
        keep_block(aligned_alloc(64, 256 * 1024));
    }
}

SITE static void site_grown(int count) {
    for (int i = 0; i < count; i++) {
        void *block = check_hide(malloc(40));
        keep_block(realloc(block, 3000));
    }
}

SITE static void *site_thread(void *arg) {
    for (int i = 0; i < 20000; i++) {
        keep_block(malloc(500));
    }
    return arg;
}

SITE static void site_churn(int count) {
    for (int i = 0; i < count; i++) {
        free(check_hide(malloc((size_t)(i % 2000))));
    }
}

static void expect(const char *function, long bytes) {
    printf("expect %s %ld\n", function, bytes);
}

static int run_sites(const char *dso) {
    pthread_t thread[2];
    expect("site_small", 50000 * 100L);
    expect("site_medium", 2000 * 6000L);
    expect("site_large", 40 * 256 * 1024L);
    expect("site_grown", 2000 * 3000L);
    expect("site_thread", 2 * 20000 * 500L);
    site_small(50000);
    site_medium(2000);
    site_large(40);
    site_grown(2000);
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread[i], NULL, site_thread, NULL);
    }
    site_churn(100000);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    if (dso != NULL) {
        void *handle = dlopen(dso, RTLD_NOW);
        CHECK_MSG(handle != NULL, "%s", dlerror());
        void (*run)(int, void (*)(void *)) = NULL;
        void *symbol = handle != NULL ? dlsym(handle, "dso_site") : NULL;
        memcpy(&run, &symbol, sizeof(run));
        if (CHECK(run != NULL)) {
            run(10000, keep_block);
            expect("dso_site", 10000 * 700L);
        }
    }
    return 0;
}

/* ---- processes ---- */

SITE static void site_child(int count) {
    for (int i = 0; i < count; i++) {
        keep_block(malloc(1000));
    }
}

static int run_fork(void) {
    site_small(20000);
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        site_child(10000);
        for (int i = 0; i < 10000; i++) {
            free(keep[i]);
            keep[i] = NULL;
        }
        exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
    printf("child %d\n", (int)child);
    return 0;
}

SITE static void site_late(void) {
    for (int i = 0; i < 10000; i++) {
        keep_block(malloc(200));
    }
}

SITE static void site_middle(int count) {
    for (int i = 0; i < count; i++) {
        keep_block(malloc(10000));
    }
}

static int run_peak(void) {
    site_small(1000);
    int first = kept;
    site_middle(3000);
    for (int i = first; i < kept; i++) {
        free(keep[i]);
    }
    site_small(10000);
    expect("site_middle", 3000 * 10000L);
    return 0;
}

/* ---- deadlocks ---- */

static pthread_mutex_t user_lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(int) stop;
static const char *tangle_dso;

static int callback(struct dl_phdr_info *info, size_t size, void *data) {
    (void)info, (void)size, (void)data;
    free(check_hide(malloc(100))); // may sample: unwinds with the loader's lock held
    pthread_mutex_lock(&user_lock);
    pthread_mutex_unlock(&user_lock);
    return 0;
}

static void *iterate_thread(void *arg) {
    while (!stop) {
        dl_iterate_phdr(callback, NULL);
    }
    return arg;
}

/* The other order: malloc while the lock is held that the callback above waits for. */
static void *locked_thread(void *arg) {
    while (!stop) {
        pthread_mutex_lock(&user_lock);
        for (int i = 0; i < 100; i++) {
            free(check_hide(malloc((size_t)i * 10)));
        }
        pthread_mutex_unlock(&user_lock);
    }
    return arg;
}

static void *dlopen_thread(void *arg) {
    while (!stop) {
        void *handle = dlopen(tangle_dso, RTLD_NOW);
        if (handle != NULL) {
            void (*run)(int, void (*)(void *)) = NULL;
            void *symbol = dlsym(handle, "dso_site");
            memcpy(&run, &symbol, sizeof(run));
            run(10, free);
            dlclose(handle);
        }
    }
    return arg;
}

static _Unwind_Reason_Code unwind_step(struct _Unwind_Context *context, void *arg) {
    (void)context;
    free(check_hide(malloc(50)));
    ++*(int *)arg;
    return _URC_NO_REASON;
}

static void *unwind_thread(void *arg) {
    while (!stop) {
        int frames = 0;
        _Unwind_Backtrace(unwind_step, &frames);
    }
    return arg;
}

static _Atomic(int) ticks;

static void on_tick(int signal) {
    (void)signal;
    ticks++;
}

/* The second use of the library in the same thread that a signal makes: fork. */
static void fork_once(void) {
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 2000; i++) {
            free(check_hide(malloc((size_t)i)));
        }
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    CHECK_INT(status, 0);
}

static int run_tangle(void) {
    void *(*const bodies[])(void *) = {iterate_thread, locked_thread, dlopen_thread, unwind_thread};
    enum { THREADS = 4 };
    pthread_t thread[THREADS];
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, 500}, {0, 500}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&thread[i], NULL, bodies[i], NULL);
    }
    for (int i = 0; i < 60; i++) {
        fork_once();
        site_churn(2000);
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    CHECK(ticks > 0);
    return 0;
}

static int run_signal(int number, const char *file) {
    site_small(20000);
    for (int i = 0; i < 2; i++) {
        raise(number);
        struct timespec nap = {0, 10 * 1000 * 1000};
        for (int k = 0; k < 500 && access(file, R_OK) != 0; k++) {
            nanosleep(&nap, NULL);
        }
    }
    CHECK_MSG(access(file, R_OK) == 0, "no %s", file);
    return 0;
}

/* ---- CTL ---- */

typedef int (*ctl_t)(const char *path, void *value, size_t bytes, ...);
static ctl_t ctl_get, ctl_set, ctl_exec;

static size_t ctl_number(const char *path) {
    size_t value = 0;
    CHECK_MSG(ctl_get(path, &value, sizeof(value)) == 0, "%s", path);
    return value;
}

static void ctl_sample(size_t interval) {
    CHECK_INT(ctl_set("umf.proxy.prof.sample", &interval, sizeof(interval)), 0);
    CHECK_INT(ctl_number("umf.proxy.prof.sample"), interval);
}

static void ctl_find(ctl_t *function, const char *name) {
    void *symbol = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &symbol, sizeof(symbol));
}

static int run_ctl(const char *file) {
    ctl_find(&ctl_get, "umfCtlGet");
    ctl_find(&ctl_set, "umfCtlSet");
    ctl_find(&ctl_exec, "umfCtlExec");
    site_small(1000); // not profiled
    ctl_sample(1);
    site_medium(100);
    CHECK_INT(ctl_number("umf.proxy.prof.live_memory"), 600000);
    ctl_sample(0);
    site_large(10); // not profiled
    CHECK_INT(ctl_number("umf.proxy.prof.live_memory"), 600000);
    for (int i = 1000; i < 1050; i++) {
        free(keep[i]); // known all the same
    }
    CHECK_INT(ctl_number("umf.proxy.prof.live_memory"), 300000);
    CHECK_INT(ctl_number("umf.proxy.prof.live_peak"), 600000);
    CHECK_INT(ctl_number("umf.proxy.prof.allocated_memory"), 600000);
    CHECK_INT(ctl_exec("umf.proxy.prof.reset", NULL, 0), 0);
    CHECK_INT(ctl_number("umf.proxy.prof.allocated_memory"), 300000);
    CHECK_INT(ctl_number("umf.proxy.prof.live_peak"), 300000);
    char name[256] = "";
    snprintf(name, sizeof(name), "%s", file);
    CHECK_INT(ctl_set("umf.proxy.prof.dump", name, sizeof(name)), 0);
    CHECK(access(file, R_OK) == 0);
    expect("site_medium", 300000);
    return 0;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    check_begin();
    if (strcmp(mode, "sites") == 0) {
        run_sites(argc > 2 ? argv[2] : NULL);
    } else if (strcmp(mode, "fork") == 0) {
        run_fork();
    } else if (strcmp(mode, "late") == 0) {
        atexit(site_late);
    } else if (strcmp(mode, "peak") == 0) {
        run_peak();
    } else if (strcmp(mode, "tangle") == 0 && argc > 2) {
        tangle_dso = argv[2];
        run_tangle();
    } else if (strcmp(mode, "ctl") == 0 && argc > 2) {
        run_ctl(argv[2]);
    } else if (strcmp(mode, "signal") == 0 && argc > 3) {
        run_signal(atoi(argv[2]), argv[3]);
    } else {
        dprintf(2, "profile: what is \"%s\"?\n", mode);
        return 2;
    }
    return check_end("profile");
}

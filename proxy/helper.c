/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The helper thread sleeps on a futex word. A signal handler sets the signal's bit in it and wakes
 * the thread: both are allowed in a handler, whatever it interrupted. All signals are blocked in
 * the thread, so none of the program's handlers runs on its small stack. A forked child starts its
 * own.
 */
#define _GNU_SOURCE
#include "proxy/helper.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/log.h"
#include "core/system_call.h"

enum {
    TASKS_MAX = 8,
    STACK_BYTES = 256 * 1024,
    MS = 1000000, /* ns */
};

typedef struct helper_task {
    void (*report)(void);
    int signal;        /* 0: by time */
    uint64_t every_ms; /* 0: by signal */
    uint64_t due_ms;   /* only used by the thread */
} helper_task_t;

static helper_task_t tasks[TASKS_MAX];
static _Atomic(unsigned) task_count;
static _Atomic(uint32_t) pending; /* bit: task whose signal has come; the top one: a new task */
#define PENDING_NEW (UINT32_C(1) << 31)

static uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / MS;
}

static void wake(uint32_t bit) {
    int saved_errno = errno;
    atomic_fetch_or_explicit(&pending, bit, memory_order_acq_rel); // pairs with the exchange below
    syscall(SYS_futex, &pending, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

static void on_signal(int signal) {
    for (unsigned i = 0; i < load_acquire(&task_count); i++) {
        if (tasks[i].signal == signal) {
            wake(UINT32_C(1) << i);
        }
    }
}

/* Milliseconds until the next task is due; UINT64_MAX: none ever is. */
static uint64_t next_due(void) {
    uint64_t now = now_ms(), best = UINT64_MAX;
    for (unsigned i = 0; i < load_acquire(&task_count); i++) {
        if (tasks[i].every_ms != 0) {
            if (tasks[i].due_ms == 0) {
                tasks[i].due_ms = now + tasks[i].every_ms;
            }
            uint64_t left = tasks[i].due_ms > now ? tasks[i].due_ms - now : 0;
            best = left < best ? left : best;
        }
    }
    return best;
}

static void run_due(uint32_t signals) {
    uint64_t now = now_ms();
    for (unsigned i = 0; i < load_acquire(&task_count); i++) {
        bool due = tasks[i].every_ms != 0 && tasks[i].due_ms != 0 && now >= tasks[i].due_ms;
        if (due) {
            tasks[i].due_ms = now + tasks[i].every_ms;
        }
        if (due || (signals >> i & 1)) {
            tasks[i].report();
        }
    }
}

static void *helper_run(void *arg) {
    (void)arg;
    sys_prctl(PR_SET_NAME, (unsigned long)"umf-report");
    for (;;) {
        uint64_t wait_ms = next_due();
        struct timespec timeout = {(time_t)(wait_ms / 1000), (long)(wait_ms % 1000) * MS};
        if (wait_ms > 0 && load_acquire(&pending) == 0) {
            syscall(SYS_futex, &pending, FUTEX_WAIT_PRIVATE, 0,
                    wait_ms != UINT64_MAX ? &timeout : NULL, NULL, 0);
        }
        run_due(exchange_acq_rel(&pending, 0) & ~PENDING_NEW);
    }
    return NULL;
}

static bool helper_start(void) {
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); // the thread begins with this mask
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int error = pthread_create(&thread, &attributes, helper_run, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

/* Of those that are registered later than the core's: allocation works again. */
static void helper_fork_child(void) {
    store_relaxed(&pending, 0);
    for (unsigned i = 0; i < load_relaxed(&task_count); i++) {
        tasks[i].due_ms = 0;
    }
    helper_start();
}

static void task_add(helper_task_t task) {
    unsigned count = load_relaxed(&task_count);
    if (count == TASKS_MAX) {
        return; // there are fewer settings than that
    }
    tasks[count] = task;
    store_release(&task_count, count + 1); // pairs with the loads of handler and thread
    if (count > 0) {
        wake(PENDING_NEW);
        return;
    }
    if (!helper_start()) {
        umf_message("no thread for reports: none will come by signal or time");
        return;
    }
    pthread_atfork(NULL, NULL, helper_fork_child);
}

void helper_on_signal(int signal, void (*report)(void)) {
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    task_add((helper_task_t){.report = report, .signal = signal});
    sigfillset(&action.sa_mask);
    if (sigaction(signal, &action, NULL) != 0) {
        umf_message("signal %d cannot be used for reports", signal);
    }
}

void helper_every(uint64_t ms, void (*report)(void)) {
    task_add((helper_task_t){.report = report, .every_ms = ms});
}

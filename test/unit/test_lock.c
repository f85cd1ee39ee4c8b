/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Futex mutex and fork walk: exclusion, sleepers that wake, errno, and children that find no lock held. */
#include <criterion/criterion.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/lock.h"
#include "core/map.h"
#include "core/state.h"

#if defined(__SANITIZE_THREAD__)
#define UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UNDER_TSAN 1
#endif
#endif
#ifndef UNDER_TSAN
#define UNDER_TSAN 0
#endif

enum { THREADS = 6, STEPS = 30000, SLEEPERS_STEPS = 300 };

static umf_lock_t lock; // zero: unlocked
static long counter;    // under lock
static _Atomic(int) inside;
static _Atomic(int) failures;

static void *count(void *arg) {
    (void)arg;
    for (int i = 0; i < STEPS; i++) {
        lock_acquire(&lock);
        if (fetch_add_relaxed(&inside, 1) != 0) {
            fetch_add_relaxed(&failures, 1);
        }
        counter++;
        fetch_sub_relaxed(&inside, 1);
        lock_release(&lock);
    }
    return NULL;
}

static void run_threads(void *(*work)(void *)) {
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, work, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(load_relaxed(&failures), 0);
}

Test(lock, one_at_a_time) {
    run_threads(count);
    cr_assert_eq(counter, (long)THREADS * STEPS);
    cr_assert_eq(load_relaxed(&lock.word), 0);
}

/* The owner sleeps, so that all others go to sleep as well. */
static void *count_slowly(void *arg) {
    (void)arg;
    for (int i = 0; i < SLEEPERS_STEPS; i++) {
        errno = 55;
        lock_acquire(&lock);
        counter++;
        if (i % 16 == 0) {
            usleep(100);
            errno = 55;
        } else {
            sched_yield();
        }
        lock_release(&lock);
        if (errno != 55) {
            fetch_add_relaxed(&failures, 1);
        }
    }
    return NULL;
}

Test(lock, sleepers_wake_and_errno_stays) {
    run_threads(count_slowly);
    cr_assert_eq(counter, (long)THREADS * SLEEPERS_STEPS);
    cr_assert_eq(load_relaxed(&lock.word), 0);
}

Test(lock, try_acquire) {
    cr_assert(lock_try_acquire(&lock));
    cr_assert_not(lock_try_acquire(&lock));
    lock_release(&lock);
    cr_assert(lock_try_acquire(&lock));
    lock_init(&lock); // what a forked child does
    cr_assert(lock_try_acquire(&lock));
    lock_release(&lock);
}

/* ---- fork walk --------------------------------------------------------------------------------------------------- */

static char walk[64];
static int walked;

static void note(char letter) {
    if (walked < (int)sizeof(walk) - 1) {
        walk[walked++] = letter;
    }
}

static void node_prepare(void *arg) { note(*(const char *)arg); }
static void node_parent(void *arg) { note((char)(*(const char *)arg - 'a' + 'A')); }
static void node_child(void *arg) { note((char)(*(const char *)arg - 'a' + '1')); }

static fork_node_t node_make(int rank, const char *name) {
    return (fork_node_t){.rank = rank,
                         .prepare = node_prepare,
                         .parent = node_parent,
                         .child = node_child,
                         .arg = (void *)(uintptr_t)name};
}

Test(lock, fork_walks_in_rising_rank_and_back) {
    fork_node_t high = node_make(LOCK_RANK_IPC, "c"), low = node_make(LOCK_RANK_REGISTRY, "a"),
                middle = node_make(LOCK_RANK_POOL, "b"), silent = {.rank = LOCK_RANK_POOL};
    fork_register(&high);
    fork_register(&low);
    fork_register(&silent);
    fork_register(&middle);
    fork_prepare();
    fork_parent();
    cr_assert_str_eq(walk, "abcCBA");
    walked = 0;
    fork_prepare();
    fork_child();
    walk[walked] = '\0';
    cr_assert_str_eq(walk, "abc321");
    fork_unregister(&middle);
    fork_unregister(&middle); // twice is harmless
    walked = 0;
    fork_prepare();
    fork_parent();
    walk[walked] = '\0';
    cr_assert_str_eq(walk, "acCA");
    fork_unregister(&high);
    fork_unregister(&low);
    fork_unregister(&silent);
}

/* ---- real forks while all locks of the core are busy --------------------------------------------------------------- */

static _Atomic(bool) over;

static void *busy(void *arg) {
    uintptr_t base = ((uintptr_t)arg + 1) << 32;
    while (!load_acquire(&over)) {
        void *block = base_alloc(100);
        map_region_t *region = NULL;
        map_region_info_t info = {.base = (void *)(base + 77), .size = 300000};
        if (map_add(&info, &region) != UMF_RESULT_SUCCESS) {
            fetch_add_relaxed(&failures, 1);
            break;
        }
        map_remove(region);
        base_free(block, 100);
    }
    return NULL;
}

Test(lock, children_find_no_lock_held, .timeout = 60) {
    if (UNDER_TSAN) {
        cr_skip("children of processes with threads cannot be followed by this sanitizer");
    }
    pthread_t thread[2];
    for (uintptr_t i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&thread[i], NULL, busy, (void *)i), 0);
    }
    for (int i = 0; i < 100; i++) {
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            alarm(20); // a lock that is held would be waited for for ever
            void *block = base_alloc(100);
            map_region_t *region = NULL;
            map_region_info_t info = {.base = (void *)(uintptr_t)0x123456789000, .size = 300000};
            bool good = block != NULL && map_add(&info, &region) == UMF_RESULT_SUCCESS &&
                        map_find_region((void *)(uintptr_t)0x123456789010) == region;
            if (good) {
                map_remove(region);
            }
            _exit(good ? 0 : 1);
        }
        int status = -1;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "child %d", i);
    }
    store_release(&over, true);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(load_relaxed(&failures), 0);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * threads.c - the life of a thread seen from malloc: its end (destructors of thread keys that
 * allocate), blocks that outlive it, reuse of its memory, producers and consumers, and processes
 * whose threads still allocate while they exit.
 */
#include "child.h"
#include "pattern.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum {
    SHORT_THREADS = 10000,
    THREAD_BYTES = 64 << 10, /* touched by each of them: 640 MB if nothing were reused */
    SURVIVORS = 200,         /* threads whose blocks outlive them */
    SURVIVOR_BLOCKS = 100,
    RING = 1024, /* blocks between producer and consumer */
    PASSED =
        1500000, /* blocks passed, up to 1 KiB each: 770 MB if freed memory did not come back */
    GROWTH = 64 << 20, /* bytes of resident memory that each of these may add; generous */
    EXIT_ROUNDS = 30,
    EXIT_THREADS = 4,
};

static void thread_start(pthread_t *thread, void *(*run)(void *), void *arg) {
    int rc = pthread_create(thread, NULL, run, arg);
    if (!CHECK_MSG(rc == 0, "pthread_create: %d", rc)) {
        exit(check_end("threads"));
    }
}

static void check_growth(size_t before, const char *what) {
    size_t after = statm_resident();
    CHECK_MSG(after < before + GROWTH, "%s: resident memory grew from %zu to %zu KiB", what,
              before >> 10, after >> 10);
}

/* ---- destructors of keys ---- */

static pthread_key_t keys[8];
static _Atomic long key_calls;

/* Runs at the end of the thread, up to four times for a key that is set again, after the
 * allocator's own key may have been cleaned up. */
static void key_end(void *value) {
    unsigned char *old = (unsigned char *)value;
    size_t size = 100 + (size_t)old[0] * 1000;
    CHECK_MSG(old[99] == old[0], "block of a finished thread changed");
    free(old);
    unsigned char *next = (unsigned char *)malloc(size);
    memset(next, 0x55, size);
    free(realloc(next, size * 3));
    if (++key_calls % 3 != 0) {
        next = (unsigned char *)malloc(100);
        memset(next, 7, 100);
        pthread_setspecific(keys[key_calls % 8],
                            next); /* another round, perhaps a leak of 100 bytes */
    }
}

static void *key_thread(void *arg) {
    for (int i = 0; i < 8; i++) {
        unsigned char *value = (unsigned char *)malloc(100);
        memset(value, i, 100);
        pthread_setspecific(keys[i], value);
    }
    return arg;
}

/* A thread whose first allocation is in its own destructor. */
static void late_end(void *value) {
    (void)value;
    void *p = malloc(1000);
    CHECK(p != NULL);
    free(p);
}

static void *late_thread(void *key) {
    pthread_setspecific(*(pthread_key_t *)key, key);
    return NULL;
}

static void check_keys(void) {
    pthread_key_t late;
    pthread_t thread;
    for (int i = 0; i < 8; i++) {
        CHECK_INT(pthread_key_create(&keys[i], key_end), 0);
    }
    CHECK_INT(pthread_key_create(&late, late_end), 0);
    for (int i = 0; i < 500; i++) {
        thread_start(&thread, key_thread, NULL);
        pthread_join(thread, NULL);
        thread_start(&thread, late_thread, &late);
        pthread_join(thread, NULL);
    }
    CHECK(key_calls >= 500 * 8);
    pthread_key_delete(late);
    for (int i = 0; i < 8; i++) {
        pthread_key_delete(keys[i]);
    }
}

/* ---- memory of finished threads ---- */

static void *short_thread(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    void *blocks[200];
    int count = 0;
    for (size_t bytes = 0; bytes < THREAD_BYTES && count < 200;) {
        size_t size = 100 + rng_below(&rng, 1000);
        blocks[count] = malloc(size);
        memset(blocks[count++], 1, size);
        bytes += size;
    }
    while (count > 0) {
        free(blocks[--count]);
    }
    return NULL;
}

static void check_short_threads(void) {
    pthread_t two[2];
    size_t before = statm_resident();
    for (uintptr_t i = 0; i < SHORT_THREADS / 2; i++) {
        thread_start(&two[0], short_thread, (void *)i);
        thread_start(&two[1], short_thread, (void *)~i);
        pthread_join(two[0], NULL);
        pthread_join(two[1], NULL);
    }
    check_growth(before, "10000 short threads");
}

static unsigned char *survivors[SURVIVORS][SURVIVOR_BLOCKS];

static size_t survivor_size(size_t i) {
    return 1 + i * i * 7;
}

static void *survivor_thread(void *arg) {
    unsigned char **blocks = (unsigned char **)arg;
    for (size_t i = 0; i < SURVIVOR_BLOCKS; i++) {
        blocks[i] = (unsigned char *)malloc(survivor_size(i));
        pattern_fill(blocks[i], survivor_size(i), (uint64_t)(uintptr_t)blocks);
    }
    return NULL;
}

/* Blocks are checked, resized and freed after their thread, twice, so that the second set comes
 * from memory that the first left behind. */
static void check_survivors(void) {
    size_t before = statm_resident();
    for (int round = 0; round < 4; round++) {
        for (int t = 0; t < SURVIVORS; t++) {
            pthread_t thread;
            thread_start(&thread, survivor_thread, survivors[t]);
            pthread_join(thread, NULL);
        }
        for (int t = SURVIVORS - 1; t >= 0; t--) {
            for (size_t i = 0; i < SURVIVOR_BLOCKS; i++) {
                size_t size = survivor_size(i);
                uint64_t tag = (uint64_t)(uintptr_t)survivors[t];
                CHECK_INT(pattern_mismatch(survivors[t][i], size, size, tag), size);
                void *p = i % 5 == 0 ? realloc(survivors[t][i], 2 * size) : survivors[t][i];
                CHECK_INT(pattern_mismatch(p, size, size, tag), size);
                free(p);
            }
        }
    }
    size_t live = 0;
    for (size_t i = 0; i < SURVIVOR_BLOCKS; i++) {
        live += survivor_size(i) * SURVIVORS;
    }
    /* may keep what one round needs, with an eighth for the grid, but not four times that */
    check_growth(before + live + live / 8, "blocks that outlive their threads");
}

/* ---- producer and consumer ---- */

static unsigned char *_Atomic ring[RING];

static void *producer(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    for (size_t i = 0; i < PASSED; i++) {
        size_t size = 16 + rng_below(&rng, 1009);
        unsigned char *p = (unsigned char *)malloc(size);
        memset(p, (int)(i & 0xff), size);
        while (atomic_load_explicit(&ring[i % RING], memory_order_acquire) != NULL) {
            sched_yield();
        }
        atomic_store_explicit(&ring[i % RING], p, memory_order_release);
    }
    return NULL;
}

static void check_producer_consumer(void) {
    pthread_t thread;
    size_t before = statm_resident();
    thread_start(&thread, producer, (void *)5);
    for (size_t i = 0; i < PASSED; i++) {
        unsigned char *p;
        while ((p = atomic_load_explicit(&ring[i % RING], memory_order_acquire)) == NULL) {
            sched_yield();
        }
        atomic_store_explicit(&ring[i % RING], NULL, memory_order_release);
        CHECK_MSG(p[0] == (i & 0xff) && p[15] == (i & 0xff), "block %zu", i);
        free(p);
    }
    pthread_join(thread, NULL);
    check_growth(before, "producer and consumer");
}

/* ---- exit while threads allocate ---- */

static void *endless_thread(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    void *blocks[64] = {NULL};
    for (;;) {
        size_t i = rng_below(&rng, 64);
        free(blocks[i]);
        blocks[i] = malloc(1 + rng_below(&rng, 20000));
    }
    return NULL;
}

static void exit_handler(void) {
    for (int i = 0; i < 2000; i++) {
        free(malloc((size_t)i * 10));
    }
}

static _Noreturn void exit_child(int how) {
    pthread_t threads[EXIT_THREADS];
    alarm(CHILD_WATCHDOG_SECS);
    atexit(exit_handler);
    for (uintptr_t i = 0; i < EXIT_THREADS; i++) {
        thread_start(&threads[i], endless_thread, (void *)i);
        pthread_detach(threads[i]);
    }
    usleep(3000);
    if (how % 3 == 0) {
        quick_exit(0);
    }
    exit(0);
}

static void *after_main(void *arg) {
    pthread_join(*(pthread_t *)arg, NULL);
    for (int i = 0; i < 1000; i++) {
        free(malloc((size_t)i * 100));
    }
    exit(check_failures != 0);
}

/* main ends by pthread_exit; its blocks and the process go on. */
static _Noreturn void main_thread_leaves(void) {
    static pthread_t self, thread;
    alarm(CHILD_WATCHDOG_SECS);
    self = pthread_self();
    thread_start(&thread, after_main, &self);
    pthread_exit(NULL);
}

static void check_exits(void) {
    for (int i = 0; i < EXIT_ROUNDS; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            exit_child(i);
        }
        child_wait_ok(pid, "exit while threads allocate");
    }
    pid_t pid = fork();
    if (pid == 0) {
        main_thread_leaves();
    }
    child_wait_ok(pid, "main thread leaves first");
}

int main(void) {
    check_begin();
    check_keys();
    check_short_threads();
    check_survivors();
    check_producer_consumer();
    check_exits();
    return check_end("threads");
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * fork.c - forks while other threads allocate without a pause.
 *
 * A child has one thread and a copy of a heap that was in use by five. It must be able to check and
 * free the blocks of all of them, allocate in all size ranges, start threads and fork again. An
 * alarm ends a child that hangs, another one the whole test, and that is reported.
 *
 * Compiled a second time with FORK_HANDLERS, for few forks: the program then links dso.c, whose
 * fork handlers allocate. They were registered before the constructor of a preloaded library could
 * register its own, so they run while the allocator is prepared for the fork.
 *
 * Blocks that children look at hang in `shared`: each is complete when it is published, and threads
 * only ever exchange it for another, so at the moment of the fork every slot holds a whole block.
 */
#include "child.h"
#include "pattern.h"

#include <malloc.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>

#ifdef FORK_HANDLERS
#include "dso.h"
enum { FORKS = 20, RUN_SECS = 60 };
static const char test_name[] = "fork_handlers";
#else
enum { FORKS = 300, RUN_SECS = 500 };
static const char test_name[] = "fork";
#endif

enum {
    THREADS = 4,
    EXECS = 40,
    SLOTS = 256,
    CHILD_SECS = 30,         /* far over what a child needs */
    CHILD_GROWTH = 64 << 20, /* bytes a child that allocates and frees in a loop may grow */
};

typedef struct node {
    unsigned char *block;
    size_t size;
    uint64_t tag;
} node_t;

static node_t *_Atomic shared[SLOTS];
static _Atomic int stop;

static node_t *node_new(rng_t *rng) {
    node_t *node = (node_t *)malloc(sizeof(*node));
    if (node == NULL) {
        return NULL;
    }
    node->size = rng_size(rng) / 8 + 1;
    node->tag = rng_next(rng);
    node->block =
        (unsigned char *)(node->tag % 8 == 0 ? memalign(4096, node->size) : malloc(node->size));
    if (node->block == NULL) {
        free(node);
        return NULL;
    }
    pattern_fill(node->block, node->size, node->tag);
    return node;
}

static void node_free(node_t *node) {
    if (node == NULL) {
        return;
    }
    size_t wrong = pattern_mismatch(node->block, node->size, node->size, node->tag);
    CHECK_MSG(wrong == node->size, "block of %zu bytes differs at %zu", node->size, wrong);
    free(node->block);
    free(node);
}

static void *busy_thread(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    while (!stop) {
        node_free(atomic_exchange(&shared[rng_below(&rng, SLOTS)], node_new(&rng)));
        void *p = realloc(malloc(rng_below(&rng, 2000)), rng_size(&rng) / 8);
        free(p);
    }
    return NULL;
}

static void *child_thread(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    for (int i = 0; i < 200; i++) {
        node_free(node_new(&rng));
    }
    return NULL;
}

static void child_all_sizes(size_t largest) {
    for (size_t size = 1; size <= largest; size = size * 5 / 3 + 1) {
        unsigned char *p = (unsigned char *)malloc(size);
        unsigned char *q = (unsigned char *)calloc(1, size);
        CHECK_MSG(p != NULL && q != NULL && q[size - 1] == 0, "%zu bytes in the child", size);
        pattern_fill(p, size, size);
        p = (unsigned char *)realloc(p, 2 * size);
        CHECK_INT(pattern_mismatch(p, size, size, size), size);
        free(p);
        free(q);
    }
}

static void child_free_all_shared(void) {
    for (int i = 0; i < SLOTS; i++) {
        node_free(atomic_exchange(&shared[i], NULL));
    }
}

static void child_thread_starts(void) {
    pthread_t thread;
    if (CHECK_INT(pthread_create(&thread, NULL, child_thread, (void *)7), 0)) {
        pthread_join(thread, NULL);
    }
}

static void child_does_not_leak(void) {
    rng_t rng = {1};
    for (int i = 0; i < 2000; i++) {
        node_free(node_new(&rng)); /* warm */
    }
    size_t before = statm_resident();
    for (int i = 0; i < 60000; i++) {
        node_free(node_new(&rng));
        free(malloc(rng_below(&rng, 5000)));
    }
    size_t after = statm_resident();
    CHECK_MSG(after < before + CHILD_GROWTH, "child grew from %zu to %zu bytes", before, after);
}

static _Noreturn void child_main(int number) {
    signal(SIGALRM, SIG_DFL);
    alarm(CHILD_SECS);
    void *p = malloc(100);
    CHECK(p != NULL);
    free(p);
    if (number % 3 != 0) {
        child_free_all_shared();
    }
    child_all_sizes(number % 10 == 0 ? 16u << 20 : 1u << 20);
    if (number % 4 == 0) {
        child_thread_starts();
    }
    if (number % 100 == 1) {
        child_does_not_leak();
    }
    if (number % 5 == 0) { /* fork in fork */
        pid_t pid = fork();
        if (pid == 0) {
            alarm(CHILD_SECS);
            child_free_all_shared();
            child_all_sizes(256u << 10);
            child_thread_starts();
            _exit(check_failures != 0);
        }
        child_wait_ok(pid, "grandchild");
    }
    if (number % 7 == 0) {
        exit(check_failures != 0); /* with destructors and exit handlers */
    }
    _exit(check_failures != 0);
}

static void check_forks(int count) {
    for (int i = 0; i < count; i++) {
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            child_main(i);
        }
        child_wait_ok(pid, "fork");
        if (check_failures > CHECK_MAX_LINES) {
            return;
        }
    }
}

static void *forking_thread(void *arg) {
    check_forks((int)(intptr_t)arg);
    return NULL;
}

static void check_vfork_and_spawn(void) {
    char *argv[] = {(char *)"/bin/true", NULL};
    for (int i = 0; i < EXECS; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            execv(argv[0], argv);
            _exit(1);
        }
        child_wait_ok(pid, "vfork");
        CHECK_INT(posix_spawn(&pid, argv[0], NULL, NULL, argv, environ), 0);
        child_wait_ok(pid, "posix_spawn");
        FILE *pipe = popen("echo one two", "r");
        char text[32] = "";
        CHECK(pipe != NULL && fgets(text, sizeof(text), pipe) != NULL && strlen(text) == 8);
        pclose(pipe);
    }
}

/* fork itself hangs, in the parent or in a child that has not come to its own alarm yet: ends them
 * all. */
static void on_hang(int signal_number) {
    static const char text[] = ": failed: hangs in fork\n";
    (void)signal_number;
    if (write(2, test_name, sizeof(test_name) - 1) > 0 && write(2, text, sizeof(text) - 1) > 0) {
        kill(0, SIGKILL);
    }
    _exit(1);
}

int main(void) {
    check_begin();
    rng_t rng = {rng_seed(test_name)};
#ifdef FORK_HANDLERS
    CHECK(dso_has_fork_handlers());
#endif
    setpgid(0, 0);
    signal(SIGALRM, on_hang);
    alarm(RUN_SECS);
    pthread_t threads[THREADS], forker;
    for (int i = 0; i < SLOTS; i++) {
        shared[i] = node_new(&rng);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, busy_thread, (void *)(rng_next(&rng))), 0);
    }
    check_forks(FORKS);
    /* From another thread: the child's only thread is not the one that started the process. */
    CHECK_INT(pthread_create(&forker, NULL, forking_thread, (void *)(intptr_t)(FORKS / 10)), 0);
    pthread_join(forker, NULL);
    check_vfork_and_spawn();
    stop = 1;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    child_free_all_shared(); /* the parent's blocks are as they were */
    return check_end(test_name);
}

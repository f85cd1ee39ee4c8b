/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * torture.c - everything at once: threads that come and go, blocks freed by other threads than
 * their makers', realloc, all alignments, forks, libraries loaded and unloaded, and a pattern check
 * of every block.
 *
 *   torture [seconds [threads [path of the library to load]]]
 *
 * Blocks hang in nodes. A thread owns the nodes in its table and swaps some with the common
 * `market`, so that any thread may get, resize and free any other's blocks, and inherits those of
 * threads that are gone. A forked child checks and frees the whole market of its copy. The seed is
 * printed; TEST_SEED repeats a run as far as the scheduler allows.
 */
#include "child.h"
#include "dso.h"
#include "pattern.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

enum {
    SECONDS = 20,
    THREADS = 4,
    MAX_THREADS = 256,
    TABLE = 200,         /* nodes a thread holds */
    MARKET = 600,        /* nodes that belong to nobody */
    LIFE = 4000,         /* operations in the longest life of a thread */
    CHILD_SECS = 60,     /* watchdog of a forked child */
    PAUSE_USECS = 20000, /* between two forks or loads */
    LARGEST_ALIGN = 16,  /* 16 << 16 is 1 MiB */
};

typedef struct node {
    unsigned char *block;
    size_t size;
    uint64_t tag;
} node_t;

static node_t *_Atomic market[MARKET];
static _Atomic int stop;
static _Atomic long operations, lives;

/* glibc's loader lock is not held over fork: a child forked while another thread creates a thread
 * or loads a library can hang in pthread_create through no fault of malloc. Forks and those calls
 * therefore take turns here. */
static pthread_mutex_t loader_turn = PTHREAD_MUTEX_INITIALIZER;

static unsigned char *block_new(rng_t *rng, size_t size) {
    size_t alignment = (size_t)16 << rng_below(rng, LARGEST_ALIGN + 1);
    void *p = NULL;
    switch (rng_below(rng, 12)) {
    case 0:
        p = calloc(1, size);
        if (p != NULL) {
            size_t zeros = pattern_first_nonzero(p, size);
            CHECK_MSG(zeros == size, "calloc(%zu) is dirty at %zu", size, zeros);
        }
        break;
    case 1:
        if (posix_memalign(&p, alignment, size) != 0) {
            p = NULL;
        }
        CHECK_MSG((uintptr_t)p % alignment == 0, "posix_memalign(%zu, %zu) is %p", alignment, size,
                  p);
        break;
    case 2:
        p = aligned_alloc(64, size);
        CHECK_MSG((uintptr_t)p % 64 == 0, "aligned_alloc(64, %zu) is %p", size, p);
        break;
    case 3:
        p = realloc(malloc(size / 3), size);
        break;
    default:
        p = malloc(size);
    }
    CHECK_MSG(p != NULL && (uintptr_t)p % 16 == 0 && malloc_usable_size(p) >= size,
              "%zu bytes: %p, errno %d", size, p, errno);
    return (unsigned char *)p;
}

static void node_check(const node_t *node) {
    size_t wrong = pattern_mismatch(node->block, node->size, node->size, node->tag);
    CHECK_MSG(wrong == node->size, "%p of %zu bytes differs at %zu", (void *)node->block,
              node->size, wrong);
}

static node_t *node_new(rng_t *rng) {
    node_t *node = (node_t *)malloc(sizeof(*node));
    if (!CHECK_MSG(node != NULL, "no node")) {
        return NULL;
    }
    node->size = rng_size(rng);
    node->tag = rng_next(rng);
    node->block = block_new(rng, node->size);
    if (node->block == NULL) {
        free(node);
        return NULL;
    }
    pattern_fill(node->block, node->size, node->tag);
    return node;
}

static void node_free(node_t *node) {
    if (node != NULL) {
        node_check(node);
        free(node->block);
        free(node);
    }
}

static void node_resize(node_t *node, rng_t *rng) {
    size_t size = rng_below(rng, 4) == 0 ? rng_size(rng) : node->size + rng_below(rng, 300);
    size_t kept = size < node->size ? size : node->size;
    unsigned char *p = (unsigned char *)realloc(node->block, size);
    if (!CHECK_MSG(p != NULL, "realloc(%zu -> %zu), errno %d", node->size, size, errno)) {
        return;
    }
    size_t wrong = pattern_mismatch(p, kept, node->size, node->tag);
    CHECK_MSG(wrong == kept, "realloc(%zu -> %zu) lost byte %zu", node->size, size, wrong);
    node->block = p;
    node->size = size;
    node->tag = rng_next(rng);
    pattern_fill(p, size, node->tag);
}

static void one_operation(node_t **table, rng_t *rng) {
    node_t **slot = &table[rng_below(rng, TABLE)];
    switch (rng_below(rng, 6)) {
    case 0:
    case 1:
        *slot = atomic_exchange(&market[rng_below(rng, MARKET)], *slot);
        break;
    case 2:
        if (*slot != NULL) {
            node_resize(*slot, rng);
            break;
        }
        /* fall through */
    default:
        node_free(*slot);
        *slot = node_new(rng);
    }
}

/* One life: leaves some blocks in the market, frees the others or leaves them to the next thread.
 * */
static void *worker_life(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    node_t **table = (node_t **)calloc(TABLE, sizeof(node_t *));
    size_t length = LIFE / 20 + rng_below(&rng, LIFE);
    size_t done;
    for (done = 0; done < length && !stop; done++) {
        one_operation(table, &rng);
    }
    for (int i = 0; i < TABLE; i++) {
        node_free(i % 2 == 0 ? table[i]
                             : atomic_exchange(&market[rng_below(&rng, MARKET)], table[i]));
    }
    free(table);
    operations += (long)done;
    lives++;
    return NULL;
}

static void *worker_slot(void *arg) {
    rng_t rng = {(uint64_t)(uintptr_t)arg};
    while (!stop) {
        pthread_t thread;
        pthread_mutex_lock(&loader_turn);
        int rc = pthread_create(&thread, NULL, worker_life, (void *)rng_next(&rng));
        pthread_mutex_unlock(&loader_turn);
        if (CHECK_MSG(rc == 0, "pthread_create: %d", rc)) {
            pthread_join(thread, NULL);
        }
    }
    return NULL;
}

static void free_market(void) {
    for (int i = 0; i < MARKET; i++) {
        node_free(atomic_exchange(&market[i], NULL));
    }
}

static _Noreturn void child_main(uint64_t seed) {
    pthread_t thread;
    alarm(CHILD_SECS);
    free_market();
    rng_t rng = {seed};
    for (int i = 0; i < 300; i++) {
        node_free(node_new(&rng));
    }
    if (pthread_create(&thread, NULL, worker_life, (void *)seed) == 0) {
        pthread_join(thread, NULL);
    }
    free_market();
    _exit(check_failures != 0);
}

static void fork_once(rng_t *rng) {
    uint64_t seed = rng_next(rng);
    pthread_mutex_lock(&loader_turn);
    pid_t pid = fork();
    if (pid == 0) {
        child_main(seed);
    }
    pthread_mutex_unlock(&loader_turn);
    child_wait_ok(pid, "fork");
}

static void load_once(const char *path) {
    pthread_mutex_lock(&loader_turn);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    dso_text_fn text_fn = library == NULL ? NULL : (dso_text_fn)dlsym(library, "dso_text");
    if (CHECK_MSG(text_fn != NULL, "%s", dlerror())) {
        char *text = text_fn(3000);
        dlclose(library);
        CHECK(text != NULL && strlen(text) == 3000 && text[2999] == 'd');
        free(text);
    }
    pthread_mutex_unlock(&loader_turn);
}

int main(int argc, char **argv) {
    int seconds = argc > 1 ? atoi(argv[1]) : SECONDS;
    int threads = argc > 2 ? atoi(argv[2]) : THREADS;
    const char *library = argc > 3 ? argv[3] : NULL;
    if (seconds < 1 || threads < 1 || threads > MAX_THREADS) {
        dprintf(2, "usage: torture [seconds, 1 or more [threads, 1 to %d [library]]]\n",
                MAX_THREADS);
        return 2;
    }
    check_begin();
    rng_t rng = {rng_seed("torture")};
    pthread_t slots[MAX_THREADS];
    for (int i = 0; i < threads; i++) {
        if (!CHECK_INT(pthread_create(&slots[i], NULL, worker_slot, (void *)rng_next(&rng)), 0)) {
            return check_end("torture");
        }
    }
    long forks = 0, loads = 0;
    time_t end = time(NULL) + seconds;
    while (time(NULL) < end && check_failures == 0) {
        fork_once(&rng);
        forks++;
        if (library != NULL) {
            load_once(library);
            loads++;
        }
        usleep(PAUSE_USECS);
    }
    stop = 1;
    for (int i = 0; i < threads; i++) {
        pthread_join(slots[i], NULL);
    }
    free_market();
    dprintf(1, "torture: %ld operations, %ld threads, %ld forks, %ld loads in %d s\n",
            (long)operations, (long)lives, forks, loads, seconds);
    return check_end("torture");
}

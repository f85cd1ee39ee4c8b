/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * soak.c - long and large: resident memory must not grow with time or with threads that are gone.
 *
 *   soak frag SECONDS   four threads replace blocks of all sizes at random, some living long; the
 *                       resident set of the last third of the time is at most a quarter above that
 * of the second third soak threads        10 000 threads that allocate, pass a block on, and end
 *   soak heap           4 GiB in blocks of all sizes, each checked, then freed: the memory goes
 * back soak signals        a timer interrupts threads that allocate, a thousand times a second
 */
#include "pattern.h"

#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

enum { WORKERS = 4, TABLE = 8000, SHORT_THREADS = 10000, AT_A_TIME = 8 };

static size_t status_kib(const char *path, const char *key) {
    char line[256];
    size_t kib = 0;
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0) {
            kib = strtoul(line + strlen(key), NULL, 10);
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return kib;
}

static size_t resident_kib(void) {
    return status_kib("/proc/self/status", "VmRSS:");
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Mostly small; each doubling up to 1 MiB half as likely as the one before. */
static size_t random_size(uint64_t *state) {
    unsigned shift = (unsigned)__builtin_ctzll(next_random(state) | 1ull << 14);
    return (size_t)(next_random(state) % 64 + 1) << shift;
}

typedef struct entry {
    unsigned char *ptr;
    size_t size;
} entry_t;

static void entry_set(entry_t *entry, size_t size) {
    entry->ptr = malloc(size);
    entry->size = size;
    if (CHECK(entry->ptr != NULL)) {
        entry->ptr[0] = entry->ptr[size - 1] = (unsigned char)size;
        for (size_t i = 4096; i < size; i += 4096) {
            entry->ptr[i] = 1;
        }
        entry->ptr[size - 1] = (unsigned char)size;
    }
}

static void entry_drop(entry_t *entry) {
    if (entry->ptr != NULL) {
        CHECK(entry->ptr[0] == (unsigned char)entry->size &&
              entry->ptr[entry->size - 1] == (unsigned char)entry->size);
        free(entry->ptr);
        entry->ptr = NULL;
    }
}

static atomic_bool stop;
static entry_t tables[WORKERS][TABLE];

/* The first quarter of the table lives 64 times as long. */
static void *churn(void *arg) {
    entry_t *table = arg;
    uint64_t state = (uintptr_t)arg | 1;
    while (!stop) {
        size_t i = next_random(&state) % TABLE;
        if (i < TABLE / 4 && next_random(&state) % 64 != 0) {
            continue;
        }
        entry_drop(&table[i]);
        entry_set(&table[i], random_size(&state));
    }
    for (size_t i = 0; i < TABLE; i++) {
        entry_drop(&table[i]);
    }
    return NULL;
}

static void run_workers(unsigned seconds, size_t peak[3]) {
    pthread_t thread[WORKERS];
    stop = false;
    for (int i = 0; i < WORKERS; i++) {
        CHECK_INT(pthread_create(&thread[i], NULL, churn, tables[i]), 0);
    }
    for (unsigned i = 0; i < seconds * 10; i++) {
        struct timespec rest = {0, 100000000};
        while (nanosleep(&rest, &rest) != 0 && errno == EINTR) { // signals come meanwhile
        }
        size_t now = resident_kib(), *third = &peak[i * 3 / (seconds * 10)];
        *third = now > *third ? now : *third;
    }
    stop = true;
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void soak_frag(unsigned seconds) {
    size_t peak[3] = {0};
    run_workers(seconds, peak);
    printf("peak resident KiB by thirds of %u s: %zu %zu %zu\n", seconds, peak[0], peak[1],
           peak[2]);
    CHECK_MSG(peak[2] <= peak[1] + peak[1] / 4, "%zu KiB grew to %zu", peak[1], peak[2]);
}

static _Atomic(unsigned char *) handed;

static void *short_life(void *arg) {
    uint64_t state = (uintptr_t)arg * 2654435761u + 1;
    entry_t own[20];
    for (int i = 0; i < 20; i++) {
        entry_set(&own[i], random_size(&state) % 20000 + 1);
    }
    free(atomic_exchange(&handed, malloc(next_random(&state) % 5000 + 1)));
    for (int i = 0; i < 20; i++) {
        entry_drop(&own[i]);
    }
    return NULL;
}

static void soak_threads(void) {
    size_t early = 0;
    for (size_t n = 0; n < SHORT_THREADS; n += AT_A_TIME) {
        pthread_t thread[AT_A_TIME];
        for (size_t i = 0; i < AT_A_TIME; i++) {
            CHECK_INT(pthread_create(&thread[i], NULL, short_life, (void *)(n + i)), 0);
        }
        for (size_t i = 0; i < AT_A_TIME; i++) {
            pthread_join(thread[i], NULL);
        }
        early = n == SHORT_THREADS / 10 ? resident_kib() : early;
    }
    size_t late = resident_kib();
    printf("resident KiB after %d threads: %zu, after %d: %zu\n", SHORT_THREADS / 10, early,
           SHORT_THREADS, late);
    CHECK_MSG(late <= early + early / 4 + 2048, "%zu KiB grew to %zu", early, late);
}

static int soak_heap(void) {
    enum { COUNT = 3000000 };
    const size_t wanted = (size_t)4 << 30;
    uint64_t state = 12345;
    size_t total = 0, count = 0;
    if (status_kib("/proc/meminfo", "MemAvailable:") < (size_t)6 << 20) {
        printf("skipped: less than 6 GiB of memory available\n");
        return CHECK_SKIPPED;
    }
    entry_t *all = calloc(COUNT, sizeof(*all));
    for (; total < wanted && count < COUNT; count++) {
        entry_set(&all[count], random_size(&state) * 8);
        total += all[count].size;
    }
    size_t full = resident_kib();
    for (size_t i = 0; i < count; i++) { // in another order than they came
        entry_drop(&all[i * 7919 % count]);
    }
    for (size_t i = 0; i < count; i++) {
        entry_drop(&all[i]);
    }
    free(all);
    malloc_trim(0);
    size_t empty = resident_kib();
    printf("%zu blocks of %zu MiB: %zu MiB resident, %zu after all were freed\n", count,
           total >> 20, full >> 10, empty >> 10);
    CHECK_MSG(empty < full / 20 + 16384, "%zu KiB are still resident of %zu", empty, full);
    return 0;
}

static atomic_int ticks;

static void tick(int number) {
    (void)number;
    ticks++;
}

static void soak_signals(void) {
    const struct itimerval timer = {{0, 1000}, {0, 1000}}, none = {{0, 0}, {0, 0}};
    size_t peak[3];
    struct sigaction action = {.sa_handler = tick}; // no SA_RESTART: system calls are interrupted
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    run_workers(3, peak);
    setitimer(ITIMER_REAL, &none, NULL);
    CHECK_MSG(ticks > 100, "%d signals", ticks);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    check_begin();
    if (strcmp(what, "frag") == 0) {
        soak_frag(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 12);
    } else if (strcmp(what, "threads") == 0) {
        soak_threads();
    } else if (strcmp(what, "heap") == 0) {
        int status = soak_heap();
        if (status != 0) {
            return status;
        }
    } else if (strcmp(what, "signals") == 0) {
        soak_signals();
    } else {
        fprintf(stderr, "usage: soak frag SECONDS | threads | heap | signals\n");
        return 2;
    }
    return check_end(what);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * fork_shared.c - forks of a program with busy threads whose heap is shared memory.
 *
 * What docs/malloc.md promises there: the parent's heap is never touched by a child, and a child
 * can allocate and free. So the parent's threads keep checking the contents of all their blocks
 * while children fill a heap of their own; a child does not look at what it inherited, since the
 * threads wrote to it while it was copied.
 */
#include "child.h"
#include "pattern.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { THREADS = 3, SLOTS = 200, FORKS = 60, CHILD_BLOCKS = 2000, CHILD_SECS = 60 };

typedef struct slot {
    unsigned char *block;
    size_t size;
    uint64_t tag;
} slot_t;

static atomic_bool stop;
static atomic_ulong rounds;

static void slot_check(const slot_t *slot) {
    if (slot->block != NULL) {
        size_t at = pattern_mismatch(slot->block, slot->size, slot->size, slot->tag);
        CHECK_MSG(at == slot->size, "block of %zu bytes differs at %zu", slot->size, at);
    }
}

static void slot_renew(slot_t *slot, rng_t *rng) {
    slot_check(slot);
    free(slot->block);
    slot->size = rng_size(rng);
    slot->tag = rng_next(rng);
    slot->block = malloc(slot->size);
    if (CHECK(slot->block != NULL)) {
        pattern_fill(slot->block, slot->size, slot->tag);
    }
}

static void *work(void *seed) {
    static _Thread_local slot_t slots[SLOTS];
    rng_t rng = {(uintptr_t)seed};
    while (!atomic_load(&stop)) {
        slot_renew(&slots[rng_below(&rng, SLOTS)], &rng);
        atomic_fetch_add(&rounds, 1);
    }
    for (int i = 0; i < SLOTS; i++) {
        slot_check(&slots[i]);
        free(slots[i].block);
    }
    return NULL;
}

/* Never returns. */
static void child(uint64_t seed) {
    static slot_t slots[CHILD_BLOCKS];
    rng_t rng = {seed};
    alarm(CHILD_SECS);
    for (int i = 0; i < 2 * CHILD_BLOCKS; i++) {
        slot_renew(&slots[rng_below(&rng, CHILD_BLOCKS)], &rng);
    }
    for (int i = 0; i < CHILD_BLOCKS; i++) {
        slot_check(&slots[i]);
        free(slots[i].block);
    }
    _exit(check_failures != 0);
}

int main(void) {
    check_begin();
    pthread_t thread[THREADS];
    rng_t rng = {rng_seed("fork_shared")};
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&thread[i], NULL, work, (void *)(uintptr_t)(rng_next(&rng) | 1)),
                  0);
    }
    for (int i = 0; i < FORKS; i++) {
        unsigned long before = atomic_load(&rounds);
        pid_t pid = fork();
        if (pid == 0) {
            child(rng_next(&rng) + (uint64_t)i);
        }
        if (CHECK(pid > 0)) {
            child_wait_ok(pid, "fork_shared");
        }
        while (atomic_load(&rounds) == before) { // the threads go on between forks
            usleep(1000);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    return check_end("fork_shared");
}

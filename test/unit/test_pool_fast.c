/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Calls that the core serves itself (core/pool_fast.h): which pointers it takes, and that it never
 * takes a block from the wrong pool or heap. */
#include "slab_for_test.h"

#include <pthread.h>

#include "core/pool_fast.h"
#include "pools/slab_classes.h"

/* Each offset of a slice against what division says, for every class and some numbers of blocks. */
Test(pool_fast, only_the_beginnings_of_made_blocks_are_blocks) {
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        uint32_t bytes = slab_class_info[cls].block_bytes;
        uint32_t room = MAP_SLICE_BYTES / bytes;
        const uint32_t made[] = {0, 1, room / 2, room};
        for (unsigned m = 0; m < ARRAY_LENGTH(made); m++) {
            pool_fast_run_t run = {.factor = pool_fast_factor(bytes)};
            pool_fast_set_limit(&run, bytes, made[m]);
            for (uintptr_t offset = 0; offset < MAP_SLICE_BYTES; offset++) {
                bool is =
                    bytes <= POOL_FAST_BLOCK_MAX && offset % bytes == 0 && offset / bytes < made[m];
                cr_assert_eq(pool_fast_is_block(&run, (void *)(0x7f0012340000 + offset)), is,
                             "offset %zu of %u-byte blocks, %u made", offset, bytes, made[m]);
            }
        }
    }
}

Test(pool_fast, wrong_pointers_are_refused) {
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 64 * KIB, 0, false);
    char *block = umfPoolMalloc(pool, 100), *second = umfPoolMalloc(pool, 100);
    umfPoolFree(pool, second); // from here on the heap is known
    cr_assert_eq(pool_fast_heap->pool_handle, pool);
    void *wrong[] = {block + 1,
                     block + 16,
                     block + 64 * KIB - 128,
                     (void *)0x5a5a5a5a5a5a5a5a,
                     (void *)UINTPTR_MAX,
                     (void *)((uintptr_t)1 << 48),
                     (void *)16,
                     &state};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        cr_assert_eq(umfPoolFree(pool, wrong[i]), INVAL, "%zu: %p", i, wrong[i]);
    }
    cr_assert_eq(umfPoolFree(pool, NULL), OK);
    cr_assert_eq(umfPoolFree(NULL, block), INVAL);
    cr_assert_null(umfPoolMalloc(NULL, 100));
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* Handles alternate, so that the remembered heap is the wrong one at every second call. */
Test(pool_fast, pools_used_in_turn_do_not_mix_their_blocks) {
    enum { POOLS = 3, ROUNDS = 5000 };
    mmap_provider_t state = {0};
    umf_memory_pool_handle_t pool[POOLS], found;
    void *block[POOLS][8] = {{NULL}};
    for (int i = 0; i < POOLS; i++) {
        pool[i] = slab_with(mmap_provider_create(&state), 64 * KIB, 0, false);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int i = round % POOLS, slot = round / POOLS % 8;
        cr_assert_eq(umfPoolFree(pool[i], block[i][slot]), OK);
        block[i][slot] = umfPoolMalloc(pool[i], (size_t)(round * 37 % 1500));
        cr_assert_eq(umfPoolByPtr(block[i][slot], &found), OK);
        cr_assert_eq(found, pool[i]);
        if (round > 100) { // a block of another pool is refused, whichever heap is remembered
            cr_assert_eq(umfPoolFree(pool[(i + 1) % POOLS], block[i][slot]), INVAL);
        }
    }
    for (int i = 0; i < POOLS; i++) {
        cr_assert_eq(umfPoolDestroy(pool[i]), OK);
    }
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
}

typedef struct turn {
    umf_memory_pool_handle_t pool;
    pthread_barrier_t start, end;
    int rounds;
} turn_t;

static void *use_each_pool(void *arg) {
    turn_t *turn = arg;
    for (int i = 0; i < turn->rounds; i++) {
        pthread_barrier_wait(&turn->start);
        char *block[20];
        for (size_t b = 0; b < ARRAY_LENGTH(block); b++) {
            block[b] = umfPoolMalloc(turn->pool, 64);
            cr_assert_not_null(block[b]);
            memset(block[b], i, 64);
        }
        for (size_t b = 0; b < ARRAY_LENGTH(block); b++) {
            umf_memory_pool_handle_t found;
            cr_assert_eq(block[b][63], (char)i);
            cr_assert_eq(umfPoolByPtr(block[b], &found), OK);
            cr_assert_eq(found, turn->pool);
            cr_assert_eq(umfPoolFree(turn->pool, block[b]), OK);
        }
        pthread_barrier_wait(&turn->end);
    }
    return NULL;
}

/* The new pool mostly gets the handle and memory of the old one; a thread that remembers a heap of
 * the old one must not use it. */
Test(pool_fast, a_thread_forgets_the_heap_of_a_destroyed_pool) {
    mmap_provider_t state = {0};
    turn_t turn = {.rounds = 300};
    pthread_barrier_init(&turn.start, NULL, 3);
    pthread_barrier_init(&turn.end, NULL, 3);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread[i], NULL, use_each_pool, &turn);
    }
    umf_memory_provider_handle_t provider = mmap_provider_create(&state);
    umf_memory_pool_handle_t before = NULL;
    int same = 0;
    for (int i = 0; i < turn.rounds; i++) {
        cr_assert_eq(umfPoolCreate(umfSlabPoolOps(), provider, NULL, 0, &turn.pool), OK);
        same += turn.pool == before;
        before = turn.pool;
        pthread_barrier_wait(&turn.start);
        pthread_barrier_wait(&turn.end);
        cr_assert_eq(umfPoolDestroy(turn.pool), OK);
    }
    cr_assert_gt(same, 0, "no handle came again: the test shows nothing");
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
    cr_assert_eq(load_relaxed(&state.live_blocks), 0);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

/* Blocks that another thread made, freed here: not the plain case. */
static void *make_blocks(void *arg) {
    void **block = ((void **)arg) + 1;
    for (int i = 0; i < 100; i++) {
        block[i] = umfPoolMalloc(*(umf_memory_pool_handle_t *)arg, 48);
    }
    return NULL;
}

Test(pool_fast, blocks_of_other_threads_go_home) {
    mmap_provider_t state = {0};
    void *passed[101];
    umf_memory_pool_handle_t pool = slab_with(mmap_provider_create(&state), 64 * KIB, 0, false);
    passed[0] = pool;
    umfPoolFree(pool, umfPoolMalloc(pool, 48));
    pthread_t thread;
    pthread_create(&thread, NULL, make_blocks, passed);
    pthread_join(thread, NULL);
    for (int i = 1; i <= 100; i++) {
        cr_assert_eq(umfPoolFree(pool, passed[i]), OK);
    }
    cr_assert_eq(slab_pool_blocks(pool->priv), 0);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Slab pool in many threads: frees by other threads, threads that end with and without live blocks, blocks freed after
 * their thread has ended, pools destroyed meanwhile, and forks.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/slab_for_test.h"

enum { SCALE = UNDER_TSAN || UNDER_ASAN ? 1 : 3, THREADS = 5 };

static void start(pthread_t *thread, void *(*work)(void *), void *arg) {
    cr_assert_eq(pthread_create(thread, NULL, work, arg), 0);
}

static void run_threads(int count, void *(*work)(void *)) {
    pthread_t thread[16];
    for (int i = 0; i < count; i++) {
        start(&thread[i], work, (void *)(uintptr_t)(i + 1));
    }
    for (int i = 0; i < count; i++) {
        pthread_join(thread[i], NULL);
    }
}

static umf_memory_pool_handle_t shared_pool, shared_pools[8];
static mmap_provider_t shared_state;

static void expect_empty_after_trim(umf_memory_pool_handle_t pool) {
    cr_assert_eq(umfPoolTrimMemory(pool, 0), OK);
    slab_stats_t stats = stats_of(pool);
    cr_assert_eq(stats.blocks, 0, "%zu blocks", stats.blocks);
    cr_assert_eq(stats.chunks, 0, "%zu chunks, %zu bytes in slabs, %zu blocks", stats.chunks, stats.slab_bytes, stats.blocks);
    cr_assert_eq(stats.large_blocks + stats.huge_blocks, 0);
    // this thread may have one in use
    cr_assert_leq(stats.threads, stats.parked + 1, "%zu heaps, %zu parked", stats.threads, stats.parked);
    cr_assert_eq(load_relaxed(&shared_state.live_blocks), 0);
}

/* ---- each on its own ------------------------------------------------------------------------------------------------- */

static void *work_script(void *arg) {
    script_run(&(script_t){.pool = shared_pool, .seed = (uintptr_t)arg, .steps = 8000 * SCALE, .slots = 300, .size_max = 2 * MIB});
    return NULL;
}

Test(slab_threads, random_operations) {
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    run_threads(THREADS, work_script);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

static void *work_multiples_of_eight(void *arg) {
    void *ptr[200];
    (void)arg;
    for (int round = 0; round < 10 * SCALE; round++) {
        for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
            size_t size = i % 16 * 8;
            ptr[i] = umfPoolMalloc(shared_pool, size);
            cr_assert(ptr[i] != NULL || size == 0);
            memset(ptr[i], (int)i, size);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
            cr_assert(i % 16 == 0 || *(uint8_t *)ptr[i] == (uint8_t)i);
            cr_assert_eq(umfPoolFree(shared_pool, ptr[i]), OK);
        }
    }
    return NULL;
}

static void *work_alignments(void *arg) {
    (void)arg;
    for (int round = 0; round < SCALE; round++) {
        for (size_t alignment = 1; alignment <= 4 * MIB; alignment *= 2) {
            for (int one = 0; one < 2; one++) {
                void *ptr = umfPoolAlignedMalloc(shared_pool, one ? 1 : alignment, alignment);
                cr_assert(ptr != NULL && (uintptr_t)ptr % alignment == 0);
                memset(ptr, 1, one ? 1 : alignment);
                cr_assert_eq(umfPoolFree(shared_pool, ptr), OK);
            }
        }
    }
    return NULL;
}

Test(slab_threads, small_and_aligned_blocks) {
    shared_pool = slab_on(os_provider_create());
    run_threads(THREADS, work_multiples_of_eight);
    run_threads(THREADS, work_alignments);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

/* ---- blocks that are freed elsewhere ------------------------------------------------------------------------------------- */

enum { MAILBOXES = 2000 };

typedef struct parcel {
    size_t size;
    uint8_t mark;
} parcel_t;

static _Atomic(parcel_t *) exchange_box[MAILBOXES];
static _Atomic(size_t) exchanged;

static parcel_t *parcel_make(umf_memory_pool_handle_t pool, uint64_t *rng) {
    size_t size = sizeof(parcel_t) + random_size(rng) % (150 * KIB);
    parcel_t *parcel = umfPoolMalloc(pool, size);
    cr_assert_not_null(parcel);
    *parcel = (parcel_t){size, (uint8_t)rng_next(rng)};
    pattern_fill(parcel + 1, size - sizeof(parcel_t), parcel->mark);
    return parcel;
}

static void parcel_free(umf_memory_pool_handle_t pool, parcel_t *parcel) {
    if (parcel != NULL) {
        size_t size = parcel->size - sizeof(parcel_t);
        cr_assert(pattern_holds(parcel + 1, size, size, parcel->mark));
        fetch_add_relaxed(&exchanged, 1);
        cr_assert_eq(parcel->mark % 4 == 0 ? umfFree(parcel) : umfPoolFree(pool, parcel), OK);
    }
}

/* Every block is put somewhere where any thread may take it out and free it. */
static void *work_exchange(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    for (int step = 0; step < 10000 * SCALE; step++) {
        parcel_free(shared_pool, exchange_acq_rel(&exchange_box[rng_next(&rng) % MAILBOXES], parcel_make(shared_pool, &rng)));
    }
    return NULL;
}

static void empty_boxes(umf_memory_pool_handle_t pool) {
    for (int i = 0; i < MAILBOXES; i++) {
        parcel_free(pool, exchange_acq_rel(&exchange_box[i], NULL));
    }
}

Test(slab_threads, blocks_freed_by_others) {
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    for (int round = 0; round < 3; round++) { // heaps of ended threads are taken over
        run_threads(THREADS, work_exchange);
    }
    empty_boxes(shared_pool); // all their threads have ended
    cr_assert_eq(load_relaxed(&exchanged), (size_t)3 * THREADS * 10000 * SCALE);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

static void *work_exchange_briefly(void *arg) {
    uint64_t rng = (uintptr_t)arg * 77 + load_relaxed(&exchanged);
    for (int step = 0; step < 150; step++) {
        parcel_free(shared_pool, exchange_acq_rel(&exchange_box[rng_next(&rng) % MAILBOXES], parcel_make(shared_pool, &rng)));
    }
    return NULL;
}

Test(slab_threads, very_many_short_threads) {
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    for (int round = 0; round < 40 * SCALE; round++) {
        run_threads(THREADS, work_exchange_briefly);
    }
    cr_assert_leq(stats_of(shared_pool).threads, THREADS + 1); // heaps are reused
    empty_boxes(shared_pool);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

/* One makes, one frees: memory must not grow. */
enum { RING = 512, PIPED = 60000 * SCALE };
static _Atomic(void *) ring[RING];

static void *work_consume(void *arg) {
    (void)arg;
    for (int i = 0; i < PIPED; i++) {
        void *ptr;
        while ((ptr = exchange_acq_rel(&ring[i % RING], NULL)) == NULL) {
            sched_yield();
        }
        cr_assert_eq(umfPoolFree(shared_pool, ptr), OK);
    }
    return NULL;
}

Test(slab_threads, producer_and_consumer_stay_small) {
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    pthread_t consumer;
    start(&consumer, work_consume, NULL);
    for (int i = 0; i < PIPED; i++) {
        void *ptr = umfPoolMalloc(shared_pool, 200);
        cr_assert_not_null(ptr);
        while (load_acquire(&ring[i % RING]) != NULL) {
            sched_yield();
        }
        store_release(&ring[i % RING], ptr);
    }
    pthread_join(consumer, NULL);
    cr_assert_leq(stats_of(shared_pool).reserved_peak, 4 * MIB);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

/* Frees at the end of the thread: by destructors of its other keys, in all rounds. */
static pthread_key_t late_key;
static _Atomic(size_t) late_calls;

static void late_destructor(void *arg) {
    void *ptr = umfPoolMalloc(shared_pool, 100), *large = umfPoolMalloc(shared_pool, 100000);
    cr_assert(ptr != NULL && large != NULL);
    cr_assert_eq(umfPoolFree(shared_pool, arg), OK);
    cr_assert_eq(umfPoolFree(shared_pool, large), OK);
    if (fetch_add_relaxed(&late_calls, 1) % 7 != 6) {
        pthread_setspecific(late_key, ptr); // once more
    } else {
        cr_assert_eq(umfPoolFree(shared_pool, ptr), OK);
    }
}

static void *work_late(void *arg) {
    (void)arg;
    pthread_setspecific(late_key, umfPoolMalloc(shared_pool, 500));
    return NULL;
}

Test(slab_threads, threads_that_allocate_at_their_end) {
    if (UNDER_TSAN) {
        cr_skip("this sanitizer follows no code in the last round of key destructors");
    }
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    pthread_key_t before[40]; // ours may lie before or behind the pool's
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(pthread_key_create(&before[i], NULL), 0);
    }
    for (int first = 0; first < 2; first++) {
        cr_assert_eq(pthread_key_create(&late_key, late_destructor), 0);
        for (int i = 0; i < 20; i++) {
            run_threads(THREADS, work_late);
        }
        pthread_key_delete(late_key);
        cr_assert_eq(pthread_key_create(&before[20 + first], NULL), 0);
        cr_assert_eq(umfPoolFree(shared_pool, umfPoolMalloc(shared_pool, 1)), OK);
    }
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
    cr_assert_eq(load_relaxed(&shared_state.live_blocks), 0);
}

/* ---- several pools ----------------------------------------------------------------------------------------------------------- */

static void *work_many_pools(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    for (int step = 0; step < 5000 * SCALE; step++) {
        uint64_t box = rng_next(&rng) % MAILBOXES; // a box belongs to a pool
        umf_memory_pool_handle_t pool = shared_pools[box % ARRAY_LENGTH(shared_pools)];
        parcel_free(pool, exchange_acq_rel(&exchange_box[box], parcel_make(pool, &rng)));
    }
    return NULL;
}

Test(slab_threads, several_pools) {
    for (size_t i = 0; i < ARRAY_LENGTH(shared_pools); i++) {
        shared_pools[i] = slab_on(mmap_provider_create(&shared_state));
    }
    run_threads(THREADS, work_many_pools);
    for (size_t i = 0; i < ARRAY_LENGTH(shared_pools); i++) { // with live blocks
        cr_assert_eq(umfPoolDestroy(shared_pools[i]), OK);
    }
    cr_assert_eq(load_relaxed(&shared_state.live_blocks), 0);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

/* Pools come and go in every thread: more than a thread remembers at a time. */
static void *work_own_pools(void *arg) {
    uint64_t seed = (uintptr_t)arg * 1000;
    for (int round = 0; round < 10 * SCALE; round++) {
        umf_memory_pool_handle_t pool[20];
        for (size_t i = 0; i < ARRAY_LENGTH(pool); i++) {
            pool[i] = slab_with(mmap_provider_create(&shared_state), 64 * KIB, 1, false);
        }
        for (size_t i = 0; i < ARRAY_LENGTH(pool); i++) {
            script_run(&(script_t){.pool = pool[i], .seed = seed++, .steps = 30, .slots = 20, .size_max = 5000});
            cr_assert_not_null(umfPoolMalloc(pool[i], 10));
        }
        for (size_t i = 0; i < ARRAY_LENGTH(pool); i++) {
            cr_assert_eq(umfPoolDestroy(pool[i]), OK);
        }
    }
    return NULL;
}

Test(slab_threads, pools_come_and_go) {
    run_threads(THREADS, work_own_pools);
    cr_assert_eq(load_relaxed(&shared_state.live_blocks), 0);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

static pthread_barrier_t barrier;

/* All are done with the pool and end while it is destroyed. */
static void *work_and_end(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    for (int i = 0; i < 50; i++) {
        parcel_t *parcel = parcel_make(shared_pool, &rng);
        if (i % 3 != 0) {
            parcel_free(shared_pool, parcel);
        }
    }
    pthread_barrier_wait(&barrier);
    return NULL;
}

Test(slab_threads, a_pool_is_destroyed_while_its_threads_end) {
    pthread_t thread[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int round = 0; round < 100 * SCALE; round++) {
        shared_pool = slab_with(mmap_provider_create(&shared_state), 64 * KIB, 0, false);
        for (uintptr_t i = 0; i < THREADS; i++) {
            start(&thread[i], work_and_end, (void *)(i + 1));
        }
        pthread_barrier_wait(&barrier);
        cr_assert_eq(umfPoolDestroy(shared_pool), OK);
        for (int i = 0; i < THREADS; i++) {
            pthread_join(thread[i], NULL);
        }
        cr_assert_eq(load_relaxed(&shared_state.live_blocks), 0);
    }
}

/* ---- trims, statistics and purges meanwhile ------------------------------------------------------------------------------------- */

static _Atomic(bool) over;

static void *work_trim(void *arg) {
    (void)arg;
    while (!load_acquire(&over)) {
        cr_assert_eq(umfPoolTrimMemory(shared_pool, 0), OK);
        stats_of(shared_pool);
        sched_yield();
    }
    return NULL;
}

Test(slab_threads, trims_meanwhile) {
    shared_pool = slab_with(mmap_provider_create(&shared_state), 0, 1, false);
    pthread_t trimmer;
    start(&trimmer, work_trim, NULL);
    run_threads(THREADS, work_exchange);
    run_threads(THREADS, work_script);
    store_release(&over, true);
    pthread_join(trimmer, NULL);
    empty_boxes(shared_pool);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

static void *work_tight(void *arg) {
    script_run(&(script_t){.pool = shared_pool, .seed = (uintptr_t)arg, .steps = 8000 * SCALE, .slots = 200, .may_fail = true});
    return NULL;
}

Test(slab_threads, a_provider_at_its_limit) {
    shared_state.limit = 24 * MIB;
    shared_pool = slab_with(mmap_provider_create(&shared_state), 64 * KIB, 1, false);
    run_threads(THREADS, work_tight);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

/* ---- fork ---------------------------------------------------------------------------------------------------------------------------- */

static void *work_until_over(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    while (!load_acquire(&over)) {
        for (int i = 0; i < 50; i++) {
            parcel_free(shared_pool,
                        exchange_acq_rel(&exchange_box[rng_next(&rng) % MAILBOXES], parcel_make(shared_pool, &rng)));
        }
        if (rng_next(&rng) % 64 == 0) {
            umfPoolTrimMemory(shared_pool, 0);
        }
    }
    return NULL;
}

static void *work_generations(void *arg) { // threads begin and end all the time
    uint64_t rng = (uintptr_t)arg;
    while (!load_acquire(&over)) {
        pthread_t thread;
        start(&thread, work_exchange_briefly, (void *)(uintptr_t)rng_next(&rng));
        pthread_join(thread, NULL);
    }
    return NULL;
}

/* In the child: everything that was alive is whole, can be freed and reused; new threads work. */
static void child_of_threads(parcel_t **own, int count) {
    alarm(50);
    for (int i = 0; i < count; i++) {
        size_t size = own[i]->size - sizeof(parcel_t);
        if (!pattern_holds(own[i] + 1, size, size, own[i]->mark) || umfPoolFree(shared_pool, own[i]) != OK) {
            _exit(2);
        }
    }
    for (int i = 0; i < MAILBOXES; i++) {
        parcel_t *parcel = exchange_acq_rel(&exchange_box[i], NULL);
        if (parcel != NULL) {
            size_t size = parcel->size - sizeof(parcel_t);
            if (!pattern_holds(parcel + 1, size, size, parcel->mark)) {
                _exit(3);
            }
            if (umfPoolFree(shared_pool, parcel) != OK) {
                _exit(4);
            }
        }
    }
    script_run(&(script_t){.pool = shared_pool, .seed = 1, .steps = 1500, .slots = 100, .size_max = MIB});
    if (!UNDER_ASAN) { // its own allocator's locks are not reset in a child, new threads may wait for ever
        run_threads(2, work_exchange_briefly);
    }
    umfPoolTrimMemory(shared_pool, 0);
    pid_t grandchild = fork();
    if (grandchild == 0) {
        script_run(&(script_t){.pool = shared_pool, .seed = 2, .steps = 300, .slots = 50, .size_max = MIB});
        _exit(0);
    }
    int status = -1;
    if (waitpid(grandchild, &status, 0) != grandchild || status != 0) {
        _exit(5);
    }
    if (umfPoolDestroy(shared_pool) != OK) {
        _exit(6);
    }
    _exit(0);
}

Test(slab_threads, forks_while_others_work, .timeout = 110) {
    if (UNDER_TSAN) {
        cr_skip("children of processes with threads cannot be followed by this sanitizer");
    }
    shared_pool = slab_with(mmap_provider_create(&shared_state), 0, 5, false);
    pthread_t thread[4];
    for (uintptr_t i = 0; i < 4; i++) {
        start(&thread[i], i < 2 ? work_until_over : work_generations, (void *)(i + 1));
    }
    uint64_t rng = 4711;
    for (int round = 0; round < 60; round++) {
        parcel_t *own[50];
        for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
            own[i] = parcel_make(shared_pool, &rng);
        }
        pid_t child = fork();
        cr_assert_geq(child, 0);
        if (child == 0) {
            child_of_threads(own, (int)ARRAY_LENGTH(own));
        }
        int status = -1;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_assert_eq(status, 0, "child %d: status 0x%x", round, (unsigned)status);
        for (size_t i = 0; i < ARRAY_LENGTH(own); i++) {
            parcel_free(shared_pool, own[i]);
        }
    }
    store_release(&over, true);
    for (int i = 0; i < 4; i++) {
        pthread_join(thread[i], NULL);
    }
    empty_boxes(shared_pool);
    expect_empty_after_trim(shared_pool);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

Test(slab_threads, a_child_without_threads_has_everything) {
    shared_pool = slab_on(mmap_provider_create(&shared_state));
    void *ptr[1000];
    for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
        ptr[i] = umfPoolMalloc(shared_pool, i * 3);
    }
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        alarm(30);
        for (size_t i = 0; i < ARRAY_LENGTH(ptr); i++) {
            if (umfPoolFree(shared_pool, ptr[i]) != OK) {
                _exit(1);
            }
        }
        umfPoolTrimMemory(shared_pool, 0);
        _exit(stats_of(shared_pool).chunks == 0 ? 0 : 2);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    cr_assert_eq(umfPoolDestroy(shared_pool), OK);
}

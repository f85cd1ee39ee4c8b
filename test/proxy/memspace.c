/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * memspace.c - memspaces in a preloaded process. hwloc, which is opened at the first use, allocates
 * with malloc: with the library that asked it. Threads ask for the first time all at once, while
 * others allocate and the process forks; children ask again.
 */
#include "pattern.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/experimental/memspace.h>

enum { ASKERS = 4, ROUNDS = 30, FORKS = 8 };

static umf_const_memspace_handle_t (*host_all)(void);
static size_t (*count_of)(umf_const_memspace_handle_t);
static umf_result_t (*pool_from)(umf_const_memspace_handle_t, umf_const_mempolicy_handle_t,
                                 umf_memory_pool_handle_t *);
static void *(*pool_malloc)(umf_memory_pool_handle_t, size_t);
static umf_result_t (*pool_destroy)(umf_memory_pool_handle_t);
static atomic_bool done;

/* True when a memspace and a pool on it can be used. */
static bool use_memspace(void) {
    umf_const_memspace_handle_t space = host_all();
    umf_memory_pool_handle_t pool = NULL;
    if (space == NULL || count_of(space) == 0 || pool_from(space, NULL, &pool) != 0) {
        return false;
    }
    char *p = (char *)pool_malloc(pool, 1000);
    if (p == NULL) {
        return false;
    }
    memset(p, 1, 1000);
    free(p); /* found by its address */
    return pool_destroy(pool) == UMF_RESULT_SUCCESS;
}

static void *ask(void *failed) {
    for (int i = 0; i < ROUNDS && !*(bool *)failed; i++) {
        *(bool *)failed = !use_memspace();
    }
    return NULL;
}

static void *allocate(void *unused) {
    for (unsigned i = 1; !atomic_load(&done); i = i * 7 + 1) {
        char *p = (char *)malloc(i % 5000 + 1);
        p[0] = 1;
        free(p);
    }
    return unused;
}

static void fork_and_ask(void) {
    for (int i = 0; i < FORKS; i++) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) {
            _exit(use_memspace() ? 0 : 1);
        }
        CHECK(waitpid(child, &status, 0) == child);
        CHECK_INT(status, 0);
    }
}

int main(void) {
    check_begin();
    *(void **)&host_all = dlsym(RTLD_DEFAULT, "umfMemspaceHostAllGet");
    *(void **)&count_of = dlsym(RTLD_DEFAULT, "umfMemspaceMemtargetNum");
    *(void **)&pool_from = dlsym(RTLD_DEFAULT, "umfPoolCreateFromMemspace");
    *(void **)&pool_malloc = dlsym(RTLD_DEFAULT, "umfPoolMalloc");
    *(void **)&pool_destroy = dlsym(RTLD_DEFAULT, "umfPoolDestroy");
    if (!CHECK(host_all != NULL && count_of != NULL && pool_from != NULL && pool_malloc != NULL &&
               pool_destroy != NULL)) {
        return check_end("memspace");
    }
    pthread_t askers[ASKERS], allocator;
    bool failed[ASKERS] = {false};
    CHECK_INT(pthread_create(&allocator, NULL, allocate, NULL), 0);
    for (int i = 0; i < ASKERS; i++) {
        CHECK_INT(pthread_create(&askers[i], NULL, ask, &failed[i]), 0);
    }
    for (int i = 0; i < ASKERS; i++) {
        pthread_join(askers[i], NULL);
        CHECK_MSG(!failed[i], "thread %d could not use a memspace", i);
    }
    fork_and_ask();
    atomic_store(&done, true);
    pthread_join(allocator, NULL);
    return check_end("memspace");
}

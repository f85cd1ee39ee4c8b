/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * provider=level_zero and provider=cuda as process malloc, on the stand-in drivers, which call
 * malloc under a lock of their own: a recursion would hang. gpu shared|host: what kind of memory
 * UMF_PROXY asks for.
 */
#include "check.h"

#include <pthread.h>
#include <sys/wait.h>

#include <umf/experimental/memory_properties.h>
#include <umf/memory_pool.h>
#include <umf/memory_provider_gpu.h>

enum { BLOCKS = 2000, THREADS = 4, LARGE = 6 << 20, ROUNDS = 5 };

/* The library's functions, as a program that does not link it finds them. */
static struct {
    umf_result_t (*pool_by_ptr)(const void *, umf_memory_pool_handle_t *);
    umf_result_t (*properties)(const void *, umf_memory_properties_handle_t *);
    umf_result_t (*property)(umf_memory_properties_handle_t, umf_memory_property_id_t, void *,
                             size_t);
} umf;

static void find(const char *name, void *function) {
    void *found = dlsym(RTLD_DEFAULT, name);
    CHECK_MSG(found != NULL, "%s", name);
    memcpy(function, &found, sizeof(found));
}

static umf_usm_memory_type_t type_of(const void *ptr) {
    umf_memory_properties_handle_t properties = NULL;
    umf_usm_memory_type_t type = UMF_MEMORY_TYPE_UNKNOWN;
    if (umf.properties(ptr, &properties) == UMF_RESULT_SUCCESS) {
        umf.property(properties, UMF_MEMORY_PROPERTY_POINTER_TYPE, &type, sizeof(type));
    }
    return type;
}

/* What the driver allocates while it works for the pool is ordinary memory, and what it had from
 * the program's own calls of it moves there. */
static void check_driver_memory(void) {
    const char *file = getenv("ZE_ENABLE_ALT_DRIVERS");
    void *driver = dlopen(file != NULL ? file : "libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *(*scratch)(void) = NULL;
    void *found = driver != NULL ? dlsym(driver, "standin_scratch") : NULL;
    if (!CHECK_MSG(found != NULL, "the stand-in driver is not in use")) {
        return;
    }
    memcpy(&scratch, &found, sizeof(scratch));
    enum { CALLS = 1000 };
    static void *filling[CALLS]; // so that calls of the driver by the program meet full chunks
    for (int i = 0; i < CALLS; i++) {
        CHECK(scratch() != NULL);
        filling[i] = check_hide(malloc(18000));
        if (i % 100 == 0) {
            void *large = check_hide(malloc((size_t)LARGE * 4)); // a call of the driver by the pool
            memset(large, 1, 100);
            free(large);
        }
    }
    for (int i = 0; i < CALLS; i++) {
        free(filling[i]);
        CHECK(scratch() != NULL);
    }
}

static void check_types(umf_usm_memory_type_t wanted) {
    static const size_t sizes[] = {1, 100, 1000, 10000, 100000, 1000000, LARGE};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        void *ptr = check_hide(malloc(sizes[i]));
        umf_memory_pool_handle_t pool = NULL;
        CHECK_INT(type_of(ptr), wanted);
        CHECK(umf.pool_by_ptr(ptr, &pool) == UMF_RESULT_SUCCESS && pool != NULL);
        memset(ptr, 1, sizes[i]);
        free(ptr);
    }
}

/* Grows and shrinks a crowd of blocks whose bytes tell their number. */
static void *work(void *seed) {
    unsigned char *block[BLOCKS] = {NULL};
    size_t size[BLOCKS] = {0};
    unsigned random = (unsigned)(uintptr_t)seed;
    for (int i = 0; i < BLOCKS * ROUNDS; i++) {
        random = random * 1103515245 + 12345;
        unsigned at = (random >> 8) % BLOCKS;
        size_t wanted = 1 + (random >> 4) % (i % 100 == 0 ? 300000 : 600);
        if (size[at] != 0) {
            CHECK_INT(block[at][0], at & 255);
            CHECK_INT(block[at][size[at] - 1], at & 255);
        }
        if (i % 3 == 0) {
            block[at] = check_hide(realloc(block[at], wanted));
        } else {
            free(block[at]);
            block[at] = check_hide(i % 3 == 1 ? malloc(wanted) : calloc(1, wanted));
        }
        memset(block[at], (int)(at & 255), wanted);
        size[at] = wanted;
    }
    for (int i = 0; i < BLOCKS; i++) {
        free(block[i]);
    }
    return NULL;
}

static void check_threads(void) {
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&thread[i], NULL, work, (void *)(i + 1));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
}

static void check_large(void) {
    char *ptr = check_hide(malloc(LARGE));
    for (int i = 0; i < 5; i++) {
        ptr[0] = 'a';
        ptr[LARGE - 1] = 'z';
        ptr = check_hide(realloc(ptr, (size_t)LARGE * (size_t)(i + 2)));
        CHECK(ptr != NULL && ptr[0] == 'a' && ptr[LARGE - 1] == 'z');
    }
    free(ptr);
    ptr = check_hide(aligned_alloc(1 << 16, 100000));
    CHECK_INT((uintptr_t)ptr % (1 << 16), 0);
    free(ptr);
    CHECK(check_hide(malloc(check_hide_size(PTRDIFF_MAX / 2))) == NULL);
}

/* Parent and child each have the content of before, and changes of their own. */
static void check_fork(void) {
    enum { MANY = 300 };
    char *block[MANY];
    for (int i = 0; i < MANY; i++) {
        block[i] = malloc((size_t)(1000 * (i + 1)));
        memset(block[i], i & 127, (size_t)(1000 * (i + 1)));
    }
    int go[2], status = 0;
    CHECK_INT(pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        check_failures = 0;
        char byte;
        CHECK_INT(read(go[0], &byte, 1), 1); // the parent has written to its blocks
        for (int i = 0; i < MANY; i++) {
            CHECK_INT(block[i][999], i & 127);
            block[i][0] = 99;
        }
        for (int i = 0; i < MANY; i += 2) {
            block[i] = check_hide(realloc(block[i], (size_t)(3000 * (i + 1))));
            CHECK_INT(block[i][999], i & 127);
        }
        work((void *)7);
        for (int i = 0; i < MANY; i++) {
            free(block[i]);
        }
        pid_t grandchild = fork();
        if (grandchild == 0) {
            work((void *)8);
            _exit(check_failures != 0);
        }
        int end = 0;
        CHECK_INT(waitpid(grandchild, &end, 0), grandchild);
        CHECK_INT(end, 0);
        _exit(check_failures != 0);
    }
    for (int i = 0; i < MANY; i++) {
        memset(block[i], 55, (size_t)(1000 * (i + 1)));
    }
    CHECK_INT(write(go[1], "", 1), 1);
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    for (int i = 0; i < MANY; i++) {
        CHECK_INT(block[i][0], 55);
        free(block[i]);
    }
    close(go[0]);
    close(go[1]);
}

static _Atomic(int) stop;

/* Calls of the driver all the time. */
static void *large_blocks(void *arg) {
    (void)arg;
    while (!stop) {
        char *ptr = check_hide(malloc((size_t)LARGE * 2));
        ptr[0] = 1;
        free(ptr);
        free(check_hide(malloc(100)));
    }
    return NULL;
}

/* Children of a process whose other threads are inside the driver. */
static void check_fork_in_driver(void) {
    enum { CHILDREN = 8 };
    pthread_t thread[2];
    stop = 0;
    for (int i = 0; i < 2; i++) {
        pthread_create(&thread[i], NULL, large_blocks, NULL);
    }
    for (int i = 0; i < CHILDREN; i++) {
        char *kept = check_hide(malloc(500));
        memset(kept, i, 500);
        pid_t child = fork();
        if (child == 0) {
            alarm(30);
            for (int j = 0; j < 200; j++) {
                char *ptr = check_hide(malloc((size_t)(1 + j * 1000)));
                ptr[j * 1000] = 1;
                free(ptr);
            }
            int good = kept[499] == i;
            free(kept);
            _exit(!good);
        }
        int status = 0;
        CHECK_INT(waitpid(child, &status, 0), child);
        CHECK_INT(status, 0);
        free(kept);
    }
    stop = 1;
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
    }
}

int main(int argc, char **argv) {
    check_begin();
    umf_usm_memory_type_t wanted =
        argc > 1 && strcmp(argv[1], "host") == 0 ? UMF_MEMORY_TYPE_HOST : UMF_MEMORY_TYPE_SHARED;
    find("umfPoolByPtr", &umf.pool_by_ptr);
    find("umfGetMemoryPropertiesHandle", &umf.properties);
    find("umfGetMemoryProperty", &umf.property);
    check_types(wanted);
    check_large();
    if (strstr(getenv("UMF_PROXY"), "pool=") == NULL) { // other pools: see docs/gpu.md
        check_driver_memory();
    }
    work((void *)0);
    check_threads();
    check_fork();
    check_fork_in_driver();
    check_types(wanted);
    return check_end("gpu");
}

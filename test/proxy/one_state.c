/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * one_state.c - a libumf that is loaded later, and called through its own handle, knows the blocks
 * of the preloaded library: there is one core in the process.
 *
 *   one_state <path of libumf.so>
 */
#include "pattern.h"

#include <umf/memory_pool.h>

typedef umf_result_t (*by_ptr_fn)(const void *, umf_memory_pool_handle_t *);
typedef umf_result_t (*free_anywhere_fn)(void *);
typedef void *(*pool_malloc_fn)(umf_memory_pool_handle_t, size_t);

int main(int argc, char **argv) {
    check_begin();
    if (argc != 2) {
        dprintf(2, "usage: one_state <path of libumf.so>\n");
        return 2;
    }
    void *library = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
    if (!CHECK_MSG(library != NULL, "%s", dlerror())) {
        return check_end("one_state");
    }
    by_ptr_fn mine = (by_ptr_fn)dlsym(RTLD_DEFAULT, "umfPoolByPtr");
    by_ptr_fn theirs = (by_ptr_fn)dlsym(library, "umfPoolByPtr");
    pool_malloc_fn pool_malloc = (pool_malloc_fn)dlsym(library, "umfPoolMalloc");
    free_anywhere_fn free_anywhere = (free_anywhere_fn)dlsym(library, "umfFree");
    if (!CHECK(mine != NULL && theirs != NULL && pool_malloc != NULL && free_anywhere != NULL)) {
        return check_end("one_state");
    }
    for (size_t size = 1; size < 10u << 20; size = size * 3 + 5) {
        umf_memory_pool_handle_t pool = NULL, same = NULL;
        char *p = (char *)malloc(size);
        CHECK_MSG(theirs(p, &pool) == UMF_RESULT_SUCCESS && pool != NULL,
                  "the loaded library does not know malloc(%zu)", size);
        CHECK_MSG(mine(p + size / 2, &same) == UMF_RESULT_SUCCESS && same == pool, "size %zu",
                  size);
        char *q = pool == NULL ? NULL : (char *)pool_malloc(pool, size);
        if (CHECK_MSG(q != NULL, "umfPoolMalloc(%zu) on the process pool", size)) {
            memset(q, 1, size);
            free(q); /* the pool's block is the process's block */
        }
        CHECK_INT(free_anywhere(p), UMF_RESULT_SUCCESS);
    }
    umf_memory_pool_handle_t pool = (umf_memory_pool_handle_t)&pool;
    CHECK(theirs(&pool, &pool) != UMF_RESULT_SUCCESS);
    CHECK(pool == NULL);
    dlclose(library);
    char *p = (char *)malloc(100); /* unloading the second one leaves the first alone */
    CHECK(p != NULL && mine(p, &pool) == UMF_RESULT_SUCCESS);
    free(p);
    return check_end("one_state");
}

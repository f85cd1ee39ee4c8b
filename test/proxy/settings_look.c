/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * settings_look.c - the child of settings_effect.c: a process under UMF_PROXY that looks at its own
 * heap and prints one figure.
 */
#include "settings_effect.h"

#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

typedef umf_result_t (*ctl_fn)(const char *path, void *arg, size_t size, ...);
typedef umf_result_t (*by_ptr_fn)(const void *, umf_memory_pool_handle_t *);
typedef umf_result_t (*provider_fn)(umf_memory_pool_handle_t, umf_memory_provider_handle_t *);

static umf_memory_pool_handle_t process_pool(void) {
    by_ptr_fn by_ptr = (by_ptr_fn)dlsym(RTLD_DEFAULT, "umfPoolByPtr");
    umf_memory_pool_handle_t pool = NULL;
    void *p = malloc(100);
    CHECK_INT(by_ptr(p, &pool), UMF_RESULT_SUCCESS);
    free(p);
    return pool;
}

/* A number of the pool that serves malloc, or -1 when it does not tell. */
static long long pool_figure(const char *node, size_t bytes) {
    ctl_fn get = (ctl_fn)dlsym(RTLD_DEFAULT, "umfCtlGet");
    char path[PATH_BYTES];
    unsigned long long value = 0; /* little-endian: a shorter value lands in the low bytes */
    snprintf(path, sizeof(path), "umf.pool.by_handle.{}.%s", node);
    return get(path, &value, bytes, process_pool()) == UMF_RESULT_SUCCESS ? (long long)value : -1;
}

/* Bytes that the provider of that pool has given out. */
static long long provider_bytes(void) {
    ctl_fn get = (ctl_fn)dlsym(RTLD_DEFAULT, "umfCtlGet");
    provider_fn get_provider = (provider_fn)dlsym(RTLD_DEFAULT, "umfPoolGetMemoryProvider");
    umf_memory_provider_handle_t provider = NULL;
    size_t bytes = 0;
    CHECK_INT(get_provider(process_pool(), &provider), UMF_RESULT_SUCCESS);
    CHECK_INT(
        get("umf.provider.by_handle.{}.stats.allocated_memory", &bytes, sizeof(bytes), provider),
        UMF_RESULT_SUCCESS);
    return (long long)bytes;
}

/* Bytes more than before that the provider has out after `count` blocks came and went. */
static long long bytes_kept(size_t count, size_t size) {
    static void *blocks[128];
    long long before = provider_bytes();
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(size);
    }
    long long high = provider_bytes();
    CHECK_MSG(high - before >= (long long)(count * size / 2), "only %lld bytes for %zu of %zu",
              high - before, count, size);
    for (size_t i = 0; i < count; i++) {
        free(blocks[i]);
    }
    return provider_bytes() - before;
}

static long long look_kept_blocks(void) {
    return bytes_kept(100,
                      100000); /* of slabs with several blocks one is kept, whatever the capacity */
}

static long long look_kept_large(void) {
    return bytes_kept(4, 160 * (size_t)MIB);
}

static long long look_keep_all(void) {
    return pool_figure("params.keep_all_memory", sizeof(bool));
}

static long long look_granularity(void) {
    return pool_figure("params.granularity", sizeof(size_t));
}

static long long look_arenas(void) {
    return pool_figure("params.num_arenas", sizeof(size_t));
}

static long long look_first_bucket(void) {
    return pool_figure("buckets.0.size", sizeof(size_t));
}

static long long look_capacity(void) {
    return pool_figure("params.capacity", sizeof(size_t));
}

/* Bytes of slabs that a block of 30000 brings in a pool that has none of its size yet. */
static long long look_slab(void) {
    long long before = pool_figure("stats.reserved_memory", sizeof(size_t));
    void *p = malloc(30000);
    long long bytes = pool_figure("stats.reserved_memory", sizeof(size_t)) - before;
    free(p);
    return bytes;
}

/* Bytes of a block of 300000 that lie in slabs. */
static long long look_in_slabs(void) {
    long long before = pool_figure("stats.used_memory", sizeof(size_t));
    void *p = malloc(300000);
    long long bytes = pool_figure("stats.used_memory", sizeof(size_t)) - before;
    free(p);
    return bytes;
}

static long long look_slab_count(void) {
    return pool_figure("stats.max_slabs_in_use", sizeof(size_t));
}

static long long look_call_count(void) {
    return pool_figure("stats.alloc_num", sizeof(size_t));
}

/* Runs code in the heap; without the permission that is the end of the process. */
static long long look_code(void) {
#if defined(__x86_64__)
    static const unsigned char code[] = {0xb8, 0x2a, 0, 0, 0, 0xc3}; /* return 42 */
#elif defined(__aarch64__)
    static const unsigned char code[] = {0x40, 0x05, 0x80, 0x52, 0xc0, 0x03, 0x5f, 0xd6};
#else
    CHECK_SKIP("no machine code for this processor");
#endif
    char *p = (char *)memcpy(malloc(300000), code, sizeof(code));
    __builtin___clear_cache(p, p + sizeof(code));
    int (*function)(void);
    memcpy(&function, &p, sizeof(function));
    return function();
}

/* Sends itself SIGUSR2 and waits for the report in the file that TEST_REPORT names. */
static long long look_signal(void) {
    const char *path = getenv("TEST_REPORT");
    raise(SIGUSR2);
    for (int i = 0; i < 1000 && access(path, F_OK) != 0; i++) {
        usleep(10000);
    }
    return access(path, F_OK) == 0;
}

__attribute__((noinline)) static void leak_one(size_t size) {
    void *volatile lost = malloc(size);
    (void)lost;
}

__attribute__((noinline)) static void leak_two(size_t size) {
    leak_one(size + 1);
    leak_one(size + 2);
}

static long long look_leaks(void) {
    leak_one(100);
    leak_one(200);
    leak_two(300);
    return 0;
}

/* Bytes that can be had in blocks of 64 KiB, at most 256 MiB. */
static long long look_room(void) {
    enum { BYTES = 64 * KIB, BLOCKS = 4096 };
    long long bytes = 0;
    for (int i = 0; i < BLOCKS && check_hide(malloc(BYTES)) != NULL; i++) {
        bytes += BYTES;
    }
    return bytes;
}

enum { PAGES = 16384 };

/* Nodes of the pages of a block of 64 MiB. */
static const int *page_nodes(void) {
    static int node[PAGES];
    static void *page[PAGES];
    size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    char *p = (char *)memset(malloc(PAGES * bytes), 1, PAGES * bytes);
    p += -(uintptr_t)p % bytes; /* the last one may be another's then, one of so many */
    for (size_t i = 0; i < PAGES; i++) {
        page[i] = p + i * bytes;
    }
    CHECK_INT(syscall(SYS_move_pages, 0, PAGES - 1, page, NULL, node, 0), 0);
    return node;
}

static long long look_node_changes(void) {
    const int *node = page_nodes();
    long long changes = 0;
    for (size_t i = 1; i < PAGES - 1; i++) {
        changes += node[i] != node[i - 1];
    }
    return changes;
}

static long long look_node0_percent(void) {
    const int *node = page_nodes();
    long long pages = 0;
    for (size_t i = 0; i < PAGES - 1; i++) {
        pages += node[i] == 0;
    }
    return pages * 100 / PAGES;
}

static const struct {
    const char *name;
    long long (*figure)(void);
} looks[] = {
    {"kept_blocks", look_kept_blocks},
    {"kept_large", look_kept_large},
    {"keep_all", look_keep_all},
    {"granularity", look_granularity},
    {"arenas", look_arenas},
    {"first_bucket", look_first_bucket},
    {"capacity", look_capacity},
    {"slab", look_slab},
    {"in_slabs", look_in_slabs},
    {"slab_count", look_slab_count},
    {"call_count", look_call_count},
    {"code", look_code},
    {"signal", look_signal},
    {"leaks", look_leaks},
    {"room", look_room},
    {"node_changes", look_node_changes},
    {"node0_percent", look_node0_percent},
};

int settings_look(const char *what) {
    for (size_t i = 0; i < COUNT(looks); i++) {
        if (strcmp(looks[i].name, what) == 0) {
            long long value = looks[i].figure();
            dprintf(1, "value %lld\n", value);
            return check_failures == 0 ? 0 : FAILED_LOOK;
        }
    }
    dprintf(2, "no such look: %s\n", what);
    return 2;
}

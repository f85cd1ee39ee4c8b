/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * settings.c - what UMF_PROXY does to a running program: good values take effect, wrong ones cost
 * one clear line and nothing else.
 *
 *   settings <group>        runs one group of checks (see `groups`); each is a test of its own
 *   settings work <what>    is the child that runs under the setting and looks at itself
 */
#include "child.h"
#include "pattern.h"

#include <malloc.h>
#include <pthread.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char *self_path;
static child_result_t result;

static int mentions(const char *text, const char *word) {
    return strstr(text, word) != NULL;
}

static void run_work(const char *what, const char *setting) {
    char *argv[] = {self_path, (char *)"work", (char *)what, NULL};
    child_run(argv, "UMF_PROXY", setting, &result);
}

/* The child did its work under the setting, and said nothing on stderr. */
static void check_quiet_work(const char *what, const char *setting) {
    run_work(what, setting);
    CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "work ok"),
              "UMF_PROXY=%s: status 0x%x, '%s' '%s'", setting, result.status, result.out,
              result.err);
    CHECK_MSG(result.err[0] == '\0', "UMF_PROXY=%s: stderr '%s'", setting, result.err);
}

/* ---- the child ---- */

static umf_result_t pool_of(const void *p, umf_memory_pool_handle_t *pool) {
    typedef umf_result_t (*by_ptr_fn)(const void *, umf_memory_pool_handle_t *);
    static by_ptr_fn by_ptr;
    if (by_ptr == NULL) {
        by_ptr = (by_ptr_fn)dlsym(RTLD_DEFAULT, "umfPoolByPtr");
        if (!CHECK_MSG(by_ptr != NULL, "no umfPoolByPtr in the process")) {
            return UMF_RESULT_ERROR_UNKNOWN;
        }
    }
    return by_ptr(p, pool);
}

static int in_pool(const void *p) {
    umf_memory_pool_handle_t pool = (umf_memory_pool_handle_t)&pool;
    umf_result_t rc = pool_of(p, &pool);
    CHECK_MSG((rc == UMF_RESULT_SUCCESS) == (pool != NULL), "umfPoolByPtr gives %d and pool %p",
              (int)rc, (void *)pool);
    return rc == UMF_RESULT_SUCCESS;
}

static void *work_thread(void *arg) {
    uint64_t seed = *(uint64_t *)arg;
    rng_t rng = {seed};
    unsigned char *blocks[64] = {NULL};
    size_t sizes[64] = {0};
    for (uint64_t i = 0; i < 6000; i++) {
        size_t k = rng_below(&rng, 64);
        CHECK_INT(pattern_mismatch(blocks[k], sizes[k], sizes[k], k), sizes[k]);
        free(blocks[k]);
        sizes[k] = rng_size(&rng) / 8 + 1;
        blocks[k] = (unsigned char *)(i % 9 == 0   ? memalign(4096, sizes[k])
                                      : i % 3 == 0 ? calloc(1, sizes[k])
                                                   : malloc(sizes[k] / 2 + 1));
        blocks[k] = (unsigned char *)realloc(blocks[k], sizes[k]);
        if (!CHECK_MSG(blocks[k] != NULL, "%zu bytes", sizes[k])) {
            sizes[k] = 0;
            continue;
        }
        pattern_fill(blocks[k], sizes[k], k);
    }
    for (int k = 0; k < 64; k++) {
        free(blocks[k]);
    }
    return NULL;
}

/* Ordinary life: all sizes, two threads, a child process. */
static void work_all(void) {
    pthread_t thread;
    uint64_t seeds[3] = {1, 2, 3};
    CHECK_INT(pthread_create(&thread, NULL, work_thread, &seeds[0]), 0);
    work_thread(&seeds[1]);
    pthread_join(thread, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        work_thread(&seeds[2]);
        _exit(check_failures != 0);
    }
    child_wait_ok(pid, "fork");
}

/* With size.threshold=64: who serves what, and realloc never moves a block to the other side. */
static void work_threshold(void) {
    for (size_t size = 1; size < 200; size++) {
        void *p[3] = {malloc(size), calloc(1, size), aligned_alloc(16, size)};
        for (int i = 0; i < 3; i++) {
            CHECK_MSG(in_pool(p[i]) == (size >= 64), "call %d of %zu bytes", i, size);
            CHECK(malloc_usable_size(p[i]) >= size);
            memset(p[i], 1, size);
            free(p[i]);
        }
    }
    CHECK(!in_pool(malloc(63)));
    CHECK(in_pool(malloc(64)));
    void *product = calloc(8, 8); /* the product counts */
    CHECK(in_pool(product));
    free(product);
    unsigned char *small = (unsigned char *)malloc(63);
    unsigned char *large = (unsigned char *)malloc(100000);
    pattern_fill(small, 63, 5);
    pattern_fill(large, 100000, 6);
    for (size_t size = 64; size < 1u << 20; size *= 2) {
        small = (unsigned char *)realloc(small, size);
        CHECK_MSG(small != NULL && !in_pool(small), "a block of libc moved to the pool at %zu",
                  size);
        CHECK_INT(pattern_mismatch(small, 63, 63, 5), 63);
    }
    for (size_t size = 50000; size > 0; size /= 3) {
        large = (unsigned char *)realloc(large, size);
        CHECK_MSG(large != NULL && in_pool(large), "a block of the pool moved to libc at %zu",
                  size);
        CHECK(large[0] == pattern_byte(6, 0));
    }
    free(small);
    free(large);
    CHECK(realloc(malloc(10), check_hide_size(0)) == NULL);
}

static int file_exists(const char *format, int pid, char *path, size_t room) {
    snprintf(path, room, format, pid);
    return access(path, F_OK) == 0;
}

static const char SHM_PATH[] = "/dev/shm/umf_proxy_lib_shm_pid_%d";

static void work_shm(void) {
    char path[128];
    void *p = malloc(100000);
    CHECK_MSG(file_exists(SHM_PATH, (int)getpid(), path, sizeof(path)), "no %s", path);
    free(p);
}

/* The line of /proc/self/maps, or of another file in that form, that covers the address. */
static int find_mapping(const char *file, const void *p, char *line, size_t room) {
    FILE *maps = fopen(file, "r");
    unsigned long start, end;
    int found = 0;
    while (maps != NULL && !found && fgets(line, (int)room, maps) != NULL) {
        found = sscanf(line, "%lx-%lx", &start, &end) == 2 && (uintptr_t)p >= start &&
                (uintptr_t)p < end;
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

static void work_fd(void) {
    static const size_t sizes[] = {10, 5000, 300000, 20u << 20};
    char line[512] = "";
    for (size_t i = 0; i < COUNT(sizes); i++) {
        char *p = (char *)malloc(sizes[i]);
        p[0] = 1;
        CHECK_MSG(find_mapping("/proc/self/maps", p, line, sizeof(line)), "%p is not mapped",
                  (void *)p);
        CHECK_MSG(mentions(line, "memfd") || mentions(line, "secretmem"), "mapping is '%s'", line);
        CHECK_MSG(mentions(line, "rw-s"), "mapping is '%s'", line);
        free(p);
    }
    /* system calls must be able to read the heap (secret memory would refuse) */
    int pipe_ends[2];
    char *text = (char *)memset(malloc(4000), 'x', 4000);
    CHECK_INT(pipe(pipe_ends), 0);
    CHECK_INT(write(pipe_ends[1], text, 4000), 4000);
    free(text);
}

/* After fork the heaps of parent and child are two, whatever the pages are made of. */
static void work_fork_apart(void) {
    enum { BLOCKS = 300 };
    static unsigned char *blocks[BLOCKS];
    int to_child[2], to_parent[2];
    char byte = 0;
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = (unsigned char *)malloc(i * i * 3 + 1);
        pattern_fill(blocks[i], i * i * 3 + 1, i);
    }
    CHECK(pipe(to_child) == 0 && pipe(to_parent) == 0);
    pid_t pid = fork();
    for (size_t i = 0; i < BLOCKS; i++) { /* both, at the same time, in opposite ways */
        size_t size = i * i * 3 + 1;
        CHECK_INT(pattern_mismatch(blocks[i], size, size, i), size);
        pattern_fill(blocks[i], size, i + (pid == 0 ? 1000 : 2000));
        free(malloc(size));
    }
    /* each waits until the other has written everything */
    CHECK_INT(write(pid == 0 ? to_parent[1] : to_child[1], "x", 1), 1);
    CHECK_INT(read(pid == 0 ? to_child[0] : to_parent[0], &byte, 1), 1);
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t size = i * i * 3 + 1;
        size_t wrong = pattern_mismatch(blocks[i], size, size, i + (pid == 0 ? 1000 : 2000));
        CHECK_MSG(wrong == size, "%s: block of %zu bytes was changed from outside at %zu",
                  pid == 0 ? "child" : "parent", size, wrong);
        free(blocks[i]);
    }
    if (pid == 0) {
        work_thread(&(uint64_t){9});
        _exit(check_failures != 0);
    }
    work_thread(&(uint64_t){8});
    child_wait_ok(pid, "fork");
}

/* numa_maps has only the first address of each mapping: the last line that starts at or below the
 * block is its. */
static void work_numa_line(void) {
    enum { BYTES = 64 << 20 };
    char line[1024], best[1024] = "";
    char *p = (char *)malloc(BYTES);
    memset(p, 1, BYTES);
    FILE *maps = fopen("/proc/self/numa_maps", "r");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (strtoull(line, NULL, 16) <= (uintptr_t)p + BYTES / 2) {
            strcpy(best, line);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    free(p);
    dprintf(1, "%s", best);
}

/* Page size and huge pages of the mapping of a large block, from smaps. */
static void work_smaps(void) {
    enum { BYTES = 64 << 20 };
    char line[512];
    unsigned long start, end;
    char *p = (char *)malloc(BYTES);
    memset(p, 1, BYTES);
    FILE *maps = fopen("/proc/self/smaps", "r");
    int inside = 0;
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
            inside = (uintptr_t)p + BYTES / 2 >= start && (uintptr_t)p + BYTES / 2 < end;
        } else if (inside && (strncmp(line, "KernelPageSize:", 15) == 0 ||
                              strncmp(line, "AnonHugePages:", 14) == 0 ||
                              strncmp(line, "VmFlags:", 8) == 0)) {
            dprintf(1, "%s", line);
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    free(p);
}

/* Kind and line of the mapping of a large block, and whether it may be executed. */
static void work_mapping(void) {
    enum { BYTES = 4 << 20 };
    char line[2048] = "";
    char *p = (char *)memset(malloc(BYTES), 1, BYTES);
    CHECK_MSG(find_mapping("/proc/self/maps", p + BYTES / 2, line, sizeof(line)),
              "%p is not mapped", (void *)p);
    dprintf(1, "%s", line);
    free(p);
}

/* Names of the pool and of the provider that serve malloc. */
static void work_names(void) {
    typedef umf_result_t (*pool_name_fn)(umf_memory_pool_handle_t, const char **);
    typedef umf_result_t (*pool_provider_fn)(umf_memory_pool_handle_t,
                                             umf_memory_provider_handle_t *);
    typedef umf_result_t (*provider_name_fn)(umf_memory_provider_handle_t, const char **);
    pool_name_fn pool_name = (pool_name_fn)dlsym(RTLD_DEFAULT, "umfPoolGetName");
    pool_provider_fn get_provider =
        (pool_provider_fn)dlsym(RTLD_DEFAULT, "umfPoolGetMemoryProvider");
    provider_name_fn provider_name =
        (provider_name_fn)dlsym(RTLD_DEFAULT, "umfMemoryProviderGetName");
    umf_memory_pool_handle_t pool = NULL;
    umf_memory_provider_handle_t provider = NULL;
    const char *name = NULL, *its_provider = NULL;
    void *p = malloc(100);
    CHECK_INT(pool_of(p, &pool), UMF_RESULT_SUCCESS);
    CHECK_INT(pool_name(pool, &name), UMF_RESULT_SUCCESS);
    CHECK_INT(get_provider(pool, &provider), UMF_RESULT_SUCCESS);
    CHECK_INT(provider_name(provider, &its_provider), UMF_RESULT_SUCCESS);
    dprintf(1, "pool %s provider %s\n", name, its_provider);
    free(p);
}

/* Takes memory until there is none (at most 512 MiB), and frees it; tells how much it was. */
static void work_exhaust(void) {
    enum { BYTES = 1 << 20, BLOCKS = 512 };
    static char *blocks[BLOCKS];
    int count = 0;
    errno = 0;
    while (count < BLOCKS && (blocks[count] = (char *)malloc(BYTES)) != NULL) {
        memset(blocks[count], count + 1, BYTES);
        count++;
    }
    dprintf(1, "blocks %d errno %d\n", count, count < BLOCKS ? errno : 0);
    if (count < BLOCKS) {
        CHECK(calloc(2, BYTES) == NULL && errno == ENOMEM);
        CHECK(realloc(blocks[0], 4 * BYTES) == NULL && errno == ENOMEM);
        CHECK(memalign(4096, 2 * BYTES) == NULL && errno == ENOMEM);
    } else {
        unsigned char *zeros = (unsigned char *)calloc(2, BYTES);
        CHECK(zeros != NULL && zeros[0] == 0 && zeros[2 * BYTES - 1] == 0);
        free(zeros);
        blocks[0] = (char *)realloc(blocks[0], 4 * BYTES);
        CHECK(blocks[0] != NULL && blocks[0][BYTES - 1] == 1);
        void *aligned = memalign(1 << 16, 2 * BYTES);
        CHECK(aligned != NULL && (uintptr_t)aligned % (1 << 16) == 0);
        free(aligned);
    }
    for (int i = 0; i < count; i++) {
        CHECK_MSG(blocks[i][BYTES / 2] == (char)(i + 1), "block %d was overwritten", i);
        free(blocks[i]);
    }
    work_thread(&(uint64_t){7});
}

static int threads_stop;

static void *work_busy_thread(void *arg) {
    uint64_t seed = (uint64_t)(uintptr_t)arg;
    while (!__atomic_load_n(&threads_stop, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 200; i++) {
            free(realloc(malloc(seed % 3000 + 1), seed % 5000 + 1));
            seed = seed * 6364136223846793005u + 1442695040888963407u;
        }
    }
    return NULL;
}

/* Forks while other threads are inside the pool: the child must find it usable. */
static void work_fork_busy(void) {
    enum { THREADS = 3, FORKS = 40 };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        CHECK_INT(pthread_create(&threads[i], NULL, work_busy_thread, (void *)(uintptr_t)(i + 1)),
                  0);
    }
    for (int i = 0; i < FORKS && check_failures == 0; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            for (size_t size = 1; size < 100000; size = size * 2 + 7) {
                free(memset(malloc(size), 1, size));
            }
            _exit(0);
        }
        child_wait_ok(pid, "fork with busy threads");
    }
    __atomic_store_n(&threads_stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

/* Every small size is aligned as programs expect. */
static void work_alignment(void) {
    for (size_t size = 0; size < 4000; size++) {
        void *p[3] = {malloc(size), calloc(1, size), realloc(malloc(1), size + 1)};
        for (int i = 0; i < 3; i++) {
            CHECK_MSG(p[i] != NULL && (uintptr_t)p[i] % 16 == 0, "%zu bytes at %p", size, p[i]);
            CHECK(malloc_usable_size(p[i]) >= size);
            free(p[i]);
        }
    }
    for (size_t alignment = 16; alignment <= 1 << 21; alignment *= 2) {
        void *p = memalign(alignment, 100);
        CHECK_MSG((uintptr_t)p % alignment == 0, "%p for %zu", p, alignment);
        free(p);
    }
}

/* Bytes that the provider has given out for a few small blocks. */
static void work_provider_bytes(void) {
    typedef umf_result_t (*ctl_get_fn)(const char *, void *, size_t, ...);
    typedef umf_result_t (*pool_provider_fn)(umf_memory_pool_handle_t,
                                             umf_memory_provider_handle_t *);
    ctl_get_fn ctl_get = (ctl_get_fn)dlsym(RTLD_DEFAULT, "umfCtlGet");
    pool_provider_fn get_provider =
        (pool_provider_fn)dlsym(RTLD_DEFAULT, "umfPoolGetMemoryProvider");
    umf_memory_pool_handle_t pool = NULL;
    umf_memory_provider_handle_t provider = NULL;
    size_t bytes = 0;
    void *p = malloc(100);
    CHECK_INT(pool_of(p, &pool), UMF_RESULT_SUCCESS);
    CHECK_INT(get_provider(pool, &provider), UMF_RESULT_SUCCESS);
    CHECK_INT(ctl_get("umf.provider.by_handle.{}.stats.allocated_memory", &bytes, sizeof(bytes),
                      provider),
              UMF_RESULT_SUCCESS);
    dprintf(1, "bytes %zu\n", bytes);
    free(p);
}

static const struct {
    const char *name;
    void (*run)(void);
} works[] = {
    {"all", work_all},
    {"threshold", work_threshold},
    {"shm", work_shm},
    {"fd", work_fd},
    {"apart", work_fork_apart},
    {"numa", work_numa_line},
    {"smaps", work_smaps},
    {"mapping", work_mapping},
    {"names", work_names},
    {"bytes", work_provider_bytes},
    {"exhaust", work_exhaust},
    {"fork_busy", work_fork_busy},
    {"alignment", work_alignment},
};

static int work(const char *what) {
    for (size_t i = 0; i < COUNT(works); i++) {
        if (strcmp(works[i].name, what) == 0) {
            works[i].run();
            dprintf(1, check_failures == 0 ? "work ok\n" : "work failed\n");
            return check_failures != 0;
        }
    }
    dprintf(2, "no such work: %s\n", what);
    return 2;
}

/* ---- groups ---- */

static void group_good(void) {
    static const char *const settings[] = {
        "",
        ";",
        "page.disposition=private",
        "page.disposition=shared-fd",
        "page.disposition=shared-shm",
        "size.threshold=0",
        "size.threshold=64",
        "size.threshold=64k",
        "size.threshold=1M",
        "size.threshold=1G",
        "pool=slab",
        "pool=proxy",
        "pool=proxy;size.threshold=128",
        "pool=scalable",
        "pool=jemalloc",
        "pool=disjoint",
        "pool=scalable;scalable.granularity=4M;scalable.keep.all=yes",
        "pool=jemalloc;jemalloc.arenas=2",
        "pool=disjoint;disjoint.slab.min.size=1M;disjoint.max.poolable.size=64k;"
        "disjoint.capacity=1;disjoint.min.bucket.size=64;disjoint.limit=8M;disjoint.trace=1",
        "provider=fixed;fixed.size=1G",
        "pool=scalable;provider=fixed;fixed.size=1G",
        "pool=jemalloc;size.threshold=256",
        "pool.name=heap;provider.name=memory",
        "on.exhausted=null",
        "on.exhausted=abort",
        "page.disposition=shared-fd;size.threshold=64",
        "os.page.size=transparent",
        "os.page.size=2M",
        "on.error=warn",
        "on.error=abort",
        "stats=off",
        " size.threshold = 100 ; pool = slab ; ",
        "slab.keep.all=yes",
        "slab.purge.delay=0",
        "slab.purge.delay=2s",
    };
    for (size_t i = 0; i < COUNT(settings); i++) {
        check_quiet_work("all", settings[i]);
    }
}

static void group_bad(void) {
    /* entry, and the words that its line must have: the key, the value, what is allowed */
    static const struct {
        const char *setting;
        const char *words[3];
    } bad[] = {
        {"foo=1", {"foo", "help"}},
        {"pool=bogus", {"pool=bogus", "slab", "proxy"}},
        {"pool=", {"pool", "slab", "proxy"}},
        {"pool", {"pool", "slab", "proxy"}},
        {"size.threshold=abc", {"size.threshold=abc", "number"}},
        {"size.threshold=-1", {"size.threshold=-1", "number"}},
        {"size.threshold=", {"size.threshold", "number"}},
        {"size.threshold=64q", {"size.threshold=64q", "number"}},
        {"size.threshold=99999999999999999999999", {"size.threshold=99999", "range"}},
        {"size.threshold=222;abcd", {"abcd", "help"}},
        {"page.disposition=xyz", {"page.disposition=xyz", "shared-shm", "shared-fd"}},
        {"xpage.disposition=shared-fdfoo", {"xpage.disposition", "page.disposition"}},
        {"on.error=never", {"on.error=never", "warn", "abort"}},
        {"os.numa.mode=sideways", {"os.numa.mode=sideways", "bind", "interleave"}},
        {"os.page.size=3", {"os.page.size=3", "2M", "1G"}},
        {"stats=maybe", {"stats=maybe", "off", "exit"}},
        {"os.numa.mode=bind", {"os.numa.mode=bind", "os.numa.nodes"}},
        {"=5", {"=5"}},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        run_work("all", bad[i].setting);
        CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "work ok"),
                  "UMF_PROXY=%s: status 0x%x, '%s'", bad[i].setting, result.status, result.err);
        CHECK_MSG(child_count_lines(result.err) == 1 && strncmp(result.err, "umf: ", 5) == 0,
                  "UMF_PROXY=%s: stderr '%s'", bad[i].setting, result.err);
        for (int k = 0; k < 3 && bad[i].words[k] != NULL; k++) {
            CHECK_MSG(mentions(result.err, bad[i].words[k]), "UMF_PROXY=%s: no '%s' in '%s'",
                      bad[i].setting, bad[i].words[k], result.err);
        }
    }
    run_work("all", "foo=1;pool=bogus;size.threshold=64;stats=maybe"); /* one line each */
    CHECK_MSG(child_exited(&result, 0) && child_count_lines(result.err) == 3, "'%s'", result.err);
    run_work("threshold", "foo=1;size.threshold=64;pool=bogus"); /* the good one counts */
    CHECK_MSG(child_exited(&result, 0), "'%s' '%s'", result.out, result.err);
}

static void group_on_error(void) {
    run_work("all", "on.error=abort;pool=bogus");
    CHECK_MSG(child_killed(&result, SIGABRT) && mentions(result.err, "pool=bogus"),
              "status 0x%x, '%s'", result.status, result.err);
    run_work("all", "pool=bogus;on.error=abort"); /* in any order */
    CHECK_MSG(child_killed(&result, SIGABRT), "status 0x%x, '%s'", result.status, result.err);
    run_work("all", "on.error=warn;pool=bogus");
    CHECK_MSG(child_exited(&result, 0) && child_count_lines(result.err) == 1, "status 0x%x, '%s'",
              result.status, result.err);
}

static void group_help(void) {
    static const char *const keys[] = {
        "page.disposition", "size.threshold", "pool",     "os.page.size",
        "os.numa.mode",     "stats",          "on.error", "log"};
    run_work("all", "help");
    CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "work ok"), "status 0x%x",
              result.status);
    for (size_t i = 0; i < COUNT(keys); i++) {
        CHECK_MSG(mentions(result.err, keys[i]), "help does not name %s", keys[i]);
    }
    run_work("all", "size.threshold=64;help");
    CHECK_MSG(child_exited(&result, 0) && mentions(result.err, "size.threshold"), "status 0x%x",
              result.status);
}

static void group_threshold(void) {
    check_quiet_work("threshold", "size.threshold=64");
    check_quiet_work("threshold", "pool=proxy;size.threshold=64");
    check_quiet_work("threshold", "page.disposition=shared-fd;size.threshold=64");
}

static void group_shm(void) {
    char path[128];
    if (access("/dev/shm", W_OK) != 0) {
        CHECK_SKIP("/dev/shm is not writable");
    }
    check_quiet_work("shm", "page.disposition=shared-shm");
    CHECK_MSG(!file_exists(SHM_PATH, (int)result.pid, path, sizeof(path)),
              "%s outlives its process", path);
    check_quiet_work("apart", "page.disposition=shared-shm");
    CHECK_MSG(!file_exists(SHM_PATH, (int)result.pid, path, sizeof(path)),
              "%s outlives its process", path);
}

static void group_fd(void) {
    check_quiet_work("fd", "page.disposition=shared-fd");
    check_quiet_work("apart", "page.disposition=shared-fd");
    check_quiet_work("apart", "page.disposition=shared-fd;pool=proxy");
    check_quiet_work("apart", ""); /* and the check itself is right for private memory */
}

static void group_stats(void) {
    run_work("all", "stats=exit");
    CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "work ok"), "status 0x%x",
              result.status);
    CHECK_MSG(result.err[0] != '\0' && strpbrk(result.err, "0123456789") != NULL, "stderr is '%s'",
              result.err);
    run_work("all", NULL);
    CHECK_MSG(result.err[0] == '\0', "without the setting stderr is '%s'", result.err);
}

static long sysfs_number(const char *path) {
    FILE *file = fopen(path, "r");
    long number = 0;
    if (file != NULL) {
        if (fscanf(file, "%ld", &number) != 1) {
            number = 0;
        }
        fclose(file);
    }
    return number;
}

static void group_huge_pages(void) {
    enum { WANTED = 64 /* 2M pages: twice what the block needs */ };
    long available = sysfs_number("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages");
    check_quiet_work("smaps", "os.page.size=2M"); /* falls back where there are none */
    if (available < WANTED) {
        CHECK_MSG(mentions(result.out, "KernelPageSize:        4 kB"), "'%s'", result.out);
        if (check_failures == 0) {
            CHECK_SKIP("fallback is right; 2M pages not checked: %ld free here, %d needed",
                       available, WANTED);
        }
        return;
    }
    CHECK_MSG(mentions(result.out, "KernelPageSize:     2048 kB"), "'%s'", result.out);
}

static void group_transparent(void) {
    char text[64] = "";
    FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
    if (file == NULL || fgets(text, sizeof(text), file) == NULL || mentions(text, "[never]")) {
        CHECK_SKIP("transparent huge pages are switched off here");
    }
    fclose(file);
    check_quiet_work("smaps", "os.page.size=transparent");
    /* "hg": madvise(MADV_HUGEPAGE); whether the kernel finds huge pages is its business */
    CHECK_MSG(mentions(text, "[always]") || mentions(result.out, " hg"), "'%s'", result.out);
}

static void group_numa(void) {
    if (access("/proc/self/numa_maps", R_OK) != 0) {
        CHECK_SKIP("no /proc/self/numa_maps: a kernel without NUMA");
    }
    check_quiet_work("numa", "os.numa.mode=bind;os.numa.nodes=0");
    CHECK_MSG(mentions(result.out, " bind:0"), "numa_maps says '%s'", result.out);
    check_quiet_work("numa", "os.numa.mode=interleave;os.numa.nodes=0");
    /* over one node there is nothing to interleave: binding is as good */
    CHECK_MSG(mentions(result.out, " interleave:0") || mentions(result.out, " bind:0"),
              "numa_maps says '%s'", result.out);
    check_quiet_work("numa", "");
    CHECK_MSG(mentions(result.out, " default"), "numa_maps says '%s'", result.out);
    if (access("/sys/devices/system/node/node1", R_OK) ==
        0) { /* scripts/test-vm has such a machine */
        check_quiet_work("numa", "os.numa.mode=bind;os.numa.nodes=1");
        CHECK_MSG(mentions(result.out, " bind:1") && mentions(result.out, " N1=") &&
                      !mentions(result.out, " N0="),
                  "numa_maps says '%s'", result.out);
        check_quiet_work("numa", "os.numa.mode=interleave;os.numa.nodes=0-1");
        CHECK_MSG(mentions(result.out, " interleave:0-1") && mentions(result.out, " N0=") &&
                      mentions(result.out, " N1="),
                  "numa_maps says '%s'", result.out);
        check_quiet_work("numa", "os.numa.mode=preferred;os.numa.nodes=1");
        CHECK_MSG(mentions(result.out, " N1=") && !mentions(result.out, " N0="),
                  "numa_maps says '%s'", result.out);
    }
}

/* The kernel's policy on a large block for each memspace. Without HMAT four of them are refused. */
static void group_memspace(void) {
    static const char *const by_speed[] = {"highest_bandwidth", "lowest_latency", "local_bandwidth",
                                           "local_latency"};
    char setting[64];
    if (access("/proc/self/numa_maps", R_OK) != 0) {
        CHECK_SKIP("no /proc/self/numa_maps: a kernel without NUMA");
    }
    check_quiet_work("numa", "memspace=host_all");
    CHECK_MSG(mentions(result.out, " default"), "numa_maps says '%s'", result.out);
    check_quiet_work("numa", "memspace=highest_capacity");
    CHECK_MSG(mentions(result.out, " bind:"), "numa_maps says '%s'", result.out);
    const int told =
        sysfs_number("/sys/devices/system/node/node0/access0/initiators/read_bandwidth") > 0;
    for (size_t i = 0; i < COUNT(by_speed); i++) {
        snprintf(setting, sizeof(setting), "memspace=%s", by_speed[i]);
        if (told) {
            const char *policy = i < 2 ? " bind:" : " prefer";
            check_quiet_work("numa", setting);
            CHECK_MSG(mentions(result.out, policy), "%s: numa_maps says '%s'", setting, result.out);
        } else {
            run_work("numa", setting);
            CHECK_MSG(mentions(result.err, "does not tell bandwidth and latency"), "%s: '%s'",
                      setting, result.err);
            CHECK_MSG(mentions(result.out, " default"), "%s: numa_maps says '%s'", setting,
                      result.out);
        }
    }
}

static void check_output(const char *what, const char *setting, const char *part) {
    check_quiet_work(what, setting);
    CHECK_MSG(mentions(result.out, part), "UMF_PROXY=%s: '%s' without '%s'", setting, result.out,
              part);
}

/* Which pool serves, under which name; each lives through forks, threads and all sizes. */
static void group_pools(void) {
    static const char *const pools[] = {"slab", "scalable", "jemalloc", "disjoint", "proxy"};
    char setting[128], expected[128];
    for (size_t i = 0; i < COUNT(pools); i++) {
        snprintf(setting, sizeof(setting), "pool=%s", pools[i]);
        snprintf(expected, sizeof(expected), "pool %s provider OS", pools[i]);
        check_output("names", setting, expected);
        check_quiet_work("alignment", setting);
        check_quiet_work("fork_busy", setting);
        check_quiet_work("apart", setting);
        if (i > 0 && i < 4) {
            snprintf(setting, sizeof(setting), "pool=%s;pool.name=heap;provider.name=mem",
                     pools[i]);
            check_output("names", setting, "pool heap provider mem");
        }
    }
    check_output("names", "pool.name=heap;provider.name=mem", "pool heap provider mem");
}

/* How much memory a pool takes at first, as its keys say. */
static void group_first_bytes(void) {
    enum { MIB = 1 << 20 };
    static const struct {
        const char *setting;
        size_t least, most;
    } cases[] = {
        {"pool=scalable;scalable.granularity=64M", (size_t)64 * MIB, SIZE_MAX},
        {"pool=scalable;scalable.granularity=1M", 1, (size_t)40 * MIB},
        {"pool=disjoint;disjoint.slab.min.size=32M", (size_t)32 * MIB, SIZE_MAX},
        {"pool=disjoint;disjoint.slab.min.size=64k", 64 * 1024, (size_t)16 * MIB},
        {"slab.chunk.size=32M", (size_t)32 * MIB, SIZE_MAX},
        {"slab.chunk.size=1M", MIB, (size_t)16 * MIB},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        size_t bytes = 0;
        check_quiet_work("bytes", cases[i].setting);
        CHECK(sscanf(result.out, "bytes %zu", &bytes) == 1);
        CHECK_MSG(bytes >= cases[i].least && bytes <= cases[i].most, "%s: %zu bytes",
                  cases[i].setting, bytes);
    }
}

static void group_provider_file(void) {
    static const char *const pools[] = {"slab", "scalable", "jemalloc", "disjoint"};
    char folder[] = "/dev/shm/umf-test-XXXXXX", setting[256], file[128];
    if (mkdtemp(folder) == NULL) {
        CHECK_SKIP("/dev/shm is not writable");
    }
    for (size_t i = 0; i < COUNT(pools); i++) {
        snprintf(setting, sizeof(setting), "pool=%s;provider=file;file.path=%s", pools[i], folder);
        check_output("mapping", setting, "/umf-heap.");
        CHECK_MSG(mentions(result.out, "rw-s"), "'%s'", result.out);
        check_quiet_work("all", setting);
        check_quiet_work("apart", setting);
        check_quiet_work("fork_busy", setting);
    }
    snprintf(file, sizeof(file), "%s/heap", folder);
    snprintf(setting, sizeof(setting), "provider=file;file.path=%s;file.visibility=private", file);
    check_output("mapping", setting, "/heap");
    CHECK_MSG(mentions(result.out, "rw-p"), "'%s'", result.out);
    check_quiet_work("apart", setting);
    snprintf(setting, sizeof(setting), "provider=file;file.path=%s-%%p;file.protection=rwx", file);
    check_output("mapping", setting, "rwxs");
    snprintf(file, sizeof(file), "/heap-%d", (int)result.pid);
    CHECK_MSG(mentions(result.out, file), "'%s' without '%s'", result.out, file);
    CHECK_MSG(rmdir(folder) == 0, "files are left in %s", folder);
}

/* A program in use of a file, and the programs that it starts; and a file with somebody's data. */
static void group_file_owner(void) {
    char folder[] = "/dev/shm/umf-test-XXXXXX", file[128], setting[256], text[16] = "";
    if (mkdtemp(folder) == NULL) {
        CHECK_SKIP("/dev/shm is not writable");
    }
    snprintf(file, sizeof(file), "%s/heap", folder);
    snprintf(setting, sizeof(setting), "provider=file;file.path=%s", file);
    char command[512];
    char *argv[] = {(char *)"/bin/sh", (char *)"-c", command, NULL};
    snprintf(command, sizeof(command), "'%s' work mapping; '%s' work all; exit 0", self_path,
             self_path);
    child_run(argv, "UMF_PROXY", setting, &result);
    CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "/heap") &&
                  mentions(result.out, "work ok"),
              "'%s' '%s'", result.out, result.err);
    CHECK_MSG(result.err[0] == '\0', "'%s'", result.err);
    CHECK_MSG(access(file, F_OK) != 0, "%s outlives its process", file);

    FILE *data = fopen(file, "w");
    CHECK(data != NULL && fputs("my data", data) >= 0 && fclose(data) == 0);
    run_work("all", setting);
    CHECK_MSG(child_exited(&result, 0) && child_count_lines(result.err) == 1 &&
                  mentions(result.err, "is not an empty file") &&
                  mentions(result.err, "ordinary pages are used"),
              "'%s'", result.err);
    data = fopen(file, "r");
    CHECK(data != NULL && fgets(text, sizeof(text), data) != NULL && fclose(data) == 0);
    CHECK_MSG(strcmp(text, "my data") == 0, "'%s'", text);
    unlink(file);
    CHECK_MSG(rmdir(folder) == 0, "files are left in %s", folder);
}

static void group_exhausted(void) {
    static const char *const settings[] = {
        "provider=fixed;fixed.size=64M",
        "pool=scalable;provider=fixed;fixed.size=64M",
        "pool=jemalloc;provider=fixed;fixed.size=64M",
        "pool=disjoint;provider=fixed;fixed.size=64M",
    };
    char setting[160];
    for (size_t i = 0; i < COUNT(settings); i++) {
        run_work("exhaust", settings[i]);
        CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "blocks 512 "), "%s: '%s' '%s'",
                  settings[i], result.out, result.err);
        CHECK_MSG(child_count_lines(result.err) == 1 && mentions(result.err, "has run out"),
                  "%s: '%s'", settings[i], result.err);
        snprintf(setting, sizeof(setting), "%s;on.exhausted=null", settings[i]);
        check_quiet_work("exhaust", setting);
        int blocks = 0, error = 0;
        CHECK(sscanf(strstr(result.out, "blocks"), "blocks %d errno %d", &blocks, &error) == 2);
        CHECK_MSG(blocks > 20 && blocks <= 64 && error == ENOMEM, "%s: '%s'", setting, result.out);
        snprintf(setting, sizeof(setting), "%s;on.exhausted=abort", settings[i]);
        run_work("exhaust", setting);
        CHECK_MSG(child_killed(&result, SIGABRT) && mentions(result.err, "on.exhausted=abort"),
                  "%s: status 0x%x '%s'", setting, result.status, result.err);
    }
}

/* What cannot be had at all is said in one line that tells why. */
static void group_missing(void) {
    static const char *const cases[][2] = {
        {"provider=devdax;devdax.path=/dev/dax99.0", "/dev/dax99.0 can not be opened: No such"},
        {"provider=file;file.path=/nowhere/heap", "/nowhere/heap can not be opened: No such"},
        {"provider=fixed;fixed.size=1000T", "address space can not be had"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char setting[160];
        run_work("all", cases[i][0]);
        CHECK_MSG(child_exited(&result, 0) && mentions(result.out, "work ok"), "%s: 0x%x",
                  cases[i][0], result.status);
        CHECK_MSG(child_count_lines(result.err) == 1 && mentions(result.err, cases[i][1]) &&
                      mentions(result.err, "; ordinary pages are used"),
                  "%s: '%s'", cases[i][0], result.err);
        snprintf(setting, sizeof(setting), "%s;on.exhausted=abort", cases[i][0]);
        run_work("all", setting);
        CHECK_MSG(child_killed(&result, SIGABRT) && mentions(result.err, cases[i][1]) &&
                      child_count_lines(result.err) == 1,
                  "%s: 0x%x '%s'", setting, result.status, result.err);
    }
}

static void group_programs(void) {
    static const char *const on[] = {"only=proxy_settings", "only=a, proxy_* ,b", "except=a,b",
                                     "only=*;except=proxy_other"};
    static const char *const off[] = {"only=proxy", "only=a,b", "except=proxy_settings", "except=*",
                                      "only=*settings;except=*_set*"};
    char setting[160];
    for (size_t i = 0; i < COUNT(on); i++) {
        snprintf(setting, sizeof(setting), "%s;pool=disjoint", on[i]);
        check_output("names", setting, "pool disjoint");
    }
    for (size_t i = 0; i < COUNT(off); i++) { /* a wrong setting is nothing to them either */
        snprintf(setting, sizeof(setting), "%s;pool=disjoint;pool=bogus;on.error=abort", off[i]);
        check_output("names", setting, "pool slab");
    }
}

static void run_with_file(const char *what, const char *file, const char *setting) {
    setenv("UMF_PROXY_FILE", file, 1);
    run_work(what, setting);
    unsetenv("UMF_PROXY_FILE");
}

static void write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void group_file(void) {
    char path[] = "/tmp/umf-settings-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd >= 0 && close(fd) == 0);
    write_file(path, "# comment\npool=disjoint\n\n pool.name = fromfile ; # not a comment\n");
    run_with_file("names", path, NULL);
    CHECK_MSG(mentions(result.out, "pool fromfile") && child_count_lines(result.err) == 1 &&
                  mentions(result.err, " line 4: ") && mentions(result.err, path),
              "'%s' '%s'", result.out, result.err);
    write_file(path, "pool=disjoint\npool.name=fromfile\n");
    run_with_file("names", path, "pool.name=fromvariable");
    CHECK_MSG(mentions(result.out, "pool fromvariable") && result.err[0] == '\0', "'%s' '%s'",
              result.out, result.err);
    write_file(path, "");
    run_with_file("names", path, NULL);
    CHECK_MSG(mentions(result.out, "pool slab") && result.err[0] == '\0', "'%s'", result.err);
    unlink(path);
    run_with_file("names", path, "pool=disjoint");
    CHECK_MSG(mentions(result.out, "pool disjoint") && child_count_lines(result.err) == 1 &&
                  mentions(result.err, "can not be read: No such file"),
              "'%s' '%s'", result.out, result.err);
    run_with_file("names", "/tmp", NULL);
    CHECK_MSG(mentions(result.out, "pool slab") && child_count_lines(result.err) == 1, "'%s'",
              result.err);
}

static void group_os(void) {
    check_output("mapping", "os.protection=rwx", "rwxp");
    check_output("mapping", "os.protection=rw", "rw-p");
    check_output("mapping", "page.disposition=shared-shm;os.shm.name=umf-named-%p", "/umf-named-");
    char path[128];
    CHECK_MSG(!file_exists("/dev/shm/umf-named-%d", (int)result.pid, path, sizeof(path)),
              "%s outlives its process", path);
}

static const struct {
    const char *name;
    void (*run)(void);
} groups[] = {
    {"good", group_good},
    {"bad", group_bad},
    {"on_error", group_on_error},
    {"help", group_help},
    {"threshold", group_threshold},
    {"shm", group_shm},
    {"fd", group_fd},
    {"stats", group_stats},
    {"huge_pages", group_huge_pages},
    {"transparent", group_transparent},
    {"numa", group_numa},
    {"memspace", group_memspace},
    {"pools", group_pools},
    {"provider_file", group_provider_file},
    {"file_owner", group_file_owner},
    {"exhausted", group_exhausted},
    {"missing", group_missing},
    {"programs", group_programs},
    {"file", group_file},
    {"os", group_os},
    {"first_bytes", group_first_bytes},
};

int main(int argc, char **argv) {
    self_path = argv[0];
    if (argc == 3 && strcmp(argv[1], "work") == 0) {
        return work(argv[2]);
    }
    check_begin();
    for (size_t i = 0; argc == 2 && i < COUNT(groups); i++) {
        if (strcmp(groups[i].name, argv[1]) == 0) {
            groups[i].run();
            return check_end(argv[1]);
        }
    }
    dprintf(2, "usage: settings <group>, one of:");
    for (size_t i = 0; i < COUNT(groups); i++) {
        dprintf(2, " %s", groups[i].name);
    }
    dprintf(2, "\n");
    return 2;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fault injection into the API. A scenario makes a provider and a pool, works with blocks whose
 * contents it checks, and takes everything down again; every call of it may fail, and then it does
 * what a careful caller would. It runs once for each call into the system that it makes, with that
 * call failing; and once more with that call and all later ones failing until the take-down begins.
 * Each run is a process: it must not crash nor hang, blocks keep their contents, errors are those
 * that the headers name, and afterwards no region is registered, no descriptor is open, and the
 * library's own memory is what it was.
 *
 *   faults_api [-v] [PROVIDER/POOL]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_proxy.h>
#include <umf/pools/pool_scalable.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/state.h"
#include "wrap.h"

enum { BLOCKS = 16, RUN_SECONDS = 30, STEP = 4093 * 16, POINTS_MAX = 4000 };
enum { ALL_KINDS = (1u << FAULT_KINDS) - 1 };

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool verbose;

/* In a run's process: one line, and the run has failed. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fault_disarm();                                                                        \
            fprintf(stderr, "  %s:%d: not true: %s. ", __FILE__, __LINE__, #condition);            \
            fprintf(stderr, " " __VA_ARGS__);                                                      \
            fprintf(stderr, " (latest fault: %s)\n", fault_last());                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* ---- errors ---- */

/* What a call may answer when the system refuses something. */
static bool is_system_error(umf_result_t result) {
    return result == UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY ||
           result == UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC ||
           result == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE ||
           result == UMF_RESULT_ERROR_OUT_OF_RESOURCES || result == UMF_RESULT_ERROR_UNKNOWN;
}

/* Success, or an error of that kind; other errors blame the caller, who did nothing wrong. */
static bool good(umf_result_t result, const char *what) {
    REQUIRE(result == UMF_RESULT_SUCCESS || is_system_error(result), "%s gave %d", what,
            (int)result);
    return result == UMF_RESULT_SUCCESS;
}

/* ---- providers ---- */

typedef umf_memory_provider_handle_t provider_t;
typedef umf_memory_pool_handle_t pool_t;

typedef struct os_kind {
    bool shared;
    const char *shm_name;
    umf_numa_mode_t numa_mode;
} os_kind_t;

static provider_t make_os(os_kind_t kind) {
    umf_os_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    unsigned node = 0;
    if (!good(umfOsMemoryProviderParamsCreate(&params), "OsMemoryProviderParamsCreate")) {
        return NULL;
    }
    bool set = true;
    if (kind.shared) {
        set = good(umfOsMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), "set") &&
              good(umfOsMemoryProviderParamsSetShmName(params, kind.shm_name), "SetShmName");
    }
    if (kind.numa_mode != UMF_NUMA_MODE_DEFAULT) {
        umfOsMemoryProviderParamsSetNumaMode(params, kind.numa_mode);
        set = set && good(umfOsMemoryProviderParamsSetNumaList(params, &node, 1), "SetNumaList");
    }
    if (set) {
        umf_result_t result = umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
        // Of an anonymous object without size the interface says so.
        if (result != UMF_RESULT_ERROR_INVALID_ARGUMENT || fault_delivered(FAULT_FTRUNCATE) == 0) {
            good(result, "umfMemoryProviderCreate(os)");
        }
    }
    umfOsMemoryProviderParamsDestroy(params);
    return provider;
}

static provider_t os_private(void) {
    return make_os((os_kind_t){0});
}

static provider_t os_shared(void) {
    return make_os((os_kind_t){.shared = true});
}

static provider_t os_shm(void) {
    char name[64];
    snprintf(name, sizeof(name), "umf_faults_%d", (int)getpid());
    return make_os((os_kind_t){.shared = true, .shm_name = name});
}

static provider_t os_bound(void) {
    return make_os((os_kind_t){.numa_mode = UMF_NUMA_MODE_BIND});
}

static provider_t file(void) {
    umf_file_memory_provider_params_handle_t params = NULL;
    provider_t provider = NULL;
    char path[64];
    snprintf(path, sizeof(path), "/tmp/umf_faults_%d", (int)getpid());
    if (!good(umfFileMemoryProviderParamsCreate(path, &params), "FileMemoryProviderParamsCreate")) {
        return NULL;
    }
    umf_result_t result = umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider);
    // The file that cannot be opened is blamed on its path.
    if (result != UMF_RESULT_ERROR_INVALID_ARGUMENT || fault_delivered(FAULT_OPEN) == 0) {
        good(result, "umfMemoryProviderCreate(file)");
    }
    umfFileMemoryProviderParamsDestroy(params);
    unlink(path);
    return provider;
}

/* ---- pools ---- */

static pool_t make_pool(const umf_memory_pool_ops_t *ops, provider_t provider, void *params) {
    pool_t pool = NULL;
    good(umfPoolCreate(ops, provider, params, 0, &pool), "umfPoolCreate");
    return pool;
}

static pool_t slab(provider_t provider) {
    return make_pool(umfSlabPoolOps(), provider, NULL);
}

static pool_t proxy(provider_t provider) {
    return make_pool(umfProxyPoolOps(), provider, NULL);
}

static pool_t disjoint(provider_t provider) {
    umf_disjoint_pool_params_handle_t params = NULL;
    if (!good(umfDisjointPoolParamsCreate(&params), "umfDisjointPoolParamsCreate")) {
        return NULL;
    }
    pool_t pool = make_pool(umfDisjointPoolOps(), provider, params);
    umfDisjointPoolParamsDestroy(params);
    return pool;
}

static pool_t scalable(provider_t provider) {
    return make_pool(umfScalablePoolOps(), provider, NULL);
}

/* ---- the work ---- */

typedef struct block {
    unsigned char *ptr;
    size_t size;
    bool given; /* its free failed once: it is still there, what it holds may not be */
} block_t;

/* Each byte says where it belongs; large blocks are sampled. */
static void fill(block_t *block, unsigned seed) {
    size_t step = block->size > 8192 ? STEP : 1;
    for (size_t i = 0; i < block->size; i += step) {
        block->ptr[i] = (unsigned char)(i * 7 + seed);
    }
    block->ptr[block->size - 1] = (unsigned char)seed;
}

static void check(const block_t *block, size_t size, unsigned seed) {
    size_t step = block->size > 8192 ? STEP : 1;
    for (size_t i = 0; i + 1 < size; i += step) {
        REQUIRE(block->ptr[i] == (unsigned char)(i * 7 + seed) || i == block->size - 1,
                "byte %zu of %zu", i, block->size);
    }
}

/* Failing to allocate is allowed; the error must be one of memory. */
static void *maybe(pool_t pool, void *ptr, const char *what) {
    if (ptr == NULL) {
        umf_result_t result = umfPoolGetLastAllocationError(pool);
        REQUIRE(is_system_error(result), "%s gave %d", what, (int)result);
    }
    return ptr;
}

static void release(pool_t pool, block_t *block, unsigned seed) {
    if (block->ptr == NULL) {
        return;
    }
    if (!block->given) {
        check(block, block->size, seed);
    }
    pool_t found = NULL;
    REQUIRE(umfPoolByPtr(block->ptr, &found) == UMF_RESULT_SUCCESS && found == pool);
    block->given = true;
    // A block that cannot be freed stays the caller's, who tries again later.
    if (good(umfPoolFree(pool, block->ptr), "umfPoolFree")) {
        block->ptr = NULL;
    }
}

static void grow(pool_t pool, block_t *block, unsigned seed, size_t size) {
    if (block->ptr == NULL) {
        return;
    }
    void *moved = umfPoolRealloc(pool, block->ptr, size);
    if (moved == NULL) {
        umf_result_t result = umfPoolGetLastAllocationError(pool);
        REQUIRE(is_system_error(result) || result == UMF_RESULT_ERROR_NOT_SUPPORTED,
                "umfPoolRealloc gave %d", (int)result);
        return; // as it was
    }
    size_t kept = size < block->size ? size : block->size;
    size_t old_size = block->size;
    block->ptr = moved;
    for (size_t i = 0, step = old_size > 8192 ? STEP : 1; i + 1 < kept; i += step) {
        REQUIRE(block->ptr[i] == (unsigned char)(i * 7 + seed), "byte %zu after realloc", i);
    }
    block->size = size;
    fill(block, seed);
}

static void *free_elsewhere(void *arg) {
    block_t *blocks = arg;
    for (unsigned i = 0; i < BLOCKS; i += 3) {
        blocks[i].given = true;
        if (blocks[i].ptr != NULL && good(umfFree(blocks[i].ptr), "umfFree in a thread")) {
            blocks[i].ptr = NULL;
        }
    }
    return NULL;
}

static void work(pool_t pool, bool threads, bool faults_to_the_end) {
    static const size_t sizes[] = {8, 100, 1000, 5000, 40000, 200000, 3 << 20, 9 << 20};
    block_t blocks[BLOCKS] = {0};
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t size = sizes[i % COUNT(sizes)];
        void *ptr = i % 5 == 1   ? umfPoolAlignedMalloc(pool, size, (size_t)64 << i % 8)
                    : i % 5 == 2 ? umfPoolCalloc(pool, 1, size)
                                 : umfPoolMalloc(pool, size);
        // Some pools have no calloc or aligned malloc on some providers.
        if (ptr == NULL && umfPoolGetLastAllocationError(pool) == UMF_RESULT_ERROR_NOT_SUPPORTED) {
            continue;
        }
        blocks[i] = (block_t){maybe(pool, ptr, "allocation"), size, false};
        if (ptr != NULL) {
            fill(&blocks[i], i);
        }
    }
    for (unsigned i = 0; i < BLOCKS; i += 4) {
        grow(pool, &blocks[i], i, blocks[i].size * 3 + 1);
        grow(pool, &blocks[i], i, blocks[i].size / 5 + 1);
    }
    pthread_t thread;
    if (threads && pthread_create(&thread, NULL, free_elsewhere, blocks) == 0) {
        pthread_join(thread, NULL);
    }
    for (unsigned i = 0; i < BLOCKS; i += 2) {
        release(pool, &blocks[i], i);
    }
    umf_result_t trimmed = umfPoolTrimMemory(pool, 0);
    REQUIRE(trimmed == UMF_RESULT_ERROR_NOT_SUPPORTED || good(trimmed, "trim") || true);
    void *again = umfPoolMalloc(pool, 1 << 20);
    bool freed = true;
    if (again != NULL) {
        memset(again, 1, 1 << 20);
        freed = good(umfFree(again), "umfFree");
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        release(pool, &blocks[i], i);
    }
    if (!faults_to_the_end) {
        fault_disarm();
    }
    REQUIRE(freed || umfFree(again) == UMF_RESULT_SUCCESS || faults_to_the_end);
    for (unsigned i = 0; i < BLOCKS; i++) {
        release(pool, &blocks[i], i);
        REQUIRE(blocks[i].ptr == NULL || faults_to_the_end, "block %u cannot be freed", i);
    }
}

/* ---- scenarios ---- */

static const struct {
    const char *name;
    provider_t (*make)(void);
} providers[] = {
    {"os", os_private},    {"os-shared", os_shared}, {"os-shm", os_shm},
    {"os-bind", os_bound}, {"file", file},
};

static const struct {
    const char *name;
    pool_t (*make)(provider_t provider);
} pools[] = {
    {"slab", slab},
    {"proxy", proxy},
    {"disjoint", disjoint},
    {"scalable", scalable},
};

typedef struct scenario {
    unsigned provider, pool;
    bool threads;
} scenario_t;

/* One round; the take-down is done with the system working again, as its errors cannot be undone.
 */
static void scenario_run(const scenario_t *scenario, bool faults_to_the_end) {
    provider_t provider = providers[scenario->provider].make();
    if (provider == NULL) {
        return;
    }
    pool_t pool = pools[scenario->pool].make(provider);
    if (pool != NULL) {
        work(pool, scenario->threads, faults_to_the_end);
        good(umfPoolDestroy(pool), "umfPoolDestroy");
    }
    if (!faults_to_the_end) {
        fault_disarm();
    }
    good(umfMemoryProviderDestroy(provider), "umfMemoryProviderDestroy");
}

static size_t open_descriptors(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

typedef struct resources {
    size_t regions, used, descriptors;
} resources_t;

static resources_t resources_now(void) {
    return (resources_t){load_relaxed(&umf_core_state.map.regions),
                         load_relaxed(&umf_core_state.base.used_bytes), open_descriptors()};
}

/* A run's process. warm: everything that the library keeps for reuse is there already, so that any
 * further byte is a leak. point 0 counts: exits after writing the count to the pipe. */
static void run_process(const scenario_t *scenario, bool warm, bool onwards, long point, int pipe) {
    alarm(RUN_SECONDS);
    freopen("/dev/null", "w", stdout);
    umfInit();
    // Twice the same: what the fault made the library keep for reuse is there the second time.
    for (int i = 0; warm && i < 2; i++) {
        scenario_run(scenario, true);
        fault_arm(point, onwards, ALL_KINDS);
        scenario_run(scenario, !onwards);
        fault_disarm();
    }
    resources_t before = resources_now();
    fault_arm(point, onwards, ALL_KINDS);
    // A single fault may also hit the take-down.
    scenario_run(scenario, !onwards);
    long calls = fault_disarm();
    resources_t after = resources_now();
    REQUIRE(after.descriptors == before.descriptors, "%zu descriptors are open, %zu were",
            after.descriptors, before.descriptors);
    REQUIRE(after.regions == before.regions, "%zu regions are left",
            after.regions - before.regions);
    REQUIRE(!warm || after.used <= before.used, "%zu bytes of metadata leaked",
            after.used - before.used);
    scenario_run(scenario, true); // and all works again
    REQUIRE(write(pipe, &calls, sizeof(calls)) == sizeof(calls));
    _exit(0);
}

/* Runs; *calls is the count of calls. False: it crashed, hung or failed. */
static bool run(const scenario_t *scenario, bool warm, bool onwards, long point, long *calls) {
    int ends[2], status = -1;
    if (pipe(ends) != 0) {
        return false;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        run_process(scenario, warm, onwards, point, ends[1]);
    }
    close(ends[1]);
    bool told = read(ends[0], calls, sizeof(*calls)) == sizeof(*calls);
    close(ends[0]);
    bool ended = waitpid(pid, &status, 0) == pid && status == 0;
    if (!ended) {
        fprintf(stderr, "FAILED %s/%s%s: %s, call %ld%s: status 0x%x\n",
                providers[scenario->provider].name, pools[scenario->pool].name,
                scenario->threads ? " with threads" : "", warm ? "warm" : "cold", point,
                onwards ? " and all later ones" : "", status);
    }
    return told && ended;
}

static long tried, survived;

/* All runs of one scenario. */
static void scenario_all(const scenario_t *scenario) {
    long points = 0, before = tried;
    for (int mode = 0; mode < 4; mode++) {
        bool warm = mode & 1, onwards = mode & 2;
        long calls = 0;
        tried++;
        if (!run(scenario, warm, false, 0, &calls)) {
            continue;
        }
        survived++;
        points = calls < POINTS_MAX ? calls : POINTS_MAX;
        for (long point = 1; point <= points; point++) {
            tried++;
            survived += run(scenario, warm, onwards, point, &calls);
        }
    }
    printf("%s/%s: %ld runs\n", providers[scenario->provider].name, pools[scenario->pool].name,
           tried - before);
    fflush(stdout);
}

int main(int argc, char **argv) {
    const char *only = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-v") == 0) {
            verbose = true;
        } else {
            only = argv[i];
        }
    }
    if (!verbose) {
        setenv("UMF_LOG", "level:fatal;output:stderr", 1);
    }
    for (unsigned p = 0; p < COUNT(providers); p++) {
        for (unsigned q = 0; q < COUNT(pools); q++) {
            char name[64];
            snprintf(name, sizeof(name), "%s/%s", providers[p].name, pools[q].name);
            if (only == NULL || strcmp(only, name) == 0 || strcmp(only, providers[p].name) == 0) {
                // oneTBB never returns some memory that its threads had.
                scenario_all(&(scenario_t){p, q, q != 3});
            }
        }
    }
    printf("%ld faults tried, %ld survived\n", tried, survived);
    return tried == survived && tried > 0 ? 0 : 1;
}

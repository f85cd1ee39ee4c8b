/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * LEVEL_ZERO provider: memory in other processes, by the driver's IPC handles and by exported
 * descriptors. The other process is a child that starts its own driver: it runs this program's code
 * after a fork, before anything of Level Zero was used.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/experimental/ctl.h>
#include <umf/ipc.h>
#include <umf/memory_pool.h>
#include <umf/pools/pool_disjoint.h>

#include "level_zero_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT

enum { HANDLE_BYTES = 80, BLOCK = 100000 };

static level_zero_test_t ze;

static void start_standin(void) {
    if (!level_zero_test_start(&ze) || !ze.is_standin) {
        cr_skip_test("needs the stand-in driver");
    }
}

static void use_export(umf_memory_provider_handle_t provider, int yes) {
    cr_assert_eq(umfCtlSet("umf.provider.by_handle.{}.params.use_import_export_for_IPC", &yes,
                           sizeof(yes), provider),
                 OK);
}

static int open_descriptors(void) {
    int count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

static umf_memory_provider_handle_t device_provider(ze_context_handle_t context) {
    return level_zero_test_provider(context, ze.device[0], UMF_MEMORY_TYPE_DEVICE);
}

Test(level_zero_ipc, export_mode_is_an_int) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = device_provider(context);
    const char *path = "umf.provider.by_handle.{}.params.use_import_export_for_IPC";
    int mode = 99;
    long wrong = 1;
    cr_assert_eq(umfCtlGet(path, &mode, sizeof(mode), provider), OK);
    cr_assert_eq(mode, 0);
    cr_assert_eq(umfCtlSet(path, &wrong, sizeof(wrong), provider), INVAL);
    use_export(provider, 1);
    cr_assert_eq(umfCtlGet(path, &mode, sizeof(mode), provider), OK);
    cr_assert_eq(mode, 1);
    umfMemoryProviderDestroy(provider);
}

/* Get, open, compare, close, put, in one process. */
static void round_trip(bool export, bool fresh, umf_usm_memory_type_t type) {
    start_standin();
    if (fresh) {
        setenv("UMF_STANDIN_EXPORT_FRESH", "1", 1);
    }
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = level_zero_test_provider(context, ze.device[0], type);
    umf_memory_provider_handle_t consumer =
        level_zero_test_provider(context, ze.device[1], UMF_MEMORY_TYPE_DEVICE);
    use_export(provider, export);
    int before = open_descriptors();
    char *ptr = NULL, *opened = NULL;
    char handle[HANDLE_BYTES];
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), OK);
    cr_assert_eq(size, HANDLE_BYTES);
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, (void **)&ptr), OK);
    memset(ptr, 0x42, BLOCK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, BLOCK, handle), OK);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(consumer, handle, (void **)&opened), OK);
    cr_assert_neq(opened, ptr);
    cr_assert_eq(memcmp(opened, ptr, BLOCK), 0);
    opened[BLOCK - 1] = 7;
    cr_assert_eq(ptr[BLOCK - 1], 7);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(consumer, opened, BLOCK), OK);
    cr_assert_neq(umfMemoryProviderCloseIPCHandle(consumer, opened, BLOCK), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, BLOCK), OK);
    cr_assert_eq(ze.standin.live_blocks() + ze.standin.live_opened(), 0);
    cr_assert_eq(open_descriptors(), before, "no descriptor is left, none was closed twice");
    umfMemoryProviderDestroy(provider);
    umfMemoryProviderDestroy(consumer);
}

Test(level_zero_ipc, by_handle) {
    round_trip(false, false, UMF_MEMORY_TYPE_DEVICE);
}

Test(level_zero_ipc, by_handle_of_host_memory) {
    round_trip(false, false, UMF_MEMORY_TYPE_HOST);
}

Test(level_zero_ipc, host_memory_is_never_exported) {
    round_trip(true, false, UMF_MEMORY_TYPE_HOST);
}

Test(level_zero_ipc, by_descriptor_that_the_driver_keeps) {
    round_trip(true, false, UMF_MEMORY_TYPE_DEVICE);
}

Test(level_zero_ipc, by_descriptor_made_for_each_query) {
    round_trip(true, true, UMF_MEMORY_TYPE_DEVICE);
}

Test(level_zero_ipc, each_block_is_shared_as_it_was_made) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = device_provider(context);
    void *plain = NULL, *exported = NULL;
    char handle[HANDLE_BYTES];
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &plain), OK);
    use_export(provider, 1);
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &exported), OK);
    use_export(provider, 0);
    ze.standin.calls_reset();
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, plain, BLOCK, handle), OK);
    cr_assert_eq(ze.standin.calls("zeMemGetIpcHandle"), 1);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, exported, BLOCK, handle), OK);
    cr_assert_eq(ze.standin.calls("zeMemGetIpcHandle"), 1);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
    if (level_zero_loader.zeMemPutIpcHandle != NULL) {
        cr_assert_eq(ze.standin.calls("zeMemPutIpcHandle"), 1, "not for the exported one");
    }
    cr_assert_eq(umfMemoryProviderFree(provider, plain, BLOCK), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, exported, BLOCK), OK);
    umfMemoryProviderDestroy(provider);
}

Test(level_zero_ipc, shared_memory_is_the_drivers_refusal) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider =
        level_zero_test_provider(context, ze.device[0], UMF_MEMORY_TYPE_SHARED);
    void *ptr = NULL;
    char handle[HANDLE_BYTES];
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &ptr), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, BLOCK, handle), INVAL);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, BLOCK), OK);
    umfMemoryProviderDestroy(provider);
}

Test(level_zero_ipc, data_that_are_no_handle) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = device_provider(context);
    int before = open_descriptors();
    struct {
        int32_t pid, kind;
        uint64_t size;
        int32_t fd[16];
    } wrong[] = {
        {0, 0, BLOCK, {3}},        {-1, 0, BLOCK, {3}},          {getpid(), 0, 0, {3}},
        {getpid(), 9, BLOCK, {3}}, {getpid(), -1, BLOCK, {3}},   {getpid(), 0, BLOCK, {-1}},
        {getpid(), 0, BLOCK, {0}}, {getpid(), 1, BLOCK, {9999}}, {getpid(), 1, UINT64_MAX, {3}},
        {1 << 22, 0, BLOCK, {3}}, // no such process
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        void *ptr = NULL;
        cr_expect_neq(umfMemoryProviderOpenIPCHandle(provider, &wrong[i], &ptr), OK, "row %zu", i);
        cr_expect_null(ptr);
    }
    cr_assert_eq(open_descriptors(), before);
    cr_assert_eq(ze.standin.live_opened(), 0);
    umfMemoryProviderDestroy(provider);
}

Test(level_zero_ipc, a_failed_open_leaves_no_descriptor) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = device_provider(context);
    for (int export = 0; export < 2; export ++) {
        use_export(provider, export);
        void *ptr = NULL, *opened = NULL;
        char handle[HANDLE_BYTES];
        cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, &ptr), OK);
        cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, BLOCK, handle), OK);
        int before = open_descriptors();
        ze.standin.fail(export ? "zeMemAllocDevice" : "zeMemOpenIpcHandle", 0x70000001, 1);
        cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, handle, &opened),
                     UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC);
        cr_assert_null(opened);
        cr_assert_eq(open_descriptors(), before);
        cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
        cr_assert_eq(umfMemoryProviderFree(provider, ptr, BLOCK), OK);
    }
    umfMemoryProviderDestroy(provider);
}

/* ---- pools ----------------------------------------------------------------------------------- */

enum { POINTERS = 100, SHARERS = 8 };

typedef struct shared_blocks {
    umf_ipc_handler_handle_t handler;
    void *block[POINTERS];
} shared_blocks_t;

/* Gets, opens, closes and puts all of them, in an order of its own. */
static void *share_all(void *arg) {
    shared_blocks_t *shared = arg;
    for (size_t i = 0; i < POINTERS; i++) {
        size_t at = (i * 37 + (uintptr_t)&at / 4096) % POINTERS;
        umf_ipc_handle_t handle = NULL;
        size_t size = 0;
        void *opened = NULL;
        cr_assert_eq(umfGetIPCHandle(shared->block[at], &handle, &size), OK);
        cr_assert_eq(umfOpenIPCHandle(shared->handler, handle, &opened), OK);
        cr_assert_eq(*(int *)opened, (int)at);
        cr_assert_eq(umfCloseIPCHandle(opened), OK);
        cr_assert_eq(umfPutIPCHandle(handle), OK);
    }
    return NULL;
}

static umf_memory_pool_handle_t pool_over(umf_memory_provider_handle_t provider) {
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfDisjointPoolOps(), provider, NULL,
                               UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool),
                 OK);
    return pool;
}

static void share_by_pools(bool export) {
    start_standin();
    ze_context_handle_t context = level_zero_test_context(&ze);
    umf_memory_provider_handle_t provider = device_provider(context);
    use_export(provider, export);
    umf_memory_pool_handle_t producer = pool_over(provider);
    umf_memory_pool_handle_t consumer = pool_over(device_provider(context));
    shared_blocks_t shared;
    int before = open_descriptors();
    cr_assert_eq(umfPoolGetIPCHandler(consumer, &shared.handler), OK);
    for (int i = 0; i < POINTERS; i++) {
        shared.block[i] = umfPoolMalloc(producer, 4000);
        *(int *)shared.block[i] = i;
    }
    pthread_t thread[SHARERS];
    for (int i = 0; i < SHARERS; i++) {
        pthread_create(&thread[i], NULL, share_all, &shared);
    }
    for (int i = 0; i < SHARERS; i++) {
        pthread_join(thread[i], NULL);
    }
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfPoolFree(producer, shared.block[i]), OK);
    }
    cr_assert_eq(umfPoolDestroy(producer), OK);
    cr_assert_eq(umfPoolDestroy(consumer), OK);
    cr_assert_eq(ze.standin.live_blocks(), 0);
    cr_assert_eq(ze.standin.live_opened(), 0);
    cr_assert_leq(open_descriptors(), before);
    if (!export && level_zero_loader.zeMemPutIpcHandle != NULL) {
        cr_assert_eq(ze.standin.calls("zeMemPutIpcHandle"), ze.standin.calls("zeMemGetIpcHandle"));
    }
    cr_assert_eq(ze.standin.calls("zeMemOpenIpcHandle"), ze.standin.calls("zeMemCloseIpcHandle"));
}

Test(level_zero_ipc, pools_and_threads_by_handle) {
    share_by_pools(false);
}

Test(level_zero_ipc, pools_and_threads_by_descriptor) {
    share_by_pools(true);
}

/* ---- two processes --------------------------------------------------------------------------- */

enum { CONSUMER_GOOD = 0, CONSUMER_NO_PERMISSION = 77, CONSUMER_BAD = 1 };

/* In the child: opens, checks, changes, closes. */
static int consume(int from) {
    char handle[HANDLE_BYTES];
    if (read(from, handle, sizeof(handle)) != (ssize_t)sizeof(handle)) {
        return CONSUMER_BAD;
    }
    if (!level_zero_test_start(&ze)) {
        return CONSUMER_BAD;
    }
    umf_memory_provider_handle_t provider = device_provider(level_zero_test_context(&ze));
    char *ptr = NULL;
    umf_result_t result = umfMemoryProviderOpenIPCHandle(provider, handle, (void **)&ptr);
    if (result == INVAL) {
        return CONSUMER_NO_PERMISSION; // EPERM of pidfd_getfd
    }
    if (result != OK || ptr[0] != 0x42 || ptr[BLOCK - 1] != 0x42) {
        return CONSUMER_BAD;
    }
    memset(ptr, 0x17, BLOCK);
    return umfMemoryProviderCloseIPCHandle(provider, ptr, BLOCK) == OK &&
                   umfMemoryProviderDestroy(provider) == OK && ze.standin.live_opened() == 0
               ? CONSUMER_GOOD
               : CONSUMER_BAD;
}

static void two_processes(bool export) {
    int channel[2];
    cr_assert_eq(pipe(channel), 0);
    pid_t child = fork();
    if (child == 0) {
        _exit(consume(channel[0]));
    }
    prctl(PR_SET_PTRACER, child, 0, 0, 0); // may duplicate our descriptors
    bool usable = level_zero_test_start(&ze) && ze.is_standin;
    if (!usable) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        cr_skip_test("needs the stand-in driver");
    }
    umf_memory_provider_handle_t provider = device_provider(level_zero_test_context(&ze));
    use_export(provider, export);
    char *ptr = NULL;
    char handle[HANDLE_BYTES];
    cr_assert_eq(umfMemoryProviderAlloc(provider, BLOCK, 0, (void **)&ptr), OK);
    memset(ptr, 0x42, BLOCK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, BLOCK, handle), OK);
    cr_assert_eq(write(channel[1], handle, sizeof(handle)), (ssize_t)sizeof(handle));
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    if (WEXITSTATUS(status) == CONSUMER_NO_PERMISSION) {
        cr_skip_test("no permission for pidfd_getfd");
    }
    cr_assert_eq(WEXITSTATUS(status), CONSUMER_GOOD);
    cr_assert_eq(ptr[0], 0x17);
    cr_assert_eq(ptr[BLOCK - 1], 0x17);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, handle), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, BLOCK), OK);
    umfMemoryProviderDestroy(provider);
    cr_assert_eq(ze.standin.live_blocks(), 0);
}

Test(level_zero_ipc, two_processes_by_handle) {
    two_processes(false);
}

Test(level_zero_ipc, two_processes_by_descriptor) {
    two_processes(true);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * FILE provider: parameters, the pinned behaviour of blocks, growth, where blocks lie in the file,
 * and what happens when the file can not grow, is removed, or is cut by somebody else.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_file_memory.h>

#include "core/base_alloc.h"
#include "core/provider.h"
#include "core/state.h"
#include "providers/file_mmap.h"
#include "providers/provider_file.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define ALIGN UMF_RESULT_ERROR_INVALID_ALIGNMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN
#define BAD_PATH UMF_RESULT_ERROR_INVALID_CTL_PATH

#define PAGE base_page_size()
#define MIB ((size_t)1 << 20)

typedef umf_file_memory_provider_params_handle_t params_t;
typedef umf_memory_provider_handle_t provider_t;

/* ---- Helpers ---- */

/* A path in `directory` that no other test uses; the file is gone when the test ends well. */
static char *file_path(const char *directory) {
    static char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/umf_test_file_%ld", directory, (long)getpid());
    unlink(path);
    return path;
}

static params_t params_new(const char *path, umf_memory_visibility_t visibility) {
    params_t params = NULL;
    cr_assert_eq(umfFileMemoryProviderParamsCreate(path, &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, visibility), OK);
    return params;
}

/* Makes a provider from params and destroys these. */
static umf_result_t create_result(params_t params, provider_t *provider) {
    *provider = NULL;
    umf_result_t result = umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, provider);
    cr_assert_eq(result == OK, *provider != NULL);
    cr_assert_eq(umfFileMemoryProviderParamsDestroy(params), OK);
    return result;
}

static provider_t create(const char *path, umf_memory_visibility_t visibility) {
    provider_t provider;
    cr_assert_eq(create_result(params_new(path, visibility), &provider), OK);
    return provider;
}

static void destroy(provider_t provider) {
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

static uint8_t *take(provider_t provider, size_t size, size_t alignment) {
    void *ptr = NULL;
    umf_result_t result = umfMemoryProviderAlloc(provider, size, alignment, &ptr);
    cr_assert_eq(result, OK, "%zu bytes at %zu: %d", size, alignment, (int)result);
    cr_assert(is_aligned((uintptr_t)ptr, alignment < PAGE ? PAGE : alignment));
    return ptr;
}

static void give(provider_t provider, void *ptr, size_t size) {
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, size), OK);
}

static off_t size_of(const char *path) {
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    return info.st_size;
}

static void assert_native(provider_t provider, int32_t code, const char *text, int error) {
    const char *message = NULL;
    int32_t native = 0;
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &native), OK);
    cr_assert_eq(native, code);
    cr_assert_eq(strncmp(message, text, strlen(text)), 0, "%s", message);
    if (error != 0) { // the user learns why
        cr_assert_not_null(strstr(message, strerror(error)), "%s", message);
    }
}

static size_t open_files(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* Bytes of `path` that are mapped. */
static size_t mapped_bytes(const char *path) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[PATH_MAX + 200];
    size_t bytes = 0;
    while (fgets(line, sizeof(line), maps) != NULL) {
        unsigned long from, to;
        if (strstr(line, path) != NULL && sscanf(line, "%lx-%lx", &from, &to) == 2) {
            bytes += to - from;
        }
    }
    fclose(maps);
    return bytes;
}

static const umf_memory_visibility_t visibilities[] = {UMF_MEM_MAP_PRIVATE, UMF_MEM_MAP_SHARED};
static const char *const directories[] = {"/tmp",
                                          "/dev/shm"}; // a disk, where there is one, and tmpfs

/* Runs `check` on a provider of each visibility in each directory. */
static void on_each(void (*check)(provider_t provider, const char *path)) {
    for (size_t d = 0; d < ARRAY_LENGTH(directories); d++) {
        for (size_t v = 0; v < ARRAY_LENGTH(visibilities); v++) {
            char *path = file_path(directories[d]);
            provider_t provider = create(path, visibilities[v]);
            check(provider, path);
            destroy(provider);
            cr_assert_eq(unlink(path), 0); // the provider does not remove the user's file
        }
    }
}

/* ---- Parameters and creation ---- */

Test(file, params_are_checked) {
    params_t params = NULL;
    cr_assert_eq(umfFileMemoryProviderParamsCreate("/tmp/x", NULL), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsCreate(NULL, &params), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsCreate("", &params), INVAL);
    cr_assert_null(params);
    cr_assert_eq(umfFileMemoryProviderParamsCreate("/tmp/x", &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetPath(NULL, "/tmp/x"), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetPath(params, NULL), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetPath(params, ""), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetPath(params, "/tmp/y"), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetProtection(NULL, UMF_PROTECTION_READ), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetProtection(params, 0xffff), OK); // seen at creation
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(NULL, UMF_MEM_MAP_SHARED), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, (umf_memory_visibility_t)9), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfFileMemoryProviderParamsDestroy(params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsDestroy(NULL), OK);
}

Test(file, creation_refuses_what_can_not_be_and_leaks_nothing) {
    char *path = file_path("/tmp");
    char too_long[PATH_MAX + 2] = "/tmp/";
    memset(too_long + 5, 'a', sizeof(too_long) - 6);
    size_t files = open_files(), bytes = load_relaxed(&umf_core_state.base.used_bytes);
    provider_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(umfFileMemoryProviderOps(), NULL, &provider), INVAL);
    cr_assert_null(provider);
    static const char *const bad[] = {"/no/such/directory/file", "/tmp", "/dev/shm/"};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_assert_eq(create_result(params_new(bad[i], UMF_MEM_MAP_PRIVATE), &provider), INVAL);
    }
    cr_assert_eq(create_result(params_new(too_long, UMF_MEM_MAP_PRIVATE), &provider), INVAL);
    too_long[PATH_MAX] = '\0'; // exactly PATH_MAX characters, without the NUL
    cr_assert_eq(create_result(params_new(too_long, UMF_MEM_MAP_PRIVATE), &provider), INVAL);
    cr_assert_eq(create_result(params_new(path, (umf_memory_visibility_t)0), &provider), INVAL);
    cr_assert_eq(create_result(params_new(path, (umf_memory_visibility_t)3), &provider), INVAL);
    params_t params = params_new(path, UMF_MEM_MAP_PRIVATE);
    umfFileMemoryProviderParamsSetProtection(params, 16);
    cr_assert_eq(create_result(params, &provider), INVAL);
    cr_assert_eq(access(path, F_OK), -1); // wrong parameters make no file
    cr_assert_eq(create_result(params_new("/dev/null", UMF_MEM_MAP_PRIVATE), &provider), UNKNOWN);
    cr_assert_eq(open_files(), files);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), bytes);
}

Test(file, creation_sets_the_size_to_2_mib) {
    char *path = file_path("/tmp");
    destroy(create(path, UMF_MEM_MAP_PRIVATE));
    struct stat info;
    cr_assert_eq(stat(path, &info), 0);
    cr_assert_eq(info.st_size, 2 * MIB);
    cr_assert_eq(info.st_mode & 07777, 0600);

    // An existing file is cut; the 2 MiB that stay keep their content.
    cr_assert_eq(truncate(path, 5 * MIB), 0);
    int fd = open(path, O_RDWR);
    cr_assert_eq(pwrite(fd, "old", 3, 100), 3);
    close(fd);
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    cr_assert_eq(size_of(path), 2 * MIB);
    cr_assert_eq(memcmp(take(provider, PAGE, 0) + 100, "old", 3), 0);
    destroy(provider);
    cr_assert_eq(truncate(path, 10), 0);
    destroy(create(path, UMF_MEM_MAP_SHARED));
    cr_assert_eq(size_of(path), 2 * MIB);
    unlink(path);
}

Test(file, names) {
    const umf_memory_provider_ops_t *ops = umfFileMemoryProviderOps();
    const char *name = NULL;
    cr_assert_eq(ops->get_name(NULL, &name), OK);
    cr_assert_str_eq(name, "FILE");
    cr_assert_eq(ops->get_name(NULL, NULL), INVAL);
    char *path = file_path("/tmp"), longest[100];
    memset(longest, 'n', sizeof(longest));
    longest[99] = '\0';
    params_t params = params_new(path, UMF_MEM_MAP_PRIVATE);
    provider_t first = NULL, second = NULL;
    cr_assert_eq(umfMemoryProviderCreate(ops, params, &first), OK); // params serve more than once
    cr_assert_eq(umfFileMemoryProviderParamsSetName(params, longest), OK);
    cr_assert_eq(create_result(params, &second), OK);
    cr_assert_eq(umfMemoryProviderGetName(first, &name), OK);
    cr_assert_str_eq(name, "FILE");
    cr_assert_eq(umfMemoryProviderGetName(second, &name), OK);
    cr_assert_eq(strlen(name), 63);
    destroy(first);
    destroy(second);
    unlink(path);
}

/* Parameters must work before main and after exit. */
static umf_result_t early_result = UNKNOWN;
static params_t early_params;
__attribute__((constructor)) static void early(void) {
    early_result = umfFileMemoryProviderParamsCreate("/tmp/early", &early_params);
}
__attribute__((destructor)) static void late(void) {
    if (umfFileMemoryProviderParamsSetPath(early_params, "/tmp/late") != OK ||
        umfFileMemoryProviderParamsDestroy(early_params) != OK) {
        abort();
    }
}

Test(file, params_work_in_static_initialisers) {
    cr_assert_eq(early_result, OK);
}

/* ---- Blocks ---- */

static void check_blocks(provider_t provider, const char *path) {
    (void)path;
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr), INVAL);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 0, 0, &ptr), INVAL);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE - 1, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE + 1, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, PAGE + PAGE / 2, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 3 * PAGE, &ptr), ALIGN);
    cr_assert_null(ptr);
    static const size_t sizes[] = {1, 64, 4096, 4096 + 64, 3 * 4096, 3 << 20};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        for (size_t alignment = 0; alignment <= 4 * MIB;
             alignment = alignment ? 4 * alignment : 1) {
            ptr = take(provider, sizes[i], alignment);
            memset(ptr, 0xff, sizes[i]);
            cr_assert_eq(umfMemoryProviderPurgeForce(provider, ptr, sizes[i]), OK);
            cr_assert_eq(umfMemoryProviderPurgeLazy(provider, ptr, sizes[i]), NOTSUP);
            give(provider, ptr, sizes[i]);
        }
    }
    uint8_t *a = take(provider, 4 * PAGE, 0);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 5 * PAGE, PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 4 * PAGE, PAGE), OK);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, a, a + PAGE, 5 * PAGE), INVAL);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, a, a + PAGE, 4 * PAGE), OK);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 4 * PAGE, PAGE), OK);
    give(provider, a, PAGE);
    give(provider, a + PAGE, 3 * PAGE);

    cr_assert_eq(umfMemoryProviderFree(provider, NULL, 0), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 0), INVAL);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, PAGE), INVAL);
}

Test(file, blocks_on_disk_and_tmpfs_private_and_shared) {
    on_each(check_blocks);
}

static void check_overlap(provider_t provider, const char *path) {
    (void)path;
    enum { COUNT = 200 };
    uint8_t *blocks[COUNT];
    for (size_t i = 0; i < COUNT; i++) { // across several growths
        blocks[i] = take(provider, 10 * PAGE, i % 5 ? 0 : 8 * PAGE);
        memset(blocks[i], (int)i, 10 * PAGE);
    }
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < 10 * PAGE; k++) {
            cr_assert_eq(blocks[i][k], (uint8_t)i);
        }
        give(provider, blocks[i], 10 * PAGE);
    }
}

Test(file, blocks_never_overlap) {
    on_each(check_overlap);
}

static void check_constants(provider_t provider, const char *path) {
    (void)path;
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &size), OK);
    cr_assert_eq(size, PAGE);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 0, &size), OK);
    cr_assert_eq(size, PAGE);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &size), OK);
    cr_assert_eq(size, 64);
}

Test(file, page_and_cache_line_sizes) {
    on_each(check_constants);
}

Test(file, every_protection_is_what_the_kernel_maps) {
    for (unsigned bits = 0; bits < 16; bits++) {
        char *path = file_path("/tmp");
        params_t params = params_new(path, UMF_MEM_MAP_SHARED);
        cr_assert_eq(umfFileMemoryProviderParamsSetProtection(params, bits), OK);
        provider_t provider;
        cr_assert_eq(create_result(params, &provider), OK, "%u", bits);
        unsigned long at = (unsigned long)take(provider, PAGE, 0);
        FILE *maps = fopen("/proc/self/maps", "r");
        char line[PATH_MAX + 200], rights[8], wanted[5];
        unsigned long from, to;
        bool seen = false;
        snprintf(wanted, sizeof(wanted), "%c%c%cs", bits & UMF_PROTECTION_READ ? 'r' : '-',
                 bits & UMF_PROTECTION_WRITE ? 'w' : '-', bits & UMF_PROTECTION_EXEC ? 'x' : '-');
        while (fgets(line, sizeof(line), maps) != NULL) {
            if (sscanf(line, "%lx-%lx %7s", &from, &to, rights) == 3 && from <= at && at < to) {
                cr_assert_str_eq(rights, wanted);
                seen = true;
            }
        }
        fclose(maps);
        cr_assert(seen);
        destroy(provider);
        unlink(path);
    }
}

/* ---- The file behind the blocks ---- */

/* With alignments above a page too the offset is that of the block, not of what was skipped for
 * it. */
Test(file, shared_memory_is_in_the_file_where_it_is_said_to_be) {
    char *path = file_path("/dev/shm");
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    int fd = open(path, O_RDWR);
    static const size_t alignments[] = {0, 1 << 14, 1 << 21, 1 << 24, 0, 1 << 16, 1 << 23};
    for (size_t i = 0; i < ARRAY_LENGTH(alignments); i++) {
        size_t size = (i + 1) * 700000;
        uint8_t *block = take(provider, size, alignments[i]), byte = 0;
        file_location_t location;
        cr_assert_eq(file_locate(provider->priv, block, &location), OK);
        cr_assert_eq(file_locate(provider->priv, block + 1, &location), INVAL);
        cr_assert_str_eq(location.path, path);
        cr_assert_eq(location.size, size);
        cr_assert_not(location.dax);
        block[0] = (uint8_t)(i + 1);
        block[size - 1] = (uint8_t)(i + 101);
        cr_assert_eq(pread(fd, &byte, 1, location.offset), 1);
        cr_assert_eq(byte, i + 1);
        cr_assert_eq(pread(fd, &byte, 1, location.offset + (off_t)size - 1), 1);
        cr_assert_eq(byte, i + 101);
        cr_assert_eq(umfMemoryProviderAllocationSplit(provider, block, size, PAGE), OK);
        off_t whole = location.offset;
        cr_assert_eq(file_locate(provider->priv, block + PAGE, &location), OK);
        cr_assert_eq(location.offset, whole + (off_t)PAGE);
    }
    close(fd);
    destroy(provider);
    unlink(path);
}

Test(file, private_memory_never_reaches_the_file) {
    char *path = file_path("/dev/shm");
    provider_t provider = create(path, UMF_MEM_MAP_PRIVATE);
    memset(take(provider, 3 * MIB, 0), 0xee, 3 * MIB);
    destroy(provider);
    int fd = open(path, O_RDONLY);
    static uint8_t chunk[1 << 16], zero[1 << 16];
    for (ssize_t got; (got = read(fd, chunk, sizeof(chunk))) > 0;) {
        cr_assert_eq(memcmp(chunk, zero, (size_t)got), 0);
    }
    close(fd);
    unlink(path);
}

/* The path does not depend on the working directory: another process may be elsewhere. */
Test(file, a_relative_path_becomes_absolute) {
    cr_assert_eq(chdir("/dev/shm"), 0);
    char name[64], expected[128];
    snprintf(name, sizeof(name), "umf_test_relative_%ld", (long)getpid());
    snprintf(expected, sizeof(expected), "/dev/shm/%s", name);
    provider_t provider = create(name, UMF_MEM_MAP_SHARED);
    cr_assert_eq(chdir("/"), 0);
    file_location_t location;
    cr_assert_eq(file_locate(provider->priv, take(provider, PAGE, 0), &location), OK);
    cr_assert_str_eq(location.path, expected);
    cr_assert_eq(unlink(location.path), 0);
    destroy(provider);
}

Test(file, purge_drops_private_pages_and_refuses_foreign_memory) {
    char *path = file_path("/dev/shm");
    provider_t provider = create(path, UMF_MEM_MAP_PRIVATE);
    uint8_t *block = take(provider, 2 * PAGE, 0);
    memset(block, 0x77, 2 * PAGE);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, block, PAGE), OK);
    cr_assert(block[0] == 0 && block[PAGE - 1] == 0 && block[PAGE] == 0x77);
    assert_native(provider, UMF_FILE_RESULT_SUCCESS, "success", 0);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, (void *)1, 1), SPECIFIC);
    assert_native(provider, UMF_FILE_RESULT_ERROR_PURGE_FORCE_FAILED, "force purging failed",
                  EINVAL);
    uint8_t *foreign = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    foreign[0] = 1;
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, foreign, PAGE), SPECIFIC);
    cr_assert_eq(foreign[0], 1);
    destroy(provider);
    unlink(path);
}

/* ---- Growth ---- */

Test(file, the_file_grows_in_large_steps_and_destroy_unmaps_all) {
    char *path = file_path("/dev/shm");
    size_t files = open_files(), bytes = load_relaxed(&umf_core_state.base.used_bytes);
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    cr_assert_eq(mapped_bytes(path), 0);
    size_t steps = 0;
    off_t before = size_of(path);
    for (size_t i = 0; i < 16 * MIB / PAGE; i++) {
        take(provider, PAGE, 0);
        off_t now = size_of(path);
        cr_assert(now == before || now >= before + (off_t)(2 * MIB));
        steps += now != before;
        before = now;
    }
    cr_assert_eq(before, 16 * MIB); // 2, 4, 8, 16: nothing is skipped
    cr_assert_eq(steps, 3);
    cr_assert_eq(mapped_bytes(path), 16 * MIB);
    take(provider, 20 * MIB, 0);
    cr_assert_eq(size_of(path), 36 * MIB);
    destroy(provider);
    cr_assert_eq(mapped_bytes(path), 0);
    cr_assert_eq(open_files(), files);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), bytes);
    cr_assert_eq(size_of(path), 36 * MIB); // left as it is: the content is the user's
    unlink(path);
}

/* The file has real blocks wherever memory is mapped: a full file system can not turn a store into
 * SIGBUS. */
Test(file, mapped_memory_has_blocks_behind_it) {
    for (size_t d = 0; d < ARRAY_LENGTH(directories); d++) {
        char *path = file_path(directories[d]);
        provider_t provider = create(path, UMF_MEM_MAP_SHARED);
        take(provider, PAGE, 0);
        struct stat info;
        cr_assert_eq(stat(path, &info), 0);
        cr_assert_geq((size_t)info.st_blocks * 512, mapped_bytes(path));
        destroy(provider);
        unlink(path);
    }
}

/* Takes blocks of `size` until there are no more, marking each; checks the error and all marks;
 * returns the count. */
static size_t fill_up(provider_t provider, size_t size, int error) {
    static uint8_t *blocks[4096];
    size_t count = 0;
    umf_result_t result;
    void *ptr = NULL;
    while ((result = umfMemoryProviderAlloc(provider, size, 0, &ptr)) == OK) {
        cr_assert_lt(count, ARRAY_LENGTH(blocks));
        blocks[count] = ptr;
        memset(ptr, (int)(count % 251) + 1, size);
        count++;
        ptr = NULL;
    }
    cr_assert_eq(result, UNKNOWN);
    cr_assert_null(ptr);
    assert_native(provider, UMF_FILE_RESULT_ERROR_ALLOC_FAILED, "memory allocation failed", error);
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < size; k++) {
            cr_assert_eq(blocks[i][k], i % 251 + 1);
        }
    }
    if (count > 0) { // and it goes on with what is given back
        give(provider, blocks[count / 2], size);
        cr_assert_eq(take(provider, size, 0), blocks[count / 2]);
    }
    return count;
}

Test(file, a_full_file_system_is_an_error_and_nothing_is_lost) {
    char mount_point[] = "/tmp/umf_test_tmpfs_XXXXXX";
    cr_assert_not_null(mkdtemp(mount_point));
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=5m") != 0) {
        rmdir(mount_point);
        cr_skip_test(
            "a small tmpfs can not be mounted: %s (the limit of the file size is tested anyway)",
            strerror(errno));
    }
    for (size_t v = 0; v < ARRAY_LENGTH(visibilities); v++) {
        char *path = file_path(mount_point);
        provider_t provider = create(path, visibilities[v]);
        cr_assert_eq(fill_up(provider, 64 * 1024, ENOSPC),
                     5 * MIB / (64 * 1024)); // to the last block
        off_t size = size_of(path);
        void *ptr = NULL;
        cr_assert_eq(umfMemoryProviderAlloc(provider, MIB << 20, 0, &ptr), UNKNOWN);
        cr_assert_eq(size_of(path), size); // failing leaves nothing behind
        destroy(provider);
        cr_assert_eq(unlink(path), 0);
    }
    // Full from the start: the file can be made, as it has a hole, but no memory.
    char *path = file_path(mount_point);
    char other[PATH_MAX];
    snprintf(other, sizeof(other), "%s/other", mount_point);
    int fd = open(other, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(posix_fallocate(fd, 0, 5 * MIB), 0);
    close(fd);
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    cr_assert_eq(fill_up(provider, PAGE, ENOSPC), 0);
    cr_assert_eq(unlink(other), 0); // somebody makes room
    take(provider, 3 * MIB, 0)[3 * MIB - 1] = 1;
    destroy(provider);
    unlink(path);
    cr_assert_eq(umount(mount_point), 0);
    rmdir(mount_point);
}

/* The kernel answers a file above the limit with SIGXFSZ, which ends the process unless the limit
 * is asked first. */
Test(file, the_limit_of_the_file_size_is_an_error_and_nothing_is_lost) {
    char *path = file_path("/tmp");
    struct rlimit limit;
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = 5 * MIB + PAGE;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    cr_assert_eq(fill_up(provider, PAGE, EFBIG), 5 * MIB / PAGE + 1);
    destroy(provider);
    unlink(path);
    limit.rlim_cur = MIB; // too little for the first 2 MiB
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    size_t files = open_files();
    cr_assert_eq(create_result(params_new(path, UMF_MEM_MAP_SHARED), &provider), UNKNOWN);
    cr_assert_eq(open_files(), files);
    unlink(path);
}

Test(file, more_than_there_is_in_the_world_is_an_error) {
    char *path = file_path("/tmp");
    provider_t provider = create(path, UMF_MEM_MAP_PRIVATE);
    uint8_t *kept = take(provider, PAGE, 0);
    kept[0] = 5;
    off_t size = size_of(path);
    static const size_t huge[] = {(size_t)1 << 50, (size_t)1 << 62, SIZE_MAX / 2 + 1,
                                  SIZE_MAX - 8191};
    void *ptr = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(huge); i++) {
        cr_assert_eq(umfMemoryProviderAlloc(provider, huge[i], 0, &ptr), UNKNOWN, "%zu", huge[i]);
        cr_assert_eq(size_of(path), size);
    }
    cr_assert_null(ptr);
    cr_assert_eq(kept[0], 5);
    take(provider, 4 * MIB, 0);
    destroy(provider);
    unlink(path);
}

/* A failed mapping spends no file space: the next growth continues where the last good one
 * ended. */
Test(file, a_failed_mapping_is_an_error_and_spends_nothing) {
    char *path = file_path("/dev/shm");
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    take(provider, 2 * MIB, 0);
    struct rlimit old, tight;
    cr_assert_eq(getrlimit(RLIMIT_AS, &old), 0);
    tight = old;
    tight.rlim_cur = 1;
    void *ptr = NULL;
    cr_assert_eq(setrlimit(RLIMIT_AS, &tight), 0);
    umf_result_t plain = umfMemoryProviderAlloc(provider, 2 * MIB, 0, &ptr);
    umf_result_t aligned = umfMemoryProviderAlloc(provider, 2 * MIB, 16 * MIB, &ptr);
    cr_assert_eq(setrlimit(RLIMIT_AS, &old), 0);
    cr_assert_eq(plain, SPECIFIC);
    cr_assert_eq(aligned, SPECIFIC);
    cr_assert_null(ptr);
    assert_native(provider, UMF_FILE_RESULT_ERROR_ALLOC_FAILED, "memory allocation failed", ENOMEM);
    file_location_t location;
    cr_assert_eq(file_locate(provider->priv, take(provider, 2 * MIB, 0), &location), OK);
    cr_assert_eq(location.offset, 2 * MIB);
    cr_assert_eq(size_of(path), 4 * MIB);
    destroy(provider);
    unlink(path);
}

Test(file, a_removed_file_loses_nothing) {
    const char *preloaded = getenv("LD_PRELOAD");
    if (preloaded != NULL && strstr(preloaded, "vgpreload") != NULL) {
        cr_skip_test("valgrind 3.19 itself fails when a mapped file has been removed");
    }
    char *path = file_path("/tmp");
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    uint8_t *before = take(provider, MIB, 0);
    memset(before, 0x21, MIB);
    cr_assert_eq(unlink(path), 0);
    uint8_t *after = take(provider, 8 * MIB, 0); // it grows without a name
    memset(after, 0x22, 8 * MIB);
    for (size_t i = 0; i < MIB; i++) {
        cr_assert_eq(before[i], 0x21);
    }
    give(provider, before, MIB);
    give(provider, after, 8 * MIB);
    destroy(provider);
}

Test(file, a_file_cut_by_somebody_else_is_an_error_not_a_silent_loss) {
    char *path = file_path("/tmp");
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    take(provider, 2 * MIB, 0);
    cr_assert_eq(truncate(path, MIB), 0);
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, PAGE, 0, &ptr), UNKNOWN);
    assert_native(provider, UMF_FILE_RESULT_ERROR_ALLOC_FAILED, "memory allocation failed", EIO);
    cr_assert_eq(size_of(path), MIB);
    destroy(provider);
    unlink(path);
}

static _Atomic(int) ticks;
static void tick(int signal_number) {
    (void)signal_number;
    fetch_add_relaxed(&ticks, 1);
}

/* A profiler's timer interrupts the reservation of blocks again and again; it still gets done. */
Test(file, growth_survives_a_storm_of_signals) {
    char *path = file_path("/dev/shm");
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    struct sigaction action = {.sa_handler = tick}; // without SA_RESTART
    struct itimerval timer = {.it_interval = {.tv_usec = 300}, .it_value = {.tv_usec = 300}},
                     off = {0};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    void *ptr = NULL;
    umf_result_t result = umfMemoryProviderAlloc(provider, 48 * MIB, 0, &ptr);
    setitimer(ITIMER_REAL, &off, NULL);
    cr_assert_eq(result, OK);
    cr_assert(size_of(path) >= (off_t)(48 * MIB));
    destroy(provider);
    unlink(path);
}

/* ---- CTL, native errors, pool ---- */

static umf_result_t ctl(provider_t provider, const char *name, void *arg, size_t size,
                        umf_ctl_query_type_t type, ...) {
    va_list args;
    va_start(args, type);
    umf_result_t result =
        provider->ops.ext_ctl(provider->priv, CTL_QUERY_PROGRAMMATIC, name, arg, size, type, args);
    va_end(args);
    return result;
}

static void assert_stats(provider_t provider, size_t allocated, size_t peak) {
    size_t value = SIZE_MAX;
    cr_assert_eq(ctl(provider, "stats.allocated_memory", &value, sizeof(value), CTL_QUERY_READ),
                 OK);
    cr_assert_eq(value, allocated);
    cr_assert_eq(ctl(provider, "stats.peak_memory", &value, sizeof(value), CTL_QUERY_READ), OK);
    cr_assert_eq(value, peak);
}

static void check_stats(provider_t provider, const char *path) {
    (void)path;
    assert_stats(provider, 0, 0);
    void *ptr = take(provider, 1234, 0);
    assert_stats(provider, 1234, 1234);
    give(provider, ptr, 1234);
    assert_stats(provider, 0, 1234);
    cr_assert_eq(ctl(provider, "stats.peak_memory.reset", NULL, 0, CTL_QUERY_RUNNABLE), OK);
    assert_stats(provider, 0, 0);
    cr_assert_eq(ctl(provider, "no.such.node", NULL, 0, CTL_QUERY_READ), BAD_PATH);
    // Anybody may run this one; with all work done in `initialize` it does no harm.
    cr_assert_eq(ctl(provider, "post_initialize", NULL, 0, CTL_QUERY_RUNNABLE), OK);
    give(provider, take(provider, PAGE, 0), PAGE);
}

Test(file, statistics_count_requested_bytes) {
    on_each(check_stats);
}

Test(file, native_error_out_pointers) {
    const umf_memory_provider_ops_t *ops = umfFileMemoryProviderOps();
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(ops->get_last_native_error(NULL, NULL, &error), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, &message, NULL), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, &message, &error), OK); // before any failure
    cr_assert_eq(error, UMF_FILE_RESULT_SUCCESS);
    cr_assert_str_eq(message, "success");
}

static void check_pool(provider_t provider, const char *path) {
    (void)path;
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    for (size_t size = 1; size < 8 * MIB; size *= 7) {
        uint8_t *ptr = umfPoolMalloc(pool, size);
        cr_assert_not_null(ptr);
        memset(ptr, 1, size);
        cr_assert_eq(umfFree(ptr), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(file, a_pool_lives_on_it) {
    on_each(check_pool);
}

/* ---- Aligned mappings ---- */

Test(file_mmap, every_alignment_keeps_the_offset_and_leaks_no_address_space) {
    char *path = file_path("/dev/shm");
    int fd = open(path, O_RDWR | O_CREAT, 0600);
    cr_assert_eq(ftruncate(fd, 4 * MIB), 0);
    cr_assert_eq(pwrite(fd, "x", 1, (off_t)PAGE), 1);
    for (size_t alignment = PAGE; alignment <= (size_t)1 << 34; alignment *= 2) {
        file_mmap_request_t request = {.fd = fd,
                                       .offset = (off_t)PAGE,
                                       .size = 3 * PAGE,
                                       .alignment = alignment,
                                       .protection = PROT_READ,
                                       .shared = alignment % 3 == 0};
        bool synced = true;
        char *ptr = file_mmap(&request, &synced);
        cr_assert_not_null(ptr);
        cr_assert_not(synced); // tmpfs is no DAX
        cr_assert(is_aligned((uintptr_t)ptr, alignment));
        cr_assert_eq(ptr[0], 'x');
        cr_assert_eq(mapped_bytes(path), 3 * PAGE);
        cr_assert_eq(munmap(ptr, 3 * PAGE), 0);
    }
    file_mmap_request_t bad = {.fd = -1, .size = PAGE, .alignment = PAGE, .shared = true};
    cr_assert_null(file_mmap(&bad, NULL));
    cr_assert_eq(errno, EBADF);
    close(fd);
    unlink(path);
}

/* ---- FS-DAX ---- */

Test(file, fsdax) {
    const char *path = getenv("UMF_TESTS_FSDAX_PATH");
    if (path == NULL || path[0] == '\0') {
        cr_skip_test("UMF_TESTS_FSDAX_PATH does not name a file on FS-DAX");
    }
    provider_t provider = create(path, UMF_MEM_MAP_SHARED);
    size_t size = 0;
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &size), OK);
    cr_assert_eq(size, 2 * MIB, "%s is not on FS-DAX", path);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 0, &size), OK);
    cr_assert_eq(size, 2 * MIB);
    for (size_t i = 0; i < 4; i++) {
        uint8_t *block = take(provider, i * MIB + 1, i % 2 ? 0 : 8 * MIB);
        cr_assert(is_aligned((uintptr_t)block, 2 * MIB));
        memset(block, 1, i * MIB + 1);
        file_location_t location;
        cr_assert_eq(file_locate(provider->priv, block, &location), OK);
        cr_assert(location.dax && location.offset % (off_t)(2 * MIB) == 0);
    }
    destroy(provider);
}

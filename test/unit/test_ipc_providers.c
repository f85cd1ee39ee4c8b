/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The five IPC operations of the providers themselves, and the device part of DEVDAX on a stand-in
 * (a memfd) for a device. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <umf/providers/provider_devdax_memory.h>
#include <umf/providers/provider_file_memory.h>
#include <umf/providers/provider_os_memory.h>

#include "core/provider.h"
#include "providers/path_ipc.h"
#include "providers/provider_devdax.h"
#include "test/unit/ipc_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT

enum { BUFFER = 8192 };

static char path[64];

static umf_memory_provider_handle_t file_provider(umf_memory_visibility_t visibility,
                                                  const char *suffix) {
    umf_file_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    snprintf(path, sizeof(path), "/tmp/umf_ipc_ops_%d%s", (int)getpid(), suffix);
    cr_assert_eq(umfFileMemoryProviderParamsCreate(path, &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, visibility), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider), OK);
    umfFileMemoryProviderParamsDestroy(params);
    return provider;
}

static void refuses_all(umf_memory_provider_handle_t provider) {
    char data[BUFFER] = {0};
    size_t size = 0;
    void *ptr = NULL, *opened = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), INVAL);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 4096, data), INVAL);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, data), INVAL);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, &opened), INVAL);
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, ptr, 4096), INVAL);
    cr_assert_null(opened);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 4096), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(ipc_ops, private_memory_refuses_all_five) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider), OK);
    umfOsMemoryProviderParamsDestroy(params);
    refuses_all(provider);
    refuses_all(file_provider(UMF_MEM_MAP_PRIVATE, ""));
    unlink(path);
}

static void round_trip(umf_memory_provider_handle_t provider, size_t expected_bytes) {
    char data[BUFFER];
    size_t size = 0;
    char *ptr = NULL, *opened = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 3 * 4096, 0, (void **)&ptr), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandleSize(provider, &size), OK);
    cr_assert_eq(size, expected_bytes);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr + 4096, 4096, data), INVAL,
                 "inside, not at the start");
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 3 * 4096, data), OK);
    strcpy(ptr + 2 * 4096, "hello");
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, (void **)&opened), OK);
    cr_assert_str_eq(opened + 2 * 4096, "hello");
    cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, opened, 3 * 4096), OK);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, data), OK);
    data[0] ^= 1; // process id or path: somebody else's
    cr_assert_eq(umfMemoryProviderPutIPCHandle(provider, data), INVAL);
    cr_assert_neq(umfMemoryProviderCloseIPCHandle(provider, (void *)(uintptr_t)1, 4096), OK);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 3 * 4096), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(ipc_ops, os_round_trip) {
    round_trip(ipc_os_provider(NULL), 41);
    round_trip(ipc_os_provider("umf_ipc_ops_name"), 41 + strlen("/umf_ipc_ops_name"));
}

Test(ipc_ops, file_round_trip) {
    round_trip(file_provider(UMF_MEM_MAP_SHARED, ""), 4120);
    unlink(path);
}

Test(ipc_ops, file_that_is_gone_can_not_be_opened) {
    umf_memory_provider_handle_t provider = file_provider(UMF_MEM_MAP_SHARED, "");
    char data[BUFFER];
    void *ptr = NULL, *opened = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 4096, data), OK);
    unlink(path);
    cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, &opened), INVAL);
    cr_assert_null(opened);
    umfMemoryProviderFree(provider, ptr, 4096);
    umfMemoryProviderDestroy(provider);
}

/* Two consumers of one named segment, and the name is still there for a third. */
Test(ipc_ops, openers_leave_the_name) {
    umf_memory_provider_handle_t provider = ipc_os_provider("umf_ipc_ops_many");
    char data[BUFFER];
    void *ptr = NULL, *opened[3];
    cr_assert_eq(umfMemoryProviderAlloc(provider, 4096, 0, &ptr), OK);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(provider, ptr, 4096, data), OK);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(umfMemoryProviderOpenIPCHandle(provider, data, &opened[i]), OK);
        cr_assert_eq(access("/dev/shm/umf_ipc_ops_many", F_OK), 0);
    }
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(umfMemoryProviderCloseIPCHandle(provider, opened[i], 4096), OK);
    }
    umfMemoryProviderFree(provider, ptr, 4096);
    umfMemoryProviderDestroy(provider);
    cr_assert_neq(access("/dev/shm/umf_ipc_ops_many", F_OK), 0, "gone with its provider");
}

Test(ipc_ops, part_of_a_device_is_mapped_from_unit_to_unit) {
    enum { MIB = 1 << 20, UNIT = 2 * MIB };
    static const struct {
        uint64_t offset, size;
    } parts[] = {{0, 1}, {0, UNIT}, {UNIT, UNIT}, {UNIT + 4096, 4096}, {3 * MIB, 2 * MIB}};
    int fd = memfd_create("device", MFD_CLOEXEC);
    cr_assert_eq(ftruncate(fd, 16 * MIB), 0);
    size_t before = ipc_shared_maps();
    for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
        const char mark = (char)('a' + i);
        cr_assert_eq(pwrite(fd, &mark, 1, (off_t)parts[i].offset), 1);
        char *ptr = devdax_map_part(fd, UNIT, parts[i].offset, parts[i].size,
                                    PROT_READ | PROT_WRITE, false);
        cr_assert_not_null(ptr);
        cr_assert_eq(*ptr, mark, "the block itself, not the start of its unit");
        cr_assert_eq((uintptr_t)ptr % UNIT, parts[i].offset % UNIT);
        cr_assert_eq(ipc_shared_maps(), before + 1);
        cr_assert_eq(devdax_unmap_part(ptr, parts[i].size), 0);
        cr_assert_eq(ipc_shared_maps(), before, "all of it is unmapped");
    }
    cr_assert_null(devdax_map_part(fd, UNIT, 0, UNIT, PROT_READ, true));
    cr_assert_eq(errno, EOPNOTSUPP);
    cr_assert_eq(ipc_shared_maps(), before);
    close(fd);
}

Test(ipc_ops, paths_are_checked) {
    path_ipc_t data;
    path_ipc_fill(&data, PATH_IPC_DEVICE, "/dev/dax0.0", 0, 4096, PROT_READ);
    cr_assert(path_ipc_valid(&data, sizeof(data), PATH_IPC_DEVICE));
    cr_assert_not(path_ipc_valid(&data, sizeof(data), PATH_IPC_FILE));
    cr_assert_not(path_ipc_valid(&data, sizeof(data) - 1, PATH_IPC_DEVICE));
    cr_assert_eq(path_ipc_open(&data, PROT_READ), -1);
    strcpy(data.path, "/dev/zero"); // a device, but another
    cr_assert_eq(path_ipc_open(&data, PROT_READ), -1);
}

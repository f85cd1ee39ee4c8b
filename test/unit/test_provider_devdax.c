/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * DEVDAX provider: all that can be seen without a device (parameters, refusals, what is read from
 * sysfs), and the device itself when UMF_TESTS_DEVDAX_PATH and UMF_TESTS_DEVDAX_SIZE name one.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_devdax_memory.h>

#include "core/base_alloc.h"
#include "core/state.h"
#include "providers/provider_devdax.h"

#define OK UMF_RESULT_SUCCESS
#define OOM UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define ALIGN UMF_RESULT_ERROR_INVALID_ALIGNMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define SPECIFIC UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN

#define MIB ((size_t)1 << 20)

typedef umf_devdax_memory_provider_params_handle_t params_t;
typedef umf_memory_provider_handle_t provider_t;

/* ---- Parameters ---- */

Test(devdax, params_are_checked) {
    params_t params = NULL;
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate(NULL, MIB, &params), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate("", MIB, &params), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate("/dev/dax0.0", MIB, NULL), INVAL);
    cr_assert_null(params);
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate("/dev/dax0.0", 0, &params), OK);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetDeviceDax(NULL, "/dev/dax0.0", MIB), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetDeviceDax(params, NULL, MIB), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetDeviceDax(params, "", MIB), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetDeviceDax(params, "/dev/dax1.0", 0), OK);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetName(NULL, "x"), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetName(params, NULL), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetName(params, "x"), OK);
    cr_assert_eq(umfDevDaxMemoryProviderParamsDestroy(params), OK);
    cr_assert_eq(umfDevDaxMemoryProviderParamsDestroy(NULL), OK);
}

Test(devdax, protection_is_checked_by_its_setter) {
    params_t params = NULL;
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate("/dev/dax0.0", MIB, &params), OK);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetProtection(NULL, UMF_PROTECTION_READ), INVAL);
    cr_assert_eq(umfDevDaxMemoryProviderParamsSetProtection(params, 0), INVAL);
    for (unsigned bits = 1; bits < 16; bits++) {
        cr_assert_eq(umfDevDaxMemoryProviderParamsSetProtection(params, bits), OK);
    }
    for (unsigned bits = 16; bits != 0; bits <<= 1) {
        cr_assert_eq(umfDevDaxMemoryProviderParamsSetProtection(params, bits), INVAL);
        cr_assert_eq(umfDevDaxMemoryProviderParamsSetProtection(params, bits | 1), INVAL);
    }
    umfDevDaxMemoryProviderParamsDestroy(params);
}

/* ---- Refusals ---- */

/* Creates on `path`, expects the error, and that nothing is left behind. */
static void refused(const char *path, size_t size, umf_result_t expected) {
    size_t bytes = load_relaxed(&umf_core_state.base.used_bytes);
    params_t params = NULL;
    provider_t provider = NULL;
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate(path, size, &params), OK);
    umf_result_t result = umfMemoryProviderCreate(umfDevDaxMemoryProviderOps(), params, &provider);
    cr_assert_eq(result, expected, "%.40s: %d", path, (int)result);
    cr_assert_null(provider);
    umfDevDaxMemoryProviderParamsDestroy(params);
    cr_assert_eq(load_relaxed(&umf_core_state.base.used_bytes), bytes);
}

Test(devdax, creation_refuses_what_is_no_device) {
    provider_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(umfDevDaxMemoryProviderOps(), NULL, &provider), INVAL);
    cr_assert_null(provider);
    refused("/tmp/dev/dax0.0", 2 * MIB, INVAL);
    refused("/dev/dax1.1", 0, INVAL);
    refused("/dev/daxes/are/absent", 2 * MIB, INVAL);
    refused("/dev/null", 2 * MIB, INVAL);
    refused("dax0.0", 2 * MIB, INVAL);
    if (access("/dev/dax1.1", F_OK) != 0) {
        refused("/dev/dax1.1", 2 * MIB, INVAL);
    }
    char too_long[2 * PATH_MAX] = "/dev/dax";
    memset(too_long + 8, '0', sizeof(too_long) - 9);
    refused(too_long, 2 * MIB, INVAL);
    too_long[PATH_MAX] = '\0';
    refused(too_long, 2 * MIB, INVAL);
}

Test(devdax, a_file_or_another_device_of_that_name_is_refused) {
    char path[64];
    snprintf(path, sizeof(path), "/dev/dax_umf_test_%ld", (long)getpid());
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) {
        cr_skip_test("no file can be made in /dev: %s", strerror(errno));
    }
    cr_assert_eq(ftruncate(fd, 4 * MIB), 0);
    close(fd);
    refused(path, 2 * MIB, INVAL); // no character device
    unlink(path);
    if (mknod(path, S_IFCHR | 0600, makedev(1, 5)) != 0) { // /dev/zero
        cr_skip_test("no device node can be made in /dev: %s", strerror(errno));
    }
    fd = open(path, O_RDWR);
    bool usable = fd >= 0; // not where /dev is mounted with nodev
    if (usable) {
        close(fd);
        refused(path, 2 * MIB, UNKNOWN); // can be mapped, but not with MAP_SYNC
    }
    unlink(path);
    if (!usable) {
        cr_skip_test("device nodes in /dev can not be opened");
    }
}

/* ---- sysfs ---- */

static void write_attribute(const char *directory, const char *name, const char *text) {
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/259:7/%s", directory, name);
    unlink(path);
    if (text != NULL) {
        FILE *file = fopen(path, "w");
        cr_assert_not_null(file);
        fputs(text, file);
        fclose(file);
    }
}

Test(devdax, size_and_unit_are_read_from_sysfs) {
    char directory[] = "/tmp/umf_test_sysfs_XXXXXX", device[PATH_MAX];
    cr_assert_not_null(mkdtemp(directory));
    snprintf(device, sizeof(device), "%s/259:7", directory);
    cr_assert_eq(mkdir(device, 0700), 0);
    static const struct {
        const char *size, *align;
        size_t asked;
        umf_result_t result;
        size_t mapped;
    } cases[] = {
        {"1073741824\n", "2097152\n", 1, OK, 2 * MIB},
        {"1073741824\n", "2097152\n", 2 * MIB, OK, 2 * MIB},
        {"1073741824\n", "2097152\n", 2 * MIB + 1, OK, 4 * MIB},
        {"1073741824\n", "2097152\n", 1024 * MIB, OK, 1024 * MIB},
        {"1073741824\n", "2097152\n", 1024 * MIB + 1, INVAL, 0},
        {"1073741824\n", "1073741824\n", 1, OK, 1024 * MIB}, // a device of 1 GiB pages
        {"1073741824\n", "4096\n", 4097, OK, 8192},
        {"1073741824", "2097152", SIZE_MAX, INVAL, 0},
        {NULL, NULL, 3 * MIB, OK, 4 * MIB}, // nothing known: the mapping will tell
        {NULL, NULL, SIZE_MAX, INVAL, 0},
        {"many\n", "-1\n", MIB, OK, 2 * MIB}, // nonsense is nothing known
        {"99999999999999999999999\n", "3\n", MIB, OK, 2 * MIB},
        {"", "", MIB, OK, 2 * MIB},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        write_attribute(directory, "size", cases[i].size);
        write_attribute(directory, "align", cases[i].align);
        size_t mapped = 0;
        umf_result_t result =
            devdax_mapping_size(directory, makedev(259, 7), cases[i].asked, &mapped);
        cr_assert_eq(result, cases[i].result, "case %zu: %d", i, (int)result);
        cr_assert(result != OK || mapped == cases[i].mapped, "case %zu: %zu", i, mapped);
    }
    write_attribute(directory, "size", NULL);
    write_attribute(directory, "align", NULL);
    rmdir(device);
    rmdir(directory);
}

/* ---- Operations without an instance ---- */

Test(devdax, default_name_and_native_error) {
    const umf_memory_provider_ops_t *ops = umfDevDaxMemoryProviderOps();
    const char *text = NULL;
    int32_t error = 0;
    cr_assert_eq(ops->get_name(NULL, &text), OK);
    cr_assert_str_eq(text, "DEVDAX");
    cr_assert_eq(ops->get_name(NULL, NULL), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, NULL, &error), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, &text, NULL), INVAL);
    cr_assert_eq(ops->get_last_native_error(NULL, &text, &error), OK);
    cr_assert_eq(error, UMF_DEVDAX_RESULT_SUCCESS);
    cr_assert_str_eq(text, "success");
}

/* ---- The device ---- */

static void *take(provider_t provider, size_t size, size_t alignment) {
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, size, alignment, &ptr), OK);
    cr_assert(is_aligned((uintptr_t)ptr, alignment < 2 * MIB ? 2 * MIB : alignment));
    memset(ptr, 0x3c, size);
    return ptr;
}

static void give(provider_t provider, void *ptr, size_t size) {
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, size), OK);
}

static provider_t device_create(size_t *size) {
    const char *path = getenv("UMF_TESTS_DEVDAX_PATH"), *text = getenv("UMF_TESTS_DEVDAX_SIZE");
    if (path == NULL || path[0] == '\0' || text == NULL || text[0] == '\0') {
        cr_skip_test("UMF_TESTS_DEVDAX_PATH and UMF_TESTS_DEVDAX_SIZE do not name a DAX device");
    }
    *size = (size_t)strtoull(text, NULL, 0);
    params_t params = NULL;
    provider_t provider = NULL;
    cr_assert_eq(umfDevDaxMemoryProviderParamsCreate(path, *size, &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfDevDaxMemoryProviderOps(), params, &provider), OK);
    umfDevDaxMemoryProviderParamsDestroy(params);
    return provider;
}

Test(devdax_device, blocks) {
    size_t size, value = 0;
    provider_t provider = device_create(&size);
    cr_assert_eq(umfMemoryProviderGetMinPageSize(provider, NULL, &value), OK);
    cr_assert_eq(value, 2 * MIB);
    cr_assert_eq(umfMemoryProviderGetRecommendedPageSize(provider, 0, &value), OK);
    cr_assert_eq(value, 2 * MIB);
    cr_assert_eq(umfMemoryProviderGetCacheLineSize(provider, &value), OK);
    cr_assert_eq(value, 64);

    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(provider, size + 1, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, SIZE_MAX, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 0, 0, &ptr), OOM);
    cr_assert_eq(umfMemoryProviderAlloc(provider, MIB, 2 * MIB - 1, &ptr), ALIGN);
    cr_assert_eq(umfMemoryProviderAlloc(provider, MIB, 3 * MIB, &ptr), ALIGN);
    cr_assert_null(ptr);

    uint8_t *a = take(provider, 1, 0), *b = take(provider, 2 * MIB, 0);
    cr_assert_neq(a, b);
    cr_assert_eq(umfMemoryProviderFree(provider, (void *)1, 0), INVAL);
    cr_assert_eq(umfMemoryProviderPurgeLazy(provider, b, 2 * MIB), NOTSUP);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, b, 2 * MIB), OK);
    cr_assert_eq(umfMemoryProviderPurgeForce(provider, (void *)1, 1), SPECIFIC);
    const char *message = NULL;
    int32_t error = 0;
    cr_assert_eq(umfMemoryProviderGetLastNativeError(provider, &message, &error), OK);
    cr_assert_eq(error, UMF_DEVDAX_RESULT_ERROR_PURGE_FORCE_FAILED);
    cr_assert_eq(strncmp(message, "force purging failed", 20), 0);
    give(provider, a, 1);
    give(provider, b, 2 * MIB);

    a = take(provider, 4 * MIB, 0);
    cr_assert_eq(umfMemoryProviderAllocationSplit(provider, a, 4 * MIB, 2 * MIB), OK);
    cr_assert_eq(umfMemoryProviderAllocationMerge(provider, a, a + 2 * MIB, 4 * MIB), OK);
    give(provider, a, 4 * MIB);
    a = take(provider, size, 0); // the whole device
    cr_assert_eq(umfMemoryProviderAlloc(provider, 1, 0, &ptr), OOM);
    give(provider, a, size);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(devdax_device, a_pool_lives_on_it) {
    size_t size;
    provider_t provider = device_create(&size);
    umf_memory_pool_handle_t pool = NULL;
    cr_assert_eq(umfPoolCreate(umfProxyPoolOps(), provider, NULL, 0, &pool), OK);
    void *ptr = umfPoolMalloc(pool, MIB);
    cr_assert_not_null(ptr);
    memset(ptr, 1, MIB);
    cr_assert_eq(umfFree(ptr), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

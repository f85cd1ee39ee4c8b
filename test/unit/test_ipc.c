/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* IPC interface and both caches, in one process: what is called how often, in which order things
 * may end, and that nothing is left behind. */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/experimental/ctl.h>
#include <umf/experimental/ipc_ext.h>
#include <umf/experimental/memory_properties.h>
#include <umf/pools/pool_proxy.h>
#include <umf/providers/provider_fixed_memory.h>

#include "core/ipc.h"
#include "core/state.h"
#include "test/unit/ipc_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define NOTSUP UMF_RESULT_ERROR_NOT_SUPPORTED
#define UNKNOWN UMF_RESULT_ERROR_UNKNOWN

enum { POINTERS = 100, THREADS = 10, BLOCK = 4096 };

static size_t opened(void) {
    return load_relaxed(&umf_core_state.ipc.import_count);
}

static size_t exported(void) {
    return load_relaxed(&umf_core_state.ipc.export_count);
}

/* ---- arguments ------------------------------------------------------------------------------- */

Test(ipc_arguments, null_is_refused_everywhere) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    umf_ipc_handler_handle_t handler = ipc_handler(pool);
    umf_ipc_handle_t handle = NULL;
    size_t size = 77;
    void *block = umfPoolMalloc(pool, 100), *ptr = &size;
    cr_assert_eq(umfPoolGetIPCHandleSize(NULL, &size), INVAL);
    cr_assert_eq(umfPoolGetIPCHandleSize(pool, NULL), INVAL);
    cr_assert_eq(umfGetIPCHandle(NULL, &handle, &size), INVAL);
    cr_assert_eq(umfGetIPCHandle(block, NULL, &size), INVAL);
    cr_assert_eq(umfGetIPCHandle(block, &handle, NULL), INVAL);
    cr_assert_eq(umfGetIPCHandle((void *)(uintptr_t)0xBAD, &handle, &size), INVAL);
    cr_assert_eq(umfPoolGetIPCHandler(NULL, &handler), INVAL);
    cr_assert_eq(umfPoolGetIPCHandler(pool, NULL), INVAL);
    cr_assert_eq(size, 77);
    cr_assert_null(handle);
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(NULL, bytes, &ptr), INVAL);
    cr_assert_eq(umfOpenIPCHandle(handler, NULL, &ptr), INVAL);
    cr_assert_eq(umfOpenIPCHandle(handler, bytes, NULL), INVAL);
    cr_assert_eq(umfOpenIPCHandle(pool, bytes, &ptr), INVAL, "a pool is no handler");
    cr_assert_eq(ptr, &size);
    cr_assert_eq(umfCloseIPCHandle(NULL), INVAL);
    cr_assert_eq(umfCloseIPCHandle(&size), INVAL);
    cr_assert_eq(umfCloseIPCHandle(block), INVAL, "a block of a pool is no opened mapping");
    cr_assert_eq(umfPutIPCHandle(NULL), OK);
    free(bytes);
    cr_assert_eq(umfPoolFree(pool, block), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

Test(ipc_arguments, size_is_header_and_providers) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    size_t size = 0, got = 0;
    cr_assert_eq(umfPoolGetIPCHandleSize(pool, &size), OK);
    cr_assert_eq(size, 40 + 41);
    void *block = umfPoolMalloc(pool, 100);
    free(ipc_received(block, &got));
    cr_assert_eq(got, size);
    size = 5;
    counts.handle_bytes = SIZE_MAX;
    cr_assert_eq(umfPoolGetIPCHandleSize(pool, &size), INVAL);
    cr_assert_eq(size, 5);
    counts.handle_bytes = SIZE_MAX - 10;
    cr_assert_eq(umfPoolGetIPCHandleSize(pool, &size), INVAL);
    counts.handle_bytes = 0;
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
}

Test(ipc_arguments, providers_without_ipc_say_so) {
    static _Alignas(4096) char buffer[1 << 20];
    umf_fixed_memory_provider_params_handle_t params;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfFixedMemoryProviderParamsCreate(buffer, sizeof(buffer), &params), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFixedMemoryProviderOps(), params, &provider), OK);
    umfFixedMemoryProviderParamsDestroy(params);
    umf_memory_pool_handle_t pool = ipc_pool_on(provider);
    umf_ipc_handle_t handle = NULL;
    size_t size = 0;
    cr_assert_eq(umfPoolGetIPCHandleSize(pool, &size), NOTSUP);
    void *block = umfPoolMalloc(pool, 4096);
    cr_assert_eq(umfGetIPCHandle(block, &handle, &size), NOTSUP);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
}

Test(ipc_arguments, provider_errors_pass_through) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    umf_ipc_handle_t handle = NULL;
    size_t size = 0;
    void *block = umfPoolMalloc(pool, 100), *ptr = NULL;
    counts.fail_get = UMF_RESULT_ERROR_USER_SPECIFIC;
    cr_assert_eq(umfGetIPCHandle(block, &handle, &size), UMF_RESULT_ERROR_USER_SPECIFIC);
    counts.fail_get = OK;
    void *bytes = ipc_received(block, NULL);
    counts.fail_open = NOTSUP;
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, &ptr), NOTSUP);
    cr_assert_null(ptr);
    cr_assert_eq(opened(), 0, "a failed open leaves nothing");
    counts.fail_open = OK;
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, &ptr), OK);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    free(bytes);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
    cr_assert_eq(counts.opens, counts.closes);
}

/* What test programs of the interface do: the handler as a provider, data behind a header. */
Test(ipc_arguments, a_handler_serves_as_provider) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    struct {
        char header[40];
        char data[4096];
    } cached;
    memset(&cached, 0, sizeof(cached));
    void *block = umfPoolMalloc(pool, 4096);
    umf_memory_provider_handle_t handler = ipc_handler(pool);
    cr_assert_eq(umfMemoryProviderGetIPCHandle(handler, block, 4096, cached.data), OK);
    cr_assert_eq(counts.gets, 1);
    cr_assert_eq(umfMemoryProviderPutIPCHandle(handler, cached.data), OK);
    counts.handle_bytes = SIZE_MAX - 8;
    cr_assert_eq(umfMemoryProviderGetIPCHandle(handler, block, 4096, cached.data), INVAL);
    cr_assert_eq(counts.gets, 1, "the provider is not asked");
    counts.handle_bytes = 0;
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
}

/* ---- producer -------------------------------------------------------------------------------- */

Test(ipc_export, one_get_per_provider_allocation) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_disjoint_pool(&counts, BLOCK);
    void *blocks[POINTERS];
    umf_ipc_handle_t handles[POINTERS];
    size_t size;
    for (int i = 0; i < POINTERS; i++) {
        blocks[i] = umfPoolMalloc(pool, BLOCK / 4);
        cr_assert_eq(umfGetIPCHandle(blocks[i], &handles[i], &size), OK);
    }
    cr_assert_eq(counts.gets, counts.allocs);
    cr_assert_eq(exported(), counts.gets);
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfPutIPCHandle(handles[i]), OK);
    }
    cr_assert_eq(counts.puts, 0, "the cache keeps what the provider said");
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfPoolFree(pool, blocks[i]), OK);
    }
    cr_assert_eq(umfPoolDestroy(pool), OK);
    cr_assert_eq(counts.gets, counts.allocs);
    cr_assert_eq(counts.puts, counts.gets);
    cr_assert_eq(exported(), 0);
}

Test(ipc_export, handles_into_one_allocation_differ_by_offset) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    char *block = umfPoolMalloc(pool, 2 * BLOCK), *ptr[3];
    size_t size[2];
    void *bytes[2] = {ipc_received(block, &size[0]), ipc_received(block + 5001, &size[1])};
    cr_assert_eq(size[0], size[1]);
    cr_assert_eq(counts.gets, 1);
    strcpy(block + 5001, "here");
    strcpy(block, "there");
    umf_ipc_handler_handle_t handler = ipc_handler(pool);
    cr_assert_eq(umfOpenIPCHandle(handler, bytes[0], (void **)&ptr[0]), OK);
    cr_assert_eq(umfOpenIPCHandle(handler, bytes[1], (void **)&ptr[1]), OK);
    cr_assert_eq(ptr[1] - ptr[0], 5001);
    cr_assert_neq(ptr[0], block);
    cr_assert_str_eq(ptr[0], "there");
    cr_assert_str_eq(ptr[1], "here");
    cr_assert_eq(umfCloseIPCHandle(ptr[0]), OK);
    cr_assert_str_eq(ptr[1], "here", "still open");
    strcpy(ptr[1], "back");
    cr_assert_str_eq(block + 5001, "back");
    cr_assert_eq(umfCloseIPCHandle(ptr[1]), OK);
    free(bytes[0]);
    free(bytes[1]);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
    cr_assert_eq(counts.gets, 1);
    cr_assert_eq(counts.puts, 1);
    cr_assert_eq(counts.opens, 1);
    cr_assert_eq(counts.closes, 1);
}

Test(ipc_export, put_before_and_after_free_once_only) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    void *block = umfPoolMalloc(pool, BLOCK);
    umf_ipc_handle_t before, after;
    size_t size;
    cr_assert_eq(umfGetIPCHandle(block, &before, &size), OK);
    cr_assert_eq(umfGetIPCHandle(block, &after, &size), OK);
    cr_assert_eq(umfPutIPCHandle(before), OK);
    cr_assert_eq(umfPutIPCHandle(before), INVAL, "twice");
    cr_assert_eq(counts.puts, 0);
    umfPoolFree(pool, block);
    cr_assert_eq(counts.puts, 1, "with the memory, not with the handle");
    cr_assert_eq(umfPutIPCHandle(after), OK);
    umfPoolDestroy(pool);
    cr_assert_eq(counts.puts, 1);
}

Test(ipc_export, memory_at_the_same_address_gets_a_new_id) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    uint64_t id[2];
    void *address[2];
    for (int i = 0; i < 2; i++) {
        address[i] = umfPoolMalloc(pool, BLOCK);
        void *bytes = ipc_received(address[i], NULL);
        memcpy(&id[i], bytes, sizeof(id[i]));
        free(bytes);
        umfPoolFree(pool, address[i]);
    }
    cr_assert_eq(address[0], address[1], "else this tests nothing");
    cr_assert_neq(id[0], id[1]);
    umfPoolDestroy(pool);
}

Test(ipc_export, split_and_merge_end_what_was_said_about_the_whole) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    umf_memory_provider_handle_t wrapper = ipc_handler(pool);
    char *ptr = NULL;
    void *opened_ptr = NULL;
    cr_assert_eq(umfMemoryProviderAlloc(wrapper, 4 * BLOCK, 0, (void **)&ptr), OK);
    free(ipc_received(ptr, NULL));
    cr_assert_eq(umfMemoryProviderAllocationSplit(wrapper, ptr, 4 * BLOCK, BLOCK), OK);
    cr_assert_eq(counts.puts, 1);
    strcpy(ptr + BLOCK, "second");
    void *bytes = ipc_received(ptr + BLOCK, NULL);
    cr_assert_eq(umfOpenIPCHandle(wrapper, bytes, &opened_ptr), OK);
    cr_assert_str_eq(opened_ptr, "second");
    cr_assert_eq(umfCloseIPCHandle(opened_ptr), OK);
    cr_assert_eq(umfMemoryProviderAllocationMerge(wrapper, ptr, ptr + BLOCK, 4 * BLOCK), OK);
    cr_assert_eq(counts.gets, counts.puts);
    cr_assert_eq(umfMemoryProviderFree(wrapper, ptr, 4 * BLOCK), OK);
    free(bytes);
    umfPoolDestroy(pool);
    cr_assert_eq(counts.gets, counts.puts);
    cr_assert_eq(counts.opens, counts.closes);
}

Test(ipc_export, limit_drops_what_no_handle_needs) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    void *blocks[20];
    umf_ipc_handle_t handles[20];
    size_t size;
    ipc_set_limits(4, 0);
    for (int i = 0; i < 20; i++) {
        blocks[i] = umfPoolMalloc(pool, BLOCK);
        cr_assert_eq(umfGetIPCHandle(blocks[i], &handles[i], &size), OK);
    }
    cr_assert_eq(exported(), 20, "all are in use: the limit is soft");
    cr_assert_eq(counts.puts, 0);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(umfPutIPCHandle(handles[i]), OK);
    }
    cr_assert_eq(exported(), 4);
    cr_assert_eq(counts.puts, 16);
    free(ipc_received(blocks[0], NULL));
    cr_assert_eq(counts.gets, 21, "asked anew");
    cr_assert_eq(exported(), 4);
    for (int i = 0; i < 20; i++) {
        umfPoolFree(pool, blocks[i]);
    }
    umfPoolDestroy(pool);
    cr_assert_eq(counts.gets, counts.puts);
    ipc_set_limits(0, 0);
}

Test(ipc_export, pool_that_ends_with_memory_left_gives_all_back) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    umf_ipc_handle_t handle;
    size_t size;
    cr_assert_eq(umfGetIPCHandle(umfPoolMalloc(pool, BLOCK), &handle, &size), OK);
    free(ipc_received(umfPoolMalloc(pool, BLOCK), NULL));
    umfPoolDestroy(pool);
    cr_assert_eq(counts.puts, 2);
    cr_assert_eq(umfPutIPCHandle(handle), OK);
    cr_assert_eq(exported(), 0);
}

/* ---- consumer -------------------------------------------------------------------------------- */

Test(ipc_import, newer_memory_replaces_the_mapping) {
    ipc_counts_t producer = {0}, consumer = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to = ipc_proxy_pool(&consumer);
    for (int i = 0; i < 2; i++) {
        char *block = umfPoolMalloc(from, BLOCK), *ptr;
        void *bytes = ipc_received(block, NULL);
        block[0] = (char)('a' + i);
        cr_assert_eq(umfOpenIPCHandle(ipc_handler(to), bytes, (void **)&ptr), OK);
        cr_assert_eq(ptr[0], 'a' + i);
        cr_assert_eq(umfCloseIPCHandle(ptr), OK);
        umfPoolFree(from, block);
        free(bytes);
    }
    cr_assert_eq(opened(), 1, "the old one went when the new one came");
    umfPoolDestroy(to);
    umfPoolDestroy(from);
    cr_assert_eq(consumer.opens, producer.gets);
    cr_assert_eq(consumer.opens, consumer.closes);
}

Test(ipc_import, newer_memory_does_not_unmap_what_is_open) {
    ipc_counts_t producer = {0}, consumer = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to = ipc_proxy_pool(&consumer);
    umf_ipc_handler_handle_t handler = ipc_handler(to);
    char *block = umfPoolMalloc(from, BLOCK), *older, *newer;
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(handler, bytes, (void **)&older), OK);
    free(bytes);
    umfPoolFree(from, block);
    char *again = umfPoolMalloc(from, BLOCK);
    cr_assert_eq(again, block, "else this tests nothing");
    bytes = ipc_received(again, NULL);
    cr_assert_eq(umfOpenIPCHandle(handler, bytes, (void **)&newer), OK);
    cr_assert_neq(older, newer);
    older[0] = 1; // would fault if it were unmapped
    cr_assert_eq(consumer.closes, 0);
    cr_assert_eq(umfCloseIPCHandle(older), OK);
    cr_assert_eq(consumer.closes, 1, "outdated: closed as soon as nobody uses it");
    cr_assert_eq(umfCloseIPCHandle(older), INVAL);
    newer[0] = 2;
    cr_assert_eq(again[0], 2);
    cr_assert_eq(umfCloseIPCHandle(newer), OK);
    cr_assert_eq(umfCloseIPCHandle(newer), INVAL, "closed as often as opened");
    free(bytes);
    umfPoolFree(from, again);
    umfPoolDestroy(to);
    umfPoolDestroy(from);
    cr_assert_eq(consumer.opens, consumer.closes);
}

Test(ipc_import, handlers_do_not_share) {
    ipc_counts_t producer = {0}, consumer[2] = {{0}, {0}};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer);
    umf_memory_pool_handle_t to[2] = {ipc_proxy_pool(&consumer[0]), ipc_proxy_pool(&consumer[1])};
    char *block = umfPoolMalloc(from, BLOCK), *ptr[2];
    void *bytes = ipc_received(block, NULL);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[i]), bytes, (void **)&ptr[i]), OK);
    }
    cr_assert_neq(ptr[0], ptr[1]);
    cr_assert_eq(umfCloseIPCHandle(ptr[0]), OK);
    umfPoolDestroy(to[0]);
    cr_assert_eq(consumer[0].closes, 1);
    ptr[1][0] = 'x';
    cr_assert_eq(block[0], 'x');
    cr_assert_eq(umfCloseIPCHandle(ptr[1]), OK);
    umfPoolDestroy(to[1]);
    cr_assert_eq(consumer[1].opens, 1);
    cr_assert_eq(consumer[1].closes, 1);
    free(bytes);
    umfPoolFree(from, block);
    umfPoolDestroy(from);
}

Test(ipc_import, eviction_goes_through_the_entrys_own_provider) {
    ipc_counts_t producer = {0}, first = {0}, second = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer);
    umf_memory_pool_handle_t to[2] = {ipc_proxy_pool(&first), ipc_proxy_pool(&second)};
    void *blocks[10], *bytes[10], *ptr;
    ipc_set_limits(0, 3);
    for (int i = 0; i < 10; i++) {
        blocks[i] = umfPoolMalloc(from, BLOCK);
        bytes[i] = ipc_received(blocks[i], NULL);
        cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[i >= 5]), bytes[i], &ptr), OK);
        cr_assert_eq(umfCloseIPCHandle(ptr), OK);
        cr_assert_leq(opened(), 3);
    }
    cr_assert_eq(first.opens, 5);
    cr_assert_eq(first.closes, 5);
    cr_assert_eq(second.closes, 2);
    // The oldest of the three goes next, unless it is used again.
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[1]), bytes[7], &ptr), OK);
    cr_assert_eq(second.opens, 5);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[1]), bytes[0], &ptr), OK);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[1]), bytes[7], &ptr), OK);
    cr_assert_eq(second.opens, 6);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    for (int i = 0; i < 10; i++) {
        free(bytes[i]);
        umfPoolFree(from, blocks[i]);
    }
    umfPoolDestroy(to[0]);
    umfPoolDestroy(to[1]);
    umfPoolDestroy(from);
    cr_assert_eq(second.opens, second.closes);
    ipc_set_limits(0, 0);
}

Test(ipc_import, limit_is_soft_for_mappings_in_use) {
    ipc_counts_t producer = {0}, consumer = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to = ipc_proxy_pool(&consumer);
    void *bytes[10];
    char *ptr[10], *blocks[10];
    ipc_set_limits(0, 4);
    for (int i = 0; i < 10; i++) {
        blocks[i] = umfPoolMalloc(from, BLOCK);
        bytes[i] = ipc_received(blocks[i], NULL);
        cr_assert_eq(umfOpenIPCHandle(ipc_handler(to), bytes[i], (void **)&ptr[i]), OK);
    }
    cr_assert_eq(opened(), 10);
    for (int i = 0; i < 10; i++) {
        ptr[i][0] = (char)i;
        cr_assert_eq(blocks[i][0], i);
        cr_assert_eq(umfCloseIPCHandle(ptr[i]), OK);
    }
    cr_assert_eq(opened(), 4);
    umfPoolDestroy(to);
    for (int i = 0; i < 10; i++) {
        free(bytes[i]);
        umfPoolFree(from, blocks[i]);
    }
    umfPoolDestroy(from);
    cr_assert_eq(consumer.opens, consumer.closes);
    ipc_set_limits(0, 0);
}

Test(ipc_import, opened_memory_has_properties_but_no_pool) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts), found = pool;
    umf_memory_provider_handle_t provider = NULL, owner = NULL;
    umf_memory_properties_handle_t props = NULL;
    umf_ipc_handle_t handle = NULL;
    size_t size = 0;
    char *block = umfPoolMalloc(pool, BLOCK), *ptr;
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, (void **)&ptr), OK);
    cr_assert_eq(umfPoolByPtr(ptr, &found), INVAL);
    cr_assert_null(found);
    cr_assert_eq(umfFree(ptr), INVAL);
    cr_assert_eq(umfGetIPCHandle(ptr, &handle, &size), UNKNOWN);
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr + 10, &props), OK);
    found = pool;
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_POOL_HANDLE, &found, 8), OK);
    cr_assert_null(found);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_BASE_SIZE, &size, 8), OK);
    cr_assert_eq(size, BLOCK);
    cr_assert_eq(umfGetMemoryProperty(props, UMF_MEMORY_PROPERTY_PROVIDER_HANDLE, &provider, 8),
                 OK);
    cr_assert_eq(umfPoolGetMemoryProvider(pool, &owner), OK);
    cr_assert_eq(provider, owner, "the user's, no wrapper");
    cr_assert_eq(umfCloseIPCHandle(ptr + BLOCK - 1), OK, "any address inside");
    umfPoolDestroy(pool);
    cr_assert_eq(umfGetMemoryPropertiesHandle(ptr, &props), INVAL);
    free(bytes);
}

Test(ipc_import, pool_without_tracking_opens_and_closes) {
    ipc_counts_t producer = {0}, consumer = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to = NULL;
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreate(&ipc_counting_ops, &consumer, &provider), OK);
    cr_assert_eq(
        umfPoolCreate(umfProxyPoolOps(), provider, NULL,
                      UMF_POOL_CREATE_FLAG_OWN_PROVIDER | UMF_POOL_CREATE_FLAG_DISABLE_TRACKING,
                      &to),
        OK);
    cr_assert_eq(ipc_handler(to), ipc_handler(to));
    char *block = umfPoolMalloc(from, BLOCK), *ptr, *untracked = umfPoolMalloc(to, BLOCK);
    umf_ipc_handle_t handle;
    size_t size;
    cr_assert_eq(umfGetIPCHandle(untracked, &handle, &size), INVAL);
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(to), bytes, (void **)&ptr), OK);
    ptr[7] = 7;
    cr_assert_eq(block[7], 7);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    free(bytes);
    umfPoolDestroy(to);
    cr_assert_eq(consumer.opens, 1);
    cr_assert_eq(consumer.closes, 1);
    umfPoolFree(from, block);
    umfPoolDestroy(from);
}

Test(ipc_import, pool_that_ends_unmaps_all_it_opened) {
    size_t fds = ipc_open_fds(), maps = ipc_shared_maps();
    ipc_counts_t producer = {0}, consumer = {0};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to = ipc_proxy_pool(&consumer);
    void *bytes = ipc_received(umfPoolMalloc(from, BLOCK), NULL), *ptr;
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(to), bytes, &ptr), OK);
    umfPoolDestroy(to);
    cr_assert_eq(consumer.closes, 1);
    cr_assert_eq(umfCloseIPCHandle(ptr), INVAL);
    free(bytes);
    umfPoolDestroy(from);
    cr_assert_eq(ipc_open_fds(), fds);
    cr_assert_leq(ipc_shared_maps(), maps + 1, "but the block that was never freed");
}

Test(ipc_import, over_aligned_blocks_are_mapped_where_they_are) {
    umf_memory_pool_handle_t pool = ipc_pool_on(ipc_os_provider(NULL));
    char *small = umfPoolMalloc(pool, BLOCK);
    char *block = umfPoolAlignedMalloc(pool, 3 * BLOCK, 1 << 20), *ptr;
    strcpy(block, "aligned");
    strcpy(block + 2 * BLOCK, "end");
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, (void **)&ptr), OK);
    cr_assert_str_eq(ptr, "aligned");
    cr_assert_str_eq(ptr + 2 * BLOCK, "end");
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    free(bytes);
    umfPoolFree(pool, block);
    umfPoolFree(pool, small);
    umfPoolDestroy(pool);
}

/* ---- threads --------------------------------------------------------------------------------- */

typedef struct crowd {
    umf_memory_pool_handle_t pool;
    void *blocks[POINTERS];
    void *bytes[POINTERS];
    pthread_barrier_t start;
    _Atomic(unsigned) seed;
} crowd_t;

/* The numbers below POINTERS in a random order. */
static void shuffle(int *order, unsigned seed) {
    for (int i = 0; i < POINTERS; i++) {
        order[i] = i;
    }
    for (int i = POINTERS - 1; i > 0; i--) {
        int j = (int)(rand_r(&seed) % (unsigned)(i + 1)), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void *get_and_put_all(void *arg) {
    crowd_t *crowd = arg;
    int order[POINTERS];
    umf_ipc_handle_t handles[POINTERS];
    size_t size;
    shuffle(order, fetch_add_relaxed(&crowd->seed, 1));
    pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfGetIPCHandle(crowd->blocks[order[i]], &handles[i], &size), OK);
    }
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfPutIPCHandle(handles[i]), OK);
    }
    return NULL;
}

static void *open_and_close_all(void *arg) {
    crowd_t *crowd = arg;
    int order[POINTERS];
    char *ptr[POINTERS];
    shuffle(order, fetch_add_relaxed(&crowd->seed, 1));
    umf_ipc_handler_handle_t handler = ipc_handler(crowd->pool);
    pthread_barrier_wait(&crowd->start);
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfOpenIPCHandle(handler, crowd->bytes[order[i]], (void **)&ptr[i]), OK);
        cr_assert_eq(ptr[i][0], (char)order[i]);
    }
    for (int i = 0; i < POINTERS; i++) {
        cr_assert_eq(umfCloseIPCHandle(ptr[i]), OK);
    }
    return NULL;
}

static void run_crowd(crowd_t *crowd, void *(*work)(void *)) {
    pthread_t threads[THREADS];
    cr_assert_eq(pthread_barrier_init(&crowd->start, NULL, THREADS), 0);
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, work, crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&crowd->start);
}

static void crowd_begin(crowd_t *crowd, umf_memory_pool_handle_t from) {
    for (int i = 0; i < POINTERS; i++) {
        crowd->blocks[i] = umfPoolMalloc(from, BLOCK);
        *(char *)crowd->blocks[i] = (char)i;
    }
}

static void crowd_end(crowd_t *crowd, umf_memory_pool_handle_t from) {
    for (int i = 0; i < POINTERS; i++) {
        free(crowd->bytes[i]);
        cr_assert_eq(umfPoolFree(from, crowd->blocks[i]), OK);
    }
    cr_assert_eq(umfPoolDestroy(from), OK);
}

Test(ipc_threads, gets_and_puts_balance) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    crowd_t crowd = {.pool = pool};
    crowd_begin(&crowd, pool);
    run_crowd(&crowd, get_and_put_all);
    crowd_end(&crowd, pool);
    cr_assert_geq(counts.gets, counts.allocs);
    cr_assert_eq(counts.puts, counts.gets);
}

Test(ipc_threads, gets_and_puts_balance_over_the_limit) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    crowd_t crowd = {.pool = pool};
    ipc_set_limits(7, 0);
    crowd_begin(&crowd, pool);
    run_crowd(&crowd, get_and_put_all);
    cr_assert_leq(exported(), 7);
    crowd_end(&crowd, pool);
    cr_assert_eq(counts.puts, counts.gets);
    ipc_set_limits(0, 0);
}

static void opens_and_closes(size_t limit, useconds_t slow) {
    ipc_counts_t producer = {0}, consumer = {.open_usecs = slow};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer);
    crowd_t crowd = {.pool = ipc_proxy_pool(&consumer)};
    ipc_set_limits(0, limit);
    crowd_begin(&crowd, from);
    for (int i = 0; i < POINTERS; i++) {
        crowd.bytes[i] = ipc_received(crowd.blocks[i], NULL);
    }
    run_crowd(&crowd, open_and_close_all);
    if (limit == 0) {
        cr_assert_eq(consumer.opens, producer.allocs);
    } else {
        cr_assert_leq(opened(), limit);
    }
    cr_assert_eq(umfPoolDestroy(crowd.pool), OK);
    cr_assert_eq(consumer.opens, consumer.closes);
    cr_assert_eq(opened(), 0);
    crowd_end(&crowd, from);
    ipc_set_limits(0, 0);
}

Test(ipc_threads, each_is_opened_once) {
    opens_and_closes(0, 100);
}

Test(ipc_threads, opens_and_closes_balance_with_a_small_cache) {
    opens_and_closes(10, 0);
}

static void *open_one(void *arg) {
    crowd_t *crowd = arg;
    void *ptr = NULL;
    pthread_barrier_wait(&crowd->start);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(crowd->pool), crowd->bytes[0], &ptr), NOTSUP);
    cr_assert_null(ptr);
    return NULL;
}

Test(ipc_threads, all_who_wait_for_a_failing_open_learn_of_it) {
    ipc_counts_t producer = {0}, consumer = {.open_usecs = 20000, .fail_open = NOTSUP};
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer);
    crowd_t crowd = {.pool = ipc_proxy_pool(&consumer)};
    void *block = umfPoolMalloc(from, BLOCK);
    crowd.bytes[0] = ipc_received(block, NULL);
    run_crowd(&crowd, open_one);
    cr_assert_eq(opened(), 0);
    free(crowd.bytes[0]);
    umfPoolFree(from, block);
    umfPoolDestroy(crowd.pool);
    umfPoolDestroy(from);
}

static void *close_one(void *arg) {
    cr_assert_eq(umfCloseIPCHandle(arg), OK);
    return NULL;
}

Test(ipc_threads, close_in_another_thread) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    void *bytes = ipc_received(umfPoolMalloc(pool, BLOCK), NULL), *ptr;
    pthread_t thread;
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, &ptr), OK);
    cr_assert_eq(pthread_create(&thread, NULL, close_one, ptr), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(umfCloseIPCHandle(ptr), INVAL);
    free(bytes);
    umfPoolDestroy(pool);
}

static void *destroy_pool(void *arg) {
    cr_assert_eq(umfPoolDestroy(arg), OK);
    return NULL;
}

Test(ipc_threads, consumers_end_at_once) {
    ipc_counts_t producer = {0}, consumer[THREADS];
    umf_memory_pool_handle_t from = ipc_proxy_pool(&producer), to[THREADS];
    pthread_t threads[THREADS];
    void *blocks[20];
    memset(consumer, 0, sizeof(consumer));
    for (int i = 0; i < 20; i++) {
        blocks[i] = umfPoolMalloc(from, BLOCK);
    }
    for (int c = 0; c < THREADS; c++) {
        to[c] = ipc_proxy_pool(&consumer[c]);
        for (int i = 0; i < 20; i++) {
            void *bytes = ipc_received(blocks[i], NULL), *ptr;
            cr_assert_eq(umfOpenIPCHandle(ipc_handler(to[c]), bytes, &ptr), OK);
            cr_assert_eq(umfCloseIPCHandle(ptr), OK);
            free(bytes);
        }
    }
    for (int c = 0; c < THREADS; c++) {
        cr_assert_eq(pthread_create(&threads[c], NULL, destroy_pool, to[c]), 0);
    }
    for (int c = 0; c < THREADS; c++) {
        pthread_join(threads[c], NULL);
        cr_assert_eq(consumer[c].opens, 20);
        cr_assert_eq(consumer[c].closes, 20);
    }
    for (int i = 0; i < 20; i++) {
        umfPoolFree(from, blocks[i]);
    }
    umfPoolDestroy(from);
}

/* ---- limits, fork ---------------------------------------------------------------------------- */

Test(ipc_limits, environment_and_ctl) {
    static const struct {
        const char *text;
        size_t limit;
    } cases[] = {{"10", 10}, {"0", 0}, {"10x", 0}, {"", 0}, {"-1", 0}, {" 7", 0}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        setenv("UMF_MAX_OPENED_IPC_HANDLES", cases[i].text, 1);
        setenv("UMF_MAX_EXPORTED_IPC_HANDLES", cases[i].text, 1);
        ipc_limits_from_environment();
        size_t in = 99, out = 99;
        cr_assert_eq(umfCtlGet("umf.ipc.opened.limit", &in, sizeof(in)), OK);
        cr_assert_eq(umfCtlGet("umf.ipc.exported.limit", &out, sizeof(out)), OK);
        cr_assert_eq(in, cases[i].limit, "\"%s\"", cases[i].text);
        cr_assert_eq(out, cases[i].limit);
    }
    size_t three = 3, count = 9;
    cr_assert_eq(umfCtlSet("umf.ipc.opened.limit", &three, sizeof(three)), OK);
    cr_assert_eq(umf_core_state.ipc.import_limit, 3);
    cr_assert_eq(umfCtlGet("umf.ipc.opened.count", &count, sizeof(count)), OK);
    cr_assert_eq(count, 0);
    unsetenv("UMF_MAX_OPENED_IPC_HANDLES");
    unsetenv("UMF_MAX_EXPORTED_IPC_HANDLES");
    ipc_limits_from_environment();
    cr_assert_eq(umf_core_state.ipc.import_limit, 0);
}

Test(ipc_fork, child_exports_under_its_own_name) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    char *block = umfPoolMalloc(pool, BLOCK), *ptr;
    umf_ipc_handle_t handle;
    size_t size;
    cr_assert_eq(umfGetIPCHandle(block, &handle, &size), OK);
    pid_t pid = fork();
    if (pid == 0) {
        int32_t named;
        char *mine = umfPoolMalloc(pool, BLOCK);
        bool good = umfPutIPCHandle(handle) == OK && exported() == 0; // a copy of the parent's
        void *bytes = ipc_received(mine, NULL), *inherited = ipc_received(block, NULL);
        memcpy(&named, (char *)bytes + 16, sizeof(named));
        good = good && named == getpid();
        memcpy(&named, (char *)inherited + 16, sizeof(named));
        good = good && named == getpid() && counts.puts == 0;
        strcpy(mine, "child");
        good = good && umfOpenIPCHandle(ipc_handler(pool), bytes, (void **)&ptr) == OK &&
               strcmp(ptr, "child") == 0 && umfCloseIPCHandle(ptr) == OK;
        good = good && umfPoolFree(pool, block) == OK && umfPoolFree(pool, mine) == OK;
        good = good && umfPoolDestroy(pool) == OK && counts.gets == 1 + counts.puts;
        _exit(good ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    strcpy(block, "still here");
    cr_assert_eq(umfPutIPCHandle(handle), OK);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
    cr_assert_eq(counts.gets, counts.puts);
}

Test(ipc_fork, child_may_close_what_the_parent_opened) {
    ipc_counts_t counts = {0};
    umf_memory_pool_handle_t pool = ipc_proxy_pool(&counts);
    char *block = umfPoolMalloc(pool, BLOCK), *ptr;
    void *bytes = ipc_received(block, NULL);
    cr_assert_eq(umfOpenIPCHandle(ipc_handler(pool), bytes, (void **)&ptr), OK);
    pid_t pid = fork();
    if (pid == 0) {
        ptr[0] = 'c';
        _exit(umfCloseIPCHandle(ptr) == OK && umfCloseIPCHandle(ptr) == INVAL ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    cr_assert_eq(ptr[0], 'c', "opened memory is the producer's, in the child, too");
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    free(bytes);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
}

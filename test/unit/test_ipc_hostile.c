/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC handles as hostile bytes. Damaged ones are found by the check; forged ones (with a correct
 * check) by what they say. Whatever the bytes are: an error, or the memory that the producer meant;
 * never a crash, and never memory beyond a mapping.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <umf/experimental/ipc_ext.h>
#include <umf/providers/provider_file_memory.h>

#include "core/base_alloc.h"
#include "core/ipc_record.h"
#include "core/state.h"
#include "providers/path_ipc.h"
#include "test/unit/ipc_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT

enum { BLOCK = 8192, OFFSET = 100, RANDOM_RUNS = 20000 };

static char file_path[64];

static umf_memory_provider_handle_t file_provider(const char *suffix) {
    umf_file_memory_provider_params_handle_t params = NULL;
    umf_memory_provider_handle_t provider = NULL;
    snprintf(file_path, sizeof(file_path), "/tmp/umf_hostile_%d%s", (int)getpid(), suffix);
    cr_assert_eq(umfFileMemoryProviderParamsCreate(file_path, &params), OK);
    cr_assert_eq(umfFileMemoryProviderParamsSetVisibility(params, UMF_MEM_MAP_SHARED), OK);
    cr_assert_eq(umfMemoryProviderCreate(umfFileMemoryProviderOps(), params, &provider), OK);
    umfFileMemoryProviderParamsDestroy(params);
    return provider;
}

/* A producer's pool with one block, and a consumer's of the same kind. */
typedef struct pair {
    umf_memory_pool_handle_t from, to;
    char *block;
    unsigned char *bytes;
    size_t size;
} pair_t;

enum { OS_ANONYMOUS, OS_NAMED, A_FILE, KINDS };

static umf_memory_provider_handle_t provider_of(int kind, const char *suffix) {
    char name[64];
    snprintf(name, sizeof(name), "umf_hostile_%d%s", (int)getpid(), suffix);
    return kind == A_FILE ? file_provider(suffix) : ipc_os_provider(kind == OS_NAMED ? name : NULL);
}

static void pair_begin(pair_t *pair, int kind) {
    pair->to = ipc_pool_on(provider_of(kind, "c"));
    unlink(file_path);
    pair->from = ipc_pool_on(provider_of(kind, "p"));
    pair->block = umfPoolMalloc(pair->from, BLOCK);
    cr_assert_not_null(pair->block);
    strcpy(pair->block + OFFSET, "the truth");
    pair->bytes = ipc_received(pair->block + OFFSET, &pair->size);
}

static void pair_end(pair_t *pair) {
    unlink(file_path);
    free(pair->bytes);
    umfPoolFree(pair->from, pair->block);
    umfPoolDestroy(pair->to);
    umfPoolDestroy(pair->from);
}

/* Opens bytes; memory that comes must be the producer's. */
static umf_result_t try_bytes(const pair_t *pair, const void *bytes, size_t size) {
    char *ptr = NULL;
    umf_result_t result =
        umfOpenIPCHandleFromBytes(ipc_handler(pair->to), bytes, size, (void **)&ptr);
    cr_assert_eq(result == OK, ptr != NULL);
    if (result == OK) {
        cr_assert_str_eq(ptr, "the truth");
        cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    }
    return result;
}

/* ---- damage ---------------------------------------------------------------------------------- */

Test(ipc_hostile, every_damaged_bit_is_found) {
    for (int kind = 0; kind < KINDS; kind++) {
        pair_t pair;
        pair_begin(&pair, kind);
        const size_t step = pair.size > 1000 ? 37 : 1; // the bits of a long path, some of them
        for (size_t bit = 0; bit < pair.size * 8; bit += step) {
            pair.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            cr_assert_eq(try_bytes(&pair, pair.bytes, pair.size), INVAL, "kind %d, bit %zu", kind,
                         bit);
            pair.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        cr_assert_eq(try_bytes(&pair, pair.bytes, pair.size), OK);
        // and with the mapping in the cache
        for (size_t bit = 0; bit < pair.size * 8; bit += step) {
            pair.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
            cr_assert_eq(try_bytes(&pair, pair.bytes, pair.size), INVAL);
            pair.bytes[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        pair_end(&pair);
    }
}

Test(ipc_hostile, wrong_lengths_are_refused) {
    for (int kind = 0; kind < KINDS; kind++) {
        pair_t pair;
        pair_begin(&pair, kind);
        for (size_t size = 0; size < pair.size; size += size < 100 ? 1 : 61) {
            // from malloc, so that a sanitizer sees reads beyond the end
            void *cut = malloc(size != 0 ? size : 1);
            memcpy(cut, pair.bytes, size);
            cr_assert_eq(try_bytes(&pair, cut, size), INVAL);
            free(cut);
        }
        cr_assert_eq(try_bytes(&pair, pair.bytes, pair.size + 1), INVAL);
        pair_end(&pair);
    }
}

Test(ipc_hostile, bytes_at_an_odd_address_are_fine) {
    pair_t pair;
    pair_begin(&pair, OS_ANONYMOUS);
    char *odd = malloc(pair.size + 1);
    memcpy(odd + 1, pair.bytes, pair.size);
    cr_assert_eq(try_bytes(&pair, odd + 1, pair.size), OK);
    free(odd);
    pair_end(&pair);
}

/* ---- forgery --------------------------------------------------------------------------------- */

/* A copy of a pair's record, to be changed, with room behind. */
typedef struct forgery {
    ipc_header_t header;
    _Alignas(8) unsigned char room[IPC_HEADER_BYTES + IPC_DATA_MAX];
} forgery_t;

static unsigned char *forged_data(forgery_t *forgery) {
    return forgery->room + IPC_HEADER_BYTES;
}

static void forgery_begin(forgery_t *forgery, const pair_t *pair) {
    memset(forgery, 0, sizeof(*forgery));
    memcpy(forgery->room, pair->bytes, pair->size);
    cr_assert(ipc_record_read(pair->bytes, pair->size, &forgery->header));
}

/* Makes it look right, and tries it. */
static umf_result_t forgery_try(forgery_t *forgery, const pair_t *pair) {
    ipc_record_write((struct umf_ipc_data_t *)(void *)forgery->room, &forgery->header);
    return try_bytes(pair, forgery->room, IPC_HEADER_BYTES + forgery->header.data_bytes);
}

Test(ipc_hostile, header_values_are_checked) {
    for (int kind = 0; kind < KINDS; kind++) {
        pair_t pair;
        pair_begin(&pair, kind);
        const struct {
            size_t size, offset;
            uintptr_t base;
            int32_t pid;
        } cases[] = {
            {BLOCK, BLOCK, 4096, 1},                           // just outside
            {BLOCK, BLOCK + 1, 4096, 1},                       // outside
            {BLOCK, ((size_t)1 << 48) - 1, 4096, 1},           // far outside
            {1, 0, 4096, 1},                                   // a part
            {0, 0, 4096, 1},                                   // nothing
            {BLOCK + 1, BLOCK, 4096, 1},                       // a byte more than there is mapped
            {((size_t)1 << 48) - 1, (size_t)1 << 40, 4096, 1}, // much more
            {BLOCK, OFFSET, 0, 1},                             // no address
            {BLOCK, OFFSET, 4096, 0},                          // no process
            {BLOCK, OFFSET, 4096, -1},
            {BLOCK, OFFSET, 4096, INT32_MIN},
        };
        for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
            forgery_t forgery;
            forgery_begin(&forgery, &pair);
            forgery.header.size = cases[i].size;
            forgery.header.offset = cases[i].offset;
            forgery.header.base = cases[i].base;
            forgery.header.pid = cases[i].pid;
            cr_assert_eq(forgery_try(&forgery, &pair), INVAL, "kind %d, case %zu", kind, i);
        }
        pair_end(&pair);
    }
}

Test(ipc_hostile, data_of_another_length_or_kind_are_refused) {
    pair_t pairs[KINDS];
    for (int kind = 0; kind < KINDS; kind++) {
        pair_begin(&pairs[kind], kind);
    }
    for (int kind = 0; kind < KINDS; kind++) {
        forgery_t forgery;
        static const uint32_t lengths[] = {0, 1, 39, 40, IPC_DATA_MAX + 1, UINT32_MAX};
        for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
            forgery_begin(&forgery, &pairs[kind]);
            forgery.header.data_bytes = lengths[i] <= IPC_DATA_MAX ? lengths[i] : 0;
            cr_assert_eq(forgery_try(&forgery, &pairs[kind]), INVAL, "kind %d, %u bytes", kind,
                         lengths[i]);
        }
        // A file's to shared memory and the other way round. Named and anonymous shared memory are
        // one kind: any consumer may open both.
        const int other = kind == A_FILE ? OS_ANONYMOUS : A_FILE;
        forgery_begin(&forgery, &pairs[kind]);
        cr_assert_eq(forgery_try(&forgery, &pairs[other]), INVAL);
    }
    forgery_t named;
    forgery_begin(&named, &pairs[OS_NAMED]);
    cr_assert_eq(forgery_try(&named, &pairs[OS_ANONYMOUS]), OK);
    for (int kind = 0; kind < KINDS; kind++) {
        pair_end(&pairs[kind]);
    }
}

/* Layout: head of os_ipc.c. */
Test(ipc_hostile, os_values_are_checked) {
    pair_t pair;
    pair_begin(&pair, OS_ANONYMOUS);
    int plain = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    int growing = memfd_create("no seals", 0);
    cr_assert_geq(growing, 0);
    cr_assert_eq(ftruncate(growing, 1 << 20), 0);
    const struct {
        size_t at, bytes;
        uint64_t value;
    } cases[] = {
        {0, 4, 0},                        // process
        {0, 4, (uint32_t)-5},             //
        {0, 4, 0x7fffffff},               // that does not exist
        {4, 4, (uint32_t)-1},             // descriptor, and no name
        {4, 4, (uint32_t)-2},             //
        {4, 4, 0x7fffffff},               //
        {4, 4, 0},                        // some other of ours
        {4, 4, (uint64_t)growing},        // that could be cut off under us
        {4, 4, (uint64_t)plain},          // no shared memory
        {8, 8, 1},                        // offset
        {8, 8, UINT64_MAX - 4095},        //
        {8, 8, INT64_MAX - 4095},         //
        {16, 8, 0},                       // size
        {16, 8, BLOCK + 1},               //
        {16, 8, UINT64_MAX - 4095},       //
        {16, 8, (uint64_t)INT64_MAX + 1}, //
        {24, 4, 0xff},                    // rights
        {28, 4, 0},                       // magic
        {32, 2, 1},                       // name length
        {32, 2, 0xffff},                  //
        {36, 4, 1},                       // inode
        {40, 1, 'x'},                     // no end of the name
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        forgery_t forgery;
        forgery_begin(&forgery, &pair);
        memcpy(forged_data(&forgery) + cases[i].at, &cases[i].value, cases[i].bytes);
        umf_result_t result = forgery_try(&forgery, &pair);
        cr_assert_eq(result, INVAL, "case %zu: %d", i, (int)result);
    }
    close(plain);
    close(growing);
    pair_end(&pair);
}

/* The object of a provider is as long as a file can be: its length does not tell. */
Test(ipc_hostile, a_block_that_nobody_could_fill_is_refused) {
    const uint64_t bytes = UINT64_C(1) << 45;
    for (int kind = OS_ANONYMOUS; kind <= OS_NAMED; kind++) {
        pair_t pair;
        forgery_t forgery;
        pair_begin(&pair, kind);
        forgery_begin(&forgery, &pair);
        forgery.header.size = bytes;
        memcpy(forged_data(&forgery) + 16, &bytes, sizeof(bytes));
        cr_assert_eq(forgery_try(&forgery, &pair), INVAL, "kind %d", kind);
        pair_end(&pair);
    }
}

Test(ipc_hostile, names_lead_to_shared_memory_of_that_inode_only) {
    static const char *const names[] = {
        "x", "/", "/.", "/..", "//etc/passwd", "/../x", "/a/b", "/no_such_name", "/umf_other"};
    pair_t pair;
    pair_begin(&pair, OS_NAMED);
    int other = shm_open("/umf_other", O_RDWR | O_CREAT, 0600);
    cr_assert_geq(other, 0);
    cr_assert_eq(ftruncate(other, 1 << 20), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        forgery_t forgery;
        forgery_begin(&forgery, &pair);
        const size_t length = strlen(names[i]);
        const uint16_t length16 = (uint16_t)length;
        const int32_t none = -1;
        memcpy(forged_data(&forgery) + 4, &none, sizeof(none));
        memcpy(forged_data(&forgery) + 32, &length16, sizeof(length16));
        strcpy((char *)forged_data(&forgery) + 40, names[i]);
        forgery.header.data_bytes = (uint32_t)(40 + length + 1);
        umf_result_t result = forgery_try(&forgery, &pair);
        cr_assert(result == INVAL || result == UMF_RESULT_ERROR_UNKNOWN, "%s: %d", names[i],
                  (int)result);
    }
    close(other);
    shm_unlink("/umf_other");
    pair_end(&pair);
}

Test(ipc_hostile, file_values_are_checked) {
    pair_t pair;
    pair_begin(&pair, A_FILE);
    static const char *const paths[] = {"",         "relative", "/dev/zero",   "/dev/tty",
                                        "/no/such", "/tmp",     "/etc/passwd", "/proc/self/mem"};
    forgery_t forgery;
    for (size_t i = 0; i < ARRAY_LENGTH(paths); i++) {
        forgery_begin(&forgery, &pair);
        path_ipc_t *data = (path_ipc_t *)(void *)forged_data(&forgery);
        memset(data->path, 0, sizeof(data->path));
        strcpy(data->path, paths[i]);
        cr_assert_eq(forgery_try(&forgery, &pair), INVAL, "%s", paths[i]);
    }
    // A pipe must not block the opener, whatever inode is claimed.
    char pipe_path[64];
    struct stat status;
    snprintf(pipe_path, sizeof(pipe_path), "/tmp/umf_hostile_pipe_%d", (int)getpid());
    cr_assert_eq(mkfifo(pipe_path, 0600), 0);
    cr_assert_eq(stat(pipe_path, &status), 0);
    forgery_begin(&forgery, &pair);
    path_ipc_t *data = (path_ipc_t *)(void *)forged_data(&forgery);
    strcpy(data->path, pipe_path);
    data->identity = path_ipc_identity(&status);
    cr_assert_eq(forgery_try(&forgery, &pair), INVAL);
    unlink(pipe_path);

    forgery_begin(&forgery, &pair);
    data->offset = (uint64_t)1 << 40; // behind the end of the file: would be SIGBUS
    cr_assert_eq(forgery_try(&forgery, &pair), INVAL);
    data->offset = UINT64_MAX - 4095;
    cr_assert_eq(forgery_try(&forgery, &pair), INVAL);
    forgery_begin(&forgery, &pair);
    memset(data->path, '/', sizeof(data->path)); // no end
    cr_assert_eq(forgery_try(&forgery, &pair), INVAL);
    pair_end(&pair);
}

Test(ipc_hostile, rights_are_no_more_than_the_consumers_own) {
    pair_t pair;
    pair_begin(&pair, OS_ANONYMOUS);
    forgery_t forgery;
    forgery_begin(&forgery, &pair);
    uint32_t all = PROT_READ | PROT_WRITE | PROT_EXEC;
    memcpy(forged_data(&forgery) + 24, &all, sizeof(all));
    ipc_record_write((struct umf_ipc_data_t *)(void *)forgery.room, &forgery.header);
    char *ptr = NULL, line[256], start[32];
    cr_assert_eq(
        umfOpenIPCHandleFromBytes(ipc_handler(pair.to), forgery.room, pair.size, (void **)&ptr),
        OK);
    snprintf(start, sizeof(start), "%lx-", (unsigned long)(ptr - OFFSET));
    FILE *maps = fopen("/proc/self/maps", "re");
    bool found = false;
    while (!found && fgets(line, sizeof(line), maps) != NULL) {
        found = strncmp(line, start, strlen(start)) == 0;
    }
    fclose(maps);
    cr_assert(found);
    cr_assert_not_null(strstr(line, " rw-s "), "%s", line);
    cr_assert_eq(umfCloseIPCHandle(ptr), OK);
    // Less than the consumer's: reading or writing would end it.
    for (uint32_t less = 0; less < (PROT_READ | PROT_WRITE); less++) {
        memcpy(forged_data(&forgery) + 24, &less, sizeof(less));
        cr_assert_eq(forgery_try(&forgery, &pair), INVAL);
    }
    pair_end(&pair);
}

/* ---- chance ---------------------------------------------------------------------------------- */

Test(ipc_hostile, random_changes_do_no_harm) {
    const size_t fds = ipc_open_fds(), maps = ipc_shared_maps();
    for (int kind = 0; kind < KINDS; kind++) {
        pair_t pair;
        unsigned seed = 12345;
        pair_begin(&pair, kind);
        for (int run = 0; run < RANDOM_RUNS / (kind == A_FILE ? 4 : 1); run++) {
            forgery_t forgery;
            forgery_begin(&forgery, &pair);
            const bool sealed = rand_r(&seed) % 8 != 0;
            for (int n = rand_r(&seed) % 6; n >= 0; n--) {
                size_t at = (size_t)rand_r(&seed) % pair.size;
                at = rand_r(&seed) % 2 != 0 ? at : at % 100;
                static const unsigned char favourites[] = {0, 1, 0x7f, 0x80, 0xff, '/'};
                forgery.room[at] = rand_r(&seed) % 2 != 0
                                       ? (unsigned char)rand_r(&seed)
                                       : favourites[(size_t)rand_r(&seed) % sizeof(favourites)];
            }
            ipc_header_t header;
            if (sealed && ipc_record_read(forgery.room, SIZE_MAX, &header)) {
                ipc_record_write((struct umf_ipc_data_t *)(void *)forgery.room, &header);
            }
            char *ptr = NULL;
            if (umfOpenIPCHandleFromBytes(ipc_handler(pair.to), forgery.room, pair.size,
                                          (void **)&ptr) == OK) {
                (void)*(volatile char *)ptr; // inside a mapping
                cr_assert_eq(umfCloseIPCHandle(ptr), OK);
            }
        }
        cr_assert_eq(try_bytes(&pair, pair.bytes, pair.size), OK);
        pair_end(&pair);
    }
    cr_assert_eq(ipc_open_fds(), fds);
    cr_assert_eq(ipc_shared_maps(), maps);
}

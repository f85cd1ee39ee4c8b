/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Producer with consumers in processes of their own.
 *
 *   ipc_exchange CONSUMER exchange KIND   two consumers use blocks of all sorts, in all orders
 *   ipc_exchange CONSUMER death KIND      the producer is killed while its memory is open
 *   ipc_exchange CONSUMER stress KIND     2 consumers, 10,000 rounds each over 200 blocks
 *
 * At the end neither side may have a descriptor or a shared mapping more than in the beginning.
 * Exit status 77: the kernel does not let a process fetch another's descriptors.
 */
#include "kinds.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <umf/ipc.h>

enum {
    CONSUMERS = 2,
    ROUNDS = 10000,
    BLOCKS = 200,
    STRESS_SECS = 30,
    OTHER_SECS = 60,
    PIDFD_OPEN = 434,
    PIDFD_GETFD = 438
};

static const char *consumer_path;

static umf_ipc_handle_t get(const void *ptr, size_t *size) {
    umf_ipc_handle_t handle = NULL;
    umf_result_t result = umfGetIPCHandle(ptr, &handle, size);
    REQUIRE(result == UMF_RESULT_SUCCESS, "umfGetIPCHandle: %d", (int)result);
    return handle;
}

static void put(umf_ipc_handle_t handle) {
    REQUIRE(umfPutIPCHandle(handle) == UMF_RESULT_SUCCESS, "put");
}

/* Sends a block's handle into a slot, and puts it at once. */
static void give(const peer_t *peer, int slot, const void *ptr) {
    size_t size;
    umf_ipc_handle_t handle = get(ptr, &size);
    peer_answer_t answer = peer_do(peer, PEER_OPEN, slot, handle, size);
    put(handle);
    REQUIRE(answer.result == 0, "open: %d", answer.result);
    REQUIRE(strncmp(answer.text, ptr, PEER_TEXT - 1) == 0, "\"%s\" instead of \"%s\"", answer.text,
            (const char *)ptr);
}

static void close_slot(const peer_t *peer, int slot) {
    REQUIRE(peer_do(peer, PEER_CLOSE, slot, NULL, 0).result == 0, "close");
}

/* Every consumer opens the block, and all see what each writes. */
static void share_among(const peer_t *peers, char *block) {
    strcpy(block, "from the producer");
    for (int i = 0; i < CONSUMERS; i++) {
        give(&peers[i], 0, block);
        give(&peers[i], 1, block); // twice: one mapping
    }
    for (int i = 0; i < CONSUMERS; i++) {
        char text[PEER_TEXT];
        snprintf(text, sizeof(text), "from consumer %d", i);
        peer_do(&peers[i], PEER_WRITE, 0, text, sizeof(text));
        REQUIRE(strcmp(block, text) == 0, "\"%s\"", block);
        REQUIRE(strcmp(peer_do(&peers[1 - i], PEER_READ, 1, NULL, 0).text, text) == 0, "other");
    }
    for (int i = 0; i < CONSUMERS; i++) {
        close_slot(&peers[i], 0);
        close_slot(&peers[i], 1);
        REQUIRE(peer_do(&peers[i], PEER_CLOSE, 0, NULL, 0).result ==
                    UMF_RESULT_ERROR_INVALID_ARGUMENT,
                "closed thrice");
    }
}

static void exchange_with(const peer_t *peers, umf_memory_pool_handle_t pool) {
    static const struct {
        size_t size, alignment;
    } blocks[] = {{100, 0}, {4096, 0}, {5000, 0}, {100000, 1 << 16}, {3 << 20, 1 << 21}};
    char *all[sizeof(blocks) / sizeof(blocks[0])];
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        all[i] = blocks[i].alignment != 0
                     ? umfPoolAlignedMalloc(pool, blocks[i].size, blocks[i].alignment)
                     : umfPoolMalloc(pool, blocks[i].size);
        REQUIRE(all[i] != NULL, "block %zu", i);
        share_among(peers, all[i]);
        share_among(peers, all[i] + blocks[i].size - PEER_TEXT); // an address inside
    }
    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
        REQUIRE(umfPoolFree(pool, all[i]) == UMF_RESULT_SUCCESS, "free");
    }
    // What is open when the block is freed stays mapped; new memory there is seen as such.
    char *block = umfPoolMalloc(pool, 8192);
    strcpy(block, "first");
    give(&peers[0], 0, block);
    umfPoolFree(pool, block);
    block = umfPoolMalloc(pool, 8192);
    strcpy(block, "second");
    give(&peers[0], 1, block);
    peer_do(&peers[0], PEER_READ, 0, NULL, 0); // must not crash
    close_slot(&peers[0], 0);
    close_slot(&peers[0], 1);
    REQUIRE(peer_do(&peers[0], PEER_RESET, 0, NULL, 0).result == 0, "reset");
    give(&peers[0], 0, block);
    close_slot(&peers[0], 0);
    umfPoolFree(pool, block);
}

static void run_exchange(const char *kind) {
    peer_t peers[CONSUMERS];
    for (int i = 0; i < CONSUMERS; i++) {
        peers[i] = peer_start(consumer_path, kind);
    }
    for (int slab = 0; slab < 2; slab++) {
        umf_memory_pool_handle_t pool = kind_pool(kind, slab);
        exchange_with(peers, pool);
        REQUIRE(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS, "destroy");
    }
    for (int i = 0; i < CONSUMERS; i++) {
        peer_end(&peers[i]);
    }
}

/* A process that exports a block, says so, and waits to be killed. */
static _Noreturn void be_killed(const char *kind, int out) {
    umf_memory_pool_handle_t pool = kind_pool(kind, 0);
    char *block = umfPoolMalloc(pool, 8192);
    strcpy(block, "from the dead");
    size_t size;
    umf_ipc_handle_t handle = get(block, &size);
    REQUIRE(write(out, handle, size) == (ssize_t)size, "pipe");
    for (;;) {
        pause();
    }
}

static void run_death(const char *kind) {
    int pipe_ends[2];
    unsigned char bytes[PEER_BYTES];
    REQUIRE(pipe(pipe_ends) == 0, "pipe");
    peer_t peer = peer_start(consumer_path, kind); // also lets others trace this process's children
    pid_t producer = fork();
    if (producer == 0) {
        be_killed(kind, pipe_ends[1]);
    }
    ssize_t size = read(pipe_ends[0], bytes, sizeof(bytes));
    REQUIRE(size > 0, "no handle");
    peer_answer_t answer = peer_do(&peer, PEER_OPEN, 0, bytes, (size_t)size);
    REQUIRE(answer.result == 0 && strcmp(answer.text, "from the dead") == 0, "%d", answer.result);
    kill(producer, SIGKILL);
    waitpid(producer, NULL, 0);
    char path[64];
    snprintf(path, sizeof(path), "/tmp/umf_ipc_%d", (int)producer);
    answer = peer_do(&peer, PEER_READ, 0, NULL, 0);
    REQUIRE(strcmp(answer.text, "from the dead") == 0, "what is open stays: \"%s\"", answer.text);
    answer = peer_do(&peer, PEER_OPEN, 1, bytes, (size_t)size);
    REQUIRE(answer.result == 0, "it is in the cache");
    close_slot(&peer, 1);
    close_slot(&peer, 0);
    peer_do(&peer, PEER_RESET, 0, NULL, 0);
    unlink(path);
    answer = peer_do(&peer, PEER_OPEN, 1, bytes, (size_t)size);
    if (strcmp(kind, "named") == 0) { // a user's own name is there until it is used again
        REQUIRE(answer.result == 0, "%d", answer.result);
        close_slot(&peer, 1);
        snprintf(path, sizeof(path), "/umf_ipc_%d", (int)producer);
        shm_unlink(path);
    } else {
        REQUIRE(answer.result == UMF_RESULT_ERROR_INVALID_ARGUMENT, "%d", answer.result);
    }
    peer_end(&peer);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

/* One round's order: block `index`, whose number is known. */
static void stress_order(const peer_t *peer, uint64_t *block) {
    peer_order_t order = {.op = PEER_CYCLE, .value = *block};
    size_t size;
    umf_ipc_handle_t handle = get(block, &size);
    order.size = (uint32_t)size;
    memcpy(order.bytes, handle, size);
    peer_send(peer, &order);
    put(handle);
}

static void run_stress(const char *kind) {
    peer_t peers[CONSUMERS];
    uint64_t *blocks[BLOCKS], expected[BLOCKS] = {0};
    int at[CONSUMERS], rounds[CONSUMERS] = {0};
    struct pollfd fds[CONSUMERS];
    umf_memory_pool_handle_t pool = kind_pool(kind, 0);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = umfPoolMalloc(pool, 4096);
        *blocks[i] = 0;
    }
    for (int i = 0; i < CONSUMERS; i++) {
        peers[i] = peer_start(consumer_path, kind);
        fds[i] = (struct pollfd){.fd = peers[i].socket, .events = POLLIN};
        at[i] = i; // they never work on one block at once: parity differs
        stress_order(&peers[i], blocks[at[i]]);
    }
    for (int left = CONSUMERS * ROUNDS; left > 0;) {
        REQUIRE(poll(fds, CONSUMERS, -1) > 0, "poll");
        for (int i = 0; i < CONSUMERS; i++) {
            if ((fds[i].revents & (POLLIN | POLLHUP)) == 0) {
                continue;
            }
            peer_answer_t answer = peer_receive(&peers[i]);
            REQUIRE(answer.result == 0, "consumer %d, round %d: %d", i, rounds[i], answer.result);
            expected[at[i]]++;
            REQUIRE(*blocks[at[i]] == expected[at[i]], "block %d", at[i]);
            left--;
            if (++rounds[i] % 500 == 0) { // now and then other memory
                umfPoolFree(pool, blocks[at[i]]);
                blocks[at[i]] = umfPoolMalloc(pool, 4096);
                *blocks[at[i]] = expected[at[i]];
            }
            at[i] = (at[i] + 2 * (1 + rounds[i] % 7)) % BLOCKS;
            if (rounds[i] < ROUNDS) {
                stress_order(&peers[i], blocks[at[i]]);
            } else {
                fds[i].fd = -1;
            }
        }
    }
    for (int i = 0; i < CONSUMERS; i++) {
        peer_end(&peers[i]); // fails when it leaks
    }
    for (int i = 0; i < BLOCKS; i++) {
        umfPoolFree(pool, blocks[i]);
    }
    REQUIRE(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS, "destroy");
}

/* True when a child may fetch a descriptor of ours: containers often forbid it. */
static int may_fetch(void) {
    pid_t child = fork();
    if (child == 0) {
        int process = (int)syscall(PIDFD_OPEN, getppid(), 0);
        _exit(process >= 0 && syscall(PIDFD_GETFD, process, 1, 0) >= 0 ? 0 : 1);
    }
    int status;
    waitpid(child, &status, 0);
    return status == 0;
}

int main(int argc, char **argv) {
    REQUIRE(argc == 4, "usage: ipc_exchange CONSUMER exchange|death|stress anonymous|named|file");
    consumer_path = argv[1];
    const char *kind = argv[3];
    alarm(strcmp(argv[2], "stress") == 0 ? STRESS_SECS : OTHER_SECS);
    if (strcmp(kind, "anonymous") == 0 && !may_fetch()) {
        puts("skipped: no permission to fetch descriptors of other processes (pidfd_getfd)");
        return PEER_SKIP;
    }
    const size_t descriptors = count_descriptors(), mappings = count_shared_mappings();
    if (strcmp(argv[2], "exchange") == 0) {
        run_exchange(kind);
    } else if (strcmp(argv[2], "death") == 0) {
        run_death(kind);
    } else {
        run_stress(kind);
    }
    kind_clean_up();
    REQUIRE(count_descriptors() == descriptors, "%zu descriptors, %zu before", count_descriptors(),
            descriptors);
    REQUIRE(count_shared_mappings() == mappings, "%zu shared mappings, %zu before",
            count_shared_mappings(), mappings);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * ipc_malloc.c - a preloaded program with a shared heap lets another process write into a malloc'ed
 * block. The program knows nothing of the library: it loads libumf.so by dlopen and takes the
 * functions from that handle, as MPI libraries do.
 *
 *   ipc_malloc LIBUMF CONSUMER anonymous|named
 */
#include "../ipc/peer.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/ipc.h>

enum { BLOCK = 2137 };

static umf_result_t (*get_handle)(const void *, umf_ipc_handle_t *, size_t *);
static umf_result_t (*put_handle)(umf_ipc_handle_t);

/* A consumer opens the block, changes it, closes it. */
static void share(const char *consumer, const char *kind) {
    char *block = malloc(BLOCK);
    strcpy(block, "from malloc");
    peer_t peer = peer_start(consumer, kind);
    umf_ipc_handle_t handle = NULL;
    size_t size = 0;
    umf_result_t result = get_handle(block, &handle, &size);
    REQUIRE(result == UMF_RESULT_SUCCESS, "umfGetIPCHandle: %d", (int)result);
    REQUIRE(size <= 2048, "%zu bytes do not fit into programs' buffers", size);
    peer_answer_t answer = peer_do(&peer, PEER_OPEN, 0, handle, size);
    if (answer.result == UMF_RESULT_ERROR_INVALID_ARGUMENT && strcmp(kind, "anonymous") == 0) {
        puts("skipped: no permission to fetch descriptors of other processes (pidfd_getfd)");
        exit(PEER_SKIP);
    }
    REQUIRE(answer.result == 0 && strcmp(answer.text, "from malloc") == 0, "%d \"%s\"",
            answer.result, answer.text);
    peer_do(&peer, PEER_WRITE, 0, "from outside", sizeof("from outside"));
    REQUIRE(strcmp(block, "from outside") == 0, "\"%s\"", block);
    REQUIRE(peer_do(&peer, PEER_CLOSE, 0, NULL, 0).result == 0, "close");
    REQUIRE(put_handle(handle) == UMF_RESULT_SUCCESS, "put");
    peer_end(&peer);
    // The kernel can use the heap's memory (it can not with memfd_secret).
    int ends[2];
    REQUIRE(pipe(ends) == 0 && write(ends[1], block, 12) == 12 && read(ends[0], block, 12) == 12,
            "system calls on the heap");
    close(ends[0]);
    close(ends[1]);
    free(block);
}

int main(int argc, char **argv) {
    REQUIRE(argc == 4, "usage: ipc_malloc LIBUMF CONSUMER anonymous|named");
    void *library = dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL);
    REQUIRE(library != NULL, "%s", dlerror());
    *(void **)&get_handle = dlsym(library, "umfGetIPCHandle");
    *(void **)&put_handle = dlsym(library, "umfPutIPCHandle");
    REQUIRE(get_handle != NULL && put_handle != NULL, "%s", dlerror());
    unsetenv("LD_PRELOAD"); // the consumer is an ordinary program
    char *kept = malloc(100000);
    memset(kept, 'p', 100000);
    share(argv[2], argv[3]);
    // A child has a heap of its own: what it does to it never reaches ours; it shares its own.
    pid_t pid = fork();
    if (pid == 0) {
        REQUIRE(kept[99999] == 'p', "the child's copy");
        memset(kept, 'c', 100000);
        free(kept);
        for (int i = 0; i < 1000; i++) {
            memset(malloc(1000), 'c', 1000);
        }
        share(argv[2], argv[3]);
        exit(0);
    }
    int status;
    REQUIRE(waitpid(pid, &status, 0) == pid && (status == 0 || WEXITSTATUS(status) == PEER_SKIP),
            "child: status %#x", (unsigned)status);
    for (int i = 0; i < 100000; i++) {
        REQUIRE(kept[i] == 'p', "the child wrote into its parent's heap at %d", i);
    }
    free(kept);
    return 0;
}

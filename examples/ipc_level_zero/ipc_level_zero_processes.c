/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * IPC between two processes: the parent allocates device memory and sends a handle through a pipe;
 * the child opens it, checks and changes the content; the parent sees the change. A driver does not
 * survive a fork, so the child is made first, and each starts its own. Ends with 77 (a skip) where
 * there is no Level Zero device, or no permission to duplicate another process's descriptors.
 */
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf/ipc.h>

#include "../common/level_zero.h"

enum { NUMBERS = 1024, MESSAGE_BYTES = 8192 };

static int consume(int from) {
    char message[MESSAGE_BYTES];
    if (read(from, message, sizeof(message)) <= 0) {
        return SKIPPED; // the parent found no device
    }
    gpu_t gpu = gpu_open();
    umf_memory_pool_handle_t pool = gpu_pool(&gpu, UMF_MEMORY_TYPE_DEVICE);
    umf_ipc_handler_handle_t handler = NULL;
    void *opened = NULL;
    CHECK(umfPoolGetIPCHandler(pool, &handler) == UMF_RESULT_SUCCESS);
    if (umfOpenIPCHandle(handler, (umf_ipc_handle_t)message, &opened) != UMF_RESULT_SUCCESS) {
        puts("skipped: the other process's descriptors can not be duplicated (pidfd_getfd)");
        return SKIPPED;
    }
    int numbers[NUMBERS] = {0};
    gpu_copy(&gpu, numbers, opened, sizeof(numbers));
    for (int i = 0; i < NUMBERS; i++) {
        CHECK(numbers[i] == i);
        numbers[i] *= 2;
    }
    gpu_copy(&gpu, opened, numbers, sizeof(numbers));
    CHECK(umfCloseIPCHandle(opened) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS);
    CHECK(zeContextDestroy(gpu.context) == ZE_RESULT_SUCCESS);
    return 0;
}

static int produce(int to, pid_t child) {
    gpu_t gpu = gpu_open();
    umf_memory_pool_handle_t pool = gpu_pool(&gpu, UMF_MEMORY_TYPE_DEVICE);
    int numbers[NUMBERS];
    for (int i = 0; i < NUMBERS; i++) {
        numbers[i] = i;
    }
    void *block = umfPoolMalloc(pool, sizeof(numbers));
    CHECK(block != NULL);
    gpu_copy(&gpu, block, numbers, sizeof(numbers));

    umf_ipc_handle_t handle = NULL;
    size_t size = 0;
    CHECK(umfGetIPCHandle(block, &handle, &size) == UMF_RESULT_SUCCESS && size <= MESSAGE_BYTES);
    prctl(PR_SET_PTRACER, child, 0, 0, 0); // lets the child duplicate the descriptor in the handle
    CHECK(write(to, handle, size) == (ssize_t)size);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) == 0) {
        gpu_copy(&gpu, numbers, block, sizeof(numbers));
        for (int i = 0; i < NUMBERS; i++) {
            CHECK(numbers[i] == 2 * i);
        }
        puts("the child read and changed the parent's memory");
    }
    CHECK(umfPutIPCHandle(handle) == UMF_RESULT_SUCCESS);
    CHECK(umfFree(block) == UMF_RESULT_SUCCESS);
    CHECK(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS);
    CHECK(zeContextDestroy(gpu.context) == ZE_RESULT_SUCCESS);
    return WEXITSTATUS(status);
}

int main(void) {
    int channel[2];
    CHECK(pipe(channel) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(channel[1]);
        return consume(channel[0]);
    }
    close(channel[0]);
    return produce(channel[1], child);
}

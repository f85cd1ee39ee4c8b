/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Puts a text into a block and lets one consumer change it: producer SOCKET_PATH */
#include "ipc.h"

int main(int argc, char **argv) {
    check(argc == 2, "usage: producer SOCKET_PATH;");
    umf_memory_pool_handle_t pool = shared_pool();
    char *block = umfPoolMalloc(pool, 100);
    strcpy(block, "made by the producer");
    // Where the Yama module guards processes: others of this user may fetch our descriptors.
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);

    struct sockaddr_un address = socket_address(argv[1]);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    check(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
    check(listen(listener, 1) == 0, "listen");
    int consumer = accept(listener, NULL, NULL);

    umf_ipc_handle_t handle;
    size_t size;
    check(umfGetIPCHandle(block, &handle, &size) == UMF_RESULT_SUCCESS, "get");
    check(send(consumer, handle, size, 0) == (ssize_t)size, "send");
    umfPutIPCHandle(handle); // the copy that was sent is good as long as the block lives
    char done;
    check(recv(consumer, &done, 1, 0) == 1, "the consumer");
    printf("producer: the block says \"%s\"\n", block);
    int changed = strcmp(block, "changed by the consumer") == 0;

    close(consumer);
    close(listener);
    unlink(argv[1]);
    umfPoolFree(pool, block);
    umfPoolDestroy(pool);
    return changed ? 0 : 1;
}

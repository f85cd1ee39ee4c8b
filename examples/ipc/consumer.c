/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Reads and changes a block of the producer: consumer SOCKET_PATH */
#include "ipc.h"

int main(int argc, char **argv) {
    check(argc == 2, "usage: consumer SOCKET_PATH;");
    struct sockaddr_un address = socket_address(argv[1]);
    int producer = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    for (int tries = 0; connect(producer, (struct sockaddr *)&address, sizeof(address)) != 0;) {
        check(++tries < 500, "connect");
        usleep(10000); // it is not listening yet
    }
    char bytes[8192];
    ssize_t size = recv(producer, bytes, sizeof(bytes), 0);
    check(size > 0, "receive");

    umf_memory_pool_handle_t pool = shared_pool(); // of the producer's kind
    umf_ipc_handler_handle_t handler;
    char *block;
    check(umfPoolGetIPCHandler(pool, &handler) == UMF_RESULT_SUCCESS, "handler");
    umf_result_t result = umfOpenIPCHandleFromBytes(handler, bytes, (size_t)size, (void **)&block);
    if (result != UMF_RESULT_SUCCESS) {
        puts("consumer: the handle can not be opened: is pidfd_getfd forbidden here?");
        return 77;
    }
    printf("consumer: the block says \"%s\"\n", block);
    strcpy(block, "changed by the consumer");
    umfCloseIPCHandle(block);
    check(send(producer, "d", 1, 0) == 1, "send");
    close(producer);
    umfPoolDestroy(pool);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A consumer that does as it is told; see peer.h. Its counts come out as they were in the end, or
 * it fails. */
#include "kinds.h"

#include <sys/socket.h>

#include <umf/experimental/ipc_ext.h>

static umf_memory_pool_handle_t pool;
static umf_ipc_handler_handle_t handler;
static char *slots[PEER_SLOTS];

static void pool_make(const char *kind) {
    pool = kind_pool(kind, 0);
    REQUIRE(umfPoolGetIPCHandler(pool, &handler) == UMF_RESULT_SUCCESS, "handler");
}

static umf_result_t cycle(const peer_order_t *order) {
    uint64_t *number = NULL;
    umf_result_t result =
        umfOpenIPCHandleFromBytes(handler, order->bytes, order->size, (void **)&number);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (*number != order->value) {
        result = UMF_RESULT_ERROR_USER_SPECIFIC;
    }
    ++*number;
    umf_result_t closed = umfCloseIPCHandle(number);
    return result != UMF_RESULT_SUCCESS ? result : closed;
}

static umf_result_t obey(const peer_order_t *order, const char *kind, peer_answer_t *answer) {
    char **slot = &slots[order->slot];
    switch (order->op) {
    case PEER_OPEN: {
        umf_result_t result =
            umfOpenIPCHandleFromBytes(handler, order->bytes, order->size, (void **)slot);
        if (result == UMF_RESULT_SUCCESS) {
            snprintf(answer->text, sizeof(answer->text), "%.31s", *slot);
        }
        return result;
    }
    case PEER_READ:
        snprintf(answer->text, sizeof(answer->text), "%.31s", *slot);
        return UMF_RESULT_SUCCESS;
    case PEER_WRITE:
        memcpy(*slot, order->bytes, order->size);
        return UMF_RESULT_SUCCESS;
    case PEER_CLOSE:
        return umfCloseIPCHandle(*slot);
    case PEER_CYCLE:
        return cycle(order);
    case PEER_COUNT:
        answer->descriptors = count_descriptors();
        answer->mappings = count_shared_mappings();
        return UMF_RESULT_SUCCESS;
    case PEER_RESET: {
        umf_result_t result = umfPoolDestroy(pool);
        pool_make(kind);
        return result;
    }
    default:
        return UMF_RESULT_SUCCESS;
    }
}

int main(int argc, char **argv) {
    static peer_order_t order;
    REQUIRE(argc == 2, "usage: ipc_consumer anonymous|named|file, socket in descriptor 3");
    const size_t descriptors = count_descriptors(), mappings = count_shared_mappings();
    pool_make(argv[1]);
    do {
        peer_answer_t answer = {0};
        if (recv(PEER_SOCKET, &order, sizeof(order), 0) <= 0) {
            break; // the producer is gone
        }
        answer.result = (int32_t)obey(&order, argv[1], &answer);
        send(PEER_SOCKET, &answer, sizeof(answer), MSG_NOSIGNAL);
    } while (order.op != PEER_QUIT);
    REQUIRE(umfPoolDestroy(pool) == UMF_RESULT_SUCCESS, "pool");
    kind_clean_up();
    REQUIRE(count_descriptors() == descriptors, "%zu descriptors, %zu before", count_descriptors(),
            descriptors);
    REQUIRE(count_shared_mappings() == mappings, "%zu shared mappings, %zu before",
            count_shared_mappings(), mappings);
    return 0;
}

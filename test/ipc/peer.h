/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Two-process tests of IPC: a consumer is a process of its own (program ipc_consumer) that does
 * what the producer tells it over a socket, one order and one answer at a time.
 */
#ifndef UMF_TEST_IPC_PEER_H
#define UMF_TEST_IPC_PEER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

enum { PEER_BYTES = 8192, PEER_SLOTS = 16, PEER_TEXT = 32, PEER_SKIP = 77 };

typedef enum peer_op {
    PEER_OPEN,  /* opens bytes into a slot; the answer has the text that is there */
    PEER_READ,  /* the text in a slot */
    PEER_WRITE, /* puts the text in bytes into a slot's memory */
    PEER_CLOSE, /* closes a slot */
    PEER_CYCLE, /* opens bytes, checks that the number `value` is there, adds one, closes */
    PEER_COUNT, /* how many descriptors and shared mappings there are */
    PEER_RESET, /* destroys its pool and makes a new one */
    PEER_QUIT
} peer_op_t;

typedef struct peer_order {
    int32_t op, slot;
    uint64_t value;
    uint32_t size;
    unsigned char bytes[PEER_BYTES];
} peer_order_t;

typedef struct peer_answer {
    int32_t result; /* umf_result_t */
    uint64_t descriptors, mappings;
    char text[PEER_TEXT];
} peer_answer_t;

/* Prints and ends the process when a condition does not hold. */
#define REQUIRE(condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fputc('\n', stderr);                                                                   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* The consumer's end of the socket is descriptor PEER_SOCKET. */
enum { PEER_SOCKET = 3 };

typedef struct peer {
    pid_t pid;
    int socket;
} peer_t;

/* Starts the program with argument `kind`: anonymous, named or file. */
peer_t peer_start(const char *program, const char *kind);
peer_answer_t peer_do(const peer_t *peer, peer_op_t op, int slot, const void *bytes, size_t size);
void peer_send(const peer_t *peer, const peer_order_t *order);
peer_answer_t peer_receive(const peer_t *peer);
/* Tells it to quit, and requires that it ends well. */
void peer_end(peer_t *peer);

/* Entries of /proc/self/fd, and lines of /proc/self/maps that are shared. */
size_t count_descriptors(void);
size_t count_shared_mappings(void);

#endif /* UMF_TEST_IPC_PEER_H */

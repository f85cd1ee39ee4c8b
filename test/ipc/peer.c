/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The producer's side of the line to a consumer; see peer.h. */
#define _GNU_SOURCE
#include "peer.h"

#include <dirent.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

peer_t peer_start(const char *program, const char *kind) {
    int ends[2];
    peer_t peer;
    posix_spawn_file_actions_t actions;
    char *argv[] = {(char *)(uintptr_t)program, (char *)(uintptr_t)kind, NULL};
    // Any process of this user may fetch our descriptors (kernels with the Yama module).
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "no sockets");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], PEER_SOCKET);
    int error = posix_spawn(&peer.pid, program, &actions, NULL, argv, environ);
    REQUIRE(error == 0, "%s: %s", program, strerror(error));
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    peer.socket = ends[0];
    return peer;
}

void peer_send(const peer_t *peer, const peer_order_t *order) {
    const size_t bytes = offsetof(peer_order_t, bytes) + order->size;
    REQUIRE(send(peer->socket, order, bytes, MSG_NOSIGNAL) == (ssize_t)bytes,
            "the consumer is gone");
}

peer_answer_t peer_receive(const peer_t *peer) {
    peer_answer_t answer;
    REQUIRE(recv(peer->socket, &answer, sizeof(answer), 0) == (ssize_t)sizeof(answer),
            "the consumer is gone");
    return answer;
}

peer_answer_t peer_do(const peer_t *peer, peer_op_t op, int slot, const void *bytes, size_t size) {
    peer_order_t order = {.op = (int32_t)op, .slot = slot, .size = (uint32_t)size};
    REQUIRE(size <= sizeof(order.bytes), "%zu bytes", size);
    if (size != 0) {
        memcpy(order.bytes, bytes, size);
    }
    peer_send(peer, &order);
    return peer_receive(peer);
}

void peer_end(peer_t *peer) {
    int status;
    peer_do(peer, PEER_QUIT, 0, NULL, 0);
    REQUIRE(waitpid(peer->pid, &status, 0) == peer->pid && status == 0, "status %#x",
            (unsigned)status);
    close(peer->socket);
}

size_t count_descriptors(void) {
    DIR *directory = opendir("/proc/self/fd");
    size_t count = 0;
    REQUIRE(directory != NULL, "no /proc");
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 3; // ".", ".." and the directory itself
}

size_t count_shared_mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    size_t count = 0;
    REQUIRE(maps != NULL, "no /proc");
    while (fgets(line, sizeof(line), maps) != NULL) {
        char *rights = strchr(line, ' ');
        count += rights != NULL && rights[4] == 's';
    }
    fclose(maps);
    return count;
}

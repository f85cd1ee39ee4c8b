/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Trees: batches of small nodes of one or two sizes, built and torn down as a whole, while older
 * trees stay.
 *
 * Each thread keeps one large binary tree for the whole run and builds many short-lived ones of
 * varying depth beside it; leaves are bare, inner nodes carry a payload. A tree is verified by the
 * sum of its nodes when it is taken down.
 */
#include "bench_common.h"

enum { KEPT_DEPTH = 16, SHORT_DEPTH_LOW = 4, SHORT_DEPTHS = 11, TREES = 3000 };

typedef struct node {
    struct node *left, *right;
    uint32_t value;
    uint32_t *payload; /* inner nodes only */
} node_t;

typedef struct {
    _Alignas(BENCH_CACHE_LINE) int index;
    long trees;
    uint64_t nodes;
    uint64_t check;
} worker_t;

static node_t *tree_build(int depth, uint32_t value) {
    node_t *node = bench_need(malloc(sizeof *node));
    node->value = value;
    if (depth == 0) {
        node->left = node->right = NULL;
        node->payload = NULL;
        return node;
    }
    node->payload = bench_need(malloc(sizeof(uint32_t) * (size_t)(depth + 1)));
    node->payload[0] = node->payload[depth] = value;
    node->left = tree_build(depth - 1, value * 2);
    node->right = tree_build(depth - 1, value * 2 + 1);
    return node;
}

/* Frees the tree and adds up its nodes; `depth` is that of the build. */
static uint64_t tree_drop(node_t *node, int depth) {
    uint64_t sum = node->value;
    if (depth > 0) {
        if (node->payload[0] != node->value || node->payload[depth] != node->value) {
            bench_fail("a payload was overwritten");
        }
        sum += tree_drop(node->left, depth - 1) + tree_drop(node->right, depth - 1);
        free(node->payload);
    }
    free(node);
    return sum;
}

/* A complete tree numbered from 1 holds each of 1 .. 2^(depth+1)-1 once. */
static uint64_t tree_sum(int depth) {
    uint64_t last = (UINT64_C(2) << depth) - 1;
    return last * (last + 1) / 2;
}

static void *worker_run(void *argument) {
    worker_t *worker = argument;
    bench_rng_t rng = bench_seed((uint64_t)worker->index);
    node_t *kept = tree_build(KEPT_DEPTH, 1);
    for (long i = 0; i < worker->trees; i++) {
        int depth = SHORT_DEPTH_LOW + (int)bench_below(&rng, SHORT_DEPTHS);
        node_t *tree = tree_build(depth, 1);
        uint64_t sum = tree_drop(tree, depth);
        if (sum != tree_sum(depth)) {
            bench_fail("a tree was damaged");
        }
        worker->check += sum;
        worker->nodes += (UINT64_C(2) << depth) - 1;
    }
    if (tree_drop(kept, KEPT_DEPTH) != tree_sum(KEPT_DEPTH)) {
        bench_fail("the kept tree was damaged");
    }
    return NULL;
}

static worker_t workers[BENCH_MAX_THREADS];

int main(int argc, char **argv) {
    bench_t bench = bench_begin("trees", argc, argv);
    for (int i = 0; i < bench.threads; i++) {
        workers[i].index = i;
        workers[i].trees = bench_scaled(&bench, TREES);
    }
    bench_threads_run(bench.threads, worker_run, workers, sizeof workers[0]);
    uint64_t nodes = 0, check = 0;
    for (int i = 0; i < bench.threads; i++) {
        nodes += workers[i].nodes;
        check += workers[i].check;
    }
    bench_end(&bench, nodes, check);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* See explore.h: a stack of states to visit, and a hash table of those that were seen. */
#include "explore.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { STATES_MAX = 1 << 20, TABLE_SLOTS = 1 << 22 };

typedef struct search {
    const model_t *model;
    unsigned char *seen; /* STATES_MAX states; the first `visited` were visited */
    size_t count;
    uint32_t *table; /* index + 1 of a state */
} search_t;

static uint64_t hash(const unsigned char *bytes, size_t count) {
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < count; i++) {
        h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
    }
    return h ^ h >> 29;
}

/* Adds a state unless it is known. False: no room. */
static bool add(search_t *search, const unsigned char *state) {
    size_t bytes = search->model->state_bytes;
    size_t slot = hash(state, bytes) % TABLE_SLOTS;
    while (search->table[slot] != 0) {
        if (memcmp(search->seen + (search->table[slot] - 1) * bytes, state, bytes) == 0) {
            return true;
        }
        slot = (slot + 1) % TABLE_SLOTS;
    }
    if (search->count == STATES_MAX) {
        return false;
    }
    memcpy(search->seen + search->count * bytes, state, bytes);
    search->table[slot] = (uint32_t)++search->count;
    return true;
}

/* All that can follow one state. */
static void visit(search_t *search, size_t index, unsigned char *next, model_result_t *result) {
    const model_t *model = search->model;
    unsigned done = 0, steps = 0;
    for (unsigned thread = 0; thread < model->threads; thread++) {
        memcpy(next, search->seen + index * model->state_bytes, model->state_bytes);
        switch (model->step(next, thread)) {
        case MODEL_DONE:
            done++;
            break;
        case MODEL_BLOCKED:
            break;
        case MODEL_STEP:
            steps++;
            result->full |= !add(search, next);
            break;
        case MODEL_WRONG:
            steps++;
            result->wrong = true;
            break;
        }
    }
    if (done == model->threads) {
        result->ends++;
        result->wrong |= !model->final(search->seen + index * model->state_bytes);
    } else if (steps == 0) {
        result->deadlock = true;
    }
}

model_result_t model_explore(const model_t *model) {
    model_result_t result = {0};
    search_t search = {.model = model,
                       .seen = malloc(STATES_MAX * model->state_bytes),
                       .table = calloc(TABLE_SLOTS, sizeof(uint32_t))};
    unsigned char *next = calloc(1, model->state_bytes);
    if (search.seen == NULL || search.table == NULL || next == NULL) {
        abort();
    }
    model->start(next);
    add(&search, next);
    for (size_t i = 0; i < search.count && !result.full; i++) {
        visit(&search, i, next, &result);
    }
    result.states = search.count;
    free(next);
    free(search.table);
    free(search.seen);
    return result;
}

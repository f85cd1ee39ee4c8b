/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Model of the mixed cells of core/map.c: a writer replaces the two halves of a span twice, and
 * retires the cell, which is then used for another slice; a reader found the cell through the
 * slice's word. Rule: what the reader accepts are two halves of one moment, of its own slice.
 */
#include "models.h"

enum { WRITER, READER, THREADS };

typedef struct seqlock_state {
    unsigned char pc[THREADS];
    unsigned char seq, low, high, word; /* the cell; word: the slice's word leads to the cell */
    unsigned char slice;                /* whose cell it is */
    unsigned char seen_seq, seen_low, seen_high, seen_slice, tries;
} seqlock_state_t;

static seqlock_mutant_t mutant;

static void start(void *memory) {
    seqlock_state_t *state = memory;
    state->word = 1;
    state->slice = 1;
}

/* One change: odd, both halves, even; then the word leaves, and the cell becomes slice 2's. */
static model_step_t writer(seqlock_state_t *state) {
    switch (state->pc[WRITER]++) {
    case 0:
        state->seq += mutant == SEQLOCK_NEVER_ODD ? 0 : 1;
        return MODEL_STEP;
    case 1:
        state->low = 1;
        return MODEL_STEP;
    case 2:
        state->high = 1;
        return MODEL_STEP;
    case 3:
        state->seq += mutant == SEQLOCK_NEVER_ODD ? 0 : 1;
        return MODEL_STEP;
    case 4: // retired
        state->word = 0;
        return MODEL_STEP;
    case 5: // used again
        state->seq += 1;
        return MODEL_STEP;
    case 6:
        state->slice = 2;
        state->low = 2;
        return MODEL_STEP;
    case 7:
        state->high = 2;
        return MODEL_STEP;
    case 8:
        state->seq += 1;
        return MODEL_STEP;
    default:
        state->pc[WRITER] = 9;
        return MODEL_DONE;
    }
}

static void reader_again(seqlock_state_t *state) {
    state->pc[READER] = 0;
    state->tries++;
}

/* cell_find() as map_find() calls it. */
static model_step_t reader(seqlock_state_t *state) {
    switch (state->pc[READER]) {
    case 0: // map_word leads here, or the reader is through
        state->pc[READER] = state->word && state->tries < 4 ? 1 : 7;
        return MODEL_STEP;
    case 1:
        state->seen_seq = state->seq;
        state->pc[READER] = 2;
        return MODEL_STEP;
    case 2: // the sequence is even, and the word still leads here
        if ((state->seen_seq & 1 && mutant != SEQLOCK_ODD_ACCEPTED) ||
            (!state->word && mutant != SEQLOCK_WORD_NOT_CHECKED)) {
            reader_again(state);
        } else {
            state->pc[READER] = 3;
        }
        return MODEL_STEP;
    case 3:
        state->seen_low = state->low;
        state->pc[READER] = 4;
        return MODEL_STEP;
    case 4:
        state->seen_high = state->high;
        state->seen_slice = state->slice;
        state->pc[READER] = 5;
        return MODEL_STEP;
    case 5:
        if (state->seq != state->seen_seq && mutant != SEQLOCK_NOT_RECHECKED) {
            reader_again(state);
            return MODEL_STEP;
        }
        state->pc[READER] = 7;
        return state->seen_low == state->seen_high && state->seen_slice == 1 ? MODEL_STEP
                                                                             : MODEL_WRONG;
    default:
        return MODEL_DONE;
    }
}

static model_step_t step(void *memory, unsigned thread) {
    return thread == WRITER ? writer(memory) : reader(memory);
}

static bool final(const void *memory) {
    (void)memory;
    return true;
}

model_result_t model_seqlock(seqlock_mutant_t wanted) {
    static const model_t model = {"address map", sizeof(seqlock_state_t), THREADS, start, step,
                                  final};
    mutant = wanted;
    return model_explore(&model);
}

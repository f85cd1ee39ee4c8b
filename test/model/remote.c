/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Model of pools/slab_remote.c: two threads free blocks of one slab that heap 0 owns; meanwhile
 * heap 0 collects from the slab directly, opens its mailbox, and the slab passes to heap 1 (as when
 * a finished thread's slabs are adopted). Rules: the slab is in at most one mailbox, and in the
 * end, when both heaps have opened their mailboxes until these are empty, every block has come home
 * exactly once. Variants of the protocol that are wrong on purpose must be found.
 */
#include "models.h"

enum { HEAPS = 2, FREES = 2 /* per freeing thread */ };
enum { FREER_A, FREER_B, OWNER_0, OWNER_1, THREADS };

typedef struct remote_state {
    unsigned char pc[THREADS], left[THREADS]; /* what a thread does next; rounds left */
    unsigned char seen_count[THREADS], seen_mailed[THREADS]; /* what it read from `remote` */
    unsigned char seen_owner[THREADS];
    unsigned char count, mailed;  /* the word slab.remote */
    unsigned char owner;          /* slab.head.owner */
    unsigned char mailbox[HEAPS]; /* how often the slab is in it */
    unsigned char held[HEAPS];    /* a heap has taken it out and works on it */
    unsigned char home;           /* blocks in the owner's list */
    unsigned char passed;         /* the slab has changed hands */
} remote_state_t;

static remote_mutant_t mutant;

static void start(void *memory) {
    remote_state_t *state = memory;
    state->left[FREER_A] = state->left[FREER_B] = FREES;
    state->left[OWNER_0] = state->left[OWNER_1] = 2;
}

/* remote_push(): load, compare-and-swap, load the owner, push into the mailbox. */
static model_step_t freer(remote_state_t *state, unsigned t) {
    switch (state->pc[t]) {
    case 0:
        if (state->left[t] == 0) {
            return MODEL_DONE;
        }
        state->seen_count[t] = state->count;
        state->seen_mailed[t] = state->mailed;
        state->pc[t] = 1;
        return MODEL_STEP;
    case 1:
        if (mutant != REMOTE_PLAIN_STORE &&
            (state->count != state->seen_count[t] || state->mailed != state->seen_mailed[t])) {
            state->pc[t] = 0; // somebody was faster
            return MODEL_STEP;
        }
        state->count = (unsigned char)(state->seen_count[t] + 1);
        state->mailed = 1;
        state->left[t]--;
        state->pc[t] = state->seen_mailed[t] ? 0 : 2;
        return MODEL_STEP;
    case 2:
        state->seen_owner[t] = state->owner;
        state->pc[t] = 3;
        return MODEL_STEP;
    default:
        state->mailbox[state->seen_owner[t]]++;
        state->pc[t] = 0;
        // In two mailboxes, or twice in one: its one link would be overwritten.
        return state->mailbox[0] + state->mailbox[1] + state->held[0] + state->held[1] > 1
                   ? MODEL_WRONG
                   : MODEL_STEP;
    }
}

/* slab_remote_collect(): the owner takes the list, and with `mail_done` the bit. */
static void collect(remote_state_t *state, bool mail_done) {
    state->home = (unsigned char)(state->home + state->count);
    state->count = 0;
    state->mailed = mail_done ? 0 : state->mailed;
}

/* A heap opens its mailbox and handles what was in it. */
static model_step_t open_mailbox(remote_state_t *state, unsigned heap) {
    if (!state->held[heap]) {
        if (state->mailbox[heap] == 0) {
            return MODEL_BLOCKED;
        }
        state->mailbox[heap] = 0;
        state->held[heap] = 1;
        return MODEL_STEP;
    }
    state->held[heap] = 0;
    if (state->owner == heap) {
        collect(state, true);
    } else if (mutant != REMOTE_NOT_FORWARDED) {
        state->mailbox[state->owner]++; // another heap's by now
    }
    return MODEL_STEP;
}

/* Heap 0 collects once without mail, then passes the slab on; both open mailboxes whenever there is
 * something, until the freeing threads have ended. */
static model_step_t owner(remote_state_t *state, unsigned t) {
    unsigned heap = t - OWNER_0;
    if (heap == 0 && !state->held[0] && state->owner == 0 && state->left[t] > 0) {
        if (state->left[t]-- == 2) {
            collect(state, mutant == REMOTE_CLEARS_BIT);
        } else {
            state->owner = 1;
            state->passed = 1;
        }
        return MODEL_STEP;
    }
    model_step_t step = open_mailbox(state, heap);
    bool ended = state->left[FREER_A] + state->left[FREER_B] + state->pc[FREER_A] +
                     state->pc[FREER_B] + state->mailbox[0] + state->mailbox[1] + state->held[0] +
                     state->held[1] ==
                 0;
    return step == MODEL_BLOCKED && ended ? MODEL_DONE : step;
}

static model_step_t step(void *memory, unsigned thread) {
    return thread <= FREER_B ? freer(memory, thread) : owner(memory, thread);
}

static bool final(const void *memory) {
    const remote_state_t *state = memory;
    return state->home == 2 * FREES && state->count == 0 && !state->mailed;
}

model_result_t model_remote(remote_mutant_t wanted) {
    static const model_t model = {"remote frees", sizeof(remote_state_t), THREADS, start, step,
                                  final};
    mutant = wanted;
    return model_explore(&model);
}

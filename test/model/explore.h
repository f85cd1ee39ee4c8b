/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Visits every interleaving of a few small threads. A model is a state without pointers (compared
 * as bytes), a function that makes one atomic step of one thread, and a check of each state. States
 * that were seen before are not visited again. Steps are sequentially consistent: what is checked
 * is the protocol, not the choice of memory orders.
 */
#ifndef UMF_TEST_MODEL_EXPLORE_H
#define UMF_TEST_MODEL_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum model_step {
    MODEL_DONE,    /* the thread has ended: no step */
    MODEL_BLOCKED, /* it cannot go on in this state */
    MODEL_STEP,    /* the state has changed */
    MODEL_WRONG    /* the step itself broke a rule */
} model_step_t;

typedef struct model {
    const char *name;
    size_t state_bytes;
    unsigned threads;
    void (*start)(void *state);
    model_step_t (*step)(void *state, unsigned thread);
    /* Called when all threads have ended: true if all is as it must be. */
    bool (*final)(const void *state);
} model_t;

typedef struct model_result {
    size_t states, ends;
    bool wrong;    /* a rule was broken, or a final state was wrong */
    bool deadlock; /* nobody could go on */
    bool full;     /* more states than there is room for: nothing was proved */
} model_result_t;

model_result_t model_explore(const model_t *model);

#endif /* UMF_TEST_MODEL_EXPLORE_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The models and their variants that are wrong on purpose. */
#ifndef UMF_TEST_MODEL_MODELS_H
#define UMF_TEST_MODEL_MODELS_H

#include "explore.h"

typedef enum remote_mutant {
    REMOTE_RIGHT,
    REMOTE_PLAIN_STORE,  /* pushes without compare-and-swap */
    REMOTE_CLEARS_BIT,   /* collecting without mail clears `mailed` */
    REMOTE_NOT_FORWARDED /* mail for a slab that has changed hands is dropped */
} remote_mutant_t;

typedef enum seqlock_mutant {
    SEQLOCK_RIGHT,
    SEQLOCK_NEVER_ODD,        /* the writer does not announce itself */
    SEQLOCK_ODD_ACCEPTED,     /* the reader does not look whether a writer is at work */
    SEQLOCK_NOT_RECHECKED,    /* the reader does not look again at the end */
    SEQLOCK_WORD_NOT_CHECKED, /* the reader does not look whether the cell is still its slice's */
} seqlock_mutant_t;

model_result_t model_remote(remote_mutant_t wanted);
model_result_t model_seqlock(seqlock_mutant_t wanted);

#endif /* UMF_TEST_MODEL_MODELS_H */

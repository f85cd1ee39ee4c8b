/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Explores each model: the right protocol must hold in every interleaving, each wrong one must
 * break in at least one. */
#include <stdio.h>

#include "models.h"

static int failures;

static void report(const char *name, bool right, model_result_t result) {
    bool broke = result.wrong || result.deadlock;
    bool good = !result.full && (right ? !broke && result.ends > 0 : broke);
    printf("%-45s %7zu states, %s%s\n", name, result.states, broke ? "breaks" : "holds",
           good ? "" : ": NOT AS IT SHOULD BE");
    failures += good ? 0 : 1;
}

int main(void) {
    report("remote frees", true, model_remote(REMOTE_RIGHT));
    report("  wrong: no compare-and-swap", false, model_remote(REMOTE_PLAIN_STORE));
    report("  wrong: collecting clears the mail bit", false, model_remote(REMOTE_CLEARS_BIT));
    report("  wrong: mail is not forwarded", false, model_remote(REMOTE_NOT_FORWARDED));
    report("address map cells", true, model_seqlock(SEQLOCK_RIGHT));
    report("  wrong: writer does not announce itself", false, model_seqlock(SEQLOCK_NEVER_ODD));
    report("  wrong: reader accepts a cell in work", false, model_seqlock(SEQLOCK_ODD_ACCEPTED));
    report("  wrong: reader does not look again", false, model_seqlock(SEQLOCK_NOT_RECHECKED));
    report("  wrong: reader does not check the word", false,
           model_seqlock(SEQLOCK_WORD_NOT_CHECKED));
    return failures;
}

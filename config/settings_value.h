/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * One value of the settings grammar: text to field, by the type of its row. No messages, no state.
 */
#ifndef UMF_CONFIG_SETTINGS_VALUE_H
#define UMF_CONFIG_SETTINGS_VALUE_H

#include "config/settings.h"
#include "config/settings_text.h"

/* What a reader found in a value. */
typedef enum settings_verdict {
    SETTINGS_GOOD,
    SETTINGS_WRONG,        /* not of the type, or not an allowed word */
    SETTINGS_OUT_OF_RANGE, /* of the type, but too small or too large */
    SETTINGS_TOO_LONG,     /* more list entries or characters than there is room for */
    SETTINGS_TWICE,        /* a node listed more than once */
} settings_verdict_t;

/*
 * Reads `value` into the row's field of `*out`, which changes only when the result is
 * SETTINGS_GOOD.
 */
settings_verdict_t settings_value_read(const settings_key_t *key, text_t value, void *out);

/*
 * Makes the field zero or empty; of a list only the count is touched, its room stays untouched
 * memory.
 */
void settings_value_clear(const settings_key_t *key, void *out);

#endif /* UMF_CONFIG_SETTINGS_VALUE_H */

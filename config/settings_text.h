/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Text tools of the settings parser: slices of a text that are never copied, a bounded buffer that
 * shows by "…" when something was left out, and the wording of a row's type. No allocation, no
 * locale.
 */
#ifndef UMF_CONFIG_SETTINGS_TEXT_H
#define UMF_CONFIG_SETTINGS_TEXT_H

#include "config/settings.h"

#include <string.h>

/* A piece of a text that lives elsewhere. */
typedef struct text {
    const char *at;
    size_t bytes;
} text_t;

UMF_INLINE text_t text_of(const char *string) {
    return (text_t){string, strlen(string)};
}

/* Without the first `bytes` bytes; bytes <= text.bytes. */
UMF_INLINE text_t text_after(text_t text, size_t bytes) {
    return (text_t){text.at + bytes, text.bytes - bytes};
}

/* ASCII only: the C library's functions follow the locale and are not ready before main. */
UMF_INLINE char text_lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
UMF_INLINE bool text_is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Takes what stands before the first `separator` off *rest; *found tells whether there was one. */
text_t text_take(text_t *rest, char separator, bool *found);
/* Without white space at both ends. */
text_t text_trim(text_t text);

/* Room for `max` shown bytes, "…" and a NUL. */
#define TEXT_SHOWN_BYTES(max) ((max) + 4)
/* Copies `text` for a message: control characters become '?', after `max` bytes it ends in "…". */
void text_show(char *out, size_t max, text_t text);

/* A string that is filled piece by piece and always ends in a NUL. */
typedef struct text_buffer {
    char *start;
    size_t used, room; /* bytes; room includes the NUL and is at least 1 */
    bool cut;          /* something did not fit; nothing more is added */
} text_buffer_t;

text_buffer_t text_buffer(char *start, size_t room);
void text_put(text_buffer_t *buffer, const char *string);
void text_put_part(text_buffer_t *buffer, text_t text);

/* What is wrong with a value that is not of the row's type: "not a size". */
void settings_text_problem(const settings_key_t *key, text_buffer_t *out);
/* What to use instead: "a number with k, M, G or T, from 0 to 1T". */
void settings_text_allowed(const settings_key_t *key, text_buffer_t *out);

#endif /* UMF_CONFIG_SETTINGS_TEXT_H */

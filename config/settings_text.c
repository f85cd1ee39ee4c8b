/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Wording: how a row's type and range are said in error messages, in the help and in the reference
 * page, and the slices and buffers that the settings parser works with.
 */
#include "config/settings_text.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum {
    HELP_COLUMNS = 100,
    HELP_INDENT = 6, /* of the lines below a key */
    PIECE_BYTES = 512
};

static const char ELLIPSIS[] = "\xe2\x80\xa6"; /* … in UTF-8 */

/* ---- slices and buffers ---- */

text_t text_take(text_t *rest, char separator, bool *found) {
    const char *end = rest->bytes == 0 ? NULL : memchr(rest->at, separator, rest->bytes);
    text_t piece = *rest;
    *found = end != NULL;
    if (end != NULL) {
        piece.bytes = (size_t)(end - piece.at);
        *rest = text_after(*rest, piece.bytes + 1);
    } else {
        *rest = text_after(*rest, rest->bytes);
    }
    return piece;
}

text_t text_trim(text_t text) {
    while (text.bytes > 0 && text_is_space(text.at[0])) {
        text = text_after(text, 1);
    }
    while (text.bytes > 0 && text_is_space(text.at[text.bytes - 1])) {
        text.bytes--;
    }
    return text;
}

text_buffer_t text_buffer(char *start, size_t room) {
    start[0] = '\0';
    return (text_buffer_t){.start = start, .room = room};
}

/* The largest n <= bytes so that text[0..n) does not end inside a UTF-8 character. */
static size_t whole_characters(const char *text, size_t bytes) {
    while (bytes > 0 && ((unsigned char)text[bytes] & 0xc0) == 0x80) {
        bytes--;
    }
    return bytes;
}

void text_put_part(text_buffer_t *buffer, text_t text) {
    const size_t mark = sizeof ELLIPSIS - 1;
    size_t left = buffer->room - 1 - buffer->used;
    if (buffer->cut) {
        return;
    }
    buffer->cut = text.bytes > left;
    size_t bytes = buffer->cut ? left : text.bytes;
    memcpy(buffer->start + buffer->used, text.at, bytes);
    buffer->used += bytes;
    if (buffer->cut && buffer->used > mark) {
        buffer->used = whole_characters(buffer->start, buffer->used - mark);
        memcpy(buffer->start + buffer->used, ELLIPSIS, mark);
        buffer->used += mark;
    }
    buffer->start[buffer->used] = '\0';
}

void text_put(text_buffer_t *buffer, const char *string) {
    text_put_part(buffer, text_of(string));
}

void text_show(char *out, size_t max, text_t text) {
    bool cut = text.bytes > max;
    size_t bytes = cut ? whole_characters(text.at, max) : text.bytes;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text.at[i];
        out[i] = c < 0x20 || c == 0x7f ? '?' : text.at[i];
    }
    memcpy(out + bytes, cut ? ELLIPSIS : "", cut ? sizeof ELLIPSIS : 1);
}

/* ---- the wording of a row ---- */

static void put_number(text_buffer_t *out, uint64_t number, const char *unit) {
    char digits[32];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    text_put(out, digits);
    text_put(out, unit);
}

/* In the largest unit that divides it. */
static void put_size(text_buffer_t *out, uint64_t bytes) {
    static const char *const units[] = {"", "k", "M", "G", "T"};
    unsigned unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_LENGTH(units)) {
        bytes /= 1024;
        unit++;
    }
    put_number(out, bytes, units[unit]);
}

static void put_msec(text_buffer_t *out, uint64_t msec) {
    bool seconds = msec != 0 && msec % 1000 == 0;
    put_number(out, seconds ? msec / 1000 : msec, seconds ? "s" : (msec == 0 ? "" : "ms"));
}

static void put_range(text_buffer_t *out, const settings_key_t *key) {
    void (*put)(text_buffer_t *, uint64_t) = key->type == SETTINGS_MSEC ? put_msec : put_size;
    if (key->type == SETTINGS_UNSIGNED) {
        put_number(out, key->min, " to ");
        put_number(out, key->max, "");
        return;
    }
    put(out, key->min);
    text_put(out, " to ");
    put(out, key->max);
}

/* "a or b", or "one of a, b, c". */
static void put_words(text_buffer_t *out, const char *words) {
    text_t rest = text_of(words), word;
    bool more = true, two = true;
    const char *separator = "";
    const char *first = strchr(words, '|');
    two = first != NULL && strchr(first + 1, '|') == NULL;
    text_put(out, two || first == NULL ? "" : "one of ");
    while (more) {
        word = text_take(&rest, '|', &more);
        text_put(out, separator);
        text_put_part(out, word);
        separator = two ? " or " : ", ";
    }
}

void settings_text_problem(const settings_key_t *key, text_buffer_t *out) {
    static const char *const problems[] = {
        [SETTINGS_BOOL] = "not allowed",
        [SETTINGS_ENUM] = "not allowed",
        [SETTINGS_UNSIGNED] = "not a number",
        [SETTINGS_SIZE] = "not a size",
        [SETTINGS_MSEC] = "not a time",
        [SETTINGS_NODES] = "not a list of nodes",
        [SETTINGS_WEIGHTS] = "not a list of weights",
        [SETTINGS_STRING] = "empty",
        [SETTINGS_WORD] = "not allowed",
    };
    text_put(out, problems[key->type]);
}

void settings_text_allowed(const settings_key_t *key, text_buffer_t *out) {
    switch (key->type) {
    case SETTINGS_BOOL:
        text_put(out, "yes or no");
        break;
    case SETTINGS_ENUM:
        put_words(out, key->words);
        break;
    case SETTINGS_UNSIGNED:
        text_put(out, "a number from ");
        put_range(out, key);
        break;
    case SETTINGS_SIZE:
        text_put(out, "a number with k, M, G or T, from ");
        put_range(out, key);
        break;
    case SETTINGS_MSEC:
        text_put(out, "a number with ms or s, from ");
        put_range(out, key);
        break;
    case SETTINGS_NODES:
        text_put(out, "up to ");
        put_number(out, SETTINGS_LIST_MAX, " numbers from 0 to ");
        put_number(out, SETTINGS_NODE_ID_MAX, ", as in 0-3,5");
        break;
    case SETTINGS_WEIGHTS:
        text_put(out, "up to ");
        put_number(out, SETTINGS_LIST_MAX, " node:weight pairs with weights over 0, as in 0:2,1:1");
        break;
    case SETTINGS_STRING:
        text_put(out, "1 to ");
        put_number(out, key->max, " characters");
        break;
    case SETTINGS_WORD:
        text_put(out, key->name);
        break;
    }
}

/* Short form for the help and the reference page. */
static void put_values(text_buffer_t *out, const settings_key_t *key) {
    switch (key->type) {
    case SETTINGS_BOOL:
        text_put(out, "yes|no");
        break;
    case SETTINGS_ENUM:
        text_put(out, key->words);
        break;
    case SETTINGS_UNSIGNED:
    case SETTINGS_SIZE:
    case SETTINGS_MSEC:
        text_put(out, key->type == SETTINGS_SIZE   ? "size, "
                      : key->type == SETTINGS_MSEC ? "time, "
                                                   : "number, ");
        put_range(out, key);
        break;
    case SETTINGS_NODES:
        text_put(out, "nodes, as in 0-3,5");
        break;
    case SETTINGS_WEIGHTS:
        text_put(out, "weights, as in 0:2,1:1");
        break;
    case SETTINGS_STRING:
        text_put(out, "text");
        break;
    case SETTINGS_WORD:
        break;
    }
}

/* ---- help and reference page ---- */

void settings_print(int fd, const char *text) {
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t done = write(fd, text, left);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return;
        }
        text += done;
        left -= (size_t)done;
    }
}

static size_t columns(text_t text) {
    size_t count = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        count += ((unsigned char)text.at[i] & 0xc0) != 0x80;
    }
    return count;
}

/*
 * Prints words in lines of at most HELP_COLUMNS, indented by `indent`; `hanging`: the first by 2
 * only.
 */
static void print_wrapped(int fd, const char *text, size_t indent, bool hanging) {
    char line[2 * PIECE_BYTES];
    text_buffer_t out = text_buffer(line, sizeof line);
    text_t rest = text_of(text);
    size_t at = 0;
    for (bool more = true; more;) {
        text_t word = text_take(&rest, ' ', &more);
        if (at == 0 || at + 1 + columns(word) > HELP_COLUMNS) {
            bool first = out.used == 0;
            text_put(&out, first ? "" : "\n");
            at = first && hanging ? 2 : indent;
            for (size_t i = 0; i < at; i++) {
                text_put(&out, " ");
            }
        } else {
            text_put(&out, " ");
            at++;
        }
        text_put_part(&out, word);
        at += columns(word);
    }
    text_put(&out, "\n");
    settings_print(fd, line);
}

static void help_key(int fd, const settings_key_t *key) {
    char text[PIECE_BYTES];
    text_buffer_t out = text_buffer(text, sizeof text);
    text_put(&out, key->name);
    if (key->type != SETTINGS_WORD) {
        text_put(&out, " = ");
        put_values(&out, key);
        text_put(&out, key->initial[0] != '\0' ? " (default: " : " (default: none");
        text_put(&out, key->initial);
        text_put(&out, ")");
    }
    print_wrapped(fd, text, HELP_INDENT, true);
    print_wrapped(fd, key->help, HELP_INDENT, false);
}

void settings_help(const settings_table_t *table, int fd) {
    for (unsigned i = 0; i < table->count; i++) {
        const settings_section_t *section = table->sections[i];
        settings_print(fd, i == 0 ? "" : "\n");
        settings_print(fd, section->title);
        settings_print(fd, "\n");
        for (unsigned k = 0; k < section->count; k++) {
            help_key(fd, &section->keys[k]);
        }
    }
}

/* A cell of a Markdown table: `|` would end it. */
static void put_cell(text_buffer_t *out, const char *text, bool code) {
    const char *mark = code && text[0] != '\0' ? "`" : "";
    text_put(out, "| ");
    text_put(out, mark);
    for (; *text != '\0'; text++) {
        text_put(out, *text == '|' ? "\\" : "");
        text_put_part(out, (text_t){text, 1});
    }
    text_put(out, mark);
    text_put(out, " ");
}

static void markdown_key(int fd, const settings_key_t *key) {
    char text[2 * PIECE_BYTES], values[PIECE_BYTES];
    text_buffer_t out = text_buffer(text, sizeof text);
    text_buffer_t short_form = text_buffer(values, sizeof values);
    put_values(&short_form, key);
    put_cell(&out, key->name, true);
    put_cell(&out, values, key->type == SETTINGS_ENUM || key->type == SETTINGS_BOOL);
    put_cell(&out, key->initial, true);
    put_cell(&out, key->help, false);
    text_put(&out, "|\n");
    settings_print(fd, text);
}

void settings_markdown(const settings_table_t *table, int fd) {
    for (unsigned i = 0; i < table->count; i++) {
        const settings_section_t *section = table->sections[i];
        settings_print(fd, i == 0 ? "## " : "\n## ");
        settings_print(fd, section->title);
        settings_print(fd, "\n\n");
        if (section->about != NULL) {
            settings_print(fd, section->about);
            settings_print(fd, "\n\n");
        }
        settings_print(fd, "| key | values | default | meaning |\n| --- | --- | --- | --- |\n");
        for (unsigned k = 0; k < section->count; k++) {
            markdown_key(fd, &section->keys[k]);
        }
    }
}

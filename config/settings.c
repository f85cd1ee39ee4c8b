/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The settings grammar (see settings.h). From the bottom of the file up: a text is cut into
 * entries, an entry into key and value, the key is looked up in the table, and the value goes to
 * the reader of the row's type (settings_value.h). What is wrong becomes one line here.
 */
#include "config/settings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/settings_text.h"
#include "config/settings_value.h"
#include "core/log.h"

enum {
    KEY_SHOWN = 40,   /* bytes of a key in a message, */
    VALUE_SHOWN = 40, /* and of a value, before they are cut with "…" */
    TYPO_DISTANCE = 2 /* "did you mean" looks this many edits far */
};

/* ---- messages ---- */

void settings_complain(settings_run_t *run, const char *format, ...) {
    char line[SETTINGS_LINE_BYTES], message[SETTINGS_LINE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    text_buffer_t out = text_buffer(line, sizeof line);
    text_put(&out, run->source != NULL ? run->source : run->table->name);
    if (run->line != 0) {
        char number[32];
        snprintf(number, sizeof number, " line %u", run->line);
        text_put(&out, number);
    }
    text_put(&out, ": ");
    text_put(&out, message);
    run->errors++;
    if (run->sink != NULL && run->sink->line != NULL) {
        run->sink->line(run->sink->context, line);
    } else {
        umf_message("%s", line);
    }
}

/* ---- keys ---- */

const settings_key_t *settings_key_at(const settings_table_t *table, unsigned index) {
    for (unsigned i = 0; i < table->count; i++) {
        if (index < table->sections[i]->count) {
            return &table->sections[i]->keys[index];
        }
        index -= table->sections[i]->count;
    }
    return NULL;
}

/* The row of `name` and its number; NULL: there is none. */
static const settings_key_t *find(const settings_table_t *table, text_t name, unsigned *index) {
    const settings_key_t *key;
    for (*index = 0; (key = settings_key_at(table, *index)) != NULL; ++*index) {
        if (strlen(key->name) == name.bytes && memcmp(key->name, name.at, name.bytes) == 0) {
            break;
        }
    }
    return key;
}

const settings_key_t *settings_find(const settings_table_t *table, const char *name) {
    unsigned index;
    return find(table, text_of(name), &index);
}

static void set_add(settings_set_t *set, size_t index) {
    set->bits[index / 64] |= UINT64_C(1) << (index % 64);
}

static bool set_has(const settings_set_t *set, size_t index) {
    return (set->bits[index / 64] >> (index % 64) & 1) != 0;
}

static bool set_has_key(const settings_run_t *run, const settings_set_t *set, const char *name) {
    unsigned index;
    return find(run->table, text_of(name), &index) != NULL && set_has(set, index);
}

bool settings_was_good(const settings_run_t *run, const char *name) {
    return set_has_key(run, &run->good, name);
}

bool settings_was_wrong(const settings_run_t *run, const char *name) {
    return set_has_key(run, &run->wrong, name) && !set_has_key(run, &run->good, name);
}

static unsigned min2(unsigned a, unsigned b) {
    return a < b ? a : b;
}

/*
 * Letters to insert, delete, replace, or swap with a neighbour to get from a to b. The caller has
 * bounded both lengths by KEY_SHOWN. Row i of the classic table is in rows[i % 3]; a swap looks
 * two rows back.
 */
static unsigned edit_distance(text_t a, text_t b) {
    unsigned rows[3][KEY_SHOWN + 1];
    for (unsigned j = 0; j <= b.bytes; j++) {
        rows[0][j] = j;
    }
    for (unsigned i = 1; i <= a.bytes; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.bytes; j++) {
            row[j] =
                min2(min2(above[j], row[j - 1]) + 1, above[j - 1] + (a.at[i - 1] != b.at[j - 1]));
            if (i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1]) {
                row[j] = min2(row[j], above2[j - 2] + 1);
            }
        }
    }
    return rows[a.bytes % 3][b.bytes];
}

/* The nearest key, or NULL. Of a short key less than half may differ: "xyz" does not mean "log". */
static const char *similar_key(const settings_table_t *table, text_t name) {
    const char *best = NULL;
    unsigned best_distance = TYPO_DISTANCE + 1;
    if (name.bytes > KEY_SHOWN) {
        return NULL;
    }
    const settings_key_t *row;
    for (unsigned i = 0; (row = settings_key_at(table, i)) != NULL; i++) {
        text_t key = text_of(row->name);
        if (key.bytes > KEY_SHOWN) {
            continue;
        }
        unsigned distance = edit_distance(name, key);
        if (distance < best_distance && 2 * distance < key.bytes) {
            best = row->name;
            best_distance = distance;
        }
    }
    return best;
}

static void complain_unknown(settings_run_t *run, text_t name, bool has_value) {
    char shown[TEXT_SHOWN_BYTES(KEY_SHOWN)];
    text_show(shown, KEY_SHOWN, name);
    const char *similar = similar_key(run->table, name);
    const char *table = run->table->name;
    if (similar != NULL) {
        settings_complain(run, "unknown key \"%s\" (did you mean \"%s\"? %s=help lists all)", shown,
                          similar, table);
    } else if (has_value) {
        settings_complain(run, "unknown key \"%s\" (%s=help lists all)", shown, table);
    } else {
        settings_complain(run, "\"%s\" is not key=value (%s=help lists all keys)", shown, table);
    }
}

/* ---- defaults and entries ---- */

static void reset(const settings_key_t *key, void *out) {
    settings_value_clear(key, out);
    if (key->initial[0] != '\0') {
        settings_verdict_t verdict = settings_value_read(key, text_of(key->initial), out);
        ASSERT(verdict == SETTINGS_GOOD);
        (void)verdict;
    }
}

void settings_reset(settings_run_t *run, const char *name) {
    reset(settings_find(run->table, name), run->out);
}

/* Whether the field has the row's default already; false for lists and texts, which have none. */
static bool has_default(const settings_key_t *key, const void *out) {
    settings_key_t alone = *key;
    uint64_t initial = 0;
    size_t bytes = key->type == SETTINGS_BOOL   ? sizeof(bool)
                   : key->type == SETTINGS_ENUM ? sizeof(unsigned)
                                                : sizeof(initial);
    if (key->initial[0] == '\0' || key->type == SETTINGS_STRING) {
        return false;
    }
    alone.offset = 0;
    reset(&alone, &initial);
    return memcmp(&initial, (const char *)out + key->offset, bytes) == 0;
}

void settings_need(settings_run_t *run, const char *prefix, bool met, bool quiet,
                   const char *with) {
    const settings_key_t *key;
    for (unsigned i = 0; !met && (key = settings_key_at(run->table, i)) != NULL; i++) {
        if (strncmp(key->name, prefix, strlen(prefix)) == 0 && set_has(&run->good, i)) {
            if (!quiet && !has_default(key, run->out)) {
                settings_complain(run, "%s: not allowed here; use it with %s", key->name, with);
            }
            reset(key, run->out);
        }
    }
}

void settings_defaults(const settings_table_t *table, void *out) {
    const settings_key_t *key;
    for (unsigned i = 0; (key = settings_key_at(table, i)) != NULL; i++) {
        ASSERT(i < SETTINGS_KEYS_MAX);
        reset(key, out);
    }
}

static void complain_value(settings_run_t *run, const settings_key_t *key, text_t value,
                           settings_verdict_t verdict) {
    char shown[TEXT_SHOWN_BYTES(VALUE_SHOWN)], problem[SETTINGS_LINE_BYTES];
    text_buffer_t out = text_buffer(problem, sizeof problem);
    text_show(shown, VALUE_SHOWN, value);
    switch (verdict) {
    case SETTINGS_OUT_OF_RANGE:
        text_put(&out, "out of range");
        break;
    case SETTINGS_TOO_LONG:
        text_put(&out, "too long");
        break;
    case SETTINGS_TWICE:
        text_put(&out, "a node is listed twice");
        break;
    default:
        settings_text_problem(key, &out);
        break;
    }
    text_put(&out, "; use ");
    settings_text_allowed(key, &out);
    settings_complain(run, "%s=%s: %s", key->name, shown, problem);
}

/* False when the entry is wrong; that has been said then. */
static bool read_known(settings_run_t *run, const settings_key_t *key, text_t value,
                       bool has_value) {
    if (key->type == SETTINGS_WORD) {
        if (has_value) {
            settings_complain(run, "%s takes no value; write %s alone", key->name, key->name);
            return false;
        }
        *(bool *)((char *)run->out + key->offset) = true;
        return true;
    }
    if (!has_value) {
        char allowed[SETTINGS_LINE_BYTES];
        text_buffer_t out = text_buffer(allowed, sizeof allowed);
        settings_text_allowed(key, &out);
        settings_complain(run, "%s has no value; use %s", key->name, allowed);
        return false;
    }
    settings_verdict_t verdict = settings_value_read(key, value, run->out);
    if (verdict != SETTINGS_GOOD) {
        complain_value(run, key, value, verdict);
    }
    return verdict == SETTINGS_GOOD;
}

static void read_entry(settings_run_t *run, text_t entry) {
    bool has_value;
    text_t value = entry, name = text_trim(text_take(&value, '=', &has_value));
    value = text_trim(value);
    unsigned index;
    const settings_key_t *key = find(run->table, name, &index);
    if (name.bytes == 0) {
        char shown[TEXT_SHOWN_BYTES(VALUE_SHOWN)];
        text_show(shown, VALUE_SHOWN, entry);
        settings_complain(run, "\"%s\" has no key in front of \"=\"", shown);
        return;
    }
    if (key == NULL) {
        complain_unknown(run, name, has_value);
        return;
    }
    if (!read_known(run, key, value, has_value)) {
        set_add(&run->wrong, index);
        return;
    }
    if (set_has(&run->good_here, index)) {
        settings_complain(run, "%s is given more than once; the last one counts", key->name);
    }
    set_add(&run->good, index);
    set_add(&run->good_here, index);
}

static void read_entries(settings_run_t *run, text_t rest) {
    for (bool more = true; more;) {
        text_t entry = text_trim(text_take(&rest, ';', &more));
        if (entry.bytes != 0) {
            read_entry(run, entry);
        }
    }
}

void settings_parse(settings_run_t *run, const char *text) {
    run->good_here = (settings_set_t){{0}};
    read_entries(run, text_of(text != NULL ? text : ""));
}

void settings_parse_file(settings_run_t *run, const char *text, const char *source) {
    text_t rest = text_of(text);
    run->good_here = (settings_set_t){{0}};
    run->source = source;
    for (bool more = true; more;) {
        text_t line = text_trim(text_take(&rest, '\n', &more));
        run->line++;
        if (line.bytes != 0 && line.at[0] != '#') {
            read_entries(run, line);
        }
    }
    run->source = NULL;
    run->line = 0;
}

void settings_check(settings_run_t *run) {
    for (unsigned i = 0; i < run->table->count; i++) {
        if (run->table->sections[i]->check != NULL) {
            run->table->sections[i]->check(run, run->out);
        }
    }
}

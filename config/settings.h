/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Text settings: `key=value;key=value` read into a plain struct by a table with one row per key,
 * in sections by topic. The same table checks values, words the error messages, and prints the
 * help and the reference page.
 *
 * Grammar: entries are separated by `;`; white space around entries, keys and values is ignored,
 * and so are empty entries. A key of type WORD stands alone. Keys are case-sensitive, words in
 * values are not. In a file a line's end separates entries as well, and a line that begins with `#`
 * is a comment. A wrong entry gives one line and changes nothing; all other entries still count.
 * When a key is given twice the last good value wins, said in one line.
 *
 * Works inside malloc before main: no allocation, no stdio stream, no locale, no state. Safe from
 * any thread.
 */
#ifndef UMF_CONFIG_SETTINGS_H
#define UMF_CONFIG_SETTINGS_H

#include "core/utils.h"

enum {
    SETTINGS_KEYS_MAX = 256,    /* rows of one table */
    SETTINGS_LINE_BYTES = 192,  /* a message and its NUL: with umf_message's "umf: " under 200 */
    SETTINGS_LIST_MAX = 256,    /* entries of a node or weight list */
    SETTINGS_NODE_ID_MAX = 1023 /* the largest node number a Linux kernel can be built for */
};

typedef enum settings_type {
    SETTINGS_BOOL,     /* bool: yes|no|on|off|true|false|1|0 */
    SETTINGS_ENUM,     /* unsigned (or an enum): index of the word in the row's "a|b|c" */
    SETTINGS_UNSIGNED, /* uint64_t: decimal digits */
    SETTINGS_SIZE,  /* uint64_t, bytes: digits, then k, M, G or T (powers of 1024), then iB or B */
    SETTINGS_MSEC,  /* uint64_t, milliseconds: digits, then ms or s */
    SETTINGS_NODES, /* settings_nodes_t: "0-3,5" */
    SETTINGS_WEIGHTS, /* settings_weights_t: "node:weight,node:weight" */
    SETTINGS_STRING,  /* char[]: at most `max` characters and a NUL */
    SETTINGS_WORD,    /* bool: true when the key stands in the text, without a value */
} settings_type_t;

/* Node numbers in the order given, none twice. */
typedef struct settings_nodes {
    unsigned count;
    unsigned node[SETTINGS_LIST_MAX];
} settings_nodes_t;

/* Weights in the order given; a node may come more than once. weight > 0. */
typedef struct settings_weights {
    unsigned count;
    struct settings_weight {
        unsigned weight, node;
    } part[SETTINGS_LIST_MAX];
} settings_weights_t;

typedef struct settings_key {
    const char *name;
    const char *initial; /* default, in the syntax of a value; "" is zero or empty */
    const char *words;   /* ENUM: "a|b|c"; else NULL */
    const char *help;    /* a line for people */
    uint64_t min, max;   /* numbers: allowed range; STRING: max is the longest text */
    settings_type_t type;
    unsigned offset; /* of the field in the struct that the table fills */
} settings_key_t;

/*
 * Rows. The file with the table defines SETTINGS_STRUCT as the type of the struct before it. The
 * compiler checks that a field has the type that its row writes.
 */
#define SETTINGS_AT(field, field_type)                                                             \
    (unsigned)(offsetof(SETTINGS_STRUCT, field) +                                                  \
               0 * sizeof(&((SETTINGS_STRUCT *)0)->field == (__typeof__(field_type) *)0))
#define KEY_BOOL(name, field, initial, help)                                                       \
    { name, initial, NULL, help, 0, 0, SETTINGS_BOOL, SETTINGS_AT(field, bool) }
#define KEY_ENUM(name, field, words, initial, help)                                                \
    { name, initial, words, help, 0, 0, SETTINGS_ENUM, SETTINGS_AT(field, unsigned) }
#define KEY_UNSIGNED(name, field, min, max, initial, help)                                         \
    { name, initial, NULL, help, min, max, SETTINGS_UNSIGNED, SETTINGS_AT(field, uint64_t) }
#define KEY_SIZE(name, field, min, max, initial, help)                                             \
    { name, initial, NULL, help, min, max, SETTINGS_SIZE, SETTINGS_AT(field, uint64_t) }
#define KEY_MSEC(name, field, min, max, initial, help)                                             \
    { name, initial, NULL, help, min, max, SETTINGS_MSEC, SETTINGS_AT(field, uint64_t) }
#define KEY_NODES(name, field, help)                                                               \
    { name, "", NULL, help, 0, 0, SETTINGS_NODES, SETTINGS_AT(field, settings_nodes_t) }
#define KEY_WEIGHTS(name, field, help)                                                             \
    { name, "", NULL, help, 0, 0, SETTINGS_WEIGHTS, SETTINGS_AT(field, settings_weights_t) }
#define KEY_STRING(name, field, initial, help)                                                     \
    {                                                                                              \
        name, initial, NULL, help, 0, sizeof(((SETTINGS_STRUCT *)0)->field) - 1, SETTINGS_STRING,  \
            SETTINGS_AT(field, char[sizeof(((SETTINGS_STRUCT *)0)->field)])                        \
    }
#define KEY_WORD(name, field, help)                                                                \
    { name, "", NULL, help, 0, 0, SETTINGS_WORD, SETTINGS_AT(field, bool) }

struct settings_run;

/* The keys of one topic: rows of one file. */
typedef struct settings_section {
    const char *title; /* heading in the help and the reference page */
    const char *about; /* a sentence or two below it; NULL: none */
    const settings_key_t *keys;
    unsigned count;
    /* Whether values that are good by themselves fit each other: says what does not and puts its
     * default back. Called once, when everything is read, in the order of the sections. NULL:
     * nothing to check. `out` is the struct that the table fills. */
    void (*check)(struct settings_run *run, void *out);
} settings_section_t;

typedef struct settings_table {
    const char *name; /* of the variable: in front of every message */
    const settings_section_t *const *sections;
    unsigned count;
} settings_table_t;

/* Where messages go; `line` NULL is umf_message (standard error). */
typedef struct settings_sink {
    void (*line)(void *context, const char *text);
    void *context;
} settings_sink_t;

typedef struct settings_set {
    uint64_t bits[SETTINGS_KEYS_MAX / 64];
} settings_set_t;

/*
 * One reading of a text, or of several one after another. The caller sets the first three, the
 * rest is zero.
 */
typedef struct settings_run {
    const settings_table_t *table;
    void *out;                   /* the struct to fill; holds the defaults already */
    const settings_sink_t *sink; /* NULL: umf_message */
    const char *source;          /* in front of messages; NULL: the table's name */
    unsigned line;               /* of a file; 0: none */
    settings_set_t good;         /* rows that got a good value, from any text */
    settings_set_t good_here;    /* from the text that is being read */
    settings_set_t wrong;        /* rows that got a wrong value */
    unsigned errors;             /* lines given */
} settings_run_t;

/* Writes every row's default into `*out`. */
void settings_defaults(const settings_table_t *table, void *out);

/* Applies `text` (NULL: nothing). Fields without a good value stay as they are. */
void settings_parse(settings_run_t *run, const char *text);

/* The same for the content of a file; `source` is how messages call it. */
void settings_parse_file(settings_run_t *run, const char *text, const char *source);

/* Runs the sections' checks, after all texts. */
void settings_check(settings_run_t *run);

/*
 * Gives one line, "<table>: <message>", and counts it. For values that are good but do not fit
 * each other.
 */
void settings_complain(settings_run_t *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* True when the text had a good value for the row `name`. */
bool settings_was_good(const settings_run_t *run, const char *name);
/*
 * True when the text had wrong values only for the row `name`: nothing more need be said about it.
 */
bool settings_was_wrong(const settings_run_t *run, const char *name);

/* Puts the row's default back. */
void settings_reset(settings_run_t *run, const char *name);
/*
 * For keys that count only with another setting, `with`: when `met` is false, each key whose name
 * begins with `prefix` and that was given gets its default back, and a line unless `quiet` or when
 * it is the default anyway.
 */
void settings_need(settings_run_t *run, const char *prefix, bool met, bool quiet, const char *with);

/* Row `index` of the table, counted through all sections; NULL past the last. */
const settings_key_t *settings_key_at(const settings_table_t *table, unsigned index);
/* The row of `name`, or NULL. */
const settings_key_t *settings_find(const settings_table_t *table, const char *name);

/* Copies the word of an ENUM row's value to `buffer` (of `bytes` > 0); "" if there is none. */
void settings_enum_word(const settings_key_t *key, unsigned value, char *buffer, size_t bytes);

/* Prints each key with its values, default and help line to `fd`, no line over 100 columns. */
void settings_help(const settings_table_t *table, int fd);
/* Prints the same as a Markdown table. */
void settings_markdown(const settings_table_t *table, int fd);
/* Writes all of `text` to `fd`; gives up on an error. */
void settings_print(int fd, const char *text);

#endif /* UMF_CONFIG_SETTINGS_H */

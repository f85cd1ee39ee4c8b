/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Readers of values, one per type of a row. A reader writes the field only when the whole value is
 * good, and says otherwise why it is not.
 */
#include "config/settings_value.h"

#include <string.h>

static const uint64_t NODE_MAX = SETTINGS_NODE_ID_MAX;

static bool word_equal(text_t a, const char *b, size_t b_bytes) {
    if (a.bytes != b_bytes) {
        return false;
    }
    for (size_t i = 0; i < b_bytes; i++) {
        if (text_lower(a.at[i]) != text_lower(b[i])) {
            return false;
        }
    }
    return true;
}

/* ---- numbers ---- */

/*
 * Takes decimal digits off the front of *text. Without a digit SETTINGS_WRONG, past 2^64-1
 * SETTINGS_OUT_OF_RANGE.
 */
static settings_verdict_t take_number(text_t *text, uint64_t *out) {
    uint64_t number = 0;
    size_t i = 0;
    bool overflow = false;
    for (; i < text->bytes && text->at[i] >= '0' && text->at[i] <= '9'; i++) {
        overflow |= mul_overflow(number, 10, &number);
        overflow |= add_overflow(number, (uint64_t)(text->at[i] - '0'), &number);
    }
    if (i == 0) {
        return SETTINGS_WRONG;
    }
    *text = text_after(*text, i);
    *out = number;
    return overflow ? SETTINGS_OUT_OF_RANGE : SETTINGS_GOOD;
}

/* The factor of a size's suffix; 0 for a wrong one. */
static uint64_t size_unit(text_t suffix) {
    static const char letters[] = "kmgt";
    if (suffix.bytes == 0 || word_equal(suffix, "b", 1)) {
        return 1;
    }
    text_t rest = text_after(suffix, 1);
    const char *letter = memchr(letters, text_lower(suffix.at[0]), sizeof letters - 1);
    if (letter == NULL ||
        (rest.bytes != 0 && !word_equal(rest, "b", 1) && !word_equal(rest, "ib", 2))) {
        return 0;
    }
    return UINT64_C(1) << (10 * (letter - letters + 1));
}

/* The factor of a time's suffix; 0 for a wrong one. */
static uint64_t msec_unit(text_t suffix) {
    if (suffix.bytes == 0 || word_equal(suffix, "ms", 2)) {
        return 1;
    }
    return word_equal(suffix, "s", 1) ? 1000 : 0;
}

static settings_verdict_t read_number(const settings_key_t *key, text_t value, uint64_t *out) {
    uint64_t number, unit;
    settings_verdict_t verdict = take_number(&value, &number);
    switch (key->type) {
    case SETTINGS_SIZE:
        unit = size_unit(value);
        break;
    case SETTINGS_MSEC:
        unit = msec_unit(value);
        break;
    default:
        unit = value.bytes == 0;
        break;
    }
    if (verdict == SETTINGS_WRONG || unit == 0) {
        return SETTINGS_WRONG;
    }
    if (verdict != SETTINGS_GOOD || mul_overflow(number, unit, &number) || number < key->min ||
        number > key->max) {
        return SETTINGS_OUT_OF_RANGE;
    }
    *out = number;
    return SETTINGS_GOOD;
}

/* ---- lists ---- */

static settings_verdict_t take_node(text_t *text, unsigned *out) {
    uint64_t number;
    settings_verdict_t verdict = take_number(text, &number);
    if (verdict == SETTINGS_GOOD && number > NODE_MAX) {
        return SETTINGS_OUT_OF_RANGE;
    }
    if (verdict == SETTINGS_GOOD) {
        *out = (unsigned)number;
    }
    return verdict;
}

static settings_verdict_t nodes_add(settings_nodes_t *nodes, unsigned first, unsigned last) {
    for (unsigned node = first; node <= last; node++) {
        for (unsigned i = 0; i < nodes->count; i++) {
            if (nodes->node[i] == node) {
                return SETTINGS_TWICE;
            }
        }
        if (nodes->count == SETTINGS_LIST_MAX) {
            return SETTINGS_TOO_LONG;
        }
        nodes->node[nodes->count++] = node;
    }
    return SETTINGS_GOOD;
}

/* One entry of a node list: "3" or "0-3". */
static settings_verdict_t read_node_range(text_t entry, settings_nodes_t *nodes) {
    unsigned first, last;
    settings_verdict_t verdict = take_node(&entry, &first);
    last = first;
    if (verdict == SETTINGS_GOOD && entry.bytes > 0 && entry.at[0] == '-') {
        entry = text_after(entry, 1);
        verdict = take_node(&entry, &last);
    }
    if (verdict != SETTINGS_GOOD) {
        return verdict;
    }
    return entry.bytes != 0 || last < first ? SETTINGS_WRONG : nodes_add(nodes, first, last);
}

static settings_verdict_t read_nodes(text_t value, settings_nodes_t *out) {
    settings_nodes_t nodes;
    nodes.count = 0;
    for (bool more = true; more;) {
        settings_verdict_t verdict = read_node_range(text_take(&value, ',', &more), &nodes);
        if (verdict != SETTINGS_GOOD) {
            return verdict;
        }
    }
    out->count = nodes.count;
    memcpy(out->node, nodes.node, nodes.count * sizeof nodes.node[0]);
    return SETTINGS_GOOD;
}

/* One entry of a weight list: "node:weight". */
static settings_verdict_t read_weight(text_t entry, struct settings_weight *out) {
    uint64_t weight;
    settings_verdict_t verdict = take_node(&entry, &out->node);
    if (verdict != SETTINGS_GOOD) {
        return verdict;
    }
    if (entry.bytes == 0 || entry.at[0] != ':') {
        return SETTINGS_WRONG;
    }
    entry = text_after(entry, 1);
    verdict = take_number(&entry, &weight);
    if (verdict == SETTINGS_WRONG || entry.bytes != 0) {
        return SETTINGS_WRONG;
    }
    if (verdict != SETTINGS_GOOD || weight == 0 || weight > UINT32_MAX) {
        return SETTINGS_OUT_OF_RANGE;
    }
    out->weight = (unsigned)weight;
    return SETTINGS_GOOD;
}

static settings_verdict_t read_weights(text_t value, settings_weights_t *out) {
    settings_weights_t weights;
    weights.count = 0;
    for (bool more = true; more;) {
        text_t entry = text_take(&value, ',', &more);
        if (weights.count == SETTINGS_LIST_MAX) {
            return SETTINGS_TOO_LONG;
        }
        settings_verdict_t verdict = read_weight(entry, &weights.part[weights.count++]);
        if (verdict != SETTINGS_GOOD) {
            return verdict;
        }
    }
    out->count = weights.count;
    memcpy(out->part, weights.part, weights.count * sizeof weights.part[0]);
    return SETTINGS_GOOD;
}

/* ---- words and texts ---- */

static settings_verdict_t read_bool(text_t value, bool *out) {
    static const char *const words[] = {"no", "yes", "off", "on", "false", "true", "0", "1"};
    for (unsigned i = 0; i < ARRAY_LENGTH(words); i++) {
        if (word_equal(value, words[i], strlen(words[i]))) {
            *out = i % 2 != 0;
            return SETTINGS_GOOD;
        }
    }
    return SETTINGS_WRONG;
}

static settings_verdict_t read_enum(const char *words, text_t value, unsigned *out) {
    text_t rest = text_of(words);
    bool more = true;
    for (unsigned index = 0; more; index++) {
        text_t word = text_take(&rest, '|', &more);
        if (word_equal(value, word.at, word.bytes)) {
            *out = index;
            return SETTINGS_GOOD;
        }
    }
    return SETTINGS_WRONG;
}

void settings_enum_word(const settings_key_t *key, unsigned value, char *buffer, size_t bytes) {
    text_t rest = text_of(key->words), word = text_of("");
    bool more = true;
    for (unsigned index = 0; index <= value; index++) {
        word = more ? text_take(&rest, '|', &more) : text_of("");
    }
    text_buffer_t out = text_buffer(buffer, bytes);
    text_put_part(&out, word);
}

static settings_verdict_t read_string(const settings_key_t *key, text_t value, char *out) {
    if (value.bytes == 0) {
        return SETTINGS_WRONG;
    }
    if (value.bytes > key->max) {
        return SETTINGS_TOO_LONG;
    }
    memcpy(out, value.at, value.bytes);
    out[value.bytes] = '\0';
    return SETTINGS_GOOD;
}

/* ---- rows ---- */

settings_verdict_t settings_value_read(const settings_key_t *key, text_t value, void *out) {
    void *field = (char *)out + key->offset;
    switch (key->type) {
    case SETTINGS_BOOL:
        return read_bool(value, field);
    case SETTINGS_ENUM:
        return read_enum(key->words, value, field);
    case SETTINGS_UNSIGNED:
    case SETTINGS_SIZE:
    case SETTINGS_MSEC:
        return read_number(key, value, field);
    case SETTINGS_NODES:
        return read_nodes(value, field);
    case SETTINGS_WEIGHTS:
        return read_weights(value, field);
    case SETTINGS_STRING:
        return read_string(key, value, field);
    case SETTINGS_WORD:
        break; /* takes no value: the parser sets it */
    }
    return SETTINGS_WRONG;
}

void settings_value_clear(const settings_key_t *key, void *out) {
    void *field = (char *)out + key->offset;
    switch (key->type) {
    case SETTINGS_BOOL:
    case SETTINGS_WORD:
        *(bool *)field = false;
        break;
    case SETTINGS_NODES:
        ((settings_nodes_t *)field)->count = 0;
        break;
    case SETTINGS_WEIGHTS:
        ((settings_weights_t *)field)->count = 0;
        break;
    case SETTINGS_STRING:
        *(char *)field = '\0';
        break;
    case SETTINGS_ENUM:
        *(unsigned *)field = 0;
        break;
    case SETTINGS_UNSIGNED:
    case SETTINGS_SIZE:
    case SETTINGS_MSEC:
        *(uint64_t *)field = 0;
        break;
    }
}

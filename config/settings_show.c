/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Values to text, one writer per type of a row; the other way is settings_value.c. */
#include "config/settings_show.h"

#include <stdio.h>

static void put_number(text_buffer_t *out, uint64_t number, const char *unit) {
    char digits[32];
    snprintf(digits, sizeof(digits), "%llu%s", (unsigned long long)number, unit);
    text_put(out, digits);
}

static void put_size(text_buffer_t *out, uint64_t bytes) {
    static const char *const units[] = {"", "k", "M", "G", "T"};
    unsigned unit = 0;
    while (bytes != 0 && bytes % 1024 == 0 && unit + 1 < ARRAY_LENGTH(units)) {
        bytes /= 1024;
        unit++;
    }
    put_number(out, bytes, units[unit]);
}

/* Runs of rising numbers as ranges. */
static void put_nodes(text_buffer_t *out, const settings_nodes_t *nodes) {
    for (unsigned i = 0; i < nodes->count;) {
        unsigned last = i;
        while (last + 1 < nodes->count && nodes->node[last + 1] == nodes->node[last] + 1) {
            last++;
        }
        put_number(out, nodes->node[i], last > i ? "-" : "");
        if (last > i) {
            put_number(out, nodes->node[last], "");
        }
        i = last + 1;
        text_put(out, i < nodes->count ? "," : "");
    }
}

static void put_weights(text_buffer_t *out, const settings_weights_t *weights) {
    for (unsigned i = 0; i < weights->count; i++) {
        put_number(out, weights->part[i].node, ":");
        put_number(out, weights->part[i].weight, i + 1 < weights->count ? "," : "");
    }
}

void settings_show(const settings_key_t *key, const void *settings, text_buffer_t *out) {
    const void *field = (const char *)settings + key->offset;
    char word[64];
    switch (key->type) {
    case SETTINGS_BOOL:
    case SETTINGS_WORD:
        text_put(out, *(const bool *)field ? "yes" : "no");
        break;
    case SETTINGS_ENUM:
        settings_enum_word(key, *(const unsigned *)field, word, sizeof(word));
        text_put(out, word);
        break;
    case SETTINGS_UNSIGNED:
        put_number(out, *(const uint64_t *)field, "");
        break;
    case SETTINGS_SIZE:
        put_size(out, *(const uint64_t *)field);
        break;
    case SETTINGS_MSEC:
        put_number(out, *(const uint64_t *)field, "ms");
        break;
    case SETTINGS_NODES:
        put_nodes(out, field);
        break;
    case SETTINGS_WEIGHTS:
        put_weights(out, field);
        break;
    case SETTINGS_STRING:
        text_put(out, field);
        break;
    }
}

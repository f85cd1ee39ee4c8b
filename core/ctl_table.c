/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL rows: finding one, and the way of its value.
 *
 * A path is resolved component by component into its bare form, without the index. As soon as no
 * row begins with what was read, the search ends: a wildcard's value is only taken where its type
 * is known to be that of this table, since the same arguments may be meant for somebody else.
 */
#include "core/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

/* ---- components ------------------------------------------------------------------------------ */

bool ctl_component(const char **rest, const char **part, size_t *length) {
    const char *at = *rest + strspn(*rest, ".");
    *part = at;
    *length = strcspn(at, ".");
    *rest = at + *length;
    return *length > 0;
}

bool ctl_component_is(const char *part, size_t length, const char *text) {
    return strlen(text) == length && memcmp(part, text, length) == 0;
}

bool ctl_component_number(const char *part, size_t length, size_t *number) {
    size_t value = 0;
    for (size_t i = 0; i < length; i++) {
        if (part[i] < '0' || part[i] > '9') {
            return false;
        }
        if (mul_overflow(value, 10, &value) || add_overflow(value, part[i] - '0', &value)) {
            value = SIZE_MAX; // larger than any index; keeps overflowing to this
        }
    }
    *number = value;
    return length > 0;
}

size_t ctl_args_index(ctl_args_t *args) {
    return (uint32_t)va_arg(args->list, size_t);
}

/* ---- finding a row --------------------------------------------------------------------------- */

typedef struct ctl_path {
    char text[CTL_PATH_MAX]; /* bare: without the index */
    size_t length;
    bool indexed;
    size_t index;
} ctl_path_t;

typedef enum path_match { MATCH_NONE, MATCH_BEGIN, MATCH_WHOLE } path_match_t;

/* How `bare` relates to the path of a row without its "{}". *at_index: the row has its index right
 * behind `bare`. */
static path_match_t row_match(const char *row, const char *bare, bool *at_index) {
    *at_index = false;
    while (*bare != '\0') {
        if (strncmp(row, "{}.", 3) == 0) {
            row += 3;
        }
        if (*row != *bare) {
            return MATCH_NONE;
        }
        row++;
        bare++;
    }
    if (*row == '\0') {
        return MATCH_WHOLE;
    }
    *at_index = strncmp(row, ".{}", 3) == 0;
    return *row == '.' ? MATCH_BEGIN : MATCH_NONE;
}

/* Best match among all rows. */
static path_match_t table_match(const ctl_table_t *table, const char *bare, bool *at_index) {
    path_match_t best = MATCH_NONE;
    *at_index = false;
    for (; table != NULL; table = table->also) {
        for (size_t i = 0; i < table->count; i++) {
            bool here;
            path_match_t match = row_match(table->nodes[i].path, bare, &here);
            best = match > best ? match : best;
            *at_index |= here;
        }
    }
    return best;
}

static bool path_append(ctl_path_t *path, const char *part, size_t length) {
    size_t dot = path->length != 0 ? 1 : 0;
    if (length == 0 || length >= CTL_PATH_MAX - dot - path->length) {
        return false;
    }
    if (dot != 0) {
        path->text[path->length++] = '.';
    }
    memcpy(path->text + path->length, part, length);
    path->length += length;
    path->text[path->length] = '\0';
    return true;
}

/* False: leads to no row. */
static bool path_resolve(const ctl_table_t *table, const char *name, ctl_args_t *args,
                         ctl_path_t *path) {
    const char *part;
    size_t length;
    *path = (ctl_path_t){.length = 0};
    bool at_index = false;
    while (ctl_component(&name, &part, &length)) {
        bool wildcard = ctl_component_is(part, length, "{}");
        if (at_index && !path->indexed) {
            if (wildcard) {
                path->index = ctl_args_index(args);
                path->indexed = true;
                continue;
            }
            if (ctl_component_number(part, length, &path->index)) {
                path->indexed = true;
                continue;
            }
        }
        if (wildcard) {
            part = va_arg(args->list, const char *);
            length = part != NULL ? strnlen(part, CTL_PATH_MAX) : 0;
        }
        if (!path_append(path, part, length) ||
            table_match(table, path->text, &at_index) == MATCH_NONE) {
            return false;
        }
    }
    return path->length > 0;
}

static const ctl_node_t *row_find(const ctl_table_t *table, const ctl_path_t *path, void **object) {
    for (; table != NULL; table = table->also) {
        for (size_t i = 0; i < table->count; i++) {
            bool at_index;
            if (row_match(table->nodes[i].path, path->text, &at_index) == MATCH_WHOLE) {
                return &table->nodes[i];
            }
        }
        if (*object != NULL) {
            *object = (char *)*object + table->also_offset;
        }
    }
    return NULL;
}

const ctl_node_t *ctl_table_find(const ctl_table_t *table, const char *name) {
    ctl_path_t path = {.length = 0};
    const char *part;
    size_t length;
    void *object = NULL;
    while (ctl_component(&name, &part, &length)) {
        if (!path_append(&path, part, length)) {
            return NULL;
        }
    }
    return path.length > 0 ? row_find(table, &path, &object) : NULL;
}

/* ---- values ---------------------------------------------------------------------------------- */

size_t ctl_value_bytes(umf_ctl_type_t type) {
    switch (type) {
    case UMF_CTL_BOOL:
        return sizeof(bool);
    case UMF_CTL_INT:
        return sizeof(int);
    case UMF_CTL_SIZE:
        return sizeof(size_t);
    case UMF_CTL_NONE:
    case UMF_CTL_STRING:
    case UMF_CTL_BYTES:
        break;
    }
    return 0;
}

void ctl_describe_allowed(const ctl_node_t *node, char *buffer, size_t bytes) {
    switch (node->type) {
    case UMF_CTL_BOOL:
        snprintf(buffer, bytes, "yes and no");
        break;
    case UMF_CTL_INT:
    case UMF_CTL_SIZE:
        if (node->max != 0) {
            snprintf(buffer, bytes, "whole numbers from %llu to %llu",
                     (unsigned long long)node->min, (unsigned long long)node->max);
        } else {
            snprintf(buffer, bytes, "whole numbers from %llu", (unsigned long long)node->min);
        }
        break;
    case UMF_CTL_STRING:
        snprintf(buffer, bytes, "texts of up to %d characters", CTL_TEXT_MAX - 1);
        break;
    case UMF_CTL_NONE:
    case UMF_CTL_BYTES:
        snprintf(buffer, bytes, "no value");
        break;
    }
}

/* The whole text as a number: decimal, 0x hexadecimal, 0 octal; a minus in front. */
static bool parse_number(const char *text, bool *negative, uint64_t *magnitude) {
    char *end = NULL;
    *negative = text[0] == '-';
    text += *negative;
    if (text[0] < '0' || text[0] > '9') { // strtoull would take blanks and a second sign
        return false;
    }
    int saved_errno = errno;
    errno = 0;
    *magnitude = strtoull(text, &end, 0);
    bool fits = errno == 0;
    errno = saved_errno;
    return fits && *end == '\0';
}

static bool parse_bool(const char *text, bool *yes) {
    *yes = text[0] == 'y' || text[0] == 'Y' || text[0] == '1';
    return *yes || text[0] == 'n' || text[0] == 'N' || text[0] == '0';
}

static bool value_from_text(const ctl_node_t *node, const char *text, ctl_value_t *value) {
    bool negative;
    uint64_t magnitude;
    size_t length;
    switch (node->type) {
    case UMF_CTL_BOOL:
        return parse_bool(text, &value->yes);
    case UMF_CTL_INT:
        if (!parse_number(text, &negative, &magnitude) ||
            magnitude > (uint64_t)INT32_MAX + (negative ? 1 : 0)) {
            return false;
        }
        value->integer = (int)(negative ? -(int64_t)magnitude : (int64_t)magnitude);
        return true;
    case UMF_CTL_SIZE:
        if (!parse_number(text, &negative, &magnitude) || negative) {
            return false;
        }
        value->size = magnitude;
        return true;
    case UMF_CTL_STRING:
        length = strlen(text);
        if (length >= CTL_TEXT_MAX) {
            return false;
        }
        memcpy(value->text, text, length + 1);
        return true;
    case UMF_CTL_NONE:
    case UMF_CTL_BYTES:
        break;
    }
    return false;
}

static bool size_fits(const ctl_node_t *node, size_t size) {
    size_t bytes = ctl_value_bytes(node->type);
    return (node->access & CTL_LOOSE) != 0 ? size >= bytes : size == bytes;
}

static bool value_from_bytes(const ctl_node_t *node, const void *arg, size_t size,
                             ctl_value_t *value) {
    if (node->type == UMF_CTL_STRING) {
        size_t length = strnlen(arg, size);
        if (length >= CTL_TEXT_MAX) {
            return false;
        }
        memcpy(value->text, arg, length);
        value->text[length] = '\0';
        return true;
    }
    if (!size_fits(node, size)) {
        return false;
    }
    switch (node->type) {
    case UMF_CTL_BOOL: // any byte may be there
        value->yes = *(const unsigned char *)arg != 0;
        return true;
    case UMF_CTL_INT:
        memcpy(&value->integer, arg, sizeof(value->integer));
        return true;
    default:
        memcpy(&value->size, arg, sizeof(value->size));
        return true;
    }
}

static bool value_in_range(const ctl_node_t *node, const ctl_value_t *value) {
    if (node->type == UMF_CTL_INT && node->max != 0) {
        return value->integer >= 0 && (uint64_t)value->integer >= node->min &&
               (uint64_t)value->integer <= node->max;
    }
    if (node->type == UMF_CTL_SIZE) {
        return value->size >= node->min && (node->max == 0 || value->size <= node->max);
    }
    return true;
}

/* ---- serving --------------------------------------------------------------------------------- */

static umf_result_t serve_write(const ctl_call_t *call, umf_ctl_query_source_t source,
                                const void *arg, size_t size) {
    const ctl_node_t *node = call->node;
    ctl_value_t value;
    bool good;
    if (source == CTL_QUERY_CONFIG_INPUT) {
        good = memchr(arg, '\0', size) != NULL && value_from_text(node, arg, &value);
    } else {
        good = value_from_bytes(node, arg, size, &value);
    }
    if (!good || !value_in_range(node, &value)) {
        char allowed[96];
        ctl_describe_allowed(node, allowed, sizeof(allowed));
        log_error("%s: not a good value; allowed are %s", node->path, allowed);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return node->serve(call, &value);
}

static umf_result_t serve_read(const ctl_call_t *call, void *arg, size_t size) {
    const ctl_node_t *node = call->node;
    ctl_value_t value;
    if (node->type != UMF_CTL_STRING && !size_fits(node, size)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    value.text[0] = '\0';
    umf_result_t result = node->serve(call, &value);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    size_t bytes = ctl_value_bytes(node->type);
    const void *from = &value.size; // all members begin where the union does
    if (node->type == UMF_CTL_STRING) {
        bytes = strlen(value.text) + 1;
        from = value.text;
        if (bytes > size) {
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
    }
    memcpy(arg, from, bytes);
    return UMF_RESULT_SUCCESS;
}

static unsigned access_of(umf_ctl_query_type_t type) {
    switch (type) {
    case CTL_QUERY_READ:
        return CTL_R;
    case CTL_QUERY_WRITE:
        return CTL_W;
    case CTL_QUERY_RUNNABLE:
        return CTL_X;
    }
    return 0;
}

/* The one request that every start of a program makes, without a search: its row is the last of its
 * table. */
static umf_result_t serve_post_initialize(const ctl_table_t *table, void *object) {
    for (; table != NULL; table = table->also) {
        const ctl_node_t *last = table->count > 0 ? &table->nodes[table->count - 1] : NULL;
        if (last != NULL && (last->access & CTL_INTERNAL) != 0) {
            const ctl_call_t call = {object, last, CTL_QUERY_RUNNABLE, 0};
            return last->serve(&call, NULL);
        }
        object = (char *)object + table->also_offset;
    }
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

umf_result_t ctl_serve(const ctl_table_t *table, void *object, umf_ctl_query_source_t source,
                       const char *name, void *arg, size_t size, umf_ctl_query_type_t type,
                       va_list args) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (type == CTL_QUERY_READ && strcmp(name, CTL_TABLE_NODE) == 0 && arg != NULL &&
        size == sizeof(table)) {
        memcpy(arg, &table, sizeof(table));
        return UMF_RESULT_SUCCESS;
    }
    if (type == CTL_QUERY_RUNNABLE && strcmp(name, "post_initialize") == 0) {
        return serve_post_initialize(table, object);
    }
    ctl_path_t path;
    ctl_args_t copy;
    va_copy(copy.list, args);
    bool known = path_resolve(table, name, &copy, &path);
    va_end(copy.list);
    const ctl_node_t *node = known ? row_find(table, &path, &object) : NULL;
    if (node == NULL) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    bool wants_index = strstr(node->path, "{}") != NULL;
    if ((node->access & access_of(type)) == 0 || path.indexed != wants_index) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const ctl_call_t call = {object, node, type, path.index};
    if (type == CTL_QUERY_RUNNABLE) {
        ctl_value_t none = {.size = 0};
        return node->serve(&call, &none);
    }
    if (arg == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return type == CTL_QUERY_WRITE ? serve_write(&call, source, arg, size)
                                   : serve_read(&call, arg, size);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL: settings, statistics and commands addressed by paths, declared as data.
 *
 * Whoever offers nodes has a table of rows; one row says path, type, access, range, what it is, and
 * which function serves it. ctl_serve() does the rest: it finds the row, takes wildcards and the
 * index out of the path, checks access, size and range, and converts text. A pool's or provider's
 * `ext_ctl` is one call of it. What belongs to the library as a whole is a module: a name below
 * "umf." and a table, see ctl_register().
 *
 *   ctl_table.c     rows: look-up, values, ctl_serve()
 *   ctl.c           umfCtlGet, umfCtlSet, umfCtlExec: the tree above the tables
 *   ctl_objects.c   pools and providers by handle and by name
 *   ctl_defaults.c  values for objects that are yet to be made
 *   ctl_config.c    UMF_CONF and UMF_CONF_FILE
 *   ctl_list.c      enumeration
 */
#ifndef UMF_CORE_CTL_H
#define UMF_CORE_CTL_H

#include <stdarg.h>

#include <umf/base.h>
#include <umf/experimental/ctl_ext.h>

#include "core/lock.h"
#include "core/registry.h"
#include "core/utils.h"

enum {
    CTL_PATH_MAX = 128,  /* bytes of a path within a table, longer than any that exists */
    CTL_TEXT_MAX = 1024, /* bytes of a string value, with the NUL */
};

/* ---- rows ------------------------------------------------------------------------------------ */

enum ctl_access {
    CTL_R = UMF_CTL_READ,
    CTL_W = UMF_CTL_WRITE,
    CTL_X = UMF_CTL_EXEC,
    CTL_RW = CTL_R | CTL_W,
    /* The argument may be larger than the value; what is behind it stays untouched. */
    CTL_LOOSE = 1 << 8,
    /* For the library only: not for callers of umfCtlExec(), not listed. */
    CTL_INTERNAL = 1 << 9,
};

typedef struct ctl_node ctl_node_t;

/* What a row's function is told. */
typedef struct ctl_call {
    void *object; /* pool, provider or module that the table belongs to */
    const ctl_node_t *node;
    umf_ctl_query_type_t type;
    size_t index; /* of a path with "{}" */
} ctl_call_t;

/* A value on its way; which member counts is the row's type. */
typedef struct ctl_value {
    union {
        bool yes;
        int integer;
        size_t size;
    };
    char text[CTL_TEXT_MAX]; /* terminated */
} ctl_value_t;

/* Read: sets *value. Write: *value is in the row's range. Execute: value may be NULL. */
typedef umf_result_t (*ctl_handler_t)(const ctl_call_t *call, ctl_value_t *value);

struct ctl_node {
    const char *path; /* below the table's owner; one component may be "{}", an index */
    umf_ctl_type_t type;
    unsigned access; /* enum ctl_access */
    ctl_handler_t serve;
    uintptr_t what;    /* the handler's own: an offset, a counter … */
    const char *help;  /* what it is and in which unit; one line */
    uint64_t min, max; /* of what may be written; max 0: whatever the type holds */
};

typedef struct ctl_table {
    const ctl_node_t *nodes;
    size_t count;
    const struct ctl_table *also; /* further rows, or NULL … */
    size_t also_offset;           /* … whose object is this many bytes into ours */
} ctl_table_t;

/* The row that the library runs once at the end of creation; last in a pool's or provider's rows.
 * Its function must stand being called again. */
#define CTL_POST_INITIALIZE(handler)                                                               \
    {                                                                                              \
        .path = "post_initialize", .type = UMF_CTL_NONE, .access = CTL_X | CTL_INTERNAL,           \
        .serve = (handler), .help = "Ends the creation."                                           \
    }

/* Read by the library itself, answered by ctl_serve(): the table's address. */
#define CTL_TABLE_NODE "ctl.table"

/* Serves a request as ext_ctl gets it. INVALID_CTL_PATH: the path leads to no row, the arguments of
 * wildcards are untouched. INVALID_ARGUMENT: access, index, size or value do not fit the row. Takes
 * no lock. */
umf_result_t ctl_serve(const ctl_table_t *table, void *object, umf_ctl_query_source_t source,
                       const char *name, void *arg, size_t size, umf_ctl_query_type_t type,
                       va_list args);

/* The row of a path without wildcards and index, or NULL. */
const ctl_node_t *ctl_table_find(const ctl_table_t *table, const char *name);
/* A row's allowed values, for messages: "yes and no", "whole numbers from 0 to 4" … */
void ctl_describe_allowed(const ctl_node_t *node, char *buffer, size_t bytes);
/* Size of a row's value in bytes; 0: text, or none. */
size_t ctl_value_bytes(umf_ctl_type_t type);

/* ---- modules --------------------------------------------------------------------------------- */

/* Nodes of the library or of a program's part of it: umf.<name>.<path of the row>. */
typedef struct ctl_module {
    const char *name; /* one component; several modules may share it, the oldest answers first */
    const ctl_table_t *table; /* NULL until somebody asks: `make` gives it, NULL for "not now" */
    const ctl_table_t *(*make)(void);  /* called with the CTL lock held */
    void *object;                      /* given to the handlers */
    _Atomic(struct ctl_module *) next; /* under the CTL lock for writing */
} ctl_module_t;

/* Adds a module for good; it and its table stay where they are. Registering twice does nothing. */
void ctl_register(ctl_module_t *module);
/* The module's table, made if need be; NULL: out of memory. */
const ctl_table_t *ctl_module_table(ctl_module_t *module);

/* ---- requests -------------------------------------------------------------------------------- */

/* A va_list that can be handed on by address. */
typedef struct ctl_args {
    va_list list;
} ctl_args_t;

/* What a caller of umfCtlGet() … asks for, on its way down the tree. */
typedef struct ctl_request {
    umf_ctl_query_source_t source;
    umf_ctl_query_type_t type;
    void *arg;
    size_t size;
    const char *rest; /* what is left of the path */
    ctl_args_t *args; /* what is left of the wildcards' values */
} ctl_request_t;

/* The next component of *rest, which moves behind it; false at the end. Empty ones are skipped. */
bool ctl_component(const char **rest, const char **part, size_t *length);
/* The same with `{}` replaced by its `const char *`. INVALID_CTL_PATH: no more; INVALID_ARGUMENT:
 * the value of `{}` is NULL. */
umf_result_t ctl_component_named(ctl_request_t *request, const char **part, size_t *length);
bool ctl_component_is(const char *part, size_t length, const char *text);
/* All digits; too large numbers give SIZE_MAX. */
bool ctl_component_number(const char *part, size_t length, size_t *number);
/* The number of an index wildcard. Callers pass int, unsigned or size_t alike: the lower half is
 * common to all. */
size_t ctl_args_index(ctl_args_t *args);
/* A whole request, from the root. */
umf_result_t ctl_request_run(ctl_request_t *request);

/* Describes the allowed values of a module's node; "" when there is nothing to say. */
void ctl_allowed_at(const char *path, char *buffer, size_t bytes);

/* ---- pools and providers --------------------------------------------------------------------- */

typedef enum ctl_kind { CTL_POOLS, CTL_PROVIDERS, CTL_KINDS } ctl_kind_t;

/* by_handle, by_name; `rest` is behind that word. */
umf_result_t ctl_by_handle(ctl_kind_t kind, ctl_request_t *request);
umf_result_t ctl_by_name(ctl_kind_t kind, ctl_request_t *request);
/* Sends a request to an object's own nodes. */
umf_result_t ctl_object_serve(ctl_kind_t kind, void *object, ctl_request_t *request);
/* Rows that every pool has (its object is the handle). */
extern const ctl_table_t ctl_pool_table;

/* ---- defaults -------------------------------------------------------------------------------- */

typedef struct ctl_default ctl_default_t;

typedef struct ctl_state {
    umf_lock_t lock; /* rank LOCK_RANK_REGISTRY; never held while others' code runs */
    ctl_default_t *first[CTL_KINDS], *last[CTL_KINDS]; /* in order of first insertion */
    _Atomic(ctl_module_t *) modules;                   /* oldest first; grows only */
    _Atomic(bool) configured;                          /* UMF_CONF was read */
} ctl_state_t;

umf_result_t ctl_default_request(ctl_kind_t kind, ctl_request_t *request);
/* Sends what is stored for objects of that name; at creation, before post_initialize. */
void ctl_defaults_apply(ctl_kind_t kind, void *object, const char *name);
/* The key of the first entry behind number *serial, which moves on; cut to the buffer. */
bool ctl_default_next(ctl_kind_t kind, uint64_t *serial, char *key, size_t bytes);
/* Forgets all, at the last tear-down. */
void ctl_defaults_drop(void);

/* ---- configuration --------------------------------------------------------------------------- */

/* Reads UMF_CONF and UMF_CONF_FILE, once between start and last tear-down. */
void ctl_config_load(void);
/* Serves the entries of a text; `origin` is its name in messages. The text is changed. */
void ctl_config_text(const char *origin, char *text);
/* Removes white space and comments, in place; returns the new length. */
size_t ctl_config_strip(char *text, size_t length);

#endif /* UMF_CORE_CTL_H */

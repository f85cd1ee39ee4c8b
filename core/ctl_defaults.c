/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL defaults: bytes stored under a key, and given to each pool or provider whose name begins the
 * key when it is made. What they mean is the object's affair.
 *
 * Entries are never removed before the last tear-down, only their values change. So a walk may go
 * from one to the next by serial number, with the lock held for a step each: a new object's ext_ctl
 * runs without it, on a copy.
 */
#include <string.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/log.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/state.h"

struct ctl_default {
    ctl_default_t *next;
    uint64_t serial; /* rises along the list */
    umf_ctl_query_source_t source;
    bool complained; /* somebody refused it, and that was said */
    size_t size;
    void *bytes; /* base_alloc'd */
    char *key;   /* "NAME.path", or a name alone */
};

static const char *const kind_names[CTL_KINDS] = {"pool", "provider"};

/* ---- storing --------------------------------------------------------------------------------- */

/* The rest of the path as a key, without empty components; NOT_SUPPORTED: a wildcard in it. */
static umf_result_t key_make(const char *path, char **key) {
    size_t room = strlen(path) + 1;
    char *text = base_alloc(room);
    if (text == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    size_t used = 0;
    const char *part;
    size_t length;
    umf_result_t result = UMF_RESULT_ERROR_INVALID_CTL_PATH;
    while (ctl_component(&path, &part, &length)) {
        if (used > 0) {
            text[used++] = '.';
        }
        memcpy(text + used, part, length);
        used += length;
        result = UMF_RESULT_SUCCESS;
    }
    if (strstr(text, "{}") != NULL) {
        result = UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    *key = result == UMF_RESULT_SUCCESS ? base_strndup(text, used) : NULL;
    base_free(text, room);
    return result == UMF_RESULT_SUCCESS && *key == NULL ? UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY
                                                        : result;
}

/* Lock held. */
static ctl_default_t *find(ctl_kind_t kind, const char *key) {
    ctl_default_t *at = umf_core_state.ctl.first[kind];
    while (at != NULL && strcmp(at->key, key) != 0) {
        at = at->next;
    }
    return at;
}

/* Lock held. */
static void append(ctl_kind_t kind, ctl_default_t *entry) {
    ctl_state_t *ctl = &umf_core_state.ctl;
    ctl_default_t *last = ctl->last[kind];
    entry->serial = last != NULL ? last->serial + 1 : 1;
    if (last != NULL) {
        last->next = entry;
    } else {
        ctl->first[kind] = entry;
    }
    ctl->last[kind] = entry;
}

static void entry_free(ctl_default_t *entry) {
    if (entry != NULL) {
        base_free(entry->bytes, entry->size);
        base_free_string(entry->key);
        base_free(entry, sizeof(*entry));
    }
}

/* Takes over `key`. */
static umf_result_t store(ctl_kind_t kind, char *key, const ctl_request_t *request) {
    ctl_default_t *entry = base_alloc(sizeof(*entry));
    void *bytes = base_alloc(request->size);
    if (entry == NULL || bytes == NULL) {
        base_free(entry, sizeof(*entry));
        base_free(bytes, request->size);
        base_free_string(key);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    memcpy(bytes, request->arg, request->size);
    *entry = (ctl_default_t){
        .source = request->source, .size = request->size, .bytes = bytes, .key = key};
    lock_acquire(&umf_core_state.ctl.lock);
    ctl_default_t *old = find(kind, key);
    if (old != NULL) { // keeps its place; the new one carries the old value away
        ctl_default_t swap = *old;
        old->source = entry->source;
        old->size = entry->size;
        old->bytes = entry->bytes;
        old->complained = false;
        entry->size = swap.size;
        entry->bytes = swap.bytes;
    } else {
        append(kind, entry);
        entry = NULL;
    }
    lock_release(&umf_core_state.ctl.lock);
    entry_free(entry);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t fetch(ctl_kind_t kind, const char *key, const ctl_request_t *request) {
    umf_result_t result = UMF_RESULT_ERROR_INVALID_CTL_PATH;
    lock_acquire(&umf_core_state.ctl.lock);
    const ctl_default_t *entry = find(kind, key);
    if (entry != NULL) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        if (entry->size <= request->size) {
            memcpy(request->arg, entry->bytes, entry->size);
            result = UMF_RESULT_SUCCESS;
        }
    }
    lock_release(&umf_core_state.ctl.lock);
    return result;
}

umf_result_t ctl_default_request(ctl_kind_t kind, ctl_request_t *request) {
    char *key = NULL;
    umf_result_t result = key_make(request->rest, &key);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (request->type == CTL_QUERY_WRITE) {
        return store(kind, key, request);
    }
    if (request->type == CTL_QUERY_READ) {
        result = fetch(kind, key, request);
    }
    base_free_string(key);
    return result;
}

/* ---- applying -------------------------------------------------------------------------------- */

/* A copy of an entry, to be used without the lock. */
typedef struct copy {
    uint64_t serial;
    umf_ctl_query_source_t source;
    bool complained;
    size_t size;
    char *bytes;
    char *key;
} copy_t;

/* The next entry behind number `serial` whose key begins with "<name>.". False: no more, or no
 * memory for the copy. */
static bool next_for(ctl_kind_t kind, const char *name, uint64_t serial, copy_t *copy) {
    size_t length = strlen(name);
    lock_acquire(&umf_core_state.ctl.lock);
    const ctl_default_t *at = umf_core_state.ctl.first[kind];
    while (at != NULL && (at->serial <= serial || strncmp(at->key, name, length) != 0 ||
                          at->key[length] != '.')) {
        at = at->next;
    }
    if (at != NULL) {
        *copy = (copy_t){at->serial, at->source,           at->complained,
                         at->size,   base_alloc(at->size), base_strndup(at->key, SIZE_MAX)};
        if (copy->bytes != NULL) {
            memcpy(copy->bytes, at->bytes, at->size);
        }
    }
    lock_release(&umf_core_state.ctl.lock);
    return at != NULL;
}

static void note_complaint(ctl_kind_t kind, const char *key) {
    lock_acquire(&umf_core_state.ctl.lock);
    ctl_default_t *entry = find(kind, key);
    if (entry != NULL) {
        entry->complained = true;
    }
    lock_release(&umf_core_state.ctl.lock);
}

/* A refused default changes nothing but must not go unnoticed: what came from the environment is
 * said on standard error once, the rest in the log. */
static void complain(ctl_kind_t kind, const char *name, const copy_t *copy, umf_result_t result) {
    const char *why = result == UMF_RESULT_ERROR_INVALID_CTL_PATH   ? "it has no such setting"
                      : result == UMF_RESULT_ERROR_INVALID_ARGUMENT ? "the value is not allowed"
                      : result == UMF_RESULT_ERROR_NOT_SUPPORTED    ? "it can not be set"
                                                                    : "it failed";
    if (copy->source == CTL_QUERY_CONFIG_INPUT) {
        if (!copy->complained) {
            note_complaint(kind, copy->key);
            umf_message("umf.%s.default.%s=%.*s is not taken by %s \"%s\": %s", kind_names[kind],
                        copy->key, (int)strnlen(copy->bytes, copy->size), copy->bytes,
                        kind_names[kind], name, why);
        }
    } else {
        log_warning("umf.%s.default.%s is not taken by %s \"%s\": %s", kind_names[kind], copy->key,
                    kind_names[kind], name, why);
    }
}

/* ext_ctl takes a va_list; this makes an empty one. */
static umf_result_t send(ctl_kind_t kind, void *object, umf_ctl_query_source_t source,
                         const char *path, void *bytes, size_t size, ...) {
    va_list none;
    va_start(none, size);
    umf_result_t result;
    if (kind == CTL_POOLS) {
        umf_memory_pool_handle_t pool = object;
        result = pool->ops.ext_ctl(pool->priv, source, path, bytes, size, CTL_QUERY_WRITE, none);
    } else {
        umf_memory_provider_handle_t provider = object;
        result =
            provider->ops.ext_ctl(provider->priv, source, path, bytes, size, CTL_QUERY_WRITE, none);
    }
    va_end(none);
    return result;
}

void ctl_defaults_apply(ctl_kind_t kind, void *object, const char *name) {
    copy_t copy = {.serial = 0};
    // RACY: whoever sets a default while an object is made can not tell whether it applies
    if (__atomic_load_n(&umf_core_state.ctl.first[kind], __ATOMIC_RELAXED) == NULL) {
        return;
    }
    while (next_for(kind, name, copy.serial, &copy)) {
        if (copy.bytes != NULL && copy.key != NULL) {
            umf_result_t result =
                send(kind, object, copy.source, copy.key + strlen(name) + 1, copy.bytes, copy.size);
            if (result != UMF_RESULT_SUCCESS) {
                complain(kind, name, &copy, result);
            }
        }
        base_free_string(copy.key);
        base_free(copy.bytes, copy.size);
    }
}

bool ctl_default_next(ctl_kind_t kind, uint64_t *serial, char *key, size_t bytes) {
    lock_acquire(&umf_core_state.ctl.lock);
    const ctl_default_t *at = umf_core_state.ctl.first[kind];
    while (at != NULL && at->serial <= *serial) {
        at = at->next;
    }
    if (at != NULL) {
        *serial = at->serial;
        size_t length = strnlen(at->key, bytes - 1);
        memcpy(key, at->key, length);
        key[length] = '\0';
    }
    lock_release(&umf_core_state.ctl.lock);
    return at != NULL;
}

void ctl_defaults_drop(void) {
    ctl_state_t *ctl = &umf_core_state.ctl;
    for (int kind = 0; kind < CTL_KINDS; kind++) {
        lock_acquire(&ctl->lock);
        ctl_default_t *at = ctl->first[kind];
        ctl->first[kind] = ctl->last[kind] = NULL;
        lock_release(&ctl->lock);
        while (at != NULL) {
            ctl_default_t *next = at->next;
            entry_free(at);
            at = next;
        }
    }
}

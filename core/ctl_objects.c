/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * CTL: pools and providers, by handle and by name.
 *
 * Below an object its own nodes begin: first what all pools have, then whatever its ext_ctl knows.
 * No lock is held meanwhile; an object found by name is pinned, so that it outlives the call.
 */
#include <string.h>

#include "core/ctl.h"
#include "core/pool.h"
#include "core/provider.h"
#include "core/state.h"

static registry_t *registry_of(ctl_kind_t kind) {
    return kind == CTL_POOLS ? &umf_core_state.pools : &umf_core_state.providers;
}

/* ---- an object ------------------------------------------------------------------------------- */

/* True for paths that only the library may use. */
static bool is_reserved(const char *path) {
    static const char *const reserved[] = {"post_initialize", CTL_TABLE_NODE};
    for (size_t i = 0; i < ARRAY_LENGTH(reserved); i++) {
        const char *rest = path, *wanted = reserved[i], *part, *wanted_part;
        size_t length, wanted_length;
        bool same = true;
        while (same && ctl_component(&wanted, &wanted_part, &wanted_length)) {
            same = ctl_component(&rest, &part, &length) && length == wanted_length &&
                   memcmp(part, wanted_part, length) == 0;
        }
        if (same && !ctl_component(&rest, &part, &length)) {
            return true;
        }
    }
    return false;
}

static umf_result_t pool_serve(umf_memory_pool_handle_t pool, ctl_request_t *request) {
    umf_result_t result =
        ctl_serve(&ctl_pool_table, pool, request->source, request->rest, request->arg,
                  request->size, request->type, request->args->list);
    if (result != UMF_RESULT_ERROR_INVALID_CTL_PATH) {
        return result;
    }
    ctl_args_t args; // the callee takes from its list: the caller may have more objects to ask
    va_copy(args.list, request->args->list);
    result = pool->ops.ext_ctl(pool->priv, request->source, request->rest, request->arg,
                               request->size, request->type, args.list);
    va_end(args.list);
    return result;
}

static umf_result_t provider_serve(umf_memory_provider_handle_t provider, ctl_request_t *request) {
    ctl_args_t args;
    va_copy(args.list, request->args->list);
    umf_result_t result =
        provider->ops.ext_ctl(provider->priv, request->source, request->rest, request->arg,
                              request->size, request->type, args.list);
    va_end(args.list);
    return result;
}

umf_result_t ctl_object_serve(ctl_kind_t kind, void *object, ctl_request_t *request) {
    request->rest += strspn(request->rest, ".");
    if (*request->rest == '\0' || is_reserved(request->rest)) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    return kind == CTL_POOLS ? pool_serve(object, request) : provider_serve(object, request);
}

/* ---- by handle ------------------------------------------------------------------------------- */

static bool is_alive(ctl_kind_t kind, const void *object) {
    if (object == NULL) {
        return false;
    }
    return kind == CTL_POOLS
               ? ((const struct umf_memory_pool_t *)object)->magic == UMF_POOL_MAGIC
               : ((const struct umf_memory_provider_t *)object)->magic == UMF_PROVIDER_MAGIC;
}

umf_result_t ctl_by_handle(ctl_kind_t kind, ctl_request_t *request) {
    const char *part;
    size_t length;
    if (!ctl_component(&request->rest, &part, &length) || !ctl_component_is(part, length, "{}")) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    void *object = va_arg(request->args->list, void *);
    if (!is_alive(kind, object)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return ctl_object_serve(kind, object, request);
}

/* ---- by name --------------------------------------------------------------------------------- */

typedef struct named {
    ctl_kind_t kind;
    const char *name;
    size_t length;
    bool indexed;
    size_t index;
} named_t;

static umf_result_t named_serve(const named_t *named, size_t index, ctl_request_t *request) {
    registry_entry_t *entry =
        registry_pin(registry_of(named->kind), named->name, named->length, index);
    if (entry == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = ctl_object_serve(named->kind, entry->object, request);
    registry_unpin(entry);
    return result;
}

/* Writes and commands without an index are for all of the name; the first error is the result. */
static umf_result_t named_serve_all(const named_t *named, ctl_request_t *request) {
    registry_t *registry = registry_of(named->kind);
    umf_result_t first = UMF_RESULT_SUCCESS;
    for (registry_entry_t *at = registry_next(registry, NULL); at != NULL;
         at = registry_next(registry, at)) {
        if (ctl_component_is(named->name, named->length, at->name)) {
            umf_result_t result = ctl_object_serve(named->kind, at->object, request);
            first = first == UMF_RESULT_SUCCESS ? result : first;
        }
    }
    return first;
}

static umf_result_t named_count(const named_t *named, size_t count, ctl_request_t *request) {
    if (named->indexed || request->type != CTL_QUERY_READ || request->size != sizeof(count)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    memcpy(request->arg, &count, sizeof(count));
    return UMF_RESULT_SUCCESS;
}

/* Takes NAME and IDX from the path. */
static umf_result_t named_read(named_t *named, ctl_request_t *request) {
    umf_result_t result = ctl_component_named(request, &named->name, &named->length);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    const char *part;
    size_t length;
    const char *behind = request->rest;
    if (!ctl_component(&behind, &part, &length)) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    if (ctl_component_is(part, length, "{}")) {
        named->index = ctl_args_index(request->args);
        named->indexed = true;
    } else {
        named->indexed = ctl_component_number(part, length, &named->index);
    }
    if (named->indexed) {
        request->rest = behind;
    }
    request->rest += strspn(request->rest, ".");
    return *request->rest != '\0' ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

umf_result_t ctl_by_name(ctl_kind_t kind, ctl_request_t *request) {
    named_t named = {.kind = kind};
    umf_result_t result = named_read(&named, request);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    size_t count = registry_count(registry_of(kind), named.name, named.length);
    if (count == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const char *rest = request->rest, *part;
    size_t length;
    ctl_component(&rest, &part, &length);
    if (ctl_component_is(part, length, "count") && !ctl_component(&rest, &part, &length)) {
        return named_count(&named, count, request);
    }
    if (named.indexed) {
        return named_serve(&named, named.index, request);
    }
    if (request->type != CTL_QUERY_READ) {
        return named_serve_all(&named, request);
    }
    return count == 1 ? named_serve(&named, 0, request) : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

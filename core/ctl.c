/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * umfCtlGet, umfCtlSet, umfCtlExec: the upper levels of the tree.
 *
 *   umf.pool.{by_handle,by_name,default}.…       ctl_objects.c, ctl_defaults.c
 *   umf.provider.{by_handle,by_name,default}.…
 *   umf.<module>.…                               tables: the library's own below, others registered
 */
#include <umf/experimental/ctl.h>

#include <string.h>

#include "core/ctl.h"
#include "core/ctl_modules.h"
#include "core/state.h"

umf_result_t ctl_component_named(ctl_request_t *request, const char **part, size_t *length) {
    if (!ctl_component(&request->rest, part, length)) {
        return UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    if (ctl_component_is(*part, *length, "{}")) {
        *part = va_arg(request->args->list, const char *);
        if (*part == NULL) {
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        *length = strlen(*part);
    }
    return UMF_RESULT_SUCCESS;
}

/* ---- modules --------------------------------------------------------------------------------- */

void ctl_register(ctl_module_t *module) {
    ctl_state_t *ctl = &umf_core_state.ctl;
    lock_acquire(&ctl->lock);
    ctl_module_t *last = NULL;
    ctl_module_t *at = load_relaxed(&ctl->modules);
    while (at != NULL && at != module) {
        last = at;
        at = load_relaxed(&at->next);
    }
    if (at == NULL) {
        // release: readers walk without the lock, and find the new module filled in
        store_relaxed(&module->next, NULL);
        if (last != NULL) {
            store_release(&last->next, module);
        } else {
            store_release(&ctl->modules, module);
        }
    }
    lock_release(&ctl->lock);
}

const ctl_table_t *ctl_module_table(ctl_module_t *module) {
    if (module->make == NULL) { // the usual case: constant
        return module->table;
    }
    lock_acquire(&umf_core_state.ctl.lock);
    if (module->table == NULL) {
        module->table = module->make();
    }
    const ctl_table_t *table = module->table;
    lock_release(&umf_core_state.ctl.lock);
    return table;
}

static umf_result_t module_request(const ctl_module_t *module, const ctl_table_t *table,
                                   ctl_request_t *request) {
    return table == NULL
               ? UMF_RESULT_ERROR_INVALID_CTL_PATH
               : ctl_serve(table, module->object, request->source, request->rest, request->arg,
                           request->size, request->type, request->args->list);
}

static umf_result_t modules_request(const char *name, size_t length, ctl_request_t *request) {
    umf_result_t result = UMF_RESULT_ERROR_INVALID_CTL_PATH;
    for (size_t i = 0; i < ctl_own_module_count; i++) {
        if (ctl_component_is(name, length, ctl_own_modules[i]->name)) {
            result = module_request(ctl_own_modules[i], ctl_own_modules[i]->table, request);
        }
    }
    // acquire: pairs with the release of ctl_register()
    ctl_module_t *module = load_acquire(&umf_core_state.ctl.modules);
    for (; module != NULL && result == UMF_RESULT_ERROR_INVALID_CTL_PATH;
         module = load_acquire(&module->next)) {
        if (ctl_component_is(name, length, module->name)) {
            result = module_request(module, ctl_module_table(module), request);
        }
    }
    return result;
}

void ctl_allowed_at(const char *path, char *buffer, size_t bytes) {
    const char *part;
    size_t length;
    buffer[0] = '\0';
    if (!ctl_component(&path, &part, &length) || !ctl_component(&path, &part, &length)) {
        return;
    }
    const ctl_node_t *node = NULL;
    for (size_t i = 0; i < ctl_own_module_count && node == NULL; i++) {
        if (ctl_component_is(part, length, ctl_own_modules[i]->name)) {
            node = ctl_table_find(ctl_own_modules[i]->table, path);
        }
    }
    if (node != NULL && (node->access & CTL_W) != 0 && node->type != UMF_CTL_STRING) {
        ctl_describe_allowed(node, buffer, bytes);
    }
}

/* ---- the tree -------------------------------------------------------------------------------- */

static umf_result_t kind_request(ctl_kind_t kind, ctl_request_t *request) {
    static const struct {
        const char *name;
        umf_result_t (*run)(ctl_kind_t kind, ctl_request_t *request);
    } branches[] = {
        {"by_handle", ctl_by_handle},
        {"by_name", ctl_by_name},
        {"default", ctl_default_request},
    };
    const char *part;
    size_t length;
    umf_result_t result = ctl_component_named(request, &part, &length);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(branches); i++) {
        if (ctl_component_is(part, length, branches[i].name)) {
            return branches[i].run(kind, request);
        }
    }
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

umf_result_t ctl_request_run(ctl_request_t *request) {
    const char *part;
    size_t length;
    umf_result_t result = ctl_component_named(request, &part, &length);
    if (result == UMF_RESULT_SUCCESS && !ctl_component_is(part, length, "umf")) {
        result = UMF_RESULT_ERROR_INVALID_CTL_PATH;
    }
    if (result == UMF_RESULT_SUCCESS) {
        result = ctl_component_named(request, &part, &length);
    }
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    if (ctl_component_is(part, length, "pool")) {
        return kind_request(CTL_POOLS, request);
    }
    if (ctl_component_is(part, length, "provider")) {
        return kind_request(CTL_PROVIDERS, request);
    }
    return modules_request(part, length, request);
}

static umf_result_t call(umf_ctl_query_type_t type, const char *path, void *arg, size_t size,
                         ctl_args_t *args) {
    ctl_request_t request = {
        .source = CTL_QUERY_PROGRAMMATIC,
        .type = type,
        .arg = arg,
        .size = size,
        .rest = path,
        .args = args,
    };
    return ctl_request_run(&request);
}

UMF_EXPORT umf_result_t umfCtlGet(const char *path, void *arg, size_t size, ...) {
    if (path == NULL || arg == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ctl_args_t args;
    va_start(args.list, size);
    umf_result_t result = call(CTL_QUERY_READ, path, arg, size, &args);
    va_end(args.list);
    return result;
}

UMF_EXPORT umf_result_t umfCtlSet(const char *path, void *arg, size_t size, ...) {
    if (path == NULL || arg == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ctl_args_t args;
    va_start(args.list, size);
    umf_result_t result = call(CTL_QUERY_WRITE, path, arg, size, &args);
    va_end(args.list);
    return result;
}

UMF_EXPORT umf_result_t umfCtlExec(const char *path, void *arg, size_t size, ...) {
    if (path == NULL || (arg == NULL) != (size == 0)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    ctl_args_t args;
    va_start(args.list, size);
    umf_result_t result = call(CTL_QUERY_RUNNABLE, path, arg, size, &args);
    va_end(args.list);
    return result;
}

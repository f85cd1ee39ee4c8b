/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memspaces: lists of targets, and what programs do with their own ones. Each target is an object
 * of its own, so that handles stay good while others are added and removed.
 *
 * A filter first asks about all targets and notes the answers, then drops the rejected ones, which
 * can not fail: after an error nothing has changed.
 */
#include "core/memspace.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/log.h"

bool memspace_valid(umf_const_memspace_handle_t memspace) {
    return memspace != NULL && memspace->magic == MEMSPACE_MAGIC;
}

/* False for what the program may not change. */
static bool memspace_writable(umf_const_memspace_handle_t memspace) {
    if (!memspace_valid(memspace)) {
        return false;
    }
    if (memspace->kind < MEMSPACE_KINDS) {
        log_error("memspace %s is predefined and can not be changed or destroyed",
                  memspace_names[memspace->kind].name);
        return false;
    }
    return true;
}

static bool memtarget_equal(const struct umf_memtarget_t *a, const struct umf_memtarget_t *b) {
    return a->type == b->type && a->id == b->id;
}

static void memtarget_free(struct umf_memtarget_t *target) {
    target->magic = 0;
    base_free(target, sizeof(*target));
}

/* Place of the equal target, or the count. */
static size_t memspace_find(const struct umf_memspace_t *memspace,
                            const struct umf_memtarget_t *target) {
    size_t i = 0;
    while (i < memspace->count && !memtarget_equal(memspace->targets[i], target)) {
        i++;
    }
    return i;
}

/* Makes room for one more target at least. */
static bool memspace_grow(struct umf_memspace_t *memspace) {
    enum { FIRST_ROOM = 4 };
    if (memspace->count < memspace->room) {
        return true;
    }
    size_t room = memspace->room != 0 ? 2 * memspace->room : FIRST_ROOM;
    struct umf_memtarget_t **targets = base_alloc(room * sizeof(struct umf_memtarget_t *));
    if (targets == NULL) {
        return false;
    }
    if (memspace->count != 0) {
        memcpy(targets, memspace->targets, memspace->count * sizeof(*targets));
    }
    base_free(memspace->targets, memspace->room * sizeof(*targets));
    memspace->targets = targets;
    memspace->room = room;
    return true;
}

static umf_result_t memspace_append(struct umf_memspace_t *memspace, umf_memtarget_type_t type,
                                    unsigned id) {
    struct umf_memtarget_t *target = memspace_grow(memspace) ? base_alloc(sizeof(*target)) : NULL;
    if (target == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    target->magic = MEMTARGET_MAGIC;
    target->type = type;
    target->id = id;
    memspace->targets[memspace->count++] = target;
    return UMF_RESULT_SUCCESS;
}

static struct umf_memspace_t *memspace_new(memspace_kind_t kind) {
    struct umf_memspace_t *memspace = base_alloc(sizeof(*memspace));
    if (memspace != NULL) {
        memspace->magic = MEMSPACE_MAGIC;
        memspace->kind = kind;
    }
    return memspace;
}

void memspace_free(struct umf_memspace_t *memspace) {
    for (size_t i = 0; i < memspace->count; i++) {
        memtarget_free(memspace->targets[i]);
    }
    base_free(memspace->targets, memspace->room * sizeof(struct umf_memtarget_t *));
    memspace->magic = 0;
    base_free(memspace, sizeof(*memspace));
}

umf_result_t memspace_make(const unsigned *ids, size_t count, memspace_kind_t kind,
                           struct umf_memspace_t **out) {
    struct umf_memspace_t *memspace = memspace_new(kind);
    if (memspace == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (size_t i = 0; i < count; i++) {
        const struct umf_memtarget_t wanted = {.type = UMF_MEMTARGET_TYPE_NUMA, .id = ids[i]};
        if (memspace_find(memspace, &wanted) < memspace->count) {
            log_warning("NUMA node %u comes more than once in a list; it is taken once", ids[i]);
        } else if (memspace_append(memspace, wanted.type, wanted.id) != UMF_RESULT_SUCCESS) {
            memspace_free(memspace);
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
    }
    *out = memspace;
    return UMF_RESULT_SUCCESS;
}

/* ---- the interface ---- */

UMF_EXPORT umf_result_t umfMemspaceNew(umf_memspace_handle_t *hMemspace) {
    return hMemspace != NULL ? memspace_make(NULL, 0, MEMSPACE_USER, hMemspace)
                             : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

UMF_EXPORT umf_result_t umfMemspaceCreateFromNumaArray(unsigned int *nodeIds, size_t numIds,
                                                       umf_memspace_handle_t *hMemspace) {
    if (nodeIds == NULL || numIds == 0 || hMemspace == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return memspace_make(nodeIds, numIds, MEMSPACE_USER, hMemspace);
}

UMF_EXPORT umf_result_t umfMemspaceDestroy(umf_memspace_handle_t hMemspace) {
    if (!memspace_writable(hMemspace)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    memspace_free(hMemspace);
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemspaceClone(umf_const_memspace_handle_t hMemspace,
                                         umf_memspace_handle_t *hNewMemspace) {
    if (!memspace_valid(hMemspace) || hNewMemspace == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_memspace_t *copy =
        memspace_new(hMemspace->kind == MEMSPACE_RANKED ? MEMSPACE_RANKED : MEMSPACE_USER);
    if (copy == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    for (size_t i = 0; i < hMemspace->count; i++) {
        const struct umf_memtarget_t *target = hMemspace->targets[i];
        if (memspace_append(copy, target->type, target->id) != UMF_RESULT_SUCCESS) {
            memspace_free(copy);
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
    }
    *hNewMemspace = copy;
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT size_t umfMemspaceMemtargetNum(umf_const_memspace_handle_t hMemspace) {
    return memspace_valid(hMemspace) ? hMemspace->count : 0;
}

UMF_EXPORT umf_const_memtarget_handle_t
umfMemspaceMemtargetGet(umf_const_memspace_handle_t hMemspace, unsigned int targetNum) {
    return memspace_valid(hMemspace) && targetNum < hMemspace->count ? hMemspace->targets[targetNum]
                                                                     : NULL;
}

UMF_EXPORT umf_result_t umfMemspaceMemtargetAdd(umf_memspace_handle_t hMemspace,
                                                umf_const_memtarget_handle_t hMemtarget) {
    if (!memspace_writable(hMemspace) || !memtarget_valid(hMemtarget)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (memspace_find(hMemspace, hMemtarget) < hMemspace->count) {
        log_error("the memspace has target %u already", hMemtarget->id);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    if (hMemspace->count != 0 && hMemspace->targets[0]->type != hMemtarget->type) {
        log_error("target %u has type %d, those of the memspace %d", hMemtarget->id,
                  (int)hMemtarget->type, (int)hMemspace->targets[0]->type);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return memspace_append(hMemspace, hMemtarget->type, hMemtarget->id);
}

UMF_EXPORT umf_result_t umfMemspaceMemtargetRemove(umf_memspace_handle_t hMemspace,
                                                   umf_const_memtarget_handle_t hMemtarget) {
    if (!memspace_writable(hMemspace) || !memtarget_valid(hMemtarget)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const size_t place = memspace_find(hMemspace, hMemtarget);
    if (place == hMemspace->count) {
        log_error("the memspace has no target %u", hMemtarget->id);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    struct umf_memtarget_t *removed = hMemspace->targets[place];
    hMemspace->count--;
    memmove(&hMemspace->targets[place], &hMemspace->targets[place + 1],
            (hMemspace->count - place) * sizeof(struct umf_memtarget_t *));
    memtarget_free(removed);
    return UMF_RESULT_SUCCESS;
}

/* ---- filters ---- */

/* Drops the targets whose place in keep is false. */
static void memspace_compact(struct umf_memspace_t *memspace, const bool *keep) {
    size_t kept = 0;
    for (size_t i = 0; i < memspace->count; i++) {
        if (keep[i]) {
            memspace->targets[kept++] = memspace->targets[i];
        } else {
            memtarget_free(memspace->targets[i]);
        }
    }
    memspace->count = kept;
}

/* Answers for one target: SUCCESS with *keep, or an error that ends the filter. */
typedef umf_result_t (*memspace_predicate_t)(const struct umf_memspace_t *memspace,
                                             const struct umf_memtarget_t *target,
                                             const void *context, bool *keep);

static umf_result_t memspace_filter(struct umf_memspace_t *memspace, memspace_predicate_t predicate,
                                    const void *context) {
    const size_t count = memspace->count;
    if (count == 0) {
        return UMF_RESULT_SUCCESS;
    }
    bool *keep = base_alloc(count * sizeof(*keep));
    if (keep == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    for (size_t i = 0; i < count && result == UMF_RESULT_SUCCESS; i++) {
        result = predicate(memspace, memspace->targets[i], context, &keep[i]);
    }
    if (result == UMF_RESULT_SUCCESS) {
        memspace_compact(memspace, keep);
    }
    base_free(keep, count * sizeof(*keep));
    return result;
}

typedef struct filter_ids {
    const unsigned *ids;
    size_t count;
} filter_ids_t;

static umf_result_t filter_by_id(const struct umf_memspace_t *memspace,
                                 const struct umf_memtarget_t *target, const void *context,
                                 bool *keep) {
    const filter_ids_t *wanted = context;
    (void)memspace;
    for (size_t i = 0; i < wanted->count && !*keep; i++) {
        *keep = wanted->ids[i] == target->id;
    }
    return UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemspaceFilterById(umf_memspace_handle_t hMemspace, unsigned int *ids,
                                              size_t size) {
    if (!memspace_writable(hMemspace) || ids == NULL || size == 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const filter_ids_t wanted = {ids, size};
    return memspace_filter(hMemspace, filter_by_id, &wanted);
}

static umf_result_t filter_by_capacity(const struct umf_memspace_t *memspace,
                                       const struct umf_memtarget_t *target, const void *context,
                                       bool *keep) {
    const int64_t *least = context;
    size_t capacity = 0;
    (void)memspace;
    umf_result_t result = umfMemtargetGetCapacity(target, &capacity);
    *keep = capacity >= (uint64_t)*least;
    return result;
}

UMF_EXPORT umf_result_t umfMemspaceFilterByCapacity(umf_memspace_handle_t hMemspace, int64_t size) {
    if (!memspace_writable(hMemspace) || size < 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return memspace_filter(hMemspace, filter_by_capacity, &size);
}

typedef struct filter_user {
    umf_memspace_filter_func_t filter;
    void *args;
} filter_user_t;

static umf_result_t filter_by_user(const struct umf_memspace_t *memspace,
                                   const struct umf_memtarget_t *target, const void *context,
                                   bool *keep) {
    const filter_user_t *user = context;
    int answer = user->filter(memspace, target, user->args);
    *keep = answer > 0;
    return answer < 0 ? UMF_RESULT_ERROR_USER_SPECIFIC : UMF_RESULT_SUCCESS;
}

UMF_EXPORT umf_result_t umfMemspaceUserFilter(umf_memspace_handle_t hMemspace,
                                              umf_memspace_filter_func_t filter, void *args) {
    if (!memspace_writable(hMemspace) || filter == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    const filter_user_t user = {filter, args};
    return memspace_filter(hMemspace, filter_by_user, &user);
}

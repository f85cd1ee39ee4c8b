/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What several providers need; see the header. */
#define _GNU_SOURCE
#include "providers/provider_common.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/log.h"

umf_result_t provider_errno_result(int error) {
    switch (error) {
    case EBADF:
    case EINVAL:
    case ESRCH:
    case EPERM:
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    case EMFILE:
    case ENOMEM:
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    case ENODEV:
    case ENOSYS:
    case ENOTSUP:
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    default:
        return UMF_RESULT_ERROR_UNKNOWN;
    }
}

umf_result_t provider_protection(unsigned bits, int *prot) {
    const unsigned known =
        UMF_PROTECTION_NONE | UMF_PROTECTION_READ | UMF_PROTECTION_WRITE | UMF_PROTECTION_EXEC;
    if ((bits & ~known) != 0) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    *prot = ((bits & UMF_PROTECTION_READ) ? PROT_READ : 0) |
            ((bits & UMF_PROTECTION_WRITE) ? PROT_WRITE : 0) |
            ((bits & UMF_PROTECTION_EXEC) ? PROT_EXEC : 0);
    return UMF_RESULT_SUCCESS;
}

bool provider_rights_suffice(int producers, int ours) {
    if ((producers & ours) == ours) {
        return true;
    }
    log_error(
        "the producer's memory has the rights %#x (read 1, write 2, execute 4); this provider "
        "needs %#x",
        (unsigned)producers, (unsigned)ours);
    return false;
}

umf_result_t provider_visibility(umf_memory_visibility_t visibility, int *flag) {
    switch (visibility) {
    case UMF_MEM_MAP_PRIVATE:
        *flag = MAP_PRIVATE;
        return UMF_RESULT_SUCCESS;
    case UMF_MEM_MAP_SHARED:
        *flag = MAP_SHARED;
        return UMF_RESULT_SUCCESS;
    }
    return UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

umf_result_t provider_name_set(char (*out)[PROVIDER_NAME_BYTES], const char *name) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t length = strnlen(name, PROVIDER_NAME_BYTES - 1);
    memmove(*out, name, length);
    (*out)[length] = '\0';
    return UMF_RESULT_SUCCESS;
}

size_t provider_cpu_cache_line(void) {
    long bytes = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);
    return bytes > 0 ? (size_t)bytes : 64;
}

/* Appends text to buffer of `bytes` bytes, cutting what does not fit. */
static void text_append(char *buffer, size_t bytes, const char *text) {
    size_t used = strlen(buffer);
    size_t length = strnlen(text, bytes - 1 - used);
    memcpy(buffer + used, text, length);
    buffer[used + length] = '\0';
}

void provider_native_error_get(provider_native_error_t *last, const char *const *texts,
                               const char **message) {
    if (last->error == 0) {
        *message = texts[last->code];
        return;
    }
    char scratch[64];
    last->message[0] = '\0';
    text_append(last->message, sizeof(last->message), texts[last->code]);
    text_append(last->message, sizeof(last->message), ": ");
    text_append(last->message, sizeof(last->message),
                strerror_r(last->error, scratch, sizeof(scratch)));
    *message = last->message;
}

void provider_stats_add(provider_stats_t *stats, size_t bytes) {
    size_t now = fetch_add_relaxed(&stats->allocated, bytes) + bytes;
    size_t peak = load_relaxed(&stats->peak);
    // On failure `peak` is the current value: the loop ends when somebody noted a higher one.
    while (now > peak &&
           !atomic_compare_exchange_weak_explicit(&stats->peak, &peak, now, memory_order_relaxed,
                                                  memory_order_relaxed)) {
    }
}

void provider_stats_remove(provider_stats_t *stats, size_t bytes) {
    fetch_sub_relaxed(&stats->allocated, bytes);
}

/* ---- CTL ------------------------------------------------------------------------------------- */

void provider_ctl_text(ctl_value_t *value, const char *text) {
    value->text[0] = '\0';
    text_append(value->text, sizeof(value->text), text != NULL ? text : "");
}

static umf_result_t serve_allocated(const ctl_call_t *call, ctl_value_t *value) {
    value->size = load_relaxed(&((provider_stats_t *)call->object)->allocated);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_peak(const ctl_call_t *call, ctl_value_t *value) {
    value->size = load_relaxed(&((provider_stats_t *)call->object)->peak);
    return UMF_RESULT_SUCCESS;
}

static umf_result_t serve_peak_reset(const ctl_call_t *call, ctl_value_t *value) {
    provider_stats_t *stats = call->object;
    (void)value;
    // RACY: an allocation between the two may be missing in the peak; callers reset when idle.
    store_relaxed(&stats->peak, load_relaxed(&stats->allocated));
    return UMF_RESULT_SUCCESS;
}

static const ctl_node_t nodes[] = {
    {"stats.allocated_memory", UMF_CTL_SIZE, CTL_R, serve_allocated, 0,
     "Requested bytes of live allocations.", 0, 0},
    {"stats.peak_memory", UMF_CTL_SIZE, CTL_R, serve_peak, 0,
     "Most of it since the start or the last reset.", 0, 0},
    {"stats.peak_memory.reset", UMF_CTL_NONE, CTL_X, serve_peak_reset, 0,
     "Sets peak_memory to allocated_memory.", 0, 0},
};

const ctl_table_t provider_stats_table = {nodes, ARRAY_LENGTH(nodes), NULL, 0};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What several providers need; see the header. */
#define _GNU_SOURCE
#include "providers/provider_common.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

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

umf_result_t provider_ctl_read(provider_ctl_t *ctl, const char *name, void *arg, size_t size,
                               umf_ctl_query_type_t type, va_list args) {
    if (name == NULL) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size_t used = 0;
    while (*name != '\0') {
        size_t taken = strcspn(name, ".");
        const char *part = name;
        size_t length = taken;
        if (taken == 2 && memcmp(name, "{}", 2) == 0) {
            part = va_arg(args, const char *);
            length = part != NULL ? strnlen(part, sizeof(ctl->path)) : 0;
        }
        name += taken;
        name += strspn(name, ".");
        if (length == 0) {
            continue;
        }
        if (used + length + 2 > sizeof(ctl->path)) {
            return UMF_RESULT_ERROR_INVALID_CTL_PATH;
        }
        if (used > 0) {
            ctl->path[used++] = '.';
        }
        memcpy(ctl->path + used, part, length);
        used += length;
    }
    ctl->path[used] = '\0';
    ctl->arg = arg;
    ctl->size = size;
    ctl->type = type;
    return used > 0 ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

umf_result_t provider_ctl_get(const provider_ctl_t *ctl, const void *value, size_t bytes) {
    if (ctl->type != CTL_QUERY_READ || ctl->arg == NULL || ctl->size != bytes) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    memcpy(ctl->arg, value, bytes);
    return UMF_RESULT_SUCCESS;
}

umf_result_t provider_stats_ctl(provider_stats_t *stats, const provider_ctl_t *ctl) {
    if (strcmp(ctl->path, "stats.allocated_memory") == 0) {
        size_t bytes = load_relaxed(&stats->allocated);
        return provider_ctl_get(ctl, &bytes, sizeof(bytes));
    }
    if (strcmp(ctl->path, "stats.peak_memory") == 0) {
        size_t bytes = load_relaxed(&stats->peak);
        return provider_ctl_get(ctl, &bytes, sizeof(bytes));
    }
    if (strcmp(ctl->path, "stats.peak_memory.reset") == 0) {
        if (ctl->type != CTL_QUERY_RUNNABLE) {
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        // RACY: an allocation between the two may be missing in the peak; callers reset when idle.
        store_relaxed(&stats->peak, load_relaxed(&stats->allocated));
        return UMF_RESULT_SUCCESS;
    }
    return UMF_RESULT_ERROR_INVALID_CTL_PATH;
}

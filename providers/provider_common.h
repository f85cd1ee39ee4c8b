/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * What several providers need: the per-thread native error, statistics and their CTL nodes, names,
 * and the translation of errno, protection and visibility values.
 */
#ifndef UMF_PROVIDERS_PROVIDER_COMMON_H
#define UMF_PROVIDERS_PROVIDER_COMMON_H

#include <umf/base.h>
#include <umf/memory_provider.h>

#include "core/ctl.h"
#include "core/utils.h"

enum {
    PROVIDER_NAME_BYTES = 64, /* with the NUL; longer names are cut */
    PROVIDER_MESSAGE_BYTES =
        96, /* longest fixed text (34) + ": " + longest strerror of glibc (49) */
};

/* errno -> result, for failures that have no number of the provider's own. */
umf_result_t provider_errno_result(int error);

/* UMF_PROTECTION_ bits -> PROT_ bits. INVALID_ARGUMENT: unknown bits. 0 means no access. */
umf_result_t provider_protection(unsigned bits, int *prot);
/* For IPC: true when memory of a producer with some PROT_ bits can be mapped with ours; says so in
 * the log when not. Less than the consumer's provider promises would be a trap for the program. */
bool provider_rights_suffice(int producers, int ours);
/* Visibility -> MAP_PRIVATE or MAP_SHARED. INVALID_ARGUMENT: neither. */
umf_result_t provider_visibility(umf_memory_visibility_t visibility, int *flag);

/* Copies at most 63 bytes of name. INVALID_ARGUMENT: name is NULL. */
umf_result_t provider_name_set(char (*out)[PROVIDER_NAME_BYTES], const char *name);

/* Bytes of a line of the CPU's first data cache; 64 when unknown. */
size_t provider_cpu_cache_line(void);

/* Last native error of a thread in one kind of provider; lives in a UMF_TLS variable. All zero:
 * none yet. */
typedef struct provider_native_error {
    int32_t code; /* distance from the provider's first number; 0: success */
    int error;    /* errno; 0: none known */
    char message[PROVIDER_MESSAGE_BYTES];
} provider_native_error_t;

/* Fills *message with texts[code], plus ": " and the system's text when an errno is known. */
void provider_native_error_get(provider_native_error_t *last, const char *const *texts,
                               const char **message);

/* Requested bytes of live allocations. */
typedef struct provider_stats {
    _Atomic(size_t) allocated;
    _Atomic(size_t) peak;
} provider_stats_t;

void provider_stats_add(provider_stats_t *stats, size_t bytes);
void provider_stats_remove(provider_stats_t *stats, size_t bytes);

/* Answers a read of a text, which is cut to what a value holds; NULL is empty. */
void provider_ctl_text(ctl_value_t *value, const char *text);

/* The stats.* nodes; the object is a provider_stats_t. */
extern const ctl_table_t provider_stats_table;

#endif /* UMF_PROVIDERS_PROVIDER_COMMON_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The settings of the malloc replacement, as the variable UMF_PROXY gives them. One struct, filled
 * by one table (proxy_settings.c); a new setting is a field here and a row there. `UMF_PROXY=help`
 * lists the rows, docs/settings.md is printed from them.
 *
 * Nothing here allocates or keeps state: it may run in the first malloc of a process.
 */
#ifndef UMF_CONFIG_PROXY_SETTINGS_H
#define UMF_CONFIG_PROXY_SETTINGS_H

#include "config/settings.h"

/* The order of each enum is that of the words in its row. */
typedef enum proxy_disposition {
    PROXY_DISPOSITION_PRIVATE,
    PROXY_DISPOSITION_SHARED_SHM, /* a named object in /dev/shm */
    PROXY_DISPOSITION_SHARED_FD,  /* an anonymous file */
} proxy_disposition_t;

typedef enum proxy_pool { PROXY_POOL_SLAB, PROXY_POOL_PROXY } proxy_pool_t;

typedef enum proxy_numa_mode {
    PROXY_NUMA_DEFAULT,
    PROXY_NUMA_BIND,
    PROXY_NUMA_INTERLEAVE,
    PROXY_NUMA_PREFERRED,
    PROXY_NUMA_SPLIT,
    PROXY_NUMA_LOCAL,
} proxy_numa_mode_t;

typedef enum proxy_page_size {
    PROXY_PAGE_DEFAULT,
    PROXY_PAGE_TRANSPARENT,
    PROXY_PAGE_2M,
    PROXY_PAGE_1G,
} proxy_page_size_t;

typedef enum proxy_stats { PROXY_STATS_OFF, PROXY_STATS_EXIT } proxy_stats_t;

typedef enum proxy_on_error {
    PROXY_ON_ERROR_DEFAULT, /* a wrong setting warns, a bad free aborts */
    PROXY_ON_ERROR_WARN,
    PROXY_ON_ERROR_ABORT,
} proxy_on_error_t;

enum { PROXY_LOG_BYTES = 512 };

typedef struct proxy_settings {
    proxy_disposition_t disposition;
    uint64_t size_threshold; /* bytes; smaller requests go to the system's malloc; 0: none */
    proxy_pool_t pool;
    proxy_numa_mode_t numa_mode;
    settings_nodes_t numa_nodes; /* fits numa_mode: empty where the mode takes no nodes */
    uint64_t numa_part_size;     /* bytes; not 0 only with PROXY_NUMA_INTERLEAVE */
    settings_weights_t
        numa_partitions; /* only with PROXY_NUMA_SPLIT; names nodes of numa_nodes only */
    proxy_page_size_t page_size;
    bool page_strict;             /* fail instead of falling back to ordinary pages */
    uint64_t slab_chunk_size;     /* bytes, a multiple of 64 KiB; 0: the pool's own choice */
    uint64_t slab_purge_delay_ms; /* 0: at once */
    bool slab_keep_all;           /* never give memory back */
    proxy_stats_t stats;
    char log[PROXY_LOG_BYTES]; /* ready for log_configure; "" when not given */
    proxy_on_error_t on_error;
    bool help; /* print proxy_settings_help at start */
} proxy_settings_t;

void proxy_settings_defaults(proxy_settings_t *settings);

/*
 * Applies `text` (the value of UMF_PROXY; NULL is empty) on top of `*settings`, which holds
 * defaults or an earlier result. Each wrong entry, and each that does not fit the others, gives
 * one line on standard error and leaves its default in force. Returns the number of lines.
 */
int proxy_settings_parse(proxy_settings_t *settings, const char *text);
/* The same with the lines going to `sink`. */
int proxy_settings_parse_to(proxy_settings_t *settings, const char *text,
                            const settings_sink_t *sink);

/* Whether proxy_settings_parse() > 0 must end the process. */
UMF_INLINE bool proxy_settings_abort_on_wrong_setting(const proxy_settings_t *settings) {
    return settings->on_error == PROXY_ON_ERROR_ABORT;
}

/* Whether a bad free must end the process. */
UMF_INLINE bool proxy_settings_abort_on_bad_free(const proxy_settings_t *settings) {
    return settings->on_error != PROXY_ON_ERROR_WARN;
}

/* Prints all keys, at most 100 columns wide. */
void proxy_settings_help(int fd);
/* Prints the reference page docs/settings.md. */
void proxy_settings_markdown(int fd);

#endif /* UMF_CONFIG_PROXY_SETTINGS_H */

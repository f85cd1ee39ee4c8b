/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Statistics: summed up by a walk over the pools when somebody asks; nothing is counted on the fast
 * path. With a setting that asks for reports the pool is watched (pools/slab_watch.h), which counts
 * requests where threads take blocks in batches.
 */
#define _GNU_SOURCE
#include "proxy/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/system_call.h"
#include "pools/slab_watch.h"
#include "proxy/helper.h"
#include "proxy/process_pool.h"
#include "proxy/prof.h"
#include "proxy/prof_table.h"
#include "proxy/report_file.h"
#include "proxy/stats_print.h"

static size_t used_bytes(const slab_stats_t *slab) {
    return slab->block_bytes + slab->large_bytes + slab->huge_bytes;
}

void stats_collect(heap_stats_t *stats) {
    *stats = (heap_stats_t){0};
    slab_pool_t *pools[] = {process_state.slab,
                            process_state.boot != process_state.slab ? process_state.boot : NULL};
    for (size_t i = 0; i < ARRAY_LENGTH(pools); i++) {
        if (pools[i] == NULL) {
            continue;
        }
        slab_stats_t slab;
        slab_pool_stats(pools[i], &slab);
        stats->reserved_bytes += slab.reserved_bytes;
        stats->reserved_peak += slab.reserved_peak;
        stats->used_bytes += used_bytes(&slab);
        stats->free_bytes += slab.free_bytes;
        stats->huge_blocks += slab.huge_blocks;
        stats->huge_bytes += slab.huge_bytes;
        stats->chunks += slab.chunks;
    }
}

/* ---- reports
 * ------------------------------------------------------------------------------------------------------
 */

static struct {
    proxy_stats_settings_t settings; /* constant after the start */
    umf_lock_t lock;                 /* the rest; one report at a time */
    unsigned number;
    stats_report_t *report; /* kept, with the buffer: the last report may find no memory */
    prof_out_t *out;
    fork_node_t fork_node;
} stats;

/* Lock held. */
static bool report_room(void) {
    if (stats.report == NULL) {
        stats.report = base_map(sizeof(*stats.report));
        stats.out = base_map(sizeof(*stats.out));
    }
    return stats.report != NULL && stats.out != NULL;
}

static void collect_pool(stats_report_t *report, slab_pool_t *pool, const char *title) {
    if (pool == NULL || report->pool_count == STATS_POOLS) {
        return;
    }
    stats_pool_t *entry = &report->pool[report->pool_count++];
    const char *name = NULL;
    entry->title = title;
    entry->provider[0] = '\0';
    if (umfMemoryProviderGetName(pool->provider, &name) == UMF_RESULT_SUCCESS && name != NULL) {
        strncpy(entry->provider, name, sizeof(entry->provider) - 1);
    }
    slab_detail_collect(pool, &entry->detail);
}

/* Lock held. */
static void collect(const char *occasion) {
    stats_report_t *report = stats.report;
    report->pool_count = 0;
    report->occasion = occasion;
    report->number = ++stats.number;
    stats_read_process(report, getpid());
    report->prof_interval = prof_interval();
    if (report->prof_interval != 0) {
        prof_sums_t live, total, peak;
        prof_table_sums(&live, &total, &peak);
        report->prof_live = live.bytes;
        report->prof_peak = peak.bytes;
    }
    collect_pool(report, process_state.slab, "process pool");
    if (process_state.boot != process_state.slab) {
        collect_pool(report, process_state.boot, "boot pool");
    }
}

/* Lock held. */
static void print_to(int fd, bool json) {
    prof_out_begin(stats.out, fd, false);
    if (json) {
        stats_print_json(stats.out, stats.report);
    } else {
        stats_print_text(stats.out, stats.report);
    }
    prof_out_end(stats.out);
}

void stats_print(int fd) {
    int saved_errno = errno;
    lock_acquire(&stats.lock);
    if (report_room()) {
        collect("asked for");
        print_to(fd, false);
    }
    lock_release(&stats.lock);
    errno = saved_errno;
}

void stats_write(const char *occasion) {
    char name[REPORT_PATH_BYTES];
    lock_acquire(&stats.lock);
    if (report_room()) {
        collect(occasion);
        report_file_name(name, stats.settings.file, stats.number);
        // One file for several reports gets them one after the other.
        int fd = strstr(stats.settings.file, "%n") != NULL ? report_file_open(name)
                                                           : report_file_append(name);
        if (fd >= 0) {
            print_to(fd, stats.settings.format == PROXY_STATS_JSON);
            report_file_close(fd);
        }
    }
    lock_release(&stats.lock);
}

bool stats_pool_detail(slab_detail_t *detail) {
    slab_pool_t *pool = process_state.slab != NULL ? process_state.slab : process_state.boot;
    if (pool != NULL) {
        slab_detail_collect(pool, detail);
    }
    return pool != NULL;
}

/* ---- occasions
 * ----------------------------------------------------------------------------------------------------
 */

static void on_exit_report(void) {
    stats_write("exit");
}

static void on_signal_report(void) {
    stats_write("signal");
}

static void on_time_report(void) {
    stats_write("interval");
}

static void stats_fork_child(void *arg) {
    (void)arg;
    lock_init(&stats.lock);
    stats.number = 0;
}

void stats_start(const proxy_stats_settings_t *settings) {
    bool reports = settings->at_exit || settings->on_signal || settings->every_ms != 0;
    stats.settings = *settings;
    if (settings->attach) {
        sys_prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); // only matters where Yama is on
    }
    if (!reports) {
        return;
    }
    stats.fork_node = (fork_node_t){.rank = LOCK_RANK_INIT, .child = stats_fork_child};
    fork_register(&stats.fork_node);
    report_file_keep_stderr();
    if (process_state.slab != NULL) {
        slab_watch_start(process_state.slab, NULL, SLAB_WATCH_COUNT_ONLY);
    }
    if (settings->at_exit) {
        atexit(on_exit_report);
    }
    if (settings->on_signal) {
        helper_on_signal((int)settings->signal, on_signal_report);
    }
    if (settings->every_ms != 0) {
        helper_every(settings->every_ms, on_time_report);
    }
}

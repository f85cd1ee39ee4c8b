/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The heap profiler. The slab pool chooses the blocks (pools/slab_watch.h) and calls here for
 * each; the stack is taken (prof_unwind.c), the block added to its site (prof_table.c). Profiles
 * are snapshots of the table, written without any lock of the allocation path (prof_write.c,
 * prof_proto.c).
 *
 * `busy` keeps a thread from profiling what its own profiling allocates, and what a signal handler
 * allocates that interrupts it: such blocks are not sampled.
 */
#define _GNU_SOURCE
#include "proxy/prof.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/fork.h"
#include "core/log.h"
#include "core/system_call.h"
#include "pools/slab_watch.h"
#include "proxy/helper.h"
#include "proxy/prof_leak.h"
#include "proxy/prof_unwind.h"
#include "proxy/prof_write.h"
#include "proxy/process_pool.h"
#include "proxy/report_file.h"

static struct {
    proxy_prof_settings_t settings; /* constant after the start */
    umf_lock_t start_lock;
    _Atomic(bool) ready; /* the unwinder is there */
    _Atomic(uint64_t) interval;
    _Atomic(uint64_t) next_total; /* bytes: the next profile by prof.every; UINT64_MAX: none */
    umf_lock_t dump_lock;         /* the three below */
    prof_out_t out;
    unsigned dumps;
    fork_node_t fork_node;
} prof = {.next_total = UINT64_MAX};

static UMF_TLS bool busy;

/* ---- samples
 * ------------------------------------------------------------------------------------------------------
 */

/* Claims the profile that is due, for one of the threads that see it. */
static bool every_is_due(void) {
    uint64_t due = load_relaxed(&prof.next_total);
    if (due == UINT64_MAX || prof_table_total_bytes() < due) {
        return false;
    }
    uint64_t next = prof_table_total_bytes() + prof.settings.every;
    return cas_strong_acq_rel(&prof.next_total, &due, next);
}

static void *prof_sampled(size_t size, size_t bytes, uint64_t interval) {
    if (busy) {
        return NULL;
    }
    int saved_errno = errno;
    uintptr_t frames[PROF_DEPTH_MAX];
    busy = true;
    unsigned depth = prof_unwind(frames, (unsigned)prof.settings.depth);
    void *record = prof_table_add(frames, depth, size, bytes, interval);
    if (unlikely(every_is_due())) {
        prof_dump(NULL);
    }
    busy = false;
    errno = saved_errno;
    return record;
}

static const slab_watch_hooks_t prof_hooks = {
    .sampled = prof_sampled, .freed = prof_table_free, .resized = prof_table_resize};

/* ---- switching
 * ----------------------------------------------------------------------------------------------------
 */

static void prof_fork_prepare(void *arg) {
    (void)arg;
    prof_unwind_fork_prepare();
}

static void prof_fork_done(void *arg) {
    (void)arg;
    prof_unwind_fork_done();
}

static void prof_fork_child(void *arg) {
    (void)arg;
    lock_init(&prof.dump_lock); // a thread that the child does not have may have been writing
    lock_init(&prof.start_lock);
    prof.dumps = 0;
    prof_unwind_fork_done();
}

static void table_fork_prepare(void *arg) {
    (void)arg;
    prof_table_fork_prepare();
}

static void table_fork_parent(void *arg) {
    (void)arg;
    prof_table_fork_parent();
}

static void table_fork_child(void *arg) {
    (void)arg;
    prof_table_fork_child();
}

/* The unwinders come to rest first of all: they may allocate, and so need every other lock. The
 * table is last: nothing is called under its lock. */
static void fork_nodes_register(void) {
    static fork_node_t table_node = {.rank = LOCK_RANK_BASE,
                                     .prepare = table_fork_prepare,
                                     .parent = table_fork_parent,
                                     .child = table_fork_child};
    prof.fork_node = (fork_node_t){.rank = 0,
                                   .prepare = prof_fork_prepare,
                                   .parent = prof_fork_done,
                                   .child = prof_fork_child};
    fork_register(&prof.fork_node);
    fork_register(&table_node);
}

static void prof_open(void) {
    bool was_busy = busy;
    busy = true; // libraries are loaded
    lock_acquire(&prof.start_lock);
    if (!load_acquire(&prof.ready)) {
        if (prof.settings.depth == 0) { // nothing was set
            prof.settings.depth = 64;
        }
        prof_unwinder_t choice = (prof_unwinder_t)prof.settings.unwind;
        if (prof_unwind_start(choice) == PROF_UNWIND_NONE && choice != PROF_UNWIND_NONE) {
            umf_message("prof: no unwinder (libunwind.so.8, libgcc_s.so.1): stacks stay unknown");
        }
        fork_nodes_register();
        store_release(&prof.ready, true);
    }
    lock_release(&prof.start_lock);
    busy = was_busy;
}

umf_result_t prof_set_interval(uint64_t interval) {
    if (process_state.slab == NULL) {
        return UMF_RESULT_ERROR_NOT_SUPPORTED;
    }
    if (interval != 0 && !load_acquire(&prof.ready)) {
        prof_open();
    }
    umf_result_t result = slab_watch_start(process_state.slab, &prof_hooks, interval);
    if (result == UMF_RESULT_SUCCESS) {
        store_relaxed(&prof.interval, interval);
    }
    return result;
}

uint64_t prof_interval(void) {
    return load_relaxed(&prof.interval);
}

void prof_reset(void) {
    prof_table_reset();
}

/* ---- profiles
 * -----------------------------------------------------------------------------------------------------
 */

static bool write_profile(prof_out_t *out, const prof_snapshot_t *snapshot, bool peak) {
    prof_modules_t modules;
    bool done = true;
    if (!prof_modules_read(&modules)) {
        log_warning("prof: /proc/self/maps cannot be read: the profile has no mappings");
    }
    switch (prof.settings.format) {
    case PROXY_PROF_PROTO:
        done = prof_write_proto(out, snapshot, &modules, prof_interval());
        break;
    case PROXY_PROF_COLLAPSED:
        prof_write_collapsed(out, snapshot, &modules, peak);
        break;
    default:
        prof_write_text(out, snapshot, &modules, peak);
        break;
    }
    prof_modules_drop(&modules);
    return done;
}

/* dump_lock held. */
static bool dump_to(const char *path, const prof_snapshot_t *snapshot, bool peak) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        umf_message("prof: %s: %s", path, strerrordesc_np(errno));
        return false;
    }
    prof_out_begin(&prof.out, fd, prof.settings.format == PROXY_PROF_PROTO);
    bool complete = write_profile(&prof.out, snapshot, peak);
    bool written = prof_out_end(&prof.out);
    close(fd);
    if (!written) {
        umf_message("prof: %s: %s", path, strerrordesc_np(prof.out.error));
    }
    return complete && written;
}

static const char *file_pattern(void) {
    static const char *const by_format[] = {"umf.%p.%n.heap", "umf.%p.%n.pb.gz",
                                            "umf.%p.%n.collapsed"};
    return prof.settings.file[0] != '\0' ? prof.settings.file : by_format[prof.settings.format];
}

static umf_result_t dump(const char *path, bool with_peak) {
    char name[REPORT_PATH_BYTES + sizeof(".peak")];
    prof_snapshot_t snapshot;
    if (!prof_table_snapshot(&snapshot)) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    lock_acquire(&prof.dump_lock);
    if (path == NULL) {
        report_file_name(name, file_pattern(), ++prof.dumps);
        path = name;
    }
    bool done = dump_to(path, &snapshot, false);
    if (with_peak && path == name && prof.settings.format != PROXY_PROF_PROTO) {
        strcat(name, ".peak");
        done = dump_to(name, &snapshot, true) && done;
    }
    lock_release(&prof.dump_lock);
    prof_snapshot_drop(&snapshot);
    return done ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_UNKNOWN;
}

umf_result_t prof_dump(const char *path) {
    bool was_busy = busy;
    int saved_errno = errno;
    busy = true;
    umf_result_t result = dump(path, false);
    busy = was_busy;
    errno = saved_errno;
    return result;
}

/* ---- the end of the process
 * --------------------------------------------------------------------------------------- */

static size_t leak_report(void) {
    char name[REPORT_PATH_BYTES];
    prof_snapshot_t snapshot;
    size_t leaks = 0;
    if (!prof_table_snapshot(&snapshot)) {
        return 0;
    }
    report_file_name(name, prof.settings.leak_file, 1);
    int fd = report_file_open(name);
    if (fd >= 0) {
        lock_acquire(&prof.dump_lock);
        prof_out_begin(&prof.out, fd, false);
        leaks = prof_leak_write(&prof.out, &snapshot, &prof.settings, prof_interval());
        prof_out_end(&prof.out);
        lock_release(&prof.dump_lock);
        report_file_close(fd);
    }
    prof_snapshot_drop(&snapshot);
    return leaks;
}

static void prof_at_exit(void) {
    busy = true;
    if (prof.settings.at_exit && prof.settings.sample != 0) {
        dump(NULL, prof.settings.peak);
    }
    size_t leaks = prof.settings.leak != PROXY_LEAK_OFF ? leak_report() : 0;
    busy = false;
    if (leaks > 0 && prof.settings.leak_exitcode != 0) {
        fflush(NULL); // what is still to come in exit() is lost but for this
        sys_exit((int)prof.settings.leak_exitcode);
    }
}

static void prof_on_signal(void) {
    prof_dump(NULL);
}

void prof_start(const proxy_prof_settings_t *settings) {
    prof.settings = *settings;
    uint64_t interval = settings->leak == PROXY_LEAK_EXACT ? SLAB_WATCH_EVERY : settings->sample;
    if (interval == 0 && settings->leak == PROXY_LEAK_SAMPLED) {
        interval = PROF_INTERVAL_DEFAULT;
    }
    if (interval == 0) {
        return;
    }
    umf_result_t result = prof_set_interval(interval);
    if (result != UMF_RESULT_SUCCESS) {
        umf_message(result == UMF_RESULT_ERROR_NOT_SUPPORTED
                        ? "prof, leak: only with pool=slab; nothing is profiled"
                        : "prof, leak: no memory to begin; nothing is profiled");
        return;
    }
    if (settings->every != 0) {
        store_relaxed(&prof.next_total, settings->every);
    }
    if (settings->signal != 0) {
        helper_on_signal((int)settings->signal, prof_on_signal);
    }
    report_file_keep_stderr();
    atexit(prof_at_exit);
}

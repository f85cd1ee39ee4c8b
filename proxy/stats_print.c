/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Reports of statistics as text and as JSON. No allocation. */
#define _GNU_SOURCE
#include "proxy/stats_print.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KIB = 1024 };

/* ---- the process
 * -------------------------------------------------------------------------------------------------
 */

/* Reads a file of /proc/PID into text (NUL at the end); false: there is none. */
static bool read_proc(int pid, const char *name, char *text, size_t room) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t got = read(fd, text, room - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return got > 0;
}

/* "Name:   123 kB" as bytes; 0 if there is none. */
static size_t status_bytes(const char *status, const char *name) {
    const char *line = strstr(status, name);
    return line != NULL ? strtoull(line + strlen(name), NULL, 10) * KIB : 0;
}

/* The number in field `index` (0: the first) of those that blanks separate; 0 if there are not so
 * many. */
static uint64_t stat_field(const char *text, unsigned index) {
    text += strspn(text, " ");
    for (; index > 0; index--) {
        text += strcspn(text, " ");
        text += strspn(text, " ");
    }
    return strtoull(text, NULL, 10);
}

bool stats_read_process(stats_report_t *report, int pid) {
    char text[4096];
    report->pid = pid;
    if (!read_proc(pid, "stat", text, sizeof(text))) {
        return false;
    }
    // pid (name) state ppid pgrp session tty tpgid flags minflt cminflt majflt
    const char *name = strchr(text, '('), *end = strrchr(text, ')');
    if (name != NULL && end != NULL) {
        size_t length = (size_t)(end - name - 1);
        length = length < sizeof(report->program) ? length : sizeof(report->program) - 1;
        memcpy(report->program, name + 1, length);
        report->program[length] = '\0';
        report->minor_faults = stat_field(end + 1, 7);
        report->major_faults = stat_field(end + 1, 9);
    }
    if (read_proc(pid, "status", text, sizeof(text))) {
        report->resident_bytes = status_bytes(text, "VmRSS:");
        report->resident_peak = status_bytes(text, "VmHWM:");
    }
    return true;
}

/* ---- text
 * --------------------------------------------------------------------------------------------------------
 */

static double percent(size_t part, size_t whole) {
    return whole != 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static uint64_t requests_of(const slab_detail_t *detail) {
    uint64_t sum = 0;
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        sum += detail->cls[cls].requests;
    }
    return sum;
}

/* Of the blocks that were ever handed out: the others are untouched memory. */
static size_t made_bytes(const slab_detail_t *detail) {
    size_t sum = 0;
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        sum += detail->cls[cls].made * slab_class_bytes(cls);
    }
    return sum;
}

static void text_count(prof_out_t *out, bool known, uint64_t value) {
    if (known) {
        prof_out_format(out, " %12lu", (unsigned long)value);
    } else {
        prof_out_format(out, " %12s", "-");
    }
}

static void text_classes(prof_out_t *out, const slab_detail_t *detail) {
    prof_out_format(out, "umf:   %9s %12s %10s %10s %7s %10s %6s\n", "size", "requests", "in use",
                    "KiB", "slabs", "KiB there", "free");
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        const slab_class_detail_t *d = &detail->cls[cls];
        size_t used_bytes = d->used * slab_class_bytes(cls);
        if (d->slabs == 0 && d->requests == 0) {
            continue;
        }
        prof_out_format(out, "umf:   %9zu", slab_class_bytes(cls));
        text_count(out, detail->counted, d->requests);
        prof_out_format(out, " %10zu %10zu %7zu %10zu %5.1f%%\n", d->used, used_bytes / KIB,
                        d->slabs, d->slab_bytes / KIB, percent(d->made - d->used, d->made));
    }
}

static const char *const heap_words[] = {
    [SLAB_HEAP_THREAD] = "thread",     [SLAB_HEAP_PARKED] = "finished thread",
    [SLAB_HEAP_SHARED] = "shared",     [SLAB_HEAP_WATCHED] = "sampled blocks",
    [SLAB_HEAP_OTHERS] = "all others",
};

static bool heap_empty(const slab_heap_detail_t *heap) {
    return heap->slabs == 0 && heap->requests == 0;
}

static void text_heaps(prof_out_t *out, const slab_detail_t *detail) {
    prof_out_format(out, "umf:   %-16s %12s %10s %10s %7s %10s\n", "heap of", "requests", "in use",
                    "KiB", "slabs", "KiB there");
    for (unsigned i = 0; i <= SLAB_DETAIL_HEAPS; i++) {
        const slab_heap_detail_t *heap = &detail->heap[i];
        if ((i >= detail->heap_count && i < SLAB_DETAIL_HEAPS) || heap_empty(heap)) {
            continue;
        }
        prof_out_format(out, "umf:   %-16s", heap_words[heap->kind]);
        text_count(out, detail->counted, heap->requests);
        prof_out_format(out, " %10zu %10zu %7zu %10zu\n", heap->blocks, heap->block_bytes / KIB,
                        heap->slabs, heap->slab_bytes / KIB);
    }
}

static void text_pool(prof_out_t *out, const stats_pool_t *pool) {
    const slab_detail_t *d = &pool->detail;
    const slab_stats_t *s = &d->sums;
    prof_out_format(out, "umf: %s \"%s\"%s%s%s\n", pool->title, d->name,
                    pool->provider[0] != '\0' ? " over " : "", pool->provider,
                    d->complete ? "" : " (it changed meanwhile: parts are missing)");
    prof_out_format(
        out, "umf:   reserved %10zu KiB   peak %10zu KiB   chunks %6zu   provider calls %zu\n",
        s->reserved_bytes / KIB, s->reserved_peak / KIB, s->chunks, s->provider_calls);
    prof_out_format(out, "umf:   taken    %10zu KiB   peak %10zu KiB   (slabs and large blocks)\n",
                    d->taken_bytes / KIB, d->taken_peak / KIB);
    prof_out_format(out, "umf:   small    %10zu KiB in %10zu blocks (of %zu KiB in slabs)\n",
                    s->block_bytes / KIB, s->blocks, s->slab_bytes / KIB);
    prof_out_format(out, "umf:   large    %10zu KiB in %10zu blocks\n", s->large_bytes / KIB,
                    s->large_blocks);
    prof_out_format(out, "umf:   huge     %10zu KiB in %10zu blocks\n", s->huge_bytes / KIB,
                    s->huge_blocks);
    prof_out_format(out, "umf:   free     %10zu KiB   purged %8zu KiB in %zu purges\n",
                    s->free_bytes / KIB, s->purged_bytes / KIB, s->purges);
    size_t made = made_bytes(d);
    prof_out_format(out,
                    "umf:   fragmentation: %.1f %% of the blocks made so far are free (%zu KiB)\n",
                    percent(made - s->block_bytes, made), (made - s->block_bytes) / KIB);
    prof_out_format(out, "umf:   thread heaps %zu, of finished threads %zu", s->threads, s->parked);
    if (d->counted) {
        prof_out_format(out, "   requests of small blocks %lu", (unsigned long)requests_of(d));
    }
    prof_out_text(out, "\n");
    text_classes(out, d);
    text_heaps(out, d);
}

void stats_print_text(prof_out_t *out, const stats_report_t *report) {
    prof_out_format(out, "umf: statistics %u of process %d (%s): %s\n", report->number, report->pid,
                    report->program, report->occasion);
    prof_out_format(
        out,
        "umf:   resident %10zu KiB   peak %10zu KiB   page faults %lu, of which %lu from disk\n",
        report->resident_bytes / KIB, report->resident_peak / KIB,
        (unsigned long)(report->minor_faults + report->major_faults),
        (unsigned long)report->major_faults);
    if (report->prof_interval != 0) {
        prof_out_format(out, "umf:   live     %10lu KiB   peak %10lu KiB   (asked for%s)\n",
                        (unsigned long)(report->prof_live / KIB),
                        (unsigned long)(report->prof_peak / KIB),
                        report->prof_interval > 1 ? ", as the profile estimates" : "");
    }
    for (unsigned i = 0; i < report->pool_count; i++) {
        text_pool(out, &report->pool[i]);
    }
}

/* ---- JSON
 * --------------------------------------------------------------------------------------------------------
 */

static void json_string(prof_out_t *out, const char *text) {
    prof_out_text(out, "\"");
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == '"' || *text == '\\') {
            prof_out_format(out, "\\u%04x", (unsigned)(unsigned char)*text);
        } else {
            prof_out_bytes(out, text, 1);
        }
    }
    prof_out_text(out, "\"");
}

static void json_number(prof_out_t *out, const char *name, uint64_t value) {
    prof_out_format(out, "\"%s\":%lu,", name, (unsigned long)value);
}

/* The last member of an object: no comma follows. */
static void json_last(prof_out_t *out, const char *name, uint64_t value) {
    prof_out_format(out, "\"%s\":%lu}", name, (unsigned long)value);
}

static void json_classes(prof_out_t *out, const slab_detail_t *detail) {
    const char *comma = "";
    prof_out_text(out, "\"classes\":[");
    for (unsigned cls = 0; cls < SLAB_CLASSES; cls++) {
        const slab_class_detail_t *d = &detail->cls[cls];
        if (d->slabs == 0 && d->requests == 0) {
            continue;
        }
        prof_out_format(out, "%s{", comma);
        json_number(out, "size", slab_class_bytes(cls));
        if (detail->counted) {
            json_number(out, "requests", d->requests);
        }
        json_number(out, "blocks", d->used);
        json_number(out, "made", d->made);
        json_number(out, "slabs", d->slabs);
        json_last(out, "slab_bytes", d->slab_bytes);
        comma = ",";
    }
    prof_out_text(out, "],");
}

static void json_heaps(prof_out_t *out, const slab_detail_t *detail) {
    const char *comma = "";
    prof_out_text(out, "\"heaps\":[");
    for (unsigned i = 0; i <= SLAB_DETAIL_HEAPS; i++) {
        const slab_heap_detail_t *heap = &detail->heap[i];
        if ((i >= detail->heap_count && i < SLAB_DETAIL_HEAPS) || heap_empty(heap)) {
            continue;
        }
        prof_out_format(out, "%s{\"kind\":\"%s\",", comma, heap_words[heap->kind]);
        if (detail->counted) {
            json_number(out, "requests", heap->requests);
        }
        json_number(out, "blocks", heap->blocks);
        json_number(out, "block_bytes", heap->block_bytes);
        json_number(out, "slabs", heap->slabs);
        json_last(out, "slab_bytes", heap->slab_bytes);
        comma = ",";
    }
    prof_out_text(out, "],");
}

static void json_pool(prof_out_t *out, const stats_pool_t *pool) {
    const slab_detail_t *d = &pool->detail;
    const slab_stats_t *s = &d->sums;
    prof_out_text(out, "{\"title\":");
    json_string(out, pool->title);
    prof_out_text(out, ",\"name\":");
    json_string(out, d->name);
    prof_out_text(out, ",\"provider\":");
    json_string(out, pool->provider);
    prof_out_format(out, ",\"complete\":%s,", d->complete ? "true" : "false");
    json_number(out, "reserved_bytes", s->reserved_bytes);
    json_number(out, "reserved_peak", s->reserved_peak);
    json_number(out, "taken_bytes", d->taken_bytes);
    json_number(out, "taken_peak", d->taken_peak);
    json_number(out, "touched_bytes", d->touched_bytes);
    json_number(out, "free_bytes", s->free_bytes);
    json_number(out, "slab_bytes", s->slab_bytes);
    json_number(out, "blocks", s->blocks);
    json_number(out, "block_bytes", s->block_bytes);
    json_number(out, "large_blocks", s->large_blocks);
    json_number(out, "large_bytes", s->large_bytes);
    json_number(out, "huge_blocks", s->huge_blocks);
    json_number(out, "huge_bytes", s->huge_bytes);
    json_number(out, "chunks", s->chunks);
    json_number(out, "provider_calls", s->provider_calls);
    json_number(out, "purges", s->purges);
    json_number(out, "purged_bytes", s->purged_bytes);
    if (d->counted) {
        json_number(out, "requests", requests_of(d));
    }
    json_classes(out, d);
    json_heaps(out, d);
    json_number(out, "threads", s->threads);
    json_last(out, "finished_threads", s->parked);
}

void stats_print_json(prof_out_t *out, const stats_report_t *report) {
    prof_out_text(out, "{\"program\":");
    json_string(out, report->program);
    prof_out_format(out, ",\"pid\":%d,\"occasion\":\"%s\",", report->pid, report->occasion);
    json_number(out, "number", report->number);
    json_number(out, "resident_bytes", report->resident_bytes);
    json_number(out, "resident_peak", report->resident_peak);
    json_number(out, "minor_faults", report->minor_faults);
    json_number(out, "major_faults", report->major_faults);
    if (report->prof_interval != 0) {
        json_number(out, "profile_interval", report->prof_interval);
        json_number(out, "profile_live_bytes", report->prof_live);
        json_number(out, "profile_peak_bytes", report->prof_peak);
    }
    prof_out_text(out, "\"pools\":[");
    for (unsigned i = 0; i < report->pool_count; i++) {
        prof_out_text(out, i > 0 ? "," : "");
        json_pool(out, &report->pool[i]);
    }
    prof_out_text(out, "]}\n");
}

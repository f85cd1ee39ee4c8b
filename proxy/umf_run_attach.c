/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * umf-run --attach=PID: the statistics of a running process, from outside. Its memory is read as a
 * debugger would, but the process is not stopped, and need not have been prepared: the exported
 * symbol umf_core_state leads to all slab pools, and the same walk that makes the library's own
 * reports goes through them (pools/slab_detail.h). What changes while it is read makes single
 * figures inexact, never the walk endless.
 */
#define _GNU_SOURCE
#include "proxy/umf_run.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "core/state.h"
#include "proxy/stats_print.h"

enum { POOLS_MAX = 10000, REFRESH_MS = 2000, MS_NS = 1000000 };

typedef struct target {
    pid_t pid;
    const void *state; /* its umf_core_state */
    stats_report_t report;
    prof_out_t out;
} target_t;

static bool read_target(void *context, const void *from, void *to, size_t bytes) {
    const target_t *target = context;
    struct iovec local = {to, bytes}, remote = {(void *)(uintptr_t)from, bytes};
    return process_vm_readv(target->pid, &local, 1, &remote, 1, 0) == (ssize_t)bytes;
}

/* ---- where its state is ---- */

/* Value of a dynamic symbol of the file; 0: it has none. */
static uintptr_t symbol_in(const char *file, size_t bytes, const char *name) {
    const ElfW(Ehdr) *head = (const ElfW(Ehdr) *)file;
    if (bytes < sizeof(*head) || memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 ||
        head->e_shentsize != sizeof(ElfW(Shdr)) ||
        head->e_shoff + (size_t)head->e_shnum * sizeof(ElfW(Shdr)) > bytes) {
        return 0;
    }
    const ElfW(Shdr) *sections = (const ElfW(Shdr) *)(file + head->e_shoff);
    for (unsigned i = 0; i < head->e_shnum; i++) {
        const ElfW(Shdr) *table = &sections[i];
        if (table->sh_type != SHT_DYNSYM || table->sh_link >= head->e_shnum ||
            table->sh_offset + table->sh_size > bytes) {
            continue;
        }
        const ElfW(Shdr) *strings = &sections[table->sh_link];
        const ElfW(Sym) *symbol = (const ElfW(Sym) *)(file + table->sh_offset);
        for (size_t k = 0; k < table->sh_size / sizeof(*symbol); k++) {
            size_t at = strings->sh_offset + symbol[k].st_name;
            if (at + strlen(name) < bytes && strcmp(file + at, name) == 0) {
                return symbol[k].st_value;
            }
        }
    }
    return 0;
}

static uintptr_t symbol_of_file(pid_t pid, const char *path, const char *name) {
    char through[RUN_PATH_BYTES + 64];
    snprintf(through, sizeof(through), "/proc/%d/root%s", (int)pid,
             path); // it may be in a container
    int fd = open(through, O_RDONLY | O_CLOEXEC);
    struct stat info;
    uintptr_t value = 0;
    if (fd >= 0 && fstat(fd, &info) == 0 && info.st_size > 0) {
        char *file = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (file != MAP_FAILED) {
            value = symbol_in(file, (size_t)info.st_size, name);
            munmap(file, (size_t)info.st_size);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return value;
}

/* The library's address and path, the malloc replacement before the other. 0: it has neither. */
static uintptr_t find_mapping(pid_t pid, char *path, size_t bytes) {
    char name[64], line[RUN_PATH_BYTES + 128];
    uintptr_t found = 0;
    snprintf(name, sizeof(name), "/proc/%d/maps", (int)pid);
    FILE *maps = fopen(name, "re");
    while (maps != NULL && fgets(line, sizeof(line), maps) != NULL) {
        uintptr_t start, end, offset;
        int at = 0;
        line[strcspn(line, "\n")] = '\0';
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %n", &start, &end, &offset, &at) < 3 || at == 0 ||
            offset != 0) {
            continue;
        }
        bool proxy = strstr(line + at, "/libumf_proxy.so") != NULL;
        if (proxy || (found == 0 && strstr(line + at, "/libumf.so") != NULL)) {
            found = start;
            snprintf(path, bytes, "%s", line + at);
            if (proxy) {
                break;
            }
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return found;
}

static bool say_no(pid_t pid, const char *why) {
    run_say("--attach: process %d %s", (int)pid, why);
    return false;
}

static bool find_state(target_t *target) {
    char path[RUN_PATH_BYTES];
    umf_core_state_t state;
    if (kill(target->pid, 0) != 0 && errno == ESRCH) {
        return say_no(target->pid, "does not exist");
    }
    uintptr_t base = find_mapping(target->pid, path, sizeof(path));
    if (base == 0) {
        return say_no(target->pid, "does not use libumf_proxy or libumf, or is not yours");
    }
    uintptr_t value = symbol_of_file(target->pid, path, "umf_core_state");
    if (value == 0) {
        return say_no(target->pid, "uses a library file that is gone or has changed");
    }
    target->state = (const void *)(base + value);
    if (!read_target(target, target->state, &state, sizeof(state))) {
        return say_no(target->pid, errno == EPERM
                                       ? "may not be read: try as root, or start it with "
                                         "stats.attach=yes"
                                       : "cannot be read");
    }
    if (state.magic != UMF_CORE_MAGIC || state.size != sizeof(state) ||
        state.layout != umf_core_state.layout) {
        return say_no(target->pid, "runs another version of the library than this umf-run");
    }
    return true;
}

/* ---- a report ---- */

static bool collect(target_t *target) {
    stats_report_t *report = &target->report;
    const slab_reader_t reader = {read_target, target};
    umf_core_state_t state;
    slab_pool_t pool;
    report->pool_count = 0;
    report->occasion = "attached";
    report->number++;
    if (!stats_read_process(report, target->pid) ||
        !read_target(target, target->state, &state, sizeof(state))) {
        return false;
    }
    const slab_pool_t *at = state.slots[CORE_SLOT_SLAB].live;
    for (int i = 0; at != NULL && i < POOLS_MAX && report->pool_count < STATS_POOLS; i++) {
        stats_pool_t *entry = &report->pool[report->pool_count];
        if (!read_target(target, at, &pool, sizeof(pool))) {
            break;
        }
        if (slab_detail_read(&reader, at, &entry->detail)) {
            entry->title = pool.process ? "process pool" : "pool";
            report->pool_count++;
        }
        at = pool.next_live;
    }
    return true;
}

static void print(target_t *target, bool json) {
    prof_out_begin(&target->out, STDOUT_FILENO, false);
    if (json) {
        stats_print_json(&target->out, &target->report);
    } else {
        stats_print_text(&target->out, &target->report);
    }
    prof_out_end(&target->out);
}

int run_attach(const run_request_t *request) {
    static target_t target;
    bool screen = isatty(STDOUT_FILENO) && !request->json;
    char *end;
    long pid = strtol(request->attach, &end, 10);
    if (*request->attach == '\0' || *end != '\0' || pid <= 0 || pid > INT32_MAX) {
        run_say("--attach: \"%s\" is no process id", request->attach);
        return RUN_FAILED;
    }
    target.pid = (pid_t)pid;
    if (!find_state(&target)) {
        return RUN_FAILED;
    }
    double seconds = request->every != NULL ? strtod(request->every, &end) : 0;
    if (request->every != NULL && (*end != '\0' || seconds < 0.1 || seconds > 86400)) {
        run_say("--every: \"%s\" is no number of seconds from 0.1 to 86400", request->every);
        return RUN_FAILED;
    }
    long wait_ms = request->every != NULL ? (long)(seconds * 1000) : screen ? REFRESH_MS : 0;
    struct timespec nap = {wait_ms / 1000, wait_ms % 1000 * MS_NS};
    while (collect(&target)) {
        if (screen) {
            fputs("\033[H\033[2J", stdout); // home, clear
            fflush(stdout);
        }
        print(&target, request->json);
        if (wait_ms == 0) {
            return 0;
        }
        nanosleep(&nap, NULL);
    }
    return target.report.number > 1 ? 0 : RUN_FAILED; // it has ended
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * settings_effect.c - that no key of UMF_PROXY is only parsed: each one changes what a preloaded
 * process does.
 *
 *   settings_effect figures             keys that change a figure, as the rows of `figures` say
 *   settings_effect reports             keys of the log, the statistics, the profile, the leaks
 *   settings_effect missing             libraries that are not there
 *   settings_effect device <provider>   cuda.device, level_zero.device, on the stand-in drivers
 *   settings_effect coverage <folder>   every key of UMF_PROXY=help is in a row here, in another
 *                                       test of <folder> (test/proxy)
 *   settings_effect look <what>         is the child (settings_look.c)
 */
#include "child.h"
#include "settings_effect.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/filter.h>
#include <linux/seccomp.h>

static char *self_path;
static child_result_t result;

/* ---- figures ---- */

enum { DIES = -2 }; /* instead of a least figure: the child gets SIGSEGV */

#define DAX "/dev/dax0.0"
#define NODE1 "/sys/devices/system/node/node1"

/* clang-format off */
static const struct figure {
    const char *key, *setting, *look;
    long long least, most;
    const char *needs; /* a path that most machines do not have; scripts/test-vm makes one that does */
} figures[] = {
    {"scalable.granularity", "pool=scalable;scalable.granularity=3M", "granularity", 3 * MIB, 3 * MIB, NULL},
    {"scalable.keep.all", "pool=scalable", "keep_all", 0, 0, NULL},
    {"scalable.keep.all", "pool=scalable;scalable.keep.all=yes", "keep_all", 1, 1, NULL},
    {"scalable.keep.all", "pool=scalable", "kept_large", LLONG_MIN, 192LL * MIB, NULL},
    {"scalable.keep.all", "pool=scalable;scalable.keep.all=yes", "kept_large", 250LL * MIB, LLONG_MAX, NULL},
    {"jemalloc.arenas", "pool=jemalloc;jemalloc.arenas=3", "arenas", 3, 3, NULL},
    {"jemalloc.arenas", "pool=jemalloc;jemalloc.arenas=17", "arenas", 17, 17, NULL},
    {"disjoint.slab.min.size", "pool=disjoint;disjoint.slab.min.size=64k", "slab", 32 * KIB, 64 * KIB, NULL},
    {"disjoint.slab.min.size", "pool=disjoint;disjoint.slab.min.size=8M", "slab", 8 * MIB, 8 * MIB, NULL},
    {"disjoint.max.poolable.size", "pool=disjoint;disjoint.max.poolable.size=64k", "in_slabs", 0, 0, NULL},
    {"disjoint.max.poolable.size", "pool=disjoint", "in_slabs", 300000, 2 * MIB, NULL},
    {"disjoint.capacity", "pool=disjoint;disjoint.capacity=7", "capacity", 7, 7, NULL},
    {"disjoint.capacity", "pool=disjoint;disjoint.trace=1;disjoint.capacity=1", "kept_blocks", LLONG_MIN, MIB, NULL},
    {"disjoint.capacity", "pool=disjoint;disjoint.trace=1;disjoint.capacity=100000", "kept_blocks", 7 * MIB, LLONG_MAX, NULL},
    {"disjoint.min.bucket.size", "pool=disjoint", "first_bucket", 16, 16, NULL},
    {"disjoint.min.bucket.size", "pool=disjoint;disjoint.min.bucket.size=256", "first_bucket", 256, 256, NULL},
    {"disjoint.limit", "pool=disjoint;disjoint.capacity=100000;disjoint.limit=256k", "kept_blocks", LLONG_MIN, MIB, NULL},
    {"disjoint.limit", "pool=disjoint;disjoint.capacity=100000;disjoint.limit=1G", "kept_blocks", 7 * MIB, LLONG_MAX, NULL},
    {"disjoint.trace", "pool=disjoint", "slab_count", -1, -1, NULL},
    {"disjoint.trace", "pool=disjoint;disjoint.trace=1", "slab_count", 1, LLONG_MAX, NULL},
    {"disjoint.trace", "pool=disjoint;disjoint.trace=1", "call_count", 0, 0, NULL},
    {"disjoint.trace", "pool=disjoint;disjoint.trace=2", "call_count", 1, LLONG_MAX, NULL},
    {"os.protection", "os.protection=rw", "code", DIES, 0, NULL},
    {"os.protection", "os.protection=rwx", "code", 42, 42, NULL},
    {"file.protection", "provider=file;file.path=/dev/shm", "code", DIES, 0, NULL},
    {"file.protection", "provider=file;file.path=/dev/shm;file.protection=rwx", "code", 42, 42, NULL},
    {"devdax.size", "provider=devdax;devdax.path=/dev/dax0.0;devdax.size=32M;on.exhausted=null", "room", 16 * MIB, 32 * MIB, DAX},
    {"devdax.size", "provider=devdax;devdax.path=/dev/dax0.0;devdax.size=96M;on.exhausted=null", "room", 64 * MIB, 96 * MIB, DAX},
    {"devdax.protection", "provider=devdax;devdax.path=/dev/dax0.0", "code", DIES, 0, DAX},
    {"devdax.protection", "provider=devdax;devdax.path=/dev/dax0.0;devdax.protection=rwx", "code", 42, 42, DAX},
    {"os.numa.part.size", "os.numa.mode=interleave;os.numa.nodes=0-1", "node_changes", 20, LLONG_MAX, NODE1},
    {"os.numa.part.size", "os.numa.mode=interleave;os.numa.nodes=0-1;os.numa.part.size=16M", "node_changes", 2, 6, NODE1},
    {"os.numa.partitions", "os.numa.mode=split;os.numa.nodes=0-1", "node0_percent", 45, 55, NODE1},
    {"os.numa.partitions", "os.numa.mode=split;os.numa.nodes=0-1;os.numa.partitions=0:3,1:1", "node0_percent", 70, 80, NODE1},
};
/* clang-format on */

static void run_look(const char *what, const char *setting) {
    char *argv[] = {self_path, (char *)"look", (char *)what, NULL};
    child_run(argv, "UMF_PROXY", setting, &result);
}

static void group_figures(void) {
    for (size_t i = 0; i < COUNT(figures); i++) {
        const struct figure *row = &figures[i];
        long long value = 0;
        if (row->needs != NULL && access(row->needs, F_OK) != 0) {
            dprintf(1, "not shown here: %s: no %s\n", row->setting, row->needs);
            continue;
        }
        run_look(row->look, row->setting);
        if (row->least == DIES) {
            CHECK_MSG(child_killed(&result, SIGSEGV), "%s: status 0x%x '%s'", row->setting,
                      result.status, result.out);
            continue;
        }
        CHECK_MSG(child_exited(&result, 0) && result.err[0] == '\0' &&
                      sscanf(result.out, "value %lld", &value) == 1,
                  "%s: status 0x%x '%s' '%s'", row->setting, result.status, result.out, result.err);
        CHECK_MSG(value >= row->least && value <= row->most, "%s: %s is %lld, not %lld to %lld",
                  row->setting, row->look, value, row->least, row->most);
    }
}

/* ---- reports ---- */

static char folder[] = "/tmp/umf-effect-XXXXXX";

/* The text of a file in `folder`, "" when it is not there; the file goes. */
static const char *take_file(const char *name) {
    static char text[64 * KIB];
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    int fd = open(path, O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[got > 0 ? got : 0] = '\0';
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
    return text;
}

static int count(const char *text, const char *part) {
    int found = 0;
    while ((text = strstr(text, part)) != NULL) {
        text += strlen(part);
        found++;
    }
    return found;
}

static void effect_trace_and_log(void) {
    char setting[PATH_BYTES];
    run_look("arenas", "pool=disjoint;disjoint.trace=2;log=level:debug");
    CHECK_INT(count(result.err, ": malloc of "), 0);
    run_look("arenas", "pool=disjoint;disjoint.trace=3;log=level:info");
    CHECK_INT(count(result.err, ": malloc of "), 0);
    run_look("arenas", "pool=disjoint;disjoint.trace=3;log=level:debug");
    CHECK_MSG(count(result.err, ": malloc of ") > 0, "'%s'", result.err);
    snprintf(setting, sizeof(setting),
             "pool=disjoint;disjoint.trace=3;log=level:debug,output:file,%s/log", folder);
    run_look("arenas", setting);
    CHECK_INT(count(result.err, ": malloc of "), 0);
    CHECK(count(take_file("log"), ": malloc of ") > 0);
}

static void effect_stats_signal(void) {
    char setting[PATH_BYTES], path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/stats", folder);
    setenv("TEST_REPORT", path, 1);
    snprintf(setting, sizeof(setting), "stats=signal;stats.file=%s;stats.signal=%d", path, SIGUSR2);
    run_look("signal", setting);
    CHECK_MSG(child_exited(&result, 0) && strcmp(result.out, "value 1\n") == 0, "0x%x '%s' '%s'",
              result.status, result.out, result.err);
    CHECK(count(take_file("stats"), "statistics 1 of process") == 1);
    snprintf(setting, sizeof(setting), "stats=signal;stats.file=%s", path);
    run_look("signal", setting); /* which listens to SIGUSR1 */
    CHECK_MSG(child_killed(&result, SIGUSR2), "0x%x", result.status);
}

/* Profile of every block in the given form; depth and peak as the settings say. */
static void run_profile(const char *more) {
    char setting[PATH_BYTES];
    snprintf(setting, sizeof(setting), "prof.sample=1;prof.format=collapsed;prof.file=%s/prof;%s",
             folder, more);
    run_look("leaks", setting);
    CHECK_MSG(child_exited(&result, 0), "0x%x '%s'", result.status, result.err);
}

static void effect_profile(void) {
    run_profile("prof.depth=1");
    const char *text = take_file("prof");
    CHECK_MSG(text[0] != '\0' && count(text, ";") == 0, "'%.300s'", text);
    CHECK(take_file("prof.peak")[0] != '\0');
    run_profile("prof.peak=no");
    CHECK(count(take_file("prof"), ";") > 0);
    CHECK_MSG(take_file("prof.peak")[0] == '\0', "a profile of the peak in spite of prof.peak=no");
}

/* Stacks in a report: each has a head with the bytes and the blocks. */
static void effect_leak_top(void) {
    run_look("leaks", "leak=exact");
    int all = count(result.err, "allocated at");
    CHECK_MSG(all >= 3, "'%s'", result.err);
    run_look("leaks", "leak=exact;leak.top=1");
    CHECK_MSG(count(result.err, "allocated at") == 1, "'%s'", result.err);
}

/* Where there are no huge pages, strict says so, and ordinary pages do silently otherwise. */
static void effect_page_strict(void) {
    void *huge = mmap(NULL, 2 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (huge != MAP_FAILED) { /* all can be had: nothing to see */
        munmap(huge, 2 * MIB);
        return;
    }
    run_look("leaks", "os.page.size=2M");
    CHECK_MSG(child_exited(&result, 0) && result.err[0] == '\0', "'%s'", result.err);
    run_look("leaks", "os.page.size=2M;os.page.strict=yes");
    CHECK_MSG(child_exited(&result, 0) && child_count_lines(result.err) == 1 &&
                  strstr(result.err, "ordinary pages are used") != NULL,
              "'%s'", result.err);
    run_look("leaks", "os.page.size=2M;os.page.strict=yes;on.exhausted=abort");
    CHECK_MSG(child_killed(&result, SIGABRT), "0x%x '%s'", result.status, result.err);
}

/*
 * From now on a process that lets others trace it dies: kernels without Yama refuse that call, and
 * none tells afterwards that it was made. False: this kernel does not filter calls.
 */
static bool filter_ptracer_calls(void) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PR_SET_PTRACER, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {COUNT(code), code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void effect_stats_attach(void) {
    if (!filter_ptracer_calls()) {
        dprintf(1, "not shown here: stats.attach: no seccomp filters\n");
        return;
    }
    run_look("leaks", "stats.attach=no");
    CHECK_MSG(child_exited(&result, 0), "0x%x '%s'", result.status, result.err);
    run_look("leaks", "stats.attach=yes");
    CHECK_MSG(child_killed(&result, SIGSYS), "0x%x '%s'", result.status, result.err);
}

/* clang-format off */
static const struct {
    const char *keys; /* separated by spaces */
    void (*run)(void);
} reports[] = {
    {"disjoint.trace log", effect_trace_and_log},
    {"stats.signal", effect_stats_signal},
    {"prof.depth prof.peak", effect_profile},
    {"leak.top", effect_leak_top},
    {"os.page.strict", effect_page_strict},
    {"stats.attach", effect_stats_attach}, /* last: it restricts this process, too */
};
/* clang-format on */

static void group_reports(void) {
    CHECK(mkdtemp(folder) != NULL);
    for (size_t i = 0; i < COUNT(reports); i++) {
        reports[i].run();
    }
    CHECK_MSG(rmdir(folder) == 0, "files are left in %s", folder);
}

/* ---- libraries that are not there ---- */

static void copy_file(const char *from, const char *to) {
    static char buffer[64 * KIB];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    ssize_t got;
    CHECK(in >= 0 && out >= 0);
    while ((got = read(in, buffer, sizeof(buffer))) > 0) {
        CHECK_INT(write(out, buffer, (size_t)got), got);
    }
    close(in), close(out);
}

static void check_missing(const char *setting, const char *library) {
    char more[PATH_BYTES];
    run_look("leaks", setting);
    CHECK_MSG(child_exited(&result, 0) && strcmp(result.out, "value 0\n") == 0, "%s: 0x%x '%s'",
              setting, result.status, result.out);
    CHECK_MSG(child_count_lines(result.err) == 1 && strstr(result.err, setting) != NULL &&
                  strstr(result.err, library) != NULL &&
                  strstr(result.err, "can not be used") != NULL &&
                  strstr(result.err, "; ordinary pages are used") != NULL,
              "%s: '%s'", setting, result.err);
    snprintf(more, sizeof(more), "%s;on.exhausted=abort", setting);
    run_look("leaks", more);
    CHECK_MSG(child_killed(&result, SIGABRT) && child_count_lines(result.err) == 1 &&
                  strstr(result.err, library) != NULL,
              "%s: 0x%x '%s'", more, result.status, result.err);
}

/*
 * A copy of the library in a folder without libumf has no neighbour; files that are no libraries
 * stand before those of the system.
 */
static void group_missing(void) {
    static const char *const names[] = {"libumf.so.1", "libtbbmalloc.so.2"};
    char empty[PATH_BYTES], path[PATH_BYTES];
    CHECK(mkdtemp(folder) != NULL);
    snprintf(empty, sizeof(empty), "%s/empty", folder);
    CHECK_INT(mkdir(empty, 0755), 0);
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", empty, names[i]);
        int fd = open(path, O_WRONLY | O_CREAT, 0755);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    snprintf(path, sizeof(path), "%s/libumf_proxy.so.1", folder);
    copy_file(check_object_of("malloc"), path);
    setenv("LD_PRELOAD", path, 1);
    setenv("LD_LIBRARY_PATH", empty, 1);
    check_missing("pool=jemalloc", names[0]);
    check_missing("pool=scalable", names[1]);
    unlink(path);
    for (size_t i = 0; i < COUNT(names); i++) {
        snprintf(path, sizeof(path), "%s/%s", empty, names[i]);
        unlink(path);
    }
    CHECK(rmdir(empty) == 0 && rmdir(folder) == 0);
}

/* ---- devices of GPU drivers ---- */

/* The second of two devices can be had; where there is one, a line says so. */
static void group_device(const char *provider) {
    char setting[PATH_BYTES];
    snprintf(setting, sizeof(setting), "provider=%s;%s.device=1", provider, provider);
    setenv("UMF_STANDIN_DEVICES", "2", 1);
    run_look("leaks", setting);
    CHECK_MSG(child_exited(&result, 0) && result.err[0] == '\0', "%s: 0x%x '%s'", setting,
              result.status, result.err);
    setenv("UMF_STANDIN_DEVICES", "1", 1);
    run_look("leaks", setting);
    CHECK_MSG(child_exited(&result, 0) && child_count_lines(result.err) == 1 &&
                  strstr(result.err, "device 1 is wanted") != NULL,
              "%s: 0x%x '%s'", setting, result.status, result.err);
}

/* ---- coverage ---- */

/* True when the word is one of those in the text. */
static int has_word(const char *words, const char *word) {
    char spaced[PATH_BYTES], wanted[PATH_BYTES];
    snprintf(spaced, sizeof(spaced), " %s ", words);
    snprintf(wanted, sizeof(wanted), " %s ", word);
    return strstr(spaced, wanted) != NULL;
}

/* Number of places that are for the key. */
static int places_of(const char *key, const char *directory) {
    int places = settings_shown_elsewhere(key, directory);
    for (size_t i = 0; i < COUNT(figures); i++) {
        places += strcmp(figures[i].key, key) == 0;
    }
    for (size_t i = 0; i < COUNT(reports); i++) {
        places += has_word(reports[i].keys, key);
    }
    return places;
}

/* Every key is a line of `UMF_PROXY=help` that begins with two spaces and a letter. */
static void check_coverage(const char *directory) {
    int keys = 0;
    run_look("leaks", "help");
    CHECK_MSG(strlen(result.err) < CHILD_TEXT - 1, "the list is longer than what is kept of it");
    for (char *line = result.err; line != NULL && *line != '\0';) {
        char *next = strchr(line, '\n');
        if (next != NULL) {
            *next++ = '\0';
        }
        if (line[0] == ' ' && line[1] == ' ' && line[2] >= 'a' && line[2] <= 'z') {
            char *key = line + 2;
            key[strcspn(key, " ")] = '\0';
            keys++;
            CHECK_MSG(places_of(key, directory) > 0, "no test shows the effect of %s", key);
        }
        line = next;
    }
    CHECK_MSG(keys > 50, "only %d keys in UMF_PROXY=help", keys);
}

int main(int argc, char **argv) {
    self_path = argv[0];
    if (argc == 3 && strcmp(argv[1], "look") == 0) {
        return settings_look(argv[2]);
    }
    check_begin();
    if (argc == 2 && strcmp(argv[1], "figures") == 0) {
        group_figures();
    } else if (argc == 2 && strcmp(argv[1], "reports") == 0) {
        group_reports();
    } else if (argc == 2 && strcmp(argv[1], "missing") == 0) {
        group_missing();
    } else if (argc == 3 && strcmp(argv[1], "device") == 0) {
        group_device(argv[2]);
    } else if (argc == 3 && strcmp(argv[1], "coverage") == 0) {
        check_coverage(argv[2]);
    } else {
        dprintf(2,
                "usage: settings_effect figures|reports|missing|device PROVIDER|coverage FOLDER\n");
        return 2;
    }
    return check_end(argv[1]);
}

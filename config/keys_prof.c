/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys of the heap profiler and the leak report. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { DEPTH_MAX = 128, SIGNAL_MAX = 64, STATUS_MAX = 255 };
#define PROF_SAMPLE_MAX ((uint64_t)1 << 40)
#define PROF_EVERY_MAX ((uint64_t)1 << 60)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_SIZE("prof.sample", prof.sample, 0, PROF_SAMPLE_MAX, "0", "Heap profile of one block per so many bytes allocated, on average; 512k suits production, 1 takes every block, 0 is off."),
    KEY_STRING("prof.file", prof.file, "", "Where profiles go: %p is the process id, %n counts its profiles. By default umf.%p.%n.heap (.pb.gz, .collapsed) in the working directory."),
    KEY_ENUM("prof.format", prof.format, "pprof|proto|collapsed", "pprof", "pprof: text for google-pprof, jeprof, pprof; proto: gzip'd profile.proto; collapsed: lines for flame graphs."),
    KEY_ENUM("prof.unwind", prof.unwind, "auto|libunwind|libgcc|fp|none", "auto", "How call stacks are found; fp: frame pointers. auto: libunwind, or libgcc where that is missing."),
    KEY_UNSIGNED("prof.depth", prof.depth, 1, DEPTH_MAX, "64", "Frames of a stack at most."),
    KEY_BOOL("prof.exit", prof.at_exit, "yes", "Write a profile when the process exits (not by _exit or a signal)."),
    KEY_BOOL("prof.peak", prof.peak, "yes", "At exit, also write what was in use at the moment of peak use, to the same name with .peak."),
    KEY_SIZE("prof.every", prof.every, 0, PROF_EVERY_MAX, "0", "Write a profile each time so many bytes were allocated; 0: not."),
    KEY_UNSIGNED("prof.signal", prof.signal, 0, SIGNAL_MAX, "0", "Write a profile on this signal (number; 12 is SIGUSR2); 0: not. Starts a thread that sleeps until then."),
    KEY_ENUM("leak", prof.leak, "off|sampled|exact", "off", "Report at exit what was not freed, by call stack; sampled: as prof.sample says, or every 512k; exact: every block, slow."),
    KEY_STRING("leak.file", prof.leak_file, "", "Where the report goes, with %p for the process id. By default standard error."),
    KEY_STRING("leak.suppress", prof.leak_suppress, "", "Stacks to leave out: functions or modules, with * for any text, separated by commas: leak.suppress=libssl*,init_*"),
    KEY_UNSIGNED("leak.exitcode", prof.leak_exitcode, 0, STATUS_MAX, "0", "Exit status of the process when there are leaks; 0: its own."),
    KEY_UNSIGNED("leak.top", prof.leak_top, 1, 100000, "20", "Stacks that the report shows."),
};
/* clang-format on */

static void check(settings_run_t *run, void *out) {
    proxy_settings_t *settings = out;
    proxy_prof_settings_t *prof = &settings->prof;
    bool reports = prof->leak == PROXY_LEAK_SAMPLED;
    if (prof->leak == PROXY_LEAK_EXACT && prof->sample > 1) {
        settings_complain(run, "leak: \"exact\" looks at every block: prof.sample is 1 then");
        prof->sample = 1;
    }
    if (reports && prof->sample == 0 && settings_was_good(run, "prof.sample")) {
        settings_complain(run, "leak: \"sampled\" needs samples: prof.sample=0 is not used");
    }
}

const settings_section_t proxy_keys_prof = {
    .title = "Heap profile and leaks",
    .about = "The guide is docs/profiling.md.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The command line of umf-run. Most options are a row: a name, and the settings that it stands for,
 * with %s where its value goes. Their order does not matter, except that of two settings of one key
 * the last one counts; what UMF_PROXY held before comes first.
 */
#define _GNU_SOURCE
#include "proxy/umf_run.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef UMF_RUN_PRESET_FOLDER
#define UMF_RUN_PRESET_FOLDER "../share/umf" /* from the folder of this program */
#endif

typedef enum option_value { VALUE_NONE, VALUE_NEEDED, VALUE_OPTIONAL } option_value_t;

typedef struct option_row {
    const char *name;
    option_value_t value;
    const char *shown;    /* the value in the help */
    const char *settings; /* with %s for the value; without a value given: up to the first `|` */
    const char *help;
} option_row_t;

/* In the order of the help. */
static const option_row_t rows[] = {
    {"pool", VALUE_NEEDED, "POOL", "pool=%s", "slab, scalable, jemalloc, disjoint or proxy"},
    {"provider", VALUE_NEEDED, "PROVIDER", "provider=%s", "where the memory comes from"},
    {"interleave", VALUE_NEEDED, "NODES", "os.numa.mode=interleave;os.numa.nodes=%s",
     "pages go round these NUMA nodes, as in 0-3"},
    {"membind", VALUE_NEEDED, "NODES", "os.numa.mode=bind;os.numa.nodes=%s",
     "pages come from these nodes only"},
    {"preferred", VALUE_NEEDED, "NODES", "os.numa.mode=preferred;os.numa.nodes=%s",
     "pages come from these nodes as long as they have any"},
    {"localalloc", VALUE_NONE, NULL, "os.numa.mode=local", "pages come from where they are used"},
    {"memspace", VALUE_NEEDED, "NAME", "memspace=%s",
     "nodes by kind: highest_capacity, highest_bandwidth, lowest_latency, ..."},
    {"huge", VALUE_OPTIONAL, "SIZE", "os.page.size=%s|transparent",
     "pages of 2M or 1G, or transparent huge pages"},
    {"strict", VALUE_NONE, NULL, "os.page.strict=yes", "with --huge: these pages or none"},
    {"file", VALUE_NEEDED, "PATH", "provider=file;file.path=%s",
     "memory is a file at PATH, or in the folder PATH"},
    {"devdax", VALUE_NEEDED, "DEVICE", "provider=devdax;devdax.path=%s", "memory is a DAX device"},
    {"fixed", VALUE_NEEDED, "SIZE", "provider=fixed;fixed.size=%s", "so much memory, no more"},
    {"shared", VALUE_OPTIONAL, "KIND", "page.disposition=shared-%s|fd",
     "memory that others can open: shm (by name) or fd"},
    {"threshold", VALUE_NEEDED, "SIZE", "size.threshold=%s",
     "smaller blocks come from the C library"},
    {"on-exhausted", VALUE_NEEDED, "WHAT", "on.exhausted=%s",
     "when the memory runs out: fallback, null or abort"},
    {"only", VALUE_NEEDED, "PROGRAMS", "only=%s", "settings are for these programs, as in python3"},
    {"except", VALUE_NEEDED, "PROGRAMS", "except=%s", "settings are not for these, as in sh,env"},
    {"stats", VALUE_OPTIONAL, "WHEN", "stats=%s|exit", "print statistics, at the end or at WHEN"},
    {"profile", VALUE_OPTIONAL, "BYTES", "prof.sample=%s|512k",
     "heap profile, of one block per so many bytes"},
    {"leaks", VALUE_OPTIONAL, "HOW", "leak=%s|sampled", "report what is not freed at the end"},
    {"log", VALUE_NEEDED, "OPTIONS", "log=%s", "log, as in level:debug"},
    {"set", VALUE_NEEDED, "KEY=VALUE", "%s", "any setting; --keys lists them"},
};

/* ---- settings ---- */

static bool key_is(const char *entry, const char *other) {
    size_t key = strcspn(entry, "=;");
    return key == strcspn(other, "=;") && strncmp(entry, other, key) == 0;
}

/* Takes the entry with the key of `entry` out of the text. */
static void remove_key(char *text, const char *entry) {
    for (char *at = text; *at != '\0';) {
        size_t length = strcspn(at, ";");
        size_t whole = length + (at[length] == ';');
        const char *start = at + strspn(at, " \t");
        if (key_is(start, entry)) {
            memmove(at, at + whole, strlen(at + whole) + 1);
        } else {
            at += whole;
        }
    }
}

static bool add_entry(run_request_t *request, const char *entry) {
    remove_key(request->settings, entry);
    size_t used = strlen(request->settings), room = sizeof(request->settings) - used;
    bool joined = used > 0 && request->settings[used - 1] != ';';
    int length = snprintf(request->settings + used, room, "%s%s", joined ? ";" : "", entry);
    if (length < 0 || (size_t)length >= room) {
        run_say("the settings are too long");
        return false;
    }
    return true;
}

/* Each entry of the row, with the value put in. */
static bool add_row(run_request_t *request, const option_row_t *row, const char *value) {
    char text[RUN_SETTINGS_BYTES], entry[RUN_SETTINGS_BYTES];
    const char *bar = strchr(row->settings, '|');
    const char *filled = value != NULL ? value : bar != NULL ? bar + 1 : "";
    if (strchr(filled, ';') != NULL) {
        run_say("--%s: a semicolon is not allowed in a value", row->name);
        return false;
    }
    snprintf(text, sizeof(text), "%.*s", (int)strcspn(row->settings, "|"), row->settings);
    for (char *save = NULL, *part = strtok_r(text, ";", &save); part != NULL;
         part = strtok_r(NULL, ";", &save)) {
        char *place = strstr(part, "%s");
        int length = place != NULL ? snprintf(entry, sizeof(entry), "%.*s%s", (int)(place - part),
                                              part, filled)
                                   : snprintf(entry, sizeof(entry), "%s", part);
        if (length < 0 || (size_t)length >= sizeof(entry) || !add_entry(request, entry)) {
            return false;
        }
    }
    return true;
}

/* ---- presets ---- */

bool run_preset(const char *name, char *path, size_t bytes) {
    static const char *const folders[] = {"../config", UMF_RUN_PRESET_FOLDER, "config"};
    char own[RUN_PATH_BYTES];
    ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);
    own[length > 0 ? length : 0] = '\0';
    char *slash = strrchr(own, '/');
    for (size_t i = 0; slash != NULL && strchr(name, '/') == NULL && i < ARRAY_LENGTH(folders);
         i++) {
        snprintf(path, bytes, "%.*s%s/%s.conf", folders[i][0] == '/' ? 0 : (int)(slash + 1 - own),
                 own, folders[i], name);
        char *real = realpath(path, NULL);
        if (real != NULL) {
            snprintf(path, bytes, "%s", real);
            free(real);
            return true;
        }
    }
    run_say("no preset \"%s\"; there are hpc-interleave, huge-pages, capacity, ipc and profiling",
            name);
    return false;
}

static bool set_file(run_request_t *request, const char *path) {
    char *real = realpath(path, NULL); // PROGRAM may start others elsewhere
    if (real == NULL || strlen(real) >= sizeof(request->file)) {
        run_say("%s: can not be found", path);
        free(real);
        return false;
    }
    memcpy(request->file, real, strlen(real) + 1);
    free(real);
    return true;
}

/* ---- the command line ---- */

/* Options that are no settings; the value of the last two is `value`. */
static bool apply_special(run_request_t *request, const char *name, const char *value) {
    char path[RUN_PATH_BYTES + 64];
    if (strcmp(name, "preset") == 0) {
        return run_preset(value, path, sizeof(path)) && set_file(request, path);
    }
    if (strcmp(name, "config") == 0) {
        return set_file(request, value);
    }
    if (strcmp(name, "attach") == 0) {
        request->attach = value;
        return true;
    }
    if (strcmp(name, "every") == 0) {
        request->every = value;
        return true;
    }
    request->library = value;
    return true;
}

typedef struct flag_row {
    const char *name;
    char letter; /* 0: none */
    size_t offset;
    const char *help;
} flag_row_t;

static const flag_row_t flags[] = {
    {"print", 0, offsetof(run_request_t, print), "print the environment instead of running"},
    {"check", 0, offsetof(run_request_t, check), "show what this machine offers"},
    {"json", 0, offsetof(run_request_t, json), "with --check or --attach: as JSON"},
    {"keys", 0, offsetof(run_request_t, keys), "list all settings"},
    {"help", 'h', offsetof(run_request_t, help), "this text"},
    {"version", 'V', offsetof(run_request_t, version), "the version"},
};

static const option_row_t specials[] = {
    {"preset", VALUE_NEEDED, "NAME", NULL, "settings of a preset, as in hpc-interleave"},
    {"config", VALUE_NEEDED, "FILE", NULL, "settings of a file, one a line"},
    {"library", VALUE_NEEDED, "FILE", NULL, "another libumf_proxy.so"},
    {"attach", VALUE_NEEDED, "PID", NULL, "statistics of a running process, without stopping it"},
    {"every", VALUE_NEEDED, "SECONDS", NULL, "with --attach: again and again"},
};

static void usage_line(const char *name, option_value_t value, const char *shown,
                       const char *help) {
    char left[64];
    snprintf(left, sizeof(left), "--%s%s%s%s", name,
             value == VALUE_NONE       ? ""
             : value == VALUE_OPTIONAL ? "[="
                                       : "=",
             value == VALUE_NONE ? "" : shown, value == VALUE_OPTIONAL ? "]" : "");
    printf("  %-24s %s\n", left, help);
}

void run_usage(void) {
    puts("usage: umf-run [OPTION...] [--] PROGRAM [ARG...]\n"
         "       umf-run --check [--json]\n"
         "       umf-run --attach=PID [--every=SECONDS] [--json]\n\n"
         "Runs PROGRAM with its malloc, free, operator new, ... on libumf_proxy.\n\n"
         "Memory and pools:");
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        usage_line(rows[i].name, rows[i].value, rows[i].shown, rows[i].help);
    }
    puts("\nOthers:");
    for (size_t i = 0; i < ARRAY_LENGTH(specials); i++) {
        usage_line(specials[i].name, specials[i].value, specials[i].shown, specials[i].help);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        usage_line(flags[i].name, VALUE_NONE, NULL, flags[i].help);
    }
    puts("\nThe exit status is PROGRAM's; 125 when umf-run fails, 126 when PROGRAM cannot be run,\n"
         "127 when it is not found. umf-run(1) tells more.");
}

static bool set_flag(run_request_t *request, const char *name, size_t length, char letter) {
    for (size_t i = 0; i < ARRAY_LENGTH(flags); i++) {
        if (letter != 0
                ? flags[i].letter == letter
                : strlen(flags[i].name) == length && strncmp(flags[i].name, name, length) == 0) {
            *(bool *)((char *)request + flags[i].offset) = true;
            return true;
        }
    }
    return false;
}

static const option_row_t *find_row(const option_row_t *table, size_t count, const char *name,
                                    size_t length) {
    for (size_t i = 0; i < count; i++) {
        if (strlen(table[i].name) == length && strncmp(table[i].name, name, length) == 0) {
            return &table[i];
        }
    }
    return NULL;
}

/* One long option at argv[*at]; a needed value may be the next argument. */
static bool parse_option(run_request_t *request, char **argv, int *at) {
    const char *name = argv[*at] + 2;
    size_t length = strcspn(name, "=");
    const char *value = name[length] == '=' ? name + length + 1 : NULL;
    const option_row_t *row = find_row(rows, ARRAY_LENGTH(rows), name, length);
    bool special = row == NULL;
    if (special) {
        row = find_row(specials, ARRAY_LENGTH(specials), name, length);
    }
    if (row == NULL) {
        if (value == NULL && set_flag(request, name, length, 0)) {
            return true;
        }
        run_say("unknown option --%.*s; umf-run --help lists all", (int)length, name);
        return false;
    }
    if (row->value == VALUE_NONE && value != NULL) {
        run_say("--%s takes no value", row->name);
        return false;
    }
    if (row->value == VALUE_NEEDED && value == NULL) {
        value = argv[*at + 1];
        if (value == NULL) {
            run_say("--%s needs a value: --%s=%s", row->name, row->name, row->shown);
            return false;
        }
        ++*at;
    }
    return special ? apply_special(request, row->name, value) : add_row(request, row, value);
}

bool run_parse(int argc, char **argv, run_request_t *request) {
    const char *there = getenv("UMF_PROXY");
    if (there != NULL && strlen(there) < sizeof(request->settings)) {
        memcpy(request->settings, there, strlen(there) + 1);
    }
    int at = 1;
    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (argv[at][1] == '-') {
            if (!parse_option(request, argv, &at)) {
                return false;
            }
        } else if (argv[at][2] != '\0' || !set_flag(request, NULL, 0, argv[at][1])) {
            run_say("unknown option %s; umf-run --help lists all", argv[at]);
            return false;
        }
    }
    request->program = argv + at;
    bool done = request->help || request->version || request->keys || request->check ||
                request->attach != NULL;
    if (request->json && !request->check && request->attach == NULL) {
        run_say("--json goes with --check or --attach");
        return false;
    }
    if (!done && !request->print && at == argc) {
        run_say("no program is given; umf-run --help tells more");
        return false;
    }
    return true;
}

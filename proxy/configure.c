/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The settings of the process: the file that UMF_PROXY_FILE names, then UMF_PROXY on top of it.
 * Both are ignored in secure execution. With only= and except= they are for some programs only; the
 * others say nothing and run as if there were none.
 */
#define _GNU_SOURCE
#include "proxy/configure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/ctl.h"
#include "core/log.h"
#include "proxy/process_pool.h"
#include "proxy/program_name.h"
#include "proxy/switch_pool.h"

enum {
    FILE_MAX_BYTES = 64 * 1024, /* of settings */
    SOURCE_BYTES = 80,          /* of a file's name in a message */
};

/* What there is to read. */
typedef struct sources {
    const char *text; /* UMF_PROXY; NULL: none */
    const char *path; /* UMF_PROXY_FILE; NULL: none */
    char *content;    /* of the file, FILE_MAX_BYTES from the base allocator; NULL: none */
} sources_t;

/* ---- the file ---- */

static void read_file(sources_t *sources) {
    int fd = open(sources->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    size_t used = 0;
    ssize_t got = -1;
    if (fd >= 0) {
        sources->content = base_alloc(FILE_MAX_BYTES);
    }
    while (sources->content != NULL && used < FILE_MAX_BYTES &&
           (got = read(fd, sources->content + used, FILE_MAX_BYTES - used)) > 0) {
        used += (size_t)got;
    }
    if (got != 0) {
        char text[128] = "it is too large";
        umf_message("UMF_PROXY_FILE=%s can not be read: %s; it is ignored", sources->path,
                    got < 0 ? strerror_r(errno, text, sizeof(text)) : text);
        base_free(sources->content, FILE_MAX_BYTES);
        sources->content = NULL;
    } else {
        sources->content[used] = '\0'; // read stops below the size
    }
    if (fd >= 0) {
        close(fd);
    }
}

/* ---- both ---- */

/* Returns the number of lines given. */
static unsigned parse(const sources_t *sources, proxy_settings_t *settings,
                      const settings_sink_t *sink) {
    settings_run_t run = {.table = proxy_settings_table(), .out = settings, .sink = sink};
    proxy_settings_defaults(settings);
    if (sources->content != NULL) {
        char source[SOURCE_BYTES];
        snprintf(source, sizeof(source), "%s", sources->path);
        settings_parse_file(&run, sources->content, source);
    }
    settings_parse(&run, sources->text);
    settings_check(&run);
    return run.errors;
}

static void drop_line(void *context, const char *text) {
    (void)context, (void)text;
}

/* Whether the settings are for this program; asked silently. */
static bool is_for_this_program(const sources_t *sources, proxy_settings_t *settings) {
    const settings_sink_t silent = {drop_line, NULL};
    parse(sources, settings, &silent);
    const proxy_choice_settings_t *choice = &settings->choice;
    bool is_for = (choice->only[0] == '\0' || program_name_in(choice->only)) &&
                  (choice->except[0] == '\0' || !program_name_in(choice->except));
    if (!is_for) {
        proxy_settings_defaults(settings);
    }
    return is_for;
}

static void apply(const sources_t *sources) {
    proxy_settings_t *settings = &process_state.settings;
    if (!is_for_this_program(sources, settings)) {
        return;
    }
    log_init_from_environment(); // UMF_CONF goes after it, and before the pools that it is for
    ctl_config_load();
    process_state.settings_read = true;
    if (parse(sources, settings, NULL) > 0 && proxy_settings_abort_on_wrong_setting(settings)) {
        umf_message("UMF_PROXY: on.error=abort: stopping because of the lines above");
        abort();
    }
    if (settings->report.help) {
        proxy_settings_help(STDERR_FILENO);
    }
    if (settings->report.log[0] != '\0') {
        log_configure(settings->report.log);
    }
    switch_pool_apply(settings);
}

static const char *variable(const char *name) {
    const char *text = secure_getenv(name);
    return text != NULL && text[0] != '\0' ? text : NULL;
}

void configure_process(void) {
    int none = 0;
    if (!cas_strong_acq_rel(&process_state.configured, &none, 1)) {
        return; // done, or this very thread allocates while it does it: the boot pool serves
    }
    int saved_errno = errno;
    sources_t sources = {.text = variable("UMF_PROXY"), .path = variable("UMF_PROXY_FILE")};
    if (sources.path != NULL) {
        read_file(&sources);
    }
    if (sources.text != NULL || sources.content != NULL) {
        apply(&sources);
    }
    base_free(sources.content, FILE_MAX_BYTES);
    errno = saved_errno;
    store_release(&process_state.configured, 2);
}

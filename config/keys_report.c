/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys about messages, and the translation of `log`. */
#include "config/proxy_settings.h"
#include "config/settings_text.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { OPTION_SHOWN = 32 /* bytes of a log option in a message */ };

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_STRING("log", report.log, "", "As UMF_LOG, with commas for semicolons: log=level:debug,output:file,/tmp/umf.log. Without an output: stderr."),
    KEY_ENUM("on.error", report.on_error, "default|warn|abort", "default", "What wrong settings and bad frees do after their message; default: settings warn, frees abort."),
    KEY_WORD("help", report.help, "Print this list on standard error and go on."),
};
/* clang-format on */

/* What may follow `name:` in a log option; for output a path may follow "file,". */
static const struct log_option {
    const char *name, *words;
} log_options[] = {
    {"output", "stdout|stderr"},
    {"level", "debug|info|warning|error|fatal"},
    {"flush", "debug|info|warning|error|fatal"},
    {"timestamp", "yes|no"},
    {"pid", "yes|no"},
};

static bool text_is(text_t text, const char *string) {
    return text.bytes == strlen(string) && memcmp(text.at, string, text.bytes) == 0;
}

static bool is_one_of(const char *words, text_t value) {
    text_t rest = text_of(words);
    for (bool more = true; more;) {
        text_t word = text_take(&rest, '|', &more);
        if (word.bytes == value.bytes && memcmp(word.at, value.at, word.bytes) == 0) {
            return true;
        }
    }
    return false;
}

static bool log_option_good(text_t option) {
    bool has_value;
    text_t value = option, name = text_take(&value, ':', &has_value);
    for (unsigned i = 0; i < ARRAY_LENGTH(log_options); i++) {
        if (text_is(name, log_options[i].name)) {
            return has_value && is_one_of(log_options[i].words, value);
        }
    }
    return false;
}

/*
 * Rewrites `log` in the syntax of UMF_LOG. Commas separate options, except the one in
 * `output:file,PATH`; so a path has no comma (nor a `;`, which ends the entry). Returns false with
 * the bad option in *bad.
 */
static bool log_translate(text_t given, text_buffer_t *out, text_t *bad) {
    bool has_output = false;
    for (bool more = true; more;) {
        text_t option = text_trim(text_take(&given, ',', &more));
        text_put(out, out->used == 0 ? "" : ";");
        text_put_part(out, option);
        *bad = option;
        has_output |= option.bytes > 7 && memcmp(option.at, "output:", 7) == 0;
        if (text_is(option, "output:file")) {
            text_t path = text_trim(text_take(&given, ',', &more));
            text_put(out, ",");
            text_put_part(out, path);
            if (path.bytes == 0) {
                return false;
            }
        } else if (!log_option_good(option)) {
            return false;
        }
    }
    text_put(out, has_output ? "" : ";output:stderr");
    *bad = text_of("");
    return !out->cut;
}

static void check_log(settings_run_t *run, proxy_report_settings_t *report) {
    char translated[PROXY_LOG_BYTES], shown[TEXT_SHOWN_BYTES(OPTION_SHOWN)];
    text_buffer_t out = text_buffer(translated, sizeof translated);
    text_t bad;
    if (!settings_was_good(run, "log")) {
        return;
    }
    if (log_translate(text_of(report->log), &out, &bad)) {
        memcpy(report->log, translated, out.used + 1);
        return;
    }
    text_show(shown, OPTION_SHOWN, bad);
    settings_complain(run,
                      "log: \"%s\": not allowed; use output:stderr, stdout or file,PATH, "
                      "level:, flush:, timestamp:, pid: as in UMF_LOG",
                      shown);
    report->log[0] = '\0';
}

static void check(settings_run_t *run, void *out) {
    check_log(run, &((proxy_settings_t *)out)->report);
}

const settings_section_t proxy_keys_report = {
    .title = "Messages",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

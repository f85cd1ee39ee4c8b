/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys of statistics, and what the value of `stats` means. */
#include "config/proxy_settings.h"
#include "config/settings_value.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { SIGNAL_MAX = 64, SHOWN_BYTES = 32, DAY_SECONDS = 86400 };

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_STRING("stats", stats.when, "off", "When to print statistics: off, exit, signal, or a number of seconds for every so often; several with commas: stats=exit,10"),
    KEY_STRING("stats.file", stats.file, "", "Where they go: %p is the process id, %n counts its reports; without %n they are appended. By default standard error."),
    KEY_ENUM("stats.format", stats.format, "text|json", "text", "Tables for people, or one line of JSON per report."),
    KEY_UNSIGNED("stats.signal", stats.signal, 1, SIGNAL_MAX, "10", "The signal of stats=signal; 10 is SIGUSR1."),
    KEY_BOOL("stats.attach", stats.attach, "no", "Let other processes of the same user read the statistics where the system would not (umf-run --attach)."),
};
/* clang-format on */

static bool text_is(text_t text, const char *word) {
    size_t i = 0;
    while (i < text.bytes && word[i] != '\0' && text_lower(text.at[i]) == word[i]) {
        i++;
    }
    return i == text.bytes && word[i] == '\0';
}

/* Whole seconds. */
static bool read_seconds(text_t text, uint64_t *seconds) {
    *seconds = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9' || *seconds > DAY_SECONDS) {
            return false;
        }
        *seconds = *seconds * 10 + (uint64_t)(text.at[i] - '0');
    }
    return *seconds > 0 && *seconds <= DAY_SECONDS;
}

static bool read_when(proxy_stats_settings_t *stats, text_t item) {
    uint64_t seconds;
    if (text_is(item, "exit")) {
        stats->at_exit = true;
    } else if (text_is(item, "signal")) {
        stats->on_signal = true;
    } else if (read_seconds(item, &seconds)) {
        stats->every_ms = seconds * 1000;
    } else {
        return text_is(item, "off");
    }
    return true;
}

static void check(settings_run_t *run, void *out) {
    proxy_stats_settings_t *stats = &((proxy_settings_t *)out)->stats;
    text_t rest = text_of(stats->when);
    stats->at_exit = stats->on_signal = false;
    stats->every_ms = 0;
    for (bool more = true; more;) {
        text_t item = text_trim(text_take(&rest, ',', &more));
        if (!read_when(stats, item)) {
            char shown[TEXT_SHOWN_BYTES(SHOWN_BYTES)];
            text_show(shown, SHOWN_BYTES, text_of(stats->when));
            settings_complain(
                run, "stats=%s: not allowed; use off, exit, signal or seconds from 1 to %d", shown,
                DAY_SECONDS);
            strcpy(stats->when, "off");
            stats->at_exit = stats->on_signal = false;
            stats->every_ms = 0;
            return;
        }
    }
}

const settings_section_t proxy_keys_stats = {
    .title = "Statistics",
    .about = "The guide is docs/profiling.md.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

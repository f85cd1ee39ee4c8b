/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The table of UMF_PROXY's keys, and the checks between keys: a value that is good by itself may
 * not fit the others. Each check gives at most one line and puts defaults back, so that what comes
 * out can be used as it is.
 */
#include "config/proxy_settings.h"

#include <umf/pools/pool_slab.h>

#include <string.h>

#include "config/settings_text.h"

#define SETTINGS_STRUCT proxy_settings_t

enum { WORD_BYTES = 32 };

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define HOUR_MS 3600000
#define TEXT_OF(macro) TEXT_OF_(macro)
#define TEXT_OF_(text) #text

/* One row a key; the words of an ENUM are in the order of its enum. */
/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("pool", pool, "slab|proxy", "slab", "Pool that serves malloc; proxy asks the provider for every block, which is slow and meant for tests."),
    KEY_SIZE("size.threshold", size_threshold, 0, 1024 * GIB, "0", "Requests of fewer bytes than this go to the system's malloc; 0 sends all to the pool."),
    KEY_ENUM("page.disposition", disposition, "private|shared-shm|shared-fd", "private", "Kind of memory; shared can be opened by other processes, by a name in /dev/shm or by a file descriptor."),
    KEY_ENUM("os.page.size", page_size, "default|transparent|2M|1G", "default", "Page size to ask for; transparent lets the kernel use huge pages where it can."),
    KEY_BOOL("os.page.strict", page_strict, "no", "With 2M or 1G pages: fail when there are none, instead of using ordinary ones."),
    KEY_ENUM("os.numa.mode", numa_mode, "default|bind|interleave|preferred|split|local", "default", "How memory is placed on NUMA nodes; default follows the process."),
    KEY_NODES("os.numa.nodes", numa_nodes, "Nodes for os.numa.mode: needed by bind, interleave and split, optional for preferred."),
    KEY_SIZE("os.numa.part.size", numa_part_size, 0, 1024 * GIB, "0", "With interleave: bytes on one node before the next; 0 is a page."),
    KEY_WEIGHTS("os.numa.partitions", numa_partitions, "With split: share of each node, as node:weight; by default all nodes get the same."),
    KEY_SIZE("slab.chunk.size", slab_chunk_size, 0, 64 * MIB, "0", "Memory that the slab pool takes first, a multiple of 64k (later more at a time); 0 leaves it to the pool."),
    KEY_MSEC("slab.purge.delay", slab_purge_delay_ms, 0, HOUR_MS, TEXT_OF(UMF_SLAB_PURGE_DELAY_MS_DEFAULT) "ms", "How long memory stays unused before it goes back to the system."),
    KEY_BOOL("slab.keep.all", slab_keep_all, "no", "Never give memory back before the process ends."),
    KEY_ENUM("stats", stats, "off|exit", "off", "When to print statistics on standard error."),
    KEY_STRING("log", log, "", "As UMF_LOG, with commas for semicolons: log=level:debug,output:file,/tmp/umf.log. Without an output: stderr."),
    KEY_ENUM("on.error", on_error, "default|warn|abort", "default", "What wrong settings and bad frees do after their message; default: settings warn, frees abort."),
    KEY_WORD("help", help, "Print this list on standard error and go on."),
};
/* clang-format on */

static const settings_table_t table = {"UMF_PROXY", keys, ARRAY_LENGTH(keys)};

static_assert(ARRAY_LENGTH(keys) <= SETTINGS_KEYS_MAX, "settings_set_t is too small");

/* ---- NUMA and pages ---- */

static void numa_reset(proxy_settings_t *s) {
    s->numa_mode = PROXY_NUMA_DEFAULT;
    s->numa_nodes.count = 0;
    s->numa_part_size = 0;
    s->numa_partitions.count = 0;
}

static bool nodes_contain(const settings_nodes_t *nodes, unsigned node) {
    for (unsigned i = 0; i < nodes->count; i++) {
        if (nodes->node[i] == node) {
            return true;
        }
    }
    return false;
}

/* Words of the mode in force, for messages. */
static const char *numa_mode_word(const proxy_settings_t *s, char *buffer) {
    settings_enum_word(settings_find(&table, "os.numa.mode"), s->numa_mode, buffer, WORD_BYTES);
    return buffer;
}

/* False when the mode cannot be used; what depends on it must go with it, silently. */
static bool check_numa_mode(settings_run_t *run, const proxy_settings_t *s) {
    char mode[WORD_BYTES];
    bool needs_nodes = s->numa_mode == PROXY_NUMA_BIND || s->numa_mode == PROXY_NUMA_INTERLEAVE ||
                       s->numa_mode == PROXY_NUMA_SPLIT;
    if (s->disposition != PROXY_DISPOSITION_PRIVATE && s->numa_mode != PROXY_NUMA_DEFAULT) {
        settings_complain(run,
                          "os.numa.mode=%s: not allowed with shared memory; "
                          "use it with page.disposition=private",
                          numa_mode_word(s, mode));
        return false;
    }
    if (needs_nodes && s->numa_nodes.count == 0) {
        if (!settings_was_wrong(run, "os.numa.nodes")) {
            settings_complain(run,
                              "os.numa.mode=%s: not allowed without nodes; "
                              "add os.numa.nodes, as in os.numa.nodes=0-3",
                              numa_mode_word(s, mode));
        }
        return false;
    }
    return true;
}

/*
 * The next three drop what the mode in force does not take; `quiet` when a wrong mode was
 * reported.
 */
static void check_numa_nodes(settings_run_t *run, proxy_settings_t *s, bool quiet) {
    char mode[WORD_BYTES];
    bool takes_nodes = s->numa_mode != PROXY_NUMA_DEFAULT && s->numa_mode != PROXY_NUMA_LOCAL;
    if (takes_nodes || s->numa_nodes.count == 0) {
        return;
    }
    if (!quiet) {
        settings_complain(run,
                          "os.numa.nodes: not allowed with os.numa.mode=%s; "
                          "use it with bind, interleave, preferred or split",
                          numa_mode_word(s, mode));
    }
    s->numa_nodes.count = 0;
}

static void check_numa_part_size(settings_run_t *run, proxy_settings_t *s, bool quiet) {
    if (s->numa_part_size == 0 || s->numa_mode == PROXY_NUMA_INTERLEAVE) {
        return;
    }
    if (!quiet) {
        settings_complain(
            run, "os.numa.part.size: not allowed here; use it with os.numa.mode=interleave");
    }
    s->numa_part_size = 0;
}

static void check_numa_partitions(settings_run_t *run, proxy_settings_t *s, bool quiet) {
    if (s->numa_partitions.count != 0 && s->numa_mode != PROXY_NUMA_SPLIT) {
        if (!quiet) {
            settings_complain(
                run, "os.numa.partitions: not allowed here; use it with os.numa.mode=split");
        }
        s->numa_partitions.count = 0;
    }
    for (unsigned i = 0; i < s->numa_partitions.count; i++) {
        unsigned node = s->numa_partitions.part[i].node;
        if (!nodes_contain(&s->numa_nodes, node)) {
            settings_complain(run,
                              "os.numa.partitions: node %u is not in os.numa.nodes; "
                              "use nodes from there",
                              node);
            s->numa_partitions.count = 0;
        }
    }
}

static void check_numa(settings_run_t *run, proxy_settings_t *s) {
    bool quiet = settings_was_wrong(run, "os.numa.mode");
    if (!check_numa_mode(run, s)) {
        numa_reset(s);
        return;
    }
    check_numa_nodes(run, s, quiet);
    check_numa_part_size(run, s, quiet);
    check_numa_partitions(run, s, quiet);
}

static void check_pages(settings_run_t *run, proxy_settings_t *s) {
    if (!s->page_strict || s->page_size == PROXY_PAGE_2M || s->page_size == PROXY_PAGE_1G) {
        return;
    }
    if (!settings_was_wrong(run, "os.page.size")) {
        settings_complain(
            run, "os.page.strict=yes: not allowed here; use it with os.page.size=2M or 1G");
    }
    s->page_strict = false;
}

static void check_chunk(settings_run_t *run, proxy_settings_t *s) {
    if (s->slab_chunk_size % (64 * KIB) != 0) {
        settings_complain(run,
                          "slab.chunk.size: %llu bytes is not a multiple of 64k; "
                          "use one, as in 4M, or 0 for the pool's own choice",
                          (unsigned long long)s->slab_chunk_size);
        s->slab_chunk_size = 0;
    }
}

/* ---- log ---- */

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

static void check_log(settings_run_t *run, proxy_settings_t *s) {
    char translated[PROXY_LOG_BYTES], shown[TEXT_SHOWN_BYTES(WORD_BYTES)];
    text_buffer_t out = text_buffer(translated, sizeof translated);
    text_t bad;
    if (!settings_was_good(run, "log")) {
        return;
    }
    if (log_translate(text_of(s->log), &out, &bad)) {
        memcpy(s->log, translated, out.used + 1);
        return;
    }
    text_show(shown, WORD_BYTES, bad);
    settings_complain(run,
                      "log: \"%s\": not allowed; use output:stderr, stdout or file,PATH, "
                      "level:, flush:, timestamp:, pid: as in UMF_LOG",
                      shown);
    s->log[0] = '\0';
}

/* ---- interface ---- */

void proxy_settings_defaults(proxy_settings_t *settings) {
    settings_defaults(&table, settings);
}

int proxy_settings_parse_to(proxy_settings_t *settings, const char *text,
                            const settings_sink_t *sink) {
    settings_run_t run = {.table = &table, .out = settings, .sink = sink};
    settings_parse(&run, text);
    check_numa(&run, settings);
    check_pages(&run, settings);
    check_chunk(&run, settings);
    check_log(&run, settings);
    return (int)run.errors;
}

int proxy_settings_parse(proxy_settings_t *settings, const char *text) {
    return proxy_settings_parse_to(settings, text, NULL);
}

void proxy_settings_help(int fd) {
    settings_print(
        fd, "UMF_PROXY=\"key=value;key=value\" sets up libumf_proxy. Sizes are in bytes or end "
            "in k, M, G or T\n(powers of 1024), times in milliseconds or in s. "
            "A wrong entry is reported in one line; its default\nis used then.\n\n");
    settings_help(&table, fd);
}

/* The text around the table in docs/settings.md. */
static const char page_head[] =
    "<!-- Printed from the table in config/proxy_settings.c; test_settings rewrites it when run "
    "with\n"
    "     UMF_UPDATE_DOCS=1, and fails when it is out of date. -->\n"
    "# Settings of libumf_proxy\n\n"
    "The variable `UMF_PROXY` holds entries `key=value`, separated by `;`:\n\n"
    "```sh\n"
    "UMF_PROXY=\"os.page.size=2M; os.numa.mode=interleave; os.numa.nodes=0-3\" \\\n"
    "    LD_PRELOAD=libumf_proxy.so.1 program\n"
    "UMF_PROXY=help LD_PRELOAD=libumf_proxy.so.1 true    # prints this list\n"
    "```\n\n";

static const char page_tail[] =
    "\n## How values are written\n\n"
    "- White space around entries, keys and values, and empty entries are ignored. There is no "
    "quoting.\n"
    "- Keys are case-sensitive; words and suffixes in values are not.\n"
    "- A size is a number of bytes, or a number with `k`, `M`, `G` or `T` (powers of 1024), to "
    "which\n"
    "  `B` or `iB` may be added: `64k`, `2MiB`.\n"
    "- A time is a number of milliseconds, or a number with `ms` or `s`: `200`, `2s`.\n"
    "- Nodes are numbers and ranges in the order of use, none twice: `0-3,5`.\n"
    "- Weights are pairs `node:weight`; a node may come more than once: `0:2,1:1,0:4`.\n"
    "- yes or no may also be `on`/`off`, `true`/`false`, `1`/`0`.\n"
    "- In `log`, commas separate options where `UMF_LOG` has semicolons. The comma after "
    "`output:file`\n"
    "  belongs to that option: `log=output:file,/tmp/umf.log,level:debug`. So the path of a log "
    "file has\n"
    "  no comma and no semicolon here; `UMF_LOG` can name one with a comma.\n\n"
    "## What happens to wrong settings\n\n"
    "- Each wrong entry gives one line on standard error with the key, the value and what is "
    "allowed. Its\n"
    "  default stays in force and all other entries are applied.\n"
    "- When a key is given more than once, the last good value counts; one line says so.\n"
    "- An entry that does not fit the others (`os.numa.mode=bind` without nodes, a NUMA mode with "
    "shared\n"
    "  memory) is reported and dropped in the same way.\n"
    "- `on.error=abort` ends the program after the lines, and after a bad free. `on.error=warn` "
    "goes on\n"
    "  after both. By default a wrong setting warns and a bad free ends the program.\n";

void proxy_settings_markdown(int fd) {
    settings_print(fd, page_head);
    settings_markdown(&table, fd);
    settings_print(fd, page_tail);
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The table of UMF_PROXY: its sections, one per topic. The rows and the checks between keys are in
 * keys_*.c; a value that is good by itself may not fit the others, each check gives at most one
 * line and puts defaults back, so that what comes out can be used as it is.
 */
#include "config/proxy_settings.h"

/* In the order of the help and of the reference page. */
static const settings_section_t *const sections[] = {
    &proxy_keys_choice, &proxy_keys_providers, &proxy_keys_gpu,
    &proxy_keys_os,     &proxy_keys_slab,      &proxy_keys_pools,
    &proxy_keys_stats,  &proxy_keys_prof,      &proxy_keys_report,
};

static const settings_table_t table = {"UMF_PROXY", sections, ARRAY_LENGTH(sections)};

const settings_table_t *proxy_settings_table(void) {
    return &table;
}

void proxy_settings_defaults(proxy_settings_t *settings) {
    settings_defaults(&table, settings);
}

int proxy_settings_parse_to(proxy_settings_t *settings, const char *text,
                            const settings_sink_t *sink) {
    settings_run_t run = {.table = &table, .out = settings, .sink = sink};
    settings_parse(&run, text);
    settings_check(&run);
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
    "<!-- Printed from the rows in config/keys_*.c; test_settings rewrites it when run "
    "with\n"
    "     UMF_UPDATE_DOCS=1, and fails when it is out of date. -->\n"
    "# Settings of libumf_proxy\n\n"
    "The variable `UMF_PROXY` holds entries `key=value`, separated by `;`:\n\n"
    "```sh\n"
    "UMF_PROXY=\"os.page.size=2M; os.numa.mode=interleave; os.numa.nodes=0-3\" \\\n"
    "    LD_PRELOAD=libumf_proxy.so.1 program\n"
    "UMF_PROXY=help LD_PRELOAD=libumf_proxy.so.1 true    # prints this list\n"
    "```\n\n"
    "`UMF_PROXY_FILE` names a file with the same entries, one a line; a line that begins with `#` "
    "is a\n"
    "comment. What `UMF_PROXY` says counts more than the file. Both are ignored in setuid "
    "programs. "
    "The\n"
    "presets in `config/` are such files; `umf-run` has options for the common keys.\n\n";

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

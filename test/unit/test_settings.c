/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * UMF_PROXY's grammar and keys: what good text sets, that each bad text gives exactly one clear
 * line and leaves the defaults, that any text is safe to parse, and that help and docs/settings.md
 * show every key.
 */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/proxy_settings.h"
#include "config/settings_show.h"
#include "core/memspace.h"

/* The root of the source tree, for docs/settings.md; given by the build. */
#ifndef UMF_SOURCE_DIR
#define UMF_SOURCE_DIR "."
#endif

enum { LINE_LIMIT = 195, OUTPUT_BYTES = 64 * 1024 };

/* Fewer where each takes 20 times as long; scripts/fuzz tries many more under the same sanitizers.
 */
#ifdef UMF_SANITIZED
enum { FUZZ_ROUNDS = 20000 };
#else
enum { FUZZ_ROUNDS = 100000 };
#endif

/* Lines that a parse gave. */
typedef struct lines {
    unsigned count;
    char last[512];
} lines_t;

static void take_line(void *context, const char *text) {
    lines_t *lines = context;
    lines->count++;
    cr_assert(strlen(text) <= LINE_LIMIT, "%zu bytes: %s", strlen(text), text);
    cr_assert(strncmp(text, "UMF_PROXY: ", 11) == 0, "%s", text);
    for (const char *c = text; *c != '\0'; c++) {
        cr_assert((unsigned char)*c >= 0x20 && *c != 0x7f, "control character in: %s", text);
    }
    snprintf(lines->last, sizeof lines->last, "%s", text);
}

/* Defaults, then `text`; the lines in *lines. */
static int parse(proxy_settings_t *settings, const char *text, lines_t *lines) {
    settings_sink_t sink = {take_line, lines};
    memset(lines, 0, sizeof *lines);
    proxy_settings_defaults(settings);
    int errors = proxy_settings_parse_to(settings, text, &sink);
    cr_assert_eq(errors, (int)lines->count);
    return errors;
}

/* Parses text that must be good. */
static proxy_settings_t good(const char *text) {
    proxy_settings_t settings;
    lines_t lines;
    parse(&settings, text, &lines);
    cr_assert_eq(lines.count, 0, "\"%s\" gave: %s", text, lines.last);
    return settings;
}

/* Bytes of the field that count; 0: a string. Of a list only the count, its rest may be stale. */
static size_t field_bytes(settings_type_t type) {
    switch (type) {
    case SETTINGS_BOOL:
    case SETTINGS_WORD:
        return sizeof(bool);
    case SETTINGS_ENUM:
    case SETTINGS_NODES:
    case SETTINGS_WEIGHTS:
        return sizeof(unsigned);
    case SETTINGS_STRING:
        return 0;
    default:
        return sizeof(uint64_t);
    }
}

static void expect_equal(const proxy_settings_t *a, const proxy_settings_t *b, const char *text) {
    const settings_key_t *key;
    for (unsigned i = 0; (key = settings_key_at(proxy_settings_table(), i)) != NULL; i++) {
        const char *x = (const char *)a + key->offset, *y = (const char *)b + key->offset;
        size_t bytes = field_bytes(key->type);
        cr_expect_eq(bytes != 0 ? memcmp(x, y, bytes) : strcmp(x, y), 0, "%s: %s differs", text,
                     key->name);
    }
}

Test(settings, nothing_given_means_defaults) {
    static const char *const empty[] = {NULL, "", ";", ";;;", " ; \t;\n", "   "};
    for (size_t i = 0; i < ARRAY_LENGTH(empty); i++) {
        proxy_settings_t s = good(empty[i]);
        cr_expect_eq(s.os.disposition, PROXY_DISPOSITION_PRIVATE);
        cr_expect_eq(s.choice.size_threshold, 0);
        cr_expect_eq(s.choice.pool, PROXY_POOL_SLAB);
        cr_expect_eq(s.os.numa_mode, PROXY_NUMA_DEFAULT);
        cr_expect_eq(s.os.numa_nodes.count, 0);
        cr_expect_eq(s.os.numa_part_size, 0);
        cr_expect_eq(s.os.numa_partitions.count, 0);
        cr_expect_eq(s.os.page_size, PROXY_PAGE_DEFAULT);
        cr_expect_not(s.os.page_strict);
        cr_expect_eq(s.slab.chunk_size, 0);
        cr_expect(s.slab.purge_delay_ms <= 3600000);
        cr_expect_not(s.slab.keep_all);
        cr_expect_str_eq(s.stats.when, "off");
        cr_expect_not(s.stats.at_exit);
        cr_expect_str_empty(s.report.log);
        cr_expect_eq(s.report.on_error, PROXY_ON_ERROR_DEFAULT);
        cr_expect_not(s.report.help);
    }
}

Test(settings, every_word_sets_its_value) {
    cr_expect_eq(good("page.disposition=private").os.disposition, PROXY_DISPOSITION_PRIVATE);
    cr_expect_eq(good("page.disposition=shared-shm").os.disposition, PROXY_DISPOSITION_SHARED_SHM);
    cr_expect_eq(good("page.disposition=shared-fd").os.disposition, PROXY_DISPOSITION_SHARED_FD);
    cr_expect_eq(good("pool=slab").choice.pool, PROXY_POOL_SLAB);
    cr_expect_eq(good("pool=proxy").choice.pool, PROXY_POOL_PROXY);
    cr_expect_eq(good("os.numa.mode=default").os.numa_mode, PROXY_NUMA_DEFAULT);
    cr_expect_eq(good("os.numa.mode=bind;os.numa.nodes=0").os.numa_mode, PROXY_NUMA_BIND);
    cr_expect_eq(good("os.numa.mode=interleave;os.numa.nodes=0").os.numa_mode,
                 PROXY_NUMA_INTERLEAVE);
    cr_expect_eq(good("os.numa.mode=preferred").os.numa_mode, PROXY_NUMA_PREFERRED);
    cr_expect_eq(good("os.numa.nodes=1;os.numa.mode=preferred").os.numa_nodes.node[0], 1);
    cr_expect_eq(good("os.numa.mode=split;os.numa.nodes=0").os.numa_mode, PROXY_NUMA_SPLIT);
    cr_expect_eq(good("os.numa.mode=local").os.numa_mode, PROXY_NUMA_LOCAL);
    cr_expect_eq(good("memspace=none").os.memspace, PROXY_MEMSPACE_NONE);
    for (unsigned kind = 0; kind < MEMSPACE_KINDS; kind++) {
        char text[64];
        snprintf(text, sizeof(text), "memspace=%s", memspace_names[kind].name);
        cr_expect_eq(good(text).os.memspace, PROXY_MEMSPACE_HOST_ALL + kind, "%s", text);
    }
    cr_expect_eq(good("os.page.size=default").os.page_size, PROXY_PAGE_DEFAULT);
    cr_expect_eq(good("os.page.size=transparent").os.page_size, PROXY_PAGE_TRANSPARENT);
    cr_expect_eq(good("os.page.size=2M").os.page_size, PROXY_PAGE_2M);
    cr_expect_eq(good("os.page.size=1g").os.page_size, PROXY_PAGE_1G);
    cr_expect(good("stats=exit").stats.at_exit);
    cr_expect(good("stats=signal").stats.on_signal);
    cr_expect_eq(good("stats=30").stats.every_ms, 30000);
    cr_expect(good("stats=5, EXIT").stats.at_exit && good("stats=5, EXIT").stats.every_ms == 5000);
    cr_expect(good("help").report.help);
    cr_expect(good("os.page.size=2M;os.page.strict=yes").os.page_strict);
}

Test(settings, stats_takes_occasions_and_seconds_only) {
    static const char *const wrong[] = {"on", "exit,0", "100000", "1.5", "exit signal"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        char text[64];
        proxy_settings_t s;
        lines_t lines;
        snprintf(text, sizeof text, "stats=%s", wrong[i]);
        cr_expect_eq(parse(&s, text, &lines), 1, "%s", text);
        cr_expect(strstr(lines.last, "use off, exit, signal or seconds from 1 to 86400") != NULL);
        cr_expect(!s.stats.at_exit && !s.stats.on_signal && s.stats.every_ms == 0, "%s", text);
    }
}

Test(settings, an_exact_leak_report_looks_at_every_block) {
    proxy_settings_t s;
    lines_t lines;
    cr_expect_eq(parse(&s, "leak=exact;prof.sample=64k", &lines), 1);
    cr_expect_eq(s.prof.sample, 1);
    cr_expect_eq(s.prof.leak, PROXY_LEAK_EXACT);
}

Test(settings, a_bool_has_eight_words) {
    static const char *const yes[] = {"yes", "on", "true", "1", "YES", "True"};
    static const char *const no[] = {"no", "off", "false", "0", "No"};
    char text[64];
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++) {
        snprintf(text, sizeof text, "slab.keep.all=%s", yes[i]);
        cr_expect(good(text).slab.keep_all, "%s", text);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++) {
        snprintf(text, sizeof text, "slab.keep.all=%s", no[i]);
        cr_expect_not(good(text).slab.keep_all, "%s", text);
    }
}

Test(settings, sizes_and_times_take_suffixes) {
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"0", 0},
        {"222", 222},
        {"00222", 222},
        {"64k", 65536},
        {"64K", 65536},
        {"64kB", 65536},
        {"64KiB", 65536},
        {"64kib", 65536},
        {"64B", 64},
        {"3M", 3u << 20},
        {"3MiB", 3u << 20},
        {"2G", UINT64_C(2) << 30},
        {"1024G", UINT64_C(1) << 40},
        {"1T", UINT64_C(1) << 40},
        {"1TiB", UINT64_C(1) << 40},
    };
    static const struct {
        const char *text;
        uint64_t msec;
    } times[] = {{"0", 0},     {"7", 7},           {"7ms", 7},
                 {"3s", 3000}, {"3600s", 3600000}, {"3600000", 3600000}};
    char text[64];
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        snprintf(text, sizeof text, "size.threshold=%s", sizes[i].text);
        cr_expect_eq(good(text).choice.size_threshold, sizes[i].bytes, "%s", text);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        snprintf(text, sizeof text, "slab.purge.delay=%s", times[i].text);
        cr_expect_eq(good(text).slab.purge_delay_ms, times[i].msec, "%s", text);
    }
    cr_expect_eq(good("slab.chunk.size=4M").slab.chunk_size, 4u << 20);
}

Test(settings, lists_keep_their_order) {
    proxy_settings_t s =
        good("os.numa.mode=interleave;os.numa.nodes=5,0-3,1023;os.numa.part.size=2M");
    static const unsigned nodes[] = {5, 0, 1, 2, 3, 1023};
    cr_assert_eq(s.os.numa_nodes.count, ARRAY_LENGTH(nodes));
    cr_expect_arr_eq(s.os.numa_nodes.node, nodes, sizeof nodes);
    cr_expect_eq(s.os.numa_part_size, 2u << 20);

    s = good("os.numa.mode=split;os.numa.nodes=0,1;os.numa.partitions=0:1,1:4294967295,0:3");
    cr_assert_eq(s.os.numa_partitions.count, 3);
    cr_expect_eq(s.os.numa_partitions.part[1].node, 1);
    cr_expect_eq(s.os.numa_partitions.part[1].weight, UINT32_MAX);
    cr_expect_eq(s.os.numa_partitions.part[2].node, 0);
    cr_expect_eq(s.os.numa_partitions.part[2].weight, 3);

    s = good("os.numa.mode=bind;os.numa.nodes=0-255");
    cr_expect_eq(s.os.numa_nodes.count, SETTINGS_LIST_MAX);
    cr_expect_eq(s.os.numa_nodes.node[255], 255);
}

Test(settings, white_space_and_empty_entries_do_not_matter) {
    proxy_settings_t s =
        good("  ;\n\tpool =  proxy ;; size.threshold\t=\t64 ;\n\n os.page.size = 1G;");
    cr_expect_eq(s.choice.pool, PROXY_POOL_PROXY);
    cr_expect_eq(s.choice.size_threshold, 64);
    cr_expect_eq(s.os.page_size, PROXY_PAGE_1G);
}

Test(settings, a_log_text_is_rewritten_for_the_logger) {
    static const char *const cases[][2] = {
        {"log=output:stderr", "output:stderr"},
        {"log=level:debug,output:stdout", "level:debug;output:stdout"},
        {"log=level:debug , pid:yes", "level:debug;pid:yes;output:stderr"},
        {"log=output:file,/tmp/a b.log,level:info,flush:debug",
         "output:file,/tmp/a b.log;level:info;flush:debug"},
        {"log=timestamp:no,output:file,x=y", "timestamp:no;output:file,x=y"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        cr_expect_str_eq(good(cases[i][0]).report.log, cases[i][1]);
    }
}

Test(settings, on_error_decides_for_settings_and_frees) {
    proxy_settings_t s = good("");
    cr_expect_not(proxy_settings_abort_on_wrong_setting(&s));
    cr_expect(proxy_settings_abort_on_bad_free(&s));
    s = good("on.error=default");
    cr_expect_not(proxy_settings_abort_on_wrong_setting(&s));
    cr_expect(proxy_settings_abort_on_bad_free(&s));
    s = good("on.error=warn");
    cr_expect_not(proxy_settings_abort_on_wrong_setting(&s));
    cr_expect_not(proxy_settings_abort_on_bad_free(&s));
    s = good("on.error=abort");
    cr_expect(proxy_settings_abort_on_wrong_setting(&s));
    cr_expect(proxy_settings_abort_on_bad_free(&s));
}

/* Each is one bad entry: one line that contains `part`, and nothing is changed. */
static const struct bad {
    const char *text, *part;
} bad[] = {
    /* keys */
    {"page.dispositon=private",
     "unknown key \"page.dispositon\" (did you mean \"page.disposition\"? "
     "UMF_PROXY=help lists all)"},
    {"Pool=slab", "did you mean \"pool\""},
    {"pol=slab", "did you mean \"pool\""},
    {"stat=exit", "did you mean \"stats\""},
    {"slab.keepall=yes", "did you mean \"slab.keep.all\""},
    {"on_error=abort", "did you mean \"on.error\""},
    {"os.pagesize=2M", "did you mean \"os.page.size\""},
    {"threshold=64", "unknown key \"threshold\" (UMF_PROXY=help lists all)"},
    {"xyz=1", "unknown key \"xyz\" (UMF_PROXY=help"},
    {"xpage.disposition=shared-fdfoo", "unknown key \"xpage.disposition\""},
    {"page disposition=private", "unknown key \"page disposition\""},
    {"hlep", "unknown key \"hlep\" (did you mean \"help\"? UMF_PROXY=help lists all)"},
    {"szie.treshold=1", "did you mean \"size.threshold\""},
    {"szei.treshold=1", "unknown key \"szei.treshold\" (UMF_PROXY=help lists all)"},
    {"halp", "did you mean \"help\""},
    {"abcd", "\"abcd\" is not key=value"},
    {"pool:proxy", "\"pool:proxy\" is not key=value"},
    {"?", "\"?\" is not key=value"},
    {"=", "\"=\" has no key"},
    {"=64", "\"=64\" has no key"},
    {" = slab", "\"= slab\" has no key"},
    {"\x01=1", "unknown key \"?\""},
    {"\xc3\xa4=1", "unknown key \"\xc3\xa4\""},
    {"help=1", "help takes no value; write help alone"},
    {"help=", "help takes no value"},
    /* words */
    {"page.disposition=shared", "page.disposition=shared: not allowed; use one of private, "
                                "shared-shm, shared-fd"},
    {"page.disposition=shared-fdfoo", "shared-fdfoo: not allowed"},
    {"page.disposition=", "page.disposition=: not allowed; use one of"},
    {"page.disposition", "page.disposition has no value; use one of"},
    {"pool", "pool has no value; use one of slab, scalable, jemalloc, disjoint, proxy"},
    {"pool=", "pool=: not allowed; use one of slab, scalable, jemalloc, disjoint, proxy"},
    {"pool=slab,stats=exit", "pool=slab,stats=exit: not allowed"},
    {"pool=slab=proxy", "pool=slab=proxy: not allowed"},
    {"pool=slab|proxy", "pool=slab|proxy: not allowed"},
    {"pool=\"slab\"", "not allowed"},
    {"os.page.size=3M", "os.page.size=3M: not allowed; use one of default, transparent, 2M, 1G"},
    {"os.page.size=2MiB", "os.page.size=2MiB: not allowed"},
    {"prof.format=svg", "use one of pprof, proto, collapsed"},
    {"on.error=exit", "use one of default, warn, abort"},
    {"slab.keep.all=maybe", "slab.keep.all=maybe: not allowed; use yes or no"},
    {"slab.keep.all=", "use yes or no"},
    {"slab.keep.all", "slab.keep.all has no value; use yes or no"},
    {"os.page.strict=2", "os.page.strict=2: not allowed; use yes or no"},
    {"os.numa.mode=bnd", "use one of default, bind, interleave, preferred, split, local"},
    /* sizes and times */
    {"size.threshold=12q",
     "size.threshold=12q: not a size; use a number with k, M, G or T, from 0 to 1T"},
    {"size.threshold=", "not a size"},
    {"size.threshold", "size.threshold has no value; use a number with"},
    {"size.threshold=abc", "not a size"},
    {"size.threshold=k", "not a size"},
    {"size.threshold=-1", "size.threshold=-1: not a size"},
    {"size.threshold=+1", "not a size"},
    {"size.threshold=1.5M", "not a size"},
    {"size.threshold=0x40", "not a size"},
    {"size.threshold=64 k", "not a size"},
    {"size.threshold=64kk", "not a size"},
    {"size.threshold=64kiBs", "not a size"},
    {"size.threshold=64iB", "not a size"},
    {"size.threshold=2T",
     "size.threshold=2T: out of range; use a number with k, M, G or T, from 0 to 1T"},
    {"size.threshold=99999999999999999999", "out of range"},
    {"size.threshold=99999999999999999999q", "not a size"},
    {"size.threshold=18446744073709551616k", "out of range"},
    {"size.threshold=18014398509481984T", "out of range"},
    {"slab.purge.delay=1h",
     "slab.purge.delay=1h: not a time; use a number with ms or s, from 0 to 3600s"},
    {"slab.purge.delay=never", "not a time"},
    {"slab.purge.delay=3601s", "out of range"},
    {"slab.purge.delay=10us", "not a time"},
    {"slab.chunk.size=2G", "out of range"},
    {"slab.chunk.size=100k", "slab.chunk.size: 102400 bytes is not a multiple of 64k"},
    {"os.numa.part.size=-1;os.numa.mode=default", "os.numa.part.size=-1: not a size"},
    /* lists */
    {"os.numa.nodes=",
     "os.numa.nodes=: not a list of nodes; use up to 256 numbers from 0 to 1023, as in 0-3,5"},
    {"os.numa.nodes=a", "not a list of nodes"},
    {"os.numa.nodes=0,", "not a list of nodes"},
    {"os.numa.nodes=,0", "not a list of nodes"},
    {"os.numa.nodes=0-", "not a list of nodes"},
    {"os.numa.nodes=3-0", "not a list of nodes"},
    {"os.numa.nodes=0-1-2", "not a list of nodes"},
    {"os.numa.nodes=0 1", "not a list of nodes"},
    {"os.numa.nodes=1024", "out of range"},
    {"os.numa.nodes=0-99999999999999999999", "out of range"},
    {"os.numa.nodes=0-3,2", "a node is listed twice"},
    {"os.numa.nodes=0-256", "too long"},
    {"os.numa.mode=bind;os.numa.nodes=x", "os.numa.nodes=x: not a list of nodes"},
    {"os.numa.partitions=0", "not a list of weights"},
    {"os.numa.partitions=0:", "not a list of weights"},
    {"os.numa.partitions=:1", "not a list of weights"},
    {"os.numa.partitions=0:1:2", "not a list of weights"},
    {"os.numa.partitions=0:1,", "not a list of weights"},
    {"os.numa.partitions=0:0", "out of range"},
    {"os.numa.partitions=0:4294967296", "out of range"},
    {"os.numa.partitions=1024:1", "out of range"},
    /* what does not fit together */
    {"os.numa.mode=bind", "os.numa.mode=bind: not allowed without nodes; add os.numa.nodes"},
    {"memspace=fastest", "memspace=fastest: not allowed; use one of none, host_all"},
    {"os.numa.mode=interleave;os.numa.part.size=2M",
     "os.numa.mode=interleave: not allowed without nodes"},
    {"os.numa.mode=split;os.numa.partitions=0:1", "os.numa.mode=split: not allowed without nodes"},
    {"os.numa.nodes=0", "os.numa.nodes: not allowed with os.numa.mode=default"},
    {"os.numa.nodes=0;os.numa.mode=bnd", "os.numa.mode=bnd: not allowed; use one of"},
    {"os.numa.part.size=4k",
     "os.numa.part.size: not allowed here; use it with os.numa.mode=interleave"},
    {"os.numa.partitions=0:1",
     "os.numa.partitions: not allowed here; use it with os.numa.mode=split"},
    {"os.page.strict=yes", "os.page.strict=yes: not allowed here"},
    {"os.page.strict=yes;os.page.size=3M", "os.page.size=3M: not allowed"},
    {"os.shm.name=heap", "os.shm.name: not allowed here; use it with page.disposition=shared-shm"},
    {"os.shm.name=", "os.shm.name=: empty; use 1 to 127 characters"},
    {"os.protection=none", "os.protection=none: not allowed; use rw or rwx"},
    /* providers and pools */
    {"provider=disk", "provider=disk: not allowed; use one of os, file, devdax, fixed"},
    {"provider", "provider has no value; use one of os, file"},
    {"provider=file", "provider=file: not allowed without file.path; add it, as in file.path="},
    {"provider=devdax", "provider=devdax: not allowed without devdax.path"},
    {"provider=devdax;devdax.size=1G", "provider=devdax: not allowed without devdax.path"},
    {"provider=fixed", "provider=fixed: not allowed without fixed.size of 4M or more"},
    {"provider=fixed;fixed.size=1M", "provider=fixed: not allowed without fixed.size of 4M"},
    {"provider=fixed;fixed.size=big", "fixed.size=big: not a size"},
    {"provider=file;file.path=", "file.path=: empty; use 1 to 1023 characters"},
    {"file.path=/tmp/x", "file.path: not allowed here; use it with provider=file"},
    {"file.visibility=private", "file.visibility: not allowed here; use it with provider=file"},
    {"file.visibility=public", "file.visibility=public: not allowed; use shared or private"},
    {"file.protection=r", "file.protection=r: not allowed; use rw or rwx"},
    {"devdax.path=/dev/dax0.0", "devdax.path: not allowed here; use it with provider=devdax"},
    {"devdax.size=1G", "devdax.size: not allowed here; use it with provider=devdax"},
    {"devdax.size=all", "devdax.size=all: not a size"},
    {"fixed.size=1G", "fixed.size: not allowed here; use it with provider=fixed"},
    {"scalable.granularity=1k",
     "scalable.granularity=1k: out of range; use a number with k, M, G or T, from 4k to 1G"},
    {"scalable.granularity=4M",
     "scalable.granularity: not allowed here; use it with pool=scalable"},
    {"scalable.keep.all=yes", "scalable.keep.all: not allowed here; use it with pool=scalable"},
    {"scalable.keep.all=y", "scalable.keep.all=y: not allowed; use yes or no"},
    {"jemalloc.arenas=4", "jemalloc.arenas: not allowed here; use it with pool=jemalloc"},
    {"jemalloc.arenas=many", "jemalloc.arenas=many: not a number; use a number from 0 to 4095"},
    {"jemalloc.arenas=5000", "jemalloc.arenas=5000: out of range; use a number from 0 to 4095"},
    {"disjoint.capacity=5", "disjoint.capacity: not allowed here; use it with pool=disjoint"},
    {"disjoint.capacity=-4", "disjoint.capacity=-4: not a number"},
    {"disjoint.trace=4", "disjoint.trace=4: out of range; use a number from 0 to 3"},
    {"disjoint.limit=1.5G", "disjoint.limit=1.5G: not a size"},
    {"disjoint.slab.min.size=1k", "disjoint.slab.min.size=1k: out of range"},
    {"disjoint.max.poolable.size=3G", "disjoint.max.poolable.size=3G: out of range"},
    {"disjoint.min.bucket.size=4", "disjoint.min.bucket.size=4: out of range"},
    {"on.exhausted=retry", "on.exhausted=retry: not allowed; use one of fallback, null, abort"},
    {"only=", "only=: empty; use 1 to 511 characters"},
    {"except=", "except=: empty; use 1 to 511 characters"},
    {"excpt=bash", "did you mean \"except\"?"},
    {"pool.name=", "pool.name=: empty; use 1 to 63 characters"},
    {"provider.name=", "provider.name=: empty; use 1 to 63 characters"},
    /* log */
    {"log=", "log=: empty; use 1 to 511 characters"},
    {"log=debug", "log: \"debug\": not allowed; use output:stderr, stdout or file,PATH, level:"},
    {"log=level:loud", "log: \"level:loud\": not allowed"},
    {"log=levle:debug,output:stderr", "log: \"levle:debug\": not allowed"},
    {"log=output:file", "log: \"output:file\": not allowed"},
    {"log=output:file,", "log: \"output:file\": not allowed"},
    {"log=output:printer", "log: \"output:printer\": not allowed"},
    {"log=level:debug,", "log: \"\": not allowed"},
    {"log=level:debug:output:stderr", "not allowed"},
};

Test(settings, each_bad_entry_gives_one_line_and_changes_nothing) {
    proxy_settings_t defaults = good("");
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        proxy_settings_t s;
        lines_t lines;
        parse(&s, bad[i].text, &lines);
        cr_expect_eq(lines.count, 1, "\"%s\" gave %u lines, last: %s", bad[i].text, lines.count,
                     lines.last);
        cr_expect_not_null(strstr(lines.last, bad[i].part), "\"%s\" gave: %s\n  instead of: %s",
                           bad[i].text, lines.last, bad[i].part);
        expect_equal(&s, &defaults, bad[i].text);
    }
}

Test(settings, other_entries_count_beside_a_bad_one) {
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char text[256];
        proxy_settings_t s;
        lines_t lines;
        snprintf(text, sizeof text, "stats=exit;%s;on.error=warn", bad[i].text);
        parse(&s, text, &lines);
        /* A bad value for one of the two keys is the second value then, and the good one stays. */
        cr_expect_eq(lines.count, 1, "\"%s\" gave %u lines, last: %s", text, lines.count,
                     lines.last);
        cr_expect_str_eq(s.stats.when, "exit", "%s", text);
        cr_expect_eq(s.report.on_error, PROXY_ON_ERROR_WARN, "%s", text);
    }
}

Test(settings, a_key_of_another_pool_or_provider_is_reported_and_dropped) {
    static const char *const cases[][2] = {
        {"pool=disjoint;disjoint.min.bucket.size=24",
         "disjoint.min.bucket.size: 24 is not a power of two; use one, as in 16"},
        {"pool=proxy;slab.keep.all=yes", "slab.keep.all: not allowed here; use it with pool=slab"},
        {"pool=scalable;slab.chunk.size=1M", "slab.chunk.size: not allowed here"},
        {"provider=file;file.path=x;os.page.size=2M",
         "os.page.size: not allowed here; use it with provider=os"},
        {"provider=file;file.path=x;page.disposition=shared-fd",
         "page.disposition: not allowed here; use it with provider=os"},
        {"provider=fixed;fixed.size=1G;os.numa.mode=local", "os.numa.mode: not allowed here"},
        {"provider=fixed;fixed.size=1G;memspace=host_all", "memspace: not allowed here"},
        {"memspace=lowest_latency;os.numa.mode=local",
         "memspace=lowest_latency: not allowed with os.numa.mode; use it with "
         "os.numa.mode=default"},
        {"memspace=host_all;page.disposition=shared-fd",
         "memspace=host_all: not allowed with shared memory; use it with "
         "page.disposition=private"},
        {"page.disposition=shared-shm;os.shm.name=a/b", "os.shm.name: a slash is not allowed"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        proxy_settings_t s;
        lines_t lines;
        cr_expect_eq(parse(&s, cases[i][0], &lines), 1, "%s: %s", cases[i][0], lines.last);
        cr_expect_not_null(strstr(lines.last, cases[i][1]), "%s: %s", cases[i][0], lines.last);
    }
}

Test(settings, keys_of_the_chosen_pool_and_provider_are_taken) {
    proxy_settings_t s = good("pool=scalable;scalable.granularity=4M;scalable.keep.all=yes");
    cr_expect(s.choice.pool == PROXY_POOL_SCALABLE && s.scalable.granularity == 4u << 20 &&
              s.scalable.keep_all);
    s = good("pool=jemalloc;jemalloc.arenas=3");
    cr_expect(s.choice.pool == PROXY_POOL_JEMALLOC && s.jemalloc.arenas == 3);
    s = good("pool=disjoint;disjoint.slab.min.size=1M;disjoint.max.poolable.size=4M;"
             "disjoint.capacity=7;disjoint.min.bucket.size=64;disjoint.limit=1G;disjoint.trace=1");
    cr_expect(s.disjoint.slab_min_size == 1u << 20 && s.disjoint.max_poolable_size == 4u << 20);
    cr_expect(s.disjoint.capacity == 7 && s.disjoint.min_bucket_size == 64);
    cr_expect(s.disjoint.limit == 1u << 30 && s.disjoint.trace == 1);
    s = good("provider=file;file.path=/mnt/x;file.visibility=private;file.protection=rwx");
    cr_expect(s.choice.provider == PROXY_PROVIDER_FILE &&
              s.file.visibility == PROXY_VISIBILITY_PRIVATE &&
              s.file.protection == PROXY_PROTECTION_RWX);
    cr_expect_str_eq(s.file.path, "/mnt/x");
    s = good("provider=devdax;devdax.path=/dev/dax1.0;devdax.size=2G;devdax.protection=rw");
    cr_expect(s.choice.provider == PROXY_PROVIDER_DEVDAX && s.devdax.size == UINT64_C(2) << 30);
    s = good("provider=fixed;fixed.size=64M");
    cr_expect(s.choice.provider == PROXY_PROVIDER_FIXED && s.fixed.size == 64u << 20);
    s = good("pool.name=heap;provider.name=mem;on.exhausted=null;only=a,b*;except=c");
    cr_expect_str_eq(s.choice.pool_name, "heap");
    cr_expect_str_eq(s.choice.provider_name, "mem");
    cr_expect_str_eq(s.choice.only, "a,b*");
    cr_expect_str_eq(s.choice.except, "c");
    cr_expect_eq(s.choice.on_exhausted, PROXY_ON_EXHAUSTED_NULL);
    s = good("page.disposition=shared-shm;os.shm.name=heap-%p;os.protection=rwx");
    cr_expect_str_eq(s.os.shm_name, "heap-%p");
    cr_expect_eq(s.os.protection, PROXY_PROTECTION_RWX);
}

Test(settings, three_bad_entries_give_three_lines) {
    proxy_settings_t s;
    lines_t lines;
    cr_expect_eq(parse(&s, "poool=slab;size.threshold=222;abcd;stats=never", &lines), 3);
    cr_expect_eq(s.choice.size_threshold, 222);
}

Test(settings, the_last_good_value_of_a_repeated_key_counts) {
    proxy_settings_t s;
    lines_t lines;
    cr_expect_eq(parse(&s, "size.threshold=1;size.threshold=2", &lines), 1);
    cr_expect_str_eq(lines.last,
                     "UMF_PROXY: size.threshold is given more than once; the last one counts");
    cr_expect_eq(s.choice.size_threshold, 2);
    cr_expect_eq(parse(&s, "size.threshold=1;size.threshold=x", &lines), 1);
    cr_expect_eq(s.choice.size_threshold, 1);
    cr_expect_eq(parse(&s, "size.threshold=x;size.threshold=1", &lines), 1);
    cr_expect_eq(s.choice.size_threshold, 1);
}

Test(settings, what_does_not_fit_is_dropped_and_the_rest_stays) {
    proxy_settings_t s;
    lines_t lines;
    cr_expect_eq(parse(&s, "page.disposition=shared-fd;os.numa.mode=bind;os.numa.nodes=0", &lines),
                 1);
    cr_expect_not_null(strstr(lines.last, "os.numa.mode=bind: not allowed with shared memory"));
    cr_expect_eq(s.os.disposition, PROXY_DISPOSITION_SHARED_FD);
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_DEFAULT);
    cr_expect_eq(s.os.numa_nodes.count, 0);

    cr_expect_eq(parse(&s, "os.numa.mode=local;os.numa.nodes=0", &lines), 1);
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_LOCAL);
    cr_expect_eq(s.os.numa_nodes.count, 0);

    cr_expect_eq(
        parse(&s, "os.numa.mode=split;os.numa.nodes=0;os.numa.partitions=0:1,3:1,4:1", &lines), 1);
    cr_expect_not_null(strstr(lines.last, "node 3 is not in os.numa.nodes"));
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_SPLIT);
    cr_expect_eq(s.os.numa_nodes.count, 1);
    cr_expect_eq(s.os.numa_partitions.count, 0);
}

Test(settings, a_later_text_goes_on_top_of_an_earlier_one) {
    proxy_settings_t s = good("log=level:debug;os.numa.mode=bind;os.numa.nodes=1");
    lines_t lines = {0};
    settings_sink_t sink = {take_line, &lines};
    cr_expect_eq(proxy_settings_parse_to(&s, "os.numa.nodes=0,2;pool=proxy", &sink), 0);
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_BIND);
    cr_expect_eq(s.os.numa_nodes.count, 2);
    cr_expect_eq(s.choice.pool, PROXY_POOL_PROXY);
    cr_expect_str_eq(s.report.log, "level:debug;output:stderr");

    cr_expect_eq(proxy_settings_parse_to(&s, "os.numa.mode=bnd", &sink), 1);
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_BIND, "a wrong value leaves the earlier one");
    cr_expect_eq(s.os.numa_nodes.count, 2);
}

Test(settings, a_wrong_value_after_a_good_one_leaves_the_good_one) {
    proxy_settings_t s;
    lines_t lines;
    cr_expect_eq(
        parse(&s, "os.numa.mode=bind;os.numa.nodes=1;os.numa.mode=x;os.numa.nodes=x", &lines), 2);
    cr_expect_eq(s.os.numa_mode, PROXY_NUMA_BIND);
    cr_expect_eq(s.os.numa_nodes.count, 1);
}

/* ---- size ---- */

Test(settings, huge_input_is_cut_in_the_message) {
    enum { HUGE_BYTES = 1 << 20 };
    static const char *const heads[] = {
        "", "=", "pool=", "log=", "size.threshold=", "os.numa.nodes="};
    char *text = malloc(HUGE_BYTES + 64);
    cr_assert_not_null(text);
    for (size_t i = 0; i < ARRAY_LENGTH(heads); i++) {
        proxy_settings_t s;
        lines_t lines;
        int head = sprintf(text, "%s", heads[i]);
        memset(text + head, i == 4 || i == 5 ? '9' : 'x', HUGE_BYTES);
        text[head + HUGE_BYTES] = '\0';
        parse(&s, text, &lines);
        cr_expect_eq(lines.count, 1, "%s…", heads[i]);
        cr_expect_not_null(strstr(lines.last, "\xe2\x80\xa6"), "%s", lines.last);
    }
    free(text);
}

Test(settings, a_cut_message_ends_with_a_whole_character) {
    char text[256] = "pool=";
    for (size_t shift = 0; shift < 3; shift++) {
        proxy_settings_t s;
        lines_t lines;
        size_t at = 5;
        memset(text + at, 'x', shift);
        for (at += shift; at + 2 < 200; at += 2) {
            memcpy(text + at, "\xc3\xa4", 2);
        }
        text[at] = '\0';
        cr_expect_eq(parse(&s, text, &lines), 1);
        const char *mark = strstr(lines.last, "\xe2\x80\xa6");
        cr_assert_not_null(mark);
        cr_expect(mark[-1] == '\xa4', "cut inside a character: %s", lines.last);
    }
}

Test(settings, a_log_text_fits_or_is_refused) {
    char text[1024] = "log=output:file,";
    size_t head = strlen(text);
    for (size_t length = 440; length < 540; length++) {
        proxy_settings_t s;
        lines_t lines;
        memset(text + head, 'p', length);
        text[head + length] = '\0';
        parse(&s, text, &lines);
        cr_expect_eq(lines.count, strlen(text) - 4 >= PROXY_LOG_BYTES ? 1 : 0, "%zu", length);
        cr_expect_eq(strlen(s.report.log), lines.count != 0 ? 0 : strlen(text) - 4);
    }
}

/* ---- any text ---- */

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Half of it bytes, half of it pieces of the grammar. */
static void random_text(char *text, size_t room, uint64_t *state) {
    static const char *const pieces[] = {
        ";",
        "=",
        ",",
        ":",
        "-",
        " ",
        "pool",
        "slab",
        "size.threshold",
        "64k",
        "os.numa.mode",
        "memspace",
        "highest_capacity",
        "bind",
        "os.numa.nodes",
        "0-3,5",
        "os.numa.partitions",
        "0:2,1:1",
        "split",
        "interleave",
        "log",
        "output:file",
        "level:debug",
        "page.disposition",
        "shared-fd",
        "help",
        "99999999999999999999",
        "os.page.size",
        "2M",
        "os.page.strict",
        "yes",
        "slab.purge.delay",
        "10s",
        "os.numa.part.size",
        "slab.chunk.size",
        "on.error",
        "abort",
    };
    size_t used = 0, length = next_random(state) % room;
    while (used < length) {
        uint64_t r = next_random(state);
        if (r % 4 == 0) {
            text[used++] = (char)(1 + (r >> 8) % 255);
            continue;
        }
        const char *piece = pieces[(r >> 8) % ARRAY_LENGTH(pieces)];
        size_t bytes = strlen(piece);
        if (used + bytes >= room) {
            break;
        }
        memcpy(text + used, piece, bytes);
        used += bytes;
    }
    text[used] = '\0';
}

Test(settings, any_text_is_safe_and_leaves_usable_settings) {
    uint64_t state = 0x9e3779b97f4a7c15;
    for (unsigned round = 0; round < FUZZ_ROUNDS; round++) {
        char source[300];
        proxy_settings_t s;
        lines_t lines;
        random_text(source, sizeof source, &state);
        char *text = strdup(source); /* its end is where a sanitizer looks */
        parse(&s, text, &lines);
        free(text);
        bool takes_nodes =
            s.os.numa_mode != PROXY_NUMA_DEFAULT && s.os.numa_mode != PROXY_NUMA_LOCAL;
        cr_assert(s.os.disposition == PROXY_DISPOSITION_PRIVATE ||
                  s.os.numa_mode == PROXY_NUMA_DEFAULT);
        cr_assert(s.os.memspace == PROXY_MEMSPACE_NONE ||
                  (s.os.numa_mode == PROXY_NUMA_DEFAULT &&
                   s.os.disposition == PROXY_DISPOSITION_PRIVATE));
        cr_assert(takes_nodes || s.os.numa_nodes.count == 0);
        cr_assert(!takes_nodes || s.os.numa_mode == PROXY_NUMA_PREFERRED ||
                  s.os.numa_nodes.count > 0);
        cr_assert(s.os.numa_part_size == 0 || s.os.numa_mode == PROXY_NUMA_INTERLEAVE);
        cr_assert(s.os.numa_partitions.count == 0 || s.os.numa_mode == PROXY_NUMA_SPLIT);
        cr_assert(s.choice.size_threshold <= UINT64_C(1) << 40);
        cr_assert(memchr(s.report.log, '\0', sizeof s.report.log) != NULL);
    }
}

/* ---- help and reference page ---- */

/* What `print` writes, in a buffer of OUTPUT_BYTES that the caller frees. */
static char *printed(void (*print)(int fd)) {
    char *output = calloc(1, OUTPUT_BYTES);
    FILE *file = tmpfile();
    cr_assert(output != NULL && file != NULL);
    print(fileno(file));
    rewind(file);
    size_t bytes = fread(output, 1, OUTPUT_BYTES, file);
    cr_assert(bytes > 0 && bytes < OUTPUT_BYTES);
    fclose(file);
    return output;
}

Test(settings, help_shows_every_key_within_100_columns) {
    char *help = printed(proxy_settings_help);
    const settings_key_t *key;
    unsigned entries = 0, keys = 0;
    for (; (key = settings_key_at(proxy_settings_table(), keys)) != NULL; keys++) {
        char entry[64];
        snprintf(entry, sizeof entry, "\n  %s%s", key->name,
                 key->type == SETTINGS_WORD ? "\n" : " ="); // a long value is on the next line
        cr_expect_not_null(strstr(help, entry), "%s", key->name);
    }
    for (char *line = help, *end; *line != '\0'; line = end + 1) {
        end = strchr(line, '\n');
        cr_assert_not_null(end);
        cr_expect(end - line <= 100, "%td columns: %.*s", end - line, (int)(end - line), line);
        entries += line[0] == ' ' && line[1] == ' ' && line[2] != ' ';
    }
    cr_expect(entries == keys && keys >= 16, "%u entries for %u keys", entries, keys);
    free(help);
}

Test(settings, no_two_rows_have_one_name_or_one_field) {
    const settings_key_t *a, *b;
    for (unsigned i = 0; (a = settings_key_at(proxy_settings_table(), i)) != NULL; i++) {
        for (unsigned k = 0; k < i; k++) {
            b = settings_key_at(proxy_settings_table(), k);
            cr_expect_str_neq(a->name, b->name);
            cr_expect_neq(a->offset, b->offset, "%s and %s", a->name, b->name);
        }
    }
}

Test(settings, in_a_file_lines_are_entries_and_hashes_comments) {
    static const char text[] = "# a comment; pool=bogus\n\n  pool = proxy \n"
                               "size.threshold=64; os.page.size=2M\r\n#\nstats=exit";
    proxy_settings_t s;
    lines_t lines = {0};
    settings_sink_t sink = {take_line, &lines};
    settings_run_t run = {.table = proxy_settings_table(), .out = &s, .sink = &sink};
    proxy_settings_defaults(&s);
    settings_parse_file(&run, text, "FILE");
    cr_expect_eq(lines.count, 0, "%s", lines.last);
    cr_expect_eq(s.choice.pool, PROXY_POOL_PROXY);
    cr_expect_eq(s.choice.size_threshold, 64);
    cr_expect_eq(s.os.page_size, PROXY_PAGE_2M);
    cr_expect_str_eq(s.stats.when, "exit");
    settings_parse(&run, "size.threshold=65"); /* the later text counts, and may repeat a key */
    cr_expect_eq(lines.count, 0, "%s", lines.last);
    cr_expect_eq(s.choice.size_threshold, 65);
}

static void take_any_line(void *context, const char *text) {
    lines_t *lines = context;
    lines->count++;
    snprintf(lines->last, sizeof lines->last, "%s", text);
}

Test(settings, a_mistake_in_a_file_is_told_with_its_line) {
    proxy_settings_t s;
    lines_t lines = {0};
    settings_sink_t sink = {take_any_line, &lines};
    settings_run_t run = {.table = proxy_settings_table(), .out = &s, .sink = &sink};
    proxy_settings_defaults(&s);
    settings_parse_file(&run, "pool=slab\n#\n\nleak=often # no\n", "FILE x");
    cr_expect_eq(lines.count, 1);
    cr_expect_str_eq(lines.last,
                     "FILE x line 4: leak=often # no: not allowed; use one of off, sampled, exact");
}

/* What help says is the default is taken as a value, and changes nothing. */
Test(settings, defaults_in_the_help_are_accepted) {
    char *help = printed(proxy_settings_help);
    proxy_settings_t defaults = good("");
    unsigned count = 0;
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char key[64], value[64], text[160];
        const char *start = strstr(line, "(default: ");
        if (start == NULL || sscanf(line, "  %63s =", key) != 1 ||
            sscanf(start, "(default: %63[^)])", value) != 1 || strcmp(value, "none") == 0) {
            continue;
        }
        snprintf(text, sizeof text, "%s=%s", key, value);
        proxy_settings_t s = good(text);
        expect_equal(&s, &defaults, text);
        count++;
    }
    cr_expect(count >= 12, "%u", count);
    free(help);
}

Test(settings, the_reference_page_is_up_to_date) {
    static const char path[] = UMF_SOURCE_DIR "/docs/settings.md";
    char *page = printed(proxy_settings_markdown), *there = calloc(1, OUTPUT_BYTES);
    bool update = getenv("UMF_UPDATE_DOCS") != NULL;
    FILE *file = fopen(path, update ? "w" : "r");
    if (file == NULL) {
        cr_skip_test("%s cannot be opened; run from the source tree or define UMF_SOURCE_DIR",
                     path);
    }
    cr_assert_not_null(there);
    if (update) {
        cr_assert_eq(fwrite(page, 1, strlen(page), file), strlen(page));
    } else {
        cr_assert(fread(there, 1, OUTPUT_BYTES - 1, file) > 0);
        cr_expect_str_eq(there, page, "%s is out of date: run this test with UMF_UPDATE_DOCS=1",
                         path);
    }
    cr_assert_eq(fclose(file), 0);
    free(page);
    free(there);
}

/* What settings_show() prints of every key, read again, is the same settings. */
Test(settings, shown_values_read_back_the_same) {
    static const char *const texts[] = {
        "",
        "size.threshold=3000;page.disposition=shared-fd;slab.chunk.size=192k",
        "os.numa.mode=interleave;os.numa.nodes=7,0-3,5,6;os.numa.part.size=1M",
        "os.numa.mode=split;os.numa.nodes=0-2;os.numa.partitions=0:2,1:1,0:4",
        "slab.purge.delay=3s;slab.keep.all=yes;os.page.size=2M",
    };
    for (size_t t = 0; t < ARRAY_LENGTH(texts); t++) {
        proxy_settings_t before = good(texts[t]), after;
        char text[8192] = "";
        size_t used = 0;
        const settings_key_t *key;
        for (unsigned i = 0; (key = settings_key_at(proxy_settings_table(), i)) != NULL; i++) {
            char value[1024];
            text_buffer_t out = text_buffer(value, sizeof(value));
            settings_show(key, &before, &out);
            bool empty = value[0] == '\0' || key->type == SETTINGS_WORD;
            if (!empty) {
                used +=
                    (size_t)snprintf(text + used, sizeof(text) - used, "%s=%s;", key->name, value);
            }
        }
        after = good(text);
        expect_equal(&before, &after, text);
    }
}

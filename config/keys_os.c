/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys os.* and page.*, and what of them does not fit together. */
#include "config/proxy_settings.h"

#include <string.h>

#define SETTINGS_STRUCT proxy_settings_t

enum { WORD_BYTES = 32 };

#define GIB (UINT64_C(1) << 30)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_ENUM("page.disposition", os.disposition, "private|shared-shm|shared-fd", "private", "Kind of memory; shared can be opened by other processes, by a name in /dev/shm or by a file descriptor."),
    KEY_STRING("os.shm.name", os.shm_name, "", "With page.disposition=shared-shm: name in /dev/shm; %p stands for the process number. By default umf_proxy_lib_shm_pid_%p."),
    KEY_ENUM("os.protection", os.protection, "rw|rwx", "rw", "What is allowed in the memory: reading and writing, or running code as well."),
    KEY_ENUM("os.page.size", os.page_size, "default|transparent|2M|1G", "default", "Page size to ask for; transparent lets the kernel use huge pages where it can."),
    KEY_BOOL("os.page.strict", os.page_strict, "no", "With 2M or 1G pages: fail when there are none, instead of using ordinary ones."),
    KEY_ENUM("memspace", os.memspace, "none|host_all|highest_capacity|highest_bandwidth|lowest_latency|local_bandwidth|local_latency", "none", "Memory of these NUMA nodes (docs/memspaces.md). highest and lowest bind to the best ones, local prefers for each page the best one for the CPU that touches it first."),
    KEY_ENUM("os.numa.mode", os.numa_mode, "default|bind|interleave|preferred|split|local", "default", "How memory is placed on NUMA nodes; default follows the process."),
    KEY_NODES("os.numa.nodes", os.numa_nodes, "Nodes for os.numa.mode: needed by bind, interleave and split, optional for preferred."),
    KEY_SIZE("os.numa.part.size", os.numa_part_size, 0, 1024 * GIB, "0", "With interleave: bytes on one node before the next; 0 is a page."),
    KEY_WEIGHTS("os.numa.partitions", os.numa_partitions, "With split: share of each node, as node:weight; by default all nodes get the same."),
};
/* clang-format on */

static void numa_reset(proxy_os_settings_t *os) {
    os->numa_mode = PROXY_NUMA_DEFAULT;
    os->numa_nodes.count = 0;
    os->numa_part_size = 0;
    os->numa_partitions.count = 0;
}

static bool nodes_contain(const settings_nodes_t *nodes, unsigned node) {
    for (unsigned i = 0; i < nodes->count; i++) {
        if (nodes->node[i] == node) {
            return true;
        }
    }
    return false;
}

/* Word of the mode in force, for messages. */
static const char *numa_mode_word(const settings_run_t *run, const proxy_os_settings_t *os,
                                  char *buffer) {
    settings_enum_word(settings_find(run->table, "os.numa.mode"), os->numa_mode, buffer,
                       WORD_BYTES);
    return buffer;
}

/* False when the mode cannot be used; what depends on it must go with it, silently. */
static bool check_numa_mode(settings_run_t *run, const proxy_os_settings_t *os) {
    char mode[WORD_BYTES];
    bool needs_nodes = os->numa_mode == PROXY_NUMA_BIND || os->numa_mode == PROXY_NUMA_INTERLEAVE ||
                       os->numa_mode == PROXY_NUMA_SPLIT;
    if (os->disposition != PROXY_DISPOSITION_PRIVATE && os->numa_mode != PROXY_NUMA_DEFAULT) {
        settings_complain(run,
                          "os.numa.mode=%s: not allowed with shared memory; "
                          "use it with page.disposition=private",
                          numa_mode_word(run, os, mode));
        return false;
    }
    if (needs_nodes && os->numa_nodes.count == 0) {
        if (!settings_was_wrong(run, "os.numa.nodes")) {
            settings_complain(run,
                              "os.numa.mode=%s: not allowed without nodes; "
                              "add os.numa.nodes, as in os.numa.nodes=0-3",
                              numa_mode_word(run, os, mode));
        }
        return false;
    }
    return true;
}

/*
 * The next three drop what the mode in force does not take; `quiet` when a wrong mode was
 * reported.
 */
static void check_numa_nodes(settings_run_t *run, proxy_os_settings_t *os, bool quiet) {
    char mode[WORD_BYTES];
    bool takes_nodes = os->numa_mode != PROXY_NUMA_DEFAULT && os->numa_mode != PROXY_NUMA_LOCAL;
    if (takes_nodes || os->numa_nodes.count == 0) {
        return;
    }
    if (!quiet) {
        settings_complain(run,
                          "os.numa.nodes: not allowed with os.numa.mode=%s; "
                          "use it with bind, interleave, preferred or split",
                          numa_mode_word(run, os, mode));
    }
    os->numa_nodes.count = 0;
}

static void check_numa_part_size(settings_run_t *run, proxy_os_settings_t *os, bool quiet) {
    if (os->numa_part_size == 0 || os->numa_mode == PROXY_NUMA_INTERLEAVE) {
        return;
    }
    if (!quiet) {
        settings_complain(
            run, "os.numa.part.size: not allowed here; use it with os.numa.mode=interleave");
    }
    os->numa_part_size = 0;
}

static void check_numa_partitions(settings_run_t *run, proxy_os_settings_t *os, bool quiet) {
    if (os->numa_partitions.count != 0 && os->numa_mode != PROXY_NUMA_SPLIT) {
        if (!quiet) {
            settings_complain(
                run, "os.numa.partitions: not allowed here; use it with os.numa.mode=split");
        }
        os->numa_partitions.count = 0;
    }
    for (unsigned i = 0; i < os->numa_partitions.count; i++) {
        unsigned node = os->numa_partitions.part[i].node;
        if (!nodes_contain(&os->numa_nodes, node)) {
            settings_complain(run,
                              "os.numa.partitions: node %u is not in os.numa.nodes; "
                              "use nodes from there",
                              node);
            os->numa_partitions.count = 0;
        }
    }
}

static void check_numa(settings_run_t *run, proxy_os_settings_t *os) {
    bool quiet = settings_was_wrong(run, "os.numa.mode");
    if (!check_numa_mode(run, os)) {
        numa_reset(os);
        return;
    }
    check_numa_nodes(run, os, quiet);
    check_numa_part_size(run, os, quiet);
    check_numa_partitions(run, os, quiet);
}

static void check_memspace(settings_run_t *run, proxy_os_settings_t *os) {
    char word[WORD_BYTES];
    if (os->memspace == PROXY_MEMSPACE_NONE) {
        return;
    }
    bool shared = os->disposition != PROXY_DISPOSITION_PRIVATE;
    if (!shared && os->numa_mode == PROXY_NUMA_DEFAULT) {
        return;
    }
    settings_enum_word(settings_find(run->table, "memspace"), os->memspace, word, WORD_BYTES);
    settings_complain(run, "memspace=%s: not allowed with %s; use it with %s", word,
                      shared ? "shared memory" : "os.numa.mode",
                      shared ? "page.disposition=private" : "os.numa.mode=default");
    os->memspace = PROXY_MEMSPACE_NONE;
}

static void check_pages(settings_run_t *run, proxy_os_settings_t *os) {
    if (!os->page_strict || os->page_size == PROXY_PAGE_2M || os->page_size == PROXY_PAGE_1G) {
        return;
    }
    if (!settings_was_wrong(run, "os.page.size")) {
        settings_complain(
            run, "os.page.strict=yes: not allowed here; use it with os.page.size=2M or 1G");
    }
    os->page_strict = false;
}

static void check_shm_name(settings_run_t *run, proxy_os_settings_t *os) {
    if (os->shm_name[0] == '\0') {
        return;
    }
    if (os->disposition != PROXY_DISPOSITION_SHARED_SHM) {
        settings_complain(run,
                          "os.shm.name: not allowed here; use it with page.disposition=shared-shm");
        os->shm_name[0] = '\0';
    } else if (strchr(os->shm_name, '/') != NULL) {
        settings_complain(run, "os.shm.name: a slash is not allowed; use a plain name, as in "
                               "heap-%%p");
        os->shm_name[0] = '\0';
    }
}

static void check(settings_run_t *run, void *out) {
    proxy_settings_t *s = out;
    bool met = s->choice.provider == PROXY_PROVIDER_OS, quiet = settings_was_wrong(run, "provider");
    settings_need(run, "os.", met, quiet, "provider=os");
    settings_need(run, "page.disposition", met, quiet, "provider=os");
    settings_need(run, "memspace", met, quiet, "provider=os");
    check_numa(run, &s->os);
    check_memspace(run, &s->os);
    check_pages(run, &s->os);
    check_shm_name(run, &s->os);
}

const settings_section_t proxy_keys_os = {
    .title = "Memory of the operating system",
    .about = "Pages, NUMA nodes and sharing of the memory that the system gives.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

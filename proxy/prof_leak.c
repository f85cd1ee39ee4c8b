/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Leak report: the blocks that are live at exit, by call stack, with names. Memory that the
 * program still could reach counts as well: whoever keeps a table to the end has to suppress it.
 */
#include "proxy/prof_leak.h"

#include <string.h>
#include <unistd.h>

#include "config/settings_text.h"
#include "proxy/prof_modules.h"

/* Does the pattern, with * for any text, match all of name? */
static bool pattern_matches(text_t pattern, const char *name) {
    const char *at = pattern.at, *end = pattern.at + pattern.bytes;
    const char *star = NULL, *retry = NULL;
    while (*name != '\0') {
        if (at < end && *at == '*') {
            star = ++at;
            retry = name;
        } else if (at < end && *at == *name) {
            at++;
            name++;
        } else if (star != NULL) {
            at = star;
            name = ++retry;
        } else {
            return false;
        }
    }
    while (at < end && *at == '*') {
        at++;
    }
    return at == end;
}

static bool symbol_suppressed(const prof_symbol_t *symbol, const char *patterns) {
    text_t rest = text_of(patterns);
    for (bool more = true; more;) {
        text_t pattern = text_trim(text_take(&rest, ',', &more));
        if (pattern.bytes != 0 &&
            (pattern_matches(pattern, symbol->module_name) ||
             (symbol->function != NULL && pattern_matches(pattern, symbol->function)))) {
            return true;
        }
    }
    return false;
}

static bool site_suppressed(const prof_modules_t *modules, const prof_site_t *site,
                            const char *patterns) {
    if (*patterns == '\0') {
        return false;
    }
    for (uint32_t f = 0; f < site->depth; f++) {
        prof_symbol_t symbol = prof_modules_symbol(modules, site->frame[f] - 1);
        if (symbol_suppressed(&symbol, patterns)) {
            return true;
        }
    }
    return false;
}

static void write_frame(prof_out_t *out, const prof_modules_t *modules, uint32_t number,
                        uintptr_t address) {
    prof_symbol_t symbol = prof_modules_symbol(modules, address - 1);
    prof_out_format(out, "umf:     #%-2u ", (unsigned)number);
    if (symbol.function != NULL) {
        prof_out_text(out, symbol.function);
        prof_out_format(out, "+0x%lx ", (unsigned long)symbol.function_offset);
    }
    prof_out_format(out, "(%s+0x%lx)\n", symbol.module_name, (unsigned long)symbol.module_offset);
}

static void write_site(prof_out_t *out, const prof_modules_t *modules, const prof_entry_t *entry,
                       bool exact) {
    unsigned long blocks = (unsigned long)prof_blocks(&entry->live);
    prof_out_format(out, "umf:   %lu bytes in %lu block%s%s, allocated at\n",
                    (unsigned long)entry->live.bytes, blocks, blocks == 1 ? "" : "s",
                    exact ? "" : " (estimated)");
    for (uint32_t f = 0; f < entry->site->depth; f++) {
        write_frame(out, modules, f, entry->site->frame[f]);
    }
    if (entry->site->depth == 0) {
        prof_out_text(out, "umf:     an unknown place\n");
    }
}

size_t prof_leak_write(prof_out_t *out, const prof_snapshot_t *snapshot,
                       const proxy_prof_settings_t *settings, uint64_t interval) {
    prof_modules_t modules;
    prof_modules_read(&modules);
    prof_sums_t sums = {0}, suppressed = {0};
    size_t stacks = 0, suppressed_stacks = 0;
    bool exact = interval <= 1;
    for (size_t i = 0; i < snapshot->count && snapshot->entry[i].live.samples != 0; i++) {
        const prof_entry_t *entry = &snapshot->entry[i];
        bool skip = site_suppressed(&modules, entry->site, settings->leak_suppress);
        prof_sums_t *to = skip ? &suppressed : &sums;
        to->count += entry->live.count;
        to->bytes += entry->live.bytes;
        suppressed_stacks += skip;
        stacks += !skip;
        if (!skip && stacks == 1) {
            prof_out_format(out, "umf: not freed at exit of process %d, by call stack:\n",
                            (int)getpid());
        }
        if (!skip && stacks <= settings->leak_top) {
            write_site(out, &modules, entry, exact);
        }
    }
    prof_out_format(out, "umf: %s%lu bytes in %lu blocks from %lu place%s not freed\n",
                    exact ? "" : "about ", (unsigned long)sums.bytes,
                    (unsigned long)prof_blocks(&sums), (unsigned long)stacks,
                    stacks == 1 ? "" : "s");
    if (suppressed_stacks != 0) {
        prof_out_format(out, "umf: suppressed: %lu bytes in %lu blocks from %lu places\n",
                        (unsigned long)suppressed.bytes, (unsigned long)prof_blocks(&suppressed),
                        (unsigned long)suppressed_stacks);
    }
    prof_modules_drop(&modules);
    return stacks;
}

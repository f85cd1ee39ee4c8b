/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Text profiles. In the pprof one, counts and bytes are estimates already: the word "heapprofile"
 * in its head tells readers not to scale them. The list of mappings at its end lets names be found
 * later, on any machine that has the same files.
 */
#include "proxy/prof_write.h"

static const prof_sums_t *live_of(const prof_entry_t *entry, bool peak) {
    return peak ? &entry->peak : &entry->live;
}

static void text_sums(prof_out_t *out, const prof_sums_t *live, const prof_sums_t *total) {
    prof_out_format(out, "%6lu: %8lu [%6lu: %8lu] @", (unsigned long)prof_blocks(live),
                    (unsigned long)live->bytes, (unsigned long)prof_blocks(total),
                    (unsigned long)total->bytes);
}

void prof_write_text(prof_out_t *out, const prof_snapshot_t *snapshot,
                     const prof_modules_t *modules, bool peak) {
    prof_out_text(out, "heap profile: ");
    text_sums(out, peak ? &snapshot->peak : &snapshot->live, &snapshot->total);
    prof_out_text(out, " heapprofile\n");
    for (size_t i = 0; i < snapshot->count; i++) {
        const prof_entry_t *entry = &snapshot->entry[i];
        text_sums(out, live_of(entry, peak), &entry->total);
        for (uint32_t f = 0; f < entry->site->depth; f++) {
            prof_out_format(out, " 0x%016lx", (unsigned long)entry->site->frame[f]);
        }
        prof_out_text(out, entry->site->depth == 0 ? " 0x0\n" : "\n");
    }
    prof_out_text(out, "\nMAPPED_LIBRARIES:\n");
    prof_out_bytes(out, modules->text, modules->text_bytes);
}

static void collapsed_frame(prof_out_t *out, const prof_modules_t *modules, uintptr_t address) {
    prof_symbol_t symbol = prof_modules_symbol(modules, address - 1); // of the call
    if (symbol.function != NULL) {
        prof_out_text(out, symbol.function);
    } else {
        prof_out_format(out, "%s+0x%lx", symbol.module_name, (unsigned long)symbol.module_offset);
    }
}

void prof_write_collapsed(prof_out_t *out, const prof_snapshot_t *snapshot,
                          const prof_modules_t *modules, bool peak) {
    for (size_t i = 0; i < snapshot->count; i++) {
        const prof_entry_t *entry = &snapshot->entry[i];
        const prof_site_t *site = entry->site;
        if (live_of(entry, peak)->bytes == 0) {
            continue;
        }
        for (uint32_t f = site->depth; f > 0; f--) {
            collapsed_frame(out, modules, site->frame[f - 1]);
            prof_out_text(out, f > 1 ? ";" : "");
        }
        prof_out_format(out, "%s %lu\n", site->depth == 0 ? "[unknown]" : "",
                        (unsigned long)live_of(entry, peak)->bytes);
    }
}

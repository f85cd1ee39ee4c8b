/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The profile's table: sums per stack, the peak, snapshots. */
#include <criterion/criterion.h>

#include "proxy/prof_table.h"

static void *add(uintptr_t site, size_t size) {
    const uintptr_t frames[] = {site, 0x1000, 0x2000};
    void *record = prof_table_add(frames, 3, size, size, 1);
    cr_assert_not_null(record);
    return record;
}

static prof_entry_t entry_of(uintptr_t site) {
    prof_snapshot_t snapshot;
    prof_entry_t found = {0};
    cr_assert(prof_table_snapshot(&snapshot));
    for (size_t i = 0; i < snapshot.count; i++) {
        if (snapshot.entry[i].site->frame[0] == site) {
            found = snapshot.entry[i];
        }
    }
    prof_snapshot_drop(&snapshot);
    return found;
}

Test(prof_table, sums_per_stack_follow_adds_and_frees) {
    void *first = add(1, 100), *second = add(1, 50), *other = add(2, 7);
    cr_assert_eq(entry_of(1).live.bytes, 150);
    cr_assert_eq(prof_blocks(&(prof_sums_t){.count = entry_of(1).live.count}), 2);
    prof_table_free(first);
    cr_assert_eq(entry_of(1).live.bytes, 50);
    cr_assert_eq(entry_of(1).total.bytes, 150);
    prof_table_resize(second, 500);
    cr_assert_eq(entry_of(1).live.bytes, 500);
    prof_table_free(second);
    prof_table_free(other);
    cr_assert_eq(entry_of(1).live.bytes, 0);
    cr_assert_eq(entry_of(1).live.samples, 0);
    cr_assert_eq(entry_of(2).live.count, 0);
}

Test(prof_table, a_sample_stands_for_the_inverse_of_its_chance) {
    const uintptr_t frames[] = {9};
    void *record = prof_table_add(frames, 1, 16, 16, 1 << 20);
    cr_assert_not_null(record);
    uint64_t blocks = prof_blocks(&(prof_sums_t){.count = entry_of(9).live.count});
    cr_assert(blocks >= 65536 && blocks <= 65537, "%lu", (unsigned long)blocks);
    prof_table_free(record);
}

Test(prof_table, each_site_knows_its_share_of_the_last_peak) {
    void *a = add(1, 100);
    void *b = add(2, 100);
    void *c = add(3, 800); // peak: 1000
    prof_table_free(a);
    prof_table_free(c);
    void *d = add(4, 500); // 600: no peak
    prof_snapshot_t snapshot;
    cr_assert(prof_table_snapshot(&snapshot));
    cr_assert_eq(snapshot.peak.bytes, 1000);
    uint64_t sum = 0;
    for (size_t i = 0; i < snapshot.count; i++) {
        sum += snapshot.entry[i].peak.bytes;
    }
    cr_assert_eq(sum, 1000);
    prof_snapshot_drop(&snapshot);
    cr_assert_eq(entry_of(1).peak.bytes, 100);
    cr_assert_eq(entry_of(2).peak.bytes, 100);
    cr_assert_eq(entry_of(3).peak.bytes, 800);
    cr_assert_eq(entry_of(4).peak.bytes, 0);
    void *e = add(1, 600); // 1200: a new peak
    prof_table_free(d);
    cr_assert_eq(entry_of(1).peak.bytes, 600);
    cr_assert_eq(entry_of(3).peak.bytes, 0);
    cr_assert_eq(entry_of(4).peak.bytes, 500);
    prof_table_free(b);
    prof_table_free(e);
}

Test(prof_table, snapshots_are_sorted_and_reset_keeps_what_lives) {
    void *record[100];
    for (uintptr_t i = 0; i < 100; i++) {
        record[i] = add(100 + i, (i * 37) % 101 + 1);
    }
    prof_snapshot_t snapshot;
    cr_assert(prof_table_snapshot(&snapshot));
    for (size_t i = 1; i < snapshot.count; i++) {
        cr_assert_geq(snapshot.entry[i - 1].live.bytes, snapshot.entry[i].live.bytes);
    }
    prof_snapshot_drop(&snapshot);
    prof_table_free(record[5]);
    prof_table_reset();
    cr_assert_eq(entry_of(105).total.bytes, 0);
    cr_assert_eq(entry_of(106).total.bytes, entry_of(106).live.bytes);
    for (int i = 0; i < 100; i++) {
        if (i != 5) {
            prof_table_free(record[i]);
        }
    }
}

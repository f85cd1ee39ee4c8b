/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Sites in a hash table, records of live samples in a free list, all in pages of their own: nothing
 * here is ever given back, so that nothing can be in use when it goes. One lock; nothing is called
 * under it but the system's mmap.
 *
 * The peak. Whenever the live bytes of all sites reach a new maximum, that maximum gets a number.
 * Nothing is copied then. A site that changes after it saves its sums first, once per maximum: so
 * at any time each site knows its sums of the moment of the last maximum.
 */
#include "proxy/prof_table.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/real.h"

enum {
    BUCKETS = 1 << 16,
    PAGE_BYTES = 256 * 1024, /* taken from the system at a time, for sites and records */
    WEIGHTS = 128,           /* remembered */
    SITES_MAX = 1 << 20,     /* stacks beyond it are counted without frames */
};

typedef struct prof_record {
    prof_site_t *site; /* or the next free record */
    uint64_t count, bytes;
} prof_record_t;

static struct {
    umf_lock_t lock;
    prof_site_t **bucket;
    prof_site_t *newest;
    size_t sites;
    prof_record_t *free_records;
    struct weight {
        size_t bytes;
        uint64_t interval, count;
    } weight[WEIGHTS];
    char *bump, *bump_end;
    prof_sums_t live, total, peak;
    uint64_t peak_number; /* 0: none yet */
} table;

/* ---- memory
 * -------------------------------------------------------------------------------------------------------
 */

/* Lock held. */
static void *page_take(size_t bytes) {
    bytes = align_up(bytes, 16);
    if ((size_t)(table.bump_end - table.bump) < bytes) {
        char *page = base_map(PAGE_BYTES);
        if (page == NULL) {
            return NULL;
        }
        table.bump = page;
        table.bump_end = page + PAGE_BYTES;
    }
    void *ptr = table.bump;
    table.bump += bytes;
    return ptr;
}

/* Lock held. */
static prof_record_t *record_new(void) {
    prof_record_t *record = table.free_records;
    if (record != NULL) {
        table.free_records = (prof_record_t *)record->site;
        return record;
    }
    return page_take(sizeof(prof_record_t));
}

/* ---- sites
 * --------------------------------------------------------------------------------------------------------
 */

static uint64_t stack_hash(const uintptr_t *frames, unsigned depth) {
    uint64_t hash = depth;
    for (unsigned i = 0; i < depth; i++) {
        hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    return hash;
}

/* Lock held. */
static prof_site_t *site_find(const uintptr_t *frames, unsigned depth, uint64_t hash) {
    if (table.bucket == NULL) {
        table.bucket = base_map(BUCKETS * sizeof(prof_site_t *));
        if (table.bucket == NULL) {
            return NULL;
        }
    }
    size_t bytes = depth * sizeof(uintptr_t);
    for (prof_site_t *site = table.bucket[hash % BUCKETS]; site != NULL; site = site->hash_next) {
        if (site->hash == hash && site->depth == depth && memcmp(site->frame, frames, bytes) == 0) {
            return site;
        }
    }
    if (table.sites >= SITES_MAX && depth > 0) {
        return site_find(frames, 0, stack_hash(frames, 0));
    }
    prof_site_t *site = page_take(sizeof(prof_site_t) + bytes);
    if (site == NULL) {
        return NULL;
    }
    site->hash = hash;
    site->depth = depth;
    site->peak_number = table.peak_number; // was empty at the last peak
    memcpy(site->frame, frames, bytes);
    site->hash_next = table.bucket[hash % BUCKETS];
    table.bucket[hash % BUCKETS] = site;
    site->older = table.newest;
    table.newest = site;
    table.sites++;
    return site;
}

/* ---- sums
 * ---------------------------------------------------------------------------------------------------------
 */

static void sums_add(prof_sums_t *sums, const prof_record_t *record) {
    sums->samples++;
    sums->count += record->count;
    sums->bytes += record->bytes;
}

static void sums_subtract(prof_sums_t *sums, const prof_record_t *record) {
    sums->samples--;
    sums->count -= record->count;
    sums->bytes -= record->bytes;
}

/* Lock held; before the site's live sums change. */
static void peak_save(prof_site_t *site) {
    if (site->peak_number != table.peak_number) {
        site->peak_number = table.peak_number;
        site->at_peak = site->live;
    }
}

/* Lock held; after live sums grew. */
static void peak_look(void) {
    if (table.live.bytes > table.peak.bytes) {
        table.peak = table.live;
        table.peak_number++;
    }
}

static uint64_t scaled_bytes(size_t size, uint64_t count) {
    return (uint64_t)(((unsigned __int128)size * count) >> PROF_COUNT_SHIFT);
}

/* Lock held. Blocks that one of `bytes` stands for. Few sizes are frequent: remembered by size. */
static uint64_t weight_of(size_t bytes, uint64_t interval) {
    struct weight *known = &table.weight[(bytes ^ bytes >> 7) / 16 % WEIGHTS];
    if (known->bytes != bytes || known->interval != interval) {
        double chance = interval <= 1 ? 1.0 : real_one_minus_exp((double)bytes / (double)interval);
        known->bytes = bytes;
        known->interval = interval;
        known->count = (uint64_t)((double)(1 << PROF_COUNT_SHIFT) / chance + 0.5);
    }
    return known->count;
}

void *prof_table_add(const uintptr_t *frames, unsigned depth, size_t size, size_t bytes,
                     uint64_t interval) {
    uint64_t hash = stack_hash(frames, depth);
    lock_acquire(&table.lock);
    uint64_t count = weight_of(bytes, interval);
    prof_site_t *site = site_find(frames, depth, hash);
    prof_record_t *record = site != NULL ? record_new() : NULL;
    if (record != NULL) {
        record->site = site;
        record->count = count;
        record->bytes = scaled_bytes(size, count);
        peak_save(site);
        sums_add(&site->live, record);
        sums_add(&site->total, record);
        sums_add(&table.live, record);
        sums_add(&table.total, record);
        peak_look();
    }
    lock_release(&table.lock);
    return record;
}

void prof_table_free(void *arg) {
    prof_record_t *record = arg;
    lock_acquire(&table.lock);
    peak_save(record->site);
    sums_subtract(&record->site->live, record);
    sums_subtract(&table.live, record);
    record->site = (prof_site_t *)table.free_records;
    table.free_records = record;
    lock_release(&table.lock);
}

void prof_table_resize(void *arg, size_t size) {
    prof_record_t *record = arg;
    lock_acquire(&table.lock);
    uint64_t bytes = scaled_bytes(size, record->count);
    uint64_t more = bytes - record->bytes; // modulo 2^64 when it shrinks
    prof_site_t *site = record->site;
    peak_save(site);
    record->bytes = bytes;
    site->live.bytes += more;
    site->total.bytes += more;
    table.live.bytes += more;
    table.total.bytes += more;
    peak_look();
    lock_release(&table.lock);
}

void prof_table_sums(prof_sums_t *live, prof_sums_t *total, prof_sums_t *peak) {
    lock_acquire(&table.lock);
    *live = table.live;
    *total = table.total;
    *peak = table.peak;
    lock_release(&table.lock);
}

uint64_t prof_table_total_bytes(void) {
    lock_acquire(&table.lock);
    uint64_t bytes = table.total.bytes;
    lock_release(&table.lock);
    return bytes;
}

void prof_table_reset(void) {
    lock_acquire(&table.lock);
    for (prof_site_t *site = table.newest; site != NULL; site = site->older) {
        site->total = site->live;
    }
    table.total = table.live;
    table.peak = table.live;
    table.peak_number++;
    lock_release(&table.lock);
}

/* ---- snapshots
 * ----------------------------------------------------------------------------------------------------
 */

/* Heap sort: in place and without recursion. */
static void entries_sift(prof_entry_t *entry, size_t root, size_t count) {
    for (;;) {
        size_t least = root, child = 2 * root + 1;
        for (size_t i = child; i < child + 2 && i < count; i++) {
            bool less = entry[i].live.bytes != entry[least].live.bytes
                            ? entry[i].live.bytes < entry[least].live.bytes
                            : entry[i].total.bytes < entry[least].total.bytes;
            least = less ? i : least;
        }
        if (least == root) {
            return;
        }
        prof_entry_t swap = entry[root];
        entry[root] = entry[least];
        entry[least] = swap;
        root = least;
    }
}

static void entries_sort(prof_entry_t *entry, size_t count) {
    for (size_t i = count / 2; i > 0; i--) {
        entries_sift(entry, i - 1, count);
    }
    for (size_t end = count; end > 1; end--) {
        prof_entry_t swap = entry[0];
        entry[0] = entry[end - 1];
        entry[end - 1] = swap;
        entries_sift(entry, 0, end - 1);
    }
}

bool prof_table_snapshot(prof_snapshot_t *snapshot) {
    *snapshot = (prof_snapshot_t){0};
    lock_acquire(&table.lock);
    size_t bytes = (table.sites + 1) * sizeof(prof_entry_t);
    snapshot->entry = base_map(bytes);
    if (snapshot->entry != NULL) {
        snapshot->mapped_bytes = bytes;
        snapshot->live = table.live;
        snapshot->total = table.total;
        snapshot->peak = table.peak;
        for (prof_site_t *site = table.newest; site != NULL; site = site->older) {
            snapshot->entry[snapshot->count++] = (prof_entry_t){
                .site = site,
                .live = site->live,
                .total = site->total,
                .peak = site->peak_number == table.peak_number ? site->at_peak : site->live,
            };
        }
    }
    lock_release(&table.lock);
    entries_sort(snapshot->entry, snapshot->count);
    return snapshot->entry != NULL;
}

void prof_snapshot_drop(prof_snapshot_t *snapshot) {
    base_unmap(snapshot->entry, snapshot->mapped_bytes);
    *snapshot = (prof_snapshot_t){0};
}

/* ---- fork
 * ---------------------------------------------------------------------------------------------------------
 */

void prof_table_fork_prepare(void) {
    lock_acquire(&table.lock);
}

void prof_table_fork_parent(void) {
    lock_release(&table.lock);
}

void prof_table_fork_child(void) {
    lock_init(&table.lock);
}

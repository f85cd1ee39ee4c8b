/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Live blocks by address: open addressing with linear probing, at most 3/4 full. Removal moves
 * later entries of a run back, so there are no tombstones.
 */
#include "providers/block_table.h"

#include "core/base_alloc.h"

enum { BLOCK_TABLE_FIRST = 64 }; /* entries */

/* Addresses are aligned; the middle bits of a product spread them. */
static size_t home_of(const block_table_t *table, const void *ptr) {
    return (size_t)(((uint64_t)(uintptr_t)ptr * UINT64_C(0x9e3779b97f4a7c15)) >> 32) &
           (table->capacity - 1);
}

static void place(block_table_t *table, const block_entry_t *entry) {
    size_t at = home_of(table, entry->ptr);
    while (table->slots[at].ptr != NULL) {
        at = (at + 1) & (table->capacity - 1);
    }
    table->slots[at] = *entry;
    table->count++;
}

static bool grow(block_table_t *table) {
    block_table_t larger = {.capacity =
                                table->capacity != 0 ? 2 * table->capacity : BLOCK_TABLE_FIRST};
    larger.slots = base_alloc(larger.capacity * sizeof(*larger.slots));
    if (larger.slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].ptr != NULL) {
            place(&larger, &table->slots[i]);
        }
    }
    block_table_end(table);
    *table = larger;
    return true;
}

bool block_table_add(block_table_t *table, const block_entry_t *entry) {
    if (table->count >= table->capacity / 4 * 3 && !grow(table)) {
        return false;
    }
    place(table, entry);
    return true;
}

block_entry_t *block_table_find(const block_table_t *table, const void *ptr) {
    if (table->capacity == 0 || ptr == NULL) {
        return NULL;
    }
    size_t at = home_of(table, ptr);
    while (table->slots[at].ptr != NULL && table->slots[at].ptr != ptr) {
        at = (at + 1) & (table->capacity - 1);
    }
    return table->slots[at].ptr != NULL ? &table->slots[at] : NULL;
}

bool block_table_remove(block_table_t *table, const void *ptr, block_entry_t *out) {
    block_entry_t *found = block_table_find(table, ptr);
    if (found == NULL) {
        return false;
    }
    *out = *found;
    const size_t mask = table->capacity - 1;
    size_t hole = (size_t)(found - table->slots);
    for (size_t at = (hole + 1) & mask; table->slots[at].ptr != NULL; at = (at + 1) & mask) {
        // an entry may move into the hole unless its home lies behind the hole
        size_t home = home_of(table, table->slots[at].ptr);
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (block_entry_t){0};
    table->count--;
    return true;
}

void block_table_end(block_table_t *table) {
    base_free(table->slots, table->capacity * sizeof(*table->slots));
    *table = (block_table_t){0};
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* A provider's live blocks, by address; see block_table.c. */
#ifndef UMF_PROVIDERS_BLOCK_TABLE_H
#define UMF_PROVIDERS_BLOCK_TABLE_H

#include "core/utils.h"

typedef struct block_entry {
    void *ptr;     /* NULL: free */
    size_t size;   /* bytes */
    uint32_t what; /* the provider's own: bits */
} block_entry_t;

/* All zero is empty. The owner's lock protects it. */
typedef struct block_table {
    block_entry_t *slots;
    size_t capacity; /* 0 or a power of two */
    size_t count;
} block_table_t;

/* False: no memory. ptr is not in it yet. */
bool block_table_add(block_table_t *table, const block_entry_t *entry);
/* The entry of ptr, or NULL; valid until the next change. */
block_entry_t *block_table_find(const block_table_t *table, const void *ptr);
/* Takes ptr out; *out is what it was. False: it is not there. Room for it stays: adding it again
 * before anything else is added can not fail. */
bool block_table_remove(block_table_t *table, const void *ptr, block_entry_t *out);
/* Drops the table's memory. */
void block_table_end(block_table_t *table);

#endif /* UMF_PROVIDERS_BLOCK_TABLE_H */

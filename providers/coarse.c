/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Coarse block manager: best fit with coalescing over ranges of foreign memory.
 *
 *   range    [ block | block |     block      | block ]     every byte belongs to exactly one block
 *               ^ prev/next: neighbours in address order, NULL at the ends of the range
 *
 *   used blocks   hash table keyed by start: the only way in from a pointer      O(1)
 *   free blocks   treap ordered by (size, start): smallest fit, lowest address   O(log n)
 *   free          looks at prev and next only: no search for neighbours          O(1) + treap
 *
 * Descriptors come from the base allocator in slabs and are kept in a list for reuse: in the steady
 * state no operation allocates metadata. Every operation reserves the descriptors it may need
 * before it changes anything, so that it can be refused but not half done.
 *
 * Sizes. A block's `span` is what it takes of its range, `size` what the user asked for. span is
 * rounded up to a page where the range goes on that far: otherwise the next block would begin
 * inside a page, and the bytes up to the next page would be a free block of no use. A range may
 * begin and end anywhere (FIXED), and a split may cut anywhere, so nothing relies on spans being
 * whole pages.
 *
 * Alignment above a page. A block of size + alignment - 1 bytes always holds an aligned part;
 * smaller ones may. The search looks at COARSE_ALIGNMENT_PROBES of those in rising size, then takes
 * the smallest block that must fit, and only when there is none goes on through the smaller ones:
 * it fails only when no block fits. What is cut off at the head and the tail stays free.
 *
 * One lock per manager, of rank LOCK_RANK_PROVIDER, taken by the fork walk.
 */
#include "providers/coarse.h"

#include "core/base_alloc.h"
#include "core/fork.h"
#include "core/lock.h"

enum {
    SLAB_BLOCKS = 60,     /* descriptors taken from the base allocator at a time: about 6 KiB */
    HASH_FIRST_SHIFT = 6, /* 64 chains at first; doubled when used blocks outnumber them */
    RESERVE_ALLOC = 2,    /* an allocation may leave a head and a tail */
};

typedef struct region {
    coarse_range_t range;
    struct block *first; /* block at range.base */
    struct region *next;
} region_t;

typedef struct block {
    uintptr_t start;
    size_t span; /* bytes up to the next block or the end of the range */
    size_t size; /* bytes asked for, <= span; 0: free */
    region_t *region;
    struct block *prev, *next; /* neighbours in the range */
    union {
        struct block *chain; /* used: next in the hash chain */
        struct block *left;  /* free: treap children */
        struct block *next_spare;
    };
    struct block *right;
    uint64_t priority; /* free: heap order of the treap, a mix of start */
} block_t;

typedef struct slab {
    struct slab *next;
    block_t blocks[SLAB_BLOCKS];
} slab_t;

struct coarse {
    umf_lock_t lock; /* everything below */
    size_t page_size;
    coarse_grow_t grow;
    coarse_release_t release;
    void *owner;
    region_t *regions;
    block_t *free_root; /* treap of free blocks */
    block_t **chains;   /* hash table of used blocks: 1 << hash_shift chains */
    unsigned hash_shift;
    block_t *spares; /* descriptors not in use */
    size_t spare_count;
    slab_t *slabs;
    coarse_stats_t stats;
    fork_node_t fork_node;
};

/* Spreads an address over 64 bits (the finaliser constants of splitmix64). */
static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xbf58476d1ce4e5b9);
    x ^= x >> 27;
    x *= UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* ---- Descriptors ---- */

/* Makes sure that `count` descriptors can be taken. */
static bool spares_reserve(coarse_t *coarse, size_t count) {
    if (likely(coarse->spare_count >= count)) {
        return true;
    }
    slab_t *slab = base_alloc(sizeof(*slab));
    if (slab == NULL) {
        return false;
    }
    slab->next = coarse->slabs;
    coarse->slabs = slab;
    for (size_t i = 0; i < SLAB_BLOCKS; i++) {
        slab->blocks[i].next_spare = coarse->spares;
        coarse->spares = &slab->blocks[i];
    }
    coarse->spare_count += SLAB_BLOCKS;
    return true;
}

static block_t *spare_take(coarse_t *coarse) {
    block_t *block = coarse->spares;
    ASSERT(block != NULL);
    coarse->spares = block->next_spare;
    coarse->spare_count--;
    return block;
}

static void spare_put(coarse_t *coarse, block_t *block) {
    block->next_spare = coarse->spares;
    coarse->spares = block;
    coarse->spare_count++;
}

/* ---- Used blocks: hash table ---- */

static block_t **used_chain(const coarse_t *coarse, uintptr_t start) {
    return &coarse->chains[mix(start) >> (64 - coarse->hash_shift)];
}

static block_t *used_find(const coarse_t *coarse, const void *ptr) {
    block_t *block = *used_chain(coarse, (uintptr_t)ptr);
    while (block != NULL && block->start != (uintptr_t)ptr) {
        block = block->chain;
    }
    return block;
}

/* Doubles the table; without memory for it the chains only grow longer. */
static void used_widen(coarse_t *coarse) {
    block_t **old = coarse->chains;
    size_t old_count = (size_t)1 << coarse->hash_shift;
    block_t **wider = base_alloc(2 * old_count * sizeof(*wider));
    if (wider == NULL) {
        return;
    }
    coarse->chains = wider;
    coarse->hash_shift++;
    for (size_t i = 0; i < old_count; i++) {
        for (block_t *block = old[i], *next; block != NULL; block = next) {
            next = block->chain;
            block_t **chain = used_chain(coarse, block->start);
            block->chain = *chain;
            *chain = block;
        }
    }
    base_free(old, old_count * sizeof(*old));
}

static void used_insert(coarse_t *coarse, block_t *block, size_t size) {
    if (unlikely(coarse->stats.used_blocks >> coarse->hash_shift != 0)) {
        used_widen(coarse);
    }
    block->size = size;
    block_t **chain = used_chain(coarse, block->start);
    block->chain = *chain;
    *chain = block;
    coarse->stats.used_blocks++;
}

static void used_remove(coarse_t *coarse, block_t *block) {
    block_t **link = used_chain(coarse, block->start);
    while (*link != block) {
        link = &(*link)->chain;
    }
    *link = block->chain;
    block->size = 0;
    coarse->stats.used_blocks--;
}

/* ---- Free blocks: treap. Search order (span, start); no child has a higher priority ---- */

static bool free_before(const block_t *a, const block_t *b) {
    return a->span != b->span ? a->span < b->span : a->start < b->start;
}

static void free_insert(coarse_t *coarse, block_t *block) {
    block->priority = mix(block->start);
    block_t **link = &coarse->free_root;
    while (*link != NULL && (*link)->priority >= block->priority) {
        link = free_before(block, *link) ? &(*link)->left : &(*link)->right;
    }
    // What was here is parted into the new block's two subtrees.
    block_t *rest = *link, **lower = &block->left, **upper = &block->right;
    *link = block;
    while (rest != NULL) {
        if (free_before(rest, block)) {
            *lower = rest;
            lower = &rest->right;
            rest = rest->right;
        } else {
            *upper = rest;
            upper = &rest->left;
            rest = rest->left;
        }
    }
    *lower = *upper = NULL;
    coarse->stats.free_blocks++;
    coarse->stats.free_bytes += block->span;
}

static void free_remove(coarse_t *coarse, block_t *block) {
    block_t **link = &coarse->free_root;
    while (*link != block) {
        link = free_before(block, *link) ? &(*link)->left : &(*link)->right;
    }
    // Its two subtrees are joined in its place.
    block_t *lower = block->left, *upper = block->right;
    while (lower != NULL && upper != NULL) {
        if (lower->priority >= upper->priority) {
            *link = lower;
            link = &lower->right;
            lower = lower->right;
        } else {
            *link = upper;
            link = &upper->left;
            upper = upper->left;
        }
    }
    *link = lower != NULL ? lower : upper;
    coarse->stats.free_blocks--;
    coarse->stats.free_bytes -= block->span;
}

/* The first free block in (span, start) order whose key is not below the given one, or NULL. */
static block_t *free_at_least(const coarse_t *coarse, size_t span, uintptr_t start) {
    block_t *best = NULL;
    for (block_t *block = coarse->free_root; block != NULL;) {
        if (block->span > span || (block->span == span && block->start >= start)) {
            best = block;
            block = block->left;
        } else {
            block = block->right;
        }
    }
    return best;
}

/* ---- Search ---- */

/* Address in the block where `size` aligned bytes fit; false when they do not. */
static bool block_fits(const block_t *block, size_t size, size_t alignment, uintptr_t *where) {
    uintptr_t start = align_up(block->start, alignment);
    // align_up may have wrapped around the end of the address space
    if (start < block->start || start - block->start > block->span ||
        block->span - (start - block->start) < size) {
        return false;
    }
    *where = start;
    return true;
}

static block_t *find_fit(const coarse_t *coarse, size_t size, size_t alignment, uintptr_t *where) {
    unsigned probes = 0;
    block_t *block = free_at_least(coarse, size, 0);
    while (block != NULL && !block_fits(block, size, alignment, where)) {
        size_t surely;
        if (++probes == COARSE_ALIGNMENT_PROBES && !add_overflow(size, alignment - 1, &surely)) {
            block_t *big = free_at_least(coarse, surely, 0);
            if (big != NULL && block_fits(big, size, alignment, where)) {
                return big;
            }
        }
        block = free_at_least(coarse, block->span, block->start + 1);
    }
    return block;
}

/* ---- Cutting and joining ---- */

/* Cuts `block`, which is in neither table, at `at`; returns the upper part, equally loose. Takes a
 * spare. */
static block_t *block_cut(coarse_t *coarse, block_t *block, uintptr_t at) {
    block_t *upper = spare_take(coarse);
    upper->start = at;
    upper->span = block->start + block->span - at;
    upper->size = 0;
    upper->region = block->region;
    upper->prev = block;
    upper->next = block->next;
    if (upper->next != NULL) {
        upper->next->prev = upper;
    }
    block->next = upper;
    block->span = at - block->start;
    return upper;
}

/* Joins two loose neighbours into the lower one; the upper becomes a spare. */
static void block_join(coarse_t *coarse, block_t *lower, block_t *upper) {
    lower->span += upper->span;
    lower->next = upper->next;
    if (lower->next != NULL) {
        lower->next->prev = lower;
    }
    spare_put(coarse, upper);
}

/* Marks [where, where + size) of a free block as used; two spares are at hand. */
static void block_use(coarse_t *coarse, block_t *block, uintptr_t where, size_t size) {
    free_remove(coarse, block);
    if (where > block->start) {
        block_t *head = block;
        block = block_cut(coarse, head, where);
        free_insert(coarse, head);
    }
    size_t span;
    if (align_up_checked(size, coarse->page_size, &span) && span < block->span) {
        free_insert(coarse, block_cut(coarse, block, where + span));
    }
    used_insert(coarse, block, size);
}

/* Adds a range as one free block. The region and a spare are at hand. */
static block_t *region_link(coarse_t *coarse, region_t *region, const coarse_range_t *range) {
    block_t *block = spare_take(coarse);
    *block = (block_t){.start = (uintptr_t)range->base, .span = range->size, .region = region};
    region->range = *range;
    region->first = block;
    region->next = coarse->regions;
    coarse->regions = region;
    coarse->stats.ranges++;
    coarse->stats.total_bytes += range->size;
    free_insert(coarse, block);
    return block;
}

/* No free block fits: asks the owner for memory. Lock held. */
static umf_result_t grow_for(coarse_t *coarse, size_t size, size_t alignment, block_t **out) {
    size_t rounded;
    if (coarse->grow == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (!align_up_checked(size, coarse->page_size, &rounded)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    region_t *region = base_alloc(sizeof(*region));
    if (region == NULL || !spares_reserve(coarse, 1 + RESERVE_ALLOC)) {
        base_free(region, sizeof(*region));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    coarse_range_t range = {0};
    umf_result_t result = coarse->grow(coarse->owner, rounded, alignment, &range);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(region, sizeof(*region));
        return result;
    }
    ASSERT(range.size >= rounded && is_aligned((uintptr_t)range.base, alignment));
    *out = region_link(coarse, region, &range);
    return UMF_RESULT_SUCCESS;
}

/* ---- Fork ---- */

static void coarse_fork_prepare(void *arg) {
    lock_acquire(&((coarse_t *)arg)->lock);
}
static void coarse_fork_parent(void *arg) {
    lock_release(&((coarse_t *)arg)->lock);
}
static void coarse_fork_child(void *arg) {
    lock_init(&((coarse_t *)arg)->lock);
}

/* ---- Interface ---- */

umf_result_t coarse_create(const coarse_config_t *config, coarse_t **out) {
    ASSERT(is_pow2(config->page_size));
    coarse_t *coarse = base_alloc(sizeof(*coarse));
    if (coarse == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    coarse->page_size = config->page_size;
    coarse->grow = config->grow;
    coarse->release = config->release;
    coarse->owner = config->owner;
    coarse->hash_shift = HASH_FIRST_SHIFT;
    coarse->chains = base_alloc(sizeof(*coarse->chains) << HASH_FIRST_SHIFT);
    if (coarse->chains == NULL) {
        base_free(coarse, sizeof(*coarse));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    coarse->fork_node = (fork_node_t){.rank = LOCK_RANK_PROVIDER,
                                      .prepare = coarse_fork_prepare,
                                      .parent = coarse_fork_parent,
                                      .child = coarse_fork_child,
                                      .arg = coarse};
    fork_register(&coarse->fork_node);
    *out = coarse;
    return UMF_RESULT_SUCCESS;
}

void coarse_destroy(coarse_t *coarse) {
    if (coarse == NULL) {
        return;
    }
    fork_unregister(&coarse->fork_node);
    for (region_t *region = coarse->regions, *next; region != NULL; region = next) {
        next = region->next;
        if (coarse->release != NULL) {
            coarse->release(coarse->owner, &region->range);
        }
        base_free(region, sizeof(*region));
    }
    for (slab_t *slab = coarse->slabs, *next; slab != NULL; slab = next) {
        next = slab->next;
        base_free(slab, sizeof(*slab));
    }
    base_free(coarse->chains, sizeof(*coarse->chains) << coarse->hash_shift);
    base_free(coarse, sizeof(*coarse));
}

umf_result_t coarse_add_range(coarse_t *coarse, const coarse_range_t *range) {
    uintptr_t end;
    if (range->base == NULL || range->size == 0 ||
        add_overflow((uintptr_t)range->base, range->size, &end)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    region_t *region = base_alloc(sizeof(*region));
    if (region == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    lock_acquire(&coarse->lock);
    bool reserved = spares_reserve(coarse, 1);
    if (reserved) {
        region_link(coarse, region, range);
    }
    lock_release(&coarse->lock);
    if (!reserved) {
        base_free(region, sizeof(*region));
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    return UMF_RESULT_SUCCESS;
}

umf_result_t coarse_alloc(coarse_t *coarse, size_t size, size_t alignment, void **ptr) {
    if (alignment != 0 && !is_pow2(alignment)) {
        return UMF_RESULT_ERROR_INVALID_ALIGNMENT;
    }
    if (alignment < coarse->page_size) {
        alignment = coarse->page_size;
    }
    if (size == 0) {
        return coarse->grow != NULL ? UMF_RESULT_ERROR_INVALID_ARGUMENT
                                    : UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    uintptr_t where = 0;
    lock_acquire(&coarse->lock);
    block_t *block = find_fit(coarse, size, alignment, &where);
    if (block == NULL) {
        result = grow_for(coarse, size, alignment, &block);
        if (result == UMF_RESULT_SUCCESS) {
            where = block->start;
        }
    } else if (!spares_reserve(coarse, RESERVE_ALLOC)) {
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (result == UMF_RESULT_SUCCESS) {
        block_use(coarse, block, where, size);
        *ptr = (void *)where;
    }
    lock_release(&coarse->lock);
    return result;
}

/* The used block at ptr if it has `size` bytes; lock held. */
static block_t *used_find_sized(const coarse_t *coarse, const void *ptr, size_t size) {
    block_t *block = used_find(coarse, ptr);
    return block != NULL && block->size == size ? block : NULL;
}

umf_result_t coarse_free(coarse_t *coarse, void *ptr, size_t size, size_t *freed) {
    size_t bytes = 0;
    umf_result_t result = UMF_RESULT_SUCCESS;
    if (ptr != NULL) {
        lock_acquire(&coarse->lock);
        block_t *block = size != 0 ? used_find_sized(coarse, ptr, size) : used_find(coarse, ptr);
        if (block == NULL) {
            result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        } else {
            bytes = block->size;
            used_remove(coarse, block);
            if (block->next != NULL && block->next->size == 0) {
                free_remove(coarse, block->next);
                block_join(coarse, block, block->next);
            }
            if (block->prev != NULL && block->prev->size == 0) {
                free_remove(coarse, block->prev);
                block = block->prev;
                block_join(coarse, block, block->next);
            }
            free_insert(coarse, block);
        }
        lock_release(&coarse->lock);
    }
    if (freed != NULL) {
        *freed = bytes;
    }
    return result;
}

umf_result_t coarse_split(coarse_t *coarse, void *ptr, size_t total, size_t first) {
    if (first == 0 || first >= total) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&coarse->lock);
    block_t *block = used_find_sized(coarse, ptr, total);
    if (block == NULL) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    } else if (!spares_reserve(coarse, 1)) {
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    } else {
        block_t *upper = block_cut(coarse, block, block->start + first);
        block->size = first; // stays in its chain: the start is the same
        used_insert(coarse, upper, total - first);
    }
    lock_release(&coarse->lock);
    return result;
}

umf_result_t coarse_merge(coarse_t *coarse, void *low, void *high, size_t total) {
    umf_result_t result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    lock_acquire(&coarse->lock);
    block_t *lower = used_find(coarse, low);
    block_t *upper = used_find(coarse, high);
    size_t sum;
    // The sizes are compared with the distance as well: a page-rounded span may reach the neighbour
    // when the bytes asked for do not.
    if (lower != NULL && upper != NULL && lower->next == upper && lower->size == lower->span &&
        !add_overflow(lower->size, upper->size, &sum) && sum == total) {
        used_remove(coarse, upper);
        block_join(coarse, lower, upper);
        lower->size = total;
        result = UMF_RESULT_SUCCESS;
    }
    lock_release(&coarse->lock);
    return result;
}

umf_result_t coarse_lookup(coarse_t *coarse, const void *ptr, coarse_block_info_t *info) {
    lock_acquire(&coarse->lock);
    block_t *block = used_find(coarse, ptr);
    if (block != NULL) {
        info->size = block->size;
        info->range = block->region->range;
    }
    lock_release(&coarse->lock);
    return block != NULL ? UMF_RESULT_SUCCESS : UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

umf_result_t coarse_find_range(coarse_t *coarse, const void *ptr, size_t size,
                               coarse_range_t *range) {
    umf_result_t result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    lock_acquire(&coarse->lock);
    for (const region_t *region = coarse->regions; region != NULL; region = region->next) {
        uintptr_t offset = (uintptr_t)ptr - (uintptr_t)region->range.base; // huge when ptr is below
        if (offset < region->range.size && size <= region->range.size - offset) {
            *range = region->range;
            result = UMF_RESULT_SUCCESS;
            break;
        }
    }
    lock_release(&coarse->lock);
    return result;
}

static bool visit_region(const region_t *region, const coarse_visitor_t *visitor, void *context) {
    bool good = visitor->range_begin(context, &region->range);
    for (const block_t *block = region->first; good && block != NULL; block = block->next) {
        if (block->size != 0) { // 0: free
            good = visitor->block(context, &region->range, (void *)block->start, block->span);
        }
    }
    return good && visitor->range_end(context, &region->range);
}

bool coarse_visit(coarse_t *coarse, const coarse_visitor_t *visitor, void *context) {
    bool good = true;
    lock_acquire(&coarse->lock);
    for (const region_t *region = coarse->regions; good && region != NULL; region = region->next) {
        good = visit_region(region, visitor, context);
    }
    lock_release(&coarse->lock);
    return good;
}

void coarse_get_stats(coarse_t *coarse, coarse_stats_t *stats) {
    lock_acquire(&coarse->lock);
    *stats = coarse->stats;
    lock_release(&coarse->lock);
}

/* ---- Self-check ---- */

/* Search order, heap order and freeness of a subtree; counts its blocks. Depth is O(log n):
 * recursion is fine. */
static bool check_treap(const block_t *block, const block_t *above, const block_t *below,
                        coarse_stats_t *seen) {
    if (block == NULL) {
        return true;
    }
    if (block->size != 0 || (above != NULL && !free_before(above, block)) ||
        (below != NULL && !free_before(block, below)) ||
        (block->left != NULL && block->left->priority > block->priority) ||
        (block->right != NULL && block->right->priority > block->priority)) {
        return false;
    }
    seen->free_blocks++;
    seen->free_bytes += block->span;
    return check_treap(block->left, above, block, seen) &&
           check_treap(block->right, block, below, seen);
}

/* Blocks tile the range, no two free ones touch, and used ones are found. */
static bool check_region(const coarse_t *coarse, const region_t *region, coarse_stats_t *seen) {
    uintptr_t at = (uintptr_t)region->range.base;
    const block_t *prev = NULL;
    for (const block_t *block = region->first; block != NULL; prev = block, block = block->next) {
        bool used = block->size != 0;
        if (block->start != at || block->span == 0 || block->size > block->span ||
            block->prev != prev || block->region != region ||
            (prev != NULL && !used && prev->size == 0) ||
            (used && used_find(coarse, (void *)block->start) != block)) {
            return false;
        }
        seen->used_blocks += used;
        at += block->span;
    }
    seen->ranges++;
    seen->total_bytes += region->range.size;
    return at == (uintptr_t)region->range.base + region->range.size;
}

/* The tables hold what the ranges hold: equal counts follow from each block being in the right
 * one. */
static bool check_counts(const coarse_stats_t *a, const coarse_stats_t *b) {
    return a->ranges == b->ranges && a->used_blocks == b->used_blocks &&
           a->free_blocks == b->free_blocks && a->total_bytes == b->total_bytes &&
           a->free_bytes == b->free_bytes;
}

bool coarse_check(coarse_t *coarse) {
    coarse_stats_t seen = {0};
    lock_acquire(&coarse->lock);
    bool good = check_treap(coarse->free_root, NULL, NULL, &seen);
    size_t free_in_ranges = 0;
    for (const region_t *region = coarse->regions; good && region != NULL; region = region->next) {
        good = check_region(coarse, region, &seen);
        for (const block_t *block = region->first; good && block != NULL; block = block->next) {
            free_in_ranges += block->size == 0;
        }
    }
    good = good && free_in_ranges == seen.free_blocks && check_counts(&seen, &coarse->stats);
    lock_release(&coarse->lock);
    return good;
}

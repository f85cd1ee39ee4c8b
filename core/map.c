/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Address map. Answers "whose address is this?" for free(), umfPoolByPtr, IPC and properties.
 *
 *   address:  | root index 18 | leaf index 14 | offset in a 64-KiB slice 16 |
 *
 *   umf_core_map_root.leaf[] ──► leaf.word[] ──► descriptor: a region, a slab, or a mixed cell
 *
 * One word per 64-KiB slice. A slice that lies wholly in one innermost region (or slab of it)
 * points at that descriptor: page-granular memory of pools is found with two loads. A slice that is
 * covered in part, or by several regions (odd-sized ranges of custom providers, a pool on memory of
 * another pool), points at a *mixed cell*: a sorted array of disjoint spans, each with the
 * innermost descriptor there.
 *
 * Nesting: a region remembers the region around it; its words replace those of the outer one and go
 * back to the outer one (or to the descriptor that the outer one's pool wants there) when it is
 * removed.
 *
 * Readers take no lock and write nothing. They load root, leaf and word with acquire; cells are
 * guarded by a sequence number: a reader that met a change reads again, and asks under the lock if
 * changes never pause. Leaves are never freed, and the memory of regions and cells is reused only
 * for its own kind, so every pointer that a reader can meet stays readable.
 *
 * Writers hold one lock for about 100 ns plus 1 ns per slice. They are provider calls, nearly all
 * of which enter the kernel.
 */
#include "core/map.h"

#include <string.h>

#include "core/base_alloc.h"
#include "core/state.h"

/* [start, end) in bytes from the beginning of the slice. Fields are atomic because readers race
 * with writers. */
typedef struct map_span {
    _Atomic(uint64_t) range; // start | end << 32
    _Atomic(map_desc_t *) desc;
} map_span_t;

typedef struct map_cell {
    map_desc_t head;
    // Odd while a writer is inside; never reset, also not when the cell is reused.
    _Atomic(uint32_t) seq;
    _Atomic(uint32_t) count; // spans in use, <= capacity
    unsigned capacity_class; // constant
    struct map_cell *next_free;
    map_span_t span[];
} map_cell_t;

/* A span as plain values, for writers. */
typedef struct map_piece {
    uint32_t start, end;
    map_desc_t *desc;
} map_piece_t;

enum {
    MAP_CELL_MIN = 8,         // spans of the smallest cell
    MAP_FIND_RETRIES = 64,    // lock-free attempts before a reader asks under the lock
    MAP_WINDOW_ON_STACK = 32, // pieces of one change kept on the stack
};
static_assert((MAP_CELL_MIN << (MAP_CELL_CLASSES - 1)) >= MAP_SLICE_BYTES + 1,
              "a span per byte fits");

static size_t cell_bytes(unsigned capacity_class) {
    return sizeof(map_cell_t) + ((size_t)MAP_CELL_MIN << capacity_class) * sizeof(map_span_t);
}

static map_cell_t *cell_new(size_t spans) {
    map_state_t *map = &umf_core_state.map;
    unsigned cls = 0;
    while (((size_t)MAP_CELL_MIN << cls) < spans) {
        cls++;
    }
    map_cell_t *cell = map->free_cells[cls];
    if (cell != NULL) {
        map->free_cells[cls] = cell->next_free;
        return cell;
    }
    cell = base_alloc(cell_bytes(cls));
    if (cell != NULL) {
        store_relaxed(&cell->head.owner, MAP_OWNER_NONE);
        cell->head.kind = MAP_KIND_MIXED;
        cell->capacity_class = cls;
    }
    return cell;
}

/* Readers may still hold it: its sequence number moves on so that they notice. */
static void cell_retire(map_cell_t *cell) {
    map_state_t *map = &umf_core_state.map;
    store_relaxed(&cell->seq, load_relaxed(&cell->seq) + 2);
    cell->next_free = map->free_cells[cell->capacity_class];
    map->free_cells[cell->capacity_class] = cell;
}

static map_piece_t span_get(const map_span_t *span) {
    uint64_t range = load_relaxed(&span->range);
    return (map_piece_t){(uint32_t)range, (uint32_t)(range >> 32), load_relaxed(&span->desc)};
}

static void span_set(map_span_t *span, map_piece_t piece) {
    store_relaxed(&span->range, piece.start | (uint64_t)piece.end << 32);
    store_relaxed(&span->desc, piece.desc);
}

/* First of `count` spans that ends behind `offset`. */
static uint32_t spans_find(const map_span_t *span, uint32_t count, uint32_t offset) {
    uint32_t low = 0;
    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (span_get(&span[middle]).end > offset) {
            count = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

/* ---- words
 * -------------------------------------------------------------------------------------------- */

typedef _Atomic(uintptr_t) map_word_t;

/* The word of a slice whose leaf exists. */
static map_word_t *word_at(uintptr_t addr) {
    map_leaf_t *leaf =
        (map_leaf_t *)((uintptr_t)&umf_core_map_root.empty +
                       load_relaxed(
                           &umf_core_map_root.leaf[addr >> (MAP_SLICE_SHIFT + MAP_LEAF_SHIFT)]));
    return &leaf->word[(addr >> MAP_SLICE_SHIFT) & (MAP_LEAF_WORDS - 1)];
}

/* What a word says, for writers: NULL for nobody. */
static map_desc_t *word_get(map_word_t *word) {
    uintptr_t value = load_relaxed(word);
    return value != 0 ? (map_desc_t *)((uintptr_t)&umf_core_map_root.none + value) : NULL;
}

static void word_set(map_word_t *word, map_desc_t *desc) {
    // pairs with load_acquire in map_word
    store_release(word, desc != NULL ? (uintptr_t)desc - (uintptr_t)&umf_core_map_root.none : 0);
}

/* Makes all leaves of [base, end) exist. */
static bool leaves_reserve(uintptr_t base, uintptr_t end) {
    for (uintptr_t i = base >> (MAP_SLICE_SHIFT + MAP_LEAF_SHIFT);
         i <= (end - 1) >> (MAP_SLICE_SHIFT + MAP_LEAF_SHIFT); i++) {
        if (load_relaxed(&umf_core_map_root.leaf[i]) == 0) {
            map_leaf_t *leaf = base_map(sizeof(map_leaf_t));
            if (leaf == NULL) {
                return false;
            }
            // pairs with load_acquire in map_word
            store_release(&umf_core_map_root.leaf[i],
                          (uintptr_t)leaf - (uintptr_t)&umf_core_map_root.empty);
        }
    }
    return true;
}

/* Replaces what a slice's word says; a cell that is no longer used is retired. */
static void word_replace(map_word_t *word, map_desc_t *desc) {
    map_desc_t *old = word_get(word);
    word_set(word, desc);
    if (old != NULL && old != desc && old->kind == MAP_KIND_MIXED) {
        cell_retire((map_cell_t *)old);
    }
}

/* ---- painting: the one way in which parts of slices change
 * ---------------------------------------------- */

typedef struct map_window {
    map_piece_t *piece;
    uint32_t count;
} map_window_t;

/* Appends a piece, joining it to the last one where they touch and agree. */
static void window_push(map_window_t *window, uint32_t start, uint32_t end, map_desc_t *desc) {
    if (start >= end || desc == NULL) {
        return;
    }
    map_piece_t *last = window->count > 0 ? &window->piece[window->count - 1] : NULL;
    if (last != NULL && last->end == start && last->desc == desc) {
        last->end = end;
        return;
    }
    window->piece[window->count++] = (map_piece_t){start, end, desc};
}

/* Writes the spans [first, last) of a word anew as `window`. */
static bool word_splice(map_word_t *word, const map_piece_t *whole, uint32_t first, uint32_t last,
                        const map_window_t *window) {
    map_desc_t *old = word_get(word);
    bool mixed = old != NULL && old->kind == MAP_KIND_MIXED;
    map_cell_t *cell = mixed ? (map_cell_t *)old : NULL;
    uint32_t old_count = mixed ? load_relaxed(&cell->count) : (old != NULL ? 1 : 0);
    uint32_t new_count = old_count - (last - first) + window->count;

    if (new_count == 0) {
        word_replace(word, NULL);
        return true;
    }
    if (new_count == 1 && window->count == 1 && window->piece[0].start == 0 &&
        window->piece[0].end == MAP_SLICE_BYTES) {
        word_replace(word, window->piece[0].desc);
        return true;
    }
    if (cell == NULL || new_count > ((uint32_t)MAP_CELL_MIN << cell->capacity_class)) {
        map_cell_t *bigger = cell_new(new_count);
        if (bigger == NULL) {
            return false;
        }
        // Not yet published, but a reader with an old pointer to this cell may look: hence the odd
        // sequence.
        uint32_t seq = load_relaxed(&bigger->seq);
        store_relaxed(&bigger->seq, seq + 1);
        atomic_thread_fence(memory_order_release);
        uint32_t n = 0;
        for (uint32_t i = 0; i < first; i++) {
            span_set(&bigger->span[n++], mixed ? span_get(&cell->span[i]) : *whole);
        }
        for (uint32_t i = 0; i < window->count; i++) {
            span_set(&bigger->span[n++], window->piece[i]);
        }
        for (uint32_t i = last; i < old_count; i++) {
            span_set(&bigger->span[n++], mixed ? span_get(&cell->span[i]) : *whole);
        }
        store_relaxed(&bigger->count, n);
        store_release(&bigger->seq, seq + 2);
        word_replace(word, &bigger->head);
        return true;
    }
    uint32_t seq = load_relaxed(&cell->seq);
    store_relaxed(&cell->seq, seq + 1);
    atomic_thread_fence(memory_order_release); // pairs with the acquire fence in cell_find
    uint32_t tail = old_count - last;
    uint32_t to = first + window->count;
    if (to > last) {
        for (uint32_t i = tail; i-- > 0;) {
            span_set(&cell->span[to + i], span_get(&cell->span[last + i]));
        }
    } else if (to < last) {
        for (uint32_t i = 0; i < tail; i++) {
            span_set(&cell->span[to + i], span_get(&cell->span[last + i]));
        }
    }
    for (uint32_t i = 0; i < window->count; i++) {
        span_set(&cell->span[first + i], window->piece[i]);
    }
    store_relaxed(&cell->count, new_count);
    store_release(&cell->seq, seq + 2);
    return true;
}

/*
 * In the slice of addr, makes [from, to) belong to desc (nobody if NULL). With `only` set, just
 * where the innermost descriptor belongs to that region. False: no memory for a cell, nothing
 * changed.
 */
static bool slice_paint(uintptr_t addr, uint32_t from, uint32_t to, map_desc_t *desc,
                        const map_region_t *only) {
    map_word_t *word = word_at(addr);
    map_desc_t *old = word_get(word);
    bool mixed = old != NULL && old->kind == MAP_KIND_MIXED;
    map_piece_t whole = {0, MAP_SLICE_BYTES, old};
    const map_span_t *span = mixed ? ((map_cell_t *)old)->span : NULL;
    uint32_t count = mixed ? load_relaxed(&((map_cell_t *)old)->count) : (old != NULL ? 1 : 0);

    // The window: all spans that touch [from, to), and one neighbour on each side to join with.
    uint32_t first = mixed ? spans_find(span, count, from) : 0;
    uint32_t last = first;
    while (last < count && (mixed ? span_get(&span[last]).start : 0) < to) {
        last++;
    }
    uint32_t inner_first = first, inner_last = last;
    first -= first > 0 ? 1 : 0;
    last += last < count ? 1 : 0;

    map_piece_t on_stack[MAP_WINDOW_ON_STACK];
    map_window_t window = {on_stack, 0};
    size_t room = (size_t)(last - first) * 3 + 3;
    if (room > MAP_WINDOW_ON_STACK) {
        window.piece = base_alloc(room * sizeof(map_piece_t));
        if (window.piece == NULL) {
            return false;
        }
    }
    uint32_t painted_to =
        from; // with only == NULL: the new piece goes in once, behind the left remainder
    for (uint32_t i = first; i < last; i++) {
        map_piece_t piece = mixed ? span_get(&span[i]) : whole;
        bool inside = i >= inner_first && i < inner_last;
        if (!inside) {
            if (only == NULL && i >= inner_last && painted_to < to) {
                window_push(&window, from, to, desc);
                painted_to = to;
            }
            window_push(&window, piece.start, piece.end, piece.desc);
        } else if (only == NULL) {
            window_push(&window, piece.start, from < piece.end ? from : piece.end, piece.desc);
            if (painted_to < to) {
                window_push(&window, from, to, desc);
                painted_to = to;
            }
            window_push(&window, to > piece.start ? to : piece.start, piece.end, piece.desc);
        } else if (piece.desc->region != only) {
            window_push(&window, piece.start, piece.end, piece.desc);
        } else {
            uint32_t start = piece.start > from ? piece.start : from;
            uint32_t end = piece.end < to ? piece.end : to;
            window_push(&window, piece.start, start, piece.desc);
            window_push(&window, start, end, desc);
            window_push(&window, end, piece.end, piece.desc);
        }
    }
    if (only == NULL && painted_to < to) {
        window_push(&window, from, to, desc);
    }
    bool done = word_splice(word, &whole, first, last, &window);
    if (window.piece != on_stack) {
        base_free(window.piece, room * sizeof(map_piece_t));
    }
    return done;
}

/* The descriptor that the region around wants at addr. */
static map_desc_t *desc_wanted(map_region_t *region, uintptr_t addr) {
    if (region == NULL) {
        return NULL;
    }
    map_desc_t *desc = region->desc_at != NULL ? region->desc_at(region, addr) : NULL;
    return desc != NULL ? desc : &region->head;
}

/*
 * Paints [base, end), slice by slice. Target: `desc` itself, or with `around` set what that region
 * wants there. Partial slices (first and last) come first since only they can fail; a failure
 * undoes nothing.
 */
static bool range_paint(uintptr_t base, uintptr_t end, map_desc_t *desc, map_region_t *around,
                        const map_region_t *only) {
    uintptr_t first_full = align_up(base, MAP_SLICE_BYTES);
    uintptr_t last_full = align_down(end, MAP_SLICE_BYTES);
    if (base < first_full) {
        uintptr_t slice = first_full - MAP_SLICE_BYTES;
        uint32_t to = end < first_full ? (uint32_t)(end - slice) : MAP_SLICE_BYTES;
        map_desc_t *target = around != NULL ? desc_wanted(around, base) : desc;
        if (!slice_paint(slice, (uint32_t)(base - slice), to, target, only)) {
            return false;
        }
    }
    if (last_full >= first_full && last_full < end) {
        map_desc_t *target = around != NULL ? desc_wanted(around, last_full) : desc;
        if (!slice_paint(last_full, 0, (uint32_t)(end - last_full), target, only)) {
            return false;
        }
    }
    for (uintptr_t addr = first_full; addr < last_full; addr += MAP_SLICE_BYTES) {
        map_word_t *word = word_at(addr);
        map_desc_t *old = word_get(word);
        map_desc_t *target = around != NULL ? desc_wanted(around, addr) : desc;
        if (only == NULL || (old != NULL && old->kind != MAP_KIND_MIXED && old->region == only)) {
            word_replace(word, target);
        } else if (old != NULL && old->kind == MAP_KIND_MIXED) {
            slice_paint(addr, 0, MAP_SLICE_BYTES, target,
                        only); // never needs more spans than there are
        }
    }
    return true;
}

/* ---- regions
 * ------------------------------------------------------------------------------------------ */

static map_region_t *region_new(void) {
    map_state_t *map = &umf_core_state.map;
    map_region_t *region = map->free_regions;
    if (region != NULL) {
        map->free_regions = region->parent;
    } else {
        region = base_alloc(sizeof(map_region_t));
        if (region == NULL) {
            return NULL;
        }
        store_relaxed(&region->head.owner, MAP_OWNER_NONE);
        region->head.kind = MAP_KIND_REGION;
        region->head.region = region;
    }
    region->parent = NULL;
    region->children = 0;
    region->dead = false;
    region->desc_at = NULL;
    region->pool_data = NULL;
    store_relaxed(&region->ipc_data, NULL);
    return region;
}

static void region_retire(map_region_t *region) {
    map_state_t *map = &umf_core_state.map;
    region->parent = map->free_regions; // free list link
    map->free_regions = region;
}

/* Bytes that a region occupies in the map: an allocation of 0 bytes still has an address. */
static size_t region_extent(const map_region_t *region) {
    size_t size = load_relaxed(&region->size);
    return size != 0 ? size : 1;
}

/* The innermost region from `region` outwards that is no left-over: neither removed nor inside a
 * removed one. NULL: none. */
static map_region_t *region_not_stale(map_region_t *region) {
    map_region_t *found = region;
    for (; region != NULL; region = region->parent) {
        if (region->dead) {
            found = region->parent;
        }
    }
    return found;
}

/* The region around that still lives, or NULL. */
static map_region_t *region_around(const map_region_t *region) {
    map_region_t *around = region->parent;
    while (around != NULL && around->dead) {
        around = around->parent;
    }
    return around;
}

static void region_unpaint(map_region_t *region) {
    range_paint(region->base, region->base + region_extent(region), NULL, region_around(region),
                region);
}

umf_result_t map_add(const map_region_info_t *info, map_region_t **out) {
    map_state_t *map = &umf_core_state.map;
    uintptr_t base = (uintptr_t)info->base;
    uintptr_t end;
    if (base == 0 || add_overflow(base, info->size != 0 ? info->size : 1, &end) ||
        end > (uintptr_t)1 << MAP_ADDRESS_BITS) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&map->lock);
    // What was left over from memory freed in the wrong order is passed by: the memory is in use
    // again.
    map_region_t *parent = region_not_stale(map_find_region(info->base));
    if (parent != NULL && end > parent->base + region_extent(parent)) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        goto done;
    }
    if (parent != NULL && parent->level >= MAP_MAX_LEVEL) {
        result = UMF_RESULT_ERROR_OUT_OF_RESOURCES;
        goto done;
    }
    map_region_t *region = region_new();
    if (region == NULL || !leaves_reserve(base, end)) {
        if (region != NULL) {
            region_retire(region);
        }
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        goto done;
    }
    region->base = base;
    store_relaxed(&region->size, info->size);
    region->pool = info->pool;
    region->provider = info->provider;
    region->memory_type = info->memory_type;
    region->hidden = info->hidden;
    region->ipc_opened = info->ipc_opened;
    region->parent = parent;
    region->level = parent != NULL ? (uint8_t)(parent->level + 1) : 0;
    store_relaxed(&region->id, fetch_add_relaxed(&map->next_id, 1) + 1);
    if (!range_paint(base, end, &region->head, NULL, NULL)) {
        region_unpaint(region);
        store_relaxed(&region->id, 0);
        region_retire(region);
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        goto done;
    }
    if (parent != NULL) {
        parent->children++;
    }
    fetch_add_relaxed(&map->regions, 1);
    if (out != NULL) {
        *out = region;
    }
done:
    lock_release(&map->lock);
    return result;
}

/* Drops one child; a dead parent goes with its last child. */
static void region_drop_child(map_region_t *parent) {
    while (parent != NULL && --parent->children == 0 && parent->dead) {
        map_region_t *next = parent->parent;
        region_retire(parent);
        parent = next;
    }
}

void map_remove(map_region_t *region) {
    map_state_t *map = &umf_core_state.map;
    lock_acquire(&map->lock);
    store_relaxed(&region->id, 0);
    region_unpaint(region);
    if (region->children > 0) {
        region->dead = true; // stays as the children's parent until they are gone
    } else {
        map_region_t *parent = region->parent;
        region_retire(region);
        region_drop_child(parent);
    }
    fetch_sub_relaxed(&map->regions, 1);
    lock_release(&map->lock);
}

map_region_t *map_find_exact(const void *base, umf_memory_pool_handle_t pool,
                             umf_memory_provider_handle_t provider) {
    map_region_t *region = map_find_region(base);
    while (region != NULL && region->base == (uintptr_t)base) {
        if (region->pool == pool && region->provider == provider &&
            load_relaxed(&region->id) != 0) {
            return region;
        }
        region = region->parent;
    }
    return NULL;
}

umf_result_t map_split(map_region_t *region, size_t first, map_region_t **second) {
    map_state_t *map = &umf_core_state.map;
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&map->lock);
    size_t size = load_relaxed(&region->size);
    if (first == 0 || first >= size || region->children > 0) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
        goto done;
    }
    map_region_t *high = region_new();
    if (high == NULL) {
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        goto done;
    }
    high->base = region->base + first;
    store_relaxed(&high->size, size - first);
    high->pool = region->pool;
    high->provider = region->provider;
    high->memory_type = region->memory_type;
    high->hidden = region->hidden;
    high->ipc_opened = region->ipc_opened;
    high->parent = region->parent;
    high->level = region->level;
    store_relaxed(&high->id, fetch_add_relaxed(&map->next_id, 1) + 1);
    if (!range_paint(high->base, high->base + (size - first), &high->head, NULL, region)) {
        range_paint(high->base, high->base + (size - first), &region->head, NULL, high);
        store_relaxed(&high->id, 0);
        region_retire(high);
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        goto done;
    }
    store_relaxed(&region->size, first);
    if (high->parent != NULL) {
        high->parent->children++;
    }
    fetch_add_relaxed(&map->regions, 1);
    if (second != NULL) {
        *second = high;
    }
done:
    lock_release(&map->lock);
    return result;
}

umf_result_t map_merge(map_region_t *low, map_region_t *high) {
    map_state_t *map = &umf_core_state.map;
    umf_result_t result = UMF_RESULT_SUCCESS;
    lock_acquire(&map->lock);
    size_t low_size = load_relaxed(&low->size);
    size_t high_size = load_relaxed(&high->size);
    if (low->base + low_size != high->base || low->parent != high->parent ||
        low->pool != high->pool || low->provider != high->provider || low->children > 0 ||
        high->children > 0) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    } else {
        range_paint(high->base, high->base + high_size, &low->head, NULL,
                    high); // joins spans: cannot fail
        store_relaxed(&low->size, low_size + high_size);
        store_relaxed(&high->id, 0);
        map_region_t *parent = high->parent;
        region_retire(high);
        region_drop_child(parent);
        fetch_sub_relaxed(&map->regions, 1);
    }
    lock_release(&map->lock);
    return result;
}

umf_result_t map_resize(map_region_t *region, size_t new_size) {
    map_state_t *map = &umf_core_state.map;
    umf_result_t result = UMF_RESULT_SUCCESS;
    uintptr_t old_end = region->base + region_extent(region);
    uintptr_t new_end;
    if (new_size == 0 || add_overflow(region->base, new_size, &new_end) ||
        new_end > (uintptr_t)1 << MAP_ADDRESS_BITS) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    lock_acquire(&map->lock);
    if (new_end < old_end) {
        range_paint(new_end, old_end, NULL, region_around(region), region);
    } else if (new_end > old_end && (!leaves_reserve(old_end, new_end) ||
                                     !range_paint(old_end, new_end, &region->head, NULL, NULL))) {
        range_paint(old_end, new_end, NULL, region_around(region), region);
        result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (result == UMF_RESULT_SUCCESS) {
        store_relaxed(&region->size, new_size);
    }
    lock_release(&map->lock);
    return result;
}

void map_set_slices(uintptr_t base, size_t count, map_desc_t *desc) {
    for (size_t i = 0; i < count; i++) {
        map_word_t *word = word_at(base + (i << MAP_SLICE_SHIFT));
        map_desc_t *old = word_get(word);
        if (likely(old == NULL || old->kind != MAP_KIND_MIXED)) {
            word_set(word, desc);
        } else { // a nested region was left behind when its block was freed
            lock_acquire(&umf_core_state.map.lock);
            word_replace(word, desc);
            lock_release(&umf_core_state.map.lock);
        }
    }
}

void map_clear_slices(uintptr_t base, size_t count, map_region_t *region) {
    for (size_t i = 0; i < count; i++) {
        uintptr_t addr = base + (i << MAP_SLICE_SHIFT);
        map_word_t *word = word_at(addr);
        map_desc_t *old = word_get(word);
        if (likely(old != NULL && old->region == region)) {
            word_set(word, &region->head);
        } else if (old != NULL && old->kind == MAP_KIND_MIXED) {
            lock_acquire(&umf_core_state.map.lock);
            slice_paint(addr, 0, MAP_SLICE_BYTES, &region->head,
                        region); // never needs more spans than there are
            lock_release(&umf_core_state.map.lock);
        }
    }
}

/* ---- lookup
 * -------------------------------------------------------------------------------------------- */

/* Looks ptr up in a cell that its word pointed to. True when the answer *found is consistent. */
static bool cell_find(const map_cell_t *cell, const void *ptr, map_desc_t **found) {
    uint32_t offset = (uint32_t)((uintptr_t)ptr & (MAP_SLICE_BYTES - 1));
    uint32_t seq = load_acquire(&cell->seq);
    // The cell may have been retired and reused for another slice since the word was read. It is
    // this slice's now, and stays so while the sequence does.
    if ((seq & 1) || map_word(ptr) != &cell->head) {
        return false;
    }
    uint32_t count = load_relaxed(&cell->count);
    uint32_t capacity = (uint32_t)MAP_CELL_MIN << cell->capacity_class;
    count = count < capacity ? count : capacity;
    uint32_t i = spans_find(cell->span, count, offset);
    map_piece_t piece = {0, 0, NULL};
    if (i < count) {
        piece = span_get(&cell->span[i]);
    }
    *found = i < count && piece.start <= offset ? piece.desc : NULL;
    atomic_thread_fence(memory_order_acquire); // pairs with the release fence in word_splice
    return load_relaxed(&cell->seq) == seq;
}

map_desc_t *map_find(const void *ptr) {
    if ((uintptr_t)ptr >> MAP_ADDRESS_BITS != 0) {
        return NULL;
    }
    map_desc_t *found;
    for (int i = 0; i < MAP_FIND_RETRIES; i++) {
        map_desc_t *word = map_word(ptr);
        if (likely(word->kind != MAP_KIND_MIXED)) {
            return word->kind != MAP_KIND_NONE ? word : NULL;
        }
        if (cell_find((map_cell_t *)word, ptr, &found)) {
            return found;
        }
    }
    lock_acquire(&umf_core_state.map.lock); // writers never pause: wait for one
    map_desc_t *word = map_word(ptr);
    found = word->kind != MAP_KIND_NONE ? word : NULL;
    if (word->kind == MAP_KIND_MIXED) {
        cell_find((map_cell_t *)word, ptr, &found);
    }
    lock_release(&umf_core_state.map.lock);
    return found;
}

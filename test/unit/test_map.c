/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Address map against an oracle. The oracle of the small tests is one entry per byte of a window of
 * six slices that lies across the border of two leaves; that of the large tests is the list of
 * regions itself. The map never touches the memory that it describes, so addresses are made up.
 */
#include <criterion/criterion.h>

#include <pthread.h>
#include <string.h>

#include "core/base_alloc.h"
#include "core/map.h"
#include "core/state.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define GIB (UINT64_C(1) << 30)
#define TOP (UINT64_C(1) << MAP_ADDRESS_BITS)

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SLOW_BUILD 1
#endif
#endif
#ifndef SLOW_BUILD
#define SLOW_BUILD 0
#endif

/* Handles are never looked into by the map. */
static umf_memory_pool_handle_t fake_pool(uintptr_t n) {
    return (umf_memory_pool_handle_t)(n * 64);
}

static uint64_t rng_next(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15); // splitmix64
    uint64_t x = *state;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* In [low, high]. */
static uint64_t rng_range(uint64_t *state, uint64_t low, uint64_t high) {
    return low + rng_next(state) % (high - low + 1);
}

static umf_result_t add(uintptr_t base, size_t size, uintptr_t pool, map_region_t **out) {
    map_region_info_t info = {.base = (void *)base, .size = size, .pool = fake_pool(pool)};
    return map_add(&info, out);
}

static map_region_t *add_ok(uintptr_t base, size_t size, uintptr_t pool) {
    map_region_t *region = NULL;
    cr_assert_eq(add(base, size, pool, &region), OK);
    return region;
}

static map_region_t *at(uintptr_t addr) {
    return map_find_region((const void *)addr);
}

/* ---- single facts
 * ---------------------------------------------------------------------------------------------- */

Test(map, an_empty_map_knows_nobody) {
    cr_assert_null(map_find(NULL));
    cr_assert_null(map_find((void *)1));
    cr_assert_null(map_find((void *)(TOP - 1)));
    cr_assert_null(map_find((void *)TOP));
    cr_assert_null(map_find((void *)UINTPTR_MAX));
    cr_assert_null(map_find_exact((void *)UINTPTR_MAX, NULL, NULL));
}

Test(map, a_region_covers_its_bytes_and_no_others) {
    static const size_t sizes[] = {1,     2,     15,     4096,   65535,
                                   65536, 65537, 131071, 131072, 3 * 65536 + 5};
    static const uintptr_t bases[] = {65536,           65537,   131071,      5 * GIB - 1,
                                      5 * GIB - 65536, 5 * GIB, TOP - 400000};
    for (size_t b = 0; b < ARRAY_LENGTH(bases); b++) {
        for (size_t s = 0; s < ARRAY_LENGTH(sizes); s++) {
            uintptr_t base = bases[b], end = base + sizes[s];
            map_region_t *region = add_ok(base, sizes[s], 1);
            cr_assert_eq(at(base), region);
            cr_assert_eq(at(end - 1), region);
            cr_assert_eq(at(base + sizes[s] / 2), region);
            cr_assert_null(at(base - 1));
            cr_assert_null(at(end));
            cr_assert_eq(map_find_exact((void *)base, fake_pool(1), NULL), region);
            cr_assert_null(map_find_exact((void *)base, fake_pool(2), NULL));
            cr_assert(sizes[s] == 1 ||
                      map_find_exact((void *)(base + 1), fake_pool(1), NULL) == NULL);
            map_remove(region);
            cr_assert_null(at(base));
            cr_assert_null(at(end - 1));
        }
    }
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(map, a_region_may_end_with_the_address_space_but_not_behind_it) {
    map_region_t *region = add_ok(TOP - 65536, 65536, 1);
    cr_assert_eq(at(TOP - 1), region);
    map_remove(region);
    region = add_ok(TOP - 7, 7, 1);
    cr_assert_eq(at(TOP - 1), region);
    cr_assert_null(at(TOP - 8));
    map_remove(region);
    cr_assert_eq(add(TOP - 7, 8, 1, NULL), UMF_RESULT_ERROR_UNKNOWN);
    cr_assert_eq(add(TOP, 1, 1, NULL), UMF_RESULT_ERROR_UNKNOWN);
    cr_assert_eq(add(4096, SIZE_MAX, 1, NULL), UMF_RESULT_ERROR_UNKNOWN);
    cr_assert_eq(add(0, 1, 1, NULL), UMF_RESULT_ERROR_UNKNOWN);
}

Test(map, an_allocation_of_no_bytes_has_an_address) {
    map_region_t *region = add_ok(70000, 0, 1);
    cr_assert_eq(at(70000), region);
    cr_assert_null(at(70001));
    cr_assert_eq(load_relaxed(&region->size), 0);
    map_remove(region);
    cr_assert_null(at(70000));
}

Test(map, eight_levels_nest_and_the_ninth_is_refused) {
    map_region_t *level[MAP_MAX_LEVEL + 1];
    for (int i = 0; i <= MAP_MAX_LEVEL; i++) { // all begin at the same address
        level[i] = add_ok(GIB, (size_t)(MAP_MAX_LEVEL + 1 - i) * 1000, (uintptr_t)i + 1);
        cr_assert_eq(level[i]->level, i);
    }
    cr_assert_eq(add(GIB, 10, 99, NULL), UMF_RESULT_ERROR_OUT_OF_RESOURCES);
    cr_assert_eq(at(GIB), level[MAP_MAX_LEVEL]);
    for (int i = 0; i <= MAP_MAX_LEVEL; i++) {
        cr_assert_eq(map_find_exact((void *)GIB, fake_pool((uintptr_t)i + 1), NULL), level[i]);
        cr_assert_eq(at(GIB + (size_t)(MAP_MAX_LEVEL + 1 - i) * 1000 - 1), level[i]);
    }
    for (int i = MAP_MAX_LEVEL; i >= 0; i--) {
        cr_assert_eq(at(GIB), level[i]);
        map_remove(level[i]);
    }
    cr_assert_null(at(GIB));
}

Test(map, a_region_that_leaves_the_one_around_is_refused) {
    map_region_t *outer = add_ok(GIB + 100, 100000, 1);
    cr_assert_eq(add(GIB + 200, 100000, 2, NULL), INVAL);
    cr_assert_eq(add(GIB + 100, 100001, 2, NULL), INVAL);
    map_region_t *inner = add_ok(GIB + 100, 100000, 2); // exactly as large
    cr_assert_eq(at(GIB + 100), inner);
    map_remove(inner);
    cr_assert_eq(at(GIB + 100), outer);
    map_remove(outer);
}

Test(map, memory_freed_before_its_children) {
    map_region_t *outer = add_ok(GIB, 4 * 65536, 1);
    map_region_t *inner = add_ok(GIB + 1000, 3 * 65536, 2);
    map_remove(outer);
    cr_assert_null(at(GIB + 999));
    cr_assert_eq(at(GIB + 1000), inner);
    cr_assert_null(at(GIB + 1000 + 3 * 65536));
    map_remove(inner);
    cr_assert_null(at(GIB + 1000));
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 0);
}

Test(map, memory_that_is_allocated_again_replaces_left_overs) {
    map_region_t *outer = add_ok(GIB, 4 * 65536, 1);
    map_region_t *stale = add_ok(GIB, 65536, 2);
    map_remove(outer);
    map_region_t *again = add_ok(GIB, 4 * 65536, 1);
    cr_assert_eq(at(GIB), again);
    cr_assert_eq(again->level, 0);
    map_remove(stale);
    cr_assert_eq(at(GIB), again);
    cr_assert_eq(at(GIB + 65536), again);
    map_remove(again);
    cr_assert_null(at(GIB));
}

Test(map, left_overs_do_not_hide_what_lives_around_them) {
    map_region_t *around = add_ok(GIB, 8 * 65536, 1);
    map_region_t *outer = add_ok(GIB + 65536, 4 * 65536, 2);
    map_region_t *stale = add_ok(GIB + 65536, 65536 + 12, 3);
    map_remove(outer);
    cr_assert_eq(at(GIB + 65536 + 65536 + 12), around);
    map_region_t *again = add_ok(GIB + 65536, 4 * 65536, 2); // begins where a left-over begins
    cr_assert_eq(again->parent, around);
    cr_assert_eq(again->level, 1);
    map_remove(stale);
    map_remove(again);
    cr_assert_eq(at(GIB + 65536), around);
    cr_assert_eq(at(GIB + 5 * 65536 - 1), around);
    map_remove(around);
    cr_assert_null(at(GIB + 65536));
}

Test(map, split_and_merge) {
    map_region_t *low = add_ok(GIB + 10, 200000, 1), *high = NULL;
    uint64_t id = load_relaxed(&low->id);
    cr_assert_eq(map_split(low, 0, &high), INVAL);
    cr_assert_eq(map_split(low, 200000, &high), INVAL);
    cr_assert_eq(map_split(low, 77777, &high), OK);
    cr_assert_eq(at(GIB + 10 + 77776), low);
    cr_assert_eq(at(GIB + 10 + 77777), high);
    cr_assert_eq(at(GIB + 10 + 199999), high);
    cr_assert_eq(load_relaxed(&low->id), id);
    cr_assert_neq(load_relaxed(&high->id), id);
    cr_assert_eq(load_relaxed(&umf_core_state.map.regions), 2);
    map_region_t *child = add_ok(GIB + 10 + 77777, 5, 2);
    cr_assert_eq(map_merge(low, high), INVAL); // a child
    cr_assert_eq(map_split(high, 10, NULL), INVAL);
    map_remove(child);
    cr_assert_eq(map_merge(high, low), INVAL); // wrong order
    cr_assert_eq(map_merge(low, high), OK);
    cr_assert_eq(at(GIB + 10 + 199999), low);
    cr_assert_eq(load_relaxed(&low->size), 200000);
    map_remove(low);
    cr_assert_null(at(GIB + 10 + 77777));
}

Test(map, resize_in_place) {
    map_region_t *outer = add_ok(GIB, 10 * 65536, 1);
    map_region_t *inner = add_ok(GIB + 65536, 65536, 2);
    cr_assert_eq(map_resize(inner, 0), INVAL);
    cr_assert_eq(map_resize(inner, SIZE_MAX), INVAL);
    cr_assert_eq(map_resize(inner, 5 * 65536 + 3), OK);
    cr_assert_eq(at(GIB + 6 * 65536 + 2), inner);
    cr_assert_eq(at(GIB + 6 * 65536 + 3), outer);
    cr_assert_eq(map_resize(inner, 7), OK);
    cr_assert_eq(at(GIB + 65536 + 6), inner);
    cr_assert_eq(at(GIB + 65536 + 7), outer);
    cr_assert_eq(at(GIB + 6 * 65536 + 2), outer);
    map_remove(inner);
    map_remove(outer);
}

/* ---- descriptors of slabs
 * ---------------------------------------------------------------------------------------- */

static map_desc_t slab_desc[4];

static map_desc_t *desc_of_slice(map_region_t *region, uintptr_t addr) {
    return &slab_desc[((addr - region->base) >> MAP_SLICE_SHIFT) % 4];
}

Test(map, slab_descriptors_come_back_when_a_nested_region_goes) {
    map_region_t *chunk = add_ok(GIB, 4 * 65536, 1);
    chunk->desc_at = desc_of_slice;
    for (int i = 0; i < 4; i++) {
        slab_desc[i] = (map_desc_t){.region = chunk, .kind = MAP_KIND_SLAB};
        store_relaxed(&slab_desc[i].owner, 4096);
        map_set_slices(GIB + (uintptr_t)i * 65536, 1, &slab_desc[i]);
    }
    static const struct {
        size_t offset, size;
    } nested[] = {{0, 4 * 65536}, {65536, 65536},     {100, 50},
                  {65500, 65600}, {1, 4 * 65536 - 2}, {131072, 65537}};
    for (size_t n = 0; n < ARRAY_LENGTH(nested); n++) {
        map_region_t *inner = add_ok(GIB + nested[n].offset, nested[n].size, 2);
        for (uintptr_t i = 0; i < 4 * 65536; i += 25) {
            bool inside = i >= nested[n].offset && i < nested[n].offset + nested[n].size;
            cr_assert_eq(map_find((void *)(GIB + i)), inside ? &inner->head : &slab_desc[i >> 16]);
        }
        map_remove(inner);
        for (int i = 0; i < 4; i++) { // whole slices again: the fast path sees the slab
            cr_assert_eq(map_word((void *)(GIB + (uintptr_t)i * 65536)), &slab_desc[i]);
        }
    }
    map_region_t *left = add_ok(GIB + 10, 20, 2); // freed with its block before it was removed
    map_set_slices(GIB, 4, &chunk->head);
    cr_assert_eq(map_word((void *)GIB), &chunk->head);
    cr_assert_eq(map_find((void *)(GIB + 15)), &chunk->head);
    map_remove(left);
    cr_assert_eq(map_find((void *)(GIB + 15)), &chunk->head);
    map_remove(chunk);
    cr_assert_null(map_find((void *)(GIB + 65536)));
}

/* ---- random operations against one entry per byte
 * ------------------------------------------------------------------ */

enum { WINDOW_SLICES = 6, WINDOW = WINDOW_SLICES * 65536, MODEL_MAX = 200 };
#define WINDOW_BASE (9 * GIB - 3 * 65536)

typedef struct model_region {
    map_region_t *region; /* NULL: unused */
    uint32_t base, size;  /* in the window */
    int parent;           /* -1: none */
    int children;
    int level;
    bool dead;
} model_region_t;

typedef struct model {
    model_region_t r[MODEL_MAX];
    int16_t owner[WINDOW]; /* innermost region of the byte, -1: none */
    int live;
    uint64_t rng;
} model_t;

static void model_check_at(const model_t *model, int64_t offset) {
    if (offset < 0 || offset >= WINDOW) {
        cr_assert_null(at((uintptr_t)((int64_t)WINDOW_BASE + offset)), "outside, %ld",
                       (long)offset);
        return;
    }
    int owner = model->owner[offset];
    map_region_t *found = at(WINDOW_BASE + (uintptr_t)offset);
    cr_assert_eq(found, owner < 0 ? NULL : model->r[owner].region,
                 "offset %ld, expected region %d at %p, found %p", (long)offset, owner,
                 owner < 0 ? NULL : (void *)model->r[owner].region, (void *)found);
}

static void model_check_borders(const model_t *model) {
    for (int i = 0; i < MODEL_MAX; i++) {
        const model_region_t *r = &model->r[i];
        if (r->region == NULL) {
            continue;
        }
        for (int d = -1; d <= 1; d++) {
            model_check_at(model, (int64_t)r->base + d);
            model_check_at(model, (int64_t)r->base + r->size + d);
        }
        if (!r->dead) {
            cr_assert_eq(load_relaxed(&r->region->size), r->size);
            cr_assert_eq(r->region->level, r->level);
            cr_assert_eq(r->region->children, (uint32_t)r->children);
        }
    }
    for (int s = -1; s <= WINDOW_SLICES; s++) {
        model_check_at(model, (int64_t)s * 65536);
        model_check_at(model, (int64_t)s * 65536 - 1);
    }
}

static int model_free_slot(const model_t *model) {
    for (int i = 0; i < MODEL_MAX; i++) {
        if (model->r[i].region == NULL) {
            return i;
        }
    }
    return -1;
}

static int model_pick(model_t *model) {
    int start = (int)(rng_next(&model->rng) % MODEL_MAX);
    for (int i = 0; i < MODEL_MAX; i++) {
        int k = (start + i) % MODEL_MAX;
        if (model->r[k].region != NULL && !model->r[k].dead) {
            return k;
        }
    }
    return -1;
}

static void model_paint(model_t *model, uint32_t from, uint32_t to, int who, int only) {
    for (uint32_t i = from; i < to; i++) {
        if (only < 0 || model->owner[i] == only) {
            model->owner[i] = (int16_t)who;
        }
    }
}

static int model_around(const model_t *model, int i) {
    int around = model->r[i].parent;
    while (around >= 0 && model->r[around].dead) {
        around = model->r[around].parent;
    }
    return around;
}

static uint32_t random_offset(model_t *model) {
    uint32_t offset = (uint32_t)(rng_next(&model->rng) % WINDOW);
    switch (rng_next(&model->rng) % 4) {
    case 0:
        return offset & ~65535u;
    case 1:
        return offset & ~4095u;
    case 2: { // where something begins
        int i = model_pick(model);
        return i >= 0 ? model->r[i].base : offset;
    }
    default:
        return offset;
    }
}

static void model_add(model_t *model) {
    static const uint32_t limits[] = {40, 5000, 70000, 200000, WINDOW};
    uint32_t base = random_offset(model);
    uint32_t size =
        (uint32_t)rng_range(&model->rng, 1, limits[rng_next(&model->rng) % ARRAY_LENGTH(limits)]);
    size = rng_next(&model->rng) % 3 == 0 ? (size + 65535) & ~65535u : size;
    size = size > WINDOW - base ? WINDOW - base : size;
    int slot = model_free_slot(model);
    if (slot < 0) {
        return;
    }
    int parent = model->owner[base];
    for (int i = parent; i >= 0; i = model->r[i].parent) { // the one around the outermost left-over
        if (model->r[i].dead) {
            parent = model->r[i].parent;
        }
    }
    umf_result_t wanted = OK;
    if (parent >= 0 && base + size > model->r[parent].base + model->r[parent].size) {
        wanted = INVAL;
    } else if (parent >= 0 && model->r[parent].level == MAP_MAX_LEVEL) {
        wanted = UMF_RESULT_ERROR_OUT_OF_RESOURCES;
    }
    map_region_t *region = NULL;
    cr_assert_eq(add(WINDOW_BASE + base, size, 1 + rng_next(&model->rng) % 3, &region), wanted);
    if (wanted == OK) {
        model->r[slot] =
            (model_region_t){.region = region, .base = base, .size = size, .parent = parent};
        model->r[slot].level = parent >= 0 ? model->r[parent].level + 1 : 0;
        if (parent >= 0) {
            model->r[parent].children++;
        }
        model_paint(model, base, base + size, slot, -1);
        model->live++;
    }
}

static void model_drop(model_t *model, int i) {
    while (i >= 0) {
        int parent = model->r[i].parent;
        model->r[i].region = NULL;
        if (parent < 0 || --model->r[parent].children > 0 || !model->r[parent].dead) {
            return;
        }
        i = parent;
    }
}

static void model_remove(model_t *model, int i) {
    model_region_t *r = &model->r[i];
    map_remove(r->region);
    model_paint(model, r->base, r->base + r->size, model_around(model, i), i);
    model->live--;
    if (r->children > 0) {
        r->dead = true;
    } else {
        model_drop(model, i);
    }
}

static void model_split(model_t *model, int i) {
    model_region_t *r = &model->r[i];
    int slot = model_free_slot(model);
    if (slot < 0) {
        return;
    }
    uint32_t first = (uint32_t)(rng_next(&model->rng) % (r->size + 1));
    first = rng_next(&model->rng) % 2 == 0 ? ((r->base + first) & ~65535u) - r->base : first;
    bool allowed = first > 0 && first < r->size && r->children == 0;
    map_region_t *high = NULL;
    cr_assert_eq(map_split(r->region, first, &high), allowed ? OK : INVAL);
    if (allowed) {
        model->r[slot] = *r;
        model->r[slot].region = high;
        model->r[slot].base = r->base + first;
        model->r[slot].size = r->size - first;
        r->size = first;
        if (r->parent >= 0) {
            model->r[r->parent].children++;
        }
        model->live++;
        model_paint(model, model->r[slot].base, model->r[slot].base + model->r[slot].size, slot, i);
    }
}

static void model_merge(model_t *model, int i) {
    for (int k = 0; k < MODEL_MAX; k++) {
        model_region_t *low = &model->r[i], *high = &model->r[k];
        if (k == i || high->region == NULL || high->dead || low->base + low->size != high->base) {
            continue;
        }
        bool allowed = low->parent == high->parent && low->region->pool == high->region->pool &&
                       low->children == 0 && high->children == 0;
        cr_assert_eq(map_merge(low->region, high->region), allowed ? OK : INVAL);
        if (allowed) {
            model_paint(model, high->base, high->base + high->size, i, k);
            low->size += high->size;
            model->live--;
            model_drop(model, k);
        }
        return;
    }
}

static void model_resize(model_t *model, int i) {
    model_region_t *r = &model->r[i];
    if (r->children > 0) { // the callers look first
        return;
    }
    int around = model_around(model, i);
    uint32_t limit = around >= 0 ? model->r[around].base + model->r[around].size : WINDOW;
    if (limit <= r->base) { // a left-over behind the end of what is around
        return;
    }
    uint32_t size = (uint32_t)rng_range(&model->rng, 1, limit - r->base);
    uint32_t end = r->base + r->size;
    cr_assert_eq(map_resize(r->region, size), OK);
    if (size < r->size) {
        model_paint(model, r->base + size, end, around, i);
    } else {
        model_paint(model, end, r->base + size, i, -1);
    }
    r->size = size;
}

static void model_run(uint64_t seed, int steps) {
    static model_t model; // one test, one process
    memset(&model, 0, sizeof(model));
    memset(model.owner, 0xff, sizeof(model.owner));
    model.rng = seed;
    int wanted = 10;
    for (int step = 0; step < steps; step++) {
        if (step % 500 == 0) {
            wanted = (int)rng_range(&model.rng, 1, 150);
        }
        int i = model_pick(&model);
        unsigned dice = (unsigned)(rng_next(&model.rng) % 100);
        if (i < 0 || (dice < 60 && model.live < wanted) || dice < 25) {
            model_add(&model);
        } else if (dice < 80) {
            model_remove(&model, i);
        } else if (dice < 88) {
            model_split(&model, i);
        } else if (dice < 95) {
            model_merge(&model, i);
        } else {
            model_resize(&model, i);
        }
        if (step % 20 == 0) {
            model_check_borders(&model);
        }
        if (step % 500 == 499) {
            for (int64_t offset = -2; offset < WINDOW + 2; offset++) {
                model_check_at(&model, offset);
            }
        }
        cr_assert_eq(load_relaxed(&umf_core_state.map.regions), (size_t)model.live);
    }
    for (int i = model_pick(&model); i >= 0; i = model_pick(&model)) {
        model_remove(&model, i);
        model_check_borders(&model);
    }
    for (int64_t offset = 0; offset < WINDOW; offset++) {
        model_check_at(&model, offset);
    }
}

Test(map, random_operations_seed_1) {
    model_run(1, SLOW_BUILD ? 3000 : 12000);
}
Test(map, random_operations_seed_2) {
    model_run(2, SLOW_BUILD ? 3000 : 12000);
}
Test(map, random_operations_seed_3) {
    model_run(3, SLOW_BUILD ? 3000 : 12000);
}

/* ---- large ranges
 * ---------------------------------------------------------------------------------------------------
 */

enum { LARGE_MAX = 40 };

typedef struct large {
    map_region_t *region;
    uintptr_t base;
    size_t size;
    int level;
} large_t;

/* The deepest of the list that covers addr. */
static map_region_t *large_oracle(const large_t *list, uintptr_t addr) {
    const large_t *best = NULL;
    for (int i = 0; i < LARGE_MAX; i++) {
        if (list[i].region != NULL && addr - list[i].base < list[i].size &&
            (best == NULL || list[i].level > best->level)) {
            best = &list[i];
        }
    }
    return best != NULL ? best->region : NULL;
}

Test(map, large_ranges_all_over_the_address_space) {
    static large_t list[LARGE_MAX];
    uint64_t rng = 7;
    for (int step = 0; step < (SLOW_BUILD ? 200 : 1500); step++) {
        int k = (int)(rng_next(&rng) % LARGE_MAX);
        if (list[k].region != NULL) {
            bool nested_inside = false;
            for (int i = 0; i < LARGE_MAX; i++) {
                nested_inside |= i != k && list[i].region != NULL &&
                                 list[i].level > list[k].level &&
                                 list[i].base - list[k].base < list[k].size;
            }
            if (!nested_inside) {
                map_remove(list[k].region);
                list[k].region = NULL;
            }
            continue;
        }
        size_t size = (size_t)rng_range(&rng, 1,
                                        step % 10 == 0  ? 3 * GIB
                                        : step % 3 == 0 ? 100 << 20
                                                        : 1 << 20);
        uintptr_t base = (uintptr_t)rng_range(&rng, 1, TOP - size);
        int around = (int)(rng_next(&rng) % LARGE_MAX);
        int level = 0;
        if (list[around].region != NULL &&
            list[around].level < MAP_MAX_LEVEL) { // inside another one
            size = (size_t)rng_range(&rng, 1, list[around].size);
            base = list[around].base + (uintptr_t)rng_range(&rng, 0, list[around].size - size);
            level = list[around].level + 1;
        }
        bool overlaps = false;
        for (int i = 0; i < LARGE_MAX; i++) {
            bool encloses = list[i].base <= base && base + size <= list[i].base + list[i].size &&
                            list[i].level < level;
            overlaps |= list[i].region != NULL && !encloses && list[i].base < base + size &&
                        base < list[i].base + list[i].size;
        }
        if (!overlaps) {
            list[k] = (large_t){add_ok(base, size, 1), base, size, level};
            cr_assert_eq(list[k].region->level, level);
        }
        for (int i = 0; i < LARGE_MAX; i++) {
            for (int d = -1; d <= 1 && list[i].region != NULL; d++) {
                uintptr_t first = list[i].base + (uintptr_t)(intptr_t)d;
                uintptr_t last = first + list[i].size;
                cr_assert_eq(at(first), first < TOP ? large_oracle(list, first) : NULL);
                cr_assert_eq(at(last), last < TOP ? large_oracle(list, last) : NULL);
            }
        }
    }
}

/* ---- readers while a writer changes neighbours
 * ----------------------------------------------------------------------- */

enum { STABLE = 64, STABLE_BYTES = 100, READERS = 2, CHURN_STEPS = SLOW_BUILD ? 8000 : 60000 };
static map_region_t *stable[STABLE];
static _Atomic(bool) churn_over;
static _Atomic(size_t) wrong_answers;

static uintptr_t stable_base(int i) {
    return 20 * GIB + (uintptr_t)i * 9000 + 7;
}

static void *churn_reader(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    while (!load_acquire(&churn_over)) {
        int i = (int)(rng_next(&rng) % STABLE);
        uintptr_t addr = stable_base(i) + rng_next(&rng) % STABLE_BYTES;
        map_region_t *found = at(addr);
        if (found != stable[i] || found->base != stable_base(i)) {
            fetch_add_relaxed(&wrong_answers, 1);
        }
        if (at(stable_base(i) - 1) == stable[i] || at(stable_base(i) + STABLE_BYTES) == stable[i]) {
            fetch_add_relaxed(&wrong_answers, 1);
        }
    }
    return NULL;
}

Test(map, readers_are_right_while_neighbours_come_and_go) {
    for (int i = 0; i < STABLE; i++) {
        stable[i] = add_ok(stable_base(i), STABLE_BYTES, 1);
    }
    pthread_t reader[READERS];
    for (uintptr_t i = 0; i < READERS; i++) {
        cr_assert_eq(pthread_create(&reader[i], NULL, churn_reader, (void *)(i + 1)), 0);
    }
    map_region_t *gap[STABLE] = {NULL}; // in the room behind each stable one
    uint64_t rng = 99;
    for (int step = 0; step < CHURN_STEPS; step++) {
        int i = (int)(rng_next(&rng) % STABLE);
        if (gap[i] == NULL) {
            uintptr_t from = stable_base(i) + STABLE_BYTES + rng_next(&rng) % 4000;
            gap[i] = add_ok(from, 1 + rng_next(&rng) % 4000, 2);
        } else {
            map_remove(gap[i]);
            gap[i] = NULL;
        }
        if (step % 7 == 0) { // other slices take and leave cells
            uintptr_t far = 30 * GIB + (rng_next(&rng) % 16) * 65536 + 5;
            map_remove(add_ok(far, 50, 3));
        }
    }
    store_release(&churn_over, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(reader[i], NULL);
    }
    cr_assert_eq(load_relaxed(&wrong_answers), 0);
}

/* Slices whose only stable part keeps their word mixed, and cells that wander between slices. */
static void *wander_reader(void *arg) {
    uint64_t rng = (uintptr_t)arg;
    while (!load_acquire(&churn_over)) {
        uintptr_t slice = 40 * GIB + (rng_next(&rng) % 8) * 65536;
        map_region_t *found = at(slice + 500);
        // A region of that slice or nobody: never one of another slice.
        if (found != NULL && found->head.region != found) {
            fetch_add_relaxed(&wrong_answers, 1);
        }
        uintptr_t kept = 41 * GIB + (rng_next(&rng) % STABLE) * 65536 + 500;
        if (at(kept) != stable[(kept - 41 * GIB) >> 16]) {
            fetch_add_relaxed(&wrong_answers, 1);
        }
    }
    return NULL;
}

Test(map, cells_that_wander_between_slices) {
    for (uintptr_t i = 0; i < STABLE; i++) {
        stable[i] = add_ok(41 * GIB + i * 65536 + 500, 1, 1);
    }
    pthread_t reader[READERS];
    for (uintptr_t i = 0; i < READERS; i++) {
        cr_assert_eq(pthread_create(&reader[i], NULL, wander_reader, (void *)(i + 1)), 0);
    }
    uint64_t rng = 5;
    for (int step = 0; step < CHURN_STEPS; step++) {
        uintptr_t slice = 40 * GIB + (rng_next(&rng) % 8) * 65536;
        map_region_t *one = add_ok(slice + 400, 200, 1);
        map_region_t *kept_neighbour =
            add_ok(41 * GIB + (rng_next(&rng) % STABLE) * 65536 + 501, 9000, 2);
        map_remove(one);
        map_remove(kept_neighbour);
    }
    store_release(&churn_over, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(reader[i], NULL);
    }
    cr_assert_eq(load_relaxed(&wrong_answers), 0);
}

/* ---- a full cell
 * ------------------------------------------------------------------------------------------------------
 */

Test(map, one_slice_of_very_many_pieces) {
    enum { PIECES = 65536 / 8 };
    map_region_t **piece = base_alloc(PIECES * sizeof(*piece));
    cr_assert_not_null(piece);
    for (uintptr_t i = 0; i < PIECES; i++) { // from both ends to the middle
        uintptr_t k = i % 2 == 0 ? i / 2 : PIECES - 1 - i / 2;
        piece[k] = add_ok(50 * GIB + k * 8, 3 + k % 6, 1);
    }
    for (uintptr_t i = 0; i < 65536; i++) {
        map_region_t *wanted = i % 8 < 3 + (i / 8) % 6 ? piece[i / 8] : NULL;
        cr_assert_eq(at(50 * GIB + i), wanted);
    }
    for (uintptr_t i = 0; i < PIECES; i += 2) {
        map_remove(piece[i]);
    }
    for (uintptr_t i = 0; i < 65536; i++) {
        map_region_t *wanted = i / 8 % 2 == 1 && i % 8 < 3 + (i / 8) % 6 ? piece[i / 8] : NULL;
        cr_assert_eq(at(50 * GIB + i), wanted);
    }
    for (uintptr_t i = 1; i < PIECES; i += 2) {
        map_remove(piece[i]);
    }
    cr_assert_null(map_find((void *)(50 * GIB)));
    base_free(piece, PIECES * sizeof(*piece));
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Address map: whose address is this? See the head of map.c for the structure.
 *
 * Two kinds of users: the pool layer registers every provider allocation as a *region*; the slab
 * pool puts the *slab* descriptors of its size classes over the slices of its own regions, so that
 * free() reaches them with two loads. Lookups take no lock and write nothing; changes take one
 * lock.
 */
#ifndef UMF_CORE_MAP_H
#define UMF_CORE_MAP_H

#include <umf/memory_pool.h>
#include <umf/memory_provider.h>
#include <umf/memory_provider_gpu.h>

#include "core/lock.h"
#include "core/utils.h"

enum {
    MAP_SLICE_SHIFT = 16,
    MAP_SLICE_BYTES = 1 << MAP_SLICE_SHIFT, /* 64 KiB: granularity of one map word */
    MAP_LEAF_SHIFT = 14,
    MAP_LEAF_WORDS = 1 << MAP_LEAF_SHIFT, /* one leaf covers 1 GiB */
    MAP_ADDRESS_BITS = 48,                /* user addresses of x86-64 and aarch64 */
    MAP_ROOT_SHIFT = MAP_ADDRESS_BITS - MAP_SLICE_SHIFT - MAP_LEAF_SHIFT,
    MAP_ROOT_WORDS = 1 << MAP_ROOT_SHIFT,
    MAP_MAX_LEVEL = 7,     /* a region may lie inside 7 others: 8 levels in all */
    MAP_CELL_CLASSES = 15, /* capacities of mixed cells, see map.c */
};

/* Owner word of everything that is no slab; never equals a thread heap's address. */
#define MAP_OWNER_NONE ((uintptr_t)1)

typedef enum map_kind {
    MAP_KIND_NONE = 0, /* nobody's memory: the one descriptor umf_core_map_root.none */
    MAP_KIND_REGION = 1,
    MAP_KIND_SLAB = 2,
    MAP_KIND_MIXED = 3,
    MAP_KIND_WATCHED = 4, /* a slab each of whose frees takes the slow side (pools/slab_watch.h) */
} map_kind_t;

/* Every descriptor begins with this. Descriptors are type-stable: their memory is only ever reused
 * for descriptors of the same kind, so a racing reader sees an old or a new one, never garbage. */
typedef struct map_desc {
    _Atomic(uintptr_t)
        owner; /* of a slab: its thread heap; else MAP_OWNER_NONE. First: free() compares it */
    struct map_region *region; /* the region it lies in; a region points to itself */
    map_kind_t kind;
} map_desc_t;

/* One provider allocation (or opened IPC mapping). Fields are constant while the region is
 * registered, except where noted. */
typedef struct map_region {
    map_desc_t head;
    uintptr_t base;
    _Atomic(size_t) size;          /* bytes; changes by split and merge only */
    umf_memory_pool_handle_t pool; /* NULL: opened IPC mapping */
    _Atomic(uint64_t) id;          /* unique in the process; 0: not registered */
    umf_usm_memory_type_t memory_type;
    uint8_t level;   /* 0: not nested */
    bool hidden;     /* tracking disabled: found by free(), unknown to umfPoolByPtr */
    bool ipc_opened; /* mapping of another process's memory */
    bool dead;       /* unregistered while children remained; under the map lock */
    umf_memory_provider_handle_t provider; /* the user's provider */
    uint32_t children;                     /* regions directly inside; under the map lock */
    struct map_region *parent;             /* region around this one, or NULL */
    /* Set by a pool that puts its own descriptors over the slices: the one that belongs at addr, or
     * NULL for the region itself. Used to restore words when a nested region goes. Called under the
     * map lock. */
    map_desc_t *(*desc_at)(struct map_region *region, uintptr_t addr);
    void *pool_data;          /* belongs to the pool (slab: its chunk) */
    _Atomic(void *) ipc_data; /* belongs to the IPC layer */
} map_region_t;
static_assert(offsetof(map_region_t, dead) < 64, "a look-up reads one cache line of it");

/*
 * Root and words hold offsets from the root itself, so that the all-zero state already means
 * "nobody": a zero root entry leads to `empty` below, a zero word to `none`. Lookups need no NULL
 * tests, and the object is all zero: it costs no file space, and no memory where nothing was
 * registered. It is an interposable symbol of its own (state.h).
 */
typedef struct map_leaf {
    _Atomic(uintptr_t) word[MAP_LEAF_WORDS]; /* descriptor - &umf_core_map_root.none */
} map_leaf_t;

typedef struct map_root {
    _Atomic(uintptr_t) leaf[MAP_ROOT_WORDS]; /* leaf - &umf_core_map_root.empty */
    map_desc_t none;                         /* zero: kind MAP_KIND_NONE, owner 0 */
    map_leaf_t empty;                        /* zero */
} map_root_t;
extern UMF_EXPORT map_root_t umf_core_map_root;

typedef struct map_state {
    umf_lock_t lock; /* all writers */
    map_region_t *free_regions;
    void *free_cells[MAP_CELL_CLASSES]; /* per capacity class */
    _Atomic(uint64_t) next_id;
    _Atomic(size_t) regions; /* registered now */
} map_state_t;

/* What to register. */
typedef struct map_region_info {
    void *base;
    size_t size;
    umf_memory_pool_handle_t pool;
    umf_memory_provider_handle_t provider;
    umf_usm_memory_type_t memory_type;
    bool hidden;
    bool ipc_opened;
} map_region_info_t;

/*
 * Registers a range. SUCCESS: *out (may be NULL) is the region.
 * INVALID_ARGUMENT: it begins inside a region but ends beyond it. OUT_OF_RESOURCES: nested deeper
 * than MAP_MAX_LEVEL. OUT_OF_HOST_MEMORY: no metadata; nothing is left registered. UNKNOWN: an
 * address beyond the map. A range that covers left-overs of memory that was freed in the wrong
 * order replaces them.
 */
umf_result_t map_add(const map_region_info_t *info, map_region_t **out);

/* Takes the region out; its words go back to the region around it. The descriptor must not be used
 * afterwards. */
void map_remove(map_region_t *region);

/* The region that begins exactly at base and belongs to this pool (NULL: hidden ones) and provider,
 * whatever lies nested in it; else NULL. */
map_region_t *map_find_exact(const void *base, umf_memory_pool_handle_t pool,
                             umf_memory_provider_handle_t provider);

/* Cuts a childless region into [base, base+first) and the rest; both keep all other attributes; the
 * second gets a new id. */
umf_result_t map_split(map_region_t *region, size_t first, map_region_t **second);
/* Undoes a split: `high` must follow `low` directly, same level, pool and provider, both childless.
 */
umf_result_t map_merge(map_region_t *low, map_region_t *high);
/* New size of a region that the provider moved or resized in place (only huge blocks do this). */
umf_result_t map_resize(map_region_t *region, size_t new_size);

/* Puts desc over `count` slices from the slice-aligned address base (all inside one region);
 * release order. */
void map_set_slices(uintptr_t base, size_t count, map_desc_t *desc);
/* Gives such slices back to the region that they lie in. Regions nested in them stay known: they
 * are left over from memory freed in the wrong order, and their owners may still come and free
 * them. */
void map_clear_slices(uintptr_t base, size_t count, map_region_t *region);

/* The innermost region or slab at ptr, or NULL. Lock-free, writes nothing. Any pointer value is
 * allowed. */
map_desc_t *map_find(const void *ptr);

/* The innermost region at ptr, or NULL. */
UMF_INLINE map_region_t *map_find_region(const void *ptr) {
    map_desc_t *desc = map_find(ptr);
    return desc ? desc->region : NULL;
}

/* Fast path of map_find: the word of a slice; may also be a MIXED cell or `none`, never NULL. ptr <
 * 2^48. */
UMF_INLINE map_desc_t *map_word(const void *ptr) {
    uintptr_t addr = (uintptr_t)ptr;
    uintptr_t root = (uintptr_t)&umf_core_map_root;
    uintptr_t leaf =
        root + load_acquire(&umf_core_map_root.leaf[addr >> (MAP_SLICE_SHIFT + MAP_LEAF_SHIFT)]);
    // Keeps the compiler from folding the sum into the index, which costs an instruction.
    __asm__("" : "+r"(leaf));
    const map_leaf_t *words = (const map_leaf_t *)(leaf + offsetof(map_root_t, empty));
    return (
        map_desc_t *)(root + offsetof(map_root_t, none) +
                      load_acquire(&words->word[(addr >> MAP_SLICE_SHIFT) & (MAP_LEAF_WORDS - 1)]));
}

#endif /* UMF_CORE_MAP_H */

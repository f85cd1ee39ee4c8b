/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The size-class table; see slab_classes.h. */
#include "pools/slab_classes.h"

/* Block size of class c: 16(c+1), then (9 + k % 8) * 2^(5 + k / 8) with k = c - 16. COARSE(c) is k,
 * 0 where it has no meaning. */
#define COARSE(c) ((c) < SLAB_FINE_CLASSES ? 0u : (c)-SLAB_FINE_CLASSES)
#define BYTES(c)                                                                                   \
    ((c) < SLAB_FINE_CLASSES ? 16u * ((c) + 1u) : (9u + COARSE(c) % 8u) << (5u + COARSE(c) / 8u))
/* Slices of a slab: the power of two that holds SLAB_BLOCKS_MIN blocks. */
#define SLICES(b) ((b) <= 8192u ? 1u : (b) <= 16384u ? 2u : (b) <= 32768u ? 4u : 8u)
#define ROW(c)                                                                                     \
    {                                                                                              \
        BYTES(c), SLICES(BYTES(c)), SLICES(BYTES(c)) * MAP_SLICE_BYTES / BYTES(c),                 \
            UINT64_MAX / BYTES(c) + 1                                                              \
    }
#define ROWS8(c)                                                                                   \
    ROW(c), ROW(c + 1u), ROW(c + 2u), ROW(c + 3u), ROW(c + 4u), ROW(c + 5u), ROW(c + 6u),          \
        ROW(c + 7u)

const slab_class_info_t slab_class_info[SLAB_CLASSES] = {
    ROWS8(0u),  ROWS8(8u),  ROWS8(16u), ROWS8(24u), ROWS8(32u),
    ROWS8(40u), ROWS8(48u), ROWS8(56u), ROWS8(64u), ROWS8(72u),
};
static_assert(BYTES(SLAB_MEDIUM_CLASS) == 4096, "as its comment says");
static_assert(BYTES(79u) == SLAB_CLASS_MAX, "the last class is the largest block");
static_assert(BYTES(16u) == 288 && BYTES(23u) == 512 && BYTES(24u) == 576, "eight per doubling");
static_assert(SLICES(SLAB_CLASS_MAX) * MAP_SLICE_BYTES / SLAB_CLASS_MAX >= SLAB_BLOCKS_MIN, "room");

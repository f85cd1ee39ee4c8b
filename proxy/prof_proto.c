/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * profile.proto, the format of pprof: protocol buffer messages, written field by field. Values per
 * stack: blocks and bytes in use, allocated in all, and in use at the peak. A location is an
 * address; its number is the address.
 */
#include <string.h>
#include <time.h>

#include "core/base_alloc.h"
#include "proxy/prof_unwind.h"
#include "proxy/prof_write.h"

/* Field numbers. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE = 2,
    PROFILE_MAPPING = 3,
    PROFILE_LOCATION = 4,
    PROFILE_STRING = 6,
    PROFILE_TIME_NANOS = 9,
    PROFILE_PERIOD_TYPE = 11,
    PROFILE_PERIOD = 12,
    PROFILE_DEFAULT_SAMPLE_TYPE = 14,
    VALUE_TYPE_TYPE = 1,
    VALUE_TYPE_UNIT = 2,
    SAMPLE_LOCATION = 1,
    SAMPLE_VALUE = 2,
    MAPPING_ID = 1,
    MAPPING_START = 2,
    MAPPING_LIMIT = 3,
    MAPPING_OFFSET = 4,
    MAPPING_FILENAME = 5,
    LOCATION_ID = 1,
    LOCATION_MAPPING = 2,
    LOCATION_ADDRESS = 3,
    WIRE_VARINT = 0,
    WIRE_BYTES = 2,
};

enum { VARINT_BYTES = 10, VALUES = 6 };

/* Numbers of strings: 0 is "", then these, then the files of the mappings. */
enum { STRING_OBJECTS_IN_USE = 1, STRING_COUNT = 7, STRING_BYTES = 8, STRING_SPACE = 9 };
static const char *const strings[] = {
    "",           "inuse_objects", "inuse_space", "alloc_objects", "alloc_space", "peak_objects",
    "peak_space", "count",         "bytes",       "space"};

/* A message in the making, with room for a stack. */
typedef struct message {
    size_t used;
    uint8_t bytes[(PROF_DEPTH_MAX + VALUES + 8) * VARINT_BYTES];
} message_t;

static void put_varint(message_t *message, uint64_t value) {
    while (value >= 0x80) {
        message->bytes[message->used++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    message->bytes[message->used++] = (uint8_t)value;
}

static void put_number(message_t *message, unsigned field, uint64_t value) {
    put_varint(message, field << 3 | WIRE_VARINT);
    put_varint(message, value);
}

/* A repeated number, packed. */
static void put_numbers(message_t *message, unsigned field, const uint64_t *values,
                        unsigned count) {
    message_t packed = {0};
    for (unsigned i = 0; i < count; i++) {
        put_varint(&packed, values[i]);
    }
    put_varint(message, field << 3 | WIRE_BYTES);
    put_varint(message, packed.used);
    memcpy(message->bytes + message->used, packed.bytes, packed.used);
    message->used += packed.used;
}

/* Fields of the profile itself. */
static void out_number(prof_out_t *out, unsigned field, uint64_t value) {
    message_t head = {0};
    put_number(&head, field, value);
    prof_out_bytes(out, head.bytes, head.used);
}

static void out_bytes(prof_out_t *out, unsigned field, const void *bytes, size_t count) {
    message_t head = {0};
    put_varint(&head, field << 3 | WIRE_BYTES);
    put_varint(&head, count);
    prof_out_bytes(out, head.bytes, head.used);
    prof_out_bytes(out, bytes, count);
}

static void out_value_type(prof_out_t *out, unsigned field, unsigned type, unsigned unit) {
    message_t value_type = {0};
    put_number(&value_type, VALUE_TYPE_TYPE, type);
    put_number(&value_type, VALUE_TYPE_UNIT, unit);
    out_bytes(out, field, value_type.bytes, value_type.used);
}

static void out_strings(prof_out_t *out, const prof_modules_t *modules) {
    for (size_t i = 0; i < ARRAY_LENGTH(strings); i++) {
        out_bytes(out, PROFILE_STRING, strings[i], strlen(strings[i]));
    }
    for (size_t i = 0; i < modules->count; i++) {
        out_bytes(out, PROFILE_STRING, modules->module[i].path, strlen(modules->module[i].path));
    }
}

static void out_mappings(prof_out_t *out, const prof_modules_t *modules) {
    for (size_t i = 0; i < modules->count; i++) {
        const prof_module_t *module = &modules->module[i];
        message_t mapping = {0};
        put_number(&mapping, MAPPING_ID, i + 1);
        put_number(&mapping, MAPPING_START, module->start);
        put_number(&mapping, MAPPING_LIMIT, module->end);
        put_number(&mapping, MAPPING_OFFSET, module->offset);
        put_number(&mapping, MAPPING_FILENAME, ARRAY_LENGTH(strings) + i);
        out_bytes(out, PROFILE_MAPPING, mapping.bytes, mapping.used);
    }
}

static void out_sample(prof_out_t *out, const prof_entry_t *entry) {
    uint64_t address[PROF_DEPTH_MAX];
    const prof_site_t *site = entry->site;
    for (uint32_t i = 0; i < site->depth; i++) {
        address[i] = site->frame[i] - 1; // within the call
    }
    const uint64_t value[VALUES] = {prof_blocks(&entry->live),  entry->live.bytes,
                                    prof_blocks(&entry->total), entry->total.bytes,
                                    prof_blocks(&entry->peak),  entry->peak.bytes};
    message_t sample = {0};
    put_numbers(&sample, SAMPLE_LOCATION, address, site->depth);
    put_numbers(&sample, SAMPLE_VALUE, value, VALUES);
    out_bytes(out, PROFILE_SAMPLE, sample.bytes, sample.used);
}

static void out_location(prof_out_t *out, const prof_modules_t *modules, uint64_t address) {
    const prof_module_t *module = prof_modules_find(modules, address);
    message_t location = {0};
    put_number(&location, LOCATION_ID, address);
    if (module != NULL) {
        put_number(&location, LOCATION_MAPPING, (uint64_t)(module - modules->module) + 1);
    }
    put_number(&location, LOCATION_ADDRESS, address);
    out_bytes(out, PROFILE_LOCATION, location.bytes, location.used);
}

/* Every address once: an open hash table of those written. */
static bool out_locations(prof_out_t *out, const prof_snapshot_t *snapshot,
                          const prof_modules_t *modules) {
    size_t frames = 1;
    for (size_t i = 0; i < snapshot->count; i++) {
        frames += snapshot->entry[i].site->depth;
    }
    size_t room = (size_t)4 << log2_floor(frames);
    uint64_t *seen = base_map(room * sizeof(uint64_t));
    if (seen == NULL) {
        return false;
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        const prof_site_t *site = snapshot->entry[i].site;
        for (uint32_t f = 0; f < site->depth; f++) {
            uint64_t address = site->frame[f] - 1;
            size_t at = (address * UINT64_C(0x9e3779b97f4a7c15) >> 20) % room;
            while (seen[at] != 0 && seen[at] != address) {
                at = (at + 1) % room;
            }
            if (seen[at] == 0) {
                seen[at] = address;
                out_location(out, modules, address);
            }
        }
    }
    base_unmap(seen, room * sizeof(uint64_t));
    return true;
}

bool prof_write_proto(prof_out_t *out, const prof_snapshot_t *snapshot,
                      const prof_modules_t *modules, uint64_t interval) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    for (unsigned i = 0; i < VALUES; i++) {
        out_value_type(out, PROFILE_SAMPLE_TYPE, STRING_OBJECTS_IN_USE + i,
                       i % 2 == 0 ? STRING_COUNT : STRING_BYTES);
    }
    for (size_t i = 0; i < snapshot->count; i++) {
        out_sample(out, &snapshot->entry[i]);
    }
    out_mappings(out, modules);
    bool done = out_locations(out, snapshot, modules);
    out_strings(out, modules);
    out_number(out, PROFILE_TIME_NANOS, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
    out_value_type(out, PROFILE_PERIOD_TYPE, STRING_SPACE, STRING_BYTES);
    out_number(out, PROFILE_PERIOD, interval);
    out_number(out, PROFILE_DEFAULT_SAMPLE_TYPE, STRING_OBJECTS_IN_USE + 1);
    return done;
}

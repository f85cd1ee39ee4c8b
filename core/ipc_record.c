/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* The bytes of an IPC handle; see ipc_record.h. */
#include "core/ipc_record.h"

#include <string.h>

enum {
    RECORD_VALUE_BITS = 48,
    RECORD_VERSION = 1,
    RECORD_TAG = 0x5500 | RECORD_VERSION, /* 'U' and the version */
    RECORD_LOW_BITS = 16,                 /* of the data's length that are beside the size */
};
#define RECORD_VALUE_MASK ((UINT64_C(1) << RECORD_VALUE_BITS) - 1)

/* Two odd numbers without structure (fractional parts of the golden ratio and of the square root of
 * 2). */
#define MIX_A UINT64_C(0x9e3779b97f4a7c15)
#define MIX_B UINT64_C(0x6a09e667f3bcc909)

static uint64_t mix(uint64_t state, uint64_t word) {
    state = (state ^ word) * MIX_A;
    return state ^ (state >> 32);
}

static uint32_t fold(uint64_t state) {
    state *= MIX_B;
    return (uint32_t)(state >> 32);
}

/* The part of the check that does not depend on the offset. */
static uint32_t base_check(const ipc_header_t *header, const uint8_t *data) {
    uint64_t state = mix(MIX_B, header->id);
    state = mix(state, header->base | (uint64_t)RECORD_TAG << RECORD_VALUE_BITS);
    state = mix(state, (uint32_t)header->pid | (uint64_t)header->data_bytes << 32);
    state = mix(state, header->size);
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= header->data_bytes; at += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, data + at, sizeof(word));
        state = mix(state, word);
    }
    uint64_t rest = 0;
    memcpy(&rest, data + at, header->data_bytes - at);
    return fold(mix(state, rest));
}

static uint32_t offset_check(size_t offset) {
    return fold(mix(MIX_A, offset));
}

void ipc_record_write(struct umf_ipc_data_t *record, const ipc_header_t *header) {
    const uint32_t low = header->data_bytes & ((1u << RECORD_LOW_BITS) - 1);
    const uint32_t high = header->data_bytes >> RECORD_LOW_BITS;
    record->id = header->id;
    record->base_tag = header->base | (uint64_t)RECORD_TAG << RECORD_VALUE_BITS;
    record->pid = header->pid;
    record->size_low = header->size | (uint64_t)low << RECORD_VALUE_BITS;
    record->offset_high = header->offset | (uint64_t)high << RECORD_VALUE_BITS;
    record->check = base_check(header, record->data) ^ offset_check(header->offset);
}

void ipc_record_set_offset(struct umf_ipc_data_t *record, size_t offset) {
    const size_t before = record->offset_high & RECORD_VALUE_MASK;
    record->check ^= offset_check(before) ^ offset_check(offset);
    record->offset_high = (record->offset_high & ~RECORD_VALUE_MASK) | offset;
}

bool ipc_record_read(const void *bytes, size_t available, ipc_header_t *header) {
    struct umf_ipc_data_t record;
    if (available < sizeof(record)) {
        return false;
    }
    memcpy(&record, bytes, sizeof(record));
    header->id = record.id;
    header->base = record.base_tag & RECORD_VALUE_MASK;
    header->pid = record.pid;
    header->size = record.size_low & RECORD_VALUE_MASK;
    header->offset = record.offset_high & RECORD_VALUE_MASK;
    header->data_bytes = (uint32_t)(record.size_low >> RECORD_VALUE_BITS) |
                         (uint32_t)(record.offset_high >> RECORD_VALUE_BITS) << RECORD_LOW_BITS;
    header->base_check = record.check ^ offset_check(header->offset);
    return record.base_tag >> RECORD_VALUE_BITS == RECORD_TAG && header->base != 0 &&
           header->pid > 0 && header->offset < header->size && header->data_bytes <= IPC_DATA_MAX &&
           (available == SIZE_MAX || available == sizeof(record) + header->data_bytes);
}

bool ipc_record_intact(const void *bytes, const ipc_header_t *header) {
    return base_check(header, (const uint8_t *)bytes + IPC_HEADER_BYTES) == header->base_check;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The bytes of an IPC handle: 40 bytes of header, then what the provider says.
 *
 *   offset 0   id, unique in the system: a random start per process, counting up
 *          8   address of the allocation in the producer (48 bits); above them magic and version
 *         16   process id of the producer
 *         20   check: sum over all else
 *         24   bytes of the allocation (48 bits); above them the low half of the data's length
 *         32   place in the allocation (48 bits); above them the high half of that length
 *         40   the provider's data
 *
 * The check finds damage, other versions and bytes that are something else. It keeps nobody out
 * who means harm: what is dangerous is checked where it is used.
 */
#ifndef UMF_CORE_IPC_RECORD_H
#define UMF_CORE_IPC_RECORD_H

#include <umf/ipc.h>

#include "core/utils.h"

enum {
    IPC_HEADER_BYTES = 40,
    IPC_DATA_MAX = 64 * 1024, /* of a provider's data: far beyond any that exists */
};

struct umf_ipc_data_t {
    uint64_t id;
    uint64_t base_tag;
    int32_t pid;
    uint32_t check;
    uint64_t size_low;
    uint64_t offset_high;
    uint8_t data[];
};
static_assert(sizeof(struct umf_ipc_data_t) == IPC_HEADER_BYTES, "the layout above");

/* A header as plain values. */
typedef struct ipc_header {
    uint64_t id;
    uintptr_t base; /* in the producer */
    int32_t pid;
    uint32_t data_bytes;
    size_t size;         /* of the allocation */
    size_t offset;       /* in it */
    uint32_t base_check; /* the check less the offset's part: the same for all handles of one id */
} ipc_header_t;

/* Writes all but the data, which is in its place already. */
void ipc_record_write(struct umf_ipc_data_t *record, const ipc_header_t *header);
/* Changes the offset of a written record. */
void ipc_record_set_offset(struct umf_ipc_data_t *record, size_t offset);

/* Reads the header of foreign bytes at any address. False: not a handle, or of another version;
 * `available` bytes are too few or too many (SIZE_MAX: not known); impossible values. The check is
 * not compared. */
bool ipc_record_read(const void *bytes, size_t available, ipc_header_t *header);
/* True when the check fits header and data. */
bool ipc_record_intact(const void *bytes, const ipc_header_t *header);

#endif /* UMF_CORE_IPC_RECORD_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* NUMA placement of the OS provider's mappings; see os_numa.c. */
#ifndef UMF_PROVIDERS_OS_NUMA_H
#define UMF_PROVIDERS_OS_NUMA_H

#include <umf/providers/provider_os_memory.h>

#include "core/utils.h"

enum {
    OS_NUMA_NODES_MAX = 1024, /* the largest count that Linux can be built for */
    OS_NUMA_WORD_BITS = 8 * sizeof(unsigned long),
};

typedef struct os_nodeset {
    unsigned long word[OS_NUMA_NODES_MAX / OS_NUMA_WORD_BITS];
} os_nodeset_t;

bool os_nodeset_has(const os_nodeset_t *set, unsigned node);
bool os_nodeset_equal(const os_nodeset_t *a, const os_nodeset_t *b);
/* Node numbers of OS_NUMA_NODES_MAX and more are ignored. */
void os_nodeset_add(os_nodeset_t *set, unsigned node);
/* Adds the nodes of a list like "0-3,5"; false when the text is no such list. */
bool os_nodeset_parse(os_nodeset_t *set, const char *text);
/* Adds the nodes that are online; node 0 alone on a kernel without NUMA. errno is preserved. */
void os_nodeset_discover(os_nodeset_t *set);

/* Placement rules of a provider. Constant but for `interleaved`. */
typedef struct os_numa {
    umf_numa_mode_t mode;
    unsigned node_count;
    unsigned *nodes; /* owned; in the user's order */
    unsigned partition_count;
    umf_numa_split_partition_t *partitions; /* owned; SPLIT: never empty */
    size_t part_size;                       /* of INTERLEAVE, in whole pages; 0: by the kernel */
    _Atomic(size_t) interleaved;            /* bytes placed so far by INTERLEAVE with a part size */
    os_nodeset_t online;                    /* nodes of the machine; empty in mode DEFAULT */
} os_numa_t;

/* What the user wants; the arrays stay the caller's. */
typedef struct os_numa_request {
    umf_numa_mode_t mode;
    const unsigned *nodes;
    unsigned node_count;
    size_t part_size;
    const umf_numa_split_partition_t *partitions;
    unsigned partition_count;
} os_numa_request_t;

/* Checks a request. INVALID_ARGUMENT: the log says what does not fit. */
umf_result_t os_numa_check(const os_numa_request_t *request);
/* Fills *numa (all zero before) from a checked request. On failure there is nothing to undo. */
umf_result_t os_numa_init(os_numa_t *numa, const os_numa_request_t *request);
void os_numa_fini(os_numa_t *numa);

/* Called for one range [offset, offset + length) of a block; not 0 stops the walk. */
typedef int (*os_numa_visit_t)(void *context, size_t offset, size_t length,
                               const os_nodeset_t *nodes);

/* The ranges of SPLIT, or of INTERLEAVE with a part size when `placed` bytes came before, over a
 * block of `size` bytes (whole pages). No system call. Returns what stopped the walk, else 0. */
int os_numa_plan_split(const os_numa_t *numa, size_t size, os_numa_visit_t visit, void *context);
int os_numa_plan_interleave(const os_numa_t *numa, size_t size, size_t placed,
                            os_numa_visit_t visit, void *context);

/* Binds a new mapping (whole pages). 0, or -1 with errno. A kernel without NUMA is no error. */
int os_numa_bind(os_numa_t *numa, void *ptr, size_t size);

/* True when the place of a page depends on its offset in the block, so that blocks can not grow. */
bool os_numa_positional(const os_numa_t *numa);

#endif /* UMF_PROVIDERS_OS_NUMA_H */

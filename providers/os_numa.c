/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * NUMA placement by mbind(2), without libnuma. What mode does what:
 *
 *   DEFAULT                  no call: the process's own policy counts
 *   BIND                     MPOL_BIND over the list
 *   INTERLEAVE               MPOL_INTERLEAVE over the list
 *   INTERLEAVE + part size   parts go round the list, MPOL_BIND of each to one node; the turn goes
 *                            on with the provider's next block
 *   PREFERRED + list         MPOL_PREFERRED_MANY; before Linux 5.15 MPOL_PREFERRED (first node)
 *   PREFERRED                MPOL_PREFERRED_MANY over all nodes, that is: the nearest first
 *   LOCAL                    MPOL_LOCAL
 *   SPLIT                    ranges by weight, MPOL_BIND of each
 *
 * With a list of one node INTERLEAVE and SPLIT are a plain MPOL_BIND. The kernel silently drops
 * nodes that it does not have from a mask, so a list is compared with the machine's nodes first.
 *
 * SPLIT cuts a block of N pages at the points N * (w1 + … + wi) / (w1 + … + wn). They rarely fall
 * on page borders: a page with cuts in it is bound to the nodes of all partitions that have a piece
 * of it.
 */
#define _GNU_SOURCE
#include "providers/os_numa.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"

/* From the kernel interface (mbind, get_mempolicy); the system's header may be older than the
 * kernel. */
enum {
    MPOL_PREFERRED_ = 1,
    MPOL_BIND_ = 2,
    MPOL_INTERLEAVE_ = 3,
    MPOL_LOCAL_ = 4,
    MPOL_PREFERRED_MANY_ = 5,
    MPOL_F_MEMS_ALLOWED_ = 1 << 2,
};

__extension__ typedef unsigned __int128 uint128_t;

bool os_nodeset_has(const os_nodeset_t *set, unsigned node) {
    return node < OS_NUMA_NODES_MAX &&
           (set->word[node / OS_NUMA_WORD_BITS] >> (node % OS_NUMA_WORD_BITS) & 1) != 0;
}

bool os_nodeset_equal(const os_nodeset_t *a, const os_nodeset_t *b) {
    return memcmp(a, b, sizeof(*a)) == 0;
}

void os_nodeset_add(os_nodeset_t *set, unsigned node) {
    if (node < OS_NUMA_NODES_MAX) {
        set->word[node / OS_NUMA_WORD_BITS] |= 1ul << (node % OS_NUMA_WORD_BITS);
    }
}

/* Reads a decimal number below OS_NUMA_NODES_MAX at *text and moves *text behind it. */
static bool nodeset_parse_number(const char **text, unsigned *number) {
    const char *at = *text;
    unsigned value = 0;
    while (*at >= '0' && *at <= '9' && value < OS_NUMA_NODES_MAX) {
        value = value * 10 + (unsigned)(*at++ - '0');
    }
    bool found = at != *text && value < OS_NUMA_NODES_MAX;
    *text = at;
    *number = value;
    return found;
}

bool os_nodeset_parse(os_nodeset_t *set, const char *text) {
    for (;;) {
        unsigned first, last;
        if (!nodeset_parse_number(&text, &first)) {
            return false;
        }
        last = first;
        if (*text == '-') {
            text++;
            if (!nodeset_parse_number(&text, &last) || last < first) {
                return false;
            }
        }
        for (unsigned node = first; node <= last; node++) {
            os_nodeset_add(set, node);
        }
        if (*text == '\0' || *text == '\n') {
            return true;
        }
        if (*text++ != ',') {
            return false;
        }
    }
}

/* The nodes as /sys lists them; false when it does not. */
static bool nodeset_read_sys(os_nodeset_t *set) {
    char text[4096]; // enough: 1024 nodes make at most 512 separate entries, of 5 bytes each
    int fd = open("/sys/devices/system/node/online", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0) {
        return false;
    }
    text[length] = '\0';
    return os_nodeset_parse(set, text);
}

void os_nodeset_discover(os_nodeset_t *set) {
    int saved_errno = errno;
    os_nodeset_t found = {{0}};
    if (!nodeset_read_sys(&found)) {
        memset(&found, 0, sizeof(found));
        // +1: the kernel takes the count as one more than the number of bits it may write.
        if (syscall(SYS_get_mempolicy, NULL, found.word, OS_NUMA_NODES_MAX + 1ul, NULL,
                    (unsigned long)MPOL_F_MEMS_ALLOWED_) != 0) {
            os_nodeset_add(&found, 0);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(set->word); i++) {
        set->word[i] |= found.word[i];
    }
    errno = saved_errno;
}

static bool numa_list_has(const os_numa_request_t *request, unsigned node) {
    for (unsigned i = 0; i < request->node_count; i++) {
        if (request->nodes[i] == node) {
            return true;
        }
    }
    return false;
}

/* The rule which modes need a list and which must not have one. */
static umf_result_t numa_check_list(const os_numa_request_t *request) {
    bool empty = request->node_count == 0;
    switch (request->mode) {
    case UMF_NUMA_MODE_DEFAULT:
    case UMF_NUMA_MODE_LOCAL:
        if (!empty) {
            log_error("NUMA mode %d takes no node list, but one of %u nodes is set",
                      (int)request->mode, request->node_count);
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        return UMF_RESULT_SUCCESS;
    case UMF_NUMA_MODE_BIND:
    case UMF_NUMA_MODE_INTERLEAVE:
    case UMF_NUMA_MODE_SPLIT:
        if (empty) {
            log_error("NUMA mode %d needs a node list", (int)request->mode);
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        return UMF_RESULT_SUCCESS;
    case UMF_NUMA_MODE_PREFERRED:
        return UMF_RESULT_SUCCESS;
    }
    log_error("NUMA mode %d is unknown; 0 to 5 are allowed", (int)request->mode);
    return UMF_RESULT_ERROR_INVALID_ARGUMENT;
}

umf_result_t os_numa_check(const os_numa_request_t *request) {
    umf_result_t result = numa_check_list(request);
    if (result != UMF_RESULT_SUCCESS) {
        return result;
    }
    for (unsigned i = 0; i < request->partition_count; i++) {
        if (request->partitions[i].weight == 0) {
            log_error("NUMA partition %u has weight 0; it must be 1 or more", i);
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
        if (!numa_list_has(request, request->partitions[i].target)) {
            log_error("NUMA partition %u has target %u, which is not in the node list", i,
                      request->partitions[i].target);
            return UMF_RESULT_ERROR_INVALID_ARGUMENT;
        }
    }
    size_t rounded;
    if (request->mode == UMF_NUMA_MODE_INTERLEAVE &&
        !align_up_checked(request->part_size, base_page_size(), &rounded)) {
        log_error("interleave part size %zu is too large", request->part_size);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    return UMF_RESULT_SUCCESS;
}

/* Copies the partitions, or makes one of equal weight per node. */
static bool numa_copy_partitions(os_numa_t *numa, const os_numa_request_t *request) {
    unsigned count = request->partition_count != 0 ? request->partition_count : request->node_count;
    numa->partitions = base_alloc(count * sizeof(*numa->partitions));
    if (numa->partitions == NULL) {
        return false;
    }
    numa->partition_count = count;
    for (unsigned i = 0; i < count; i++) {
        if (request->partition_count != 0) {
            numa->partitions[i] = request->partitions[i];
        } else {
            numa->partitions[i] = (umf_numa_split_partition_t){1, request->nodes[i]};
        }
    }
    return true;
}

umf_result_t os_numa_init(os_numa_t *numa, const os_numa_request_t *request) {
    numa->mode = request->mode;
    if (request->mode == UMF_NUMA_MODE_DEFAULT) {
        return UMF_RESULT_SUCCESS;
    }
    if (request->mode == UMF_NUMA_MODE_INTERLEAVE) {
        numa->part_size = align_up(request->part_size, base_page_size());
    }
    if (request->node_count != 0) {
        size_t bytes = request->node_count * sizeof(*numa->nodes);
        numa->nodes = base_alloc(bytes);
        if (numa->nodes == NULL) {
            return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
        memcpy(numa->nodes, request->nodes, bytes);
        numa->node_count = request->node_count;
    }
    if (request->mode == UMF_NUMA_MODE_SPLIT && !numa_copy_partitions(numa, request)) {
        os_numa_fini(numa);
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    os_nodeset_discover(&numa->online);
    return UMF_RESULT_SUCCESS;
}

void os_numa_fini(os_numa_t *numa) {
    base_free(numa->nodes, numa->node_count * sizeof(*numa->nodes));
    base_free(numa->partitions, numa->partition_count * sizeof(*numa->partitions));
    numa->nodes = NULL;
    numa->partitions = NULL;
    numa->node_count = 0;
    numa->partition_count = 0;
}

/* Joins neighbouring ranges of the same nodes before they are visited: a visit is a system call. */
typedef struct plan {
    os_numa_visit_t visit;
    void *context;
    size_t offset, length; /* range that waits for more; length 0: none */
    os_nodeset_t nodes;
} plan_t;

static int plan_flush(plan_t *plan) {
    return plan->length != 0 ? plan->visit(plan->context, plan->offset, plan->length, &plan->nodes)
                             : 0;
}

/* Appends a range that begins where the latest one ended. */
static int plan_add(plan_t *plan, size_t length, const os_nodeset_t *nodes) {
    if (plan->length != 0 && os_nodeset_equal(&plan->nodes, nodes)) {
        plan->length += length;
        return 0;
    }
    int stop = plan_flush(plan);
    plan->offset += plan->length;
    plan->length = length;
    plan->nodes = *nodes;
    return stop;
}

int os_numa_plan_split(const os_numa_t *numa, size_t size, os_numa_visit_t visit, void *context) {
    const size_t page_bytes = base_page_size();
    const size_t pages = size / page_bytes;
    plan_t plan = {.visit = visit, .context = context};
    uint128_t weight_sum = 0;
    for (unsigned i = 0; i < numa->partition_count; i++) {
        weight_sum += numa->partitions[i].weight;
    }
    // All positions are multiplied by weight_sum: pages < 2^52, weights < 2^64, so nothing
    // overflows.
    uint128_t weight = 0; // of partitions[0..i]
    size_t page = 0;      // next one to be placed
    os_nodeset_t mixed = {{0}};
    bool is_mixed = false; // partitions before i have a piece of `page`; mixed holds their nodes
    for (unsigned i = 0; i < numa->partition_count; i++) {
        os_nodeset_t own = {{0}};
        os_nodeset_add(&own, numa->partitions[i].target);
        weight += numa->partitions[i].weight;
        const uint128_t end = weight * pages;
        const size_t end_page =
            (size_t)(end / weight_sum); // the page with the cut, if it is inside one
        int stop = 0;
        if (is_mixed) {
            os_nodeset_add(&mixed, numa->partitions[i].target);
            if (end_page == page) {
                continue; // ends in the same page
            }
            stop = plan_add(&plan, page_bytes, &mixed);
            page++;
            is_mixed = false;
        }
        if (stop == 0 && end_page > page) {
            stop = plan_add(&plan, (end_page - page) * page_bytes, &own);
            page = end_page;
        }
        if (stop != 0) {
            return stop;
        }
        if (end % weight_sum != 0) {
            mixed = own;
            is_mixed = true;
        }
    }
    return plan_flush(&plan);
}

int os_numa_plan_interleave(const os_numa_t *numa, size_t size, size_t placed,
                            os_numa_visit_t visit, void *context) {
    plan_t plan = {.visit = visit, .context = context};
    size_t turn = placed / numa->part_size;
    for (size_t offset = 0; offset < size; turn++) {
        size_t length = size - offset < numa->part_size ? size - offset : numa->part_size;
        os_nodeset_t one = {{0}};
        os_nodeset_add(&one, numa->nodes[turn % numa->node_count]);
        int stop = plan_add(&plan, length, &one);
        if (stop != 0) {
            return stop;
        }
        offset += length;
    }
    return plan_flush(&plan);
}

/* mbind; nodes NULL: none. 0, or -1 with errno. */
static int numa_mbind(void *ptr, size_t size, int policy, const os_nodeset_t *nodes) {
    return (int)syscall(SYS_mbind, ptr, size, (unsigned long)policy,
                        nodes != NULL ? nodes->word : NULL,
                        nodes != NULL ? OS_NUMA_NODES_MAX + 1ul : 0ul, 0ul);
}

static int numa_bind_range(void *context, size_t offset, size_t length, const os_nodeset_t *nodes) {
    return numa_mbind((char *)context + offset, length, MPOL_BIND_, nodes);
}

/* The list as a set. False with errno EINVAL: the machine lacks one of the nodes. */
static bool numa_list_set(const os_numa_t *numa, os_nodeset_t *set) {
    for (unsigned i = 0; i < numa->node_count; i++) {
        if (!os_nodeset_has(&numa->online, numa->nodes[i])) {
            log_error("NUMA node %u does not exist on this machine", numa->nodes[i]);
            errno = EINVAL;
            return false;
        }
        os_nodeset_add(set, numa->nodes[i]);
    }
    return true;
}

static int numa_bind_preferred(const os_numa_t *numa, void *ptr, size_t size,
                               const os_nodeset_t *list) {
    bool any = numa->node_count == 0;
    int failed = numa_mbind(ptr, size, MPOL_PREFERRED_MANY_, any ? &numa->online : list);
    if (failed != 0 && errno == EINVAL) {
        failed = numa_mbind(ptr, size, any ? MPOL_LOCAL_ : MPOL_PREFERRED_, any ? NULL : list);
    }
    return failed;
}

static int numa_bind_mode(os_numa_t *numa, void *ptr, size_t size, const os_nodeset_t *list) {
    switch (numa->mode) {
    case UMF_NUMA_MODE_DEFAULT:
        return 0;
    case UMF_NUMA_MODE_LOCAL:
        return numa_mbind(ptr, size, MPOL_LOCAL_, NULL);
    case UMF_NUMA_MODE_PREFERRED:
        return numa_bind_preferred(numa, ptr, size, list);
    case UMF_NUMA_MODE_BIND:
        return numa_mbind(ptr, size, MPOL_BIND_, list);
    case UMF_NUMA_MODE_INTERLEAVE:
        if (numa->node_count > 1 && numa->part_size != 0) {
            size_t placed = fetch_add_relaxed(&numa->interleaved, size);
            return os_numa_plan_interleave(numa, size, placed, numa_bind_range, ptr);
        }
        return numa_mbind(ptr, size, numa->node_count > 1 ? MPOL_INTERLEAVE_ : MPOL_BIND_, list);
    case UMF_NUMA_MODE_SPLIT:
        if (numa->node_count > 1) {
            return os_numa_plan_split(numa, size, numa_bind_range, ptr);
        }
        return numa_mbind(ptr, size, MPOL_BIND_, list);
    }
    return 0;
}

int os_numa_bind(os_numa_t *numa, void *ptr, size_t size) {
    if (numa->mode == UMF_NUMA_MODE_DEFAULT) {
        return 0;
    }
    os_nodeset_t list = {{0}};
    if (!numa_list_set(numa, &list)) {
        return -1;
    }
    int failed = numa_bind_mode(numa, ptr, size, &list);
    return failed != 0 && errno == ENOSYS ? 0 : failed;
}

bool os_numa_positional(const os_numa_t *numa) {
    return numa->node_count > 1 &&
           (numa->mode == UMF_NUMA_MODE_SPLIT ||
            (numa->mode == UMF_NUMA_MODE_INTERLEAVE && numa->part_size != 0));
}

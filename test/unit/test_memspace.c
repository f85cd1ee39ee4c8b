/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Memspaces, memtargets and mempolicies through the public interface: arguments, editing, filters,
 * predefined memspaces and their life, providers and pools from them. What placement a memspace
 * leads to is checked on machines of machines_for_test.c; on this machine's node memory is really
 * allocated.
 */
#define _GNU_SOURCE
#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <umf.h>
#include <umf/experimental/memspace.h>
#include <umf/experimental/memspace_ext.h>

#include "core/base_alloc.h"
#include "core/memspace.h"
#include "core/state.h"
#include "providers/os_memspace.h"
#include "providers/os_params.h"
#include "test/unit/machines_for_test.h"

#define OK UMF_RESULT_SUCCESS
#define INVAL UMF_RESULT_ERROR_INVALID_ARGUMENT
#define PAGE base_page_size()

enum { NO_SUCH_NODE = 1000 }; /* no test machine has it */

typedef umf_memspace_handle_t space_t;
typedef umf_const_memspace_handle_t const_space_t;

static space_t space_of(const unsigned *ids, size_t count) {
    space_t space = NULL;
    cr_assert_eq(umfMemspaceCreateFromNumaArray((unsigned *)(uintptr_t)ids, count, &space), OK);
    cr_assert_not_null(space);
    return space;
}

static void check_ids(const_space_t space, const unsigned *ids, size_t count) {
    cr_assert_eq(umfMemspaceMemtargetNum(space), count, "%zu targets instead of %zu",
                 umfMemspaceMemtargetNum(space), count);
    for (unsigned i = 0; i < count; i++) {
        unsigned id = 12345;
        cr_assert_eq(umfMemtargetGetId(umfMemspaceMemtargetGet(space, i), &id), OK);
        cr_assert_eq(id, ids[i], "place %u: %u instead of %u", i, id, ids[i]);
    }
    cr_assert_null(umfMemspaceMemtargetGet(space, (unsigned)count));
}
#define CHECK_IDS(space, ...)                                                                      \
    check_ids((space), (const unsigned[]){__VA_ARGS__},                                            \
              sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned))

static size_t used_bytes(void) {
    return load_relaxed(&umf_core_state.base.used_bytes);
}

/* ---- building and editing ---- */

Test(memspace, null_arguments_are_refused_and_outputs_left_alone) {
    unsigned id = 0;
    size_t capacity;
    umf_memtarget_type_t type;
    space_t space = space_of((unsigned[]){0}, 1), untouched = space;
    umf_const_memtarget_handle_t target = umfMemspaceMemtargetGet(space, 0);
    cr_assert_eq(umfMemspaceNew(NULL), INVAL);
    cr_assert_eq(umfMemspaceCreateFromNumaArray(NULL, 1, &untouched), INVAL);
    cr_assert_eq(umfMemspaceCreateFromNumaArray(&id, 0, &untouched), INVAL);
    cr_assert_eq(umfMemspaceCreateFromNumaArray(&id, 1, NULL), INVAL);
    cr_assert_eq(umfMemspaceClone(NULL, &untouched), INVAL);
    cr_assert_eq(umfMemspaceClone(space, NULL), INVAL);
    cr_assert_eq(untouched, space);
    cr_assert_eq(umfMemspaceDestroy(NULL), INVAL);
    cr_assert_eq(umfMemspaceMemtargetNum(NULL), 0);
    cr_assert_null(umfMemspaceMemtargetGet(NULL, 0));
    cr_assert_null(umfMemspaceMemtargetGet(space, 1));
    cr_assert_null(umfMemspaceMemtargetGet(space, UINT32_MAX));
    cr_assert_eq(umfMemspaceMemtargetAdd(NULL, target), INVAL);
    cr_assert_eq(umfMemspaceMemtargetAdd(space, NULL), INVAL);
    cr_assert_eq(umfMemspaceMemtargetRemove(NULL, target), INVAL);
    cr_assert_eq(umfMemspaceMemtargetRemove(space, NULL), INVAL);
    cr_assert_eq(umfMemtargetGetType(NULL, &type), INVAL);
    cr_assert_eq(umfMemtargetGetType(target, NULL), INVAL);
    cr_assert_eq(umfMemtargetGetId(NULL, &id), INVAL);
    cr_assert_eq(umfMemtargetGetId(target, NULL), INVAL);
    cr_assert_eq(umfMemtargetGetCapacity(NULL, &capacity), INVAL);
    cr_assert_eq(umfMemtargetGetCapacity(target, NULL), INVAL);
    CHECK_IDS(space, 0);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, order_of_an_array_is_kept_and_nodes_are_not_compared_with_the_machine) {
    space_t space = space_of((unsigned[]){7, NO_SUCH_NODE, 3}, 3);
    CHECK_IDS(space, 7, NO_SUCH_NODE, 3);
    umf_memtarget_type_t type = UMF_MEMTARGET_TYPE_UNKNOWN;
    cr_assert_eq(umfMemtargetGetType(umfMemspaceMemtargetGet(space, 1), &type), OK);
    cr_assert_eq(type, UMF_MEMTARGET_TYPE_NUMA);
    size_t capacity = 77;
    cr_assert_eq(umfMemtargetGetCapacity(umfMemspaceMemtargetGet(space, 1), &capacity), INVAL);
    cr_assert_eq(capacity, 77);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, a_node_that_comes_twice_in_an_array_is_taken_once) {
    space_t space = space_of((unsigned[]){2, 1, 2, 1, 0}, 5);
    CHECK_IDS(space, 2, 1, 0);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, targets_are_added_and_removed_and_other_handles_stay_good) {
    enum { COUNT = 40 };
    const size_t used = used_bytes();
    unsigned ids[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        ids[i] = 3 * i;
    }
    space_t from = space_of(ids, COUNT), space = NULL;
    cr_assert_eq(umfMemspaceNew(&space), OK);
    cr_assert_eq(umfMemspaceMemtargetNum(space), 0);
    cr_assert_eq(umfMemspaceMemtargetRemove(space, umfMemspaceMemtargetGet(from, 0)), INVAL);
    for (unsigned i = 0; i < COUNT; i++) {
        cr_assert_eq(umfMemspaceMemtargetAdd(space, umfMemspaceMemtargetGet(from, i)), OK);
        cr_assert_eq(umfMemspaceMemtargetAdd(space, umfMemspaceMemtargetGet(from, i)), INVAL);
        check_ids(space, ids, i + 1);
    }
    umf_const_memtarget_handle_t last = umfMemspaceMemtargetGet(space, COUNT - 1);
    cr_assert_eq(umfMemspaceMemtargetRemove(space, umfMemspaceMemtargetGet(space, 0)), OK);
    cr_assert_eq(umfMemspaceMemtargetGet(space, COUNT - 2), last);
    for (unsigned i = 1; i < COUNT; i++) { // with handles of the other memspace
        check_ids(space, ids + i, COUNT - i);
        cr_assert_eq(umfMemspaceMemtargetRemove(space, umfMemspaceMemtargetGet(from, i)), OK);
        cr_assert_eq(umfMemspaceMemtargetRemove(space, umfMemspaceMemtargetGet(from, i)), INVAL);
    }
    cr_assert_eq(umfMemspaceMemtargetNum(space), 0);
    check_ids(from, ids, COUNT);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
    cr_assert_eq(umfMemspaceDestroy(from), OK);
    cr_assert_eq(used_bytes(), used);
}

Test(memspace, an_empty_memspace_can_be_cloned_and_filtered) {
    space_t space = NULL, copy = NULL;
    unsigned id = 0;
    cr_assert_eq(umfMemspaceNew(&space), OK);
    cr_assert_eq(umfMemspaceClone(space, &copy), OK);
    cr_assert_eq(umfMemspaceMemtargetNum(copy), 0);
    cr_assert_eq(umfMemspaceFilterById(copy, &id, 1), OK);
    cr_assert_eq(umfMemspaceFilterByCapacity(copy, 1), OK);
    cr_assert_eq(umfMemspaceDestroy(copy), OK);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, a_clone_lives_by_itself) {
    space_t space = space_of((unsigned[]){5, 6}, 2), copy = NULL;
    cr_assert_eq(umfMemspaceClone(space, &copy), OK);
    cr_assert_eq(umfMemspaceMemtargetRemove(space, umfMemspaceMemtargetGet(space, 0)), OK);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
    CHECK_IDS(copy, 5, 6);
    cr_assert_eq(umfMemspaceDestroy(copy), OK);
}

/* ---- filters ---- */

typedef struct filter_state {
    const_space_t space;
    int answers[4]; /* by id */
    int calls;
} filter_state_t;

static int filter_by_table(const_space_t space, umf_const_memtarget_handle_t target, void *args) {
    filter_state_t *state = args;
    unsigned id = 0;
    cr_assert_eq(space, state->space);
    cr_assert_eq(umfMemspaceMemtargetNum(space), 4, "nothing is removed before all are asked");
    cr_assert_eq(umfMemtargetGetId(target, &id), OK);
    state->calls++;
    return state->answers[id];
}

Test(memspace, user_filters_keep_what_they_approve_or_change_nothing) {
    static const struct {
        int answers[4];
        umf_result_t result;
        size_t count;
        unsigned ids[4];
    } cases[] = {
        {{1, 1, 1, 1}, OK, 4, {0, 1, 2, 3}},
        {{0, 5, 0, 7}, OK, 2, {1, 3}},
        {{0, 0, 0, 0}, OK, 0, {0}},
        {{1, 0, -1, 0}, UMF_RESULT_ERROR_USER_SPECIFIC, 4, {0, 1, 2, 3}},
        {{0, 0, 0, -9}, UMF_RESULT_ERROR_USER_SPECIFIC, 4, {0, 1, 2, 3}},
    };
    const size_t used = used_bytes();
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        filter_state_t state = {.space = space_of((unsigned[]){0, 1, 2, 3}, 4)};
        space_t space = (space_t)(uintptr_t)state.space;
        memcpy(state.answers, cases[i].answers, sizeof(state.answers));
        cr_assert_eq(umfMemspaceUserFilter(space, filter_by_table, &state), cases[i].result);
        check_ids(space, cases[i].ids, cases[i].count);
        cr_assert_eq(umfMemspaceUserFilter(space, NULL, &state), INVAL);
        cr_assert_eq(umfMemspaceUserFilter(NULL, filter_by_table, &state), INVAL);
        cr_assert_eq(umfMemspaceDestroy(space), OK);
    }
    cr_assert_eq(used_bytes(), used);
}

Test(memspace, filters_by_id) {
    space_t space = space_of((unsigned[]){4, 3, 2, 1}, 4);
    unsigned ids[] = {1, 3, NO_SUCH_NODE, 3};
    cr_assert_eq(umfMemspaceFilterById(NULL, ids, 4), INVAL);
    cr_assert_eq(umfMemspaceFilterById(space, NULL, 4), INVAL);
    cr_assert_eq(umfMemspaceFilterById(space, ids, 0), INVAL);
    cr_assert_eq(umfMemspaceFilterById(space, ids, 4), OK);
    CHECK_IDS(space, 3, 1);
    cr_assert_eq(umfMemspaceFilterById(space, &ids[2], 1), OK);
    cr_assert_eq(umfMemspaceMemtargetNum(space), 0);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

static void use_machine(const char *name) {
    topology_t *probe = NULL;
    cr_assert_eq(setenv("HWLOC_XMLFILE", machine_write_xml(machine_by_name(name)), 1), 0);
    if (topology_read_hwloc(&probe) == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        cr_skip_test("libhwloc.so.15 is not installed");
    }
    topology_free(probe);
}

Test(memspace, filters_by_capacity, .fini = machine_remove) {
    const int64_t gib = INT64_C(1) << 30;
    use_machine("hbm");
    space_t space = space_of((unsigned[]){3, 1, 2, 0}, 4);
    cr_assert_eq(umfMemspaceFilterByCapacity(NULL, 0), INVAL);
    cr_assert_eq(umfMemspaceFilterByCapacity(space, -1), INVAL);
    cr_assert_eq(umfMemspaceFilterByCapacity(space, 0), OK);
    CHECK_IDS(space, 3, 1, 2, 0);
    cr_assert_eq(umfMemspaceFilterByCapacity(space, 64 * gib), OK);
    CHECK_IDS(space, 1, 0);
    cr_assert_eq(umfMemspaceFilterByCapacity(space, 64 * gib + 1), OK);
    cr_assert_eq(umfMemspaceMemtargetNum(space), 0);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
    space = space_of((unsigned[]){0, NO_SUCH_NODE, 1}, 3);
    cr_assert_eq(umfMemspaceFilterByCapacity(space, 0), INVAL);
    CHECK_IDS(space, 0, NO_SUCH_NODE, 1);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

/* ---- predefined memspaces ---- */

typedef const_space_t (*getter_t)(void);
static const getter_t getters[] = {umfMemspaceHostAllGet, umfMemspaceHighestCapacityGet,
                                   umfMemspaceHighestBandwidthGet, umfMemspaceLowestLatencyGet};

/* "Node 0 MemTotal:   16384 kB" */
static size_t node_bytes(unsigned id) {
    char path[64];
    size_t kib = 0;
    snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/meminfo", id);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        cr_skip_test("this system has no %s", path);
    }
    cr_assert_eq(fscanf(file, "Node %*u MemTotal: %zu kB", &kib), 1);
    fclose(file);
    return kib << 10;
}

Test(memspace, host_all_is_this_machines_nodes_with_their_memory) {
    const_space_t all = umfMemspaceHostAllGet();
    cr_assert_not_null(all);
    cr_assert_gt(umfMemspaceMemtargetNum(all), 0);
    cr_assert_eq(umfMemspaceMemtargetNum(all),
                 umfMemspaceMemtargetNum(umfMemspaceHighestCapacityGet()));
    for (unsigned i = 0; i < umfMemspaceMemtargetNum(all); i++) {
        umf_const_memtarget_handle_t target = umfMemspaceMemtargetGet(all, i);
        unsigned id = 0;
        size_t capacity = 0;
        cr_assert_eq(umfMemtargetGetId(target, &id), OK);
        for (int attempt = 0; attempt < 10 && (capacity == 0 || capacity != node_bytes(id));
             attempt++) { // a virtual machine's may change at any moment
            cr_assert_eq(umfMemtargetGetCapacity(target, &capacity), OK);
        }
        cr_assert_eq(capacity, node_bytes(id));
    }
}

Test(memspace, predefined_memspaces_are_the_same_object_and_can_not_be_changed,
     .fini = machine_remove) {
    use_machine("hbm");
    space_t other = space_of((unsigned[]){9}, 1);
    for (size_t i = 0; i < ARRAY_LENGTH(getters); i++) {
        const_space_t space = getters[i]();
        cr_assert_not_null(space);
        cr_assert_eq(getters[i](), space);
        space_t writable = (space_t)(uintptr_t)space;
        size_t count = umfMemspaceMemtargetNum(space);
        unsigned id = 0;
        cr_assert_eq(umfMemspaceDestroy(writable), INVAL);
        cr_assert_eq(umfMemspaceMemtargetAdd(writable, umfMemspaceMemtargetGet(other, 0)), INVAL);
        cr_assert_eq(umfMemspaceMemtargetRemove(writable, umfMemspaceMemtargetGet(space, 0)),
                     INVAL);
        cr_assert_eq(umfMemspaceFilterById(writable, &id, 1), INVAL);
        cr_assert_eq(umfMemspaceFilterByCapacity(writable, INT64_MAX), INVAL);
        cr_assert_eq(umfMemspaceMemtargetNum(space), count);
        space_t copy = NULL;
        cr_assert_eq(umfMemspaceClone(space, &copy), OK);
        cr_assert_eq(umfMemspaceMemtargetAdd(copy, umfMemspaceMemtargetGet(other, 0)), OK);
        cr_assert_eq(umfMemspaceDestroy(copy), OK);
    }
    cr_assert_eq(umfMemspaceDestroy(other), OK);
}

Test(memspace, getters_follow_the_rules_of_selection, .fini = machine_remove) {
    use_machine("hbm");
    CHECK_IDS(umfMemspaceHostAllGet(), 0, 2, 1, 3); // socket by socket
    CHECK_IDS(umfMemspaceHighestCapacityGet(), 0, 1, 2, 3);
    CHECK_IDS(umfMemspaceHighestBandwidthGet(), 2, 3);
    CHECK_IDS(umfMemspaceLowestLatencyGet(), 0, 1);
}

Test(memspace, without_hmat_bandwidth_and_latency_are_null_and_the_rest_works,
     .fini = machine_remove) {
    use_machine("two_sockets");
    cr_assert_null(umfMemspaceHighestBandwidthGet());
    cr_assert_null(umfMemspaceLowestLatencyGet());
    CHECK_IDS(umfMemspaceHighestCapacityGet(), 1, 0);
}

Test(memspace, tear_down_resets_the_predefined_memspaces_and_failures, .fini = machine_remove) {
    use_machine("two_sockets");
    cr_assert_null(umfMemspaceLowestLatencyGet());
    CHECK_IDS(umfMemspaceHostAllGet(), 0, 1);
    umf_const_memtarget_handle_t target = umfMemspaceMemtargetGet(umfMemspaceHostAllGet(), 0);
    size_t used = 0;
    for (int round = 0; round < 5; round++) {
        size_t capacity;
        cr_assert_eq(umfTearDown(), OK);
        cr_assert_null(umfMemspaceHostAllGet());
        cr_assert_null(umfMemspaceLowestLatencyGet());
        cr_assert_eq(umfMemtargetGetCapacity(target, &capacity), UMF_RESULT_ERROR_NOT_SUPPORTED);
        use_machine(round % 2 == 0 ? "hbm" : "cxl");
        cr_assert_eq(umfInit(), OK);
        if (round % 2 == 0) {
            CHECK_IDS(umfMemspaceLowestLatencyGet(), 0, 1);
            CHECK_IDS(umfMemspaceHighestBandwidthGet(), 2, 3);
        } else {
            CHECK_IDS(umfMemspaceHighestCapacityGet(), 2, 0, 1);
        }
        target = umfMemspaceMemtargetGet(umfMemspaceHostAllGet(), 0);
        if (round == 2) {
            used = used_bytes();
        } else if (round == 4) {
            cr_assert_eq(used_bytes(), used, "what was torn down is freed");
        }
    }
}

Test(memspace, a_failure_is_not_remembered, .fini = machine_remove) {
    topology_t *probe = NULL;
    setenv("HWLOC_XMLFILE", "/dev/null", 1);
    if (topology_read_hwloc(&probe) == UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE) {
        cr_skip_test("libhwloc.so.15 is not installed");
    }
    for (size_t i = 0; i < ARRAY_LENGTH(getters); i++) {
        cr_assert_null(getters[i]());
    }
    use_machine("hbm");
    for (size_t i = 0; i < ARRAY_LENGTH(getters); i++) {
        cr_assert_not_null(getters[i]());
    }
}

/* What is in the cache looks as if it had been read before memory was added or removed. */
static void outdate_snapshot(void) {
    topology_t *topology = topology_acquire();
    cr_assert_not_null(topology);
    topology->this_system = true;
    topology->signature++;
    topology_release(topology);
}

Test(memspace, memory_that_comes_later_is_noticed_and_old_handles_stay_good,
     .fini = machine_remove) {
    use_machine("two_sockets");
    const_space_t before = umfMemspaceHostAllGet();
    CHECK_IDS(before, 0, 1);
    outdate_snapshot();
    cr_assert_eq(umfMemspaceHostAllGet(), before, "same nodes, same object");
    outdate_snapshot();
    use_machine("cxl");
    const_space_t after = umfMemspaceHostAllGet();
    cr_assert_neq(after, before);
    cr_assert_eq(umfMemspaceMemtargetNum(after), 3);
    cr_assert_eq(umfMemspaceHostAllGet(), after);
    CHECK_IDS(before, 0, 1);
}

static void *use_getters(void *arg) {
    (void)arg;
    for (int i = 0; i < 200; i++) {
        for (size_t k = 0; k < ARRAY_LENGTH(getters); k++) {
            const_space_t space = getters[k]();
            space_t copy = NULL;
            if (space == NULL || umfMemspaceClone(space, &copy) != OK ||
                umfMemspaceFilterByCapacity(copy, 1) != OK || umfMemspaceDestroy(copy) != OK) {
                return (void *)1;
            }
        }
    }
    return NULL;
}

Test(memspace, threads_may_ask_at_once, .fini = machine_remove) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    use_machine("everything");
    for (int i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, use_getters, NULL), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        cr_assert_null(failed);
    }
}

Test(memspace, a_forked_child_uses_what_its_parent_found) {
    const_space_t all = umfMemspaceHostAllGet();
    pid_t child = fork();
    if (child == 0) {
        _exit(umfMemspaceHostAllGet() == all && umfMemspaceHighestCapacityGet() != NULL ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
}

Test(memspace, nothing_is_read_before_somebody_asks) {
    cr_assert_null(umf_core_state.slots[CORE_SLOT_MEMSPACE].live);
    space_t space = space_of((unsigned[]){0}, 1);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
    pid_t child = fork();
    if (child == 0) {
        _exit(umf_core_state.slots[CORE_SLOT_MEMSPACE].live == NULL ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    cr_assert_null(umf_core_state.slots[CORE_SLOT_MEMSPACE].live, "nor in a fork handler");
}

/* ---- policies ---- */

static umf_mempolicy_handle_t policy_of(umf_mempolicy_membind_t bind) {
    umf_mempolicy_handle_t policy = NULL;
    cr_assert_eq(umfMempolicyCreate(bind, &policy), OK);
    return policy;
}

Test(memspace, policies_refuse_what_does_not_fit_them) {
    umf_mempolicy_split_partition_t part = {1, 0};
    umf_mempolicy_handle_t policy = (umf_mempolicy_handle_t)&part, before = policy;
    cr_assert_eq(umfMempolicyCreate(UMF_MEMPOLICY_BIND, NULL), INVAL);
    cr_assert_eq(umfMempolicyCreate((umf_mempolicy_membind_t)4, &policy), INVAL);
    cr_assert_eq(umfMempolicyCreate((umf_mempolicy_membind_t)-1, &policy), INVAL);
    cr_assert_eq(policy, before);
    cr_assert_eq(umfMempolicyDestroy(NULL), OK);
    cr_assert_eq(umfMempolicySetInterleavePartSize(NULL, 1), INVAL);
    cr_assert_eq(umfMempolicySetCustomSplitPartitions(NULL, &part, 1), INVAL);
    for (int bind = UMF_MEMPOLICY_INTERLEAVE; bind <= UMF_MEMPOLICY_SPLIT; bind++) {
        policy = policy_of((umf_mempolicy_membind_t)bind);
        cr_assert_eq(umfMempolicySetInterleavePartSize(policy, 4096),
                     bind == UMF_MEMPOLICY_INTERLEAVE ? OK : INVAL);
        cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, &part, 1),
                     bind == UMF_MEMPOLICY_SPLIT ? OK : INVAL);
        cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, NULL, 1), INVAL);
        cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, &part, SIZE_MAX), INVAL);
        cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, NULL, 0),
                     bind == UMF_MEMPOLICY_SPLIT ? OK : INVAL);
        cr_assert_eq(umfMempolicyDestroy(policy), OK);
    }
}

/* ---- placement ---- */

typedef struct placement {
    umf_numa_mode_t mode;
    size_t count;
    unsigned nodes[6];
} placement_t;

static void check_placement(const_space_t space, umf_mempolicy_handle_t policy,
                            const placement_t *wanted) {
    umf_os_memory_provider_params_handle_t params = NULL;
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(os_params_set_memspace(params, space, policy), OK);
    cr_assert_eq(params->numa_mode, wanted->mode, "mode %d instead of %d", (int)params->numa_mode,
                 (int)wanted->mode);
    cr_assert_eq(params->node_count, wanted->count);
    for (unsigned i = 0; i < wanted->count; i++) {
        cr_assert_eq(params->nodes[i], wanted->nodes[i]);
    }
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreateFromMemspace(space, policy, &provider), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
}

Test(memspace, without_a_policy_the_kind_of_the_memspace_decides, .fini = machine_remove) {
    use_machine("hbm");
    static const struct {
        memspace_kind_t kind;
        placement_t own, copy;
    } cases[] = {
        {MEMSPACE_HOST_ALL, {UMF_NUMA_MODE_DEFAULT, 0, {0}}, {UMF_NUMA_MODE_BIND, 4, {0, 2, 1, 3}}},
        {MEMSPACE_HIGHEST_CAPACITY,
         {UMF_NUMA_MODE_BIND, 1, {0}},
         {UMF_NUMA_MODE_BIND, 4, {0, 1, 2, 3}}},
        {MEMSPACE_HIGHEST_BANDWIDTH,
         {UMF_NUMA_MODE_BIND, 2, {2, 3}},
         {UMF_NUMA_MODE_BIND, 2, {2, 3}}},
        {MEMSPACE_LOWEST_LATENCY, {UMF_NUMA_MODE_BIND, 2, {0, 1}}, {UMF_NUMA_MODE_BIND, 2, {0, 1}}},
        {MEMSPACE_LOCAL_BANDWIDTH,
         {UMF_NUMA_MODE_PREFERRED, 2, {2, 3}},
         {UMF_NUMA_MODE_BIND, 2, {2, 3}}},
        {MEMSPACE_LOCAL_LATENCY,
         {UMF_NUMA_MODE_PREFERRED, 2, {0, 1}},
         {UMF_NUMA_MODE_BIND, 2, {0, 1}}},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        const_space_t space = memspace_predefined(cases[i].kind);
        space_t copy = NULL;
        check_placement(space, NULL, &cases[i].own);
        cr_assert_eq(umfMemspaceClone(space, &copy), OK);
        check_placement(copy, NULL, &cases[i].copy);
        cr_assert_eq(umfMemspaceDestroy(copy), OK);
    }
}

Test(memspace, a_policy_goes_over_all_targets, .fini = machine_remove) {
    use_machine("hbm");
    static const struct {
        umf_mempolicy_membind_t bind;
        umf_numa_mode_t mode;
    } cases[] = {
        {UMF_MEMPOLICY_INTERLEAVE, UMF_NUMA_MODE_INTERLEAVE},
        {UMF_MEMPOLICY_BIND, UMF_NUMA_MODE_BIND},
        {UMF_MEMPOLICY_PREFERRED, UMF_NUMA_MODE_PREFERRED},
        {UMF_MEMPOLICY_SPLIT, UMF_NUMA_MODE_SPLIT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        umf_mempolicy_handle_t policy = policy_of(cases[i].bind);
        const placement_t all = {cases[i].mode, 4, {0, 2, 1, 3}};
        const placement_t first = {cases[i].mode, 1, {0}};
        check_placement(umfMemspaceHostAllGet(), policy, &all);
        check_placement(umfMemspaceHighestCapacityGet(), policy, &first);
        cr_assert_eq(umfMempolicyDestroy(policy), OK);
    }
}

Test(memspace, partitions_are_copied_and_checked_when_a_provider_is_made, .fini = machine_remove) {
    use_machine("hbm");
    umf_mempolicy_handle_t policy = policy_of(UMF_MEMPOLICY_SPLIT);
    space_t space = space_of((unsigned[]){1, 0}, 2);
    umf_os_memory_provider_params_handle_t params = NULL;
    umf_mempolicy_split_partition_t *parts = malloc(3 * sizeof(*parts));
    parts[0] = (umf_mempolicy_split_partition_t){1, 0};
    parts[1] = (umf_mempolicy_split_partition_t){1, 0};
    parts[2] = (umf_mempolicy_split_partition_t){7, 1};
    cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, parts, 3), OK);
    memset(parts, 0xee, 3 * sizeof(*parts));
    free(parts);
    cr_assert_eq(umfOsMemoryProviderParamsCreate(&params), OK);
    cr_assert_eq(os_params_set_memspace(params, space, policy), OK);
    cr_assert_eq(params->partition_count, 3);
    cr_assert(params->partitions[1].weight == 1 && params->partitions[1].target == 0);
    cr_assert(params->partitions[2].weight == 7 && params->partitions[2].target == 1);
    cr_assert_eq(umfOsMemoryProviderParamsDestroy(params), OK);

    static const struct {
        umf_mempolicy_split_partition_t part;
        umf_result_t result;
    } cases[] = {{{1, 1}, OK}, {{0, 1}, INVAL}, {{1, 2}, INVAL}, {{UINT32_MAX, 0}, OK}};
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        umf_memory_provider_handle_t provider = NULL;
        umf_mempolicy_split_partition_t part = cases[i].part;
        cr_assert_eq(umfMempolicySetCustomSplitPartitions(policy, &part, 1), OK);
        cr_assert_eq(umfMemoryProviderCreateFromMemspace(space, policy, &provider),
                     cases[i].result);
        cr_assert_eq(provider != NULL, cases[i].result == OK);
        cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    }
    cr_assert_eq(umfMempolicyDestroy(policy), OK);
    policy = policy_of(UMF_MEMPOLICY_INTERLEAVE);
    cr_assert_eq(umfMempolicySetInterleavePartSize(policy, SIZE_MAX), OK);
    umf_memory_provider_handle_t provider = NULL;
    cr_assert_eq(umfMemoryProviderCreateFromMemspace(space, policy, &provider), INVAL);
    cr_assert_null(provider);
    cr_assert_eq(umfMempolicyDestroy(policy), OK);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

/* ---- providers and pools on this machine ---- */

Test(memspace, creation_refuses_null_empty_and_unknown_nodes) {
    umf_memory_provider_handle_t provider = (umf_memory_provider_handle_t)&provider;
    umf_memory_pool_handle_t pool = (umf_memory_pool_handle_t)&pool;
    space_t empty = NULL, unknown = space_of((unsigned[]){NO_SUCH_NODE}, 1);
    cr_assert_eq(umfMemspaceNew(&empty), OK);
    const_space_t bad[] = {NULL, empty, unknown};
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        cr_assert_eq(umfMemoryProviderCreateFromMemspace(bad[i], NULL, &provider), INVAL);
        cr_assert_eq(umfPoolCreateFromMemspace(bad[i], NULL, &pool), INVAL);
        cr_assert_eq(provider, (umf_memory_provider_handle_t)&provider);
        cr_assert_eq(pool, (umf_memory_pool_handle_t)&pool);
    }
    cr_assert_eq(umfMemoryProviderCreateFromMemspace(umfMemspaceHostAllGet(), NULL, NULL), INVAL);
    cr_assert_eq(umfPoolCreateFromMemspace(umfMemspaceHostAllGet(), NULL, NULL), INVAL);
    cr_assert_eq(umfMemspaceDestroy(empty), OK);
    cr_assert_eq(umfMemspaceDestroy(unknown), OK);
}

typedef struct kernel_policy {
    int mode;
    unsigned long mask[TOPOLOGY_NODES_MAX / (8 * sizeof(unsigned long))];
} kernel_policy_t;

enum { KERNEL_DEFAULT, KERNEL_PREFERRED, KERNEL_BIND, KERNEL_INTERLEAVE, KERNEL_MANY = 5 };

static kernel_policy_t policy_at(void *ptr) {
    kernel_policy_t policy = {.mode = -1};
    enum { ADDR = 2 };
    if (syscall(SYS_get_mempolicy, &policy.mode, policy.mask, TOPOLOGY_NODES_MAX + 1ul, ptr,
                (unsigned long)ADDR) != 0) {
        cr_skip_test("get_mempolicy does not work here");
    }
    return policy;
}

/* The node that a touched page lies on. */
static int node_at(void *ptr) {
    int node = -1;
    enum { NODE = 1, ADDR = 2 };
    if (syscall(SYS_get_mempolicy, &node, NULL, 0ul, ptr, (unsigned long)(NODE | ADDR)) != 0) {
        cr_skip_test("get_mempolicy does not work here");
    }
    return node;
}

/* Policy of memory that a provider from this memspace gives; the first page is touched. */
static kernel_policy_t policy_from(const_space_t space, umf_mempolicy_handle_t policy, int *node) {
    umf_memory_provider_handle_t provider = NULL;
    void *ptr = NULL;
    cr_assert_eq(umfMemoryProviderCreateFromMemspace(space, policy, &provider), OK);
    cr_assert_eq(umfMempolicyDestroy(policy), OK);
    cr_assert_eq(umfMemoryProviderAlloc(provider, 8 * PAGE, 0, &ptr), OK);
    memset(ptr, 1, 8 * PAGE);
    kernel_policy_t found = policy_at(ptr);
    *node = node_at(ptr);
    cr_assert_eq(umfMemoryProviderFree(provider, ptr, 8 * PAGE), OK);
    cr_assert_eq(umfMemoryProviderDestroy(provider), OK);
    return found;
}

Test(memspace, the_kernel_sees_the_policy) {
    int node;
    const_space_t all = umfMemspaceHostAllGet();
    space_t copy = NULL;
    cr_assert_eq(umfMemspaceClone(all, &copy), OK);
    kernel_policy_t none = policy_from(all, NULL, &node);
    cr_assert_eq(none.mode, KERNEL_DEFAULT);
    kernel_policy_t bound = policy_from(copy, NULL, &node);
    cr_assert_eq(bound.mode, KERNEL_BIND);
    cr_assert_neq(memcmp(bound.mask, none.mask, sizeof(none.mask)), 0);
    kernel_policy_t again = policy_from(all, policy_of(UMF_MEMPOLICY_BIND), &node);
    cr_assert_eq(again.mode, KERNEL_BIND);
    cr_assert_eq(memcmp(bound.mask, again.mask, sizeof(none.mask)), 0, "equal targets, same mask");

    kernel_policy_t preferred = policy_from(all, policy_of(UMF_MEMPOLICY_PREFERRED), &node);
    cr_assert(preferred.mode == KERNEL_PREFERRED || preferred.mode == KERNEL_MANY);
    kernel_policy_t spread = policy_from(copy, policy_of(UMF_MEMPOLICY_INTERLEAVE), &node);
    cr_assert_eq(spread.mode, umfMemspaceMemtargetNum(copy) > 1 ? KERNEL_INTERLEAVE : KERNEL_BIND);
    cr_assert_eq(policy_from(copy, policy_of(UMF_MEMPOLICY_SPLIT), &node).mode, KERNEL_BIND);
    cr_assert_eq(umfMemspaceDestroy(copy), OK);
}

Test(memspace, memory_of_highest_capacity_lies_on_a_largest_node) {
    int node;
    const_space_t space = umfMemspaceHighestCapacityGet();
    kernel_policy_t policy = policy_from(space, NULL, &node);
    cr_assert_eq(policy.mode, KERNEL_BIND);
    unsigned first = 0;
    cr_assert_eq(umfMemtargetGetId(umfMemspaceMemtargetGet(space, 0), &first), OK);
    cr_assert_eq(node, (int)first);
}

Test(memspace, memory_lies_on_each_node_that_is_asked_for) {
    const_space_t all = umfMemspaceHostAllGet();
    for (unsigned i = 0; i < umfMemspaceMemtargetNum(all); i++) {
        unsigned id = 0;
        int node = -1;
        cr_assert_eq(umfMemtargetGetId(umfMemspaceMemtargetGet(all, i), &id), OK);
        space_t one = space_of(&id, 1);
        cr_assert_eq(policy_from(one, NULL, &node).mode, KERNEL_BIND);
        cr_assert_eq(node, (int)id);
        cr_assert_eq(umfMemspaceDestroy(one), OK);
    }
}

Test(memspace, a_pool_from_a_memspace_serves_blocks_and_owns_its_provider) {
    umf_memory_pool_handle_t pool = NULL, found = NULL;
    space_t copy = NULL;
    cr_assert_eq(umfMemspaceClone(umfMemspaceHostAllGet(), &copy), OK);
    cr_assert_eq(umfPoolCreateFromMemspace(copy, NULL, &pool), OK);
    cr_assert_eq(umfMemspaceDestroy(copy), OK);
    char *block = umfPoolMalloc(pool, 1000);
    cr_assert_not_null(block);
    memset(block, 1, 1000);
    cr_assert_eq(policy_at(block).mode, KERNEL_BIND);
    cr_assert_eq(umfPoolByPtr(block, &found), OK);
    cr_assert_eq(found, pool);
    cr_assert_eq(umfFree(block), OK);
    cr_assert_eq(umfPoolDestroy(pool), OK);
}

/* ---- additions: what the calling thread sees ---- */

Test(memspace, additions_refuse_wrong_arguments) {
    const umf_memspace_metric_t wrong = (umf_memspace_metric_t)2;
    space_t space = space_of((unsigned[]){0, NO_SUCH_NODE}, 2), untouched = space;
    uint64_t value = 77;
    umf_const_memtarget_handle_t target = umfMemspaceMemtargetGet(space, 0);
    cr_assert_eq(umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_LATENCY, NULL), INVAL);
    cr_assert_eq(umfMemspaceLocalCreate(wrong, &untouched), INVAL);
    cr_assert_eq(untouched, space);
    cr_assert_null(umfMemspaceFirstTouchGet(wrong));
    cr_assert_null(umfMemspaceFirstTouchGet((umf_memspace_metric_t)-1));
    cr_assert_eq(umfMemtargetGetMetric(NULL, UMF_MEMSPACE_METRIC_LATENCY, &value), INVAL);
    cr_assert_eq(umfMemtargetGetMetric(target, UMF_MEMSPACE_METRIC_LATENCY, NULL), INVAL);
    cr_assert_eq(umfMemtargetGetMetric(target, wrong, &value), INVAL);
    cr_assert_eq(umfMemtargetGetMetric(umfMemspaceMemtargetGet(space, 1),
                                       UMF_MEMSPACE_METRIC_LATENCY, &value),
                 INVAL);
    cr_assert_eq(value, 77);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, without_hmat_the_additions_say_so, .fini = machine_remove) {
    use_machine("two_sockets");
    space_t space = NULL;
    uint64_t value;
    cr_assert_eq(umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_BANDWIDTH, &space),
                 UMF_RESULT_ERROR_NOT_SUPPORTED);
    cr_assert_null(space);
    cr_assert_null(umfMemspaceFirstTouchGet(UMF_MEMSPACE_METRIC_BANDWIDTH));
    cr_assert_eq(umfMemtargetGetMetric(umfMemspaceMemtargetGet(umfMemspaceHostAllGet(), 0),
                                       UMF_MEMSPACE_METRIC_BANDWIDTH, &value),
                 UMF_RESULT_ERROR_NOT_SUPPORTED);
}

Test(memspace, each_cpu_gets_a_memspace_of_its_own_whose_first_node_is_preferred,
     .fini = machine_remove) {
    use_machine("hbm");
    topology_t *topology = topology_acquire();
    for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
        const unsigned socket = cpu / 2;
        const placement_t wanted = {UMF_NUMA_MODE_PREFERRED, 1, {2 + socket}};
        const placement_t bound = {UMF_NUMA_MODE_BIND, 2, {2 + socket, socket}};
        space_t space = NULL, copy = NULL;
        cr_assert_eq(memspace_local_create(topology, TOPOLOGY_BANDWIDTH, cpu, &space), OK);
        CHECK_IDS(space, 2 + socket, socket);
        check_placement(space, NULL, &wanted);
        cr_assert_eq(umfMemspaceClone(space, &copy), OK);
        check_placement(copy, NULL, &wanted);
        umf_mempolicy_handle_t policy = policy_of(UMF_MEMPOLICY_BIND);
        check_placement(space, policy, &bound);
        cr_assert_eq(umfMempolicyDestroy(policy), OK);
        cr_assert_eq(umfMemspaceDestroy(copy), OK);
        cr_assert_eq(umfMemspaceDestroy(space), OK);
    }
    topology_release(topology);
}

Test(memspace, the_calling_thread_sees_the_values_of_its_cpu, .fini = machine_remove) {
    static const unsigned bandwidth[] = {100, 100, 400, 400}, latency[] = {90, 90, 110, 110};
    use_machine("hbm");
    cpu_set_t only;
    CPU_ZERO(&only);
    CPU_SET(0, &only);
    if (sched_setaffinity(0, sizeof(only), &only) != 0) {
        cr_skip_test("CPU 0 can not be used here");
    }
    space_t space = space_of((unsigned[]){0, 1, 2, 3}, 4), local = NULL;
    for (unsigned i = 0; i < 4; i++) {
        umf_const_memtarget_handle_t target = umfMemspaceMemtargetGet(space, i);
        uint64_t value = 0;
        const umf_result_t wanted = i % 2 == 0 ? OK : UMF_RESULT_ERROR_NOT_SUPPORTED;
        cr_assert_eq(umfMemtargetGetMetric(target, UMF_MEMSPACE_METRIC_BANDWIDTH, &value), wanted);
        cr_assert_eq(value, wanted == OK ? bandwidth[i] : 0);
        value = 0;
        cr_assert_eq(umfMemtargetGetMetric(target, UMF_MEMSPACE_METRIC_LATENCY, &value), wanted);
        cr_assert_eq(value, wanted == OK ? latency[i] : 0);
    }
    cr_assert_eq(umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_BANDWIDTH, &local), OK);
    CHECK_IDS(local, 2, 0);
    cr_assert_eq(umfMemspaceDestroy(local), OK);
    cr_assert_eq(umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_LATENCY, &local), OK);
    CHECK_IDS(local, 0, 2);
    cr_assert_eq(umfMemspaceDestroy(local), OK);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
    CHECK_IDS(umfMemspaceFirstTouchGet(UMF_MEMSPACE_METRIC_BANDWIDTH), 2, 3);
    CHECK_IDS(umfMemspaceFirstTouchGet(UMF_MEMSPACE_METRIC_LATENCY), 0, 1);
}

/* Calls `check` on each CPU that this process may use; skips on machines without values. */
static void on_each_cpu(void (*check)(unsigned cpu)) {
    cpu_set_t allowed;
    if (umfMemspaceHighestBandwidthGet() == NULL) {
        cr_skip_test("this machine does not tell bandwidth and latency (no HMAT)");
    }
    cr_assert_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed)) {
            cpu_set_t only;
            CPU_ZERO(&only);
            CPU_SET(cpu, &only);
            cr_assert_eq(sched_setaffinity(0, sizeof(only), &only), 0);
            check(cpu);
        }
    }
}

static int first_id(const_space_t space) {
    unsigned id = 0;
    cr_assert_eq(umfMemtargetGetId(umfMemspaceMemtargetGet(space, 0), &id), OK);
    return (int)id;
}

static void check_local(unsigned cpu) {
    space_t space = NULL;
    int node = -1;
    cr_assert_eq(umfMemspaceLocalCreate(UMF_MEMSPACE_METRIC_BANDWIDTH, &space), OK, "CPU %u", cpu);
    kernel_policy_t policy = policy_from(space, NULL, &node);
    cr_assert(policy.mode == KERNEL_PREFERRED || policy.mode == KERNEL_MANY);
    cr_assert_eq(node, first_id(space), "CPU %u: page on node %d", cpu, node);
    cr_assert_eq(umfMemspaceDestroy(space), OK);
}

Test(memspace, pages_lie_on_the_best_node_of_the_calling_thread) {
    on_each_cpu(check_local);
}

static void check_first_touch(unsigned cpu) {
    for (int metric = 0; metric < 2; metric++) {
        space_t local = NULL;
        int node = -1;
        cr_assert_eq(umfMemspaceLocalCreate((umf_memspace_metric_t)metric, &local), OK);
        policy_from(umfMemspaceFirstTouchGet((umf_memspace_metric_t)metric), NULL, &node);
        cr_assert_eq(node, first_id(local), "CPU %u: page on node %d", cpu, node);
        policy_from(metric == 0 ? umfMemspaceHighestBandwidthGet() : umfMemspaceLowestLatencyGet(),
                    NULL, &node);
        cr_assert_eq(node, first_id(local), "CPU %u: page on node %d", cpu, node);
        cr_assert_eq(umfMemspaceDestroy(local), OK);
    }
}

Test(memspace, pages_lie_on_the_best_node_of_the_cpu_that_touches_them) {
    on_each_cpu(check_first_touch);
}

/* ---- at the start of a process ---- */

Test(memspace, early_placement_comes_from_sys_and_leaves_no_trace) {
    const size_t used = used_bytes();
    for (int kind = 0; kind < MEMSPACE_KINDS; kind++) {
        umf_os_memory_provider_params_handle_t early = NULL;
        cr_assert_eq(umfOsMemoryProviderParamsCreate(&early), OK);
        umf_result_t result = os_params_set_memspace_early(early, (memspace_kind_t)kind);
        cr_assert(result == OK ||
                  (kind > MEMSPACE_HIGHEST_CAPACITY && result == UMF_RESULT_ERROR_NOT_SUPPORTED));
        cr_assert_eq(early->numa_mode != UMF_NUMA_MODE_DEFAULT,
                     result == OK && kind != MEMSPACE_HOST_ALL);
        cr_assert_eq(umfOsMemoryProviderParamsDestroy(early), OK);
    }
    cr_assert_null(umf_core_state.slots[CORE_SLOT_MEMSPACE].live);
    cr_assert_eq(used_bytes(), used);
}

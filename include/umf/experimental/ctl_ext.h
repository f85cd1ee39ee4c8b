/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/ctl_ext.h
 * Which CTL nodes there are: an addition of this implementation to umf/experimental/ctl.h.
 */
#ifndef UMF_EXPERIMENTAL_CTL_EXT_H
#define UMF_EXPERIMENTAL_CTL_EXT_H 1

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Type of a node's value. */
typedef enum umf_ctl_type_t {
    UMF_CTL_NONE = 0,   /**< no value: the node is executed */
    UMF_CTL_BOOL = 1,   /**< `bool`, 1 byte */
    UMF_CTL_INT = 2,    /**< `int`, 4 bytes */
    UMF_CTL_SIZE = 3,   /**< `size_t`, 8 bytes */
    UMF_CTL_STRING = 4, /**< text with its NUL */
    UMF_CTL_BYTES = 5   /**< what the program stored, or text of the configuration */
} umf_ctl_type_t;

/** What can be done with a node; an OR of these. */
enum umf_ctl_access_t {
    UMF_CTL_READ = 1,  /**< umfCtlGet() */
    UMF_CTL_WRITE = 2, /**< umfCtlSet() */
    UMF_CTL_EXEC = 4   /**< umfCtlExec() */
};

/** Description of one node. The texts are valid during the call that gets it. */
typedef struct umf_ctl_node_info_t {
    /** Whole path, with `{}` where a handle or an index goes. */
    const char *path;
    /** Type of the value. */
    umf_ctl_type_t type;
    /** OR of #umf_ctl_access_t. */
    unsigned access;
    /** What it is, in one line. */
    const char *help;
    /** Smallest number that can be written. */
    uint64_t min;
    /** Largest number that can be written. */
    uint64_t max;
} umf_ctl_node_info_t;

/**
 * Called once per node; anything but success ends the enumeration.
 * @param node [in] the node
 * @param data [in] what was given to umfCtlForEach()
 */
typedef umf_result_t (*umf_ctl_visit_t)(const umf_ctl_node_info_t *node, void *data);

/**
 * Visits the nodes whose paths begin with a prefix.
 * Those are nodes of the library, of live pools and providers with a name (as
 * `umf.pool.by_name.NAME.…`, once per name), and stored defaults. Pools and providers written by
 * users say nothing about their own nodes; what all pools have is listed for them as well.
 * @param prefix [in] whole components, as "umf.pool"; NULL or "" means all
 * @param visit  [in] function to call; no lock is held meanwhile
 * @param data   [in] handed to `visit`
 * @return success, the first other result of `visit`, UMF_RESULT_ERROR_INVALID_ARGUMENT when
 *     `visit` is NULL. Thread-safe.
 */
umf_result_t umfCtlForEach(const char *prefix, umf_ctl_visit_t visit, void *data);

#ifdef __cplusplus
}
#endif

#endif /* UMF_EXPERIMENTAL_CTL_EXT_H */

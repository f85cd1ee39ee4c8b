/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/ctl.h
 * Settings, statistics and commands addressed by paths.
 * Such as `umf.pool.by_handle.{}.stats.alloc_count`; docs/ctl.md lists all of them.
 *
 * A path is a row of names separated by dots. `{}` may stand for any name; its value is then an
 * argument at the end of the call, in the order of the `{}`: a handle where the path says
 * `by_handle`, a number (`size_t`) where it says which of several, a `const char *` elsewhere.
 *
 * All functions may be called from any number of threads at once. Objects addressed by handle must
 * stay alive meanwhile; those addressed by name are kept alive for the duration of the call.
 */
#ifndef UMF_EXPERIMENTAL_CTL_H
#define UMF_EXPERIMENTAL_CTL_H 1

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Reads the value of a node.
 * @param path [in] path of the node
 * @param arg  [out] where the value goes
 * @param size [in] bytes at `arg`: the size of the node's type; at least that for logger nodes and
 *     defaults; room for the text and its NUL for strings
 * @param ...  [in] values of the `{}` in `path`
 * @return UMF_RESULT_ERROR_INVALID_CTL_PATH when no node has this path,
 *     UMF_RESULT_ERROR_INVALID_ARGUMENT when a parameter is NULL or 0, `size` does not fit, the
 *     node can not be read, or the named object is none or not the only one;
 *     UMF_RESULT_ERROR_NOT_SUPPORTED when the value is not recorded.
 */
umf_result_t umfCtlGet(const char *path, void *arg, size_t size, ...);

/**
 * Sets the value of a node.
 * @param path [in] path of the node; without an index, a path by name means all objects of that
 *     name
 * @param arg  [in] the value
 * @param size [in] bytes at `arg`
 * @param ...  [in] values of the `{}` in `path`
 * @return as umfCtlGet(); UMF_RESULT_ERROR_INVALID_ARGUMENT also for a value that is not allowed;
 *     UMF_RESULT_ERROR_NOT_SUPPORTED when the node can only be set before the object is made, which
 *     is to say by `umf.pool.default…`, or for a `{}` in the path of a default.
 */
umf_result_t umfCtlSet(const char *path, void *arg, size_t size, ...);

/**
 * Executes a node.
 * @param path [in] path of the node
 * @param arg  [in,out] argument, NULL when there is none
 * @param size [in] bytes at `arg`, 0 when there is none
 * @param ...  [in] values of the `{}` in `path`
 * @return as umfCtlGet()
 */
umf_result_t umfCtlExec(const char *path, void *arg, size_t size, ...);

#ifdef __cplusplus
}
#endif

#endif /* UMF_EXPERIMENTAL_CTL_H */

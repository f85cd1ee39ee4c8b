/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf.h
 * The usual include of a program: pools, providers, start-up and shut-down of the library.
 */
#ifndef UMF_UNIFIED_MEMORY_FRAMEWORK_H
#define UMF_UNIFIED_MEMORY_FRAMEWORK_H 1

#include <umf/base.h>
#include <umf/memory_pool.h>
#include <umf/memory_provider.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Takes a reference on the library; the first one sets it up. Loading the shared library does this
 * by itself, so that a call is needed only to keep the library working beyond umfTearDown() calls
 * of others. Thread-safe.
 * @return on an error no reference was taken.
 */
umf_result_t umfInit(void);

/**
 * Drops a reference; the last one shuts the library down: creating a pool, and destroying pools and
 * providers that are left, returns UMF_RESULT_ERROR_UNKNOWN until umfInit() is called again. Without
 * a reference to drop the call does nothing. Thread-safe.
 * @return UMF_RESULT_SUCCESS
 */
umf_result_t umfTearDown(void);

/**
 * Version of the interface that the library was compiled with.
 * @return UMF_VERSION_CURRENT as the library knows it; see UMF_MAJOR_VERSION() and
 *     UMF_MINOR_VERSION()
 */
int umfGetCurrentVersion(void);

#ifdef __cplusplus
}
#endif

#endif /* UMF_UNIFIED_MEMORY_FRAMEWORK_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/base.h
 * Version arithmetic, result codes and the enumerations that several headers share.
 */
#ifndef UMF_BASE_H
#define UMF_BASE_H 1

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Packs a version: major number in the upper, minor number in the lower 16 bits. Usable in `#if`.
 */
#define UMF_MAKE_VERSION(major, minor) (((major) << 16) | ((minor)&0xffff))

/** Major number of a packed version. */
#define UMF_MAJOR_VERSION(version) ((version) >> 16)

/** Minor number of a packed version. */
#define UMF_MINOR_VERSION(version) ((version)&0xffff)

/** Version of the interface as a whole; what umfGetCurrentVersion() returns. */
#define UMF_VERSION_CURRENT UMF_MAKE_VERSION(1, 0)

/** What a call reports. Zero is success, everything else an error. */
typedef enum umf_result_t {
    /** The call did what it says. */
    UMF_RESULT_SUCCESS = 0,
    /** No host memory for the request or for the library's own records. */
    UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY = 1,
    /** The provider failed; umfMemoryProviderGetLastNativeError() knows more. */
    UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC = 2,
    /** An argument is not allowed (NULL handle, unknown pointer, bad size, …). */
    UMF_RESULT_ERROR_INVALID_ARGUMENT = 3,
    /** The alignment can not be provided. */
    UMF_RESULT_ERROR_INVALID_ALIGNMENT = 4,
    /** The pool or provider does not offer this operation. */
    UMF_RESULT_ERROR_NOT_SUPPORTED = 5,
    /** Free for use by user-written pools and providers. */
    UMF_RESULT_ERROR_USER_SPECIFIC = 6,
    /** A run-time library that the call needs is not there. */
    UMF_RESULT_ERROR_DEPENDENCY_UNAVAILABLE = 7,
    /** A limit other than memory is reached (nesting depth, descriptors, …). */
    UMF_RESULT_ERROR_OUT_OF_RESOURCES = 8,
    /** No CTL node has this path. */
    UMF_RESULT_ERROR_INVALID_CTL_PATH = 9,
    /** Anything else. */
    UMF_RESULT_ERROR_UNKNOWN = 0x7ffffffe
} umf_result_t;

/** Opaque record that describes one allocation. */
typedef struct umf_memory_properties_t *umf_memory_properties_handle_t;

/** What can be asked about an allocation. The type of each value is named in brackets. */
typedef enum umf_memory_property_id_t {
    /** No property; never valid in a query. */
    UMF_MEMORY_PROPERTY_INVALID = -1,
    /** Provider that the memory comes from [umf_memory_provider_handle_t]. */
    UMF_MEMORY_PROPERTY_PROVIDER_HANDLE = 0,
    /** Pool that the memory belongs to [umf_memory_pool_handle_t]. */
    UMF_MEMORY_PROPERTY_POOL_HANDLE = 1,
    /** First address of the provider allocation [void *]. */
    UMF_MEMORY_PROPERTY_BASE_ADDRESS = 10,
    /** Bytes of the provider allocation [size_t]. */
    UMF_MEMORY_PROPERTY_BASE_SIZE = 11,
    /** Number of the provider allocation, unique in the process [uint64_t]. */
    UMF_MEMORY_PROPERTY_BUFFER_ID = 12,
    /** Kind of USM memory [umf_usm_memory_type_t]. */
    UMF_MEMORY_PROPERTY_POINTER_TYPE = 20,
    /** Context of a GPU allocation [type defined by the provider]. */
    UMF_MEMORY_PROPERTY_CONTEXT = 21,
    /** Device of a GPU allocation [type defined by the provider]. */
    UMF_MEMORY_PROPERTY_DEVICE = 22,
    /** Ids above this one are free for user-written providers. */
    UMF_MEMORY_PROPERTY_MAX_RESERVED = 0x1000
} umf_memory_property_id_t;

/** What a CTL request wants to do with a node. */
typedef enum umf_ctl_query_type {
    CTL_QUERY_READ = 0,    /**< read the node's value */
    CTL_QUERY_WRITE = 1,   /**< set the node's value */
    CTL_QUERY_RUNNABLE = 2 /**< execute the node */
} umf_ctl_query_type_t;

/** Where a CTL request comes from. */
typedef enum ctl_query_source {
    CTL_UNKNOWN_QUERY_SOURCE = 0, /**< not known */
    CTL_QUERY_PROGRAMMATIC = 1,   /**< a call of the program; the argument is binary */
    CTL_QUERY_CONFIG_INPUT = 2    /**< environment or configuration file; the argument is text */
} umf_ctl_query_source_t;

#ifdef __cplusplus
}
#endif

#endif /* UMF_BASE_H */

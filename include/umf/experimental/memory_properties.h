/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/memory_properties.h
 * What is known about a piece of memory: whose it is, where it begins, what kind it is. Works for
 * memory of pools with tracking and for opened IPC mappings. All functions are thread-safe.
 */
#ifndef UMF_MEMORY_PROPERTIES_H
#define UMF_MEMORY_PROPERTIES_H 1

#include <umf/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Finds the provider allocation that ptr lies in; with pools on memory of other pools the innermost
 * one.
 * @param ptr any address inside
 * @param props_handle [out] view of it; there is nothing to free. It is valid until the allocation
 * is freed; after that the functions below return UMF_RESULT_ERROR_INVALID_ARGUMENT for it
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL argument or an address
 * that belongs to no tracked memory (*props_handle is not changed); UMF_RESULT_ERROR_NOT_SUPPORTED
 * after the library's tear-down
 */
umf_result_t umfGetMemoryPropertiesHandle(const void *ptr,
                                          umf_memory_properties_handle_t *props_handle);

/**
 * Tells how large the buffer for a property must be.
 * @param props_handle needed for properties that the provider defines; may be NULL for the others
 * @param memory_property_id [in] which property
 * @param size [out] bytes
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL size,
 * UMF_MEMORY_PROPERTY_INVALID, or a handle that is NULL or out of date where it is needed; else
 * what the provider answers
 */
umf_result_t umfGetMemoryPropertySize(umf_memory_properties_handle_t props_handle,
                                      umf_memory_property_id_t memory_property_id, size_t *size);

/**
 * Copies a property out. Its type: PROVIDER_HANDLE umf_memory_provider_handle_t (the one that the
 * pool was created on), POOL_HANDLE umf_memory_pool_handle_t (NULL for an opened IPC mapping),
 * BASE_ADDRESS void *, BASE_SIZE size_t, BUFFER_ID uint64_t (unique among all allocations of the
 * process), POINTER_TYPE umf_usm_memory_type_t; CONTEXT, DEVICE and all above
 * UMF_MEMORY_PROPERTY_MAX_RESERVED as the provider says.
 * @param props_handle [in] from umfGetMemoryPropertiesHandle()
 * @param memory_property_id [in] which property
 * @param property_value [out] the buffer
 * @param max_property_size its bytes; may be more than needed
 * @return UMF_RESULT_SUCCESS; UMF_RESULT_ERROR_INVALID_ARGUMENT for a NULL argument, a buffer that
 * is too small, an unknown property, or a handle that is out of date;
 * UMF_RESULT_ERROR_NOT_SUPPORTED when the provider has no properties of its own; else what the
 * provider answers
 */
umf_result_t umfGetMemoryProperty(umf_memory_properties_handle_t props_handle,
                                  umf_memory_property_id_t memory_property_id, void *property_value,
                                  size_t max_property_size);

#ifdef __cplusplus
}
#endif

#endif /* UMF_MEMORY_PROPERTIES_H */

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Our declarations of the Level Zero API against the real headers: a difference does not compile.
 */
#include <criterion/criterion.h>

#include <level_zero/ze_api.h>

#include "providers/level_zero_api.h"

#define SAME_SIZE(ours, theirs) static_assert(sizeof(ours) == sizeof(theirs), #theirs)
#define SAME_PLACE(ours, our_field, theirs, their_field)                                           \
    static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field),                      \
                  #theirs "." #their_field)
#define SAME_VALUE(ours, theirs) static_assert((uint32_t)(ours) == (uint32_t)(theirs), #theirs)

SAME_SIZE(level_zero_result_t, ze_result_t);
SAME_SIZE(level_zero_device_properties_t, ze_device_properties_t);
SAME_PLACE(level_zero_device_properties_t, next, ze_device_properties_t, pNext);
SAME_PLACE(level_zero_device_properties_t, max_allocation, ze_device_properties_t, maxMemAllocSize);
SAME_PLACE(level_zero_device_properties_t, name, ze_device_properties_t, name);
SAME_SIZE(level_zero_context_desc_t, ze_context_desc_t);
SAME_SIZE(level_zero_device_allocation_t, ze_device_mem_alloc_desc_t);
SAME_PLACE(level_zero_device_allocation_t, ordinal, ze_device_mem_alloc_desc_t, ordinal);
SAME_SIZE(level_zero_host_allocation_t, ze_host_mem_alloc_desc_t);
SAME_SIZE(level_zero_flags_desc_t, ze_relaxed_allocation_limits_exp_desc_t);
SAME_PLACE(level_zero_flags_desc_t, flags, ze_relaxed_allocation_limits_exp_desc_t, flags);
SAME_SIZE(level_zero_flags_desc_t, ze_external_memory_export_desc_t);
SAME_PLACE(level_zero_flags_desc_t, flags, ze_external_memory_export_desc_t, flags);
SAME_SIZE(level_zero_flags_desc_t, ze_memory_free_ext_desc_t);
SAME_PLACE(level_zero_flags_desc_t, flags, ze_memory_free_ext_desc_t, freePolicy);
SAME_SIZE(level_zero_fd_desc_t, ze_external_memory_import_fd_t);
SAME_PLACE(level_zero_fd_desc_t, fd, ze_external_memory_import_fd_t, fd);
SAME_SIZE(level_zero_fd_desc_t, ze_external_memory_export_fd_t);
SAME_PLACE(level_zero_fd_desc_t, fd, ze_external_memory_export_fd_t, fd);
SAME_SIZE(level_zero_allocation_properties_t, ze_memory_allocation_properties_t);
SAME_PLACE(level_zero_allocation_properties_t, page_size, ze_memory_allocation_properties_t,
           pageSize);
SAME_SIZE(level_zero_cache_properties_t, ze_device_cache_properties_t);
SAME_SIZE(level_zero_extension_t, ze_driver_extension_properties_t);
SAME_SIZE(level_zero_ipc_handle_t, ze_ipc_mem_handle_t);

SAME_VALUE(LEVEL_ZERO_OUT_OF_HOST_MEMORY, ZE_RESULT_ERROR_OUT_OF_HOST_MEMORY);
SAME_VALUE(LEVEL_ZERO_UNSUPPORTED_FEATURE, ZE_RESULT_ERROR_UNSUPPORTED_FEATURE);
SAME_VALUE(LEVEL_ZERO_INVALID_ARGUMENT, ZE_RESULT_ERROR_INVALID_ARGUMENT);
SAME_VALUE(LEVEL_ZERO_TYPE_DEVICE_PROPERTIES, ZE_STRUCTURE_TYPE_DEVICE_PROPERTIES);
SAME_VALUE(LEVEL_ZERO_TYPE_CACHE_PROPERTIES, ZE_STRUCTURE_TYPE_DEVICE_CACHE_PROPERTIES);
SAME_VALUE(LEVEL_ZERO_TYPE_CONTEXT, ZE_STRUCTURE_TYPE_CONTEXT_DESC);
SAME_VALUE(LEVEL_ZERO_TYPE_DEVICE_ALLOCATION, ZE_STRUCTURE_TYPE_DEVICE_MEM_ALLOC_DESC);
SAME_VALUE(LEVEL_ZERO_TYPE_HOST_ALLOCATION, ZE_STRUCTURE_TYPE_HOST_MEM_ALLOC_DESC);
SAME_VALUE(LEVEL_ZERO_TYPE_ALLOCATION_PROPERTIES, ZE_STRUCTURE_TYPE_MEMORY_ALLOCATION_PROPERTIES);
SAME_VALUE(LEVEL_ZERO_TYPE_EXPORT, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_EXPORT_DESC);
SAME_VALUE(LEVEL_ZERO_TYPE_IMPORT_FD, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_IMPORT_FD);
SAME_VALUE(LEVEL_ZERO_TYPE_EXPORT_FD, ZE_STRUCTURE_TYPE_EXTERNAL_MEMORY_EXPORT_FD);
SAME_VALUE(LEVEL_ZERO_TYPE_FREE, ZE_STRUCTURE_TYPE_MEMORY_FREE_EXT_DESC);
SAME_VALUE(LEVEL_ZERO_TYPE_RELAXED_LIMITS, ZE_STRUCTURE_TYPE_RELAXED_ALLOCATION_LIMITS_EXP_DESC);
SAME_VALUE(LEVEL_ZERO_RELAXED_MAX_SIZE, ZE_RELAXED_ALLOCATION_LIMITS_EXP_FLAG_MAX_SIZE);
SAME_VALUE(LEVEL_ZERO_EXTERNAL_DMA_BUF, ZE_EXTERNAL_MEMORY_TYPE_FLAG_DMA_BUF);
SAME_VALUE(LEVEL_ZERO_FREE_BLOCKING, ZE_DRIVER_MEMORY_FREE_POLICY_EXT_FLAG_BLOCKING_FREE);
SAME_VALUE(LEVEL_ZERO_FREE_DEFER, ZE_DRIVER_MEMORY_FREE_POLICY_EXT_FLAG_DEFER_FREE);

Test(level_zero_layout, the_handles_of_both_headers_are_the_same_types) {
    struct _ze_device_handle_t *device = NULL; // one typedef, declared twice
    ze_device_handle_t as_is = device;
    cr_assert_null(as_is);
}

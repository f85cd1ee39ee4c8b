/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The stand-in driver under the loader's names, for UMF_ZE_LOADER_LIB_NAME: calls come straight
 * from the provider, so tests can count them exactly, and versions of the loader can be had that
 * are not installed: newer than 1.6 with zeMemPutIpcHandle, or (STANDIN_OLD_LOADER) one without
 * that and without zeMemFreeExt.
 */
#include <level_zero/ze_api.h>
#include <level_zero/ze_ddi.h>

#include "../standin.h"

#define API STANDIN_API

/* The driver's table, by value. */
#define DRIVER(getter, type)                                                                       \
    __extension__({                                                                                \
        type table_;                                                                               \
        getter(ZE_API_VERSION_CURRENT, &table_);                                                   \
        table_;                                                                                    \
    })
#define MEM DRIVER(zeGetMemProcAddrTable, ze_mem_dditable_t)
#define CONTEXT DRIVER(zeGetContextProcAddrTable, ze_context_dditable_t)
#define DEVICE DRIVER(zeGetDeviceProcAddrTable, ze_device_dditable_t)
#define DRIVERS DRIVER(zeGetDriverProcAddrTable, ze_driver_dditable_t)

API ze_result_t zeInit(ze_init_flags_t flags) {
    return DRIVER(zeGetGlobalProcAddrTable, ze_global_dditable_t).pfnInit(flags);
}
API ze_result_t zeDriverGet(uint32_t *count, ze_driver_handle_t *drivers) {
    return DRIVERS.pfnGet(count, drivers);
}
API ze_result_t zeDriverGetExtensionProperties(ze_driver_handle_t driver, uint32_t *count,
                                               ze_driver_extension_properties_t *list) {
    return DRIVERS.pfnGetExtensionProperties(driver, count, list);
}
API ze_result_t zeDeviceGet(ze_driver_handle_t driver, uint32_t *count, ze_device_handle_t *list) {
    return DEVICE.pfnGet(driver, count, list);
}
API ze_result_t zeDeviceGetProperties(ze_device_handle_t device,
                                      ze_device_properties_t *properties) {
    return DEVICE.pfnGetProperties(device, properties);
}
API ze_result_t zeDeviceGetCacheProperties(ze_device_handle_t device, uint32_t *count,
                                           ze_device_cache_properties_t *list) {
    return DEVICE.pfnGetCacheProperties(device, count, list);
}
API ze_result_t zeContextCreate(ze_driver_handle_t driver, const ze_context_desc_t *desc,
                                ze_context_handle_t *context) {
    return CONTEXT.pfnCreate(driver, desc, context);
}
API ze_result_t zeContextDestroy(ze_context_handle_t context) {
    return CONTEXT.pfnDestroy(context);
}
API ze_result_t zeContextMakeMemoryResident(ze_context_handle_t context, ze_device_handle_t device,
                                            void *ptr, size_t size) {
    return CONTEXT.pfnMakeMemoryResident(context, device, ptr, size);
}
API ze_result_t zeContextEvictMemory(ze_context_handle_t context, ze_device_handle_t device,
                                     void *ptr, size_t size) {
    return CONTEXT.pfnEvictMemory(context, device, ptr, size);
}
API ze_result_t zeMemAllocHost(ze_context_handle_t context, const ze_host_mem_alloc_desc_t *desc,
                               size_t size, size_t alignment, void **ptr) {
    return MEM.pfnAllocHost(context, desc, size, alignment, ptr);
}
API ze_result_t zeMemAllocDevice(ze_context_handle_t context,
                                 const ze_device_mem_alloc_desc_t *desc, size_t size,
                                 size_t alignment, ze_device_handle_t device, void **ptr) {
    return MEM.pfnAllocDevice(context, desc, size, alignment, device, ptr);
}
API ze_result_t zeMemAllocShared(ze_context_handle_t context,
                                 const ze_device_mem_alloc_desc_t *device_desc,
                                 const ze_host_mem_alloc_desc_t *host_desc, size_t size,
                                 size_t alignment, ze_device_handle_t device, void **ptr) {
    return MEM.pfnAllocShared(context, device_desc, host_desc, size, alignment, device, ptr);
}
API ze_result_t zeMemFree(ze_context_handle_t context, void *ptr) {
    return MEM.pfnFree(context, ptr);
}
API ze_result_t zeMemGetAllocProperties(ze_context_handle_t context, const void *ptr,
                                        ze_memory_allocation_properties_t *properties,
                                        ze_device_handle_t *device) {
    return MEM.pfnGetAllocProperties(context, ptr, properties, device);
}
API ze_result_t zeMemGetIpcHandle(ze_context_handle_t context, const void *ptr,
                                  ze_ipc_mem_handle_t *handle) {
    return MEM.pfnGetIpcHandle(context, ptr, handle);
}
API ze_result_t zeMemOpenIpcHandle(ze_context_handle_t context, ze_device_handle_t device,
                                   ze_ipc_mem_handle_t handle, ze_ipc_memory_flags_t flags,
                                   void **ptr) {
    return MEM.pfnOpenIpcHandle(context, device, handle, flags, ptr);
}
API ze_result_t zeMemCloseIpcHandle(ze_context_handle_t context, const void *ptr) {
    return MEM.pfnCloseIpcHandle(context, ptr);
}

#ifndef STANDIN_OLD_LOADER
API ze_result_t zeMemFreeExt(ze_context_handle_t context, const ze_memory_free_ext_desc_t *desc,
                             void *ptr) {
    return MEM.pfnFreeExt(context, desc, ptr);
}
API ze_result_t zeMemPutIpcHandle(ze_context_handle_t context, ze_ipc_mem_handle_t handle);
API ze_result_t zeMemPutIpcHandle(ze_context_handle_t context, ze_ipc_mem_handle_t handle) {
    (void)context, (void)handle;
    return (ze_result_t)standin_enter("zeMemPutIpcHandle");
}
#endif

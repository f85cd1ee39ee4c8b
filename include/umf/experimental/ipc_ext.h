/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/experimental/ipc_ext.h
 * Additions of this implementation to umf/ipc.h.
 */
#ifndef UMF_IPC_EXT_H
#define UMF_IPC_EXT_H 1

#include <umf/ipc.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * umfOpenIPCHandle() for bytes that come from somebody who is not trusted: nothing beyond `size` is
 * read.
 * @param hIPCHandler [in] from umfPoolGetIPCHandler()
 * @param bytes       [in] a received handle, at any address
 * @param size        [in] how many bytes were received; must be the handle's size
 * @param ptr         [out] as umfOpenIPCHandle()
 * @return as umfOpenIPCHandle()
 */
umf_result_t umfOpenIPCHandleFromBytes(umf_ipc_handler_handle_t hIPCHandler, const void *bytes,
                                       size_t size, void **ptr);

#ifdef __cplusplus
}
#endif

#endif /* UMF_IPC_EXT_H */

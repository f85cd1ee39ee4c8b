/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/ipc.h
 * Memory of one process used in another: the producer gets a handle of a block, sends its bytes
 * over, and the consumer opens them through a pool whose provider is of the same kind.
 *
 *     producer                                      consumer
 *     umfGetIPCHandle(block, &handle, &size)
 *     send(socket, handle, size)            ──►     recv(socket, buffer, size)
 *                                                   umfPoolGetIPCHandler(pool, &handler)
 *                                                   umfOpenIPCHandle(handler, buffer, &mapped)
 *                                                   … uses the memory …
 *     umfPutIPCHandle(handle)                       umfCloseIPCHandle(mapped)
 *
 * The producer keeps block and process alive until the consumer has opened the handle. What is open
 * stays mapped whatever the producer does; once the block is freed its content is undefined.
 * Putting a handle does not invalidate opened mappings, nor copies of its bytes while the block
 * lives.
 *
 * All functions may be called from any number of threads at once.
 */
#ifndef UMF_IPC_H
#define UMF_IPC_H 1

#include <umf/base.h>
#include <umf/memory_pool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A block's description: plain bytes, to be copied to the other process. */
typedef struct umf_ipc_data_t *umf_ipc_handle_t;

/** What opens handles: belongs to a pool and lives as long. */
typedef void *umf_ipc_handler_handle_t;

/**
 * Bytes of this pool's handles.
 * @param hPool [in] pool
 * @param size  [out] bytes, more than 0
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, or the provider's memory is not
 *     shareable as it was set up. UMF_RESULT_ERROR_NOT_SUPPORTED: the provider has no IPC. Else the
 *     provider's error.
 */
umf_result_t umfPoolGetIPCHandleSize(umf_memory_pool_handle_t hPool, size_t *size);

/**
 * Makes a handle of a block. Further handles of blocks in the same provider allocation are copies
 * of what the provider said the first time.
 * @param ptr       [in] a block of a pool with tracking, or any address inside: the consumer gets
 *     this very byte
 * @param ipcHandle [out] the handle; give it back with umfPutIPCHandle()
 * @param size      [out] its bytes
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, ptr is in no pool's memory, or
 *     the provider can not share it. UMF_RESULT_ERROR_UNKNOWN: ptr is in memory that this process
 *     opened itself. Else the provider's error.
 */
umf_result_t umfGetIPCHandle(const void *ptr, umf_ipc_handle_t *ipcHandle, size_t *size);

/**
 * Gives a handle back: for the process and the pointer that umfGetIPCHandle() returned, not for
 * copies. Before or after the block is freed, before or after consumers close.
 * @param ipcHandle [in] the handle; NULL is allowed
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: put before already, or no handle of umfGetIPCHandle().
 */
umf_result_t umfPutIPCHandle(umf_ipc_handle_t ipcHandle);

/**
 * Maps another process's block here. Handles of one provider allocation share one mapping per
 * handler, which stays for reuse after it is closed, see UMF_MAX_OPENED_IPC_HANDLES. Opening in the
 * producer itself gives a second mapping of the same memory.
 *
 * The bytes are checked as data from a stranger, but their number is not known here: there must be
 * as many as the producer's `size`. Where that is not certain use umfOpenIPCHandleFromBytes() of
 * umf/experimental/ipc_ext.h.
 * @param hIPCHandler [in] from umfPoolGetIPCHandler()
 * @param ipcHandle   [in] the bytes, at any address; not used any more after the call
 * @param ptr         [out] the byte that the producer's pointer pointed to; for
 *     umfCloseIPCHandle()
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL, no handler, or no (intact) handle
 *     of this version and this provider's kind. Else the provider's error.
 */
umf_result_t umfOpenIPCHandle(umf_ipc_handler_handle_t hIPCHandler, umf_ipc_handle_t ipcHandle,
                              void **ptr);

/**
 * Ends a use of opened memory. Once for each umfOpenIPCHandle(), in any thread and order.
 * @param ptr [in] what umfOpenIPCHandle() returned, or any address in that mapping
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: not in an opened mapping, or closed as often as opened
 *     already.
 */
umf_result_t umfCloseIPCHandle(void *ptr);

/**
 * What opens handles with this pool's provider.
 * @param hPool       [in] pool
 * @param hIPCHandler [out] the pool's; goes with the pool, which then unmaps all that it opened
 * @return UMF_RESULT_ERROR_INVALID_ARGUMENT: an argument is NULL.
 */
umf_result_t umfPoolGetIPCHandler(umf_memory_pool_handle_t hPool,
                                  umf_ipc_handler_handle_t *hIPCHandler);

#ifdef __cplusplus
}
#endif

#endif /* UMF_IPC_H */

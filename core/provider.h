/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Provider handle and internal dispatch; see provider.c. */
#ifndef UMF_CORE_PROVIDER_H
#define UMF_CORE_PROVIDER_H

#include <umf/memory_provider.h>
#include <umf/memory_provider_ops.h>

#include "core/registry.h"
#include "core/utils.h"

#define UMF_PROVIDER_MAGIC UINT32_C(0x50464d55) /* "UMFP" */

struct umf_memory_provider_t {
    uint32_t magic;
    uint32_t given_version; /* ops version that the user filled in */
    void *priv;
    umf_memory_provider_ops_t ops; /* complete: missing optional operations are defaults */
    registry_entry_t entry;        /* list of live providers; wrappers are not in it */
};

/*
 * Extensions between our own OS provider and our own pools and proxy, outside of the public ops
 * table. Looked up by provider_extension(); NULL for every provider that has none (a tracking
 * wrapper forwards to its upstream's).
 */
typedef struct provider_extension {
    /* Moves or grows a whole live allocation, keeping its content without copying: as
     * mremap(MREMAP_MAYMOVE). SUCCESS: *new_ptr holds it, old range is gone. NOT_SUPPORTED: the
     * settings forbid it (shared, NUMA split, …). alignment: power of two or 0; on a result that is
     * not aligned the provider must undo nothing: it only moves to aligned places. */
    umf_result_t (*remap)(void *priv, void *ptr, size_t old_size, size_t new_size, size_t alignment,
                          void **new_ptr);
    /* True when fresh allocations and force-purged ranges read as zero. */
    bool (*zeroed)(void *priv);
    /* In a forked child, for shared mappings: replaces [ptr, ptr+size) by a private-to-the-child
     * copy with the same content at the same address, backed by the child's own shared object.
     * No-op for private memory. */
    umf_result_t (*fork_child_unshare)(void *priv, void *ptr, size_t size);
    /* True when a forked child shares the pages with its parent (so the above is needed). */
    bool (*shared_on_fork)(void *priv);
    /* Checks IPC data that another process sent, of `bytes` bytes, without opening anything:
     * INVALID_ARGUMENT when they can not be this kind of provider's. *mapped: bytes of memory that
     * an open maps. */
    umf_result_t (*ipc_inspect)(const void *data, size_t bytes, size_t *mapped);
} provider_extension_t;

/* The extension of provider (or of the provider that a tracking wrapper wraps) and the priv to pass
 * to it, or NULL. */
const provider_extension_t *provider_extension(umf_memory_provider_handle_t provider, void **priv);
/* Called once by a provider module: which ops table has which extension. The table's `initialize`
 * pointer identifies it. */
typedef struct provider_extension_entry {
    umf_result_t (*initialize)(const void *params, void **provider);
    const provider_extension_t *extension;
    struct provider_extension_entry *next;
} provider_extension_entry_t;
void provider_extension_register(provider_extension_entry_t *entry);

/* Remembers `provider` as this thread's last failed one; returns result unchanged. */
umf_result_t provider_note_failure(umf_memory_provider_handle_t provider, umf_result_t result);

#endif /* UMF_CORE_PROVIDER_H */

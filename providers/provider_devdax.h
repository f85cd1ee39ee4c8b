/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* DEVDAX provider, inside the library: what sysfs says about a device. */
#ifndef UMF_PROVIDERS_PROVIDER_DEVDAX_H
#define UMF_PROVIDERS_PROVIDER_DEVDAX_H

#include <umf/base.h>

#include <sys/types.h>

#include "core/utils.h"

/* Bytes of the unit in which a device is mapped; 2 MiB when that is not known. */
size_t devdax_unit(const char *directory, dev_t device);

/*
 * How many bytes of a device must be mapped to have `size` of them: a multiple of its unit, 2 MiB
 * when that is not known. directory: "/sys/dev/char" (tests have one of their own).
 * INVALID_ARGUMENT: the device is smaller.
 */
umf_result_t devdax_mapping_size(const char *directory, dev_t device, size_t size, size_t *mapped);

/* Maps the part of a device that has [offset, offset + size), from unit to unit. Returns the
 * address of `offset`, or NULL with errno; EOPNOTSUPP: it is no DAX device. need_dax: false in
 * tests. */
void *devdax_map_part(int fd, size_t unit, uint64_t offset, uint64_t size, int protection,
                      bool need_dax);
/* Undoes it; 0 or -1 with errno. */
int devdax_unmap_part(void *ptr, size_t size);

/* Nodes of its own, and those of the block manager and the statistics. */
extern const struct ctl_table devdax_provider_ctl_table;

#endif /* UMF_PROVIDERS_PROVIDER_DEVDAX_H */

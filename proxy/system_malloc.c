/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Looks the next malloc family up, behind this library in the search order. dlsym may allocate: it
 * is called when the boot pool serves already. */
#define _GNU_SOURCE
#include "proxy/system_malloc.h"

#include <dlfcn.h>
#include <string.h>

#include "core/log.h"

system_malloc_t system_malloc;
_Atomic(bool) system_malloc_ready;

bool system_malloc_load(void) {
    static const struct {
        const char *name;
        size_t offset;
    } symbols[] = {
        {"malloc", offsetof(system_malloc_t, malloc)},
        {"calloc", offsetof(system_malloc_t, calloc)},
        {"realloc", offsetof(system_malloc_t, realloc)},
        {"memalign", offsetof(system_malloc_t, memalign)},
        {"free", offsetof(system_malloc_t, free)},
        {"malloc_usable_size", offsetof(system_malloc_t, malloc_usable_size)},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(symbols); i++) {
        void *symbol = dlsym(RTLD_NEXT, symbols[i].name);
        if (symbol == NULL) {
            umf_message(
                "UMF_PROXY: size.threshold: the system has no %s; all requests go to the pool",
                symbols[i].name);
            return false;
        }
        memcpy((char *)&system_malloc + symbols[i].offset, &symbol, sizeof(symbol));
    }
    store_release(&system_malloc_ready, true);
    return true;
}

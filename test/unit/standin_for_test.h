/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * For tests of providers whose driver may be a stand-in (test/standins): its switches and counters.
 * On a real driver they are NULL, and a test that needs them is skipped.
 */
#ifndef UMF_TEST_STANDIN_FOR_TEST_H
#define UMF_TEST_STANDIN_FOR_TEST_H

#include <criterion/criterion.h>

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct standin {
    size_t (*calls)(const char *name);
    void (*calls_reset)(void);
    void (*fail)(const char *name, int code, size_t nth);
    size_t (*live_blocks)(void);
    size_t (*live_opened)(void);
    size_t (*live_contexts)(void);
    size_t (*resident)(unsigned device);
    size_t (*device_used)(unsigned device);
    void (*protect)(bool on);
} standin_t;

/* dlsym as a function pointer of any type. */
static inline void symbol_load(void *library, const char *name, void *function) {
    void *found = dlsym(library, name);
    memcpy(function, &found, sizeof(found));
}

static inline bool standin_load(void *library, standin_t *standin) {
    symbol_load(library, "standin_calls", &standin->calls);
    symbol_load(library, "standin_calls_reset", &standin->calls_reset);
    symbol_load(library, "standin_fail", &standin->fail);
    symbol_load(library, "standin_live_blocks", &standin->live_blocks);
    symbol_load(library, "standin_live_opened", &standin->live_opened);
    symbol_load(library, "standin_live_contexts", &standin->live_contexts);
    symbol_load(library, "standin_resident", &standin->resident);
    symbol_load(library, "standin_device_used", &standin->device_used);
    symbol_load(library, "standin_protect", &standin->protect);
    return standin->protect != NULL;
}

#endif /* UMF_TEST_STANDIN_FOR_TEST_H */

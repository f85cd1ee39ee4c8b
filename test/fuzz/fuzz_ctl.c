/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Fuzz target: CTL paths and configuration text.
 *
 * The first byte of an input says what the rest is: a path to read, write or execute, with the
 * bytes behind its first NUL as the argument; a configuration string; or a configuration file.
 * Values of wildcards are pointers that can be taken as handle, text and number alike.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <umf.h>
#include <umf/experimental/ctl.h>
#include <umf/pools/pool_disjoint.h>
#include <umf/pools/pool_slab.h>
#include <umf/providers/provider_os_memory.h>

#include "core/ctl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static umf_memory_provider_handle_t provider;
static umf_memory_pool_handle_t disjoint, slab;

/* Reads as a string, and as the memory of a dead handle. */
static char wildcard_text[4096];

static void set_up(void) {
    umf_os_memory_provider_params_handle_t params = NULL;
    umfOsMemoryProviderParamsCreate(&params);
    umfMemoryProviderCreate(umfOsMemoryProviderOps(), params, &provider);
    umfOsMemoryProviderParamsDestroy(params);
    umfPoolCreate(umfDisjointPoolOps(), provider, NULL, 0, &disjoint);
    umfPoolCreate(umfSlabPoolOps(), provider, NULL, 0, &slab);
    if (provider == NULL || disjoint == NULL || slab == NULL) {
        abort();
    }
}

/* Log files would fill the disk. */
static int names_a_file(const char *text) {
    return strstr(text, "output") != NULL || strstr(text, "{}") != NULL;
}

static void try_path(uint8_t how, const char *path, const char *value, size_t size) {
    char room[64] = "";
    void *first = how & 0x40 ? (void *)disjoint : how & 0x20 ? (void *)slab : (void *)provider;
    if (how & 0x10) {
        first = wildcard_text;
    }
    char *a = wildcard_text;
    strcpy(wildcard_text, how & 0x08 ? "stats" : "disjoint");
    size = size < sizeof(room) ? size : sizeof(room);
    memcpy(room, value, size);
    switch (how & 3) {
    case 0:
        umfCtlGet(path, room, size, first, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a);
        break;
    case 1:
        if (!names_a_file(path)) {
            umfCtlSet(path, room, size, first, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a);
        }
        break;
    default:
        umfCtlExec(path, size != 0 ? room : NULL, size, first, a, a, a, a, a, a, a, a, a, a, a, a,
                   a, a, a);
        break;
    }
}

static void try_config(int is_file, char *text, size_t length) {
    if (is_file) {
        ctl_config_strip(text, length);
    }
    if (!names_a_file(text)) {
        ctl_config_text("fuzz", text);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (provider == NULL) {
        set_up();
    }
    if (size < 1) {
        return 0;
    }
    char *text = malloc(size); // without the first byte, with a NUL
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data + 1, size - 1);
    text[size - 1] = '\0';
    if ((data[0] & 0x80) != 0) {
        try_config(data[0] & 1, text, size - 1);
    } else {
        size_t length = strlen(text);
        size_t rest = size - 1 - length;
        // no more wildcards than there are values
        size_t wildcards = 0;
        for (const char *at = text; (at = strstr(at, "{}")) != NULL; at += 2) {
            wildcards++;
        }
        if (wildcards <= 16) {
            try_path(data[0], text, text + length + (rest > 0), rest > 0 ? rest - 1 : 0);
        }
    }
    free(text);
    ctl_defaults_drop(); // what was stored must not pile up
    return 0;
}

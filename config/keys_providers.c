/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Rows of the keys file.*, devdax.* and fixed.*. */
#include "config/proxy_settings.h"

#define SETTINGS_STRUCT proxy_settings_t

#define GIB (UINT64_C(1) << 30)

/* clang-format off */
static const settings_key_t keys[] = {
    KEY_STRING("file.path", file.path, "", "With provider=file: a file that does not exist or is empty, or a directory for one; %p stands for the process number. Each process gets a file of its own, whose name goes as soon as it is open."),
    KEY_ENUM("file.visibility", file.visibility, "shared|private", "shared", "shared: the memory is the file's, it can be opened by other processes, and forks copy it; private: pages are copied to ordinary memory when they are written."),
    KEY_ENUM("file.protection", file.protection, "rw|rwx", "rw", "What is allowed in the memory: reading and writing, or running code as well."),
    KEY_STRING("devdax.path", devdax.path, "", "With provider=devdax: the device, as in /dev/dax0.0; one process at a time can have it."),
    KEY_SIZE("devdax.size", devdax.size, 0, 1024 * 1024 * GIB, "0", "Bytes of the device to use; 0 is all of it."),
    KEY_ENUM("devdax.protection", devdax.protection, "rw|rwx", "rw", "As file.protection."),
    KEY_SIZE("fixed.size", fixed.size, 0, 1024 * 1024 * GIB, "0", "With provider=fixed: bytes of address space that are taken at the start; the program gets no more. At least 4M."),
};
/* clang-format on */

enum { FIXED_MIN_BYTES = 4 << 20 /* a pool's first chunk, and something to live on */ };

/* True when the provider has what it needs; else says what is missing. */
static bool is_complete(settings_run_t *run, const proxy_settings_t *s) {
    static const char text[] = "provider=%s: not allowed without %s; add it, as in %s";
    if (s->choice.provider == PROXY_PROVIDER_FILE && s->file.path[0] == '\0') {
        if (!settings_was_wrong(run, "file.path")) {
            settings_complain(run, text, "file", "file.path", "file.path=/mnt/pmem");
        }
        return false;
    }
    if (s->choice.provider == PROXY_PROVIDER_DEVDAX && s->devdax.path[0] == '\0') {
        if (!settings_was_wrong(run, "devdax.path")) {
            settings_complain(run, text, "devdax", "devdax.path", "devdax.path=/dev/dax0.0");
        }
        return false;
    }
    if (s->choice.provider == PROXY_PROVIDER_FIXED && s->fixed.size < FIXED_MIN_BYTES) {
        if (!settings_was_wrong(run, "fixed.size")) {
            settings_complain(run, text, "fixed", "fixed.size of 4M or more", "fixed.size=1G");
        }
        return false;
    }
    return true;
}

static void check(settings_run_t *run, void *out) {
    proxy_settings_t *s = out;
    bool quiet = settings_was_wrong(run, "provider");
    if (!is_complete(run, s)) {
        s->choice.provider = PROXY_PROVIDER_OS;
        quiet = true;
    }
    settings_need(run, "file.", s->choice.provider == PROXY_PROVIDER_FILE, quiet, "provider=file");
    settings_need(run, "devdax.", s->choice.provider == PROXY_PROVIDER_DEVDAX, quiet,
                  "provider=devdax");
    settings_need(run, "fixed.", s->choice.provider == PROXY_PROVIDER_FIXED, quiet,
                  "provider=fixed");
}

const settings_section_t proxy_keys_providers = {
    .title = "Files, DAX devices and fixed memory",
    .about = "A key counts only with the `provider` that its name begins with.",
    .keys = keys,
    .count = ARRAY_LENGTH(keys),
    .check = check,
};

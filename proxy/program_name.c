/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A program has up to two names: that of its file, and the one it was started by, which is the
 * script's for a script and the link's for a link. Both come from the kernel, since main's argv is
 * not there yet when the first block is asked for.
 */
#include "proxy/program_name.h"
#include "core/system_call.h"

#include <limits.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

bool program_name_matches(const char *pattern, size_t pattern_bytes, const char *name,
                          size_t bytes) {
    size_t p = 0, n = 0, star = SIZE_MAX, from = 0; // place behind the last star, where it began
    while (n < bytes) {
        if (p < pattern_bytes && pattern[p] == '*') {
            star = ++p;
            from = n;
        } else if (p < pattern_bytes && pattern[p] == name[n]) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star; // the star takes one more
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern_bytes && pattern[p] == '*') {
        p++;
    }
    return p == pattern_bytes;
}

static bool list_has(const char *list, const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        const char *pattern = list;
        size_t bytes = length;
        while (bytes > 0 && (*pattern == ' ' || *pattern == '\t')) {
            pattern++;
            bytes--;
        }
        while (bytes > 0 && (pattern[bytes - 1] == ' ' || pattern[bytes - 1] == '\t')) {
            bytes--;
        }
        if (bytes > 0 && program_name_matches(pattern, bytes, name, strlen(name))) {
            return true;
        }
        list += length + (list[length] == ',');
    }
    return false;
}

bool program_name_in(const char *list) {
    const char *started = (const char *)getauxval(AT_EXECFN);
    if (started != NULL && list_has(list, started)) {
        return true;
    }
    char file[PATH_MAX];
    ssize_t length = sys_readlink("/proc/self/exe", file, sizeof(file) - 1);
    if (length <= 0) {
        return false;
    }
    file[length] = '\0';
    return list_has(list, file);
}

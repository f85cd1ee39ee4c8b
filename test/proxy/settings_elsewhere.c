/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * settings_elsewhere.c - keys of UMF_PROXY whose effect settings_effect.c does not show: the tests
 * that do.
 */
#include "settings_effect.h"

#include <fcntl.h>

/* clang-format off */
/* Keys whose effect another test of this folder shows, and what it must have in its text. */
static const struct {
    const char *key, *file, *text;
} elsewhere[] = {
    {"pool", "settings.c", "pool=%s"},
    {"provider", "settings.c", "provider=file"},
    {"pool.name", "settings.c", "pool heap provider mem"},
    {"provider.name", "settings.c", "pool heap provider mem"},
    {"size.threshold", "settings.c", "work_threshold"},
    {"on.exhausted", "settings.c", "on.exhausted=null"},
    {"only", "settings.c", "only=proxy_settings"},
    {"except", "settings.c", "except=proxy_settings"},
    {"file.path", "settings.c", "/umf-heap."},
    {"file.visibility", "settings.c", "file.visibility=private"},
    {"devdax.path", "settings.c", "devdax.path="},
    {"fixed.size", "settings.c", "fixed.size=64M"},
    {"level_zero.memory", "CMakeLists.txt", "level_zero.memory="},
    {"cuda.memory", "CMakeLists.txt", "cuda.memory="},
    {"level_zero.device", "CMakeLists.txt", "device level_zero"},
    {"cuda.device", "CMakeLists.txt", "device cuda"},
    {"page.disposition", "settings.c", "page.disposition=shared-shm"},
    {"os.shm.name", "settings.c", "os.shm.name=umf-named-%p"},
    {"os.page.size", "settings.c", "os.page.size=2M"},
    {"memspace", "settings.c", "memspace=highest_capacity"},
    {"os.numa.mode", "settings.c", "os.numa.mode=bind"},
    {"os.numa.nodes", "settings.c", "os.numa.nodes=0"},
    {"slab.chunk.size", "settings.c", "slab.chunk.size=32M"},
    {"slab.purge.delay", "settings.c", "slab.purge.delay=0"},
    {"slab.keep.all", "settings.c", "slab.keep.all=yes"},
    {"stats", "stats.sh", "stats=exit"},
    {"stats.file", "stats.sh", "stats.file="},
    {"stats.format", "stats.sh", "stats.format=json"},
    {"prof.sample", "profile.sh", "prof.sample=1"},
    {"prof.file", "profile.sh", "prof.file="},
    {"prof.format", "profile.sh", "prof.format="},
    {"prof.unwind", "profile.sh", "prof.unwind="},
    {"prof.exit", "profile.sh", "prof.exit=no"},
    {"prof.every", "profile.sh", "prof.every="},
    {"prof.signal", "profile.sh", "prof.signal="},
    {"leak", "profile.sh", "leak=exact"},
    {"leak.file", "profile.sh", "leak.file="},
    {"leak.suppress", "profile.sh", "leak.suppress="},
    {"leak.exitcode", "profile.sh", "leak.exitcode="},
    {"on.error", "badfree.c", "on.error=warn"},
    {"help", "settings.c", "group_help"},
};

/* clang-format on */

static int file_mentions(const char *directory, const char *name, const char *text) {
    static char content[256 * KIB];
    char path[2 * PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    int fd = open(path, O_RDONLY);
    ssize_t got = fd >= 0 ? read(fd, content, sizeof(content) - 1) : 0;
    close(fd);
    content[got > 0 ? got : 0] = '\0';
    return strstr(content, text) != NULL;
}

int settings_shown_elsewhere(const char *key, const char *directory) {
    int places = 0;
    for (size_t i = 0; i < COUNT(elsewhere); i++) {
        places += strcmp(elsewhere[i].key, key) == 0 &&
                  file_mentions(directory, elsewhere[i].file, elsewhere[i].text);
    }
    return places;
}

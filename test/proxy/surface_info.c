/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * surface_info.c - the functions that tell about the heap or tune it: callable at any time, their
 * answers plausible.
 */
#include "child.h"
#include "pattern.h"
#include "surface.h"

enum { BLOCKS = 64, BLOCK_BYTES = 512 << 10, HELD = BLOCKS * BLOCK_BYTES /* 32 MiB */ };

static void *blocks[BLOCKS];

static void hold(void) {
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        memset(blocks[i], 1, BLOCK_BYTES);
    }
}

static void release(void) {
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);
    }
}

static void check_mallinfo(void) {
    struct mallinfo2 now = mallinfo2();
    CHECK_MSG(now.arena + now.hblkhd >= HELD, "arena %zu + hblkhd %zu with 32 MiB live", now.arena,
              now.hblkhd);
    CHECK_MSG(now.uordblks + now.hblkhd >= HELD, "uordblks %zu + hblkhd %zu with 32 MiB live",
              now.uordblks, now.hblkhd);
    struct mallinfo old = mallinfo();
    CHECK_MSG((unsigned)old.arena + (unsigned)old.hblkhd >= HELD, "arena %d + hblkhd %d", old.arena,
              old.hblkhd);
}

static void check_malloc_info(void) {
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    CHECK_INT(malloc_info(0, stream), 0);
    fclose(stream);
    CHECK_MSG(text != NULL && strncmp(text, "<malloc", 7) == 0, "starts with '%.20s'", text);
    CHECK_MSG(bytes > 10 && strcmp(text + bytes - 10, "</malloc>\n") == 0, "ends with '%s'",
              bytes > 10 ? text + bytes - 10 : text);
    free(text);

    stream = fopen("/dev/null", "w");
    int rc = malloc_info(1, stream); /* no options are defined */
    CHECK_MSG(rc == EINVAL || rc == -1, "malloc_info(1) returns %d", rc);
    fclose(stream);
}

static void check_malloc_stats(char *self) {
    char *argv[] = {self, (char *)"stats", NULL};
    static child_result_t result;
    child_run(argv, NULL, NULL, &result);
    CHECK_MSG(child_exited(&result, 0), "status 0x%x: %s", result.status, result.err);
    CHECK_MSG(result.err[0] != '\0' && result.out[0] == '\0', "stderr '%s', stdout '%s'",
              result.err, result.out);
}

int main(int argc, char **argv) {
    if (argc > 1) {
        hold();
        malloc_stats();
        return 0;
    }
    check_begin();
    hold();
    check_mallinfo();
    check_malloc_info();
    check_malloc_stats(argv[0]);
    release();

    for (size_t pad = 0; pad < 100u << 20; pad = pad * 3 + 1000) {
        int rc = malloc_trim(pad);
        CHECK_MSG(rc == 0 || rc == 1, "malloc_trim(%zu) returns %d", pad, rc);
    }
    static const int options[] = {M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_MMAP_MAX,
                                  M_TOP_PAD,        M_ARENA_MAX,      -1006 /* no such option */};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        int rc = mallopt(options[i], 128 << 10);
        CHECK_MSG(rc == 0 || rc == 1, "mallopt(%d) returns %d", options[i], rc);
    }
    void *p = malloc(100);
    CHECK(p != NULL);
    free(p);
    return check_end("surface_info");
}

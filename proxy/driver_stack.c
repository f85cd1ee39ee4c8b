/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A program that calls a GPU's driver by itself allocates inside it, maybe under the driver's
 * locks. Whether that is so is read off the stack: any word that points into a driver's code
 * counts. A left-over word may look like a caller; then the caller of this gets its memory in
 * another way, and nothing is lost.
 *
 * The stack is read by process_vm_readv, since its end is not known (alternate stacks, coroutines):
 * where it ends the call fails.
 */
#define _GNU_SOURCE
#include "proxy/driver_stack.h"
#include "core/system_call.h"

#include <link.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    RANGES_MAX = 16,
    STACK_BYTES = 64 * 1024, /* how far up callers are looked for */
    PIECE_BYTES = 4096,
    SCRUB_BYTES = 16 * 1024, /* about what a driver's calls need */
};

static struct { uintptr_t low, high; } driver_range[RANGES_MAX];
static unsigned driver_ranges; /* written before the driver serves anybody */

static bool is_driver(const char *path) {
    static const char *const names[] = {"libcuda.so", "libnvidia-", "libze_"};
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        if (strncmp(base, names[i], strlen(names[i])) == 0) {
            return true;
        }
    }
    return false;
}

static int note_library(struct dl_phdr_info *info, size_t size, void *data) {
    (void)size, (void)data;
    for (int i = 0; i < info->dlpi_phnum && is_driver(info->dlpi_name); i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0 && driver_ranges < RANGES_MAX) {
            driver_range[driver_ranges].low = info->dlpi_addr + part->p_vaddr;
            driver_range[driver_ranges].high = info->dlpi_addr + part->p_vaddr + part->p_memsz;
            driver_ranges++;
        }
    }
    return 0;
}

void driver_stack_learn(void) {
    dl_iterate_phdr(note_library, NULL);
}

static bool points_into_driver(uintptr_t word) {
    for (unsigned i = 0; i < driver_ranges; i++) {
        if (word >= driver_range[i].low && word < driver_range[i].high) {
            return true;
        }
    }
    return false;
}

UMF_NOINLINE bool driver_stack_has_driver(void) {
    uintptr_t piece[PIECE_BYTES / sizeof(uintptr_t)];
    char *at = __builtin_frame_address(0); // above the array
    for (size_t done = 0; done < STACK_BYTES;) {
        // up to the end of a page, so that a piece is readable wholly or not at all
        size_t bytes = PIECE_BYTES - ((uintptr_t)at & (PIECE_BYTES - 1));
        const struct iovec local = {piece, bytes}, remote = {at, bytes};
        if (sys_process_vm_readv(getpid(), &local, &remote) != (ssize_t)bytes) {
            return false;
        }
        for (size_t i = 0; i < bytes / sizeof(piece[0]); i++) {
            if (points_into_driver(piece[i])) {
                return true;
            }
        }
        at += bytes;
        done += bytes;
    }
    return false;
}

UMF_NOINLINE void driver_stack_scrub(void) {
    char below[SCRUB_BYTES];
    memset(below, 0, sizeof(below));
    __asm__ volatile("" : : "r"(below) : "memory");
}

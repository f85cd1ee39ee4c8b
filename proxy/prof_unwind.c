/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Unwinding inside malloc, where the program may hold any lock, the dynamic loader's too.
 *
 * libunwind asks dl_iterate_phdr() for the module of an address that it has not seen, and that
 * waits for the loader's lock: another thread may hold it (in a callback of its own
 * dl_iterate_phdr) and wait for a lock that this one holds. So this library defines that function:
 * while the calling thread unwinds here, it is answered from _dl_find_object(), which takes no
 * lock; all other calls go on to the real one by a jump. Both users of it, libunwind and older
 * libgcc, have the address as first member of what they pass; whether that works is tried at
 * start.
 *
 * libunwind has locks of its own. A fork waits until no thread is in it, so that a child does not
 * inherit a locked one; samples that fall into that moment have no stack.
 *
 * An unwinder may allocate, and a signal handler may interrupt one: the caller (prof.c) keeps a
 * thread from getting here twice.
 */
#define _GNU_SOURCE
#include "proxy/prof_unwind.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <sched.h>
#include <string.h>
#include <unwind.h>

#include "core/libload.h"
#include "core/log.h"
#include "core/system_call.h"

/* ---- the libraries
 * ------------------------------------------------------------------------------------------------
 */

typedef struct libunwind_functions {
    int (*backtrace)(void **buffer, int size);
} libunwind_functions_t;

static libunwind_functions_t libunwind;
static const libload_symbol_t libunwind_symbols[] = {
    {"unw_backtrace", offsetof(libunwind_functions_t, backtrace), false}};
static libload_library_t libunwind_library = {.name = "libunwind.so.8",
                                              .name_environment = "UMF_LIBUNWIND",
                                              .symbols = libunwind_symbols,
                                              .symbol_count = ARRAY_LENGTH(libunwind_symbols),
                                              .functions = &libunwind};

typedef struct libgcc_functions {
    _Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn step, void *arg);
    _Unwind_Ptr (*get_ip)(struct _Unwind_Context *context);
    _Unwind_Word (*get_gr)(struct _Unwind_Context *context, int index);
} libgcc_functions_t;

static libgcc_functions_t libgcc;
static const libload_symbol_t libgcc_symbols[] = {
    {"_Unwind_Backtrace", offsetof(libgcc_functions_t, backtrace), false},
    {"_Unwind_GetIP", offsetof(libgcc_functions_t, get_ip), false},
    {"_Unwind_GetGR", offsetof(libgcc_functions_t, get_gr), false}};
static libload_library_t libgcc_library = {.name = "libgcc_s.so.1",
                                           .symbols = libgcc_symbols,
                                           .symbol_count = ARRAY_LENGTH(libgcc_symbols),
                                           .functions = &libgcc};

static prof_unwinder_t unwinder = PROF_UNWIND_NONE; // constant after the start

/* ---- modules, without the loader's lock
 * ------------------------------------------------------------------------- */

typedef int (*iterate_callback_t)(struct dl_phdr_info *info, size_t size, void *data);
typedef int (*iterate_t)(iterate_callback_t callback, void *data);

static _Atomic(iterate_t) real_iterate;
static UMF_TLS bool answering; // this thread's calls are answered here

#if defined(DLFO_STRUCT_HAS_EH_DBASE)
static int (*find_object)(void *address, struct dl_find_object *result);

/* What of the module fits into the callback's question. */
static int iterate_one(iterate_callback_t callback, void *data) {
    struct dl_find_object found;
    uintptr_t address;
    memcpy(&address, data, sizeof(address));
    if (find_object((void *)address, &found) != 0) {
        return 0;
    }
    const ElfW(Ehdr) *head = found.dlfo_map_start;
    if (memcmp(head->e_ident, ELFMAG, SELFMAG) != 0 || head->e_phentsize != sizeof(ElfW(Phdr))) {
        return 0;
    }
    struct dl_phdr_info info = {
        .dlpi_addr = found.dlfo_link_map->l_addr,
        .dlpi_name = found.dlfo_link_map->l_name,
        .dlpi_phdr = (const ElfW(Phdr) *)((const char *)found.dlfo_map_start + head->e_phoff),
        .dlpi_phnum = head->e_phnum,
    };
    return callback(&info, sizeof(info), data);
}

static bool find_object_ready(void) {
    void *symbol = dlsym(RTLD_DEFAULT, "_dl_find_object");
    memcpy(&find_object, &symbol, sizeof(find_object));
    return find_object != NULL;
}
#else
static int iterate_one(iterate_callback_t callback, void *data) {
    (void)callback, (void)data;
    return 0;
}

static bool find_object_ready(void) {
    return false;
}
#endif

static int no_iterate(iterate_callback_t callback, void *data) {
    (void)callback, (void)data;
    return 0;
}

UMF_COLD static iterate_t find_real_iterate(void) {
    void *symbol = dlsym(RTLD_NEXT, "dl_iterate_phdr");
    iterate_t real = no_iterate;
    if (symbol != NULL) {
        memcpy(&real, &symbol, sizeof(real));
    }
    store_release(&real_iterate, real);
    return real;
}

UMF_EXPORT int dl_iterate_phdr(iterate_callback_t callback, void *data) {
    if (unlikely(answering)) {
        return iterate_one(callback, data);
    }
    iterate_t real = load_acquire(&real_iterate); // pairs with find_real_iterate
    if (unlikely(real == NULL)) {
        real = find_real_iterate();
    }
    return real(callback, data);
}

static bool answers; // `answering` is to be set while unwinding

/* ---- threads in the unwinder, and fork
 * ----------------------------------------------------------------------------- */

#define GATE_CLOSED UINT32_C(0x80000000)
static _Atomic(uint32_t) gate; // threads inside, and whether a fork is under way
static UMF_TLS bool inside;

static bool gate_enter(void) {
    uint32_t old = load_relaxed(&gate);
    do {
        if (old & GATE_CLOSED) {
            return false;
        }
    } while (!cas_weak_acq_rel(&gate, &old, old + 1)); // pairs with the wait before a fork
    inside = true;
    return true;
}

static void gate_leave(void) {
    inside = false;
    fetch_sub_acq_rel(&gate, 1);
}

void prof_unwind_fork_prepare(void) {
    uint32_t own = inside ? 1 : 0; // a signal handler forks while this thread unwinds
    uint32_t old = load_relaxed(&gate);
    while (!cas_weak_acq_rel(&gate, &old, old | GATE_CLOSED)) {
    }
    while ((load_acquire(&gate) & ~GATE_CLOSED) > own) {
        sys_sched_yield(); // an unwinding takes microseconds and waits for nothing
    }
}

void prof_unwind_fork_done(void) {
    uint32_t old = load_relaxed(&gate);
    while (!cas_weak_acq_rel(&gate, &old, old & ~GATE_CLOSED)) {
    }
}

/* ---- this library's code
 * ----------------------------------------------------------------------------------------- */

extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char etext[] __attribute__((visibility("hidden")));

bool prof_unwind_is_ours(uintptr_t address) {
    return address >= (uintptr_t)__ehdr_start && address < (uintptr_t)etext;
}

/* ---- libgcc and frame pointers
 * ----------------------------------------------------------------------------------- */

enum {
    FRAME_BYTES_MAX = 1024 * 1024, /* a larger step is no frame */
#if defined(__x86_64__)
    DWARF_FP = 6, /* rbp, in DWARF's numbers */
    DWARF_SP = 7,
#else
    DWARF_FP = 29, /* aarch64 */
    DWARF_SP = 31,
#endif
};

typedef struct walk {
    uintptr_t *frames;
    unsigned count, max;
    uintptr_t fp; /* not 0: the frame pointer of the first frame outside this library */
    bool to_fp;
} walk_t;

static _Unwind_Reason_Code walk_step(struct _Unwind_Context *context, void *arg) {
    walk_t *walk = arg;
    uintptr_t ip = libgcc.get_ip(context);
    if (ip == 0) {
        return _URC_END_OF_STACK;
    }
    if (walk->count == 0 && prof_unwind_is_ours(ip)) {
        return _URC_NO_REASON;
    }
    walk->frames[walk->count++] = ip;
    if (walk->to_fp) {
        walk->fp = libgcc.get_gr(context, DWARF_FP);
        return _URC_END_OF_STACK;
    }
    return walk->count < walk->max ? _URC_NO_REASON : _URC_END_OF_STACK;
}

/* End of the part of the stack that is surely mapped: glibc puts a thread's control block at the
 * upper end of its stack; the first thread's stack is known to the loader. 0: a stack of another
 * kind (signal, coroutine). */
static uintptr_t stack_end(uintptr_t sp) {
    enum { STACK_BYTES_MAX = 1 << 30 };
    extern void *__libc_stack_end __attribute__((weak));
    static UMF_TLS char here; // static TLS is beside the control block
    uintptr_t ends[] = {(uintptr_t)&here,
                        &__libc_stack_end != NULL ? (uintptr_t)__libc_stack_end : 0};
    for (size_t i = 0; i < ARRAY_LENGTH(ends); i++) {
        if (sp < ends[i] && ends[i] - sp < STACK_BYTES_MAX) {
            return ends[i];
        }
    }
    return 0;
}

/* Each frame begins with the caller's frame pointer and the return address. */
static void walk_frame_pointers(walk_t *walk) {
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
    uintptr_t end = stack_end(sp), fp = walk->fp;
    while (walk->count < walk->max && fp > sp && fp - sp < FRAME_BYTES_MAX &&
           fp + 2 * sizeof(uintptr_t) <= end && is_aligned(fp, sizeof(uintptr_t))) {
        const uintptr_t *frame = (const uintptr_t *)fp;
        if (frame[1] < 4096) {
            break;
        }
        walk->frames[walk->count++] = frame[1];
        sp = fp;
        fp = frame[0];
    }
}

/* ---- interface
 * ----------------------------------------------------------------------------------------------------
 */

static unsigned unwind_by_libunwind(uintptr_t *frames, unsigned max) {
    enum { OWN_FRAMES = 16 };
    void *found[PROF_DEPTH_MAX + OWN_FRAMES];
    int count = libunwind.backtrace(found, (int)(max + OWN_FRAMES));
    unsigned out = 0;
    for (int i = 0; i < count && out < max; i++) {
        uintptr_t ip = (uintptr_t)found[i];
        if (ip != 0 && (out > 0 || !prof_unwind_is_ours(ip))) {
            frames[out++] = ip;
        }
    }
    return out;
}

unsigned prof_unwind(uintptr_t *frames, unsigned max) {
    if (unwinder == PROF_UNWIND_NONE || !gate_enter()) {
        return 0;
    }
    walk_t walk = {.frames = frames, .max = max, .to_fp = unwinder == PROF_UNWIND_FP};
    answering = answers;
    if (unwinder == PROF_UNWIND_LIBUNWIND) {
        walk.count = unwind_by_libunwind(frames, max);
    } else {
        libgcc.backtrace(walk_step, &walk);
    }
    answering = false;
    if (walk.fp != 0) {
        walk_frame_pointers(&walk);
    }
    gate_leave();
    return walk.count;
}

/* Frames that the library alone finds, its own included. */
static unsigned frames_found(void) {
    void *found[8];
    if (unwinder == PROF_UNWIND_LIBUNWIND) {
        int count = libunwind.backtrace(found, (int)ARRAY_LENGTH(found));
        return count > 0 ? (unsigned)count : 0;
    }
    uintptr_t frames[8];
    walk_t walk = {.frames = frames, .max = ARRAY_LENGTH(frames)};
    libgcc.backtrace(walk_step, &walk);
    return walk.count;
}

prof_unwinder_t prof_unwind_start(prof_unwinder_t choice) {
    bool try_libunwind = choice == PROF_UNWIND_AUTO || choice == PROF_UNWIND_LIBUNWIND;
    if (try_libunwind && libload_open(&libunwind_library) == UMF_RESULT_SUCCESS) {
        unwinder = PROF_UNWIND_LIBUNWIND;
    } else if (choice != PROF_UNWIND_NONE && libload_open(&libgcc_library) == UMF_RESULT_SUCCESS) {
        unwinder = choice == PROF_UNWIND_FP ? PROF_UNWIND_FP : PROF_UNWIND_LIBGCC;
    }
    if (unwinder == PROF_UNWIND_NONE || !find_object_ready()) {
        return unwinder;
    }
    // The lock-free way must find as much as the other. It comes first: what the other has looked
    // up is remembered.
    answering = true;
    unsigned without_lock = frames_found();
    answering = false;
    answers = without_lock >= frames_found();
    return unwinder;
}

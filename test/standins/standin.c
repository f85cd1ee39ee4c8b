/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* What the driver stand-ins share; see the header. */
#define _GNU_SOURCE
#include "standin.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TICKET_MAGIC UINT32_C(0x57415453)

enum { CALLS_MAX = 96, FD_LOW = 200 };

typedef struct call_record {
    const char *name;
    size_t count;
    int fail_code;
    size_t fail_at; /* value of count; 0: always */
} call_record_t;

static struct {
    pthread_mutex_t lock; /* not recursive */
    pthread_once_t once;
    unsigned devices;
    uint64_t memory;
    bool protect;
    const char *report; /* file, or "1"; NULL: none */
    call_record_t call[CALLS_MAX];
    size_t calls;
    standin_block_t *blocks;
    size_t used[STANDIN_DEVICES_MAX];
    long contexts;
    uint64_t last_id;
    void *scratch;
    size_t scratch_calls;
} state = {.lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT};

static uint64_t number_of(const char *name, uint64_t other) {
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 0) : other;
}

static call_record_t *record_of(const char *name) {
    for (size_t i = 0; i < state.calls; i++) {
        if (strcmp(state.call[i].name, name) == 0) {
            return &state.call[i];
        }
    }
    if (state.calls == CALLS_MAX) {
        abort();
    }
    state.call[state.calls].name = strdup(name);
    return &state.call[state.calls++];
}

static void read_failures(void) {
    const char *text = getenv("UMF_STANDIN_FAIL");
    char *copy = strdup(text != NULL ? text : ""), *rest = NULL;
    for (char *entry = strtok_r(copy, ",", &rest); entry != NULL;
         entry = strtok_r(NULL, ",", &rest)) {
        char *code = strchr(entry, '=');
        char *at = strchr(entry, '@');
        if (code == NULL) {
            continue;
        }
        *code++ = '\0';
        call_record_t *record = record_of(entry);
        record->fail_code = (int)strtol(code, NULL, 0);
        record->fail_at = at != NULL ? strtoul(at + 1, NULL, 0) : 0;
    }
    free(copy);
}

static void read_environment(void) {
    uint64_t devices = number_of("UMF_STANDIN_DEVICES", 1);
    state.devices = devices > STANDIN_DEVICES_MAX ? STANDIN_DEVICES_MAX : (unsigned)devices;
    state.memory = number_of("UMF_STANDIN_MEMORY", UINT64_C(1) << 30);
    state.protect = number_of("UMF_STANDIN_PROTECT", 0) != 0;
    state.report = getenv("UMF_STANDIN_REPORT");
    read_failures();
}

static void enter_lock(void) {
    pthread_once(&state.once, read_environment);
    pthread_mutex_lock(&state.lock);
}

static void leave_lock(void) {
    pthread_mutex_unlock(&state.lock);
}

int standin_enter(const char *name) {
    enter_lock();
    call_record_t *record = record_of(name);
    record->count++;
    int code = record->fail_at == 0 || record->fail_at == record->count ? record->fail_code : 0;
    leave_lock();
    return code;
}

unsigned standin_device_count(void) {
    pthread_once(&state.once, read_environment);
    return state.devices;
}

uint64_t standin_device_memory(void) {
    pthread_once(&state.once, read_environment);
    return state.memory;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static size_t page_up(size_t bytes) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return (bytes + page - 1) / page * page;
}

/* Maps all of fd at a multiple of alignment. */
static char *map_aligned(int fd, size_t bytes, size_t alignment, int protection) {
    size_t room = bytes + alignment;
    char *place = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) {
        return NULL;
    }
    char *start = (char *)(((uintptr_t)place + alignment - 1) / alignment * alignment);
    if (start > place) {
        munmap(place, (size_t)(start - place));
    }
    munmap(start + bytes, (size_t)(place + room - (start + bytes)));
    if (mmap(start, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
        munmap(start, bytes);
        return NULL;
    }
    return start;
}

static int memory_file(size_t bytes) {
    int fd = memfd_create("standin", MFD_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    int high =
        fcntl(fd, F_DUPFD_CLOEXEC, FD_LOW); // out of the way of programs that count on low ones
    if (high >= 0) {
        close(fd);
        fd = high;
    }
    if (ftruncate(fd, (off_t)bytes) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Lock held. */
static bool device_charge(int device, size_t bytes) {
    if (device < 0) {
        return true;
    }
    if (bytes > state.memory || state.used[device] > state.memory - bytes) {
        return false;
    }
    state.used[device] += bytes;
    return true;
}

static void block_unmap(standin_block_t *block) {
    if (block->mapping != NULL) {
        munmap(block->mapping, block->mapped);
    }
    if (block->fd >= 0) {
        close(block->fd);
    }
    free(block);
}

static int protection_of(standin_kind_t kind) {
    return kind == STANDIN_DEVICE && state.protect ? PROT_NONE : PROT_READ | PROT_WRITE;
}

/* Lock held. */
static void scratch_resize(void) {
    size_t bytes = 64 + state.scratch_calls++ % 8 * 500;
    void *resized = realloc(state.scratch, bytes);
    if (resized != NULL) {
        state.scratch = memset(resized, 0x77, bytes);
    }
}

void *standin_scratch(void) {
    enter_lock();
    free(state.scratch);
    state.scratch = NULL;
    scratch_resize();
    void *scratch = state.scratch;
    leave_lock();
    return scratch;
}

standin_block_t *standin_block_new(const standin_request_t *request) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (request->size == 0 || request->size > SIZE_MAX / 4 || request->alignment > SIZE_MAX / 4) {
        return NULL;
    }
    enter_lock();
    scratch_resize();
    standin_block_t *block = calloc(1, sizeof(*block)); // under the lock: see the header
    if (block == NULL) {
        leave_lock();
        return NULL;
    }
    block->fd = -1;
    block->size = request->size;
    block->mapped = page_up(request->offset + request->size);
    block->kind = request->kind;
    block->device = request->device;
    block->context = request->context;
    if (!device_charge(block->device, block->size)) {
        block_unmap(block);
        leave_lock();
        return NULL;
    }
    block->fd = memory_file(block->mapped);
    if (block->fd >= 0) {
        block->mapping = map_aligned(block->fd, block->mapped,
                                     request->alignment > page ? request->alignment : page,
                                     protection_of(block->kind));
    }
    if (block->mapping == NULL) {
        if (block->device >= 0) {
            state.used[block->device] -= block->size;
        }
        block_unmap(block);
        leave_lock();
        return NULL;
    }
    block->base = block->mapping + request->offset;
    block->id = ++state.last_id;
    block->next = state.blocks;
    state.blocks = block;
    leave_lock();
    return block;
}

standin_block_t *standin_block_find(const void *ptr) {
    enter_lock();
    standin_block_t *block = state.blocks;
    while (block != NULL &&
           ((const char *)ptr < block->base || (const char *)ptr >= block->base + block->size)) {
        block = block->next;
    }
    leave_lock();
    return block;
}

/* Lock held. */
static void block_drop(standin_block_t **link) {
    standin_block_t *block = *link;
    *link = block->next;
    if (block->device >= 0) {
        state.used[block->device] -= block->size;
    }
    block_unmap(block);
}

bool standin_block_free(const void *ptr, standin_kind_t kind) {
    bool found = false;
    enter_lock();
    for (standin_block_t **link = &state.blocks; *link != NULL; link = &(*link)->next) {
        bool wanted = kind != 0 ? (*link)->kind == kind : (*link)->kind != STANDIN_OPENED;
        if ((*link)->base == ptr && wanted) {
            block_drop(link);
            found = true;
            break;
        }
    }
    leave_lock();
    return found;
}

void standin_context_free(void *context) {
    enter_lock();
    for (standin_block_t **link = &state.blocks; *link != NULL;) {
        if ((*link)->context == context) {
            block_drop(link);
        } else {
            link = &(*link)->next;
        }
    }
    leave_lock();
}

/* ---- other processes ------------------------------------------------------------------------- */

void standin_ticket_make(const standin_block_t *block, standin_ticket_t *ticket) {
    *ticket = (standin_ticket_t){
        .fd = block->fd,
        .pid = (int32_t)getpid(),
        .magic = TICKET_MAGIC,
        .device = (uint32_t)block->device,
        .offset = (uint64_t)(block->base - block->mapping),
        .size = block->size,
        .mapped = block->mapped,
        .id = block->id,
    };
}

standin_block_t *standin_block_open(const standin_ticket_t *ticket, int fd, void *context) {
    struct stat status;
    if (ticket->magic != TICKET_MAGIC || fstat(fd, &status) != 0 ||
        (uint64_t)status.st_size != ticket->mapped || ticket->offset > ticket->mapped ||
        ticket->size > ticket->mapped - ticket->offset) {
        return NULL;
    }
    enter_lock();
    standin_block_t *block = calloc(1, sizeof(*block));
    if (block != NULL) {
        block->fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_LOW); // the caller closes its own
        block->kind = STANDIN_OPENED;
        block->device = -1;
        block->context = context;
        block->size = ticket->size;
        block->mapped = ticket->mapped;
        block->mapping = map_aligned(block->fd, block->mapped, (size_t)sysconf(_SC_PAGESIZE),
                                     protection_of(STANDIN_DEVICE));
        if (block->mapping == NULL) {
            block_unmap(block);
            block = NULL;
        } else {
            block->base = block->mapping + ticket->offset;
            block->id = ++state.last_id;
            block->next = state.blocks;
            state.blocks = block;
        }
    }
    leave_lock();
    return block;
}

int standin_fd_of(int pid, int fd) {
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* ---- for tests ------------------------------------------------------------------------------- */

size_t standin_calls(const char *name) {
    enter_lock();
    size_t count = record_of(name)->count;
    leave_lock();
    return count;
}

void standin_calls_reset(void) {
    enter_lock();
    for (size_t i = 0; i < state.calls; i++) {
        state.call[i].count = 0;
    }
    leave_lock();
}

void standin_fail(const char *name, int code, size_t nth) {
    enter_lock();
    call_record_t *record = record_of(name);
    record->fail_code = code;
    record->fail_at = nth != 0 ? record->count + nth : 0;
    leave_lock();
}

static size_t count_blocks(bool opened) {
    size_t count = 0;
    for (const standin_block_t *block = state.blocks; block != NULL; block = block->next) {
        count += (block->kind == STANDIN_OPENED) == opened;
    }
    return count;
}

size_t standin_live_blocks(void) {
    enter_lock();
    size_t count = count_blocks(false);
    leave_lock();
    return count;
}

size_t standin_live_opened(void) {
    enter_lock();
    size_t count = count_blocks(true);
    leave_lock();
    return count;
}

void standin_contexts_add(int by) {
    enter_lock();
    state.contexts += by;
    leave_lock();
}

size_t standin_live_contexts(void) {
    enter_lock();
    size_t count = (size_t)state.contexts;
    leave_lock();
    return count;
}

size_t standin_resident(unsigned device) {
    enter_lock();
    size_t count = 0;
    for (const standin_block_t *block = state.blocks; block != NULL; block = block->next) {
        count += (block->resident >> device) & 1;
    }
    leave_lock();
    return count;
}

size_t standin_device_used(unsigned device) {
    enter_lock();
    size_t bytes = state.used[device];
    leave_lock();
    return bytes;
}

void standin_protect(bool on) {
    enter_lock();
    state.protect = on;
    leave_lock();
}

__attribute__((destructor)) static void report(void) {
    if (state.report != NULL) {
        size_t used = 0, served = 0;
        for (unsigned i = 0; i < STANDIN_DEVICES_MAX; i++) {
            used += state.used[i];
        }
        for (size_t i = 0; i < state.calls; i++) {
            served += strstr(state.call[i].name, "Alloc") != NULL ? state.call[i].count : 0;
        }
        bool to_file = strcmp(state.report, "1") != 0;
        int fd = to_file ? open(state.report, O_WRONLY | O_CREAT | O_APPEND, 0600) : STDERR_FILENO;
        dprintf(fd, "standin: blocks=%zu opened=%zu contexts=%ld bytes=%zu allocations=%zu\n",
                count_blocks(false), count_blocks(true), state.contexts, used, served);
    }
}

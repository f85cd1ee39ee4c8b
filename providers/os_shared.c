/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Shared memory of the OS provider. Blocks are mappings of one object (os_object.c); a sorted array
 * says which block lies at which offset.
 *
 *   blocks   base ─────► {length, object, offset}   sorted by falling base, never overlapping: the
 *                                                  kernel maps downwards, so new ones go last
 *   objects  current ──► fresh blocks come from here
 *            others      left over by a fork or a lost descriptor; each goes with its last block
 *
 * Freed and purged memory is punched out of the object, so that the memory of a long-running
 * process follows its use; then the offsets are given out again.
 *
 * Fork: the child has the parent's mappings, that is, the same pages. In the child the inherited
 * objects stop being "owned": it never punches them, never takes offsets in them, never unlinks
 * them. Its own object is made with the first fresh block or by os_shared_unshare, which a malloc
 * replacement calls for all of its memory while the parent waits. A named object of a child is made
 * without its name: most children call exec soon, and a named object would outlive them. It gets
 * the name when a block in it is first asked for (os_shared_locate).
 *
 * Lock: os_shared.lock, rank LOCK_RANK_PROVIDER. Not held while pages are punched, which may take
 * long.
 */
#define _GNU_SOURCE
#include "providers/os_shared.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/base_alloc.h"
#include "core/log.h"
#include "core/system_call.h"
#include "providers/os_object.h"

enum {
    SHARED_BLOCKS_FIRST = 32, /* capacity of the first array of blocks */
    SHARED_PID_DIGITS = 10,   /* of the largest process id */
};

typedef struct shared_block {
    uintptr_t base;
    size_t length; /* whole pages */
    os_object_t *object;
    off_t offset;
} shared_block_t;

struct os_shared {
    umf_lock_t lock; /* all of the following */
    fork_node_t fork;
    os_object_t *current; /* NULL: to be made */
    os_object_t *objects; /* all, the current one too */
    shared_block_t *blocks;
    size_t block_count, block_capacity;
    os_object_kind_t anonymous; /* of objects without a name */
    bool name_given;            /* this process's first object was made; later ones are anonymous */
    pid_t process;              /* whose state this is */
    char stem[OS_SHARED_NAME_MAX + 1]; /* name for children, less their process id; "": anonymous */
};

/* Writes the decimal digits of value, with a NUL; returns their count. */
static size_t shared_digits(char *out, unsigned value) {
    char reversed[SHARED_PID_DIGITS + 1];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    for (size_t i = 0; i < count; i++) {
        out[i] = reversed[count - 1 - i];
    }
    out[count] = '\0';
    return count;
}

/* Sets the stem of children's names: without our process id at the end, or with a point appended;
 * short enough for an id to follow. */
static void shared_set_stem(os_shared_t *shared, const char *name) {
    char pid[SHARED_PID_DIGITS + 1];
    size_t digits = shared_digits(pid, (unsigned)getpid());
    size_t length = strlen(name);
    const size_t most = OS_SHARED_NAME_MAX - SHARED_PID_DIGITS;
    bool ends_with_pid =
        length >= digits && memcmp(name + length - digits, pid, digits) == 0 &&
        (length == digits || name[length - digits - 1] < '0' || name[length - digits - 1] > '9');
    if (ends_with_pid) {
        length -= digits;
        memcpy(shared->stem, name, length < most ? length : most);
        return;
    }
    length = length < most - 1 ? length : most - 1;
    memcpy(shared->stem, name, length);
    shared->stem[length] = '.';
}

static void shared_add_object(os_shared_t *shared, os_object_t *object) {
    object->next = shared->objects;
    shared->objects = object;
    shared->current = object;
}

/* Drops an object that nothing needs any more. */
static void shared_release_object(os_shared_t *shared, os_object_t *object) {
    if (object->blocks != 0 || object == shared->current) {
        return;
    }
    os_object_t **link = &shared->objects;
    while (*link != object) {
        link = &(*link)->next;
    }
    *link = object->next;
    os_object_destroy(object);
}

/* Makes sure that the current object is usable; lock held. False with errno ENOMEM. */
static bool shared_ensure_current(os_shared_t *shared) {
    if (shared->current != NULL) {
        if (os_object_fd(shared->current) >= 0) {
            return true;
        }
        os_object_t *lost = shared->current;
        shared->current = NULL;
        shared_release_object(shared, lost);
    }
    os_object_t *object = NULL;
    umf_result_t result = UMF_RESULT_ERROR_UNKNOWN;
    if (shared->stem[0] != '\0' && !shared->name_given) {
        char name[OS_SHARED_NAME_MAX + 1] = "";
        strcpy(name, shared->stem);
        shared_digits(name + strlen(name), (unsigned)getpid());
        result = os_object_create(OS_OBJECT_UNLINKED, name, &object);
    }
    if (result != UMF_RESULT_SUCCESS) {
        result = os_object_create(shared->anonymous, "", &object);
    }
    if (result != UMF_RESULT_SUCCESS) {
        errno = ENOMEM;
        return false;
    }
    shared->name_given = true;
    shared_add_object(shared, object);
    return true;
}

/* In a forked child: from now on all objects are the parent's. Lock held. */
static void shared_disown(os_shared_t *shared) {
    for (os_object_t *object = shared->objects; object != NULL; object = object->next) {
        object->owned = false;
    }
    os_object_t *inherited = shared->current;
    shared->current = NULL;
    shared->name_given = false;
    shared->process = getpid();
    if (inherited != NULL) {
        shared_release_object(shared, inherited);
    }
}

/* The process id is compared each time: a child of a bare clone() runs no fork handlers, and
 * dropping the parent's pages would be fatal. Next to a mapping the call costs little. */
static void shared_lock(os_shared_t *shared) {
    lock_acquire(&shared->lock);
    if (unlikely(shared->process != getpid())) {
        shared_disown(shared);
    }
}

static void shared_unlock(os_shared_t *shared) {
    lock_release(&shared->lock);
}

static void shared_fork_prepare(void *arg) {
    lock_acquire(&((os_shared_t *)arg)->lock);
}
static void shared_fork_parent(void *arg) {
    lock_release(&((os_shared_t *)arg)->lock);
}
static void shared_fork_child(void *arg) {
    os_shared_t *shared = arg;
    lock_init(&shared->lock);
    shared_disown(shared);
}

umf_result_t os_shared_create(const char *shm_name, bool plain, os_shared_t **out) {
    if (shm_name != NULL &&
        (strchr(shm_name, '/') != NULL || strlen(shm_name) > OS_SHARED_NAME_MAX)) {
        log_error("shared-memory name \"%s\" must be without '/' and have at most %d bytes",
                  shm_name, (int)OS_SHARED_NAME_MAX);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    os_shared_t *shared = base_alloc(sizeof(*shared));
    if (shared == NULL) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    os_object_t *object;
    shared->anonymous = plain ? OS_OBJECT_PLAIN : OS_OBJECT_ANONYMOUS;
    umf_result_t result = os_object_create(shm_name != NULL ? OS_OBJECT_NAMED : shared->anonymous,
                                           shm_name != NULL ? shm_name : "", &object);
    if (result != UMF_RESULT_SUCCESS) {
        base_free(shared, sizeof(*shared));
        return result;
    }
    if (shm_name != NULL) {
        shared_set_stem(shared, shm_name);
    }
    shared->name_given = true;
    shared->process = getpid();
    shared_add_object(shared, object);
    shared->fork = (fork_node_t){.rank = LOCK_RANK_PROVIDER,
                                 .prepare = shared_fork_prepare,
                                 .parent = shared_fork_parent,
                                 .child = shared_fork_child,
                                 .arg = shared};
    fork_register(&shared->fork);
    *out = shared;
    return UMF_RESULT_SUCCESS;
}

void os_shared_destroy(os_shared_t *shared) {
    fork_unregister(&shared->fork);
    shared_lock(shared); // nobody else is here; notices a bare clone()
    shared_unlock(shared);
    while (shared->objects != NULL) {
        os_object_t *object = shared->objects;
        shared->objects = object->next;
        os_object_destroy(object);
    }
    base_free(shared->blocks, shared->block_capacity * sizeof(*shared->blocks));
    base_free(shared, sizeof(*shared));
}

/* Index of the block with the highest base that is not above address; block_count for none. */
static size_t shared_find(const os_shared_t *shared, uintptr_t address) {
    size_t low = 0, high = shared->block_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (shared->blocks[middle].base > address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool block_has(const shared_block_t *block, uintptr_t address) {
    return address - block->base < block->length;
}

/* The block that begins at ptr, or NULL. */
static shared_block_t *shared_find_exact(const os_shared_t *shared, const void *ptr) {
    size_t index = shared_find(shared, (uintptr_t)ptr);
    return index < shared->block_count && shared->blocks[index].base == (uintptr_t)ptr
               ? &shared->blocks[index]
               : NULL;
}

/* False: no memory for a longer array. */
static bool shared_insert(os_shared_t *shared, const shared_block_t *block) {
    if (shared->block_count == shared->block_capacity) {
        size_t capacity =
            shared->block_capacity != 0 ? 2 * shared->block_capacity : SHARED_BLOCKS_FIRST;
        shared_block_t *larger = base_alloc(capacity * sizeof(*larger));
        if (larger == NULL) {
            return false;
        }
        if (shared->block_count != 0) {
            memcpy(larger, shared->blocks, shared->block_count * sizeof(*larger));
        }
        base_free(shared->blocks, shared->block_capacity * sizeof(*shared->blocks));
        shared->blocks = larger;
        shared->block_capacity = capacity;
    }
    size_t index = shared_find(shared, block->base);
    memmove(shared->blocks + index + 1, shared->blocks + index,
            (shared->block_count - index) * sizeof(*shared->blocks));
    shared->blocks[index] = *block;
    shared->block_count++;
    block->object->blocks++;
    return true;
}

/* Takes a block out of the array; its object stays, even without blocks. */
static void shared_remove(os_shared_t *shared, shared_block_t *block) {
    size_t index = (size_t)(block - shared->blocks);
    block->object->blocks--;
    shared->block_count--;
    memmove(shared->blocks + index, shared->blocks + index + 1,
            (shared->block_count - index) * sizeof(*shared->blocks));
}

/* os_shared_map with the lock held. */
static void *shared_map_locked(os_shared_t *shared, const os_map_request_t *request,
                               size_t offset_alignment, os_map_hint_t *hint) {
    if (!shared_ensure_current(shared)) {
        return NULL;
    }
    os_object_t *object = shared->current;
    off_t offset = os_object_take(object, request->size, offset_alignment);
    if (offset < 0) {
        errno = ENOMEM;
        return NULL;
    }
    os_map_request_t here = *request;
    here.flags = MAP_SHARED;
    here.fd = object->fd;
    here.offset = offset;
    void *ptr = os_map(&here, hint);
    if (ptr != NULL) {
        shared_block_t block = {(uintptr_t)ptr, request->size, object, offset};
        if (shared_insert(shared, &block)) {
            return ptr;
        }
        munmap(ptr, request->size);
        errno = ENOMEM;
    }
    int error = errno;
    os_object_give(object, offset, request->size);
    errno = error;
    return NULL;
}

void *os_shared_map(os_shared_t *shared, const os_map_request_t *request, size_t offset_alignment,
                    os_map_hint_t *hint) {
    shared_lock(shared);
    void *ptr = shared_map_locked(shared, request, offset_alignment, hint);
    shared_unlock(shared);
    return ptr;
}

/* Drops the pages of [ptr, ptr + size), which lies at `offset` of an owned object. Through the
 * mapping, which is surely ours; through the descriptor if the mapping is not writable. 0 or -1
 * with errno. */
static int shared_punch(os_shared_t *shared, os_object_t *object, void *ptr, size_t size,
                        off_t offset) {
    if (madvise(ptr, size, MADV_REMOVE) == 0) {
        return 0;
    }
    shared_lock(shared);
    int fd = os_object_fd(object);
    shared_unlock(shared);
    if (fd < 0) {
        return -1;
    }
    return sys_fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, (off_t)size);
}

int os_shared_unmap(os_shared_t *shared, void *ptr, size_t size) {
    size_t length;
    shared_lock(shared);
    shared_block_t *found = shared_find_exact(shared, ptr);
    if (found == NULL || !align_up_checked(size, base_page_size(), &length) ||
        found->length != length) {
        shared_unlock(shared);
        errno = EINVAL;
        return -1;
    }
    // Out of the array before the address can be given to somebody else; the count in the object
    // keeps that alive until we are through.
    const shared_block_t block = *found;
    shared_remove(shared, found);
    block.object->blocks++;
    bool owned = block.object->owned;
    shared_unlock(shared);

    bool reusable = owned;
    if (owned && block.object->punched) {
        reusable = shared_punch(shared, block.object, ptr, length, block.offset) == 0;
    }
    int result = munmap(ptr, length);
    int error = errno;

    shared_lock(shared);
    block.object->blocks--;
    if (result != 0) {
        shared_insert(shared, &block); // still mapped
    } else if (reusable) {
        os_object_give(block.object, block.offset, length);
    }
    shared_release_object(shared, block.object);
    shared_unlock(shared);
    errno = error;
    return result;
}

int os_shared_purge(os_shared_t *shared, void *ptr, size_t size) {
    const size_t page = base_page_size();
    const uintptr_t start = (uintptr_t)ptr;
    size_t length;
    uintptr_t end;
    if (!is_aligned(start, page) || !align_up_checked(size, page, &length) ||
        add_overflow(start, length, &end)) {
        errno = EINVAL;
        return -1;
    }
    int result = 0;
    uintptr_t at = start;
    while (at < end && result == 0) {
        shared_lock(shared);
        size_t index = shared_find(shared, at);
        const shared_block_t *found = shared->blocks + index;
        if (index == shared->block_count || !block_has(found, at) || !found->object->owned) {
            shared_unlock(shared);
            errno = EINVAL;
            return -1;
        }
        const shared_block_t block = *found;
        shared_unlock(shared);
        // The caller owns the range: the block can not go meanwhile.
        size_t rest = block.base + block.length - at;
        size_t count = end - at < rest ? end - at : rest;
        result = shared_punch(shared, block.object, (void *)at, count,
                              block.offset + (off_t)(at - block.base));
        at += count;
    }
    return result;
}

bool os_shared_zeroed(os_shared_t *shared) {
    shared_lock(shared);
    bool zeroed = shared->current == NULL || shared->current->punched;
    shared_unlock(shared);
    return zeroed;
}

umf_result_t os_shared_split(os_shared_t *shared, void *ptr, size_t total, size_t first) {
    const size_t page = base_page_size();
    size_t length;
    if (!is_aligned(first, page) || !align_up_checked(total, page, &length)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    shared_lock(shared);
    shared_block_t *block = shared_find_exact(shared, ptr);
    if (block == NULL) {
        result = UMF_RESULT_ERROR_UNKNOWN;
    } else if (block->length != length || first >= length) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    } else {
        shared_block_t second = {block->base + first, length - first, block->object,
                                 block->offset + (off_t)first};
        block->length = first;
        if (!shared_insert(shared, &second)) {
            shared_find_exact(shared, ptr)->length = length;
            result = UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
        }
    }
    shared_unlock(shared);
    return result;
}

umf_result_t os_shared_merge(os_shared_t *shared, void *low, void *high, size_t total) {
    size_t length;
    if (!align_up_checked(total, base_page_size(), &length)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    shared_lock(shared);
    shared_block_t *first = shared_find_exact(shared, low);
    shared_block_t *second = shared_find_exact(shared, high);
    if (first == NULL || second == NULL) {
        result = UMF_RESULT_ERROR_UNKNOWN;
    } else if (second != first - 1 || first->base + first->length != second->base ||
               first->length + second->length != length || first->object != second->object ||
               first->offset + (off_t)first->length != second->offset) {
        result = UMF_RESULT_ERROR_INVALID_ARGUMENT;
    } else {
        first->length = length;
        shared_remove(shared, second);
    }
    shared_unlock(shared);
    return result;
}

/* Alignment for the copy of a block at this offset: as good as it was, so that huge pages stay
 * possible. */
static size_t shared_offset_alignment(off_t offset) {
    const size_t page = base_page_size();
    const size_t most = page * (page / sizeof(uint64_t)); // bytes behind one page table
    return (size_t)(offset | (off_t)most) & (~(size_t)(offset | (off_t)most) + 1);
}

/* Moves one inherited block into the current object; lock held. */
static umf_result_t shared_unshare_block(os_shared_t *shared, shared_block_t *block, int protection,
                                         int advice) {
    if (!shared_ensure_current(shared)) {
        return UMF_RESULT_ERROR_UNKNOWN;
    }
    os_object_t *old = block->object, *object = shared->current;
    off_t offset = os_object_take(object, block->length, shared_offset_alignment(block->offset));
    if (offset < 0) {
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (os_object_copy(old, block->offset, block->length, (void *)block->base, object, offset) !=
            0 ||
        mmap((void *)block->base, block->length, protection, MAP_SHARED | MAP_FIXED, object->fd,
             offset) == MAP_FAILED) {
        log_error_errno("copying %zu bytes of shared memory for a forked child failed",
                        block->length);
        // Not given back: what was written would not read as zero.
        return UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    if (advice >= 0) {
        madvise((void *)block->base, block->length, advice);
    }
    block->object = object;
    block->offset = offset;
    object->blocks++;
    old->blocks--;
    shared_release_object(shared, old);
    return UMF_RESULT_SUCCESS;
}

umf_result_t os_shared_unshare(os_shared_t *shared, void *ptr, size_t size, int protection,
                               int advice) {
    uintptr_t end;
    if (size == 0 || add_overflow((uintptr_t)ptr, size, &end)) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    umf_result_t result = UMF_RESULT_SUCCESS;
    shared_lock(shared);
    for (size_t i = shared_find(shared, end - 1);
         result == UMF_RESULT_SUCCESS && i < shared->block_count &&
         shared->blocks[i].base + shared->blocks[i].length > (uintptr_t)ptr;
         i++) {
        if (!shared->blocks[i].object->owned) {
            result = shared_unshare_block(shared, &shared->blocks[i], protection, advice);
        }
    }
    shared_unlock(shared);
    return result;
}

void os_shared_unlink(os_shared_t *shared) {
    shared_lock(shared);
    for (os_object_t *object = shared->objects; object != NULL; object = object->next) {
        os_object_unlink(object);
    }
    shared_unlock(shared);
}

bool os_shared_locate(os_shared_t *shared, const void *ptr, os_shared_location_t *out) {
    bool found = false;
    shared_lock(shared);
    const shared_block_t *block = shared_find_exact(shared, ptr);
    if (block != NULL) {
        const int fd = os_object_fd(block->object);
        const bool named = os_object_link(block->object);
        found = fd >= 0 || named;
        if (found) {
            out->fd = fd;
            out->offset = block->offset;
            out->size = block->length;
            out->inode = block->object->inode;
            strcpy(out->name, named ? block->object->name : "");
        }
    }
    shared_unlock(shared);
    return found;
}

size_t os_shared_name_bytes(os_shared_t *shared) {
    size_t longest = 0;
    shared_lock(shared);
    for (const os_object_t *object = shared->objects; object != NULL; object = object->next) {
        size_t length = strlen(object->name);
        longest = length > longest ? length : longest;
    }
    if (shared->stem[0] != '\0' && !shared->name_given) { // an object that is yet to be made
        char pid[SHARED_PID_DIGITS + 1];
        size_t length = strlen(shared->stem) + shared_digits(pid, (unsigned)getpid());
        longest = length > longest ? length : longest;
    }
    shared_unlock(shared);
    return longest;
}

/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * A memory provider of one's own: every allocation is a new piece at the end of a file, mapped
 * shared, so that what is written to a block is written to the file. A pool on top of it turns the
 * pieces into blocks of any size. Argument: folder for the file (default: the current one).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <umf.h>
#include <umf/memory_provider_ops.h>
#include <umf/pools/pool_slab.h>

/* ---- the provider ---------------------------------------------------------------------------- */

typedef struct file_provider {
    int fd;
    size_t page;        /* bytes */
    _Atomic(off_t) end; /* next piece; atomic, for the pool may call from several threads */
} file_provider_t;

static _Thread_local int last_errno; /* for get_last_native_error */

static size_t round_up(size_t value, size_t step) {
    return (value + step - 1) / step * step;
}

/* `params` is what the user gave to umfMemoryProviderCreate: here the path. */
static umf_result_t file_initialize(const void *params, void **provider) {
    file_provider_t *file = params != NULL ? calloc(1, sizeof(*file)) : NULL;
    if (file == NULL) {
        return params == NULL ? UMF_RESULT_ERROR_INVALID_ARGUMENT
                              : UMF_RESULT_ERROR_OUT_OF_HOST_MEMORY;
    }
    file->fd = open(params, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        free(file);
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    file->page = (size_t)sysconf(_SC_PAGESIZE);
    *provider = file;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_finalize(void *provider) {
    file_provider_t *file = provider;
    close(file->fd);
    free(file);
    return UMF_RESULT_SUCCESS;
}

/* Maps a piece of the file at a multiple of alignment, inside a reservation that is large enough
 * to have one. */
static void *map_aligned(int fd, off_t offset, size_t size, size_t alignment) {
    char *area = mmap(NULL, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (area == MAP_FAILED) {
        return NULL;
    }
    char *place = (char *)round_up((uintptr_t)area, alignment);
    char *area_end = area + size + alignment;
    if (mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset) ==
        MAP_FAILED) {
        int error = errno;
        munmap(area, size + alignment);
        errno = error;
        return NULL;
    }
    if (place > area) {
        munmap(area, (size_t)(place - area));
    }
    if (area_end > place + size) {
        munmap(place + size, (size_t)(area_end - (place + size)));
    }
    return place;
}

/* The alignment is a power of two, or 0 for "what you like". `*ptr` is written on success only. */
static umf_result_t file_alloc(void *provider, size_t size, size_t alignment, void **ptr) {
    file_provider_t *file = provider;
    if (size == 0 || size > PTRDIFF_MAX / 4 || alignment > PTRDIFF_MAX / 4) {
        return UMF_RESULT_ERROR_INVALID_ARGUMENT;
    }
    size = round_up(size, file->page);
    off_t offset = atomic_fetch_add(&file->end, (off_t)size); // never used twice
    void *place = NULL;
    int error =
        posix_fallocate(file->fd, offset, (off_t)size); // else a full disk would be a SIGBUS
    if (error == 0) {
        place =
            map_aligned(file->fd, offset, size, alignment > file->page ? alignment : file->page);
        error = errno;
    }
    if (place == NULL) {
        last_errno = error;
        return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC; // see get_last_native_error
    }
    *ptr = place;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_free(void *provider, void *ptr, size_t size) {
    file_provider_t *file = provider;
    if (ptr == NULL || munmap(ptr, round_up(size, file->page)) == 0) {
        return UMF_RESULT_SUCCESS;
    }
    last_errno = errno;
    return UMF_RESULT_ERROR_MEMORY_PROVIDER_SPECIFIC;
}

static umf_result_t file_get_last_native_error(void *provider, const char **message,
                                               int32_t *error) {
    (void)provider;
    *message = strerror(last_errno);
    *error = last_errno;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_recommended_page_size(void *provider, size_t size, size_t *page) {
    (void)size;
    *page = ((file_provider_t *)provider)->page;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_min_page_size(void *provider, const void *ptr, size_t *page) {
    (void)ptr;
    *page = ((file_provider_t *)provider)->page;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_cache_line_size(void *provider, size_t *size) {
    (void)provider;
    *size = 64;
    return UMF_RESULT_SUCCESS;
}

static umf_result_t file_get_name(void *provider, const char **name) {
    (void)provider; // NULL when the default name is wanted
    *name = "my-file";
    return UMF_RESULT_SUCCESS;
}

/* All that is mandatory; what is left out answers UMF_RESULT_ERROR_NOT_SUPPORTED. */
static const umf_memory_provider_ops_t file_ops = {
    .version = UMF_PROVIDER_OPS_VERSION_CURRENT,
    .initialize = file_initialize,
    .finalize = file_finalize,
    .alloc = file_alloc,
    .free = file_free,
    .get_last_native_error = file_get_last_native_error,
    .get_recommended_page_size = file_get_recommended_page_size,
    .get_min_page_size = file_get_min_page_size,
    .get_name = file_get_name,
    .get_cache_line_size = file_get_cache_line_size,
};

/* ---- its use --------------------------------------------------------------------------------- */

/* Does the file hold this text? */
static bool file_contains(const char *path, const char *text) {
    bool found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    off_t bytes = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    void *content =
        bytes > 0 ? mmap(NULL, (size_t)bytes, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (content != MAP_FAILED) {
        found = memmem(content, (size_t)bytes, text, strlen(text)) != NULL;
        munmap(content, (size_t)bytes);
    }
    if (fd >= 0) {
        close(fd);
    }
    return found;
}

static int run(const char *path) {
    static const char text[] = "a block of the pool, and at the same time a piece of a file";
    umf_memory_provider_handle_t provider = NULL;
    umf_memory_pool_handle_t pool = NULL;
    if (umfMemoryProviderCreate(&file_ops, path, &provider) != UMF_RESULT_SUCCESS) {
        fprintf(stderr, "custom_file_provider: no provider over %s\n", path);
        return 1;
    }
    if (umfPoolCreate(umfSlabPoolOps(), provider, NULL, UMF_POOL_CREATE_FLAG_OWN_PROVIDER, &pool) !=
        UMF_RESULT_SUCCESS) {
        umfMemoryProviderDestroy(provider);
        return 1;
    }
    char *block = umfPoolMalloc(pool, sizeof(text));
    if (block != NULL) {
        strcpy(block, text);
    }
    bool written = block != NULL && file_contains(path, text);
    printf("%s %s the text\n", path, written ? "contains" : "does not contain");
    umf_result_t freed = umfPoolFree(pool, block);
    umf_result_t ended = umfPoolDestroy(pool); // and the provider, as the flag says
    return !written || freed != UMF_RESULT_SUCCESS || ended != UMF_RESULT_SUCCESS;
}

int main(int argc, char **argv) {
    char path[4096];
    snprintf(path, sizeof(path), "%s/custom_file_provider.%d", argc > 1 ? argv[1] : ".",
             (int)getpid());
    int status = run(path);
    unlink(path);
    return status;
}

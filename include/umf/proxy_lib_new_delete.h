/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/**
 * @file umf/proxy_lib_new_delete.h
 * Global C++ operators new and delete on top of malloc, aligned_alloc and free.
 *
 * Include it in exactly one C++ source file of a program (a second inclusion in another file
 * defines the operators twice, which the linker reports). With it the program's new and delete
 * reach whatever malloc is in use, whichever C++ library it runs with; under the malloc replacement
 * that is the process pool. Empty in C.
 *
 * Defined, as far as the language level has them: plain and array forms, each also with
 * std::nothrow; sized delete since C++14; the forms for over-aligned types since C++17. When there
 * is no memory the throwing forms call the installed new-handler until it gives up (none is
 * installed, or it throws), then throw std::bad_alloc; the nothrow forms do the same and return a
 * null pointer instead. Without exceptions the throwing forms end the program with abort. A size of
 * 0 gives a unique pointer. All forms may be called from any thread.
 */
#ifndef UMF_PROXY_LIB_NEW_DELETE_H
#define UMF_PROXY_LIB_NEW_DELETE_H 1

#ifdef __cplusplus

#include <new>
#include <stddef.h>
#include <stdlib.h>

/* Undefined again at the end. */
#if __cplusplus >= 201103L
#define UMF_NEW_NOEXCEPT noexcept
#define UMF_NEW_THROWS
#else
#define UMF_NEW_NOEXCEPT throw()
#define UMF_NEW_THROWS throw(std::bad_alloc)
#endif

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define UMF_NEW_TRY try
#define UMF_NEW_CATCH catch (...)
#define UMF_NEW_THROW_BAD_ALLOC() throw std::bad_alloc()
#else
#define UMF_NEW_TRY if (true)
#define UMF_NEW_CATCH else
#define UMF_NEW_THROW_BAD_ALLOC() ::abort()
#endif

#if defined(__cpp_aligned_new) || __cplusplus >= 201703L
#define UMF_NEW_ALIGNED 1
#endif

/** What the operators share. Not for callers. */
namespace umf_new_delete {

/* One attempt after another until there is memory or the new-handler gives up: then NULL, or what
 * the handler throws. alignment 0: malloc's own. */
static inline void *attempt(std::size_t alignment, std::size_t size) {
    for (;;) {
#ifdef UMF_NEW_ALIGNED
        void *block = alignment == 0 ? ::malloc(size) : ::aligned_alloc(alignment, size);
#else
        (void)alignment;
        void *block = ::malloc(size);
#endif
        if (block != NULL) {
            return block;
        }
#if __cplusplus >= 201103L
        std::new_handler handler = std::get_new_handler();
#else
        std::new_handler handler = std::set_new_handler(0); /* the only way to read it */
        std::set_new_handler(handler);
#endif
        if (!handler) {
            return NULL;
        }
        handler();
    }
}

static inline void *allocate(std::size_t alignment, std::size_t size) {
    void *block = attempt(alignment, size);
    if (block == NULL) {
        UMF_NEW_THROW_BAD_ALLOC();
    }
    return block;
}

} // namespace umf_new_delete

void *operator new(std::size_t size) UMF_NEW_THROWS {
    return umf_new_delete::allocate(0, size);
}
void *operator new[](std::size_t size) UMF_NEW_THROWS {
    return umf_new_delete::allocate(0, size);
}

void *operator new(std::size_t size, const std::nothrow_t &) UMF_NEW_NOEXCEPT {
    UMF_NEW_TRY {
        return umf_new_delete::attempt(0, size);
    }
    UMF_NEW_CATCH {
        return NULL;
    }
}
void *operator new[](std::size_t size, const std::nothrow_t &) UMF_NEW_NOEXCEPT {
    UMF_NEW_TRY {
        return umf_new_delete::attempt(0, size);
    }
    UMF_NEW_CATCH {
        return NULL;
    }
}

void operator delete(void *block) UMF_NEW_NOEXCEPT {
    ::free(block);
}
void operator delete[](void *block) UMF_NEW_NOEXCEPT {
    ::free(block);
}
void operator delete(void *block, const std::nothrow_t &) UMF_NEW_NOEXCEPT {
    ::free(block);
}
void operator delete[](void *block, const std::nothrow_t &) UMF_NEW_NOEXCEPT {
    ::free(block);
}

#if __cplusplus >= 201402L || defined(__cpp_sized_deallocation)
void operator delete(void *block, std::size_t) UMF_NEW_NOEXCEPT {
    ::free(block);
}
void operator delete[](void *block, std::size_t) UMF_NEW_NOEXCEPT {
    ::free(block);
}
#endif

#ifdef UMF_NEW_ALIGNED
void *operator new(std::size_t size, std::align_val_t alignment) {
    return umf_new_delete::allocate(static_cast<std::size_t>(alignment), size);
}
void *operator new[](std::size_t size, std::align_val_t alignment) {
    return umf_new_delete::allocate(static_cast<std::size_t>(alignment), size);
}
void *operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t &) noexcept {
    UMF_NEW_TRY {
        return umf_new_delete::attempt(static_cast<std::size_t>(alignment), size);
    }
    UMF_NEW_CATCH {
        return NULL;
    }
}
void *operator new[](std::size_t size, std::align_val_t alignment,
                     const std::nothrow_t &) noexcept {
    UMF_NEW_TRY {
        return umf_new_delete::attempt(static_cast<std::size_t>(alignment), size);
    }
    UMF_NEW_CATCH {
        return NULL;
    }
}

void operator delete(void *block, std::align_val_t) noexcept {
    ::free(block);
}
void operator delete[](void *block, std::align_val_t) noexcept {
    ::free(block);
}
void operator delete(void *block, std::size_t, std::align_val_t) noexcept {
    ::free(block);
}
void operator delete[](void *block, std::size_t, std::align_val_t) noexcept {
    ::free(block);
}
void operator delete(void *block, std::align_val_t, const std::nothrow_t &) noexcept {
    ::free(block);
}
void operator delete[](void *block, std::align_val_t, const std::nothrow_t &) noexcept {
    ::free(block);
}
#endif /* UMF_NEW_ALIGNED */

#undef UMF_NEW_NOEXCEPT
#undef UMF_NEW_THROWS
#undef UMF_NEW_TRY
#undef UMF_NEW_CATCH
#undef UMF_NEW_THROW_BAD_ALLOC
#undef UMF_NEW_ALIGNED

#endif /* __cplusplus */

#endif /* UMF_PROXY_LIB_NEW_DELETE_H */

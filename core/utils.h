/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * Small tools every module uses: branch hints, checked size arithmetic, alignment, and C11 atomics
 * with the memory order in the name. Nothing here has state.
 */
#ifndef UMF_CORE_UTILS_H
#define UMF_CORE_UTILS_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Everything is compiled with -fvisibility=hidden; these two are the exceptions. */
#define UMF_EXPORT __attribute__((visibility("default")))
#define UMF_NOINLINE __attribute__((noinline))
#define UMF_COLD __attribute__((noinline, cold))
/* For a function with a `RACY:` comment: it reads what others may write meanwhile, and any answer
 * will do. */
#define UMF_RACY __attribute__((no_sanitize("thread")))
#if defined(__SANITIZE_THREAD__)
#define UMF_UNDER_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define UMF_UNDER_TSAN 1
#endif
#endif
#define UMF_INLINE static inline __attribute__((always_inline))
/* Initial-exec: no __tls_get_addr call, so a first touch in a new thread never allocates. */
#define UMF_TLS _Thread_local __attribute__((tls_model("initial-exec")))

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* True and *out undefined on overflow. */
#define add_overflow(a, b, out) __builtin_add_overflow((a), (b), (out))
#define mul_overflow(a, b, out) __builtin_mul_overflow((a), (b), (out))

UMF_INLINE bool is_pow2(size_t x) {
    return x != 0 && (x & (x - 1)) == 0;
}

/* `to` is a power of two. The caller has made sure that x + to - 1 does not overflow. */
UMF_INLINE uintptr_t align_up(uintptr_t x, size_t to) {
    return (x + to - 1) & ~(uintptr_t)(to - 1);
}
UMF_INLINE uintptr_t align_down(uintptr_t x, size_t to) {
    return x & ~(uintptr_t)(to - 1);
}
UMF_INLINE bool is_aligned(uintptr_t x, size_t to) {
    return (x & (to - 1)) == 0;
}

/* Rounds up to a multiple of the power of two `to`; false when the result does not fit. */
UMF_INLINE bool align_up_checked(size_t x, size_t to, size_t *out) {
    size_t sum;
    if (add_overflow(x, to - 1, &sum)) {
        return false;
    }
    *out = sum & ~(to - 1);
    return true;
}

UMF_INLINE unsigned log2_floor(size_t x) {
    return 63u - (unsigned)__builtin_clzl(x);
}

/* Atomics: T must be an _Atomic object. */
#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fetch_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
/* Weak: may fail spuriously, use in a loop. On failure *expected is the current value. */
#define cas_weak_release(p, expected, v)                                                           \
    atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_release,              \
                                          memory_order_relaxed)
#define cas_weak_acq_rel(p, expected, v)                                                           \
    atomic_compare_exchange_weak_explicit((p), (expected), (v), memory_order_acq_rel,              \
                                          memory_order_acquire)
#define cas_strong_acq_rel(p, expected, v)                                                         \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel,            \
                                            memory_order_acquire)

/* Cheap checks, on in Debug builds only (NDEBUG not set); never with side effects. */
#define ASSERT(x) assert(x)

#endif /* UMF_CORE_UTILS_H */

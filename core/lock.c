/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/* Slow side of the futex mutex: a short spin for an owner that is running, then sleep. */
#define _GNU_SOURCE
#include "core/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* An owner holds these locks for some hundred instructions; longer waits mean it was preempted. */
enum { LOCK_SPINS = 60 };

UMF_INLINE void cpu_relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

UMF_COLD void lock_acquire_slow(umf_lock_t *lock) {
    for (int i = 0; i < LOCK_SPINS; i++) {
        cpu_relax();
        if (load_relaxed(&lock->word) == 0 && lock_try_acquire(lock)) {
            return;
        }
    }
    int saved_errno = errno; // malloc and free must not change errno on success
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0) {
        syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
    }
    errno = saved_errno;
}

UMF_COLD void lock_release_slow(umf_lock_t *lock) {
    int saved_errno = errno;
    syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved_errno;
}

void lock_wait_word(_Atomic(uint32_t) *word, uint32_t value) {
    int saved_errno = errno;
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    errno = saved_errno;
}

void lock_wake_word(_Atomic(uint32_t) *word) {
    int saved_errno = errno;
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
    errno = saved_errno;
}

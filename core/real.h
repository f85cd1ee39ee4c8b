/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
/*
 * The natural logarithm and the exponential function, for sampling. The libraries need nothing but
 * libc, so not libm; and these are called in the middle of malloc: no errno, no rounding modes, no
 * tables. Accurate to about 1e-13.
 */
#ifndef UMF_CORE_REAL_H
#define UMF_CORE_REAL_H

#include <string.h>

#include "core/utils.h"

#define REAL_LN2 0.69314718055994530942

/* x > 0, a normal number. */
UMF_INLINE double real_ln(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    bits = (bits & 0xfffffffffffffULL) | 0x3ff0000000000000ULL; // mantissa in [1, 2)
    double m;
    memcpy(&m, &bits, sizeof(m));
    if (m > 1.4142135623730951) { // around 1 the series converges fast
        m *= 0.5;
        exponent++;
    }
    double s = (m - 1.0) / (m + 1.0), square = s * s, sum = 0.0;
    for (int k = 17; k >= 1; k -= 2) { // 2 artanh(s)
        sum = sum * square + 1.0 / k;
    }
    return 2.0 * s * sum + exponent * REAL_LN2;
}

/* 1 - exp(-x) for x >= 0, exact also where x is tiny. */
UMF_INLINE double real_one_minus_exp(double x) {
    if (x > 40.0) {
        return 1.0;
    }
    // exp(-x) - 1 of x / 2^n by its series, then n times: e^2y - 1 = (e^y - 1) * (e^y - 1 + 2).
    int halvings = 0;
    while (x > 0.25) {
        x *= 0.5;
        halvings++;
    }
    double sum = 0.0;
    for (int k = 12; k >= 1; k--) {
        sum = (sum + 1.0) * -x / k;
    }
    for (; halvings > 0; halvings--) {
        sum = sum * (sum + 2.0);
    }
    return -sum;
}

#endif /* UMF_CORE_REAL_H */

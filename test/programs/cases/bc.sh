# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# bc and dc: long arithmetic.

programs=(bc dc)

workload() {
    echo 'scale = 800; 4 * a(1)' | BC_LINE_LENGTH=0 bc -l | sha256sum
    echo 'x = 1; for (i = 1; i <= 600; i++) x *= i; x' | BC_LINE_LENGTH=0 bc | sha256sum
    echo 'define f(n) { if (n < 2) return n; return f(n - 1) + f(n - 2); }; f(19)' | bc
    echo 'e = 2 ^ 4000; e % 1000007; sqrt(e)' | bc -l | sha256sum
    dc -e '2 1000 ^ p 3 500 ^ * 7 % p' | sha256sum
}

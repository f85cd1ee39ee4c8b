# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# z3: eight queens as a bit-vector and an integer problem, and an unsatisfiable pigeon-hole
# problem.

programs=(z3)

workload() {
    awk 'BEGIN {
        n = 8
        for (i = 0; i < n; i++)
            printf "(declare-const q%d Int)\n(assert (< -1 q%d %d))\n", i, i, n
        for (i = 0; i < n; i++)
            for (j = i + 1; j < n; j++)
                printf "(assert (distinct q%d q%d (+ q%d %d) (- q%d %d)))\n", i, j, j, i - j, j, i - j
        print "(check-sat)"
        print "(reset)"
        p = 8; h = 7
        for (i = 0; i < p; i++) for (j = 0; j < h; j++) printf "(declare-const x%d_%d Bool)\n", i, j
        for (i = 0; i < p; i++) {
            printf "(assert (or"
            for (j = 0; j < h; j++) printf " x%d_%d", i, j
            print "))"
        }
        for (j = 0; j < h; j++) for (i = 0; i < p; i++) for (k = i + 1; k < p; k++)
            printf "(assert (not (and x%d_%d x%d_%d)))\n", i, j, k, j
        print "(check-sat)"
        print "(reset)"
        print "(declare-const a (_ BitVec 24))\n(declare-const b (_ BitVec 24))"
        print "(assert (= (bvmul a b) #x0f4243))"
        print "(assert (bvugt a #x000001))\n(assert (bvugt b #x000001))"
        print "(assert (bvult a #x001000))\n(assert (bvult b #x001000))"
        print "(check-sat)"
    }' >work.smt2
    z3 -T:40 work.smt2
    z3 -T:40 smt.random_seed=7 sat.threads=2 work.smt2
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# clang: the same kind of C program as for gcc; the object code must be equal.

programs=(clang)

workload() {
    awk 'BEGIN {
        print "#include <stdio.h>"
        for (i = 0; i < 150; i++)
            printf "int g%d[64];\nstatic long f%d(int n) {\n    long t = n;\n" \
                   "    for (int k = 0; k < 64; k++) {\n        g%d[k] ^= k * n;\n" \
                   "        t += g%d[(k * %d) & 63] * (t & 7 ? 3 : 5);\n" \
                   "    }\n    return t;\n}\n", i, i, i, i, i
        print "int main(void) { long t = 0;"
        for (i = 0; i < 150; i++) printf "t += f%d(%d);\n", i, i
        print "printf(\"%ld\\n\", t); return 0; }"
    }' >work.c
    clang -c -O2 -g -Wall work.c -o work.o
    sha256sum work.o
    clang work.o -o work
    ./work
    clang -O1 -S -emit-llvm work.c -o - | sha256sum
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# gcc: a generated C program, optimised, with and without link-time optimisation; the object code
# must be equal.

programs=(gcc)
tools=(ld as)

source_text() {
    echo '#include <stdio.h>'
    echo '#include <stdlib.h>'
    local i
    for ((i = 0; i < 100; i++)); do
        cat <<C
struct s$i { int a[$((i % 7 + 1))]; double d; struct s$i *next; };
static double f$i(struct s$i *s, int n) {
    double t = $i;
    for (int k = 0; k < n; k++) {
        t += s->a[k % $((i % 7 + 1))] * (k ^ $i);
        switch (k % 5) { case 0: t *= 1.5; break; case 3: t -= k; break; default: t += 0.25; }
    }
    return s->next ? f$i(s->next, n / 2) + t : t;
}
C
    done
    echo 'int main(void) { double t = 0;'
    for ((i = 0; i < 100; i++)); do
        echo "struct s$i v$i = {{$i}, 1, 0}; t += f$i(&v$i, 100 + $i);"
    done
    echo 'printf("%.3f\n", t); return 0; }'
}

workload() {
    source_text >work.c
    gcc -c -O2 -g -Wall work.c -o work.o
    sha256sum work.o
    gcc work.o -o work
    ./work
    gcc -O1 -flto work.c -o work-lto
    ./work-lto
    gcc -S -O0 -fverbose-asm work.c -o - | sha256sum
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# grep, sed, find, xargs and diff on a long text: three regular-expression engines.

programs=(grep sed find diff)

workload() {
    words 60000 >text
    grep -c 'w1[0-9]*7' text
    grep -E -c '(w[0-9]+) .*\1' text
    grep -P -c '(?<=w)(\d)\1(?!\d)' text
    grep -o -w 'w12..' text | sort | uniq -c | sort -rn | sed -n 1,3p
    seq 1 3000 | sed 's/^/w/' >patterns
    grep -F -w -c -f patterns text
    sed -E 's/w([0-9]+) w([0-9]+)/\2-\1/g; /99/d; $!N; P; D' text | sha256sum
    sed -n 'H; ${x; s/\n/,/g; p}' text | wc -c
    shuf -n 3000 --random-source=text text >mixed
    diff <(head -n 3000 text) mixed | sha256sum || true
    mkdir tree
    (cd tree && seq 1 500 | xargs -n 50 touch)
    find tree -type f -name '*7' -print0 | sort -z | xargs -0 -n 5 echo | sha256sum
}

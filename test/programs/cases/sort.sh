# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# sort with two threads, in memory and with temporary files; shuf, uniq, join, tac, comm around
# it.

programs=(sort)

workload() {
    words 100000 >data
    sort --parallel=2 -k3 data >sorted
    sha256sum sorted
    sort --parallel=2 -S 2M -T tmp -k4,4n -k2,2r data | sha256sum
    sort --parallel=2 -u -k2,2 data | wc -l
    LC_ALL=C sort --parallel=2 -r data | sha256sum
    sort -c -k3 sorted
    shuf --random-source=data data | sort -n | cmp - data
    cut -d ' ' -f 2 data | sort | uniq -c | sort -rn -k1,1 -k2,2 | sed -n 1,5p
    join -j 2 <(sort -k2,2 data | sed -n 1,3000p) <(sort -k2,2 data | tail -n 3000) | sha256sum
    tac data | sort --parallel=2 -m - sorted | wc -l
}

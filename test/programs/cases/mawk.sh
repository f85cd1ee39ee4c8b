# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# mawk: associative arrays, splitting and substitution on a long text.

programs=(mawk)

workload() {
    words 50000 >text
    mawk '{ for (i = 2; i <= NF; i++) count[$i]++ }
        END { for (w in count) { n++; s += count[w] } print n, s }' text
    mawk '{ n += gsub(/w1/, "<one>"); sum += length($0); all = all substr($0, 1, 3) }
        END { print n, sum, length(all) }' text
    mawk 'BEGIN {
        for (i = 0; i < 300000; i++) a[i] = i "x" i
        for (i = 0; i < 300000; i += 2) delete a[i]
        for (i in a) n++
        print n
    }'
    mawk '{ k = split($0, part, "w"); for (i = k; i > 0; i--) out = part[i]; s += out }
        END { print s }' text
}

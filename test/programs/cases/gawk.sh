# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# gawk: associative arrays, sorting, regular expressions and string building on a long text.

programs=(gawk)

workload() {
    words 60000 >text
    gawk '{ for (i = 2; i <= NF; i++) count[$i]++ }
        END {
            PROCINFO["sorted_in"] = "@val_num_desc"
            for (w in count) if (++n <= 5) print count[w]
            print length(count)
        }' text
    gawk '{ line = gensub(/w([0-9]+)7/, "<\\1>", "g"); sum += length(line); text = text substr(line, 1, 5) }
        END { print sum, length(text) }' text
    gawk -v FPAT='w[0-9]+' '{ a[NR % 1000][NF] = a[NR % 1000][NF] $2 }
        END { for (i in a) for (j in a[i]) n += length(a[i][j]); print n }' text
    gawk 'BEGIN { n = split(sprintf("%200000s", ""), letters, ""); asort(letters); print n }'
    gawk -M 'BEGIN { x = 1; for (i = 1; i <= 500; i++) x *= i; print length(x "") }'
    gawk '{ print $3 | "sort | uniq -c | sort -rn -k1,1 -k2,2 | head -3" }' text
}

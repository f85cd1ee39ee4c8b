# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# pigz: compresses with two threads at several levels and unpacks again.

programs=(pigz)

workload() {
    words 100000 >data
    local level
    for level in 1 6 9; do
        pigz -p 2 -n "-$level" -c data >"data-$level.gz"
        sha256sum "data-$level.gz"
        pigz -dc "data-$level.gz" | cmp - data
    done
    pigz -p 2 -z -c data | pigz -dc | sha256sum
}

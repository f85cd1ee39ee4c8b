# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# xz: compresses with two threads at several levels and unpacks again.

programs=(xz)

workload() {
    words 50000 >data
    local level
    for level in 0 6; do
        xz -T2 "-$level" --block-size=512KiB -k -c data >"data-$level.xz"
        sha256sum "data-$level.xz"
        xz -t -T2 "data-$level.xz"
        xz -dc -T2 "data-$level.xz" | cmp - data
    done
    xz --list --robot data-0.xz | sed -n 's/^totals//p'
}

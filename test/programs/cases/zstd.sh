# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# zstd: compresses with two threads at several levels, with a trained dictionary, and unpacks
# again.

programs=(zstd)

workload() {
    words 100000 >data
    local level
    for level in 1 5 12; do
        zstd -q -T2 "-$level" -c data | tee "data-$level.zst" | sha256sum
        zstd -q -dc "data-$level.zst" | cmp - data
    done
    zstd -q --long=27 -T2 -c data | zstd -q --long=27 -dc | sha256sum
    split -l 500 data piece.
    zstd -q --train piece.* -o dictionary --maxdict=16384
    zstd -q -D dictionary -c piece.aa | zstd -q -D dictionary -dc | cmp - piece.aa
    sha256sum dictionary
}

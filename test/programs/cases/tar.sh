# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# tar with gzip and bzip2: packs, lists, unpacks and compares a tree of files.

programs=(tar gzip bzip2)

workload() {
    local i
    for ((i = 0; i < 40; i++)); do
        mkdir -p "tree/d$((i % 7))/e$((i % 3))"
        words $((i * 100)) >"tree/d$((i % 7))/e$((i % 3))/f$i"
    done
    local pack='tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner'
    $pack -cf tree.tar tree
    sha256sum tree.tar
    $pack -c --gzip tree | gzip -dc | cmp - tree.tar
    $pack -cjf tree.tar.bz2 tree
    sha256sum tree.tar.bz2
    tar -tf tree.tar | wc -l
    mkdir out
    tar -C out -xjf tree.tar.bz2
    diff -r tree out/tree
    tar -C out -df tree.tar 2>&1 | grep -c differs || true
    gzip -9 -n -c tree.tar | sha256sum
}

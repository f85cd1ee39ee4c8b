# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# rsync: copies a tree of files, then the changes only, then deletes.

programs=(rsync)

workload() {
    local i
    mkdir -p from/deep/er
    for ((i = 0; i < 60; i++)); do words $((i * 50)) >"from/deep/er/f$i"; done
    rsync -a from/ to/
    diff -r from to
    for ((i = 0; i < 60; i += 7)); do
        echo "changed $i" >>"from/deep/er/f$i"
        rm -f "from/deep/er/f$((i + 1))"
    done
    rsync -a --checksum --no-whole-file --delete --out-format='%o %n' from/ to/ | grep -v '/$' | sort
    diff -r from to
    rsync -az --partial --bwlimit=0 --list-only from/ | wc -l
    # -e with no remote host: a pipe to a second rsync, as over a network.
    printf '#!/bin/sh\nshift\nexec "$@"\n' >shell
    chmod 755 shell
    rsync -az -e "$PWD/shell" from/ anywhere:"$PWD/remote/"
    diff -r from remote
}

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# abi.sh SOURCE BUILD [--record]: compares libumf.so with the recorded interface (abi/libumf.abi, made by
# abidw): functions and types may be added, none may vanish or change. --record writes the
# interface of the built library into the source tree; do so after additions, in the same commit.
set -u -o pipefail

source=$1 build=$2
baseline=$source/test/package/abi/libumf.abi
library=$build/libumf.so.1
for tool in abidw abidiff; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed (Debian: abigail-tools)"; exit 77; }
done
[ -e "$library" ] || { echo "abi: no $library"; exit 1; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Only what the public headers show; no paths, so that the file is the same from every folder.
abidw --headers-dir "$source/include" --drop-private-types --no-show-locs --no-corpus-path \
    --no-comp-dir-path --type-id-style hash "$library" >"$work/libumf.abi" || exit 1
if [ "${3:-}" = --record ]; then
    mkdir -p "${baseline%/*}" && cp "$work/libumf.abi" "$baseline"
    exit
fi
abidiff --no-added-syms --drop-private-types "$baseline" "$work/libumf.abi" >"$work/report"
status=$?
# abidiff's status is a sum: 1 and 2 are errors, 4 a change, 8 an incompatible change.
if [ $((status & 11)) -ne 0 ]; then
    cat "$work/report"
    echo 'abi: the interface changed incompatibly'
    exit 1
fi
echo 'abi: every recorded function and type is as it was'

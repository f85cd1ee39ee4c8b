#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# deb.sh SOURCE: builds the Debian packages, has lintian judge them (no error allowed), unpacks them
# into an empty root and runs a program under the library found there.
set -u -o pipefail

source=$1
for tool in dpkg-deb dpkg-shlibdeps lintian; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
fail() { echo "deb: $*" >&2; exit 1; }

"$source/scripts/package" "$work" >"$work/list" || fail 'scripts/package failed'
[ "$(wc -l <"$work/list")" -eq 3 ] || fail "three packages expected: $(cat "$work/list")"
errors=$(lintian --allow-root "$work"/*.deb 2>&1 | grep '^E:')
[ -z "$errors" ] || fail "lintian: $errors"

for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root" || fail "$package does not unpack"
done
library=$(find "$work/root/usr/lib" -name libumf_proxy.so.1)
[ -e "$library" ] || fail 'no libumf_proxy.so.1 in the packages'
output=$(LD_PRELOAD=$library bash -c 'echo $((6 * 7))') || fail 'bash does not run under the packaged library'
[ "$output" = 42 ] || fail "bash printed $output"
for page in man1/umf-run.1 man1/umf-profile-diff.1 man7/umf.7 man7/umf_proxy.7; do
    gzip -t "$work/root/usr/share/man/$page.gz" || fail "no manual page $page"
done
! command -v doxygen >/dev/null || gzip -t "$work/root/usr/share/man/man3/memory_pool.h.3umf.gz" ||
    fail 'no manual pages of the C interface'
for tool in profile-flamegraph profile-diff; do
    PYTHONDONTWRITEBYTECODE=1 "$work/root/usr/bin/umf-$tool" --help >/dev/null || fail "umf-$tool does not run"
done
output=$("$work/root/usr/bin/umf-run" --preset=huge-pages bash -c 'echo $((6 * 7))' 2>&1) || fail 'umf-run does not run'
[ "$output" = 42 ] || fail "umf-run printed $output"
echo 'deb: three packages, lintian finds no error, bash runs under the packaged library'

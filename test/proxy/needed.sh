#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# needed.sh - a shared library of ours needs nothing but libc and the dynamic loader, has the right
# SONAME, no relocations in its code and no executable stack.
#
#   needed.sh <library> <SONAME>
set -u

if [ $# -ne 2 ] || [ ! -f "$1" ]; then
    echo "usage: needed.sh <library> <SONAME>" >&2
    exit 2
fi
library=$1
soname=$2
if ! command -v readelf >/dev/null 2>&1; then
    echo "skipped: readelf is not installed (apt-get install binutils)"
    exit 77
fi
failed=0
fail() {
    echo "needed: failed: $library: $1" >&2
    failed=1
}

dynamic=$(LC_ALL=C readelf -dW "$library") || exit 1
for needed in $(echo "$dynamic" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'); do
    case $needed in
    libc.so.6 | ld-linux*.so.*) ;;
    *) fail "needs $needed; only libc.so.6 and the dynamic loader are allowed" ;;
    esac
done
found=$(echo "$dynamic" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p')
[ "$found" = "$soname" ] || fail "SONAME is '$found', expected '$soname'"
if echo "$dynamic" | grep -q TEXTREL; then
    fail "has relocations in its code"
fi
if LC_ALL=C readelf -lW "$library" | grep GNU_STACK | grep -q E; then
    fail "asks for an executable stack"
fi
[ $failed -eq 0 ] && echo "needed: $library: ok"
exit $failed

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# sanitized.sh - a program built with AddressSanitizer (which brings a malloc of its own) under the
# preloaded library either works or is refused with a message that says why; it never hangs or
# crashes.
#
#   sanitized.sh <path of libumf_proxy.so> <hello.c> <compiler>
set -u

if [ $# -ne 3 ]; then
    echo "usage: sanitized.sh <libumf_proxy.so> <hello.c> <compiler>" >&2
    exit 2
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
if ! "$3" -O1 -fsanitize=address -o "$work/hello" "$2" 2>"$work/err"; then
    echo "skipped: $3 cannot build with -fsanitize=address: $(head -n 1 "$work/err")"
    exit 77
fi
if ! "$work/hello" >"$work/out" 2>&1; then
    echo "skipped: the program does not run here even without the library: $(head -n 1 "$work/out")"
    exit 77
fi
LD_PRELOAD=$1 timeout -s KILL 60 "$work/hello" >"$work/out" 2>&1
status=$?
case $status in
0)
    grep -q '^hello ok' "$work/out" && echo "sanitized: $3: runs" && exit 0
    ;;
137)
    echo "sanitized: failed: $3: hangs" >&2
    exit 1
    ;;
esac
# refused: by a signal of its own only if it explained itself (abort after the message)
message=$(grep -m 1 -e '^umf: ' -e 'ASan runtime does not come first' "$work/out")
if [ -n "$message" ]; then
    echo "sanitized: $3: refused with: $message"
    exit 0
fi
echo "sanitized: failed: $3: status $status and no clear message:" >&2
head -n 20 "$work/out" >&2
exit 1

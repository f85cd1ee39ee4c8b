#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# startup.sh - the library costs a process fewer than 25 system calls between start and end: counts
# those of `true` with and without it.
#
#   startup.sh <path of libumf_proxy.so>
set -u

limit=25
skipped=77

if [ $# -ne 1 ] || [ ! -f "$1" ]; then
    echo "usage: startup.sh <path of libumf_proxy.so>" >&2
    exit 2
fi
library=$1
if ! command -v strace >/dev/null 2>&1; then
    echo "skipped: strace is not installed (apt-get install strace)"
    exit $skipped
fi
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
if ! strace -f -o "$work/probe" true 2>"$work/err"; then
    echo "skipped: strace cannot trace here: $(head -n 1 "$work/err")"
    exit $skipped
fi

# One line per call, without the lines that strace adds about exits and signals.
count_calls() {
    grep -c '^[0-9]* *[a-z_0-9]*(' "$1"
}

true_program=$(command -v -p env) || exit 2
strace -f -o "$work/without" "$true_program" true || exit 1
strace -f -E LD_PRELOAD="$library" -o "$work/with" "$true_program" true || exit 1
without=$(count_calls "$work/without")
with=$(count_calls "$work/with")
# env runs true: two programs are started, each pays once.
extra=$(((with - without) / 2))
echo "startup: $without system calls without, $with with the library, $extra more per program"
if [ "$extra" -ge "$limit" ]; then
    echo "startup: failed: fewer than $limit more are allowed; what the library calls:" >&2
    sed -n '/libumf_proxy/,$p' "$work/with" | head -n 80 >&2
    exit 1
fi

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Runs one real program's workload twice, without and with a preloaded malloc library, and compares.
#   run_program.sh NAME LIBRARY [UMF_PROXY]
#
# NAME is a file in cases/. It is sourced and sets
#   programs=(...)   the programs under test: names or absolute paths of dynamic ELF files
#   tools=(...)      what else must be installed (optional)
#   limit=SECONDS    for one run of the workload (optional, default 60)
#   proof=yes        the workload writes lines of /proc/PID/maps to $UMF_TEST_PROOF (optional)
#   workload()       the work itself; runs in a bash -eu of its own, in an empty folder
#   unavailable()    prints why the workload cannot run here, nothing if it can (optional)
#   normalise()      filter for what may differ between two runs (optional; stdout and stderr)
# Both runs see the same folder name and the same small environment; the second one has LD_PRELOAD
# and UMF_PROXY set, so that everything the workload starts is under the library, helpers included.
# The run with the library must end with the same exit status (0), the same stdout and the same
# stderr. What the workload sends through `quietly` is not compared, only searched for signs of a
# crash. Exit: 0 passed, 1 failed, 77 skipped (the reason is printed).
set -u -o pipefail

name=${1:-}
library=${2:-}
settings=${3:-}
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd) || exit 1
readonly name settings here

fail() {
    printf '%s: FAILED: %s\n' "$name" "$*"
    exit 1
}

skip() {
    printf '%s: skipped: %s\n' "$name" "$*"
    exit 77
}

if [ -z "$name" ] || [ ! -r "$here/cases/$name.sh" ] || [ ! -r "$library" ]; then
    echo "usage: run_program.sh NAME LIBRARY [UMF_PROXY]   NAME: a file in $here/cases" >&2
    exit 1
fi
library=$(cd -- "$(dirname -- "$library")" && pwd)/${library##*/}
real_library=$(realpath -- "$library")
readonly library real_library

# Debian's own programs first: what lies before them in the caller's PATH may be wrappers.
export PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH
unset LD_PRELOAD UMF_PROXY

programs=()
tools=()
limit=60
proof=no
normalise() { cat; }
unavailable() { :; }
# shellcheck source=/dev/null
source "$here/cases/$name.sh"

# Prints the dynamic ELF file behind a program name; skips the test when there is none.
program_file() {
    local file
    file=$(type -P -- "$1") || skip "$1 is not installed"
    realpath -- "$file"
}

# Asks the dynamic loader, without running the program, whether it takes the library in.
check_loads_library() {
    local file
    file=$(program_file "$1") || { echo "$file"; exit 77; }
    if ! LD_TRACE_LOADED_OBJECTS=1 "$file" >"$work/loaded" 2>/dev/null </dev/null ||
        ! grep -q 'libc\.so' "$work/loaded"; then
        skip "$1 is not a dynamically linked program: a preloaded library has no effect on it"
    fi
    LD_PRELOAD=$library LD_TRACE_LOADED_OBJECTS=1 "$file" >"$work/loaded" 2>&1 </dev/null
    grep -q -F -- "$library (0x" "$work/loaded" || {
        cat "$work/loaded"
        fail "$1 does not load the library"
    }
}

# Ends what the workload left behind: the processes that carry our folder in their environment.
end_leftovers() {
    local file pid
    for file in /proc/[0-9]*/environ; do
        if grep -q -z -x -F -- "UMF_TEST_WORK=$work" "$file" 2>/dev/null; then
            pid=${file#/proc/}
            kill -KILL "${pid%/environ}" 2>/dev/null
        fi
    done
}

# run_workload plain|preload: leaves stdout, stderr, noise and status in $work/MODE.
run_workload() {
    local mode=$1 results=$work/$1
    local -a extra=()
    mkdir -p "$work/run/tmp" "$results"
    : >"$results/noise"
    : >"$results/proof"
    chmod 755 "$work/run"
    chmod 1777 "$work/run/tmp"
    chmod 666 "$results/noise" "$results/proof"
    if [ "$mode" = preload ]; then
        extra=("LD_PRELOAD=$library" "UMF_TEST_LIBRARY_FILE=$real_library")
        [ -z "$settings" ] || extra+=("UMF_PROXY=$settings")
    fi
    # timeout gets its preload through env as well; it is just one more program.
    (cd "$work/run" && exec env -i PATH="$PATH" HOME="$work/run" TMPDIR="$work/run/tmp" \
        LC_ALL=C.UTF-8 TZ=UTC TERM=dumb UMF_TEST_HERE="$here" UMF_TEST_WORK="$work" \
        UMF_TEST_NOISE="$results/noise" UMF_TEST_PROOF="$results/proof" \
        ${extra[@]+"${extra[@]}"} \
        timeout -k 5 "$limit" bash -eu -o pipefail -c '
            source "$UMF_TEST_HERE/helpers.sh"
            source "$UMF_TEST_HERE/cases/$0.sh"
            workload' "$name") \
        >"$results/stdout" 2>"$results/stderr" </dev/null
    echo $? >"$results/status"
    end_leftovers
    rm -rf "$work/run"
}

show() {
    local file
    for file in "$@"; do
        if [ -s "$file" ]; then
            printf -- '-- %s (end)\n' "${file#"$work/"}"
            tail -n 30 "$file" | cut -c 1-300
        fi
    done
}

work=$(mktemp -d "${TMPDIR:-/tmp}/umf-$name.XXXXXX") || exit 1
trap 'end_leftovers; rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
chmod 755 "$work" # some programs refuse to be root and drop to another user

for program in ${tools[@]+"${tools[@]}"}; do
    type -P -- "$program" >/dev/null || skip "$program is not installed"
done
for program in "${programs[@]}"; do
    check_loads_library "$program"
done

reason=$(unavailable)
[ -z "$reason" ] || skip "$reason"

run_workload plain
status=$(cat "$work/plain/status")
if [ "$status" -ne 0 ]; then
    show "$work"/plain/{stdout,stderr,noise}
    fail "already without the library the workload ends with status $status"
fi
[ -s "$work/plain/stdout" ] || fail "the workload printed nothing to compare"

run_workload preload
status=$(cat "$work/preload/status")
if [ "$status" -ne 0 ]; then
    show "$work"/preload/{stdout,stderr,noise}
    [ "$status" -ne 124 ] || fail "with the library the workload takes longer than $limit s"
    fail "with the library the workload ends with status $status"
fi

for stream in stdout stderr; do
    for mode in plain preload; do
        normalise <"$work/$mode/$stream" >"$work/$mode/$stream.normal" || true
    done
    if ! diff -u "$work/plain/$stream.normal" "$work/preload/$stream.normal" >"$work/diff"; then
        head -n 40 "$work/diff" | cut -c 1-300
        fail "$stream differs with the library"
    fi
done

crash='^umf[^ ]*:|ERROR: ld\.so|Segmentation fault|Aborted|Bus error|core dumped|double free'
if grep -E -h -- "$crash" "$work"/preload/{stderr,noise}; then
    fail "signs of a crash, or a message of the library"
fi

if [ "$proof" = yes ]; then
    [ -s "$work/preload/proof" ] || fail "no process reported its maps"
    ! grep -v -F -- "$real_library" "$work/preload/proof" ||
        fail "a process ran without the library"
fi
printf '%s: same with and without %s%s\n' "$name" "$library" "${settings:+ ($settings)}"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# umf_run.sh - the launcher: what its options set, what it refuses, whose exit status it has, and
# that every preset is free of mistakes and does what it says.
#
#   umf_run.sh <umf-run> <libumf_proxy.so> <proxy_settings> <folder of presets> <manual page>
set -u

if [ $# -ne 5 ]; then
    echo "usage: umf_run.sh <umf-run> <library> <proxy_settings> <presets> <manual page>" >&2
    exit 2
fi
run=$1 library=$2 probe=$3 presets=$4 manual=$5
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
unset UMF_PROXY UMF_PROXY_FILE LD_PRELOAD
failed=0
fail() {
    echo "umf_run: failed: $*" >&2
    failed=1
}

# names <word>: the manual page has it; there a hyphen is written \-
names() {
    tr -d '\\' <"$manual" | grep -q -e "$1"
}

# settings <expected UMF_PROXY> <option>...
settings() {
    expected=$1
    shift
    text=$("$run" --print "$@" 2>&1 | grep '^UMF_PROXY=')
    [ "$text" = "UMF_PROXY='$expected'" ] || fail "$*: $text instead of $expected"
}
settings 'pool=scalable' --pool=scalable
settings 'pool=scalable' --pool scalable
settings 'os.numa.mode=interleave;os.numa.nodes=0-3' --interleave=0-3
settings 'os.numa.mode=bind;os.numa.nodes=1' --membind=1
settings 'os.numa.mode=preferred;os.numa.nodes=0' --preferred 0
settings 'os.numa.mode=local' --localalloc
settings 'memspace=highest_capacity' --memspace=highest_capacity
settings 'os.page.size=transparent' --huge
settings 'os.page.size=2M;os.page.strict=yes' --huge=2M --strict
settings 'provider=file;file.path=/tmp/x' --file=/tmp/x
settings 'provider=devdax;devdax.path=/dev/dax0.0' --devdax=/dev/dax0.0
settings 'provider=fixed;fixed.size=1G' --fixed=1G
settings 'page.disposition=shared-fd' --shared
settings 'page.disposition=shared-shm' --shared=shm
settings 'size.threshold=64' --threshold=64
settings 'on.exhausted=null' --on-exhausted=null
settings 'only=a,b;except=c' --only=a,b --except=c
settings 'stats=exit' --stats
settings 'prof.sample=512k' --profile
settings 'prof.sample=1M' --profile=1M
settings 'leak=exact' --leaks=exact
settings 'slab.keep.all=yes' --set slab.keep.all=yes
settings 'pool=proxy' --pool=slab --pool=proxy
UMF_PROXY='stats=exit; pool=slab' settings 'stats=exit;pool=disjoint' --pool=disjoint

# refused <words of the line> <option>...: one line, status 125, nothing runs
refused() {
    words=$1
    shift
    text=$("$run" "$@" echo ran 2>&1)
    status=$?
    [ $status -eq 125 ] || fail "$*: status $status"
    case $text in
    umf-run:*"$words"*) ;;
    *) fail "$*: '$text' without '$words'" ;;
    esac
    [ "$(printf '%s\n' "$text" | wc -l)" -eq 1 ] || fail "$*: more than one line: $text"
}
refused 'pool=bogus: not allowed; use one of slab' --pool=bogus
refused 'os.numa.nodes=x: not a list of nodes' --membind=x
refused 'os.page.size=3M: not allowed' --huge=3M
refused 'os.page.strict=yes: not allowed here' --strict
refused 'size.threshold=abc: not a size' --threshold=abc
refused 'unknown option --frobnicate' --frobnicate
refused 'unknown option -x' -x
refused '--strict takes no value' --strict=yes
refused 'a semicolon is not allowed' '--pool=slab;stats=exit'
refused 'no preset "nothing"' --preset=nothing
refused '/nowhere: can not be found' --config=/nowhere
refused '--library: /nowhere: No such file' --library=/nowhere
refused 'unknown key "foo"' --set foo=1
refused '--json goes with --check or --attach' --json
refused 'is no process id' --attach=x
refused 'does not exist' --attach=2147483646
refused 'not allowed without fixed.size of 4M' --fixed=1k
UMF_PROXY=pool=none refused 'pool=none: not allowed'
text=$("$run" --pool 2>&1)
[ $? -eq 125 ] || fail "--pool without a value: $text"
text=$("$run" 2>&1)
[ $? -eq 125 ] || fail "no program: $text"

# exit status and arguments
"$run" -- sh -c 'exit 7'
[ $? -eq 7 ] || fail "exit status of the program"
"$run" sh -c 'kill -TERM $$'
[ $? -eq 143 ] || fail "signal of the program"
"$run" "$work/none" 2>/dev/null
[ $? -eq 127 ] || fail "status of a program that is not there"
"$run" "$work" 2>/dev/null
[ $? -eq 126 ] || fail "status of a program that cannot be run"
[ "$("$run" --huge -- printf '%s|' 'a b' --pool '')" = 'a b|--pool||' ] || fail "arguments"

# effects
check() { # check <words> <command>...
    words=$1
    shift
    text=$("$@" 2>&1)
    case $text in
    *"$words"*) ;;
    *) fail "$*: '$text' without '$words'" ;;
    esac
}
check 'pool jemalloc' "$run" --pool=jemalloc "$probe" work names
check 'memfd' "$run" --shared "$probe" work mapping
check 'libumf_proxy' "$run" grep -m 1 libumf_proxy /proc/self/maps
check "$work" "$run" --file="$work" "$probe" work mapping
check 'pool disjoint' env "$(LD_PRELOAD='' "$run" --pool=disjoint --print | grep LD_PRELOAD | tr -d "'")" \
    UMF_PROXY=pool=disjoint "$probe" work names
[ "$("$run" --print true | grep -c "$library")" -ge 1 ] ||
    [ "$(readlink -f "$library")" = "$("$run" --print true | sed -n "s/^LD_PRELOAD='\(.*\)'/\1/p")" ] ||
    fail "another library is taken than $library"

# presets: no line on stderr, and the effect
for preset in hpc-interleave huge-pages capacity ipc; do
    [ -e "$presets/$preset.conf" ] || fail "no $preset.conf"
    "$run" --preset=$preset "$probe" work all >"$work/out" 2>"$work/err" || fail "preset $preset"
    [ ! -s "$work/err" ] || fail "preset $preset says: $(cat "$work/err")"
done
for file in "$presets"/*.conf; do
    text=$("$run" --config="$file" --print 2>&1 >/dev/null)
    [ -z "$text" ] || fail "$file: $text"
    name=$(basename "$file" .conf)
    names "$name" ||
        fail "the manual page does not name $name"
done
check 'memfd' "$run" --preset=ipc "$probe" work mapping
check '/tmp/' "$run" --preset=capacity "$probe" work mapping
check "$work" "$run" --preset=capacity --set "file.path=$work" "$probe" work mapping
if [ -r /proc/self/numa_maps ]; then
    text=$("$run" --preset=hpc-interleave "$probe" work numa)
    case $text in
    *interleave:0* | *bind:0*) ;;
    *) fail "hpc-interleave: $text" ;;
    esac
fi
(cd "$work" && "$run" --preset=profiling "$probe" work all) >"$work/out" 2>"$work/err" ||
    fail "preset profiling"
grep -q 'process pool' "$work/err" || fail "preset profiling: no statistics: $(cat "$work/err")"
ls "$work"/umf.*.heap >/dev/null 2>&1 || fail "preset profiling: no profile"
[ -z "$("$run" --preset=profiling sh -c : 2>&1)" ] || fail "a preset touches the shell"

# --check
"$run" --check >"$work/table" || fail "--check"
for words in 'NUMA nodes' 'Reserved huge pages' 'Transparent huge pages' 'DAX devices' \
    'Level Zero devices' 'CUDA devices' 'Libraries' 'libtbbmalloc.so.2'; do
    grep -q "$words" "$work/table" || fail "--check without $words"
done
if command -v python3 >/dev/null 2>&1; then
    "$run" --check --json | python3 -c '
import json, os, sys
report = json.load(sys.stdin)
keys = {"numa_nodes", "huge_pages", "transparent_huge_pages", "dax_devices", "level_zero_devices",
        "cuda_devices", "libraries", "permissions"}
assert set(report) == keys, set(report) ^ keys
nodes = len([n for n in os.listdir("/sys/devices/system/node") if n[4:].isdigit()])
assert len(report["numa_nodes"]) == nodes and report["numa_nodes"][0]["size"] > 0
' || fail "--check --json"
fi

# help, manual page
for option in $("$run" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p'); do
    names "$option" ||
        fail "the manual page does not name --$option"
done
[ "$("$run" --keys | grep -c 'os.numa.mode')" -ge 1 ] || fail "--keys"
[ $failed -eq 0 ] && echo "umf_run: ok"
exit $failed

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Tests of the heap profiler and the leak report.
#   profile.sh MODE LIBRARY PROGRAM DSO CXX_PROGRAM
# Profiles are read by what users read them with: google-pprof and jeprof, where they are installed.
set -u
mode=$1 library=$2 program=$3 dso=$4 cxx=$5
work=$(mktemp -d "${TMPDIR:-/tmp}/umf-profile.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}

# run SETTINGS PROGRAM ARGUMENT...: output in the files out and err.
run() {
    local settings=$1
    shift
    rm -f umf.*
    timeout 100 env UMF_PROXY="$settings" LD_PRELOAD="$library" "$@" >out 2>err
    local status=$?
    [ $status -eq 0 ] || fail "exit status $status of $* with $settings: $(tail -n 3 err)"
}

# The "in use" bytes that a reader's report attributes to a function and what it calls (the compiler
# inlines).
bytes_of() {
    awk -v f="$1" '$NF == f || index($0, " " f "(") || index($0, "::" f) { sum += $4 } END { print sum + 0 }' report
}

# check_expected READER PROGRAM PROFILE PERCENT: every "expect" line of `out` within PERCENT, and all
# together 98 % of the profile's total. The reader runs once: it is slow (a symbolizer for each module).
check_expected() {
    local reader=$1 name=$2 profile=$3 percent=$4 sum=0 function bytes found
    "$reader" --text --show_bytes "$name" "$profile" >report 2>/dev/null
    while read -r _ function bytes; do
        found=$(bytes_of "$function")
        sum=$((sum + found))
        awk -v a="$found" -v b="$bytes" -v p="$percent" \
            'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d * 100 <= p * b) }' ||
            fail "$reader: $function has $found bytes, not $bytes ($profile)"
    done < <(grep '^expect' out)
    local total
    total=$(awk '/^heap profile:/ { print $4 + 0; exit }' "$profile")
    awk -v s="$sum" -v t="$total" 'BEGIN { exit !(t > 0 && s >= 0.98 * t) }' ||
        fail "$reader: the known places have $sum of $total bytes"
    # The reader's own total is ours.
    awk -v t="$total" '/^Total:/ { seen = 1; if ($2 != t) bad = 1 } END { exit !(seen && !bad) }' report ||
        fail "$reader: its total is not $total"
}

readers=()
for reader in google-pprof jeprof; do
    command -v "$reader" >/dev/null && readers+=("$reader")
done
need_readers() {
    if [ ${#readers[@]} -eq 0 ]; then
        echo "skipped: neither google-pprof nor jeprof is installed"
        exit 77
    fi
}

case $mode in
exact)
    need_readers
    for unwind in libunwind libgcc; do
        run "prof.sample=1;prof.unwind=$unwind" "$program" sites "$dso"
        for reader in "${readers[@]}"; do
            check_expected "$reader" "$program" "$(ls umf.*.1.heap)" 0
        done
    done
    ;;
sampled)
    need_readers
    # About 10,000 samples in the smallest place: 6 standard deviations are 6 %.
    run "prof.sample=4k" "$program" sites "$dso"
    check_expected "${readers[0]}" "$program" "$(ls umf.*.1.heap)" 20
    ;;
cxx)
    need_readers
    run "prof.sample=1" "$cxx"
    check_expected "${readers[0]}" "$cxx" "$(ls umf.*.1.heap)" 0
    ;;
peak)
    need_readers
    run "prof.sample=1" "$program" peak
    check_expected "${readers[0]}" "$program" "$(ls umf.*.1.heap.peak)" 0
    ;;
proto)
    command -v gzip >/dev/null || { echo "skipped: no gzip"; exit 77; }
    run "prof.sample=1;prof.format=proto" "$program" sites
    gzip -t -S .pb.gz umf.*.1.pb.gz || fail "gzip refuses the file"
    gzip -dc umf.*.1.pb.gz | grep -q inuse_space || fail "no sample types in it"
    ;;
collapsed)
    run "prof.sample=1;prof.format=collapsed" "$program" sites
    awk '/;main;site_small [0-9]+$/ { sum += $NF } END { exit sum != 5000000 }' umf.*.1.collapsed ||
        fail "site_small has not 5000000 bytes"
    # A program without symbols: module + offset, the same amounts.
    strip -o stripped "$program" 2>/dev/null || { echo "skipped: no strip"; exit 77; }
    run "prof.sample=1;prof.format=collapsed" ./stripped sites
    awk '/stripped\+0x[0-9a-f]+ 5000000$/ { good = 1 } END { exit !good }' umf.*.1.collapsed ||
        fail "the stripped program has no place with 5000000 bytes"
    ;;
fork)
    run "prof.sample=1;prof.format=collapsed" "$program" fork
    child=$(awk '$1 == "child" { print $2 }' out)
    awk '/site_child [0-9]+$/ { c += $NF } /site_small [0-9]+$/ { s += $NF }
         END { exit !(c == 10000000 && s == 1000000) }' "umf.$child.1.collapsed" ||
        fail "the child's profile: $(cat "umf.$child.1.collapsed")"
    [ "$(ls umf.*.1.collapsed | wc -l)" -eq 2 ] || fail "parent and child have one profile each"
    ;;
late)
    run "leak=exact" "$program" late
    grep -q "2000000 bytes in 10000 blocks" err || fail "blocks from an exit handler are missing: $(cat err)"
    ;;
every)
    run "prof.sample=64k;prof.every=1M;prof.exit=no" "$program" sites
    count=$(ls umf.*.heap | wc -l)
    # About 150 MB are allocated.
    [ "$count" -ge 60 ] && [ "$count" -le 170 ] || fail "$count profiles"
    ;;
signal)
    run "prof.sample=4k;prof.signal=12;prof.file=$work/umf.%n.heap;prof.exit=no" "$program" signal 12 "$work/umf.1.heap"
    grep -q MAPPED_LIBRARIES umf.1.heap || fail "no complete profile"
    ;;
leak)
    run "leak=exact" "$program" sites
    grep -q "5000000 bytes in 50000 blocks, allocated at" err || fail "no report: $(head err)"
    grep -q "#0  site_small+0x[0-9a-f]* (.*+0x[0-9a-f]*)" err || fail "no names: $(head err)"
    run "leak=exact;leak.suppress=site_*,lib*" "$program" sites
    grep -q "suppressed: .* bytes" err || fail "suppression: $(head err)"
    grep -q "site_small" err && fail "site_small is suppressed"
    run "leak=exact;leak.file=$work/leaks.%p" "$program" sites
    [ -s err ] && fail "the report went to standard error"
    grep -q "from .* places* not freed" leaks.* || fail "no report in the file"
    UMF_PROXY="leak=exact;leak.exitcode=23" LD_PRELOAD=$library "$program" sites >out 2>err
    [ $? -eq 23 ] || fail "leak.exitcode"
    grep -q "profile: ok" out || fail "leak.exitcode loses output"
    run "leak=sampled;prof.sample=4k" "$program" sites
    grep -q "estimated" err || fail "a sampled report says that it is one"
    ;;
ctl)
    need_readers
    run "" "$program" ctl "$work/ctl.heap"
    check_expected "${readers[0]}" "$program" "$work/ctl.heap" 0
    ;;
scripts)
    # The commands of scripts/ read every format, and find the same names and amounts in each.
    command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
    scripts=$(dirname "$0")/../../scripts
    for format in pprof proto collapsed; do
        run "prof.sample=1;prof.format=$format;prof.file=$work/$format" "$program" sites "$dso"
        "$scripts/profile-flamegraph" -o $format.svg $format >/dev/null || fail "flame graph of $format"
        grep -q '<title>site_small: 4.8 MiB, ' $format.svg || fail "$format: no box of site_small"
        grep -q '<title>dso_site: 6.7 MiB, ' $format.svg || fail "$format: no box of dso_site"
        python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' $format.svg || fail "$format.svg is not XML"
    done
    "$scripts/profile-diff" pprof proto | grep -q 'site_' && fail "two runs of the same differ: $("$scripts/profile-diff" pprof proto)"
    run "prof.sample=1;prof.file=$work/peak" "$program" peak
    "$scripts/profile-diff" pprof peak.peak --svg diff.svg >diff || fail "profile-diff"
    grep -q '+28.6 MiB .* site_middle$' diff || fail "no site_middle in the difference: $(cat diff)"
    grep -q '\-11.4 MiB .* site_medium$' diff || fail "no site_medium in the difference: $(cat diff)"
    grep -q 'site_middle.*before 0 B, +28.6 MiB' diff.svg || fail "no change in the picture"
    echo nonsense >bad
    "$scripts/profile-flamegraph" bad 2>err && fail "nonsense is a profile"
    [ "$(wc -l <err)" -eq 1 ] || fail "not one line about nonsense: $(cat err)"
    ;;
tangle)
    for unwind in libunwind libgcc fp; do
        run "prof.sample=512;prof.exit=no;prof.unwind=$unwind" "$program" tangle "$dso"
    done
    ;;
python)
    command -v python3 >/dev/null || { echo "skipped: no python3"; exit 77; }
    run "prof.sample=64k;prof.format=collapsed" python3 -c 'x = [str(i) * 20 for i in range(200000)]; print(len(x))'
    [ "$(cat out)" = 200000 ] || fail "python3 said $(cat out)"
    cat umf.*.collapsed.peak | awk '/PyUnicode|Py/ { seen = 1 } END { exit !seen }' ||
        awk '/python3/ { seen = 1 } END { exit !seen }' umf.*.collapsed.peak || fail "no C stacks of Python"
    ;;
*)
    echo "profile.sh: what is \"$mode\"?"
    exit 2
    ;;
esac
[ "$failures" -eq 0 ] && echo "profile $mode: ok"
exit $((failures > 0))

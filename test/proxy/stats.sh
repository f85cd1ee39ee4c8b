#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Tests of the statistics' reports: stats.sh LIBRARY PROGRAM UMF_RUN, where PROGRAM is that of
# profile.sh.
set -u
library=$1 program=$2 umf_run=$3
work=$(mktemp -d "${TMPDIR:-/tmp}/umf-stats.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}

# run SETTINGS ARGUMENT...
run() {
    local settings=$1
    shift
    timeout 60 env UMF_PROXY="$settings" LD_PRELOAD="$library" "$@" >out 2>err ||
        fail "exit status of $* with $settings: $(tail -n 3 err)"
}

# At exit: 50000 blocks of 100 bytes and 40 of 256 KiB are live.
run "stats=exit" "$program" sites
grep -q '^umf: statistics 1 of process [0-9]* (proxy_profile): exit' err || fail "no head: $(head -n 2 err)"
awk '$2 == 112 { good = $3 >= 50000 && $4 >= 50000 } END { exit !good }' err || fail "class 112: $(grep ' 112 ' err)"
awk '$2 == "large" { good = $3 >= 10240 && $6 >= 40 } END { exit !good }' err || fail "large: $(grep large err)"
grep -q 'finished thread ' err || fail "no heaps of finished threads"
grep -q 'page faults [1-9]' err || fail "no page faults"

# JSON, in a file of its own per process.
run "stats=exit;stats.format=json;stats.file=$work/%p.%n.json" "$program" fork
files=$(ls ./*.json | wc -l)
[ "$files" -eq 2 ] || fail "$files files for parent and child"
if command -v python3 >/dev/null; then
    cat ./*.json | python3 -c '
import json, sys
for line in sys.stdin:
    report = json.loads(line)
    pool = report["pools"][0]
    row = [c for c in pool["classes"] if c["size"] == 112][0]
    assert pool["complete"] and row["requests"] >= 20000 and row["blocks"] >= 10000, row
    assert sum(c["blocks"] for c in pool["classes"]) == pool["blocks"]
    assert sum(h["blocks"] for h in pool["heaps"]) == pool["blocks"]
    assert pool["taken_peak"] >= pool["taken_bytes"] > 0
    assert pool["reserved_bytes"] >= pool["taken_bytes"]
' || fail "the JSON is not right: $(cat ./*.json)"
fi

# By time, appended to one file; by signal; a sleeping program reports too.
run "stats=1;stats.file=$work/by_time" sleep 2.5
[ "$(grep -c '^umf: statistics' by_time)" -ge 2 ] || fail "by time: $(grep '^umf: statistics' by_time)"
UMF_PROXY="stats=signal;stats.file=$work/by_signal.%n" LD_PRELOAD=$library sleep 20 &
sleeper=$!
for _ in $(seq 200); do
    sleep 0.05
    grep -q 1 "/proc/$sleeper/task/"*/comm 2>/dev/null
    grep -q umf-report "/proc/$sleeper/task/"*/comm 2>/dev/null && break
done

# From outside, as long as the process lives, without stopping it.
"$umf_run" --attach=$sleeper >attached 2>attach_err
if grep -q 'may not be read' attach_err; then
    echo "part skipped: $(cat attach_err)"
else
    grep -q "^umf: statistics 1 of process $sleeper (sleep): attached" attached || fail "--attach: $(head -n 2 attached attach_err)"
    awk '$2 == "small" && $6 > 0 { good = 1 } END { exit !good }' attached || fail "--attach shows no blocks"
    [ "$(timeout 20 "$umf_run" --attach=$sleeper --every=0.1 --json 2>/dev/null | head -n 3 | grep -c '"complete":true')" -eq 3 ] ||
        fail "--attach --every=0.1 --json: not three reports"
    [ "$(awk '/^State/ { print $2 }' /proc/$sleeper/status)" = S ] || fail "the process was stopped"
fi
"$umf_run" --attach=$$ 2>attach_err && fail "a process without the library has statistics"
[ "$(wc -l <attach_err)" -eq 1 ] || fail "not one line: $(cat attach_err)"

kill -USR1 $sleeper
for _ in $(seq 200); do
    [ -s by_signal.1 ] && break
    sleep 0.05
done
kill $sleeper
wait $sleeper 2>/dev/null
grep -q ': signal$' by_signal.1 || fail "by signal: $(head -n 1 by_signal.1)"

[ "$failures" -eq 0 ] && echo "stats: ok"
exit $((failures > 0))

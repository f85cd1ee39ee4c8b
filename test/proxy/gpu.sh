#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# GPU memory as process malloc, with unmodified programs and with mistakes: gpu.sh LIBRARY PROVIDER,
# on the stand-in driver of the environment.
set -u
library=$1 provider=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/umf-gpu.XXXXXX")
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
failures=0

fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}

# under SETTINGS COMMAND...: out, err, and the exit status.
under() {
    local settings=$1
    shift
    timeout 60 env UMF_PROXY="$settings" LD_PRELOAD="$library" "$@" >out 2>err
}

# same COMMAND...: the program says the same as without the library, and had the driver's memory.
same() {
    local memory status
    "$@" >expected 2>/dev/null
    for memory in shared host; do
        rm -f report
        UMF_STANDIN_REPORT=$work/report under "provider=$provider;$provider.memory=$memory;on.exhausted=abort" "$@"
        status=$?
        [ $status -eq 0 ] || fail "$memory: $*: exit status $status: $(tail -n 3 err)"
        cmp -s expected out || fail "$memory: $*: other output"
        grep -q '^standin: blocks=[1-9]' report || fail "$memory: $*: no memory of the driver: $(tail -n 1 report)"
        [ ! -s err ] || fail "$memory: $*: $(head -n 2 err)"
    done
}

seq 200000 | sort -R --random-source=<(yes) >numbers
same sort -n numbers
same sh -c 'for i in 1 2 3; do echo $(ls / | wc -l); done'
same awk '{ count[$1 % 1000]++ } END { for (i = 0; i < 1000; i++) print i, count[i] }' numbers
[ -x /usr/bin/python3 ] && same /usr/bin/python3 -c '
import subprocess
table = {str(i): list(range(i % 50)) for i in range(50000)}
print(sum(len(v) for v in table.values()))
print(subprocess.run(["echo", "child"], capture_output=True, text=True).stdout)'
command -v perl >/dev/null && same perl -e 'my %h = map { $_ => "x" x ($_ % 99) } 1 .. 50000; print length(join "", values %h), "\n"'

# mistake SETTINGS TEXT [VARIABLE=VALUE]: one line that holds TEXT; the program runs on ordinary pages.
mistake() {
    local settings=$1 text=$2
    shift 2
    under "$settings" env "$@" echo runs
    status=$?
    [ $status -eq 0 ] && grep -q '^runs$' out || fail "$settings $*: exit status $status"
    # env itself runs under the library as well
    [ "$(sort -u err | grep -c .)" -le 2 ] || fail "$settings $*: $(cat err)"
    grep -q "$text" err || fail "$settings $*: not said: $text: $(cat err)"
}

mistake "provider=$provider;$provider.device=7" "device 7 is wanted.*ordinary pages are used" A=1
mistake "provider=$provider;$provider.memory=device" "$provider.memory" A=1
case $provider in
cuda)
    mistake "provider=cuda" "cuInit\|starting the driver failed: CUDA_ERROR_NO_DEVICE" UMF_STANDIN_FAIL=cuInit=100
    mistake "provider=cuda" "ordinary pages are used" UMF_STANDIN_FAIL=cuMemAllocManaged=2
    mistake "provider=cuda" "libcuda.so.1" LD_LIBRARY_PATH=/nonexistent
    ;;
level_zero)
    mistake "provider=level_zero" "ZE_RESULT_ERROR_DEVICE_LOST" UMF_STANDIN_FAIL=zeMemAllocShared=0x70000001
    mistake "provider=level_zero" "ZE_RESULT_ERROR_UNINITIALIZED" ZE_ENABLE_ALT_DRIVERS=/nonexistent.so
    mistake "provider=level_zero" "libze_none.so" UMF_ZE_LOADER_LIB_NAME=libze_none.so
    ;;
esac

# Memory that runs out half-way.
fill='import sys; x = [bytes(1000) for i in range(40000)]; print(len(x))'
if [ -x /usr/bin/python3 ]; then
    [ "$provider" = level_zero ] && UMF_STANDIN_MEMORY=$((16 << 20)) under "provider=$provider" /usr/bin/python3 -c "$fill"
    [ "$provider" = cuda ] && UMF_STANDIN_FAIL=cuMemAllocManaged=2@7 under "provider=$provider" /usr/bin/python3 -c "$fill"
    grep -q '^40000$' out || fail "does not go on when memory runs out: $(tail -n 2 err)"
    grep -q 'has run out' err || [ "$provider" = cuda ] || fail "does not say that memory ran out: $(cat err)"
fi

[ $failures -eq 0 ] && echo "gpu.sh $provider: good"
exit $((failures != 0))

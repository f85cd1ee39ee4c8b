#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# Python's own regression tests, with and without the library: the same tests must pass, with and
# without Python's allocator for small objects in between.   python.sh LIBRARY [MODULE...]
set -u
library=$1
shift
modules=("$@")
[ $# -gt 0 ] || modules=(test_list test_dict test_struct test_memoryview test_itertools test_deque test_zlib test_array)
python3 -c 'import test.test_list' 2>/dev/null ||
    { echo 'skipped: no test package (Debian: libpython3.11-testsuite)'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
export PYTHONDONTWRITEBYTECODE=1

# results FILE [VARIABLE=VALUE...]: one line for each test that ran, sorted
results() {
    local file=$1
    shift
    env "$@" timeout 250 python3 -m test -v "${modules[@]}" 2>&1 |
        grep -E '^test.* \.\.\. |^Ran |^(FAILED|OK|ERROR)' | sed -E 's/ in [0-9.]+s$//; s/0x[0-9a-f]+//g' | sort >"$file"
}
results plain
[ "$(wc -l <plain)" -gt 100 ] || { echo "only $(wc -l <plain) results without the library"; exit 1; }
results preloaded LD_PRELOAD="$library"
results malloc LD_PRELOAD="$library" PYTHONMALLOC=malloc
for file in preloaded malloc; do
    diff plain "$file" >difference || { echo "$file differs from plain:"; head -n 40 difference; exit 1; }
done
echo "${#modules[@]} modules, $(grep -c ' \.\.\. ok' plain) tests passed, the same with the library and with PYTHONMALLOC=malloc"

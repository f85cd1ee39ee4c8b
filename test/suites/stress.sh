#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# stress-ng's stressors of malloc, fork, brk and threads under the library: each must end well.
#   stress.sh LIBRARY [SECONDS]
set -u
command -v stress-ng >/dev/null || { echo 'skipped: no stress-ng'; exit 77; }
for stressor in malloc fork brk pthread vfork clone mmap; do
    LD_PRELOAD=$1 timeout 120 stress-ng --quiet "--$stressor" 2 --timeout "${2:-2}" --verify --temp-path /tmp ||
        { echo "stress-ng --$stressor failed: $?"; exit 1; }
done
echo '7 stressors ended well'

#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#
# completion.sh SOURCE UMF-RUN: the bash completion offers every option of `umf-run --help`, keys and their
# values, and presets; umf-run(1) describes the same options.
set -u -o pipefail

source=$1 umf_run=$2
. "$source/scripts/completion/umf-run.bash" || exit 1
page=$(sed 's,\\-,-,g' "$source/docs/man/umf-run.1") failed=0
# expect "WORDS SO FAR" LAST WORD...: the offers for LAST contain each WORD.
expect() {
    local before=$1 last=$2 word
    read -ra COMP_WORDS <<<"$before"
    COMP_WORDS+=("$last")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _umf_run "$umf_run"
    for word in "${@:3}"; do
        [[ " ${COMPREPLY[*]} " == *" $word "* ]] && continue
        echo "completion: '$before' '$last' offers '${COMPREPLY[*]}', not $word"
        failed=1
    done
}

options=$("$umf_run" --help | grep -oE '^ +--[a-z-]+' | tr -d ' ')
[ "$(wc -w <<<"$options")" -ge 30 ] || { echo "completion: few options in --help: $options"; exit 1; }
for option in $options; do
    read -ra COMP_WORDS <<<"umf-run $option"
    COMP_CWORD=1
    _umf_run "$umf_run"
    [[ " ${COMPREPLY[*]} " =~ " $option"=?" " ]] || { echo "completion: $option is not offered"; failed=1; }
    grep -qE -e "$option\b" <<<"$page" ||
        { echo "completion: umf-run(1) does not describe $option"; failed=1; }
done
expect umf-run --pro --provider= --profile
expect 'umf-run --pool =' sl slab
expect 'umf-run --pool' = slab scalable jemalloc disjoint proxy
expect 'umf-run --preset =' '' huge-pages capacity
expect 'umf-run --huge --set' os.n os.numa.mode= os.numa.nodes=
expect 'umf-run --set os.numa.mode =' int interleave
expect 'umf-run --leaks =' '' off sampled exact
expect 'umf-run --huge' --sta --stats
expect 'umf-run --pool = slab' --hu --huge
[ "$failed" -ne 0 ] || echo "completion: $(wc -w <<<"$options") options, keys, values and presets are offered"
exit "$failed"

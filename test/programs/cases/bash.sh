# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# bash: 1000 forked children, command substitution, arrays and pipes.

programs=(bash)
proof=yes

workload() {
    proof_of_maps self
    local i sum=0 text='' status
    local -A seen=()
    for ((i = 0; i < 1000; i++)); do
        status=0
        (exit $((i % 7))) || status=$?
        sum=$((sum + status))
    done
    echo "1000 children: $sum"
    for ((i = 0; i < 200; i++)); do
        text+=$(echo "$i:$((i * i))")
        seen[$((i * 7919 % 211))]=$i
    done
    echo "${#text} ${#seen[@]} ${text:1000:40} ${text//[13579]/}"
    for ((i = 0; i < 50; i++)); do
        echo "$i" | { read -r line; echo "$((line * 2))"; } | cat
    done | paste -s -d ' '
    bash -c 'for i in {1..20000}; do a[i]=$((i * 3)); done; echo "${#a[@]} ${a[777]}"'
    for ((i = 0; i < 20; i++)); do (sleep 0.01; exit 3) & done
    wait
    (proof_of_maps "$BASHPID")
}

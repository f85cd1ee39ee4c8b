# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# curl: many file URLs at once, globbing, uploads to a file, configuration from a file.

programs=(curl)

workload() {
    local i
    for ((i = 0; i < 50; i++)); do words $((i * 20 + 1)) >"part$i"; done
    curl -sS "file://$PWD/part[0-49]" | sha256sum
    curl -sS --no-progress-meter --parallel --parallel-max 10 "file://$PWD/part[0-49]" -o 'got#1'
    cat got* | sha256sum
    curl -sS -T part49 "file://$PWD/uploaded"
    cmp part49 uploaded
    for ((i = 0; i < 50; i++)); do
        printf 'url = "file://%s/part%d"\noutput = "cfg%d"\n' "$PWD" "$i" "$i"
    done >curl.conf
    curl -sS -K curl.conf
    cat cfg* | sha256sum
    curl -sS "file://$PWD/none" 2>&1 || echo "status $?"
    curl --version | wc -l
}

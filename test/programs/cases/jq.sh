# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# jq: builds, groups, sorts and rewrites a large JSON document.

programs=(jq)

workload() {
    jq -n '[range(30000) | {i: ., k: (. * 7919 % 997), s: "value \(. * 31 % 977)", l: [., . + 1]}]' >data.json
    jq 'length, (map(.k) | add)' data.json
    jq -c 'group_by(.k) | map({k: .[0].k, n: length}) | sort_by(-.n, .k)[:5]' data.json
    jq -r 'map(select(.s | test("7$"))) | length' data.json
    jq -c '[.[] | .s |= ascii_upcase | del(.l)] | map(.i) | unique | length' data.json
    jq --stream -c 'select(length == 2 and .[0][1] == "k") | .[1]' data.json | sha256sum
    jq -c 'map(tojson | fromjson) == .' data.json
    jq -S . data.json | sha256sum
}

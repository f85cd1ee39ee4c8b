# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# dot (Graphviz): lays out a graph and draws it as SVG, PNG and text.

programs=(dot)

workload() {
    awk 'BEGIN {
        print "digraph g { node [shape=box];"
        for (i = 1; i < 150; i++) printf "n%d -> n%d [label=\"e%d\"];\n", int(i / 3), i, i
        for (i = 0; i < 40; i++) printf "n%d -> n%d;\n", i * 37 % 150, i * 53 % 150
        print "}"
    }' >graph.dot
    dot -Tplain graph.dot 2>&1 | sha256sum
    dot -Tsvg graph.dot 2>>"$UMF_TEST_NOISE" | sha256sum
    dot -Tpng graph.dot 2>>"$UMF_TEST_NOISE" | sha256sum
    dot -Kneato -Tplain graph.dot 2>>"$UMF_TEST_NOISE" | wc -l
}

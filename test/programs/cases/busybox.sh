# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# busybox (the dynamic one): its own shell, awk, sort, sed, gzip, tar and dc.

programs=(busybox)

workload() {
    words 20000 >text
    busybox sort -k3 text | busybox sha256sum
    busybox awk '{ c[$2]++ } END { for (w in c) n++; print n }' text
    busybox sed -e 's/w\([0-9]*\)7/<\1>/g' text | busybox md5sum
    busybox gzip -c text | busybox gunzip | busybox cmp - text
    busybox tar -c text | busybox tar -t
    busybox sh -c 'i=0; s=0; while [ $i -lt 500 ]; do (exit 3) || s=$((s+$?)); i=$((i+1)); done; echo $s'
    busybox find . -name 'te*' | busybox xargs busybox wc -l
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# tclsh: lists, dictionaries, strings and regular expressions; threads allocate in its own caches
# over malloc.

programs=(tclsh8.6)

workload() {
    cat >work.tcl <<'TCL'
proc work {seed} {
    set counts [dict create]
    for {set i 0} {$i < 60000} {incr i} {
        set seed [expr {($seed * 1103515245 + 12345) % 2147483648}]
        dict incr counts w[expr {$seed >> 18}]
    }
    set parts [lmap {k v} [dict get [dict create all $counts] all] {string cat $k = $v}]
    set text [join [lsort $parts] ";"]
    return "[regexp -all {w\d*7=} $text] [string length $text] [zlib crc32 $text]"
}
foreach seed {1 2 3} { puts [work $seed] }
set list {}
for {set i 0} {$i < 100000} {incr i} { lappend list [format %05d [expr {$i * 7919 % 100003}]] }
puts [lrange [lsort $list] 500 505]
puts [string length [string map {1 one 2 two} [join $list]]]
set packed [zlib gzip [join $list]]
puts [string equal [zlib gunzip $packed] [join $list]]
puts [string length [expr {7 ** 2000}]]
foreach i {1 2 3} { set child [interp create]; puts [$child eval {expr {6 * 7}}]; interp delete $child }
TCL
    tclsh8.6 work.tcl
}

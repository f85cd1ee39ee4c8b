# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# ruby: hashes, strings, regular expressions, threads, fork and compaction of its heap.

programs=(ruby)

workload() {
    cat >work.rb <<'RB'
require 'json'
require 'digest/sha1'
require 'digest/sha2'
def work(seed)
  counts = Hash.new(0)
  40_000.times { seed = (seed * 1103515245 + 12345) % 2147483648; counts["w#{seed >> 18}"] += 1 }
  text = JSON.generate(counts)
  raise 'differs' unless JSON.parse(text) == counts
  "#{text.scan(/"w\d*7":/).size} #{Digest::SHA256.hexdigest(text)}"
end
puts (1..4).map { |n| Thread.new { work(n) } }.map(&:value)
8.times { |n| pid = fork { exit!(work(n).size % 100) }; Process.wait(pid); puts $?.exitstatus }
GC.start
GC.compact if GC.respond_to?(:compact)
long = +''
100_000.times { |i| long << (65 + i % 26).chr * (i % 7) }
puts long.size, Digest::SHA1.hexdigest(long)
puts (1..300).inject(:*).to_s.size
RB
    ruby work.rb
}

# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
# shellcheck shell=bash disable=SC2034
#
# perl: hashes, regular expressions, sorting, interpreter threads and fork.

programs=(perl)
proof=yes

workload() {
    proof_of_maps self
    cat >work.pl <<'PL'
use strict; use warnings; use threads; use Digest::SHA qw(sha1_hex);
my $library = $ENV{UMF_TEST_LIBRARY_FILE} // 'none';
open(my $maps, '<', '/proc/self/maps') or die; 
my ($line) = grep { index($_, $library) >= 0 } <$maps>;
open(my $proof, '>>', $ENV{UMF_TEST_PROOF}) or die;
print $proof $line // "not mapped in perl\n";
close $proof;

sub work {
    my ($n) = @_;
    my %count; my $seed = $n;
    for (1 .. 40000) {
        $seed = ($seed * 1103515245 + 12345) % 2147483648;
        my $word = sprintf("w%x", $seed >> 18);
        $count{$word}++;
    }
    my $text = join(' ', map { "$_=$count{$_}" } sort keys %count);
    (my $upper = $text) =~ s/(w[0-9a-f]+)=(\d+)/uc($1) . ':' . $2 * 2/ge;
    my @words = split / /, $upper;
    return scalar(@words) . ' ' . sha1_hex(join("\n", reverse @words));
}
print work(7), "\n";
print "thread ", $_->join, "\n" for map { my $n = $_; threads->create(sub { work($n) }) } 1 .. 4;
$| = 1;
for my $n (1 .. 20) {
    my $pid = fork // die;
    if (!$pid) { my $r = work($n % 3); exit(length($r) % 50) }
    waitpid $pid, 0;
    print "child $n: ", $? >> 8, "\n";
}
my $long = ''; $long .= chr(65 + $_ % 26) x ($_ % 97) for 1 .. 50000;
print length($long), ' ', sha1_hex($long), "\n";
PL
    perl work.pl
}

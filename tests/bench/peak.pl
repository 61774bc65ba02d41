#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Peak memory of a process with all below it: prints, when its standard input ends, the largest sums
# seen of proportional and of resident sizes, in KiB, and the processes that made up the first.
#
#   perl tests/bench/peak.pl PID
use strict;
use warnings;


my $top = shift // die "PID is missing\n";
my ( $pss_max, $rss_max, $who ) = ( 0, 0, '' );

sub slurp {
    my ($path) = @_;
    open( my $in, '<', $path ) or return '';
    local $/ = undef;
    return <$in> // '';
}

sub family {
    my ($pid) = @_;
    return ( $pid, map { family($_) } split ' ', slurp("/proc/$pid/task/$pid/children") );
}

while (1) {
    my $in = '';
    vec( $in, 0, 1 ) = 1;
    last if select( $in, undef, undef, 0.01 );    # ends with its standard input
    my ( $pss, $rss, @parts ) = ( 0, 0 );
    for my $pid ( family($top) ) {
        my $text = slurp("/proc/$pid/smaps_rollup");
        my ($p) = $text =~ /^Pss:\s+(\d+)/m;
        my ($r) = $text =~ /^Rss:\s+(\d+)/m;
        next unless $p && $r;
        $pss += $p;
        $rss += $r;
        push @parts, int( $p / 1024 + 0.5 );
    }
    ( $pss_max, $who ) = ( $pss, join '+', @parts ) if $pss > $pss_max;
    $rss_max = $rss if $rss > $rss_max;
}
print "$pss_max $rss_max $who\n";

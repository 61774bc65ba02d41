#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Start berthd and time how it takes over COUNT VMs. Prints in ms: until its API serves (all VMs are
# held and shown), what of that it waited for a processor, what it computed; until the last guest
# answered, what of that it waited for a processor.
#
#   perl tests/bench/adopt.pl COUNT BERTHD [OPTION...]
#
# What berthd logs later than that is lost, which does it no harm.
use strict;
use warnings;
use POSIX ();
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

my $count = shift // die "COUNT is missing\n";

# spent PID: nanoseconds on a processor, and waiting for one
sub spent {
    my ($pid) = @_;
    open( my $in, '<', "/proc/$pid/schedstat" ) or die "berthd ended: $!\n";
    return ( split ' ', <$in> )[ 0, 1 ];
}

$^F = 1 << 10;    # the pipes stay open in berthd
pipe( my $ready, my $ready_in ) or die "pipe: $!\n";
pipe( my $said,  my $said_in )  or die "pipe: $!\n";
my $begin = clock_gettime(CLOCK_MONOTONIC);
my $pid = fork // die "fork: $!\n";
if ( $pid == 0 ) {
    POSIX::setsid();
    POSIX::dup2( fileno($said_in), 2 );
    exec @ARGV, '--log-level', 'debug', '--ready-fd', fileno($ready_in);
    die "$ARGV[0]: $!\n";
}
close $ready_in;
close $said_in;
sysread( $ready, my $byte, 1 ) or die "berthd did not become ready\n";
my $serves = clock_gettime(CLOCK_MONOTONIC);
my ( $ran, $waited ) = spent($pid);

my $answers = 0;
while ( $answers < $count ) {
    my $line = <$said> // die "berthd ended\n";
    $answers++ if $line =~ / debug guest \S+: answers: /;
}
my $answered = clock_gettime(CLOCK_MONOTONIC);
my ( undef, $waited_in_all ) = spent($pid);
printf "%.1f %.1f %.1f %.1f %.1f\n", ( $serves - $begin ) * 1e3, $waited / 1e6, $ran / 1e6,
  ( $answered - $begin ) * 1e3, $waited_in_all / 1e6;

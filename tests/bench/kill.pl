#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Kill a process as `kill -9` does. Prints when, in ns since 1970, and how many ms it took until the
# process was gone, which is when the first one can know.
#
#   perl tests/bench/kill.pl PID
use strict;
use warnings;
use Time::HiRes qw(clock_gettime CLOCK_REALTIME);

use constant SYS_PIDFD_OPEN => 434;    # of all architectures

my $pid = shift // die "PID is missing\n";
my $fd  = syscall( SYS_PIDFD_OPEN, $pid + 0, 0 );
die "pidfd of $pid: $!\n" if $fd < 0;
my $end = '';
vec( $end, $fd, 1 ) = 1;
my $begin = clock_gettime(CLOCK_REALTIME);
kill( 'KILL', $pid ) or die "kill $pid: $!\n";
select( $end, undef, undef, 10 ) or die "$pid does not end\n";
printf "%.0f %.1f\n", $begin * 1e9, ( clock_gettime(CLOCK_REALTIME) - $begin ) * 1e3;

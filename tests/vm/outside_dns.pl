#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A name server for tests: outside_dns.pl ADDRESS [NAME]. By UDP and TCP, web.example.org (or
# NAME.example.org) is 198.51.100.1, big.example.org too, but only by TCP (by UDP it is cut off); other
# names do not exist. Prints a line once it listens, and each name it was asked for.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

$| = 1;
my $address = shift;
my $web = shift // 'web';
my $udp = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 53, Proto => 'udp') or die "udp: $@";
my $tcp = IO::Socket::INET->new(
        LocalAddr => $address, LocalPort => 53, Proto => 'tcp', Listen => 16, ReuseAddr => 1)
        or die "tcp: $@";

sub answer {
        my ($query, $by_tcp) = @_;
        my ($id, $flags, $questions) = unpack 'n3', $query;
        my ($at, @labels) = (12);
        while (my $n = ord substr $query, $at, 1) {
                push @labels, substr $query, $at + 1, $n;
                $at += 1 + $n;
        }
        my $name = lc join '.', @labels;
        my $type = unpack 'n', substr $query, $at + 1, 2;
        my $question = substr $query, 12, $at + 5 - 12;
        print "$name\n";
        my $known = $name =~ /^($web|big)\.example\.org$/;
        my $cut = $name =~ /^big/ && !$by_tcp;
        my $count = $known && !$cut && $type == 1 ? 1 : 0;
        my $reply = pack('n6', $id, 0x8180 | ($known ? 0 : 3) | ($cut ? 0x200 : 0), 1, $count, 0, 0) . $question;
        $reply .= pack('n3Nn', 0xc00c, 1, 1, 60, 4) . pack('C4', 198, 51, 100, 1) if $count;
        return $reply;
}

print "listens\n";
my $ready = IO::Select->new($udp, $tcp);
while (my @sockets = $ready->can_read) {
        for my $socket (@sockets) {
                if ($socket == $udp) {
                        my $peer = $udp->recv(my $query, 4096);
                        $udp->send(answer($query, 0), 0, $peer) if length $query > 16;
                } else {
                        my $client = $tcp->accept or next;
                        next unless $client->read(my $head, 2) == 2;
                        next unless $client->read(my $query, unpack 'n', $head) > 16;
                        my $reply = answer($query, 1);
                        $client->print(pack('n', length $reply) . $reply);
                        close $client;
                }
        }
}

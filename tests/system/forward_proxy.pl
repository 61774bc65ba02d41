#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A proxy as http_proxy and https_proxy name one, for tests; whatever host is asked for, it goes to:
#   forward_proxy.pl HTTP-HOST:PORT CONNECT-HOST:PORT LOG
# Prints its port; ends with its standard input. LOG: the first line of each request.
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;

my ($http, $connect, $log) = @ARGV;
$SIG{CHLD} = 'IGNORE';
$SIG{PIPE} = 'IGNORE';
my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
        or die "listen: $!";
$| = 1;
print $server->sockport, "\n";

sub relay {
        my ($a, $b) = @_;
        my $both = IO::Select->new($a, $b);
        while (my @ready = $both->can_read) {
                for my $from (@ready) {
                        my $n = sysread $from, my $part, 65536 or return;
                        my $to = $from == $a ? $b : $a;
                        for (my $at = 0; $at < $n;) { $at += syswrite($to, $part, $n - $at, $at) // return }
                }
        }
}

sub serve {
        my ($client) = @_;
        my $head = '';
        while ($head !~ /\r\n\r\n/) { sysread $client, $head, 65536, length $head or return }
        my ($method, $target) = $head =~ /^(\S+) (\S+)/;
        open my $l, '>>', $log or die "$log: $!";
        syswrite $l, "$method $target\n";
        close $l;
        my $to = IO::Socket::INET->new(PeerAddr => $method eq 'CONNECT' ? $connect : $http) or return;
        if ($method eq 'CONNECT') {
                syswrite $client, "HTTP/1.1 200 OK\r\n\r\n";
        } else { # one request a connection
                $head =~ s{^(\S+) http://[^/]+}{$1 };
                $head =~ s/\r\n(proxy-)?connection:[^\r]*//ig;
                $head =~ s/\r\n\r\n/\r\nConnection: close\r\n\r\n/;
                syswrite $to, $head;
        }
        relay($client, $to);
}

my $select = IO::Select->new($server, \*STDIN);
while (1) {
        for my $ready ($select->can_read) {
                if ($ready == \*STDIN) {
                        exit 0 if !sysread STDIN, my $byte, 1;
                        next;
                }
                my $client = $server->accept or next;
                next if fork;
                serve($client);
                exit 0;
        }
}

#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Stands between a client and a registry and does what networks and bad servers do, for tests.
#
#   fault_proxy.pl UPSTREAM-HOST:PORT RULES LOG
#
# Prints its port; ends with its standard input. RULES is read anew for each request, a line each:
#
#   REGEX ACTION [TIMES]      REGEX is matched against "METHOD PATH"; TIMES: then it is used up
#
#   cut=N          the body ends after N bytes, the connection closes; the length said was right
#   short=N        the same, and Content-Length says N
#   long=N         Content-Length says N bytes more than come
#   status=CODE[,Header:_value...]   an empty answer; '_' is a space, '~' a comma
#   redirect=URL   302; PORT and SELF in URL stand for this proxy's port and address, PATH for the path
#   drip=N         N bytes a second, but at least 4
#   stall          headers, then nothing for ever
#   hang           not even headers
#   garbage        not HTTP
#   corrupt=N      byte N of the body is changed
#   norange        the client's Range is dropped: always the whole
#   badrange       206 whose Content-Range says another place
#   tworanges      206 with two Content-Range headers
#   lie416         416 with the length of the whole, and a short body
#   encode         Content-Encoding: gzip on top
#   html           200 text/html
#   file=PATH,TYPE[,Header:_value...]  200 with that file (%DIGEST in a header: its sha256)
#   endless=TYPE   a chunked body without an end
#   drop=Header    the answer without that header
#   set=Header:_value  the answer with that header instead
#   lower          a reset before anything is answered
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use IO::Select;
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);

my ($upstream, $rules, $log) = @ARGV;
$SIG{PIPE} = 'IGNORE';
$SIG{CHLD} = 'IGNORE';
my $server = IO::Socket::INET->new(Listen => 100, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
        or die "listen: $!";
my $port = $server->sockport;
$| = 1;
print "$port\n";

sub slurp {
        open my $f, '<:raw', $_[0] or return '';
        local $/;
        return <$f> // '';
}

# The action for a request; each line that has TIMES counts in a file of its own.
sub action_for {
        my ($request) = @_;
        my $number = 0;
        for my $line (split /\n/, slurp($rules)) {
                $number++;
                next if $line =~ /^\s*(#|$)/;
                my ($regex, $action, $times) = split ' ', $line;
                $regex =~ s/_/ /g if $regex !~ /\\/;
                next unless $request =~ /$regex/;
                if (defined $times) {
                        open my $count, '>>', "$rules.$number" or die;
                        flock $count, 2;
                        next if -s "$rules.$number" >= $times;
                        syswrite $count, '.';
                        close $count;
                }
                return $action;
        }
        return '';
}

sub read_head {
        my ($from) = @_;
        my $head = '';
        while ($head !~ /\r\n\r\n/) {
                my $n = sysread $from, my $part, 65536;
                return undef unless $n;
                $head .= $part;
                if (ord($head) == 0x16) { # TLS: as a server answers that does not speak it
                        syswrite $from, "HTTP/1.0 400 Bad Request\r\n\r\n";
                        return undef;
                }
        }
        my ($lines, $rest) = split /\r\n\r\n/, $head, 2;
        my ($first, @lines) = split /\r\n/, $lines;
        return ($first, [@lines], $rest);
}

sub header {
        my ($lines, $name) = @_;
        for (@$lines) { return $1 if /^\Q$name\E:\s*(.*)/i }
        return undef;
}

sub read_rest {
        my ($from, $body, $length) = @_;
        while (!defined $length || length $body < $length) {
                my $n = sysread $from, my $part, 65536;
                last unless $n;
                $body .= $part;
        }
        return $body;
}

sub send_all {
        my ($to, $data) = @_;
        my $at = 0;
        while ($at < length $data) {
                my $n = syswrite $to, $data, length($data) - $at, $at;
                exit 0 unless defined $n;
                $at += $n;
        }
}

sub send_answer {
        my ($to, $status, $lines, $body) = @_;
        send_all($to, join("\r\n", "HTTP/1.1 $status X", @$lines, 'Connection: close') . "\r\n\r\n" . $body);
}

sub forward {
        my ($method, $path, $lines, $body) = @_;
        my $to = IO::Socket::INET->new(PeerAddr => $upstream) or return (502, [], '');
        my @kept = grep { !/^(connection|host|expect):/i } @$lines;
        send_all($to, join("\r\n", "$method $path HTTP/1.1", @kept, "Host: 127.0.0.1:$port", 'Connection: close')
                . "\r\n\r\n" . $body);
        my ($first, $head, $rest) = read_head($to);
        return (502, [], '') unless defined $first;
        my $length = $method eq 'HEAD' || $first =~ / (204|304) / ? 0 : header($head, 'Content-Length');
        my ($status) = $first =~ m{^HTTP/\S+ (\d+)};
        my $got = read_rest($to, $rest, $length);
        return ($status, [grep { !/^connection:/i } @$head], $got);
}

sub without { my ($lines, $name) = @_; return [grep { !/^\Q$name\E:/i } @$lines] }

sub made {
        my ($status, @headers) = @_;
        tr/_~/ ,/ for @headers;
        return ($status, [@headers, 'Content-Length: 0'], '');
}

sub serve {
        my ($client) = @_;
        my ($first, $lines, $body) = read_head($client);
        return unless defined $first;
        my ($method, $path) = split / /, $first;
        $body = read_rest($client, $body, header($lines, 'Content-Length') // 0);
        my $action = action_for("$method $path");
        open my $l, '>>', $log or die;
        syswrite $l, "$method $path range=" . (header($lines, 'Range') // '-') . ' auth='
                . (header($lines, 'Authorization') // '-') . " action=$action\n";
        close $l;
        my ($what, $value) = split /=/, $action, 2;
        $what //= '';
        if ($what eq 'lower') {
                setsockopt $client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
                return;
        }
        if ($what eq 'hang') { sleep 600; return }
        if ($what eq 'garbage') { send_all($client, join '', map { chr int rand 256 } 1 .. 4000); return }
        if ($what eq 'status') { return send_answer($client, made(split /,/, $value)) }
        if ($what eq 'html') {
                my $page = '<html><body>Please log in</body></html>';
                return send_answer($client, 200, ['Content-Type: text/html', 'Content-Length: ' . length $page], $page);
        }
        if ($what eq 'redirect') {
                $value =~ s/SELF/127.0.0.1:$port/;
                $value =~ s/PORT/$port/;
                $value =~ s/PATH/$path/;
                return send_answer($client, 302, ["Location: $value", 'Content-Length: 0'], '');
        }
        if ($what eq 'file') {
                my ($file, $type, @headers) = split /,/, $value;
                my $content = slurp($file);
                my $digest = 'sha256:' . sha256_hex($content);
                s/%DIGEST/$digest/ for @headers;
                tr/_~/ ,/ for @headers;
                unshift @headers, "Content-Type: $type" if $type ne '-';
                return send_answer($client, 200, [@headers, 'Content-Length: ' . length $content],
                        $method eq 'HEAD' ? '' : $content);
        }
        if ($what eq 'endless') {
                send_all($client, "HTTP/1.1 200 OK\r\nContent-Type: $value\r\nTransfer-Encoding: chunked\r\n\r\n");
                send_all($client, sprintf("%x\r\n%s\r\n", 65536, ' ' x 65536)) while 1;
        }
        $lines = without($lines, 'Range') if $what eq 'norange';
        my ($status, $head, $got) = forward($method, $path, $lines, $body);
        my $length = length $got;
        $head = without($head, $value) if $what eq 'drop';
        if ($what eq 'set') {
                my ($name, $text) = split /:/, $value, 2;
                $text =~ s/_/ /g;
                $head = [@{ without($head, $name) }, "$name:$text"];
        }
        if ($what eq 'corrupt' && $value < $length) { substr($got, $value, 1) ^= "\x01" }
        if ($what eq 'cut') { $got = substr $got, 0, $value }
        if ($what eq 'short') {
                $got = substr $got, 0, $value;
                $head = [@{ without($head, 'Content-Length') }, "Content-Length: $value"];
        }
        if ($what eq 'long') { $head = [@{ without($head, 'Content-Length') }, 'Content-Length: ' . ($length + $value)] }
        if ($what eq 'encode') { push @$head, 'Content-Encoding: gzip' }
        if ($what eq 'badrange' && $status == 206) {
                $head = [@{ without($head, 'Content-Range') }, 'Content-Range: bytes 0-' . ($length - 1) . "/$length"];
        }
        if ($what eq 'tworanges' && $status == 206) { push @$head, "Content-Range: bytes 0-1/2" }
        if ($what eq 'lie416') {
                $status = 416;
                $head = ["Content-Length: 99999999"];
                $got = 'no';
        }
        if ($what eq 'stall') { send_answer($client, $status, $head, ''); sleep 600; return }
        if ($what eq 'drip') {
                send_answer($client, $status, $head, '');
                my $step = int($value / 4) || 1;
                for (my $at = 0; $at < $length; $at += $step) {
                        send_all($client, substr $got, $at, $step);
                        select undef, undef, undef, 0.25;
                }
                return;
        }
        send_answer($client, $status, $head, $got);
}

my $select = IO::Select->new($server, \*STDIN);
my @children;
$SIG{TERM} = sub { kill 'KILL', @children; exit 0 };
while (1) {
        for my $ready ($select->can_read) {
                if ($ready == \*STDIN) {
                        next if sysread STDIN, my $byte, 1;
                        kill 'KILL', @children;
                        exit 0;
                }
                my $client = $server->accept or next;
                my $pid = fork;
                if (!$pid) {
                        close $server;
                        $SIG{TERM} = 'DEFAULT';
                        binmode $client;
                        serve($client);
                        close $client;
                        exit 0;
                }
                push @children, $pid;
                close $client;
        }
}

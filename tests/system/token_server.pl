#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A token server as registries want it, for tests: one user, RS256, everything that is asked for.
#   token_server.pl KEY.pem CERT.pem ISSUER USER:PASSWORD LOG
# Prints its port. Ends with its standard input. Options by environment: EXPIRES (seconds), FIELD
# ("token" or "access_token").
use strict;
use warnings;
use IO::Select;
use IO::Socket::INET;
use IPC::Open2;
use JSON::PP;
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64);

my ($key, $cert, $issuer, $login, $log) = @ARGV;
my $server = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', LocalPort => 0, ReuseAddr => 1)
        or die "listen: $!";
$| = 1;
print $server->sockport, "\n";
my $json = JSON::PP->new->canonical;

sub slurp {
        open my $f, '<', $_[0] or die "$_[0]: $!";
        local $/;
        return <$f>;
}

sub sign {
        my $pid = open2(my $out, my $in, 'openssl', 'dgst', '-sha256', '-sign', $key);
        binmode $out;
        print $in $_[0];
        close $in;
        local $/;
        my $signature = <$out>;
        waitpid $pid, 0;
        return $signature;
}

sub unescape {
        my ($text) = @_;
        $text =~ tr/+/ /;
        $text =~ s/%([0-9A-Fa-f]{2})/chr hex $1/ge;
        return $text;
}

sub token {
        my ($service, $account, @scopes) = @_;
        my $der = join '', grep { !/-----/ } split /\n/, slurp($cert);
        my @access;
        for my $scope (map { split / / } @scopes) {
                my ($type, $name, $actions) = $scope =~ /^(\w+):(.*):([^:]*)$/ or next;
                push @access, { type => $type, name => $name, actions => [ split /,/, $actions ] };
        }
        my $now = time;
        my $head = $json->encode({ typ => 'JWT', alg => 'RS256', x5c => [$der] });
        my $body = $json->encode({ iss => $issuer, sub => $account, aud => $service,
                        exp => $now + ($ENV{EXPIRES} // 300), nbf => $now - 10, iat => $now - 10,
                        jti => "$now$$", access => \@access });
        my $text = encode_base64url($head) . '.' . encode_base64url($body);
        return $text . '.' . encode_base64url(sign($text));
}

sub answer {
        my ($client) = @_;
        my ($first, %head);
        while (my $line = <$client>) {
                $line =~ s/\r?\n$//;
                last if $line eq '';
                if (!defined $first) { $first = $line; next }
                my ($name, $value) = split /:\s*/, $line, 2;
                $head{lc $name} = $value;
        }
        return unless defined $first;
        my ($method, $path) = split / /, $first;
        my $query = $path =~ /\?(.*)/ ? $1 : '';
        if ($method eq 'POST') {
                read $client, my $form, $head{'content-length'} // 0;
                $query = $form;
        }
        my (%q, @scopes);
        for (split /&/, $query) {
                my ($name, $value) = map { unescape($_) } split /=/, $_, 2;
                if ($name eq 'scope') { push @scopes, $value } else { $q{$name} = $value }
        }
        my $auth = ($head{authorization} // '') =~ /^Basic (.*)/ ? decode_base64($1) : '';
        my $ok = $auth eq $login || ($q{refresh_token} // '') eq 'the-identity-token';
        open my $l, '>>', $log or die "$log: $!";
        print $l "$method scopes=@scopes ", ($ok ? 'accepted' : "refused"), "\n";
        close $l;
        if (!$ok) {
                print $client "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
                return;
        }
        my $body = $json->encode({ ($ENV{FIELD} // 'token') => token($q{service} // '', 'user', @scopes),
                        expires_in => ($ENV{EXPIRES} // 300) + 0 });
        printf $client "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                . "Connection: close\r\n\r\n%s", length $body, $body;
}

my $select = IO::Select->new($server, \*STDIN);
while (1) {
        for my $ready ($select->can_read) {
                if ($ready == \*STDIN) {
                        exit 0 if !sysread STDIN, my $byte, 1;
                        next;
                }
                my $client = $server->accept or next;
                answer($client);
                close $client;
        }
}

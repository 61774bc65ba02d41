#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Changes that leave the VM as it is: ports, aliases, health test, restart policy, labels, grace.
. tests/vm/lib.sh

one=$(free_port)
two=$(free_port)
# manifest PORTS ALIAS EXTRA...: the stack in $test_dir/s.yaml
manifest() {
        ports=$1 alias=$2
        shift 2
        cat >"$test_dir/s.yaml" <<END
name: shop
services:
  web:
    image: hello-web
    command: [httpd, -f, -p, "80"]
    ports: [$ports]
    networks: {default: {aliases: [$alias]}}
    x-berth: {healthcheck: {http: {port: 80, path: /nothing, status: 404}}}
    healthcheck: {interval: 1s}
  app:
    image: hello-web
    command: [sleep, "100000"]
    depends_on: {web: {condition: service_healthy}}
END
        for line; do
                sed -i "s|^  app:|    $line\n  app:|" "$test_dir/s.yaml"
        done
}
status() {
        curl -s -o /dev/null -m 5 -w '%{http_code}' "http://127.0.0.1:$1/"
}

manifest "\"$one:80\"" first
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "a service tested over http by berth is healthy, its dependant starts" ||
        printf '%s\n' "$out" | sed 's/^/# /'
ids=$(berth ps shop -o json | jq -r '.[].id')
is "$(status "$one")" 404 "it answers on its port"

# A connection that is there before the change, and used after it.
mkfifo "$test_dir/request"
perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$ARGV[0]") or die;
        open(my $go, "<", $ARGV[1]) or die;
        print $s "GET /kept HTTP/1.0\r\n\r\n";
        print scalar <$s>;' "$one" "$test_dir/request" >"$test_dir/kept" &
client=$!

manifest "\"$one:80\", \"$two:80\"" second 'labels: {a: b}' 'restart: always' 'stop_grace_period: 3s'
like "$(berth diff -f "$test_dir/s.yaml")" 'ports' "diff shows the ports"
unlike "$(berth diff -f "$test_dir/s.yaml")" 'replace' "and replaces nothing"
run berth apply -f "$test_dir/s.yaml" --timeout 1m
is "$code" 0 "apply"
is "$(berth ps shop -o json | jq -r '.[].id')" "$ids" "the VMs are the same"
wait_event 'shop/web/1 .*updated' 20
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(status "$two")" = 404 ]' 20
is "$(status "$two")" 404 "the new port answers"
: >"$test_dir/request"
wait "$client"
like "$(cat "$test_dir/kept")" '404' "a connection to the other one was kept"
like "$(berth exec shop/app -- wget -S -O - http://second/ 2>&1)" '404' "the new alias leads there"
like "$(berth exec shop/app -- wget -O - http://first/ 2>&1)" 'bad address' "the old one is gone"

manifest "\"$two:80\"" second
run berth apply -f "$test_dir/s.yaml" --timeout 1m
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(status "$one")" = 000 ]' 20
is "$(status "$one")" 000 "a port that is not wanted any more is closed"

three=$(free_port)
manifest "\"$two:80\", \"$three:80\"" second
perl -MIO::Socket::INET -e '
        my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => "127.0.0.1:$ARGV[0]") or die;
        system("timeout", "30", "berth", "apply", "-f", $ARGV[1], "--timeout", "20s");
        my $code = $? >> 8;
        system("timeout", "30", "berth", "why", "shop/web");
        exit($code)' "$three" "$test_dir/s.yaml" >"$test_dir/out" 2>&1
is "$?" 1 "an apply with a port that is taken fails"
like "$(cat "$test_dir/out")" "port $three cannot be published" "and says so"
like "$(cat "$test_dir/out")" 'next try in' "and that it is tried again"
is "$(status "$two")" 404 "the service goes on"
wait_event 'shop/web/1 .*port-published' 90
is "$(status "$three")" 404 "when it is free it is published, without another apply"
run berth apply -f "$test_dir/s.yaml" --timeout 1m
is "$code" 0 "which finds nothing wrong"
is "$(berth ps shop -o json | jq -r '.[].id')" "$ids" "all in the same VMs"

berth exec shop/web -- killall httpd >/dev/null 2>&1
wait_event 'shop/web/1 .*exited' 20
finish

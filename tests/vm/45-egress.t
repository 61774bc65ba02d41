#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The way out of a network: what may leave, what may not, names from outside, and what happens when
# slirp4netns is not there, or ends.
. tests/vm/outside.sh
. tests/vm/lib.sh

trap 'cleanup; outside_cleanup' EXIT
outside_start
outside ip addr add 198.51.100.3/24 dev host0
nsenter -t "$outside_pid" -n perl tests/vm/outside_dns.pl 198.51.100.3 own >"$outside_dir/own" &
outside_pids="$outside_pids $!"

cat >"$test_dir/s.yaml" <<'END'
name: out
x-box: &box
  image: hello-web
  pull_policy: never
  command: sh -c 'mkdir -p /w; echo inside >/w/index.html; exec httpd -f -p 80 -h /w'
  stop_grace_period: 1s
services:
  web:
    <<: *box
    networks: [front, inner]
    extra_hosts: ["host.docker.internal:host-gateway"]
  inner: {<<: *box, networks: [inner]}
  own:
    <<: *box
    networks: {front: , lab: {gw_priority: -1}}
    dns: [198.51.100.77, 198.51.100.3, "2001:db8::53"]
    dns_search: [example.org]
    dns_opt: ["timeout:9"]
  lab: {<<: *box, networks: [lab], dns: [198.51.100.3, 10.77.9.250]}
  shut: {<<: *box, networks: [front], cap_add: [NET_ADMIN], x-berth: {egress: false}}
networks:
  front:
  inner: {internal: true}
  lab: {internal: true, ipam: {config: [{subnet: 10.77.9.0/24}]}}
END
mkdir "$test_dir/bin"
mkfifo "$test_dir/slirp"
cat >"$test_dir/bin/slirp4netns" <<END
#!/bin/sh
[ ! -p "$test_dir/slirp" ] || read -r _ <"$test_dir/slirp"
exec $(command -v slirp4netns) "\$@"
END
chmod +x "$test_dir/bin/slirp4netns"
PATH=$test_dir/bin:$PATH
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'

fetch() { # SERVICE URL: the page, or why not
        berth exec "out/$1" -- timeout 5 wget -q -O - "$2" 2>&1
}
# What is sent before there is a way out is not lost: slirp4netns waits for this test to go on.
berth exec out/web -- timeout 60 wget -q -O - http://198.51.100.1:8000/ >"$test_dir/early" 2>&1 &
fetch=$!
berth exec out/web -- timeout 20 sh -c 'until grep -q " 02 " /proc/net/tcp; do :; done' # SYN-SENT
ok $? "a VM sends something before there is a way out"
echo go >"$test_dir/slirp"
rm "$test_dir/slirp"
wait "$fetch"
is "$(cat "$test_dir/early")" "this is outside" "and gets its answer when there is one"
is "$(fetch web http://198.51.100.1:8000/)" "this is outside" "a VM reaches the outside"
is "$(fetch web http://web.example.org:8000/)" "this is outside" "by name"
is "$(fetch web http://inner.test/)" inside "names of the stack are answered here"
unlike "$(cat "$outside_dir/dns")" 'test|^inner$' "and nobody else is asked for them"
is "$(fetch web http://shut/)" inside "a service without egress is reached"

is "$(fetch own http://own.example.org:8000/)" "this is outside" "a service's own name server"
is "$(fetch own http://own/)" inside "names of the stack go above what dns_search finds"
like "$(fetch own http://web.example.org:8000/)" 'bad address' "what only the host's servers know is unknown"
is "$(fetch own http://web/)" inside "names of the stack are known as before"
like "$(berth exec out/own -- cat /etc/resolv.conf | tr '\n' '|')" \
        '^search example.org.nameserver 10[.0-9]*.options timeout:9.$' "which is asked by way of the gateway"
mkfifo "$test_dir/lab"
exec 5<>"$test_dir/lab"
pid=$(berth network ls -o json | jq -r '.[] | select(.name == "lab") | .pid')
nsenter -t "$pid" -n ip addr add 10.77.9.250/32 dev br0
nsenter -t "$pid" -n perl tests/vm/outside_dns.pl 10.77.9.250 lab >"$test_dir/lab" &
outside_pids="$outside_pids $!"
read -r _ <&5
like "$(berth exec out/lab -- nslookup lab.example.org 2>&1)" '198\.51\.100\.1$' \
        "a name server of an internal network, which is asked from within"
unlike "$(cat "$outside_dir/own")" '^lab' "one outside is not"

like "$(fetch web http://nowhere.example.org/)" 'bad address' "a name that does not exist"
like "$(fetch web http://web.example/)" 'bad address' "another one"

front=$(berth network inspect out/front -o json 2>/dev/null | jq -r '.gateway // empty')
front=${front:-$(berth exec out/shut -- sed -n 's/^nameserver //p' /etc/resolv.conf)}
pid=$(berth network ls -o json | jq -r '.[] | select(.name == "front" and .stack == "out") | .pid')
like "$(fetch inner http://198.51.100.1:8000/)" 'Network is unreachable' "an internal network has no way out"
like "$(fetch inner http://web.example.org:8000/)" 'bad address' "and knows no names from outside"
like "$(fetch shut http://198.51.100.1:8000/)" 'unreachable' "egress: false of a service: no route"
berth exec out/shut -- ip route add default via "$front"
like "$(fetch shut http://198.51.100.1:8000/)" 'unreachable|Permission denied|prohibited|No route' \
        "nor one that it makes itself"
like "$(fetch shut http://web.example.org:8000/)" 'bad address' "and no names"

# A question by TCP, for a name that is answered so only.
question='\000\041\022\064\001\000\000\001\000\000\000\000\000\000\003big\007example\003org\000\000\001\000\001'
like "$(berth exec out/web -- sh -c "(printf '$question'; sleep 4) | timeout 5 nc $front 53 | od -An -tx1 | tr -d ' \n'")" \
        '^..1234.*c6336401$|^....1234.*c6336401$' "a name by TCP"
is "$(fetch web http://host.docker.internal:8002/)" "this is host" "host-gateway is the host"
for address in 127.0.0.1 169.254.250.2 169.254.250.3 169.254.250.100 "$front" 198.51.100.2; do
        unlike "$(fetch web "http://$address:8001/")" 'this is' "the host's loopback is not at $address"
done
outside sh -c 'ip addr add 10.192.3.4/32 dev lo' # an address that berth gives to no VM here
is "$(berth exec out/web -- sh -c 'for i in 1 2 3 4 5 6 7 8; do
        timeout 9 wget -q -O - http://198.51.100.1:8000/ & done; wait' | sort | uniq -c | tr -s ' ')" \
        " 8 this is outside" "eight connections at a time"

slirp_of() { # pids of slirp4netns of this test
        for p in $(pgrep -x slirp4netns); do
                grep -qsaF "BERTH_TEST=$test_dir" "/proc/$p/environ" && echo "$p"
        done
}
is "$(slirp_of | wc -l | tr -d ' ')" 1 "one slirp4netns: internal networks have none"
slirp=$(slirp_of)
is "$(readlink "/proc/$slirp/root")" / "it has a root of its own"
is "$(find "/proc/$slirp/root/" -maxdepth 1 -name home)" "" "with nothing of the host"
like "$(sed -n 's/^Seccomp:\t//p' "/proc/$slirp/status")" '^2$' "and few system calls"
kill -9 "$slirp"
wait_event 'way out'
ok $? "an event tells that it was killed"
wait_event 'has a way out again' 20
ok $? "it is started again"
is "$(fetch web http://198.51.100.1:8000/)" "this is outside" "and works"

kill -9 "$(pgrep -x berthd | while read -r p; do grep -qsaF "BERTH_TEST=$test_dir" "/proc/$p/environ" && echo "$p"; done)"
slirp=$(slirp_of)
is "$(fetch web http://198.51.100.1:8000/)" "this is outside" "the next daemon finds all as it was"
is "$(slirp_of)" "$slirp" "with the same slirp4netns"
kill -9 "$pid"
wait_event 'network-lost'
ok $? "netd is killed"
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(berth ps out -o json | jq "[.[] | select(.state == \"running\")] | length")" = 5 ]' 60
ok $? "the network comes again"
is "$(fetch web http://198.51.100.1:8000/)" "this is outside" "with its way out"
is "$(slirp_of | wc -l | tr -d ' ')" 1 "and one slirp4netns"
run berth delete out --timeout 60s
is "$code" 0 "delete"
is "$(slirp_of)" "" "no slirp4netns is left"
berth system stop --vms >/dev/null 2>&1

rm "$test_dir/bin/slirp4netns"
find /usr/bin /usr/sbin /bin /sbin -maxdepth 1 ! -name 'slirp4netns' -exec ln -sf {} "$test_dir/bin/" \; 2>/dev/null
old_path=$PATH
PATH=$PWD/${BUILD:-build}/bin:$test_dir/bin
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "without slirp4netns services run" || printf '%s\n' "$out" | sed 's/^/# /'
wait_event 'slirp4netns is not installed.*apt install slirp4netns' 20
ok $? "an event tells what is missing"
like "$(fetch web http://198.51.100.1:8000/)" 'unreachable|No route' "what goes out is answered at once"
PATH=$old_path
finish

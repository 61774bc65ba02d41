#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A killed VM is replaced and leaves the others alone; a killed daemon is not noticed by anyone.
. tests/vm/lib.sh

stack=$(hello_stack "$(free_port)")
run berth apply -f "$stack" --timeout 5m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'

# id and boot id of every VM but the given service's
others() {
        berth ps -o json | jq -r --arg not "$1" '.[] | select(.service != $not) | "\(.name) \(.id) \(.boot_id)"' | sort
}

# replaced SERVICE ID: a healthy VM other than ID runs the service
# shellcheck disable=SC2317 # wait_for evaluates it
replaced() {
        [ "$(berth ps -o json | jq -r --arg s "$1" --arg id "$2" \
                '.[] | select(.service == $s and .health == "healthy" and .id != $id) | .service')" ]
}

before=$(others web)
old=$(field_of hello web 1 .id)
kill -9 "$(field_of hello web 1 .pid)"
wait_for "replaced web $old"
ok $? "a killed QEMU is replaced by a healthy one"
is "$(others web)" "$before" "the others are untouched"
like "$(berth events)" 'hello/web/1 .*failed.*vmm' "an event tells why"
like "$(berth exec hello/app -- wget -q -O - http://web/ 2>&1)" 'virtual machine' "app reaches the new one"

vms() {
        berth ps -o json | jq -r '.[] | "\(.name) \(.id) \(.pid) \(.boot_id) \(.health)"' | sort
}

cat >"$test_dir/tick.yaml" <<'END'
name: tick
services:
  tick:
    image: hello-web
    command: [sh, -c, 'i=0; while :; do i=$$((i + 1)); echo "line $$i"; usleep 20000; done']
END
run berth apply -f "$test_dir/tick.yaml" --timeout 2m
is "$code" 0 "a service that prints without end runs"
timeout 60 berth logs -f tick | grep -qm1 'line 100$'
before=$(vms)
daemon=$(berth version -o json | jq -r .server.pid)
kill -9 "$daemon"
is "$(vms)" "$before" "after kill -9 of berthd every VM is as it was"
unlike "$(berth version -o json | jq -r .server.pid)" "^$daemon\$" "by another berthd"
timeout 60 berth logs -f tick | grep -qm1 'line 400$'
lines=$(berth logs tick | sed -n 's/.*line //p' | head -n 400 | tr '\n' ' ')
is "$lines" "$(seq 1 400 | tr '\n' ' ')" "the log has no gap and nothing twice"
like "$(curl -fsS "$(berth ps -o json | jq -r '.[] | select(.service == "web").ports[0] | "http://\(.host_ip):\(.host_port)/"')")" \
        'virtual machine' "the published port serves"

kill -9 "$(field_of hello db 1 .pid)"
old=$(field_of hello db 1 .id)
wait_for "replaced db $old"
ok $? "the new daemon restarts, too"

netd=$(berth network ls -o json | jq -r '.[] | select(.name == "front").pid')
kill -9 "$netd"
# shellcheck disable=SC2317 # wait_for evaluates it
reaches_web() {
        berth exec "hello/app/$1" -- wget -q -O /dev/null http://web/ 2>/dev/null
}
wait_for 'reaches_web 1 && reaches_web 2'
ok $? "a killed netd is replaced with its VMs"
finish

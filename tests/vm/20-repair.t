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

# shellcheck disable=SC2016 # for the guest's shell
timeout 60 berth exec hello/web -- sh -c 'i=0; while [ $i -lt 400 ]; do i=$((i + 1)); echo "line $i" >/proc/1/fd/1; sleep 0.05; done' &
timeout 60 berth logs -f hello/web | grep -qm1 'line 20$'
before=$(vms)
daemon=$(berth version -o json | jq -r .daemon.pid)
kill -9 "$daemon"
wait
is "$(vms)" "$before" "after kill -9 of berthd every VM is as it was"
unlike "$(berth version -o json | jq -r .daemon.pid)" "^$daemon\$" "by another berthd"
last=$(berth logs hello/web | sed -n 's/.*line //p' | tail -n 1)
is "$(berth logs hello/web | sed -n 's/.*line //p' | tr '\n' ' ')" "$(seq 1 "$last" | tr '\n' ' ')" \
        "the log has no gap and nothing twice (up to line $last)"
like "$(curl -fsS "$(berth ps -o json | jq -r '.[] | select(.service == "web").ports[0] | "http://\(.host_ip):\(.host_port)/"')")" \
        'virtual machine' "the published port serves"

kill -9 "$(field_of hello db 1 .pid)"
old=$(field_of hello db 1 .id)
wait_for "replaced db $old"
ok $? "the new daemon restarts, too"

netd=$(berth network ls -o json | jq -r '.[] | select(.name == "front").pid')
kill -9 "$netd"
reaches_web() {
        berth exec "hello/app/$1" -- wget -q -O /dev/null http://web/ 2>/dev/null
}
wait_for 'reaches_web 1 && reaches_web 2'
ok $? "a killed netd is replaced with its VMs"
finish

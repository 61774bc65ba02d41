#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What somebody changes behind berth's back is noticed without a scan, repaired, and recorded.
. tests/vm/lib.sh

port=$(free_port)
cat >"$test_dir/stack.yaml" <<END
name: drift
services:
  web:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    ports: ["127.0.0.1:$port:80"]
    volumes: ["data:/data"]
    healthcheck: {test: [CMD, wget, -q, -O, /dev/null, http://127.0.0.1/hostname], interval: 1s}
  other:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    networks: [apart]
    healthcheck: {test: [CMD, "true"], interval: 200ms, timeout: 1s, retries: 2}
networks: {default: {}, apart: {}}
volumes: {data: {}}
END
run berth apply -f "$test_dir/stack.yaml" --timeout 2m
is "$code" 0 "a stack runs" || printf '%s\n' "$out" | sed 's/^/# /'

# shellcheck disable=SC2317,SC2329 # wait_for evaluates these
serves() {
        curl -fsS -m 2 "http://127.0.0.1:$port/hostname" >"$test_dir/page" 2>/dev/null
}
# shellcheck disable=SC2317,SC2329
replaced() {
        [ "$(berth ps -o json | jq -r --arg s "$1" --arg id "$2" \
                '.[] | select(.service == $s and .state == "running" and .id != $id) | .service')" ]
}
netd_of() {
        berth network ls -o json | jq -r --arg n "$1" '.[] | select(.name == $n).pid'
}
in_netns() {
        netd=$1
        shift
        nsenter -t "$netd" -n -U --preserve-credentials "$@" 2>/dev/null || nsenter -t "$netd" -n "$@"
}

untouched=$(field_of drift other 1 .id)
old=$(field_of drift web 1 .id)
in_netns "$(netd_of default)" ip link del vm0
wait_for "replaced web $old && serves" 30
ok $? "a removed tap: its VM is replaced"
like "$(berth events)" 'drift/web/1 .*failed.*vmm.*removed the tap' "an event tells why"

old=$(field_of drift web 1 .id)
in_netns "$(netd_of default)" ip link del br0
wait_for "replaced web $old && serves" 30
ok $? "a removed bridge: the network is made anew, with its VM"
like "$(berth events)" 'network-lost.*removed the bridge' "an event tells why"

old=$(field_of drift web 1 .id)
kill -9 "$(pgrep -x -P "$(netd_of default)" netd-host)"
wait_for "replaced web $old && serves" 30
ok $? "the process that opens host ports was killed: the port is published again"
like "$(berth events)" 'network-lost.*opens host ports' "an event tells why"

old=$(field_of drift web 1 .id)
rm -rf "$BERTH_ROOT/run/vm/$old"
is "$(berth exec drift/web -- echo fine)" fine "a VM whose folder was removed goes on"
kill -9 "$(field_of drift web 1 .pid)"
wait_for "replaced web $old && serves" 30
ok $? "and is replaced when it dies"

daemon=$(berth version -o json | jq -r .server.pid)
rm -f "$BERTH_ROOT/run/berth.sock"
timeout 20 tail -n +1 -f "$BERTH_ROOT/berthd.log" | grep -qm1 'berth.sock: made again'
is "$(berth version -o json | jq -r .server.pid)" "$daemon" "the API's socket was removed: the same daemon made it again"

berth exec drift/web -- sh -c 'echo kept >/data/file && sync'
mv "$BERTH_ROOT/volumes/drift_data/disk.ext4" "$test_dir/aside"
kill -9 "$(field_of drift web 1 .pid)"
wait_event 'drift/web/1 .*volume drift_data has lost its data.*volume rm drift_data' 30
ok $? "a volume without its disk: the service does not start on an empty one, and is told so"
mv "$test_dir/aside" "$BERTH_ROOT/volumes/drift_data/disk.ext4"
wait_for serves 60
is "$(berth exec drift/web -- cat /data/file)" kept "the disk is back: the service runs with its data"

kill -STOP "$(field_of drift other 1 .pid)"
wait_event 'drift/other/1 +unhealthy' 30
ok $? "a VM that was paused is unhealthy"
kill -CONT "$(field_of drift other 1 .pid)"
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(field_of drift other 1 .health)" = healthy ]' 30
ok $? "and healthy when it goes on"
is "$(field_of drift other 1 .id)" "$untouched" "nothing of this touched the other network's VM"
finish

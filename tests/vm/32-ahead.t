#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A service that waits for others has its VM made meanwhile: nobody sees it, it runs nothing, and it is
# gone when it is not wanted any more, or with the daemon.
. tests/vm/lib.sh

cat >"$test_dir/s.yaml" <<'END'
name: wait
services:
  first: &service
    image: hello-web
    command: [sh, -c, "cat /proc/sys/kernel/random/uuid; date +%s; exec sleep 1000"]
    stop_grace_period: 0s
    healthcheck: {test: [CMD, test, -f, /tmp/go], interval: 1s, retries: 1000}
    deploy: {resources: {limits: {memory: 40M}}}
    networks: [one, two]
  second: &waits
    <<: *service
    depends_on: {first: {condition: service_healthy}}
    healthcheck: {disable: true}
    environment: {WORD: before}
  third: {<<: *waits, deploy: {replicas: 2, resources: {limits: {memory: 40M}}}}
networks: {one: {}, two: {}}
END
deploy() {
        berth apply -f "$test_dir/s.yaml" --detach >/dev/null 2>&1
}
# wait_ahead N: until N VMs are made ahead, and no other is being made
wait_ahead() {
        # shellcheck disable=SC2016 # the inner shell's
        timeout 60 sh -c 'until [ "$(berth system info -o json |
                jq -r ".ahead | [.made, .making] | join(\" \")")" = "$1 0" ]; do sleep 0.1; done' sh "$1"
}
# vms [ahead]: pids of QEMUs that run services, or will
vms() {
        find "$BERTH_ROOT/run/vm" -name instance.json -exec jq -r "select(${1:-true}) |
                input_filename | rtrimstr(\"/instance.json\")" {} + |
                while read -r dir; do jq .pid "$dir/vm.json"; done
}
ahead() {
        vms '.ahead == true'
}
# alive PID...: how many of them still run
alive() {
        for pid in "$@"; do kill -0 "$pid" 2>/dev/null && echo "$pid"; done | wc -l
}
await_end() {
        for pid in "$@"; do timeout 20 tail --pid="$pid" -f /dev/null; done
}
go() {
        berth exec wait/first -- touch /tmp/go
}
# started SERVICE: what its last "started" event says
started() {
        berth events wait -o json | jq -r --arg s "$1" 'select(.service == $s and .type == "started") | .message' |
                tail -n 1
}
daemon() {
        for pid in $(ours); do
                [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = berthd ] && echo "$pid"
        done
}

deploy
wait_ahead 3
ok $? "while the first service gets ready VMs are made for the three that wait"
is "$(ahead | wc -l)" 3 "they are QEMUs"
is "$(berth ps -o json | jq length)" 1 "ps shows the first one alone"
is "$(berth events wait -o json | jq -r 'select(.service == "second" or .service == "third") | .type' | wc -l)" 0 \
        "nothing has happened to the others"
is "$(berth logs wait/second 2>&1 | wc -l)" 0 "they run nothing"
like "$(berth system info)" 'ahead +3 VMs made for services that wait' "system info tells of them"
is "$(for pid in $(ahead); do ps -o ni= -p "$pid"; done | sort -u | tr -d ' ')" \
        "$([ "$(id -u)" = 0 ] && echo 10 || echo 0)" "they have low priority, which root can take back"

# Its turn comes.
sleep 2 # what is older than the go-ahead must not be told as the service's time
before=$(ahead)
asked=$(date +%s)
go
run berth wait wait --for running --timeout 1m
is "$code" 0 "when their turn comes they run"
is "$(for pid in $(vms); do echo "$pid"; done | grep -cFx "$before")" 3 "in the machines that were there"
like "$(started second)" 'its VM was made while it waited' "the event says so"
is "$(ahead | wc -l)" 0 "nothing is ahead any more"
is "$(for pid in $before; do ps -o ni= -p "$pid"; done | sort -u | tr -d ' ')" 0 "they have a priority as others"
ok "$([ "$(berth logs wait/second | tail -n 1)" -ge "$asked" ]; echo $?)" "the service began then"
is "$(berth logs wait | grep -cE '[0-9a-f]{8}-[0-9a-f-]{27}')" 4 "each has said its uuid"
is "$(berth logs wait | grep -oE '[0-9a-f]{8}-[0-9a-f-]{27}' | sort -u | wc -l)" 4 "another one"
is "$(berth exec wait/third -- sh -c 'ping -c 1 -W 10 second >/dev/null && ip -o -4 addr | grep -c eth')" 2 \
        "on both networks"
is "$(berth ps -o json | jq '[.[].restarts] | add')" 0 "nothing was restarted"
berth delete wait >/dev/null 2>&1

# kill -9 of the daemon: the next one ends them, and makes others.
deploy
wait_ahead 3
before=$(ahead)
first=$(berth ps -o json | jq -r '.[0] | [.id, .boot_id] | join(" ")')
pid=$(daemon)
kill -9 "$pid"
await_end "$pid"
wait_ahead 3
ok $? "kill -9 of berthd: the next one has VMs ahead"
# shellcheck disable=SC2086 # pids
await_end $before
# shellcheck disable=SC2086
is "$(alive $before)" 0 "those of the daemon before are gone"
is "$(berth ps -o json | jq -r '.[0] | [.id, .boot_id] | join(" ")')" "$first" "the first service ran on"
is "$(berth events | grep -c not-adopted)" 0 "which is nobody's concern"

# One that dies is not missed: the service starts in another.
pid=$(vms '.ahead == true and .service == "second"')
kill -9 "$pid"
await_end "$pid"
go
run berth wait wait --for running --timeout 1m
is "$code" 0 "kill -9 of one: all services start"
unlike "$(started second)" 'made while it waited' "that one in another VM"
like "$(started third)" 'made while it waited' "the others as before"
is "$(berth ps -o json | jq '[.[].restarts] | add')" 0 "nothing counts as a restart"
is "$(berth events | grep -c failed)" 0 "nothing has failed"
berth delete wait >/dev/null 2>&1

# What is wanted changes meanwhile.
deploy
wait_ahead 3
pid=$(vms '.ahead == true and .service == "second"')
sed -i 's/WORD: before/WORD: after/' "$test_dir/s.yaml"
deploy
await_end "$pid"
wait_ahead 3
ok $? "a change of services that wait: VMs as they are wanted now"
go
run berth wait wait --for running --timeout 1m
is "$(berth exec wait/second -- env | grep '^WORD=')" WORD=after "run what is wanted now"
like "$(started second)" 'made while it waited' "made ahead"
berth delete wait >/dev/null 2>&1

# What is not made ahead: it may be in the way of those it waits for.
while read -r what key; do
        {
                sed '/^  third:/d; /^networks:/d' "$test_dir/s.yaml"
                printf '    %s\n  third: {<<: *service, depends_on: {first: {condition: service_healthy}}' "$key"
                printf ', healthcheck: {disable: true}}\nnetworks: {one: {}, two: {}}\nvolumes: {data: {}}\n'
        } >"$test_dir/t.yaml"
        berth apply -f "$test_dir/t.yaml" --detach >/dev/null 2>&1
        wait_ahead 1
        is "$(vms '.ahead == true and .service == "second"' | wc -l)" 0 "a service with a $what waits without a VM"
        go
        run berth wait wait --for running --timeout 1m
        is "$code" 0 "and runs in its turn"
        berth delete wait --volumes >/dev/null 2>&1
done <<END
volume volumes: ["data:/data"]
folder volumes: ["$test_dir:/data"]
port ports: ["127.0.0.1:$(free_port):80"]
END

# Nothing is left of those whose turn never comes.
deploy
wait_ahead 3
before=$(ahead)
berth delete wait >/dev/null 2>&1
# shellcheck disable=SC2086
is "$(alive $before)" 0 "delete ends them"
deploy
wait_ahead 3
before=$(ahead)
berth stop wait >/dev/null 2>&1
# shellcheck disable=SC2086
await_end $before
# shellcheck disable=SC2086
is "$(alive $before)" 0 "so does stop"
berth start wait --detach >/dev/null 2>&1
wait_ahead 3
before=$(ahead)
berth system stop >/dev/null 2>&1
# shellcheck disable=SC2086
await_end $before
# shellcheck disable=SC2086
is "$(alive $before)" 0 "and the end of the daemon"
is "$(berth ps -o json | jq length)" 1 "which leaves the first service as it was"

# Without templates nothing is made ahead.
berth delete wait >/dev/null 2>&1
berth system stop >/dev/null 2>&1
BERTH_TEMPLATES=off
export BERTH_TEMPLATES
deploy
wait_for "[ \"\$(field_of wait first 1 .state)\" = running ]" 60
is "$(ahead | wc -l)" 0 "without templates no VM is made ahead"
go
run berth wait wait --for running --timeout 1m
is "$code" 0 "services start in their turn"
finish

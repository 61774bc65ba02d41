#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# post_start and pre_stop: where, as whom and in which order they run, and what their failure does.
. tests/vm/lib.sh

cat >"$test_dir/s.yaml" <<'END'
name: hooks
x-box: &box
  image: hello-web
  pull_policy: never
  command: sh -c 'trap "exit 0" TERM; while :; do sleep 1; done'
  restart: "no"
services:
  good:
    <<: *box
    environment: {A: service, B: service}
    volumes: ["data:/data"]
    stop_grace_period: 20s
    post_start:
      - {command: [chmod, "777", /data]}
      - command: sh -c 'sleep 2; echo "$$(id -u) $$(pwd) $$A $$B $$(hostname)" >/data/start'
        user: "123:0"
        working_dir: /www
        environment: [A=hook]
      - {command: [sh, -c, 'cat /data/start >>/data/order; echo second >>/data/order']}
      - {command: [sh, -c, 'grep CapEff /proc/self/status >/data/caps'], privileged: true}
      - {command: [sh, -c, 'grep CapEff /proc/self/status >>/data/caps']}
    pre_stop:
      - {command: [sh, -c, 'kill -0 1 && echo stopping >>/data/order']}
      - {command: [sh, -c, 'exit 4']}
      - {command: [sh, -c, 'echo never >>/data/order']}
  after:
    <<: *box
    command: sh -c 'cat /data/order; exec sleep 1000'
    volumes: ["data:/data:ro"]
    stop_grace_period: 1s
    depends_on: [good]
  sick:
    <<: *box
    restart: always
    healthcheck: {test: '[ ! -e /sick ]', interval: 1s, retries: 1}
    post_start: [{command: [sh, -c, 'echo started >>/order']}]
    pre_stop: [{command: [sh, -c, 'kill -0 1 && rm /sick && echo stopping >>/order; exit 5']}]
    x-berth: {on_unhealthy: restart}
  slow:
    <<: *box
    stop_grace_period: 2s
    pre_stop: [{command: [sleep, "1000"]}]
volumes: {data: {x-berth: {class: shared}}}
END
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
in_good() {
        berth exec hooks/good -- sh -c "$1" 2>&1
}
is "$(in_good 'cat /data/start')" "123 /www hook service good" \
        "user, working_dir, environment over the service's"
is "$(in_good 'cat /data/order')" "123 /www hook service good
second" "one after the other"
is "$(in_good 'cut -f 2 /data/caps | uniq | wc -l')" 2 "privileged has other capabilities"
is "$(berth logs hooks/after | tail -n 1)" second "dependants start after the last one"

run berth restart hooks/good --timeout 60s
is "$code" 0 "restart" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(in_good 'grep -c stopping /data/order')" 1 "pre_stop ran, with the service alive"
is "$(in_good 'grep -c never /data/order')" 0 "but none after the one that failed"
wait_event 'hook-failed.*pre_stop\[1\] exited 4.*stopped all the same' 30
ok $? "an event tells which, and that it is stopped"

id=$(field_of hooks sick 1 .id)
berth exec hooks/sick -- touch /sick
wait_event 'hooks/sick/1 .*started.*runs again' 60
ok $? "a service that is ended for its health"
is "$(berth exec hooks/sick -- cat /order | tr '\n' ' ') $(field_of hooks sick 1 .id)" \
        "started stopping started  $id" "has its hooks run, too, in the same VM"
wait_event 'hooks/sick/1 .*hook-failed.*pre_stop.0. exited 5.*stopped all the same' 30
ok $? "and is ended when one fails"

run berth stop hooks/slow --timeout 30s
is "$code" 0 "a pre_stop that does not end" || printf '%s\n' "$out" | sed 's/^/# /'
wait_event 'pre_stop did not end within stop_grace_period' 30
ok $? "has stop_grace_period, and an event tells"

pid=$(for p in $(ours); do [ "$(cat "/proc/$p/comm")" = berthd ] && echo "$p"; done)
kill -9 "$pid"
berth apply -f "$test_dir/s.yaml" --timeout 60s >/dev/null 2>&1 # a new one, that has found its VMs
run berth restart hooks/good --timeout 60s
is "$code" 0 "the next daemon restarts it"
is "$(in_good 'grep -c stopping /data/order')" 2 "with the hooks of the one before"

cat >"$test_dir/bad.yaml" <<'END'
name: bad
services:
  bad:
    image: hello-web
    pull_policy: never
    command: sleep 1000
    stop_grace_period: 1s
    restart: "no"
    post_start: [{command: [sh, -c, 'echo it is broken >&2; exit 7']}]
END
run berth apply -f "$test_dir/bad.yaml" --timeout 30s
unlike "$code" '^0$' "a post_start that fails: the service has not started"
like "$out" 'post_start\[0\] exited 7: it is broken' "and why"
run berth delete bad --timeout 30s
run berth delete hooks --volumes --timeout 60s
is "$code" 0 "delete"
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How a run can end, each told as what it was; a service whose guest is fine runs again in its VM,
# with its file system; a VM that died is replaced.
. tests/vm/lib.sh

cat >"$test_dir/ends.yaml" <<'END'
name: ends
x-small: &small
  image: hello-web
  restart: always
  network_mode: none
  x-berth: {memory: 96m, restart: {delay: 100ms, max_delay: 200ms}}
services:
  code:
    <<: *small
    tmpfs: [/fresh]
    command:
    - sh
    - -c
    - |
      echo x >>/runs
      [ ! -e /fresh/old ] && [ ! -e /dev/shm/old ] || echo stale >>/runs
      touch /fresh/old /dev/shm/old
      [ "$$(wc -l </runs)" -lt 3 ] || exec sleep 100000
      exit 3
  signal:
    <<: *small
    restart: "no"
    command: [sh, -c, "ulimit -t 1; while :; do :; done"]
  oom:
    <<: *small
    restart: "no"
    mem_limit: 16m
    command: [sh, -c, "exec tail /dev/zero"]
  start:
    <<: *small
    restart: "no"
    command: [no-such-program]
  boot:
    <<: *small
    sysctls: {no.such.key: "1"}
    command: [sleep, "100000"]
  killed:
    <<: *small
    command: [sleep, "100000"]
  panic:
    <<: *small
    sysctls: {vm.panic_on_oom: "2"}
    command: [tail, /dev/zero]
  sick:
    <<: *small
    command: [sleep, "100000"]
    stop_grace_period: 1s
    healthcheck: {interval: 500ms, retries: 2}
    x-berth: {memory: 96m, on_unhealthy: restart, healthcheck: {tcp: 81}, restart: {delay: 100ms, max_delay: 200ms}}
END
timeout 20 berth apply -f "$test_dir/ends.yaml" --timeout 1s >/dev/null 2>&1

wait_event 'ends/code/1 .*started .*runs again' 200
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(berth exec ends/code -- cat /runs 2>/dev/null | wc -l)" = 3 ]' 100
is "$(berth exec ends/code -- cat /runs | tr '\n' ' ')" "x x x " "three runs in one file system, with fresh tmpfs"
is "$(berth events | grep -c 'ends/code/1 .*creating')" 1 "in one VM"
is "$(berth events | grep -c 'ends/code/1 .*exited.*exit code 3')" 2 "two of them exited with a code"
like "$(berth events)" 'ends/code/1 .*restarting.*exited with code 3' "an event tells why it runs again"

wait_event 'ends/signal/1 .*exited.*exit-signal|ends/signal/1 .*exited.*signal' 100
like "$(berth why ends/signal)" 'killed by signal 9' "a signal"
wait_event 'ends/oom/1 .*exited.*oom' 100
like "$(berth why ends/oom)" 'out of memory in the guest' "the memory limit"
wait_event 'ends/start/1 .*exited' 100
like "$(berth why ends/start)" 'could not be started.*no-such-program' "a program that is not there"
wait_event 'ends/boot/1 .*failed.*boot' 100
like "$(berth events)" 'ends/boot/1 .*failed.*no.such.key' "a guest that cannot be set up"
wait_event 'ends/panic/1 .*failed.*panic' 100
ok $? "a kernel panic"
wait_event 'ends/sick/1 .*exited.*unhealthy' 100
like "$(berth events)" 'ends/sick/1 .*ending.*unhealthy: healthcheck: .*81' "a service ended for its health"
wait_event 'ends/killed/1 .*started' 100
kill -9 "$(field_of ends killed 1 .pid)"
wait_event 'ends/killed/1 .*failed.*vmm' 100
ok $? "a QEMU that was killed"
# shellcheck disable=SC2016 # wait_for evaluates it
wait_for '[ "$(berth events | grep -c "ends/killed/1 .*started")" = 2 ]' 100
ok $? "and is replaced"

berth delete ends --timeout 1m >/dev/null 2>&1

# A daemon that ends while a service waits for its next run: its end is not counted again.
cat >"$test_dir/slow.yaml" <<'END'
name: slow
services:
  a:
    image: hello-web
    restart: always
    network_mode: none
    command: [sh, -c, "echo x >>/runs; exit 1"]
    x-berth: {memory: 96m, restart: {delay: 6s, max_delay: 6s}}
END
timeout 20 berth apply -f "$test_dir/slow.yaml" --timeout 1s >/dev/null 2>&1
wait_event 'slow/a/1 .*exited' 100
daemon=$(berth version -o json | jq -r .server.pid)
kill -9 "$daemon"
timeout 10 tail --pid="$daemon" -f /dev/null
wait_for 'berth why slow/a | grep -q "exited with code 1, next try in"' 20
ok $? "the next daemon waits on"
wait_event 'slow/a/1 .*started.*runs again' 100
is "$(berth events | grep -c 'slow/a/1 .*creating')" 1 "in the same VM"
berth events >"$test_dir/events"
[ "$(grep -c 'slow/a/1  *started ' "$test_dir/events")" -ge "$(grep -c 'slow/a/1  *exited ' "$test_dir/events")" ]
ok $? "and no end is told twice"
finish

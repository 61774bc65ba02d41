#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What people are told when something is wrong: apply, why, events and inspect with real VMs.
. tests/vm/lib.sh

cat >"$test_dir/shop.yaml" <<'END'
name: shop
x-small: &small
  image: hello-web
  network_mode: none
  command: [sleep, "100000"]
  stop_grace_period: 1s
  x-berth: {memory: 96m}
services:
  sick:
    <<: *small
    healthcheck:
      test: echo connecting; echo no response; head -c 9000 /dev/zero | tr '\0' x; exit 2
      interval: 500ms
      retries: 2
  wrong:
    <<: *small
    healthcheck: {test: [CMD, no-such-test], interval: 500ms, retries: 2}
  slow:
    <<: *small
    healthcheck: {test: echo begun; exec sleep 100, interval: 500ms, timeout: 5s, retries: 1}
  needs:
    <<: *small
    depends_on: {sick: {condition: service_healthy}}
  far:
    <<: *small
    depends_on: [needs]
  ends:
    <<: *small
    command: [sh, -c, "echo config file not found; exit 3"]
END
run berth apply -f "$test_dir/shop.yaml" --timeout 3m
is "$code" 1 "apply fails"
like "$out" 'error: shop/sick: unhealthy since .*: healthcheck exited 2: connecting' "it names who is unhealthy, and why"
like "$out" '^    \| no response$' "with what the test said"
like "$out" '^    \| config file not found$' "and what a service wrote that ended"
like "$out" 'error: shop/needs: waiting for sick: unhealthy since' "and who waits for whom"
wait_event 'shop/slow/1 .*unhealthy' 60
wait_event 'shop/wrong/1 .*unhealthy' 60

out=$(berth why shop/far)
like "$out" '^far: waiting for needs: it waits for sick: unhealthy since .*: healthcheck exited 2: connecting$' "why: what it waits for"
like "$out" '^needs: waiting for sick: unhealthy since' "and what that waits for"
like "$out" '^sick: unhealthy since .*: healthcheck exited 2: connecting$' "down to the reason"
like "$out" '^  shop/sick/1: running \(unhealthy\) for .*; its last test .* ago said:$' "the VM, and its last test"
like "$out" '^    \| connecting$' "which said that"
unlike "$out" 'waiting: waiting|unhealthy: unhealthy|for -' "nothing is said twice, or is a blank"
like "$(berth why shop/wrong)" '^wrong: unhealthy since .*: healthcheck could not run: .*no-such-test' "a test that is not there"
like "$(berth why shop/slow)" '^slow: unhealthy since .*: healthcheck did not end within 5000 ms$' "one that does not end"
like "$(berth why shop/slow)" '^    \| begun$' "with what it said till then"
like "$(berth why shop/ends)" '^last output of ends:$' "what a service wrote before it ended"
is "$(berth why shop/ends | sed '1,/^last events:/d' | grep -vc ' shop/ends/1 ')" 0 "events of that service alone"
is "$(berth why shop -o json | jq -r '.services[] | select(.service == "far") | .waits_for')" needs "-o json, too"

# probes SERVICE FILTER: of the log of its only replica
probes() {
        berth inspect "shop/$1" | jq -r ".replicas[0].healthcheck.log | $2"
}
is "$(probes sick length)" 5 "inspect: the last five tests"
is "$(probes sick '[.[].exit_code] | unique | join(" ")')" 2 "their exit codes"
is "$(probes sick '[.[].output | utf8bytelength] | unique | join(" ")')" 4096 "their output is bounded"
is "$(probes sick '[.[].truncated] | unique | join(" ")')" true "and says that it is cut"
is "$(probes sick '[.[] | .start < .end] | unique | join(" ")')" true "begin and end"
is "$(probes sick '. == sort_by(.start)')" true "the oldest first"
is "$(probes wrong '.[0].exit_code')" -1 "a test that could not run"
is "$(probes slow '[.[0].exit_code, .[0].output] | join(" ")')" "-1 begun" "one that did not end" ||
        berth inspect shop/slow | jq -c '.replicas[0].healthcheck' | sed 's/^/# /'

kill -9 "$(berth version -o json | jq -r .server.pid)"
is "$(probes wrong '.[0].message' | cut -c1-26)" "healthcheck could not run:" "the next daemon knows the last tests"

cat >"$test_dir/roll.yaml" <<'END'
name: roll
services:
  web:
    image: hello-web
    network_mode: none
    command: [sleep, "100000"]
    stop_grace_period: 1s
    x-berth: {memory: 96m}
    environment: {V: "1"}
    healthcheck: {test: 'test "$$V" = 1 || { echo wrong version $$V; exit 1; }', interval: 500ms, retries: 1}
    deploy: {replicas: 2, update_config: {failure_action: pause}}
END
berth delete shop >/dev/null 2>&1
run berth apply -f "$test_dir/roll.yaml" --timeout 2m
is "$code" 0 "two replicas" || printf '%s\n' "$out" | sed 's/^/# /'
sed 's/V: "1"/V: "2"/' "$test_dir/roll.yaml" >"$test_dir/roll2.yaml"
run berth apply -f "$test_dir/roll2.yaml" --timeout 2m
is "$code" 1 "a broken update fails"
like "$out" 'unhealthy: replica 1: .*: wrong version 2, the update is paused: 1 of 2 replicas still has the previous VM$' \
        "it is paused, and told so"
like "$(berth why roll)" '^    \| wrong version 2$' "why: with what the test said"
sed 's/pause/rollback/; s/V: "1"/V: "3"/' "$test_dir/roll.yaml" >"$test_dir/roll3.yaml"
sed 's/pause/rollback/' "$test_dir/roll.yaml" >"$test_dir/roll1.yaml"
run berth apply -f "$test_dir/roll1.yaml" --timeout 2m
is "$code" 0 "back to what was well" || printf '%s\n' "$out" | sed 's/^/# /'
run berth apply -f "$test_dir/roll3.yaml" --timeout 2m
is "$code" 1 "another broken update"
like "$out" 'rollback of web: the update failed: replica 1: unhealthy: .*wrong version 3' "it is rolled back, and told why"
unlike "$out" 'paused' "not paused"
like "$(berth why roll)" '^revision [0-9]+ was taken back: rollback of web: .*wrong version 3' "why tells it, too"
finish

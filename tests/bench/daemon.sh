#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Figures of the running daemon, with real VMs: how soon a killed VM is noticed and replaced, how
# long the next daemon takes to take over VMs, what a service costs in berthd.
#
#   make bench-daemon [VMS=50]
. tests/vm/lib.sh

vms=${VMS:-50}

# now_ns: wall clock
now_ns() {
        date +%s%N
}

# event_ns TYPE: time of the last event of that type of the stack's first replica
event_ns() {
        date -d "$(berth events -o json | jq -rs --arg t "$1" '[.[] | select(.type == $t and .replica == 1)] | last | .time')" +%s%N
}

# anon_kib: memory of the daemon that is its own
anon_kib() {
        awk '$1 == "RssAnon:" { print $2 }' "/proc/$(berth version -o json | jq -r .server.pid)/status"
}

manifest() {
        cat <<END
name: idle
services:
  idle:
    image: hello-web
    command: [sleep, "100000"]
    restart: always
    scale: $1
    network_mode: none
    stop_grace_period: 0s
    x-berth: {memory: 64m, cpus: 1}
END
}

manifest 1 >"$test_dir/idle.yaml"
berth apply -f "$test_dir/idle.yaml" --timeout 3m >/dev/null 2>&1
empty=$(anon_kib)

for _ in 1 2 3 4 5; do
        # shellcheck disable=SC2034 # wait_for reads it
        id=$(field_of idle idle 1 .id)
        killed=$(now_ns)
        kill -9 "$(field_of idle idle 1 .pid)"
        killed_after=$(now_ns)
        # shellcheck disable=SC2016 # wait_for evaluates it
        wait_for '[ "$(field_of idle idle 1 .id)" != "$id" ] && [ "$(field_of idle idle 1 .state)" = running ]' 60
        noticed=$((($(event_ns failed) - killed_after) / 1000000))
        started=$((($(event_ns creating) - killed_after) / 1000000))
        echo "# killed: noticed and decided after $noticed ms, its replacement begun after $started ms (kill took $(((killed_after - killed) / 1000000)) ms)"
        echo "$noticed" >>"$test_dir/noticed"
done
echo "kill -9 of a VM to the decision: $(sort -n "$test_dir/noticed" | sed -n 3p) ms (median of 5); its delay is the back-off, 200 ms at first"

manifest "$vms" >"$test_dir/idle.yaml"
berth apply -f "$test_dir/idle.yaml" --timeout 20m >/dev/null 2>&1
running=$(berth ps idle -q | wc -l)
full=$(anon_kib)
[ "$running" -le 1 ] || echo "memory of berthd: $(((full - empty) / (running - 1))) KiB a running VM ($running VMs)"

for _ in 1 2 3; do
        daemon=$(berth version -o json | jq -r .server.pid)
        before=$(berth ps idle -o json | jq -r '.[] | "\(.id) \(.state)"' | sort)
        kill -9 "$daemon"
        timeout 10 tail --pid="$daemon" -f /dev/null
        begin=$(now_ns)
        after=$(berth ps idle -o json | jq -r '.[] | "\(.id) \(.state)"' | sort)
        took=$((($(now_ns) - begin) / 1000000))
        [ "$before" = "$after" ] || echo "# not all of them were taken over"
        echo "adoption of $running VMs, from the start of berthd to the answer of ps: $took ms"
done

{
        echo 'name: many'
        echo 'services:'
        for i in $(seq 1000); do
                echo "  s$i: {image: hello-web, scale: 0, environment: {GREETING: hello}}"
        done
} >"$test_dir/many.yaml"
before=$(anon_kib)
berth apply -f "$test_dir/many.yaml" --timeout 1m >/dev/null 2>&1
echo "memory of berthd: $((($(anon_kib) - before) * 1024 / 1000)) bytes a declared service that does not run (1,000)"
cleanup

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Figures of the running daemon, with real VMs: how soon a killed VM is noticed and replaced, how
# long the next daemon takes to take over VMs, what a service costs in berthd.
#
#   make bench-daemon [VMS=50]
. tests/vm/lib.sh

vms=${VMS:-50}
BERTH_POOL=0
export BERTH_POOL

# event_ns TYPE: time of the last event of that type of the service s1
event_ns() {
        date -d "$(berth events -o json | jq -rs --arg t "$1" '[.[] | select(.type == $t and .service == "s1")] | last | .time')" +%s%N
}

# ms_between NS NS
ms_between() {
        awk -v a="$1" -v b="$2" 'BEGIN { printf "%.1f\n", (b - a) / 1e6 }'
}

# middle: median of the numbers on standard input, and the smallest
middle() {
        sort -n | awk '{ n[NR] = $1 } END { printf "%s ms (median of %d; best %s)", n[int((NR + 1) / 2)], NR, n[1] }'
}

# anon_kib: memory of the daemon that is its own, once it idles (DAEMON_QUIET_S)
anon_kib() {
        sleep 2
        awk '$1 == "RssAnon:" { print $2 }' "/proc/$(berth version -o json | jq -r .server.pid)/status"
}

# stack COUNT: so many services that idle
stack() {
        echo 'name: idle'
        echo 'services:'
        for i in $(seq "$1"); do
                cat <<END
  s$i:
    image: hello-web
    command: [sleep, "100000"]
    restart: always
    network_mode: none
    stop_grace_period: 0s
    x-berth: {memory: 64m, cpus: 1, restart: {delay: 1ms}}
END
        done
}

stack 1 >"$test_dir/idle.yaml"
berth apply -f "$test_dir/idle.yaml" --timeout 3m >/dev/null 2>&1
one=$(anon_kib)

for _ in 1 2 3 4 5 6 7 8 9; do
        # shellcheck disable=SC2034 # wait_for reads it
        id=$(field_of idle s1 1 .id)
        perl tests/bench/kill.pl "$(field_of idle s1 1 .pid)" >"$test_dir/kill" || exit
        # shellcheck disable=SC2016 # wait_for evaluates it
        wait_for '[ "$(field_of idle s1 1 .id)" != "$id" ] && [ "$(field_of idle s1 1 .state)" = running ]' 60
        read -r begin gone <"$test_dir/kill"
        echo "$gone" >>"$test_dir/gone"
        ms_between "$begin" "$(event_ns failed)" >>"$test_dir/decided"
        ms_between "$begin" "$(event_ns creating)" >>"$test_dir/begun"
done
echo "kill -9 of a VM, until the kernel has taken it apart: $(middle <"$test_dir/gone")"
echo "  until berthd decides: $(middle <"$test_dir/decided")"
echo "  until its replacement begins, with a back-off of 1 ms: $(middle <"$test_dir/begun")"

stack "$vms" >"$test_dir/idle.yaml"
berth apply -f "$test_dir/idle.yaml" --timeout 20m >/dev/null 2>&1
running=$(berth ps idle -q | wc -l)
full=$(anon_kib)
[ "$running" -le 1 ] || echo "memory of berthd: $(((full - one) * 10 / (running - 1)))/10 KiB an idle service with its VM ($running of them)"

for _ in 1 2 3 4 5; do
        daemon=$(berth version -o json | jq -r .server.pid)
        before=$(berth ps idle -o json | jq -r '.[] | "\(.id) \(.state)"' | sort)
        kill -9 "$daemon"
        timeout 10 tail --pid="$daemon" -f /dev/null
        timeout 60 perl tests/bench/adopt.pl "$running" berthd --root "$BERTH_ROOT" >"$test_dir/adopt" || exit
        after=$(berth ps idle -o json | jq -r '.[] | "\(.id) \(.state)"' | sort)
        [ "$before" = "$after" ] || echo "# not all of them were taken over"
        read -r serves waited ran answered waited_in_all <"$test_dir/adopt"
        echo "# serves after $serves ms, of which $waited waiting for a processor, $ran computing; the last guest answered after $answered, $waited_in_all of it waiting"
        echo "$serves" >>"$test_dir/serves"
        echo "$answered" >>"$test_dir/answered"
done
echo "adoption of $running VMs, until the API of the next berthd shows them: $(middle <"$test_dir/serves")"
echo "  until all guests have answered: $(middle <"$test_dir/answered")"

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

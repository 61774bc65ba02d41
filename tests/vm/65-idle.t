#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# berthd with hello running and nobody asking: small, and awake for health checks only.
. tests/vm/lib.sh

window_s=20
run berth apply -f "$(hello_stack "$(free_port)")" --timeout 5m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'
daemon=$(berth system info -o json | jq -r .pid)

# ticks PID: CPU time used so far, of 1/100 s
ticks() {
        sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}

# wakeups PID: how often it went to sleep
wakeups() {
        sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$1/status"
}

resident=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")
ok $((resident >= 15 * 1024)) "berthd takes less than 15 MiB ($resident KiB)"

ticks_before=$(ticks "$daemon")
wakeups_before=$(wakeups "$daemon")
sleep "$window_s" # what is measured is that nothing happens: there is no event to wait for
used=$(($(ticks "$daemon") - ticks_before))
woken=$(($(wakeups "$daemon") - wakeups_before))

# Four services are probed every 5 s, with up to six messages each time.
probes=$((4 * window_s / 5 + 4))
ok $((used > 5)) "it uses no CPU time: $used/100 s in $window_s s"
ok $((woken > probes * 8)) "it wakes for its $probes probes only: $woken times in $window_s s"
finish

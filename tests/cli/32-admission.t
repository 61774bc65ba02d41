#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What does not fit is refused before anything starts. The images do not exist: no VM ever runs.
. tests/vm/lib.sh

# stack NAME MEMORY REPLICAS [PORT [SUBNET]]: its file
stack() {
        {
                printf 'name: %s\nservices:\n  db:\n    image: none\n    pull_policy: never\n' "$1"
                printf '    x-berth: {memory: %s}\n    scale: %s\n' "$2" "$3"
                [ -z "${4:-}" ] || printf '    ports: ["%s:80"]\n' "$4"
                [ -z "${5:-}" ] || printf 'networks: {default: {ipam: {config: [{subnet: %s}]}}}\n' "$5"
        } >"$test_dir/$1.yaml"
        echo "$test_dir/$1.yaml"
}
stacks() {
        berth ps -a -o json | jq -r '[.[].stack] | unique | join(" ")'
}

# Twice the host's memory and more.
host=$(($(getconf _PHYS_PAGES) * $(getconf PAGESIZE) / 1024 / 1024))
big=$(stack big "$((host + 64))m" 2)
run berth apply --detach -f "$big"
is "$code" 1 "more than twice the host's memory is refused"
like "$out" 'stack big was not changed: memory: 2 VMs of big want .* GiB, other stacks 0 MiB; the host.s .* x 2.0 are .* too much' "with the arithmetic"
like "$out" 'Biggest: db, .*--overcommit 2\.1' "and the way out"
is "$(stacks)" "" "nothing was stored"
unlike "$(berth events)" 'big' "nothing was begun"
run berth diff -f "$big"
is "$code" 1 "diff: differences"
like "$out" 'would be refused: memory: 2 VMs' "and it says what would be said"
run berth apply --dry-run -f "$big"
is "$code" 1 "so does a dry run, as a failure"
run berth apply --detach -f "$(stack big "$((host - host / 8))m" 2)"
is "$code" 0 "less is taken" || printf '%s\n' "$out" | sed 's/^/# /'
run berth scale big/db=3
is "$code" 1 "but scaled it does not fit"
like "$out" 'memory: 3 VMs of big want' "for the same reason"
run berth apply --detach -f "$(stack small "$((host))m" 1)"
is "$code" 1 "nor do two stacks together"
like "$out" '1 VM of small want .*, other stacks [0-9.]+ [GM]iB' "each with its part"
run berth stop big
run berth apply --detach -f "$(stack small "$((host))m" 1)"
is "$code" 0 "what is stopped does not count" || printf '%s\n' "$out" | sed 's/^/# /'
run berth start big
is "$code" 1 "but it cannot start then"
like "$out" 'memory: 2 VMs of big want' "for the reason"
run berth scale big/db=1
is "$code" 0 "to need less is always fine" || printf '%s\n' "$out" | sed 's/^/# /'
berth delete small >/dev/null 2>&1
berth wait small --for gone --timeout 20s >/dev/null 2>&1

like "$(berth system info)" 'overcommit .*x 2\.0' "system info has the factor"
berth system stop >/dev/null 2>&1
BERTH_OVERCOMMIT=none berth system start >/dev/null
run berth apply --detach -f "$(stack big "$((host + 64))m" 2)"
is "$code" 0 "BERTH_OVERCOMMIT=none takes it" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(berth system info -o json | jq -c .memory.overcommit)" null "and system info says so"
berth system stop >/dev/null 2>&1
BERTH_OVERCOMMIT=1.5 berth system start >/dev/null
is "$(berth system info -o json | jq -c .memory.overcommit)" 1.5 "a factor of one's own"
run berth apply --detach -f "$big"
is "$code" 0 "a stack that is there is not refused" || printf '%s\n' "$out" | sed 's/^/# /'
run berthd --overcommit much
is "$code" 64 "a factor is a number"
berth delete big >/dev/null 2>&1

port=$(free_port)
run berth apply --detach -f "$(stack one 64m 1 "$port" 10.77.0.0/16)"
is "$code" 0 "a stack with a port and a subnet" || printf '%s\n' "$out" | sed 's/^/# /'
run berth apply --detach -f "$(stack two 64m 1 "0.0.0.0:$port")"
is "$code" 1 "its port is refused to another one"
like "$out" "port 0.0.0.0:$port/tcp of service db is published by one/db \(127.0.0.1:$port\)" "which is told who has it"
run berth apply --detach -f "$(stack three 64m 1 "" 10.77.3.0/24)"
is "$code" 1 "and its subnet"
like "$out" 'subnet 10.77.3.0/24 of network default overlaps 10.77.0.0/16 of network default of stack one' "likewise"
run berth apply --detach -f "$(stack two 64m 1 "$port" 10.77.3.0/24)"
like "$out" 'and 1 more' "of two reasons both are counted"
run berth apply --detach -f "$(stack one 64m 2 "" 10.77.0.0/16)"
is "$code" 0 "the first one gives its port up" || printf '%s\n' "$out" | sed 's/^/# /'
run berth apply --detach -f "$(stack two 64m 1 "$port")"
is "$code" 0 "then another may have it" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(stacks)" "one two" "only what was taken is there"
finish

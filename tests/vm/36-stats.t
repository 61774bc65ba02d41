#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# berth stats: its figures beside those of /proc and of the files they are about.
. tests/vm/lib.sh

cat >"$test_dir/s.yaml" <<'YAML'
name: s
services:
  a:
    image: hello-web
    command: [sleep, "1000"]
    stop_grace_period: 0s
    x-berth: {memory: 128M}
    deploy: {replicas: 2}
  busy:
    image: hello-web
    command: [sh, -c, "while :; do :; done"]
    stop_grace_period: 0s
    volumes: [data:/data]
    x-berth: {memory: 128M}
volumes:
  data:
YAML
run berth apply -f "$test_dir/s.yaml" --timeout 3m
is "$code" 0 "apply succeeds" || printf '%s\n' "$out" | sed 's/^/# /'

# near A B PERCENT: whether two numbers differ by at most so much
near() {
        awk -v a="$1" -v b="$2" -v p="$3" \
                'BEGIN { d = a - b; if (d < 0) d = -d; exit !(a > 0 && b > 0 && d <= b * p / 100) }'
}

# proc_memory PID: private, template, shared bytes
proc_memory() {
        awk '/^[0-9a-f]+-/ { t = /\/memfd:/ }
                /^Rss:/ { rss = $2 }
                /^Private_/ { own[t] += $2 }
                /^Rss:/ { all[t] += $2 }
                /^Anonymous:/ { anon[t] += $2 }
                END { print (own[0] + anon[1]) * 1024, (all[1] - anon[1]) * 1024, (all[0] - own[0]) * 1024 }' \
                "/proc/$1/smaps"
}

scratch=$BERTH_ROOT/scratch/$(field_of s a 1 .id).ext4
least=$(($(stat -c %b "$scratch") * 512))
stats=$(berth stats --no-stream s/a/1 -o json)
most=$(($(stat -c %b "$scratch") * 512)) # its guest may write meanwhile
is "$(echo "$stats" | jq -r '.[].name')" s/a/1 "one replica alone"
value() { echo "$stats" | jq "$1"; }
pid=$(value '.[0].pid')
# shellcheck disable=SC2046 # three numbers
set -- $(proc_memory "$pid")
near "$(value '.[0].host.private_bytes')" "$1" 5
ok $? "private memory is that of /proc" || echo "# $(value '.[0].host') $*"
near "$(value '.[0].host.template_bytes')" "$2" 5
ok $? "memory shared with the template, too" || echo "# $(value '.[0].host') $*"
near "$(value '.[0].host.shared_bytes')" "$3" 5
ok $? "programs and libraries, too" || echo "# $(value '.[0].host') $*"
[ "$2" -gt 1000000 ]
ok $? "a clone shares with its template"
sum=$(awk '/^Rss:/ { s += $2 } END { print s * 1024 }' "/proc/$pid/smaps_rollup")
near $(($1 + $2 + $3)) "$sum" 1
ok $? "the three are all of its memory"
blocks=$(value '.[0].host.scratch_bytes')
ok "$([ "$least" -gt 0 ] && [ "$blocks" -ge "$least" ] && [ "$blocks" -le "$most" ]; echo $?)" \
        "blocks of its own disk" || echo "# $least <= $blocks <= $most"
cpu=$(sed 's/.*) //' "/proc/$pid/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) * 1000000 / hz }')
near "$(value '.[0].host.cpu_usec')" "$cpu" 20
ok $? "processor time" || echo "# $(value '.[0].host.cpu_usec') $cpu"

# what the guest takes is seen inside and outside
before=$(value '.[0].guest.available_bytes')
private=$(value '.[0].host.private_bytes')
berth exec s/a/1 -- dd if=/dev/urandom of=/dev/shm/x bs=1M count=20 2>/dev/null
stats=$(berth stats --no-stream s/a/1 -o json)
near $((before - $(value '.[0].guest.available_bytes'))) 20971520 15
ok $? "20 MiB that the guest takes are missing in it" ||
        echo "# $((before - $(value '.[0].guest.available_bytes')))"
[ $(($(value '.[0].host.private_bytes') - private)) -ge 20971520 ]
ok $? "and are private memory of the host" || echo "# $(($(value '.[0].host.private_bytes') - private))"

blocks() {
        stat -c %b "$BERTH_ROOT/volumes/s_data/disk.ext4"
}
blocks=$(blocks)
stats=$(berth stats --no-stream s -o json)
is "$(value 'map(.name) | sort | join(" ")')" '"s/a/1 s/a/2 s/busy/1"' "a stack: all its VMs"
[ "$(value '[.[] | select(.service == "busy")][0].cpu_percent | floor')" -ge 10 ]
ok $? "a busy one has a load"
[ "$(value '[.[] | select(.service == "a")][0].cpu_percent | floor')" -le 10 ]
ok $? "an idle one has none"
# Its guest may write the file system's journal meanwhile: the figure lies between two that are measured.
value '[.[] | select(.service == "busy")][0].host.volumes_bytes' |
        awk -v from="$((blocks * 512))" -v to="$(($(blocks) * 512))" '{ exit !(from > 0 && $1 >= from && $1 <= to) }'
ok $? "blocks of its volumes"
is "$(berth inspect s/a/2 | jq '.replicas[0].host.private_bytes > 1000000')" true "inspect has them, too"
run berth stats --no-stream s/a
is "$(echo "$out" | wc -l)" 3 "the table has a line each" || echo "$out" | sed 's/^/# /'
run berth stats --no-stream nothing
is "$code" 1 "an unknown stack"
timeout --preserve-status -s INT 4 berth stats s/a/1 -o json >"$test_dir/stream"
is "$?" 130 "INT ends the stream"
[ "$(jq -c . <"$test_dir/stream" | wc -l)" -ge 2 ]
ok $? "which has a line a second"
finish

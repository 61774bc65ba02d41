#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The warm pool in the running system: services start in machines that wait, which are like any
# other; whatever does not fit or fails is cloned; kill -9 of the daemon leaves nothing behind.
# Machines of the pool themselves are tested by tests/system/template.t.
. tests/vm/lib.sh

[ "$(id -u)" = 0 ] || {
        echo "1..0 # SKIP an ordinary user's networks cannot take the tap of a waiting machine"
        exit 0
}

cat >"$test_dir/s.yaml" <<'END'
name: pool
services:
  b: &service
    image: hello-web
    command: [sh, -c, "head -c 32 /dev/urandom | sha256sum; cat /proc/sys/kernel/random/uuid; exec sleep 1000"]
    stop_grace_period: 0s
    deploy: {resources: {limits: {memory: 40M}}}
  a: {<<: *service, mac_address: "02:42:AC:11:65:43"}
END

# pool FIELD: of the one shape that is used here
pool() {
        berth system info -o json | jq -r ".pool.shapes[0] | $1"
}
# wait_pool N [waiting|making [SECONDS]]: until N machines wait, or are being made
wait_pool() {
        # shellcheck disable=SC2016 # $1 and $2 are the inner shell's
        timeout "${3:-150}" sh -c 'until [ "$(berth system info -o json |
                jq -r ".pool.shapes[0].$2")" = "$1" ]; do :; done' sh "$1" "${2:-waiting}"
}
# births: how the running VMs came to life
births() {
        berth ps -o json | jq -r '.[] | select(.state == "running") | .birth' | sort | uniq -c | tr -s ' \n' ' '
}
# born STACK: how its first service's VM came to life, and why not better
born() {
        berth ps "$1" -o json | jq -r '.[0] | [.birth, .birth_reason] | join(" ")'
}
# waiting: pids of QEMUs of this test that wait or are being made
waiting() {
        find "$BERTH_ROOT/run/pool" -name vm.json -exec jq .pid {} +
}
daemon() {
        for pid in $(ours); do
                [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = berthd ] && echo "$pid"
        done
}
# taps: pid of the process that makes taps for machines that wait
taps() {
        for pid in $(ours); do
                tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | grep -q ' --taps' && echo "$pid"
        done
}
# restarts: of both services, together
restarts() {
        berth ps -o json | jq '[.[].restarts] | add'
}
# reach: how many packets come back to a from b
reach() {
        berth exec pool/a -- ping -c 1 -W 10 b 2>&1 | grep -c '1 packets received'
}
# card: the address of pool/a's network card
card() {
        berth exec pool/a -- cat /sys/class/net/eth0/address
}
# each COMMAND: its output in both services, how many different lines
each() {
        for n in a b; do berth exec "pool/$n" -- sh -c "$1"; done | sort -u | wc -l
}

run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "apply" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(births)" " 2 clone " "the first VMs of a shape are clones"
is "$(card)" 02:42:ac:11:65:43 "with the MAC address of the manifest"
wait_pool 2
ok $? "then two machines wait"
like "$(berth system info)" '128M, 1 CPU: 2 wait' "system info shows them"

berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 pool " "the next start takes them"
like "$(berth events)" 'pool/a/1 .*started.*pool: ' "events tell"
like "$(berth inspect pool/a)" '"birth": "pool"' "inspect tells"
is "$(each 'cat /proc/sys/kernel/random/boot_id')" 2 "boot ids differ"
is "$(each 'cat /proc/sys/kernel/random/uuid')" 2 "uuids differ"
is "$(each 'head -c 32 /dev/urandom | sha256sum')" 2 "random bytes differ"
is "$(each hostname)" 2 "names differ"
is "$(card)" 02:42:ac:11:65:43 "the MAC address of the manifest"
like "$(berth exec pool/b -- cat /sys/class/net/eth0/address)" '^02:be:' \
        "or one that was chosen, in place of the placeholder's"
first=$(for n in a b; do berth logs "pool/$n"; done | grep -E '^([0-9a-f]{64}|[0-9a-f-]{36})')
is "$(echo "$first" | wc -l) $(echo "$first" | sort | uniq -d)" "8 " \
        "what the services read first is different in every life"
off=$(($(berth exec pool/a -- date +%s) - $(date +%s)))
ok "$([ "$off" -ge -10 ] && [ "$off" -le 3 ]; echo $?)" "the clock is right"
like "$(berth exec pool/a -- nslookup b 2>&1)" "$(berth inspect pool/b | jq -r '.. | .addresses? // empty | .default' | head -n 1)" \
        "names resolve"
is "$(reach)" 1 "and packets come back"
is "$(berth exec pool/a -- sh -c 'ls /files /image 2>/dev/null; mount | grep -c rehearsal')" 0 \
        "nothing of the rehearsal is there"

# A stack that is new, with a network that was just made.
sed 's/^name: pool/name: new/; /^  a:/d' "$test_dir/s.yaml" >"$test_dir/new.yaml"
wait_pool 2
run berth apply -f "$test_dir/new.yaml" --timeout 2m
is "$(born new)" "pool " \
        "the first service of a new stack, too"
berth delete new >/dev/null 2>&1

# A service with a volume: what it writes stays, however its VMs end.
cat >"$test_dir/v.yaml" <<'END'
name: vol
services:
  v:
    image: hello-web
    command: [sleep, "1000"]
    stop_grace_period: 0s
    volumes: [{type: tmpfs, target: /tmp/t}, "data:/etc"]
    deploy: {resources: {limits: {memory: 40M}}}
volumes: {data: {x-berth: {size: 64M}}}
END
# v COMMAND: in the service
v() {
        berth exec vol/v -- sh -c "$1"
}
wait_pool 2
run berth apply -f "$test_dir/v.yaml" --timeout 2m
is "$(born vol)" "pool " "a service with a volume has a machine of the pool, too"
is "$(v 'grep -c ^root: /etc/passwd')" 1 "its volume began with what the image has there"
is "$(v 'grep " /etc " /proc/mounts' | cut -d' ' -f1)" /dev/vdc "and is a disk"
is "$(v 'df -m /etc' | awk 'NR == 2 { print ($2 > 40) }')" 1 "of the volume's size"
v 'head -c 1000000 /dev/urandom >/etc/f; echo x >/etc/g; sync'
sum=$(v 'md5sum </etc/f')
wait_pool 2
berth restart vol >/dev/null 2>&1
run berth apply -f "$test_dir/v.yaml" --timeout 2m
is "$(born vol)" "pool " "the next start, too"
is "$(v 'md5sum </etc/f')" "$sum" "what was written is there"
v 'echo y >/etc/g; sync'
wait_pool 2
kill -9 "$(berth ps vol -o json | jq '.[0].pid')"
wait_for "[ \"\$(field_of vol v 1 .state)\" = running ] && [ \"\$(field_of vol v 1 .restarts)\" = 1 ]" 60
is "$(born vol)" "pool " "after kill -9 of QEMU, too"
is "$(v 'cat /etc/g; md5sum </etc/f')" "y
$sum" "what was synced is there"
like "$(berth volume ls)" vol_data "berth volume shows it"
berth delete vol >/dev/null 2>&1
is "$(berth volume ls -o json | jq '[.[] | select(.name == "vol_data")] | length')" 1 \
        "it outlives its stack"
wait_pool 2
run berth apply -f "$test_dir/v.yaml" --timeout 2m
is "$(born vol) $(v 'cat /etc/g')" "pool  y" "the next stack finds it"
berth delete vol >/dev/null 2>&1

# A service on two networks.
cat >"$test_dir/n.yaml" <<'END'
name: nets
services:
  n: &service
    image: hello-web
    command: [sleep, "1000"]
    stop_grace_period: 0s
    networks: {one: {mac_address: "02:42:AC:11:65:44"}, two: {}}
    deploy: {resources: {limits: {memory: 40M}}}
  o: {<<: *service, networks: [two, one]}
networks: {one: {}, two: {}, three: {}}
END
# n COMMAND: in the service
n() {
        berth exec nets/n -- sh -c "$1" 2>&1
}
wait_pool 2
run berth apply -f "$test_dir/n.yaml" --timeout 2m
is "$(born nets) $(berth ps nets -o json | jq -r '.[1].birth')" "pool  pool" \
        "services on two networks have machines of the pool, too"
like "$(n 'cat /sys/class/net/eth0/address /sys/class/net/eth1/address' | tr '\n' ' ')" \
        '^02:42:ac:11:65:44 02:be:' "their cards have the addresses of the manifest"
for network in one two; do
        is "$(n "ping -c 1 -W 10 $(berth ps nets -o json | jq -r ".[1].addresses.$network")" |
                grep -c '1 packets received')" 1 "packets go over network $network"
done
sed -i 's/two: {}}$/two: {}, three: {}}/' "$test_dir/n.yaml"
wait_pool 2
berth apply -f "$test_dir/n.yaml" --timeout 2m >/dev/null 2>&1
is "$(born nets)" "clone " "three networks: a clone"
berth delete nets >/dev/null 2>&1

# What does not fit is cloned: two volumes, one that is read-only, one that is shared, a folder.
while read -r what volumes; do
        sed "s|^    volumes:.*|    volumes: $volumes|" "$test_dir/v.yaml" >"$test_dir/w.yaml"
        cat >>"$test_dir/w.yaml" <<'END'
  more: {}
  both: {x-berth: {class: shared}}
END
        sed -i 's/^volumes: {data: \(.*\)}$/volumes:\n  data: \1/' "$test_dir/w.yaml"
        wait_pool 2
        run berth apply -f "$test_dir/w.yaml" --timeout 2m
        is "$(born vol)" "clone " "$what: a clone" || printf '%s\n' "$out" | sed 's/^/# /'
        berth delete vol >/dev/null 2>&1
done <<END
two-volumes ["data:/etc", "more:/data"]
read-only ["data:/data:ro"]
shared ["both:/data"]
folder ["$test_dir:/data"]
END

# A QEMU that ends removes its socket by the path it was made with. Those of a daemon that was killed
# must not meet those of the next one.
berth system stop >/dev/null 2>&1
berth apply -f "$test_dir/v.yaml" --timeout 2m >/dev/null 2>&1
wait_pool 2
berth restart vol >/dev/null 2>&1
run berth apply -f "$test_dir/v.yaml" --timeout 2m
is "$(born vol)" "pool " "a service has one of the first machines"
pid=$(daemon)
kill -9 "$pid"
timeout 30 tail --pid="$pid" -f /dev/null
berth apply -f "$test_dir/v.yaml" --timeout 2m >/dev/null 2>&1
wait_pool 2
berth delete vol >/dev/null 2>&1
wait_pool 2
is "$(find "$BERTH_ROOT/run/pool" -name guest.sock | wc -l)" 2 "its end leaves those of the next daemon alone"
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 pool " "services start in them"

# kill -9 with machines that wait, and one that is being made.
wait_pool 2
ok $? "two machines wait"
victims=$(waiting | wc -l)
daemon=$(daemon)
kill -9 "$daemon"
timeout 30 tail --pid="$daemon" -f /dev/null
for pid in $(waiting); do
        timeout 10 tail --pid="$pid" -f /dev/null
        ok "$([ ! -e "/proc/$pid" ]; echo $?)" "kill -9 of berthd ends a machine that waits"
done
ok "$([ "$victims" -ge 2 ]; echo $?)" "there were some ($victims)"
is "$(berth ps -o json | jq '[.[] | select(.state == "running")] | length')" 2 "the services live on"
wait_pool 2
ok $? "and the next daemon has machines for their next start"
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 pool " "in which they start, on the networks that it found"
for _ in 1 2 3; do
        wait_pool 1 making 5 # which may be over before this shell looks
        daemon=$(daemon)
        kill -9 "$daemon"
        timeout 30 tail --pid="$daemon" -f /dev/null
        for pid in $(waiting); do
                [ "$pid" = 0 ] || timeout 10 tail --pid="$pid" -f /dev/null
        done
        berth restart pool >/dev/null 2>&1
        run berth apply -f "$test_dir/s.yaml" --timeout 2m
        is "$code" 0 "kill -9 while a machine is made: the next daemon goes on"
done

# A machine is claimed while its tap is moved. When that fails, at once or late, a clone with another
# tap takes its place; the service starts once.
wait_pool 2
for tap in $(nsenter -t "$(taps)" -n ip -br link | grep -o '^p[0-9a-f.]*'); do
        nsenter -t "$(berth network ls -o json | jq '.[] | select(.stack == "pool").pid')" -n \
                ip tuntap add "$tap" mode tap
done
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 clone " "taps whose names are taken in the network: clones"
like "$(berth ps -o json | jq -r '.[0].birth_reason')" 'File exists' "inspect says why"
is "$(restarts) $(reach)" "0 1" "the services run once, with their network"

# begun: both services are configured, and their taps are not moved
begun() {
        wait_pool 2
        kill -STOP "$(taps)"
        berth restart pool >/dev/null 2>&1 &
        # shellcheck disable=SC2016 # the inner shell's
        timeout 60 sh -c 'until berth ps -o json | jq -e "[.[] | select(.state == \"booting\" and
                .phases_ms.configure and .birth == \"pool\")] | length == 2" >/dev/null; do :; done'
        ok $? "machines are configured before their taps are there"
}
begun
daemon=$(daemon)
kill -9 "$daemon"
timeout 30 tail --pid="$daemon" -f /dev/null
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "kill -9 of berthd then: the next one starts the services"
is "$(reach)" 1 "with their network"
before=$(restarts)
begun
kill -9 "$(taps)"
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 clone " "who moves them ends then: clones"
like "$(berth ps -o json | jq -r '.[0].birth_reason')" 'the machine of the pool failed: .*berth-netd' \
        "inspect says why"
is "$(restarts) $(reach)" "$before 1" "the services run once, with their network"
wait
berth delete pool >/dev/null 2>&1
berth system stop >/dev/null 2>&1
is "$(ours | wc -l)" 0 "nothing is left when the daemon ends"

# Without it.
BERTH_POOL=0
export BERTH_POOL
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 clone " "BERTH_POOL=0: clones"
like "$(berth system info)" 'pool +off' "and system info says so"
berth delete pool >/dev/null 2>&1
berth system stop >/dev/null 2>&1
unset BERTH_POOL

# Machines that do not survive their claim: clones, with the reason, and not for ever.
mkdir "$test_dir/bin"
cat >"$test_dir/bin/qemu-system-x86_64" <<END
#!/bin/bash
[[ \$* == *guest=pool* ]] && exec $(command -v qemu-system-x86_64) "\${@//id=blk/id=lost}"
exec $(command -v qemu-system-x86_64) "\$@"
END
chmod +x "$test_dir/bin/qemu-system-x86_64"
PATH=$test_dir/bin:$PATH
run berth apply -f "$test_dir/s.yaml" --timeout 2m
wait_pool 2
ok $? "machines whose disks cannot be exchanged wait"
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$code" 0 "services start"
is "$(births)" " 2 clone " "as clones"
like "$(berth events)" 'started.*cloned: the machine of the pool failed: ' "and the events say why"
is "$(restarts)" 0 "without a restart"
wait_pool 2
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
berth restart pool >/dev/null 2>&1
run berth apply -f "$test_dir/s.yaml" --timeout 2m
is "$(births)" " 2 clone " "clones again"
is "$(pool '[.waiting, .making] | join(" ")')" "0 0" "and no more machines after some failures"
like "$(pool .reason)" 'machine of the pool failed' "system info says why"
berth delete pool >/dev/null 2>&1
finish

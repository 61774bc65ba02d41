#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Restarts of the host, upgrades, full and read-only disks, and clocks that jump.
. tests/vm/lib.sh

# Nothing but a small file system of the test's own can be filled up and made read-only.
mkdir "$test_dir/r"
mount -t tmpfs -o size=96m,mode=700 berth-test "$test_dir/r" || {
        echo "1..0 # SKIP no right to mount a tmpfs"
        exit 0
}
# shellcheck disable=SC2317,SC2329 # the trap calls it
unmount() {
        cleanup
        for file in /dev/shm/faketime_shm_* /dev/shm/sem.faketime_sem_*; do # of those that were killed
                [ -d "/proc/${file##*_}" ] || rm -f "$file"
        done
        umount -l "$test_dir/r" 2>/dev/null
        rm -rf "$test_dir"
}
trap unmount EXIT

cat >"$test_dir/stack.yaml" <<'END'
name: boot
services:
  db:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    restart: unless-stopped
    healthcheck: {test: [CMD, "true"], interval: 1s}
  seed:
    image: hello-web
    command: echo seeded
    depends_on: {db: {condition: service_healthy}}
  web:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    depends_on: {db: {condition: service_healthy}}
  stopped:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    restart: always
END

# state SERVICE...: running or not
state() {
        for service; do
                berth ps -a -o json | jq -r --arg s "$service" '.[] | select(.service == $s).state'
        done | tr '\n' ' '
}
# Everything ends at once, and nothing of RUN is left.
restart_host() {
        kill_ours
        rm -rf "$BERTH_ROOT/run"
        echo 00000000-0000-0000-0000-000000000000 >"$BERTH_ROOT/boot-id"
}

run berth apply -f "$test_dir/stack.yaml" --timeout 2m
is "$code" 0 "a stack runs" || printf '%s\n' "$out" | sed 's/^/# /'
berth stop boot/stopped >/dev/null 2>&1

restart_host
run berth wait boot --timeout 60s
is "$code" 0 "the host restarted: the stack comes back" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(state db web seed stopped)" "running running completed waiting " "but not what was stopped, or completed"
events=$(berth events)
like "$events" 'host-restarted' "an event tells"
is "$(printf '%s\n' "$events" | sed -n '/host-restarted/,$p' | sed -nE 's|.*boot/(db/1 +healthy\|web/1 +creating).*|\1|p' | tr -s ' ' | tr '\n' ' ')" \
        "db/1 healthy web/1 creating " "in order of the dependencies"

restart_host
BERTH_ON_BOOT=policy berth ps >/dev/null
run berth wait boot --timeout 60s
is "$(state db web stopped)" "running waiting running " "--on-boot policy: unless-stopped and always run, no does not"
like "$(berth history boot)" 'stop .*web' "as a change that history shows"
berth start boot >/dev/null 2>&1
is "$(state db web stopped)" "running running running " "and that berth start takes back"

vms() {
        berth ps -o json | jq -r '.[] | "\(.name) \(.id) \(.pid) \(.boot_id)"' | sort
}

# Another build of berth, as an upgrade brings it.
mkdir -p "$test_dir/new/bin"
cp "${BUILD:-build}"/bin/berth* "$test_dir/new/bin/"
ln -s "$(realpath "${BUILD:-build}/guest")" "$test_dir/new/guest"
before=$(vms)
berth system stop >/dev/null 2>&1
PATH=$test_dir/new/bin:$PATH
is "$(vms)" "$before" "a new program takes over the VMs of the old one"
like "$(readlink "/proc/$(berth version -o json | jq -r .server.pid)/exe")" "$test_dir/new/bin/berthd" "it is the new one"

id=$(field_of boot web 1 .id)
berth system stop >/dev/null 2>&1
sed -i 's/"version": *1\b/"version":99/' "$BERTH_ROOT/run/vm/$id/instance.json"
run berth wait boot --timeout 60s
is "$code" 0 "a VM whose record is of a later version is replaced"
like "$(berth events)" "not-adopted.*$id was ended.*version: 99" "an event tells why"
is "$(for pid in $(ours); do tr '\0' '\n' <"/proc/$pid/cmdline"; done | grep -c '^guest=[0-9a-f]*$')" 3 "there are as many VMs as before"

before=$(vms)
run sh -c 'dd if=/dev/zero of="$0" bs=1M 2>&1 | tail -1' "$BERTH_ROOT/filler"
like "$(df "$BERTH_ROOT" | tail -1)" ' 100% ' "the disk of berth is full"
sed 's/name: boot/name: more/' "$test_dir/stack.yaml" >"$test_dir/more.yaml"
run berth apply -f "$test_dir/more.yaml" --timeout 10s
unlike "$code" '^0$' "an apply fails"
like "$out" '[Nn]o space|full' "and says why"
is "$(vms)" "$before" "what runs goes on"
rm "$BERTH_ROOT/filler"
run berth apply -f "$test_dir/more.yaml" --timeout 60s
is "$code" 0 "with space again it succeeds" || printf '%s\n' "$out" | sed 's/^/# /'
berth delete more >/dev/null 2>&1

berth system stop --vms >/dev/null 2>&1
await_ends
mount -o remount,ro "$test_dir/r"
run berth apply -f "$test_dir/more.yaml" --timeout 10s
unlike "$code" '^0$' "on a read-only file system no daemon starts"
like "$out" 'Read-only file system' "and says why"
mount -o remount,rw "$test_dir/r"

# The daemon's clock, and only the wall clock, goes to another year and back.
printf '+0' >"$test_dir/offset"
LD_PRELOAD=$(echo /usr/lib/*/faketime/libfaketime.so.1) FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 \
        FAKETIME_TIMESTAMP_FILE=$test_dir/offset FAKETIME_SKIP_CMD=qemu-system-x86_64 \
        berthd >"$test_dir/berthd.log" 2>&1 &
timeout 20 tail -n +1 -F "$test_dir/berthd.log" 2>/dev/null | grep -qm1 serves
run berth wait boot --timeout 60s
is "$code" 0 "when it is writable again, the stack comes back" || printf '%s\n' "$out" | sed 's/^/# /'
# shellcheck disable=SC2317,SC2329 # wait_for evaluates it
replaced() {
        [ "$(berth ps -o json | jq -r --arg id "$1" \
                '.[] | select(.service == "db" and .health == "healthy" and .id != $id) | .service')" ]
}
for offset in +400d -400d; do
        printf '%s' "$offset" >"$test_dir/offset"
        old=$(field_of boot db 1 .id)
        others=$(vms | grep -v db/1)
        kill -9 "$(field_of boot db 1 .pid)"
        wait_for "replaced $old" 30
        ok $? "the clock jumps by $offset: a VM that ends is replaced"
        is "$(vms | grep -v db/1)" "$others" "and the others are left alone"
done
like "$(berth events)" "^$(date -d "+400 days" +%Y)-" "the daemon did see the other year"
berth system stop --vms >/dev/null 2>&1
wait
await_ends
umount -l "$test_dir/r" # a process that is ending may still have a file open

# The lock of a berthd that was killed is not free at once.
berth system stop --vms >/dev/null 2>&1
mkdir -p "$BERTH_ROOT/run"
mkfifo "$test_dir/dying" "$test_dir/locked"
# shellcheck disable=SC2016 # the inner shell expands
sh -c 'exec 8>"$1"; flock 8; printf %s $$ >&8; echo >"$3"; read -r _ <"$2"' sh \
        "$BERTH_ROOT/run/berthd.lock" "$test_dir/dying" "$test_dir/locked" &
read -r _ <"$test_dir/locked"
berth system start >"$test_dir/started" 2>&1 &
starter=$!
timeout 20 sh -c "until grep -qsa 'BERTH_TEST=$test_dir' \$(pgrep -x berthd | sed 's#.*#/proc/&/environ#') /dev/null; do :; done"
echo >"$test_dir/dying"
wait "$starter"
is "$?" 0 "a start waits for the lock of one that is ending" || sed 's/^/# /' "$test_dir/started"
finish

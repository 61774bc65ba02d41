#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The disk under a running daemon fails: its file system becomes read-only at once, as ext4 does.
. tests/vm/lib.sh

mkdir "$test_dir/r"
truncate -s 256M "$test_dir/disk"
mke2fs -q -t ext4 "$test_dir/disk"
mount -o loop,errors=remount-ro "$test_dir/disk" "$test_dir/r" 2>/dev/null || {
        echo "1..0 # SKIP no right to mount a file system of its own"
        exit 0
}
# shellcheck disable=SC2317,SC2329 # the trap calls it
unmount() {
        cleanup
        umount -l "$test_dir/r" 2>/dev/null
        rm -rf "$test_dir"
}
trap unmount EXIT
fail_disk=/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$test_dir/r")")/trigger_fs_error
[ -w "$fail_disk" ] || {
        echo "1..0 # SKIP no way to have a file system fail here"
        exit 0
}

cat >"$test_dir/stack.yaml" <<'END'
name: shop
services:
  db:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    restart: always
  web:
    image: hello-web
    command: httpd -f -p 80 -h /etc
    restart: always
END
vms() {
        berth ps -o json | jq -r '.[] | "\(.name) \(.id) \(.pid) \(.boot_id)"' | sort
}
# start: a daemon whose log is elsewhere
start() {
        : >"$test_dir/log"
        berthd >"$test_dir/log" 2>&1 &
        timeout 20 tail -n +1 -F "$test_dir/log" 2>/dev/null | grep -qm1 serves
}

start
run berth apply -f "$test_dir/stack.yaml" --timeout 2m
is "$code" 0 "a stack runs" || printf '%s\n' "$out" | sed 's/^/# /'
before=$(vms)
echo 1 >"$fail_disk"
like "$(touch "$test_dir/r/file" 2>&1)" 'Read-only file system' "its disk is read-only now"

sed 's/name: shop/name: more/' "$test_dir/stack.yaml" >"$test_dir/more.yaml"
run berth apply -f "$test_dir/more.yaml" --timeout 10s
is "$code" 73 "an apply fails"
like "$out" 'state database .*Read-only file system' "and says why"
run berth scale shop/web=2
is "$code" 73 "as any change"
is "$(vms)" "$before" "what runs goes on"
like "$(berth exec shop/db -- echo well)" '^well$' "and is reached"

said=$(wc -l <"$test_dir/log")
kill -9 "$(field_of shop web 1 .pid)"
timeout 20 tail -n "+$((said + 1))" -F "$test_dir/log" 2>/dev/null | grep -qm1 'events are lost'
run berth wait shop --timeout 2s
is "$code" 124 "a VM that ends cannot be replaced"
like "$(berth why shop/web)" 'scratch disk .*Read-only file system, next try in' "which is told"
is "$(vms | grep db/)" "$(printf '%s\n' "$before" | grep db/)" "the other one goes on"

run berth system stop --vms
is "$code" 0 "everything can be stopped" || printf '%s\n' "$out" | sed 's/^/# /'
wait
await_ends
# A copy: what the kernel still holds of the disk that failed does not matter then.
umount -l "$test_dir/r"
cp --sparse=always "$test_dir/disk" "$test_dir/repaired"
e2fsck -fy "$test_dir/repaired" >/dev/null 2>&1
mount -o loop "$test_dir/repaired" "$test_dir/r"
start
run berth wait shop --timeout 1m
is "$code" 0 "repaired and mounted again: the stack comes back" || printf '%s\n' "$out" | sed 's/^/# /'
is "$(berth history shop | wc -l)" 2 "as it was before the failure"
berth system stop --vms >/dev/null 2>&1
wait
await_ends
umount -l "$test_dir/r" # a process that is ending may still have a file open
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# File systems that fail otherwise than by being full (images_full.t): no inodes, read-only, I/O errors.
# Needs root: its berth lives on file systems of its own.
if [ "${IMAGES_DISK_INSIDE:-}" != 1 ]; then
        [ "$(id -u)" = 0 ] || {
                echo '1..0 # SKIP needs root to mount file systems'
                exit 0
        }
        IMAGES_DISK_INSIDE=1 exec unshare -m "$0"
fi
. tests/system/registry_lib.sh

make_image "$work/oci:1" 3
registry plain 'http: {addr: "127.0.0.1:0"}'
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$addr/t/image:1"
umoci config --image "$work/oci:1" --tag 2 --config.env A=1 >/dev/null 2>&1
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:2" "docker://$addr/t/image:2"
skopeo copy -q "oci:$work/oci:1" "oci-archive:$work/image.tar:t/loaded:1"
image=$addr/t/image:1
BERTH_IMAGES=$work/disk/images # the store alone: the rest of berth has a good disk
export BERTH_IMAGES
mkdir "$work/disk"
loop=
trap 'timeout 20 berth system stop >/dev/null 2>&1; umount -l "$work/disk" 2>/dev/null
        [ -z "$loop" ] || losetup -d "$loop"; cleanup' EXIT

whole() { # what is half, or not what its name says
        timeout 5 sh -c "until [ -z \"\$(ls '$BERTH_IMAGES/tmp')\" ]; do :; done"
        find "$BERTH_IMAGES/tmp" -mindepth 1 -maxdepth 1
        (cd "$BERTH_IMAGES/blobs/sha256" && for blob in *; do
                [ ! -e "$blob" ] || echo "$blob  $blob" | sha256sum -c --quiet 2>&1
        done)
        for disk in "$BERTH_IMAGES"/rootfs/*.ext4; do
                [ ! -e "$disk" ] || e2fsck -fn "$disk" >"$work/fsck" 2>&1 || sed 's/^/# /' "$work/fsck"
        done
}

# ------------------------------------------------------------------------------------------- no inodes

mount -t tmpfs -o nr_inodes=1000 tmpfs "$work/disk" || skip_all 'cannot mount a tmpfs here'
berth system start >/dev/null 2>&1
failures=0
for spare in 0 1 2 3 4 5 6 7 8 9 10 12 20; do
        used=$(df --output=iused "$work/disk" | tail -n 1)
        mount -o "remount,nr_inodes=$((used + spare))" "$work/disk"
        run image pull -q "$image"
        [ "$code" = 0 ] || failures=$((failures + 1))
        if [ "$code" = 0 ]; then
                ok 0 "72 $spare inodes: enough"
        else
                like "$out" 'No space left on device' "72 $spare inodes: says why"
                is "$(berth image ls -q)" '' "72 $spare inodes: nothing is listed"
        fi
        is "$(whole)" '' "72 $spare inodes: nothing half"
        mount -o remount,nr_inodes=1000 "$work/disk"
        run image pull -q "$image"
        is "$code" 0 "72 $spare inodes: with more it succeeds"
        run image prune --all
        rm -f "$BERTH_IMAGES"/partial/* # so that each begins as the first
done
ok $((failures < 5)) 'some of them were too few'
is "$code" 0 'and twenty are enough'

# ------------------------------------------------------------------------------------------- read-only

run image pull -q "$image"
mount -o remount,ro "$work/disk"
run image pull -q "$addr/t/image:2"
like "$out" 'Read-only file system' '72 a read-only store: a pull says why'
run image load -q "$work/image.tar"
like "$out" 'Read-only file system' '72 and a load'
run image tag "$image" other:1
like "$out" 'Read-only file system' '72 and a tag'
run image rm "$image"
like "$out" 'Read-only file system' '72 and a removal'
is "$(berth image ls -q)" "$image" '72 what is there stays'
berth system stop >/dev/null
run image inspect "$image" -o json
like "$out" "$BERTH_IMAGES.*Read-only file system" '72 a daemon that starts then names the folder'
mount -o remount,rw "$work/disk"
run image pull -q "$addr/t/image:2"
is "$code" 0 '72 writable again, it succeeds'
is "$(whole)" '' '72 nothing half'
berth system stop >/dev/null
umount "$work/disk"

# ----------------------------------------------------------------------------------------- I/O errors
# ext4 on a loop device whose end the kernel is told to be elsewhere: what lies behind it is an I/O error.

truncate -s 100M "$work/image"
loop=$(losetup -f --show "$work/image" 2>/dev/null) || loop=
if [ -z "$loop" ]; then
        echo '# no loop device here: EIO is not tried'
        finish
fi
limit() { # BYTES: the device ends there; 0: where its file does
        /usr/bin/python3 - "$loop" "$1" <<'END'
import fcntl, struct, sys
with open(sys.argv[1], "rb+") as loop:
    info = bytearray(fcntl.ioctl(loop, 0x4C05, bytes(232)))  # LOOP_GET_STATUS64
    info[32:40] = struct.pack("Q", int(sys.argv[2]))  # lo_sizelimit
    fcntl.ioctl(loop, 0x4C04, bytes(info))  # LOOP_SET_STATUS64
END
}
# One group of blocks, its tables in front; without a journal the file system stays writable. (For a new
# folder whose block is behind the end, ext4 has no memory.) Where ext4 puts a file depends on who writes it,
# so the blocks between the tables and the ends that are tried are declared bad.
seq 1700 4900 >"$work/bad"
mkfs.ext4 -q -b 4096 -O ^has_journal -E lazy_itable_init=0,nodiscard -l "$work/bad" "$loop" &&
        mount "$loop" "$work/disk"
berth system start >/dev/null 2>&1
run image pull -q "$addr/t/image:2"
is "$code" 0 'a store on a loop device'
sync
for command in "load -q $work/image.tar" "pull -q $image"; do
        for room in 2 10 16; do
                limit $((room << 20))
                # shellcheck disable=SC2086 # words
                run image $command
                like "$out" 'Input/output error|Cannot allocate memory' "72 ${command%% *}, $room MiB: an I/O error says so"
                is "$(berth image ls -q)" "$addr/t/image:2" "72 ${command%% *}, $room MiB: nothing else is listed"
                limit 0
                # shellcheck disable=SC2086 # words
                run image $command
                is "$code" 0 "72 ${command%% *}, $room MiB: when the disk is mended it succeeds"
                run image rm "$(printf '%s' "$out" | cut -d' ' -f1)"
                rm -f "$BERTH_IMAGES"/partial/*
                sync
        done
done
is "$(whole)" '' '72 nothing half'
finish

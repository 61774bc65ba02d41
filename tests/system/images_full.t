#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A full disk and a daemon that is killed, at every stage of a pull: a clean error, nothing half, and
# the next one succeeds. Needs root: its berth lives on a small tmpfs of its own.
if [ "${IMAGES_FULL_INSIDE:-}" != 1 ]; then
        [ "$(id -u)" = 0 ] || {
                echo '1..0 # SKIP needs root to mount a small tmpfs'
                exit 0
        }
        IMAGES_FULL_INSIDE=1 exec unshare -m "$0"
fi
. tests/system/registry_lib.sh

make_image "$work/oci:1" 6 # 6.3 MB that do not compress
registry plain 'http: {addr: "127.0.0.1:0"}'
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$addr/t/image:1"
skopeo copy -q "oci:$work/oci:1" "oci-archive:$work/image.tar:t/loaded:1"
echo "{\"registries\": {\"$addr\": {\"http\": true}}, \"retry_delay\": \"50ms\"}" >"$BERTH_REGISTRIES"
image=$addr/t/image:1
store=$BERTH_ROOT/images

mkdir -p "$BERTH_ROOT"
mount -t tmpfs -o size=64M tmpfs "$BERTH_ROOT" || skip_all 'cannot mount a tmpfs here'
trap 'timeout 20 berth system stop >/dev/null 2>&1; umount -l "$BERTH_ROOT"; cleanup' EXIT
berth system start >/dev/null 2>&1
hog() { # KIB: leave so much room
        rm -f "$BERTH_ROOT/hog"
        free=$(df -k --output=avail "$BERTH_ROOT" | tail -n 1)
        head -c $(((free - $1) * 1024)) /dev/zero >"$BERTH_ROOT/hog"
}
left() { # what is half: staging folders once their workers are gone, disks or maps without the other
        timeout 5 sh -c "until [ -z \"\$(ls '$store/tmp')\" ]; do :; done"
        find "$store/tmp" -mindepth 1 -maxdepth 1
        find "$store/rootfs" "$store/maps" -type f ! -size +0
        for f in "$store"/rootfs/*.ext4; do
                [ -e "$f" ] && { [ -s "$store/maps/$(basename "$f" .ext4)" ] || echo "$f has no map"; }
        done
}

# While layers come, while the disk is made, at its end: the image takes 6.3 MB twice.
for room in 300 2000 5000 6600 8000 10000 12000 12700; do
        hog $room
        run image pull -q "$image"
        if [ "$code" = 0 ]; then
                ok 0 "$room KiB: enough"
        else
                like "$out" 'No space left on device|disk is full' "$room KiB: says why"
        fi
        is "$(left)" '' "$room KiB: nothing half"
        rm -f "$BERTH_ROOT/hog"
        run image pull -q "$image"
        is "$code" 0 "$room KiB: with room again it succeeds"
        disk=$(echo "$store"/rootfs/*.ext4)
        e2fsck -fn "$disk" >"$work/fsck" 2>&1
        ok $? "$room KiB: and the disk is sound" || sed 's/^/# /' "$work/fsck"
        run image prune --all
done
run image pull -q "$image"
first=$(sha256sum "$store"/rootfs/*.ext4 | cut -d' ' -f1)
run image prune --all

for room in 300 4000; do
        hog $room
        run image load "$work/image.tar"
        like "$out" 'No space left on device' "load, $room KiB: says why"
        is "$(find "$store/blobs/sha256" -type f | wc -l)$(left)" 0 "load, $room KiB: no blob, nothing half"
        rm -f "$BERTH_ROOT/hog"
        run image load "$work/image.tar"
        is "$code" 0 "load, $room KiB: with room again it succeeds"
        run image prune --all
done

# Killed when there are parts, when there is half a disk, when a collection begins.
killed() { # WHAT COMMAND...: run it, kill berthd when WHAT is there
        what=$1
        shift
        pid=$(berth system info -o json | jq -r .pid)
        berth "$@" >/dev/null 2>&1 &
        command=$!
        timeout 10 sh -c "while [ -d /proc/$pid ] && kill -0 $command 2>/dev/null; do
                set -- $what; [ -e \"\$1\" ] && break; done"
        kill -9 "$pid"
        wait "$command"
        # Who worked for it dies with it.
        timeout 10 sh -c "while grep -lsaz 'BERTH_ROOT=$BERTH_ROOT' /proc/[0-9]*/environ |
                cut -d/ -f3 | xargs -rn1 -I@ cat /proc/@/comm 2>/dev/null | grep -qE 'berth-(storage|registry)'; do :; done"
        ok $? "$what: no worker is left"
        berth system start >/dev/null 2>&1
        is "$(left)" '' "$what: nothing half after a new start"
}
for round in 1 2 3; do
        killed "$store/partial/*" image pull -q "$image"
        killed "$store/tmp/*/rootfs.ext4" image pull -q "$image"
        run image pull -q "$image"
        is "$code" 0 "round $round: the next pull succeeds"
        is "$(sha256sum "$store"/rootfs/*.ext4 | cut -d' ' -f1)" "$first" "round $round: the same disk"
        killed "$store/rootfs/*" image prune --all
        run image pull -q "$image"
        is "$code" 0 "round $round: after a killed prune too"
        is "$(sha256sum "$store"/rootfs/*.ext4 | cut -d' ' -f1)" "$first" "round $round: the same disk"
        run image prune --all
done
is "$(find "$store/blobs/sha256" "$store/rootfs" "$store/maps" -type f | wc -l)" 0 'nothing is left in the end'
finish

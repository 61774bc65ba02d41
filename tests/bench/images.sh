#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long images take, against podman, on this machine: an image of 5 gzip layers, 300 MB unpacked,
# from a docker-registry on loopback. Prints a table; best of three.
#
#   BUILD=build sh tests/bench/images.sh
. tests/system/registry_lib.sh

command -v podman >/dev/null || skip_all 'needs podman'
umoci init --layout "$work/oci" >/dev/null
umoci new --image "$work/oci:1" >/dev/null
layer() { # NUMBER: 60 MB, half of it text that compresses, half not
        mkdir -p "$work/l/d$1"
        for f in 1 2 3 4 5 6; do
                head -c 5000000 /dev/urandom >"$work/l/d$1/r$f"
                seq 1 720000 | head -c 5000000 >"$work/l/d$1/t$f"
        done
        tar -C "$work/l" --owner=0 --group=0 -cf "$work/l.tar" .
        rm -rf "$work/l"
        umoci raw add-layer --image "$work/oci:$2" "$work/l.tar" >/dev/null 2>&1
}
for n in 1 2 3 4; do layer $n 1; done
umoci tag --image "$work/oci:1" 2 >/dev/null
layer 5 1
layer 6 2
registry bench 'http: {addr: "127.0.0.1:0"}'
for tag in 1 2; do
        skopeo copy -q --dest-tls-verify=false "oci:$work/oci:$tag" "docker://$addr/bench/image:$tag"
done
skopeo copy -q "docker://$addr/bench/image:1" --src-tls-verify=false "oci-archive:$work/image.tar:bench:1"
echo "{\"registries\": {\"$addr\": {\"http\": true}}}" >"$BERTH_REGISTRIES"
berth system start >/dev/null 2>&1

pod() { podman --root "$work/pod" --runroot "$work/podrun" "$@" >/dev/null 2>&1; }
now() { date +%s%N; }
best() { # PREPARE COMMAND: ms, best of three, in $ms
        ms=
        for _ in 1 2 3; do
                eval "$1" >/dev/null 2>&1
                from=$(now)
                eval "$2" >/dev/null 2>&1 || echo "# failed: $2"
                took=$((($(now) - from) / 1000000))
                if [ -z "$ms" ] || [ "$took" -lt "$ms" ]; then ms=$took; fi
        done
}
row() { printf '%-44s %8s %8s %7s\n' "$1" "$2" "$3" "$4"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

row what berth podman ratio
best 'berth image prune --all' "berth image pull -q $addr/bench/image:1"
full=$ms
best 'pod rmi -af' "pod pull -q --tls-verify=false $addr/bench/image:1"
row 'pull to bootable disk, ms' "$full" "$ms" "$(ratio "$full" "$ms")"
berth image pull -q "$addr/bench/image:1" >/dev/null
best : "berth image pull -q $addr/bench/image:1"
row 'pull again, unchanged, ms' "$ms" '' ''
best "berth image prune --all; berth image pull -q $addr/bench/image:1" "berth image pull -q $addr/bench/image:2"
row 'pull with one layer of five changed, ms' "$ms" '' "$(ratio "$ms" "$full") of full"
best 'berth image prune --all' "berth image load -q $work/image.tar"
mine=$ms
best 'pod rmi -af' "pod load -q -i $work/image.tar"
row 'load of the same archive, ms' "$mine" "$ms" "$(ratio "$mine" "$ms")"
best : "for f in $work/oci/blobs/sha256/*; do gunzip -c <\$f >/dev/null 2>&1 || :; done"
row 'gunzip of all layers (both tags), ms' "$ms" '' ''
umount "$work/pod/overlay" 2>/dev/null
pid=$(berth system info -o json | jq -r .pid)
row 'peak memory of berthd, KiB' "$(sed -n 's/VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status")" '' ''

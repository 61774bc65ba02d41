#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How long images take, against podman, on this machine: an image of 5 gzip layers, 300 MB unpacked,
# from a docker-registry on loopback. Wall time is the best of ROUNDS (5); processor time, the least
# of them, is that of the command, berthd and its workers (podman: the command and its children),
# without the registry: on a busy machine it says more. Then where the time goes, and what memory a
# large image takes.
#
#   make tests && BUILD=build sh tests/bench/images.sh
. tests/system/registry_lib.sh

rounds=${ROUNDS:-5}
tool=${BUILD:-build}/bin/tests/unit/storage/job_test
command -v podman >/dev/null || skip_all 'needs podman'
[ -x "$tool" ] || skip_all "needs $tool (make tests)"

umoci init --layout "$work/oci" >/dev/null
umoci new --image "$work/oci:1" >/dev/null
add_layer() { # TAG: what is in $work/l
        tar -C "$work/l" --owner=0 --group=0 -cf "$work/l.tar" .
        rm -rf "$work/l"
        umoci raw add-layer --image "$work/oci:$1" "$work/l.tar" >/dev/null 2>&1
        rm "$work/l.tar"
}
layer() { # NUMBER TAG: 60 MB, half of it text that compresses, half not
        mkdir -p "$work/l/d$1"
        for f in 1 2 3 4 5 6; do
                head -c 5000000 /dev/urandom >"$work/l/d$1/r$f"
                seq 1 720000 | head -c 5000000 >"$work/l/d$1/t$f"
        done
        add_layer "$2"
}
for n in 1 2 3 4; do layer $n 1; done
umoci tag --image "$work/oci:1" 2 >/dev/null
layer 5 1
layer 6 2
umoci config --image "$work/oci:1" --tag 3 --config.label same=layers >/dev/null 2>&1
registry bench 'http: {addr: "127.0.0.1:0"}'
for tag in 1 2; do
        skopeo copy -q --dest-tls-verify=false "oci:$work/oci:$tag" "docker://$addr/bench/image:$tag"
done
for tag in 1 3; do
        skopeo copy -q "oci:$work/oci:$tag" "oci-archive:$work/image$tag.tar:bench:$tag"
done
echo "{\"registries\": {\"$addr\": {\"http\": true}}}" >"$BERTH_REGISTRIES"
berth system start >/dev/null 2>&1
daemon=$(berth system info -o json | jq -r .pid)
image=$addr/bench/image

pod() { podman --root "$work/pod" --runroot "$work/podrun" "$@" >/dev/null 2>&1; }
now() { date +%s%N; }
used() { # ms of processor that our children and berthd with its own have taken
        # Behind the name in brackets: 12, 13 its own, 14, 15 of children that have ended.
        awk '{ sub(/.*\) /, ""); total += $14 + $15 } NR == 2 { total += $12 + $13 }
                END { print total * 10 }' /proc/$$/stat "/proc/$daemon/stat"
}
best() { # PREPARE COMMAND: ms, best of the rounds, in $ms and $cpu
        ms=
        cpu=
        i=0
        while [ $i -lt "$rounds" ]; do
                i=$((i + 1))
                eval "$1" >/dev/null 2>&1
                before=$(used)
                from=$(now)
                eval "$2" >/dev/null 2>&1 || echo "# failed: $2"
                took=$((($(now) - from) / 1000000))
                spent=$(($(used) - before))
                if [ -z "$ms" ] || [ "$took" -lt "$ms" ]; then ms=$took; fi
                if [ -z "$cpu" ] || [ "$spent" -lt "$cpu" ]; then cpu=$spent; fi
        done
}
row() { printf '%-46s %7s %7s %6s %9s %9s\n' "$@"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / ($2 ? $2 : 1) }"; }
against() { # NAME: berth's $mine and $mine_cpu against $ms and $cpu
        row "$1" "$mine" "$ms" "$(ratio "$mine" "$ms")" "$mine_cpu" "$cpu"
}
mine() { mine=$ms mine_cpu=$cpu; }

row 'what' 'berth' 'podman' 'ratio' 'cpu' 'cpu'
best 'berth image prune --all' "berth image pull -q $image:1"
mine
full=$ms full_cpu=$cpu
best 'pod rmi -af' "pod pull -q --tls-verify=false $image:1"
against 'pull to bootable disk, ms'
berth image pull -q "$image:1" >/dev/null
best : "berth image pull -q $image:1"
row 'pull again, unchanged, ms' "$ms" '' '' "$cpu" ''
best "berth image prune --all; berth image pull -q $image:1" "berth image pull -q $image:2"
row 'pull with one layer of five changed, ms' "$ms" '' '' "$cpu" ''
row '   of a full pull' "$(ratio "$ms" "$full")" '' '' "$(ratio "$cpu" "$full_cpu")" ''
best 'berth image prune --all' \
        "berth image load -q $work/image1.tar && $tool unpack $BERTH_ROOT/images bench:1"
mine
best 'pod rmi -af' "pod load -q -i $work/image1.tar"
against 'load of the same archive to bootable disk, ms'

echo
row 'where the time of unpacking goes' 'ms' '' '' 'cpu' ''
disks="rm -rf $BERTH_ROOT/images/rootfs/* $BERTH_ROOT/images/maps/*"
berth image load -q "$work/image1.tar" >/dev/null
best "$disks" "$tool unpack $BERTH_ROOT/images bench:1"
whole=$cpu
row 'unpack five layers to a disk' "$ms" '' '' "$cpu" ''
layers=$(jq -r '.layers[].digest | sub(":"; "/")' "$work/oci/blobs/sha256/$(jq -r '.manifests[] |
        select(.annotations["org.opencontainers.image.ref.name"] == "1").digest[7:]' "$work/oci/index.json")")
for l in $layers; do echo "$work/oci/blobs/$l"; done >"$work/layers"
n=0
while read -r l; do
        n=$((n + 1))
        gunzip -c <"$l" >"$work/$n.plain"
done <"$work/layers"
best : "openssl dgst -sha256 \$(cat $work/layers) $work/*.plain"
row '   sha256 of layers and tars (openssl)' "$ms" '' '' "$cpu" ''
if command -v igzip >/dev/null; then
        best : "while read -r l; do igzip -dc <\$l >/dev/null; done <$work/layers"
        row '   inflate the layers (igzip)' "$ms" '' '' "$cpu" ''
fi
berth image load -q "$work/image3.tar" >/dev/null
$tool unpack "$BERTH_ROOT/images" bench:1 >/dev/null
best "berth image rm bench:3; berth image load -q $work/image3.tar" \
        "$tool unpack $BERTH_ROOT/images bench:3"
row '   ext4, with content copied from another disk' "$ms" '' '' "$cpu" ''
best : "while read -r l; do gunzip -c <\$l >/dev/null; done <$work/layers"
row 'gunzip the layers, for comparison' "$ms" '' '' "$cpu" ''
row '   processor time of unpacking / of gunzip' '' '' '' "$(ratio "$whole" "$cpu")" ''
rm -f "$work"/*.plain

# 1 GB in four layers, and one of 100 000 files.
umoci new --image "$work/oci:big" >/dev/null
for n in 1 2 3 4; do
        mkdir -p "$work/l/big$n"
        seq "$n" 40000000 | head -c 250000000 >"$work/l/big$n/text"
        add_layer big
done
mkdir "$work/l"
perl -e 'for my $d (1 .. 100) { mkdir "$ARGV[0]/folder-$d"; for my $f (1 .. 1000) {
        open my $o, ">", "$ARGV[0]/folder-$d/a-file-with-a-name-$f" or die; print $o "content $d $f\n" } }' "$work/l"
add_layer big
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:big" "docker://$image:big"
skopeo copy -q "oci:$work/oci:big" "oci-archive:$work/big.tar:bench:big"
echo
row 'peak memory of berthd and workers, KiB' 'PSS' 'RSS' '' 'MiB each' ''
watched() { # NAME COMMAND...
        name=$1
        shift
        berth image prune --all >/dev/null 2>&1
        mkfifo "$work/fifo"
        perl tests/bench/peak.pl "$daemon" <"$work/fifo" >"$work/peak" &
        watcher=$!
        exec 9>"$work/fifo"
        "$@" >/dev/null 2>&1 9>&- || echo "# failed: $*"
        exec 9>&-
        wait $watcher
        rm "$work/fifo"
        read -r pss rss each <"$work/peak"
        row "$name" "$pss" "$rss" '' "$each" ''
}
watched '300 MB pulled' berth image pull -q "$image:1"
watched '1 GB and 100000 files pulled' berth image pull -q "$image:big"
watched '1 GB and 100000 files loaded' berth image load -q "$work/big.tar"
umount "$work/pod/overlay" 2>/dev/null || true # podman may not have mounted it

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# An image made by umoci, loaded and unpacked by berth's storage worker, against what umoci itself
# unpacks: names, types, owners, modes, times, links, content, attributes. Needs root (devices, owners).
set -eu

if [ "${1:-}" = --listing ]; then # of the present folder
        find . -mindepth 1 \( -type d -o -type l \) -printf '%P|%y|%m|%U|%G|%T@|%l\n' | LC_ALL=C sort
        find . ! -type d ! -type l -printf '%P|%y|%m|%U|%G|%s|%T@|%n\n' | LC_ALL=C sort
        find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
        find . \( -type c -o -type b \) -exec stat -c '%n %t:%T' {} + | LC_ALL=C sort
        exit 0
fi
self=$(realpath "$0")
tool=${BUILD:-build}/bin/tests/unit/storage/job_test
case $tool in /*) ;; *) tool=$(pwd)/$tool ;; esac
work=
count=0

skip() {
        echo "1..0 # SKIP $1"
        exit 0
}

[ "$(id -u)" = 0 ] || skip 'needs root to make devices and owners'
for program in umoci skopeo jq debugfs e2fsck gzip zstd; do
        command -v "$program" >/dev/null || skip "needs $program"
done
[ -x "$tool" ] || skip "needs $tool (make unit)"

# shellcheck disable=SC2154 # set right below
trap '[ -z "$work" ] || rm -rf "$work"' EXIT
trap 'trap "" INT TERM HUP PIPE; exit 1' INT TERM HUP PIPE
work=$(mktemp -d /tmp/storage.t.XXXXXX)
cd "$work"

ok() { # STATUS NAME
        count=$((count + 1))
        if [ "$1" = 0 ]; then
                echo "ok $count - $2"
        else
                echo "not ok $count - $2"
                failed=1
        fi
}
failed=0

repack() {
        umoci repack --image oci:t bundle >/dev/null 2>&1
        rm -rf bundle
        umoci unpack --image oci:t bundle >/dev/null 2>&1
}

# Three layers: everything a file can be; changes and removals; what was removed comes back.
umoci init --layout oci >/dev/null
umoci new --image oci:t >/dev/null
umoci unpack --image oci:t bundle >/dev/null 2>&1
root=$work/bundle/rootfs
mkdir -p "$root/bin" "$root/etc" "$root/usr/lib" "$root/var/lib/data" "$root/many" "$root/dev" \
        "$root/gone/below" "$root/was-dir" "$root/tmp"
cp /bin/sh "$root/bin/sh"
chmod 4755 "$root/bin/sh"
ln "$root/bin/sh" "$root/bin/sh-too"
ln -s sh "$root/bin/link"
ln -s "/usr/$(printf 'long%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)" "$root/etc/far"
ln -s usr/lib "$root/lib"
mkfifo "$root/etc/fifo"
mknod "$root/dev/null" c 1 3
mknod "$root/dev/disk" b 259 300
chown 100:101 "$root/var/lib/data"
chmod 2750 "$root/var/lib/data"
chmod 1777 "$root/tmp"
echo plain >"$root/var/lib/data/file"
chown 70000:80000 "$root/var/lib/data/file"
: >"$root/etc/empty"
truncate -s 40M "$root/var/sparse"
printf 'middle' | dd of="$root/var/sparse" bs=1 seek=30000000 conv=notrunc 2>/dev/null
head -c 5000000 /dev/urandom >"$root/var/big"
i=0
while [ $i -lt 700 ]; do
        : >"$root/many/a-name-of-some-length-$i"
        i=$((i + 1))
done
name=$(printf 'n%.0s' $(seq 255))
echo longest >"$root/many/$name"
echo umlaut >"$root/etc/$(printf 'gr\303\274\303\237e')"
echo x >"$root/gone/below/x"
echo y >"$root/was-dir/y"
echo z >"$root/was-file"
touch -d '2001-02-03 04:05:06.123456789 UTC' "$root/etc/empty"
touch -d '1965-01-01 00:00:00 UTC' "$root/var/lib/data/file"
repack
rm -r "$root/gone" "$root/was-dir" "$root/was-file" "$root/bin/sh-too" "$root/many/a-name-of-some-length-5"
echo now-file >"$root/was-dir"
mkdir "$root/was-file"
echo now-dir >"$root/was-file/inside"
chmod 0600 "$root/var/lib/data/file"
repack
mkdir -p "$root/gone/below"
echo again >"$root/gone/below/other"
head -c 1500000 /dev/urandom >"$root/var/big"
repack
layers=$(skopeo inspect oci:oci:t | jq '.Layers | length')

[ "$layers" = 3 ]
ok $? "umoci made three layers"
umoci unpack --image oci:t reference >/dev/null 2>&1
(cd reference/rootfs && sh "$self" --listing) >expected

tar -C oci -cf plain.tar .
gzip -k plain.tar
zstd -q plain.tar
skopeo --insecure-policy copy -q oci:oci:t docker-archive:docker.tar:t:docker
skopeo --insecure-policy copy -q --dest-compress-format zstd oci:oci:t oci:oci-zstd:t
tar -C oci-zstd -cf zstd-layers.tar .

set +e # from here on statuses are looked at

check() { # ARCHIVE REF
        rm -rf store
        "$tool" load store "$1" "$2" >out 2>&1 && "$tool" unpack store "$2" >out 2>&1
        ok $? "$1: loads and unpacks"
        grep -q rootfs out || sed 's/^/# /' out
        disk=$(echo store/rootfs/*.ext4)
        e2fsck -fn "$disk" >fsck 2>&1
        ok $? "$1: e2fsck finds nothing"
        [ "$(stat -c %a "$disk")" = 444 ]
        ok $? "$1: the disk is read-only"
        [ -z "$(ls store/tmp)" ]
        ok $? "$1: nothing is left in tmp"
}

compare_mounted() { # the kernel's own view, in a mount namespace of its own
        mkdir -p mnt
        unshare -m sh -c "mount -o loop,ro '$1' mnt && cd mnt && sh '$self' --listing" >got 2>mount.err
}

check plain.tar t:plain
first=$(sha256sum <"$disk")
if compare_mounted "$disk"; then
        diff -u expected got >difference 2>&1
        ok $? 'the kernel sees exactly what umoci unpacks'
        sed 's/^/# /' difference | head -20
else
        mkdir -p dumped
        debugfs -R 'rdump / dumped' "$disk" >/dev/null 2>&1
        (cd dumped && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >got
        (cd reference/rootfs && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >want
        diff -u want got >difference 2>&1
        ok $? 'debugfs sees the content that umoci unpacks (no loop mounts here)'
fi
debugfs -R 'ls -p /' "$disk" 2>/dev/null | grep -q lost+found && status=1 || status=0
ok "$status" 'no lost+found'
[ "$(stat -c '%b' "$disk")" -lt 24000 ]
ok $? 'holes stay holes: less than 12 MB on the host'

for archive in plain.tar.gz plain.tar.zst docker.tar zstd-layers.tar; do
        check "$archive" t:again
        case $archive in plain*)
                [ "$(sha256sum <"$disk")" = "$first" ]
                ok $? "$archive: the same disk, byte by byte"
                ;;
        *)
                debugfs -R 'cat /gone/below/other' "$disk" 2>/dev/null | grep -qx again
                ok $? "$archive: the last layer's file is there"
                ;;
        esac
done

# Disks that guests write to: the kernel takes them, and they stay clean.
"$tool" unpack store t:again >out 2>&1
"$tool" scratch store scratch.ext4 >out 2>&1
ok $? 'a scratch disk'
"$tool" volume store t:again /many >out 2>&1
ok $? 'a volume seeded with a folder of 700 files'
for disk in scratch.ext4 store/volumes/v/disk.ext4; do
        unshare -m sh -c "mount -o loop '$disk' mnt" 2>/dev/null || break
        unshare -m sh -c "mount -o loop '$disk' mnt && cd mnt && ls >/dev/null && mkdir new &&
                i=0 && while [ \$i -lt 300 ]; do echo \$i >new/f\$i; i=\$((i + 1)); done &&
                rm new/f1* && cp -r new new2 && sync -f . && df -P . | tail -1" >out 2>&1
        ok $? "$disk: the kernel writes to it"
        e2fsck -fn "$disk" >fsck 2>&1
        ok $? "$disk: e2fsck finds nothing afterwards"
        sed 's/^/# /' out
done
(cd reference/rootfs/many && find . -type f -printf '%P %m %U %T@\n' | LC_ALL=C sort) >want
debugfs -R 'ls -p /' store/volumes/v/disk.ext4 2>/dev/null | grep -c a-name-of-some-length >got
[ "$(grep -c a-name want)" = "$(cat got)" ]
ok $? 'the volume has all files of the folder'

# Names that archives bring along.
rm -rf store
"$tool" load store docker.tar >out 2>&1 && grep -q '"docker.io/library/t:docker"' out
ok $? 'docker save: named by RepoTags'
skopeo --insecure-policy copy -q oci:oci:t oci-archive:named.tar:shop/web:3
"$tool" load store named.tar >out 2>&1 && grep -q '"docker.io/shop/web:3"' out
ok $? 'OCI archive: named by its annotation'
head -c 100000 plain.tar.gz >cut.tar.gz
"$tool" load store cut.tar.gz cut >out 2>&1
[ $? = 1 ] && grep -q 'blobs/sha256/.*truncated' out
ok $? 'a truncated archive is refused, and the blob named'
"$tool" load store plain.tar t:again >out 2>&1

"$tool" remove store t:again >out 2>&1
ok $? 'the image is removed'
"$tool" remove store t:docker >out 2>&1 && "$tool" remove store shop/web:3 >out 2>&1
ok $? 'and the others'
[ -z "$(find store/blobs/sha256 store/rootfs -type f)" ]
ok $? 'and nothing is left of it'

echo "1..$count"
exit $failed

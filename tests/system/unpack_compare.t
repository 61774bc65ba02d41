#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images of Debian packages, pulled from a registry by berth: each disk, as the kernel mounts it, is
# compared name by name with what umoci and podman unpack of the same image: types, modes, owners,
# sizes, times, content, targets, groups of hard links, devices, attributes.
# shellcheck disable=SC2016 # other shells expand
. tests/system/registry_lib.sh

[ "$(id -u)" = 0 ] || skip_all 'needs root to make devices and owners, and to mount'
for program in debugfs podman zstd setcap apt-get dpkg-deb /usr/bin/python3; do
        command -v "$program" >/dev/null || skip_all "needs $program"
done
truncate -s 4M "$work/probe.ext4" && mke2fs -q "$work/probe.ext4" && mkdir "$work/mnt"
unshare -m mount -o loop,ro "$work/probe.ext4" "$work/mnt" 2>/dev/null || skip_all 'needs loop mounts'
python=/usr/bin/python3

# ----------------------------------------------------------------------------- packages, kept in the cache

# Small ones, so that 45 of them are no gigabyte; perl-base has hard links, the others set modes.
many='base-files base-passwd bash-completion bsdutils bzip2 cpio cron dash debianutils diffutils
ed file findutils gawk gettext-base grep groff-base gzip hostname init-system-helpers iproute2 jq
kmod less login logrotate lsof m4 make mawk mount nano netbase netcat-openbsd passwd patch perl-base
procps psmisc rsync sed sysvinit-utils tar time traceroute tzdata ucf'
few='busybox-static coreutils iputils-ping'
debs=${BERTH_CACHE:-${XDG_CACHE_HOME:-$real_home/.cache}/berth}/debs
mkdir -p "$debs"

fetch() { # PACKAGES: those that are not in the cache yet; whole files only
        missing=
        for package in "$@"; do
                ls "$debs/${package}_"*.deb >/dev/null 2>&1 || missing="$missing $package"
        done
        [ -n "$missing" ] || return 0
        mkdir -p "$work/fetch"
        # shellcheck disable=SC2086 # names of packages
        (cd "$work/fetch" && timeout 120 apt-get download $missing >"$work/apt.log" 2>&1) || return 1
        mv "$work/fetch"/*.deb "$debs"
}

# shellcheck disable=SC2086 # names of packages
fetch $many $few || skip_all "needs packages: $(tail -n 1 "$work/apt.log")"
deb() { dpkg-deb --fsys-tarfile "$debs/$1"_*.deb; }

# ---------------------------------------------------------------------------------------------- images

add() { # NAME TAR: one more layer
        umoci raw add-layer --image "$work/oci:$1" "$2" >/dev/null 2>&1 || echo "# umoci: $2"
}

begin() { # NAME
        umoci new --image "$work/oci:$1" >/dev/null
        umoci config --image "$work/oci:$1" --config.cmd /bin/sh >/dev/null
}

umoci init --layout "$work/oci" >/dev/null
mkdir "$work/layers"
$python tests/system/odd_layers.py "$work/layers"
begin many
# shellcheck disable=SC2086 # names of packages
for package in $(cd "$debs" && printf '%s_*.deb\n' $many | xargs -I PATTERN sh -c 'ls -s PATTERN' | sort -n |
        sed 's/.* //; s/_.*//'); do # podman copies all files for each layer: the large ones come last
        deb "$package" >"$work/layer.tar"
        add many "$work/layer.tar"
done
add many "$work/layers/debian.tar"

begin odd
deb busybox-static >"$work/layer.tar"
add odd "$work/layer.tar"
for layer in names gnu links changes whites; do
        add odd "$work/layers/$layer.tar"
done

# Holes as each version of the format writes them, and a capability as the kernel keeps it.
begin sparse
deb coreutils >"$work/layer.tar"
add sparse "$work/layer.tar"
mkdir -p "$work/tree/holes" "$work/tree/caps"
cd "$work/tree/holes" || exit 1
truncate -s 30M all
truncate -s 20M middle && printf 'middle' | dd of=middle bs=1 seek=9999999 conv=notrunc status=none
head -c 70000 /dev/urandom >start && truncate -s 5M start
truncate -s 5000000 end && printf 'end' >>end
i=0
truncate -s 8M stripes
while [ $i -lt 60 ]; do
        printf '%d' $i | dd of=stripes bs=4096 seek=$((i * 30)) conv=notrunc status=none
        i=$((i + 1))
done
head -c 300000 /dev/zero >written-zeros
cd "$top" || exit 1
dpkg-deb -x "$debs"/iputils-ping_*.deb "$work/ping"
cp "$work/ping/bin/ping" "$work/tree/caps/ping"
setcap cap_net_raw=ep "$work/tree/caps/ping"
begin gnu-sparse
deb coreutils >"$work/layer.tar"
add gnu-sparse "$work/layer.tar"
for form in gnu posix/0.0 posix/0.1 posix/1.0; do
        version=${form#*/}
        [ "$version" != "$form" ] || version=1.0
        tar -C "$work/tree" --sparse "--format=${form%/*}" "--sparse-version=$version" \
                --transform "s|^|$(echo "$form" | tr / -)-|" --numeric-owner -cf "$work/layer.tar" holes
        case $form in gnu) image=gnu-sparse ;; *) image=sparse ;; esac
        add $image "$work/layer.tar"
done
tar -C "$work/tree" --xattrs --xattrs-include='*' --numeric-owner -cf "$work/layer.tar" caps
add sparse "$work/layer.tar"

begin twice
deb busybox-static >"$work/layer.tar"
add twice "$work/layer.tar"
add twice "$work/layers/twice.tar"

# What umoci itself makes of changes to a real tree.
begin repacked
for package in coreutils login mount; do
        deb "$package" >"$work/layer.tar"
        add repacked "$work/layer.tar"
done
umoci unpack --image "$work/oci:repacked" "$work/bundle" >/dev/null 2>&1
root=$work/bundle/rootfs
rm -rf "$root/usr/share/doc/login" "$root/bin/cat" "$root/usr/share/man"
mkdir "$root/usr/share/man"
ln "$root/bin/login" "$root/bin/login-too"
chmod 2755 "$root/bin/mount"
mv "$root/usr/bin/sort" "$root/usr/bin/sorted"
ln -s sorted "$root/usr/bin/sort"
setcap cap_sys_admin=p "$root/bin/umount"
umoci repack --image "$work/oci:repacked" "$work/bundle" >/dev/null 2>&1
rm -rf "$work/bundle"

BERTH_CACHE=${debs%/debs} sh manifests/examples/hello/images.sh "${debs%/debs}/hello-images" >"$work/hello.log" 2>&1
skopeo copy -q "oci-archive:${debs%/debs}/hello-images/hello-redis.tar" "oci:$work/oci:redis"
ok $? 'an image that mmdebstrap made'

# --------------------------------------------------------------------------------------------- comparison

registry plain 'http: {addr: "127.0.0.1:0"}'

mounted() { # DISK: a listing of it
        unshare -m sh -c 'mount -o loop,ro "$1" "$2" && exec "$3" tests/system/tree_listing.py "$2"' \
                sh "$1" "$work/mnt" "$python"
}

same() { # NAME WANTED GOT
        diff -u "$2" "$3" >"$work/difference" 2>&1
        ok $? "$1" || head -n 30 "$work/difference" | cut -c 1-300 | sed 's/^/# /'
}

by_umoci() { # TAG: a listing of what it unpacks
        umoci unpack --image "$work/oci:$1" "$work/umoci" >"$work/log" 2>&1 || sed 's/^/# umoci: /' "$work/log" >&2
        $python tests/system/tree_listing.py "$work/umoci/rootfs"
        rm -rf "$work/umoci"
}

# In a mount namespace of its own, where nothing can stay mounted. vfs, as overlayfs has no hard links
# from one layer into another.
by_podman() { # TAG
        export addr work python
        unshare -m sh -c '
                pod="podman --root $work/pod --runroot $work/podrun --storage-driver vfs"
                $pod pull -q --tls-verify=false "$addr/test/$1:1" >/dev/null 2>"$work/log" ||
                        sed "s/^/# podman: /" "$work/log" >&2
                $python tests/system/tree_listing.py "$($pod image mount "$addr/test/$1:1")"
                $pod image umount "$addr/test/$1:1" >/dev/null
                $pod rmi -f "$addr/test/$1:1" >/dev/null 2>&1' sh "$1"
}

by_tar() { # TAG: for layers that remove nothing
        mkdir "$work/tar"
        skopeo copy -q "oci:$work/oci:$1" "dir:$work/blobs"
        for layer in $(jq -r '.layers[].digest' "$work/blobs/manifest.json"); do
                tar -C "$work/tar" --xattrs --xattrs-include='*' --numeric-owner -xpf "$work/blobs/${layer#*:}"
        done
        $python tests/system/tree_listing.py "$work/tar"
        rm -rf "$work/tar" "$work/blobs"
}

compare() { # TAG NAMES-AT-LEAST UNPACKERS [ORIGINAL]: umoci reads that one, with the same files
        tag=$1 unpackers=$3 original=${4:-$1}
        ref=$addr/test/$tag:1
        run image pull -q "$ref"
        is "$code" 0 "$tag: pulled"
        disk=$(berth image inspect "$ref" -o json | jq -r .rootfs)
        e2fsck -fn "$disk" >"$work/fsck" 2>&1
        ok $? "$tag: e2fsck finds nothing" || sed 's/^/# /' "$work/fsck"
        mounted "$disk" >"$work/got"
        [ "$(wc -l <"$work/got")" -ge "$2" ]
        ok $? "$tag: $(wc -l <"$work/got") names, at least $2"
        for unpacker in $unpackers; do
                case $unpacker in
                umoci) by_umoci "$original" ;;
                podman) by_podman "$tag" ;;
                tar) by_tar "$tag" ;;
                esac >"$work/want"
                # tar does not set the times of folders back when it goes on in them
                [ "$unpacker" != tar ] || sed -i '/ dir [0-7]* /s/ [0-9.]* $//' "$work/want" "$work/got"
                same "$tag: as $unpacker unpacks it" "$work/want" "$work/got"
        done
}

push() { # TAG FLAGS...
        tag=$1
        shift
        skopeo copy -q --dest-tls-verify=false "$@" "docker://$addr/test/$tag:1"
}

for tag in many odd twice sparse gnu-sparse repacked redis; do
        push $tag "oci:$work/oci:$tag"
done
skopeo copy -q --dest-compress --dest-compress-format zstd "oci:$work/oci:repacked" "dir:$work/zstd"
push zstd "dir:$work/zstd"
like "$(skopeo inspect --raw --tls-verify=false "docker://$addr/test/zstd:1")" 'tar.zstd|tar\+zstd' 'zstd layers are zstd'

is "$(jq '.layers | length' "$(skopeo inspect --raw "oci:$work/oci:many" >"$work/raw" && echo "$work/raw")")" 48 'many layers'
compare many 3000 'umoci podman'
compare odd 300 'umoci podman'
compare twice 10 'umoci' # podman refuses a name that comes twice
compare sparse 100 'umoci podman tar'
holes=$(stat -c %b "$disk")
[ "$holes" -lt $((2 * 40000)) ] # 512-byte blocks; the files of 190 MB have 3 MB of content
ok $? "sparse: holes are holes ($((holes / 2)) KiB on the host)"
compare gnu-sparse 100 'tar' # the others do not know GNU's older kind
compare repacked 200 'umoci podman'
compare redis 500 'umoci podman'
compare zstd 200 'umoci podman' repacked

finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Make the images of this example from Debian packages, as OCI archives, without a registry:
#
#   images.sh DIR     writes DIR/hello-web.tar and DIR/hello-redis.tar; what is there is kept
#
# hello-web is busybox-static and nothing else; hello-redis holds redis-server and the libraries it
# needs, unpacked by mmdebstrap without running any package's scripts.
set -eu

out=${1:?usage: images.sh DIR}
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/berth-images.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# pack NAME ROOT CONFIG...: an OCI archive of one layer from a root folder
pack() {
        name=$1 root=$2
        shift 2
        layout=$work/$name.oci
        umoci --log error init --layout "$layout"
        umoci --log error new --image "$layout:latest"
        umoci --log error raw add-layer --image "$layout:latest" "$root.tar"
        umoci --log error config --image "$layout:latest" "$@"
        umoci --log error gc --layout "$layout"
        # The name under which berth, docker and podman load it.
        jq -c --arg ref "docker.io/library/$name:latest" '.manifests[0].annotations |=
                (. + {"org.opencontainers.image.ref.name": "latest", "io.containerd.image.name": $ref})' \
                "$layout/index.json" >"$layout/index.new"
        mv "$layout/index.new" "$layout/index.json"
        tar -C "$layout" -cf "$out/$name.tar.new" .
        mv "$out/$name.tar.new" "$out/$name.tar"
        echo "image: $out/$name.tar"
}

web() {
        root=$work/web
        mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/www" "$root/root"
        chmod 1777 "$root/tmp"
        cp /bin/busybox "$root/bin/busybox"
        for applet in $(/bin/busybox --list); do
                [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
        done
        echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
        echo 'root:x:0:' >"$root/etc/group"
        tar -C "$root" --numeric-owner --owner=0 --group=0 --sort=name -cf "$root.tar" .
        pack hello-web "$root" --config.env PATH=/bin --config.cmd sh
}

redis() {
        root=$work/redis
        suite=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
        # The same package sources as this machine's: the first file that names any.
        for sources in /etc/apt/sources.list /etc/apt/sources.list.d/*; do
                ! grep -qsE '^(deb|Types:)' "$sources" || break
        done
        mmdebstrap --quiet --variant=extract --include=redis-server,redis-tools,dash,coreutils \
                --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
                --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/perl*' \
                "$suite" "$root.full.tar" "$sources"
        mkdir "$root"
        tar -C "$root" --exclude='./dev/*' -xf "$root.full.tar"
        ldconfig -r "$root" 2>/dev/null
        echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
        echo 'redis:x:999:999:redis:/data:/usr/sbin/nologin' >>"$root/etc/passwd"
        printf 'root:x:0:\nredis:x:999:\n' >"$root/etc/group"
        mkdir -p "$root/data" "$root/tmp"
        chmod 1777 "$root/tmp"
        tar -C "$root" --numeric-owner --owner=0 --group=0 --sort=name --exclude=./data \
                -cf "$root.tar" .
        # The folder that the volume is seeded from belongs to redis.
        tar -C "$root" --numeric-owner --owner=999 --group=999 -rf "$root.tar" ./data
        pack hello-redis "$root" --config.env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin \
                --config.cmd redis-server --config.volume /data --config.exposedports 6379/tcp
}

[ -s "$out/hello-web.tar" ] || web
[ -s "$out/hello-redis.tar" ] || redis

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Load the images of the hello example into the store that the tests with VMs share.
#
#   images.sh BIN STORE
set -eu

bin=$1
mkdir -p "$2"
store=$(cd "$2" && pwd)
cache=${BERTH_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/berth}
sh manifests/examples/hello/images.sh "$cache/hello-images"
root=$(mktemp -d "${TMPDIR:-/tmp}/berth-i.XXXXXX")
export BERTH_ROOT="$root/r" BERTH_IMAGES="$store"
trap '"$bin/berth" system stop >/dev/null 2>&1 || true; rm -rf "$root"' EXIT
for name in hello-web hello-redis; do
        "$bin/berth" image ls -o json | grep -q "$name:latest" ||
                "$bin/berth" image load -i "$cache/hello-images/$name.tar"
done

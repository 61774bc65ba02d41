#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# How much an image may be is configured, and an error says which limit it was.
. tests/system/registry_lib.sh

registry plain 'http: {addr: "127.0.0.1:0"}'
make_image "$work/oci:1" 3 # 1.8 MB, 9 entries
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$addr/t/image:1"
skopeo copy -q "oci:$work/oci:1" "oci-archive:$work/image.tar:t/loaded:1"
mkdir -p "$work/deep/a/b/c/d/e"
head -c 3000000 /dev/zero >"$work/deep/a/b/zeros"
tar -C "$work/deep" -cf "$work/deep.tar" a
image=$addr/t/image:1

limits() { # JSON
        printf '{"retry_delay": "50ms", "limits": %s}\n' "$1" >"$BERTH_REGISTRIES"
}

past() { # NAME LIMITS REGEX COMMAND...: fails so, and leaves nothing; without that limit it succeeds
        limits "$2"
        name=$1 wanted=$3
        shift 3
        run "$@"
        [ "$code" != 0 ]
        like "$code:$out" "^[1-9][0-9]*:.*$wanted" "$name: says which limit" || echo "# $out"
        is "$(berth image ls -q)" '' "$name: nothing is listed"
        limits '{}'
        run "$@"
        is "$code" 0 "$name: by default it is none"
        run image prune --all
}

past 'layers, pulled' '{"layers": 2}' '3 layers; the limit is 2 .limits.layers' image pull -q "$image"
past 'layers, loaded' '{"layers": 2}' '3 layers; the limit is 2 .limits.layers' image load -q "$work/image.tar"
past 'entries of an image' '{"entries": 5}' 'more than 5 entries.*limits.entries' image pull -q "$image"
past 'bytes of an image' '{"image_size": "1m"}' 'more than 1 MiB in an image .limits.image_size' image pull -q "$image"
past 'bytes of a layer' '{"layer_size": "1m"}' 'larger than 1 MiB.*limits.layer_size' image import -q "$work/deep.tar" deep:1
past 'folders' '{"depth": 4}' 'more than 4 folders deep .limits.depth' image import -q "$work/deep.tar" deep:1
past 'one that is none' '{"speed": 4}' 'registries.json: limits.speed: is none' image pull -q "$image"
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A layer that is pushed in parts, and what may happen to one of them.
. tests/system/registry_lib.sh

mkdir "$work/root"
head -c 70000000 /dev/urandom >"$work/root/random" # a part of 64 MiB, and a rest
tar -C "$work/root" -cf "$work/root.tar" random
registry plain 'http: {addr: "127.0.0.1:0"}'
fault_proxy "$addr" # it takes its time with so much
echo '{"retry_delay": "50ms"}' >"$BERTH_REGISTRIES"
run image import -q "$work/root.tar" large:1
is "$code" 0 'an image of one large layer'
digest=$(berth image inspect large:1 -o json | jq -r .digest)

pushed() { # REPOSITORY NAME REQUESTS: the registry has it, and that many POST, PATCH, PUT of its layer
        run image tag large:1 "$proxy/$1:1"
        : >"$work/proxy.log"
        rm -f "$work"/rules.*
        run image push -q "$proxy/$1:1"
        is "$code" 0 "$2" || echo "# $out"
        sums=$(skopeo inspect --raw --tls-verify=false "docker://$addr/$1:1" | sha256sum | cut -d' ' -f1)
        is "sha256:$sums" "$digest" "$2: the same image is there"
        # The config takes a POST and a PUT.
        is "$(grep -c '^POST' "$work/proxy.log") $(grep -c '^PATCH' "$work/proxy.log") $(grep -c '^PUT .*uploads' "$work/proxy.log")" \
                "$3" "$2: in so many requests"
        run image rm "$proxy/$1:1"
        curl -sf -o /dev/null -X DELETE "http://$addr/v2/$1/manifests/$digest"
}

pushed one 'in parts' '2 1 2'
echo 'PATCH long=5 1' >"$work/rules"
# What docker-registry makes of it: asked at the old place it forgets the upload.
pushed two 'the answer to a part is lost' '3 2 2'
echo 'PATCH lower 1' >"$work/rules"
pushed three 'a part that never came: from the beginning' '3 2 2'
echo 'POST set=OCI-Chunk-Min-Length:_100000000' >"$work/rules"
pushed four 'a registry that wants larger parts' '2 0 2'
echo 'PATCH status=403' >"$work/rules"
run image tag large:1 "$proxy/five:1"
: >"$work/proxy.log"
run image push -q "$proxy/five:1"
like "$code:$out" '^[1-9].*(denied|403)' 'one that refuses for good'
is "$(grep -c '^PATCH' "$work/proxy.log")" 1 'is not asked again'
finish

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stack whose image is at a registry: apply pulls it, pull_policy decides, a moved tag replaces.
. tests/vm/lib.sh

for program in docker-registry skopeo umoci; do
        command -v "$program" >/dev/null || {
                echo "1..0 # SKIP needs $program"
                exit 0
        }
done
BERTH_IMAGES=$test_dir/images # not the shared store: this test pulls into it
BERTH_REGISTRIES=$test_dir/registries.json
export BERTH_IMAGES BERTH_REGISTRIES
echo '{"retry_delay": "50ms"}' >"$BERTH_REGISTRIES"
shared=${BERTH_TEST_IMAGES:-$PWD/build/tests/images}

printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: "127.0.0.1:0"}\n' \
        "$test_dir/registry" >"$test_dir/registry.yml"
docker-registry serve "$test_dir/registry.yml" >"$test_dir/registry.log" 2>&1 &
registry=$!
# shellcheck disable=SC2016 # the inner shell expands
seen() { # FILE TEXT: wait until it is there
        timeout 60 sh -c 'tail -n +1 -F "$1" 2>/dev/null | grep -m1 -e "$2" >/dev/null' sh "$1" "$2"
}
seen "$test_dir/registry.log" 'listening on'
addr=$(sed -n 's/.*listening on \([0-9.:]*[0-9]\).*/\1/p' "$test_dir/registry.log" | head -n 1)

BERTH_ROOT=$test_dir/other BERTH_IMAGES=$shared berth image save hello-web -f "$test_dir/web.tar"
BERTH_ROOT=$test_dir/other berth system stop >/dev/null
skopeo copy -q --dest-tls-verify=false "docker-archive:$test_dir/web.tar" "docker://$addr/hello/web:1"

stack() { # POLICY
        cat >"$test_dir/pulled.yaml" <<END
name: pulled
services:
  web:
    image: $addr/hello/web:1
    pull_policy: $1
    command: sh -c 'cat /etc/version 2>/dev/null; exec sleep 1000'
END
}

stack never
run berth apply -f "$test_dir/pulled.yaml" --timeout 60s
like "$out" 'no such image.*pull_policy' 'with pull_policy never nothing is asked'
is "$(grep -c 'GET /v2/hello' "$test_dir/registry.log")" 0 'and nobody was'

stack missing
run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
is "$code" 0 'apply pulls what is missing' || printf '%s\n' "$out" | sed 's/^/# /'
like "$(berth events)" "image-pulled +.*$addr/hello/web:1|image-pulled.*hello/web:1" 'an event tells'
first=$(berth ps -o json | jq -r '.[0].digest')

run berth image rm "$addr/hello/web:1"
[ "$code" != 0 ]
ok $? 'an image in use is not removed'
run berth image prune --all
is "$(berth image ls -q | wc -l)" 1 'nor by prune'

# Another daemon that shares the store does not take it away either, whether this one runs or not.
other() { # BERTH-ARGS...
        out=$(BERTH_ROOT=$test_dir/sharing timeout 60 berth "$@" 2>&1)
}
other image rm "$addr/hello/web:1"
like "$out" "in use by the berthd of $BERTH_ROOT" 'nor by a daemon that shares the store'
berth system stop >/dev/null # the VM goes on
other image prune --all
other image ls -q
like "$out" 'hello/web:1' 'nor while nobody runs who uses it but its VM'
disk=$BERTH_IMAGES/rootfs/${first#*:}.ext4
[ -e "$disk" ]
ok $? 'its disk stays'
BERTH_ROOT=$test_dir/sharing berth system stop >/dev/null

# The same tag, another image.
mkdir -p "$test_dir/more/etc"
echo two >"$test_dir/more/etc/version"
tar -C "$test_dir/more" --owner=0 --group=0 -cf "$test_dir/more.tar" etc
skopeo copy -q "docker-archive:$test_dir/web.tar" "oci:$test_dir/oci:1"
umoci raw add-layer --image "$test_dir/oci:1" "$test_dir/more.tar" >/dev/null 2>&1
skopeo copy -q --dest-tls-verify=false "oci:$test_dir/oci:1" "docker://$addr/hello/web:1"
run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
is "$(berth ps -o json | jq -r '.[0].digest')" "$first" 'with missing the old image stays'
stack always
berth logs -f pulled/web >"$test_dir/logs" 2>&1 &
follower=$!
run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
seen "$test_dir/logs" two
ok $? 'with always the VM runs the new one'
kill "$follower" 2>/dev/null
wait "$follower" 2>/dev/null
[ "$(berth ps -o json | jq -r '.[0].digest')" != "$first" ]
ok $? 'and its digest is another'

# Timed policies: not asked again before it is time; the store keeps when that was.
moved=$(berth ps -o json | jq -r '.[0].digest')
asked() { grep -c 'GET /v2/hello/web/manifests\|HEAD /v2/hello/web/manifests' "$test_dir/registry.log"; }
skopeo copy -q --dest-tls-verify=false "docker-archive:$test_dir/web.tar" "docker://$addr/hello/web:1"
before=$(asked)
for policy in daily weekly every_1h; do
        stack $policy
        run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
        is "$code" 0 "$policy: applied" || printf '%s\n' "$out" | sed 's/^/# /'
done
is "$(asked)" "$before" 'pulled a moment ago, it is not asked for'
is "$(berth ps -o json | jq -r '.[0].digest')" "$moved" 'and what runs stays'
jq -c '.manifests[].annotations["berth.image.pulled"] |= ((tonumber - 7200000) | tostring)' \
        "$BERTH_IMAGES/index.json" >"$test_dir/index" && cp "$test_dir/index" "$BERTH_IMAGES/index.json"
stack daily
run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
is "$(asked)" "$before" 'two hours are less than a day'
stack every_1h
run berth apply -f "$test_dir/pulled.yaml" --timeout 2m
run berth wait pulled --for healthy --timeout 60s
[ "$(asked)" -gt "$before" ]
ok $? 'and more than an hour: it is asked for'
[ "$(berth ps -o json | jq -r '.[0].digest')" != "$moved" ]
ok $? 'and what came runs'

kill "$registry"
wait "$registry" 2>/dev/null
run berth apply -f "$test_dir/pulled.yaml" --timeout 60s
berth ps -o json | jq -e '.[0].state == "running"' >/dev/null
ok $? 'a registry that is gone does not stop what runs'
jq -c '.manifests[].annotations["berth.image.pulled"] |= "1"' "$BERTH_IMAGES/index.json" >"$test_dir/index" &&
        cp "$test_dir/index" "$BERTH_IMAGES/index.json"
run berth apply -f "$test_dir/pulled.yaml" --timeout 60s
is "$code" 0 'nor does it stop an apply whose image is only old'
stack build
run berth apply -f "$test_dir/pulled.yaml" --timeout 60s
like "$out" "'build' is taken as never: images are not built here.*berth image load" 'build is never, and says the way out'

finish

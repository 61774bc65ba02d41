#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The cases of docs/images.md that are about bytes of layers and archives, tokens, proxies and moving tags;
# the others are in registry_bad.t. Each failure is one clear line, and leaves nothing behind.
# shellcheck disable=SC2016 # jq's variables
. tests/system/registry_lib.sh
[ -x /usr/bin/python3 ] || skip_all 'needs /usr/bin/python3'

make_image "$work/oci:1" 3
digest=$(jq -r '.manifests[0].digest' "$work/oci/index.json")
registry plain 'http: {addr: "127.0.0.1:0"}'
plain=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$plain/team/web:1"
mkdir "$work/odd"
/usr/bin/python3 tests/system/odd_archives.py "$work/odd" "$work/oci"

clean() { # nothing listed, nothing staged, the daemon goes on
        left=$(timeout 20 berth image ls -q 2>&1; ls "$BERTH_ROOT/images/tmp")
        [ -z "$left" ] || printf '# left behind: %s\n' "$left"
        [ -z "$left" ]
}

refused() { # NAME REGEX: the last command failed with such a line, within its time
        if [ "$code" != 0 ] && [ "$code" != 137 ] && printf '%s\n' "$out" | grep -qE -e "$2" && clean; then
                ok 0 "$1"
        else
                ok 1 "$1"
                printf '# code %s: %s\n# wanted: %s\n' "$code" "$out" "$2"
        fi
        run image prune --all
}

taken() { # NAME
        is "$code" 0 "$1"
        run image prune --all
}

# ---------------------------------------------------------------------------------- bytes of layers (66-70)

upload() { # FILE: into the repository $repository
        to=$(curl -s -o /dev/null -D - -X POST "http://$plain/v2/$repository/blobs/uploads/" | tr -d '\r' |
                sed -n 's/^[Ll]ocation: //p')
        curl -sf -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$1" \
                "$to&digest=sha256:$(sha256sum <"$1" | cut -d' ' -f1)"
}

describe() { # FILE TYPE
        printf '{"mediaType": "%s", "digest": "sha256:%s", "size": %s}' "$2" "$(sha256sum <"$1" | cut -d' ' -f1)" \
                "$(wc -c <"$1")"
}

arch=$(jq -r .architecture "$work/oci/blobs/sha256/$(jq -r '.config.digest' "$work/oci/blobs/sha256/${digest#*:}" | cut -d: -f2)")
layer() { # NAME [TYPE]: an image of that one layer; then it is pulled
        repository=case/$1
        printf '{"os": "linux", "architecture": "%s", "config": {}, "rootfs": {"type": "layers", "diff_ids": ["%s"]}}' \
                "$arch" "$(cat "$work/odd/layer-$1.diff")" >"$work/config"
        upload "$work/odd/layer-$1"
        upload "$work/config"
        printf '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": %s, "layers": [%s]}' \
                "$(describe "$work/config" application/vnd.oci.image.config.v1+json)" \
                "$(describe "$work/odd/layer-$1" "application/vnd.oci.image.layer.v1.tar${2:-+gzip}")" >"$work/manifest"
        curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
                --data-binary "@$work/manifest" "http://$plain/v2/$repository/manifests/1"
        run image pull -q "$plain/$repository:1"
}

layer trailing-zeros
taken '66 gzip with zeros behind it'
layer members
taken '66 gzip of several members'
layer empty-gzip
taken '66 an empty gzip is an empty layer'
layer trailing-garbage
taken '66 gzip with garbage behind it: the digest covers it, nobody reads it'
layer no-crc
refused '66 gzip without its checksum' 'layer sha256:.*(truncated|gzip|broken|ends)'
layer wrong-crc
refused '66 gzip with a wrong checksum' 'layer sha256:.*(checksum|crc|gzip|broken)'
layer cut
refused '66 gzip that is cut' 'layer sha256:.*(truncated|gzip|broken|ends)'
layer zstd
taken '68 called gzip, zstd by its bytes'
layer zstd-frames +zstd
taken '68 zstd of several frames, one to be skipped'
layer plain
taken '68 called gzip, a plain tar'
layer bzip2
refused '68 called gzip, bzip2' 'bzip2: only gzip, zstd and plain tar'
layer other
refused '68 another tar than its diff_id' 'layer sha256:.*uncompressed it is.*but the config says'
layer window +zstd
refused '69 zstd with a window of 2 GiB' 'layer sha256:.*(window|memory|[Zz]std|broken)'
limit=120
layer bomb +zstd
refused '70 3 GiB of zeros in 100 KB' 'looks like a bomb'
limit=60
layer sparse ''
refused '70 a file of 2 TiB, all of it a hole' 'layer sha256:.*sparse.*(limit|larger|GiB|TiB)'

# ------------------------------------------------------------------ what is there when something goes wrong

layer plain ''
before=$(berth image ls -o json | jq -r '.[0].digest')
cp "$work/odd/layer-no-crc" "$work/odd/layer-plain"
layer plain ''
[ "$code" != 0 ] && [ "$(berth image ls -o json | jq -r '.[0].digest')" = "$before" ]
ok $? '40 what does not unpack does not take the name from what did'
run image prune --all

run image pull -q "$plain/team/web:1"
blobs=$BERTH_ROOT/images/blobs/sha256
manifest=$(curl -s -H 'Accept: application/vnd.oci.image.manifest.v1+json' "http://$plain/v2/team/web/manifests/1")
damage() { # DIGEST: one bit of it, and the disk is gone
        blob=$blobs/${1#*:}
        chmod 644 "$blob"
        printf 'X' | dd of="$blob" bs=1 seek=100 conv=notrunc status=none
        rm -f "$BERTH_ROOT"/images/rootfs/* "$BERTH_ROOT"/images/maps/*
}
for part in '.layers[1]' '.config'; do
        damage "$(printf '%s' "$manifest" | jq -r "$part.digest")"
        run image pull -q "$plain/team/web:1"
        is "$code" 0 "a damaged blob in the store ($part) is mended by a pull" || echo "# $out"
        is "$(sha256sum <"$blob" | cut -d' ' -f1)" "$(basename "$blob")" 'and is good again'
done
damage "$digest"
run image pull -q "$plain/team/web:1"
is "$code" 0 'so is a damaged manifest' || echo "# $out"
rm -f "$BERTH_ROOT"/images/rootfs/* "$BERTH_ROOT"/images/maps/*
run image pull -q "$plain/team/web:1"
like "$out" 'unchanged' 'and then nothing has to come'
run image prune --all

# --------------------------------------------------------------------------------------- archives (79, 80)

load() {
        run image load -i "$work/odd/$1.tar"
}

load docker-good
taken '79 a docker archive as it should be'
load docker-inner-link
taken '79 links in it are not looked at'
for bad in null empty null-entry; do
        load docker-$bad
        refused "79 manifest.json: $bad" 'manifest.json|no image'
done
load docker-missing
refused '79 a layer that is not there' 'none.tar'
load docker-fewer
refused '79 fewer layers than diff_ids' 'diff_ids for 2 layers'
load docker-dots
refused '79 a layer out of the archive' 'passwd'
load docker-absolute
refused '79 a config of the host' 'passwd'
load docker-symlink
refused '79 a layer that is a link' 'link.tar'
load docker-tag
refused '79 a tag that is none' 'Not A Name'
load docker-huge
refused '79 a manifest.json of 2 GiB' 'manifest.json.*(large|limit|MiB|Truncated)'
load oci-good
taken '80 an OCI layout as it should be'
load oci-unknown-file
taken '80 other files in it'
load oci-no-layout
refused '80 no oci-layout' 'oci-layout|neither'
load oci-no-index
refused '80 no index.json' 'index.json|neither'
last=$(jq -r '.layers[-1].digest' "$work/oci/blobs/sha256/${digest#*:}")
for bad in symlink missing; do
        load oci-$bad
        refused "80 a blob that is $bad" "${last#*:}"
done
load oci-larger
refused '80 a blob with more than its size' "${last#*:}"
load oci-smaller
refused '80 a blob with less' "${last#*:}"

# ------------------------------------------------------------------------------------------ a moved tag (81)

fault_proxy "$plain"
echo '{"retry_delay": "50ms", "registries": {"'"$proxy"'": {"http": true}}}' >"$BERTH_REGISTRIES"
run image pull -q "$proxy/team/web:1"
make_image "$work/oci:2" 1
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:2" "docker://$plain/team/web:1"
moved=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$plain/team/web:1")
echo 'HEAD_/v2/team/web/manifests/1 set=Docker-Content-Digest:_sha256:'"$(printf '%064d' 7)" >"$work/rules"
run image pull -q "$proxy/team/web:1"
is "$(berth image inspect "$proxy/team/web:1" -o json | jq -r .digest)" "$moved" \
        '81 moved between HEAD and GET: what came is whole, and its digest is kept'
: >"$work/rules"
run image pull -q "$proxy/team/web:1"
like "$out" 'unchanged' '81 and known from then on'

# ------------------------------------------------------------------------------------------- proxies (78)

authority
issue server 'subjectAltName=DNS:registry.test'
registry tls "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/server.pem, key: $work/server.key}}"
tls=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$tls/team/web:1"
mkdir -p "$BERTH_CERTS/registry.test"
cp "$work/ca.pem" "$BERTH_CERTS/registry.test/ca.crt"
mkfifo "$work/forward.in"
: >"$work/forward.port"
: >"$work/forward.log"
perl tests/system/forward_proxy.pl "$plain" "$tls" "$work/forward.log" <"$work/forward.in" >"$work/forward.port" &
pids="$pids $!"
exec 7>"$work/forward.in"
wait_for "$work/forward.port" '^[0-9]+$'
forward=http://127.0.0.1:$(cat "$work/forward.port")
echo '{"retry_delay": "50ms", "registries": {"plain.test": {"http": true}}}' >"$BERTH_REGISTRIES"

through() { # VARIABLES...: a daemon with them
        timeout 20 berth system stop >/dev/null 2>&1
        : >"$work/forward.log"
        timeout 20 env "$@" berth system start >/dev/null 2>&1
}

through "https_proxy=$forward" "http_proxy=$forward"
run image pull -q registry.test/team/web:1
is "$code" 0 '78 https through a proxy'
like "$(cat "$work/forward.log")" '^CONNECT registry.test:443' '78 as a tunnel: the certificate is the registry'"'"'s'
run image pull -q plain.test/team/web:1
is "$code" 0 '78 http through a proxy'
like "$(cat "$work/forward.log")" '^GET http://plain.test/v2/team/web/manifests/1' '78 which is asked for it'
: >"$work/forward.log"
run image pull -q "$plain/team/web:1"
is "$(cat "$work/forward.log")" '' '78 this machine is never asked for there'
through "https_proxy=$forward" "http_proxy=$forward" no_proxy=registry.test,plain.test
echo '{"retries": 1, "registries": {"plain.test": {"http": true}}}' >"$BERTH_REGISTRIES"
run image pull -q plain.test/team/web:9
like "$out" 'plain.test cannot be reached' '78 no_proxy is kept to'
is "$(cat "$work/forward.log")" '' '78 and the proxy hears nothing'
through "https_proxy=http://127.0.0.1:1" "http_proxy=http://127.0.0.1:1"
run image pull -q plain.test/team/web:9
like "$out" 'plain.test cannot be reached.*127.0.0.1' '78 a proxy that is not there is named'
through HOME="$HOME"

# -------------------------------------------------------------------------------------------- tokens (51)

EXPIRES=1 token_registry short
out=$(printf 'se:cret' | timeout 20 berth registry login "$token" -u me --password-stdin 2>&1)
like "$out" 'logged in' '51 login'
run image pull -q "$plain/team/web:1"
run image tag "$plain/team/web:1" "$token/team/web:1"
run image push -q "$token/team/web:1"
is "$code" 0 '51 tokens of one second: push'
run image rm "$token/team/web:1"
run image rm "$plain/team/web:1"
run image pull -q "$token/team/web:1"
is "$code" 0 '51 and pull'
[ "$(grep -c accepted "$work/token.log")" -gt 2 ]
ok $? '51 by new tokens'
if command -v faketime >/dev/null; then
        timeout 20 berth system stop >/dev/null 2>&1
        timeout 20 faketime '+3 days' berth system start >/dev/null 2>&1
        run image rm "$token/team/web:1"
        run image pull -q "$token/team/web:1"
        is "$code" 0 '51 nor does it matter that the clock here is days ahead'
fi

finish

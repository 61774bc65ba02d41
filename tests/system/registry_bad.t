#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What registries, networks and attackers do wrong, case by case, between berth and a real registry.
# shellcheck disable=SC2016,SC2034,SC2097,SC2098 # jq programs; what the library reads
# The numbers are those of the table in docs/images.md. Every failure must be one clear line, within
# its time, with no image listed, nothing left but resumable parts, and a daemon that goes on.
#
# shellcheck disable=SC2016 # jq's variables
. tests/system/registry_lib.sh
limit=20

make_image "$work/oci:1" 3
registry plain 'http: {addr: "127.0.0.1:0"}'
plain=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$plain/team/web:1"
manifest=$work/manifest.json
skopeo inspect --raw --tls-verify=false "docker://$plain/team/web:1" >"$manifest"
digest=sha256:$(sha256sum <"$manifest" | cut -d' ' -f1)
big=$(jq -r '.layers[2].digest' "$manifest")
size=$(jq -r '.layers[2].size' "$manifest")
config=$(jq -r .config.digest "$manifest")
half=$((size / 2))
oci_manifest=application/vnd.oci.image.manifest.v1+json
oci_index=application/vnd.oci.image.index.v1+json

rules=$work/rules
fault_proxy "$plain"
settings='"retry_delay": "20ms", "stall_timeout": "1s", "connect_timeout": "5s", "retries": 4'
# http at once: the rules then see each request once
echo "{$settings, \"registries\": {\"$proxy\": {\"http\": true}}}" >"$BERTH_REGISTRIES"

# Each case begins with an empty store and these rules (one argument a line).
rules() {
        rm -f "$rules".*
        printf '%s\n' "$@" >"$rules"
        : >"$work/proxy.log"
        berth image prune --all >/dev/null 2>&1
        rm -f "$BERTH_ROOT"/images/partial/*
}

clean() { # NAME: nothing listed, no staging left, daemon alive
        listed=$(timeout 20 berth image ls -q 2>&1)
        left=$(ls "$BERTH_ROOT/images/tmp")
        [ -z "$listed$left" ] || printf '# left behind: %s %s\n' "$listed" "$left"
        [ -z "$listed$left" ]
}

# fails NUMBER NAME REGEX [REFERENCE]: the pull fails with such a line, in time
fails() {
        run image pull -q "${4:-$proxy/team/web:1}"
        if [ "$code" != 0 ] && [ "$code" != 137 ] && printf '%s\n' "$out" | grep -qE -e "$3" &&
                [ "$(printf '%s\n' "$out" | wc -l)" = 1 ] && clean; then
                ok 0 "$1 $2"
        else
                ok 1 "$1 $2"
                printf '# code %s: %s\n# wanted: %s\n' "$code" "$out" "$3"
        fi
}

# works NUMBER NAME [REFERENCE]: the pull gets the very image
works() {
        run image pull -q "${3:-$proxy/team/web:1}"
        found=$(berth image ls -o json | jq -r '.[0].digest')
        if [ "$code" = 0 ] && [ "$found" = "$digest" ]; then
                ok 0 "$1 $2"
        else
                ok 1 "$1 $2"
                printf '# code %s: %s\n' "$code" "$out"
        fi
}

got() { grep -c "^GET [^ ]*$1" "$work/proxy.log"; }

serve() { # FILE [TYPE] [HEADERS]: the manifest of the tag is this file
        rules "GET_/v2/team/web/manifests/1 file=$1,${2:-$oci_manifest}${3:+,$3}"
}

edit() { # JQ-FILTER: $work/edited is the manifest, changed
        jq -c "$1" "$manifest" >"$work/edited"
        serve "$work/edited"
}

# -------------------------------------------------------------------------------------- names (1-7)

rules
for ref in ' ' 'a::b' 'a/' '/a' 'a//b' 'a b' ':1' '@sha256:00'; do
        fails 1 "reference '$ref'" 'not an image reference' "$ref"
done
fails 2 'upper case' 'names are lower case' "$proxy/Team/web:1"
fails 3 'a tag of 129 characters' 'a tag has 1 to 128' "a:$(printf '%0129d' 0)"
fails 3 'a tag that begins with a dot' 'a tag has 1 to 128' 'a:.x'
fails 3 'a tag that begins with a dash' 'a tag has 1 to 128' 'a:-x'
hex=${digest#sha256:}
fails 4 'a digest of 63 digits' '64 digits' "a@sha256:${hex%?}"
fails 4 'a digest of 65 digits' '64 digits' "a@sha256:${hex}0"
fails 4 'a digest in upper case' '64 digits' "a@sha256:$(printf %s "$hex" | tr a-f A-F | sed 's/^./A/')"
fails 5 'an unknown algorithm' "'sha256:' and 64 digits" "a@md5:d41d8cd98f00b204e9800998ecf8427e"
fails 6 'sha512' "'sha256:' and 64 digits" "a@sha512:$hex$hex"
for ref in 'a.b:0/x' 'a.b:70000/x' 'a.b:port/x'; do
        fails 7 "registry $ref" 'HOST or HOST:PORT' "$ref"
done

# --------------------------------------------------------------------------------- connections (8-13)

fails 8 'a name that does not resolve' 'nowhere.invalid cannot be reached: .*resolve' nowhere.invalid/x:1
fails 9 'nobody listens' '127.0.0.1:1 cannot be reached' 127.0.0.1:1/x:1
rules '. lower 2'
works 9 'a reset, twice, then an answer'
# 10: tests/system/registry.t (unknown authority); here: never http after a bad certificate
rules '. garbage'
fails 12 'garbage instead of http' 'broke the connection off|Received HTTP/0.9|speak'
rules '. html'
fails 13 'a page instead of a registry' 'unexpected content type text/html'
rules '. status=404'
fails 13 'nothing there at all' 'not found \(404'

# ------------------------------------------------------------------------------------ manifests (14-45)

rules 'GET_/v2/team/web/manifests html'
fails 14 'a login page as manifest' 'unexpected content type text/html'
rules
fails 15 'no such tag' 'not found \(404 MANIFEST_UNKNOWN' "$proxy/team/web:none"
rules 'manifests status=404,Content-Type:_text/plain'
fails 16 'a 404 in plain text' 'not found \(404\)'
head -c 5242880 /dev/zero | tr '\0' ' ' >"$work/large"
serve "$work/large"
fails 17 'a manifest of 5 MiB' 'too large'
rules "GET_/v2/team/web/manifests endless=$oci_manifest"
fails 18 'a manifest without end' 'too large'
rules 'manifests/1 cut=100 2'
works 19 'a manifest that is cut, twice'
rules 'manifests/1 cut=100'
fails 19 'one that is always cut' 'broke the connection off'
for text in '{' '[]' '"x"' '{"a":1,"a":2}' '{"schemaVersion":2,"schemaVersion":2}' ''; do
        printf '%s' "$text" >"$work/edited"
        serve "$work/edited"
        fails 20 "JSON '$text'" 'team/web:1'
done
printf '{"schemaVersion":2,"x":"\200"}' >"$work/edited"
serve "$work/edited"
fails 20 'not UTF-8' 'team/web:1'
printf '{"schemaVersion":2,"x":"a\\u0000b"}' >"$work/edited"
serve "$work/edited"
fails 20 'a NUL in a string' 'team/web:1'
perl -e 'print "[" x 5000, "]" x 5000' >"$work/edited"
serve "$work/edited"
fails 20 'nested 5000 deep' 'nested deeper'
edit '{schemaVersion: 1, name: "x", fsLayers: []}'
fails 21 'schema 1' 'schema 1'
serve "$work/edited" application/vnd.docker.distribution.manifest.v1+prettyjws
fails 21 'signed schema 1' 'schema 1'
for filter in 'del(.schemaVersion)' '.schemaVersion = 3' '.schemaVersion = "2"'; do
        edit "$filter"
        fails 22 "$filter" 'schemaVersion'
done
edit ".mediaType = \"$oci_index\""
fails 23 'a type that is not its Content-Type' 'calls itself'
edit '.manifests = []'
fails 24 'both manifest and index' 'both a manifest and an index'
serve "$manifest" "$oci_manifest;_charset=utf-8"
works 25 'a Content-Type with parameters'
jq -c ".mediaType = \"$oci_manifest\"" "$manifest" >"$work/typed"
serve "$work/typed" -
run image pull -q "$proxy/team/web:1"
is "$code" 0 '26 no Content-Type, but a type of its own'
serve "$manifest" -
fails 26 'no type at all' 'neither an image nor an index'
rules "manifests/$digest file=$work/typed,$oci_manifest"
fails 27 'another manifest than its digest' 'has the digest' "$proxy/team/web@$digest"
rules 'manifests/1 drop=Docker-Content-Digest'
works 28 'no Docker-Content-Digest'
serve "$manifest" "$oci_manifest" "Docker-Content-Digest:_$config"
fails 29 'a wrong Docker-Content-Digest' 'announced as'
for value in -1 1.5 '"12"' 9223372036854775808 null; do
        jq -c . "$manifest" | sed "s/\"size\":$size/\"size\":$value/" >"$work/edited"
        serve "$work/edited"
        fails 30 "size $value" 'team/web:1'
done
edit ".layers[2].size = 0"
fails 30 'size 0' "blob $big"
edit ".layers[2].size = $half"
fails 31 'a blob longer than its descriptor' 'longer than'
edit ".layers[2].size = $((size + 1000))"
fails 31 'a blob shorter than its descriptor' "blob $big"
edit '.layers[2].digest = "sha256:../../../../../../etc/passwd"'
fails 32 'a path as digest' 'not a sha256 digest'
edit '.layers[2].data = "AAAA"'
run image pull -q "$proxy/team/web:1"
is "$code" 0 '33 wrong data in a descriptor is not used'
edit '.layers = []'
fails 34 'no layers, but a config of three' 'diff_ids for 0 layers'
edit '.layers = [range(10000) as $i | .layers[0]]'
fails 35 '10000 layers' 'the limit is 512'
edit '.layers[2] = .layers[1] | .layers[2].size = .layers[1].size'
run image pull -q "$proxy/team/web:1"
[ "$(grep -c "GET .*blobs/$(jq -r '.layers[1].digest' "$manifest")" "$work/proxy.log")" = 1 ]
ok $? '36 a layer that comes twice is fetched once'
like "$out" 'diff_id|digest|layer' '40 its diff_id does not fit, and the image is not usable'
edit '.config.mediaType = "application/vnd.cncf.helm.config.v1+json"'
fails 37 'a Helm chart' 'helm.config.*not an image that can run'
edit '.layers[0].mediaType = "application/x-other"'
fails 37 'layers of another kind' 'application/x-other.*not an image'
edit 'del(.layers[2])'
fails 38 'more diff_ids than layers' '3 diff_ids for 2 layers'
curl -s "http://$plain/v2/team/web/blobs/$config" >"$work/config"
edit_config() {
        jq -c "$1" "$work/config" >"$work/config2"
        jq -c ".config.digest = \"sha256:$(sha256sum <"$work/config2" | cut -d' ' -f1)\" | .config.size = $(wc -c <"$work/config2")" "$manifest" >"$work/edited"
        serve "$work/edited"
        echo "blobs/sha256:$(sha256sum <"$work/config2" | cut -d' ' -f1) file=$work/config2,application/octet-stream" >>"$rules"
}
edit_config '.rootfs.type = "other"'
fails 39 'rootfs.type is not layers' 'no rootfs of layers'
edit_config '.architecture = "s390x"'
fails 39 'a config for another machine' 'is for linux.s390x'
index() { # JQ: the entries
        jq -cn --arg d "$digest" --argjson s "$(wc -c <"$manifest")" --arg m "$oci_manifest" --arg i "$oci_index" \
                "{schemaVersion: 2, mediaType: \$i, manifests: [$1]}" >"$work/edited"
        serve "$work/edited" "$oci_index"
}
index '{mediaType: $m, digest: $d, size: $s, platform: {os: "linux", architecture: "s390x"}}, {mediaType: $m, digest: $d, size: $s, platform: {os: "windows", architecture: "amd64"}}'
fails 41 'nothing for this machine' 'offers: linux/s390x windows/amd64'
printf '%s' '{"schemaVersion":2,"mediaType":"'"$oci_index"'","manifests":[{"mediaType":"'"$oci_index"'","digest":"'"$digest"'","size":100}]}' >"$work/edited"
rules "GET_/v2/team/web/manifests file=$work/edited,$oci_index"
fails 42 'an index that names something else than itself' 'has the digest'
n=0
cp "$work/edited" "$work/nest0"
printf '%s' '{"schemaVersion":2,"manifests":[]}' >"$work/nest0"
set --
while [ $n -lt 8 ]; do
        d=sha256:$(sha256sum <"$work/nest$n" | cut -d' ' -f1)
        set -- "$@" "manifests/$d file=$work/nest$n,$oci_index"
        printf '{"schemaVersion":2,"manifests":[{"mediaType":"%s","digest":"%s","size":%s}]}' "$oci_index" "$d" \
                "$(wc -c <"$work/nest$n")" >"$work/nest$((n + 1))"
        n=$((n + 1))
done
rules "$@" "manifests/1 file=$work/nest8,$oci_index"
fails 42 'indexes nested too deep' 'nested deeper'
index '{mediaType: $m, digest: $d, size: 7, platform: {os: "unknown", architecture: "unknown"}}, {mediaType: $m, digest: $d, size: $s}'
works 43 'attestations first'
index '{mediaType: "application/x-y", digest: $d, size: 7}, {mediaType: $m, digest: $d, size: $s}'
works 44 'an entry of an unknown type'
index '{mediaType: $m, digest: $d, size: ($s + 1)}'
fails 31 'an index with a wrong size' 'its index says'
edit ".layers[2].urls = [\"http://$proxy/elsewhere\"]"
run image pull -q "$proxy/team/web:1"
[ "$(got elsewhere)" = 0 ]
ok $? '45 urls of a layer are not asked'

# ------------------------------------------------------------------------------------- redirects (46-48)

rules "blobs/ redirect=http://localhost:${plain#*:}PATH"
works 46 'blobs at another host'
rules 'blobs/ redirect=http://SELFPATH'
fails 47 'a redirect loop' 'redirects'
for url in file:///etc/passwd gopher://127.0.0.1/ http://169.254.169.254/latest 'http://[fe80::1]/' ftp://127.0.0.1/ http://example.test/; do
        rules "blobs/ redirect=$url"
        fails 48 "a redirect to $url" 'redirect|blob'
        like "$out" 'refused a redirect' "48 and it was not followed ($url)"
done

# ----------------------------------------------------------------------------------------- auth (49-54)

auth() { # WWW-Authenticate, with _ for spaces and ~ for commas
        rules "/token $2" ". status=401,WWW-Authenticate:_$1"
}
auth 'Bearer' status=200
fails 49 'no realm' 'refusing its token server'
for realm in relative/path ftp://127.0.0.1/ http://169.254.169.254/token 'http://[fe80::1]/token' http://user:pw@127.0.0.1/; do
        auth "Bearer_realm=\"$realm\"" status=200
        fails 49 "realm $realm" 'refusing its token server'
done
realm=http://$proxy/token
printf '{}' >"$work/empty"
auth "Bearer_realm=\"$realm\"" "file=$work/empty,application/json"
fails 50 'a token answer without token' 'bad token answer'
auth "Bearer_realm=\"$realm\"" "file=$work/large,application/json"
fails 50 'a token answer of 5 MiB' 'bad token answer'
auth "Bearer_realm=\"$realm\"" html
fails 50 'a page as token answer' 'bad token answer'
printf '{"token":"a\\r\\nX-Evil: 1"}' >"$work/evil"
auth "Bearer_realm=\"$realm\"" "file=$work/evil,application/json"
fails 50 'a token with a line break' 'bad token answer'
printf '{"token":"abc"}' >"$work/good"
auth "Bearer_realm=\"$realm\"~service=\"s\"" "file=$work/good,application/json"
fails 52 '401 after a fresh token' 'denied \(401'
[ "$(got /token)" -le 2 ]
ok $? '52 and that is not asked for ever'
for value in "Basic_realm=\"r\"" "Negotiate~Bearer_realm=$realm" "BEARER__realm_=_\"$realm\"_~_service=\"a~b\""; do
        auth "$value" "file=$work/good,application/json"
        fails 53 "challenge $value" 'denied'
done
rules '. status=403'
fails 54 '403' 'denied \(403.*berth registry login'

# --------------------------------------------------------------------------- rate limits and errors (55-57)

rules 'manifests status=429,Retry-After:_1 1'
works 55 '429 with Retry-After: 1'
rules 'manifests status=429 2'
works 55 '429 without Retry-After'
rules 'manifests status=429,Retry-After:_Thu,_01_Jan_1970_00:00:00_GMT 1'
works 55 '429 with a date that is over'
rules 'manifests status=429'
fails 55 '429 for ever' 'rate limit'
for status in 500 502 503 504; do
        rules "manifests status=$status 1" "blobs status=$status 1"
        works 56 "$status once"
done
rules '. status=500'
fails 57 '500 for ever' 'answered 500'

# -------------------------------------------------------------------------------- broken bodies (58-67)

rules "blobs/$big cut=$half 1"
works 58 'cut at half'
like "$(grep "GET .*$big" "$work/proxy.log" | tail -n 1)" "range=bytes=$half-" '58 and gone on with from there'
rules "blobs/$big cut=$half 1" "blobs/$big norange"
works 59 'cut at half, ranges ignored'
rules "blobs/$big cut=$half 1" "blobs/$big badrange"
works 60 'cut at half, another place than asked'
rules "blobs/$big cut=$half 1" "blobs/$big tworanges 1"
works 60 'cut at half, two Content-Range'
rules "blobs/$big cut=$half 1" "blobs/$big lie416 1"
works 62 'cut at half, then 416 that lies about its length'
rules "blobs/$big short=$half 1"
works 62 'a length that is too short'
rules "blobs/$big short=$half"
run image pull -q "$proxy/team/web:1"
[ "$code" != 137 ]
ok $? '62 and for ever it is no endless loop'
rules "blobs/$big long=1000 1"
works 62 'a length that is too long'
rules "blobs/$big stall 1"
works 63 'a stall after the headers'
rules "blobs/$big hang 1"
works 63 'a stall before the headers'
rules "blobs/$big hang"
fails 63 'a stall for ever' 'too slow'
rules "blobs/$big drip=1 1"
works 64 'some bytes a second'
rules "blobs/$big corrupt=$half 1"
works 65 'one wrong byte, once'
rules "blobs/$big corrupt=$half"
fails 65 'one wrong byte, always' 'has the digest'
[ "$(got "$big")" = 2 ]
ok $? '65 and it was fetched twice, not more'
rules "blobs/$big encode"
fails 67 'Content-Encoding on top' 'Content-Encoding gzip'

# ----------------------------------------------------------------- at the same time, in the middle (71-75)

rules "blobs/$big drip=200000"
timeout 20 berth image pull -q "$proxy/team/web:1" >"$work/one" 2>&1 &
one=$!
timeout 20 berth image pull -q "$proxy/team/web:1" >"$work/two" 2>&1
two=$?
wait $one
is "$? $two" '0 0' '73 two pulls of the same image both succeed'
is "$(got "$big")" 1 '73 and it was fetched once'
rules "blobs/$big drip=200000"
images=$BERTH_ROOT/images
BERTH_ROOT=$work/r3 BERTH_IMAGES=$images timeout 20 berth image pull -q "$proxy/team/web:1" >"$work/one" 2>&1 &
one=$!
timeout 20 berth image pull -q "$proxy/team/web:1" >"$work/two" 2>&1
two=$?
wait $one
is "$? $two" '0 0' '73 two daemons on one store both succeed'
is "$(got "$big")" 1 '73 and share the work'
BERTH_ROOT=$work/r3 timeout 20 berth system stop >/dev/null 2>&1
partial=$BERTH_ROOT/images/partial/${big#sha256:}
# shellcheck disable=SC2016
grown() { # until the partial blob has bytes in it
        timeout 20 sh -c 'tail -c +1 -F "$1" 2>/dev/null | head -c 1 >/dev/null' sh "$partial"
}
rules "blobs/$big drip=100000 1"
timeout 20 berth image pull -q "$proxy/team/web:1" >/dev/null 2>&1 &
one=$!
grown
kill -INT $one
wait $one 2>/dev/null
[ -s "$partial" ]
ok $? '74 a pull that is interrupted leaves what it has'
works 74 'and the next goes on'
like "$(grep "GET .*$big" "$work/proxy.log" | tail -n 1)" 'range=bytes=[1-9]' '74 from there'
rules "blobs/$big drip=100000 1"
timeout 20 berth image pull -q "$proxy/team/web:1" >/dev/null 2>&1 &
one=$!
grown
kill -KILL "$(berth system info -o json | jq -r .pid)"
wait $one 2>/dev/null
timeout 20 flock "$BERTH_ROOT/run/berthd.lock" true # its connections end before its lock
works 75 'a daemon that is killed in the middle: the next one goes on'
like "$(grep "GET .*$big" "$work/proxy.log" | tail -n 1)" 'range=bytes=[1-9]' '75 from there'

finish

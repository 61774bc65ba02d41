#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Images from and to real registries (docker-registry: anonymous, htpasswd, TLS with an authority and
# a client certificate of one's own, a token server), and what skopeo, podman and umoci make of them.
. tests/system/registry_lib.sh
command -v faketime >/dev/null || skip_all 'needs faketime'

# 76: a credential helper that hangs has 30 s, so it begins now, in a berth of its own
mkdir -p "$work/hang/bin"
printf '#!/bin/sh\nexec sleep 100\n' >"$work/hang/bin/docker-credential-hang"
chmod +x "$work/hang/bin/docker-credential-hang"
echo '{"credsStore": "hang"}' >"$work/hang/config.json"
BERTH_ROOT=$work/hang/r PATH=$work/hang/bin:$PATH DOCKER_CONFIG=$work/hang timeout 60 \
        berth image pull -q 127.0.0.1:9/x:1 >"$work/hang/out" 2>&1 &
hanging=$!

make_image "$work/oci:1" 3
digest=$(jq -r '.manifests[0].digest' "$work/oci/index.json")

# ------------------------------------------------------------------------------------------ anonymous

registry plain 'http: {addr: "127.0.0.1:0"}'
plain=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$plain/team/web:1"

run image pull "$plain/team/web:1"
is "$code" 0 'pull from an anonymous registry over http on loopback'
like "$out" "$plain/team/web:1  sha256:[0-9a-f]{64}" 'and name and digest are told'
pulled=$(berth image ls -o json | jq -r '.[0].digest')
is "$pulled" "$digest" 'the digest is the one that was pushed'
rootfs=$(berth image inspect "$plain/team/web:1" -o json | jq -r .rootfs)
e2fsck -fn "$rootfs" >/dev/null 2>&1
ok $? 'its disk is there and e2fsck finds nothing'
run image pull -q "$plain/team/web:1"
like "$out" 'unchanged' 'pulled again it is unchanged'
run image pull "$plain/team/web@$digest"
is "$code" 0 'pull by digest'
run image pull "localhost:${plain#*:}/team/web:1"
is "$code" 0 'another name of the same host'
run image pull "$plain/team/nothing:1"
like "$out" 'team/nothing:1 not found \(404 (NAME|MANIFEST)_UNKNOWN' 'what is not there is not found'
is "$code" 1 'with exit code 1'

# --------------------------------------------------------------------------------------------- push

run image tag "$plain/team/web:1" "$plain/team/copy:2"
run image push "$plain/team/copy:2"
is "$code" 0 'push under another name'
like "$out" 'mounted|done' 'layers come from the other repository'
is "$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$plain/team/copy:2")" "$digest" \
        'skopeo finds the same digest there'
run image push "$plain/team/never:1"
like "$out" 'berth image tag' 'a name that nothing has cannot be pushed'
skopeo copy -q --src-tls-verify=false "docker://$plain/team/copy:2" "oci:$work/back:1"
ok $? 'skopeo copies what berth pushed'
umoci unpack --rootless --image "$work/back:1" "$work/bundle" >/dev/null 2>&1
ok $? 'umoci unpacks it'
is "$(cat "$work/bundle/rootfs/f2/text")" 'layer 2' 'and it holds the files'
if command -v podman >/dev/null; then
        podman --root "$work/pod" --runroot "$work/podrun" --storage-driver vfs pull -q --tls-verify=false "$plain/team/copy:2" \
                >/dev/null 2>&1
        ok $? 'podman pulls it'
        rm -rf "$work/pod" "$work/podrun"
fi

# ------------------------------------------------------------------------- other formats that are taken

skopeo copy -q --dest-tls-verify=false --format v2s2 "oci:$work/oci:1" "docker://$plain/team/schema2:1"
run image pull "$plain/team/schema2:1"
is "$code" 0 'docker schema 2'
skopeo copy -q --dest-tls-verify=false --dest-compress-format zstd --dest-compress \
        "oci:$work/oci:1" "dir:$work/zstd" && skopeo copy -q --dest-tls-verify=false "dir:$work/zstd" "docker://$plain/team/zstd:1"
run image pull "$plain/team/zstd:1"
is "$code" 0 'zstd layers'
index=$(skopeo inspect --raw --tls-verify=false "docker://$plain/team/web:1" | wc -c)
arch=$(berth image inspect "$plain/team/web:1" -o json | jq -r .architecture)
jq -cn --arg d "$digest" --argjson s "$index" --arg a "$arch" '{schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json", manifests: [
        {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
         platform: {os: "unknown", architecture: "unknown"}},
        {mediaType: "application/x-something", digest: $d, size: 1},
        {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
         platform: {os: "linux", architecture: $a}}]}' >"$work/index.json"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
        --data-binary "@$work/index.json" "http://$plain/v2/team/web/manifests/multi"
run image pull "$plain/team/web:multi"
is "$code" 0 'an index: this machine is chosen, attestations and unknown entries are not'
is "$(berth image inspect "$plain/team/web:multi" -o json | jq -r .digest)" "$digest" 'and its manifest is kept'

# ------------------------------------------------------------------------------------ other platforms

other=s390x
make_image "$work/other:1" 1
umoci config --image "$work/other:1" --architecture $other --os linux >/dev/null 2>&1
skopeo copy -q --dest-tls-verify=false "oci:$work/other:1" "docker://$plain/team/other:1"
foreign=$(skopeo inspect --raw --tls-verify=false "docker://$plain/team/other:1" | sha256sum | cut -d' ' -f1)
length=$(skopeo inspect --raw --tls-verify=false "docker://$plain/team/other:1" | wc -c)
skopeo copy -q --dest-tls-verify=false "oci:$work/other:1" "docker://$plain/team/web:$other"
jq -c --arg d "sha256:$foreign" --argjson s "$length" --arg a $other '.manifests += [
        {mediaType: "application/vnd.oci.image.manifest.v1+json", digest: $d, size: $s,
         platform: {os: "linux", architecture: $a}}]' "$work/index.json" >"$work/both.json"
curl -sf -X PUT -H 'Content-Type: application/vnd.oci.image.index.v1+json' \
        --data-binary "@$work/both.json" "http://$plain/v2/team/web/manifests/both"
run image pull -q --platform linux/$other "$plain/team/web:both"
is "$code" 0 'another platform is pulled'
is "$(berth image inspect "$plain/team/web:both" -o json | jq -r '.architecture + " " + .digest')" \
        "$other sha256:$foreign" 'it is the one that was asked for'
run image pull -q --platform linux/$other "$plain/team/web:both"
like "$out" 'unchanged' 'pulled again it is unchanged'
run image save "$plain/team/web:both" -f "$work/foreign.tar"
is "$(skopeo inspect --raw "oci-archive:$work/foreign.tar" | sha256sum | cut -d' ' -f1)" "$foreign" 'it is saved'
run image tag "$plain/team/web:both" "$plain/team/pushed:1"
run image push -q "$plain/team/pushed:1"
is "$(skopeo inspect --raw --tls-verify=false "docker://$plain/team/pushed:1" | sha256sum | cut -d' ' -f1)" \
        "$foreign" 'and pushed'
printf 'name: foreign\nservices: {web: {image: %s, pull_policy: never}}\n' "$plain/team/web:both" >"$work/foreign.yaml"
run apply -f "$work/foreign.yaml" --timeout 20s
[ "$code" != 0 ] && like "$out" "is for linux/$other, which VMs here do not run; 'berth image pull" 'but not run'
run delete foreign
run image pull -q "$plain/team/web:both"
is "$(berth image inspect "$plain/team/web:both" -o json | jq -r .digest)" "$digest" \
        'without --platform the same name is the one for this machine'
run image pull -q "$plain/team/other:1"
like "$out" "is for linux/$other, wanted is linux/.*--platform" 'what is only for others is refused without it'
run image pull -q --platform linux/mips64 "$plain/team/web:both"
like "$out" "nothing for linux/mips64 in it; it offers: linux/.*linux/$other" 'what is not there either'
run image pull -q --platform 'Linux?' "$plain/team/web:both"
like "$out" "is not a platform; write it OS/ARCHITECTURE" 'a platform that is none'
rm -rf "$work/other"

# ------------------------------------------------------------------------------------------ save, load

run image save "$plain/team/web:1" -f "$work/save.tar"
is "$code" 0 'save'
skopeo copy -q "oci-archive:$work/save.tar" "oci:$work/fromsave:1"
ok $? 'skopeo reads it as an OCI archive'
skopeo copy -q "docker-archive:$work/save.tar" "dir:$work/fromdocker"
ok $? 'and as a docker archive'
berth image save "$plain/team/web:1" >"$work/save2.tar"
cmp -s "$work/save.tar" "$work/save2.tar"
ok $? 'the same bytes each time, also to standard output'
BERTH_ROOT="$work/r2" timeout 60 berth image load "$work/save.tar" >/dev/null 2>&1
is "$(BERTH_ROOT="$work/r2" berth image ls -o json | jq -r '.[0].digest')" "$digest" 'another berth loads it'
BERTH_ROOT="$work/r2" timeout 20 berth system stop >/dev/null
run image save "$plain/team/none:1" -f "$work/none.tar"
[ "$code" != 0 ] && [ ! -e "$work/none.tar" ]
ok $? 'saving nothing leaves no file'

# ------------------------------------------------------------------------------------------- htpasswd

htpasswd -Bbn me 'se:cret' >"$work/htpasswd" 2>/dev/null
registry basic 'http: {addr: "127.0.0.1:0"}' "auth: {htpasswd: {realm: r, path: $work/htpasswd}}"
basic=$addr
skopeo copy -q --dest-tls-verify=false --dest-creds 'me:se:cret' "oci:$work/oci:1" "docker://$basic/web:1"
run image pull "$basic/web:1"
like "$out" "denied \(401.*berth registry login $basic" 'without a login it is denied, and says the way out'
out=$(printf 'wrong' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" 'denied' 'a wrong password is refused at once'
[ ! -e "$HOME/.docker/config.json" ]
ok $? 'and not kept'
out=$(printf 'se:cret\n' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" "logged in to $basic" 'login'
is "$(stat -c %a "$HOME/.docker/config.json")" 600 'its file is 0600'
run image pull "$basic/web:1"
is "$code" 0 'pull with the login'
run image tag "$basic/web:1" "$basic/web:2"
run image push "$basic/web:2"
is "$code" 0 'push with the login'
run registry logout "$basic"
run image pull "$basic/web:2"
like "$out" 'denied' 'after logout it is denied again'

mkdir -p "$work/bin" "$work/dc"
cat >"$work/bin/docker-credential-good" <<END
#!/bin/sh
read -r server
[ "\$server" = "$basic" ] || { echo 'credentials not found in native keychain'; exit 1; }
echo '{"ServerURL": "x", "Username": "me", "Secret": "se:cret"}'
END
cat >"$work/bin/docker-credential-bad" <<END
#!/bin/sh
echo 'no idea'
END
chmod +x "$work/bin"/*
timeout 20 berth system stop >/dev/null # the daemon's PATH finds the helpers
PATH=$work/bin:$PATH
export DOCKER_CONFIG="$work/dc"
echo '{"credsStore": "good"}' >"$work/dc/config.json"
run image pull "$basic/web:2"
is "$code" 0 'a credential helper is asked'
run image pull "$plain/team/web:1"
is "$code" 0 'and its "not found" is anonymous'
echo '{"credHelpers": {"'"$basic"'": "bad"}}' >"$work/dc/config.json"
run image pull "$basic/web:2"
like "$out" 'docker-credential-bad' 'rubbish from a helper names it'
echo '{"credsStore": "../../bin/sh"}' >"$work/dc/config.json"
run image pull "$basic/web:2"
like "$out" 'not the name of a credential helper' 'a helper is a name, not a path'
echo '{"credsStore": "missing-one"}' >"$work/dc/config.json"
run image pull "$basic/web:2"
like "$out" 'docker-credential-missing-one' 'a helper that is not there is named'
# berth logs in and out where the configuration says that it is kept.
cat >"$work/bin/docker-credential-keep" <<END
#!/bin/sh
case \$1 in
store) cat >"$work/kept" ;;
get) read -r server; [ -e "$work/kept" ] && grep -q "\$server" "$work/kept" && cat "$work/kept" ||
        { echo 'credentials not found in native keychain'; exit 1; } ;;
erase) rm -f "$work/kept" ;;
esac
END
chmod +x "$work/bin/docker-credential-keep"
echo '{"credsStore": "keep"}' >"$work/dc/config.json"
out=$(printf 'se:cret' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" "logged in to $basic.*docker-credential-keep" 'login stores in the credential helper'
is "$(jq -cS . "$work/kept" 2>&1)" "{\"Secret\":\"se:cret\",\"ServerURL\":\"$basic\",\"Username\":\"me\"}" \
        'as docker does'
is "$(jq -c .auths "$work/dc/config.json")" 'null' 'and nothing in the file'
run image pull "$basic/web:2"
is "$code" 0 'and it is used'
run registry logout "$basic"
[ "$code" = 0 ] && [ ! -e "$work/kept" ]
ok $? 'logout has it forgotten there'
printf '#!/bin/sh\necho "the safe is shut"; exit 1\n' >"$work/bin/docker-credential-keep"
out=$(printf 'se:cret' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" 'docker-credential-keep.*the safe is shut' 'a helper that refuses is believed'
echo '{"credHelpers": {"'"$basic"'": "../x"}}' >"$work/dc/config.json"
out=$(printf 'se:cret' | timeout 20 berth registry login "$basic" -u me --password-stdin 2>&1)
like "$out" 'not the name of a credential helper' 'and is a name here, too'
# Named as docker does, with a URL; the file that another names in the environment comes first.
echo '{"credHelpers": {"https://'"$basic"'/v1/": "good"}}' >"$work/dc/config.json"
run image pull "$basic/web:2"
is "$code" 0 'a helper may be named for a URL'
echo '{"auths": {"'"$basic"'": {"auth": "'"$(printf 'me:wrong' | base64)"'"}}}' >"$work/dc/config.json"
timeout 20 berth system stop >/dev/null # the next berthd has these variables
out=$(DOCKER_AUTH_CONFIG='{"auths": {"'"$basic"'": {"auth": "'"$(printf 'me:se:cret' | base64)"'"}}}' \
        timeout 60 berth image pull "$basic/web:2" 2>&1)
is "$?" 0 'DOCKER_AUTH_CONFIG is asked first'
timeout 20 berth system stop >/dev/null
out=$(DOCKER_AUTH_CONFIG='{"auths": ' timeout 60 berth image pull "$basic/web:2" 2>&1)
like "$out" 'DOCKER_AUTH_CONFIG' 'and named when it is broken'
timeout 20 berth system stop >/dev/null
echo '{broken' >"$work/dc/config.json"
run image pull "$basic/web:2"
like "$out" 'dc/config.json' 'a broken config.json is named'
echo '{"auths": {"'"$basic"'": {"auth": "bm9jb2xvbg=="}}}' >"$work/dc/config.json"
run image pull "$basic/web:2"
like "$out" 'dc/config.json.*not base64 of user:password' 'an auth without a colon too'
unset DOCKER_CONFIG

# ----------------------------------------------------------------------------------------------- TLS

authority
issue server 'subjectAltName=IP:127.0.0.1,DNS:localhost'
issue client 'extendedKeyUsage=clientAuth'
registry tls "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/server.pem, key: $work/server.key}}"
tls=$addr
registry mtls "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/server.pem, key: $work/server.key, clientcas: [$work/ca.pem]}}"
mtls=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$tls/web:1"
run image pull "$tls/web:1"
like "$out" "certs.d/$tls/ca.crt" 'an unknown authority is refused, and says where to put it'
issue other 'subjectAltName=DNS:other.test'
openssl req -newkey rsa:2048 -nodes -keyout "$work/old.key" -out "$work/old.csr" -subj /CN=old >/dev/null 2>&1
echo 'subjectAltName=IP:127.0.0.1' >"$work/old.ext"
faketime '-30 days' openssl x509 -req -in "$work/old.csr" -CA "$work/ca.pem" -CAkey "$work/ca.key" \
        -CAcreateserial -days 1 -extfile "$work/old.ext" -out "$work/old.pem" >/dev/null 2>&1
for bad in other old; do
        registry $bad "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/$bad.pem, key: $work/$bad.key}}"
        mkdir -p "$BERTH_CERTS/$addr"
        cp "$work/ca.pem" "$BERTH_CERTS/$addr/ca.crt"
        run image pull "$addr/web:1"
        like "$out" "$addr: .*certificate" "10 a certificate that is for another name, or has expired: $bad"
        is "$(grep -c 'GET /v2' "$work/$bad/log")" 0 '10 and nothing is asked for, by http neither'
done
mkdir -p "$BERTH_CERTS/$tls" "$BERTH_CERTS/$mtls"
cp "$work/ca.pem" "$BERTH_CERTS/$tls/ca.crt"
cp "$work/ca.pem" "$BERTH_CERTS/$mtls/ca.crt"
run image pull "$tls/web:1"
is "$code" 0 'with the authority in certs.d it is pulled over TLS'
like "$(grep -o 'manifests/1 HTTP/.* "berth' "$work/tls/log")" 'HTTP/2' 'by HTTP/2'
run image tag "$tls/web:1" "$mtls/web:1"
run image push "$mtls/web:1"
[ "$code" != 0 ]
ok $? 'a registry that wants a client certificate refuses without'
cp "$work/client.pem" "$BERTH_CERTS/$mtls/client.cert"
cp "$work/client.key" "$BERTH_CERTS/$mtls/client.key"
chmod 600 "$BERTH_CERTS/$mtls/client.key"
run image push "$mtls/web:1"
is "$code" 0 'and takes the client certificate of certs.d'
# A registry whose blobs are elsewhere: its authority speaks for that place too, and nothing else changes.
mkdir -p "$work/away"
mkfifo "$work/blobs.in"
: >"$work/blobs.port"
cat >"$work/blobs.py" <<'END'
import functools, http.server, os, ssl, sys, threading
work = sys.argv[1]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=work + "/away/data")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(work + "/server.pem", work + "/server.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
with open(work + "/blobs.in") as until_closed:
    until_closed.read()
END
/usr/bin/python3 "$work/blobs.py" "$work" >"$work/blobs.port" 2>"$work/blobs.log" &
pids="$pids $!"
exec 8>"$work/blobs.in"
wait_for "$work/blobs.port" '^[0-9]+$'
registry away "http: {addr: \"127.0.0.1:0\", tls: {certificate: $work/server.pem, key: $work/server.key}}" \
        "middleware: {storage: [{name: redirect, options: {baseurl: \"https://localhost:$(cat "$work/blobs.port")/\"}}]}"
away=$addr
skopeo copy -q --dest-tls-verify=false "oci:$work/oci:1" "docker://$away/away:1"
run image prune --all
mkdir -p "$BERTH_CERTS/$away"
cp "$work/ca.pem" "$BERTH_CERTS/$away/ca.crt"
run image pull "$away/away:1"
is "$code" 0 'layers at another host, whose certificate is of the same authority'
is "$(grep -c 'GET /docker/registry/v2/blobs/.* 200' "$work/blobs.log")" 4 'the config and three layers come from there'
exec 8>&-
run image pull "$plain/team/web:1"
run image tag "$plain/team/web:1" "$tls/web:1"
echo '{"retry_delay": "50ms", "registries": {"'"$tls"'": {"insecure": true}}}' >"$BERTH_REGISTRIES"
rm -rf "${BERTH_CERTS:?}/$tls"
run image pull "$tls/web:1"
is "$code" 0 'a registry that is configured as insecure needs no authority'

# --------------------------------------------------------------------------------------- token server

token_registry token
run image tag "$plain/team/web:1" "$token/team/web:1"
run image push "$token/team/web:1"
like "$out" 'token denied' 'a token server refuses who is nobody'
out=$(printf 'se:cret' | timeout 20 berth registry login "$token" -u me --password-stdin 2>&1)
like "$out" 'logged in' 'login at a token server'
run image push "$token/team/web:1"
is "$code" 0 'push with tokens'
run image tag "$plain/team/web:1" "$token/team/other:1"
run image push "$token/team/other:1"
is "$code" 0 'and into another repository'
like "$(cat "$work/token.log")" 'scopes=repository:team/other:pull,push.*accepted' 'what was asked for is what is needed'
run image rm "$token/team/web:1"
run image pull "$token/team/web:1"
is "$code" 0 'pull with tokens'
echo '{"auths": {"'"$token"'": {"auth": "", "identitytoken": "the-identity-token"}}}' >"$HOME/.docker/config.json"
run image pull -q "$token/team/web:1"
is "$code" 0 'an identity token gets tokens too'
like "$(tail -n 2 "$work/token.log")" '^POST .*accepted' 'by OAuth'

# ------------------------------------------------------------------------------------- mirrors, policy

echo '{"retry_delay": "50ms", "registries": {"registry.invalid": {"mirrors": ["http://'"$plain"'"]}}}' >"$BERTH_REGISTRIES"
run image pull registry.invalid/team/web:1
is "$code" 0 'a mirror serves what its registry cannot'
run image ls -q
like "$out" '^registry.invalid/team/web:1$' 'under the name that was asked for'

df() { berth system df -o json | jq -r ".[] | select(.class == \"$1\") | .$2"; }
run system df
like "$out" 'WHAT +FILES +SIZE +RECLAIMABLE' 'system df, for people'
is "$(berth system df -o json | jq -r '[.[].class] | join(" ")')" \
        'layers disks partial pulls volumes scratch disks logs state' 'system df: each class'
is "$(df layers count)" "$(find "$BERTH_ROOT/images/blobs/sha256" -type f | wc -l)" 'system df: as many blobs as there are'
is "$(df layers bytes)" "$(find "$BERTH_ROOT/images/blobs/sha256" -type f -printf '%b\n' |
        awk '{n += $1 * 512} END {print n}')" 'system df: what they take'
is "$(df disks reclaimable_bytes)" "$(df disks bytes)" 'system df: nothing runs, so all disks could go'

run image rm "$plain/team/zstd:1"
used=$(du -s "$BERTH_ROOT/images" | cut -f1)
run image prune --all
like "$out" 'given back' 'prune'
is "$(berth image ls -q | wc -l)" 0 'nothing is left when nothing uses it'
is "$(df layers bytes)-$(df disks bytes)" '0-0' 'system df sees that'
[ "$(du -s "$BERTH_ROOT/images" | cut -f1)" -lt "$used" ]
ok $? 'and its space is free'

wait "$hanging"
like "$(cat "$work/hang/out")" 'docker-credential-hang did not answer in 30 s' '76 a helper that hangs is named'
BERTH_ROOT=$work/hang/r timeout 20 berth system stop >/dev/null

finish
